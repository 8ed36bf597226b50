"""How the voice moves: median, span and variation of pitch, and what it does at the end of a phrase."""

import math
from collections.abc import Sequence

import numpy as np

from speech.analysis import Pause
from speech.audio import HOP, RATE_HZ, Floats
from speech.pauses import at_least
from speech.quantiles import median, quantile

# Long enough for a few phrases, short enough that a change of topic does not count as liveliness (Hincks 2005).
WINDOW_HOPS = 10 * RATE_HZ // HOP
_FEWEST_VOICED = 100  # hops in a window: 1 s of voice
_CONTOUR_HOPS = 30  # 300 ms before a phrase ends
_FEWEST_CONTOUR = 10
_TURN_ST = 2.0  # semitones over those 300 ms: about twice what a listener needs to hear a movement ('t Hart 1981)


def median_hz(f0_hz: Floats) -> float | None:
    """Median of the voiced frames in Hz. f0_hz: (k,) NaN where unvoiced. None with less than 1 s of voice."""
    voiced = f0_hz[~np.isnan(f0_hz)]
    return median(voiced) if voiced.size >= _FEWEST_VOICED else None


def span_st(f0_hz: Floats) -> float | None:
    """10th to 90th percentile of pitch in semitones, in each 10 s window, averaged. Robust against octave errors, unlike a range."""
    return movement_st(f0_hz)[0]


def sd_st(f0_hz: Floats) -> float | None:
    """Standard deviation of pitch in semitones within its 5th to 95th percentile, in each 10 s window, averaged."""
    return movement_st(f0_hz)[1]


def movement_st(f0_hz: Floats) -> tuple[float | None, float | None]:
    """`span_st` and `sd_st` in one go: 30 us per 10 s."""
    windows = _windows_st(f0_hz)
    if not windows:
        return None, None
    spans = [quantile(st, 0.9) - quantile(st, 0.1) for st in windows]
    return sum(spans) / len(spans), sum(map(_trimmed_sd, windows)) / len(windows)


def pvq(f0_hz: Floats) -> float | None:
    """Pitch variation quotient: standard deviation over mean of F0 in Hz, in each 10 s window, averaged. Hincks 2005."""

    quotients = [float(hz.std() / hz.mean()) for hz in (np.exp2(_middle(st) / 12) for st in _windows_st(f0_hz))]
    return sum(quotients) / len(quotients) if quotients else None


def terminal_contours_st(f0_hz: Floats, pauses: Sequence[Pause]) -> list[float]:
    """How far pitch rose (+) or fell (-) in the 300 ms before each silent pause of at least 250 ms, in semitones, where it is known.

    A line is fitted to the voiced frames among the last 30 before the pause (at least 10); its slope times their extent is the movement.
    """
    found = []
    for pause in at_least(pauses):
        end = pause.start // HOP
        piece = f0_hz[max(0, end - _CONTOUR_HOPS) : end]
        at = np.flatnonzero(~np.isnan(piece))
        if at.size >= _FEWEST_CONTOUR:
            slope = np.polyfit(at, 12 * np.log2(piece[at].astype(np.float64)), 1)[0]
            found.append(float(slope * (at[-1] - at[0])))
    return found


def rising_share(contours_st: Sequence[float]) -> float | None:
    """Share of phrase ends that rise by at least 2 semitones, 0..1; None with fewer than five."""
    return sum(c >= _TURN_ST for c in contours_st) / len(contours_st) if len(contours_st) >= 5 else None


def falling_share(contours_st: Sequence[float]) -> float | None:
    """Share of phrase ends that fall by at least 2 semitones, 0..1; None with fewer than five."""
    return sum(c <= -_TURN_ST for c in contours_st) / len(contours_st) if len(contours_st) >= 5 else None


def _windows_st(f0_hz: Floats) -> list[Floats]:
    # Of each 10 s with enough voice the pitch in semitones, in ascending order.
    found = []
    for first in range(0, max(1, f0_hz.size), WINDOW_HOPS):
        voiced = f0_hz[first : first + WINDOW_HOPS]
        voiced = voiced[~np.isnan(voiced)]
        if voiced.size >= _FEWEST_VOICED:
            found.append((12 * np.log2(np.sort(voiced).astype(np.float64))).astype(np.float32))
    return found


def _middle(st: Floats) -> Floats:
    # From the 5th to the 95th percentile.
    low, high = quantile(st, 0.05), quantile(st, 0.95)
    return st[np.searchsorted(st, low) : np.searchsorted(st, high, "right")]


def _trimmed_sd(st: Floats) -> float:
    middle = _middle(st).astype(np.float64)
    middle -= middle.sum() / middle.size
    return math.sqrt(float(middle @ middle) / middle.size)
