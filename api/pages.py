"""The pages people see: the first, live practice, one session, its report; and refusals as pages. The work is done in web/, over /v1."""

import html
import json
import mimetypes
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit
from uuid import UUID

import jinja2
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ExceptionHandler

from api import access, blobs, problems
from api.problems import Refused
from api.state import Request
from config import graph
from config.drills import drills
from config.settings import Settings
from db import sessions as db_sessions
from db.sessions import Session

FOLDER = Path(__file__).parent / "pages"
BUILT = FOLDER / "static"  # by web/build.py
MANIFEST = BUILT / "manifest.json"
ENCODINGS = (("br", ".br"), ("gzip", ".gz"))  # in the order of preference
REPORT_POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">')


@dataclass(frozen=True, slots=True)
class Asset:
    """One built file, in every encoding there is. Its name holds a digest of its content."""

    path: Path
    content_type: str
    encoded: tuple[tuple[str, Path], ...]


# The assets


@cache
def _assets() -> Mapping[str, Asset]:
    found = {}
    for path in BUILT.iterdir():
        if path.suffix in (".br", ".gz") or path == MANIFEST or path.name.startswith("."):  # .built: when, for make
            continue
        content_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        beside = ((coding, path.with_name(path.name + suffix)) for coding, suffix in ENCODINGS)
        found[path.name] = Asset(path, content_type, tuple((coding, file) for coding, file in beside if file.exists()))
    return found


@cache
def _manifest() -> Mapping[str, Mapping[str, str]]:
    if not MANIFEST.exists():
        raise Refused("not-ready", what="the pages are not built; run `make run`")
    built: Mapping[str, Mapping[str, str]] = json.loads(MANIFEST.read_text(encoding="utf-8"))
    return built


def _address(source: str) -> str:
    """Where the built form of a file of web/ is served."""
    return f"/static/{_manifest()[source]['file']}"


async def asset(request: Request) -> Response:
    """GET /static/{name}: in the best encoding the browser takes. Never changes under its name, so it is kept for a year."""
    found = _assets().get(request.path_params["name"])
    if found is None:
        raise Refused("unknown-route")
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
    taken = _taken(request.headers.get("accept-encoding", ""))
    for coding, path in found.encoded:
        if coding in taken:
            return FileResponse(path, headers={**headers, "Content-Encoding": coding}, media_type=found.content_type)
    return FileResponse(found.path, headers=headers, media_type=found.content_type)


def _taken(accept_encoding: str) -> set[str]:
    offers = (offer.replace(" ", "").lower().partition(";q=") for offer in accept_encoding.split(","))
    return {name for name, _, quality in offers if not re.fullmatch(r"0(\.0*)?", quality)}


# The pages


@cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.globals["built"] = _address
    return environment


def _policy(settings: Settings) -> str:
    # Recordings go straight to the object store where there is one.
    parts = urlsplit(settings.s3.endpoint) if settings.s3 else None
    store = f" {parts.scheme}://{parts.netloc}" if parts else ""
    return (
        f"default-src 'self'; connect-src 'self'{store}; media-src 'self' blob:; object-src 'none'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )


def _page(request: Request, template: str, status: int = 200, **facts: object) -> Response:
    text = _templates().get_template(template).render(**facts)
    headers = {"Cache-Control": "no-store", "Content-Security-Policy": _policy(request.state["settings"])}
    return Response(text, status, headers, "text/html")


async def home(request: Request) -> Response:
    """GET /: practise, drop or record, and the list."""
    return _page(request, "home.html")


async def practice(request: Request) -> Response:
    """GET /practice, and /practice/{id} to go on with a session: the microphone, and what is said. One that is over shows itself."""
    found = await _session(request) if "session" in request.path_params else None
    if found and found.state not in ("created", "live"):
        return RedirectResponse(f"/sessions/{found.id}", 303, {"Cache-Control": "no-store"})
    return _page(request, "practice.html", session=found, ice=_ice(request))


def _ice(request: Request) -> str:
    servers = [{"urls": one.url, "username": one.username, "credential": one.credential} for one in request.state["settings"].ice_servers]
    return json.dumps([{name: value for name, value in server.items() if value is not None} for server in servers])


async def drill(request: Request) -> Response:
    """GET /drills, and /drills/{drill}: what can be practised, what is due; and one of them, from its goal to its result."""
    name = request.path_params.get("drill")
    if name is not None and name not in drills():
        raise Refused("no-drill", name=name[:80])
    return _page(request, "drill.html", drill=name, title=drills()[name].title if name else "Drills", ice=_ice(request))


async def session(request: Request) -> Response:
    """GET /sessions/{id}: progress, then numbers and files."""
    found = await _session(request)
    return _page(request, "session.html", session=found, steps=json.dumps([(step.name, step.title) for step in graph.STEPS]))


async def search(request: Request) -> Response:
    """GET /search?q=: what was said, found again."""
    return _page(request, "search.html")


async def overlay(request: Request) -> Response:
    """GET /overlay/{id}: numbers over a video. Whatever is wrong it says itself, on its transparent ground."""
    return _page(request, "overlay.html", session=request.path_params["session"])


async def report(request: Request) -> Response:
    """GET /sessions/{id}/report, as it was written. Its own policy, which names its script and style by digest, becomes the header."""
    found = await _session(request)
    key = f"{_folder(request, found.id)}/report/page.html"
    if await request.state["blobs"].stat(key) is None:
        raise Refused("not-yet", what="report")
    content = await request.state["blobs"].read(key)
    policy = REPORT_POLICY.search(content[:4096].decode("utf-8", "replace"))
    headers = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": (html.unescape(policy[1]) if policy else "sandbox; default-src 'none'") + "; frame-ancestors 'none'",
    }
    return Response(content, 200, headers, "text/html")


async def paper(request: Request) -> Response:
    """GET /sessions/{id}/report.pdf: where the report's page finds it."""
    found = await _session(request)
    return RedirectResponse(f"/v1/sessions/{found.id}/report/files/report.pdf?{request.url.query}", 307)


async def sound(request: Request) -> Response:
    """GET /sessions/{id}/audio.mp3: what the report plays; it names its sound relative to itself."""
    found = await _session(request)
    return await blobs.serve(request, f"{_folder(request, found.id)}/audio.mp3", what="audio.mp3", content_type="audio/mpeg")


async def _session(request: Request) -> Session:
    async with request.state["db"].tenant(access.member(request).org) as tx:
        found = await db_sessions.get(tx, request.path_params["session"])
    if found is None or found.state == "deleting":
        raise Refused("no-session")
    return found


def _folder(request: Request, wanted: UUID) -> str:
    return f"{access.member(request).org}/{wanted}"


# Refusals


Handler = Callable[[Request, Exception], Awaitable[Response]]  # as ours are: asynchronous, for HTTP


def readable(handlers: Mapping[type[Exception], ExceptionHandler]) -> dict[type[Exception], ExceptionHandler]:
    """The same exception handlers, whose problem documents become pages for those who open an address in a browser."""
    return {kind: cast(ExceptionHandler, _readable(cast(Handler, handler))) for kind, handler in handlers.items()}


def _readable(handler: Handler) -> Handler:
    async def handle(request: Request, error: Exception) -> Response:
        answer = await handler(request, error)
        if answer.media_type != problems.MEDIA_TYPE or not _wants_page(request):
            return answer
        page = _page(request, "problem.html", answer.status_code, problem=json.loads(bytes(answer.body)))
        for name in ("Retry-After", "Allow", "Connection"):
            if value := answer.headers.get(name):
                page.headers[name] = value
        return page

    return handle


def _wants_page(request: Request) -> bool:
    """Whether a person looks at this address: not the API's, and asked for as a document. Without the built pages there is none to show."""
    path = request.url.path
    return MANIFEST.exists() and not path.startswith(("/v1/", "/static/")) and "text/html" in request.headers.get("accept", "")


BASE = "/sessions/{session:uuid}"
routes = [
    Route("/", home, methods=["GET"]),
    Route("/search", search, methods=["GET"]),
    Route("/practice", practice, methods=["GET"]),
    Route("/practice/{session:uuid}", practice, methods=["GET"]),
    Route("/drills", drill, methods=["GET"]),
    Route("/drills/{drill}", drill, methods=["GET"]),
    Route(BASE, session, methods=["GET"]),
    Route(f"{BASE}/report", report, methods=["GET"]),
    Route(f"{BASE}/report.pdf", paper, methods=["GET"]),
    Route(f"{BASE}/audio.mp3", sound, methods=["GET"]),
    Route("/overlay/{session}", overlay, methods=["GET"]),
    Route("/static/{name}", asset, methods=["GET"]),
]
