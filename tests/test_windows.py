"""Which stretches are recognised: planted speech probabilities, and what the spans must hold whatever they are."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speech.audio import RATE_HZ, Floats, Span
from speech.windows import JUDGE_WINDOW, halves, stretches, uncovered
from speech.words import Word

LONGEST = 26 * RATE_HZ
JUDGED_S = JUDGE_WINDOW / RATE_HZ


def likely(length_s: float, *spoken_s: tuple[float, float], p: float = 0.9) -> Floats:
    """Probability p in each of the given stretches, else 0.01."""
    out = np.full(round(length_s / JUDGED_S), 0.01, np.float32)
    for start_s, end_s in spoken_s:
        out[round(start_s / JUDGED_S) : round(end_s / JUDGED_S)] = p
    return out


def seconds_of(spans: list[Span]) -> list[tuple[float, float]]:
    return [(round(s.start / RATE_HZ, 2), round(s.end / RATE_HZ, 2)) for s in spans]


def of(probability: Floats) -> list[Span]:
    return stretches(probability, probability.size * JUDGE_WINDOW)


def test_a_stretch_is_the_speech_and_200_ms_around_it() -> None:
    assert seconds_of(of(likely(20.0, (3.2, 6.4)))) == [(3.0, 6.6)]


def test_silence_and_a_single_click_are_no_stretch() -> None:
    assert of(likely(20.0)) == []
    assert of(likely(20.0, (5.0, 5.0 + JUDGED_S))) == []
    assert of(np.empty(0, np.float32)) == []


def test_a_stretch_stays_inside_the_recording() -> None:
    found = stretches(likely(4.0, (0.0, 4.0)), 4 * RATE_HZ - 100)
    assert found == [Span(0, 4 * RATE_HZ - 100)]


def test_a_short_silence_joins_and_a_long_one_parts() -> None:
    assert len(of(likely(20.0, (3.0, 5.0), (5.9, 8.0)))) == 1
    assert len(of(likely(20.0, (3.0, 5.0), (7.0, 9.0)))) == 2


def test_a_doubtful_middle_does_not_part_a_sentence() -> None:
    probability = likely(20.0, (3.0, 8.0))
    probability[round(4.5 / JUDGED_S) : round(6.5 / JUDGED_S)] = 0.12  # creak
    assert len(of(probability)) == 1
    assert of(likely(20.0, (3.0, 8.0), p=0.12)) == []  # doubtful alone is no speech


def test_a_long_stretch_is_cut_in_its_pauses() -> None:
    probability = likely(60.0, (1.0, 59.0))
    for at_s in (20.0, 38.0):  # breaths, too short to end a stretch
        probability[round(at_s / JUDGED_S) : round((at_s + 0.3) / JUDGED_S)] = 0.02
    found = of(probability)
    assert found[0].start / RATE_HZ == pytest.approx(0.8, abs=JUDGED_S)
    cuts_s = [s.end / RATE_HZ for s in found[:-1]]
    assert cuts_s[0] == pytest.approx(20.15, abs=0.15)
    assert cuts_s[1] == pytest.approx(38.15, abs=0.15)
    assert all(a.end == b.start for a, b in pairwise(found))


def test_halves_leave_a_short_span_alone() -> None:
    probability = likely(20.0, (0.0, 20.0))
    assert halves(Span(160, 320_000), probability, LONGEST) == [Span(160, 320_000)]


def test_halves_cut_where_speech_is_least_likely_in_the_later_half() -> None:
    probability = likely(20.0, (0.0, 20.0))
    probability[round(2.0 / JUDGED_S) : round(2.4 / JUDGED_S)] = 0.0  # in the earlier half: too short a piece
    probability[round(8.0 / JUDGED_S) : round(8.4 / JUDGED_S)] = 0.1
    pieces = halves(Span(0, 12 * RATE_HZ), probability, 10 * RATE_HZ)
    assert len(pieces) == 2
    assert pieces[0].end / RATE_HZ == pytest.approx(8.2, abs=0.15)


@st.composite
def probabilities(draw: st.DrawFn) -> Floats:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(0, 4000))  # up to 128 s
    stay = draw(st.sampled_from([1, 10, 100, 3000]))
    values = rng.choice([0.0, 0.05, 0.15, 0.3, 0.9, 1.0], -(-max(count, 1) // stay), p=draw(st.sampled_from(SHARES)))
    return np.repeat(values, stay)[:count].astype(np.float32)


SHARES = ([1 / 6] * 6, [0.0, 0.0, 0.0, 0.0, 0.5, 0.5], [0.9, 0.0, 0.0, 0.0, 0.0, 0.1], [0.5, 0.2, 0.1, 0.1, 0.1, 0.0])


@settings(max_examples=200, deadline=None)
@given(probabilities(), st.integers(0, JUDGE_WINDOW - 1))
def test_spans_are_in_order_apart_short_enough_and_cover_all_likely_speech(probability: Floats, short: int) -> None:
    samples = max(0, probability.size * JUDGE_WINDOW - short)
    spans = stretches(probability, samples)
    assert all(0 <= s.start < s.end <= samples and s.end - s.start <= LONGEST for s in spans)
    assert all(a.end <= b.start for a, b in pairwise(spans))
    covered = np.zeros(samples, bool)
    for s in spans:
        covered[s.start : s.end] = True
    speech = np.repeat(probability >= 0.2, JUDGE_WINDOW)[:samples]
    runs = np.flatnonzero(np.diff(np.concatenate(([False], probability >= 0.2, [False])).astype(np.int8))).reshape(-1, 2)
    for first, last in runs:
        if last - first >= 2:  # one judgement alone may be a click
            assert covered[first * JUDGE_WINDOW : last * JUDGE_WINDOW].all()
    assert speech.size == samples


@settings(max_examples=100, deadline=None)
@given(probabilities(), st.integers(4, 26))
def test_halves_put_together_are_the_span(probability: Floats, longest_s: int) -> None:
    span = Span(1000, max(1001, probability.size * JUDGE_WINDOW))
    pieces = halves(span, probability, longest_s * RATE_HZ)
    assert (pieces[0].start, pieces[-1].end) == (span.start, span.end)
    assert all(a.end == b.start for a, b in pairwise(pieces))
    assert all(0 < p.end - p.start <= longest_s * RATE_HZ for p in pieces)


# speech that no word covers


def word(text: str, start_s: float, end_s: float) -> Word:
    return Word(text, round(start_s * RATE_HZ), round(end_s * RATE_HZ), 0.9)


WHOLE = Span(0, 20 * RATE_HZ)
LEAST = round(0.8 * RATE_HZ)


def test_speech_under_words_is_covered() -> None:
    words = [word("hello", 2.0 + 0.5 * i, 2.5 + 0.5 * i) for i in range(8)]
    assert uncovered(WHOLE, words, likely(20.0, (2.0, 6.0)), LEAST) == []


def test_speech_after_a_text_that_was_cut_short_is_not() -> None:
    words = [word("hello", 2.0 + 0.5 * i, 2.5 + 0.5 * i) for i in range(8)]
    found = uncovered(WHOLE, words, likely(20.0, (2.0, 12.0)), LEAST)
    assert len(found) == 1
    assert found[0].start / RATE_HZ == pytest.approx(6.0, abs=2 * JUDGED_S)
    assert found[0].end / RATE_HZ == pytest.approx(12.0, abs=2 * JUDGED_S)


def test_a_word_spread_over_its_neighbours_speech_does_not_hide_it() -> None:
    found = uncovered(WHOLE, [word("hello", 2.0, 6.0)], likely(20.0, (2.0, 6.0)), LEAST)
    assert len(found) == 1
    assert found[0].start / RATE_HZ == pytest.approx(2.0 + 0.45 + 5 * 0.09, abs=2 * JUDGED_S)


def test_silence_without_words_is_not_missed_and_neither_is_a_syllable() -> None:
    assert uncovered(WHOLE, [], likely(20.0), LEAST) == []
    assert uncovered(WHOLE, [], likely(20.0, (3.0, 3.7)), LEAST) == []
    assert len(uncovered(WHOLE, [], likely(20.0, (3.0, 3.9)), LEAST)) == 1


def test_only_what_lies_in_the_span_is_asked_for() -> None:
    probability = likely(20.0, (1.0, 19.0))
    inside = Span(5 * RATE_HZ + 7, 9 * RATE_HZ - 7)
    assert uncovered(inside, [], probability, LEAST) == [inside]
