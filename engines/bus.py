"""The bus: work to be done, one durable queue per step, on NATS JetStream.

What is published stays on disk until a worker has acknowledged it. Delivery is *at least once*: a step makes a repeat a no-op.
The server never gives a message up (`max_deliver` is unlimited). With a limit, a worker killed at the last delivery could not park the
step any more, the message would lie in the stream unseen, and the one advisory about it may reach nobody. So the worker decides by
`Delivery.attempt`, which also counts the workers that died, and a message leaves its queue only by `ack` or `term`.
"""

import asyncio
import contextlib
import json
import logging
import math
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from nats.aio.client import Client, Server
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import APIError, BadRequestError, NotFoundError

from engines.errors import EngineError
from engines.waiting import FIRST_PAUSE_S, LONGEST_PAUSE_S, giving_way, pauses, within

STREAM = "elocute_steps"
SUBJECT = "elocute.step."  # + the step's name
MAX_DELIVERIES = 5  # deliveries of one message that a worker tries before it parks the step; the server goes on for ever
ACK_WAIT_S = 10.0  # a delivery without a sign of life for so long goes to another worker; batch/worker.py gives one every 3 s
SAME_MESSAGE_S = 3600.0  # within it a message id is stored once; after that a repeat is a second, harmless delivery
MOST_WAITING = 1_000_000  # messages in the stream; then `publish` fails, and the outbox keeps what it has
MOST_UNSETTLED = 10_000  # deliveries of one step in progress or waiting for their `nak` to pass, over all workers
MOST_BYTES = 64 * 1024  # of one message: names of things, not the things

CONNECT_LIMIT_S = 10.0
PUBLISH_LIMIT_S = 10.0
SETTLE_LIMIT_S = 5.0
PING_LIMIT_S = 2.0
CLOSE_LIMIT_S = 2.0
ANSWER_S = 2.0  # one request; one that was lost with its connection is asked again
PULL_S = 60.0  # how long the server keeps one request for a message
HEARTBEAT_S = 5.0  # how often it says that it still has it
ANSWERS = 64  # answers to one pull: one message and its heartbeats; full: the subscription waits, the server's next one behind it

_STEP = re.compile(r"[a-z0-9_-]{1,64}")
_AWAY = (NatsError, TimeoutError, OSError)  # what waiting may mend
_STREAM_EXISTS = 10058  # JetStream: the name is in use with another configuration
_log = logging.getLogger(__name__)
T = TypeVar("T")


class BusDown(EngineError):
    """The bus did not answer within its limit. What was asked may have been done all the same."""


class BusRefused(EngineError):
    """The bus answered, and will not do it however often it is asked: too large, or its stream is set up differently."""


class Delivery:
    """One message in a worker's hands, to be settled: `ack`, `nak` or `term` return when the server has noted it, or raise BusDown.

    BusDown is no reason to stop: the message comes again, and the repeat is a no-op. A server killed within a second after it delivered has
    forgotten that it did: it delivers again, with the same attempt, and does not confirm the first.
    """

    def __init__(self, bus: "Bus", message: Msg, hands: "_Hands") -> None:
        self.payload: bytes = message.data
        self.attempt: int = message.metadata.num_delivered  # 1 for the first; > MAX_DELIVERIES: a worker died at the last one
        self._bus = bus
        self._reply = message.reply
        self._hands = hands
        self._settled = False
        self._alive()

    async def ack(self) -> None:
        """Done: the message leaves the queue."""
        await self._settle(b"+ACK")

    async def nak(self, delay_s: float) -> None:
        """Not done: deliver it again, to anyone, in `delay_s`."""
        await self._settle(b"-NAK " + json.dumps({"delay": round(delay_s * 1e9)}).encode())

    async def term(self) -> None:
        """Never to be done: the message leaves the queue. Only after the reason has been stored elsewhere."""
        await self._settle(b"+TERM")

    async def working(self) -> None:
        """Still at it: ACK_WAIT_S begins anew. Call it every third of that. No error when the bus is away: the worst is a repeat."""
        if not self._settled:  # a heartbeat may come just after the end
            self._alive()
            await self._bus.tell(self._reply, b"+WPI")

    async def _settle(self, what: bytes) -> None:
        self._settled = True
        try:
            await self._bus.ask(self._reply, what, limit_s=SETTLE_LIMIT_S)
        finally:
            self._hands.free(self)

    def _alive(self) -> None:
        self._hands.hold(self, asyncio.get_running_loop().time() + ACK_WAIT_S)


class Bus:
    """One connection to NATS, which comes back by itself. `async with Bus.connect(url) as bus`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = Client()
        self._dialling = asyncio.Lock()
        self._given_up = False  # by leaving the block: nothing may connect again
        self._changed = asyncio.Event()  # the connection came back, or was closed for good
        self._waiting: set[asyncio.Queue[Msg | None]] = set()  # pulls whose request is lost when the connection is
        self._ready: set[str] = set()  # steps whose stream and consumer were there on this connection

    @classmethod
    @contextlib.asynccontextmanager
    async def connect(cls, url: str) -> AsyncIterator["Bus"]:
        """Connect, and create or update the stream. Raises BusDown when no JetStream answers within CONNECT_LIMIT_S, BusRefused."""
        bus = cls(url)
        try:
            await bus._within(CONNECT_LIMIT_S, bus._make_stream)
            yield bus
        finally:
            bus._given_up = True
            await _close(bus._client)

    async def publish(self, step: str, payload: bytes, message_id: str, *, limit_s: float = PUBLISH_LIMIT_S) -> None:
        """Put work in the step's queue; returns when it is on disk. The same `message_id` again within SAME_MESSAGE_S: stored once.

        Raises BusDown after `limit_s` (it may have been stored: publish it again with the same id), BusRefused.
        """
        if len(payload) > MOST_BYTES:
            raise BusRefused(f"a message of {len(payload)} bytes is too large for the bus: at most {MOST_BYTES}")
        await self.ask(SUBJECT + _checked(step), payload, headers={"Nats-Msg-Id": f"{step}:{message_id}"}, limit_s=limit_s)

    async def consume(self, step: str, *, batch: int) -> AsyncIterator[Delivery]:
        """Deliveries of a step, for ever: it waits through restarts of the server. At most `batch` are unsettled at a time.

        A message is asked for only when there is a hand free for it, so none grows old in a buffer. One that is neither settled nor kept
        alive by `working` counts as dropped after ACK_WAIT_S, here as on the server. Raises BusRefused when the queue cannot be made.
        """
        _checked(step)
        hands = _Hands(batch)
        waits = pauses()
        while True:
            await hands.one_free()
            try:
                message = await self._pull(step)
            except _AWAY as error:  # away, or back but JetStream is not yet
                _log.warning("the bus gives no %s for now: %s", step, error)
                self._ready.discard(step)
                await asyncio.sleep(next(waits))
                continue
            waits = pauses()
            if message is not None:
                yield Delivery(self, message, hands)

    async def depths(self) -> dict[str, int]:
        """Messages per step that are not done: waiting, in progress or to be tried again; only steps that have any. Raises BusDown."""

        async def counted() -> dict[str, int]:
            try:
                state = (await self._jetstream().stream_info(STREAM, subjects_filter=SUBJECT + ">")).state
            except NotFoundError:  # its disk was lost
                return {}
            return {subject.removeprefix(SUBJECT): count for subject, count in (state.subjects or {}).items()}

        return await self._within(PING_LIMIT_S, counted)

    async def ping(self) -> None:
        """Returns when JetStream has answered; raises BusDown after PING_LIMIT_S."""
        await self._within(PING_LIMIT_S, lambda: self._jetstream().account_info())

    async def ask(self, subject: str, payload: bytes, *, limit_s: float, headers: dict[str, str] | None = None) -> None:
        """Send until JetStream has confirmed it. Raises BusDown after `limit_s`, BusRefused. For this module."""

        async def once() -> None:
            try:
                answer = await self._client.request(subject, payload, timeout=ANSWER_S, headers=dict(headers) if headers else None)
            except NoRespondersError:  # JetStream is not ready yet, or its disk was lost and the stream with it
                await self._make_stream()
                raise
            problem = json.loads(answer.data).get("error") if answer.data else None
            if problem:
                APIError.from_error(problem)  # raises what fits

        await self._within(limit_s, once)

    async def tell(self, subject: str, payload: bytes) -> None:
        """Send if the connection is up, without waiting for an answer. For this module."""
        if self._client.is_connected:
            with contextlib.suppress(NatsError, OSError):
                await self._client.publish(subject, payload)

    async def _within(self, limit_s: float, once: Callable[[], Awaitable[T]]) -> T:
        """What `once` returns, tried again while the connection or JetStream is away. Raises BusDown, BusRefused."""

        async def connected() -> T:
            await self._connected()
            try:
                return await once()
            except BadRequestError as error:  # asking again does not mend it
                raise BusRefused(f"the bus refuses: {error.description}") from error

        try:
            return await within(limit_s, connected, _AWAY)
        except TimeoutError as error:
            raise BusDown(f"the bus gives {error}") from error

    def _jetstream(self) -> JetStreamContext:
        return self._client.jetstream(timeout=ANSWER_S)

    async def _connected(self) -> None:
        """Returns when the connection is up; waits for ever. nats-py reconnects by itself, unless the server has sent it away for good."""
        while not self._client.is_connected:
            if self._given_up:
                raise BusDown("the connection to the bus has been closed")
            if self._client.is_reconnecting:
                self._changed.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LONGEST_PAUSE_S):
                        await self._changed.wait()
                continue
            async with self._dialling:
                await self._dial()

    async def _dial(self) -> None:
        if self._client.is_connected or self._client.is_reconnecting:  # another task has dialled while we waited
            return
        client = Client()
        try:
            await client.connect(
                self._url,
                name="elocute",
                max_reconnect_attempts=-1,
                reconnect_time_wait=1,
                reconnect_to_server_handler=_next_server,
                connect_timeout=2,
                ping_interval=10,  # two unanswered pings: the connection is dead, though nobody said so
                error_cb=_note,
                reconnected_cb=self._back,
                closed_cb=self._back,
            )
            self._client = client
        finally:
            if self._client is not client:
                await _close(client)
        await self._back()

    async def _back(self) -> None:
        self._ready.clear()
        self._changed.set()
        for answers in self._waiting:
            with contextlib.suppress(asyncio.QueueFull):  # then it has something to look at anyway
                answers.put_nowait(None)

    async def _make_stream(self) -> None:
        config = StreamConfig(
            name=STREAM,
            subjects=[SUBJECT + "*"],
            retention=RetentionPolicy.WORK_QUEUE,
            storage=StorageType.FILE,
            discard=DiscardPolicy.NEW,
            max_msgs=MOST_WAITING,
            max_msg_size=2 * MOST_BYTES,  # with the headers
            duplicate_window=SAME_MESSAGE_S,
        )
        try:
            await self._jetstream().add_stream(config)
        except BadRequestError as error:
            if error.err_code != _STREAM_EXISTS:
                raise
            await self._jetstream().update_stream(config)  # made by another version of this file

    async def _make_consumer(self, step: str) -> None:
        await self._make_stream()
        config = ConsumerConfig(
            name=step,
            durable_name=step,
            filter_subject=SUBJECT + step,  # a work queue allows one consumer a subject: every worker shares it
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ACK_WAIT_S,
            max_deliver=-1,
            max_ack_pending=MOST_UNSETTLED,
            max_waiting=512,  # workers that may be waiting for one step at the same time
        )
        await self._jetstream().add_consumer(STREAM, config)

    async def _pull(self, step: str) -> Msg | None:
        """The step's next message; None when none came while the request was kept. Raises NatsError, TimeoutError or OSError."""
        await self._connected()
        if step not in self._ready:
            try:
                await giving_way(self._make_consumer(step))
            except BadRequestError as error:
                raise BusRefused(f"the bus refuses a queue for {step}: {error.description}") from error
            self._ready.add(step)
        client, inbox, answers = self._client, self._client.new_inbox(), asyncio.Queue[Msg | None](ANSWERS)
        subscription = await client.subscribe(inbox, cb=answers.put)  # a fresh inbox: the server drops an older request, which nobody reads
        self._waiting.add(answers)
        try:
            request = {"batch": 1, "expires": round(PULL_S * 1e9), "idle_heartbeat": round(HEARTBEAT_S * 1e9)}
            await client.publish(f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{step}", json.dumps(request).encode(), reply=inbox)
            while True:
                async with asyncio.timeout(2.5 * HEARTBEAT_S):
                    message = await answers.get()
                if message is None:  # the connection was lost, and our request with it
                    return None
                status = (message.headers or {}).get("Status")
                if status is None:
                    return message
                if status in ("404", "408"):  # none came in time
                    return None
                if status != "100":  # 100 is a heartbeat; the rest: no such consumer, no leader, JetStream is not ready
                    raise NatsError(f"{status} {(message.headers or {}).get('Description', '')}")
        finally:
            self._waiting.discard(answers)
            with contextlib.suppress(NatsError):
                await subscription.unsubscribe()
            while not answers.empty():  # came while we were being cancelled: back to the queue at once
                late = answers.get_nowait()
                if late is not None and late.reply:
                    await self.tell(late.reply, b"-NAK")


class _Hands:
    """How many deliveries a consumer may hold unsettled, and until when each counts as held."""

    def __init__(self, count: int) -> None:
        if count < 1:
            raise ValueError(f"a consumer needs at least one hand, not {count}")
        self._count = count
        self._until: dict[Delivery, float] = {}  # on the loop's clock
        self._freed = asyncio.Event()

    def hold(self, delivery: Delivery, until: float) -> None:
        self._until[delivery] = until

    def free(self, delivery: Delivery) -> None:
        self._until.pop(delivery, None)
        self._freed.set()

    async def one_free(self) -> None:
        """Returns when fewer deliveries than hands are held."""
        while len(self._until) >= self._count:
            self._freed.clear()
            first = min(self._until, key=self._until.__getitem__)
            try:
                async with asyncio.timeout_at(self._until[first]):
                    await self._freed.wait()
            except TimeoutError:
                if self._until.get(first, math.inf) <= asyncio.get_running_loop().time():  # it may have shown life meanwhile
                    self.free(first)


def _next_server(servers: list[Server], _: dict[str, Any]) -> tuple[Server | None, float]:
    """Which server to try next, and after how many seconds: the one that failed least; longer each time, and no two workers together."""
    server = min(servers, key=lambda server: server.reconnects)
    most_s = min(FIRST_PAUSE_S * 2 ** min(server.reconnects, 16), LONGEST_PAUSE_S)
    return server, random.uniform(most_s / 2, most_s)


async def _close(client: Client) -> None:
    if client.options:  # else it never began to connect
        with contextlib.suppress(TimeoutError, NatsError, OSError):
            async with asyncio.timeout(CLOSE_LIMIT_S):
                await client.close()


async def _note(error: Exception) -> None:
    _log.warning("the bus: %s", error)


def _checked(step: str) -> str:
    if not _STEP.fullmatch(step):
        raise ValueError(f"{step!r} is no name for a step: a-z, 0-9, _ and - only")
    return step
