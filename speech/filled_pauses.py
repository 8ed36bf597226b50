"""Where the sound may be an um or an uh: a vowel or nasal held with hardly any change. What it was is for the recogniser to say."""

import re
from functools import cache

import numpy as np
from numpy.typing import NDArray

from speech.audio import HOP, RATE_HZ, Floats, Span, State, States

_FILLED = re.compile(r"u+m+|u+hm+|u+h+|e+rm+|h*m{2,}|hm+")  # not er: Whisper writes it for a syllable that it could not make out

_SHORTEST = 20  # hops: a sound held for 200 ms is hardly ever part of a word in fluent reading; shorter ones often are
_BRIDGE = 5  # hops between the vowel and the nasal of an um
_CHANGE_DB = 4.0  # of the shape of the spectrum within 40 ms
_SLOPE_ST = 1.0  # of pitch within 40 ms
_BANDS = 24
_WINDOW = 512  # samples, 32 ms
_AT_ONCE = 30 * RATE_HZ // HOP  # hops, to bound memory


def is_filled_pause(text: str) -> bool:
    """Whether a word is um, uh or a spelling of them, whatever its case and punctuation."""
    return _FILLED.fullmatch("".join(c for c in text.lower() if c.isalpha())) is not None


def candidates(pcm: Floats, f0_hz: Floats, states: States) -> list[Span]:
    """Held sounds of at least 200 ms, in order: speech whose spectral shape changes by at most 4 dB and whose pitch by at most 1 semitone
    in 40 ms, with more energy below 1 kHz than above 3 kHz (a held s is no filled pause).

    pcm: (n,) at 16 kHz. f0_hz, states: (n // 160,). Creak counts: pitch matters only where there is one. After Audhkhasi et al. 2009.
    """
    steady = np.zeros(states.size, bool)
    weights = _mel_weights()
    window = np.hanning(_WINDOW).astype(np.float32)
    padded = np.pad(pcm, (_WINDOW // 2, _WINDOW))
    for first in range(0, states.size, _AT_ONCE):
        last = min(states.size, first + _AT_ONCE)
        begin = max(0, first - 2)
        end = min(states.size, last + 2)
        framed = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[begin * HOP + HOP // 2 : end * HOP : HOP]
        spectrum = np.fft.rfft(framed * window, axis=1)
        power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32, copy=False)
        low = power[:, 3:32].sum(1) > power[:, 96:].sum(1)
        shape = 10 * np.log10(power @ weights + 1e-10)
        shape -= shape.mean(1, keepdims=True)
        change = np.full(end - begin, np.inf, np.float32)
        change[2:-2] = np.sqrt(np.mean((shape[4:] - shape[:-4]) ** 2, axis=1))
        steady[first:last] = ((change <= _CHANGE_DB) & low)[first - begin : last - begin]
    with np.errstate(invalid="ignore"):
        slope = np.abs(12 * np.log2(f0_hz[4:] / f0_hz[:-4]))
    steady[2:-2] &= ~(slope > _SLOPE_ST)
    steady &= (states == State.SPEECH) | ~np.isnan(f0_hz)  # a quiet hum may be below what counts as speech
    return _joined(steady)


def _joined(steady: NDArray[np.bool_]) -> list[Span]:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], steady, [False])).astype(np.int8))).reshape(-1, 2)
    runs: list[list[int]] = []
    for first, last in edges.tolist():
        if last - first < 4:
            continue
        if runs and first - runs[-1][1] <= _BRIDGE:
            runs[-1][1] = last
        else:
            runs.append([first, last])
    return [Span((a - 2) * HOP, (b + 2) * HOP) for a, b in runs if b - a + 4 >= _SHORTEST]


@cache
def _mel_weights() -> NDArray[np.float32]:
    # (257, 24) triangles between 100 and 5000 Hz on the mel scale of O'Shaughnessy.
    lowest, highest = 2595 * np.log10(1 + np.array([100.0, 5000.0]) / 700)
    mel = np.linspace(lowest, highest, _BANDS + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    bins = np.fft.rfftfreq(_WINDOW, 1 / RATE_HZ)
    rise = (bins[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    return np.asarray(np.clip(np.minimum(rise, fall), 0, None), np.float32)
