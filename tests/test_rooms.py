"""The life of a live session on real engines: begun, taken over, waited for, ended, and what becomes of it when nobody ends it."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import numpy as np
import pytest

from api import live
from api.live import Line, Live, Room
from api.problems import PROBLEMS, Refused
from batch.decode import decode
from batch.relay import relay
from batch.segments import join
from batch.steps import Tools
from batch.worker import Worker
from config import graph
from config.settings import Settings
from db import media as db_media
from db import orgs, reports, sessions, steps
from db.pool import Database
from db.sessions import Session
from engines.blobs import Blobs, open_blobs
from engines.bus import Bus
from engines.embedded import Servers
from engines.live_log import Entry, Event, LiveLog
from rtc.resample import Samples16
from speech.audio import RATE_HZ, AudioBlock
from speech.errors import PROBLEMS as SENTENCES
from stream_pipeline.asking import Said
from stream_pipeline.core import Core
from stream_pipeline.record import Recorder
from tests.api_server import Running, running, settings_for
from tests.databases import database
from tests.samples import recording
from tests.servers import ROOT

LIMIT_S = 60.0


def nothing() -> None:
    """There is nobody to be told."""


def speech(start_s: float, end_s: float) -> Samples16:
    return np.rint(recording()[round(start_s * RATE_HZ) : round(end_s * RATE_HZ)] * 32767).astype(np.int16)


def speak(room: Room, line: Line, at: int, pcm: Samples16) -> None:
    """As a connection does: packet by packet."""
    for start in range(0, pcm.size, 960):
        room.deliver(line, room.intake.take(at + start, pcm[start : start + 960], 0.0))


def connected(room: Room, at: int = 0, close: Callable[[], None] = nothing) -> Line:
    line = room.attach(close)
    room.deliver(line, room.intake.connect(RATE_HZ, at, 0.0))
    return line


@dataclass
class House:
    """A server's live part, and the ways to look at what it did."""

    settings: Settings
    servers: Servers
    db: Database
    blobs: Blobs
    log: LiveLog
    org: UUID
    folder: Path

    @asynccontextmanager
    async def open(self, **options: Any) -> AsyncIterator[Live]:
        """Another server."""
        found = Live(self.settings, self.db, self.blobs, self.log, self.org, **{"recognise": False, **options})
        running = asyncio.create_task(found.run())
        try:
            yield found
        finally:
            found.stop()
            await running

    async def created(self, title: str = "", language: str | None = None) -> UUID:
        async with self.db.tenant(self.org) as tx:
            return (await sessions.create(tx, title, "upload", language)).id

    async def session(self, session: UUID) -> Session:
        async with self.db.tenant(self.org) as tx:
            found = await sessions.get(tx, session)
        assert found is not None
        return found

    async def sql(self, statement: str, *values: object) -> None:
        async with self.db.tenant(self.org) as tx:
            await tx.execute(statement, *values)

    async def files(self, session: UUID) -> list[str]:
        prefix = f"{self.org}/{session}/"
        return [key.removeprefix(prefix) async for key in self.blobs.keys(prefix)]

    async def until(self, session: UUID, told: Callable[[Event], bool]) -> list[Event]:
        """What is told of the session, up to the first event that is meant."""
        heard = []
        async for event in self.log.follow(session):
            heard.append(event)
            if told(event):
                return heard
        raise AssertionError("the log ended")

    async def states(self, session: UUID, last: str) -> list[str]:
        events = await self.until(session, lambda event: event.data.get("session") == last)
        return [event.data["session"] for event in events if event.stream == "state" and "session" in event.data]


def committed(event: Event) -> list[str]:
    return [word["text"] for word in event.data["committed"]] if event.stream == "tokens" else []


Scenario = Callable[[House], Awaitable[None]]


@pytest.fixture
def play(servers: Servers, data_folder: Path, tmp_path: Path) -> Iterator[Callable[[Scenario], None]]:
    """Runs a scenario in a house of its own."""

    async def run(url: str, scenario: Scenario) -> None:
        settings = Settings(data=data_folder, asr_model="bundled", device="cpu", threads=2, database_url=url)
        async with (
            asyncio.timeout(LIMIT_S),
            Database.open(url) as db,
            LiveLog.connect(servers.redis_url) as log,
            open_blobs(settings, bytes(32), "", tmp_path / "blobs") as blobs,
        ):
            member = await orgs.ensure_local(db)
            here = Servers(url, servers.redis_url, servers.nats_url, bytes(32))
            await scenario(House(settings, here, db, blobs, log, member.org, tmp_path))

    with database(servers.database_url) as url:
        yield lambda scenario: asyncio.run(run(url, scenario))


@contextmanager
def refusal(code: str, **facts: object) -> Iterator[pytest.ExceptionInfo[Refused]]:
    """Refused with this row of the table."""
    with pytest.raises(Refused) as refused:
        yield refused
    assert refused.value.code == code
    assert facts.items() <= refused.value.facts.items()


def test_a_session_is_spoken_and_handed_over(play: Callable[[Scenario], None]) -> None:
    async def scenario(house: House) -> None:
        session = await house.created(language="en")
        async with house.open() as server:
            room = await server.join(house.org, session)
            assert await server.join(house.org, session) is room
            found = await house.session(session)
            assert (found.state, found.kind, found.language) == ("live", "live", "en")
            line = connected(room)
            speak(room, line, 0, speech(0, 9))
            await asyncio.gather(room.end(), room.end())
            await room.end()
            assert server.rooms == {}
            with refusal("wrong-state", state="processing"):
                await server.join(house.org, session)
        found = await house.session(session)
        assert (found.state, found.interrupted, found.problem) == ("processing", False, None)
        assert found.title.startswith("Practice of ")
        assert await house.files(session) == [
            *(f"live/{start:012d}.flac" for start in (0, 64_000, 128_000)),
            "live/schedule.jsonl",
            "live/words.jsonl",
        ]
        events = await house.until(session, lambda event: event.data.get("session") == "processing")
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        ticks = [event.data["at"] for event in events if event.stream == "metrics" and "at" in event.data]
        assert ticks[: 9 * 5] == list(range(3200, 9 * RATE_HZ + 1, 3200))
        async with house.db.tenant(house.org) as tx:
            (step,) = await steps.of(tx, session)
            queued = await tx.fetchval("select payload ->> 'input_hash' from outbox where payload ->> 'session' = $1", str(session))
        assert (step.step, step.state, step.input_hash) == ("ingest", "queued", queued)

    play(scenario)


def test_the_newest_connection_is_heard(play: Callable[[Scenario], None]) -> None:
    async def scenario(house: House) -> None:
        session = await house.created("mine")
        async with house.open() as server:
            room = await server.join(house.org, session)
            closed: list[str] = []
            first = connected(room, close=lambda: closed.append("first"))
            speak(room, first, 0, speech(0, 4))
            second = connected(room, room.intake.end, close=lambda: closed.append("second"))
            assert closed == ["first"]
            late = AudioBlock(str(session), 30 * RATE_HZ, np.full(320, 0.5, np.float32), 0, 0.0)
            room.deliver(first, [late])
            room.detach(first)  # late, and no matter
            speak(room, second, 0, speech(4, 8))
            await room.end()
            assert closed == ["first", "second"]
            room.deliver(second, [])
            room.detach(second)
            with refusal("wrong-state"):
                room.attach(nothing)
        assert await house.states(session, "processing") == ["live", "processing"]
        assert (await house.session(session)).title == "mine"
        await join(house.blobs, f"{house.org}/{session}/live/", house.folder / "joined.flac")
        found = decode(house.folder / "joined.flac")
        assert found.lost == ()
        assert found.pcm.size == pytest.approx(8 * RATE_HZ, abs=640)

    play(scenario)


def test_a_session_waits_for_its_speaker_and_the_gap_is_filled(play: Callable[[Scenario], None]) -> None:
    kept = speech(0, 20)

    async def scenario(house: House) -> None:
        session = await house.created()
        async with house.open() as server:
            room = await server.join(house.org, session)
            line = connected(room)
            speak(room, line, 0, kept[: 6 * RATE_HZ])
            room.detach(line)
            room.detach(line)
            await house.states(session, "waiting")
            assert await server.join(house.org, session) is room
            line = connected(room)
            speak(room, line, 12 * RATE_HZ, kept[12 * RATE_HZ :])
            assert room.gaps() == [[6.0, 12.0]]
            left = room.fill(RATE_HZ, kept[4 * RATE_HZ : 14 * RATE_HZ].tobytes(), 4 * RATE_HZ)
            assert left == []
            await room.end()
        assert await house.states(session, "processing") == ["live", "waiting", "live", "processing"]
        told = await house.until(session, lambda event: event.data.get("session") == "processing")
        assert [event.data["lost"] for event in told if event.stream == "state" and "lost" in event.data] == [[[6.0, 12.0]], []]
        await join(house.blobs, f"{house.org}/{session}/live/", house.folder / "joined.flac")
        assert sum(span.end - span.start for span in decode(house.folder / "joined.flac").lost) < RATE_HZ // 20

    play(scenario)


def test_a_speaker_who_does_not_come_back_leaves_an_interrupted_session(
    play: Callable[[Scenario], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "REJOIN_S", 0.05)

    async def scenario(house: House) -> None:
        spoken, silent = await house.created(), await house.created()
        async with house.open() as server:
            room = await server.join(house.org, spoken)
            line = connected(room)
            speak(room, line, 0, speech(0, 3))
            room.detach(line)
            await room.done.wait()
            await (await server.join(house.org, silent)).done.wait()  # nobody ever connected
        found = await house.session(spoken)
        assert (found.state, found.interrupted) == ("processing", True)
        found = await house.session(silent)
        assert (found.state, found.problem) == ("failed", SENTENCES["nothing-recorded"].sentence)
        assert await house.states(silent, "failed") == ["live", "failed"]

    play(scenario)


def test_who_may_not_join_is_told_why(play: Callable[[Scenario], None]) -> None:
    async def scenario(house: House) -> None:
        uploaded, elsewhere, done, one, two = [await house.created() for _ in range(5)]
        async with house.db.tenant(house.org) as tx:
            await db_media.begin(tx, uploaded, key="k", size=1, content_type="audio/wav", filename="a.wav")
            await sessions.go_live(tx, elsewhere, "another")
            await sessions.set_state(tx, done, "complete")
        async with house.open(most=1) as server:
            with refusal("no-session"):
                await server.join(house.org, uuid4())
            with refusal("no-session"):
                await server.join(uuid4(), one)
            with refusal("already-uploaded"):
                await server.join(house.org, uploaded)
            with refusal("live-elsewhere"):
                await server.join(house.org, elsewhere)
            assert (PROBLEMS["live-elsewhere"].status, PROBLEMS["live-elsewhere"].retry_after_s) == (503, 5)  # it passes
            with refusal("wrong-state", state="complete"):
                await server.join(house.org, done)
            room = await server.join(house.org, one)
            with refusal("no-session"):
                await server.join(uuid4(), one)
            with refusal("busy"):
                await server.join(house.org, two)
            assert (PROBLEMS["busy"].status, PROBLEMS["busy"].retry_after_s) == (503, 10)
            assert (await house.session(two)).state == "created"
            room.finish("left")
            await room.done.wait()
            assert (await server.join(house.org, two)).session == two  # there is room again
        async with house.open() as server:
            server.stop()
            with refusal("not-ready"):
                await server.join(house.org, await house.created())

    play(scenario)


def test_who_is_alone_is_let_in_however_busy_it_was(play: Callable[[Scenario], None]) -> None:
    async def scenario(house: House) -> None:
        one, two = await house.created(), await house.created()
        async with house.open(recognise=True) as server:
            await server.ready.wait()
            assert server.asr is not None
            for n in range(50):
                server.asr.admitted(f"gone {n}")
            assert server.asr.full
            assert not server.full
            assert (await server.join(house.org, one)).session == one
            with refusal("busy"):
                await server.join(house.org, two)

    play(scenario)


def test_a_server_that_stops_in_order_loses_nothing(play: Callable[[Scenario], None]) -> None:
    async def scenario(house: House) -> None:
        session = await house.created()
        closed = []
        async with house.open() as server:
            room = await server.join(house.org, session)
            line = connected(room, close=lambda: closed.append(True))
            speak(room, line, 0, speech(0, 5.5))
        assert closed == [True]
        found = await house.session(session)
        assert (found.state, found.interrupted) == ("processing", True)
        await join(house.blobs, f"{house.org}/{session}/live/", house.folder / "joined.flac")
        assert decode(house.folder / "joined.flac").pcm.size == pytest.approx(5.5 * RATE_HZ, abs=640)

    play(scenario)


def test_a_server_that_stops_waits_for_no_last_words(play: Callable[[Scenario], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream_pipeline.session.LAST_EVENTS_S", 2 * LIMIT_S)
    monkeypatch.setattr(live, "STOP_WITHIN_S", 2 * LIMIT_S)

    async def scenario(house: House) -> None:
        append_many = house.log.append_many
        stuck = asyncio.Event()

        async def hanging(session: UUID, entries: Sequence[Entry]) -> int:
            if entries[0].data != {"session": "processing"}:
                stuck.set()
                await asyncio.Event().wait()
            return await append_many(session, entries)

        session = await house.created()
        async with house.open() as server:
            room = await server.join(house.org, session)
            monkeypatch.setattr(house.log, "append_many", hanging)
            speak(room, connected(room), 0, speech(0, 2))
            ending = asyncio.create_task(room.end())
            await stuck.wait()
        await ending
        found = await house.session(session)
        assert (found.state, found.interrupted) == ("processing", False)

    play(scenario)


def test_a_session_that_failed_is_ended_though_its_server_lives(play: Callable[[Scenario], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "HEARTBEAT_S", 0.02)
    monkeypatch.setattr(live, "TIDY_EVERY_S", 0.02)
    monkeypatch.setattr(live, "LEASE_S", 0.5)

    async def broken(self: Recorder) -> None:
        raise ZeroDivisionError(self)

    async def scenario(house: House) -> None:
        failing, other = await house.created(), await house.created()
        async with house.open() as server:
            room = await server.join(house.org, other)
            await house.states(other, "live")  # it runs
            with monkeypatch.context() as patched:
                patched.setattr(Recorder, "run", broken)
                await (await server.join(house.org, failing)).done.wait()
            await house.states(failing, "failed")
            assert room.why is None
            assert (await house.session(other)).state == "live"
        assert (await house.session(failing)).interrupted

    play(scenario)


def test_what_was_ended_or_deleted_elsewhere_is_let_go(play: Callable[[Scenario], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "HEARTBEAT_S", 0.02)

    async def scenario(house: House) -> None:
        ended, deleted = await house.created(), await house.created()
        async with house.open() as server:
            rooms = [await server.join(house.org, session) for session in (ended, deleted)]
            for room in rooms:
                speak(room, connected(room), 0, speech(0, 9))
            await house.sql("update sessions set state = 'processing' where id = $1", ended)
            await house.sql("update sessions set state = 'deleting' where id = $1", deleted)
            for room in rooms:
                await room.done.wait()
        assert (await house.session(ended)).state == "processing"
        assert (await house.session(deleted)).state == "deleting"
        assert await house.files(deleted) == []
        async with house.db.tenant(house.org) as tx:
            assert await steps.of(tx, ended) == []

    play(scenario)


def test_a_defect_of_the_analysis_never_costs_the_recording(play: Callable[[Scenario], None], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Core, block: AudioBlock) -> list[Said]:
        raise ZeroDivisionError(self, block)

    monkeypatch.setattr(Core, "hear", broken)

    async def scenario(house: House) -> None:
        session = await house.created()
        async with house.open() as server:
            room = await server.join(house.org, session)
            line = connected(room)
            speak(room, line, 0, speech(0, 2))
            await house.states(session, "recording")
            speak(room, line, 2 * RATE_HZ, speech(2, 9))
            await room.end()
            other = await server.join(house.org, await house.created())  # nobody else is touched
            assert other.why is None
        found = await house.session(session)
        assert (found.state, found.interrupted) == ("processing", False)
        await join(house.blobs, f"{house.org}/{session}/live/", house.folder / "joined.flac")
        assert decode(house.folder / "joined.flac").pcm.size == pytest.approx(9 * RATE_HZ, abs=640)

    play(scenario)


def test_without_a_model_there_is_no_live_practice_and_it_is_said_why(play: Callable[[Scenario], None]) -> None:
    async def scenario(house: House) -> None:
        house.settings = replace(house.settings, asr_model=str(house.folder))
        session = await house.created()
        async with house.open(recognise=True) as server:
            with refusal("live-unavailable") as refused:
                await server.join(house.org, session)
            assert "model.bin is missing" in str(refused.value)
        assert (await house.session(session)).state == "created"

    play(scenario)


def test_words_are_told_while_the_session_is_live_and_kept(play: Callable[[Scenario], None]) -> None:
    async def scenario(house: House) -> None:
        session = await house.created()
        async with house.open(recognise=True) as server:
            room = await server.join(house.org, session)
            speak(room, connected(room), 0, speech(0.5, 9))
            heard = await house.until(session, lambda event: "best of times" in " ".join(committed(event)).lower())
            assert not any(event.data.get("session") == "processing" for event in heard)
            await room.end()
        told = await house.until(session, lambda event: event.data.get("session") == "processing")
        words = [word for event in told for word in committed(event)]
        assert "worst of times" in " ".join(words).lower()
        kept = [json.loads(line) for line in (await house.blobs.read(f"{house.org}/{session}/live/words.jsonl")).splitlines()]
        assert [word["text"] for word in kept] == words
        schedule = (await house.blobs.read(f"{house.org}/{session}/live/schedule.jsonl")).splitlines()
        assert all(isinstance(json.loads(line), dict) for line in schedule)
        assert len(schedule) >= 1

    play(scenario)


SPEAKING = """
import asyncio, sys
from pathlib import Path
from uuid import UUID
from api import app
from engines.embedded import Servers
from tests.api_server import settings_for
from tests.test_rooms import connected, speak, speech

async def main(url, redis, nats, data, session):
    async with app.opened(settings_for(Path(data)), Servers(url, redis, nats, bytes(32)), False) as state:
        running = asyncio.create_task(state["live"].run())
        room = await state["live"].join(state["member"].org, UUID(session))
        speak(room, connected(room), 0, speech(0, 13))
        while room.recorder.stored < 3:
            await asyncio.sleep(0)
        print("spoken", flush=True)
        await running

asyncio.run(main(*sys.argv[1:]))
"""


def test_a_killed_server_leaves_a_session_that_another_one_ends(play: Callable[[Scenario], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "TIDY_EVERY_S", 0.02)

    async def scenario(house: House) -> None:
        session = await house.created()
        given = (house.servers.database_url, house.servers.redis_url, house.servers.nats_url, str(house.folder), str(session))
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", SPEAKING, *given, cwd=ROOT, stdout=PIPE)
        assert process.stdout is not None
        assert await process.stdout.readline() == b"spoken\n"
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()
        async with house.open() as server:
            with refusal("live-elsewhere"):
                await server.join(house.org, session)
            assert (await house.session(session)).state == "live"  # it may be slow only
            await house.sql("update sessions set seen_at = seen_at - $1 * interval '1 second'", live.LEASE_S)  # time passes
            states = await house.states(session, "processing")
        assert states == ["live", "processing"]
        found = await house.session(session)
        assert (found.state, found.interrupted) == ("processing", True)
        await join(house.blobs, f"{house.org}/{session}/live/", house.folder / "joined.flac")
        assert decode(house.folder / "joined.flac").pcm.size == 12 * RATE_HZ  # of 13 s

    play(scenario)


def test_a_server_with_a_store_of_its_own_ends_at_once_what_a_killed_one_has_left(
    play: Callable[[Scenario], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "LEASE_S", 2 * LIMIT_S)

    async def scenario(house: House) -> None:
        left, mine = await house.created(), await house.created()
        async with house.db.tenant(house.org) as tx:
            await sessions.go_live(tx, left, "killed")
        house.settings = replace(house.settings, database_url=None)
        async with house.open() as server:
            room = await server.join(house.org, mine)
            await house.states(left, "failed")
            with refusal("wrong-state", state="failed"):
                await server.join(house.org, left)
            assert room.why is None
        assert (await house.session(left)).interrupted

    play(scenario)


def test_an_interrupted_session_with_a_gap_becomes_a_report(play: Callable[[Scenario], None]) -> None:
    async def scenario(house: House) -> None:
        session = await house.created()
        async with house.open() as server:
            room = await server.join(house.org, session)
            line = connected(room)
            speak(room, line, 0, speech(1, 8))
            speak(room, line, 8 * RATE_HZ, speech(9, 15))
            room.finish("left")
            await room.done.wait()
            muted = await house.created("muted")
            room = await server.join(house.org, muted)
            speak(room, connected(room), 0, np.zeros(3 * RATE_HZ, np.int16))
            await room.end()
        async with Bus.connect(house.servers.nats_url) as bus:
            tools = Tools(house.settings, house.db, house.blobs, house.folder / "scratch")
            working = [
                asyncio.create_task(relay(house.db, bus)),
                asyncio.create_task(Worker(tools, bus, house.log, "one").run(list(graph.BY_NAME))),
            ]
            events = await house.until(session, lambda event: event.data.get("session") in ("complete", "failed"))
            await house.until(muted, lambda event: event.data.get("session") == "failed")
            for task in working:
                task.cancel()
            await asyncio.wait(working)
        assert events[-1].data == {"session": "complete"}
        assert (await house.session(muted)).problem == SENTENCES["silent"].sentence.format(path="muted.flac")
        async with house.db.tenant(house.org) as tx:
            stored = await reports.load(tx, session)
            source = await db_media.get(tx, session)
        assert stored is not None
        assert source is not None
        assert source.complete
        assert source.size == (await house.blobs.stat(source.key)).size  # type: ignore[union-attr]
        (key,) = [file.key for file in stored.files if file.name == "analysis.json"]
        analysis = json.loads(await house.blobs.read(key))
        said = [SENTENCES["lost"].sentence.format(lost_s=1.0, places=1), SENTENCES["interrupted"].sentence]
        assert [warning for warning in analysis["audio"]["warnings"] if warning in said] == said
        assert "worst of times" in " ".join(word["text"] for word in analysis["words"]).lower()

    play(scenario)


# over HTTP


@pytest.fixture(scope="module")
def server(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(settings_for(tmp_path_factory.mktemp("rooms")), servers) as found:
        yield found


@pytest.fixture
def client(server: Running) -> Iterator[httpx.Client]:
    with server.client() as found:
        yield found


def joined(server: Running, client: httpx.Client, **wanted: Any) -> tuple[str, Room]:
    session = client.post("/v1/sessions", json={"kind": "live", **wanted}).json()["id"]
    return session, server.do(server.state["live"].join(server.state["member"].org, UUID(session)))


async def spoken(room: Room, start_s: float, end_s: float) -> None:
    speak(room, connected(room), round(start_s * RATE_HZ), speech(start_s, end_s))


def test_a_session_is_ended_over_http(server: Running, client: httpx.Client) -> None:
    session, room = joined(server, client, title="mine", language="de")
    found = client.get(f"/v1/sessions/{session}").json()
    assert (found["state"], found["kind"], found["language"], found["title"]) == ("live", "live", "de", "mine")
    assert found["links"]["end"] == f"/v1/sessions/{session}/end"
    assert client.get("/v1/live").json() == {"ready": True, "problem": None, "sessions": 1, "full": False, "recogniser": None}
    assert client.post(f"/v1/sessions/{session}/process").json()["code"] == "wrong-state"
    assert client.post(f"/v1/sessions/{session}/media", content=b"RIFF").json()["code"] == "already-uploaded"
    server.do(spoken(room, 0, 3))
    for _ in range(2):
        answer = client.post(f"/v1/sessions/{session}/end")
        assert (answer.status_code, answer.json()["state"]) == (202, "processing")
    assert "interrupted" not in answer.json()
    assert client.get("/v1/live").json()["sessions"] == 0
    created = client.post("/v1/sessions", json={}).json()["id"]
    assert client.post(f"/v1/sessions/{created}/end").json()["code"] == "wrong-state"
    assert client.post(f"/v1/sessions/{uuid4()}/end").status_code == 404
    for language in ("english", "xx"):
        assert client.post("/v1/sessions", json={"language": language}).status_code == 422


def test_a_gap_is_filled_over_http(server: Running, client: httpx.Client) -> None:
    session, room = joined(server, client)

    async def with_a_gap() -> None:
        await spoken(room, 0, 5)
        speak(room, connected(room), 8 * RATE_HZ, speech(8, 14))

    server.do(with_a_gap())
    url = f"/v1/sessions/{session}/fill"
    kept = speech(3, 7).tobytes()
    answer = client.post(url, params={"at": 3 * RATE_HZ, "rate": RATE_HZ}, content=kept)
    assert answer.status_code == 200
    ((start_s, end_s),) = answer.json()["lost"]
    assert (start_s, end_s) == (pytest.approx(7.0, abs=0.05), 8.0)
    assert client.post(url, params={"at": 0, "rate": RATE_HZ}, content=b"odd").json()["code"] == "bad-request"
    assert client.post(url, params={"rate": 1}, content=kept).json()["code"] == "bad-parameter"
    assert client.post(url, params={"rate": 8000}, content=bytes(2 * 8000 * 64 + 2)).status_code == 413
    client.post(f"/v1/sessions/{session}/end")
    assert client.post(url, content=kept).json()["code"] == "wrong-state"


def test_a_live_session_can_be_deleted(server: Running, client: httpx.Client) -> None:
    session, room = joined(server, client)
    server.do(spoken(room, 0, 9))
    assert client.delete(f"/v1/sessions/{session}").status_code == 204
    assert room.done.is_set()
    assert server.blob_keys(session) == []
    assert client.get(f"/v1/sessions/{session}").status_code == 404
    assert client.get("/v1/live").json()["sessions"] == 0
