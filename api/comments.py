"""Comments on sessions and on places in them, and who and what was named in them."""

import asyncio

from starlette.responses import Response
from starlette.routing import Route

from api import access, bodies, views
from api.messages import CommentList, CommentView, EntityList, EntityView, NewComment
from api.problems import Refused
from api.state import Request
from db import comments as db_comments
from db import embeddings as db_embeddings
from db import entities as db_entities
from db import sessions as db_sessions
from db.comments import Comment
from db.pool import Tx
from db.sessions import Session
from speech.audio import RATE_HZ, seconds


async def added(request: Request) -> Response:
    """POST .../comments {"text", "at_s"?}: can be found at once."""
    session, member = views.session_id(request), access.member(request)
    wanted, _ = await bodies.json_body(request, NewComment)
    vectors = await asyncio.to_thread(request.state["embedder"], [wanted.text])
    at = None if wanted.at_s is None else round(wanted.at_s * RATE_HZ)
    async with request.state["db"].tenant(member.org) as tx:
        found = await _session(tx, request)
        comment = await db_comments.add(tx, session, member.user, at, wanted.text)
        vector = None if vectors is None else vectors[0]
        await db_embeddings.store_comment(tx, session, comment.id, wanted.text, at, vector, found.language or "en")
    return views.answer(_view(comment), 201, {"Location": f"/v1/sessions/{session}/comments/{comment.id}"})


async def listed(request: Request) -> Response:
    """GET .../comments."""
    async with request.state["db"].tenant(access.member(request).org) as tx:
        await _session(tx, request)
        found = await db_comments.of(tx, views.session_id(request))
    return views.answer(CommentList([_view(comment) for comment in found]))


async def removed(request: Request) -> Response:
    """DELETE .../comments/{comment}: neither shown nor found any more."""
    async with request.state["db"].tenant(access.member(request).org) as tx:
        await _session(tx, request)
        if not await db_comments.delete(tx, views.session_id(request), request.path_params["comment"]):
            raise Refused("no-comment")
    return Response(status_code=204)


async def entities(request: Request) -> Response:
    """GET .../entities: names, organisations, places and dates with their times."""
    async with request.state["db"].tenant(access.member(request).org) as tx:
        await _session(tx, request)
        found = await db_entities.of(tx, views.session_id(request))
    if found is None:
        raise Refused("not-yet", what="entities")
    return views.answer(EntityList([EntityView(one.kind, one.text, seconds(one.start), seconds(one.end)) for one in found]))


async def _session(tx: Tx, request: Request) -> Session:
    found = await db_sessions.get(tx, views.session_id(request))
    if found is None or found.state == "deleting":
        raise Refused("no-session")
    return found


def _view(comment: Comment) -> CommentView:
    return CommentView(comment.id, None if comment.at is None else seconds(comment.at), comment.text, comment.created_at)


BASE = "/v1/sessions/{session:uuid}"
routes = [
    Route(f"{BASE}/comments", listed, methods=["GET"]),
    Route(f"{BASE}/comments", added, methods=["POST"]),
    Route(f"{BASE}/comments/{{comment:uuid}}", removed, methods=["DELETE"]),
    Route(f"{BASE}/entities", entities, methods=["GET"]),
]
