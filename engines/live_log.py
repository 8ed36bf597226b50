"""The live log: what happens in a session, as numbered events that many can follow, in one Redis stream per session.

An entry's id is `<seq>-0`, so "after event 17" needs no index. `seq` begins at 1 and grows by one; about MOST_EVENTS are kept, for KEPT_S
after the last one. The log may be lost: PostgreSQL has the truth. What a follower then sees:

* Events it asked for were trimmed: one event `state` with data `{"trimmed": n}` and the seq of the last of the n, then the oldest there is.
* The log was lost, or its end (a server killed before it had written): it starts anew with the first event there is, so `seq` goes back.
  Every entry names the call that stored it (`k`) and the one before (`p`): that tells an event from another with its number. Only who
  resumes by a bare seq, and finds a new log that has grown beyond it, cannot know.
"""

import asyncio
import contextlib
import logging
import secrets
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, cast, get_args
from uuid import UUID

import msgspec
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ReadOnlyError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from engines.errors import EngineError
from engines.waiting import giving_way, pauses, within

Stream = Literal["tokens", "metrics", "score", "cue", "state"]

MOST_EVENTS = 10_000  # kept per session; at 5 metrics and 1 token event a second the last 28 minutes
KEPT_S = 7 * 24 * 3600
MOST_BYTES = 64 * 1024  # of one event's data as JSON
MOST_AT_ONCE = 1_000  # events of one `append_many`, or of one page read
LIMIT_S = 5.0  # for one call, with its repeats
ANSWER_S = 2.0  # for one answer to it
BLOCK_S = 1.0  # how long the reader waits for news before it asks again
CHECK_S = 5.0  # how often it looks whether a silent log is still the same one
CONNECTIONS = 4  # for everything but the reader, which has one more
BUFFER = 256  # events waiting for one follower; full: they are dropped, counted in `overflows`, and it reads the log instead

T = TypeVar("T")
_log = logging.getLogger(__name__)
_AWAY = (RedisConnectionError, RedisTimeoutError, OutOfMemoryError, ReadOnlyError, OSError)  # what waiting may mend

# One call numbers and stores a batch. The token tells a repeat of a call whose answer was lost: what it stored already is not stored again.
_APPEND = """
local key, token, repeated, most, ttl = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local seq, previous = 0, ''
local last = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
if last then
  seq, previous = tonumber(string.match(last[1], '^%d+')), last[2][2]
end
if repeated == '1' then
  for _, entry in ipairs(redis.call('XREVRANGE', key, '+', '-', 'COUNT', 2000)) do
    if entry[2][2] == token then return tonumber(string.match(entry[1], '^%d+')) end
  end
end
for i = 5, #ARGV, 3 do
  seq = seq + 1
  redis.call('XADD', key, 'MAXLEN', '~', most, string.format('%.0f-0', seq),
    'k', token, 'p', previous, 's', ARGV[i], 't', ARGV[i + 1], 'd', ARGV[i + 2])
  previous = token
end
redis.call('EXPIRE', key, ttl)
return seq
"""


class LiveLogDown(EngineError):
    """The live log did not answer within its limit. What was to be appended may have been, all the same."""


class EventTooLarge(EngineError):
    """An event's data is larger than MOST_BYTES as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened in a session; as JSON the envelope of every live connection. Followers share `data`: never change it."""

    v: int = 1
    seq: int  # from 1, by one, per session
    session: UUID
    stream: Stream
    t_ms: int  # session time
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """An event to be appended, before it has a number."""

    stream: Stream
    t_ms: int
    data: Mapping[str, Any]


class LiveLog:
    """`async with LiveLog.connect(url) as log`. One Redis or Valkey server (no cluster: the reader asks for many keys at once)."""

    def __init__(self, url: str) -> None:
        self.overflows = 0  # how often a follower was too slow for its buffer
        self._redis = _client(url, CONNECTIONS, ANSWER_S)
        self._reader = _client(url, 1, BLOCK_S + ANSWER_S)
        self._append = self._redis.register_script(_APPEND)
        self._wake_key = f"elocute:wake:{secrets.token_hex(8)}"
        self._wake_sent = False  # the reader has not looked at its followers since
        self._followed: dict[UUID, _Followed] = {}
        self._closed = False

    @classmethod
    @contextlib.asynccontextmanager
    async def connect(cls, url: str) -> AsyncIterator["LiveLog"]:
        """Connect and start the reader. Raises LiveLogDown when nobody answers. On leaving the block every `follow` ends."""
        log, tasks = cls(url), asyncio.TaskGroup()
        try:
            await log.ping()
            await tasks.__aenter__()  # no `async with`: the group would wrap what the block raises, and no caller could name it any more
            reader = tasks.create_task(log._read_for_all(), name="live log reader")
            try:
                yield log
            finally:
                reader.cancel()
                await tasks.__aexit__(None, None, None)
        finally:
            log._closed = True
            for followed in log._followed.values():
                followed.wake()
            await log._redis.aclose()
            await log._reader.aclose()

    async def append(self, session: UUID, stream: Stream, t_ms: int, data: Mapping[str, Any]) -> int:
        """Append one event; returns its seq. Stored once, also when it had to be sent again. Raises EventTooLarge, LiveLogDown."""
        return await self.append_many(session, [Entry(stream, t_ms, data)])

    async def append_many(self, session: UUID, entries: Sequence[Entry]) -> int:
        """Append 1 to MOST_AT_ONCE events, one after the other with none between; returns the last seq. Raises as `append`."""
        if not 1 <= len(entries) <= MOST_AT_ONCE:
            raise ValueError(f"1 to {MOST_AT_ONCE} events at once, not {len(entries)}")
        flat: list[bytes | str | int] = []
        for entry in entries:
            if entry.stream not in get_args(Stream):
                raise ValueError(f"there is no stream {entry.stream!r}")
            data = msgspec.json.encode(dict(entry.data))
            if len(data) > MOST_BYTES:
                raise EventTooLarge(f"an event of {len(data)} bytes in stream {entry.stream} is too large: at most {MOST_BYTES}")
            flat += [entry.stream, entry.t_ms, data]
        token = secrets.token_bytes(8)
        repeated = False

        async def once() -> int:
            nonlocal repeated
            flag, repeated = int(repeated), True
            return cast(int, await self._append(keys=[_key(session)], args=[token, flag, MOST_EVENTS, KEPT_S, *flat]))

        return await self._within(once)

    async def read(self, session: UUID, after: int, count: int = MOST_AT_ONCE) -> list[Event]:
        """Up to `count` of the events kept after `after`, oldest first, without waiting. Raises LiveLogDown."""

        async def once() -> list[_Raw]:
            return cast(list[_Raw], await self._redis.xrange(_key(session), min=f"{after + 1}-0", max="+", count=count))

        return [_event(session, raw) for raw in await self._within(once)]

    async def follow(self, session: UUID, after: int = 0) -> AsyncIterator[Event]:
        """Every event after `after`, those that are there and then those to come: in order, none twice, none left out unsaid (see above).

        It ends when the log is closed. It waits through restarts of the server. A follower may be as slow as it likes.
        """
        follower = _Follower()
        followed = self._followed.setdefault(session, _Followed())
        followed.followers.add(follower)
        cursor, mark = after, b""  # where we are, and the call that stored the entry there; b"" before we know
        try:
            while not self._closed:
                if follower.behind:
                    follower.behind = False  # before reading: what comes meanwhile is buffered
                    try:
                        page, newest = await self._page(session, cursor)
                    except LiveLogDown as error:
                        _log.warning("%s", error)
                        follower.behind = True
                        continue
                    here = page.pop(0) if page and _seq(page[0]) == cursor else None
                    if newest < cursor or (here is not None and mark not in (b"", _call(here))):  # not the log that had our place
                        cursor, mark, follower.behind = 0, b"", True
                        follower.events.clear()
                        if followed.at:
                            followed.start_anew()
                            await self._wake_reader()
                        continue
                    if here is not None:
                        mark = _call(here)
                    for raw in page:
                        event = _event(session, raw)
                        if event.seq > cursor + 1:
                            yield _trimmed(event, event.seq - cursor - 1)
                        yield event
                        cursor, mark = event.seq, _call(raw)
                    if cursor < newest:
                        follower.behind = True
                    elif followed.at is None:
                        followed.at, followed.mark = cursor, mark
                        await self._wake_reader()
                elif not follower.events:
                    follower.fresh.clear()
                    await follower.fresh.wait()
                else:
                    event, raw = follower.events.popleft()
                    if event.seq == cursor + 1 and _call_before(raw) == mark:
                        yield event
                        cursor, mark = event.seq, _call(raw)
                    elif event.seq > cursor:
                        follower.behind = True
        finally:
            followed.followers.discard(follower)
            if not followed.followers and self._followed.get(session) is followed:
                del self._followed[session]

    async def delete(self, session: UUID) -> None:
        """Forget the session's events. Raises LiveLogDown."""
        await self._within(lambda: self._redis.unlink(_key(session)))

    async def ping(self) -> None:
        """Returns when the server has answered; raises LiveLogDown after LIMIT_S."""
        await self._within(lambda: cast(Awaitable[Any], self._redis.ping()))

    async def _within(self, once: Callable[[], Awaitable[T]]) -> T:
        """What `once` returns, tried again while the server is away. Raises LiveLogDown after LIMIT_S."""
        try:
            return await within(LIMIT_S, once, _AWAY)
        except TimeoutError as error:
            raise LiveLogDown(f"the live log gives {error}") from error

    async def _page(self, session: UUID, place: int) -> tuple[list["_Raw"], int]:
        """What is kept from `place` on, that included, and the seq of the newest, 0 without any: as of one moment."""

        async def once() -> tuple[list[_Raw], int]:
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.xrange(_key(session), min=f"{place}-0", max="+", count=MOST_AT_ONCE)
                pipe.xrevrange(_key(session), count=1)
                page, newest = await pipe.execute()
            return page, _seq(newest[0]) if newest else 0

        return await self._within(once)

    async def _wake_reader(self) -> None:
        """Have the reader look at `_followed` again. If that fails it does within BLOCK_S."""
        if self._wake_sent:
            return
        self._wake_sent = True
        with contextlib.suppress(*_AWAY):
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.xadd(self._wake_key, {"w": 1}, maxlen=1)
                pipe.expire(self._wake_key, 60)
                await pipe.execute()

    async def _read_for_all(self) -> None:
        """The one reader: waits for news of every followed session on one connection and hands it to the followers."""
        clock = asyncio.get_running_loop().time
        woken = "0-0"
        checked = clock()
        waits = pauses()
        while True:
            try:
                if clock() >= checked + CHECK_S:
                    await giving_way(self._check())
                    checked = clock()
                self._wake_sent = False
                sessions = [(session, followed.at) for session, followed in self._followed.items() if followed.at is not None]
                places = {self._wake_key: woken} | {_key(session): f"{at}-0" for session, at in sessions}
                news = await giving_way(self._reader.xread(cast(Any, places), count=MOST_AT_ONCE, block=round(BLOCK_S * 1000)))
                waits = pauses()
            except RedisError as error:
                _log.warning("the live log's reader: %s", error)
                checked = 0.0  # the server may come back with less than it had
                await asyncio.sleep(next(waits))
                continue
            by_key = {_key(session).encode(): session for session, _ in sessions}
            for key, raws in cast(list[tuple[bytes, list[_Raw]]], news):
                if key in by_key:
                    self._hand_on(by_key[key], raws)
                else:
                    woken = raws[-1][0].decode()

    def _hand_on(self, session: UUID, raws: list["_Raw"]) -> None:
        followed = self._followed.get(session)
        if followed is None or followed.at is None:  # left meanwhile
            return
        for raw in raws:
            event = _event(session, raw)
            if event.seq <= followed.at:
                continue
            followed.at, followed.mark = event.seq, _call(raw)
            for follower in followed.followers:
                self.overflows += not follower.offer(event, raw)

    async def _check(self) -> None:
        """Find the logs that are no longer those the reader has read."""
        places = [(session, followed, followed.at) for session, followed in self._followed.items() if followed.at]
        for first in range(0, len(places), MOST_AT_ONCE):
            some = places[first : first + MOST_AT_ONCE]
            async with self._reader.pipeline(transaction=False) as pipe:
                for session, _, at in some:
                    pipe.xrange(_key(session), min=f"{at}-0", max="+", count=1)
                found = cast(list[list[_Raw]], await pipe.execute())
            for (_, followed, at), raws in zip(some, found, strict=True):
                other = not raws or (_seq(raws[0]) == at and _call(raws[0]) != followed.mark)
                if other and followed.at == at:
                    followed.start_anew()


_Raw = tuple[bytes, dict[bytes, bytes]]  # an entry as Redis gives it


@dataclass(slots=True, eq=False)
class _Follower:
    events: deque[tuple[Event, _Raw]] = field(default_factory=deque)
    fresh: asyncio.Event = field(default_factory=asyncio.Event)
    behind: bool = True  # to read the log before going on with `events`

    def offer(self, event: Event, raw: _Raw) -> bool:
        """False when the buffer was full: the follower has to read the log."""
        fits = len(self.events) < BUFFER
        if fits:
            self.events.append((event, raw))
        else:
            self.events.clear()
            self.behind = True
        self.fresh.set()
        return fits


@dataclass(slots=True, eq=False)
class _Followed:
    """A session that is followed in this process."""

    followers: set[_Follower] = field(default_factory=set)
    at: int | None = None  # the last seq that the reader has handed on; None: the first follower has not caught up yet
    mark: bytes = b""  # the call that stored the entry there

    def start_anew(self) -> None:
        """The log is another one: each follower finds out by reading it."""
        self.at, self.mark = 0, b""
        for follower in self.followers:
            follower.behind = True
        self.wake()

    def wake(self) -> None:
        for follower in self.followers:
            follower.fresh.set()


def _client(url: str, connections: int, answer_s: float) -> "Redis":
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=LIMIT_S,
        socket_timeout=answer_s,
        socket_connect_timeout=ANSWER_S,
        retry=Retry(NoBackoff(), 0),  # we repeat, and know what may be repeated
        protocol=2,
        client_name="elocute-live-log",
    )
    return Redis.from_pool(pool)


def _key(session: UUID) -> str:
    return f"elocute:live:{session}"


def _seq(raw: _Raw) -> int:
    return int(raw[0].partition(b"-")[0])


def _call(raw: _Raw) -> bytes:
    return raw[1][b"k"]


def _call_before(raw: _Raw) -> bytes:
    return raw[1][b"p"]


def _event(session: UUID, raw: _Raw) -> Event:
    fields = raw[1]
    return Event(
        seq=_seq(raw),
        session=session,
        stream=cast(Stream, fields[b"s"].decode()),
        t_ms=int(fields[b"t"]),
        data=msgspec.json.decode(fields[b"d"], type=dict[str, Any]),
    )


def _trimmed(first: Event, count: int) -> Event:
    """What stands for `count` events that are gone: the last of their numbers, so that going on after it goes on with `first`."""
    return Event(seq=first.seq - 1, session=first.session, stream="state", t_ms=first.t_ms, data={"trimmed": count})
