"""A lossy link: what is sent comes late, out of order, twice, in bunches or never. Seeded, without a clock.

    sent = [(packet, 20.0 * i) for i, packet in enumerate(packets)]
    for packet, arrival_ms in Link(seed=1, loss=0.01, jitter_ms=50).carry(sent): ...

In order of arrival. `lost` afterwards lists what never came.
"""

import heapq
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass
class Link(Generic[T]):
    """One direction of a network. Shares are 0..1, times ms."""

    seed: int
    loss: float = 0.0  # share of packets, over the whole
    burst_packets: float = 1.0  # mean length of a run of losses (Gilbert's two states); 1: each on its own
    delay_ms: float = 0.0
    jitter_ms: float = 0.0  # added to each packet, uniform in [0, jitter_ms]: neighbours overtake one another
    in_order: bool = False  # jitter as a queue makes it: nothing overtakes
    reorder: float = 0.0  # share of packets that take another route, reorder_ms longer
    reorder_ms: float = 0.0
    duplicates: float = 0.0  # share of packets that come twice, the second within reorder_ms or 20 ms
    stalls: tuple[tuple[float, float], ...] = ()  # what is sent in [from, to) comes no earlier than `to`
    outages: tuple[tuple[float, float], ...] = ()  # what is sent in [from, to) never comes
    lost: list[T] = field(default_factory=list)

    def carry(self, sent: Iterable[tuple[T, float]]) -> Iterator[tuple[T, float]]:
        """(packet, sent_ms), in order -> (packet, arrival_ms), in order of arrival. Holds only what is on its way."""
        if self.burst_packets < 1 or not 0 <= self.loss < 1:
            raise ValueError("a run of losses is a packet at least, and something gets through")
        chance = random.Random(self.seed)
        way: list[tuple[float, int, T]] = []
        losing, newest_ms = False, 0.0
        for number, (packet, sent_ms) in enumerate(sent):
            while way and way[0][0] <= sent_ms + self.delay_ms:  # nothing sent from now on can come before
                arrival_ms, _, come = heapq.heappop(way)
                yield come, arrival_ms
            if self.burst_packets > 1:  # so that a share `loss` is lost in the long run, and a run lasts `burst_packets` on average
                losing = chance.random() < (1 - 1 / self.burst_packets if losing else self.loss / (1 - self.loss) / self.burst_packets)
            else:
                losing = chance.random() < self.loss
            arrival_ms = sent_ms + self.delay_ms + chance.random() * self.jitter_ms
            arrival_ms += self.reorder_ms if chance.random() < self.reorder else 0.0
            twice = chance.random() < self.duplicates
            twice_ms = chance.random() * (self.reorder_ms or 20.0)
            if losing or any(start <= sent_ms < end for start, end in self.outages):
                self.lost.append(packet)
                continue
            arrival_ms = max([arrival_ms, *(end for start, end in self.stalls if start <= sent_ms < end)])
            if self.in_order:
                arrival_ms = newest_ms = max(arrival_ms, newest_ms)
            heapq.heappush(way, (arrival_ms, 2 * number, packet))
            if twice:
                heapq.heappush(way, (arrival_ms + twice_ms, 2 * number + 1, packet))
        while way:
            arrival_ms, _, come = heapq.heappop(way)
            yield come, arrival_ms
