"""Which stretches of a recording to recognise, and whether what came back covers what was said. Spans are samples at 16 kHz."""

from collections.abc import Sequence

import numpy as np

from speech.audio import RATE_HZ, Floats, Span
from speech.words import Word

JUDGE_WINDOW = 512  # samples per speech probability
_SPEECH = 0.2  # probability that makes a stretch: a missed word costs more than a decoded breath, and the recogniser has its own doubts
_MAYBE = 0.1  # probability that carries a stretch on: falsetto and creak hover here
_BRIDGE = round(0.5 * RATE_HZ / JUDGE_WINDOW)  # judgements below _MAYBE that do not end a stretch
_MARGIN = RATE_HZ // 5  # 200 ms around speech: soft onsets and releases lie outside the judge's windows
_JOIN = RATE_HZ  # a shorter silence does not end a stretch: the recogniser uses what was said before
_LONGEST = 26 * RATE_HZ  # with 3 s of padding the recogniser still takes it in one piece (30 s)

# The longest that a word may reasonably last, to tell speech that no word covers from a drawn-out word.
_WORD_S = 0.45
_LETTER_S = 0.09


def stretches(probability: Floats, samples: int) -> list[Span]:
    """Where someone may be speaking, as spans of at most 26 s, cut where speech is least likely.

    probability: (k,) of speech per 512 samples, 0..1. The spans do not overlap and are in order.
    """
    spans: list[Span] = []
    joined: list[tuple[int, int]] = []
    for first, last in _runs(probability >= _MAYBE):
        if joined and first - joined[-1][1] < _BRIDGE:
            first = joined.pop()[0]
        joined.append((first, last))
    for first, last in joined:
        likely = np.flatnonzero(probability[first:last] >= _SPEECH)
        if likely.size < 2:  # one judgement is a click
            continue
        start, end = max(0, first * JUDGE_WINDOW - _MARGIN), min(samples, last * JUDGE_WINDOW + _MARGIN)
        if spans and start - spans[-1].end < _JOIN:
            start = spans.pop().start
        spans.append(Span(start, end))
    return [piece for span in spans for piece in halves(span, probability, _LONGEST)]


def halves(span: Span, probability: Floats, most: int) -> list[Span]:
    """The span in pieces of at most `most` samples, each cut made where speech is least likely in the later half of a piece."""
    pieces = []
    start = span.start
    while span.end - start > most:
        first, last = (start + most // 2) // JUDGE_WINDOW, (start + most) // JUDGE_WINDOW
        around = np.convolve(probability[first:last], np.ones(5) / 5, "same")
        cut = (last - 1 - int(np.argmin(around[::-1]))) * JUDGE_WINDOW + JUDGE_WINDOW // 2
        pieces.append(Span(start, cut))
        start = cut
    pieces.append(Span(start, span.end))
    return pieces


def uncovered(span: Span, words: Sequence[Word], probability: Floats, shortest: int) -> list[Span]:
    """Speech inside `span` that none of its words accounts for, in runs of at least `shortest` samples.

    A word accounts for no more time than its letters can take, so that speech which the aligner spread over a neighbour is found too.
    """
    first, last = span.start // JUDGE_WINDOW, -(-span.end // JUDGE_WINDOW)
    speech = probability[first:last] >= 0.5
    for word in words:
        end = min(word.end, word.start + longest(word))
        speech[max(0, word.start // JUDGE_WINDOW - first) : max(0, -(-end // JUDGE_WINDOW) - first)] = False
    return [
        Span(max(span.start, (first + a) * JUDGE_WINDOW), min(span.end, (first + b) * JUDGE_WINDOW))
        for a, b in _runs(speech)
        if (b - a) * JUDGE_WINDOW >= shortest
    ]


def longest(word: Word) -> int:
    """Samples that a word may reasonably take; what is more is speech that the aligner found no other word for."""
    return round((_WORD_S + _LETTER_S * len(word.text)) * RATE_HZ)


def _runs(flags: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
