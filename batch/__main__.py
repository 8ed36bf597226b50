"""The command: `elocute serve`, `worker`, `migrate`, `analyze FILE...`, `replay FILE`, `doctor`, `--version`."""

import argparse
import errno
import os
import platform
import shutil
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from batch.progress import Progress
from config import graph, models
from config.errors import Unusable
from config.rubrics import DEFAULT, rubrics
from config.settings import Settings, read_settings
from speech.analysis import Analysis
from speech.audio import seconds
from speech.errors import EXIT_CODES, EXIT_INTERRUPTED, EXIT_NO_MODEL, EXIT_OK, EXIT_SOME_FAILED, EXIT_USAGE, Problem, printable

if TYPE_CHECKING:  # they load pyarrow and Typst
    from batch.export import Coached
    from batch.pdf import Paper

SPACE_WANTED = 1_000_000_000  # bytes: the joined weights take 150 MB, the results of an hour some 50 MB
RELAY = "relay"  # among a worker's steps: hand what is due to the bus
MEASURES = Path(__file__).parent / "page" / "measures.toml"  # how the page names each measure; the terminal shows its key ones


class Out(Console):
    """A console that falls silent when nobody reads on (`elocute ... | head`); the files are still written."""

    def on_broken_pipe(self) -> None:
        """Mute, where rich would exit."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (docs: `elocute analyze --help`)."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a name is never a reason to fail
    parser = _parser()
    asked = parser.parse_args(arguments)
    out = Out(highlight=False, markup=False, emoji=False)
    err = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)
    try:
        if asked.command == "doctor":
            return _doctor(out)
        if asked.command == "serve":  # neither may be imported from here: it takes this process over
            os.execv(sys.executable, [sys.executable, "-m", "api", *asked.rest])
        if asked.command == "replay":
            os.execv(sys.executable, [sys.executable, "-m", "stream_pipeline", "replay", *asked.rest])
        if asked.command == "worker":
            from batch.service import work

            return work(read_settings(), _steps(parser, asked.steps), until_eof=asked.until_eof)
        if asked.command == "migrate":
            from batch.service import migrate

            return migrate(read_settings(), out.print)
        from batch.export import FORMATS  # only now: it loads pyarrow

        formats = [name for group in asked.format for name in group.split(",")] or list(FORMATS)
        if unknown := [name for name in formats if name not in FORMATS]:
            parser.error(f"there is no format {unknown[0]!r}: choose among {', '.join(FORMATS)}")
        return _analyze(asked.files, asked.out, formats, asked.style, asked.paper, out, err)
    except (Problem, Unusable) as error:
        return _say(err, error)
    except KeyboardInterrupt:
        err.print("Stopped.")
        return EXIT_INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="elocute", description="Measure how a recording is spoken.")
    parser.add_argument("--version", action="version", version=f"elocute {models.program_version()}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    codes = "exit codes:\n" + "\n".join(f"  {code:<4} {meaning}" for code, meaning in EXIT_CODES.items())
    analyze = commands.add_parser(
        "analyze", help="measure recordings", epilog=codes, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    analyze.add_argument("files", nargs="+", type=Path, metavar="FILE", help="any audio or video file")
    analyze.add_argument(
        "--out", type=Path, metavar="DIR", help="where the results go (several files: one folder each in it); else NAME.elocute here"
    )
    analyze.add_argument(
        "--format",
        action="append",
        default=[],
        metavar="NAME[,NAME]",
        help="json, csv, parquet, txt, vtt, srt, textgrid, html, pdf; all by default",
    )
    analyze.add_argument("--style", choices=list(rubrics()), default=DEFAULT, help=f"what it is scored as; {DEFAULT} by default")
    analyze.add_argument("--paper", choices=["a4", "letter"], default="a4", help="of the PDF; a4 by default")
    serve = commands.add_parser("serve", help="start the server with all it needs", add_help=False)
    serve.add_argument("rest", nargs=argparse.REMAINDER)
    replay = commands.add_parser("replay", help="feed a recording through the live path", add_help=False)
    replay.add_argument("rest", nargs=argparse.REMAINDER)
    worker = commands.add_parser("worker", help="run steps for a server", allow_abbrev=False)
    worker.add_argument("--steps", metavar="NAME[,NAME]", help=f"which: {', '.join((*graph.BY_NAME, RELAY))}; all by default")
    worker.add_argument("--until-eof", action="store_true", help="stop when standard input ends: with the server that started it")
    commands.add_parser("migrate", help="bring the database's tables up to date")
    commands.add_parser("doctor", help="say what is installed and running, and what is wrong")
    return parser


def _steps(parser: argparse.ArgumentParser, names: str | None) -> tuple[str, ...]:
    known = (*graph.BY_NAME, RELAY)
    chosen = tuple(names.split(",")) if names else known
    if unknown := [name for name in chosen if name not in known]:
        parser.error(f"there is no step {unknown[0]!r}: choose among {', '.join(known)}")
    return chosen


def _say(err: Console, error: Problem | Unusable) -> int:
    """The one line a user gets for what is wrong, and the exit code."""
    problem = error if isinstance(error, Problem) else Problem(error.code, **error.facts)
    err.print(Text(f"elocute: {problem}"))
    return problem.exit_code


# analyze


def _analyze(
    files: Sequence[Path], out_dir: Path | None, formats: Sequence[str], style: str, paper: "Paper", out: Console, err: Console
) -> int:
    from batch.decode import check_plain_file

    settings = read_settings()
    failed: list[int] = []
    for path, folder in zip(files, folders(files, out_dir), strict=True):
        try:
            check_plain_file(path)
            _check_writable(folder)
            _one(path, folder, formats, style, paper, settings, out, err)
        except (Problem, Unusable) as error:
            failed.append(_say(err, error))
            if failed[-1] in (EXIT_NO_MODEL, EXIT_USAGE):  # the next file would only say the same
                return failed[-1]
    if not failed:
        return EXIT_OK
    return failed[0] if len(files) == 1 else EXIT_SOME_FAILED


def _one(
    path: Path, folder: Path, formats: Sequence[str], style: str, paper: "Paper", settings: Settings, out: Console, err: Console
) -> None:
    from batch.analyze import analyze  # numba, spaCy and CTranslate2 take seconds to load: not before there is something to do
    from batch.export import FORMATS, write

    try:
        with _progress(path, out, err) as progress:
            analysis, recording = analyze(path, settings, progress)
            progress.stage("writing")
            coached = _coached(analysis, style)
            wanted = [name for name in FORMATS if name in formats]
            try:
                written = write(analysis, recording.pcm, folder, wanted, coached=coached, papers=(paper,))
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise Problem("out-of-space", path=folder) from error
                raise Problem("cannot-write", path=folder, reason=error.strerror or error) from error
    except MemoryError as error:
        raise Problem("out-of-memory", path=path) from error
    _summary(path, analysis, coached, folder, written, out)


def _coached(analysis: Analysis, style: str) -> "Coached":
    """Its scores, and what is made of them; nothing is known here of sessions before."""
    from batch.analyze import Findings
    from batch.coaching import coaching
    from batch.export import Coached
    from batch.scored import scored

    findings = Findings(
        analysis.audio.warnings,
        analysis.pauses,
        analysis.fillers,
        analysis.disfluencies,
        analysis.language_issues,
        analysis.measures,
        analysis.stretches,
        analysis.versions,
    )
    rubric = rubrics()[style]
    scores = scored(rubric, findings, analysis.transcript.words)
    made = coaching(scores, rubric, (), findings, analysis.transcript, analysis.frames)
    return Coached(scores, {**made, "change": None})


def folders(files: Sequence[Path], out_dir: Path | None) -> list[Path]:
    """Where the results of each file go; never twice the same, and the same for the same command line.

    One file and --out: that folder. Several: one folder each inside it, named after the file without its suffix, with its suffix where that
    name is taken, and numbered where that is taken too. Without --out: NAME.elocute in the current folder.
    """
    if out_dir is not None and len(files) == 1:
        return [out_dir]
    base, ending = (out_dir, "") if out_dir is not None else (Path(), ".elocute")
    taken: set[str] = set()
    chosen = []
    for path in files:
        stem, name = (printable(text)[:200] or "recording" for text in (path.stem, path.name))
        number = 2
        folder = stem if stem not in taken else name
        while folder in taken:
            folder = f"{name}-{number}"
            number += 1
        taken.add(folder)
        chosen.append(base / (folder + ending))
    return chosen


def _check_writable(folder: Path) -> None:
    """Say that the results cannot be written before minutes are spent on them."""
    place = folder.absolute()
    while not os.path.lexists(place):
        place = place.parent
    if not place.is_dir():
        raise Problem("cannot-write", path=folder, reason=f"{place.name} is not a folder")
    if not os.access(place, os.W_OK | os.X_OK):
        raise Problem("cannot-write", path=folder, reason="not allowed")


class _OnBars:
    """A bar for each stage, with the time left of it."""

    def __init__(self, bars: Bars, name: str) -> None:
        self._bars = bars
        self._name = name
        self._task: TaskID | None = None

    def stage(self, name: str) -> None:
        """Replace the bar by that of the next stage."""
        if self._task is not None:
            self._bars.remove_task(self._task)
        self._task = self._bars.add_task("", total=1.0, name=self._name, stage=name)

    def at(self, fraction: float) -> None:
        """Move the bar."""
        if self._task is not None:
            self._bars.update(self._task, completed=min(1.0, max(0.0, fraction)))


class _OnLines:
    """One line for each stage, for logs and pipes."""

    def __init__(self, out: Console, name: str) -> None:
        self._out = out
        self._name = name

    def stage(self, name: str) -> None:
        """Say it."""
        self._out.print(f"{self._name}: {name}", soft_wrap=True)

    def at(self, fraction: float) -> None:
        """A line for every step would be noise."""


@contextmanager
def _progress(path: Path, out: Console, err: Console) -> Iterator[Progress]:
    """Bars where someone watches; else lines on the output, so that a problem is all there is among the errors."""
    name = printable(path.name)
    if not err.is_terminal:
        yield _OnLines(out, name)
        return
    columns = (
        TextColumn("{task.fields[name]}", markup=False),
        TextColumn("{task.fields[stage]}", style="bold", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("so far"),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=err, transient=True) as bars:
        yield _OnBars(bars, name)


def _summary(path: Path, analysis: Analysis, coached: "Coached", folder: Path, written: Sequence[Path], out: Console) -> None:
    table = _table(out, printable(path.name), "measure", "value", "unit", "95 % interval")
    spoken = sum(word.kind == "word" for word in analysis.transcript.words)
    table.add_row("Length", _clock(seconds(analysis.audio.samples)), "min:s")
    table.add_row("Language", analysis.transcript.language, f"({100 * analysis.transcript.language_probability:.0f} % sure)")
    table.add_row("Words", str(spoken))
    table.add_row("Fillers", str(len(analysis.fillers)))
    if coached.scores is not None:
        given = coached.scores["overall"]
        refused = given["value"] is None
        interval = "" if refused else f"{given['low']:.0f} to {given['high']:.0f}"
        table.add_row("Score", "-" if refused else f"{given['value']:.0f}", given["refusal"] or "of 100", interval)
    for name, shown in tomllib.loads(MEASURES.read_text(encoding="utf-8")).items():
        measure = analysis.measures.get(name)
        if measure is None or not shown.get("key"):
            continue
        if measure.value is None:
            table.add_row(shown["label"], "-", measure.why_missing)
            continue
        interval = f"{measure.low:.3g} to {measure.high:.3g}" if measure.low is not None and measure.high is not None else ""
        table.add_row(shown["label"], f"{measure.value:.3g}", measure.unit, interval)
    out.print(table)
    for warning in analysis.audio.warnings:
        out.print(Text(f"note: {warning}"), soft_wrap=True)
    out.print(Text(f"{printable(str(folder))}/: {', '.join(file.name for file in written)}"), soft_wrap=True)


def _clock(length_s: float) -> str:
    minutes, rest_s = divmod(round(length_s), 60)
    return f"{minutes}:{rest_s:02d}"


def _table(out: Console, title: str, *columns: str) -> Table:
    table = Table(title=Text(title), title_justify="left", show_header=out.is_terminal)
    if not out.is_terminal:
        table.box = None
    for number, column in enumerate(columns):
        table.add_column(column, overflow="fold", justify="right" if column == "value" else "left", no_wrap=number == 0)
    return table


# doctor


def _doctor(out: Console) -> int:
    """What is there and what is wrong, one row each."""
    table = _table(out, f"elocute {models.program_version()}", "what", "state")
    wrong: list[str] = []

    def row(what: str, state: str) -> None:
        table.add_row(what, Text(state))

    def asked(what: str, find: Callable[[], str]) -> None:
        try:
            row(what, find())
        except Unusable as error:
            sentence = str(Problem(error.code, **error.facts))
            wrong.append(sentence)
            row(what, f"WRONG: {sentence}")

    row("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    installed = models.library_versions()
    for name in models.LIBRARIES:
        if name not in installed:
            wrong.append(f"{name} is not installed. Run `make setup`.")
        row(name, installed.get(name, "WRONG: not installed"))
    try:
        settings = read_settings()
    except Unusable as error:
        wrong.append(str(Problem(error.code, **error.facts)))
        row("settings", f"WRONG: {wrong[-1]}")
    else:
        row("threads", str(settings.threads))
        if "ctranslate2" in installed:
            asked("device", lambda: _device(settings))
        asked("speech recogniser", lambda: _recogniser(settings))
        asked("voice detector", lambda: models.silero_vad_path().name)
        place = settings.data
        while not place.exists():
            place = place.parent
        free = shutil.disk_usage(place).free
        if free < SPACE_WANTED:
            wrong.append(f"{settings.data}: only {free / 1e9:.1f} GB are free. Make room.")
        from batch.service import examine

        for found in examine(settings):
            row(found.what, found.state if found.wrong is None else f"WRONG: {found.state}")
            if found.wrong is not None:
                wrong.append(found.wrong)
        row("data folder", f"{printable(str(settings.data))} ({free / 1e9:.1f} GB free)")
    out.print(table)
    for sentence in wrong:
        out.print(Text(f"wrong: {sentence}"), soft_wrap=True)
    out.print("Something is wrong." if wrong else "Nothing is wrong.")
    return EXIT_SOME_FAILED if wrong else EXIT_OK


def _device(settings: Settings) -> str:
    where = models.placement(settings)
    return f"{where.device} ({where.compute_type})"


def _recogniser(settings: Settings) -> str:
    model = models.asr_model(settings, download=False)
    if settings.asr_model == "bundled" and not models.verified(model):
        raise Unusable("model-damaged", what=f"{model.folder} was changed; delete it")
    return f"{model.name}, SHA-256 {model.sha256[:12]}... verified, in {printable(str(model.folder))}"


if __name__ == "__main__":
    sys.exit(main())
