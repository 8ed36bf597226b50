"""The time series of a session: what was measured each second comes back, and its minutes add up at every moment."""

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from statistics import fmean
from typing import TYPE_CHECKING, Any, get_args
from uuid import UUID

import asyncpg
import pytest

from db import migrate, series, sessions
from db.errors import Gone
from db.migrate import Level
from db.pool import Database
from db.series import Row
from speech.analysis import Second
from tests import databases
from tests.test_db import session_of

if TYPE_CHECKING:
    from engines.embedded import Servers

NOW = datetime.now(UTC)
MEANS = {"f0_median_hz", "f0_span_st", "level_dbfs"}
MEASURES = [field.name for field in fields(Second) if field.name != "t_s"]


@pytest.fixture(scope="module")
def url(servers: "Servers") -> Iterator[str]:
    with databases.database(servers.database_url) as new:
        yield new


@pytest.fixture(scope="module")
def level(url: str) -> str:
    """Of TimescaleDB, on the tests' server."""
    return str(asyncio.run(databases.fetch(url, "select level from schema_migrations limit 1"))[0][0])


def planted(count: int, first: int = 0) -> list[Second]:
    """Numbers that no mean or sum of others gives by chance, and gaps: every third pitch is missing, and the words of the third minute."""
    return [
        Second(
            t,
            over_s=1 - t % 3 / 4,
            words=None if t // 60 == 2 else t % 7,
            syllables=t % 11,
            fillers=None if t // 60 == 2 else t % 2,
            pause_s=t % 5 / 13,
            speech_s=t % 4 / 4,
            lost_s=0.1 * (t % 9),
            f0_median_hz=None if t % 3 == 0 else 90 + t / 13,
            f0_span_st=t / 17,
            level_dbfs=-t / 19,
        )
        for t in range(first, first + count)
    ]


def as_stored(rows: Sequence[Row]) -> list[Second]:
    """The seconds that rows of one second each were made from."""
    return [Second(**{field.name: getattr(row, field.name) for field in fields(Second)}) for row in rows]


def minutes_of(seconds: Sequence[Second]) -> list[Row]:
    """What the minutes of these seconds are, said a second time."""
    made = []
    for minute in sorted({second.t_s // 60 for second in seconds}):
        inside = [second for second in seconds if second.t_s // 60 == minute]
        values: dict[str, Any] = {}
        for name in MEASURES:
            there = [value for second in inside if (value := getattr(second, name)) is not None]
            values[name] = None if not there else fmean(there) if name in MEANS else sum(there)
        said_s = values["over_s"] - values["pause_s"]
        made.append(
            Row(
                60 * minute,
                len(inside),
                **values,
                rate_wpm=None if values["words"] is None else 60 * values["words"] / values["over_s"],
                articulation_syl_s=values["syllables"] / said_s if said_s >= 0.3 else None,
                pause_share=values["pause_s"] / values["over_s"],
            )
        )
    return rounded(made)


def rounded(rows: Sequence[Row]) -> list[Row]:
    """To a billionth: sums come in another order."""
    values: list[dict[str, Any]] = [{field.name: getattr(row, field.name) for field in fields(Row)} for row in rows]
    shorter: list[dict[str, Any]] = [{name: round(v, 9) if isinstance(v, float) else v for name, v in row.items()} for row in values]
    return [Row(**row) for row in shorter]


async def settle(url: str, db: Database, level: str) -> None:
    """Rolls up what there is to roll up, however this server does it."""
    if level == "full":
        await databases.execute(url, "call refresh_continuous_aggregate('ts.minutes', null, null)")
    else:
        while await series.maintain(db):
            pass


async def until_somebody_waits(url: str, task: asyncio.Task[None]) -> None:
    """For a lock in this database; the task is not done before."""
    waiting = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    while not await databases.fetch(url, waiting):
        assert not task.done()


async def minutes(db: Database, org: UUID, session: UUID) -> list[Row]:
    async with db.tenant(org) as tx:
        return rounded(await series.read(tx, session, "minute"))


@pytest.mark.parametrize("level", get_args(Level))
def test_every_level_has_the_same_names(level: Level) -> None:
    names = re.findall(
        r"^create (?:materialized )?(?:table|view|function|trigger) (ts\.\w+)", "\n".join(m.sql for m in migrate.known(level)), re.M
    )
    common = {
        "seconds",
        "minutes",
        "metric_second",
        "metric_minute",
        "make_room",
        "mark",
        "forget_minutes",
        "roll_up",
        "forget",
        "put_seconds",
        "maintain",
    }
    assert set(names) - {"ts.dirty", "ts.dirty_minutes"} == {f"ts.{name}" for name in common}
    assert len(names) == len(set(names))


def test_seconds_come_back_exactly_and_by_range(url: str) -> None:
    seconds = planted(150)

    async def scenario(db: Database) -> None:
        org, id = await session_of(db)
        async with db.tenant(org) as tx:
            assert await series.read(tx, id, "second") == []
            assert await series.store(tx, id, NOW, seconds) == 150
            assert as_stored(await series.read(tx, id, "second")) == seconds
            began = await tx.fetchval("select ts from ts.metric_second where session_id = $1 and t_s = 0", id)
            assert began == NOW.replace(second=0, microsecond=0)  # minutes of the session are minutes of the clock
            assert as_stored(await series.read(tx, id, "second", 10, 12.5)) == seconds[10:13]
            assert as_stored(await series.read(tx, id, "second", 149)) == seconds[149:]
            assert await series.read(tx, id, "second", 150, 1000) == []
            assert rounded(await series.read(tx, id, "minute", 60, 120)) == rounded(minutes_of(seconds))[1:2]

    databases.run(url, scenario)


def test_minutes_are_right_before_and_after_they_are_rolled_up(url: str, level: str) -> None:
    """Of a session of last year, that is measured in two batches, one of them twice, and again as a whole."""
    seconds, fewer = planted(200), planted(70, first=3)

    async def scenario(db: Database) -> list[list[Row]]:
        org, id = await session_of(db)
        seen = []
        batches: list[tuple[list[Second], bool]] = [(seconds[:90], False), (seconds[80:], False), (seconds[80:], False), (fewer, True)]
        for batch, again in batches:
            async with db.tenant(org) as tx:
                await series.store(tx, id, NOW - timedelta(days=400), batch, replace=again)
            if level != "full":
                seen.append(await minutes(db, org, id))
            await settle(url, db, level)
            seen.append(await minutes(db, org, id))
        return seen

    first, whole, last = (rounded(minutes_of(part)) for part in (seconds[:90], seconds, fewer))
    each = 1 if level == "full" else 2
    assert databases.run(url, scenario) == [first] * each + [whole] * 2 * each + [last] * each


def test_seconds_that_were_not_committed_when_minutes_were_rolled_up_are_not_lost(url: str, level: str) -> None:
    early, late = planted(30), planted(30, first=30)

    async def scenario(db: Database) -> list[list[Row]]:
        org, id = await session_of(db)
        began = NOW - timedelta(hours=3)
        async with db.tenant(org) as tx:
            await series.store(tx, id, began, early)
        seen = []
        async with db.tenant(org) as tx:
            await series.store(tx, id, began, late, replace=False)
            await settle(url, db, level)
            seen.append(await minutes(db, org, id))
        if level != "full":
            seen.append(await minutes(db, org, id))
        await settle(url, db, level)
        seen.append(await minutes(db, org, id))
        return seen

    before, after = rounded(minutes_of(early)), rounded(minutes_of(early + late))
    assert databases.run(url, scenario) == [before, *[after] * (1 if level == "full" else 2)]


def test_what_is_rolled_up_is_read_from_rows_and_not_marked_any_more(url: str, level: str) -> None:
    if level == "full":
        pytest.skip("TimescaleDB keeps the minutes")

    async def scenario(db: Database) -> UUID:
        org, id = await session_of(db)
        async with db.tenant(org) as tx:
            await series.store(tx, id, NOW - timedelta(hours=3), planted(130))
        await settle(url, db, level)
        return id

    id = databases.run(url, scenario)
    rows = asyncio.run(databases.fetch(url, "select minute, seconds from ts.minutes where session_id = $1 order by 1", id))
    assert rows == [(0, 60), (1, 60), (2, 10)]
    assert asyncio.run(databases.fetch(url, "select count(*) from ts.dirty where session_id = $1", id)) == [(0,)]


def test_whoever_takes_a_session_away_waits_for_the_roll_up_and_leaves_nothing(url: str, level: str) -> None:
    """The roll-up has read the minutes, and has not committed, when their session is deleted."""
    if level == "full":
        pytest.skip("TimescaleDB keeps the minutes")

    async def scenario(db: Database) -> None:
        org, id = await session_of(db)
        async with db.tenant(org) as tx:
            await series.store(tx, id, NOW - timedelta(hours=3), planted(130))

        async def delete() -> None:
            async with db.tenant(org) as tx:
                await sessions.delete(tx, id)

        async with db.relay() as tx:
            assert await tx.fetchval("select ts.maintain()")
            deletion = asyncio.create_task(delete())
            await until_somebody_waits(url, deletion)
        await deletion
        assert await databases.fetch(url, "select from ts.minutes where session_id = $1", id) == []

    databases.run(url, scenario)


def test_two_that_measure_one_session_do_not_mix(url: str) -> None:
    """The second begins before the first has committed, and has the last word."""
    one, other = planted(100), [replace(second, words=1) for second in planted(80)]

    async def scenario(db: Database) -> list[Second]:
        org, id = await session_of(db)

        async def measure_too() -> None:
            async with db.tenant(org) as tx:
                await series.store(tx, id, NOW, other)

        async with db.tenant(org) as tx:
            await series.store(tx, id, NOW, one)
            second = asyncio.create_task(measure_too())
            await until_somebody_waits(url, second)
        await second
        async with db.tenant(org) as tx:
            return as_stored(await series.read(tx, id, "second"))

    assert databases.run(url, scenario) == other


def test_old_weeks_are_made_when_they_are_needed_by_many_at_once(url: str, level: str) -> None:
    """A session that runs over the end of its week, stored by four at once, each with its own."""
    sunday = datetime(2019, 6, 2, 23, 59, tzinfo=UTC)

    async def scenario(db: Database) -> list[list[Second]]:
        ours = [await session_of(db) for _ in range(4)]

        async def measure(org: UUID, id: UUID) -> list[Second]:
            async with db.tenant(org) as tx:
                await series.store(tx, id, sunday, planted(120))
            async with db.tenant(org) as tx:
                return as_stored(await series.read(tx, id, "second"))

        return await asyncio.gather(*(measure(*one) for one in ours))

    assert databases.run(url, scenario) == [planted(120)] * 4
    if level == "none":
        weeks = "select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'ts.seconds'::regclass"
        made = {row[0] for row in asyncio.run(databases.fetch(url, weeks))}
        assert {"seconds_20190527", "seconds_20190603"} <= made


def test_a_range_opens_only_its_week(url: str, level: str) -> None:
    if level != "none":
        pytest.skip("TimescaleDB's own chunks")

    async def plan(db: Database) -> str:
        org, id = await session_of(db)
        async with db.tenant(org) as tx:
            await series.store(tx, id, NOW, planted(60))
            rows = await tx.fetch(
                "explain (analyze) select * from ts.metric_second where session_id = $1 and ts >= $2 and ts < $2 + interval '1 minute'",
                id,
                NOW.replace(second=0, microsecond=0),
            )
        return "\n".join(row[0] for row in rows)

    text = databases.run(url, plan)
    assert len(set(re.findall(r"on (seconds_\d+)", text))) == 1
    assert "Seq Scan" not in text


def test_a_session_that_is_none_or_has_no_beginning_is_refused(url: str) -> None:
    async def scenario(db: Database) -> None:
        org, id = await session_of(db)
        stranger, _ = await session_of(db)
        with pytest.raises(Gone):
            async with db.tenant(stranger) as tx:
                await series.store(tx, id, NOW, planted(3))
        with pytest.raises(asyncpg.CheckViolationError):
            async with db.tenant(org) as tx:
                await series.store(tx, id, NOW, [replace(planted(1)[0], t_s=-1)])
        async with db.tenant(org) as tx:
            assert await series.store(tx, id, NOW, []) == 0
            assert await series.store(tx, id, NOW, planted(3)) == 3
            assert await series.store(tx, id, NOW, []) == 0  # nothing, in place of what was there
            assert await series.read(tx, id, "second") == []

    databases.run(url, scenario)
