"""What has changed between sessions of one person: how far a score moved, and whether that is more than it moves anyway."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot

import numpy as np

LEAST_EARLIER = 3  # sessions, before a person's own noise is known
MOST_EARLIER = 20
# Student's t, 97.5 %, for 3 to 20 earlier sessions.
_T = (4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A score with its 95 % interval, 0..100."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Change:
    """A score now and before, and the 95 % interval of the difference."""

    before: float
    now: float
    difference: float
    low: float
    high: float
    changed: bool


def change(now: Estimate, earlier: Sequence[Estimate]) -> Change:
    """The score now against the mean of three to twenty earlier sessions; with fewer of them, against the last.

    earlier: by time, at least one. The interval is the wider, to either side, of two. One combines the intervals of both sides (MOVER, Zou
    & Donner 2008). The other is where a further session of the same person lies by chance: t times the spread of the earlier ones times
    sqrt(1 + 1/n), which holds what differs from day to day and from one subject to the next. `changed` is an interval without 0; before
    the spread is known nothing has changed.
    """
    known = len(earlier) >= LEAST_EARLIER
    taken = earlier[-MOST_EARLIER:] if known else earlier[-1:]
    count = len(taken)
    before = sum(one.value for one in taken) / count
    noise = 0.0
    if known:
        noise = _T[count - LEAST_EARLIER] * float(np.std([one.value for one in taken], ddof=1)) * (1.0 + 1.0 / count) ** 0.5
    below = hypot(now.value - now.low, hypot(*(one.high - one.value for one in taken)) / count)
    above = hypot(now.high - now.value, hypot(*(one.value - one.low for one in taken)) / count)
    difference = now.value - before
    low, high = difference - max(below, noise), difference + max(above, noise)
    return Change(before, now.value, difference, low, high, known and (low > 0.0 or high < 0.0))
