"""Glottal cycles of sustained vowels, and how regular they are: local jitter and local shimmer, gated as Praat gates them.

Cycle marks follow Praat's "To PointProcess (cc)": from the strongest point in the middle of a voiced run outwards, each next mark lies
where the waveform correlates best with the cycle before it, found to a fraction of a sample. At 16 kHz one sample is 0.6 to 3 % of a
period, so without the fraction there is no jitter. For trend and training only, not for clinical use.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from speech.audio import HOP, RATE_HZ, Floats, Span

Doubles = NDArray[np.float64]

SHORTEST_PERIOD = 0.0001 * RATE_HZ  # samples; Praat's defaults, as the two factors below
LONGEST_PERIOD = 0.02 * RATE_HZ
PERIOD_FACTOR = 1.3  # neighbouring periods that differ more are no jitter
AMPLITUDE_FACTOR = 1.6  # and cycles whose amplitudes differ more no shimmer

_EDGE = 2 * HOP  # where a run begins and ends is known to half a window of the pitch; a mark out there may be none
_SMOOTH = 5  # frames to each side: their median keeps a frame that is an octave off from skipping cycles

SUSTAINED_S = 0.5
SUSTAINED_SPAN_ST = 2.0
_FEWEST_PERIODS = 10


@njit(cache=True, nogil=True)
def _f0_at(f0_hz: Floats, sample: float) -> float:  # between two voiced frames linear, else that of the nearest frame, NaN unvoiced
    place = sample / HOP - 0.5
    left = math.floor(place)
    if 0 <= left < f0_hz.size - 1:
        a, b = float(f0_hz[left]), float(f0_hz[left + 1])
        if not math.isnan(a) and not math.isnan(b):
            return a + (b - a) * (place - left)
    nearest = min(max(math.floor(place + 0.5), 0), f0_hz.size - 1)
    return float(f0_hz[nearest])


@njit(cache=True, nogil=True)
def _best_match(pcm: Floats, mark: float, period: float, lowest: float, highest: float) -> tuple[float, float, float]:
    """Where in [lowest, highest] the waveform is most like the period around `mark`: -> (place, correlation, loudest sample there)."""
    left = math.floor(mark - 0.5 * period + 0.5)
    right = math.floor(mark + 0.5 * period + 0.5)
    first = math.floor(lowest - 0.5 * period)
    last = math.ceil(highest - 0.5 * period)
    best, before_best, after_best, at, best_peak = -1.0, 0.0, 0.0, 0, 0.0
    r1, r2, r3 = 0.0, 0.0, 0.0
    peak2, peak3 = 0.0, 0.0
    for other in range(first, last + 1):
        norm1, norm2, product, peak = 0.0, 0.0, 0.0, 0.0
        for i in range(left, right + 1):
            k = other + i - left
            if i < 0 or k < 0 or i >= pcm.size or k >= pcm.size:
                continue
            a, b = float(pcm[i]), float(pcm[k])
            norm1 += a * a
            norm2 += b * b
            product += a * b
            peak = max(peak, abs(b))
        r1, r2, peak2 = r2, r3, peak3
        r3 = product / math.sqrt(norm1 * norm2) if product != 0.0 else 0.0
        peak3 = peak
        if other >= first + 2 and r2 > best and r2 >= r1 and r2 >= r3:
            best, before_best, after_best, at, best_peak = r2, r1, r3, other - 1, peak2
    if best <= -1.0:
        return mark, -1.0, 0.0
    bend = 2.0 * best - before_best - after_best
    place = float(at)
    if bend > 0.0:
        slope = 0.5 * (after_best - before_best)
        best += 0.5 * slope * slope / bend
        place += slope / bend
    return mark + place - left, best, best_peak


@njit(cache=True, nogil=True)
def _walk(pcm: Floats, f0_hz: Floats, begin: float, end: float, mark: float, direction: int, loudest: float, out: Doubles) -> int:
    """Marks from `mark` outwards to the edge of the voiced run; fills out, returns how many."""
    count = 0
    added = mark
    while count < out.size:
        f0 = _f0_at(f0_hz, mark)
        if math.isnan(f0):
            break
        period = RATE_HZ / f0
        near, far = mark + direction * 0.8 * period, mark + direction * 1.25 * period
        place, correlation, peak = _best_match(pcm, mark, period, min(near, far), max(near, far))
        mark = place if correlation > -1.0 else mark + direction * period
        outside = mark < begin or mark > end
        least_correlation, least_peak = (0.7, 0.023333) if outside else (0.3, 0.01)
        if correlation > least_correlation and peak > least_peak * loudest and abs(mark - added) > 0.8 * period:
            out[count] = mark
            added = mark
            count += 1
        if outside:
            break
    return count


@njit(cache=True, nogil=True)
def _marks(pcm: Floats, f0_hz: Floats, begin: float, end: float, loudest: float, out: Doubles) -> int:
    """Marks of one voiced run [begin, end) of samples, in order of time; fills out, returns how many."""
    middle = 0.5 * (begin + end)
    f0 = _f0_at(f0_hz, middle)
    half = 0.5 * RATE_HZ / f0
    top = math.floor(max(middle - half, 0.0))
    for i in range(top, min(math.ceil(middle + half) + 1, pcm.size)):
        if abs(pcm[i]) > abs(pcm[top]):
            top = i
    seed = float(top)
    if 0 < top < pcm.size - 1:
        a, b, c = float(pcm[top - 1]), float(pcm[top]), float(pcm[top + 1])
        bend = 2.0 * b - a - c
        if bend != 0.0:
            seed += 0.5 * (c - a) / bend
    back = _walk(pcm, f0_hz, begin, end, seed, -1, loudest, out)
    for i in range(back // 2):
        out[i], out[back - 1 - i] = out[back - 1 - i], out[i]
    out[back] = seed
    return back + 1 + _walk(pcm, f0_hz, begin, end, seed, 1, loudest, out[back + 1 :])


def _runs(voiced: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], voiced, [False]])))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def cycle_marks(pcm: Floats, f0_hz: Floats) -> Doubles:
    """One mark per glottal cycle of every voiced run longer than 40 ms, but for its first and last 20 ms.

    pcm: (n,) in [-1, 1], finite; f0_hz: (k,) per hop, NaN unvoiced, hop 0 at pcm[0]. Returns (m,) growing places in samples from pcm[0],
    with fractions. Cost: about 15 microseconds per 10 ms voiced. ValueError where a sample is no number or frames reach past the samples.
    """
    if f0_hz.size * HOP > pcm.size:
        raise ValueError(f"{f0_hz.size} frames do not fit {pcm.size} samples")
    if not np.isfinite(pcm).all():
        raise ValueError("lost audio has no cycles: mark the stretches between")
    loudest = float(np.abs(pcm).max(initial=0.0))
    found = [np.empty(0)]
    steady_hz = f0_hz.copy()
    for first, last in _runs(np.isfinite(f0_hz)):
        begin, end = first * HOP + _EDGE, last * HOP - _EDGE
        if begin >= end:
            continue
        around = np.pad(f0_hz[first:last], _SMOOTH, mode="edge")
        steady_hz[first:last] = np.median(np.lib.stride_tricks.sliding_window_view(around, 2 * _SMOOTH + 1), axis=1)
        out = np.empty((last - first + 2) * 10)  # no period is shorter than 0.8 of 2 ms
        found.append(out[: _marks(pcm, steady_hz, begin, end, loudest, out)])
    return np.concatenate(found)


def _comparable(first: Doubles, second: Doubles) -> NDArray[np.bool_]:
    """Neighbouring periods, in samples, that Praat would compare."""
    shorter, longer = np.minimum(first, second), np.maximum(first, second)
    return np.asarray((shorter >= SHORTEST_PERIOD) & (longer <= LONGEST_PERIOD) & (longer <= PERIOD_FACTOR * shorter))


def local_jitter_percent(marks: Doubles) -> float | None:
    """Mean difference of neighbouring periods over the mean period, in percent.

    marks: (m,) places of cycles in samples. Pairs are left out where a period is not within 0.1 to 20 ms or one is more than 1.3 times
    the other. None with fewer than ten pairs. Praat, "Get jitter (local)".
    """
    periods = np.diff(marks)
    use = _comparable(periods[:-1], periods[1:])
    if use.sum() < _FEWEST_PERIODS:
        return None
    counted = np.concatenate([use, [False]]) | np.concatenate([[False], use])
    return float(100 * np.abs(np.diff(periods))[use].mean() / periods[counted].mean())


@njit(cache=True, nogil=True)
def _rms(pcm: Floats, mark: float, before: float, after: float) -> float:  # weighted by a Hann window from mark - before to mark + after
    power, weight = 0.0, 0.0
    for i in range(max(math.ceil(mark - before), 0), min(math.floor(mark + after), pcm.size - 1) + 1):
        distance = (i - mark) / (before if i < mark else after)
        window = 0.5 + 0.5 * math.cos(math.pi * distance)
        power += (pcm[i] * window) ** 2
        weight += window * window
    return math.sqrt(power / weight) if weight > 0.0 else 0.0


@njit(cache=True, nogil=True)
def _amplitudes(pcm: Floats, marks: Doubles, out: Doubles) -> None:
    for i in range(1, marks.size - 1):
        out[i - 1] = _rms(pcm, marks[i], 0.2 * (marks[i] - marks[i - 1]), 0.2 * (marks[i + 1] - marks[i]))


def local_shimmer_percent(pcm: Floats, marks: Doubles) -> float | None:
    """Mean difference of neighbouring cycles' amplitudes over their mean, in percent.

    pcm: the samples that `marks` are places in. The amplitude of a cycle is its RMS under a Hann window a fifth of a period to each side of
    the mark. Pairs are left out as for jitter, and where one amplitude is more than 1.6 times the other, so it saturates near 20 %. None
    with fewer than ten pairs. Praat, "Get shimmer (local)".
    """
    if marks.size < 3:
        return None
    periods = np.diff(marks)
    amplitude = np.empty(marks.size - 2)
    _amplitudes(pcm, marks, amplitude)
    whole = _comparable(periods[:-1], periods[1:])
    a, b = amplitude[:-1], amplitude[1:]
    close = np.maximum(a, b) <= AMPLITUDE_FACTOR * np.minimum(a, b)
    use = whole[:-1] & whole[1:] & close
    if use.sum() < _FEWEST_PERIODS:
        return None
    return float(100 * np.abs(b - a)[use].mean() / amplitude[whole].mean())


def sustained(f0_hz: Floats, start: int = 0) -> list[Span]:
    """Stretches held steady enough for jitter and shimmer: voiced for at least 0.5 s while F0 stays within 2 semitones.

    f0_hz: (k,) per hop, NaN unvoiced; start: sample of hop 0. Longest first from the left; they do not overlap.
    """
    fewest = round(SUSTAINED_S * RATE_HZ / HOP)
    spans = []
    for first, last in _runs(np.isfinite(f0_hz)):
        semitones = 12 * np.log2(f0_hz[first:last].astype(np.float64))
        at = 0
        while at + fewest <= semitones.size:
            lowest = np.minimum.accumulate(semitones[at:])
            highest = np.maximum.accumulate(semitones[at:])
            length = int(np.count_nonzero(highest - lowest <= SUSTAINED_SPAN_ST))
            if length >= fewest:
                spans.append(Span(start + (first + at) * HOP, start + (first + at + length) * HOP))
                at += length
            else:
                at += 1
    return spans
