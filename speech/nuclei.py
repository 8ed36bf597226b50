"""Syllable nuclei, streaming: peaks of the energy between 150 and 3000 Hz that are voiced and stand between dips of 2 dB.

After de Jong & Wempe (2009, Behavior Research Methods 41, 385-390), made causal: no threshold taken from the whole file. The count is
biased with the material (0.75 to 1.2 per vowel): calibrate it on words as soon as there are any.
"""

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from speech.audio import HOP, RATE_HZ, Floats
from speech.pitch import DELAY

Doubles = NDArray[np.float64]

DIP_DB = 2.0
_HALF = 3  # hops of smoothing to each side: 70 ms in all, less than the shortest syllable
_KEPT = DELAY + _HALF + 1
_FLOOR_DB = -120.0


def _butterworth(cutoff_hz: float, highpass: bool) -> Doubles:
    """Second-order Butterworth section: (5,) b0 b1 b2 a1 a2, a0 = 1."""
    k = math.tan(math.pi * cutoff_hz / RATE_HZ)
    a0 = 1 + math.sqrt(2) * k + k * k
    b = [1.0, -2.0, 1.0] if highpass else [k * k, 2 * k * k, k * k]
    return np.array([*(value / a0 for value in b), 2 * (k * k - 1) / a0, (1 - math.sqrt(2) * k + k * k) / a0])


_HIGH = _butterworth(150.0, highpass=True)
_LOW = _butterworth(3000.0, highpass=False)
_SMOOTH = np.hanning(2 * _HALF + 3)[1:-1] / np.hanning(2 * _HALF + 3).sum()

STATE = np.dtype(
    [
        ("hops", np.int64),
        ("high", np.float64, (2,)),
        ("low", np.float64, (2,)),
        ("power", np.float64, (_KEPT,)),  # of the last hops, oldest first
        ("valley_db", np.float64),  # lowest since the last nucleus
        ("peak_db", np.float64),  # highest since that valley
        ("peak_hop", np.int64),
        ("peak_voiced", np.int64),
        ("rising", np.int64),
    ],
    align=True,
)


@njit(cache=True, nogil=True)
def _band_power(state: Any, ac: Floats) -> float:
    h0, h1 = state.high[0], state.high[1]
    l0, l1 = state.low[0], state.low[1]
    power = 0.0
    for i in range(HOP):
        x = float(ac[i])
        y = _HIGH[0] * x + h0
        h0 = _HIGH[1] * x - _HIGH[3] * y + h1
        h1 = _HIGH[2] * x - _HIGH[4] * y
        z = _LOW[0] * y + l0
        l0 = _LOW[1] * y - _LOW[3] * z + l1
        l1 = _LOW[2] * y - _LOW[4] * z
        power += z * z
    state.high[0], state.high[1] = h0, h1
    state.low[0], state.low[1] = l0, l1
    return power / HOP


@njit(cache=True, nogil=True)
def step(state: Any, ac: Floats, f0_hz: float) -> int:
    """Take one hop of samples and the F0 that became final with it; return the sample where a nucleus is now known to be, or -1.

    ac: (HOP,) samples in [-1, 1] free of DC, zeros where lost. f0_hz: F0 of the frame DELAY hops back, NaN where unvoiced or lost.
    """
    power = state.power
    for i in range(_KEPT - 1):
        power[i] = power[i + 1]
    power[_KEPT - 1] = _band_power(state, ac)
    hop = state.hops - DELAY
    state.hops += 1
    if hop < 0:
        return -1
    mean = 0.0
    for i in range(2 * _HALF + 1):  # power[_HALF] is that of `hop`
        mean += _SMOOTH[i] * power[i]
    level_db = max(_FLOOR_DB, 10.0 * math.log10(max(mean, 1e-12)))
    if hop == 0:
        state.valley_db = level_db
    if state.rising == 0:
        state.valley_db = min(state.valley_db, level_db)
        if level_db < state.valley_db + DIP_DB:
            return -1
        state.rising = 1
        state.peak_db = _FLOOR_DB
    if level_db > state.peak_db:
        state.peak_db = level_db
        state.peak_hop = hop
        state.peak_voiced = 0 if math.isnan(f0_hz) else 1
    if level_db > state.peak_db - DIP_DB:
        return -1
    state.rising = 0
    state.valley_db = level_db
    return state.peak_hop * HOP + HOP // 2 if state.peak_voiced else -1
