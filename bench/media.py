"""What a user sees for every kind of broken or odd media: `python -m bench.media` prints the table and writes docs/media.md."""

import contextlib
import io
import os
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from batch.__main__ import main as elocute
from batch.decode import decode
from speech.audio import seconds
from speech.errors import EXIT_CODES, EXIT_OK, Problem
from tests.media import KINDS, Kind

PAGE = Path(__file__).parent.parent / "docs" / "media.md"

HEAD = """# Broken and odd media

What `elocute analyze` says to each kind of file, and the exit code of a run with that one file. Made by `python -m bench.media`, which
makes every file anew (`tests/media.py`), decodes it, and gives those that are refused to the command itself. A file that is measured may
still turn out to hold no speech (exit code 5).

Channels are averaged, leaving out those 20 dB below the loudest; where the average cancels, the loudest channel is taken. The clock is the
file's: a jump forward of its timestamps that lasts is a hole of that length (neither speech nor pause); a jump back or of more than ten
minutes is not believed.

| exit code | meaning |
|---|---|
"""


def seen(kind: Kind) -> tuple[str, int]:
    """What the user reads for a file of this kind, and the exit code. Runs in an empty folder, so that names are the same everywhere."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        path = kind.make(Path())
        try:
            facts = decode(path).facts
        except Problem as problem:
            said = io.StringIO()
            with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
                code = elocute(["analyze", "--", os.fspath(path)])
            if (code, said.getvalue()) != (problem.exit_code, f"elocute: {problem}\n"):
                raise SystemExit(f"{kind.name}: the command says {said.getvalue()!r} ({code}), decode says {problem}") from problem
            return str(problem), code
    channels = "1 channel" if facts.channels == 1 else f"{facts.channels} channels"
    measured = f"{seconds(facts.samples):.2f} s measured ({facts.codec}, {facts.rate_hz} Hz, {channels})."
    return " ".join((measured, *facts.warnings)), EXIT_OK


def main() -> None:
    """Make every kind, print the table and write the page."""
    rows = [(kind.name, *seen(kind)) for kind in KINDS.values()]
    table = Table("kind", "what a user sees", "exit code")
    for name, text, code in rows:
        table.add_row(Text(name), Text(text), str(code))
    Console().print(table)

    def cell(text: str) -> str:
        return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("[", "\\[")

    page = HEAD + "".join(f"| {code} | {meaning} |\n" for code, meaning in EXIT_CODES.items())
    page += f"\n{len(rows)} kinds:\n\n| kind | what a user sees | exit code |\n|---|---|---|\n"
    page += "".join(f"| {cell(name)} | {cell(text)} | {code} |\n" for name, text, code in rows)
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
