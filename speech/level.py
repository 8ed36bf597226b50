"""How loud: level in dBFS per hop, and loudness in LUFS after ITU-R BS.1770-4.

0 dBFS is an RMS of 1.0, so a full-scale sine reads -3.01 (AES17 would call it 0). The level of a hop is that of its own HOP samples and
no others, without any DC offset (high-pass at 10 Hz, which takes 0.1 dB at 65 Hz).
"""

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from speech.audio import HOP, RATE_HZ, Floats

Doubles = NDArray[np.float64]

SILENCE_DBFS = -120.0  # digital silence, and the floor of every level

BLOCK_HOPS = 40  # 400 ms: momentary loudness, and the gating block
STEP_HOPS = 10  # blocks overlap by 75 %
_ABSOLUTE_GATE_LUFS = -70.0
_RELATIVE_GATE_LU = -10.0
_LUFS_OFFSET = -0.691

_DC_STEP = 1.0 - math.exp(-2 * math.pi * 10.0 / RATE_HZ)
_DC_GAIN = 1.0 - _DC_STEP / 2  # so that the high-pass is 1 at the top


def k_weighting(rate_hz: int) -> Doubles:
    """The two K-weighting sections (shelf, high-pass) at any rate: (2, 5) rows b0 b1 b2 a1 a2, a0 = 1.

    Bilinear transform of the analogue filters behind BS.1770's 48 kHz table (De Man 2014, "Evaluation of implementations of the EBU
    R128 loudness measurement"); at 48 kHz it gives that table.
    """
    k = math.tan(math.pi * 1681.974450955533 / rate_hz)
    quality, high = 0.7071752369554196, 10 ** (3.999843853973347 / 20)
    middle = high**0.4996667741545416
    a0 = 1 + k / quality + k * k
    shelf = [
        (high + middle * k / quality + k * k) / a0,
        2 * (k * k - high) / a0,
        (high - middle * k / quality + k * k) / a0,
        2 * (k * k - 1) / a0,
        (1 - k / quality + k * k) / a0,
    ]
    k = math.tan(math.pi * 38.13547087602444 / rate_hz)
    quality = 0.5003270373238773
    a0 = 1 + k / quality + k * k
    highpass = [1.0, -2.0, 1.0, 2 * (k * k - 1) / a0, (1 - k / quality + k * k) / a0]
    return np.array([shelf, highpass])


_K = k_weighting(RATE_HZ)

STATE = np.dtype(
    [
        ("heard", np.int64),  # 1 once a sample was
        ("dc", np.float64),
        ("shelf", np.float64, (2,)),
        ("highpass", np.float64, (2,)),
    ],
    align=True,
)


@njit(cache=True, nogil=True)
def step(state: Any, hop: Floats, ac: Floats) -> tuple[float, float]:
    """Measure one hop: -> (level in dBFS, K-weighted mean square), both NaN if any of it was lost.

    state: a record of STATE, zeros to begin with. hop: (HOP,) samples in [-1, 1], NaN where lost; ac: (HOP,) is filled with the samples
    free of DC, zeros where lost. The filters stand still over a gap.
    """
    if state.heard == 0:  # an offset that is there from the first sample must not ring
        count = 0
        for i in range(HOP):
            if not math.isnan(hop[i]):
                state.dc += hop[i]
                count += 1
        if count > 0:
            state.heard = 1
            state.dc /= count
    dc = state.dc
    s0, s1 = state.shelf[0], state.shelf[1]
    h0, h1 = state.highpass[0], state.highpass[1]
    power = 0.0
    k_power = 0.0
    whole = True
    for i in range(HOP):
        x = float(hop[i])
        if math.isnan(x):
            ac[i] = 0.0
            whole = False
            continue
        level_ac = _DC_GAIN * (x - dc)
        dc += _DC_STEP * (x - dc)
        ac[i] = level_ac
        power += level_ac * level_ac
        y = _K[0, 0] * x + s0
        s0 = _K[0, 1] * x - _K[0, 3] * y + s1
        s1 = _K[0, 2] * x - _K[0, 4] * y
        z = _K[1, 0] * y + h0
        h0 = _K[1, 1] * y - _K[1, 3] * z + h1
        h1 = _K[1, 2] * y - _K[1, 4] * z
        k_power += z * z
    state.dc = dc
    state.shelf[0], state.shelf[1] = s0, s1
    state.highpass[0], state.highpass[1] = h0, h1
    if not whole:
        return math.nan, math.nan
    return max(SILENCE_DBFS, 10.0 * math.log10(max(power / HOP, 1e-12))), k_power / HOP


def _lufs(power: Doubles) -> Doubles:
    return np.asarray(_LUFS_OFFSET + 10 * np.log10(np.maximum(power, 1e-12)), np.float64)


def _blocks(k_power: Doubles, stride: int) -> Doubles:
    """Mean square of every 400 ms block, NaN where any of it was lost."""
    if k_power.size < BLOCK_HOPS:
        return np.empty(0)
    return np.asarray(np.lib.stride_tricks.sliding_window_view(k_power, BLOCK_HOPS)[::stride].mean(axis=1), np.float64)


def momentary_lufs(k_power: Doubles) -> Doubles:
    """Momentary loudness of the 400 ms that end with each hop.

    k_power: (k,) K-weighted mean square per hop, NaN where lost, as Prosody gives it. Returns (k,) LUFS, NaN until 400 ms were heard and
    where any of the 400 ms was lost; not below -120.7. EBU Tech 3341.
    """
    out = np.full(k_power.size, np.nan)
    out[BLOCK_HOPS - 1 :] = _lufs(_blocks(k_power, 1))[: max(0, k_power.size - BLOCK_HOPS + 1)]
    return out


def integrated_lufs(k_power: Doubles) -> float | None:
    """Integrated loudness in LUFS, gated at -70 LUFS and at 10 LU below the mean of what passes that; None where nothing passes.

    k_power: (k,) K-weighted mean square per hop, NaN where lost; a block with lost audio is left out. ITU-R BS.1770-4, one channel.
    """
    blocks = _blocks(k_power, STEP_HOPS)
    blocks = blocks[np.isfinite(blocks)]
    blocks = blocks[_lufs(blocks) > _ABSOLUTE_GATE_LUFS]
    if blocks.size == 0:
        return None
    gate = float(_lufs(blocks.mean(keepdims=True))[0]) + _RELATIVE_GATE_LU
    return float(_lufs(blocks[_lufs(blocks) > gate].mean(keepdims=True))[0])
