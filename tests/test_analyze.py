"""`elocute analyze` from file to files: everything is there, in the shape that was promised, and the same each time."""

import csv
import json
import shutil
import subprocess
import wave
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pyarrow.parquet as pq
import pytest

from batch.__main__ import main
from batch.document import SCHEMA_FILE
from speech.audio import Floats
from speech.errors import EXIT_NOT_AUDIO, EXIT_NOTHING_TO_MEASURE, EXIT_OK, EXIT_SOME_FAILED
from speech.measures import NEEDS_ENGLISH
from tests.samples import recording

FILES = {
    "analysis.json",
    "words.csv",
    "frames.parquet",
    "transcript.txt",
    "transcript.vtt",
    "transcript.srt",
    "analysis.TextGrid",
    "index.html",
    "report.pdf",
}
SPANISH = (
    "Buenos días a todos. Hoy quiero contarles cómo construimos nuestra nueva escuela el año pasado. "
    "Muchas personas nos ayudaron con su tiempo y su trabajo."
)


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bundled model on the CPU, whatever the machine has and is set to."""
    monkeypatch.setenv("ELOCUTE_DEVICE", "cpu")
    monkeypatch.setenv("ELOCUTE_ASR_MODEL", "bundled")


def wav(path: Path, start_s: float, end_s: float) -> Path:
    return stored(path, recording()[round(start_s * 16_000) : round(end_s * 16_000)])


def stored(path: Path, pcm: Floats) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((pcm * 32767).astype("<i2").tobytes())
    return path


def analysed(path: Path, out: Path) -> dict[str, Any]:
    assert main(["analyze", str(path), "--out", str(out)]) == EXIT_OK
    found: dict[str, Any] = json.loads((out / "analysis.json").read_bytes())
    jsonschema.validate(found, json.loads(SCHEMA_FILE.read_bytes()), cls=jsonschema.Draft202012Validator)
    return found


@pytest.fixture(scope="module")
def two_cities(tmp_path_factory: pytest.TempPathFactory, data_folder: Path) -> tuple[Path, dict[str, Any]]:
    """The results for 44 s of reading."""
    folder = tmp_path_factory.mktemp("two_cities")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("ELOCUTE_DEVICE", "cpu")
        environment.setenv("ELOCUTE_ASR_MODEL", "bundled")
        environment.setenv("ELOCUTE_DATA", str(data_folder))
        return folder / "out", analysed(wav(folder / "two_cities.wav", 0.0, recording().size / 16_000), folder / "out")


def test_all_files_are_there(two_cities: tuple[Path, dict[str, Any]]) -> None:
    out, _ = two_cities
    assert {path.name for path in out.iterdir()} == FILES
    assert all(path.stat().st_size > 100 for path in out.iterdir())


def test_the_fields_are_those_that_outside_checks_read(two_cities: tuple[Path, dict[str, Any]]) -> None:
    _, found = two_cities
    assert {"words", "pauses", "fillers", "disfluencies", "language_issues", "measures", "audio", "versions"} <= set(found)
    assert all(set(w) == {"text", "start_s", "end_s", "probability", "kind"} for w in found["words"])
    assert {w["kind"] for w in found["words"]} <= {"word", "filler", "fragment"}
    assert all({"start_s", "end_s", "kind"} <= set(p) for p in found["pauses"])
    assert all({"text", "start_s", "end_s", "source"} <= set(f) for f in found["fillers"])
    assert all(set(m) == {"value", "unit", "low", "high", "over_s", "why_missing"} for m in found["measures"].values())
    assert all((m["value"] is None) == (m["why_missing"] is not None) for m in found["measures"].values())


def test_what_is_known_of_the_reading_comes_out(two_cities: tuple[Path, dict[str, Any]]) -> None:
    out, found = two_cities
    assert found["language"] == "en"
    assert 110 <= sum(w["kind"] == "word" for w in found["words"]) <= 128  # 119 are read
    assert found["fillers"] == []
    measures = found["measures"]
    assert 160 <= measures["speech_rate_wpm"]["value"] <= 190  # 119 words in 40 s
    assert 100 <= measures["f0_median_hz"]["value"] <= 130  # a man
    assert measures["filled_pauses_per_min"]["value"] == 0.0
    assert {"jitter_local", "shimmer_local", "hnr_db", "cpps_db"} <= set(measures)
    assert "best of times" in (out / "transcript.txt").read_text()


def test_the_other_files_say_the_same_as_the_document(two_cities: tuple[Path, dict[str, Any]]) -> None:
    out, found = two_cities
    with (out / "words.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["text"], float(r["start_s"]), float(r["end_s"]), r["kind"]) for r in rows] == [
        (w["text"], w["start_s"], w["end_s"], w["kind"]) for w in found["words"]
    ]


def test_there_is_one_frame_for_each_ten_milliseconds(two_cities: tuple[Path, dict[str, Any]]) -> None:
    out, found = two_cities
    table = pq.read_table(out / "frames.parquet")
    assert table.column_names == ["t_s", "f0_hz", "level_dbfs", "state"]
    assert table.num_rows == pytest.approx(found["audio"]["duration_s"] * 100, abs=1)
    t_s, f0_hz = table["t_s"].to_numpy(), table["f0_hz"].to_numpy()
    assert t_s[0] == pytest.approx(0.005)
    assert np.diff(t_s) == pytest.approx(0.01)
    assert 0.2 < np.isnan(f0_hz).mean() < 0.8
    assert not np.isnan(table["level_dbfs"].to_numpy()).any()
    assert set(table["state"].to_pylist()) == {"speech", "silence"}


def test_nothing_of_this_machine_gets_into_the_files(two_cities: tuple[Path, dict[str, Any]]) -> None:
    out, _ = two_cities
    for path in out.iterdir():
        assert str(out.parent).encode() not in path.read_bytes()


def test_the_same_recording_gives_the_same_bytes(tmp_path: Path) -> None:
    path = wav(tmp_path / "talk.wav", 1.0, 8.5)
    for out in ("first", "second"):
        analysed(path, tmp_path / out)
    for name in FILES:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes(), name


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng, which speaks the Spanish, is not installed")
def test_another_language_is_stated_and_what_needs_english_left_out(tmp_path: Path) -> None:
    path = tmp_path / "es.wav"
    subprocess.run(["espeak-ng", "-v", "es", "-s", "140", "-w", str(path), SPANISH], check=True)
    found = analysed(path, tmp_path / "out")
    assert found["language"] == "es"
    assert "escuela" in (tmp_path / "out" / "transcript.txt").read_text()
    assert any("not English" in warning for warning in found["audio"]["warnings"])
    missing = {name for name, m in found["measures"].items() if m["why_missing"] == NEEDS_ENGLISH}
    assert {"filled_pauses_per_min", "grammar_issues_per_100_words", "pauses_within_clause_per_100_syl"} <= missing
    assert found["measures"]["speech_rate_wpm"]["value"] > 60
    assert found["measures"]["articulation_rate_syl_s"]["value"] > 2
    assert (found["language_issues"], found["disfluencies"]) == ([], [])
    assert {p["place"] for p in found["pauses"]} == {"unknown"}


def test_a_bad_file_does_not_stop_the_next(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"RIFF but nothing else")
    good = wav(tmp_path / "good.wav", 1.0, 4.75)
    assert main(["analyze", str(bad), str(good), "--out", str(tmp_path / "out"), "--format", "json"]) == EXIT_SOME_FAILED
    assert [line.split(":")[0] for line in capfd.readouterr().err.splitlines()] == ["elocute"]
    assert json.loads((tmp_path / "out" / "good" / "analysis.json").read_bytes())["words"]
    assert main(["analyze", str(bad)]) == EXIT_NOT_AUDIO


def test_sound_without_speech_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "noise.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((3000 * np.random.default_rng(1).normal(0, 0.3, 5 * 16_000)).astype("<i2").tobytes())
    assert main(["analyze", str(path), "--out", str(tmp_path / "out")]) == EXIT_NOTHING_TO_MEASURE
    assert "no speech" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()
