"""Where each decoded block belongs in time: real gaps are kept as gaps, the jitter of timestamps is not taken for one."""

from collections.abc import Iterator

import numpy as np

from speech.audio import Floats

TOLERANCE_S = 0.005  # containers round timestamps to 1 ms; the shortest common packet is 10 ms
SETTLE_S = 0.2  # a jump must last this long to be believed: recorders stamp packets late and then catch up
CREEP = 0.01  # timestamps may run up to 1 % fast or slow against the samples (cheap muxers round every duration); samples are the clock
LONGEST_GAP_S = 600.0  # a longer jump is a broken clock, not a hole


class Timeline:
    """Puts the blocks of one stream, which come with timestamps or without, into one row of samples at `rate_hz`.

    A jump forward of more than the tolerance (plus two ticks of the container's clock) that lasts for 0.2 s becomes a gap of that length.
    A jump back, or one of more than ten minutes, only moves the clock (`jumps` counts those): no sample is ever dropped.
    Holds 0.2 s of sound at most.
    """

    def __init__(self, rate_hz: int, tick_s: float) -> None:
        self._tolerance = (TOLERANCE_S + 2 * min(tick_s, 0.02)) * rate_hz
        self._settle = SETTLE_S * rate_hz
        self._longest = LONGEST_GAP_S * rate_hz
        self._next: float | None = None  # where, on the container's clock, the next block is due
        self._waiting: list[tuple[float | None, Floats]] = []
        self._off: list[float] = []  # how far each waiting block is from where it was due
        self._held = 0
        self.jumps = 0

    def add(self, at: float | None, block: Floats) -> Iterator[Floats | int]:
        """What can now be placed: blocks (channels, n) in order, and the lengths of gaps between them. `at` is on the container's clock."""
        if at is None or self._next is None:
            if self._waiting:
                self._waiting.append((at, block))
                self._held += block.shape[1]
            else:
                if at is not None:
                    self._next = at
                yield from self._pass(block)
            return
        off = at - (self._next + self._held)
        if abs(off) <= self._tolerance:
            yield from self._release()
            self._next += float(np.clip(off, -CREEP * block.shape[1], CREEP * block.shape[1]))
            yield from self._pass(block)
            return
        if self._off and off * self._off[-1] < 0:  # swung to the other side: that was jitter
            yield from self._release()
        self._waiting.append((at, block))
        self._off.append(off)
        self._held += block.shape[1]
        if self._held >= self._settle:
            yield from self._believe()

    def finish(self) -> Iterator[Floats | int]:
        """What is still held back at the end of the stream."""
        while self._waiting:
            yield from self._believe()

    def _pass(self, block: Floats) -> Iterator[Floats]:
        if self._next is not None:
            self._next += block.shape[1]
        yield block

    def _release(self) -> Iterator[Floats]:
        for _, block in self._waiting:
            yield from self._pass(block)
        self._waiting, self._off, self._held = [], [], 0

    def _believe(self) -> Iterator[Floats | int]:
        assert self._next is not None
        shift = min(self._off, key=abs)  # what all of them agree on; a second jump among them is looked at again
        waiting = self._waiting
        self._waiting, self._off, self._held = [], [], 0
        self._next += shift
        if 0 < shift <= self._longest:
            yield round(shift)
        elif abs(shift) > self._settle:
            self.jumps += 1
        for at, block in waiting:
            yield from self.add(at, block)
