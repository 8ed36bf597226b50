"""How a session sounded over time, by the second and by the minute. Where rows lie is told in migrations/0004_metrics.sql."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from db.pool import Database, Tx
from speech.analysis import Second

Resolution = Literal["second", "minute"]


@dataclass(frozen=True, slots=True)
class Row:
    """A second or a minute of a session: the sums of its seconds (speech.seconds.Second), means of pitch and level, and the rates that
    follow. None where there was nothing to measure."""

    t_s: int  # where it begins, since the session began
    seconds: int  # it stands on
    over_s: float
    words: int | None
    syllables: int
    fillers: int | None
    pause_s: float
    speech_s: float
    lost_s: float
    f0_median_hz: float | None  # of a minute the mean of the seconds' medians
    f0_span_st: float | None
    level_dbfs: float | None  # of a minute the mean of the decibels
    rate_wpm: float | None
    articulation_syl_s: float | None
    pause_share: float | None  # 0..1


_SECOND = tuple(field.name for field in fields(Second))
_SUMS = ", ".join(name for name in _SECOND if name != "t_s")
_COLUMNS = {"second": f"t_s, 1 as seconds, {_SUMS}", "minute": f"60 * minute as t_s, seconds, {_SUMS}"}
_LEAST_SPOKEN_S = 0.3  # of time without pause, for a rate of articulation


async def store(tx: Tx, session: UUID, started_at: datetime, seconds: Sequence[Second], replace: bool = True) -> int:
    """Keeps the seconds of a session that began at `started_at` (its creation); how many. With `replace` in place of all earlier ones,
    else beside them, where a second that is there already stays as it is."""
    columns = [[getattr(second, name) for second in seconds] for name in _SECOND]
    stored = await tx.fetchval(
        "select ts.put_seconds($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)", session, started_at, replace, *columns
    )
    return int(stored)


async def read(tx: Tx, session: UUID, resolution: Resolution, from_s: float = 0, to_s: float | None = None) -> list[Row]:
    """The seconds or minutes that begin in [from_s, to_s) of the session, in order. to_s None: to the end."""
    where = await tx.fetchrow("select start, last_s from series where session_id = $1", session)
    if where is None:
        return []
    end_s = where["last_s"] + 1 if to_s is None else min(to_s, where["last_s"] + 1)
    rows = await tx.fetch(  # between two times, so that only their partitions are opened
        f"select {_COLUMNS[resolution]} from ts.metric_{resolution} where session_id = $1 and ts >= $2 and ts < $3 order by ts",
        session,
        where["start"] + timedelta(seconds=min(max(from_s, 0), where["last_s"] + 1)),
        where["start"] + timedelta(seconds=max(end_s, 0)),
    )
    return [_row(row) for row in rows]


def _row(row: Mapping[str, Any]) -> Row:
    over_s, spoken_s = row["over_s"], row["over_s"] - row["pause_s"]
    return Row(
        **row,
        rate_wpm=60.0 * row["words"] / over_s if row["words"] is not None and over_s > 0.0 else None,
        articulation_syl_s=row["syllables"] / spoken_s if spoken_s >= _LEAST_SPOKEN_S else None,
        pause_share=row["pause_s"] / over_s if over_s > 0.0 else None,
    )


async def maintain(db: Database) -> int:
    """Makes room for the weeks to come and rolls minutes up; how many. To be called about once a minute by any process; two at once do
    no harm. On full TimescaleDB the server does it alone, and this does nothing."""
    async with db.relay() as tx:
        return int(await tx.fetchval("select ts.maintain()"))
