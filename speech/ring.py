"""The last 30 seconds of a session, addressed by absolute sample index."""

import numpy as np

from speech.audio import RATE_HZ, Floats

CAPACITY = 30 * RATE_HZ


class OutsideRing(LookupError):
    """Samples were asked for that are no longer there, or not yet."""


class Ring:
    """The newest `capacity` samples. When full, the oldest are overwritten, and `overwritten` counts them.

    Lost audio takes its place on the clock and reads as NaN, so that nobody takes it for silence. 4 bytes per sample: 1.9 MB for 30 s.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        if capacity < 1:
            raise ValueError(f"a ring holds at least one sample, not {capacity}")
        self._samples = np.zeros(capacity, np.float32)
        self._end = 0

    @property
    def capacity(self) -> int:
        """Samples held at most."""
        return self._samples.size

    @property
    def start(self) -> int:
        """Index of the oldest sample still there."""
        return max(0, self._end - self.capacity)

    @property
    def end(self) -> int:
        """Index of the next sample to be written."""
        return self._end

    @property
    def overwritten(self) -> int:
        """Samples that had to make room, since the session began."""
        return self.start

    def write(self, pcm: Floats) -> None:
        """Append samples, (n,) in [-1, 1]; any n, also more than fit."""
        if pcm.ndim != 1:
            raise ValueError(f"pcm must be one row of samples, not {pcm.shape}")
        fitting = pcm[-self.capacity :] if pcm.size > self.capacity else pcm
        self._end += pcm.size
        at = (self._end - fitting.size) % self.capacity
        first = min(fitting.size, self.capacity - at)
        self._samples[at : at + first] = fitting[:first]
        self._samples[: fitting.size - first] = fitting[first:]

    def lost(self, samples: int) -> None:
        """Append samples that never came."""
        if samples < 0:
            raise ValueError(f"cannot lose {samples} samples")
        fitting = min(samples, self.capacity)
        self._end += samples
        at = (self._end - fitting) % self.capacity
        first = min(fitting, self.capacity - at)
        self._samples[at : at + first] = np.nan
        self._samples[: fitting - first] = np.nan

    def read(self, start: int, end: int) -> Floats:
        """A copy of samples [start, end), (end - start,), NaN where lost. OutsideRing for what is gone or not there yet."""
        if end < start:
            raise ValueError(f"samples [{start}, {end}) end before they start")
        if start < self.start:
            raise OutsideRing(f"samples [{start}, {end}) are gone: the oldest kept is {self.start}")
        if end > self._end:
            raise OutsideRing(f"samples [{start}, {end}) are not there yet: the newest is {self._end - 1}")
        at = start % self.capacity
        first = min(end - start, self.capacity - at)
        return np.concatenate([self._samples[at : at + first], self._samples[: end - start - first]])
