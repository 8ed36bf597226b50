"""Live events of a session as server-sent events: everything since a sequence number, then what comes. For who is slow see following.py."""

import asyncio
from collections.abc import AsyncIterator
from typing import get_args

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.responses import Response
from starlette.routing import Route

from api import access, bodies, views
from api.following import Waiting, pump
from api.problems import Refused
from api.state import Request
from db import sessions as db_sessions
from engines.live_log import Stream

HEARTBEAT_S = 10
SEND_WITHIN_S = 30.0  # a reader that takes nothing for so long is gone; it resumes where it was
STREAMS: tuple[Stream, ...] = get_args(Stream)
MOST_SEQ = 2**53  # what every JSON reader can count to


async def events(request: Request) -> Response:
    """GET .../events?streams=tokens,metrics: resumes after `Last-Event-ID` (or `after`)."""
    session = views.session_id(request)
    wanted = _streams(request)
    after = _after(request)
    async with request.state["db"].tenant(access.member(request).org) as tx:
        found = await db_sessions.get(tx, session)
    if found is None or found.state == "deleting":
        raise Refused("no-session")

    async def lines() -> AsyncIterator[ServerSentEvent]:
        waiting = Waiting()
        async with asyncio.TaskGroup() as tasks:
            running = (
                tasks.create_task(pump(request.state["live_log"], session, after, wanted, waiting), name="events: pump"),
                tasks.create_task(_wait(request.state["closing"]), name="events: stop"),
            )
            for task in running:
                task.add_done_callback(lambda _: waiting.close())
            while events := await waiting.take():
                for event in events:
                    yield ServerSentEvent(bodies.encoded(event).decode(), id=str(event.seq), sep="\n")
            for task in running:
                task.cancel()

    return EventSourceResponse(lines(), ping=HEARTBEAT_S, send_timeout=SEND_WITHIN_S, sep="\n")


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


def _streams(request: Request) -> frozenset[str]:
    asked = request.query_params.get("streams")
    if not asked:
        return frozenset(STREAMS)
    names = frozenset(asked.split(","))
    if unknown := names - set(STREAMS):
        raise Refused("bad-parameter", name="streams", value=min(unknown)[:80], expected=f"must be some of {','.join(STREAMS)}")
    return names


def _after(request: Request) -> int:
    """The sequence number that was seen last. A browser that reconnects sends it by itself, which counts more than the address."""
    given = request.headers.get("last-event-id", "")
    if not given:
        return bodies.whole(request, "after", 0, 0, MOST_SEQ)
    if not given.isascii() or not given.isdigit() or len(given) > 18:
        raise Refused("bad-parameter", name="Last-Event-ID", value=given[:80], expected="must be the id of an event")
    return min(int(given), MOST_SEQ)


routes = [Route("/v1/sessions/{session:uuid}/events", events, methods=["GET"])]
