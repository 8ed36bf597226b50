"""Live events over a WebSocket: any number of sessions on one connection."""

import asyncio
from collections.abc import Sequence
from typing import get_args
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct, UnsetType
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from api import bodies, sockets
from api.following import Waiting, gone, pump, trimmed
from api.problems import Refused, response
from api.sockets import BAD_DATA, POLICY, TOO_LONG, WRONG_TYPE, Hangup, Socket
from api.state import Request
from db import sessions as db_sessions
from engines.live_log import Event, Stream

STREAMS: tuple[Stream, ...] = get_args(Stream)
MOST_SESSIONS = 64  # of one connection
MOST_NAMES = 512  # in one message
MOST_CHARACTERS = 64 * 1024  # of one message
MOST_SEQ = 2**53  # what every JSON reader can count to
EXPECTED = 'Send a JSON object such as {"subscribe": ["session:ID:*"], "after": 0}, {"unsubscribe": ["session:ID:*"]} or {"ping": 1}'


class Wish(Struct, forbid_unknown_fields=True, frozen=True):
    """What a client says."""

    subscribe: list[str] | UnsetType = UNSET
    after: int | UnsetType = UNSET  # the last seq it has seen
    unsubscribe: list[str] | UnsetType = UNSET
    ping: int | float | str | UnsetType | None = UNSET


class Follower:
    """One connection that follows sessions."""

    def __init__(self, socket: Socket, tasks: asyncio.TaskGroup) -> None:
        self._socket = socket
        self._tasks = tasks
        self._waiting = Waiting()
        self._wanted: dict[UUID, set[str]] = {}
        self._pumps: dict[UUID, asyncio.Task[None]] = {}

    async def hear(self) -> None:
        """Do what the client says, until it leaves."""
        while True:
            message = await self._socket.receive()
            if not isinstance(message, str):
                raise Hangup(WRONG_TYPE, Refused("bad-message", reason="it is binary", expected=EXPECTED))
            if len(message) > MOST_CHARACTERS:
                raise Hangup(TOO_LONG, Refused("too-large", limit=MOST_CHARACTERS))
            try:
                await self._do(msgspec.json.decode(message, type=Wish))
            except msgspec.ValidationError as error:
                await self._socket.refuse(Refused("bad-message", reason=error, expected=EXPECTED))
            except msgspec.DecodeError as error:
                raise Hangup(BAD_DATA, Refused("bad-message", reason=error, expected=EXPECTED)) from error

    async def tell(self) -> None:
        """Send what waits."""
        while True:
            for event in await self._waiting.take():
                if (count := trimmed(event)) and event.session in self._wanted:
                    await self._socket.say({"missed": {"session": str(event.session), "from": event.seq - count + 1, "to": event.seq}})
                elif self._meant(event):
                    await self._socket.send(bodies.encoded(event).decode())
                if gone(event) and event.session in self._wanted:
                    names = _names(event.session, self._wanted[event.session])
                    self._leave(event.session)
                    await self._socket.say({"unsubscribed": names})

    def _meant(self, event: Event) -> bool:
        """Whether it is still wanted, now that its turn has come."""
        wanted = self._wanted.get(event.session)
        return wanted is not None and (event.stream in wanted or gone(event))

    async def _do(self, wish: Wish) -> None:
        if wish.ping is not UNSET:
            await self._socket.say({"pong": wish.ping})
        for names in (wish.subscribe, wish.unsubscribe):
            if names is not UNSET and len(names) > MOST_NAMES:
                raise Hangup(POLICY, Refused("bad-message", reason=f"{len(names)} names, {MOST_NAMES} at most", expected=EXPECTED))
        if wish.unsubscribe is not UNSET:
            await self._unsubscribe(wish.unsubscribe)
        if wish.subscribe is not UNSET:
            if wish.after is not UNSET and not 0 <= wish.after <= MOST_SEQ:
                raise msgspec.ValidationError(f"`after` is no seq: {wish.after}")
            await self._subscribe(wish.subscribe, None if wish.after is UNSET else wish.after)
        elif wish.after is not UNSET:
            raise msgspec.ValidationError("`after` without `subscribe`")

    async def _subscribe(self, names: Sequence[str], after: int | None) -> None:
        asked: dict[UUID, set[str]] = {}
        granted: list[str] = []
        for name in names:
            try:
                session, found = _parsed(name)
                if session not in asked:
                    await self._check(session, len(asked.keys() - self._wanted.keys()))
            except Refused as refused:
                await self._socket.refuse(refused, subscription=name[:200])
                continue
            asked.setdefault(session, set()).update(found)
            granted.append(name)
        await self._socket.say({"subscribed": granted})  # before the first event
        for session, streams in asked.items():
            wanted = self._wanted.setdefault(session, set())
            wanted |= streams
            if session in self._pumps and after is None:
                continue
            self._stop(session)
            pumping = pump(self._socket.state["live_log"], session, after or 0, wanted, self._waiting)
            self._pumps[session] = self._tasks.create_task(pumping, name=f"events of {session}")

    async def _check(self, session: UUID, more: int) -> None:
        """Raises Refused for a session that cannot be followed too; `more` are about to be."""
        if session in self._wanted:
            return
        if len(self._wanted) + more >= MOST_SESSIONS:
            raise Refused("too-many-sessions", most=MOST_SESSIONS)
        async with self._socket.state["db"].tenant(self._socket.org) as tx:
            found = await db_sessions.get(tx, session)
        if found is None or found.state == "deleting":
            raise Refused("no-session")

    async def _unsubscribe(self, names: Sequence[str]) -> None:
        done: list[str] = []
        for name in names:
            try:
                session, streams = _parsed(name)
            except Refused as refused:
                await self._socket.refuse(refused, subscription=name[:200])
                continue
            done.append(name)
            if session in self._wanted:
                self._wanted[session] -= streams
                if not self._wanted[session]:
                    self._leave(session)
        await self._socket.say({"unsubscribed": done})

    def _leave(self, session: UUID) -> None:
        self._stop(session)
        del self._wanted[session]

    def _stop(self, session: UUID) -> None:
        pumping = self._pumps.pop(session, None)
        if pumping is not None:
            pumping.cancel()
            self._waiting.forget(session)


def _parsed(name: str) -> tuple[UUID, frozenset[str]]:
    """`session:{id}:tokens`, or `*` for all streams."""
    kind, _, rest = name.partition(":")
    session, _, stream = rest.partition(":")
    try:
        found = UUID(session)
    except ValueError:
        found = None
    if kind != "session" or found is None or str(found) != session.lower() or stream not in (*STREAMS, "*"):
        raise Refused("bad-subscription", name=name[:200], streams=", ".join(STREAMS))
    return found, frozenset[str](STREAMS if stream == "*" else (stream,))


def _names(session: UUID, streams: set[str]) -> list[str]:
    return [f"session:{session}:{stream}" for stream in STREAMS if stream in streams]


async def follow(socket: Socket) -> None:
    """GET /v1/ws."""
    await socket.accept()
    async with asyncio.TaskGroup() as tasks:
        follower = Follower(socket, tasks)
        tasks.create_task(follower.hear(), name="socket: hear")
        tasks.create_task(follower.tell(), name="socket: tell")


async def no_route(socket: Socket) -> None:  # noqa: ARG001
    """Anything else."""
    raise Refused("unknown-route")


async def plain(request: Request) -> Response:
    """The same address without the handshake: by mistake, or behind a proxy that does not let WebSockets pass."""
    return response(request, Refused("not-a-websocket"), {"Upgrade": "websocket", "Connection": "Upgrade"})


routes: list[BaseRoute] = [
    sockets.route("/v1/ws", follow),
    Route("/v1/ws", plain, methods=["GET"]),
    sockets.route("/{path:path}", no_route),
]
