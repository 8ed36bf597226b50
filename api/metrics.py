"""Numbers over time: per second and minute from the store, and the 10 ms frames from their blob."""

import asyncio
import math
from dataclasses import asdict
from typing import Literal, cast, get_args

from starlette.responses import Response
from starlette.routing import Route

from api import access, bodies, views
from api.messages import Frames, MetricsView
from api.problems import Refused
from api.state import Request
from db import series as db_series
from db import sessions as db_sessions
from speech.audio import HOP, RATE_HZ

LONGEST_RAW_S = 600.0  # 60,000 frames of 3 columns: 2 MB of JSON
LONGEST_S = 86_400.0
FRAMES = "frames.parquet"
Resolution = Literal["second", "minute", "raw"]


async def metrics(request: Request) -> Response:
    """GET .../metrics?resolution=second|minute|raw&from_s=&to_s=: values with null where there is none."""
    resolution = cast(Resolution, bodies.one_of(request, "resolution", "second", get_args(Resolution)))
    from_s = bodies.seconds(request, "from_s", 0.0)
    to_s = bodies.seconds(request, "to_s", from_s + (LONGEST_RAW_S if resolution == "raw" else LONGEST_S))
    most_s = LONGEST_RAW_S if resolution == "raw" else LONGEST_S
    if not from_s < to_s <= from_s + most_s:
        expected = f"must be later than from_s, by {most_s:.0f} s at most"
        raise Refused("bad-parameter", name="to_s", value=f"{to_s:g}", expected=expected)
    session, org = views.session_id(request), access.member(request).org
    async with request.state["db"].tenant(org) as tx:
        found = await db_sessions.get(tx, session)
        if found is None or found.state == "deleting":
            raise Refused("no-session")
        if resolution != "raw":
            rows = await db_series.read(tx, session, resolution, from_s, to_s)
            return views.answer(MetricsView(resolution, from_s, to_s, rows=[asdict(row) for row in rows]))
    blobs, key = request.state["blobs"], f"{org}/{session}/{FRAMES}"
    if await blobs.stat(key) is None:
        raise Refused("not-yet", what="frames")
    content = await blobs.read(key)  # some 3 bytes a frame: 1 MB an hour
    return views.answer(MetricsView("raw", from_s, to_s, frames=await asyncio.to_thread(frames, content, from_s, to_s)))


def frames(parquet: bytes, from_s: float, to_s: float) -> Frames:
    """The frames whose centre is in [from_s, to_s), a column each."""
    import pyarrow as pa  # a third of a second to load: not before someone looks at frames
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with pa.BufferReader(parquet) as source:
        table = pq.read_table(source)
    at = table["t_s"]
    table = table.filter(pc.and_(pc.greater_equal(at, from_s), pc.less(at, to_s)))
    columns = {
        name: [None if isinstance(value, float) and math.isnan(value) else _short(value) for value in table[name].to_pylist()]
        for name in table.column_names
        if name != "t_s"
    }
    hop_s = HOP / RATE_HZ
    start_s = table["t_s"][0].as_py() - hop_s / 2 if table.num_rows else from_s
    return Frames(round(start_s, 4), hop_s, columns)


def _short(value: float | str) -> float | str:
    return round(value, 2) if isinstance(value, float) else value


routes = [Route("/v1/sessions/{session:uuid}/metrics", metrics, methods=["GET"])]
