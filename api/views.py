"""What is said about a session: rows of the store as messages."""

from typing import Any
from uuid import UUID

from starlette.responses import Response

from api import access, bodies
from api.messages import MediaView, Progress, SessionView, StepView, Trouble, Upload
from api.problems import Refused
from api.state import Request
from config import graph
from db import media as db_media
from db import sessions as db_sessions
from db import steps as db_steps
from db.media import Media
from db.sessions import Session
from db.steps import Step

ORDER = {step.name: number for number, step in enumerate(graph.STEPS)}


def answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON response."""
    return Response(bodies.encoded(value), status, headers, "application/json")


def session_id(request: Request) -> UUID:
    """The session in the address."""
    found: UUID = request.path_params["session"]
    return found


async def session(request: Request, wanted: UUID, upload: Upload | None = None) -> SessionView:
    """The session with its recording and steps. Raises Refused."""
    async with request.state["db"].tenant(access.member(request).org) as tx:
        found = await db_sessions.get(tx, wanted)
        if found is None or found.state == "deleting":
            raise Refused("no-session")
        media = await db_media.get(tx, wanted)
        steps = await db_steps.of(tx, wanted)
    return view(found, media, steps, upload)


def view(found: Session, media: Media | None = None, steps: list[Step] | None = None, upload: Upload | None = None) -> SessionView:
    """A session as it is shown; without `steps`, as in a list."""
    shown = None if steps is None else [_step(step) for step in latest(steps)]
    return SessionView(
        id=found.id,
        title=found.title,
        kind=found.kind,
        state=found.state,
        created_at=found.created_at,
        updated_at=found.updated_at,
        duration_s=found.duration_s,
        language=found.language,
        problem=found.problem,
        interrupted=found.interrupted,
        style=found.style,
        masked=found.masked,
        speaker=found.speaker,
        script=found.script if steps is not None else None,
        media=None if media is None else MediaView(media.filename, media.content_type, media.size, media.complete),
        steps=shown,
        progress=None if shown is None else Progress(sum(step.state == "done" for step in shown), len(ORDER)),
        links=links(found.id) if steps is not None else {"self": f"/v1/sessions/{found.id}"},
        upload=upload,
    )


def latest(steps: list[Step]) -> list[Step]:
    """The newest row of each step, in the order of the graph: a step that was run on other inputs has older rows."""
    newest: dict[str, Step] = {}
    for step in sorted(steps, key=lambda step: step.queued_at):
        newest[step.step] = step
    return sorted(newest.values(), key=lambda step: ORDER.get(step.step, len(ORDER)))


def _step(step: Step) -> StepView:
    error = Trouble(step.error_code, step.error or "") if step.error_code else None
    return StepView(step.step, step.state, step.attempt, error, step.queued_at, step.started_at, step.finished_at)


def links(wanted: UUID) -> dict[str, str]:
    """Where everything about a session is."""
    base = f"/v1/sessions/{wanted}"
    parts = (
        *("upload", "media", "process", "events", "transcript", "metrics", "fluency", "scores", "coaching", "report", "audio", "end"),
        *("comments", "entities", "clips"),
    )
    return {"self": base, **{part: f"{base}/{part}" for part in parts}}
