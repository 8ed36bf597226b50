"""Recordings coming in: by signed links (one PUT, or parts that can be resumed), or through this server as a form or a raw body."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import unquote
from uuid import UUID

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.responses import Response
from starlette.routing import Route

from api import access, bodies, views
from api.blobs import here
from api.messages import MOST_BYTES, Link, PartLink, PartThere, Upload
from api.problems import Refused
from api.state import Request
from db import media as db_media
from db import sessions as db_sessions
from db.media import Media
from db.sessions import Session
from engines.blobs import Part, UploadMissing
from speech.errors import printable

PART_BYTES = 8 * 2**20  # S3 takes no parts below 5 MiB and no more than 10,000 of them; what breaks off costs one part
LINKS_LIVE_S = 6 * 3600
FORM_ROOM = 64 * 1024  # what a form adds to the recording: boundaries, headers, small fields
FORM_FIELD = "file"
UNNAMED = "recording"
OTHER_TYPES = frozenset({"application/octet-stream", "application/ogg", "application/mp4", "application/x-matroska"})


class Places:
    """At most `inside` recordings are received at once, `waiting` more wait up to `wait_s`; the rest is sent away. Counts the refusals."""

    def __init__(self, inside: int = 32, waiting: int = 128, wait_s: float = 10.0) -> None:
        self._free = asyncio.Semaphore(inside)
        self._most_waiting = waiting
        self._wait_s = wait_s
        self._waiting = 0
        self.refused = 0

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Hold a place. Raises Refused when there is none in time."""
        await self._take()
        try:
            yield
        finally:
            self._free.release()

    async def _take(self) -> None:
        if self._waiting >= self._most_waiting:
            self.refused += 1
            raise Refused("uploads-busy")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._wait_s):
                await self._free.acquire()
        except TimeoutError as error:
            self.refused += 1
            raise Refused("uploads-busy") from error
        finally:
            self._waiting -= 1


def source_key(org: UUID, session: UUID) -> str:
    """Where the recording of a session is kept."""
    return f"{org}/{session}/source"


def check_type(given: str | None) -> str:
    """The media type without parameters, when it may be a recording. Raises Refused."""
    name = (given or "application/octet-stream").partition(";")[0].strip().lower()
    if name.startswith(("audio/", "video/")) or name in OTHER_TYPES:
        return name
    raise Refused("wrong-type", type=name, expected="audio/..., video/... or application/octet-stream")


def title_of(filename: str | None) -> str:
    """What a session is called that nobody has named: as its recording."""
    return printable(Path(filename).stem)[:200] if filename else ""


# by signed links


async def offer(request: Request, session: UUID) -> Upload:
    """How the recording of this session is brought, or what of it is missing; begins an upload by parts where it is large."""
    db, blobs, org = request.state["db"], request.state["blobs"], access.member(request).org
    async with db.tenant(org) as tx:
        if await db_sessions.lock(tx, session) is None:
            raise Refused("no-session")
        media = await db_media.get(tx, session)
        if media is None:
            raise Refused("no-upload", session=session)
        if not media.complete and media.upload_id is None and media.size > PART_BYTES:
            upload_id = await blobs.begin_upload(media.key, content_type=media.content_type, size=media.size)
            media = await db_media.begin(
                tx,
                session,
                key=media.key,
                size=media.size,
                content_type=media.content_type,
                filename=media.filename,
                upload_id=upload_id,
            )
    size = media.size
    if media.complete:
        return Upload(size=size, expires_s=LINKS_LIVE_S, complete=True)
    if media.upload_id is None:
        put = await blobs.signed_put(media.key, content_type=media.content_type, size=size, expires_s=LINKS_LIVE_S)
        return Upload(size=size, expires_s=LINKS_LIVE_S, put=Link(here(request, put), put.method, dict(put.headers)))
    there = _right(await _parts(request, media), size)
    links = []
    for number, part_size in enumerate(sizes(size), 1):
        if number not in there:
            link = await blobs.signed_part(media.key, media.upload_id, number, part_size, LINKS_LIVE_S)
            offset = (number - 1) * PART_BYTES
            links.append(PartLink(number, offset, part_size, here(request, link), link.method, dict(link.headers)))
    return Upload(
        size=size,
        expires_s=LINKS_LIVE_S,
        upload_id=media.upload_id,
        part_size=PART_BYTES,
        parts=links,
        there=[PartThere(part.number, part.size) for part in there.values()],
    )


def sizes(size: int) -> list[int]:
    """How large each part is."""
    whole, rest = divmod(size, PART_BYTES)
    return [PART_BYTES] * whole + ([rest] if rest else [])


def _right(parts: list[Part], size: int) -> dict[int, Part]:
    wanted = dict(enumerate(sizes(size), 1))
    return {part.number: part for part in sorted(parts, key=lambda part: part.number) if wanted.get(part.number) == part.size}


async def _parts(request: Request, media: Media) -> list[Part]:
    """The parts that are there; none when the upload was completed or given up meanwhile."""
    assert media.upload_id is not None
    try:
        return await request.state["blobs"].parts(media.key, media.upload_id)
    except UploadMissing:
        return []


async def upload(request: Request) -> Response:
    """GET .../upload: which parts are there, and fresh links for the others."""
    return views.answer(await offer(request, views.session_id(request)))


async def complete(request: Request) -> Response:
    """POST .../upload/complete: join the parts, and say whether all is there. May be repeated."""
    session = views.session_id(request)
    db, blobs, org = request.state["db"], request.state["blobs"], access.member(request).org
    async with db.tenant(org) as tx:
        found = await db_sessions.get(tx, session)
        media = await db_media.get(tx, session)
    if found is None:
        raise Refused("no-session")
    if media is None:
        raise Refused("no-upload", session=session)
    if not media.complete:
        if media.upload_id is not None and await blobs.stat(media.key) is None:
            there = _right(await _parts(request, media), media.size)
            missing = [number for number, _ in enumerate(sizes(media.size), 1) if number not in there]
            if missing:
                shown = ", ".join(map(str, missing[:20])) + (", ..." if len(missing) > 20 else "")
                raise Refused("parts-missing", parts=shown, more={"missing": missing})
            with suppress(UploadMissing):  # completed by another request: whether it is whole is seen below
                await blobs.complete_upload(media.key, media.upload_id, list(there.values()))
        await settle(request, session, media)
    return views.answer(await views.session(request, session))


async def settle(request: Request, session: UUID, media: Media) -> str:
    """See that the recording is there and as large as announced, and note that it is complete. What names its content (etag)."""
    db, blobs, org = request.state["db"], request.state["blobs"], access.member(request).org
    stat = await blobs.stat(media.key)
    if stat is None:
        raise Refused("not-uploaded")
    if stat.size == 0:
        raise Refused("empty-upload")
    if stat.size > MOST_BYTES:
        raise Refused("too-large", limit=MOST_BYTES)
    if stat.size != media.size:
        raise Refused("size-differs", got=stat.size, expected=media.size)
    if not media.complete:
        async with db.tenant(org) as tx:
            if await db_sessions.lock(tx, session) is None:
                raise Refused("no-session")
            await db_media.complete(tx, session, size=stat.size, sha256=stat.sha256)
    return stat.etag


# through this server


async def receive(request: Request) -> Response:
    """POST .../media: the recording as multipart/form-data (field `file`) or as the body itself."""
    session = views.session_id(request)
    kind, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary") if kind == b"multipart/form-data" else None
    if bodies.check(request, MOST_BYTES if boundary is None else MOST_BYTES + FORM_ROOM) == 0:
        raise Refused("empty-upload")
    if boundary is None and kind == b"multipart/form-data":
        raise Refused("bad-form", reason="its Content-Type names no boundary")
    if boundary is None:
        check_type(request.headers.get("content-type"))
    await _may_upload(request, session)
    async with request.state["places"].taken():
        if boundary is not None:
            form = Form(boundary, bodies.stream(request, MOST_BYTES + FORM_ROOM))
            await form.find()
            await _keep(request, session, form.data(), check_type(form.content_type), form.filename)
        else:
            name = unquote(request.headers.get("x-filename", "")) or None
            await _keep(request, session, bodies.stream(request, MOST_BYTES), check_type(request.headers.get("content-type")), name)
    return views.answer(await views.session(request, session), 201)


async def _may_upload(request: Request, session: UUID) -> None:
    async with request.state["db"].tenant(access.member(request).org) as tx:
        found = await db_sessions.get(tx, session)
    if found is None or found.state == "deleting":
        raise Refused("no-session")
    _check_open(found)


def _check_open(session: Session) -> None:
    if session.state != "created":
        raise Refused("already-uploaded", state=session.state)


async def _keep(request: Request, session: UUID, data: AsyncIterator[bytes], content_type: str, filename: str | None) -> None:
    db, blobs, org = request.state["db"], request.state["blobs"], access.member(request).org
    key = source_key(org, session)
    stored = await blobs.put(key, data, content_type=content_type)
    if stored.size == 0:
        await blobs.delete([key])
        raise Refused("empty-upload")
    name = printable(filename)[:255] if filename else UNNAMED
    async with db.tenant(org) as tx:
        found = await db_sessions.lock(tx, session)
        if found is not None and found.state != "deleting":
            _check_open(found)
            await db_media.begin(tx, session, key=key, size=stored.size, content_type=content_type, filename=name)
            await db_media.complete(tx, session, size=stored.size, sha256=stored.sha256)
            if not found.title:
                await db_sessions.rename(tx, session, title_of(filename))
    if found is None or found.state == "deleting":  # meanwhile
        await blobs.delete([key])
        raise Refused("no-session")


class Form:
    """The one file in a multipart/form-data body, passed on as it comes; other fields are read over. Holds one chunk at most."""

    def __init__(self, boundary: bytes, chunks: AsyncIterator[bytes]) -> None:
        self.filename: str | None = None
        self.content_type: str | None = None
        self._chunks = chunks
        self._pieces: deque[bytes] = deque()  # of the chunk that was parsed last
        self._field, self._value = bytearray(), bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._found = self._inside = self._ended = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._headers.clear,
                    "on_header_field": lambda data, start, end: self._field.extend(data[start:end]),
                    "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                    "on_header_end": self._header,
                    "on_headers_finished": self._part,
                    "on_part_data": self._data,
                    "on_part_end": self._leave,
                    "on_end": self._end,
                },
            )
        except FormParserError as error:
            raise Refused("bad-form", reason=str(error)) from error

    async def find(self) -> None:
        """Read up to the file. Raises Refused when there is none."""
        while not self._found:
            if not await self._more():
                raise Refused("bad-form", reason=f"it has no field {FORM_FIELD}" if self._ended else "it ends before its end mark")

    async def data(self) -> AsyncIterator[bytes]:
        """The bytes of the file. Raises Refused when the form ends too early."""
        while True:
            while self._pieces:
                yield self._pieces.popleft()
            if not await self._more():
                break
        if not self._ended:
            raise Refused("cut-short")

    async def _more(self) -> bool:
        chunk = await anext(self._chunks, None)
        if chunk is None:
            return False
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise Refused("bad-form", reason=str(error)) from error
        return True

    def _header(self) -> None:
        self._headers[bytes(self._field).lower()] = bytes(self._value)
        self._field.clear()
        self._value.clear()

    def _part(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        if self._found or options.get(b"name") != FORM_FIELD.encode():
            return
        self._found = self._inside = True
        self.filename = options.get(b"filename", b"").decode("utf-8", "replace") or None
        self.content_type = self._headers.get(b"content-type", b"").decode("latin-1") or None

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._inside:
            self._pieces.append(data[start:end])

    def _leave(self) -> None:
        self._inside = False

    def _end(self) -> None:
        self._ended = True


routes = [
    Route("/v1/sessions/{session:uuid}/upload", upload, methods=["GET"]),
    Route("/v1/sessions/{session:uuid}/upload/complete", complete, methods=["POST"]),
    Route("/v1/sessions/{session:uuid}/media", receive, methods=["POST"]),
]
