"""Scores: a measure seen through a rubric's curve, with what its uncertainty leaves open."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from speech.analysis import Measure

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Score:
    """0 to 100 with its 95 % interval, or the reason why none is given."""

    dimension: str
    measure: str
    value: float | None
    low: float | None
    high: float | None
    refusal: str | None = None


def score(dimension: str, name: str, measure: Measure | None, points: Points) -> Score:
    """One measure through its curve.

    points: (value of the measure, score), growing in value; linear between, level beyond. The interval is the least and the most that the
    curve takes over the measure's own 95 % interval. A measure that is missing, or whose interval is not known, gives no score: a number
    that cannot say how sure it is would be taken for a grade.
    """
    if measure is None or measure.value is None:
        return Score(dimension, name, None, None, None, measure.why_missing if measure else "it was not measured")
    if measure.low is None or measure.high is None:
        return Score(dimension, name, None, None, None, "there is too little speech to say how sure one would be")
    at = np.array([point for point, _ in points])
    given = np.array([value for _, value in points])
    inside = at[(at > measure.low) & (at < measure.high)]
    over = np.interp(np.concatenate(([measure.low, measure.value, measure.high], inside)), at, given)
    return Score(dimension, name, float(over[1]), float(over.min()), float(over.max()))
