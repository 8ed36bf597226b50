"""What was said, found again."""

import asyncio
import re
from datetime import UTC, datetime
from uuid import UUID

from starlette.responses import Response
from starlette.routing import Route

from api import access, bodies, views
from api.asked import asked
from api.messages import FilterView, HitView, PieceView, SearchView
from api.problems import Refused
from api.state import Request
from db import search as db_search
from db.search import FILTERS, MARK_END, MARK_START, NOTHING, RELATIVE, Filter, Found, Usual, Wanted
from speech.audio import seconds

RESULTS, MOST_RESULTS = 10, 50
LONGEST_QUESTION = 300  # characters
LEAD_S = 0.5  # before a place that is played

TITLES: dict[Filter, str] = {
    "fast": "faster than usual",
    "slow": "slower than usual",
    "fillers": "with fillers",
    "monotone": "pitch flatter than usual",
    "pauses": "with a pause of a second or more",
    "loud": "louder than usual",
    "quiet": "quieter than usual",
}


async def search(request: Request) -> Response:
    """GET /v1/search?q=&fast=1&session=&since=&before=&limit=: a question in words, and how it was spoken."""
    question = request.query_params.get("q", "")
    if len(question) > LONGEST_QUESTION or "\x00" in question:
        expected = f"must be text of {LONGEST_QUESTION} characters at most"
        raise Refused("bad-parameter", name="q", value=question[:80], expected=expected)
    understood = asked(question)
    filters = tuple(name for name in FILTERS if name in understood.filters or bodies.one_of(request, name, "0", ("0", "1")) == "1")
    if not understood.topic and not filters:
        raise Refused("bad-parameter", name="q", value=question[:80], expected="must say what to look for")
    wanted = Wanted(understood.topic, filters, _session(request), _day(request, "since"), _day(request, "before"))
    limit = bodies.whole(request, "limit", RESULTS, 1, MOST_RESULTS)
    vectors = await asyncio.to_thread(request.state["embedder"], [understood.topic or question])
    async with request.state["db"].tenant(access.member(request).org) as tx:
        usual = await db_search.usual(tx) if RELATIVE.intersection(filters) else {}
        found = await db_search.search(tx, wanted, None if vectors is None else vectors[0], usual, limit)
    shown = [FilterView(name, TITLES[name]) for name in filters]
    hits = [_hit(one, filters, usual.get(one.speaker, NOTHING)) for one in found]
    return views.answer(SearchView(understood.topic, shown, vectors is not None, hits))


def _session(request: Request) -> UUID | None:
    value = request.query_params.get("session")
    if value is None:
        return None
    try:
        return UUID(value)
    except ValueError as error:
        raise Refused("bad-parameter", name="session", value=value[:80], expected="must be the id of a session") from error


def _day(request: Request, name: str) -> datetime | None:
    value = request.query_params.get(name)
    if value is None:
        return None
    try:
        return datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise Refused("bad-parameter", name=name, value=value[:80], expected="must be a day such as 2026-03-31") from error


def _hit(found: Found, filters: tuple[Filter, ...], usual: Usual) -> HitView:
    at_s = max(0.0, seconds(found.start) - LEAD_S)
    pieces = [
        PieceView(piece.strip(MARK_START + MARK_END), piece.startswith(MARK_START))
        for piece in re.split(f"({MARK_START}.*?{MARK_END})", found.text)
        if piece
    ]
    return HitView(
        session=found.session,
        title=found.title or found.filename or "",
        created_at=found.created_at,
        kind=found.kind,
        start_s=seconds(found.start),
        end_s=seconds(found.end),
        text=pieces,
        why=[sentence for name in filters if (sentence := _why(name, found, usual))],
        url=f"/sessions/{found.session}?at={at_s:.1f}",
    )


def _why(name: Filter, found: Found, usual: Usual) -> str:
    """What was measured there, and what is usual."""
    manner = found.manner
    values: dict[Filter, tuple[float | None, str, float | None]] = {
        "fast": (manner.rate_wpm, "{:.0f} words a minute", usual.rate_wpm),
        "slow": (manner.rate_wpm, "{:.0f} words a minute", usual.rate_wpm),
        "fillers": (manner.fillers, "{:.0f} filler" + ("" if manner.fillers == 1 else "s"), None),
        "monotone": (manner.f0_span_st, "{:.1f} semitones of pitch", usual.f0_span_st),
        "pauses": (manner.pause_s, "a pause of {:.1f} s", None),
        "loud": (manner.level_dbfs, "{:.0f} dBFS", usual.level_dbfs),
        "quiet": (manner.level_dbfs, "{:.0f} dBFS", usual.level_dbfs),
    }
    value, form, normal = values[name]
    if value is None:
        return ""
    said = form.format(value).replace("-", "−")
    return said if normal is None else f"{said}, usually {normal:.{1 if name == 'monotone' else 0}f}".replace("-", "−")


routes = [Route("/v1/search", search, methods=["GET"])]
