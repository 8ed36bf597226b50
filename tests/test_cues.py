"""Cues: each situation is planted in a history of readings and must be told once, in time, and nothing else."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.rubrics import rubrics
from speech.audio import RATE_HZ
from speech.cues import AGAIN_S, APART_S, RULES, Cue, Cues
from speech.live import WINDOWS_S, LiveMetrics

WELL = LiveMetrics(
    seq=0,
    at=0,
    over_s=10.0,
    rate_wpm=160.0,
    articulation_syl_s=4.5,
    pause_share=0.2,
    longest_pause_s=0.9,
    f0_median_hz=120.0,
    f0_span_st=7.0,
    f0_sd_st=2.6,
    level_dbfs=-28.0,
    fillers_per_min=0.0,
    lost_share=0.0,
    degraded=None,
)
WRONG: dict[str, dict[str, Any]] = {
    "too_fast": {"rate_wpm": 240.0},
    "too_slow": {"rate_wpm": 90.0},
    "no_pause": {"longest_pause_s": None, "pause_share": 0.0},
    "fillers": {"fillers_per_min": 18.0},
    "monotone": {"f0_sd_st": 1.2},
    "too_quiet": {"level_dbfs": -55.0},
}


def tell(cues: Cues, from_s: float, to_s: float, **wrong: Any) -> list[Cue]:
    """Readings five times a second from from_s to before to_s, all well but for what is wrong; the cues they brought."""
    found = []
    for tick in range(round(from_s * 5), round(to_s * 5)):
        found.append(cues.take([replace(WELL, at=tick * RATE_HZ // 5, over_s=over_s, **wrong) for over_s in WINDOWS_S]))
    return [cue for cue in found if cue is not None]


def test_nothing_is_said_when_all_is_well() -> None:
    assert tell(Cues(), 0, 600) == []


def test_nothing_is_said_when_nothing_is_known() -> None:
    missing = dict.fromkeys(["rate_wpm", "pause_share", "longest_pause_s", "f0_sd_st", "level_dbfs", "fillers_per_min"])
    assert tell(Cues(), 0, 120, **missing) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.kind)
def test_each_situation_is_told_once_and_again_only_after_a_minute(rule: Any) -> None:
    cues = Cues()
    assert tell(cues, 0, 30) == []
    first, *rest = tell(cues, 30, 30 + rule.for_s + 50, **WRONG[rule.kind])
    assert rest == []
    assert (first.kind, first.measure, first.over_s, first.text) == (rule.kind, rule.measure, rule.over_s, rule.text)
    assert first.value == (WRONG[rule.kind][rule.measure] or 0.0)
    assert first.at == pytest.approx((30 + rule.for_s) * RATE_HZ, abs=1)
    again = tell(cues, 30 + rule.for_s + 50, 30 + rule.for_s + 100, **WRONG[rule.kind])
    assert [(cue.at - first.at) / RATE_HZ for cue in again] == [AGAIN_S]


def test_a_moment_is_not_worth_a_cue() -> None:
    cues = Cues()
    for start in range(0, 100, 10):
        assert tell(cues, start, start + 2, rate_wpm=240.0) + tell(cues, start + 2, start + 10) == []


@pytest.mark.parametrize(("then", "told"), [(200.0, 0), (180.0, 1)])
def test_to_be_told_again_the_measure_must_first_be_well(then: float, told: int) -> None:
    cues = Cues()
    assert len(tell(cues, 0, 10, rate_wpm=230.0)) == 1
    assert tell(cues, 10, 30, rate_wpm=then) == []
    assert len(tell(cues, 30, 40, rate_wpm=230.0)) == told


def test_cues_keep_their_distance_and_take_turns() -> None:
    found = tell(Cues(), 0, 200, rate_wpm=240.0, level_dbfs=-55.0, fillers_per_min=24.0)
    assert [cue.kind for cue in found[:3]] == ["fillers", "too_quiet", "too_fast"]
    gaps = [b.at - a.at for a, b in pairwise(found)]
    assert min(gaps) >= APART_S * RATE_HZ
    assert {kind: sum(cue.kind == kind for cue in found) for kind in ("too_fast", "too_quiet", "fillers")} == {
        "too_fast": 3,
        "too_quiet": 3,
        "fillers": 4,
    }


def test_what_was_never_told_comes_before_what_is_told_again() -> None:
    found = tell(Cues(), 0, 70, rate_wpm=240.0, level_dbfs=-55.0, fillers_per_min=24.0, longest_pause_s=0.2)
    assert [cue.kind for cue in found] == ["fillers", "too_quiet", "too_fast", "no_pause"]


def test_two_fillers_and_a_long_pause_are_no_fault() -> None:
    assert tell(Cues(), 0, 60, fillers_per_min=12.0) == []
    assert tell(Cues(), 0, 60, rate_wpm=90.0, pause_share=0.5, longest_pause_s=6.0) == []


def test_a_bad_line_gives_no_advice() -> None:
    assert tell(Cues(), 0, 60, rate_wpm=240.0, lost_share=0.3) == []


def test_a_pause_now_and_then_is_enough() -> None:
    cues = Cues()
    for start in range(0, 200, 25):
        assert tell(cues, start, start + 19, **WRONG["no_pause"]) + tell(cues, start + 19, start + 25) == []


def test_the_ranges_are_those_of_the_rubric() -> None:
    points = {term.measure: term.points for one in rubrics()["talk"].dimensions for term in one.terms}
    pace, pitch = dict(points["speech_rate_wpm"]), dict(points["f0_sd_st"])
    rules = {rule.kind: rule for rule in RULES}
    assert (pace[rules["too_fast"].beyond], pace[rules["too_fast"].back]) == (70, 100)
    assert (pace[rules["too_slow"].beyond], pace[rules["too_slow"].back]) == (70, 100)
    assert pitch[rules["monotone"].beyond] == 40


@given(st.lists(st.sampled_from([None, *WRONG]), min_size=20, max_size=60))
@settings(max_examples=40, deadline=None)
def test_the_same_history_gives_the_same_cues_at_their_distance(history: list[str | None]) -> None:
    def run() -> list[Cue]:
        cues = Cues()
        return [cue for i, kind in enumerate(history) for cue in tell(cues, 3 * i, 3 * i + 3, **(WRONG[kind] if kind else {}))]

    found = run()
    assert found == run()
    assert all(b.at - a.at >= APART_S * RATE_HZ for a, b in pairwise(found))
