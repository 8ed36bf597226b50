"""Somebody who practises, made from one reading of A Tale of Two Cities: well, and with what a drill is against."""

from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import numpy as np

from speech.audio import RATE_HZ, Floats
from tests.samples import recording, samples

# What is read in the first half minute: with places to breathe, and without.
OPENING = (
    "It was the best of times, / it was the worst of times, / it was the age of wisdom, / it was the age of foolishness, / it "
    "was the epoch of belief, / it was the epoch of incredulity, / it was the season of light, / it was the season of "
    "darkness, / it was the spring of hope, / it was the winter of despair."
)

WAS_S = ((1.3, 1.56), (3.08, 3.26), (5.1, 5.26), (6.76, 6.88), (8.88, 9.02), (10.84, 11.0), (13.56, 13.7), (15.24, 15.38))  # "was"
INSIDE_S = (1.6, 3.3, 5.3, 6.95, 9.1, 11.1, 13.65, 15.45)  # places inside its clauses
PHRASE_S = (10.77, 12.78)  # "it was the epoch of incredulity"


@cache
def reading() -> Floats:
    """The first half minute."""
    return recording()[: samples(30)]


def um(length_s: float = 0.45, hz: float = 110.0) -> Floats:
    """A filled pause: a neutral vowel that fades into an m."""
    at = np.arange(samples(length_s)) / RATE_HZ
    voice = np.zeros(at.size)
    phase = 2 * np.pi * np.cumsum(hz * (1 - 0.05 * at)) / RATE_HZ
    for k in range(1, 30):
        formants = sum(np.exp(-(((k * hz - f) / w) ** 2)) * g for f, w, g in ((600, 120, 1.0), (1200, 150, 0.5), (2500, 200, 0.15)))
        voice += formants * np.sin(k * phase)
    fade = np.minimum(1, np.minimum(at, length_s - at) / 0.05)
    return np.asarray(0.12 * voice / np.abs(voice).max() * fade, np.float32)


def silence(length_s: float) -> Floats:
    """A quiet room."""
    return np.random.default_rng(1).normal(0, 2e-4, samples(length_s)).astype(np.float32)


def spliced(pcm: Floats, places_s: Sequence[float], piece: Floats) -> Floats:
    """The same with a piece put in at each place."""
    cuts = [0, *(samples(at) for at in places_s), pcm.size]
    parts = [pcm[a:b] for a, b in pairwise(cuts)]
    return np.concatenate([part for one in parts[:-1] for part in (one, piece)] + [parts[-1]])


def resynthesised(pcm: Floats, formula: str, speed: float = 1.0) -> Floats:
    """The same at another speed, with another pitch: a formula of Praat in which `self` is the pitch in Hz at `x` seconds."""
    import parselmouth
    from parselmouth.praat import call

    sound = parselmouth.Sound(pcm.astype(np.float64), RATE_HZ)
    manipulation = call(sound, "To Manipulation", 0.01, 75, 400)
    pitch, duration = call(manipulation, "Extract pitch tier"), call(manipulation, "Extract duration tier")
    call(pitch, "Formula", formula)
    call(duration, "Add point", 0.0, 1 / speed)
    call([pitch, manipulation], "Replace pitch tier")
    call([duration, manipulation], "Replace duration tier")
    return np.asarray(call(manipulation, "Get resynthesis (overlap-add)").values[0], np.float32)


def flat(pcm: Floats, speed: float = 1.0) -> Floats:
    """The same with a tenth of its movement of pitch."""
    return resynthesised(pcm, "115 * (self / 115) ^ 0.1", speed)


def wide(pcm: Floats) -> Floats:
    """The same with half as much movement of pitch again."""
    return resynthesised(pcm, "115 * (self / 115) ^ 1.5")


def raised(pcm: Floats, spans_s: Sequence[tuple[float, float]]) -> Floats:
    """The same with some stretches eight semitones higher and 10 dB stronger."""
    inside = " or ".join(f"(x > {start} and x < {end})" for start, end in spans_s)
    out = resynthesised(pcm, f"if {inside} then self * 1.6 else self fi")
    for start, end in spans_s:
        out[samples(start) : samples(end)] *= 3.2
    return np.clip(out, -0.99, 0.99)
