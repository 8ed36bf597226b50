"""The prosody of a stream, hop by hop: F0, level, loudness, lost audio and syllable nuclei, from one kernel for live and batch alike.

Samples go in in chunks of any size; what comes out depends on the samples alone, to the last bit, never on the chunks. A frame comes out
once it is final, DELAY hops after it was heard. Nothing is allocated per hop.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from speech import level, nuclei, pitch
from speech.audio import HOP, Floats, Span

Doubles = NDArray[np.float64]
Positions = NDArray[np.int64]
Mask = NDArray[np.bool_]

DELAY = pitch.DELAY
LATENCY_S = pitch.LATENCY_S  # from the centre of a frame to the sample that makes it final

_GAP = np.full((1, 10 * 16_000), np.nan, np.float32)

_STATE = np.dtype(
    [
        ("level", level.STATE),
        ("pitch", pitch.STATE),
        ("nuclei", nuclei.STATE),
        ("hops", np.int64),
        ("filled", np.int64),
        ("hop", np.float32, (HOP,)),  # samples on the way to a hop, NaN where lost
        ("ac", np.float32, (HOP,)),
        ("level_dbfs", np.float32, (DELAY + 1,)),  # of the hops whose F0 is not final yet
        ("k_power", np.float64, (DELAY + 1,)),
    ],
    align=True,
)
STATE_BYTES = _STATE.itemsize  # what one stream costs in memory


@dataclass(frozen=True, slots=True, eq=False)
class Hops:
    """Consecutive frames that became final; frame i covers samples [start + i * HOP, start + (i + 1) * HOP)."""

    start: int
    f0_hz: Floats  # (k,) in [65, 500], NaN where unvoiced or lost
    level_dbfs: Floats  # (k,) dB re an RMS of 1.0, -120 at digital silence, NaN where lost
    k_power: Doubles  # (k,) K-weighted mean square, NaN where lost; speech.level turns it into LUFS
    nuclei: Positions  # (n,) samples, growing, in any of the frames that came out so far and never told before

    @property
    def lost(self) -> Mask:
        """(k,) true where any sample of the frame was lost or was no number."""
        return np.isnan(self.level_dbfs)


@njit(cache=True, nogil=True)
def _take_hop(state: Any, f0_hz: Floats, level_dbfs: Floats, k_power: Doubles, at: int) -> int:
    """The hop in `state.hop` -> a nucleus or -1; fills place `at` of the outputs once the first frame is final."""
    newest = state.hops % (DELAY + 1)
    state.level_dbfs[newest], state.k_power[newest] = level.step(state.level, state.hop, state.ac)
    final = (newest + 1) % (DELAY + 1)
    final_hz = pitch.step(state.pitch, state.ac)
    state.hops += 1
    if state.hops <= DELAY or np.isnan(state.level_dbfs[final]):
        final_hz = np.nan
    nucleus = nuclei.step(state.nuclei, state.ac, final_hz)
    if state.hops > DELAY:
        f0_hz[at] = final_hz
        level_dbfs[at] = state.level_dbfs[final]
        k_power[at] = state.k_power[final]
    return nucleus


@njit(cache=True, nogil=True)
def _advance(states: Any, pcm: Floats, f0_hz: Floats, level_dbfs: Floats, k_power: Doubles, nucleus: Positions, counts: Positions) -> None:
    """Samples (streams, n) through `states`; fills (streams, k) outputs and the first counts[s] of row s of `nucleus`."""
    for s in range(states.size):
        state = states[s]
        at = 0
        counts[s] = 0
        for i in range(pcm.shape[1]):
            x = pcm[s, i]
            state.hop[state.filled] = x if np.isfinite(x) else np.float32(np.nan)
            state.filled += 1
            if state.filled == HOP:
                state.filled = 0
                found = _take_hop(state, f0_hz[s], level_dbfs[s], k_power[s], at)
                if state.hops > DELAY:
                    at += 1
                if found >= 0:
                    nucleus[s, counts[s]] = found
                    counts[s] += 1


class ProsodyBank:
    """Many streams that advance together, each as a Prosody of its own would; one kernel call for all."""

    def __init__(self, streams: int) -> None:
        self._states = np.zeros(streams, _STATE)
        self._samples = 0

    @property
    def final(self) -> int:
        """Frames that came out so far, of each stream."""
        return max(0, self._samples // HOP - DELAY)

    def push(self, pcm: Floats) -> list[Hops]:
        """Take pcm, (streams, n) float32 in [-1, 1], any n, NaN where audio was lost; give what became final, per stream."""
        if pcm.dtype != np.float32 or pcm.ndim != 2 or pcm.shape[0] != self._states.size:
            raise ValueError(f"pcm must be float32 of shape ({self._states.size}, n), not {pcm.dtype} {pcm.shape}")
        streams, start = pcm.shape[0], self.final
        self._samples += pcm.shape[1]
        frames = self.final - start
        f0_hz = np.empty((streams, frames), np.float32)
        level_dbfs = np.empty((streams, frames), np.float32)
        k_power = np.empty((streams, frames))
        nucleus = np.empty((streams, frames // 2 + 1), np.int64)  # a rise and a fall take a hop each
        counts = np.empty(streams, np.int64)
        _advance(self._states, pcm, f0_hz, level_dbfs, k_power, nucleus, counts)
        return [Hops(start * HOP, f0_hz[s], level_dbfs[s], k_power[s], nucleus[s, : counts[s]].copy()) for s in range(streams)]


class Prosody:
    """The prosody of one session. Not safe for two threads at once."""

    def __init__(self) -> None:
        self._bank = ProsodyBank(1)
        self._received = 0
        self._closed = False

    @property
    def received(self) -> int:
        """Samples taken so far, lost ones included."""
        return self._received

    def push(self, pcm: Floats) -> Hops:
        """Take samples, (n,) float32 in [-1, 1], and give the frames that became final.

        Any n. NaN and infinity count as lost. ValueError for another type or shape, or after flush().
        """
        if self._closed:
            raise ValueError("this stream was flushed: nothing may follow")
        if pcm.ndim != 1:
            raise ValueError(f"pcm must be one row of samples, not {pcm.shape}")
        self._received += pcm.size
        return self._bank.push(pcm[np.newaxis])[0]

    @property
    def waiting_dbfs(self) -> Floats:
        """Levels (k,) of the hops that were heard and did not come out yet, at most DELAY; NaN where lost."""
        state = self._bank._states[0]
        hops = int(state["hops"])
        levels: Floats = state["level_dbfs"]
        return levels[[hop % (DELAY + 1) for hop in range(max(0, hops - DELAY), hops)]]

    def lost(self, samples: int) -> Hops:
        """Take `samples` that never came, and give the frames that became final. Frames with any of them are LOST, never a pause."""
        if samples < 0:
            raise ValueError(f"cannot lose {samples} samples")
        parts = [self.push(_GAP[0, : min(_GAP.size, samples - done)]) for done in range(0, max(samples, 1), _GAP.size)]
        return _join(parts)

    def flush(self) -> Hops:
        """End the stream and give the frames still waiting, as if only lost audio followed. Less than a hop at the end has no frame."""
        if self._closed:
            raise ValueError("this stream was flushed already")
        self._closed = True
        frames = self._received // HOP - self._bank.final
        rest = self._bank.push(_GAP[:, : (-self._received) % HOP + DELAY * HOP])[0]
        end = rest.start + frames * HOP
        return Hops(rest.start, rest.f0_hz[:frames], rest.level_dbfs[:frames], rest.k_power[:frames], rest.nuclei[rest.nuclei < end])


def _join(parts: list[Hops]) -> Hops:
    return Hops(
        parts[0].start,
        np.concatenate([part.f0_hz for part in parts]),
        np.concatenate([part.level_dbfs for part in parts]),
        np.concatenate([part.k_power for part in parts]),
        np.concatenate([part.nuclei for part in parts]),
    )


def analyse(pcm: Floats, lost: Sequence[Span] = ()) -> Hops:
    """The prosody of a whole recording: (n,) float32 in [-1, 1] -> n // HOP frames from sample 0.

    lost: what never came, in order, whatever pcm holds there. The same kernel as live, so the same numbers. Memory beyond `pcm`: 20 bytes
    per hop, twice while joining, so 43 MB for three hours.
    """
    front = Prosody()
    parts = []
    for span in lost:
        parts += [front.push(pcm[front.received : span.start]), front.lost(span.end - span.start)]
    return _join([*parts, front.push(pcm[front.received :]), front.flush()])
