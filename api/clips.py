"""Clips of a session: those of its moments and the user's own, listed, made, played and deleted."""

from uuid import UUID

from starlette.responses import Response
from starlette.routing import Route

from api import access, blobs, bodies, sessions, views, work
from api.messages import ClipList, ClipView, FileView, NewClip
from api.problems import Refused
from api.state import Request
from db import clips as db_clips
from db import sessions as db_sessions
from db.clips import Clip
from db.pool import Tx
from db.reports import ReportFile
from db.sessions import Session
from speech.audio import RATE_HZ, seconds

STEP = "clips"
SHORTEST_S, LONGEST_S = 0.5, 120.0
MOST_OWN = 50


async def listed(request: Request) -> Response:
    """GET .../clips: each with its files and links that work without signing in."""
    session = views.session_id(request)
    async with request.state["db"].tenant(access.member(request).org) as tx:
        await _session(tx, session)
        found = await db_clips.of(tx, session)
    return views.answer(ClipList([await _view(request, session, clip) for clip in found], sessions.REPORT_LINKS_LIVE_S))


async def made(request: Request) -> Response:
    """POST .../clips {"start_s", "end_s", "label"?}: a clip of one's own. The step that renders it begins; its files come with its end."""
    session, org = views.session_id(request), access.member(request).org
    wanted, _ = await bodies.json_body(request, NewClip)
    async with request.state["db"].tenant(org) as tx:
        await db_sessions.lock(tx, session)
        found = await _session(tx, session)
        if found.state != "complete":
            raise Refused("wrong-state", state=found.state, what="cut", instead="Wait until it is complete.")
        _check(wanted, found.duration_s or 0.0)
        if (count := sum(clip.moment is None for clip in await db_clips.of(tx, session))) >= MOST_OWN:
            raise Refused("many-clips", count=count)
        clip = await db_clips.add(tx, session, wanted.label, round(wanted.start_s * RATE_HZ), round(wanted.end_s * RATE_HZ))
        await work.resume(tx, org, session, frozenset({STEP}))
        await db_sessions.set_state(tx, session, "processing")
    await sessions.tell(request, session, "state", {"session": "processing"})
    return views.answer(await _view(request, session, clip), 201, {"Location": f"/v1/sessions/{session}/clips/{clip.id}"})


async def removed(request: Request) -> Response:
    """DELETE .../clips/{clip}. That of a moment comes back when the session is coached anew."""
    session = views.session_id(request)
    async with request.state["db"].tenant(access.member(request).org) as tx:
        await _session(tx, session)
        clip = await db_clips.delete(tx, session, request.path_params["clip"])
        if clip is None:
            raise Refused("no-clip", session=session)
        used = {file.key for other in await db_clips.of(tx, session) for file in other.files}
    await request.state["blobs"].delete({file.key for file in clip.files} - used)
    return Response(status_code=204)


async def file(request: Request) -> Response:
    """GET .../clips/{clip}/{name}, with ranges; as a download with ?download=1."""
    session, wanted, name = views.session_id(request), request.path_params["clip"], request.path_params["name"]
    async with request.state["db"].tenant(access.member(request).org) as tx:
        title = (await _session(tx, session)).title
        clip = next((clip for clip in await db_clips.of(tx, session) if clip.id == wanted), None)
    if clip is None:
        raise Refused("no-clip", session=session)
    for found in clip.files:
        if found.name == name:
            filename = _filename(title, clip, found) if request.query_params.get("download") == "1" else None
            return await blobs.serve(request, found.key, what=name, filename=filename, content_type=found.content_type)
    raise Refused("no-file", name=name[:80])


def _check(wanted: NewClip, duration_s: float) -> None:
    length_s = wanted.end_s - wanted.start_s
    if not SHORTEST_S <= length_s <= LONGEST_S or wanted.end_s > duration_s:
        raise Refused(
            "bad-span",
            start_s=wanted.start_s,
            end_s=wanted.end_s,
            duration_s=duration_s,
            shortest_s=SHORTEST_S,
            longest_s=LONGEST_S,
        )


async def _session(tx: Tx, session: UUID) -> Session:
    found = await db_sessions.get(tx, session)
    if found is None or found.state == "deleting":
        raise Refused("no-session")
    return found


def _filename(title: str, clip: Clip, found: ReportFile) -> str:
    return f"{title or 'clip'} {clip.label or clip.moment or ''}".strip() + found.name.removeprefix("clip")


async def _view(request: Request, session: UUID, clip: Clip) -> ClipView:
    files = []
    for found in clip.files:
        signed = await request.state["blobs"].signed_get(found.key, expires_s=sessions.REPORT_LINKS_LIVE_S, content_type=found.content_type)
        url = f"/v1/sessions/{session}/clips/{clip.id}/{found.name}"
        files.append(FileView(found.name, found.size, found.content_type, url, blobs.here(request, signed)))
    return ClipView(clip.id, clip.moment, clip.label, seconds(clip.start), seconds(clip.end), files)


BASE = "/v1/sessions/{session:uuid}/clips"
routes = [
    Route(BASE, listed, methods=["GET"]),
    Route(BASE, made, methods=["POST"]),
    Route(f"{BASE}/{{clip:uuid}}", removed, methods=["DELETE"]),
    Route(f"{BASE}/{{clip:uuid}}/{{name}}", file, methods=["GET"]),
]
