"""The table of problems of the server (RFC 9457): every way in which a request can fail, its status, and what to do about it."""

import asyncio
import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ExceptionHandler, Receive, Scope, Send

from db.errors import KeyReused, StillAnswering, StoreError
from engines.blob_files import BodyCutShort, SignatureRefused
from engines.blobs import BlobMissing, BlobRefused, UploadMissing, UploadRefused
from engines.disk import OutOfSpace
from engines.errors import EngineError
from speech.errors import printable

log = logging.getLogger("api")

MEDIA_TYPE = "application/problem+json"
LINGER_S = 30.0  # what still comes of a body that is not wanted is thrown away for so long,
LINGER_IDLE_S = 5.0  # or until nothing came for so long; as nginx does
CLIENT_LEFT = 499  # as nginx logs it; nobody is there to read it


@dataclass(frozen=True, slots=True)
class Entry:
    """One row: the status, a title that never varies, what the user reads (facts in braces), and when to try again."""

    status: int
    title: str
    sentence: str
    retry_after_s: int | None = None


PROBLEMS: dict[str, Entry] = {
    # what was asked for
    "unknown-route": Entry(404, "No such address", "There is nothing at this address. Check it; the sessions are at /v1/sessions."),
    "wrong-method": Entry(405, "Method not allowed", "{method} cannot be used here. Use one of: {allowed}."),
    "no-session": Entry(
        404, "No such session", "There is no such session. It may have been deleted; see /v1/sessions for those there are."
    ),
    "no-comment": Entry(404, "No such comment", "There is no such comment. It may have been deleted; the session lists those there are."),
    "no-clip": Entry(
        404, "No such clip", "There is no such clip. It may have been deleted; /v1/sessions/{session}/clips lists those there are."
    ),
    "bad-span": Entry(
        422,
        "No such stretch",
        "From {start_s:.1f} s to {end_s:.1f} s cannot be cut out: a clip lies within the {duration_s:.1f} s of the recording and lasts "
        "{shortest_s:.1f} to {longest_s:.0f} s.",
    ),
    "many-clips": Entry(409, "Too many clips", "This session has {count} clips of your own already. Delete one first."),
    "no-step": Entry(404, "No such step", "This session has no step {step} yet. Its steps are listed in the session."),
    "no-drill": Entry(404, "No such drill", "There is no drill {name}. Those there are: /v1/drills."),
    "no-attempt": Entry(404, "No drill", "This session is no attempt at a drill. Begin one at /v1/drills."),
    "no-voice": Entry(404, "No voice", "No voice can be synthesised here ({reason}). Install espeak-ng on the server, or do without."),
    "no-file": Entry(404, "No such file", "There is no file {name} here. The files are listed in the report."),
    "no-blob": Entry(404, "No such file", "There is nothing under this link any more. Ask for a fresh one."),
    "not-yet": Entry(
        404, "Not there yet", "The {what} of this session is not there yet. Follow its events, or ask again when its state is complete."
    ),
    "bad-range": Entry(416, "Range not satisfiable", "The file has {size} bytes: ask for a range that begins before its end."),
    # how it was asked
    "bad-request": Entry(400, "Bad request", "The request cannot be understood: {reason}. Check how it is built."),
    "bad-json": Entry(400, "Not the JSON expected", "The body is no valid JSON: {reason}. Send a JSON object."),
    "invalid": Entry(422, "Not what is expected", "The body does not fit: {reason}. Correct it and send it again."),
    "bad-parameter": Entry(400, "Bad parameter", "{name}={value} {expected}."),
    "bad-form": Entry(
        400, "Form cannot be read", "The form cannot be read: {reason}. Send multipart/form-data with the recording in a field named file."
    ),
    "length-required": Entry(411, "Length required", "The request has no body. Send the recording with its Content-Length, or chunked."),
    "too-large": Entry(413, "Too large", "This may have {limit} bytes at most. Send less, or compress the recording."),
    "wrong-type": Entry(415, "Type not supported", "{type} is not taken here. Send {expected}."),
    "wrong-encoding": Entry(415, "Encoding not supported", "A body with Content-Encoding {encoding} is not taken. Send it as it is."),
    "too-slow": Entry(
        408, "Too slow", "The body came too slowly and was given up after {waited_s:.0f} s. Send it again over a better line."
    ),
    "cut-short": Entry(400, "Cut short", "The body ended before all of it was there. Send it again."),
    "bad-key": Entry(400, "Bad Idempotency-Key", "An Idempotency-Key has 1 to 200 printable ASCII characters. Use a UUID."),
    "key-reused": Entry(
        422, "Idempotency-Key used twice", "This Idempotency-Key was used for another request. Use a new key for a new request."
    ),
    # who asked
    "unknown-host": Entry(
        421,
        "Not this server",
        "This server does not answer for the name {host}. Open it as {url}, or set ELOCUTE_PUBLIC_URL to its address.",
    ),
    "foreign-origin": Entry(403, "From elsewhere", "Another site ({origin}) may not change anything here. Do it on Elocute's own pages."),
    "bad-signature": Entry(403, "Link not valid", "This link is not valid. Ask for a fresh one."),
    "link-expired": Entry(403, "Link expired", "This link has expired. Ask for a fresh one."),
    "link-type": Entry(415, "Not what the link is for", "This link is for another Content-Type. Send the headers that came with it."),
    "link-size": Entry(413, "Not what the link is for", "This link is for fewer bytes. Send exactly as many as were announced."),
    "still-answering": Entry(
        409, "Still at it", "The first request with this Idempotency-Key is still being answered. Try again in a moment.", retry_after_s=1
    ),
    # what state it is in
    "already-uploaded": Entry(
        409, "Already uploaded", "This session has its recording already and is {state}. Make a new session for another one."
    ),
    "no-upload": Entry(409, "No upload begun", "No upload was begun for this session. Send its recording to /v1/sessions/{session}/media."),
    "upload-gone": Entry(409, "Upload ended", "This upload was completed or given up meanwhile. Ask the session for its upload."),
    "not-uploaded": Entry(409, "Not uploaded", "The recording is not there yet. Upload it first, and complete the upload if it has parts."),
    "parts-missing": Entry(409, "Parts missing", "Parts {parts} are missing or have the wrong size. Upload them, then complete again."),
    "size-differs": Entry(409, "Size differs", "The upload has {got} bytes where {expected} were announced. Upload it again."),
    "empty-upload": Entry(422, "Empty", "The recording is empty (0 bytes). Record it again."),
    "wrong-state": Entry(409, "Not in this state", "The session is {state}, so it cannot be {what}. {instead}"),
    "nothing-parked": Entry(409, "Nothing to retry", "No step of this session has failed: there is nothing to retry."),
    "no-phrase": Entry(
        409,
        "No phrase to imitate",
        "There is no phrase of yours yet that was not practised, and no voice on this server. Record a talk first, or install espeak-ng.",
    ),
    # live
    "busy": Entry(503, "Busy", "Too many people are speaking here right now. Try again in a moment.", retry_after_s=10),
    "live-elsewhere": Entry(
        503,
        "Live elsewhere",
        "Another server has this session live, or had it until it died. Try again in some seconds: a dead one's session is ended by then.",
        retry_after_s=5,
    ),
    "live-loading": Entry(503, "Still loading", "The recogniser is still being loaded. Try again in a moment.", retry_after_s=5),
    "live-unavailable": Entry(
        503, "No live practice", "Live practice is not possible ({reason}). Recordings can be uploaded all the same.", retry_after_s=60
    ),
    # WebRTC
    "bad-offer": Entry(400, "Offer cannot be read", "The SDP cannot be used: {reason}. Send what the client's WebRTC made, unchanged."),
    "no-sound": Entry(406, "No sound in the offer", "The offer has no sound in Opus to send. Offer one audio track with Opus, sendonly."),
    "no-ports": Entry(
        503, "No port free", "All UDP ports of ELOCUTE_UDP_PORTS are in use. Try again when somebody has left.", retry_after_s=10
    ),
    "unanswered": Entry(503, "Not answered in time", "The connection could not be prepared. Try again in a moment.", retry_after_s=2),
    "no-call": Entry(404, "No such call", "There is no such call. It may have ended; offer a new one to its session."),
    "no-ice-restart": Entry(422, "No ICE restart", "A call is not moved to another network. Offer a new one; the session goes on."),
    "match-required": Entry(428, "If-Match required", "Send the ETag of the call as If-Match: it came with the answer."),
    "match-failed": Entry(412, "Another ETag", "The call has the ETag {etag}. Send it as If-Match."),
    # connections that stay open
    "not-a-websocket": Entry(
        426, "Not a WebSocket", "This address is for WebSockets. Open it with ws:// or wss://; a proxy must let them pass."
    ),
    "bad-message": Entry(422, "Not what is expected", "The message does not fit: {reason}. {expected}."),
    "bad-subscription": Entry(
        400, "No such subscription", "{name} names no events. Write session:ID:STREAM, where STREAM is one of {streams} or *."
    ),
    "too-many-sessions": Entry(400, "Too many sessions", "One connection follows {most} sessions at most. Open another one."),
    "sockets-busy": Entry(503, "Busy", "Too many connections are open. Close some, or try again later.", retry_after_s=5),
    "bad-sound": Entry(422, "Not the sound announced", "{reason}. See docs/protocol.md."),
    "too-fast": Entry(
        429,
        "Too fast",
        "The sound is {ahead_s:.0f} s ahead of being heard. Send it in real time; upload what is recorded already.",
        retry_after_s=30,
    ),
    "silent": Entry(408, "Nothing came", "Nothing came for {waited_s:.0f} s. Connect again and go on; the session waits for a minute."),
    "not-heard": Entry(
        409, "Not heard any more", "Another connection speaks for this session now, or the session was ended. Look at its state."
    ),
    "stopping": Entry(503, "The server stops", "The server stops. Connect again soon: what was said so far is kept.", retry_after_s=2),
    # the server
    "uploads-busy": Entry(503, "Busy", "Too many recordings are being received right now. Try again in a moment.", retry_after_s=5),
    "queue-full": Entry(
        429, "Too many in work", "{count} sessions are being processed already. Ask again when some of them are done.", retry_after_s=30
    ),
    "not-ready": Entry(503, "Not ready", "Not ready: {what}. The server tries again by itself.", retry_after_s=2),
    "no-room": Entry(507, "No room", "The server has no room left for this. Make room on its disk and try again.", retry_after_s=60),
    "store-down": Entry(503, "Database not reachable", "The database cannot be used right now. Try again in a moment.", retry_after_s=2),
    "engine-down": Entry(
        503,
        "Part of the server is down",
        "A part of the server does not answer. Try again in a moment; /readyz says which.",
        retry_after_s=2,
    ),
    "internal": Entry(500, "Error in the server", "Something is wrong in the server; its log says more under this request's id."),
}

SIGNATURES = {"bad": "bad-signature", "expired": "link-expired", "wrong_type": "link-type", "too_large": "link-size"}
KINDS: dict[type[Exception], str] = {  # the first that fits; the roots come last
    KeyReused: "key-reused",
    StillAnswering: "still-answering",
    StoreError: "store-down",
    BlobMissing: "no-blob",
    BlobRefused: "no-blob",
    UploadMissing: "upload-gone",
    UploadRefused: "upload-gone",
    BodyCutShort: "cut-short",
    OutOfSpace: "no-room",
    EngineError: "engine-down",
}
STATUSES = {400: "bad-request", 404: "unknown-route", 405: "wrong-method", 413: "too-large"}  # those that the framework raises itself


class Refused(Exception):
    """A request that cannot be served, and `PROBLEMS[code]` says why; `more` becomes members of the problem document."""

    def __init__(self, code: str, *, more: Mapping[str, object] | None = None, **facts: object) -> None:
        super().__init__(code)
        self.code = code
        self.more = more or {}
        self.facts = facts

    def __str__(self) -> str:
        clean = {name: value if isinstance(value, int | float) else printable(str(value)) for name, value in self.facts.items()}
        return PROBLEMS[self.code].sentence.format(**clean)


class _Answer(Response):
    """A problem document that arrives though the client is still sending: closing at once would reset the connection under the answer."""

    media_type = MEDIA_TYPE

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if "connection" not in self.headers:
            await super().__call__(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                while await self._more(receive):
                    pass
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _more(self, receive: Receive) -> bool:
        async with asyncio.timeout(LINGER_IDLE_S):
            message = await receive()
        return message["type"] == "http.request" and bool(message.get("more_body"))


def response(request: HTTPConnection[Any], refused: Refused, headers: Mapping[str, str] | None = None) -> Response:
    """The problem document. The connection ends with it where the body was not read: what is left of it is not wanted.

    In answer to the handshake of a WebSocket it is sent as the ASGI extension `websocket.http.response` wants it.
    """
    entry = PROBLEMS[refused.code]
    document = {
        "type": f"urn:elocute:problem:{refused.code}",
        "title": entry.title,
        "status": entry.status,
        "detail": str(refused),
        "instance": request.url.path,
        "code": refused.code,
        "request_id": request.scope["state"].get("request_id"),
        **refused.more,
    }
    out = dict(headers or {})
    if entry.retry_after_s is not None:
        out["Retry-After"] = str(entry.retry_after_s)
    if request.scope["type"] == "http" and not request.scope["state"].get("body_read") and has_body(request.headers):
        out["Connection"] = "close"
    return _Answer(json.dumps(document, ensure_ascii=False), entry.status, out)


def has_body(headers: Headers) -> bool:
    """Whether a body comes with them."""
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


def named(error: Exception) -> Refused:
    """The row of the table that an error of the layers below belongs to."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, SignatureRefused):
        return Refused(SIGNATURES[error.code])
    for kind, code in KINDS.items():
        if isinstance(error, kind):
            return Refused(code)
    return Refused("internal")


async def _refused(request: Request, error: Exception) -> Response:
    refused = named(error)
    if PROBLEMS[refused.code].status >= 500 and error is not refused:
        log.error("request %s: %s: %s", request.scope["state"].get("request_id"), type(error).__name__, error)
    headers = {"Content-Range": f"bytes */{refused.facts['size']}"} if refused.code == "bad-range" else None
    return response(request, refused, headers)


async def _framework(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = STATUSES.get(error.status_code, "bad-request")
    if code != "wrong-method":
        return response(request, Refused(code, reason=error.detail, limit="fewer"))
    allowed = ", ".join(_methods(request))
    return response(request, Refused(code, method=request.method, allowed=allowed), {"Allow": allowed})


def _methods(request: Request) -> list[str]:
    """What can be done at this address: a route knows its own methods only."""
    here = [route for route in request.app.routes if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in here for method in route.methods or ()})


async def _left(request: Request, error: Exception) -> Response:  # noqa: ARG001
    return Response(status_code=CLIENT_LEFT)


async def _internal(request: Request, error: Exception) -> Response:
    log.error("request %s failed", request.scope["state"].get("request_id"), exc_info=error)
    return response(request, Refused("internal"))


HANDLERS: Mapping[type[Exception], ExceptionHandler] = {
    Refused: _refused,
    StoreError: _refused,
    EngineError: _refused,
    HTTPException: _framework,
    ClientDisconnect: _left,
    Exception: _internal,
}
