"""What every WebSocket of ours does: refusals as problem documents, a limit for readers that take nothing, a word when the server stops."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

from starlette.requests import HTTPConnection
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketDisconnected, WebSocketState

from api.problems import PROBLEMS, Refused, named, response
from api.state import State
from db.errors import StoreError
from engines.errors import EngineError

log = logging.getLogger("api")

SEND_WITHIN_S = 30.0  # a reader that takes nothing for so long is gone; it resumes where it was

# RFC 6455, section 7.4.1, and the registry it opens
DONE, WRONG_TYPE, BAD_DATA, POLICY, TOO_LONG, INTERNAL, RESTART, TRY_LATER = 1000, 1003, 1007, 1008, 1009, 1011, 1012, 1013


class Hangup(Exception):
    """The connection ends with this close code. The client is told the problem first, and its title is the close reason."""

    def __init__(self, code: int, refused: Refused | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.refused = refused  # None: all is well, or nobody listens


class Socket:
    """One connection. Before `accept` a Refused is an HTTP response; after it, a message and a close code."""

    def __init__(self, socket: WebSocket[Any]) -> None:
        self.connection: HTTPConnection[State] = socket  # its address and parameters
        self.state: State = socket.scope["state"]
        self._socket = socket

    @property
    def org(self) -> UUID:
        """Who is connected. In local mode the one member."""
        return self.state["member"].org

    async def accept(self) -> None:
        """Take the connection."""
        await self._socket.accept()

    async def receive(self) -> str | bytes:
        """The next message. Raises WebSocketDisconnect."""
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message["code"], message.get("reason"))
        text: str | None = message.get("text")
        if text is not None:
            return text
        sound: bytes = message["bytes"]
        return sound

    async def say(self, message: Any) -> None:
        """Send a message as JSON."""
        await self.send(json.dumps(message, ensure_ascii=False))

    async def send(self, text: str) -> None:
        """Send a text. Raises Hangup for a reader that takes nothing."""
        try:
            async with asyncio.timeout(SEND_WITHIN_S):
                await self._socket.send_text(text)
        except TimeoutError as error:
            raise Hangup(POLICY) from error

    async def refuse(self, refused: Refused, **more: object) -> None:
        """Tell the client what is wrong, and go on."""
        await self.say(told(refused, **more))

    async def end(self, hangup: Hangup) -> None:
        """Close it, as far as that is still possible."""
        if self._socket.application_state is WebSocketState.CONNECTING:
            if hangup.refused is not None:
                await self._socket.send_denial_response(response(self._socket, hangup.refused))
            return
        with suppress(Hangup, WebSocketDisconnect, WebSocketDisconnected, TimeoutError):
            reason = ""
            if hangup.refused is not None:
                await self.refuse(hangup.refused)
                reason = PROBLEMS[hangup.refused.code].title  # all are shorter than the 123 bytes there are
            async with asyncio.timeout(SEND_WITHIN_S):
                await self._socket.close(hangup.code, reason)


def told(refused: Refused, **more: object) -> dict[str, object]:
    """A problem as a message."""
    title = PROBLEMS[refused.code].title
    return {"error": {"code": refused.code, "title": title, "detail": str(refused), **refused.more, **more}}


Serve = Callable[[Socket], Awaitable[None]]


def route(path: str, serve: Serve) -> WebSocketRoute:
    """`serve` for each connection; what it raises by name becomes an answer. It ends when the server stops."""

    async def endpoint(websocket: WebSocket) -> None:
        socket = Socket(websocket)
        hangup: Hangup | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                stopping = tasks.create_task(_stopping(socket.state), name="socket: stopping")
                await serve(socket)
                stopping.cancel()
        except* Hangup as group:
            hangup = _first(group)
        except* (Refused, StoreError, EngineError) as group:
            refused = named(_first(group))
            status = PROBLEMS[refused.code].status
            if status >= 500:
                log.error("request %s: %s", socket.state.get("request_id"), _first(group))
            hangup = Hangup(TRY_LATER if status in (429, 503) else INTERNAL if status >= 500 else POLICY, refused)
        except* (WebSocketDisconnect, WebSocketDisconnected):
            pass  # the client has left
        if hangup is not None:
            await socket.end(hangup)

    return WebSocketRoute(path, endpoint)


async def _stopping(state: State) -> None:
    await state["closing"].wait()
    raise Hangup(RESTART, Refused("stopping"))


def _first(group: BaseExceptionGroup[Any]) -> Any:
    """One of the errors in a group of groups."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
