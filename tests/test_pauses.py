"""Pauses from planted states and words: what counts, what does not, what it comes to."""

import numpy as np
import pytest

from speech.analysis import Filler, Pause
from speech.audio import HOP, RATE_HZ, Span, State, States
from speech.pauses import at_least, lost_samples, pause_measures, pauses, silences, speaking_span
from speech.words import Word


def states(plan: str) -> States:
    """One letter per 10 ms hop times its count: `s30 .25 s10 x2` is 300 ms speech, 250 ms silence, 100 ms speech, 20 ms lost."""
    kinds = {"s": State.SPEECH, ".": State.SILENCE, "x": State.LOST}
    return np.concatenate([np.full(int(part[1:]), kinds[part[0]], np.int8) for part in plan.split()])


def word(text: str, start_ms: int, end_ms: int, *, filler: bool = False) -> Word:
    return Word(text, start_ms * 16, end_ms * 16, 0.9, "filler" if filler else "word")


def um(start_ms: int, end_ms: int) -> Filler:
    return Filler("um", start_ms * 16, end_ms * 16, "filled_pause", "recogniser")


def in_ms(found: tuple[Pause, ...]) -> list[tuple[int, int]]:
    return [(pause.start // 16, pause.end // 16) for pause in found]


def test_every_silence_of_100_ms_between_speech_is_a_pause_and_90_ms_is_not() -> None:
    assert in_ms(pauses(states("s50 .10 s50 .9 s50 .300 s50"))) == [(500, 600), (1690, 4690)]


def test_silence_before_the_first_and_after_the_last_speech_is_no_pause() -> None:
    assert in_ms(pauses(states(".100 s50 .30 s50 .200"))) == [(1500, 1800)]


def test_a_recording_without_speech_has_neither_span_nor_pauses() -> None:
    for plan in (".500", "x500"):
        assert speaking_span(states(plan)) is None
        assert pauses(states(plan)) == ()
    assert pauses(np.empty(0, np.int8)) == ()


def test_a_cough_before_the_first_word_opens_no_pause() -> None:
    heard = states(".20 s10 .100 s50 .30 s50")
    assert in_ms(pauses(heard, [word("so", 1350, 1800), word("then", 2100, 2600)])) == [(1800, 2100)]
    assert in_ms(pauses(heard)) == [(300, 1300), (1800, 2100)]


def test_a_first_word_said_to_start_with_the_file_does_not_make_the_silence_before_it_a_pause() -> None:
    heard = states(".100 s50 .30 s50 .100")
    assert in_ms(pauses(heard, [word("so", 0, 1500), word("then", 1500, 2900)])) == [(1500, 1800)]


def test_an_um_before_the_first_word_belongs_to_the_speaking_span() -> None:
    found = pauses(states(".50 s40 .30 s50 .20"), [word("hello", 1200, 1700)], [um(500, 900)])
    assert [(pause.kind, pause.start // 16, pause.end // 16) for pause in found] == [("filled", 500, 900), ("silent", 900, 1200)]


def test_the_clock_may_start_anywhere() -> None:
    heard = states("s50 .30 s50")
    assert in_ms(pauses(heard, start=16_000)) == [(1500, 1800)]
    assert speaking_span(heard, start=16_000) == Span(16_000, 16_000 + 130 * HOP)


@pytest.mark.parametrize(("closure_hops", "kept"), [(10, False), (15, False), (19, False), (20, True), (40, True)])
def test_a_silence_inside_a_word_is_a_closure_until_200_ms(closure_hops: int, kept: bool) -> None:
    heard = states(f"s50 .{closure_hops} s50")
    assert bool(pauses(heard, [word("atop", 0, 1000 + 10 * closure_hops)])) is kept


def test_a_short_silence_where_a_word_ends_is_a_pause_even_if_the_edge_is_50_ms_off() -> None:
    heard = states("s50 .12 s50")
    for edge_ms in (450, 500, 560, 670):
        assert in_ms(pauses(heard, [word("at", 0, edge_ms), word("ten", edge_ms, 1120)])) == [(500, 620)]
    assert pauses(heard, [word("at", 0, 440), word("ten", 440, 1120)]) == ()


def test_lost_audio_makes_no_pause_and_lengthens_none() -> None:
    assert pauses(states("s50 x100 s50")) == ()
    assert pauses(states("s50 .8 x100 s50")) == ()
    assert in_ms(pauses(states("s50 .30 x100 s50"))) == [(500, 800)]
    assert in_ms(pauses(states("s50 x100 .30 s50"))) == [(1500, 1800)]


def test_two_short_silences_around_a_loss_do_not_add_up() -> None:
    found = pauses(states("s50 .20 x4 .20 s50"))
    assert at_least(found) == ()
    assert in_ms(found) == [(500, 700)]


def test_a_pause_holed_by_short_losses_is_one_pause_and_a_long_loss_parts_two() -> None:
    assert in_ms(pauses(states("s50 .40 x2 .60 x2 .50 s50"))) == [(920, 1520)]
    assert in_ms(pauses(states("s50 .40 x2 .5 x2 .60 s50"))) == [(990, 1590)]
    assert in_ms(pauses(states("s50 .40 x20 .60 s50"))) == [(500, 900), (1100, 1700)]
    assert in_ms(pauses(states("s50 .40 x2 s5 .60 s50"))) == [(500, 900), (970, 1570)]


def test_a_filled_pause_is_the_speech_of_the_um_and_silences_beside_it_stay_silent() -> None:
    found = pauses(states("s50 .30 s40 .30 s50"), [word("we", 0, 500), word("went", 1500, 2000)], [um(700, 1300)])
    assert [(pause.kind, pause.start // 16, pause.end // 16) for pause in found] == [
        ("silent", 500, 800),
        ("filled", 800, 1200),
        ("silent", 1200, 1500),
    ]


def test_an_um_where_the_signal_is_silent_or_that_is_a_discourse_marker_fills_no_pause() -> None:
    heard = states("s50 .60 s50")
    assert [pause.kind for pause in pauses(heard, (), [um(600, 1000)])] == ["silent"]
    assert [pause.kind for pause in pauses(states("s50 .30 s9 .30 s50"), (), [um(600, 1000)])] == ["silent", "silent"]
    like = Filler("like", 0, 480 * 16, "discourse_marker", "syntax")
    assert [pause.kind for pause in pauses(heard, (), [like])] == []  # and it is the last thing said
    assert [pause.kind for pause in pauses(heard, [word("so", 1100, 1600)], [like])] == ["silent"]


def test_place_is_said_by_the_word_before_and_an_um_does_not_change_it() -> None:
    heard = states("s50 .30 s50 .30 s20 .30 s50")
    words = [
        word("we", 0, 250),
        word("left", 250, 650),
        word("home.", 900, 1350),
        word("um", 1600, 1800, filler=True),
        word("then", 2100, 2600),
    ]
    assert [pause.place for pause in pauses(heard, words, [um(1600, 1800)], {2})] == ["within_clause"] + ["between_clauses"] * 3
    assert {pause.place for pause in pauses(heard, words)} == {"unknown"}


def test_measures_at_three_thresholds_come_from_the_same_pauses() -> None:
    heard = states(".50 s100 .20 s100 .30 s100 .40 s110 .9 s91 .50")
    found = pauses(heard)
    span = speaking_span(heard)
    assert span is not None
    at_250 = pause_measures(found, span)
    assert (at_250.threshold_s, at_250.over_s, at_250.count) == (0.25, 6.0, 2)
    assert at_250.per_min == pytest.approx(20.0)
    assert at_250.share == pytest.approx(0.7 / 6.0)
    assert (at_250.mean_s, at_250.median_s, at_250.longest_s) == pytest.approx((0.35, 0.35, 0.4))
    assert pause_measures(found, span, threshold_s=0.2).count == 3
    assert pause_measures(found, span, threshold_s=0.35).count == 1


def test_the_places_are_counted() -> None:
    heard = states("s50 .30 s50 .30 s50 .30 s50")
    words = [word(str(i), 800 * i, 800 * i + 500) for i in range(4)]
    measured = pause_measures(pauses(heard, words, (), {1}), speaking_span(heard, words))
    assert (measured.count, measured.count_within_clause, measured.count_between_clauses) == (3, 2, 1)


def test_without_pauses_or_time_a_measure_is_missing_not_zero() -> None:
    none = pause_measures((), Span(0, RATE_HZ))
    assert (none.count, none.per_min, none.share) == (0, 0.0, 0.0)
    assert (none.mean_s, none.median_s, none.longest_s) == (None, None, None)
    nothing = pause_measures((), None)
    assert (nothing.per_min, nothing.share) == (None, None)


def test_lost_audio_is_no_time_of_the_speaker() -> None:
    heard = states("x30 s100 .50 x50 s50 x40")
    span = speaking_span(heard)
    assert lost_samples(heard, span) == 50 * HOP
    assert pause_measures(pauses(heard), span, lost_samples(heard, span)).share == pytest.approx(0.25)


def test_filled_pauses_are_not_counted_as_silent() -> None:
    heard = states("s50 .30 s40 .30 s50")
    found = pauses(heard, (), [um(800, 1200), um(0, 100), um(1900, 2000)])
    assert len(at_least(found, kind="filled")) == 1
    assert pause_measures(found, speaking_span(heard)).count == 2


def test_silences_are_the_raw_runs() -> None:
    assert silences(states(".10 s1 .9 x1 .30")) == [Span(0, 1600), Span(21 * HOP, 51 * HOP)]
