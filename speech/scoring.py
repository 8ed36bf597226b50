"""Scores: measures seen through a rubric's curves, alone and together, with what their uncertainty leaves open.

A score's 95 % interval is the wider, to either side, of two. One recomputes the whole score on the five parts of the session and takes
Student's t of their spread: it knows that measures of one part hang together. The other takes each measure's own interval through its
curve: it knows that a part is noisier than the whole, and that no um in five parts is no proof. In simulated sessions either alone
covers 87-96 %, both together 93-96 % (bench/coverage.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import hypot

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speech.analysis import Measure
from speech.measures import BATCHES, T_QUANTILE

Points = Sequence[tuple[float, float]]

LEAST_WEIGHT = 0.5  # of what a score is made of: with less of it known there is none


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


@dataclass(frozen=True, slots=True)
class Score:
    """0 to 100 with its 95 % interval and what it is made of, or the reason why there is none and what would lift it."""

    value: float | None
    low: float | None
    high: float | None
    parts: tuple[float, ...] = ()  # on each of five parts of the session
    shares: tuple[Share, ...] = ()
    refusal: str | None = None


def score(terms: Sequence[Term], found: Mapping[str, Measure]) -> Score:
    """The weighted mean of measures, each through its curve.

    found: measures of the session by name. What was not measured, or cannot say how sure it is, is left out; where that is more than half
    of the weight, the score is refused with the reason of the weightiest.
    """
    known: list[tuple[Term, float, tuple[float, float], Measure]] = []
    reasons: list[tuple[float, str]] = []
    for term in terms:
        measure = found.get(term.measure)
        if measure is None or measure.value is None:
            reasons.append((term.weight, (measure and measure.why_missing) or "it was not measured"))
        elif measure.low is None or measure.high is None:
            reasons.append((term.weight, "there is too little speech to say how sure one would be"))
        else:
            known.append((term, measure.value, term.curve.over(measure.low, measure.high), measure))
    return _together(
        [Share(term.measure, value, float(term.curve(value)), term.weight) for term, value, _, _ in known],
        [ends for _, _, ends, _ in known],
        [[float(term.curve(value if part is None else part)) for part in measure.parts] for term, value, _, measure in known],
        sum(term.weight for term in terms),
        max(reasons, default=(0.0, ""), key=lambda reason: reason[0])[1],
    )


def overall(scores: Mapping[str, tuple[Score, float]]) -> Score:
    """The weighted mean of scores that were given; refused where more than half of the weight was. scores: by name, with their weights."""
    known = [(name, one, weight) for name, (one, weight) in scores.items() if one.value is not None]
    return _together(
        [Share(name, one.value or 0.0, one.value or 0.0, weight) for name, one, weight in known],
        [(one.low or 0.0, one.high or 0.0) for _, one, _ in known],
        [list(one.parts) for _, one, _ in known],
        sum(weight for _, weight in scores.values()),
        "more than half of what it is made of has none",
    )


def _together(
    shares: Sequence[Share], ranges: Sequence[tuple[float, float]], parts: Sequence[Sequence[float]], whole: float, reason: str
) -> Score:
    weight = sum(share.weight for share in shares)
    if not shares or weight < LEAST_WEIGHT * whole:
        return Score(None, None, None, refusal=reason)
    relative = np.array([share.weight / weight for share in shares])
    value = float(relative @ [share.score for share in shares])
    below, above = (
        hypot(*(float(part) * abs(end - share.score) for part, end, share in zip(relative, ends, shares, strict=True)))
        for ends in zip(*ranges, strict=True)
    )
    of_parts = relative @ np.array(parts) if all(len(one) == BATCHES for one in parts) else np.empty(0)
    spread = T_QUANTILE * float(np.std(of_parts, ddof=1)) / BATCHES**0.5 if of_parts.size else 0.0
    return Score(
        value,
        max(0.0, value - max(below, spread)),
        min(100.0, value + max(above, spread)),
        tuple(float(part) for part in of_parts),
        tuple(Share(share.name, share.value, share.score, float(part)) for share, part in zip(shares, relative, strict=True)),
    )
