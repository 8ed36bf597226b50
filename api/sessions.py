"""Sessions: made, listed, changed, processed, deleted, and what came out of them."""

import hashlib
import logging
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from uuid import UUID

from msgspec import UNSET
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from api import access, blobs, bodies, uploads, views, work
from api.archive import zipped
from api.messages import (
    FileView,
    GivenView,
    NewSession,
    ProgressView,
    ReportView,
    RubricList,
    RubricView,
    ScoredView,
    SessionChange,
    SessionPage,
    TranscriptView,
    WordView,
)
from api.problems import Refused
from api.state import Request, State
from config import graph
from config.languages import LANGUAGES
from config.rubrics import DEFAULT, rubrics
from db import audit as db_audit
from db import documents as db_documents
from db import history as db_history
from db import idempotency as db_idempotency
from db import media as db_media
from db import reports as db_reports
from db import sessions as db_sessions
from db import steps as db_steps
from db import transcripts as db_transcripts
from db.history import Scored
from db.pool import Tx
from db.sessions import Cursor, Session
from engines.blobs import disposition
from engines.errors import EngineError
from engines.live_log import Stream
from speech.audio import seconds
from speech.words import Word

log = logging.getLogger("api")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PAGE = 50
LARGEST_PAGE = 200
PROGRESS = 20  # sessions
MOST_IN_WORK = 300  # sessions of one org that are being processed; more wait outside, where the client sees it
REPORT_LINKS_LIVE_S = 3600
PLAYABLE = "audio.mp3"
STUCK = frozenset({"parked", "cancelled"})
NO_LANGUAGE = {"pointer": "#/language", "detail": "one of " + " ".join(sorted(LANGUAGES))}
NO_STYLE = {"pointer": "#/style", "detail": "one of " + " ".join(rubrics())}
NO_CHANGE = {"pointer": "#", "detail": "one of " + " ".join(SessionChange.__struct_fields__)}
HOLDING_WORDS = ("report", "clips")  # folders of a session
ARCHIVE = "elocute-report.zip"
PDF = "report.pdf"
PAPERS = {"a4": PDF, "letter": "report-letter.pdf"}
SHOWN = frozenset({"page.html"})  # the report's page is shown; its other files are downloads


# made, listed, changed


async def create(request: Request) -> Response:
    """POST /v1/sessions. With an Idempotency-Key, a repeat gives the same session."""
    wanted, raw = await bodies.json_body(request, NewSession, optional=True)
    content_type = uploads.check_type(wanted.content_type)
    if wanted.language is not None and wanted.language not in LANGUAGES:
        raise Refused("invalid", reason=f"no language {wanted.language} is recognised", more={"errors": [NO_LANGUAGE]})
    _check_style(wanted.style)
    key = _idempotency_key(request)
    fingerprint = hashlib.sha256(b"POST /v1/sessions\n" + raw).hexdigest()
    member = access.member(request)
    org = member.org
    async with request.state["db"].tenant(org) as tx:
        stored = await db_idempotency.remember(tx, key, fingerprint) if key else None
        if stored is not None:
            made = UUID(stored.body["id"])
        else:
            session = await db_sessions.create(
                tx,
                wanted.title or uploads.title_of(wanted.filename),
                wanted.kind,
                wanted.language,
                wanted.style,
                script=wanted.script or None,
                user=member.user,
                masked=wanted.masked,
                speaker=wanted.speaker,
            )
            made = session.id
            if wanted.size is not None:
                key_of_blob, name = uploads.source_key(org, made), wanted.filename or uploads.UNNAMED
                await db_media.begin(tx, made, key=key_of_blob, size=wanted.size, content_type=content_type, filename=name)
            if key:
                await db_idempotency.answer(tx, key, 201, {"id": str(made)})
    offered = await uploads.offer(request, made) if wanted.size is not None else None
    found = await views.session(request, made, offered)
    return views.answer(found, 201, {"Location": f"/v1/sessions/{made}"})


async def listed(request: Request) -> Response:
    """GET /v1/sessions?limit=&before=: newest first, page by page."""
    limit = bodies.whole(request, "limit", PAGE, 1, LARGEST_PAGE)
    before = request.query_params.get("before")
    cursor = None if before is None else _cursor(before)
    async with request.state["db"].tenant(access.member(request).org) as tx:
        found = await db_sessions.page(tx, limit, cursor)
    following = f"/v1/sessions?limit={limit}&before={_mark(found[-1])}" if len(found) == limit else None
    return views.answer(SessionPage([views.view(session) for session in found if session.state != "deleting"], following))


def _check_style(style: str | None) -> None:
    if style is not None and style not in rubrics():
        raise Refused("invalid", reason=f"no style {style} is scored", more={"errors": [NO_STYLE]})


def _mark(session: Session) -> str:
    """Where a page ended, for an address."""
    return f"{(session.created_at - EPOCH) // timedelta(microseconds=1)}.{session.id.hex}"


def _cursor(mark: str) -> Cursor:
    found = re.fullmatch(r"([0-9]{1,16})\.([0-9a-f]{32})", mark)
    if found is None:
        raise Refused("bad-parameter", name="before", value=mark[:80], expected="must come from the `next` of another page")
    return Cursor(EPOCH + timedelta(microseconds=int(found[1])), UUID(found[2]))


async def shown(request: Request) -> Response:
    """GET /v1/sessions/{id}."""
    return views.answer(await views.session(request, views.session_id(request)))


async def changed(request: Request) -> Response:
    """PATCH /v1/sessions/{id}: its title, the text that is read, its style and who speaks, after which it is scored anew where there are
    scores, and whether names and numbers are hidden, for which all that holds words is made anew."""
    session, org = views.session_id(request), access.member(request).org
    change, _ = await bodies.json_body(request, SessionChange)
    if change == SessionChange():
        raise Refused("invalid", reason="nothing is said to change", more={"errors": [NO_CHANGE]})
    _check_style(change.style)
    again = ""  # the first step to be done again
    async with request.state["db"].tenant(org) as tx:
        state = await _locked(tx, session)
        found = await db_sessions.get(tx, session)
        begun = state not in ("created", "live")
        if change.title is not None:
            await db_sessions.rename(tx, session, change.title)
        if change.script is not UNSET:
            script = change.script or None
            again = "pronunciation" if found is not None and found.script != script and begun else again
            await db_sessions.set_script(tx, session, script)
        if change.style is not None:
            again = again or ("score" if found is not None and found.style != change.style and begun else "")
            await db_sessions.set_style(tx, session, change.style)
        if change.speaker is not None:
            again = again or ("score" if found is not None and found.speaker != change.speaker and begun else "")
            await db_sessions.set_speaker(tx, session, change.speaker)
        if change.masked is not None and found is not None and found.masked != change.masked:
            again = "fluency" if begun else again
            await db_sessions.mask(tx, session, change.masked)
        if again and state != "complete":
            raise Refused("wrong-state", state=state, what="changed like this", instead="Wait until it is done.")
        if again:
            await work.resume(tx, org, session, frozenset(graph.following(again)))
            await db_sessions.set_state(tx, session, "processing")
    if again == "fluency" and change.masked:
        # What was told and written before holds the words.
        await request.state["live_log"].delete(session)
        for part in HOLDING_WORDS:
            await request.state["blobs"].delete_prefix(f"{org}/{session}/{part}/")
    if again:
        await tell(request, session, "state", {"session": "processing"})
    return views.answer(await views.session(request, session))


async def deleted(request: Request) -> Response:
    """DELETE /v1/sessions/{id}: its blobs, its live log and its rows. A step that still runs finds no session for its result."""
    session, member = views.session_id(request), access.member(request)
    async with request.state["db"].tenant(member.org) as tx:
        found = await db_sessions.lock(tx, session)
        if found is None:
            raise Refused("no-session")
        if found.state != "deleting":  # a repeat, after an answer that was lost
            await db_audit.write(tx, str(member.user), db_audit.SESSION_DELETED, str(session), {})
            await db_sessions.set_state(tx, session, "deleting")
            await db_steps.cancel_all(tx, session)
    await request.state["live"].drop(session)
    await tell(request, session, "state", {"session": "deleting"})
    await erase(request.scope["state"], member.org, session)
    return Response(status_code=204)


async def erase(state: State, org: UUID, session: UUID) -> None:
    """Delete all there is of a session that is marked for it. May be repeated."""
    prefix = f"{org}/{session}/"
    await state["blobs"].delete_prefix(prefix)
    async with state["db"].tenant(org) as tx:
        await db_sessions.delete(tx, session)
    # A step that was at work could leave a file or say something up to the moment in which its session was gone.
    await state["blobs"].delete_prefix(prefix)
    await state["live_log"].delete(session)


# processed


async def process(request: Request) -> Response:
    """POST .../process: begins the work once the recording is there; again, it changes nothing."""
    session, org = views.session_id(request), access.member(request).org
    key = _idempotency_key(request)
    async with request.state["db"].tenant(org) as tx:
        found = await db_sessions.get(tx, session)
        media = await db_media.get(tx, session)
    if found is None or found.state == "deleting":
        raise Refused("no-session")
    if found.state == "created":
        if media is None:
            raise Refused("not-uploaded")
        content = await uploads.settle(request, session, media)
        async with request.state["db"].tenant(org) as tx:
            if key and await db_idempotency.remember(tx, key, f"process {session}") is None:
                await db_idempotency.answer(tx, key, 202, {"id": str(session)})
            if await _locked(tx, session) == "created":
                if (count := await db_sessions.count(tx, "processing")) >= MOST_IN_WORK:
                    raise Refused("queue-full", count=count)
                await db_sessions.set_state(tx, session, "processing")
                await work.begin(tx, org, session, content)
        await tell(request, session, "state", {"session": "processing"})
    elif found.state in ("cancelled", "failed", "live"):
        raise Refused("wrong-state", state=found.state, what="processed", instead="End it." if found.state == "live" else "Retry it.")
    return views.answer(await views.session(request, session), 202)


async def cancel(request: Request) -> Response:
    """POST .../cancel: what has not begun is not begun, and what runs is not kept."""
    session = views.session_id(request)
    async with request.state["db"].tenant(access.member(request).org) as tx:
        state = await _locked(tx, session)
        if state not in ("processing", "cancelled"):
            raise Refused("wrong-state", state=state, what="cancelled", instead="Only work that is under way can be.")
        if state == "processing":
            await db_steps.cancel_all(tx, session)
            await db_sessions.set_state(tx, session, "cancelled")
    await tell(request, session, "state", {"session": "cancelled"})
    return views.answer(await views.session(request, session))


async def retry(request: Request) -> Response:
    """POST .../retry: the steps that failed or were cancelled are queued again."""
    session, org = views.session_id(request), access.member(request).org
    async with request.state["db"].tenant(org) as tx:
        await _locked(tx, session)
        if not any(step.state in STUCK for step in views.latest(await db_steps.of(tx, session))):
            raise Refused("nothing-parked")
        await work.resume(tx, org, session)
        await db_sessions.set_state(tx, session, "processing")
    await tell(request, session, "state", {"session": "processing"})
    return views.answer(await views.session(request, session), 202)


async def rerun(request: Request) -> Response:
    """POST .../steps/{step}/rerun: this step and what follows it, with what is configured today: a new rubric scores anew."""
    session, org, name = views.session_id(request), access.member(request).org, request.path_params["step"]
    async with request.state["db"].tenant(org) as tx:
        state = await _locked(tx, session)
        steps = {step.step: step for step in views.latest(await db_steps.of(tx, session))}
        if name not in steps:
            raise Refused("no-step", step=name[:80])
        again = frozenset(graph.following(name))
        if any(step.state in work.AT_WORK for step in steps.values()):
            raise Refused("wrong-state", state=state, what="run again", instead="Wait until it is done, or cancel it.")
        await work.resume(tx, org, session, again)
        await db_sessions.set_state(tx, session, "processing")
    await tell(request, session, "state", {"session": "processing"})
    return views.answer(await views.session(request, session), 202)


async def _locked(tx: Tx, session: UUID) -> str:
    """Lock the session for this transaction; its state. Raises Refused."""
    found = await db_sessions.lock(tx, session)
    if found is None or found.state == "deleting":
        raise Refused("no-session")
    return found.state


async def tell(request: Request, session: UUID, stream: Stream, data: dict[str, Any]) -> None:
    """Say it to those who follow. The store has it already, so a live log that is down is no reason to fail."""
    try:
        await request.state["live_log"].append(session, stream, 0, data)
    except EngineError as error:
        log.warning("request %s: not said to followers: %s", request.state.get("request_id"), error)


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not (1 <= len(key) <= 200 and key.isascii() and key.isprintable()):
        raise Refused("bad-key")
    return key


# what came out


async def transcript(request: Request) -> Response:
    """GET .../transcript: the words with their times."""
    spoken, second = await _loaded(request, db_transcripts.load, "transcript")
    return views.answer(
        TranscriptView(
            spoken.language, spoken.language_probability, [_word(word) for word in spoken.words], [_word(word) for word in second]
        )
    )


def _word(word: Word) -> WordView:
    return WordView(word.text, seconds(word.start), seconds(word.end), word.probability, word.kind)


def _document(table: db_documents.Table) -> Callable[[Request], Awaitable[Response]]:
    async def shown(request: Request) -> Response:
        return views.answer(await _loaded(request, lambda tx, session: db_documents.load(tx, table, session), table))

    return shown


async def styles(_: Request) -> Response:
    """GET /v1/rubrics: the styles of speaking that can be scored, the usual one first."""
    known = [RubricView(one.name, one.version, one.title, one.about, bool(one.ratings)) for one in rubrics().values()]
    return views.answer(RubricList(known))


async def progress(request: Request) -> Response:
    """GET /v1/progress?style=: how who asks scored in their last sessions of a style."""
    style = bodies.one_of(request, "style", DEFAULT, tuple(rubrics()))
    rubric, member = rubrics()[style], access.member(request)
    async with request.state["db"].tenant(member.org) as tx:
        found = await db_history.scored(tx, member.user, style, PROGRESS)
    like = [session for session in found if session.rubric["digest"] == rubric.digest]
    titles = {"overall": "Overall"} | {dimension.id: dimension.title for dimension in rubric.dimensions}
    return views.answer(ProgressView(style, titles, [_scored(session) for session in like], len(found) - len(like)))


def _scored(session: Scored) -> ScoredView:
    given = [{**session.overall, "dimension": "overall"}, *session.scores]
    scores = [GivenView(one["dimension"], one["value"], one["low"], one["high"]) for one in given]
    return ScoredView(session.session, session.title, session.created_at, scores)


async def report(request: Request) -> Response:
    """GET .../report: its data and its files, each with a link that works without signing in."""
    session = views.session_id(request)
    stored = await _loaded(request, db_reports.load, "report")
    files = []
    for file in stored.files:
        signed = await request.state["blobs"].signed_get(
            file.key, expires_s=REPORT_LINKS_LIVE_S, filename=None if file.name in SHOWN else file.name, content_type=file.content_type
        )
        url = f"/v1/sessions/{session}/report/files/{file.name}"
        files.append(FileView(file.name, file.size, file.content_type, url, blobs.here(request, signed)))
    return views.answer(ReportView(stored.data, files, f"/v1/sessions/{session}/report/files/{ARCHIVE}", REPORT_LINKS_LIVE_S))


async def report_file(request: Request) -> Response:
    """GET .../report/files/{name}, with ranges; all as a ZIP, made while it is sent. `?paper=letter` gives the PDF on US Letter."""
    name = request.path_params["name"]
    stored = await _loaded(request, db_reports.load, "report")
    if name == ARCHIVE:
        files = [file for file in stored.files if file.name not in SHOWN]
        headers = {"Content-Disposition": disposition(ARCHIVE), "Cache-Control": "private, no-store"}
        return StreamingResponse(zipped(request.state["blobs"], files), 200, headers, "application/zip")
    if name == PDF:
        name = PAPERS[bodies.one_of(request, "paper", "a4", tuple(PAPERS))]
    for file in stored.files:
        if file.name == name:
            filename = None if name in SHOWN else name
            return await blobs.serve(request, file.key, what=name, filename=filename, content_type=file.content_type)
    raise Refused("no-file", name=name[:80])


async def audio(request: Request) -> Response:
    """GET .../audio: the recording as every browser plays it, with ranges."""
    session, org = views.session_id(request), access.member(request).org
    await views.session(request, session)
    key = f"{org}/{session}/{PLAYABLE}"
    if await request.state["blobs"].stat(key) is None:
        raise Refused("not-yet", what="audio")
    return await blobs.serve(request, key, what=PLAYABLE, content_type="audio/mpeg")


async def _loaded(request: Request, load: Callable[[Tx, UUID], Awaitable[Any]], what: str) -> Any:
    """What `load` finds of the session. Raises Refused."""
    session = views.session_id(request)
    async with request.state["db"].tenant(access.member(request).org) as tx:
        found = await db_sessions.get(tx, session)
        if found is None or found.state == "deleting":
            raise Refused("no-session")
        stored = await load(tx, session)
    if stored is None:
        raise Refused("not-yet", what=what)
    return stored


BASE = "/v1/sessions/{session:uuid}"
routes = [
    Route("/v1/sessions", create, methods=["POST"]),
    Route("/v1/sessions", listed, methods=["GET"]),
    Route("/v1/rubrics", styles, methods=["GET"]),
    Route("/v1/progress", progress, methods=["GET"]),
    Route(BASE, shown, methods=["GET"]),
    Route(BASE, changed, methods=["PATCH"]),
    Route(BASE, deleted, methods=["DELETE"]),
    Route(f"{BASE}/process", process, methods=["POST"]),
    Route(f"{BASE}/cancel", cancel, methods=["POST"]),
    Route(f"{BASE}/retry", retry, methods=["POST"]),
    Route(f"{BASE}/steps/{{step}}/rerun", rerun, methods=["POST"]),
    Route(f"{BASE}/transcript", transcript, methods=["GET"]),
    *(Route(f"{BASE}/{table}", _document(table), methods=["GET"]) for table in get_args(db_documents.Table)),
    Route(f"{BASE}/report", report, methods=["GET"]),
    Route(f"{BASE}/report/files/{{name}}", report_file, methods=["GET"]),
    Route(f"{BASE}/audio", audio, methods=["GET"]),
]
