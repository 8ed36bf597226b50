"""Filled pauses that the recogniser left out: where the sound is held, how probable is an um as the next word?

Whisper drops most of them. A prompt full of them brings many back, but costs words on fluent reading and may loop. So its text stays as it
is, and only the probability of one more token is asked for, at the few places where the signal gives reason to ask.
"""

import bisect
from collections.abc import Sequence

from recognition.whisper import Piece, Recogniser
from speech.audio import RATE_HZ, Span
from speech.edges import Placed
from speech.windows import longest
from speech.words import Word

_LETTERS = round(0.12 * RATE_HZ)  # what two letters at the edge of a word usually take
_HELD = round(0.35 * RATE_HZ)  # how long a sound between two words is before it may be an um
_EDGE = RATE_HZ // 4
_CONTEXT = 3 * RATE_HZ  # before a possible um that the recogniser looks at, and _AFTER it: all of a window costs three times as much
_AFTER = round(1.5 * RATE_HZ)
_FILLER_PROBABILITY = 0.17  # of a filled pause as the next word where a word edge is drawn out; elsewhere it is below 0.01
_INSIDE_PROBABILITY = 0.35  # where the sound belongs to a word as it is aligned: more likely a drawn-out vowel
_HELD_PROBABILITY = 0.06  # where a sound is held, which is evidence of its own


def second_opinion(
    recogniser: Recogniser, piece: Piece, written: Sequence[Word], held: Sequence[Span], silences: Sequence[Span]
) -> list[tuple[int, Word]]:
    """The filled pauses of an English window that its text lacks, in order, each with the number of the word that it stands before.

    written: the fillers that the text has. held: held sounds of the recording, from `speech.filled_pauses`. silences: its silences.
    """
    best: dict[Span, tuple[int, Word]] = {}
    for gap, span in _places(piece, written, held, silences).items():
        word = _asked(recogniser, piece, gap, span)
        enough = _FILLER_PROBABILITY
        if _inside(piece.placed, span):
            enough = _INSIDE_PROBABILITY
        elif span in held:
            enough = _HELD_PROBABILITY
        if word.probability >= enough and (span not in best or word.probability > best[span][1].probability):
            best[span] = gap, word
    kept: list[tuple[int, Word]] = []
    for gap, word in sorted(best.values(), key=lambda found: -found[1].probability):  # one sound may have been found twice
        if all(word.end <= other.start or word.start >= other.end for _, other in kept):
            kept.append((gap, word))
    return sorted(kept, key=lambda found: found[1].start)


def _places(piece: Piece, written: Sequence[Word], held: Sequence[Span], silences: Sequence[Span]) -> dict[int, Span]:
    # Number of a word -> the longest held sound that may be an um before it.
    places: dict[int, Span] = {}
    for span in [*held, *_stretched(piece, silences)]:
        if span.start < piece.span.start or span.end > piece.span.end:
            continue
        if any(w.start < span.end and w.end > span.start for w in written):
            continue
        middle = (span.start + span.end) // 2
        for gap in (span in held and _near(piece.placed, span)) or _gaps(piece.placed, middle):
            if gap not in places or span.end - span.start > places[gap].end - places[gap].start:
                places[gap] = span
    return places


def _asked(recogniser: Recogniser, piece: Piece, gap: int, span: Span) -> Word:
    # The most probable filled pause before word `gap`, from the sound and the words of the last seconds.
    first = sum(p.word.start < span.start - _CONTEXT for p in piece.placed[:gap])
    before = recogniser.tokens_of(piece.decoded.tokens, first, gap)
    begin = piece.placed[first].word.start if 0 < first < gap else max(piece.span.start, span.start - _CONTEXT)
    around = Span(begin - piece.span.start, min(span.end + _AFTER, piece.span.end) - piece.span.start)
    likely = recogniser.filler_probability(piece.encoded, piece.row, around, before)
    name = max(likely, key=lambda n: likely[n])
    return Word(name, span.start, span.end, min(1.0, likely[name]), "filler")


def _stretched(piece: Piece, silences: Sequence[Span]) -> list[Span]:
    # Sound at a word edge that lasts longer than the letters on both sides of it account for.
    ends = [piece.span.start, *(p.last_begun + _LETTERS for p in piece.placed)]
    starts = [*(p.first_done - _LETTERS for p in piece.placed), piece.span.end]
    out = []
    for start, end in zip(ends, starts, strict=True):
        first = bisect.bisect_right(silences, start, key=lambda s: s.end)
        while start < end:
            silence = silences[first] if first < len(silences) and silences[first].start < end else Span(end, end)
            if silence.start - start >= _HELD:
                out.append(Span(start, silence.start))
            start = silence.end
            first += 1
    return out


def _gaps(placed: Sequence[Placed], at: int) -> tuple[int, ...]:
    # Before which words the sound at `at` may lie; nowhere inside a word of ordinary length. An um that the text lacks is spread over the
    # end of the word before it or the start of the word after it.
    for i, p in enumerate(placed):
        if at < p.word.end and at >= p.word.start and p.word.end - p.word.start > longest(p.word):
            return (i, i + 1)
        if at < p.first_done:
            return (i,)
        if at < p.last_begun:
            return ()
    return (len(placed),)


def _near(placed: Sequence[Placed], span: Span) -> list[int]:
    # Before which words a held sound may lie: the word edges in it or within 250 ms of it, at most three; one where it is inside a word.
    middle = (span.start + span.end) // 2
    edges = [(p.word.start, i) for i, p in enumerate(placed)] + ([(placed[-1].word.end, len(placed))] if placed else [])
    close = [(abs(at - middle), i) for at, i in edges if span.start - _EDGE <= at <= span.end + _EDGE]
    return [i for _, i in sorted(close)[: 1 if _inside(placed, span) else 3]]


def _inside(placed: Sequence[Placed], span: Span) -> bool:
    middle = (span.start + span.end) // 2
    return any(p.first_done <= middle < p.word.end and p.word.end - p.word.start <= longest(p.word) for p in placed)
