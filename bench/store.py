"""What a session costs the database, and what finding something costs.

    python -m bench.store [URL]      # prints a table, writes bench/results/store.json

A one-hour session: its seconds, minutes and words through the functions of db/, as the application, with its row security. Each beside
baselines of the same run: the same rows one by one, COPY by the owner into a table without row security or foreign keys, minutes added up
anew. URL is a superuser's login of a PostgreSQL with pgvector; without it one is started. Milliseconds are of this machine at this moment;
the ratios are the result.
"""

import asyncio
import platform
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import asyncpg
import numpy as np

from batch.export import save_frames
from bench.table import Row, keep, show
from db import series, sessions, transcripts
from db.pool import Database
from speech.analysis import Second
from speech.audio import HOP, Frames
from speech.words import Transcript, Word
from tests import databases
from tests.servers import trio

HOUR_S = 3600
WORDS = 9000  # 150 a minute
FRAMES = 100 * HOUR_S
REPEATS = 7

Action = Callable[[], Awaitable[object]]


async def timed(run: Action, repeats: int = REPEATS) -> tuple[float, float]:
    """Wall milliseconds, p50 and p95."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        await run()
        times.append(1000 * (time.perf_counter() - begin))
    return float(np.percentile(times, 50)), float(np.percentile(times, 95))


def hour() -> list[Second]:
    """An hour of seconds with the digits that measured ones have."""
    seed = np.random.default_rng(1)
    counts, times = seed.integers(0, 9, (HOUR_S, 3)), seed.random((HOUR_S, 4))
    return [
        Second(t, float(a), *map(int, some), *map(float, others), *map(float, heard))
        for t, (some, (a, *others), heard) in enumerate(zip(counts, times, seed.normal(100, 20, (HOUR_S, 3)), strict=True))
    ]


def spoken() -> Transcript:
    """An hour of words."""
    seed = np.random.default_rng(2)
    lengths = seed.integers(1, 12, WORDS)
    words = tuple(
        Word("speaking"[:n] + "s" * max(0, n - 8), 6400 * i, 6400 * i + 4000, float(seed.random())) for i, n in enumerate(lengths)
    )
    return Transcript(words, "en", 0.99)


async def session_cost(db: Database, owner: asyncpg.Connection) -> list[Row]:
    """Writing and reading a one-hour session."""
    org, seconds, transcript = uuid4(), hour(), spoken()
    async with db.tenant(org) as tx:
        await databases.plant_org(tx)
        session = (await sessions.create(tx, "an hour", "upload")).id
    start = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(days=1)

    async def put() -> None:
        async with db.tenant(org) as tx:
            await series.store(tx, session, start, seconds)

    async def get(resolution: series.Resolution, from_s: float, to_s: float | None) -> None:
        async with db.tenant(org) as tx:
            await series.read(tx, session, resolution, from_s, to_s)

    async def write() -> None:
        async with db.tenant(org) as tx:
            await transcripts.store(tx, session, transcript)

    async def read() -> None:
        async with db.tenant(org) as tx:
            await transcripts.load(tx, session)

    rows = [(org, session, start + timedelta(seconds=second.t_s), *astuple(second)) for second in seconds]
    spelt = [(org, session, False, i, w.text, w.start, w.end, w.probability, w.kind) for i, w in enumerate(transcript.words)]
    await owner.execute("create table plain_seconds (like ts.seconds including all); create table plain_words (like words including all)")

    async def put_singly() -> None:
        async with db.tenant(org) as tx:
            await series.store(tx, session, start, [])
            await tx.executemany(
                f"select ts.put_seconds($1, $2, false, array[$3::integer], array[$4::float8], "
                f"{', '.join(f'array[${n}::integer]' for n in range(5, 8))}, {', '.join(f'array[${n}::float8]' for n in range(8, 14))})",
                [(session, start, *astuple(second)) for second in seconds],
            )

    async def write_singly() -> None:
        async with db.tenant(org) as tx:
            await transcripts.store(tx, session, Transcript((), "en", 0.99))
            await tx.executemany("insert into words values ($1, $2, $3, $4, $5, $6, $7, $8, $9)", spelt)

    async def copied(table: str, values: Sequence[tuple[object, ...]]) -> None:
        async with owner.transaction():
            await owner.execute(f"truncate {table}")
            await owner.copy_records_to_table(table, records=values)

    async def added_up() -> None:
        await owner.fetch(
            """select date_bin('1 minute', ts, '2000-01-01'), min(t_s) / 60, count(*), sum(over_s), sum(words), sum(syllables),
                sum(fillers), sum(pause_s), sum(speech_s), sum(lost_s), avg(f0_median_hz), avg(f0_span_st), avg(level_dbfs)
            from plain_seconds where org_id = $1 and session_id = $2 group by 1""",
            org,
            session,
        )

    table: list[Row] = []

    async def compare(what: str, run: Action, baselines: dict[str, Action] | None = None, repeats: int = REPEATS) -> None:
        p50, p95 = await timed(run, repeats)
        table.append({"what": what, "p50 ms": p50, "p95 ms": p95, "ratio to it": None})
        for name, baseline in (baselines or {}).items():
            its_p50, its_p95 = await timed(baseline, REPEATS)
            table.append({"what": f"  {name}", "p50 ms": its_p50, "p95 ms": its_p95, "ratio to it": p50 / its_p50})

    await compare("3600 seconds, stored", put, {"one by one": put_singly, "COPY by the owner": lambda: copied("plain_seconds", rows)})
    await compare("60 seconds, read", lambda: get("second", 1800, 1860), repeats=50)
    await compare("3600 seconds, read", lambda: get("second", 0, None))
    await compare("60 minutes, read before the roll-up", lambda: get("minute", 0, None), {"added up anew": added_up})
    await compare("60 minutes, rolled up", lambda: series.maintain(db), repeats=1)
    await compare("60 minutes, read after the roll-up", lambda: get("minute", 0, None), {"added up anew": added_up})
    await compare("9000 words, stored", write, {"one by one": write_singly, "COPY by the owner": lambda: copied("plain_words", spelt)})
    await compare("9000 words, read", read)
    return table


async def sizes(owner: asyncpg.Connection) -> list[Row]:
    """What an hour takes, with its indexes; and what its 10 ms frames would take as rows, beside the blob that they are."""
    await owner.execute(
        "create table plain_frames (org_id uuid, session_id uuid, ts timestamptz, f0_hz real, level_dbfs real, state smallint)"
    )
    await owner.execute("alter table plain_frames add primary key (org_id, session_id, ts)")
    seed = np.random.default_rng(4)
    voiced = np.arange(FRAMES) % 50 < 30
    f0 = np.where(voiced, seed.normal(120, 20, FRAMES), np.nan).astype(np.float32)
    frames = Frames(0, HOP, f0, seed.normal(-30, 8, FRAMES).astype(np.float32), voiced.astype(np.int8))
    org, session, start = uuid4(), uuid4(), datetime(2026, 1, 1, tzinfo=UTC)
    fields = zip(frames.f0_hz, frames.level_dbfs, frames.state, strict=True)
    rows = [(org, session, start + timedelta(milliseconds=10 * i), *map(float, f), int(state)) for i, (*f, state) in enumerate(fields)]
    begin = time.perf_counter()
    await owner.copy_records_to_table("plain_frames", records=rows)
    as_rows_ms = 1000 * (time.perf_counter() - begin)
    with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
        begin = time.perf_counter()
        save_frames(frames, Path(file.name))
        as_blob_ms = 1000 * (time.perf_counter() - begin)
        blob_bytes = Path(file.name).stat().st_size

    async def kib(table: str) -> float:
        return float(await owner.fetchval("select pg_total_relation_size($1::regclass) / 1024.0", table))

    async def copied_kib(table: str, source: str) -> float:
        """Of the rows alone: the real table holds the dead ones of the repeats."""
        await owner.execute(f"create table {table} (like {source} including all); insert into {table} select * from {source}")
        return await kib(table)

    return [
        {"what": "3600 seconds", "KiB": await copied_kib("size_seconds", "ts.seconds"), "ms": None},
        {"what": "60 minutes", "KiB": await copied_kib("size_minutes", "ts.minutes"), "ms": None},
        {"what": "9000 words", "KiB": await copied_kib("size_words", "words"), "ms": None},
        {"what": "360,000 frames, as the blob they are", "KiB": blob_bytes / 1024, "ms": as_blob_ms},
        {"what": "360,000 frames, if they were rows", "KiB": await kib("plain_frames"), "ms": as_rows_ms},
    ]


async def measure(url: str) -> dict[str, list[Row]]:
    """All tables, in a database of its own."""
    async with Database.open(url) as db:
        owner = await asyncpg.connect(url)
        try:
            tables = {"a session of one hour": await session_cost(db, owner), "what it takes on disk": await sizes(owner)}
        finally:
            await owner.close()
    return tables


def main() -> None:
    """Measure, print and write bench/results/store.json."""
    with tempfile.TemporaryDirectory() as folder:
        if len(sys.argv) > 1:
            run(sys.argv[1])
        else:
            Path(folder).chmod(0o755)  # the engines run as somebody else
            with trio(Path(folder)) as servers:
                run(servers.database_url)


def run(server_url: str) -> None:
    """Measure on this server."""
    with databases.database(server_url) as url:
        version, level = asyncio.run(
            databases.fetch(url, "select current_setting('server_version'), level from schema_migrations limit 1")
        )[0]
        tables = asyncio.run(measure(url))
    for title, rows in tables.items():
        show(title, rows)
    keep("store", {"about": {"postgresql": version, "timescaledb": level, "machine": platform.machine()}, **tables})


if __name__ == "__main__":
    main()
