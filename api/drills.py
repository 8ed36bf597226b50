"""Drills: what can be practised, what is due, attempts and what they came to."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from starlette.responses import Response
from starlette.routing import Route

from api import access, blobs, bodies, views
from api.messages import AttemptView, DrillList, DrillView, EvidenceView, NewAttempt, Noted, PlannedView, PlanView, RuleView
from api.problems import Refused
from api.state import Request
from config.drills import Drill, drills
from config.passages import LEVELS, Kind, contrasts, passages
from config.rubrics import DEFAULT, rubrics
from db import drills as db_drills
from db import sessions as db_sessions
from db.drills import Attempt, Planned
from db.pool import Tx
from engines import speaking
from engines.live_log import MOST_AT_ONCE, LiveLog
from engines.speaking import SpeakingFailed

SLOWEST_WPM, FASTEST_WPM = 100.0, 190.0  # of the phrase clock, where the style's rubric says nothing
MODEL = "model.wav"  # the synthesised phrase, among the files of the session
OVER: frozenset[str] = frozenset({"processing", "complete", "failed", "cancelled"})


def _drill(request: Request) -> Drill:
    found = drills().get(request.path_params["drill"])
    if found is None:
        raise Refused("no-drill", name=request.path_params["drill"][:80])
    return found


def _today() -> date:
    return datetime.now().astimezone().date()


# what there is


async def listed(request: Request) -> Response:
    """GET /v1/drills."""
    member = access.member(request)
    async with request.state["db"].tenant(member.org) as tx:
        planned = {one.drill: one for one in await db_drills.plan(tx, member.user)}
        found = [(drill, await db_drills.material(tx, member.user, drill.id)) for drill in drills().values()]
        usual = await db_drills.usual(tx, member.user)
    return views.answer(DrillList([_view(drill, planned.get(drill.id), proposal, usual, whole=False) for drill, proposal in found]))


async def shown(request: Request) -> Response:
    """GET /v1/drills/{drill}?session=: with the material of that session, or of the newest that has some."""
    drill, member = _drill(request), access.member(request)
    source = _session(request)
    async with request.state["db"].tenant(member.org) as tx:
        planned = {one.drill: one for one in await db_drills.plan(tx, member.user)}
        proposal = await db_drills.material(tx, member.user, drill.id, source)
        usual = await db_drills.usual(tx, member.user)
    return views.answer(_view(drill, planned.get(drill.id), proposal, usual, whole=True))


async def plan(request: Request) -> Response:
    """GET /v1/plan."""
    member = access.member(request)
    async with request.state["db"].tenant(member.org) as tx:
        found = await db_drills.plan(tx, member.user)
    return views.answer(PlanView(_today(), [one for each in found if (one := _planned(each)) is not None]))


def _session(request: Request) -> UUID | None:
    given = request.query_params.get("session")
    try:
        return None if given is None else UUID(given)
    except ValueError as error:
        raise Refused("bad-parameter", name="session", value=given, expected="must be the id of a session") from error


def _planned(found: Planned | None) -> PlannedView | None:
    if found is None or found.drill not in drills():
        return None
    today = _today()
    state: Literal["overdue", "due", "later"] = "overdue" if found.due_on < today else "due" if found.due_on == today else "later"
    return PlannedView(found.drill, drills()[found.drill].title, found.passes, found.due_on, state)


def _view(
    drill: Drill, planned: Planned | None, proposal: tuple[UUID, Mapping[str, Any]] | None, usual: Mapping[str, float], *, whole: bool
) -> DrillView:
    material: dict[str, Any] | None = dict(proposal[1]["material"]) if proposal is not None else None
    rules = _rules(drill, {"own": usual} if material is None else material)
    if material is not None and "phrases" in material:  # their tunes are for us
        material["phrases"] = [{name: one[name] for name in ("start_s", "end_s", "text")} for one in material["phrases"]]
    if drill.speaks == "pairs" and material is not None:
        material["pairs"] = contrasts()[material["contrast"]].pairs if material["contrast"] in contrasts() else []
    return DrillView(
        drill.id,
        drill.title,
        drill.dimensions,
        drill.goal,
        drill.steps,
        drill.watch,
        drill.speaks,
        drill.least_s,
        drill.usual_s,
        drill.most_s,
        drill.measured,
        [RuleView(**rule) for rule in rules],
        EvidenceView(drill.evidence.grade, drill.evidence.says, drill.evidence.source),
        _planned(planned),
        None if proposal is None else proposal[1]["why"],
        None if proposal is None else proposal[0],
        material if whole else None,
        len(speaking.VOICES) if speaking.program() else 0,
    )


def _rules(drill: Drill, material: Mapping[str, Any]) -> list[dict[str, Any]]:
    own = material["own"]
    out = []
    for rule in drill.rules:
        low, high = rule.limits(own.get(rule.measure))
        out.append({"measure": rule.measure, "title": rule.title, "low": low, "high": high})
    return out


# attempts


async def begin(request: Request) -> Response:
    """POST /v1/drills/{drill}/attempts: a session to be spoken in, on something not spoken before."""
    drill, member = _drill(request), access.member(request)
    wanted, _ = await bodies.json_body(request, NewAttempt, optional=True)
    async with request.state["db"].tenant(member.org) as tx:
        proposal = await db_drills.material(tx, member.user, drill.id, wanted.source)
        seen = [one.given["text_id"] for one in await db_drills.recent(tx, member.user, drill.id)]
        style = await _style(tx, proposal)
        material = proposal[1]["material"] if proposal is not None else {"own": await db_drills.usual(tx, member.user)}
    source = proposal[0] if proposal is not None else None
    given, sound = await _given(drill, wanted, material, source, seen)
    if drill.watch == "clock":
        given["pace_wpm"] = _target_wpm(style, material["own"].get("speech_rate_wpm"))
    given |= {
        "least_s": drill.least_s,
        "seconds": max(drill.least_s, min(wanted.seconds or drill.most_s, drill.most_s)),
        "reads": drill.speaks != "topic",
        "rules": _rules(drill, material),
        "source": None if source is None else str(source),
    }
    async with request.state["db"].tenant(member.org) as tx:
        session = await db_sessions.create(tx, f"Drill: {drill.title}", "live", "en", style, user=member.user)
        await db_drills.begin(tx, session.id, member.user, drill.id, given)
    if sound is not None:
        await request.state["blobs"].put(f"{member.org}/{session.id}/{MODEL}", sound, content_type="audio/wav")
    return await _attempt_view(request, session.id, 201)


async def attempt(request: Request) -> Response:
    """GET /v1/sessions/{id}/drill: what was to be spoken, and what it came to."""
    return await _attempt_view(request, views.session_id(request))


async def noted(request: Request) -> Response:
    """POST /v1/sessions/{id}/drill: what the page saw, in place of what it said before."""
    session = views.session_id(request)
    notes, _ = await bodies.json_body(request, Noted)
    async with request.state["db"].tenant(access.member(request).org) as tx:
        if await db_drills.get(tx, session) is None:
            raise Refused("no-attempt")
        given = {"plays_s": notes.plays_s, "identified": notes.identified, "heard": notes.heard}
        if not await db_drills.note(tx, session, given):
            raise Refused("wrong-state", state="settled", what="noted", instead="Its result stands.")
    return await _attempt_view(request, session)


async def _style(tx: Tx, proposal: tuple[UUID, Mapping[str, Any]] | None) -> str:
    found = await db_sessions.get(tx, proposal[0]) if proposal is not None else None
    return found.style if found is not None and found.style in rubrics() else DEFAULT


async def _given(
    drill: Drill, wanted: NewAttempt, material: Mapping[str, Any], source: UUID | None, seen: Sequence[str]
) -> tuple[dict[str, Any], bytes | None]:
    """What is to be spoken, and the sound of a phrase where that is synthesised. Raises Refused."""
    if drill.speaks == "phrase":
        phrases = material.get("phrases", [])
        named = {f"{source}:{one['start_s']}": one for one in phrases}
        fresh = next((id for id in named if id not in seen), None)
        if fresh is not None:
            one = named[fresh]
            phrase = {"url": f"/v1/sessions/{source}/audio", "start_s": one["start_s"], "end_s": one["end_s"]}
            return {"text_id": fresh, "text": one["text"], "model": {"st": one["st"], "db": one["db"]}, "phrase": phrase}, None
        return await _synthesised(wanted, seen)
    kind: Kind = drill.speaks
    text_id, text = passages().unseen(kind, wanted.level, seen, material.get("contrast"))
    given: dict[str, Any] = {"text_id": text_id, "text": text}
    if kind == "pairs":
        from recognition import lexicon

        targets = {word.strip("*.").casefold() for word in text.split() if word.startswith("*")}
        given["accepted"] = await asyncio.to_thread(lexicon.homophones, targets)
    return given, None


async def _synthesised(wanted: NewAttempt, seen: Sequence[str]) -> tuple[dict[str, Any], bytes]:
    import numpy as np

    if speaking.program() is None:
        raise Refused("no-phrase")
    far = sorted(passages().sentences, key=lambda one: abs(LEVELS.index(one.level) - LEVELS.index(wanted.level)))
    known = [(f"{one.id}:{i}", sentence) for one in far for i, sentence in enumerate(one.text.replace("*", "").split(". "))]
    text_id, text = min(known, key=lambda each: seen.index(each[0]) * -1 if each[0] in seen else -len(seen) - 1)
    text = text.rstrip(".") + "."
    sound = await speaking.speak(text)
    from stream_pipeline.phrase import tune

    found = await asyncio.to_thread(tune, sound)
    model = {
        "st": [None if np.isnan(st) else round(float(st), 1) for st in found.st],
        "db": [round(float(db), 1) for db in found.db],
    }
    return {"text_id": text_id, "text": text, "model": model, "phrase": {"url": None, "start_s": 0.0, "end_s": None}}, sound


def _target_wpm(style: str, own_wpm: float | None) -> float:
    """The speaker's own pace, moved into what scores best in this style."""
    terms = [term for dimension in rubrics()[style].dimensions for term in dimension.terms if term.measure == "speech_rate_wpm"]
    best = [value for value, score in terms[0].points if score == 100.0] if terms else [SLOWEST_WPM, FASTEST_WPM]
    return round(min(max(own_wpm or sum(best) / len(best), best[0]), best[-1]))


async def _attempt_view(request: Request, session: UUID, status: int = 200) -> Response:
    member = access.member(request)
    async with request.state["db"].tenant(member.org) as tx:
        found, whole = await db_drills.get(tx, session), await db_sessions.get(tx, session)
    if found is None or whole is None or whole.state == "deleting":
        raise Refused("no-attempt")
    live = found.live
    if live is None and found.settled is None and whole.state in OVER:
        live = await _judged(request.state["live_log"], found)
        if live is not None:
            async with request.state["db"].tenant(member.org) as tx:
                await db_drills.judged_live(tx, session, live)
    async with request.state["db"].tenant(member.org) as tx:
        planned = {one.drill: one for one in await db_drills.plan(tx, member.user)}
    drill, given = drills()[found.drill], found.given
    phrase = given.get("phrase")
    if phrase is not None and phrase["url"] is None:
        phrase = {**phrase, "url": f"/v1/sessions/{session}/drill/{MODEL}"}
    view = AttemptView(
        session,
        found.drill,
        drill.title,
        drill.goal,
        drill.watch,
        whole.state,
        given["text"],
        given["reads"],
        drill.usual_s,
        given["seconds"],
        given.get("pace_wpm"),
        next((rule["low"] for rule in given["rules"] if rule["measure"] == "f0_sd_st"), None),
        phrase,
        [RuleView(**rule) for rule in given["rules"]],
        live,
        found.settled,
        _planned(planned.get(found.drill)),
    )
    return views.answer(view, status, {"Location": f"/v1/sessions/{session}/drill"} if status == 201 else None)


async def _judged(live_log: LiveLog, found: Attempt) -> dict[str, Any] | None:
    """The result from what was told live; None where that is gone."""
    events, after = [], 0
    while page := await live_log.read(found.session, after):
        events += [(event.stream, event.data) for event in page]
        after = page[-1].seq
        if len(page) < MOST_AT_ONCE:
            break
    return await asyncio.to_thread(_judge, found, events)


def _judge(found: Attempt, events: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, Any] | None:
    from speech.drills import measured, verdict
    from speech.measures import measures
    from stream_pipeline.told import told

    if not any(stream == "metrics" for stream, _ in events):
        return None
    spoken = told(events)
    values = {**measures(spoken), **measured(found.task, spoken)}
    return db_drills.document(verdict(found.limits, values, found.task, spoken))


# sounds


async def model(request: Request) -> Response:
    """GET /v1/sessions/{id}/drill/model.wav: the synthesised phrase of an attempt."""
    key = f"{access.member(request).org}/{views.session_id(request)}/{MODEL}"
    return await blobs.serve(request, key, what=MODEL, content_type="audio/wav")


async def word(request: Request) -> Response:
    """GET /v1/drills/minimal-pairs/words/{word}?voice=: a word of a pair in one of the synthesised voices."""
    wanted = request.path_params["word"]
    if not any(wanted in pair for one in contrasts().values() for pair in one.pairs):
        raise Refused("no-file", name=wanted[:80])
    voice = bodies.whole(request, "voice", 0, 0, len(speaking.VOICES) - 1)
    try:
        sound = await speaking.speak(wanted, speaking.VOICES[voice])
    except SpeakingFailed as error:
        raise Refused("no-voice", reason=str(error)) from error
    return Response(sound, 200, {"Cache-Control": "private, max-age=86400"}, "audio/wav")


routes = [
    Route("/v1/drills", listed, methods=["GET"]),
    Route("/v1/drills/{drill}", shown, methods=["GET"]),
    Route("/v1/drills/{drill}/attempts", begin, methods=["POST"]),
    Route("/v1/drills/minimal-pairs/words/{word}", word, methods=["GET"]),
    Route("/v1/plan", plan, methods=["GET"]),
    Route("/v1/sessions/{session:uuid}/drill", attempt, methods=["GET"]),
    Route("/v1/sessions/{session:uuid}/drill", noted, methods=["POST"]),
    Route(f"/v1/sessions/{{session:uuid}}/drill/{MODEL}", model, methods=["GET"]),
]
