"""The pure parts of the live benches: what was planted in the events of a call is what the tables say."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from bench.corpus import Timed
from bench.heard import (
    PACKET_S,
    Call,
    Clock,
    Plan,
    committed,
    false_pauses,
    first_packet,
    latency_row,
    lost_s,
    metric_latencies,
    missed,
    missing,
    recovery_s,
    shifts,
    slope_per_hour,
    wer,
    word_latencies,
)

BEGAN_S = 1000.0  # monotonic, when the client captured its first sample
LEFT_S = [BEGAN_S + PACKET_S * (i + 1) for i in range(500)]
DELAY_S = 0.0065


def word(text: str, start_s: float, end_s: float, kind: str = "word") -> dict[str, Any]:
    return {"text": text, "start_s": start_s, "end_s": end_s, "probability": 0.9, "kind": kind}


def tokens(arrived: float, committed: Sequence[Any] = (), tentative: Sequence[Any] = ()) -> tuple[float, dict[str, Any]]:
    return arrived, {"seq": 1, "stream": "tokens", "data": {"committed": committed, "tentative": tentative}}


def metrics(arrived: float, at: int, **data: Any) -> tuple[float, dict[str, Any]]:
    return arrived, {"seq": 1, "stream": "metrics", "data": {"at": at, **data}}


def call(events: Sequence[tuple[float, dict[str, Any]]], came: Sequence[int] = range(500), **more: Any) -> Call:
    plan = Plan("talk.wav")
    return Call(plan=plan, session="s", status=200, left_s=LEFT_S, came=came, delay_s=DELAY_S, events=events, **more)


@pytest.mark.parametrize(
    ("came", "captured", "first"),
    [
        (range(500), 500 * 320, 0),
        ([2, 0, 1, 3], 4 * 320, 0),  # the first to come was not the first to leave
        (range(3, 500), 497 * 320, 3),  # the first three were lost on the way
        (range(500), 490 * 320, 10),  # ten came before the server listened
        (range(500), 499 * 320, 0),  # a filter still held the last
        (range(500), 501 * 320, 0),  # the last block was filled up
    ],
)
def test_the_session_begins_with_the_first_packet_that_was_heard(came: Sequence[int], captured: int, first: int) -> None:
    assert first_packet(came, captured) == first


def test_a_number_is_late_from_when_its_newest_sample_left() -> None:
    planted = call([metrics(BEGAN_S + 0.2 + 0.06 + 0.070, 3200), metrics(BEGAN_S + 10.0, 497 * 320)], came=range(3, 500))
    clock = Clock.of(planted)
    assert clock.first == 3
    (left_s, late_s), (_, last_s) = metric_latencies(planted, clock)
    assert left_s == pytest.approx(BEGAN_S + 13 * PACKET_S)  # sample 3199 of the session is in its tenth packet
    assert late_s == pytest.approx(0.070)
    assert last_s == pytest.approx(0.0)


def test_what_the_caller_was_late_is_not_the_servers() -> None:
    left_s = [*LEFT_S[:10], LEFT_S[10] + 0.5, *LEFT_S[11:]]
    clock = Clock(0, left_s, 0.0)
    assert clock.left(11 * 320) == pytest.approx(LEFT_S[10] + 0.5)
    assert clock.spoken(10.5 * PACKET_S) == pytest.approx(LEFT_S[10] + 0.5 - PACKET_S / 2)


def test_words_are_late_from_their_true_ends() -> None:
    truth = [Timed("the", 1.0, 1.2), Timed("old", 1.2, 1.5), Timed("mill", 1.5, 2.0), Timed("unknown", math.nan, math.nan)]
    offset_s = -3 * PACKET_S + DELAY_S  # of the session's clock to the talk's
    the, old, mill = (word(t.text, t.start_s + offset_s, t.end_s + offset_s) for t in truth[:3])
    planted = call(
        [
            tokens(BEGAN_S + 1.9, tentative=[the, word("odd", 1.2, 1.5)]),
            tokens(BEGAN_S + 2.4, tentative=[the, old]),
            tokens(BEGAN_S + 3.0, committed=[the, old], tentative=[word("miller", 1.5, 2.0)]),
            tokens(BEGAN_S + 4.5, committed=[mill | {"text": "Mill."}, word("um", 2.2, 2.5, "filler")]),
            metrics(BEGAN_S + 10, 497 * 320),
        ],
        came=range(3, 500),
    )
    late = word_latencies(planted, Clock.of(planted), truth)
    assert [(found.text, round(found.shown_s, 6), round(found.committed_s, 6)) for found in late] == [
        ("the", 0.7, 1.8),
        ("old", 0.9, 1.5),
        ("Mill.", 2.5, 2.5),
    ]
    row = latency_row([planted], {"talk.wav": truth})
    assert row["words"] == 3
    assert row["commit p50 s"] == pytest.approx(1.8)
    assert latency_row([planted], {"talk.wav": truth}, from_s=BEGAN_S + 1.3)["words"] == 2
    (_, first), *_ = committed(planted, Clock.of(planted))
    assert first.start_s == pytest.approx(1.0)
    assert first.end_s == pytest.approx(1.2)


def test_the_same_word_further_on_is_another_one() -> None:
    planted = call(
        [
            tokens(BEGAN_S + 2.0, tentative=[word("no", 1.0, 1.2)]),
            tokens(BEGAN_S + 6.0, committed=[word("no", 1.0, 1.2), word("no", 4.0, 4.2)]),
        ]
    )
    truth = [Timed("no", 1.0 - DELAY_S, 1.2 - DELAY_S), Timed("no", 4.0 - DELAY_S, 4.2 - DELAY_S)]
    late = word_latencies(planted, Clock(0, LEFT_S, DELAY_S), truth)
    assert [found.shown_s for found in late] == pytest.approx([0.8 + DELAY_S, 1.8 + DELAY_S])


def test_delay_after_a_burst_is_until_numbers_come_as_usual_again() -> None:
    late = [(at / 5, 0.1) for at in range(500)]
    late[152:158] = [(at, 0.4) for at, _ in late[152:158]]  # from 30.4 to 31.4 s
    late[300] = (60.0, 0.9)  # one alone
    assert recovery_s(late, [30.5]) == pytest.approx(31.2 - 30.5)  # three of the five from there on are usual
    assert recovery_s(late, [59.9]) == pytest.approx(0.1)
    assert recovery_s(late, [59.9, 30.5]) == pytest.approx(0.7)
    assert recovery_s(late, []) is None
    assert recovery_s([*late, *((100 + at / 5, 3.0) for at in range(20))], [100.0]) == math.inf


def test_what_never_came_is_counted_by_the_session() -> None:
    assert lost_s(call([metrics(0.0, 0, session={"lost_share": 0.1, "over_s": 30.0}), metrics(0.2, 0)])) == pytest.approx(3.0)
    assert missing(call([], came=[4, 2, 7])) == {3, 5, 6}


def test_shifts_and_false_pauses() -> None:
    before = [Timed("a", 1.0, 1.5), Timed("b", 2.0, 2.5)]
    after = [Timed("x", 0.0, 0.5), Timed("A,", 1.02, 1.51), Timed("b", 2.0, 2.5)]
    assert shifts(before, after) == pytest.approx([0.02, 0.01, 0.0, 0.0])
    assert false_pauses([(1.0, 2.0), (5.0, 6.0)], [(1.9, 2.5)]) == 1


def test_a_leak_has_a_slope() -> None:
    at_s = np.arange(0.0, 600.0, 5.0)
    noise = np.random.default_rng(1).normal(0, 0.5, at_s.size)
    assert slope_per_hour(at_s.tolist(), (300 + 12 * at_s / 3600 + noise).tolist()) == pytest.approx(12.0, abs=3.0)


def test_word_errors_and_bounds() -> None:
    assert wer("so we beat on", "So, we eat on.") == pytest.approx(25.0)
    assert missed([{"p95 ms": 151.0}, {"p95 ms": None}], {"show": ("p95 ms", 150.0)}) == ["show: p95 ms is 151.00, at most 150"]
    assert missed([{"p95 ms": math.nan}], {"show": ("p95 ms", 150.0)})  # what could not be measured is not shown
