"""A talk whose words are planted on real speech, for the live path: the recogniser is replaced by one who knows them."""

from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np

from recognition.vad import speech_probability
from speech.activity import activity
from speech.audio import HOP, RATE_HZ, AudioBlock, Floats, Span, State
from speech.words import Word
from stream_pipeline.asking import Answer, Ask
from tests.samples import recording, samples

_WORD = 35  # hops


@cache
def talk() -> Floats:
    """75 s on the 16-bit grid: 2 s of a quiet room, 44 s of speech, 8 s of the room, 17 s of speech, 4 s of the room."""
    room = np.random.default_rng(3).normal(0, 1e-4, samples(14)).astype(np.float32)
    parts = [room[: samples(2)], recording(), room[samples(2) : samples(10)], recording()[: samples(16.9)], room[samples(10) :]]
    return np.asarray(np.round(np.concatenate(parts) * 32768) / 32768, np.float32)


@cache
def words() -> tuple[Word, ...]:
    """A word for each 0.35 s of unbroken speech; what is left of it is one, too."""
    speech = activity(talk(), speech_probability(talk())) == State.SPEECH
    edges = np.flatnonzero(np.diff(speech.astype(np.int8), prepend=0, append=0)).reshape(-1, 2).tolist()
    starts = [(at, min(at + _WORD, last)) for first, last in edges for at in range(first, last, _WORD) if last - at >= 10 or at == first]
    return tuple(Word(f"word{i}", a * HOP, b * HOP, 0.9) for i, (a, b) in enumerate(starts) if b - a >= 10)


def answer(ask: Ask) -> Answer:
    """The words that lie in the window."""
    window = ask.window
    return Answer(tuple(w for w in words() if w.start >= window.start and w.end <= window.end), "en", 0.99)


def blocks(pcm: Floats, lost: Sequence[Span] = ()) -> Iterator[AudioBlock]:
    """The sound as it comes in, without what is lost; that is in whole blocks."""
    missing = 0
    for start in range(0, pcm.size // 320 * 320, 320):
        if any(span.start <= start < span.end for span in lost):
            missing += 320
            continue
        yield AudioBlock("talk", start, pcm[start : start + 320], missing, start / RATE_HZ)
        missing = 0
