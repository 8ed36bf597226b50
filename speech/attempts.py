"""What is to be spoken in a drill, what its measures have to be, and what they came to. Light: the store and the server read it too."""

from collections.abc import Mapping
from dataclasses import dataclass

from speech.shadowing import Contour


@dataclass(frozen=True, slots=True)
class Task:
    """What was to be spoken."""

    least_s: float  # of speech
    text: str = ""  # empty: freely
    pace_wpm: float | None = None  # the target
    model: Contour | None = None  # the phrase to imitate
    plays: tuple[int, ...] = ()  # samples at which it was played
    accepted: Mapping[str, tuple[str, ...]] | None = None  # for a target word, others that sound the same


@dataclass(frozen=True, slots=True)
class Limit:
    """What a measure has to be."""

    measure: str
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Condition:
    """One rule, and what was measured."""

    measure: str
    value: float | None
    unit: str
    low: float | None  # 95 % interval
    high: float | None
    limit_low: float | None
    limit_high: float | None
    met: bool | None  # None: not measured
    sure: bool  # the whole interval lies on this side of the limit


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a drill was passed."""

    passed: bool | None  # None: it cannot be told, and `missing` says why
    missing: str | None
    conditions: tuple[Condition, ...]
