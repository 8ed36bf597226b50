"""Connections to PostgreSQL: transactions in the name of one org, and listening for notifications."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Self, TypeAlias
from uuid import UUID

import asyncpg
from pgvector.asyncpg import register_vector

from db.errors import Gone, StoreBusy, StoreDown, StoreError

APP_ROLE = "elocute_app"
RELAY_ROLE = "elocute_relay"

CONNECTIONS = 10  # at most, opened as they are needed
CONNECT_S = 10.0
WAIT_FOR_CONNECTION_S = 20.0
STATEMENT_S = 30.0  # PostgreSQL gives up by itself
ANSWER_S = 40.0  # we give up: the server or the network hangs
LOCK_S = 15.0
IDLE_IN_TRANSACTION_S = 60.0  # a process that hangs must not hold its rows for ever
HEARTBEAT_S = 30.0  # how long a listening connection may be silent before it is asked whether it still lives
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0  # between two tries to listen
NOTIFICATIONS = 1000  # kept for a slow listener; the oldest are dropped, and one wake-up says so

Tx: TypeAlias = asyncpg.Connection  # inside a transaction of one org; asyncpg carries no types

_DOWN = (
    asyncpg.PostgresConnectionError,
    asyncpg.exceptions.OperatorInterventionError,  # shutting down, starting up, crashed
)
_BUSY = (
    asyncpg.QueryCanceledError,  # the statement's time limit: an intervention too, so looked for first
    asyncpg.LockNotAvailableError,
    asyncpg.exceptions.TransactionRollbackError,  # deadlock, serialisation
    asyncpg.exceptions.InsufficientResourcesError,  # too many connections, disk full
    asyncpg.exceptions.InvalidCachedStatementError,  # a migration went by
    TimeoutError,  # no connection became free, or no answer came
)
_LOST = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)


class Database:
    """A pool of connections as `elocute_app`, which may do nothing outside `tenant()`."""

    def __init__(self, url: str, pool: asyncpg.Pool) -> None:
        self._url = url
        self._pool = pool

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, size: int = CONNECTIONS) -> AsyncIterator[Self]:
        """Up to `size` connections; opens one to see that it works. Raises StoreDown, or StoreError when the login is refused."""
        with _named():
            pool = await asyncpg.create_pool(
                url,
                min_size=0,  # asyncpg logs a traceback a second while it cannot keep a least number
                max_size=size,
                init=_codecs,
                timeout=CONNECT_S,
                command_timeout=ANSWER_S,
                server_settings=_session_settings(),
            )
        try:
            database = cls(url, pool)
            async with database._transaction():  # can be used
                pass
            yield database
        finally:
            try:
                await asyncio.wait_for(pool.close(), CONNECT_S)
            except TimeoutError:
                pool.terminate()

    @asynccontextmanager
    async def tenant(self, org: UUID) -> AsyncIterator[Tx]:
        """A transaction that sees and writes what belongs to `org`, and leaves nothing behind when its block raises. Raises StoreDown when
        the connection breaks, StoreBusy on a time limit or a deadlock: the block may be tried again."""
        async with self._transaction() as tx:
            await tx.execute("select set_config('app.org', $1, true)", str(org))
            yield tx

    @asynccontextmanager
    async def relay(self) -> AsyncIterator[Tx]:
        """A transaction as `elocute_relay`: the outbox of every org, and nothing else."""
        async with self._transaction() as tx:
            await tx.execute(f"set local role {RELAY_ROLE}")
            yield tx

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Tx]:
        with _named():
            connection = await self._pool.acquire(timeout=WAIT_FOR_CONNECTION_S)
        try:
            with _named(connection):
                async with connection.transaction():
                    yield connection
        finally:
            with suppress(*_LOST):  # the pool ends what it cannot reset; what was committed is no less so
                await self._pool.release(connection, timeout=CONNECT_S)

    async def listen(self, channel: str) -> AsyncGenerator[str, None]:
        """Payloads notified on `channel`, for ever. An empty one comes after every (re)connection and whenever some were dropped: look
        at everything then, since notifications may have been missed. Own connection; close the iterator to stop."""
        pause_s = SHORTEST_PAUSE_S
        while True:
            try:
                with _named():
                    connection = await asyncpg.connect(
                        self._url, timeout=CONNECT_S, command_timeout=CONNECT_S, server_settings=_session_settings()
                    )
            except (StoreDown, StoreBusy):
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                continue
            ears = _Ears(deque(maxlen=NOTIFICATIONS))
            try:
                connection.add_termination_listener(ears.deafen)
                await connection.add_listener(channel, ears.hear)
                pause_s = SHORTEST_PAUSE_S
                yield ""
                while True:
                    ears.woken.clear()  # first of all: what happens from here on wakes
                    if ears.deaf:
                        break
                    if len(ears.heard) == NOTIFICATIONS:
                        ears.heard.clear()
                        ears.heard.append("")
                    while ears.heard:
                        yield ears.heard.popleft()
                    try:
                        await asyncio.wait_for(ears.woken.wait(), HEARTBEAT_S)
                    except TimeoutError:
                        await connection.execute("select 1")
            except _LOST:
                await asyncio.sleep(pause_s)  # the connection broke: a new one
            finally:
                connection.terminate()


@dataclass
class _Ears:
    """What one listening connection has heard. asyncpg tells that it is going before it counts as closed."""

    heard: deque[str]
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    deaf: bool = False

    def hear(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        self.heard.append(str(payload))
        self.woken.set()

    def deafen(self, _connection: object) -> None:
        self.deaf = True
        self.woken.set()


def _session_settings() -> dict[str, str]:
    """The role is the session's default, so that RESET ALL comes back to it and never to the owner."""
    return {
        "application_name": "elocute",
        "role": APP_ROLE,
        "search_path": "public",
        "statement_timeout": _ms(STATEMENT_S),
        "lock_timeout": _ms(LOCK_S),
        "idle_in_transaction_session_timeout": _ms(IDLE_IN_TRANSACTION_S),
        "timezone": "UTC",
        "jit": "off",  # compiling costs more than any query here
    }


def _ms(seconds: float) -> str:
    return str(round(1000 * seconds))


async def _codecs(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=_json, decoder=json.loads)
    await register_vector(connection)


def _json(document: Any) -> str:
    return json.dumps(document, allow_nan=False, separators=(",", ":"))


@contextmanager
def _named(connection: asyncpg.Connection | None = None) -> Iterator[None]:
    """asyncpg's errors by the names of db.errors. None: while a connection is made; else what its user did wrong passes through."""
    try:
        yield
    except _BUSY as error:
        raise StoreBusy(f"PostgreSQL did not get to it ({error or type(error).__name__}).") from error
    except _DOWN as error:
        raise StoreDown(f"PostgreSQL is not there ({error}).") from error
    except asyncpg.InternalClientError as error:  # PostgreSQL has said goodbye, and asyncpg has not seen the end of the line yet
        raise StoreDown(f"PostgreSQL is not there ({error}).") from error
    except asyncpg.ForeignKeyViolationError as error:
        raise Gone(str(error)) from error
    except (OSError, asyncpg.InterfaceError) as error:
        if connection is not None and not _broken(connection):
            raise
        raise StoreDown(f"PostgreSQL is not there ({error}).") from error
    except (asyncpg.PostgresError, ValueError) as error:  # ValueError: the codecs find no type `vector`
        if connection is not None:
            raise
        raise StoreError(f"PostgreSQL does not take DATABASE_URL ({error}). Run `elocute migrate`.") from error


def _broken(connection: asyncpg.Connection) -> bool:
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:  # the pool has taken it back
        return True
