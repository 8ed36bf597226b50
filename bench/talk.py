"""A talk to speak into a live session: read speech of several speakers with natural pauses, and when its words end, where that is known."""

import itertools
import math
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from bench import corpus
from bench.corpus import Timed
from bench.pauses import FILLS, fill
from speech.audio import RATE_HZ, Floats

PAUSES_S = (0.3, 1.6)  # between two utterances, uniform
BEFORE_S, AFTER_S = 1.0, 2.0  # of quiet, so that the first and the last word stand free


@dataclass(frozen=True, slots=True, eq=False)
class Talk:
    """What is said, and when."""

    pcm: Floats  # 16 kHz
    words: tuple[Timed, ...]  # in order; times are NaN where no alignment gives them

    @property
    def text(self) -> str:
        """The reference."""
        return " ".join(word.text for word in self.words)

    @property
    def length_s(self) -> float:
        """Of the sound."""
        return self.pcm.size / RATE_HZ


def talk(length_s: float, seed: int) -> Talk:
    """A talk of at least `length_s`: in turns an utterance with known word times (one reader) and one of four other readers without.

    Each seed has its own order and pauses; an utterance comes again only after all others of its kind. The same seed gives the same talk.
    """
    rng = np.random.default_rng(seed)
    timed, others = _timed(), _untimed()
    parts = [np.zeros(round(BEFORE_S * RATE_HZ), np.float32)]
    words: list[Timed] = []
    at = parts[0].size
    for number in itertools.count():
        if number % (2 * len(timed)) == 0:
            mine = rng.permutation(len(timed))
        if number % (2 * len(others)) == 0:
            theirs = rng.permutation(len(others))
        turn = number // 2
        pcm, said = others[theirs[turn % len(others)]] if number % 2 else timed[mine[turn % len(timed)]]
        words += [Timed(word.text, word.start_s + at / RATE_HZ, word.end_s + at / RATE_HZ) for word in said]
        at += pcm.size
        done = at >= (length_s - AFTER_S) * RATE_HZ
        pause = fill(FILLS[int(rng.integers(1, 3))], pcm, round((AFTER_S if done else rng.uniform(*PAUSES_S)) * RATE_HZ), rng)
        parts += [pcm, pause]
        at += pause.size
        if done:
            return Talk(np.concatenate(parts), tuple(words))
    raise AssertionError  # count() has no end


@cache
def _timed() -> Sequence[tuple[Floats, Sequence[Timed]]]:
    return [(corpus.sound(utterance.path), words) for utterance, words in corpus.word_aligned()]


@cache
def _untimed() -> Sequence[tuple[Floats, Sequence[Timed]]]:
    return [(corpus.sound(u.path), [Timed(text, math.nan, math.nan) for text in u.text.lower().split()]) for u in corpus.librispeech()]


def write_wav(path: Path, pcm: Floats) -> None:
    """16 bits, mono, 16 kHz."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(np.asarray(np.round(np.clip(pcm, -1, 1) * 32767), "<i2").tobytes())


def read_wav(path: Path) -> Floats:
    """What `write_wav` wrote."""
    with wave.open(str(path), "rb") as file:
        return np.asarray(np.frombuffer(file.readframes(file.getnframes()), "<i2") / np.float32(32768), np.float32)
