"""Steps on real engines: a recording becomes a report; what is wrong parks it; repeats, dead workers and cancelled sessions do no harm."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import msgspec
import numpy as np
import pytest

from api import work
from batch import analyze as analysis_of
from batch import worker as worker_module
from batch.document import document, encoded
from batch.relay import relay
from batch.steps import RUN, Done, Job, Tools, Watched
from batch.worker import DEFECTS, Worker
from config import graph
from config.rubrics import rubrics
from config.settings import Settings
from db import audit, documents, media, orgs, outbox, search, series, sessions, steps, transcripts
from db.pool import Database, Tx
from db.sessions import Session
from engines.blobs import Blobs, open_blobs
from engines.bus import Bus
from engines.embedded import Servers
from engines.live_log import Event, LiveLog
from speech.audio import RATE_HZ
from speech.errors import Problem
from tests.databases import database
from tests.test_analyze import stored, wav
from tests.test_transcribe import SENTENCES, cut

LIMIT_S = 60.0
NAME = "a talk.wav"


@dataclass
class House:
    """All that a worker needs, and the ways to look at what it did."""

    db: Database
    bus: Bus
    live: LiveLog
    blobs: Blobs
    tools: Tools
    org: UUID

    async def upload(self, path: Path, language: str | None = None, style: str = "talk") -> UUID:
        """A session whose recording is stored, and whose first step is due."""
        async with self.db.tenant(self.org) as tx:
            session = await sessions.create(tx, "a talk", "upload", language, style, user=orgs.LOCAL_USER)
        key = f"{self.org}/{session.id}/source"
        stored = await self.blobs.put(key, path, content_type="audio/wav")
        async with self.db.tenant(self.org) as tx:
            await media.begin(tx, session.id, key=key, size=stored.size, content_type="audio/wav", filename=NAME)
            await media.complete(tx, session.id, size=stored.size, sha256=stored.sha256)
            await sessions.set_state(tx, session.id, "processing")
            await self.due(tx, session.id, graph.root_hash(stored.sha256))
        return session.id

    async def due(self, tx: Tx, session: UUID, input_hash: str) -> None:
        await steps.queue(tx, session, "ingest", input_hash)
        await self.announce(tx, session, input_hash)

    async def announce(self, tx: Tx, session: UUID, input_hash: str) -> None:
        payload = {"org": str(self.org), "session": str(session), "step": "ingest", "input_hash": input_hash}
        await outbox.put(tx, "ingest", payload)

    async def session(self, session: UUID) -> Session:
        async with self.db.tenant(self.org) as tx:
            found = await sessions.get(tx, session)
        assert found is not None
        return found

    async def coaching(self, session: UUID) -> dict[str, Any]:
        async with self.db.tenant(self.org) as tx:
            found = await documents.load(tx, "coaching", session)
        assert found is not None
        return found

    async def steps(self, session: UUID) -> list[steps.Step]:
        async with self.db.tenant(self.org) as tx:
            return await steps.of(tx, session)

    async def until(self, session: UUID, told: Callable[[Event], bool]) -> list[Event]:
        """What is told of the session, up to the first event that is meant."""
        heard = []
        async for event in self.live.follow(session):
            heard.append(event)
            if told(event):
                return heard
        raise AssertionError("the log ended")

    async def ended(self, session: UUID) -> list[Event]:
        return await self.until(session, lambda event: "session" in event.data)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """A worker and a relay at work."""
        tasks = [asyncio.create_task(relay(self.db, self.bus)), asyncio.create_task(self.worker("one").run(list(graph.BY_NAME)))]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                assert isinstance(outcome, asyncio.CancelledError), outcome

    def worker(self, name: str) -> Worker:
        return Worker(self.tools, self.bus, self.live, name)


@pytest.fixture
def url(servers: Servers) -> Iterator[str]:
    with database(servers.database_url) as found:
        yield found


@pytest.fixture
def play(url: str, servers: Servers, data_folder: Path, tmp_path: Path) -> Callable[[Callable[[House], Awaitable[None]]], None]:
    """Runs a scenario in a house of its own."""

    async def run(scenario: Callable[[House], Awaitable[None]]) -> None:
        settings = Settings(data=data_folder, asr_model="bundled", device="cpu", threads=2)
        async with (
            asyncio.timeout(LIMIT_S),
            Database.open(url) as db,
            Bus.connect(servers.nats_url) as bus,
            LiveLog.connect(servers.redis_url) as live,
            open_blobs(settings, bytes(32), "", tmp_path / "blobs") as blobs,
        ):
            member = await orgs.ensure_local(db)
            await scenario(House(db, bus, live, blobs, Tools(settings, db, blobs, tmp_path / "scratch"), member.org))

    return lambda scenario: asyncio.run(run(scenario))


def test_a_recording_becomes_the_report_that_the_command_writes(play: Callable[..., None], data_folder: Path, tmp_path: Path) -> None:
    path = wav(tmp_path / NAME, 1.0, 16.0)

    async def scenario(house: House) -> None:
        async with house.working():
            session = await house.upload(path)
            events = await house.ended(session)
        assert events[-1].data == {"session": "complete"}, events[-1]
        found = await house.session(session)
        assert (found.state, found.language, found.problem) == ("complete", "en", None)
        assert found.duration_s == pytest.approx(15.0, abs=0.01)
        assert {(row.step, row.state, row.attempt) for row in await house.steps(session)} == {(name, "done", 1) for name in graph.BY_NAME}

        # the same words and numbers, to the byte, as in one process
        settings = Settings(data=data_folder, asr_model="bundled", device="cpu", threads=2)
        analysis, _ = await asyncio.to_thread(analysis_of.analyze, path, settings)
        async with house.db.tenant(house.org) as tx:
            stored = await transcripts.load(tx, session)
            given = await documents.load(tx, "scores", session)
            coached = await documents.load(tx, "coaching", session)
            minutes = await series.read(tx, session, "minute")
        assert stored is not None
        assert stored[0] == analysis.transcript
        assert given is not None
        told = json.loads(await house.blobs.read(f"{house.org}/{session}/report/analysis.json"))
        assert told == json.loads(encoded(document(analysis, given, coached)))
        assert {one["dimension"] for one in given["scores"]} == {one.id for one in rubrics()["talk"].dimensions}
        assert len(minutes) == 1

        # the first numbers came before the words were known, and say so
        first = next(event for event in events if event.stream == "metrics")
        assert first.data["rate_wpm"] is None
        assert first.data["f0_median_hz"] == pytest.approx(analysis.measures["f0_median_hz"].value, rel=0.1)
        order = [event.stream for event in events]
        assert order.index("metrics") < order.index("tokens")
        said = [word["text"] for event in events if event.stream == "tokens" for word in event.data["committed"]]
        assert said == [word.text for word in analysis.transcript.words]
        keys = {key.split("/", 2)[2] async for key in house.blobs.keys(f"{house.org}/{session}/")}
        made = {key for key in keys if key.startswith(("report/", "clips/"))}
        assert keys - made == {"source", "audio.mp3", "frames.parquet", "listened.npz"}
        assert not any((tmp_path / "scratch").iterdir())

    play(scenario)


def test_another_style_is_scored_anew_and_compared_with_its_own(play: Callable[..., None], tmp_path: Path) -> None:
    path = wav(tmp_path / NAME, 1.0, 9.0)

    async def scenario(house: House) -> None:
        async with house.working():
            first = await house.upload(path)
            await house.ended(first)
            second = await house.upload(path)
            await house.ended(second)
            assert [(await house.coaching(one))["change"]["since"] is None for one in (first, second)] == [True, False]
            async with house.db.tenant(house.org) as tx:  # as PATCH does
                await sessions.set_style(tx, second, "interview")
                await work.resume(tx, house.org, second, frozenset(graph.following("score")))
                await sessions.set_state(tx, second, "processing")
            ended = 0

            def twice(event: Event) -> bool:
                nonlocal ended
                ended += event.data.get("session") == "complete"
                return ended == 2

            events = await house.until(second, twice)
        told = [event.data["rubric"]["name"] for event in events if event.stream == "score"]
        assert told == ["talk", "interview"]
        async with house.db.tenant(house.org) as tx:
            given = await documents.load(tx, "scores", second)
        assert given is not None
        assert given["rubric"]["name"] == "interview"
        change = (await house.coaching(second))["change"]
        assert (change["since"], change["dimensions"]) == (None, [])
        ran = {row.step: row.attempt for row in await house.steps(second)}
        assert ran["asr"] == 1

    play(scenario)


def test_a_learner_is_rated_and_a_child_as_a_child(play: Callable[..., None], tmp_path: Path) -> None:
    pause = np.zeros(RATE_HZ, np.float32)
    path = stored(tmp_path / NAME, np.concatenate([part for span in SENTENCES for part in (cut(*span), pause)]))

    async def scenario(house: House) -> None:
        async with house.working():
            session = await house.upload(path, style="language-learner")
            first = await house.until(session, lambda event: event.stream == "score")
            await house.ended(session)
            async with house.db.tenant(house.org) as tx:  # as PATCH does
                await sessions.set_speaker(tx, session, "child")
                await work.resume(tx, house.org, session, frozenset(graph.following("score")))
                await sessions.set_state(tx, session, "processing")
            scored = 0

            def twice(event: Event) -> bool:
                nonlocal scored
                scored += event.stream == "score"
                return scored == 2

            second = await house.until(session, twice)
        adult, child = first[-1].data["ratings"], second[-1].data["ratings"]
        async with house.db.tenant(house.org) as tx:
            given = await documents.load(tx, "scores", session)
        assert given is not None
        assert given["ratings"] == child
        added = {one.what: one.child for one in rubrics()["language-learner"].ratings if not one.script}
        assert {one["what"]: one["child"] for one in child} == added
        for one, other in zip(adult, child, strict=True):
            assert (one["what"], one["child"], one["sentences"]) == (other["what"], 0.0, other["sentences"])
            assert 5.0 < one["value"] < other["value"]  # a practised reader

    play(scenario)


def test_what_was_said_can_be_searched(play: Callable[..., None], tmp_path: Path) -> None:
    path = wav(tmp_path / NAME, 1.0, 16.0)

    async def scenario(house: House) -> None:
        async with house.working():
            session = await house.upload(path)
            await house.ended(session)
        vectors = house.tools.embedder(["the finest period in history", "knitting patterns"])
        assert vectors is not None
        async with house.db.tenant(house.org) as tx:
            stored = await transcripts.load(tx, session)
            (first, *_) = await search.search(tx, search.Wanted("the finest period in history"), vectors[0], {}, 5)
            nothing = await search.search(tx, search.Wanted("knitting patterns"), vectors[1], {}, 5)
            rows = await tx.fetch("select start_sample, text, embedding from embeddings where kind = 'passage' order by id")
        assert stored is not None
        passages = {row["start_sample"]: row["text"] for row in rows}
        assert " ".join(passages.values()) == " ".join(word.text for word in stored[0].words)
        assert all(row["embedding"] is not None for row in rows)
        assert (first.session, nothing) == (session, [])
        assert "best of times" in first.text
        assert stored[0].words[0].start <= first.start < first.end <= stored[0].words[-1].end

    play(scenario)


def test_the_language_that_was_said_to_be_spoken_is_not_detected(play: Callable[..., None], tmp_path: Path) -> None:
    path = wav(tmp_path / NAME, 1.0, 5.0)

    async def scenario(house: House) -> None:
        async with house.working():
            wished, detected = await house.upload(path, "de"), await house.upload(path)
            await house.ended(wished)
            await house.ended(detected)
        for session, language in ((wished, "de"), (detected, "en")):
            async with house.db.tenant(house.org) as tx:
                found = await transcripts.load(tx, session)
            assert found is not None
            assert found[0].language == (await house.session(session)).language == language
            assert (found[0].language_probability == 1.0) == (session == wished)
        assert [(await house.session(one)).wished_language for one in (wished, detected)] == ["de", None]

    play(scenario)


def test_what_is_wrong_with_a_recording_is_said_by_the_name_the_user_gave_it(play: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"this is no sound " * 100)

    async def scenario(house: House) -> None:
        async with house.working():
            session = await house.upload(tmp_path / "bad")
            await house.ended(session)
        (row,) = await house.steps(session)
        assert (row.step, row.state, row.error_code) == ("ingest", "parked", "not-audio")
        assert row.error == str(Problem("not-audio", path=NAME))
        found = await house.session(session)
        assert (found.state, found.problem) == ("failed", row.error)

    play(scenario)


def planted(monkeypatch: pytest.MonkeyPatch, ingest: Callable[[Tools, Job, Watched], Awaitable[Done]]) -> None:
    """The graph is one step, and it does this."""
    monkeypatch.setitem(cast(Any, RUN), "ingest", ingest)
    monkeypatch.setattr(worker_module, "_RETRY_S", 0.05)


async def nothing(_: Tx) -> None:
    pass


def test_a_defect_is_tried_again_and_then_parked_in_sight(
    play: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = 0

    async def broken(_tools: Tools, _job: Job, _watched: Watched) -> Done:
        nonlocal tried
        tried += 1
        raise ZeroDivisionError("planted")

    planted(monkeypatch, broken)
    monkeypatch.setattr(worker_module, "_DEFECT_PAUSE_S", 0.01)

    async def scenario(house: House) -> None:
        async with house.working():
            session = await house.upload(wav(tmp_path / "talk.wav", 1.0, 3.0))
            await house.ended(session)
        (row,) = await house.steps(session)
        assert (row.state, row.error_code, tried) == ("parked", "step-failed", DEFECTS)
        assert row.error is not None
        assert "ZeroDivisionError: planted" in row.error

    play(scenario)


def test_a_message_that_comes_again_changes_nothing(play: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[UUID] = []

    async def once(_tools: Tools, job: Job, _watched: Watched) -> Done:
        ran.append(job.session)
        return Done({"ran": len(ran)}, nothing)

    planted(monkeypatch, once)
    monkeypatch.setattr(graph, "STEPS", graph.STEPS[:1])
    monkeypatch.setattr(graph, "BY_NAME", {"ingest": graph.STEPS[0]})

    async def scenario(house: House) -> None:
        async with house.working():
            session = await house.upload(wav(tmp_path / "talk.wav", 1.0, 3.0))
            await house.ended(session)
            (before,) = await house.steps(session)
            other = await house.upload(tmp_path / "talk.wav")
            async with house.db.tenant(house.org) as tx:
                await house.announce(tx, session, before.input_hash)
            third = await house.upload(tmp_path / "talk.wav")  # after the repeat: when it is done, the repeat was seen
            await house.ended(other)
            await house.ended(third)
        assert ran == [session, other, third]
        assert await house.steps(session) == [before]

    play(scenario)


def test_a_cancelled_session_stops_its_step_and_keeps_nothing(
    play: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = asyncio.Event()
    cancelled = asyncio.Event()
    stopped: list[Exception] = []

    async def slow(_tools: Tools, _job: Job, watched: Watched) -> Done:
        began.set()
        await cancelled.wait()
        while True:
            await asyncio.sleep(0)
            try:
                watched.check()
            except worker_module.Stopped as error:
                stopped.append(error)
                raise

    planted(monkeypatch, slow)
    monkeypatch.setattr(worker_module, "HEARTBEAT_S", 0.02)

    async def scenario(house: House) -> None:
        async with house.working():
            session = await house.upload(wav(tmp_path / "talk.wav", 1.0, 3.0))
            await began.wait()
            async with house.db.tenant(house.org) as tx:
                await sessions.set_state(tx, session, "cancelled")
                await steps.cancel_all(tx, session)
            cancelled.set()
            while not stopped:
                await asyncio.sleep(0.01)
        (row,) = await house.steps(session)  # the worker has ended, and handed back whatever it had
        assert (row.state, row.result) == ("cancelled", None)

    play(scenario)


def test_what_comes_after_its_session_was_deleted_is_dropped(
    play: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deleted = asyncio.Event()
    stored: list[str] = []

    async def late(tools: Tools, job: Job, _watched: Watched) -> Done:
        async with tools.db.tenant(job.org) as tx:
            await sessions.delete(tx, job.session)
            await audit.write(tx, "somebody", audit.SESSION_DELETED, str(job.session), {})
        await tools.blobs.delete_prefix(job.key(""))
        await tools.blobs.put(job.key("late.txt"), b"late", content_type="text/plain")
        deleted.set()

        async def store(_: Tx) -> None:
            stored.append("row")

        return Done({}, store)

    planted(monkeypatch, late)

    async def scenario(house: House) -> None:
        async with house.working():
            session = await house.upload(wav(tmp_path / "talk.wav", 1.0, 3.0))
            await deleted.wait()
            while [key async for key in house.blobs.keys(f"{house.org}/{session}/")]:
                await asyncio.sleep(0.01)
            while await house.live.read(session, 0, 10):
                await asyncio.sleep(0.01)
        assert stored == []

    play(scenario)


def test_a_step_whose_worker_died_is_anybodys_after_its_lease(play: Callable[..., None], tmp_path: Path) -> None:
    async def scenario(house: House) -> None:
        session = await house.upload(wav(tmp_path / "talk.wav", 1.0, 3.0))
        (row,) = await house.steps(session)

        async def start(worker: str, lease_s: float) -> object:
            async with house.db.tenant(house.org) as tx:
                return await steps.start(tx, session, "ingest", row.input_hash, worker, lease_s)

        assert await start("dead", 60.0) == steps.Attempt(1, 0)
        assert await start("other", 60.0) == "busy"
        assert await start("other", 0.0) == steps.Attempt(2, 0)
        async with house.db.tenant(house.org) as tx:
            assert not await steps.touch(tx, session, "ingest", row.input_hash, "dead")
            assert await steps.touch(tx, session, "ingest", row.input_hash, "other")
            assert await steps.release(tx, session, "ingest", row.input_hash, "other", failed=True)
        assert await start("third", 60.0) == steps.Attempt(3, 1)
        async with house.db.tenant(house.org) as tx:
            assert await steps.finish(tx, session, "ingest", row.input_hash, {})
            assert not await steps.finish(tx, session, "ingest", row.input_hash, {"again": True})
        assert await start("fourth", 0.0) == "over"

    play(scenario)


def test_a_step_that_the_bus_lost_is_announced_again(play: Callable[..., None], tmp_path: Path) -> None:
    async def scenario(house: House) -> None:
        session = await house.upload(wav(tmp_path / "talk.wav", 1.0, 3.0))
        async with house.db.relay() as tx:
            await outbox.done(tx, [message.id for message in await outbox.take(tx, 10)])  # lost on its way
        assert await outbox.announce_overdue(house.db, 3600.0) == 0
        assert await outbox.announce_overdue(house.db, 0.0) == 1
        async with house.db.relay() as tx:
            (message,) = await outbox.take(tx, 10)
        (row,) = await house.steps(session)
        assert message.subject == "ingest"
        payload = msgspec.convert(message.payload, dict[str, str])
        assert payload == {"org": str(house.org), "session": str(session), "step": "ingest", "input_hash": row.input_hash}

    play(scenario)
