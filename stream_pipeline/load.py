"""How busy the recogniser is, and what follows: how often sessions may ask it, over how long a window, and whether one more fits.

Pure: `now` is an argument, in monotonic seconds. What it measures is of the last seconds, or since it last changed the pace.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from stream_pipeline.asking import STRIDE_S


@dataclass(frozen=True, slots=True)
class Pace:
    """What a session should ask for now."""

    stride_s: float  # new speech between two partial windows
    longest_s: float  # of a window
    degraded: str | None  # what was shed, in words


# Each relieves by a fifth, less than what lies between _BUSY and _IDLE. With shorter windows more words are wrong.
_STEPS_S = ((STRIDE_S, 15.0), (1.25, 15.0), (1.6, 15.0), (1.6, 10.0), (2.0, 10.0), (2.5, 10.0), (3.0, 10.0), (3.0, 8.0))
_PACES = (
    Pace(*_STEPS_S[0], None),
    *(Pace(stride, longest, f"recognising every {stride:g} s, {longest:g} s at once") for stride, longest in _STEPS_S[1:]),
)
_MOST_STRIDE_S = 2.0  # with a wait of 1 s and a batch of 0.7 s a word is then recognised, and old enough to be committed, in 4 s
_OVER_S = 10.0  # over which waits and costs are measured ...
_BUSY_OVER_S = 5.0  # ... and how busy the workers are, which shows before anything waits
_SHED_S = 2.0  # between two steps down, so that each can show what it brings
_EASE_S = 5.0  # of calm before a step up
_BUSY, _IDLE = 0.9, 0.65  # share of the workers' time
_LATE_S = 0.35  # a wait, 95 of 100, that says of busy workers that they are too busy; of idle ones, that sessions asked at the same moment
_MOST_WAIT_S = 1.0
_ROOM, _ROOM_AGAIN = 0.85, 0.7  # share of the workers' time that all sessions may take at _MOST_STRIDE_S, and when a full house reopens
_GUESS = 0.45  # workers that a session takes at the shortest stride, until it is measured, on the CPU


class Load:
    """What the recogniser was asked and how long that took. Memory is bounded by what happens in ten seconds."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._waits: deque[tuple[float, float]] = deque()  # served at, seconds waited
        self._batches: deque[tuple[float, float, float]] = deque()  # begun, ended, and the stride then
        self._running: list[float] = []  # since when
        self._speakers: dict[str, tuple[float, float]] = {}  # first and last asked
        self._fresh: dict[str, float] = {}  # admitted, and not measured yet
        self._level = 0
        self._changed = self._strained = float("-inf")
        self._closed = False

    def asked(self, session: str, now: float) -> None:
        """A session has asked for a window."""
        self._speakers[session] = (self._speakers.get(session, (now, now))[0], now)

    def admitted(self, session: str, now: float) -> None:
        """A session has begun; until it has asked for a while it counts with what others cost."""
        self._fresh[session] = now

    def begun(self, waits_s: list[float], now: float) -> None:
        """A worker has taken windows that waited so long."""
        self._waits += [(now, wait_s) for wait_s in waits_s]
        self._running.append(now)

    def ended(self, begun: float, now: float) -> None:
        """The worker that had taken windows then has done with them."""
        self._running.remove(begun)
        self._batches.append((begun, now, _STEPS_S[self._level][0]))

    def wait_s(self, share: float, now: float) -> float:
        """The wait that so large a share of the windows did not exceed."""
        self._forget(now)
        waits = sorted(wait_s for _, wait_s in self._waits)
        return waits[ceil(share * len(waits)) - 1] if waits else 0.0

    def busy(self, now: float) -> float:
        """Share of the workers' time that was spent, 0..1."""
        since = max(now - _BUSY_OVER_S, self._changed)
        return self._spent(since, now) / (self._workers * max(now - since, _SHED_S))

    def pace(self, oldest_s: float, now: float) -> Pace:
        """What sessions may ask for. oldest_s: for how long the first of those waiting now has waited."""
        self._forget(now)
        wait_s = max(oldest_s, self.wait_s(0.95, now))
        busy = self.busy(now)
        if busy > _IDLE or wait_s > _MOST_WAIT_S:
            self._strained = now
        expected = self._expected(now)
        if expected > self._level:  # those who have just come are asked to make room before they are measured to need it
            self._step(expected, now)
            self._strained = now
        strain = busy > _BUSY or wait_s > (_LATE_S if busy > _IDLE else _MOST_WAIT_S)
        if strain and now - self._changed >= _SHED_S:
            self._step(min(self._level + 1, len(_PACES) - 1), now)
        eased = int((now - max(self._strained, self._changed)) / _EASE_S) if self._level else 0
        if not (self._batches or self._running or oldest_s):  # as long as is measured nothing was asked: what was is over
            eased = self._level
        if eased:
            self._step(max(0, self._level - eased), now)
        return _PACES[self._level]

    def full(self, oldest_s: float, now: float) -> bool:
        """Whether with one more speaker words would come later than promised."""
        stride_s = self.pace(oldest_s, now).stride_s
        wanted = self._wanted(1, now) / _MOST_STRIDE_S
        late = max(oldest_s, self.wait_s(0.95, now)) > (_LATE_S if self._closed else _MOST_WAIT_S)
        slow = stride_s >= _MOST_STRIDE_S if self._closed else stride_s > _MOST_STRIDE_S
        self._closed = late or slow or wanted > (_ROOM_AGAIN if self._closed else _ROOM)
        return self._closed

    def _wanted(self, more: int, now: float) -> float:
        """Share of the workers' time that all who speak or have just come, and so many more, would take at a stride of a second."""
        active_s = sum(min(_OVER_S, now - first) for first, _ in self._speakers.values())
        spent_s = sum(work_s * stride_s for work_s, stride_s in self._work(now - _OVER_S, now))
        # Seconds of work per second of a session. The guess weighs as much as one session of ten seconds.
        each = (spent_s + _GUESS * STRIDE_S * _OVER_S) / (active_s + _OVER_S)
        return (len(self._speakers | self._fresh) + more) * each / self._workers

    def _expected(self, now: float) -> int:
        """The first step that leaves the workers time while somebody is too new to be measured; later only what is measured counts."""
        if not self._fresh:
            return 0
        wanted = self._wanted(0, now)
        fits = (level for level, (stride_s, _) in enumerate(_STEPS_S) if wanted <= _BUSY * stride_s or stride_s >= _MOST_STRIDE_S)
        return next(fits)

    def _step(self, level: int, now: float) -> None:
        if level != self._level:
            self._level, self._changed = level, now
            self._waits.clear()  # what was before says nothing about the new pace

    def _spent(self, since: float, now: float) -> float:
        return sum(work_s for work_s, _ in self._work(since, now))

    def _work(self, since: float, now: float) -> Iterator[tuple[float, float]]:
        """Seconds of work, each with the stride it was done at."""
        running = [(begun, now, _STEPS_S[self._level][0]) for begun in self._running]
        return ((end - max(begun, since), stride_s) for begun, end, stride_s in (*self._batches, *running) if end > since)

    def _forget(self, now: float) -> None:
        while self._waits and self._waits[0][0] < now - _OVER_S:
            self._waits.popleft()
        while self._batches and self._batches[0][1] < now - _OVER_S:
            self._batches.popleft()
        self._speakers = {name: at for name, at in self._speakers.items() if at[1] >= now - _OVER_S}
        self._fresh = {name: at for name, at in self._fresh.items() if at >= now - _OVER_S}
