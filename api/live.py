"""Live sessions of this process: who speaks, over which connection, and what becomes of the recording.

A session is `live` from the first `join` to its end, which is one of: the speaker stops it, the speaker is gone for REJOIN_S, it is too
long, this server stops. Then the workers get its recording. A server that dies says nothing, but its lease on the session runs out, and
whichever server sees it first does the same. What belongs to a process (model, rooms) is in `Live`, what belongs to a session in `Room`.
"""

import asyncio
import hashlib
import logging
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from uuid import UUID, uuid4

import numpy as np
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from api import access, bodies, uploads, views, work
from api.messages import LiveView, LostView
from api.problems import Refused
from api.state import Request
from config.errors import Unusable
from config.settings import Settings
from db import media as db_media
from db import sessions as db_sessions
from db.errors import StoreBusy, StoreDown, StoreError
from db.pool import Database
from engines.blobs import Blobs, BlobsFailed
from engines.disk import OutOfSpace
from engines.errors import EngineError
from engines.live_log import Entry, EventTooLarge, LiveLog, LiveLogDown
from engines.waiting import within
from rtc.intake import Intake, Taken
from speech.audio import RATE_HZ, AudioBlock, Span, seconds
from speech.errors import Problem, printable, sentence
from stream_pipeline.asking import Said
from stream_pipeline.errors import Away
from stream_pipeline.record import LONGEST, Recorder

if TYPE_CHECKING:  # they load numba and the models
    from stream_pipeline.asr import Asr
    from stream_pipeline.session import Session

REJOIN_S = 60.0  # a session without a connection waits for its speaker
LONGEST_S = 4 * 3600.0
MOST_ROOMS = 200  # the recogniser refuses long before, where there is one
READY_S = 30.0  # how long a join waits for the models
HEARTBEAT_S = 5.0
LEASE_S = 15.0
TIDY_EVERY_S = 5.0
LOG_EVERY_S = 60.0
RECORD_WITHIN_S = 30.0  # after the end, for what is not stored yet
HAND_OVER_WITHIN_S = 30.0  # else the lease runs out, and it is done then
STOP_WITHIN_S = 8.0  # for all of it, when the server stops; uvicorn drains for 10 s
SAID_GAP = RATE_HZ // 5  # a shorter gap is single packets, which no page sends again
MOST_FILL_S = 64  # in one request
FOLDER = "live"  # of a session's blobs: segments, schedule, words

Why = Literal["ended", "left", "too long", "stopping", "taken"]
T = TypeVar("T")
log = logging.getLogger("live")


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """One connection of a room. Only the newest one is heard."""

    id: str  # as events and its own client call it
    close: Callable[[], None]  # called when another connection takes over, or the session ends


class Room:
    """One live session. Its intake is for the whole of it, over all its connections."""

    def __init__(self, org: UUID, session: UUID, analysis: "Session", recorder: Recorder) -> None:
        self.org = org
        self.session = session
        self.intake = Intake(str(session))
        self.analysis = analysis
        self.recorder = recorder
        self.over = asyncio.Event()  # it ends: nothing more is heard
        self.done = asyncio.Event()  # it has ended, and left this process
        self.why: Why | None = None
        self.began = asyncio.get_running_loop().time()
        self._line: Line | None = None
        self._left = False  # by its speaker, who may come back
        self._leaving: asyncio.TimerHandle | None = None
        self._given_up = 0  # segments, as said last
        self._counted = (0, 0)  # of the intake, when gaps were looked at last
        self._gaps: list[list[float]] = []  # as said last
        self.analysis.say({"session": "live"})
        self._wait()

    def attach(self, close: Callable[[], None]) -> Line:
        """A connection speaks from now on; the one before it gets its `close()` called. Raises Refused when the session has ended."""
        if self.why is not None:
            raise Refused("wrong-state", state="processing", what="joined", instead="Begin a new one.")
        before, self._line = self._line, Line(secrets.token_urlsafe(12), close)
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None
        if self._left:
            self._left = False
            self.analysis.say({"session": "live"})
        if before is not None:
            self.analysis.say({"replaced": before.id})
            before.close()
        return self._line

    def deliver(self, line: Line, taken: Sequence[Taken]) -> None:
        """What the intake made of the connection's sound. Never waits. Of a connection that was taken over, nothing is taken."""
        if line is self._line and self.why is None:
            self._keep(taken)
            if self.intake.end > LONGEST_S * RATE_HZ:
                self.finish("too long")

    def fill(self, rate_hz: int, pcm: bytes, about: int) -> list[list[float]]:
        """Sound that the page kept while it had no connection, 16 bits: it goes where it belongs. What is missing still, in seconds."""
        self._keep(self.intake.patch(rate_hz, np.frombuffer(pcm, "<i2").astype(np.int16, copy=False), about))
        return self.gaps()

    def detach(self, line: Line) -> None:
        """The connection is gone: the session waits REJOIN_S for another, then it ends as interrupted. May be repeated."""
        if line is self._line and self.why is None:
            self._line = None
            self._left = True
            self.recorder.flush()
            self.analysis.say({"session": "waiting"})
            self._wait()

    async def end(self) -> None:
        """The speaker has stopped: what is left is recognised, and the workers get the session. Again, it changes nothing."""
        self.finish("ended")
        await self.done.wait()

    def finish(self, why: Why) -> None:
        """It ends, for this reason unless there was one already. Never waits."""
        if self.why is not None:
            return
        if why != "taken":
            self._keep(self.intake.finish(asyncio.get_running_loop().time()))
        self.why = why
        if self._leaving is not None:
            self._leaving.cancel()
        line, self._line = self._line, None
        if line is not None:
            line.close()
        self.over.set()

    def gaps(self) -> list[list[float]]:
        """What is lost and may still be filled."""
        return spans_s(span for span in self.intake.gaps if span.end - span.start >= SAID_GAP)

    def _keep(self, taken: Sequence[Taken]) -> None:
        for one in taken:
            if isinstance(one, AudioBlock):
                self.analysis.put(one)
            else:
                self.recorder.fill(one.start, one.pcm)
                self.analysis.filled(one.start, one.start + one.pcm.size)
        if len(self.recorder.given_up) > self._given_up:
            self._given_up = len(self.recorder.given_up)
            self.analysis.say({"unrecorded": spans_s(self.recorder.given_up)})
        counted = (self.intake.lost, self.intake.filled)
        if counted != self._counted:
            self._counted = counted
            if (gaps := self.gaps()) != self._gaps:
                self._gaps = gaps
                self.analysis.say({"lost": gaps})

    def _wait(self) -> None:
        self._leaving = asyncio.get_running_loop().call_later(REJOIN_S, self.finish, "left")


class Live:
    """The rooms of this process. `run` is their life; `join` finds one or makes it."""

    def __init__(
        self,
        settings: Settings,
        db: Database,
        blobs: Blobs,
        live_log: LiveLog,
        org: UUID,
        *,
        recognise: bool = True,
        most: int = MOST_ROOMS,
    ) -> None:
        """org: whose abandoned sessions are looked for. Without `recognise` there are no words, only what the voice tells."""
        self.rooms: dict[UUID, Room] = {}
        self.asr: Asr | None = None
        self.problem: str | None = None  # why there is no live practice
        self.ready = asyncio.Event()  # or there is a problem
        self._settings = settings
        self._db = db
        self._blobs = blobs
        self._live_log = live_log
        self._org = org
        self._recognise = recognise
        self._most = most
        self._server = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
        self._alone = settings.database_url is None  # the store is in our data folder, which one server can hold (engines/embedded.py)
        self._joining = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self._hosting: set[asyncio.Task[None]] = set()

    async def join(self, org: UUID, session: UUID) -> Room:
        """The room of a session, which is live from now on; of a session that is live already, the same room. Raises Refused."""
        if (room := self._here(org, session)) is not None:
            return room
        try:
            async with asyncio.timeout(READY_S):
                await self.ready.wait()
        except TimeoutError as error:
            raise Refused("live-loading") from error
        async with self._joining:
            if (room := self._here(org, session)) is not None:
                return room
            return await self._begin(org, session)

    def room(self, org: UUID, session: UUID) -> Room | None:
        """The room of a session that is live here."""
        found = self.rooms.get(session)
        return found if found is not None and found.org == org else None

    def _here(self, org: UUID, session: UUID) -> Room | None:
        found = self.room(org, session)
        if found is not None and found.why is not None:
            raise Refused("wrong-state", state="processing", what="joined", instead="Begin a new one.")
        return found

    async def _begin(self, org: UUID, session: UUID) -> Room:
        if self.problem is not None:
            raise Refused("live-unavailable", reason=self.problem.rstrip("."))
        if self._stopping.is_set() or self._tasks is None:
            raise Refused("not-ready", what="the server is stopping")
        async with self._db.tenant(org) as tx:
            found = await db_sessions.lock(tx, session)
            if found is None or found.state == "deleting":
                raise Refused("no-session")
            if found.state == "live":
                raise Refused("live-elsewhere")
            if found.state != "created":
                raise Refused("wrong-state", state=found.state, what="joined", instead="Begin a new one.")
            if await db_media.get(tx, session) is not None:
                raise Refused("already-uploaded", state=found.state)
            if self.full:
                raise Refused("busy")
            await db_sessions.go_live(tx, session, self._server)
        from stream_pipeline.core import Core
        from stream_pipeline.session import Session

        recorder = Recorder(lambda name, content: self._store(f"{org}/{session}/{FOLDER}/{name}", content, "audio/flac"))
        core = Core(str(session), found.language)
        room = Room(org, session, Session(str(session), core, self.asr, lambda said: self._publish(session, said), recorder), recorder)
        self.rooms[session] = room
        if self.asr is not None:
            self.asr.admitted(str(session))
        hosting = self._tasks.create_task(self._host(room), name=f"live {session}")
        self._hosting.add(hosting)
        hosting.add_done_callback(self._hosting.discard)
        log.info("session %s is live", session)
        return room

    @property
    def full(self) -> bool:
        """Whether one more cannot be heard in time. Who is alone always can, however busy it was a moment ago."""
        return len(self.rooms) >= self._most or (bool(self.rooms) and self.asr is not None and self.asr.full)

    async def drop(self, session: UUID) -> None:
        """The session is being deleted: nothing more is heard or stored of it."""
        if (room := self.rooms.get(session)) is not None:
            room.finish("taken")
            await room.done.wait()

    # the life of the process

    async def run(self) -> None:
        """Until `stop`: load what takes long, keep the leases, end what other servers have left."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                around = [
                    tasks.create_task(self._load(), name="live: load"),
                    tasks.create_task(self._beat(), name="live: leases"),
                    tasks.create_task(self._tidy(), name="live: tidy"),
                ]
                await self._stopping.wait()
                for room in list(self.rooms.values()):
                    room.finish("stopping")
                if self._hosting:
                    await asyncio.wait(self._hosting, timeout=STOP_WITHIN_S)
                for task in (*self._hosting, *around):
                    task.cancel()
        finally:
            self._tasks = None

    def stop(self) -> None:
        """No more joins; the rooms end, as interrupted, and then `run`. Never waits."""
        self._stopping.set()
        self.ready.set()  # nobody waits for the models any more

    async def _load(self) -> None:
        began = asyncio.get_running_loop().time()
        try:
            await asyncio.to_thread(_prepare)
            if not self._recognise:
                self.ready.set()
                return
            from stream_pipeline.asr import Asr

            async with Asr.open(self._settings) as self.asr:
                log.info("live practice is ready after %.1f s", asyncio.get_running_loop().time() - began)
                self.ready.set()
                await asyncio.Event().wait()  # the model is there until this task is cancelled, after the rooms
        except (Unusable, Problem) as error:
            problem = error if isinstance(error, Problem) else Problem(error.code, **error.facts)
            self.problem = str(problem)
            log.error("there is no live practice: %s", self.problem)
        except Exception:
            # Of a library that is broken or does not fit this machine. Recordings can be uploaded all the same.
            self.problem = "The recogniser cannot be used here; the server's log says why."
            log.exception("there is no live practice")
        self.ready.set()

    async def _beat(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            for org in {room.org for room in self.rooms.values()}:
                ours = [room for room in self.rooms.values() if room.org == org]
                try:
                    async with self._db.tenant(org) as tx:
                        kept = await db_sessions.stay_live(tx, self._server, [room.session for room in ours])
                except StoreError as error:
                    log.warning("no sign of life stored: %s", error)
                    continue
                for room in ours:
                    if room.session not in kept and not room.over.is_set():
                        log.warning("session %s was ended or deleted elsewhere", room.session)
                        room.finish("taken")
                    elif clock() - room.began > LONGEST_S:
                        room.finish("too long")

    async def _tidy(self) -> None:
        while True:
            try:
                async with self._db.tenant(self._org) as tx:
                    abandoned = await db_sessions.abandoned(tx, LEASE_S, server=self._server if self._alone else None)
                for session in abandoned:
                    if session not in self.rooms:
                        log.warning("the server of session %s has gone: the session is ended", session)
                        await self._hand_over(self._org, session, interrupted=True, t_ms=0)
            except (StoreError, EngineError) as error:
                log.warning("looking for abandoned sessions is put off: %s", error)
            await asyncio.sleep(TIDY_EVERY_S)

    # the life of a room

    async def _host(self, room: Room) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                recording = tasks.create_task(room.recorder.run(), name=f"record {room.session}")
                analysing = tasks.create_task(self._analyse(room), name=f"analyse {room.session}")
                logging_ = tasks.create_task(self._keep_log(room), name=f"log {room.session}")
                await room.over.wait()
                room.analysis.end()
                room.recorder.finish()
                if room.why != "taken":  # analysing has limits of its own, but a server that stops has less time
                    stopping = tasks.create_task(self._stopping.wait(), name=f"stopping {room.session}")
                    await asyncio.wait([analysing, stopping], return_when=asyncio.FIRST_COMPLETED)
                    stopping.cancel()
                analysing.cancel()
                await asyncio.wait([analysing])
                if room.why != "taken":
                    await asyncio.wait([recording], timeout=RECORD_WITHIN_S)
                for task in (logging_, recording):
                    task.cancel()
            if room.why == "taken":
                await self._forget(room)
            else:
                await self._write_log(room)
                t_ms = round(1000 * seconds(room.intake.end))
                await self._surely(lambda: self._hand_over(room.org, room.session, interrupted=room.why != "ended", t_ms=t_ms))
            log.info("session %s is over: %s", room.session, room.why)
        except Exception:
            # A defect of ours. It may not end the sessions of others; the lease of this one runs out, and what was recorded is processed.
            log.exception("session %s failed", room.session)
            room.finish("taken")
        finally:
            del self.rooms[room.session]
            room.done.set()

    async def _analyse(self, room: Room) -> None:
        try:
            await room.analysis.run()
        except Exception:
            # A defect of ours, or of a library. The recording is never given up for it: the report will be made from that.
            log.exception("session %s is only recorded from now on", room.session)
            failed = Said("state", round(1000 * seconds(room.intake.end)), {"session": "recording"})
            try:
                await self._publish(room.session, [failed])
            except Away as error:
                log.warning("session %s: not said: %s", room.session, error)

    async def _keep_log(self, room: Room) -> None:
        while True:
            await asyncio.sleep(LOG_EVERY_S)
            await self._write_log(room)

    async def _write_log(self, room: Room) -> None:
        """The schedule, from which the session can be replayed, and the words that were shown."""
        folder = f"{room.org}/{room.session}/{FOLDER}"
        try:
            await self._store(f"{folder}/schedule.jsonl", bytes(room.analysis.schedule), "application/jsonl")
            await self._store(f"{folder}/words.jsonl", bytes(room.analysis.words), "application/jsonl")
        except Away as error:
            log.warning("session %s: its log is not stored: %s", room.session, error)

    async def _forget(self, room: Room) -> None:
        """Leave no file behind of a session that was deleted meanwhile."""
        try:
            async with self._db.tenant(room.org) as tx:
                found = await db_sessions.get(tx, room.session)
            if found is None or found.state == "deleting":
                await self._blobs.delete_prefix(f"{room.org}/{room.session}/{FOLDER}/")
        except (StoreError, EngineError) as error:
            log.warning("session %s: its files may be left: %s", room.session, error)

    async def _hand_over(self, org: UUID, session: UUID, *, interrupted: bool, t_ms: int) -> None:
        """A live session is processed, or has failed where nothing was recorded. Of one that is not live, nothing. Raises StoreError,
        EngineError."""
        async with aclosing(self._blobs.keys(f"{org}/{session}/{FOLDER}/")) as keys:
            names = sorted([PurePath(key).name async for key in keys if key.endswith(".flac")])
        problem = None if names else sentence("nothing-recorded")
        async with self._db.tenant(org) as tx:
            found = await db_sessions.lock(tx, session)
            if found is None or found.state != "live":
                return
            await db_sessions.end_live(tx, session, "failed" if problem else "processing", interrupted=interrupted, problem=problem)
            title = found.title or f"Practice of {found.created_at.astimezone():%-d %B %Y}"
            if not found.title:
                await db_sessions.rename(tx, session, title)
            if names:
                longest_s = seconds(int(PurePath(names[-1]).stem) + LONGEST)
                await db_sessions.describe(tx, session, longest_s, None)  # exactly so in a moment; until then it sets limits
                filename = f"{printable(title)}.flac"
                await db_media.begin(
                    tx, session, key=uploads.source_key(org, session), size=0, content_type="audio/flac", filename=filename
                )
                # A segment never changes, so their names name the sound.
                await work.begin(tx, org, session, hashlib.sha256("\n".join((str(session), *names)).encode()).hexdigest())
        data: dict[str, Any] = {"session": "failed", "problem": problem} if problem else {"session": "processing"}
        try:
            await self._live_log.append(session, "state", t_ms, data)
        except EngineError as error:  # the store has it
            log.warning("session %s: not said to followers: %s", session, error)

    async def _surely(self, once: Callable[[], Awaitable[T]]) -> None:
        try:
            await within(HAND_OVER_WITHIN_S, once, (StoreDown, StoreBusy, BlobsFailed))
        except TimeoutError as error:
            log.error("a session is not handed over yet: %s", error)

    # what lies outside

    async def _store(self, key: str, content: bytes, content_type: str) -> None:
        try:
            await self._blobs.put(key, content, content_type=content_type)
        except (BlobsFailed, OutOfSpace) as error:
            raise Away(str(error)) from error

    async def _publish(self, session: UUID, said: Sequence[Said]) -> None:
        try:
            await self._live_log.append_many(session, [Entry(one.stream, one.t_ms, one.data) for one in said])
        except LiveLogDown as error:
            raise Away(str(error)) from error
        except EventTooLarge as error:  # none of the batch was appended
            if len(said) == 1:
                log.error("session %s: %s", session, error)
                return
            for one in said:
                await self._publish(session, [one])


def spans_s(spans: Iterable[Span]) -> list[list[float]]:
    """For a person's clock: [start, end] in seconds each."""
    return [[round(seconds(span.start), 3), round(seconds(span.end), 3)] for span in spans]


def _prepare() -> None:
    from stream_pipeline import core, session

    core.prepare()
    del session  # imported here, in a thread: it takes a second


async def end(request: Request) -> Response:
    """POST .../end: the speaker has stopped. Again, it changes nothing."""
    session, org = views.session_id(request), access.member(request).org
    room = request.state["live"].room(org, session)
    if room is not None:
        await room.end()
    found = await views.session(request, session)
    if found.state == "live":
        raise Refused("live-elsewhere")
    if found.state == "created":
        raise Refused("wrong-state", state=found.state, what="ended", instead="Nobody has spoken in it yet.")
    return views.answer(found, 202)


async def fill(request: Request) -> Response:
    """POST .../fill?at=&rate=: sound (16-bit PCM, mono) that the page kept while it had no connection; what is missing still."""
    session, org = views.session_id(request), access.member(request).org
    rate_hz = bodies.whole(request, "rate", 48_000, 8_000, 192_000)
    at = bodies.whole(request, "at", 0, 0, round(LONGEST_S * RATE_HZ))
    most = 2 * rate_hz * MOST_FILL_S
    bodies.check(request, most)
    room = request.state["live"].room(org, session)
    if room is None:
        found = await views.session(request, session)
        raise Refused("wrong-state", state=found.state, what="filled", instead="Only a session that is live here can be.")
    pcm = b"".join([chunk async for chunk in bodies.stream(request, most)])
    if not pcm or len(pcm) % 2:
        raise Refused("bad-request", reason="the body is no whole number of 16-bit samples")
    if room.why is not None:
        raise Refused("wrong-state", state="processing", what="filled", instead="It has ended meanwhile.")
    return views.answer(LostView(room.fill(rate_hz, pcm, at)))


async def shown(request: Request) -> Response:
    """GET /v1/live: whether there is live practice, and for how many."""
    live = request.state["live"]
    stats = live.asr.stats() if live.asr is not None else None
    return views.answer(LiveView(live.ready.is_set() and live.problem is None, live.problem, len(live.rooms), live.full, stats))


routes: list[BaseRoute] = [
    Route("/v1/live", shown, methods=["GET"]),
    Route("/v1/sessions/{session:uuid}/end", end, methods=["POST"]),
    Route("/v1/sessions/{session:uuid}/fill", fill, methods=["POST"]),
]
