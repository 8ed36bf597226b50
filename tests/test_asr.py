"""Who is served next, and how often sessions may ask. The recogniser's threads run what the test hands in and lets go on."""

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import pytest

from speech.agreement import Window
from stream_pipeline import asr as asr_module
from stream_pipeline.asking import Answer, Ask
from stream_pipeline.asr import Asr, AsrError
from stream_pipeline.load import Load, Pace

LIMIT_S = 5.0
T = TypeVar("T")


def ask(at: int, final: bool = False) -> Ask:
    """A window whose end says which it is."""
    nothing = np.zeros(0, np.float32)
    return Ask(Window(0, at, final), nothing, nothing, 0, (), (), "en", at)


def answer(asked: Ask) -> Answer:
    return Answer((), "en", float(asked.window.end))


@dataclass
class Bench:
    """The wire in place of the model: batches come in `begun`, and each ends when the test says so."""

    loop: asyncio.AbstractEventLoop
    begun: asyncio.Queue[list[int]] = field(default_factory=asyncio.Queue)
    fails: set[int] = field(default_factory=set)
    now_s: float = 1000.0
    _done: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def recognise(self, asks: Sequence[Ask]) -> list[Answer]:
        ends = [one.window.end for one in asks]
        self.loop.call_soon_threadsafe(self.begun.put_nowait, ends)
        assert self._done.acquire(timeout=LIMIT_S)
        if self.fails & set(ends):
            raise RuntimeError("out of memory")
        return [answer(one) for one in asks]

    async def batch(self) -> list[int]:
        """The next batch that a worker takes."""
        return await asyncio.wait_for(self.begun.get(), LIMIT_S)

    def finish(self, batches: int = 1) -> None:
        self._done.release(batches)

    def clock(self) -> float:
        return self.now_s


def within(test: Coroutine[None, None, T]) -> T:
    """What a test gives; one that would wait for ever fails instead."""
    return asyncio.run(asyncio.wait_for(test, LIMIT_S))


@contextlib.asynccontextmanager
async def opened(workers: int = 1, most: int = 4) -> AsyncIterator[tuple[Asr, Bench]]:
    """An Asr whose workers are busy with windows 1..workers of other sessions."""
    bench = Bench(asyncio.get_running_loop())
    asr = Asr(bench.recognise, workers, most, bench.clock)
    async with asyncio.TaskGroup() as others, asr_module.threads(workers) as pool, asr.running(pool):
        try:
            for i in range(workers):
                others.create_task(_either(asr, f"other {i}", 1 + i))
                assert await bench.batch() == [1 + i]
            yield asr, bench
        finally:
            bench.finish(100)


async def _either(asr: Asr, session: str, at: int) -> None:
    with contextlib.suppress(AsrError):  # those that are closed upon
        await asr.recognise(session, ask(at))


async def asked(group: asyncio.TaskGroup, asr: Asr, session: str, at: int, final: bool = False) -> asyncio.Task[Answer | None]:
    """A window that now waits, or is taken."""
    task = group.create_task(asr.recognise(session, ask(at, final)))
    await asyncio.sleep(0)
    return task


# lanes


def test_finals_come_before_partials_that_waited_longer() -> None:
    async def run() -> None:
        async with opened(most=1) as (asr, bench), asyncio.TaskGroup() as group:
            await asked(group, asr, "a", 10)
            await asked(group, asr, "b", 20)
            await asked(group, asr, "c", 30, final=True)
            await asked(group, asr, "d", 40, final=True)
            bench.finish(100)
            assert [await bench.batch() for _ in range(4)] == [[30], [40], [10], [20]]

    within(run())


def test_of_a_session_only_the_newest_partial_waits() -> None:
    async def run() -> None:
        async with opened() as (asr, bench), asyncio.TaskGroup() as group:
            first = await asked(group, asr, "a", 10)
            second = await asked(group, asr, "a", 20)
            bench.finish(100)
            assert await bench.batch() == [20]
            assert await first is None
            assert await second == answer(ask(20))
            assert asr.stats()["given_up"] == 1

    within(run())


def test_a_final_replaces_the_partial_of_its_session() -> None:
    async def run() -> None:
        async with opened() as (asr, bench), asyncio.TaskGroup() as group:
            partial = await asked(group, asr, "a", 10)
            await asked(group, asr, "a", 20, final=True)
            bench.finish(100)
            assert await bench.batch() == [20]
            assert await partial is None

    within(run())


def test_a_session_that_asks_all_the_time_does_not_keep_others_waiting() -> None:
    async def run() -> None:
        async with opened(most=1) as (asr, bench), asyncio.TaskGroup() as group:
            await asked(group, asr, "eager", 10)
            await asked(group, asr, "b", 20)
            await asked(group, asr, "c", 30)
            order = []
            for again in range(11, 15):
                bench.finish()
                order += await bench.batch()
                await asked(group, asr, "eager", again)
            bench.finish(100)
            assert order == [10, 20, 30, 13]

    within(run())


def test_a_partial_that_waited_too_long_is_given_back_and_its_session_is_next() -> None:
    async def run() -> None:
        async with opened(most=1) as (asr, bench), asyncio.TaskGroup() as group:
            stale = await asked(group, asr, "a", 10)
            bench.now_s += 5
            await asked(group, asr, "b", 20)
            bench.finish()
            assert await bench.batch() == [20]
            assert await stale is None
            await asked(group, asr, "b", 21)
            await asked(group, asr, "a", 11)
            bench.finish(100)
            assert [await bench.batch() for _ in range(2)] == [[11], [21]]

    within(run())


def test_finals_are_never_given_up_however_long_they_wait() -> None:
    async def run() -> None:
        async with opened() as (asr, bench), asyncio.TaskGroup() as group:
            waiting = [await asked(group, asr, "a", 10 * i, final=True) for i in range(1, 7)]
            bench.now_s += 3600
            bench.finish(100)
            assert [await one for one in waiting] == [answer(ask(10 * i)) for i in range(1, 7)]
            assert asr.stats()["given_up"] == 0

    within(run())


# batches


def test_what_waits_is_shared_between_idle_workers() -> None:
    async def run() -> None:
        async with opened(workers=2) as (asr, bench), asyncio.TaskGroup() as group:
            bench.finish(2)
            while asr._idle < 2:  # until both workers have come back
                await asyncio.sleep(0)
            for i in range(4):
                group.create_task(asr.recognise(f"s{i}", ask(10 + i)))
            assert sorted([await bench.batch() for _ in range(2)]) == [[10, 11], [12, 13]]
            bench.finish(100)

    within(run())


def test_a_batch_has_a_limit() -> None:
    async def run() -> None:
        async with opened(most=3) as (asr, bench), asyncio.TaskGroup() as group:
            for i in range(5):
                await asked(group, asr, f"s{i}", 10 + i)
            bench.finish(100)
            assert [await bench.batch() for _ in range(2)] == [[10, 11, 12], [13, 14]]

    within(run())


def test_a_failing_window_fails_nobody_else() -> None:
    async def run() -> None:
        async with opened() as (asr, bench), asyncio.TaskGroup() as group:
            bench.fails = {20}
            one = await asked(group, asr, "a", 10)
            bad = group.create_task(_error(asr, "b", 20))
            await asyncio.sleep(0)
            bench.finish(100)
            assert [await bench.batch() for _ in range(3)] == [[10, 20], [10], [20]]
            assert await one == answer(ask(10))
            error = await bad
            assert isinstance(error.__cause__, RuntimeError)
            assert (asr.stats()["failed"], asr.stats()["retried"]) == (1, 2)
            bench.fails = set()
            assert await asr.recognise("b", ask(21)) == answer(ask(21))  # and it goes on

    within(run())


async def _error(asr: Asr, session: str, at: int, final: bool = False) -> AsrError:
    with pytest.raises(AsrError) as caught:
        await asr.recognise(session, ask(at, final))
    return caught.value


# leaving


def test_a_window_nobody_waits_for_is_not_recognised() -> None:
    async def run() -> None:
        async with opened() as (asr, bench), asyncio.TaskGroup() as group:
            gone = [await asked(group, asr, "a", 10, final=True), await asked(group, asr, "b", 20)]
            await asked(group, asr, "c", 30)
            for task in gone:
                task.cancel()
            await asyncio.sleep(0)
            bench.finish(100)
            assert await bench.batch() == [30]
            assert asr.stats()["waiting"] == 0

    within(run())


def test_closing_ends_the_threads_and_says_so_to_who_waits() -> None:
    before = threading.active_count()
    errors: list[AsrError] = []

    async def run() -> None:
        asr, waiting = None, []
        async with asyncio.TaskGroup() as group:
            async with opened() as (asr, _):
                waiting += [group.create_task(_error(asr, "a", 10, final=True)), group.create_task(_error(asr, "b", 20))]
                await asyncio.sleep(0)
            errors.extend([await task for task in waiting])
            await _error(asr, "c", 30)

    within(run())
    assert len(errors) == 2
    assert threading.active_count() == before


def test_no_more_wait_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asr_module, "_MOST_WAITING", 2)

    async def run() -> None:
        async with opened() as (asr, bench), asyncio.TaskGroup() as group:
            await asked(group, asr, "a", 10, final=True)
            await asked(group, asr, "b", 20)
            await _error(asr, "c", 30)
            bench.finish(100)

    within(run())


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a nice value belongs to the whole process")
def test_the_event_loop_comes_before_the_recogniser() -> None:
    def nice(_: int) -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    async def run() -> tuple[int, int]:
        async with asr_module.threads(1) as pool:
            return nice(0), await asyncio.get_running_loop().run_in_executor(pool, nice, 0)

    own, theirs = within(run())
    assert theirs == min(own + 5, 19)


def test_a_late_recogniser_sheds_while_windows_still_wait() -> None:
    async def run() -> None:
        async with opened() as (asr, bench), asyncio.TaskGroup() as group:
            await asked(group, asr, "a", 10, final=True)
            assert asr.pace.degraded is None
            assert not asr.full
            bench.now_s += 3
            assert asr.pace.degraded == "recognising every 1.25 s, 15 s at once"
            assert asr.full
            bench.finish(100)

    within(run())


# pace


def busy(load: Load, since_s: float, seconds: float, share: float, wait_s: float, sessions: int = 1) -> list[Pace]:
    """A worker that computes for that share of each second, windows having waited; the pace after each."""
    paces = []
    for second in range(round(seconds)):
        now = since_s + second
        for i in range(sessions):
            load.asked(f"s{i}", now)
        load.begun([wait_s], now)
        load.ended(now, now + share)
        paces.append(load.pace(0.0, now + 1))
    return paces


def test_without_load_nothing_is_shed() -> None:
    load = Load(1)
    assert {pace.degraded for pace in busy(load, 0, 60, 0.6, 0.1)} == {None}
    assert load.pace(0.0, 60).stride_s == 1.0


@pytest.mark.parametrize(("share", "wait_s"), [(1.0, 0.0), (0.7, 0.6), (0.3, 1.5)], ids=["busy", "busy and late", "very late"])
def test_strain_sheds_stride_and_then_the_window(share: float, wait_s: float) -> None:
    paces = busy(Load(1), 0, 40, share, wait_s)
    strides, windows = [pace.stride_s for pace in paces], [pace.longest_s for pace in paces]
    assert strides == sorted(strides)
    assert windows == sorted(windows, reverse=True)
    assert windows[strides.index(1.6)] == 15.0
    assert paces[-1] == Pace(3.0, 8.0, "recognising every 3 s, 8 s at once")
    assert all(pace.degraded for pace in paces if pace.stride_s > 1.0)


def test_many_who_come_at_once_are_made_room_for_before_they_are_late() -> None:
    load = Load(1)
    busy(load, 0, 30, 0.4, 0.0)
    assert load.pace(0.0, 30).degraded is None
    for i in range(4):
        load.admitted(f"new {i}", 30)
    crowded = load.pace(0.0, 30)
    assert crowded.stride_s == 2.0  # five times 0.4 of a worker
    assert load.pace(0.0, 60).degraded is None  # none of them said anything


def test_work_counts_with_the_stride_it_was_done_at() -> None:
    load = Load(1)
    busy(load, 0, 30, 0.5, 0.0)
    load.admitted("s1", 30)
    assert load.pace(0.0, 30).stride_s == 1.25
    assert busy(load, 30, 15, 0.66, 0.0, sessions=2)[-1].stride_s == 1.25
    load.admitted("s2", 45)
    assert load.pace(0.0, 45).stride_s == 1.6  # 0.66 of a worker at 1.25 s would be 0.82 at one: no room for half as much again


def test_the_pace_comes_back_by_itself_even_when_nothing_is_asked() -> None:
    load = Load(1)
    busy(load, 0, 40, 1.0, 0.0)
    assert load.pace(0.0, 45).degraded is not None
    assert load.pace(0.0, 51).degraded is None
    busy(load, 60, 40, 1.0, 0.0)
    assert not load.full(0.0, 111)


def test_waits_alone_shed_nothing() -> None:
    # With time left over, some ask at the same moment.
    assert {pace.degraded for pace in busy(Load(1), 0, 60, 0.4, 0.6)} == {None}


def test_between_strain_and_calm_the_pace_stays() -> None:
    load = Load(1)
    shed = busy(load, 0, 7, 1.0, 0.0)[-1]
    assert shed.degraded is not None
    assert {pace.stride_s for pace in busy(load, 7, 60, 0.8, 0.1)[10:]} == {busy(load, 67, 1, 0.8, 0.1)[0].stride_s}


def test_what_waits_counts_before_it_is_served() -> None:
    load = Load(1)
    shed = load.pace(3.0, 10.0)
    assert shed.degraded is not None
    assert load.pace(3.0, 10.1) == shed  # which is given time to show what it brings
    assert load.pace(3.0, 12.1).stride_s > shed.stride_s


# admission


def test_a_free_recogniser_is_not_full_and_a_late_one_is() -> None:
    load = Load(2)
    assert not load.full(0.0, 0.0)
    assert load.full(2.0, 1.0)


def test_sessions_that_nobody_has_heard_yet_count() -> None:
    load = Load(2)
    admitted = 0
    while not load.full(0.0, 0.001 * admitted):
        load.admitted(f"s{admitted}", 0.001 * admitted)
        admitted += 1
        assert admitted < 100
    assert 4 <= admitted <= 12
    assert not load.full(0.0, 60.0)  # none of them ever asked


def test_a_house_is_full_by_what_its_sessions_cost() -> None:
    cheap, dear = Load(2), Load(2)
    for now in range(60):
        for load, each in ((cheap, 0.02), (dear, 0.7)):
            for i in range(2):
                load.asked(f"s{i}", now)
                load.begun([0.05], now)
                load.ended(now, now + each)
                load.pace(0.0, now + 0.9)
    rooms = []
    for load in (cheap, dear):
        more = 0
        while more < 50 and not load.full(0.0, 60.0):
            load.admitted(f"new {more}", 60.0)
            more += 1
        rooms.append(more)
    assert rooms[0] >= 2 * rooms[1]
    assert rooms[1] >= 1


def test_a_full_house_reopens_only_when_there_is_room_again() -> None:
    load = Load(1)
    busy(load, 0, 30, 1.0, 0.6)
    assert load.full(0.0, 30.0)
    assert load.full(0.0, 31.0)
    assert not load.full(0.0, 100.0)
