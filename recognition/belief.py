"""What there is reason to believe of what a recogniser wrote, for live and batch alike."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from recognition.whisper import Piece
from speech.audio import Floats, Span
from speech.edges import Placed, refine
from speech.filled_pauses import is_filled_pause
from speech.loops import repetitive
from speech.windows import JUDGE_WINDOW
from speech.words import Word

AUDIBLE = 0.1  # probability of speech without which no word is believed
_SILENT = 0.6  # no-speech probability (in clear speech below 0.1) above which words must be ...
_SURE = -0.5  # ... at least this likely, mean log probability per token
_STOCK = frozenset(
    [
        "thank you",
        "thanks",
        "thanks for watching",
        "thank you for watching",
        "thank you very much",
        "please subscribe",
        "bye",
        "bye bye",
        "you",
        "okay",
        "the end",
        "subtitles by the amara org community",
        "thank you so much for watching",
        "see you next time",
        "i'll see you next time",
    ]
)  # what Whisper writes where nobody speaks, from its training on subtitles
_STOCK_SURE = 0.5  # a stock phrase is kept from this mean word probability
_FILLER_SURE = 0.1  # probability of an um that the recogniser wrote itself: below, it is a syllable that it could not make out


def believed(piece: Piece, probability: Floats, silences: Sequence[Span], first: int = 0) -> dict[int, Word]:
    """The words of a window that there is reason to believe, by their number in it, with their edges on the signal.

    probability: of speech per 512 samples from sample `first` on. silences: at least 60 ms each, in order, on the clock of the piece.
    """
    words = refine(piece.placed, silences)
    text = "".join(c for c in " ".join(w.text for w in words).lower() if c.isalpha() or c in " '").strip()
    likely = float(np.mean([w.probability for w in words])) if words else 0.0
    unheard = piece.decoded.no_speech > _SILENT and piece.decoded.log_probability < _SURE
    if unheard or repetitive(" ".join(w.text for w in words)) or (text in _STOCK and likely < _STOCK_SURE):
        return {}
    return {i: _named(word) for i, word in enumerate(words) if _spoken(word, probability, first)}


def with_fillers(words: dict[int, Word], fillers: Sequence[tuple[int, Word]]) -> list[Word]:
    """The fillers among the words, which give way. A filler comes with the number of the word that it stands before."""
    out = dict(words)
    for gap, filler in fillers:
        for i, word in out.items():
            out[i] = replace(word, end=min(word.end, filler.start)) if i < gap else replace(word, start=max(word.start, filler.end))
    return sorted([*out.values(), *(filler for _, filler in fillers)], key=lambda word: (word.start, word.end))


def moved(placed: Sequence[Placed], by: int) -> tuple[Placed, ...]:
    """The same words `by` samples later."""
    return tuple(
        Placed(replace(p.word, start=p.word.start + by, end=p.word.end + by), p.first_done + by, p.last_begun + by) for p in placed
    )


def _spoken(word: Word, probability: Floats, first: int) -> bool:
    around = probability[max(0, (word.start - first) // JUDGE_WINDOW - 3) : max(0, (word.end - first) // JUDGE_WINDOW + 4)]
    return bool(around.size and around.max() >= AUDIBLE)


def _named(word: Word) -> Word:
    # An um that the recogniser wrote itself is called one where it is sure enough.
    return replace(word, kind="filler") if is_filled_pause(word.text) and word.probability >= _FILLER_SURE else word
