"""Files out and in: bytes of a blob with ranges, and the signed links of the files adapter."""

import re
from collections.abc import AsyncIterator

from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from api import bodies
from api.messages import MOST_BYTES
from api.problems import Refused
from api.state import Request
from engines.blob_files import FileBlobs
from engines.blobs import Blobs, Signed, Stat, disposition

RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
# What a browser makes of a file that someone uploaded, or of a page that we wrote, it does in a box of its own.
BOX = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; font-src data:; "
    "media-src 'self' data: blob:; sandbox allow-scripts allow-downloads"
)


async def serve(request: Request, key: str, *, what: str, filename: str | None = None, content_type: str | None = None) -> Response:
    """The blob, or the part of it that is asked for (Range, If-Range), or 304; `filename` makes it a download. Raises Refused."""
    blobs = request.state["blobs"]
    stat = await blobs.stat(key)
    if stat is None:
        raise Refused("no-file", name=what)
    etag = f'"{stat.etag.strip(chr(34))}"'
    headers = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",  # kept, but asked about: deleting must be seen
        "Content-Security-Policy": BOX,
    }
    if filename is not None:
        headers["Content-Disposition"] = disposition(filename)
    media_type = content_type or stat.content_type
    if etag in [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]:
        return Response(status_code=304, headers=headers)
    part = _part(request, stat, etag)
    start, end = part or (0, stat.size)
    headers["Content-Length"] = str(end - start)
    if part:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{stat.size}"
    status = 206 if part else 200
    if request.method == "HEAD":
        return Response(None, status, headers, media_type)
    return StreamingResponse(_bytes(blobs, key, start, end), status, headers, media_type)


async def _bytes(blobs: Blobs, key: str, start: int, end: int) -> AsyncIterator[bytes]:
    if end > start:
        async for chunk in blobs.get(key, start, end):
            yield chunk


def _part(request: Request, stat: Stat, etag: str) -> tuple[int, int] | None:
    """The half-open range that is asked for; None for all, which also answers several ranges, or another unit (RFC 9110, 14.2)."""
    match = RANGE.fullmatch(request.headers.get("range", "").replace(" ", ""))
    if match is None or request.headers.get("if-range", etag) != etag:
        return None
    first, last = match.groups()
    if not first and not last:
        return None
    if not first:  # the last so many bytes
        start, end = max(0, stat.size - int(last)), stat.size
        if int(last) == 0:
            raise Refused("bad-range", size=stat.size)
    else:
        start, end = int(first), min(stat.size, int(last) + 1) if last else stat.size
        if last and int(last) < int(first):
            return None  # no valid range at all
    if start >= stat.size:
        raise Refused("bad-range", size=stat.size)
    return start, end


def here(request: Request, signed: Signed) -> str:
    """The link's address; that of a link to this server begins with the name under which the browser knows it."""
    return f"{request.url.scheme}://{request.url.netloc}{signed.url}" if signed.url.startswith("/") else signed.url


async def signed(request: Request) -> Response:
    """GET, HEAD and PUT by the signed links of the files adapter."""
    blobs = request.state["blobs"]
    if not isinstance(blobs, FileBlobs):
        raise Refused("unknown-route")
    key, query = request.path_params["key"], request.query_params
    if request.method != "PUT":
        grant = blobs.check("GET", key, query, None, None)
        return await serve(request, key, what=key.rpartition("/")[2], filename=grant.filename, content_type=grant.content_type)
    length = bodies.check(request, MOST_BYTES)
    grant = blobs.check("PUT", key, query, request.headers.get("content-type"), length)
    async with request.state["places"].taken():
        stored = await blobs.receive(grant, bodies.stream(request, MOST_BYTES))
    return Response(status_code=200, headers={"ETag": f'"{stored.etag}"'})


routes = [Route("/v1/blobs/{key:path}", signed, methods=["GET", "HEAD", "PUT"])]
