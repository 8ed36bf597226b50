"""The recogniser of a process, shared by its live sessions: who is served next, and how often they may ask.

Two lanes. A final window, after which the speaker was silent, comes first and is never dropped. A partial one is worth recognising while it
is new: a session has one waiting at most, its newest, and whose last one was served longest ago comes next. All decisions are made on the
event loop; threads compute and nothing else.
"""

import asyncio
import contextlib
import os
import sys
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from config import models
from config.settings import Settings
from stream_pipeline.asking import Answer, Ask
from stream_pipeline.errors import LiveError
from stream_pipeline.load import Load, Pace

Recognise = Callable[[Sequence[Ask]], list[Answer]]

_WORKERS = {"cpu": 2, "cuda": 1}  # each with one thread: two for one window would cost half as much again
_MOST_TOGETHER = {"cpu": 4, "cuda": 16}  # windows: on the CPU a token then costs a third, and eight save nothing more
_MOST_WAITING = 256  # windows; a session has two at most, so that 128 may wait
_STALE_S = 2.0  # a partial window older than this is given back, to be asked again with what was said since
_LOOK_S = 0.2
_LESS_URGENT = 5  # nice value: the event loop, which feeds every session, comes first
_CLOSING_S = 10.0  # for the batch that is being computed


class AsrError(LiveError):
    """A window was not recognised, and why. The recogniser may still take others."""


@dataclass(slots=True, eq=False)
class _Waiting:
    session: str
    ask: Ask
    answer: asyncio.Future[Answer | None]
    since: float


class Asr:
    """One per process, made by `open`."""

    def __init__(self, recognise: Recognise, workers: int, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._recognise = recognise
        self._workers = workers
        self._most = most
        self._clock = clock
        self._load = Load(workers)
        self._pace = clock(), self._load.pace(0.0, clock())
        self._finals: deque[_Waiting] = deque()
        self._partials: dict[str, _Waiting] = {}  # by session
        self._served: dict[str, float] = {}  # when a partial of a session was last taken, of those that asked lately
        self._arrived = asyncio.Event()
        self._idle = 0  # workers
        self._open = True
        self._counts = dict.fromkeys(("windows", "finals", "batches", "given_up", "retried", "failed"), 0)

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncIterator["Asr"]:
        """The recogniser of these settings, ready. Raises Unusable: what `config.models.asr_model` and `placement` raise."""
        async with threads(max(_WORKERS.values())) as pool:
            recognise, device = await asyncio.get_running_loop().run_in_executor(pool, _loaded, settings)
            asr = cls(recognise, min(_WORKERS[device], settings.threads), _MOST_TOGETHER[device])
            async with asr.running(pool):
                yield asr

    @contextlib.asynccontextmanager
    async def running(self, pool: ThreadPoolExecutor) -> AsyncIterator[None]:
        """With workers, on the threads of the pool. Leaving fails whoever still waits."""
        try:
            async with asyncio.TaskGroup() as workers:
                tasks = [workers.create_task(self._work(pool), name=f"asr-{i}") for i in range(self._workers)]
                try:
                    yield
                finally:
                    for task in tasks:
                        task.cancel()
        finally:
            self._open = False
            for waiting in [*self._finals, *self._partials.values()]:
                _fail(waiting, AsrError("the recogniser was closed"))
            self._finals.clear()
            self._partials.clear()

    async def recognise(self, session: str, ask: Ask) -> Answer | None:
        """What was said in a window. None: it was given up, a partial alone, for a newer one or for its age.

        Cancelling takes it back. Raises AsrError: it failed twice, too many wait, or the recogniser was closed.
        """
        if not self._open:
            raise AsrError("the recogniser was closed")
        if len(self._finals) + len(self._partials) >= _MOST_WAITING:
            raise AsrError("too many windows wait")
        now = self._clock()
        waiting = _Waiting(session, ask, asyncio.get_running_loop().create_future(), now)
        self._load.asked(session, now)
        if older := self._partials.pop(session, None):
            self._give_up(older)
        if ask.window.final:
            self._finals.append(waiting)
        else:
            self._partials[session] = waiting
        self._arrived.set()
        try:
            return await waiting.answer
        finally:
            self._forget(waiting)

    @property
    def pace(self) -> Pace:
        """What a session should ask for now, by what was measured."""
        now = self._clock()
        if now >= self._pace[0] + _LOOK_S:  # sessions look at every block of sound
            self._pace = now, self._load.pace(self._oldest_s(now), now)
        return self._pace[1]

    @property
    def full(self) -> bool:
        """Whether one more speaker would make committed words of some later than 4 s."""
        now = self._clock()
        return self._load.full(self._oldest_s(now), now)

    def admitted(self, session: str) -> None:
        """A session has begun; until it has asked for a while it counts with what others cost."""
        self._load.admitted(session, self._clock())

    def stats(self) -> dict[str, float]:
        """Waits and load of the last ten seconds, and counts since the start."""
        now = self._clock()
        return {
            "wait_p50_s": self._load.wait_s(0.5, now),
            "wait_p95_s": self._load.wait_s(0.95, now),
            "busy": self._load.busy(now),
            "stride_s": self.pace.stride_s,
            "longest_s": self.pace.longest_s,
            "waiting": len(self._finals) + len(self._partials),
            **self._counts,
        }

    def _oldest_s(self, now: float) -> float:
        return max((now - waiting.since for waiting in [*self._finals, *self._partials.values()]), default=0.0)

    def _give_up(self, waiting: _Waiting) -> None:
        if not waiting.answer.done():
            self._counts["given_up"] += 1
            waiting.answer.set_result(None)

    def _forget(self, waiting: _Waiting) -> None:
        if self._partials.get(waiting.session) is waiting:
            del self._partials[waiting.session]
        elif waiting in self._finals:
            self._finals.remove(waiting)

    async def _work(self, pool: ThreadPoolExecutor) -> None:
        while True:
            batch = await self._next()
            begun = self._clock()
            self._load.begun([begun - waiting.since for waiting in batch], begun)
            self._counts["batches"] += 1
            self._counts["windows"] += len(batch)
            self._counts["finals"] += sum(waiting.ask.window.final for waiting in batch)
            try:
                await self._answer(pool, batch)
            finally:
                self._load.ended(begun, self._clock())
                for waiting in batch:
                    _fail(waiting, AsrError("the recogniser was closed"))  # answered ones stay so

    async def _next(self) -> list[_Waiting]:
        while not (batch := self._taken()):
            self._arrived.clear()
            self._idle += 1
            try:
                await self._arrived.wait()
            finally:
                self._idle -= 1
        return batch

    def _taken(self) -> list[_Waiting]:
        # What one worker takes: its share of all that wait, so that none is idle while another has a full batch.
        now = self._clock()
        for waiting in [w for w in self._partials.values() if now - w.since > _STALE_S]:
            self._forget(waiting)
            self._give_up(waiting)
        share = min(self._most, -(-(len(self._finals) + len(self._partials)) // (self._idle + 1)))
        batch = [self._finals.popleft() for _ in range(min(share, len(self._finals)))]
        turns = sorted(self._partials, key=lambda session: self._served.get(session, float("-inf")))
        for session in turns[: share - len(batch)]:
            self._served.pop(session, None)
            self._served[session] = now
            batch.append(self._partials.pop(session))
        while len(self._served) > _MOST_WAITING:
            del self._served[next(iter(self._served))]
        return batch

    async def _answer(self, pool: ThreadPoolExecutor, batch: list[_Waiting]) -> None:
        answers, error = await self._computed(pool, [waiting.ask for waiting in batch])
        if error is None:
            for waiting, answer in zip(batch, answers, strict=True):
                if not waiting.answer.done():
                    waiting.answer.set_result(answer)
            return
        for waiting in batch:  # once more, each alone: one window may not fail the others
            if waiting.answer.done():
                continue
            self._counts["retried"] += 1
            answers, error = await self._computed(pool, [waiting.ask])
            if error is None:
                if not waiting.answer.done():
                    waiting.answer.set_result(answers[0])
            else:
                self._counts["failed"] += 1
                failed = AsrError(f"window {waiting.ask.window} could not be recognised")
                failed.__cause__ = error
                _fail(waiting, failed)

    async def _computed(self, pool: ThreadPoolExecutor, asks: list[Ask]) -> tuple[list[Answer], BaseException | None]:
        # Whatever went wrong goes to who asked: an error of one window is no reason to stop serving the others.
        future = asyncio.get_running_loop().run_in_executor(pool, self._recognise, asks)
        await asyncio.wait([future])
        error = future.exception()
        return ([], error) if error else (future.result(), None)


def _fail(waiting: _Waiting, error: AsrError) -> None:
    if not waiting.answer.done():
        waiting.answer.set_exception(error)


@contextlib.asynccontextmanager
async def threads(count: int) -> AsyncIterator[ThreadPoolExecutor]:
    """Threads for a recogniser. Leaving waits until they have ended; TimeoutError where one does not end in ten seconds."""
    pool = ThreadPoolExecutor(count, "asr", _yield_to_others)
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        async with asyncio.timeout(_CLOSING_S):
            await asyncio.to_thread(pool.shutdown)


def _yield_to_others() -> None:
    if sys.platform == "linux":  # elsewhere a nice value belongs to the whole process
        own = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, own, os.getpriority(os.PRIO_PROCESS, own) + _LESS_URGENT)


def _loaded(settings: Settings) -> tuple[Recognise, str]:
    # In a thread of the pool: it takes a second, and the threads that CTranslate2 starts inherit the nice value.
    from recognition.whisper import Recogniser
    from stream_pipeline.recognise import recognise

    where = models.placement(settings)
    recogniser = Recogniser(models.asr_model(settings), where, min(_WORKERS[where.device], settings.threads))
    return partial(recognise, recogniser), where.device
