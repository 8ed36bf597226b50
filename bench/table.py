"""How a bench shows what it measured: a table on the terminal, and JSON in bench/results."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"

Cell = str | int | float | None  # None where there is nothing to say
Row = Mapping[str, Cell]


def show(title: str, rows: Sequence[Row]) -> None:
    """Print rows under the columns of the first, numbers to two places."""
    columns = list(rows[0])
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="left" if isinstance(rows[0][column], str) else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(_shown(row[column]) for column in columns))
    console = Console(highlight=False, markup=False, emoji=False, width=None if Console().is_terminal else 160)
    console.print(f"\n{title}", soft_wrap=True)
    console.print(table)


def _shown(cell: Cell) -> str:
    if cell is None:
        return "-"
    return f"{cell:.2f}" if isinstance(cell, float) else str(cell)


def keep(name: str, figures: Mapping[str, object]) -> None:
    """Write bench/results/NAME.json."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
