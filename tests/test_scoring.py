"""Scores: planted measures through planted curves, alone and together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import PchipInterpolator

from speech.analysis import Measure
from speech.scoring import Curve, Score, Term, overall, score

HILL = Curve(((100.0, 0.0), (150.0, 100.0), (200.0, 100.0), (250.0, 0.0)))
SLOPE = Curve(((0.0, 100.0), (10.0, 0.0)))
T_97_5_OF_4 = 2.776445


def measured(value: float, low: float, high: float, parts: tuple[float | None, ...] = ()) -> Measure:
    return Measure(value, "words/min", low, high, 60.0, parts=parts)


def numbers(found: Score) -> tuple[float, float, float]:
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    return found.value, found.low, found.high


# curves


@given(
    st.lists(st.tuples(st.floats(0.1, 50.0), st.floats(0.0, 100.0)), min_size=2, max_size=8),
    st.lists(st.floats(-20.0, 500.0), min_size=1, max_size=9),
)
def test_a_curve_stays_between_the_points_beside_it_and_is_level_beyond(steps: list[tuple[float, float]], values: list[float]) -> None:
    at = np.cumsum([step for step, _ in steps])
    points = tuple(zip(at.tolist(), [score for _, score in steps], strict=True))
    curve = Curve(points)
    assert np.allclose(curve(at), [score for _, score in points])
    for value in values:
        i = int(np.clip(np.searchsorted(at, value) - 1, 0, at.size - 2))
        ends = sorted((points[i][1], points[i + 1][1]))
        assert ends[0] - 1e-9 <= float(curve(value)) <= ends[1] + 1e-9
    assert np.allclose(curve([at[0] - 1, at[-1] + 1]), [points[0][1], points[-1][1]])


def test_a_curve_is_scipy_s_between_its_outer_points() -> None:
    points = ((60.0, 0.0), (110.0, 70.0), (140.0, 100.0), (190.0, 100.0), (225.0, 70.0), (290.0, 0.0))
    at = np.linspace(110.0, 225.0, 200)
    theirs = PchipInterpolator(*np.array(points).T)(at)
    assert np.allclose(Curve(points)(at), theirs)


def test_the_least_and_the_most_may_lie_between() -> None:
    assert HILL.over(120.0, 240.0) == (float(HILL(240.0)), 100.0)
    assert HILL.over(160.0, 190.0) == (100.0, 100.0)


# one score


def test_a_score_is_the_mean_of_its_measures_by_weight() -> None:
    found = {"a": measured(2.0, 1.0, 3.0), "b": measured(8.0, 8.0, 8.0)}
    got = score([Term("a", SLOPE, 3.0), Term("b", SLOPE, 1.0)], found)
    assert got.value == pytest.approx(0.75 * 80 + 0.25 * 20)
    assert [(share.name, share.value, share.weight) for share in got.shares] == [("a", 2.0, 0.75), ("b", 8.0, 0.25)]
    assert [share.score for share in got.shares] == pytest.approx([80.0, 20.0])


def test_an_interval_holds_what_the_measure_leaves_open() -> None:
    got = score([Term("a", SLOPE, 1.0)], {"a": measured(5.0, 4.0, 7.0)})
    assert numbers(got) == pytest.approx((50.0, 30.0, 60.0))


def test_an_interval_holds_what_the_parts_leave_open() -> None:
    parts = (4.0, 5.0, 6.0, 5.0, 5.0)
    got = score([Term("a", SLOPE, 1.0)], {"a": measured(5.0, 5.0, 5.0, parts)})
    half = T_97_5_OF_4 * float(np.std([60, 50, 40, 50, 50], ddof=1)) / 5**0.5
    assert numbers(got) == pytest.approx((50.0, 50 - half, 50 + half), abs=1e-3)
    assert got.parts == pytest.approx((60.0, 50.0, 40.0, 50.0, 50.0))


def test_measures_that_move_together_are_less_sure_than_those_that_do_not() -> None:
    up, down = (1.0, 2.0, 3.0, 4.0, 5.0), (5.0, 4.0, 3.0, 2.0, 1.0)
    terms = [Term("a", SLOPE, 1.0), Term("b", SLOPE, 1.0)]
    together = score(terms, {"a": measured(3.0, 3.0, 3.0, up), "b": measured(3.0, 3.0, 3.0, up)})
    against = score(terms, {"a": measured(3.0, 3.0, 3.0, up), "b": measured(3.0, 3.0, 3.0, down)})
    assert together.low is not None
    assert together.low < 60.0
    assert against.low == pytest.approx(70.0)


def test_no_score_leaves_the_scale() -> None:
    got = score([Term("a", SLOPE, 1.0)], {"a": measured(0.5, 0.0, 9.0, (0.0, 0.0, 9.0, 0.0, 0.0))})
    assert got.high == 100.0
    assert got.low is not None
    assert got.low >= 0.0


@pytest.mark.parametrize(
    ("measure", "reason"),
    [
        (Measure(None, "words/min", None, None, 1.0, "there are under 5 words"), "there are under 5 words"),
        (None, "it was not measured"),
        (Measure(150.0, "words/min", None, None, 4.0), "there is too little speech to say how sure one would be"),
    ],
)
def test_what_cannot_be_graded_is_refused_with_its_reason(measure: Measure | None, reason: str) -> None:
    got = score([Term("a", SLOPE, 1.0)], {"a": measure} if measure else {})
    assert got == Score(None, None, None, refusal=reason)


def test_less_than_half_of_a_score_may_be_missing() -> None:
    found = {"a": measured(2.0, 1.0, 3.0)}
    most = score([Term("a", SLOPE, 2.0), Term("b", SLOPE, 1.0)], found)
    assert most.value == pytest.approx(80.0)
    assert [share.weight for share in most.shares] == [1.0]
    assert score([Term("a", SLOPE, 1.0), Term("b", SLOPE, 2.0)], found).refusal == "it was not measured"


# all together


def test_the_overall_score_is_recomputed_on_each_part() -> None:
    a = score([Term("a", SLOPE, 1.0)], {"a": measured(3.0, 2.0, 4.0, (1.0, 2.0, 3.0, 4.0, 5.0))})
    b = score([Term("b", SLOPE, 1.0)], {"b": measured(3.0, 2.0, 4.0, (5.0, 4.0, 3.0, 2.0, 1.0))})
    got = overall({"pace": (a, 3.0), "pitch": (b, 1.0)})
    assert got.value == pytest.approx(70.0)
    assert got.parts == pytest.approx((80.0, 75.0, 70.0, 65.0, 60.0))
    assert [(share.name, share.weight) for share in got.shares] == [("pace", 0.75), ("pitch", 0.25)]


def test_the_overall_score_wants_half_of_the_weight() -> None:
    refused = Score(None, None, None, refusal="needs 50 words")
    given_ = score([Term("a", SLOPE, 1.0)], {"a": measured(3.0, 2.0, 4.0)})
    assert overall({"pace": (given_, 1.0), "pitch": (refused, 1.0)}).value == pytest.approx(70.0)
    assert overall({"pace": (given_, 1.0), "pitch": (refused, 1.5)}).refusal == "more than half of what it is made of has none"
