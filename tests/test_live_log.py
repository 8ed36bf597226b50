import asyncio
import math
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import aclosing
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from engines import live_log as module
from engines.embedded import Servers
from engines.errors import EngineError
from engines.live_log import CONNECTIONS, MOST_BYTES, Entry, Event, EventTooLarge, LiveLog, LiveLogDown
from tests import kills

LIMIT_S = 30.0


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, LIMIT_S))


def entries(first: int, count: int) -> list[Entry]:
    return [Entry("tokens", 10 * n, {"n": n}) for n in range(first, first + count)]


async def take(events: AsyncIterator[Event], count: int) -> list[Event]:
    return [await anext(events) for _ in range(count)]


async def until(log: LiveLog, session: UUID, last: int, after: int = 0, each: Callable[[Event], None] = lambda _: None) -> list[int]:
    """The seqs that a follower sees up to `last`."""
    seen = []
    async with aclosing(log.follow(session, after)) as events:  # type: ignore[type-var]
        async for event in events:
            each(event)
            seen.append(event.seq)
            if event.seq >= last:
                break
    return seen


async def following(log: LiveLog, *sessions: UUID) -> None:
    """Returns when the reader waits for news of these sessions."""
    while not all(session in log._followed and log._followed[session].at is not None for session in sessions):
        await asyncio.sleep(0)


def test_an_event_comes_back_as_the_envelope(servers: Servers) -> None:
    async def test() -> None:
        session = uuid4()
        async with LiveLog.connect(servers.redis_url) as log:
            assert await log.append(session, "metrics", 1500, {"rate_wpm": 120.5, "f0_median_hz": math.nan, "at": 24_000}) == 1
            assert await log.append(session, "state", 1600, {"session": "complete"}) == 2
            first, second = await log.read(session, 0)
            assert first == Event(
                seq=1, session=session, stream="metrics", t_ms=1500, data={"rate_wpm": 120.5, "f0_median_hz": None, "at": 24_000}
            )
            assert msgspec.json.encode(second) == (
                f'{{"v":1,"seq":2,"session":"{session}","stream":"state","t_ms":1600,"data":{{"session":"complete"}}}}'.encode()
            )
            assert [event.seq for event in await log.read(session, 1)] == [2]
            assert await log.read(session, 2) == []
            assert [event.seq for event in await log.read(session, 0, count=1)] == [1]
            await log.delete(session)
            assert await log.read(session, 0) == []

    run(test())


def test_many_writers_number_without_gap_or_double(servers: Servers) -> None:
    async def test() -> None:
        session, numbered = uuid4(), dict[int, tuple[int, int]]()

        async def write(log: LiveLog, writer: int) -> None:
            for i in range(20):
                if i % 3:
                    numbered[await log.append(session, "tokens", i, {"writer": writer, "i": i})] = (writer, i)
                else:
                    last = await log.append_many(session, [Entry("tokens", i, {"writer": writer, "i": i})] * 5)
                    numbered.update(dict.fromkeys(range(last - 4, last + 1), (writer, i)))

        async with LiveLog.connect(servers.redis_url) as one, LiveLog.connect(servers.redis_url) as other:
            async with asyncio.TaskGroup() as tasks:
                for writer in range(8):
                    tasks.create_task(write(one if writer % 2 else other, writer))
            count = 8 * (7 * 5 + 13)
            assert sorted(numbered) == list(range(1, count + 1))
            stored = {event.seq: (event.data["writer"], event.data["i"]) for event in await one.read(session, 0)}
            assert stored == numbered

    run(test())


def test_a_hundred_followers_share_one_connection(servers: Servers) -> None:
    async def test() -> None:
        sessions, each, seen = [uuid4() for _ in range(20)], 60, list[asyncio.Task[list[int]]]()

        async def write(log: LiveLog, session: UUID) -> None:
            for i in range(0, each, 3):
                await log.append_many(session, entries(i, 3))

        async with LiveLog.connect(servers.redis_url) as log:
            before = [client for client in await log._redis.client_list() if client["name"] == "elocute-live-log"]
            async with asyncio.TaskGroup() as tasks:
                for session in sessions:
                    await log.append_many(session, entries(0, 5))
                    seen += [tasks.create_task(until(log, session, each + 5, after)) for after in (0, 0, 2, 5, 5)]
                await following(log, *sessions)
                async with asyncio.TaskGroup() as writers:
                    for session in sessions:
                        writers.create_task(write(log, session))
                    now = [client for client in await log._redis.client_list() if client["name"] == "elocute-live-log"]
            assert [task.result() for task in seen] == [list(range(after + 1, each + 6)) for _ in sessions for after in (0, 0, 2, 5, 5)]
            assert len(now) - len(before) <= CONNECTIONS
            assert sum(client["cmd"] == "xread" for client in now) == 1
            assert log._followed == {}

    run(test())


def test_events_written_elsewhere_arrive_live_and_resume_after_an_id(servers: Servers) -> None:
    async def test() -> None:
        session = uuid4()
        async with LiveLog.connect(servers.redis_url) as here, LiveLog.connect(servers.redis_url) as there:
            async with aclosing(here.follow(session)) as events:  # type: ignore[type-var]
                first = asyncio.ensure_future(anext(events))
                await following(here, session)
                await there.append(session, "cue", 0, {"n": 1})
                assert (await first).data == {"n": 1}
            await there.append_many(session, entries(2, 9))
            assert await until(here, session, 10, after=4) == [5, 6, 7, 8, 9, 10]
            late = asyncio.ensure_future(until(there, session, 11, after=10))
            await following(there, session)
            await here.append(session, "cue", 0, {})
            assert await late == [11]

    run(test())


def test_a_slow_follower_loses_nothing_and_keeps_nobody(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUFFER", 8)

    async def test() -> None:
        session = uuid4()
        async with (
            LiveLog.connect(servers.redis_url) as log,
            aclosing(log.follow(session)) as slow,  # type: ignore[type-var]
            asyncio.TaskGroup() as tasks,
        ):
            live = asyncio.ensure_future(anext(slow))
            await following(log, session)
            await log.append(session, "tokens", 0, {"n": 1})
            assert (await live).seq == 1
            fast = tasks.create_task(until(log, session, 2501))
            for first in range(2, 2502, 50):
                await log.append_many(session, entries(first, 50))
            assert await fast == list(range(1, 2502))
            (follower,) = log._followed[session].followers
            assert len(follower.events) <= 8
            assert log.overflows > 0
            assert [event.data["n"] for event in await take(slow, 2500)] == list(range(2, 2502))
            await log.append(session, "tokens", 0, {"n": 2502})
            assert (await anext(slow)).seq == 2502

    run(test())


def test_what_came_between_reading_and_following_is_read(servers: Servers) -> None:
    async def test() -> None:
        session = uuid4()
        async with LiveLog.connect(servers.redis_url) as log:
            await log.append(session, "tokens", 0, {"n": 1})
            async with aclosing(log.follow(session)) as early, aclosing(log.follow(session, 3)) as late:  # type: ignore[type-var]
                assert (await anext(early)).seq == 1  # it has read the log, and does not follow yet
                await log.append_many(session, entries(2, 2))
                live = asyncio.ensure_future(anext(late))
                await following(log, session)  # from 3 on
                await log.append(session, "tokens", 0, {"n": 4})
                assert (await live).seq == 4
                assert [event.seq for event in await take(early, 3)] == [2, 3, 4]

    run(test())


def test_what_was_trimmed_is_said(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_EVENTS", 300)

    async def test() -> None:
        session = uuid4()
        async with LiveLog.connect(servers.redis_url) as log:
            for first in range(1, 1001, 100):
                await log.append_many(session, entries(first, 100))
            kept = await log.read(session, 0)
            oldest = kept[0].seq
            assert 300 <= len(kept) < 500
            for after in (0, 7):
                marker, first_kept = await take(log.follow(session, after), 2)
                assert (marker.stream, marker.data, marker.seq) == ("state", {"trimmed": oldest - 1 - after}, oldest - 1)
                assert first_kept == kept[0]
            assert await until(log, session, 1000, after=marker.seq) == list(range(oldest, 1001))

    run(test())


# Ends before the follower's place, which only looking finds; and after it, which the reader is told.
@pytest.mark.parametrize(("new", "check_s"), [(3, 0.0), (80, 3600.0)])
def test_a_log_that_was_lost_starts_anew(servers: Servers, monkeypatch: pytest.MonkeyPatch, new: int, check_s: float) -> None:
    monkeypatch.setattr(module, "CHECK_S", check_s)
    monkeypatch.setattr(module, "BLOCK_S", 0.05)

    async def test() -> None:
        session = uuid4()
        async with LiveLog.connect(servers.redis_url) as log:
            await log.append_many(session, entries(1, 50))
            async with aclosing(log.follow(session)) as events:  # type: ignore[type-var]
                assert [event.seq for event in await take(events, 50)] == list(range(1, 51))
                waiting = asyncio.ensure_future(anext(events))
                await following(log, session)
                await log.delete(session)
                await log.append_many(session, entries(1001, new))
                anew = [await waiting, *await take(events, new - 1)]
                assert [(event.seq, event.data["n"]) for event in anew] == [(i, 1000 + i) for i in range(1, new + 1)]
            assert await until(log, session, 3, after=5000) == list(range(1, 4))

    run(test())


@pytest.mark.parametrize(("new", "check_s"), [(5, 0.0), (10, 0.0), (30, 3600.0)])  # ends before, at and after the follower's place
def test_a_log_whose_end_was_lost_starts_anew(servers: Servers, monkeypatch: pytest.MonkeyPatch, new: int, check_s: float) -> None:
    monkeypatch.setattr(module, "CHECK_S", check_s)
    monkeypatch.setattr(module, "BLOCK_S", 0.05)

    async def test() -> None:
        session = uuid4()
        async with LiveLog.connect(servers.redis_url) as log:
            await log.append_many(session, entries(1, 40))
            written = await log._redis.dump(f"elocute:live:{session}")
            assert written is not None
            await log.append_many(session, entries(41, 10))
            async with aclosing(log.follow(session)) as events:  # type: ignore[type-var]
                await take(events, 50)
                waiting = asyncio.ensure_future(anext(events))
                await following(log, session)
                await log._redis.restore(f"elocute:live:{session}", 0, written, replace=True)
                await log.append_many(session, entries(1041, new))
                anew = [await waiting, *await take(events, 39 + new)]
                assert [event.seq for event in anew] == list(range(1, 41 + new))
                assert [event.data["n"] for event in anew] == [*range(1, 41), *range(1041, 1041 + new)]

    run(test())


def test_a_killed_server_keeps_every_event_once(tmp_path: Path) -> None:
    async def test(server: kills.Mortal) -> None:
        session, writers, each, kills_at = uuid4(), 3, 200, (50, 100, 150)
        last, stored = writers * each, list[int]()

        async def write(log: LiveLog, writer: int) -> None:
            for i in range(each):
                if writer == 0 and i in kills_at:
                    server.kill()
                    server.start()
                stored.append(await log.append(session, "tokens", 0, {"writer": writer, "i": i}))

        server.start()
        async with LiveLog.connect(server.url) as log, LiveLog.connect(server.url) as other:
            seen: list[Event] = []
            async with asyncio.TaskGroup() as tasks:
                follower = tasks.create_task(until(log, session, last, each=seen.append))
                for writer in range(writers):
                    tasks.create_task(write(other, writer))
            assert sorted(stored) == await follower == list(range(1, last + 1))
            assert sorted((event.data["writer"], event.data["i"]) for event in seen) == [
                (w, i) for w in range(writers) for i in range(each)
            ]

    with kills.valkey(tmp_path) as server:
        run(test(server))


def test_a_server_that_forgot_everything_is_followed_anew(tmp_path: Path) -> None:
    async def test(server: kills.Mortal) -> None:
        session = uuid4()
        server.start()
        async with LiveLog.connect(server.url) as log, LiveLog.connect(server.url) as writer:
            await log.append_many(session, entries(1, 50))
            async with aclosing(log.follow(session)) as events:  # type: ignore[type-var]
                await take(events, 50)
                waiting = asyncio.ensure_future(anext(events))
                await following(log, session)
                server.kill()
                for file in (tmp_path / "appendonlydir").iterdir():
                    file.unlink()
                server.start()
                await writer.append_many(session, entries(1001, 60))
                anew = [await waiting, *await take(events, 59)]
                assert [(event.seq, event.data["n"]) for event in anew] == [(i, 1000 + i) for i in range(1, 61)]

    with kills.valkey(tmp_path) as server:
        run(test(server))


def test_an_append_whose_answer_was_lost_is_stored_once(servers: Servers) -> None:
    async def test() -> None:
        session = uuid4()
        async with LiveLog.connect(servers.redis_url) as log:
            script, answers = log._append, iter([True, False, False])

            async def lossy(**call: Any) -> Any:  # the wire, which loses the first answer
                answer = await script(**call)
                if next(answers):
                    await log.append(session, "cue", 0, {"by": "another"})
                    raise RedisConnectionError("lost")
                return answer

            log._append = lossy  # type: ignore[assignment]
            assert await log.append_many(session, entries(1, 3)) == 3
            assert [event.data for event in await log.read(session, 0)] == [{"n": 1}, {"n": 2}, {"n": 3}, {"by": "another"}]

    run(test())


def test_what_is_no_event_is_refused(servers: Servers) -> None:
    async def test() -> None:
        session = uuid4()
        async with LiveLog.connect(servers.redis_url) as log:
            with pytest.raises(EventTooLarge, match="at most 65536"):
                await log.append_many(session, [*entries(1, 2), Entry("state", 0, {"text": "x" * MOST_BYTES})])
            with pytest.raises(ValueError, match="no stream 'words'"):
                await log.append(session, "words", 0, {})  # type: ignore[arg-type]
            for count in (0, module.MOST_AT_ONCE + 1):
                with pytest.raises(ValueError, match="at once"):
                    await log.append_many(session, entries(1, count))
            assert await log.read(session, 0) == []

    run(test())


def test_a_log_that_is_away_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(server: kills.Mortal) -> None:
        server.start()
        async with LiveLog.connect(server.url) as log:
            await log.ping()
            server.kill()
            monkeypatch.setattr(module, "LIMIT_S", 0.2)
            for asked in (log.ping(), log.append(uuid4(), "cue", 0, {}), log.read(uuid4(), 0), log.delete(uuid4())):
                with pytest.raises(LiveLogDown):
                    await asked
        with pytest.raises(LiveLogDown):
            async with LiveLog.connect(server.url):
                pass

    with kills.valkey(tmp_path) as server:
        run(test(server))
    assert issubclass(LiveLogDown, EngineError)
    assert issubclass(EventTooLarge, EngineError)


def test_leaving_the_block_ends_every_follower_and_hides_no_error(servers: Servers) -> None:
    async def test() -> None:
        session = uuid4()
        tasks = list[asyncio.Task[list[int]]]()
        with pytest.raises(KeyError, match="planted"):
            await leave(session, tasks)
        assert await tasks[0] == []

    async def leave(session: UUID, tasks: list[asyncio.Task[list[int]]]) -> None:
        async with LiveLog.connect(servers.redis_url) as log:
            tasks.append(asyncio.create_task(until(log, session, 1)))
            await following(log, session)
            raise KeyError("planted")

    run(test())
