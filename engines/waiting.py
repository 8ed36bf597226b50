"""Waiting for a server outside: again and again, within a limit, and giving way when cancelled."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

FIRST_PAUSE_S = 0.02  # between attempts; doubled each time up to
LONGEST_PAUSE_S = 2.0

T = TypeVar("T")


async def within(limit_s: float, once: Callable[[], Awaitable[T]], away: tuple[type[Exception], ...]) -> T:
    """What `once` returns. After an error that is one of `away` it is called again. Raises TimeoutError, which says the last."""
    problem: Exception | None = None
    try:
        async with asyncio.timeout(limit_s):
            for pause_s in pauses():
                try:
                    return await giving_way(once())
                except away as error:
                    problem = error
                await asyncio.sleep(pause_s)
    except TimeoutError as error:
        raise TimeoutError(f"no answer within {limit_s:g} s ({problem or 'not connected'})") from error
    raise AssertionError("pauses do not end")


async def giving_way(awaitable: Awaitable[T]) -> T:
    """Await it. Before Python 3.12 `asyncio.wait_for`, which the drivers use, drops a cancellation that comes together with the result:
    the task that was to stop would go on for ever. Here it is raised.
    """
    task = asyncio.current_task()
    assert task is not None
    before = task.cancelling()
    try:
        return await awaitable
    finally:
        if task.cancelling() > before:
            raise asyncio.CancelledError


def pauses() -> Iterator[float]:
    """Seconds to wait between attempts, for ever."""
    pause_s = FIRST_PAUSE_S
    while True:
        yield pause_s
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
