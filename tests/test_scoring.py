"""Scores: planted measures through planted curves."""

import pytest

from config.rubrics import rubric
from speech.analysis import Measure
from speech.scoring import score

HILL = [(100.0, 0.0), (150.0, 100.0), (200.0, 100.0), (250.0, 0.0)]


def measured(value: float, low: float, high: float) -> Measure:
    return Measure(value, "words/min", low, high, 60.0)


@pytest.mark.parametrize(
    ("value", "low", "high", "expected"),
    [
        (125.0, 120.0, 130.0, (50.0, 40.0, 60.0)),
        (175.0, 160.0, 190.0, (100.0, 100.0, 100.0)),
        (140.0, 120.0, 240.0, (80.0, 20.0, 100.0)),  # the top lies inside the interval, the worst at its far end
        (50.0, 40.0, 60.0, (0.0, 0.0, 0.0)),
        (300.0, 290.0, 310.0, (0.0, 0.0, 0.0)),
    ],
)
def test_a_score_is_the_curve_over_the_interval(value: float, low: float, high: float, expected: tuple[float, float, float]) -> None:
    found = score("pace", "speech_rate_wpm", measured(value, low, high), HILL)
    assert (found.value, found.low, found.high) == pytest.approx(expected)
    assert found.refusal is None


def test_what_was_not_measured_is_refused_with_its_reason() -> None:
    found = score("pace", "speech_rate_wpm", Measure(None, "words/min", None, None, 1.0, "there are under 5 words"), HILL)
    assert (found.value, found.low, found.high, found.refusal) == (None, None, None, "there are under 5 words")
    assert score("pace", "speech_rate_wpm", None, HILL).refusal


def test_a_number_without_an_interval_is_no_grade() -> None:
    assert score("pace", "speech_rate_wpm", Measure(150.0, "words/min", None, None, 4.0), HILL).value is None


def test_the_rubric_in_use_makes_sense() -> None:
    found = rubric()
    assert len({dimension.id for dimension in found.dimensions}) == len(found.dimensions) > 0
    for dimension in found.dimensions:
        at = [point for point, _ in dimension.points]
        assert at == sorted(set(at))
        assert all(0 <= given <= 100 for _, given in dimension.points)
    assert len(found.digest) == 64
