"""Word edges: the recogniser's alignment, corrected by the silences that the signal shows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from speech.audio import HOP, Span
from speech.words import Word

_SILENCE = 6 * HOP  # 60 ms: a shorter dip is as likely a stop's closure, which belongs to its word
_SHORTEST = 2 * HOP  # no word is shorter than this


@dataclass(frozen=True, slots=True)
class Placed:
    """A word as it was aligned, with the times inside it that bound where its edges can be."""

    word: Word
    first_done: int  # sample where its first sounds were over
    last_begun: int  # sample where its last sounds began


def refine(placed: Sequence[Placed], silences: Sequence[Span]) -> tuple[Word, ...]:
    """The words in order with edges moved to where sound stops and starts.

    Alignment by attention leaves no gaps: the end of a word is the start of the next, wherever between them the pause was. Between the last
    sounds of one word and the first of the next the longest silence (>= 60 ms) is taken out; without one the aligned edge stays.
    Words never overlap and none is empty. silences: in order, from `speech.pauses.silences` or finer.
    """
    words = [p.word for p in placed]
    if not words:
        return ()
    at = 0
    for i in range(len(words) + 1):
        left = placed[i - 1] if i else None
        right = placed[i] if i < len(words) else None
        lo = left.last_begun if left else placed[0].word.start - 1
        hi = right.first_done if right else words[-1].end
        while at < len(silences) and silences[at].end <= lo:
            at += 1
        best = None
        for k in range(at, len(silences)):
            if silences[k].start >= hi:
                break
            silence = silences[k]
            inside = min(silence.end, hi) - max(silence.start, lo)
            fits = (left is None or silence.start > words[i - 1].start + _SHORTEST) and (
                right is None or silence.end < words[i].end - _SHORTEST
            )
            if fits and silence.end - silence.start >= _SILENCE and (best is None or inside > best[0]):
                best = (inside, silence)
        if best is None:
            continue
        if left is not None:
            words[i - 1] = replace(words[i - 1], end=best[1].start)
        if right is not None:
            words[i] = replace(words[i], start=best[1].end)
    return tuple(_ordered(words))


def _ordered(words: list[Word]) -> list[Word]:
    end = 0
    out = []
    for word in words:
        start = max(word.start, end)
        end = max(word.end, start + _SHORTEST)
        out.append(replace(word, start=start, end=end))
    return out
