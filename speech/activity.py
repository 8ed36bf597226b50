"""Speech, silence or lost, for every 10 ms: a judge says where speech is, the level says where its edges are.

The judge (the probability of speech of `recognition.vad`) is right about what is speech even under music or typing, but sees 32 ms at a
time and hangs over after the last word, so that it joins words across short silences. The level of the sound is exact to the hop, but
knows nothing of what it hears. Here the level is listened to as far as it has been telling silence from speech in the last seconds:
each of two bands (below and above 1.2 kHz) keeps the mean and spread of its level over the hops that the judge is sure are silence, and
over those that it is sure are speech, and gives the log likelihood ratio of the two. Against a quiet background the two lie far apart
and the level decides; under music they overlap, the ratio is near zero, and the judge decides. Of sure speech, too, a share sounds like
silence (closures, and under noise all that is weak): no level makes speech less likely than that share. This is the likelihood-ratio
detector of Sohn, Kim & Sung 1999 (IEEE Signal Processing Letters 6:1), with levels for spectra and the judge in place of its noise
estimate. A two-state Markov chain, decoded with a fixed lag (Viterbi), keeps single hops from flickering.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from speech.audio import HOP, RATE_HZ, Floats, Span, State, States

VERSION: Final = 1
JUDGE_WINDOW: Final = 512  # samples behind each probability

_JUDGE_LATE = 400  # samples: the judge answers to an onset and to an end about 25 ms late
_ADAPT = 10  # hops: how far the models run ahead of the decision
_LAG = 20  # hops: how far the decision looks ahead of what it decides
LOOK_AHEAD: Final = (_ADAPT + _LAG) * HOP + _JUDGE_LATE - HOP // 2 + JUDGE_WINDOW * 3 // 2
"""Samples after the end of a hop that its state may wait for: 368 ms."""

_SPLIT_HZ = 1200.0  # vowels below, most of s, f and t above
_LOWEST_HZ = 100.0  # below it there is hum, rumble and DC
_SWITCH_COST = 6.0  # nats for a change of state: without evidence one change in exp(6) hops, 4 s
_JUDGE_WEIGHT = 0.7  # neighbouring hops share a judgement, so each counts for less than a whole one
_JUDGE_MOST = 0.993  # the judge is never taken to be more certain: 5 nats
_LEVEL_WEIGHT = 0.4  # neighbouring hops, and the two bands, are far from independent
_LEVEL_MOST = 3.0  # nats that the level may say for speech: any noise can be loud
_SURE_SILENT, _SURE_SPEECH = 0.15, 0.85
_MEMORY = 500.0  # hops of each kind (5 s) that a model remembers
_PRIOR = 20.0  # hops that a guess from the extremes of the level counts for
_FLOOR_SD_DB, _PEAK_SD_DB = 4.0, 10.0  # spread of that guess, for silence and for speech
_FLOOR_ABOVE_LEAST_DB, _SPEECH_BELOW_PEAK_DB = 3.0, 12.0
_LEAST_SILENT_SD_DB, _LEAST_SPEECH_SD_DB = 3.0, 6.0
_DIGITAL_DB = -115.0  # less than one flip of the last of 16 bits in 10 ms: digital silence tells nothing about the room
_LEAST_BLOCK = 150  # hops; the floor is the least level of the last one to two blocks
_PEAK_FALL_DB = 0.01  # a hop: the greatest level is forgotten by 1 dB a second
_POWER_FLOOR = 1e-13
_AT_ONCE = 60 * RATE_HZ  # samples of a finished signal handed on in one piece
_LOST = int(State.LOST)
_FIRST_CENTRE = HOP // 2 + _JUDGE_LATE - JUDGE_WINDOW // 2  # samples from the centre of window 0 to what judges hop 0


@njit(cache=True, nogil=True)
def _band_levels(pcm, coefficients, memory, sums, out):  # type: ignore[no-untyped-def]
    # (n,), (3, 5), (3, 2), (4,), (hops, 3) -> fills out: dB of the two bands, 1 where lost.
    # Direct form II transposed: the high pass, then the two bands. sums: energy of either band, samples, lost samples of the hop.
    filled = 0
    for i in range(pcm.size):
        x = float(pcm[i])
        if not math.isfinite(x):
            x = 0.0
            sums[3] += 1.0
        c = coefficients[0]
        m = memory[0]
        y = c[0] * x + m[0]
        m[0] = c[1] * x - c[3] * y + m[1]
        m[1] = c[2] * x - c[4] * y
        for band in range(2):
            c = coefficients[1 + band]
            m = memory[1 + band]
            z = c[0] * y + m[0]
            m[0] = c[1] * y - c[3] * z + m[1]
            m[1] = c[2] * y - c[4] * z
            sums[band] += z * z
        sums[2] += 1.0
        if sums[2] == HOP:
            for band in range(2):
                out[filled, band] = 10.0 * math.log10(sums[band] / HOP + _POWER_FLOOR)
                sums[band] = 0.0
            out[filled, 2] = 1.0 if sums[3] else 0.0
            sums[2] = 0.0
            sums[3] = 0.0
            filled += 1


# The model of a band: mean, variance and weight of silence, the same of speech, the least level of this block and of the one before,
# and the greatest level.
_MODEL = 9


@njit(cache=True, nogil=True)
def _evidence(model, level):  # type: ignore[no-untyped-def]
    # Log likelihood ratio of speech to silence for one band, nats.
    weight = model[5] + _PRIOR
    guess = model[8] - _SPEECH_BELOW_PEAK_DB
    speech = (model[5] * model[3] + _PRIOR * guess) / weight
    speech_var = (model[5] * (model[4] + (model[3] - speech) ** 2) + _PRIOR * (_PEAK_SD_DB**2 + (guess - speech) ** 2)) / weight
    weight = model[2] + _PRIOR
    guess = min(model[6], model[7]) + _FLOOR_ABOVE_LEAST_DB
    silence = (model[2] * model[0] + _PRIOR * guess) / weight
    silence_var = (model[2] * (model[1] + (model[0] - silence) ** 2) + _PRIOR * (_FLOOR_SD_DB**2 + (guess - silence) ** 2)) / weight
    if silence >= speech:
        return 0.0
    silence_var = max(silence_var, _LEAST_SILENT_SD_DB**2)
    speech_var = max(speech_var, _LEAST_SPEECH_SD_DB**2)
    x = min(max(level, silence), speech)  # between the means the ratio grows with the level; outside it stays what it is there
    return 0.5 * ((x - silence) ** 2 / silence_var - (x - speech) ** 2 / speech_var + math.log(silence_var / speech_var))


@njit(cache=True, nogil=True)
def _learn(model, level, probability, clock):  # type: ignore[no-untyped-def]
    if clock % _LEAST_BLOCK == 0:
        model[7] = model[6]
        model[6] = math.inf
    if level < _DIGITAL_DB:
        return
    model[6] = min(model[6], level)
    model[8] = max(model[8] - _PEAK_FALL_DB, level)
    first = 0 if probability < _SURE_SILENT else 3
    if _SURE_SILENT <= probability <= _SURE_SPEECH:
        return
    model[first + 2] = min(model[first + 2] + 1.0, _MEMORY)
    step = level - model[first]
    model[first] += step / model[first + 2]
    model[first + 1] += (step * (level - model[first]) - model[first + 1]) / model[first + 2]


@njit(cache=True, nogil=True)
def _decide(levels, probability, model, waiting, back, chain, out):  # type: ignore[no-untyped-def]
    # (k, 3), (k,), (2, _MODEL), (_ADAPT, 4), (_LAG, 3), (5,) -> fills out with states, returns how many.
    # chain: hops seen, hops in the chain, lead of speech over silence in nats, share of sure speech that sounds silent, its weight.
    written = 0
    for i in range(probability.size):
        seen = int(chain[0])
        if levels[i, 2] == 0.0:
            for band in range(2):
                _learn(model[band], levels[i, band], probability[i], seen)
        slot = seen % _ADAPT
        if seen >= _ADAPT:
            written += _step(waiting[slot], model, back, chain, out, written)
        waiting[slot, 0] = levels[i, 0]
        waiting[slot, 1] = levels[i, 1]
        waiting[slot, 2] = probability[i]
        waiting[slot, 3] = levels[i, 2]
        chain[0] += 1.0
    return written


@njit(cache=True, nogil=True)
def _drain(model, waiting, back, chain, out):  # type: ignore[no-untyped-def]
    # End of the stream: the hops that wait for the models, then those that wait for the decision.
    written = 0
    seen = int(chain[0])
    for hop in range(max(0, seen - _ADAPT), seen):
        written += _step(waiting[hop % _ADAPT], model, back, chain, out, written)
    for depth in range(min(int(chain[1]), _LAG), 0, -1):
        out[written] = _trace(back, chain, depth)
        written += 1
    return written


@njit(cache=True, nogil=True)
def _look_ahead(levels, probability, model, waiting, back, chain, out):  # type: ignore[no-untyped-def]
    # As _decide and then _drain, but nothing is learnt: back and chain are copies, out is filled with all states still owed.
    written = 0
    seen = int(chain[0])
    for i in range(max(0, seen - _ADAPT), seen):
        written += _step(waiting[i % _ADAPT], model, back, chain, out, written)
    hop = np.empty(4)
    for i in range(probability.size):
        hop[0], hop[1], hop[2], hop[3] = levels[i, 0], levels[i, 1], probability[i], levels[i, 2]
        written += _step(hop, model, back, chain, out, written)
    for depth in range(min(int(chain[1]), _LAG), 0, -1):
        out[written] = _trace(back, chain, depth)
        written += 1
    return written


@njit(cache=True, nogil=True)
def _step(hop, model, back, chain, out, written):  # type: ignore[no-untyped-def]
    # One step of Viterbi: hop (levels, probability, lost) comes in, the state _LAG hops before it goes out.
    decided = int(chain[1])
    slot = decided % _LAG
    gone = 0
    if decided >= _LAG:
        out[written] = _trace(back, chain, _LAG)
        gone = 1
    ratio = 0.0
    if hop[3] == 0.0:
        p = min(max(hop[2], 1.0 - _JUDGE_MOST), _JUDGE_MOST)
        judge = math.log(p / (1.0 - p))
        level = min(_evidence(model[0], hop[0]) + _evidence(model[1], hop[1]), _LEVEL_MOST)
        if p > _SURE_SPEECH:
            chain[4] = min(chain[4] + 1.0, _MEMORY)
            chain[3] += ((1.0 if level < 0.0 else 0.0) - chain[3]) / (chain[4] + _PRIOR)
        ratio = _JUDGE_WEIGHT * judge + _LEVEL_WEIGHT * math.log((1.0 - chain[3]) * math.exp(level) + chain[3])
    ahead = chain[2]
    # where each state was best reached from (1 speech, 0 silence), and whether the hop was lost
    back[slot, 1] = 0 if ahead < -_SWITCH_COST else 1
    back[slot, 0] = 1 if ahead > _SWITCH_COST else 0
    back[slot, 2] = int(hop[3])
    chain[2] = min(max(ahead, -_SWITCH_COST), _SWITCH_COST) + ratio
    chain[1] += 1.0
    return gone


@njit(cache=True, nogil=True)
def _trace(back, chain, depth):  # type: ignore[no-untyped-def]
    # The state `depth` hops before the newest, on the best path that ends now.
    newest = int(chain[1]) - 1
    state = 1 if chain[2] > 0.0 else 0
    for k in range(depth - 1):
        state = back[(newest - k) % _LAG, state]
    if back[(newest - depth + 1) % _LAG, 2]:
        return _LOST
    return state


def _band_filters() -> NDArray[np.float64]:
    # (3, 5): second-order Butterworth high pass, then low pass and high pass at the split (Bristow-Johnson's Audio EQ Cookbook).
    out = np.empty((3, 5))
    for row, (corner_hz, high) in enumerate(((_LOWEST_HZ, True), (_SPLIT_HZ, False), (_SPLIT_HZ, True))):
        w = 2.0 * math.pi * corner_hz / RATE_HZ
        alpha, cos = math.sin(w) / math.sqrt(2.0), math.cos(w)
        middle = -(1.0 + cos) if high else 1.0 - cos
        edge = -middle / 2.0 if high else middle / 2.0
        out[row] = np.array([edge, middle, edge, -2.0 * cos, 1.0 - alpha]) / (1.0 + alpha)
    return out


class Activity:
    """Speech, silence or lost per 10 ms of one stream: sound and judgements go in as they come, states come out as they are final.

    Any split of the input gives the same states; the last one given is at most `LOOK_AHEAD` samples behind what was put in.
    """

    def __init__(self) -> None:
        self._coefficients = _band_filters()
        self._memory = np.zeros((3, 2))
        self._sums = np.zeros(4)
        self._model = np.zeros((2, _MODEL))
        self._model[:, 6:8], self._model[:, 8] = np.inf, -np.inf
        self._waiting = np.zeros((_ADAPT, 4))
        self._back = np.zeros((_LAG, 3), np.int8)
        self._chain = np.array([0.0, 0.0, 0.0, 0.1, 0.0])  # in clean reading a tenth of speech is closures
        self._levels = np.empty((0, 3))  # of hops that wait for their judgement
        self._judged = np.empty(0)  # judgements that hops still need
        self._windows_gone = 0  # judgements before these
        self._hops = 0  # handed on to the models

    def push(self, pcm: Floats, probability: Floats) -> States:
        """States (k,), `State` values, that have become final.

        pcm: (n,) in [-1, 1] at 16 kHz, NaN where a sample never came; a hop with such a sample is lost. probability: (m,) in 0..1, of the
        next windows of 512 samples of the same stream; they may come before or after their sound.
        """
        levels = np.empty(((int(self._sums[2]) + pcm.size) // HOP, 3))
        _band_levels(pcm, self._coefficients, self._memory, self._sums, levels)
        self._levels = np.concatenate((self._levels, levels))
        self._judged = np.concatenate((self._judged, probability))
        # The last judgement waits for the one after it, since a hop's judgement lies between two.
        reach = (self._windows_gone + self._judged.size - 1) * JUDGE_WINDOW - _FIRST_CENTRE
        return self._advance(min(self._levels.shape[0], max(0, -(-reach // HOP) - self._hops)))

    def provisional(self) -> States:
        """The best guess now at the states (k,) that are not final yet, for every full hop that was put in.

        What no judgement has reached is judged as the last one. Costs 10 us; nothing is changed by it.
        """
        owed = self._levels.shape[0]
        judged = self._judgements(owed) if self._judged.size else np.zeros(owed)
        out = np.empty(owed + _ADAPT + _LAG, np.int8)
        count = _look_ahead(self._levels, judged, self._model, self._waiting, self._back.copy(), self._chain.copy(), out)
        return out[:count]

    def finish(self) -> States:
        """The states still owed when the stream ends, its last judgement pushed; a last hop that is not full has none."""
        rest = self._advance(self._levels.shape[0])
        owed = np.empty(_ADAPT + _LAG, np.int8)
        count = _drain(self._model, self._waiting, self._back, self._chain, owed)
        return np.concatenate((rest, owed[:count]))

    def _advance(self, hops: int) -> States:
        if hops == 0:
            return np.empty(0, np.int8)
        judged = self._judgements(hops)
        out = np.empty(hops, np.int8)
        count = _decide(self._levels[:hops], judged, self._model, self._waiting, self._back, self._chain, out)
        self._levels = self._levels[hops:].copy()
        self._hops += hops
        unneeded = max(0, (self._hops * HOP + _FIRST_CENTRE) // JUDGE_WINDOW - self._windows_gone)
        self._judged = self._judged[unneeded:].copy()
        self._windows_gone += unneeded
        return out[:count]

    def _judgements(self, hops: int) -> NDArray[np.float64]:
        # Of the next hops.
        at = (np.arange(self._hops, self._hops + hops) * HOP + _FIRST_CENTRE) / JUDGE_WINDOW - self._windows_gone
        return np.interp(at, np.arange(self._judged.size), self._judged)


def activity(pcm: Floats, probability: Floats, lost: Sequence[Span] = ()) -> States:
    """States (n // 160,) of a finished signal, `State` values; the same as `Activity` gives for any split of it.

    pcm: (n,) in [-1, 1] at 16 kHz. probability: (ceil(n / 512),) in 0..1. lost: what never came, whatever pcm holds there. Costs about 5 us
    of one core per 10 ms. ValueError where the judgements are not those of the signal.
    """
    if probability.size != -(-pcm.size // JUDGE_WINDOW):
        raise ValueError(f"{pcm.size} samples have {-(-pcm.size // JUDGE_WINDOW)} judgements, not {probability.size}")
    stream = Activity()
    out = []
    for start in range(0, pcm.size, _AT_ONCE):
        block = pcm[start : start + _AT_ONCE].copy()
        for span in lost:
            block[max(0, span.start - start) : max(0, span.end - start)] = np.nan
        out.append(stream.push(block, probability if start == 0 else probability[:0]))
    out.append(stream.finish())
    return np.concatenate(out)
