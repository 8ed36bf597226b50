"""Scores: measures seen through a rubric's curves, alone and together, with what their uncertainty leaves open.

A score's 95 % interval is that of the measures it is made of, each taken through its curve, put together by what the five parts of the
session say of how they move together: where all curves were straight, it would be Student's t of the score recomputed on each part.
bench/coverage.py shows how often it holds the true score.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speech.analysis import Measure
from speech.measures import BATCHES, LEAST_PARTED_S

Points = Sequence[tuple[float, float]]

LEAST_WEIGHT = 0.6  # of what a score is made of: with less of it known there is none, since half of it would be another score


@dataclass(frozen=True)
class Curve:
    """A monotone spline through points (value of a measure, score), growing in value; level beyond its ends.

    Fritsch & Butland 1984, as scipy's PchipInterpolator inside: between two points it never leaves what they span.
    """

    points: tuple[tuple[float, float], ...]

    def __call__(self, value: ArrayLike) -> NDArray[np.float64]:
        """The score of a value, or of each of several; 0..100 where the points are."""
        at, given, slopes = self._knots
        inside = np.clip(np.asarray(value, np.float64), at[0], at[-1])
        i = np.clip(np.searchsorted(at, inside, "right") - 1, 0, at.size - 2)
        step = at[i + 1] - at[i]
        t = (inside - at[i]) / step
        ends = given[i] + (given[i + 1] - given[i]) * t**2 * (3 - 2 * t)
        return np.asarray(ends + step * (t * (1 - t) ** 2 * slopes[i] - t**2 * (1 - t) * slopes[i + 1]))

    def over(self, low: float, high: float) -> tuple[float, float]:
        """The least and the most that it takes between two values: at their own or at a point between."""
        at = self._knots[0]
        found = self(np.concatenate(([low, high], at[(at > low) & (at < high)])))
        return float(found.min()), float(found.max())

    @cached_property
    def _knots(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        at, given = np.array(self.points, np.float64).T
        step = np.diff(at)
        rise = np.diff(given) / step
        slopes = np.concatenate((rise[:1], np.zeros(at.size - 2), rise[-1:]))
        left, right = 2 * step[1:] + step[:-1], step[1:] + 2 * step[:-1]
        same = rise[:-1] * rise[1:] > 0
        slopes[1:-1][same] = ((left + right)[same]) / (left[same] / rise[:-1][same] + right[same] / rise[1:][same])
        return at, given, slopes


@dataclass(frozen=True, slots=True)
class Term:
    """A measure's part in a score."""

    measure: str
    curve: Curve
    weight: float


@dataclass(frozen=True, slots=True)
class Share:
    """What a measure, or a score, has brought to the score above it."""

    name: str
    value: float  # of the measure, or the score
    score: float
    weight: float  # of all that counted, 0..1


@dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """How far a score may lie from its value to one side, and in which parts of the session that shows.

    Its length is the distance. Reaches of what moves together in the parts add up, of what moves apart cancel out; what no part shows,
    such as how many ums there would be where none was heard, is owed to nothing else.
    """

    shown: NDArray[np.float64]  # (BATCHES,) of zero mean
    alone: float

    @classmethod
    def of(cls, distance: float, parts: Sequence[float | None]) -> "Reach":
        """parts: what was found on each of them, with the sign of what it does to the score."""
        known = np.array([part for part in parts if part is not None])
        apart = known - known.mean() if known.size == BATCHES else np.zeros(BATCHES)
        length = sqrt(float(apart @ apart))
        return cls(distance * apart / length, 0.0) if length else cls(np.zeros(BATCHES), distance)

    @classmethod
    def together(cls, reaches: Sequence["Reach"], weights: Sequence[float]) -> "Reach":
        """Of a weighted mean."""
        shown = sum((weight * reach.shown for reach, weight in zip(reaches, weights, strict=True)), np.zeros(BATCHES))
        alone = sum((weight * reach.alone) ** 2 for reach, weight in zip(reaches, weights, strict=True))
        return cls(shown, sqrt(alone))

    @property
    def distance(self) -> float:
        """In points."""
        return sqrt(float(self.shown @ self.shown) + self.alone**2)


@dataclass(frozen=True, slots=True)
class Score:
    """0 to 100 with its 95 % interval and what it is made of, or the reason why there is none and what would lift it."""

    value: float | None
    low: float | None
    high: float | None
    parts: tuple[float, ...] = ()  # on each of five parts of the session
    shares: tuple[Share, ...] = ()
    refusal: str | None = None
    reach: tuple[Reach, Reach] | None = None  # below and above


@dataclass(frozen=True, slots=True)
class _Known:
    # What goes into a score: a measure through its curve, or a score below.
    share: Share
    parts: tuple[float, ...]
    reach: tuple[Reach, Reach]


def score(terms: Sequence[Term], found: Mapping[str, Measure]) -> Score:
    """The weighted mean of measures, each through its curve.

    found: measures of the session by name. What was not measured, or cannot say how sure it is, is left out; where that is more
    than LEAST_WEIGHT allows, the score is refused with the reason of the weightiest.
    """
    known: list[_Known] = []
    reasons: list[tuple[float, str]] = []
    for term in terms:
        measure = found.get(term.measure)
        if measure is None or measure.value is None:
            reasons.append((term.weight, (measure and measure.why_missing) or "it was not measured"))
        elif measure.low is None or measure.high is None:
            reasons.append((term.weight, _unsure(measure)))
        else:
            known.append(_known(term, measure, measure.value, measure.low, measure.high))
    return _together(known, sum(term.weight for term in terms), max(reasons, default=(0.0, ""), key=lambda reason: reason[0])[1])


def _unsure(measure: Measure) -> str:
    """What would lift it that a measure cannot say how sure it is."""
    if not measure.parts and measure.over_s < LEAST_PARTED_S:
        return f"needs {ceil(LEAST_PARTED_S - measure.over_s)} s more speech"
    if None in measure.parts:
        return f"needs more speech to say how sure it is: {measure.parts.count(None)} of its {len(measure.parts)} parts hold too little"
    return "nothing in it tells how sure it is"


def overall(scores: Mapping[str, tuple[Score, float]]) -> Score:
    """The weighted mean of scores that were given; refused where too much of the weight was. scores: by name, with their weights."""
    known = [
        _Known(Share(name, one.value, one.value, weight), one.parts, one.reach)
        for name, (one, weight) in scores.items()
        if one.value is not None and one.reach is not None
    ]
    return _together(known, sum(weight for _, weight in scores.values()), "too much of what it is made of has none")


def _known(term: Term, measure: Measure, value: float, low: float, high: float) -> _Known:
    given = float(term.curve(value))
    least, most = term.curve.over(low, high)
    # To which side of the measure the least and the most lie says how the score moves with it.
    falls = -1.0 if float(term.curve(high)) < float(term.curve(low)) else 1.0
    parts = [part if part is None else falls * part for part in measure.parts]
    return _Known(
        Share(term.measure, value, given, term.weight),
        tuple(float(term.curve(value if part is None else part)) for part in measure.parts),
        (Reach.of(given - least, parts), Reach.of(most - given, parts)),
    )


def _together(known: Sequence[_Known], whole: float, reason: str) -> Score:
    weight = sum(one.share.weight for one in known)
    if not known or weight < LEAST_WEIGHT * whole:
        return Score(None, None, None, refusal=reason)
    relative = [one.share.weight / weight for one in known]
    value = sum(part * one.share.score for part, one in zip(relative, known, strict=True))
    below, above = (Reach.together(reaches, relative) for reaches in zip(*(one.reach for one in known), strict=True))
    parts = np.array(relative) @ np.array([one.parts for one in known]) if all(len(one.parts) == BATCHES for one in known) else np.empty(0)
    return Score(
        value,
        max(0.0, value - below.distance),
        min(100.0, value + above.distance),
        tuple(parts.tolist()),
        tuple(Share(one.share.name, one.share.value, one.share.score, part) for one, part in zip(known, relative, strict=True)),
        reach=(below, above),
    )
