"""Pitch over time: planted tracks whose median, span, variation and phrase ends are known in closed form."""

import math

import numpy as np
import pytest

from speech.analysis import Pause, PauseKind
from speech.audio import HOP, RATE_HZ, Floats
from speech.intonation import (
    WINDOW_HOPS,
    falling_share,
    median_hz,
    pvq,
    rising_share,
    sd_st,
    span_st,
    terminal_contours_st,
)


def even_st(lowest_hz: float, width_st: float, hops: int = WINDOW_HOPS, seed: int = 0) -> Floats:
    """Every pitch from the lowest to `width_st` above it once, evenly in semitones, in any order."""
    st = np.linspace(0.0, width_st, hops)
    return np.random.default_rng(seed).permutation(lowest_hz * 2 ** (st / 12)).astype(np.float32)


def gappy(f0_hz: Floats) -> Floats:
    """The same values with an unvoiced hop after each."""
    out = np.full(2 * f0_hz.size, np.nan, np.float32)
    out[::2] = f0_hz
    return out


def test_the_median_is_that_of_the_voiced_hops() -> None:
    track = even_st(100.0, 12.0)
    assert median_hz(track) == pytest.approx(100 * 2**0.5, rel=1e-3)
    assert median_hz(gappy(track)) == median_hz(track)


def test_the_span_is_eighty_percent_of_an_even_track() -> None:
    assert span_st(even_st(100.0, 12.0)) == pytest.approx(0.8 * 12.0, abs=0.02)
    assert span_st(even_st(230.0, 5.0)) == pytest.approx(0.8 * 5.0, abs=0.02)  # in semitones, the register is nothing


def test_the_deviation_is_that_of_the_middle_ninety_percent() -> None:
    assert sd_st(even_st(100.0, 12.0)) == pytest.approx(0.9 * 12.0 / math.sqrt(12), abs=0.02)


def test_the_quotient_is_deviation_over_mean_in_hertz() -> None:
    hz = np.random.default_rng(1).permutation(np.linspace(100.0, 200.0, WINDOW_HOPS)).astype(np.float32)
    assert pvq(hz) == pytest.approx(0.9 * 100 / math.sqrt(12) / 150, abs=1e-3)
    assert pvq(2 * hz) == pytest.approx(pvq(hz), abs=1e-5)


def test_a_monotone_has_no_span() -> None:
    flat = np.full(WINDOW_HOPS, 120.0, np.float32)
    assert median_hz(flat) == pytest.approx(120.0)
    assert [span_st(flat), sd_st(flat), pvq(flat)] == [pytest.approx(0.0, abs=1e-5)] * 3


def test_a_change_of_register_between_windows_is_no_liveliness() -> None:
    two = np.concatenate((even_st(100.0, 4.0), even_st(200.0, 8.0)))
    assert span_st(two) == pytest.approx(0.8 * (4.0 + 8.0) / 2, abs=0.02)
    assert sd_st(two) == pytest.approx(0.9 * (4.0 + 8.0) / 2 / math.sqrt(12), abs=0.02)


def test_octave_errors_do_not_widen_the_span() -> None:
    track = even_st(100.0, 6.0)
    wrong = track.copy()
    wrong[:: WINDOW_HOPS // 30] *= 2  # 3 % of the hops
    assert np.ptp(12 * np.log2(wrong)) > 17.0  # what a plain range would say
    assert span_st(wrong) == pytest.approx(span_st(track), abs=0.4)
    assert sd_st(wrong) == pytest.approx(sd_st(track), abs=0.2)


def test_unvoiced_hops_say_nothing() -> None:
    track = even_st(100.0, 12.0, WINDOW_HOPS // 2)
    assert [f(gappy(track)) for f in (span_st, sd_st, pvq)] == [f(track) for f in (span_st, sd_st, pvq)]


@pytest.mark.parametrize("measure", [median_hz, span_st, sd_st, pvq])
def test_a_second_of_voice_is_the_least(measure: object) -> None:
    assert callable(measure)
    track = np.full(WINDOW_HOPS, np.nan, np.float32)
    assert measure(np.empty(0, np.float32)) is None
    assert measure(track) is None
    track[:99] = 120.0
    assert measure(track) is None
    track[99] = 120.0
    assert type(measure(track)) is float


def test_a_window_with_too_little_voice_is_left_out() -> None:
    short = np.full(WINDOW_HOPS, np.nan, np.float32)
    short[:99] = even_st(50.0, 30.0, 99)
    assert span_st(np.concatenate((even_st(100.0, 4.0), short))) == pytest.approx(0.8 * 4.0, abs=0.02)


# phrase ends


def phrase(movement_st: float, voiced: int = 30) -> Floats:
    """A second whose last `voiced` hops move evenly; what comes before them goes the other way and is not to matter."""
    before = 150 * 2 ** (np.linspace(movement_st, 0.0, 100 - 30) / 12)
    end = 150 * 2 ** (np.linspace(0.0, movement_st, 30) / 12)
    end[: 30 - voiced] = np.nan
    return np.concatenate((before, end)).astype(np.float32)


def phrases(movements_st: list[float], voiced: int = 30, pause_s: float = 0.5, kind: PauseKind = "silent") -> tuple[Floats, list[Pause]]:
    silence = np.full(round(pause_s * RATE_HZ) // HOP, np.nan, np.float32)
    track = np.concatenate([part for movement in movements_st for part in (phrase(movement, voiced), silence)])
    starts = [(100 + i * (100 + silence.size)) * HOP for i in range(len(movements_st))]
    return track, [Pause(at, at + silence.size * HOP, kind, "unknown") for at in starts]


def test_phrase_ends_rise_and_fall_as_planted() -> None:
    assert terminal_contours_st(*phrases([4.0, -6.0, 0.0])) == pytest.approx([4.0, -6.0, 0.0], abs=0.01)


def test_what_is_voiced_of_an_end_is_what_counts() -> None:
    assert terminal_contours_st(*phrases([6.0], voiced=15)) == pytest.approx([6.0 * 14 / 29], abs=0.01)
    assert terminal_contours_st(*phrases([6.0], voiced=10)) == pytest.approx([6.0 * 9 / 29], abs=0.01)
    assert terminal_contours_st(*phrases([6.0], voiced=9)) == []


def test_only_silent_pauses_of_a_quarter_second_end_a_phrase() -> None:
    assert len(terminal_contours_st(*phrases([3.0], pause_s=0.25))) == 1
    assert terminal_contours_st(*phrases([3.0], pause_s=0.24)) == []
    assert terminal_contours_st(*phrases([3.0], kind="filled")) == []


def test_a_pause_at_the_very_beginning_ends_nothing() -> None:
    assert terminal_contours_st(phrase(3.0), [Pause(0, RATE_HZ, "silent", "unknown")]) == []


def test_the_shares_count_movements_of_two_semitones() -> None:
    contours = [2.0, 1.99, -2.0, -1.99, -7.0]
    assert rising_share(contours) == pytest.approx(1 / 5)
    assert falling_share(contours) == pytest.approx(2 / 5)
    assert rising_share(contours[:4]) is None
    assert falling_share(contours[:4]) is None
