"""A live window in, words out: what is decoded, what of it is believed, and where each word lies."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from recognition.belief import AUDIBLE, believed, moved, with_fillers
from recognition.mending import mended
from recognition.second_opinion import second_opinion
from recognition.whisper import Decoded, Encoded, Piece, Recogniser
from speech.agreement import EDGE_S
from speech.audio import RATE_HZ, Span
from speech.loops import before_loop, repetitive
from speech.words import Word
from stream_pipeline.asking import Answer, Ask

# What a window is padded to: the shortest of these that leaves _TAIL after its sound. 10 s are as exact as 30 on windows cut anywhere, and
# cost a ninth; at 8 s the recogniser does not know where to stop and adds words.
_LENGTHS = tuple(seconds * RATE_HZ for seconds in (10, 11, 12, 13, 14, 15, 18, 30))
_TAIL = 3 * RATE_HZ
# Mean log probabilities per token: above the first the text is in the language of the sound; below the second a beam finds a better one;
# below the third it hardly says what was said.
_OUT_OF_QUESTION, _DOUBTFUL, _UNLIKELY = -0.25, -0.6, -0.9
# Log odds of another language by the probability of the session's, and by that of the text; from synthetic speech in eight languages
# against that of learners of English, whose accent is the hard case.
_BY_SOUND = ((0.3, -0.85), (0.1, -0.2), (0.05, 0.5), (0.0, 1.35))
_UNLIKELY_TEXT, _LIKELY_TEXT = 0.5, -0.55
_SURELY = 1.25  # one window is enough
_CUT = round(EDGE_S * RATE_HZ)


def recognise(recogniser: Recogniser, asks: Sequence[Ask]) -> list[Answer]:
    """What was said in each window: decoded greedily, without context; where that leaves doubts with a beam, and in parts.

    A window gives the same alone and in company. Raises ValueError for one longer than 30 s, and RuntimeError where CTranslate2 fails.
    """
    answers: dict[int, Answer] = {}
    together: dict[tuple[int, str], list[tuple[int, Encoded, float]]] = defaultdict(list)
    for i, ask in enumerate(asks):
        if not ask.pcm.size or ask.probability.max(initial=0.0) < AUDIBLE:  # no word would be believed
            answers[i] = Answer((), ask.language or "", 1.0 if ask.language else 0.0)
            continue
        padded = _padded(ask.pcm.size)
        encoded = recogniser.encode([ask.pcm], padded)
        language, certain = (ask.language, 1.0) if ask.language else _language(recogniser, encoded)
        together[padded, language].append((i, encoded, certain))
    for (_, language), windows in together.items():
        batch = Encoded(np.concatenate([one.states for _, one, _ in windows]), tuple(asks[i].pcm.size for i, _, _ in windows))
        for decoded, (i, encoded, certain) in zip(recogniser.decode_greedily(batch, language), windows, strict=True):
            answers[i] = _answer(recogniser, asks[i], encoded, decoded, language, certain)
    return [answers[i] for i in range(len(asks))]


def _padded(samples: int) -> int:
    if samples > _LENGTHS[-1]:
        raise ValueError(f"a window of {samples} samples")
    return next((length for length in _LENGTHS if length >= samples + _TAIL), _LENGTHS[-1])


def _language(recogniser: Recogniser, encoded: Encoded) -> tuple[str, float]:
    found = recogniser.languages(encoded)[0]
    best = max(found, key=lambda name: found[name])
    return best, found[best]


def _answer(recogniser: Recogniser, ask: Ask, encoded: Encoded, decoded: Decoded, language: str, certain: float) -> Answer:
    if not decoded.tokens:
        return Answer((), language, certain)
    foreign = _foreign(recogniser, encoded, decoded, language)
    if foreign >= _SURELY:
        return Answer((), language, certain, foreign)
    span = Span(ask.window.start, ask.window.end)
    words: list[Word] = []
    pieces = [_piece(recogniser, span, encoded, decoded, language)]
    if foreign <= 0.0:
        alone = partial(_alone, recogniser, ask, language)
        pieces = mended(pieces[0], alone, ask.probability, ask.silences, ask.probability_start)
    for piece in pieces:
        sure = believed(piece, ask.probability, ask.silences, ask.probability_start)
        words += with_fillers(sure, _fillers(recogniser, ask, piece, sure) if sure and language == "en" else [])
    return Answer(tuple(words), language, certain, foreign)


def _foreign(recogniser: Recogniser, encoded: Encoded, decoded: Decoded, language: str) -> float:
    # The log odds that this is another language, a television or a caller, halved, since windows share most of their sound.
    if decoded.log_probability >= _OUT_OF_QUESTION and not repetitive(recogniser.text(decoded.tokens)):
        return -_SURELY
    likely = recogniser.languages(encoded)[0].get(language, 0.0)
    by_sound = next(odds for least, odds in _BY_SOUND if likely >= least)
    return by_sound + (_UNLIKELY_TEXT if decoded.log_probability < _UNLIKELY else _LIKELY_TEXT)


def _piece(recogniser: Recogniser, span: Span, encoded: Encoded, decoded: Decoded, language: str) -> Piece:
    if decoded.log_probability < _DOUBTFUL:
        decoded = recogniser.search(encoded, language)[0]
    placed = moved(recogniser.place(encoded, [decoded], language)[0], span.start)
    return Piece(span, encoded, 0, decoded, placed[: len(before_loop([p.word for p in placed]))])


def _alone(recogniser: Recogniser, ask: Ask, language: str, span: Span) -> Piece:
    pcm = ask.pcm[span.start - ask.window.start : span.end - ask.window.start]
    encoded = recogniser.encode([pcm], _padded(pcm.size))
    return _piece(recogniser, span, encoded, recogniser.decode_greedily(encoded, language)[0], language)


def _fillers(recogniser: Recogniser, ask: Ask, piece: Piece, words: dict[int, Word]) -> list[tuple[int, Word]]:
    written = [word for word in words.values() if word.kind == "filler"]
    cut = not ask.window.final and piece.span.end == ask.window.end  # what the end cuts is not held: it is half a word
    whole = replace(piece, span=replace(piece.span, end=piece.span.end - _CUT)) if cut else piece
    return second_opinion(recogniser, whole, written, ask.held, ask.silences)
