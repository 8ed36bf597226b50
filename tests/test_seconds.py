"""A session second by second: planted words, pauses and losses must be found in their second, and add up."""

import numpy as np
import pytest

from speech.analysis import Filler, Pause
from speech.audio import HOP, RATE_HZ, Frames, Span, State
from speech.measures import Spoken, pause_share, rate_wpm
from speech.seconds import by_second
from speech.words import Word

SECONDS = 12
SAMPLES = SECONDS * RATE_HZ - 4_000  # the last second is cut


def planted(words: bool = True) -> Spoken:
    """Speech from 1 to 11 s at 120 Hz; silent from 3.5 to 5.25 s; lost from 8 to 8.5 s; a word every 0.4 s where there is sound."""
    hops = SAMPLES // HOP
    t_s = (np.arange(hops) + 0.5) * HOP / RATE_HZ
    state = np.where((t_s >= 1) & (t_s < 11), State.SPEECH, State.SILENCE).astype(np.int8)
    state[(t_s >= 3.5) & (t_s < 5.25)] = State.SILENCE
    state[(t_s >= 8) & (t_s < 8.5)] = State.LOST
    f0_hz = np.where(state == State.SPEECH, 120.0, np.nan).astype(np.float32)
    level = np.where(state == State.SPEECH, -20.0, -70.0).astype(np.float32)
    level[state == State.LOST] = np.nan
    at = [s for s in np.arange(1.0, 11.0, 0.4) if not 3.4 <= s < 5.25 and not 7.9 <= s < 8.5]
    said = [Word("word", round(s * RATE_HZ), round((s + 0.3) * RATE_HZ), 0.9) for s in at] if words else []
    return Spoken(
        said,
        [2] * len(said),
        Frames(0, HOP, f0_hz, level, state),
        np.where(np.isnan(level), np.nan, 10 ** (level / 10)).astype(np.float64),
        np.array([round(s * RATE_HZ) for s in at], np.int64),
        [
            Pause(round(3.5 * RATE_HZ), round(5.25 * RATE_HZ), "silent", "unknown"),
            Pause(6 * RATE_HZ, 6 * RATE_HZ + 2000, "silent", "unknown"),
        ],
        [Filler("um", 2 * RATE_HZ, 2 * RATE_HZ + 3000, "filled_pause", "recogniser")] if words else [],
        [],
        [],
        Span(RATE_HZ, 11 * RATE_HZ),
        "en",
    )


def test_what_was_planted_lies_in_its_second() -> None:
    found = by_second(planted(), SAMPLES, recognised=True)
    assert [s.t_s for s in found] == list(range(SECONDS))
    assert [s.pause_s for s in found] == pytest.approx([0, 0, 0, 0.5, 1, 0.25, 0, 0, 0, 0, 0, 0])  # 125 ms are no pause
    assert [s.lost_s for s in found] == pytest.approx([0] * 8 + [0.5] + [0] * 3)
    assert [s.over_s for s in found] == pytest.approx([0] + [1] * 7 + [0.5] + [1, 1, 0])
    assert [s.fillers for s in found] == [0, 0, 1] + [0] * 9
    assert [s.f0_median_hz is None for s in found] == [t in (0, 4, 11) for t in range(SECONDS)]
    assert found[9].level_dbfs == pytest.approx(-20)
    assert found[9].f0_span_st == pytest.approx(0, abs=1e-4)


def test_seconds_add_up_to_the_measures() -> None:
    spoken = planted()
    found = by_second(spoken, SAMPLES, recognised=True)
    whole = Span(RATE_HZ, 11 * RATE_HZ)
    over_s = sum(s.over_s for s in found)
    assert 60 * sum(s.words or 0 for s in found) / over_s == pytest.approx(rate_wpm(spoken, whole))
    assert sum(s.pause_s for s in found) / over_s == pytest.approx(pause_share(spoken, whole))
    assert sum(s.syllables for s in found) == 2 * sum(s.words or 0 for s in found)


def test_before_the_words_are_known_nuclei_count_and_words_are_missing_not_zero() -> None:
    found = by_second(planted(words=False), SAMPLES, recognised=False)
    assert {s.words for s in found} == {None} == {s.fillers for s in found}
    assert sum(s.syllables for s in found) == planted().nuclei.size
