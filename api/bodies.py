"""Request bodies: JSON into its type, and recordings counted and timed while they come in."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, TypeVar

import msgspec
from msgspec import Struct
from starlette.requests import HTTPConnection

from api.problems import Refused, has_body
from api.state import Request, State

MOST_JSON_BYTES = 64 * 1024
# A body has so long to begin with, and then may not be slower than this on average: a sender that trickles gives its place back.
GRACE_S = 30.0
SLOWEST_BYTES_S = 8_000  # a 16 kbit/s Opus recording over a poor mobile line is twice as fast

Body = TypeVar("Body", bound=Struct)
encoder = msgspec.json.Encoder(uuid_format="canonical")


def check(request: Request, most: int) -> int | None:
    """Refuse what can be refused before a byte of the body is read; the announced length, None when it comes in chunks."""
    if encoding := request.headers.get("content-encoding"):
        raise Refused("wrong-encoding", encoding=encoding)
    length = request.headers.get("content-length")
    if length is None:
        if "transfer-encoding" not in request.headers:
            raise Refused("length-required")
        return None
    if int(length) > most:  # the HTTP parser has seen to it that it is a number
        raise Refused("too-large", limit=most)
    return int(length)


async def stream(request: Request, most: int) -> AsyncIterator[bytes]:
    """The body as it comes. Raises Refused when it grows beyond `most` bytes or comes too slowly, ClientDisconnect when it breaks off."""
    clock = asyncio.get_running_loop().time
    began = clock()
    got = 0
    chunks = request.stream()
    while True:
        try:
            async with asyncio.timeout_at(began + GRACE_S + got / SLOWEST_BYTES_S):
                chunk = await anext(chunks, None)
        except TimeoutError as error:
            raise Refused("too-slow", waited_s=clock() - began) from error
        if chunk is None:
            return
        got += len(chunk)
        if got > most:
            raise Refused("too-large", limit=most)
        if chunk:
            yield chunk


async def json_body(request: Request, kind: type[Body], *, optional: bool = False) -> tuple[Body, bytes]:
    """The body as `kind`, and as it came."""
    if optional and not has_body(request.headers):
        return kind(), b""
    check(request, MOST_JSON_BYTES)
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != "application/json":
        raise Refused("wrong-type", type=given or "a body without Content-Type", expected="application/json")
    raw = b"".join([chunk async for chunk in stream(request, MOST_JSON_BYTES)])
    try:
        return msgspec.json.decode(raw, type=kind), raw
    except msgspec.ValidationError as error:
        where, reason = _where(str(error))
        raise Refused("invalid", reason=str(error), more={"errors": [{"pointer": where, "detail": reason}]}) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused("bad-json", reason=str(error)) from error


def _where(message: str) -> tuple[str, str]:
    """The JSON pointer and the reason in `Expected int, got str - at $.size`."""
    reason, _, path = message.partition(" - at `$")
    return "#" + path.rstrip("`").replace(".", "/"), reason


def whole(request: HTTPConnection[State], name: str, default: int, least: int, most: int) -> int:
    """A whole number among the parameters."""
    value = request.query_params.get(name)
    if value is None:
        return default
    if not value.isascii() or not value.isdigit() or not least <= int(value[:20]) <= most:
        raise Refused("bad-parameter", name=name, value=value[:80], expected=f"must be a whole number from {least} to {most}")
    return int(value)


def seconds(request: HTTPConnection[State], name: str, default: float) -> float:
    """A time among the parameters."""
    value = request.query_params.get(name)
    if value is None:
        return default
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0.0 <= number < 1e7:  # NaN fails too
        raise Refused("bad-parameter", name=name, value=value[:80], expected="must be a time in seconds, such as 12.5")
    return number


def one_of(request: HTTPConnection[State], name: str, default: str, choices: tuple[str, ...]) -> str:
    """A word among the parameters."""
    value = request.query_params.get(name, default)
    if value not in choices:
        raise Refused("bad-parameter", name=name, value=value[:80], expected=f"must be one of {', '.join(choices)}")
    return value


def encoded(value: Any) -> bytes:
    """JSON; NaN becomes null."""
    return encoder.encode(value)
