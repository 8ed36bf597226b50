"""Packets in the order they were sent, as soon as that can be had.

A packet whose predecessors have all come is released at once: without loss and reordering nothing is delayed, and what a loss
delayed is caught up with the packet that ends it. Only a gap is waited for, until a deadline from the moment when it was noticed,
which is when the first packet behind it came. The start of a stream is such a moment too: its first packets may come in any order.

The deadline follows the network: the 98th percentile of how late, in the last second, packets came into gaps that could be waited
for, and a margin; never below what was asked for, never above LONGEST_MS. A second after a burst it is what it was before.

Silence that a sender does not send (DTX, RFC 7587 section 3.1.3) is a jump of the timestamp where no sequence number is missing,
and is `Quiet`. Where numbers are missing as well, nothing tells silence from loss and all of it is `Missing`; unless the silence had
been announced before, when only what the missing packets can have carried is, at the end, where the voice came back.

No clock and no socket: `now_ms` is an argument, and `due_ms` says when to ask again.
"""

import math
from collections import deque
from dataclasses import dataclass

from rtc.opus import CLOCK_HZ, SHORTEST, duration, quiet

PER_MS = CLOCK_HZ // 1000
SHORTEST_MS, LONGEST_MS = 20.0, 120.0  # of the deadline: less than a packet helps nobody, more than this is no conversation
MARGIN = 1.5  # times what was seen: a second shows a dozen late packets, and the tail is longer. 10 ms instead: 0.5 % too late at 0-100 ms
MEMORY_MS = 1000.0  # a second after a burst everything is as it was
MEMORY = 256  # packets: five seconds of 20 ms, far more than a second's stragglers
PERCENTILE = 0.98

MOST_AHEAD = 3000  # packets, RFC 3550 appendix A.1: a minute of 20 ms lost in one piece
MOST_BEHIND = 100  # same place; a packet further off belongs to another stream
LONGEST_QUIET = 60 * CLOCK_HZ  # DTX renews itself every 400 ms; a sender may also be muted for a while


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet in its turn."""

    sequence: int  # 16 bits, as it came
    pts: int  # its first sample, 48 kHz, since the first packet that was released; never wraps
    samples: int  # 48 kHz
    payload: bytes


@dataclass(frozen=True, slots=True)
class Missing:
    """Packets that had not come by their deadline."""

    sequence: int  # of the first
    count: int  # 0 where the sender started anew and nobody knows
    pts: int
    samples: int  # from the end of what came before to the start of what comes next; 48 kHz


@dataclass(frozen=True, slots=True)
class Quiet:
    """Silence that was sent as nothing."""

    pts: int
    samples: int


Released = Packet | Missing | Quiet


@dataclass(slots=True)
class Counters:
    """Packets since the beginning."""

    received: int = 0  # taken in, each once
    lost: int = 0  # released as missing
    late: int = 0  # of those, came after all; also what is older than the first released, or too old to know what became of it
    duplicates: int = 0
    reordered: int = 0  # came after a later one, yet in time
    malformed: int = 0  # not Opus; count as never having come
    stray: int = 0  # far from the stream, and nothing followed
    overflow: int = 0  # not taken in, as `capacity` were waiting
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class _Held:
    arrived_ms: float
    timestamp: int
    payload: bytes
    samples: int


@dataclass(frozen=True, slots=True)
class _Last:
    """The newest packet released."""

    arrived_ms: float
    timestamp: int  # that of its place on the clock
    pts: int
    samples: int
    quiet: bool

    @property
    def end(self) -> int:
        return self.pts + self.samples


def _signed(difference: int, bits: int) -> int:
    """A difference of counters that wrap around, as the shorter way between them."""
    half = 1 << bits - 1
    return (difference + half) % (2 * half) - half


class Playout:
    """A reorder buffer for one stream of Opus over RTP. Call `release` after every `add`, and at `due_ms`.

    Holds at most `capacity` packets; when full, the oldest gap is given up at once. deadline_ms: 20..120, waited for a gap at least.
    """

    def __init__(self, deadline_ms: float, capacity: int) -> None:
        if not SHORTEST_MS <= deadline_ms <= LONGEST_MS:
            raise ValueError(f"a deadline is {SHORTEST_MS:.0f} to {LONGEST_MS:.0f} ms, not {deadline_ms}")
        if capacity < 2:
            raise ValueError(f"reordering takes room for two packets at least, not {capacity}")
        self.counters = Counters()
        self._normal_ms = deadline_ms
        self._deadline_ms = deadline_ms
        self._capacity = capacity
        self._lateness: deque[tuple[float, float]] = deque(maxlen=MEMORY)  # when it came, how late
        self._ready: list[Released] = []  # what a stream that ended left, until release is called
        self._last: _Last | None = None
        self._begin()

    def _begin(self) -> None:
        self._held: dict[int, _Held] = {}  # by sequence number without wrap-around
        self._near, self._near_timestamp = 0, 0  # the newest packet: the next one is close to it
        self._next: int | None = None  # the number whose turn it is; None before the first release
        self._first: int | None = None  # the first number of the stream released
        self._missed: dict[int, float] = {}  # numbers given up, and when their gap was noticed
        self._apart: tuple[int, int, bytes, float] | None = None  # a packet far from the stream
        self._anew = True

    @property
    def deadline_ms(self) -> float:
        """How long a gap is waited for at present."""
        return self._deadline_ms

    @property
    def held(self) -> int:
        """Packets waiting for their turn."""
        return len(self._held)

    @property
    def due_ms(self) -> float | None:
        """When the oldest gap is given up, unless it is filled before; None when nothing waits."""
        if self._ready:
            return 0.0
        return self._noticed_ms() + self._deadline_ms if self._held else None

    def add(self, sequence: int, timestamp: int, payload: bytes, now_ms: float) -> None:
        """Take a packet in. sequence: 16 bits, timestamp: 32 bits of 48 kHz, both wrap around."""
        samples = duration(payload)
        if samples == 0:
            self.counters.malformed += 1
            return
        if self._anew:
            self._near, self._anew = sequence + (1 << 16), False  # so that what comes from before the first is not negative
            self._near_timestamp = timestamp
        number = self._unwrapped(sequence, timestamp)
        if number is None:
            self._far(sequence, timestamp, payload, now_ms)
            return
        self._apart = None
        if number in self._held:
            self.counters.duplicates += 1
        elif self._next is not None and number < self._next:
            self._too_late(number, now_ms)
        elif len(self._held) >= self._capacity:
            self.counters.overflow += 1
        else:
            self.counters.received += 1
            behind = [held.arrived_ms for other, held in self._held.items() if other > number]
            if behind:
                self.counters.reordered += 1
                self._was_late(now_ms - min(behind), now_ms)
            self._held[number] = _Held(now_ms, timestamp & 0xFFFFFFFF, payload, samples)
            if number > self._near:
                self._near, self._near_timestamp = number, timestamp

    def release(self, now_ms: float) -> list[Released]:
        """Everything whose turn has come, in order."""
        released, self._ready = self._ready, []
        self._adapt(now_ms)
        while self._held:
            if self._next in self._held:
                released += self._turn(self._next)
            elif now_ms >= self._noticed_ms() + self._deadline_ms or len(self._held) >= self._capacity:
                released += self._turn(min(self._held))
            else:
                break
        return released

    def restart(self) -> None:
        """What comes next is another stream (another SSRC). Its place on the clock is found by when it arrives."""
        self.counters.restarts += 1
        self._close()

    def flush(self) -> list[Released]:
        """Everything that is held, without waiting: no more packets will come."""
        self._close()
        released, self._ready = self._ready, []
        return released

    def _close(self) -> None:
        while self._held:
            self._ready += self._turn(min(self._held))
        del self._ready[: -3 * self._capacity]  # a packet is three entries at most: holds only who restarts and never calls release
        self._begin()

    def _unwrapped(self, sequence: int, timestamp: int) -> int | None:
        """The number without wrap-around, or None when it is too far off to belong to this stream."""
        away = _signed(sequence - self._near, 16)
        if -MOST_BEHIND <= away <= MOST_AHEAD:
            return self._near + away
        # A network may hold packets back for seconds. What a sender that started anew sends is not that old by its timestamp as well.
        old = self._next is not None and -MOST_AHEAD <= away < 0 and -LONGEST_QUIET <= _signed(timestamp - self._near_timestamp, 32) < 0
        return self._near + away if old else None

    def _far(self, sequence: int, timestamp: int, payload: bytes, now_ms: float) -> None:
        """One packet from nowhere is dropped; a second that is close to the first is a sender that started anew (RFC 3550 A.1)."""
        first, self._apart = self._apart, (sequence, timestamp, payload, now_ms)
        if first is None or sequence == first[0] or abs(_signed(sequence - first[0], 16)) > MOST_BEHIND:
            self.counters.stray += 1
            return
        self.counters.stray -= 1
        self.restart()
        self.add(*first)
        self.add(sequence, timestamp, payload, now_ms)

    def _too_late(self, number: int, now_ms: float) -> None:
        noticed_ms = self._missed.pop(number, None)
        if noticed_ms is not None:
            self.counters.late += 1
            self._was_late(now_ms - noticed_ms, now_ms)
        elif (self._first is not None and number < self._first) or (self._next is not None and number < self._next - MEMORY):
            self.counters.late += 1
        else:
            self.counters.duplicates += 1

    def _was_late(self, lateness_ms: float, now_ms: float) -> None:
        if lateness_ms <= LONGEST_MS:  # waiting longer than we ever would saves nothing
            self._lateness.append((now_ms, lateness_ms))

    def _adapt(self, now_ms: float) -> None:
        while self._lateness and self._lateness[0][0] < now_ms - MEMORY_MS:
            self._lateness.popleft()
        wanted_ms = 0.0
        if self._lateness:
            ranked = sorted(lateness_ms for _, lateness_ms in self._lateness)
            wanted_ms = ranked[math.ceil(PERCENTILE * len(ranked)) - 1] * MARGIN
        self._deadline_ms = min(max(wanted_ms, self._normal_ms), LONGEST_MS)

    def _noticed_ms(self) -> float:
        """When the oldest gap was: whatever is held lies behind it."""
        return min(held.arrived_ms for held in self._held.values())

    def _turn(self, number: int) -> list[Released]:
        """Release a packet that is held, and before it the time since the one before: numbers between them are given up."""
        begins = self._next is None
        expected = number if self._next is None else self._next
        count = number - expected
        if begins:
            self._first = number
        if count:
            noticed_ms = self._noticed_ms()
            self._missed.update(dict.fromkeys(range(max(expected, number - MEMORY), number), noticed_ms))
            while len(self._missed) > MEMORY:
                del self._missed[next(iter(self._missed))]
            self.counters.lost += count
        held, self._next = self._held.pop(number), number + 1
        pts, between, rounding = self._place(held, begins, expected & 0xFFFF, count)
        self._last = _Last(held.arrived_ms, held.timestamp - rounding, pts, held.samples, quiet(held.payload))
        return [*between, Packet(number & 0xFFFF, pts, held.samples, held.payload)]

    def _place(self, held: _Held, begins: bool, missing: int, count: int) -> tuple[int, list[Released], int]:
        """Where a packet lies on the clock; what lies before it, where `count` from `missing` on did not come; how far off its stamp."""
        last = self._last
        if last is None:
            return 0, [], 0
        gap = _signed(held.timestamp - last.timestamp, 32) - last.samples
        sent = count * held.samples
        if begins or not -held.samples < gap <= LONGEST_QUIET + sent:
            # Another stream, or a clock that jumped: only the arrival says how much time has passed.
            passed = max(0, round((held.arrived_ms - last.arrived_ms) * PER_MS) - last.samples)
            return last.end + passed, [Missing(missing, count, last.end, passed)] if count or passed else [], 0
        if count == 0:
            if abs(gap) < SHORTEST:  # no frame is so short: a sender's rounding, put right when it adds up to more
                return last.end, [], gap
            return last.end + gap, [Quiet(last.end, gap)] if gap > 0 else [], 0
        pts = last.end + gap
        if last.quiet and gap > sent:
            return pts, [Quiet(last.end, gap - sent), Missing(missing, count, pts - sent, sent)], 0
        return pts, [Missing(missing, count, last.end, max(gap, 0))], 0
