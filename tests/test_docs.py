"""Every number that comes out is explained: in docs/metrics.md, and on the page."""

import re
import tomllib
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from batch import story, voice
from speech import measures
from speech.analysis import Measure
from speech.audio import HOP, Frames, State

ROOT = Path(__file__).parent.parent
METRICS = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
ENTRIES = tomllib.loads(story.MEASURES.read_text(encoding="utf-8"))


@cache
def produced() -> dict[str, Measure]:
    hops = 100
    silence = np.zeros(hops * HOP, np.float32)
    unvoiced = np.full(hops, np.nan, np.float32)
    frames = Frames(0, HOP, unvoiced, np.full(hops, -120.0, np.float32), np.full(hops, State.SILENCE, np.int8))
    nothing = measures.Spoken((), (), frames, np.zeros(hops), np.empty(0, np.int64), (), (), (), (), None, "en")
    return {**measures.measures(nothing), **voice.measures(silence, unvoiced)}


def row(name: str) -> list[str]:
    """The cells of the one row of docs/metrics.md that defines the measure."""
    rows = re.findall(rf"^\| `{name}`.*\|$", METRICS, re.MULTILINE)
    assert len(rows) == 1, f"{name} has {len(rows)} rows in docs/metrics.md"
    return [cell.strip() for cell in rows[0].strip("|").split(" | ")]


@pytest.mark.parametrize("name", sorted(produced()))
def test_a_measure_is_defined_with_its_unit_and_its_test(name: str) -> None:
    cells = row(name)
    unit = produced()[name].unit
    assert cells[2].startswith(unit), f"{name}: the unit is {unit}, docs/metrics.md says {cells[2]}"
    assert cells[-1] == "the same" or re.search(r"`test_\w+\.py`", cells[-1])


def test_the_page_names_every_measure_and_nothing_else() -> None:
    assert set(ENTRIES) == set(produced())


@pytest.mark.parametrize("name", sorted(ENTRIES))
def test_an_entry_of_the_page_is_documented_and_complete(name: str) -> None:
    row(name)
    entry = ENTRIES[name]
    assert entry["label"]
    assert entry["says"].endswith(".")
    assert entry["group"] != "Other"
    assert entry.get("percent", False) == (produced()[name].unit == story.FRACTION and name != "pvq")


def test_every_test_file_that_the_docs_name_exists() -> None:
    for page in (ROOT / "docs").glob("*.md"):
        for file in re.findall(r"\btest_\w+\.py", page.read_text(encoding="utf-8")):
            assert (ROOT / "tests" / file).is_file(), f"{page.name} names {file}"


def test_the_units_of_the_page_are_units_of_measures() -> None:
    assert set(story.UNIT_NAMES) <= {measure.unit for measure in produced().values()}
