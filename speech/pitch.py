"""F0 and voicing, streaming: normalised autocorrelation and a Viterbi path with a short look-ahead.

The method is that of Boersma (1993, IFA Proceedings 17, 97-110): the autocorrelation of a Hann-windowed frame divided by that of the
window, its highest peaks as candidates, and the cheapest path through them. Three things differ, so that it can run live: the frame is
decimated to 8 kHz; the path looks ahead LOOKAHEAD frames instead of to the end of the file; and how periodic a frame must be to count
as voiced depends on its level below the voice heard so far, instead of below the loudest sample of the whole file.
"""

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from speech.audio import HOP, RATE_HZ, Floats

Doubles = NDArray[np.float64]

LOWEST_HZ = 65.0
HIGHEST_HZ = 500.0

DECIMATION = 2
LOW_RATE_HZ = RATE_HZ // DECIMATION
LOW_HOP = HOP // DECIMATION
WINDOW = 320  # at 8 kHz: 40 ms, 2.6 periods of the lowest pitch; longer blurs glides and the edges of voicing
LOOKAHEAD = 2  # frames the path may still change its mind; each costs 10 ms

# Rumble below the voice, seen through a 40 ms window, is a slope that passes for periodicity.
_RUMBLE_HZ = 50.0
# 31 taps fall from 2 to 3.5 kHz. The autocorrelation is then so smooth at 8 kHz that a parabola through three lags finds its peaks.
_TAPS = 31
_CUTOFF_HZ = 3000.0
# After hop k (samples up to (k + 1) * HOP) the filter has all it needs for this many decimated samples past k * LOW_HOP.
_REACH = (HOP - 1 - _TAPS // 2) // DECIMATION + 1
WAIT = 2  # hops that must follow a frame before its window is full
# The oldest decimated sample of the window lies this far back from the newest.
KEPT = WAIT * LOW_HOP + _REACH - LOW_HOP // 2 + WINDOW // 2
DELAY = WAIT + LOOKAHEAD  # hops that must follow a frame before its F0 is final
LATENCY_S = (DELAY * HOP + HOP // 2) / RATE_HZ  # from the centre of a frame to the sample that makes its F0 final: 45 ms

_CANDIDATES = 7  # unvoiced, and the six strongest peaks
_PATH = LOOKAHEAD + 1

_SLACK = 1.03  # a voice at the very edge of the range is found to either side of it; what is found is then clipped to the range
_LOWEST_LAG = int(LOW_RATE_HZ / (HIGHEST_HZ * _SLACK)) - 1  # one beyond each end, for the parabola
_HIGHEST_LAG = math.ceil(LOW_RATE_HZ / LOWEST_HZ * _SLACK) + 1
_LAGS = _LOWEST_LAG + 4 * math.ceil((_HIGHEST_LAG + 1 - _LOWEST_LAG) / 4)  # four at a time

# Chosen on real speech against a laryngograph, clean and with noise added (docs/metrics.md). In units of normalised autocorrelation.
_VOICING_THRESHOLD = 0.44
_OCTAVE_COST = 0.045  # per octave below HIGHEST_HZ
_OCTAVE_JUMP_COST = 0.5
_VOICING_CHANGE_COST = 0.25
# What lies more than _QUIET_DB below the voice heard so far must be the more periodic to count as voiced: this much per dB squared.
_QUIET_DB = 7.0
_QUIET_COST = 0.001
# A frame whose middle 10 ms are weaker than its window lies beside a voiced stretch, not in it: this much per dB past _EDGE_DB.
_MIDDLE = 40  # samples at 8 kHz to each side
_EDGE_DB = 2.0
_EDGE_COST = 0.10
# Only periodic frames teach how loud the voice is, so that a bang does not; it falls in seconds, so that a speaker who turns quiet is kept.
_PERIODIC = 0.85
_RISE = 1.0 - math.exp(-0.010 / 0.05)
_FALL = 1.0 - math.exp(-0.010 / 2.0)

_FAINTEST = 1e-12  # mean square below which a frame is digital silence (-120 dB)
_LOG2 = 1.0 / math.log(2.0)


def _lowpass() -> Floats:
    n = np.arange(_TAPS) - (_TAPS - 1) / 2
    taps = np.sinc(2 * _CUTOFF_HZ / RATE_HZ * n) * np.hamming(_TAPS)
    return np.asarray(taps / taps.sum(), np.float32)


def _rumble_filter() -> Doubles:
    """Second-order Butterworth high-pass: (5,) b0 b1 b2 a1 a2, a0 = 1."""
    k = math.tan(math.pi * _RUMBLE_HZ / RATE_HZ)
    a0 = 1 + math.sqrt(2) * k + k * k
    return np.array([1 / a0, -2 / a0, 1 / a0, 2 * (k * k - 1) / a0, (1 - math.sqrt(2) * k + k * k) / a0])


def _window() -> Floats:
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(WINDOW) + 0.5) / WINDOW), np.float32)


def _window_gain() -> Floats:
    """What the window does to an autocorrelation, per lag, as a factor that undoes it."""
    window = _window().astype(np.float64)
    own = np.array([window[: WINDOW - lag] @ window[lag:] for lag in range(_LAGS)])
    return np.asarray(own[0] / own, np.float32)


_FIR = _lowpass()
_HIGH = _rumble_filter()
_HANN = _window()
_HANN_SUM = float(_HANN.sum())
_HANN_POWER = float((_HANN.astype(np.float64) ** 2).sum())
_UNDO = _window_gain()

STATE = np.dtype(
    [
        ("hops", np.int64),
        ("high", np.float64, (2,)),
        ("recent", np.float32, (HOP + _TAPS - 1,)),  # 16 kHz samples still under the filter
        ("low", np.float32, (KEPT,)),  # 8 kHz
        ("frame", np.float32, (WINDOW + 3,)),  # zeros at the end
        ("r", np.float32, (_LAGS,)),
        ("voice_db", np.float64),  # level of the voice so far
        ("heard", np.int64),  # 1 once a periodic frame was
        ("score", np.float64, (_CANDIDATES,)),
        ("next_score", np.float64, (_CANDIDATES,)),
        ("count", np.int64, (_PATH,)),
        ("hz", np.float64, (_PATH, _CANDIDATES)),  # candidate 0 is unvoiced
        ("back", np.int64, (_PATH, _CANDIDATES)),
        ("strength", np.float64, (_CANDIDATES,)),
    ],
    align=True,
)


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _decimate(recent: Floats, low: Floats) -> None:  # (HOP + taps - 1,), (KEPT,): shifts low and appends LOW_HOP samples
    for i in range(KEPT - LOW_HOP):
        low[i] = low[i + LOW_HOP]
    for m in range(LOW_HOP):
        total = np.float32(0.0)
        for k in range(_TAPS):
            total += _FIR[k] * recent[DECIMATION * m + k]
        low[KEPT - LOW_HOP + m] = total


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _autocorrelate(low: Floats, frame: Floats, r: Floats) -> float:  # fills r, normalised; -> mean square of the frame; O(window * lags)
    mean = np.float32(0.0)
    for i in range(WINDOW):
        mean += low[i] * _HANN[i]
    mean /= np.float32(_HANN_SUM)
    power = np.float32(0.0)
    for i in range(WINDOW):
        frame[i] = (low[i] - mean) * _HANN[i]
        power += frame[i] * frame[i]
    if power < _FAINTEST * _HANN_POWER:
        return 0.0
    scale = np.float32(1.0) / power
    for lag in range(_LOWEST_LAG, _LAGS, 4):  # four lags share the loads: twice as fast
        r0, r1, r2, r3 = np.float32(0.0), np.float32(0.0), np.float32(0.0), np.float32(0.0)
        for i in range(WINDOW - lag):
            x = frame[i]
            r0 += x * frame[i + lag]
            r1 += x * frame[i + lag + 1]
            r2 += x * frame[i + lag + 2]
            r3 += x * frame[i + lag + 3]
        r[lag] = r0 * scale * _UNDO[lag]
        r[lag + 1] = r1 * scale * _UNDO[lag + 1]
        r[lag + 2] = r2 * scale * _UNDO[lag + 2]
        r[lag + 3] = r3 * scale * _UNDO[lag + 3]
    return float(power) / _HANN_POWER


@njit(cache=True, nogil=True)
def _candidates(r: Floats, hz: Doubles, strength: Doubles) -> tuple[int, float]:  # fills 1.. with the strongest; -> (count, best height)
    count = 1
    best = 0.0
    for lag in range(_LOWEST_LAG + 1, _HIGHEST_LAG):
        if r[lag] <= 0.5 * _VOICING_THRESHOLD or r[lag] <= r[lag - 1] or r[lag] < r[lag + 1]:
            continue
        slope = 0.5 * (float(r[lag + 1]) - float(r[lag - 1]))
        bend = 2.0 * float(r[lag]) - float(r[lag - 1]) - float(r[lag + 1])
        pitch_hz = LOW_RATE_HZ / (lag + slope / bend)
        if pitch_hz < LOWEST_HZ / _SLACK or pitch_hz > HIGHEST_HZ * _SLACK:
            continue
        pitch_hz = min(max(pitch_hz, LOWEST_HZ), HIGHEST_HZ)
        height = float(r[lag]) + 0.5 * slope * slope / bend
        if height > 1.0:
            height = 1.0 / height
        best = max(best, height)
        value = height - _OCTAVE_COST * math.log(HIGHEST_HZ / pitch_hz) * _LOG2
        place = count
        if count == _CANDIDATES:
            place = 1
            for k in range(2, _CANDIDATES):
                if strength[k] < strength[place]:
                    place = k
            if strength[place] >= value:
                continue
        else:
            count += 1
        hz[place] = pitch_hz
        strength[place] = value
    return count, best


@njit(cache=True, nogil=True)
def _extend(state: Any, slot: int, count: int) -> None:  # one Viterbi step into path slot `slot`
    before = (slot + _PATH - 1) % _PATH
    top = -1e30
    for j in range(count):
        best, origin = -1e30, 0
        for k in range(state.count[before]):
            cost = 0.0
            if (j == 0) != (k == 0):
                cost = _VOICING_CHANGE_COST
            elif j > 0:
                cost = _OCTAVE_JUMP_COST * abs(math.log(state.hz[slot, j] / state.hz[before, k])) * _LOG2
            value = state.score[k] - cost
            if value > best:
                best, origin = value, k
        state.next_score[j] = best + state.strength[j]
        state.back[slot, j] = origin
        top = max(top, state.next_score[j])
    for j in range(count):
        state.score[j] = state.next_score[j] - top
    state.count[slot] = count


@njit(cache=True, nogil=True)
def _unvoiced(state: Any, power: float, periodicity: float) -> float:  # what a voiced candidate must beat, in this frame
    middle = 0.0
    for i in range(WINDOW // 2 - _MIDDLE, WINDOW // 2 + _MIDDLE):
        middle += state.low[i] * state.low[i]
    middle_db = 10.0 * math.log10(max(middle / (2 * _MIDDLE), _FAINTEST))
    window_db = 10.0 * math.log10(max(power, _FAINTEST))
    if periodicity > _PERIODIC:
        if not state.heard:
            state.heard = 1
            state.voice_db = middle_db
        state.voice_db += (middle_db - state.voice_db) * (_RISE if middle_db > state.voice_db else _FALL)
    strength = _VOICING_THRESHOLD + _EDGE_COST * max(0.0, window_db - middle_db - _EDGE_DB)
    if state.heard:
        strength += _QUIET_COST * max(0.0, state.voice_db - middle_db - _QUIET_DB) ** 2
    return strength


@njit(cache=True, nogil=True)
def step(state: Any, hop: Floats) -> float:
    """Take one hop of samples and return the F0 in Hz that became final: that of the frame DELAY hops back, NaN where unvoiced.

    state: a record of STATE, zeros to begin with. hop: (HOP,) in [-1, 1], free of any DC offset, zeros where audio was lost.
    """
    recent = state.recent
    for i in range(_TAPS - 1):
        recent[i] = recent[i + HOP]
    h0, h1 = state.high[0], state.high[1]
    for i in range(HOP):
        x = float(hop[i])
        y = _HIGH[0] * x + h0
        h0 = _HIGH[1] * x - _HIGH[3] * y + h1
        h1 = _HIGH[2] * x - _HIGH[4] * y
        recent[_TAPS - 1 + i] = y
    state.high[0], state.high[1] = h0, h1
    _decimate(recent, state.low)
    if state.hops == 0:
        for slot in range(_PATH):
            state.count[slot] = 1
    slot = state.hops % _PATH
    state.hops += 1

    power = _autocorrelate(state.low, state.frame, state.r)
    count = 1
    state.hz[slot, 0] = math.nan
    state.strength[0] = _VOICING_THRESHOLD
    if power > 0.0:
        count, periodicity = _candidates(state.r, state.hz[slot], state.strength)
        state.strength[0] = _unvoiced(state, power, periodicity)
    _extend(state, slot, count)

    choice = 0
    for j in range(1, count):
        if state.score[j] > state.score[choice]:
            choice = j
    for _ in range(LOOKAHEAD):
        choice = state.back[slot, choice]
        slot = (slot + _PATH - 1) % _PATH
    return state.hz[slot, choice]  # type: ignore[no-any-return]
