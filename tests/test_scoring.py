"""Scores: planted measures through planted curves, alone and together."""

import numpy as np
import pytest
from hypothesis import given, settings
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


def of_parts(parts: tuple[float, ...]) -> Measure:
    half = T_97_5_OF_4 * float(np.std(parts, ddof=1)) / 5**0.5
    middle = float(np.mean(parts))
    return measured(middle, middle - half, middle + half, parts)


@settings(deadline=None)
@given(st.lists(st.tuples(*[st.floats(1.0, 9.0)] * 5), min_size=1, max_size=4), st.lists(st.floats(0.1, 3.0), min_size=4, max_size=4))
def test_where_curves_are_straight_an_interval_is_student_s_of_the_score_on_each_part(
    found: list[tuple[float, ...]], weights: list[float]
) -> None:
    curves = [SLOPE, Curve(((0.0, 0.0), (10.0, 100.0)))] * 2  # one falls, one rises
    wide = [Curve(tuple((3 * at - 10, y) for at, y in curve.points)) for curve in curves]  # no interval leaves it
    terms = [Term(str(i), wide[i], weights[i]) for i in range(len(found))]
    got = score(terms, {str(i): of_parts(parts) for i, parts in enumerate(found)})
    on_parts = [
        sum(term.weight * float(term.curve(parts[j])) for term, parts in zip(terms, found, strict=True)) / sum(weights[: len(found)])
        for j in range(5)
    ]
    half = T_97_5_OF_4 * float(np.std(on_parts, ddof=1)) / 5**0.5
    assert got.value == pytest.approx(np.mean(on_parts))
    assert numbers(got) == pytest.approx((np.mean(on_parts), np.mean(on_parts) - half, np.mean(on_parts) + half), abs=1e-6)
    assert got.parts == pytest.approx(on_parts)


def test_measures_that_move_together_are_less_sure_than_those_that_do_not() -> None:
    up, down = (4.0, 4.5, 5.0, 5.5, 6.0), (6.0, 5.5, 5.0, 4.5, 4.0)
    terms = [Term("a", SLOPE, 1.0), Term("b", SLOPE, 1.0)]
    alone = score(terms[:1], {"a": of_parts(up)})
    together = score(terms, {"a": of_parts(up), "b": of_parts(up)})
    against = score(terms, {"a": of_parts(up), "b": of_parts(down)})
    assert numbers(together) == pytest.approx(numbers(alone))
    assert numbers(against) == pytest.approx((50.0, 50.0, 50.0))


def test_what_no_part_shows_is_owed_to_nothing_else() -> None:
    terms = [Term("a", SLOPE, 1.0), Term("b", SLOPE, 1.0)]
    got = score(terms, {"a": measured(5.0, 2.0, 8.0, (5.0,) * 5), "b": measured(5.0, 1.0, 9.0, (5.0,) * 5)})
    assert numbers(got) == pytest.approx((50.0, 25.0, 75.0))  # root of the squares of half of 30 and of 40


def test_on_a_hill_a_score_moves_with_the_side_that_it_may_fall_on() -> None:
    parts = (140.0, 141.0, 142.0, 143.0, 144.0)
    rising = score([Term("a", HILL, 1.0), Term("b", HILL, 1.0)], {"a": of_parts(parts), "b": of_parts(tuple(350.0 - x for x in parts))})
    alone = score([Term("a", HILL, 1.0)], {"a": of_parts(parts)})
    assert numbers(rising) == pytest.approx(numbers(alone), abs=1e-6)  # one on either slope: they fall together


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
        (Measure(150.0, "words/min", None, None, 11.6), "needs 39 s more speech"),
        (
            Measure(0.6, "ratio", None, None, 60.0, parts=(0.6, None, 0.6, None, 0.7)),
            "needs more speech to say how sure it is: 2 of its 5 parts hold too little",
        ),
        (Measure(0.6, "ratio", None, None, 60.0), "nothing in it tells how sure it is"),
    ],
)
def test_what_cannot_be_graded_is_refused_with_its_reason(measure: Measure | None, reason: str) -> None:
    got = score([Term("a", SLOPE, 1.0)], {"a": measure} if measure else {})
    assert got == Score(None, None, None, refusal=reason)


def test_less_than_two_fifths_of_a_score_may_be_missing() -> None:
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


def test_the_overall_score_wants_three_fifths_of_the_weight() -> None:
    refused = Score(None, None, None, refusal="needs 50 words")
    given_ = score([Term("a", SLOPE, 1.0)], {"a": measured(3.0, 2.0, 4.0)})
    assert overall({"pace": (given_, 1.5), "pitch": (refused, 1.0)}).value == pytest.approx(70.0)
    assert overall({"pace": (given_, 1.0), "pitch": (refused, 1.0)}).refusal == "too much of what it is made of has none"
