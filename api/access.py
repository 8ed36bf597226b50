"""Who may ask: the names this server answers for, no foreign site, and in local mode one member. Around it: request ids, headers, log."""

import json
import logging
import re
import time
import uuid
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.listening import is_loopback
from api.problems import Refused, response
from api.state import Request
from config.settings import Settings
from db.orgs import Member
from speech.errors import printable

log = logging.getLogger("api.access")

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:+/=-]{1,128}")
MOST_SOCKETS = 500  # WebSockets open at a time, in this process
QUIET = ("/healthz", "/readyz")  # asked every few seconds by whoever watches over the server: logged at debug level only

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(self)",
}
# Documents and data show nothing by themselves; a page says what it needs in a policy of its own, which stays.
NOTHING = "default-src 'none'; frame-ancestors 'none'"


def member(request: Request) -> Member:
    """Who asks. In local mode everyone who gets here is the one member."""
    return request.state["member"]


class Gate:
    """Around the whole application: names each request, refuses foreign ones, adds the headers, and writes one line about it."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.url = settings.public_url or f"http://{settings.host}:{settings.port}"
        self.public = urlsplit(settings.public_url) if settings.public_url else None
        self.sockets = 0  # open now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        socket = scope["type"] == "websocket"
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if SANE_REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope["state"]["request_id"] = request_id
        began = time.perf_counter()
        status = sent = 0
        closed: int | None = None

        async def wrapped(message: Message) -> None:
            nonlocal status, sent, closed
            kind = message["type"]
            if kind in ("http.response.start", "websocket.http.response.start", "websocket.accept"):
                status = message.get("status", 101)
                out = MutableHeaders(scope=message)
                out["X-Request-ID"] = request_id
                if status == 101:
                    await send(message)
                    return
                for name, value in HEADERS.items():
                    out.setdefault(name, value)
                out.setdefault("Content-Security-Policy", NOTHING)
                if scope["path"].startswith("/v1/"):
                    out.setdefault("Cache-Control", "no-store")
            elif kind in ("http.response.body", "websocket.http.response.body"):
                sent += len(message.get("body", b""))
            elif kind == "websocket.send":
                sent += len(message.get("text") or message.get("bytes") or "")
            elif kind == "websocket.close":
                closed = message.get("code", 1000)
            await send(message)

        async def heard() -> Message:
            nonlocal closed
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body"):
                scope["state"]["body_read"] = True
            if message["type"] == "websocket.disconnect" and closed is None:
                closed = message["code"]
            return message

        self.sockets += socket
        try:
            refused = self._refusal(scope, headers)
            await (response(HTTPConnection(scope), refused) if refused else self.app)(scope, heard, wrapped)
        finally:
            self.sockets -= socket
            line = {
                "request_id": request_id,
                "client": (scope.get("client") or ("",))[0],
                "method": "WEBSOCKET" if socket else scope["method"],
                "path": printable(scope["path"])[:500],  # without the query: it may hold a signature
                "status": status,  # 0: gone before there was any
                "bytes": sent,
                "ms": round((time.perf_counter() - began) * 1000, 1),
            }
            if socket:
                line["closed"] = closed  # the close code; None: the connection broke
            log.log(logging.DEBUG if scope["path"] in QUIET else logging.INFO, json.dumps(line))

    def _refusal(self, scope: Scope, headers: Headers) -> Refused | None:
        host = headers.get("host", "")
        if not self._answers_for(host):  # a page elsewhere whose name was made to point here (DNS rebinding)
            return Refused("unknown-host", host=host[:200], url=self.url)
        # A browser lets every site open a WebSocket anywhere and read what comes: it is looked at like a change.
        if scope["type"] == "http" and scope["method"] in SAFE_METHODS:
            return None
        origin = headers.get("origin")
        if origin is not None and not self._own_origin(origin, host):
            return Refused("foreign-origin", origin=origin[:200])
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return Refused("foreign-origin", origin="unknown")
        if scope["type"] == "websocket" and self.sockets > MOST_SOCKETS:
            return Refused("sockets-busy")
        return None

    def _answers_for(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname
        except ValueError:
            return False
        if name is None or "@" in host or "/" in host:
            return False
        return is_loopback(name) or (self.public is not None and host.lower() == self.public.netloc.lower())

    def _own_origin(self, origin: str, host: str) -> bool:
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        if parts.scheme not in ("http", "https") or not parts.netloc:
            return False
        return parts.netloc.lower() == host.lower()
