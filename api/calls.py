"""Live sound by WebRTC: offer and answer for our page, WHIP (RFC 9725) for programs. Events go to a data channel, if one is opened.

The answer holds all candidates there are, since neither way has one for more; what the client finds later it may send (WHIP). An ICE
restart is not done: the client offers again, and the session goes on.
"""

import asyncio
import importlib
import logging
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit
from uuid import UUID

from msgspec import Struct
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from api import access, bodies, following, views
from api.events import MOST_SEQ, STREAMS
from api.listening import is_loopback
from api.problems import Refused
from api.state import Request
from config.settings import Settings
from engines.live_log import LiveLog
from rtc import sdp
from rtc.errors import BadOffer, NoPorts, NoSound, PeersFull, Restart, RtcError, Unanswered
from rtc.intake import Taken

if TYPE_CHECKING:  # they load aiortc, which takes a second
    from api.live import Line, Room
    from rtc.peer import Channel, Peer, Peers

log = logging.getLogger("rtc")

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
MOST_SDP_BYTES = 64 * 1024
LOADED_WITHIN_S = 30.0
EVENTS = re.compile(r"events(?::([0-9]{1,16}))?")  # label of a data channel: all events, or those after a number

_CODES: dict[type[RtcError], str] = {
    BadOffer: "bad-offer",
    NoSound: "no-sound",
    Restart: "no-ice-restart",
    PeersFull: "busy",
    NoPorts: "no-ports",
    Unanswered: "unanswered",
}


class Description(Struct, forbid_unknown_fields=True):
    """An offer, as browsers have it."""

    sdp: str
    type: str


class Answer(Struct):
    """The same, and what the state event `replaced` calls this connection."""

    sdp: str
    type: str
    connection: str


class Call:
    """A connection of a session, and its place in the room."""

    def __init__(self, session: UUID, peer: "Peer", room: "Room") -> None:
        self.session = session
        self.peer = peer
        self.room = room
        self.etag = f'"{peer.ufrag}"'
        self.telling: set[asyncio.Task[None]] = set()
        self.line: Line = room.attach(self._replaced)
        self.id = self.line.id

    def deliver(self, taken: Sequence[Taken]) -> None:
        """Sound for the room."""
        self.room.deliver(self.line, taken)

    def _replaced(self) -> None:
        self.peer.close(taken_over=True)


class Calls:
    """The calls of this process. `run` is their life."""

    def __init__(self, settings: Settings, live_log: LiveLog) -> None:
        self._settings = settings
        self._live_log = live_log
        self._calls: dict[str, Call] = {}
        self._loaded = asyncio.Event()
        self._stopping = asyncio.Event()
        self._peers: Peers | None = None
        self._tasks: asyncio.TaskGroup | None = None

    def __len__(self) -> int:
        return len(self._calls)

    async def run(self) -> None:
        """Load what it takes, while the server answers already, and stay until `stop`."""
        module = await asyncio.to_thread(importlib.import_module, "rtc.peer")
        async with asyncio.TaskGroup() as tasks:
            loopback = is_loopback(self._settings.host)
            peers: Peers = module.Peers(tasks, self._settings.ice_servers, self._settings.udp_ports, loopback=loopback)
            self._peers, self._tasks = peers, tasks
            self._loaded.set()
            await self._stopping.wait()
            self._peers = None
            await peers.close()

    def stop(self) -> None:
        """End all calls; `run` returns when nothing of them is left."""
        self._stopping.set()

    def find(self, session: UUID, call: str) -> Call:
        """Raises Refused."""
        found = self._calls.get(call)
        if found is None or found.session != session:
            raise Refused("no-call")
        return found

    async def begin(self, request: Request, session: UUID, text: str) -> Call:
        """Answer an offer, and have its sound heard. Raises Refused."""
        try:
            offer = sdp.offer(text)
        except RtcError as error:
            _refuse(error)
        room = await request.state["live"].join(access.member(request).org, session)
        try:
            peer = await (await self._ready()).answer(offer, room.intake)
        except RtcError as error:
            _refuse(error)
        try:
            call = Call(session, peer, room)
        except Refused:
            peer.close(taken_over=True)
            raise
        self._calls[call.id] = call
        peer.begin(call.deliver, lambda: self._gone(call), lambda channel: self._opened(call, channel))
        log.info("session %s: offer answered", session)
        return call

    async def _ready(self) -> "Peers":
        with suppress(TimeoutError):
            async with asyncio.timeout(LOADED_WITHIN_S):
                await self._loaded.wait()
        if self._peers is None:
            raise Refused("not-ready", what="live sound")
        return self._peers

    def _gone(self, call: Call) -> None:
        self._calls.pop(call.id, None)
        call.room.detach(call.line)
        for task in call.telling:
            task.cancel()

    def _opened(self, call: Call, channel: "Channel") -> None:
        found = EVENTS.fullmatch(channel.label)
        if found is None or self._tasks is None:
            return
        task = self._tasks.create_task(self._tell(call.session, channel, int(found[1] or 0)), name="call: events")
        call.telling.add(task)
        task.add_done_callback(call.telling.discard)

    async def _tell(self, session: UUID, channel: "Channel", after: int) -> None:
        """Send what happens in a session, to the end of the channel. Its protocol names the streams, all if it is empty."""
        named = frozenset(channel.protocol.split(",")) & frozenset(STREAMS)
        waiting = following.Waiting()
        async with asyncio.TaskGroup() as both:
            pumping = both.create_task(
                following.pump(self._live_log, session, min(after, MOST_SEQ), named or frozenset(STREAMS), waiting), name="call: pump"
            )
            pumping.add_done_callback(lambda _: waiting.close())
            while not channel.closed and (events := await waiting.take()):
                for event in events:
                    await channel.room()
                    channel.send(bodies.encoded(event).decode())
            pumping.cancel()


def ice_servers(settings: Settings) -> list[dict[str, str]]:
    """As RTCPeerConnection takes them."""
    given = ({"urls": each.url, "username": each.username, "credential": each.credential} for each in settings.ice_servers)
    return [{name: value for name, value in each.items() if value is not None} for each in given]


async def ice(request: Request) -> Response:
    """GET /v1/ice: what helps a browser through its NAT."""
    return views.answer({"ice_servers": ice_servers(request.state["settings"])})


async def offer(request: Request) -> Response:
    """POST /v1/sessions/{id}/offer: {sdp, type} in, {sdp, type, connection} out."""
    given, _ = await bodies.json_body(request, Description)
    if given.type != "offer":
        raise Refused("invalid", reason="type must be offer")
    call = await request.state["calls"].begin(request, views.session_id(request), given.sdp)
    return views.answer(Answer(call.peer.answer, "answer", call.id))


async def whip(request: Request) -> Response:
    """POST /v1/sessions/{id}/whip: the offer as application/sdp; 201 with the answer."""
    text = await _body(request, SDP)
    session = views.session_id(request)
    call = await request.state["calls"].begin(request, session, text)
    response = Response(call.peer.answer, 201, _cors(request), SDP)
    response.headers["Location"] = f"/v1/sessions/{session}/whip/{call.id}"
    response.headers["ETag"] = call.etag
    response.headers["Accept-Patch"] = FRAGMENT
    for link in _links(request.state["settings"]):
        response.headers.append("Link", link)
    return response


async def trickled(request: Request) -> Response:
    """PATCH .../whip/{call}: candidates that came later."""
    call = _call(request)
    text = await _body(request, FRAGMENT)
    match = request.headers.get("if-match")
    if match is None:
        raise Refused("match-required")
    if match.strip() == "*":  # how RFC 9725 asks for an ICE restart
        raise Refused("no-ice-restart")
    if call.etag not in [each.strip() for each in match.split(",")]:
        raise Refused("match-failed", etag=call.etag)
    try:
        await call.peer.trickle(sdp.fragment(text))
    except RtcError as error:
        _refuse(error)
    return Response(status_code=204, headers=_cors(request))


async def ended(request: Request) -> Response:
    """DELETE .../whip/{call}: the session ends, and is worked on."""
    call = _call(request)
    call.peer.close()
    await call.room.end()
    return Response(status_code=200, headers=_cors(request))


async def options(request: Request) -> Response:
    """OPTIONS: what is taken here, and by whom (CORS)."""
    here = "call" in request.path_params
    taken = {"Accept-Patch": FRAGMENT, "Allow": "DELETE, OPTIONS, PATCH"} if here else {"Accept-Post": SDP, "Allow": "OPTIONS, POST"}
    response = Response(status_code=204, headers={**taken, **_cors(request)})
    if "access-control-request-method" in request.headers and "access-control-allow-origin" in response.headers:
        response.headers["Access-Control-Allow-Methods"] = taken["Allow"]
        response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type, If-Match"
    return response


def _call(request: Request) -> Call:
    return request.state["calls"].find(views.session_id(request), request.path_params["call"])


async def _body(request: Request, expected: str) -> str:
    bodies.check(request, MOST_SDP_BYTES)
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != expected:
        raise Refused("wrong-type", type=given or "a body without Content-Type", expected=expected)
    raw = b"".join([chunk async for chunk in bodies.stream(request, MOST_SDP_BYTES)])
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise Refused("bad-offer", reason="it is not UTF-8") from error


def _cors(request: Request) -> dict[str, str]:
    """For a page that the gate lets through, which is one of this server; others get no leave."""
    origin, host = request.headers.get("origin"), request.headers.get("host", "")
    if origin is None or urlsplit(origin).netloc.lower() != host.lower():
        return {"Vary": "Origin"}
    exposed = "Accept-Patch, ETag, Link, Location"
    return {"Vary": "Origin", "Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": exposed}


def _links(settings: Settings) -> list[str]:
    """RFC 9725, section 4.6."""
    links = []
    for each in settings.ice_servers:
        login = f'; username="{_quoted(each.username)}"; credential="{_quoted(each.credential)}"; credential-type="password"'
        links.append(f'<{each.url}>; rel="ice-server"' + (login if each.username else ""))
    return links


def _quoted(value: str | None) -> str:
    return (value or "").replace("\\", "\\\\").replace('"', '\\"')


def _refuse(error: RtcError) -> NoReturn:
    raise Refused(_CODES[type(error)], reason=str(error)) from error


ADDRESS = "/v1/sessions/{session:uuid}"
routes: list[BaseRoute] = [
    Route("/v1/ice", ice, methods=["GET"]),
    Route(f"{ADDRESS}/offer", offer, methods=["POST"]),
    Route(f"{ADDRESS}/whip", whip, methods=["POST"]),
    Route(f"{ADDRESS}/whip", options, methods=["OPTIONS"]),
    Route(f"{ADDRESS}/whip/{{call}}", trickled, methods=["PATCH"]),
    Route(f"{ADDRESS}/whip/{{call}}", ended, methods=["DELETE"]),
    Route(f"{ADDRESS}/whip/{{call}}", options, methods=["OPTIONS"]),
]
