"""A worker: takes steps from the bus, runs each by batch/steps.py, and leaves its result and what follows in one transaction.

PostgreSQL is the truth. A message only says that a step is due: the step's row says whether it still is. A worker that dies leaves a row
`running` whose lease runs out; the message comes again, and a step that was finished meanwhile is a no-op. Errors are of two kinds. What is
wrong with the recording parks the step at once, with a sentence for the user; what is wrong around it (an engine is down) is tried again
for as long as it takes. Anything else is a defect: it is tried again a few times, then parked with its error in sight.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

import msgspec

from batch.steps import RUN, Done, Job, Tools, Watched, store_seconds
from config import graph
from config.errors import Unusable
from db import audit, outbox, sessions, steps
from db.errors import Gone, StoreBusy, StoreDown, StoreError
from engines.blobs import BlobMissing, BlobsFailed
from engines.bus import Bus, BusDown, Delivery
from engines.disk import OutOfSpace
from engines.errors import EngineError
from engines.live_log import LiveLog, Stream
from speech.analysis import Second
from speech.errors import Problem, sentence

log = logging.getLogger("elocute.worker")

HEARTBEAT_S = 3.0
LEASE_S = 10.0  # a running step that was not heard of for so long has lost its worker
DEFECTS = 3  # attempts of a step that fails by itself
DEATHS = 12  # attempts of a step whose worker dies: it may kill them
_TOLD_EVERY_S = 0.25
_EVENTS = 256  # waiting to be told; when full the oldest progress gives way
_RETRY_S = 1.0
_LONGEST_RETRY_S = 15.0
_DEFECT_PAUSE_S = 1.0  # after the first failure of a step itself; doubled after each
PASSING = (StoreDown, StoreBusy, BusDown, BlobsFailed, OutOfSpace)  # what is wrong around a step, and comes right without it


class Stopped(Exception):
    """Nobody wants the result any more: the session was cancelled or deleted."""


class Lost(Exception):
    """Another worker has this step now."""


Early = Callable[[list[Second], dict[str, Any]], Awaitable[None]]


class _Watch(Watched):
    """Progress of one step: told from its thread, passed on by the loop; and the way to stop it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, tell: Callable[[str, dict[str, Any]], None], early: Early) -> None:
        self._loop = loop
        self._tell = tell
        self._early = early
        self._stage = ""
        self._told_at = 0.0
        self._why: Exception | None = None

    def stage(self, name: str) -> None:
        self.check()
        self._stage = name
        self._say(0.0)

    def at(self, fraction: float) -> None:
        self.check()
        if time.monotonic() - self._told_at >= _TOLD_EVERY_S:
            self._say(min(1.0, max(0.0, fraction)))

    async def early(self, rows: list[Second], data: dict[str, Any]) -> None:
        await self._early(rows, data)

    def check(self) -> None:
        if self._why is not None:
            raise self._why

    def stop(self, why: Exception) -> None:
        """From now on `check` raises it."""
        self._why = self._why or why

    def _say(self, fraction: float) -> None:
        self._told_at = time.monotonic()
        self._loop.call_soon_threadsafe(self._tell, self._stage, {"fraction": round(fraction, 3)})


@dataclass(frozen=True, slots=True)
class _Event:
    session: UUID
    stream: Stream
    t_ms: int
    data: dict[str, Any]


class Worker:
    """Runs steps until it is cancelled."""

    def __init__(self, tools: Tools, bus: Bus, live: LiveLog, name: str) -> None:
        self._tools = tools
        self._db = tools.db
        self._bus = bus
        self._live = live
        self._name = name
        self._lanes: dict[str, asyncio.Semaphore] = {step.lane: asyncio.Semaphore(1) for step in graph.STEPS}
        self._events: asyncio.Queue[_Event] = asyncio.Queue(_EVENTS)

    async def run(self, names: Sequence[str]) -> None:
        """Take these steps. Returns never; cancelled, it stops what is at work and hands it back."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._tell_all(), name="worker: events")
            for name in names:
                tasks.create_task(self._serve(graph.BY_NAME[name]), name=f"worker: {name}")

    async def _serve(self, step: graph.Step) -> None:
        async with aclosing(cast(AsyncGenerator[Delivery, None], self._bus.consume(step.name, batch=1))) as deliveries:
            async for delivery in deliveries:
                try:
                    job = _job(delivery.payload, step.name)
                except msgspec.MsgspecError as error:
                    log.error("a message for %s cannot be read (%s): dropped", step.name, error)
                    await self._settle(delivery.term)
                    continue
                async with self._alive(delivery, None, None), self._lanes[step.lane]:
                    await self._one(step, job, delivery)

    async def _one(self, step: graph.Step, job: Job, delivery: Delivery) -> None:
        began_s = time.monotonic()
        try:
            async with self._db.tenant(job.org) as tx:
                started = await steps.start(tx, job.session, job.step, job.input_hash, self._name, LEASE_S)
        except (StoreDown, StoreBusy) as error:
            log.warning("%s of %s waits: %s", step.name, job.session, error)
            await self._settle(lambda: delivery.nak(_RETRY_S))
            return
        if started == "over":
            await self._over(job, delivery)
        elif started == "busy":
            await self._settle(lambda: delivery.nak(LEASE_S / 2))
        elif started.attempt - started.failures > DEATHS:
            await self._park(job, delivery, "step-kills", sentence("step-kills", step=step.title, times=DEATHS))
        else:
            await self._attempt(step, job, delivery, started.failures)
            log.info("%s of %s: %.2f s", step.name, job.session, time.monotonic() - began_s)

    async def _attempt(self, step: graph.Step, job: Job, delivery: Delivery, failures: int) -> None:
        watch = self._watch(step, job)
        limit = asyncio.get_running_loop().call_later(await self._limit_s(step, job), watch.stop, Problem("step-slow", step=step.title))
        self._tell(job, "state", {"step": step.name, "state": "running", "stage": "", "fraction": 0.0})
        try:
            async with self._alive(delivery, job, watch):
                done = await RUN[step.name](self._tools, job, watch)
                watch.check()
            await self._finish(step, job, done)
            await self._settle(delivery.ack)
        except (Stopped, Lost, Gone) as error:
            log.info("%s of %s: %s", step.name, job.session, error)
            if isinstance(error, Lost):
                await self._settle(lambda: delivery.nak(LEASE_S))
            else:
                await self._over(job, delivery)
        except PASSING as error:
            log.warning("%s of %s waits: %s", step.name, job.session, error)
            self._tell(job, "state", {"step": step.name, "state": "queued", "stage": f"waiting: {error}", "fraction": 0.0})
            await self._hand_back(job, delivery, delay_s=min(_RETRY_S * 2.0 ** (delivery.attempt - 1), _LONGEST_RETRY_S))
        except (Problem, Unusable, MemoryError, BlobMissing) as error:
            problem = await self._said(job, error)
            await self._park(job, delivery, problem.code, str(problem))
        except asyncio.CancelledError:
            watch.stop(Stopped("the worker stops"))
            await asyncio.shield(self._hand_back(job, delivery))
            raise
        except Exception as error:
            # A defect of ours or of any library beneath a step. It may not end the worker, or one recording would stop all others: it is
            # logged whole, tried again, and then parked in sight of the user and the doctor.
            log.exception("%s of %s failed", step.name, job.session)
            await self._defect(step, job, delivery, failures + 1, error)
        finally:
            limit.cancel()

    async def _finish(self, step: graph.Step, job: Job, done: Done) -> None:
        following = []
        async with self._db.tenant(job.org) as tx:
            session = await sessions.lock(tx, job.session)
            if session is None or session.state != "processing":
                raise Stopped("the session was cancelled or deleted")
            if not await steps.finish(tx, job.session, job.step, job.input_hash, done.result):
                return
            await done.store(tx)
            rows = await steps.of(tx, job.session)
            root = next(row.input_hash for row in reversed(rows) if row.step == graph.STEPS[0].name)
            wanted = graph.hashes(root, session.script)
            finished = {row.step for row in rows if row.state == "done" and wanted[row.step] == row.input_hash}
            for name in graph.next_steps(step.name, finished):
                if await steps.queue(tx, job.session, name, wanted[name]):
                    await outbox.put(tx, name, _payload(job, name, wanted[name]))
                    following.append(name)
            complete = finished == set(graph.BY_NAME)
            if complete:
                await sessions.set_state(tx, job.session, "complete")
        for stream, data in done.events:
            self._tell(job, stream, data)
        self._tell(job, "state", {"step": step.name, "state": "done", "stage": "", "fraction": 1.0})
        for name in following:
            self._tell(job, "state", {"step": name, "state": "queued", "stage": "", "fraction": 0.0})
        if complete:
            self._tell(job, "state", {"session": "complete"})

    async def _over(self, job: Job, delivery: Delivery) -> None:
        # Whoever deletes a session deletes its files, but a step at work may write another one until it hears of it, or its worker dies.
        # The message outlives both. Only the audit tells a deleted session from one that an older copy of the database does not know.
        try:
            async with self._db.tenant(job.org) as tx:
                found = await sessions.get(tx, job.session)
                deleted = found is None and await audit.wrote(tx, audit.SESSION_DELETED, str(job.session))
            if found is None or found.state != "processing":
                self._tools.forget(job.session)
            if deleted:
                await self._tools.blobs.delete_prefix(job.key(""))
                await self._live.delete(job.session)
        except (StoreError, EngineError) as error:
            log.warning("%s of %s: tidying up waits: %s", job.step, job.session, error)
            await self._settle(lambda: delivery.nak(_RETRY_S))
            return
        await self._settle(delivery.ack)

    async def _park(self, job: Job, delivery: Delivery, code: str, error: str) -> None:
        try:
            async with self._db.tenant(job.org) as tx:
                session = await sessions.lock(tx, job.session)
                if session is not None and session.state == "processing":
                    await steps.park(tx, job.session, job.step, job.input_hash, code, error)
                    await sessions.set_state(tx, job.session, "failed", error)
        except StoreError as trouble:
            log.warning("%s of %s: parking waits: %s", job.step, job.session, trouble)
            await self._settle(lambda: delivery.nak(_RETRY_S))
            return
        log.warning("%s of %s is parked: %s", job.step, job.session, error)
        self._tell(job, "state", {"step": job.step, "state": "parked", "error_code": code, "error": error})
        self._tell(job, "state", {"session": "failed", "problem": error})
        self._tools.forget(job.session)
        await self._settle(delivery.term)

    async def _defect(self, step: graph.Step, job: Job, delivery: Delivery, failures: int, error: Exception) -> None:
        if failures >= DEFECTS:
            await self._park(
                job, delivery, "step-failed", sentence("step-failed", step=step.title, error=f"{type(error).__name__}: {error}")
            )
            return
        await self._hand_back(job, delivery, failed=True, delay_s=_DEFECT_PAUSE_S * 2.0**failures)

    async def _hand_back(self, job: Job, delivery: Delivery, *, failed: bool = False, delay_s: float = _RETRY_S) -> None:
        # If this cannot be stored either, the lease runs out and says the same.
        try:
            async with self._db.tenant(job.org) as tx:
                await steps.release(tx, job.session, job.step, job.input_hash, self._name, failed=failed)
        except StoreError as error:
            log.warning("%s of %s: %s", job.step, job.session, error)
        await self._settle(lambda: delivery.nak(delay_s))

    async def _said(self, job: Job, error: Problem | Unusable | MemoryError | BlobMissing) -> Problem:
        # What the user reads names the recording as they know it, not our copy of it.
        from db import media

        name = "the recording"
        try:
            async with self._db.tenant(job.org) as tx:
                found = await media.get(tx, job.session)
                name = found.filename if found else name
        except StoreError as trouble:
            log.warning("%s of %s: %s", job.step, job.session, trouble)
        if isinstance(error, MemoryError):
            return Problem("out-of-memory", path=name)
        if isinstance(error, BlobMissing):
            return Problem("no-media")
        return Problem(error.code, **{**error.facts, **({"path": name} if "path" in error.facts else {})})

    async def _limit_s(self, step: graph.Step, job: Job) -> float:
        try:
            async with self._db.tenant(job.org) as tx:
                session = await sessions.get(tx, job.session)
        except StoreError:
            session = None  # the step will say so itself
        return step.limit_s + step.limit_per_s * (session.duration_s or 0.0 if session else 0.0)

    # signs of life

    @asynccontextmanager
    async def _alive(self, delivery: Delivery, job: Job | None, watch: _Watch | None) -> AsyncIterator[None]:
        task = asyncio.create_task(self._beat(delivery, job, watch), name="worker: heartbeat")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _beat(self, delivery: Delivery, job: Job | None, watch: _Watch | None) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            await delivery.working()
            if job is None or watch is None:
                continue
            try:
                async with self._db.tenant(job.org) as tx:
                    ours = await steps.touch(tx, job.session, job.step, job.input_hash, self._name)
                    session = await sessions.get(tx, job.session)
            except StoreError as error:
                log.warning("%s of %s: no sign of life stored: %s", job.step, job.session, error)
                continue
            if session is None or session.state != "processing":
                watch.stop(Stopped("the session was cancelled or deleted"))
            elif not ours:
                watch.stop(Lost("another worker has taken it over"))

    async def _settle(self, how: Callable[[], Any]) -> None:
        try:
            await how()
        except EngineError as error:  # it comes again, and is then found to be over
            log.warning("the bus did not hear of it: %s", error)

    # events

    def _watch(self, step: graph.Step, job: Job) -> _Watch:
        def tell(stage: str, data: dict[str, Any]) -> None:
            self._tell(job, "state", {"step": step.name, "state": "running", "stage": stage, **data})

        async def early(rows: list[Second], data: dict[str, Any]) -> None:
            async with self._db.tenant(job.org) as tx:
                if await sessions.lock(tx, job.session) is None:
                    raise Stopped("the session was deleted")
                await store_seconds(tx, job.session, rows)
            self._tell(job, "metrics", data)

        return _Watch(asyncio.get_running_loop(), tell, early)

    def _tell(self, job: Job, stream: Stream, data: dict[str, Any]) -> None:
        if self._events.full():  # the live log has been away for long
            dropped = self._events.get_nowait()
            log.warning("an event of %s (%s) was not told: too many wait for the live log", dropped.session, dropped.stream)
        at_ms = round(data["over_s"] * 1000) if "over_s" in data else 0
        self._events.put_nowait(_Event(job.session, stream, at_ms, data))

    async def _tell_all(self) -> None:
        while True:
            event = await self._events.get()
            try:
                await self._live.append(event.session, event.stream, event.t_ms, event.data)
            except EngineError as error:  # the log may be lost: the store has it all
                log.warning("an event of %s was not told: %s", event.session, error)


def _job(payload: bytes, step: str) -> Job:
    job = msgspec.json.decode(payload, type=_Message)
    return Job(job.org, job.session, step, job.input_hash)


class _Message(msgspec.Struct, frozen=True):
    org: UUID
    session: UUID
    step: str
    input_hash: str


def _payload(job: Job, step: str, input_hash: str) -> dict[str, str]:
    return {"org": str(job.org), "session": str(job.session), "step": step, "input_hash": input_hash}
