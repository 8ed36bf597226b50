"""A live window in, words out: what is decoded, what of it is believed, and where each word lies."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from recognition.belief import AUDIBLE, believed, moved, with_fillers
from recognition.second_opinion import second_opinion
from recognition.whisper import Decoded, Encoded, Piece, Recogniser
from speech.agreement import EDGE_S
from speech.audio import RATE_HZ, Span
from speech.loops import before_loop, repetitive
from speech.words import Word
from stream_pipeline.asking import Answer, Ask

# What a window is padded to: the shortest of these that leaves _TAIL after its sound. 10 s are as exact as 30 on windows cut anywhere, and
# cost a ninth; at 8 s the recogniser does not know where to stop and adds words.
_LENGTHS = tuple(seconds * RATE_HZ for seconds in (10, 12, 15, 20, 30))
_TAIL = 3 * RATE_HZ
_DOUBTFUL = -0.4  # mean log probability per token below which a window may be in another language, and a final one is searched
_FOREIGN = 10  # times the probability of the session's language makes another one that
_CUT = round(EDGE_S * RATE_HZ)


def recognise(recogniser: Recogniser, asks: Sequence[Ask]) -> list[Answer]:
    """What was said in each window: decoded greedily, without context. A window gives the same alone and in company.

    Raises ValueError for one longer than 30 s, and RuntimeError where CTranslate2 fails.
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
    if decoded.log_probability < _DOUBTFUL or repetitive(recogniser.text(decoded.tokens)):
        likely = recogniser.languages(encoded)[0]
        if max(likely.values()) >= _FOREIGN * likely.get(language, 0.0):  # someone else: a television, a caller
            return Answer((), language, certain)
        if ask.window.final:  # the last word on it
            decoded = recogniser.search(encoded, language)[0]
    span = Span(ask.window.start, ask.window.end)
    placed = moved(recogniser.place(encoded, [decoded], language)[0], span.start)
    piece = Piece(span, encoded, 0, decoded, placed[: len(before_loop([p.word for p in placed]))])
    words = believed(piece, ask.probability, ask.silences, ask.probability_start)
    fillers: list[tuple[int, Word]] = []
    if words and language == "en":
        written = [word for word in words.values() if word.kind == "filler"]
        whole = span if ask.window.final else replace(span, end=span.end - _CUT)  # what the end cuts is not held: it is half a word
        fillers = second_opinion(recogniser, replace(piece, span=whole), written, ask.held, ask.silences)
    return Answer(tuple(with_fillers(words, fillers)), language, certain)
