"""Windows that Whisper gave no good account of, tried again in parts. For live and batch alike."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from recognition.whisper import Piece
from speech.audio import RATE_HZ, Floats, Span, seconds
from speech.loops import repetitive
from speech.windows import halves, uncovered

_AGAIN = round(0.8 * RATE_HZ)  # speech without words that is worth a second decoding
_PART = RATE_HZ  # the shortest part of a window that is tried again on its own
_LEAST_PAUSE = round(0.15 * RATE_HZ)
_UNLIKELY = -1.0  # mean log probability per token below which a window is tried in two parts (Radford et al. 2022)


def mended(piece: Piece, alone: Callable[[Span], Piece], probability: Floats, silences: Sequence[Span], first: int = 0) -> list[Piece]:
    """The window, or what it is better taken apart into.

    A window that loops, is unlikely or leaves speech without words is tried in two parts, parted by its longest pause. Whisper ends early
    where it takes a pause for the end of what was said; with less to say it does not. alone: recognises a part. probability: of speech per
    512 samples from sample `first` on. silences: at least 60 ms each, in order, on the clock of the piece.
    """
    trouble = _trouble(piece, probability, first)
    if not trouble or piece.span.end - piece.span.start < 2 * _PART:
        return [piece]
    at = _pause(piece.span, probability, silences, first)
    halved = (Span(piece.span.start, at), Span(at, piece.span.end))
    parts = [part for span in halved for part in mended(alone(span), alone, probability, silences, first)]
    return parts if sum(_trouble(part, probability, first) for part in parts) < trouble else [piece]


def _trouble(piece: Piece, probability: Floats, first: int) -> float:
    # Seconds of a window that there is no good account of: all of it where the text loops or is unlikely, else speech without words.
    words = [p.word for p in piece.placed]
    if repetitive(" ".join(word.text for word in words)) or piece.decoded.log_probability < _UNLIKELY:
        return seconds(piece.span.end - piece.span.start)
    moved = [replace(word, start=word.start - first, end=word.end - first) for word in words]
    gaps = uncovered(_from(piece.span, first), moved, probability, _AGAIN)
    return sum(seconds(gap.end - gap.start) for gap in gaps)


def _pause(span: Span, probability: Floats, silences: Sequence[Span], first: int) -> int:
    # The middle of the longest silence that leaves both sides something to say, or where speech is least likely.
    inside = [s for s in silences if s.start > span.start + _PART and s.end < span.end - _PART and s.end - s.start >= _LEAST_PAUSE]
    if not inside:
        return first + halves(_from(span, first), probability, (span.end - span.start) * 2 // 3)[0].end
    longest_silence = max(inside, key=lambda s: s.end - s.start)
    return (longest_silence.start + longest_silence.end) // 2


def _from(span: Span, first: int) -> Span:
    return Span(span.start - first, span.end - first)
