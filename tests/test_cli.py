"""The command line: what a user sees, the exit codes, and what is left on the disk."""

import io
import json
import os
import re
import signal
import string
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from batch.__main__ import _progress, folders, main
from speech.errors import (
    EXIT_CANNOT_READ,
    EXIT_CANNOT_WRITE,
    EXIT_CODES,
    EXIT_INTERRUPTED,
    EXIT_NO_MODEL,
    EXIT_OK,
    EXIT_SOME_FAILED,
    EXIT_USAGE,
    PROBLEMS,
    Problem,
    printable,
    sentence,
)
from tests.media import KINDS, Kind, int16, riff, speech, written

ROOT = Path(__file__).parent.parent
COMMAND = (sys.executable, "-m", "batch")


def elocute(*arguments: str | Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, timeout=120, check=False
    )


# the table


def test_every_row_is_one_line_that_says_what_to_do_and_has_a_documented_code() -> None:
    for code, entry in PROBLEMS.items():
        assert re.fullmatch(r"[a-z-]+", code)
        assert entry.sentence.isprintable()
        assert entry.sentence.endswith((".", "?"))
        assert entry.exit_code is None or entry.exit_code in EXIT_CODES
    assert len({entry.sentence for entry in PROBLEMS.values()}) == len(PROBLEMS)


@pytest.mark.parametrize("code", PROBLEMS)
def test_every_sentence_can_be_filled_in(code: str) -> None:
    names = {name for _, name, spec, _ in string.Formatter().parse(PROBLEMS[code].sentence) if name}
    numeric = {name for _, name, spec, _ in string.Formatter().parse(PROBLEMS[code].sentence) if name and spec}
    facts = {name: 1.5 if name in numeric else "a\nb\x1b" for name in names}
    assert sentence(code, **facts).isprintable()
    assert str(Problem(code, **facts)) == sentence(code, **facts)


def test_names_that_would_steer_a_terminal_are_written_out() -> None:
    assert printable("a\nb\x1b[31m\udce9 é\N{MICROPHONE}") == r"a\nb\x1b[31m\udce9 é" + "\N{MICROPHONE}"


def test_every_exit_code_is_in_the_help(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["analyze", "--help"])
    assert left.value.code == 0
    said = capfd.readouterr().out
    assert all(re.search(rf"^ +{code} +", said, re.MULTILINE) for code in EXIT_CODES)


# bad input

BAD = [kind for kind in KINDS.values() if kind.outcome != "ok"]


@pytest.mark.parametrize("kind", BAD, ids=lambda kind: kind.name)
def test_bad_input_gets_one_line_and_its_exit_code(
    kind: Kind, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = kind.make(tmp_path)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    assert main(["analyze", "--", str(path)]) == PROBLEMS[kind.outcome].exit_code
    out, err = capfd.readouterr()
    assert all(line.startswith(f"{printable(path.name)}: ") for line in out.splitlines())  # the stages begun
    assert err.startswith("elocute: ")
    assert err.count("\n") == 1
    assert not list(work.iterdir())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], EXIT_USAGE),
        (["analyze"], EXIT_USAGE),
        (["analyse", "x.wav"], EXIT_USAGE),
        (["analyze", "x.wav", "--format", "docx"], EXIT_USAGE),
        (["analyze", "-x.wav"], EXIT_USAGE),
        (["--version"], EXIT_OK),
    ],
)
def test_a_wrong_command_line_is_argparses_to_say(arguments: list[str], expected: int) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == expected


def test_a_wrong_setting_is_said_once(tmp_path: Path) -> None:
    done = elocute("analyze", tmp_path / "a.wav", tmp_path / "b.wav", ELOCUTE_THREADS="many")
    assert done.returncode == EXIT_USAGE
    assert done.stderr == "elocute: ELOCUTE_THREADS=many: must be a number from 1 to 256.\n"


def test_a_place_where_nothing_can_be_written_is_said_before_the_work(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    talk = KINDS["WAV, 16 bit, 16000 Hz"].make(tmp_path)
    assert main(["analyze", str(talk), "--out", str(talk)]) == EXIT_CANNOT_WRITE
    assert main(["analyze", str(talk), "--out", str(talk / "below")]) == EXIT_CANNOT_WRITE
    assert capfd.readouterr().err.count("talk.wav is not a folder") == 2


def test_a_missing_model_ends_the_batch(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELOCUTE_ASR_MODEL", str(tmp_path))
    talk = KINDS["WAV, 16 bit, 16000 Hz"].make(tmp_path)
    assert main(["analyze", str(talk), str(talk), "--out", str(tmp_path / "out")]) == EXIT_NO_MODEL
    assert capfd.readouterr().err.count("elocute: ") == 1


# where results go


def test_folders_never_collide() -> None:
    files = [Path("talk.wav"), Path("talk.mp3"), Path("other/talk.wav"), Path("b/talk.wav"), Path("x/a\nb.wav"), Path("-c.wav")]
    assert [str(folder) for folder in folders(files, None)] == [
        "talk.elocute",
        "talk.mp3.elocute",
        "talk.wav.elocute",
        "talk.wav-2.elocute",
        r"a\nb.elocute",
        "-c.elocute",
    ]
    assert folders(files[:2], Path("out")) == [Path("out/talk"), Path("out/talk.mp3")]
    assert folders(files[:1], Path("out")) == [Path("out")]


# the whole of it


def test_one_bad_file_does_not_stop_the_others(tmp_path: Path) -> None:
    talk = KINDS["WAV, 16 bit, 16000 Hz"].make(tmp_path)
    text = written(tmp_path / "notes.txt", b"Not a recording.")
    done = elocute("analyze", tmp_path / "gone.wav", talk, text, "--out", tmp_path / "out", "--format", "json,txt")
    assert done.returncode == EXIT_SOME_FAILED, done.stderr
    assert [line.split(": ")[0] for line in done.stderr.splitlines()] == ["elocute", "elocute"]
    assert {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*")} == {
        "talk/analysis.json",
        "talk/transcript.txt",
    }
    assert json.loads((tmp_path / "out" / "talk" / "analysis.json").read_bytes())["audio"]["name"] == "talk.wav"
    assert "analysis.json, transcript.txt" in done.stdout


def test_ctrl_c_leaves_nothing_half_written(tmp_path: Path) -> None:
    talk = written(tmp_path / "talk.wav", riff(int16(speech(16_000)) * 100))
    command = [*COMMAND, "analyze", str(talk), "--out", str(tmp_path / "out")]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background job of a shell hands on that it is ignored
    ) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        first = run.stdout.readline()  # the first stage has begun
        run.send_signal(signal.SIGINT)
        told = run.stderr.read()
    assert first.startswith("talk.wav: ")
    assert (run.returncode, told) == (EXIT_INTERRUPTED, "Stopped.\n")
    assert not (tmp_path / "out").exists()


def test_a_closed_pipe_is_no_error(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [*COMMAND, "doctor"],
            cwd=ROOT,
            env=os.environ | {"ELOCUTE_DATA": str(tmp_path)},
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (EXIT_OK, "")


def test_the_doctor_finds_nothing_wrong_here(tmp_path: Path) -> None:
    done = elocute("doctor", ELOCUTE_DATA=str(tmp_path), COLUMNS="200")
    assert done.returncode == EXIT_OK, done.stdout
    assert "verified" in done.stdout
    assert re.search(r"device +(cpu|cuda)", done.stdout)
    assert "silero_vad" in done.stdout


def test_the_doctor_says_what_is_wrong(tmp_path: Path) -> None:
    done = elocute("doctor", ELOCUTE_DATA=str(tmp_path), ELOCUTE_ASR_MODEL=str(tmp_path), COLUMNS="200")
    assert done.returncode == EXIT_SOME_FAILED
    assert "wrong: " in done.stdout
    assert "model.bin is missing" in done.stdout


def test_a_terminal_sees_the_stage_and_the_time_left() -> None:
    seen = io.StringIO()
    with _progress(Path("talk [draft].wav"), Console(file=io.StringIO()), Console(file=seen, force_terminal=True, width=120)) as progress:
        progress.stage("decoding")
        progress.at(0.25)
        progress.stage("recognising")
        progress.at(0.5)
    assert "talk [draft].wav" in seen.getvalue()
    assert "recognising" in seen.getvalue()
    assert "50%" in seen.getvalue()
    assert "left" in seen.getvalue()


def test_a_pipe_sees_one_plain_line_for_each_stage() -> None:
    seen = io.StringIO()
    with _progress(Path("talk.wav"), Console(file=seen), Console(file=io.StringIO())) as progress:
        progress.stage("decoding")
        progress.at(0.25)
        progress.stage("recognising")
    assert seen.getvalue() == "talk.wav: decoding\ntalk.wav: recognising\n"


def test_a_file_that_is_not_there_is_said_before_anything_is_loaded() -> None:
    script = "import sys; from batch.__main__ import main; code = main(['analyze', 'gone.wav']); print(code, 'ctranslate2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == f"{EXIT_CANNOT_READ} False\n"
