"""Change against a person's own sessions: what differs anyway is no change, what is more is one; the simulation keeps its promise."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from batch.compared import compared
from bench.changes import MOST_FALSE, seen
from db.history import Scored
from speech.changes import Estimate, change

NOW = datetime(2026, 5, 1, tzinfo=UTC)
RUBRIC = {"name": "talk", "version": 1, "title": "Talk", "digest": "d1"}


def sure(*values: float) -> list[Estimate]:
    return [Estimate(value, value - 1.0, value + 1.0) for value in values]


def test_what_differs_anyway_is_no_change() -> None:
    steady, restless = sure(50, 51, 49, 50), sure(40, 60, 45, 55)
    (now,) = sure(58)
    assert change(now, steady).changed
    assert not change(now, restless).changed
    assert change(now, steady).difference == change(now, restless).difference == pytest.approx(8.0)


def test_the_noise_of_sessions_is_a_t_interval_of_one_more() -> None:
    found = change(Estimate(60.0, 60.0, 60.0), [Estimate(value, value, value) for value in (48.0, 50.0, 52.0)])
    half = 4.3027 * 2.0 * (1 + 1 / 3) ** 0.5
    assert (found.before, found.difference, found.low, found.high) == pytest.approx((50.0, 10.0, 10.0 - half, 10.0 + half), abs=1e-3)
    assert found.changed
    assert not change(Estimate(59.9, 59.9, 59.9), [Estimate(value, value, value) for value in (48.0, 50.0, 52.0)]).changed


def test_a_score_that_is_unsure_cannot_have_changed() -> None:
    earlier = sure(50, 51, 49, 50)
    assert not change(Estimate(58.0, 48.0, 68.0), earlier).changed
    found = change(Estimate(58.0, 48.0, 60.0), earlier)
    assert found.high - found.difference < found.difference - found.low  # each side has its own


@pytest.mark.parametrize("count", [1, 2])
def test_before_three_sessions_nothing_is_called_a_change(count: int) -> None:
    found = change(Estimate(90.0, 89.0, 91.0), sure(*[20.0] * count, 30.0)[-count:])
    assert found.before == 30.0  # the last one, not the mean
    assert found.low > 0.0
    assert not found.changed


@pytest.mark.parametrize("earlier", [3, 10])
@pytest.mark.parametrize("daily", [0.0, 4.0])
def test_false_alarms_are_rare_and_large_changes_are_seen(earlier: int, daily: float) -> None:
    people = 600
    by_chance = 3 * (MOST_FALSE * (100 - MOST_FALSE) / people) ** 0.5
    assert seen(np.random.default_rng(1), people, earlier, daily, 2.0, 0.0) <= MOST_FALSE + by_chance
    assert seen(np.random.default_rng(2), people, earlier, daily, 2.0, 25.0) >= 60.0


# documents


def given(value: float | None, dimension: str = "pace") -> dict[str, Any]:
    sure = {"value": value, "low": value and value - 1, "high": value and value + 1, "refusal": None if value else "needs more"}
    return {"dimension": dimension, "title": dimension.capitalize(), **sure}


def session(days_ago: int, value: float | None, digest: str = "d1") -> Scored:
    overall = {name: number for name, number in given(value).items() if name in ("value", "low", "high")}
    return Scored(uuid4(), "t", NOW - timedelta(days=days_ago), RUBRIC | {"digest": digest}, overall, [given(value)])


def scores(value: float | None) -> dict[str, Any]:
    return {"rubric": RUBRIC, "overall": given(value), "scores": [given(value)]}


def test_a_first_session_is_compared_with_nothing() -> None:
    found = compared(scores(60.0), [])
    assert (found["since"], found["baseline"], found["dimensions"]) == (None, None, [])
    assert found["refusal"].startswith("This is your first session in this style")


def test_a_second_session_is_compared_with_the_last_and_says_what_is_missing() -> None:
    found = compared(scores(60.0), [session(2, 40.0)])
    assert found["since"] == {"created_at": (NOW - timedelta(days=2)).isoformat()}
    assert found["baseline"] is None
    assert [(one["dimension"], one["difference"], one["changed"]) for one in found["dimensions"]] == [
        ("overall", 20.0, False),
        ("pace", 20.0, False),
    ]
    assert "2 more sessions" in found["refusal"]


def test_from_three_sessions_on_it_is_their_mean_that_counts() -> None:
    found = compared(scores(60.0), [session(3, 40.0), session(2, 41.0), session(1, 39.0)])
    assert found["baseline"] == {"sessions": 3, "created_at": (NOW - timedelta(days=3)).isoformat()}
    assert found["refusal"] is None
    assert [(one["before"], one["sessions"], one["changed"]) for one in found["dimensions"]] == [(40.0, 3, True)] * 2


def test_scores_of_another_rubric_are_not_compared() -> None:
    other = [session(4, 10.0, "d0"), session(3, 40.0), session(2, 41.0), session(1, 39.0)]
    assert [one["before"] for one in compared(scores(60.0), other)["dimensions"]] == [40.0, 40.0]
    found = compared(scores(60.0), other[:1])
    assert (found["since"], found["dimensions"]) == (None, [])
    assert "another version" in found["refusal"]


def test_an_attempt_at_a_drill_is_not_compared() -> None:
    found = compared(scores(60.0), None)
    assert (found["dimensions"], found["refusal"]) == ([], "An attempt at a drill is not compared with other sessions.")


def test_what_has_no_score_on_either_side_is_left_out() -> None:
    assert compared(scores(None), [session(1, 40.0)])["dimensions"] == []
    assert compared(scores(60.0), [session(1, None)])["dimensions"] == []
