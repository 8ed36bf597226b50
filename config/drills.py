"""Drills: what can be practised, how it is measured, and when it is passed."""

import hashlib
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

FILE = Path(__file__).parent / "drills.toml"

Name = Annotated[str, Meta(pattern="^[a-z][a-z-]*$", max_length=40)]
Text = Annotated[str, Meta(min_length=1)]
Comparison = Literal["at least", "at most", "within"]


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that must hold for a drill to be passed."""

    measure: Text  # its name in docs/metrics.md
    title: Text
    comparison: Comparison
    otherwise: float | None = None  # the limit, where it does not depend on the speaker's own value or there is none
    own: float | None = None  # times the speaker's own value
    plus: float = 0.0
    least: float | None = None
    most: float | None = None
    low: float | None = None  # of `within`
    high: float | None = None

    def __post_init__(self) -> None:
        if self.comparison == "within":
            if self.low is None or self.high is None or self.low >= self.high:
                raise ValueError(f"{self.measure}: within needs low and high")
        elif self.otherwise is None:
            raise ValueError(f"{self.measure}: {self.comparison} what? `otherwise` is missing")
        if self.least is not None and self.most is not None and self.least > self.most:
            raise ValueError(f"{self.measure}: least is more than most")

    def limits(self, own: float | None) -> tuple[float | None, float | None]:
        """What the measure may be, lowest and highest, for somebody whose own value this is."""
        if self.comparison == "within":
            return self.low, self.high
        limit = self.otherwise
        if self.own is not None and own is not None:
            limit = self.own * own + self.plus
            limit = limit if self.least is None else max(limit, self.least)
            limit = limit if self.most is None else min(limit, self.most)
        return (limit, None) if self.comparison == "at least" else (None, limit)


class Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How well it is founded."""

    grade: Literal["strong", "moderate", "weak", "none found"]
    says: Text
    source: Text


class Drill(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"for_": "for"}):
    """One type of drill."""

    id: Name
    title: Text
    dimensions: tuple[Name, ...]  # of a rubric, that it works on
    for_: tuple[Text, ...]  # measures of a rubric that it works on
    goal: Text
    steps: tuple[Text, ...]
    watch: Literal["fillers", "marks", "clock", "lights", "phrase", "targets"]  # the one thing shown
    speaks: Literal["topic", "passage", "phrase", "pairs", "sentences"]  # what is spoken, config/passages.toml
    least_s: Annotated[float, Meta(gt=0)]  # of speech, to be judged
    usual_s: float
    most_s: float
    measured: Text
    rules: tuple[Rule, ...]
    evidence: Evidence

    def __post_init__(self) -> None:
        if not (self.dimensions and self.for_ and self.steps and self.rules):
            raise ValueError(f"{self.id}: at least one dimension, measure, step and rule")
        if not self.least_s <= self.usual_s <= self.most_s:
            raise ValueError(f"{self.id}: least_s, usual_s and most_s must grow")


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file as it is written."""

    drills: tuple[Drill, ...]


def read(text: str) -> dict[str, Drill]:
    """Drills from the content of the file, by id. Raises ValueError, tomllib's and msgspec's included, that says what is wrong."""
    given = msgspec.convert(tomllib.loads(text), File).drills
    found = {drill.id: drill for drill in given}
    if len(found) < len(given):
        raise ValueError("each drill needs an id of its own")
    return found


@cache
def drills() -> Mapping[str, Drill]:
    """All there are, by id, in the order of the file."""
    return read(FILE.read_text(encoding="utf-8"))


def digest() -> str:
    """SHA-256 of them."""
    return hashlib.sha256(msgspec.json.encode(tuple(drills().values()))).hexdigest()
