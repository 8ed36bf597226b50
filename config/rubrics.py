"""Rubrics: versioned files that say how measures become scores. One for each style of speaking."""

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

FOLDER = Path(__file__).parent / "rubric"
DEFAULT = "talk"

Name = Annotated[str, Meta(pattern="^[a-z][a-z-]*$", max_length=40)]
Text = Annotated[str, Meta(min_length=1)]
Weight = Annotated[float, Meta(gt=0)]
Given = Annotated[float, Meta(ge=0, le=100)]


class Term(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A measure's part in a dimension."""

    measure: Text  # its name in docs/metrics.md
    weight: Weight
    points: tuple[tuple[float, Given], ...]  # (value of the measure, score), growing in value
    source: Text  # who says so; "ours" where nobody does

    def __post_init__(self) -> None:
        if len(self.points) < 2 or any(b <= a for (a, _), (b, _) in pairwise(self.points)):
            raise ValueError(f"{self.measure}: at least two points, growing in value")


class Dimension(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One score of a rubric."""

    id: Name
    title: Text
    weight: Weight  # in the overall score
    terms: tuple[Term, ...]

    def __post_init__(self) -> None:
        if not self.terms or len({term.measure for term in self.terms}) < len(self.terms):
            raise ValueError(f"{self.id}: at least one term, each of a measure of its own")


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A feature's part in a rating: what it adds, straight between points."""

    feature: Text  # its name in docs/metrics.md
    points: tuple[tuple[float, float], ...]  # (value of the feature, what it adds), growing in value, monotone in what it adds

    def __post_init__(self) -> None:
        steps = [(b - a, d - c) for (a, c), (b, d) in pairwise(self.points)]
        if len(self.points) < 2 or any(along <= 0 for along, _ in steps):
            raise ValueError(f"{self.feature}: at least two points, growing in value")
        if min(up for _, up in steps) < 0 < max(up for _, up in steps):
            raise ValueError(f"{self.feature}: what it adds must only grow or only fall")


class Band(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far off ratings below a bound may be."""

    below: float
    half: Weight  # of the width of the 95 % interval of one sentence


class RatingOf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What trained listeners would probably say, from 0 to 10: speech/rated.py."""

    what: Literal["fluency", "prosody"]
    script: bool  # whether it takes a script
    base: float
    child: float  # what is added for a child
    shared: Annotated[float, Meta(ge=0, le=1)]  # of the error's variance, what all sentences of a speaker share
    lines: tuple[Line, ...]
    bands: tuple[Band, ...]  # the last has no bound: 10 and more

    def __post_init__(self) -> None:
        if len({line.feature for line in self.lines}) < len(self.lines):
            raise ValueError(f"{self.what}: each line needs a feature of its own")
        below = [band.below for band in self.bands]
        if not below or below != sorted(set(below)) or below[-1] <= 10:
            raise ValueError(f"{self.what}: bands must grow, and the last reach beyond 10")


class Rubric(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a session is scored by."""

    name: Name
    version: Annotated[int, Meta(ge=1)]
    title: Text
    about: Text  # for whom, in a sentence
    dimensions: tuple[Dimension, ...]
    ratings: tuple[RatingOf, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 of the content: what a score step's input depends on."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rubric as it is written: its dimensions, and those of another that it is like, save some."""

    name: Name
    version: Annotated[int, Meta(ge=1)]
    title: Text
    about: Text
    dimensions: tuple[Dimension, ...]
    like: Name | None = None
    without: tuple[Name, ...] = ()
    ratings: tuple[RatingOf, ...] = ()  # never another's

    def __post_init__(self) -> None:
        if len({(one.what, one.script) for one in self.ratings}) < len(self.ratings):
            raise ValueError("each rating once with a script and once without")


def read(texts: Mapping[str, str]) -> dict[str, Rubric]:
    """Rubrics from the contents of their files, by name. Raises ValueError, tomllib's and msgspec's included, that says what is wrong."""
    files = {name: msgspec.convert(tomllib.loads(text), File) for name, text in texts.items()}
    found = {}
    for name, file in files.items():
        if file.name != name:
            raise ValueError(f"{name}: its file says {file.name}")
        own = {dimension.id: dimension for dimension in file.dimensions}
        if len(own) < len(file.dimensions):
            raise ValueError(f"{name}: each dimension needs an id of its own")
        base = files[file.like].dimensions if file.like else ()
        if unknown := set(file.without) - {dimension.id for dimension in base}:
            raise ValueError(f"{name}: without {', '.join(sorted(unknown))}, which {file.like} has not")
        taken = [own.pop(dimension.id, dimension) for dimension in base if dimension.id not in file.without]
        found[name] = Rubric(name, file.version, file.title, file.about, (*taken, *own.values()), file.ratings)
    return found


@cache
def rubrics() -> Mapping[str, Rubric]:
    """All there are, by name, the default first."""
    found = read({path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.toml"))})
    return {DEFAULT: found.pop(DEFAULT), **found}


def ratings_digest(ratings: Sequence[RatingOf]) -> str:
    """SHA-256 of ratings: what ties docs/validation.md to them."""
    return hashlib.sha256(msgspec.json.encode(ratings)).hexdigest()


def digest() -> str:
    """SHA-256 of all of them together."""
    return hashlib.sha256("".join(one.digest for one in rubrics().values()).encode()).hexdigest()
