"""How well the words of a script were said, from what a recogniser makes of them.

A recogniser hears words, not sounds. What it can tell is how probable the script's word is where it was said. It knows what is usual in
English, too: a likely word passes with an accent, and an unusual one may not pass without. Single sounds cannot be had from it: whether a
word that differs in one sound (ship, sheep) is more probable tells learners from native readers no better than chance (docs/metrics.md).
"""

from collections.abc import Sequence
from math import sqrt
from typing import Literal

import numpy as np

from speech.measures import BATCHES, T_QUANTILE

Level = Literal["clear", "unsure", "other", "left_out"]

CLEAR = 0.5  # goodness from which nothing is said of a word
UNSURE = 0.25  # below, a word that was recognised as another is called so
EVENTS = 3.69  # at most, with 97.5 % confidence, where none was seen (exact Poisson)


def goodness(probability: float) -> float:
    """0 to 1, from how probable a word is where it was said: the geometric mean of that over its tokens.

    Its square root, as the mean over a sentence then follows experts' accuracy more closely than that of the probability, of its logarithm
    or of what was recognised as written (bench/pronunciation.py).
    """
    return sqrt(probability)


def level(read: bool, value: float) -> Level:
    """What a word of this goodness is called. read: it was recognised as written."""
    if value >= CLEAR:
        return "clear"
    return "unsure" if read or value >= UNSURE else "other"


def share(flags: Sequence[bool]) -> tuple[float, float | None, float | None]:
    """The share that is true, and its 95 % interval.

    The wider of batch means (speech/measures.py) and, of what is rare, Poisson; None under 50, where five parts say nothing.
    """
    value = float(np.mean(flags))
    if len(flags) < 10 * BATCHES:
        return value, None, None
    parts = [float(np.mean(part)) for part in np.array_split(np.asarray(flags), BATCHES)]
    half = T_QUANTILE * float(np.std(parts, ddof=1)) / BATCHES**0.5
    least = EVENTS / len(flags)
    return value, max(0.0, value - max(half, least)), min(1.0, value + half)
