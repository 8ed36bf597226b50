"""Rubrics: versioned files that say how measures become scores."""

import hashlib
import tomllib
from functools import cache
from pathlib import Path

import msgspec

FILE = Path(__file__).parent / "rubric" / "speaking-1.toml"


class Dimension(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One score of a rubric."""

    id: str
    title: str
    measure: str  # its name in docs/metrics.md
    points: tuple[tuple[float, float], ...]  # (value of the measure, score 0..100), growing in value
    source: str


class Rubric(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a session is scored by."""

    name: str
    version: int
    dimensions: tuple[Dimension, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of the content: what a score step's input depends on."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()


@cache
def rubric() -> Rubric:
    """The rubric in use."""
    return msgspec.convert(tomllib.loads(FILE.read_text(encoding="utf-8")), Rubric)
