"""Settings: what the environment says, and what it may not."""

import os
from pathlib import Path

import platformdirs
import pytest

from config.errors import Unusable
from config.settings import IceServer, LlmSettings, read_settings
from speech.errors import EXIT_USAGE, Problem


def test_without_anything_set_the_defaults_hold() -> None:
    settings = read_settings({})
    assert settings.data == platformdirs.user_data_path("elocute").absolute()
    assert (settings.asr_model, settings.device) == ("bundled", "auto")
    assert settings.threads == len(os.sched_getaffinity(0))


def test_an_empty_variable_counts_as_unset() -> None:
    names = ("ELOCUTE_DATA", "ELOCUTE_ASR_MODEL", "ELOCUTE_DEVICE", "ELOCUTE_THREADS")
    assert read_settings(dict.fromkeys(names, "")) == read_settings({})


def test_what_is_set_is_taken(tmp_path: Path) -> None:
    settings = read_settings({"ELOCUTE_DATA": str(tmp_path), "ELOCUTE_ASR_MODEL": "small", "ELOCUTE_DEVICE": "cpu", "ELOCUTE_THREADS": "3"})
    assert (settings.data, settings.asr_model, settings.device, settings.threads) == (tmp_path, "small", "cpu", 3)


def test_the_data_folder_is_absolute_and_knows_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert read_settings({"ELOCUTE_DATA": "here"}).data == tmp_path / "here"
    assert read_settings({"ELOCUTE_DATA": "~/there"}).data == tmp_path / "home" / "there"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ELOCUTE_DEVICE", "gpu"),
        ("ELOCUTE_DEVICE", "CPU"),
        ("ELOCUTE_THREADS", "0"),
        ("ELOCUTE_THREADS", "-1"),
        ("ELOCUTE_THREADS", "two"),
        ("ELOCUTE_THREADS", "²"),
        ("ELOCUTE_THREADS", "1000"),
        ("ELOCUTE_UDP_PORTS", "40000"),
        ("ELOCUTE_UDP_PORTS", "40100-40000"),
        ("ELOCUTE_UDP_PORTS", "80-90"),
        ("ELOCUTE_UDP_PORTS", "60000-70000"),
        ("ELOCUTE_DATA", "/dev/null"),
        ("ELOCUTE_DATA", "~nobody-of-this-name/x"),
    ],
)
def test_a_senseless_value_is_named_in_one_sentence(name: str, value: str) -> None:
    with pytest.raises(Unusable) as caught:
        read_settings({name: value})
    problem = Problem(caught.value.code, **caught.value.facts)
    assert str(problem).startswith(f"{name}={value}: ")
    assert problem.exit_code == EXIT_USAGE


def test_servers_that_help_through_a_nat() -> None:
    given = "stun:stun.example.org  turn:me:p%40ss@turn.example.org:3478?transport=tcp turns:me:secret@192.0.2.1"
    assert read_settings({"ELOCUTE_ICE_SERVERS": given}).ice_servers == (
        IceServer("stun:stun.example.org"),
        IceServer("turn:turn.example.org:3478?transport=tcp", "me", "p@ss"),
        IceServer("turns:192.0.2.1", "me", "secret"),
    )
    assert read_settings({"ELOCUTE_UDP_PORTS": "40000-40100"}).udp_ports == range(40_000, 40_101)


@pytest.mark.parametrize(
    "value",
    [
        "stun.example.org",
        "turn:turn.example.org",
        "stun:me:secret@example.org",
        "stun:example.org?transport=udp",
        "turn:me:secret@host:1?transport=x",
    ],
)
def test_a_password_is_not_repeated(value: str) -> None:
    with pytest.raises(Unusable) as caught:
        read_settings({"ELOCUTE_ICE_SERVERS": value})
    assert str(Problem(caught.value.code, **caught.value.facts)).startswith("ELOCUTE_ICE_SERVERS=...: must ")


def test_a_language_model_is_off_until_it_is_named() -> None:
    assert read_settings({}).llm is None
    given = {"ELOCUTE_LLM_URL": "http://127.0.0.1:11434/v1/", "ELOCUTE_LLM_MODEL": "tiny", "ELOCUTE_LLM_KEY": "secret"}
    found = read_settings(given)
    assert found.llm == LlmSettings("http://127.0.0.1:11434/v1", "tiny", "secret")
    assert "secret" not in repr(found)
    assert read_settings(given | {"ELOCUTE_LLM_KEY": ""}).llm == LlmSettings("http://127.0.0.1:11434/v1", "tiny")


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"ELOCUTE_LLM_URL": "http://127.0.0.1/v1"}, "ELOCUTE_LLM_MODEL="),
        ({"ELOCUTE_LLM_MODEL": "tiny"}, "ELOCUTE_LLM_URL="),
        ({"ELOCUTE_LLM_KEY": "secret"}, "ELOCUTE_LLM_URL="),
        ({"ELOCUTE_LLM_URL": "127.0.0.1/v1", "ELOCUTE_LLM_MODEL": "tiny"}, "ELOCUTE_LLM_URL=..."),
        (
            {"ELOCUTE_LLM_URL": "http://127.0.0.1/v1", "ELOCUTE_LLM_MODEL": "tiny", "ELOCUTE_LLM_KEY": "secret\r\nX: y"},
            "ELOCUTE_LLM_KEY=...",
        ),
    ],
)
def test_half_a_language_model_is_refused_without_its_key(given: dict[str, str], named: str) -> None:
    with pytest.raises(Unusable) as caught:
        read_settings(given)
    told = str(Problem(caught.value.code, **caught.value.facts))
    assert told.startswith(named)
    assert "secret" not in told
