import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from engines import bus as module
from engines.bus import MAX_DELIVERIES, STREAM, Bus, BusDown, BusRefused, Delivery
from engines.embedded import Servers
from engines.errors import EngineError
from tests import kills

LIMIT_S = 30.0


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, LIMIT_S))


def new_step() -> str:
    return f"test-{uuid4().hex}"


@asynccontextmanager
async def worker(bus: Bus, step: str, batch: int = 1) -> AsyncIterator[AsyncIterator[Delivery]]:
    async with aclosing(bus.consume(step, batch=batch)) as deliveries:  # type: ignore[type-var]
        yield deliveries


async def next_of(deliveries: AsyncIterator[Delivery]) -> Delivery:
    return await anext(deliveries)


def test_a_message_comes_again_until_it_is_acknowledged(servers: Servers) -> None:
    async def test() -> None:
        step = new_step()
        async with Bus.connect(servers.nats_url) as bus, worker(bus, step) as deliveries:
            await bus.publish(step, b"planted", "id-1")
            for attempt in range(1, MAX_DELIVERIES + 3):  # the server never gives it up: that is the worker's to decide
                delivery = await anext(deliveries)
                assert (delivery.payload, delivery.attempt) == (b"planted", attempt)
                assert (await bus.depths())[step] == 1
                await delivery.nak(0.0 if attempt > 1 else 0.01)
            await (await anext(deliveries)).ack()
            assert step not in await bus.depths()

    run(test())


def test_a_message_given_up_leaves_the_queue(servers: Servers) -> None:
    async def test() -> None:
        step = new_step()
        async with Bus.connect(servers.nats_url) as bus, worker(bus, step) as deliveries:
            await bus.publish(step, b"poison", "p")
            await bus.publish(step, b"next", "n")
            await (await anext(deliveries)).term()
            assert await bus.depths() | {step: 1} == await bus.depths()
            assert (await anext(deliveries)).payload == b"next"

    run(test())


def test_the_same_message_id_is_stored_once(servers: Servers) -> None:
    async def test() -> None:
        step = new_step()
        async with Bus.connect(servers.nats_url) as one, Bus.connect(servers.nats_url) as other:
            for bus in (one, other, one):
                await bus.publish(step, b"", "1")
            await other.publish(step, b"", "2")
            assert (await one.depths())[step] == 2  # before anybody consumes: a work queue keeps what has no worker yet
            await one.publish(f"{step}-next", b"", "1")  # ids count per step
            assert (await one.depths())[f"{step}-next"] == 1

    run(test())


def test_many_workers_share_a_step_and_each_message_is_done_once(servers: Servers) -> None:
    async def test() -> None:
        step, count = new_step(), 200
        done: Counter[bytes] = Counter()
        left = asyncio.Semaphore(0)

        async def work(bus: Bus, batch: int) -> None:
            async with worker(bus, step, batch) as deliveries:
                async for delivery in deliveries:
                    done[delivery.payload] += 1
                    await delivery.ack()
                    left.release()

        async with Bus.connect(servers.nats_url) as one, Bus.connect(servers.nats_url) as other, asyncio.TaskGroup() as tasks:
            workers = [tasks.create_task(work(bus, batch)) for bus, batch in ((one, 1), (one, 4), (other, 2))]
            for i in range(count):
                await one.publish(step, str(i).encode(), f"{step}-{i}")
            for _ in range(count):
                await left.acquire()
            for task in workers:
                task.cancel()
        assert done == {str(i).encode(): 1 for i in range(count)}

    run(test())


def test_a_consumer_holds_no_more_than_its_batch(servers: Servers) -> None:
    async def test() -> None:
        step = new_step()
        async with Bus.connect(servers.nats_url) as bus, worker(bus, step, batch=2) as deliveries, asyncio.TaskGroup() as tasks:
            for i in range(4):
                await bus.publish(step, str(i).encode(), f"{step}-{i}")
            first, second = await anext(deliveries), await anext(deliveries)
            third = tasks.create_task(next_of(deliveries))
            for _ in range(20):
                await bus.ping()  # time for many deliveries
            assert not third.done()
            await second.ack()
            assert [first.payload, second.payload, (await third).payload] == [b"0", b"1", b"2"]

    run(test())


def test_work_that_shows_life_stays_and_other_work_goes_to_the_next(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ACK_WAIT_S", 0.5)

    async def test() -> None:
        step = new_step()
        async with Bus.connect(servers.nats_url) as bus, worker(bus, step, batch=2) as deliveries, asyncio.TaskGroup() as tasks:
            await bus.publish(step, b"alive", "a")
            await bus.publish(step, b"dropped", "d")
            alive = await anext(deliveries)

            async def beat() -> None:
                while True:
                    await alive.working()
                    await asyncio.sleep(0.1)  # the heart's own rhythm, not a wait for something to happen

            heart = tasks.create_task(beat())
            for attempt in (1, 2, 3):  # each but the first comes 0.5 s after the one before
                dropped = await anext(deliveries)
                assert (dropped.payload, dropped.attempt) == (b"dropped", attempt)
            await dropped.ack()
            heart.cancel()
            await alive.ack()
            await alive.working()  # a late beat changes nothing
            assert step not in await bus.depths()

    run(test())


def test_a_worker_that_dies_leaves_its_message_to_another(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ACK_WAIT_S", 0.5)

    async def test() -> None:
        step = new_step()
        async with Bus.connect(servers.nats_url) as other:
            async with Bus.connect(servers.nats_url) as dying, worker(dying, step) as deliveries:
                await other.publish(step, b"planted", "1")
                assert (await anext(deliveries)).attempt == 1
            async with worker(other, step) as deliveries:
                delivery = await anext(deliveries)
                assert (delivery.payload, delivery.attempt) == (b"planted", 2)
                await delivery.ack()

    run(test())


def test_nothing_is_lost_when_the_server_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SETTLE_LIMIT_S", 1.0)  # acknowledgements that a killed server has done or forgotten are not confirmed
    monkeypatch.setattr(module, "ACK_WAIT_S", 2.0)  # what it had written down as delivered, and did not send any more, comes after so long
    monkeypatch.setattr(module, "ANSWER_S", 0.5)

    async def test(server: kills.Mortal) -> None:
        step, count, kills_at = new_step(), 300, (60, 140, 220)
        done, confirmed = set[bytes](), set[bytes]()
        after_ack: Counter[bytes] = Counter()  # messages that came again although their acknowledgement was confirmed
        all_done = asyncio.Event()

        async def publish() -> None:
            for i in range(count):
                if i in kills_at:
                    server.kill()
                    server.start()
                while True:
                    try:
                        await bus.publish(step, str(i).encode(), f"m{i}", limit_s=5.0)
                        break
                    except BusDown:
                        continue

        async def work() -> None:
            async with worker(bus, step, batch=4) as deliveries:
                async for delivery in deliveries:
                    after_ack[delivery.payload] += delivery.payload in confirmed
                    done.add(delivery.payload)
                    if len(done) == count:
                        all_done.set()
                    with suppress(BusDown):  # done with or without it: it comes again, or the answer was lost
                        await delivery.ack()
                        confirmed.add(delivery.payload)

        server.start()
        async with Bus.connect(server.url) as bus, asyncio.TaskGroup() as tasks:
            tasks.create_task(publish())
            working = tasks.create_task(work())
            await all_done.wait()
            working.cancel()
        assert done == {str(i).encode() for i in range(count)}
        assert len(confirmed) > count - 10 * len(kills_at)
        # Ids of messages that are done are forgotten by a restart: the one that was being published may come twice.
        assert after_ack.total() <= len(kills_at)

    with kills.nats(tmp_path) as server:
        run(test(server))


def test_a_delivery_is_acknowledged_across_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SETTLE_LIMIT_S", 1.0)
    monkeypatch.setattr(module, "ANSWER_S", 0.3)

    async def test(server: kills.Mortal) -> None:
        server.start()
        async with Bus.connect(server.url) as bus, worker(bus, "step", batch=2) as deliveries:
            await bus.publish("step", b"planted", "1")
            await bus.publish("step", b"kept", "2")
            delivery = await anext(deliveries)
            server.kill()
            server.start()
            try:
                await delivery.ack()
            except BusDown:  # it was killed before it had written that it delivered
                delivery = await anext(deliveries)
                assert (delivery.payload, delivery.attempt) == (b"planted", 1)
                await delivery.ack()
            kept = await anext(deliveries)
            assert kept.payload == b"kept"
            await kept.ack()
            assert await bus.depths() == {}

    with kills.nats(tmp_path) as server:
        run(test(server))


def test_a_lost_disk_is_an_empty_bus_not_a_broken_one(tmp_path: Path) -> None:
    async def test(server: kills.Mortal) -> None:
        server.start()
        async with Bus.connect(server.url) as bus, worker(bus, "step") as deliveries:
            await bus.publish("step", b"lost", "1")
            await (await anext(deliveries)).ack()
            assert await bus._jetstream().delete_stream(STREAM)
            assert await bus.depths() == {}
            await bus.publish("step", b"found", "1")
            assert (await anext(deliveries)).payload == b"found"

    with kills.nats(tmp_path) as server:
        run(test(server))


def test_a_connection_that_was_closed_for_good_is_made_anew(servers: Servers) -> None:
    async def test() -> None:
        step = new_step()
        async with Bus.connect(servers.nats_url) as bus, worker(bus, step) as deliveries, asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(next_of(deliveries))
            await bus.ping()
            await bus._client.close()  # as nats-py does when the server says -ERR
            await bus.publish(step, b"planted", "1")
            assert (await waiting).payload == b"planted"

    run(test())


def test_a_bus_that_is_away_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("CONNECT_LIMIT_S", "PING_LIMIT_S", "SETTLE_LIMIT_S"):
        monkeypatch.setattr(module, limit, 0.3)

    async def test(server: kills.Mortal) -> None:
        with pytest.raises(BusDown, match=r"within 0\.3 s"):
            async with Bus.connect(server.url):
                pass
        monkeypatch.setattr(module, "CONNECT_LIMIT_S", 10.0)
        server.start()
        async with Bus.connect(server.url) as bus, worker(bus, "step") as deliveries:
            await bus.publish("step", b"", "1")
            delivery = await anext(deliveries)
            server.kill()
            for asked in (bus.publish("step", b"", "2", limit_s=0.3), bus.ping(), delivery.ack()):
                with pytest.raises(BusDown):
                    await asked
            with pytest.raises(BusDown):
                await bus.depths()
            await delivery.working()

    with kills.nats(tmp_path) as server:
        run(test(server))
    assert issubclass(BusDown, EngineError)
    assert issubclass(BusRefused, EngineError)


def test_what_the_bus_cannot_carry_is_refused_at_once(servers: Servers) -> None:
    async def test() -> None:
        async with Bus.connect(servers.nats_url) as bus:
            with pytest.raises(BusRefused, match="too large"):
                await bus.publish("step", bytes(module.MOST_BYTES + 1), "1")
            for name in ("", "a.b", "a b", "*", "A"):
                with pytest.raises(ValueError, match="no name for a step"):
                    await bus.publish(name, b"", "1")
            with pytest.raises(ValueError, match="at least one hand"):
                await anext(bus.consume("step", batch=0))

    run(test())


def test_an_error_in_the_block_comes_out_as_itself_and_the_bus_stays_closed(servers: Servers) -> None:
    async def test() -> None:
        with pytest.raises(KeyError):
            async with Bus.connect(servers.nats_url) as bus:
                raise KeyError("planted")
        with pytest.raises(BusDown, match="closed"):
            await bus.publish("step", b"", "1")

    run(test())
