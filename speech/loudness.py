"""Sound brought to one loudness for playing: ITU-R BS.1770-4, its peaks held under a ceiling."""

import numpy as np
from numpy.typing import NDArray

from speech.audio import HOP, RATE_HZ, Floats
from speech.level import BLOCK_HOPS, integrated_lufs, k_weighting

_SETTLE = RATE_HZ // 4  # after which the K-weighting rings no more
_OVER = 4  # times, to find peaks between samples
_REACH = RATE_HZ // 200  # 5 ms: a peak is approached and left so slowly
_MOST_GAIN = 10 ** (40.0 / 20.0)  # what is quieter still is noise
_ROUNDS = 6

Doubles = NDArray[np.float64]


def loudness_lufs(pcm: Floats) -> float | None:
    """Integrated loudness, None of silence. pcm: (n,) at 16 kHz."""
    return _lufs(_k_weighted(pcm))


def true_peak_dbtp(pcm: Floats) -> float:
    """The highest peak, between samples as well, in dB re full scale."""
    return float(20.0 * np.log10(max(1e-9, _peaks(pcm).max(initial=0.0))))


def normalised(pcm: Floats, lufs: float, ceiling_dbtp: float) -> Floats:
    """The sound at that loudness, silence as it is. Raised by 40 dB at most.

    Where peaks would pass the ceiling the gain dips for 10 ms around each, and the rest is raised a little to make up for it.
    """
    weighted, peaks = _k_weighted(pcm), _peaks(pcm)
    found = _lufs(weighted)
    if found is None:
        return pcm
    ceiling = 10.0 ** (ceiling_dbtp / 20.0)
    raised = min(_MOST_GAIN, 10.0 ** ((lufs - found) / 20.0))
    gain = np.full(pcm.size, raised)
    for _ in range(_ROUNDS):
        gain = raised * _held(peaks * raised, ceiling)
        # The gain moves far more slowly than the filters ring: weighting before it is weighting after it.
        now = _lufs(weighted * gain)
        off_lu = lufs - now if now is not None else 0.0
        if abs(off_lu) < 0.05 or raised >= _MOST_GAIN:
            break
        raised = min(_MOST_GAIN, raised * 10.0 ** (off_lu / 20.0))
    return np.asarray(pcm * gain, np.float32)


def faded(pcm: Floats, fade: int) -> Floats:
    """The sound with a raised cosine of so many samples at its beginning and its end."""
    out = pcm.copy()
    size = min(fade, pcm.size // 2)
    rise = (0.5 - 0.5 * np.cos(np.pi * (np.arange(size) + 0.5) / max(1, size))).astype(np.float32)
    out[:size] *= rise
    out[out.size - size :] *= rise[::-1]
    return out


def _k_weighted(pcm: Floats) -> Doubles:
    size = pcm.size + _SETTLE
    z = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)
    response = np.ones(z.size, np.complex128)
    for b0, b1, b2, a1, a2 in k_weighting(RATE_HZ):
        response *= (b0 + b1 * z + b2 * z * z) / (1.0 + a1 * z + a2 * z * z)
    return np.asarray(np.fft.irfft(np.fft.rfft(pcm, size) * response, size)[: pcm.size], np.float64)


def _lufs(weighted: Doubles) -> float | None:
    hops = max(BLOCK_HOPS, -(-weighted.size // HOP))
    squares = np.zeros(hops * HOP)
    squares[: weighted.size] = weighted**2
    return integrated_lufs(squares.reshape(hops, HOP).mean(axis=1))


def _peaks(pcm: Floats) -> Doubles:
    """The highest of each sample and of what lies between it and the next."""
    if pcm.size == 0:
        return np.zeros(0)
    size = pcm.size + pcm.size % 2
    fine = np.fft.irfft(np.fft.rfft(pcm, size), size * _OVER) * _OVER
    return np.asarray(np.abs(fine.reshape(size, _OVER)).max(axis=1)[: pcm.size], np.float64)


def _held(peaks: Doubles, ceiling: float) -> Doubles:
    """The gain that keeps all peaks under the ceiling: the least that any within reach needs, smoothed over the same reach."""
    need = np.minimum(1.0, ceiling / np.maximum(peaks, ceiling))
    if float(need.min(initial=1.0)) == 1.0:
        return need
    width = 2 * _REACH + 1
    least = np.pad(need, 2 * _REACH, constant_values=1.0)
    for step in _doublings(width):
        least = np.minimum(least[: least.size - step], least[step:])
    window = np.hanning(width + 2)[1:-1]
    return np.convolve(least, window / window.sum(), "valid")


def _doublings(width: int) -> list[int]:
    """Shifts whose minima, one after another, make the minimum over `width`."""
    steps, have = [], 1
    while have < width:
        step = min(have, width - have)
        steps.append(step)
        have += step
    return steps
