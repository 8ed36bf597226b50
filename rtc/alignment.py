"""Where the same sound is found again, though it went through a codec or comes from further back.

Normalised cross-correlation of what is heard above a few hundred hertz: first differences, since the low part of a voice looks the same
at any pitch period. Opus keeps the waveform well enough: speech at 32 kbit/s correlates by 0.8 to 0.97.
"""

from dataclasses import dataclass

import numpy as np

from speech.audio import RATE_HZ, Floats

LEAST_SCORE = 0.5
LEAST_OVERLAP_S = 0.4  # of the pattern
RIVAL = 0.9  # another place that fits so well, as a share: a hum, or a vowel held through; then nothing can be said
APART = 48  # 3 ms: closer than that it is the same place
LEAST_POWER = 1e-8  # mean square of a difference: -80 dBFS, the noise of 16 bits


@dataclass(frozen=True, slots=True)
class Match:
    """A clear place."""

    at: int  # the sample of the sound at which the pattern begins; below 0 where it begins before it
    score: float  # correlation, 0.5..1


def find(pattern: Floats, sound: Floats, expected: int, within: int) -> Match | None:
    """Where the pattern begins in the sound, at most `within` samples from `expected`; None without a clear place.

    Both (n,) at 16 kHz. The pattern may hang over the ends of the sound. O(n log n): 2 s in 12 s take 8 ms.
    """
    first = max(expected - within, -pattern.size)
    last = min(expected + within, sound.size)  # exclusive
    if last <= first:
        return None
    a = np.diff(pattern, prepend=pattern[:1]).astype(np.float64)
    stretch = np.zeros(last - first + a.size)  # what the pattern can meet, zeros beyond the ends of the sound
    begin, end = max(first, 0), min(last + a.size, sound.size)
    if end - begin < LEAST_OVERLAP_S * RATE_HZ:
        return None
    stretch[begin - first : end - first] = np.diff(sound[begin:end], prepend=sound[begin : begin + 1])
    size = 1 << (stretch.size + a.size - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(stretch, size) * np.conj(np.fft.rfft(a, size)), size)[: last - first]
    lags = np.arange(first, last)
    power = np.concatenate([[0.0], np.cumsum(np.square(stretch))])
    of_sound = power[a.size : a.size + lags.size] - power[: lags.size]
    # Only what lies over the sound can be found in it.
    own = np.concatenate([[0.0], np.cumsum(np.square(a))])
    begins, ends = np.clip(-lags, 0, a.size), np.clip(sound.size - lags, 0, a.size)
    of_pattern = own[ends] - own[begins]
    overlap = np.maximum(ends - begins, 1)
    sounds = (ends - begins >= LEAST_OVERLAP_S * RATE_HZ) & (np.minimum(of_sound, of_pattern) > LEAST_POWER * overlap)
    score = np.where(sounds, product / np.sqrt(np.maximum(of_sound * of_pattern, 1e-30)), 0.0)
    best = int(np.argmax(score))
    rivals = np.concatenate([score[: max(best - APART, 0)], score[best + APART + 1 :]])
    if score[best] < LEAST_SCORE or rivals.max(initial=0.0) > RIVAL * score[best]:
        return None
    return Match(int(lags[best]), float(score[best]))
