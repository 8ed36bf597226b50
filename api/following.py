"""Live events on their way to one connection, which may be slow: it gets every event, but of metrics only the newest."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Container
from contextlib import aclosing
from typing import cast
from uuid import UUID

from engines.live_log import Event, LiveLog

CAPACITY = 256  # events that wait for one connection; when full, the log is not read on: nothing is lost, it comes later
STALE_S = 1.0  # metrics that have waited so long give way to newer ones; who catches up with what was gets all of them

Place = tuple[UUID, bool]  # of metrics: the session, and whether they speak of the whole of it. The newest of both are kept


class Waiting:
    """The events that wait for one connection. Filled by any number of tasks, emptied by one."""

    def __init__(self, capacity: int = CAPACITY, clock: Callable[[], float] | None = None) -> None:
        self.thinned = 0  # metrics that gave way
        self._capacity = capacity
        self._clock = clock or asyncio.get_running_loop().time
        self._events: dict[int, tuple[float, Event]] = {}  # since when, by the order in which they came
        self._next = 0
        self._closed = False
        self._filled, self._emptied = asyncio.Event(), asyncio.Event()

    async def put(self, event: Event) -> None:
        """Waits for room where there is none. Metrics never wait for long, since what is stale gives way to them."""
        self._thin(event)
        while len(self._events) >= self._capacity:
            self._emptied.clear()
            try:
                async with asyncio.timeout(STALE_S):
                    await self._emptied.wait()
            except TimeoutError:
                self._thin(event)
        self._events[self._next] = self._clock(), event
        self._next += 1
        self._filled.set()

    async def take(self) -> list[Event]:
        """All that wait, at least one, in the order in which they came. Empty once it is closed."""
        while not self._events and not self._closed:
            self._filled.clear()
            await self._filled.wait()
        found = [event for _, event in self._events.values()]
        self._events.clear()
        self._emptied.set()
        return found

    def close(self) -> None:
        """Nothing more comes."""
        self._closed = True
        self._filled.set()

    def forget(self, session: UUID) -> None:
        """Drop what waits of this session."""
        self._events = {number: entry for number, entry in self._events.items() if entry[1].session != session}
        self._emptied.set()

    def _thin(self, coming: Event) -> None:
        """Drop the metrics that have waited for too long and are not the newest of their kind."""
        stale = self._clock() - STALE_S
        newer: set[Place] = {_place(coming)} if coming.stream == "metrics" else set()
        for number, (since, event) in reversed(list(self._events.items())):
            if event.stream != "metrics":
                continue
            if since <= stale and _place(event) in newer:
                del self._events[number]
                self.thinned += 1
            newer.add(_place(event))


def _place(event: Event) -> Place:
    return event.session, "session" in event.data


def gone(event: Event) -> bool:
    """Whether the session is being deleted: the last event there is of it."""
    return event.stream == "state" and event.data.get("session") == "deleting"


def trimmed(event: Event) -> int:
    """How many events up to and with this one the log has no more; usually none."""
    count: int = event.data.get("trimmed", 0) if event.stream == "state" else 0
    return count


async def pump(log: LiveLog, session: UUID, after: int, wanted: Container[str], waiting: Waiting) -> None:
    """Put the events after `after` that are wanted, up to the end of the session or of the log. Which are missing is always put."""
    events = cast(AsyncGenerator[Event, None], log.follow(session, after))
    async with aclosing(events):
        async for event in events:
            if event.stream in wanted or gone(event) or trimmed(event):
                await waiting.put(event)
            if gone(event):
                return
