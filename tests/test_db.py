"""The store on a real PostgreSQL: migrations, transactions of one org, and what each module keeps."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, get_args
from urllib.parse import parse_qs, urlsplit, urlunsplit
from uuid import UUID, uuid4

import asyncpg
import pytest

from db import audit, documents, idempotency, media, migrate, orgs, outbox, pool, reports, sessions, steps, transcripts
from db.errors import Gone, KeyReused, StillAnswering, StoreBusy, StoreDown, StoreError
from db.idempotency import Answer
from db.migrate import Level
from db.pool import Database
from db.reports import Report, ReportFile
from db.sessions import Cursor
from speech.words import Transcript, Word
from tests import databases

if TYPE_CHECKING:
    from engines.embedded import Servers


DEAD_MS = 10_000  # how long to wait for a connection's process to end


@pytest.fixture(scope="module")
def url(servers: "Servers") -> Iterator[str]:
    with databases.database(servers.database_url) as new:
        yield new


async def org_of(db: Database) -> UUID:
    """A new org."""
    org = uuid4()
    async with db.tenant(org) as tx:
        await databases.plant_org(tx)
    return org


async def session_of(db: Database) -> tuple[UUID, UUID]:
    """A new org, and a session of it."""
    org = await org_of(db)
    async with db.tenant(org) as tx:
        return org, (await sessions.create(tx, "planted", "upload")).id


# migrations


@pytest.mark.parametrize("level", get_args(Level))
def test_migrations_are_numbered_without_a_gap_on_every_level(level: Level) -> None:
    assert [migration.number for migration in migrate.known(level)] == list(range(1, len(migrate.known(level)) + 1))


@pytest.mark.parametrize(
    ("version", "licence", "level"),
    [
        (None, None, "none"),
        (None, "timescale", "none"),
        ("2.29.2", "timescale", "full"),
        ("2.18.0", "timescale", "full"),
        ("2.17.2", "timescale", "none"),  # no columnstore by that name
        ("2.19.3", "apache", "apache"),  # Debian's
        ("2.31.0+dfsg", "apache", "apache"),
        ("3.0.0-beta1", "timescale", "full"),
        ("2.29.2", None, "none"),
        ("2.29.2", "unheard-of", "none"),
    ],
)
def test_the_level_follows_from_the_extension_and_its_licence(version: str | None, licence: str | None, level: Level) -> None:
    assert migrate.level_of(version, licence) == level


def test_servers_that_start_together_migrate_once(servers: "Servers") -> None:
    async def together(url: str) -> tuple[list[list[str]], list[str]]:
        return await asyncio.gather(*(migrate.migrate(url) for _ in range(3))), await migrate.pending(url)

    with databases.empty_database(servers.database_url) as url:
        wanted = asyncio.run(migrate.pending(url))
        done, left = asyncio.run(together(url))
    assert sorted(done) == [[], [], wanted]
    assert left == []
    assert wanted[0] == "0001_base.sql"


def test_a_changed_file_and_a_newer_database_are_refused(servers: "Servers") -> None:
    with databases.database(servers.database_url) as url:
        asyncio.run(databases.execute(url, "update schema_migrations set checksum = repeat('0', 64) where number = 1"))
        for look in (migrate.pending, migrate.migrate):
            with pytest.raises(StoreError, match=r"0001_base\.sql was changed"):
                asyncio.run(look(url))
    with databases.database(servers.database_url) as url:
        asyncio.run(databases.execute(url, "insert into schema_migrations values (9999, '9999_future.sql', '', 'none')"))
        with pytest.raises(StoreError, match=r"newer.*9999_future\.sql"):
            asyncio.run(migrate.migrate(url))


def test_a_migration_that_fails_leaves_nothing_and_can_be_repeated(servers: "Servers") -> None:
    with databases.empty_database(servers.database_url) as url:
        asyncio.run(databases.execute(url, "create table series ()"))
        with pytest.raises(StoreError, match=r"0004_metrics\.sql cannot be applied"):
            asyncio.run(migrate.migrate(url))
        assert asyncio.run(databases.fetch(url, "select to_regproc('ts.forget') is null, max(number) from schema_migrations")) == [
            (True, 3)
        ]
        asyncio.run(databases.execute(url, "drop table series"))
        assert asyncio.run(migrate.migrate(url))[0] == "0004_metrics.sql"


def test_a_migration_and_the_note_of_it_are_one(servers: "Servers") -> None:
    with databases.empty_database(servers.database_url) as url:
        columns = (
            "number integer primary key check (number < 2), name text, checksum text, level text, applied_at timestamptz default now()"
        )
        asyncio.run(databases.execute(url, f"create table schema_migrations ({columns})"))
        with pytest.raises(StoreError, match="0002_"):
            asyncio.run(migrate.migrate(url))
        assert asyncio.run(databases.fetch(url, "select to_regclass('orgs') is null, to_regclass('ts.seconds') is null")) == [(False, True)]


def test_a_login_without_rights_gets_the_sql_that_an_administrator_must_run(servers: "Servers") -> None:
    whole, empty = databases.database(servers.database_url), databases.empty_database(servers.database_url)
    with whole, empty as url, databases.modest_login(url, prepared=False) as modest:  # the whole one made the roles
        with pytest.raises(StoreError, match="As an administrator") as refusal:
            asyncio.run(migrate.migrate(modest))
        asyncio.run(databases.execute(url, *(line for line in str(refusal.value).splitlines() if line.startswith("    "))))
        assert asyncio.run(migrate.migrate(modest))
        with databases.modest_login(url, prepared=False) as stranger, pytest.raises(StoreError, match="elocute migrate"):
            databases.run(stranger, org_of)


def test_a_role_that_bypasses_row_security_is_refused(servers: "Servers") -> None:
    with databases.empty_database(servers.database_url) as url:

        async def spoiled() -> None:
            """In a transaction that is never committed, since the roles are the whole server's."""
            connection = await asyncpg.connect(url)
            change = connection.transaction()
            await change.start()
            try:
                await migrate._ensure_roles(connection)
                await connection.execute("alter role elocute_app bypassrls")
                await migrate._ensure_roles(connection)
            finally:
                await change.rollback()
                await connection.close()

        with pytest.raises(StoreError, match="elocute_app bypasses row security"):
            asyncio.run(spoiled())


def test_a_database_that_was_never_migrated_says_so(servers: "Servers") -> None:
    with databases.empty_database(servers.database_url) as url, pytest.raises(StoreError, match="elocute migrate"):
        databases.run(url, org_of)


# transactions


def test_a_transaction_is_the_applications_and_its_org_goes_with_it(url: str) -> None:
    async def scenario(db: Database) -> list[tuple[str, str]]:
        seen = []
        for org in (UUID(int=1), UUID(int=2)):
            async with db.tenant(org) as tx:
                seen.append((await tx.fetchval("select current_user::text"), await tx.fetchval("select current_org()::text")))
        async with db.relay() as tx:
            seen.append((await tx.fetchval("select current_user::text"), await tx.fetchval("select coalesce(current_org()::text, '')")))
        async with db.tenant(UUID(int=3)) as tx:
            await tx.execute("reset role")  # comes back to the application, never to the owner
            seen.append((await tx.fetchval("select current_user::text"), await tx.fetchval("select current_org()::text")))
        return seen

    expected = [
        ("elocute_app", str(UUID(int=1))),
        ("elocute_app", str(UUID(int=2))),
        ("elocute_relay", ""),
        ("elocute_app", str(UUID(int=3))),
    ]
    assert databases.run(url, scenario, size=1) == expected


def test_a_block_that_raises_leaves_nothing(url: str) -> None:
    async def scenario(db: Database) -> object:
        org = uuid4()

        async def fail() -> None:
            async with db.tenant(org) as tx:
                await databases.plant_org(tx)
                raise KeyError

        with pytest.raises(KeyError):
            await fail()
        async with db.tenant(org) as tx:
            return await tx.fetchval("select count(*) from orgs")

    assert databases.run(url, scenario, size=1) == 0


def test_a_block_that_is_cancelled_leaves_nothing_and_its_connection_is_of_use(url: str) -> None:
    async def scenario(db: Database) -> object:
        org, begun = uuid4(), asyncio.Event()

        async def write() -> None:
            async with db.tenant(org) as tx:
                await databases.plant_org(tx)
                begun.set()
                await tx.execute("select pg_sleep(60)")

        task = asyncio.create_task(write())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with db.tenant(org) as tx:
            return await tx.fetchval("select count(*) from orgs")

    assert databases.run(url, scenario, size=1) == 0


def test_what_takes_too_long_is_busy_not_down(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def slow(db: Database) -> None:
        async with db.tenant(uuid4()) as tx:
            await tx.execute("set local statement_timeout = 1")
            await tx.execute("select pg_sleep(60)")

    async def locked(db: Database) -> None:
        org, session = await session_of(db)
        async with db.tenant(org) as tx, db.tenant(org) as other:
            await sessions.lock(tx, session)
            await other.execute("set local lock_timeout = 1")
            await sessions.lock(other, session)

    async def crowded(db: Database) -> None:
        async with db.tenant(uuid4()), db.tenant(uuid4()):
            pass

    with pytest.raises(StoreBusy):
        databases.run(url, slow)
    with pytest.raises(StoreBusy):
        databases.run(url, locked)
    monkeypatch.setattr(pool, "WAIT_FOR_CONNECTION_S", 0.01)
    with pytest.raises(StoreBusy):
        databases.run(url, crowded, size=1)


def test_a_connection_that_breaks_is_down_and_the_next_works(url: str) -> None:
    async def breaks(db: Database, statement: str | None) -> None:
        async with db.tenant(uuid4()) as tx:
            await databases.execute(url, f"select pg_terminate_backend({await tx.fetchval('select pg_backend_pid()')}, {DEAD_MS})")
            if statement:
                await tx.execute(statement)

    async def scenario(db: Database) -> object:
        for statement in ("select 1", None):  # None: it shows at the commit
            with pytest.raises(StoreDown):
                await breaks(db, statement)
        async with db.tenant(uuid4()) as tx:
            return await tx.fetchval("select 1")

    assert databases.run(url, scenario, size=1) == 1


@asynccontextmanager
async def line(url: str) -> AsyncIterator[tuple[str, Callable[[], None]]]:
    """Another URL of the database, and what says goodbye to all who use it, as PostgreSQL does just before it drops them."""
    parts = urlsplit(url)
    folder = parse_qs(parts.query).get("host")
    callers: list[asyncio.StreamWriter] = []
    tasks: set[asyncio.Task[None]] = set()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65_536):
            writer.write(piece)
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if folder:
            answers, asks = await asyncio.open_unix_connection(f"{folder[0]}/.s.PGSQL.5432")
        else:
            answers, asks = await asyncio.open_connection(parts.hostname, parts.port or 5432)
        callers.append(writer)
        tasks.update((asyncio.create_task(copy(reader, asks)), asyncio.create_task(copy(answers, writer))))

    def goodbye() -> None:
        fields = b"SFATAL\0VFATAL\0C57P02\0Mcrash of another server process\0\0"
        for writer in callers:
            writer.write(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        login = parts.netloc.rpartition("@")[0]
        try:
            yield urlunsplit(("postgresql", f"{login}@127.0.0.1:{port}", parts.path, "sslmode=disable", "")), goodbye
        finally:
            for task in tasks:
                task.cancel()


def test_a_connection_whose_end_is_announced_is_down_and_the_next_works(url: str) -> None:
    async def scenario() -> object:
        async with asyncio.timeout(databases.LIMIT_S), line(url) as (there, goodbye), Database.open(there, 1) as db:
            await org_of(db)
            goodbye()
            for _ in range(10):  # turns of the loop, until it was heard
                await asyncio.sleep(0)
            with pytest.raises(StoreDown):
                await org_of(db)
            async with db.tenant(uuid4()) as tx:
                return await tx.fetchval("select 1")

    assert asyncio.run(scenario()) == 1


def test_an_error_of_somebody_else_is_left_alone(url: str) -> None:
    async def scenario(db: Database) -> None:
        async with db.tenant(uuid4()):
            raise ConnectionResetError  # of a blob, say

    with pytest.raises(ConnectionResetError):
        databases.run(url, scenario)


def test_nobody_there_is_down() -> None:
    with pytest.raises(StoreDown):
        databases.run("postgresql://u:p@127.0.0.1:1/none", org_of)
    with pytest.raises(StoreDown):
        asyncio.run(migrate.migrate("postgresql://u:p@127.0.0.1:1/none"))


def test_a_listener_hears_what_was_committed_and_wakes_after_a_break(url: str) -> None:
    async def scenario(db: Database) -> list[str]:
        org = await org_of(db)
        heard = db.listen(outbox.CHANNEL)
        first = await anext(heard)
        async with db.tenant(org) as tx:
            await tx.execute("select pg_notify($1, 'told')", outbox.CHANNEL)
        second = await anext(heard)
        await databases.execute(
            url,
            f"select pg_terminate_backend(pid, {DEAD_MS}) from pg_stat_activity where datname = current_database() and query ~ '^LISTEN'",
        )
        third = await anext(heard)
        async with db.tenant(org) as tx:
            await tx.execute("select pg_notify($1, 'again')", outbox.CHANNEL)
        fourth = await anext(heard)
        await heard.aclose()
        return [first, second, third, fourth]

    assert databases.run(url, scenario) == ["", "told", "", "again"]


def test_a_listener_that_is_slow_is_told_that_it_missed_something(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "NOTIFICATIONS", 3)

    async def scenario(db: Database) -> None:
        heard = db.listen("crowd")
        await anext(heard)
        async with db.tenant(uuid4()) as tx:
            await tx.execute("select pg_notify('crowd', n::text) from generate_series(1, 100) n")
        while await anext(heard):  # "": look at everything
            pass
        await heard.aclose()

    databases.run(url, scenario)


def test_a_killed_postgres_is_survived(tmp_path: Path) -> None:
    """Its own server, killed with -9 between and inside transactions, and started again by its supervisor."""
    from tests.servers import trio

    async def killed(db: Database, org: UUID) -> None:
        async with db.tenant(org) as tx:
            await databases.plant_org(tx)
            os.kill(postmaster(folder), signal.SIGKILL)
            await tx.execute("select pg_sleep(60)")

    async def until_it_works(db: Database, org: UUID) -> int:
        while True:
            try:
                async with db.tenant(org) as tx:
                    return int(await tx.fetchval("select count(*) from orgs"))
            except (StoreDown, StoreBusy):
                await asyncio.sleep(0.01)  # until the supervisor has started it again

    async def scenario(db: Database) -> tuple[int, int]:
        kept, lost = await org_of(db), uuid4()
        heard = db.listen("elocute_outbox")
        assert await anext(heard) == ""
        with pytest.raises(StoreDown):
            await killed(db, lost)
        counts = await until_it_works(db, kept), await until_it_works(db, lost)
        assert await anext(heard) == ""
        await heard.aclose()
        return counts

    with trio(tmp_path) as own:
        folder = Path(parse_qs(urlsplit(own.database_url).query)["host"][0])
        asyncio.run(migrate.migrate(own.database_url))
        assert databases.run(own.database_url, scenario) == (1, 0)


def postmaster(folder: Path) -> int:
    return int((folder / "postmaster.pid").read_text(encoding="utf-8").splitlines()[0])


# what each module keeps


def test_the_local_user_is_the_same_for_everyone(url: str) -> None:
    async def scenario(db: Database) -> tuple[set[orgs.Member], list[str]]:
        members = set(await asyncio.gather(*(orgs.ensure_local(db) for _ in range(4))))
        async with db.tenant(orgs.LOCAL_ORG) as tx:
            return members, [row[0] for row in await tx.fetch("select role from memberships")]

    assert databases.run(url, scenario) == ({orgs.Member(orgs.LOCAL_ORG, orgs.LOCAL_USER)}, ["owner"])


def test_pages_of_sessions_show_each_once_newest_first_also_those_made_at_once(url: str) -> None:
    async def scenario(db: Database) -> tuple[list[UUID], list[UUID], list[UUID]]:
        org = await org_of(db)
        made = []
        for count in (3, 4):  # each transaction has one now()
            async with db.tenant(org) as tx:
                made.append([(await sessions.create(tx, "s", "upload")).id for _ in range(count)])
        shown: list[UUID] = []
        before = None
        while True:
            async with db.tenant(org) as tx:
                page = await sessions.page(tx, 2, before)
            if not page:
                return made[0], made[1], shown
            shown += [session.id for session in page]
            before = Cursor(page[-1].created_at, page[-1].id)

    older, newer, shown = databases.run(url, scenario)
    assert shown == sorted(newer, reverse=True) + sorted(older, reverse=True)


def test_a_session_goes_on(url: str) -> None:
    async def scenario(db: Database) -> tuple[object, ...]:
        org, id = await session_of(db)
        async with db.tenant(org) as tx:
            assert await sessions.describe(tx, id, 12.5, "en")
            assert await sessions.describe(tx, id, None, None)
            assert await sessions.set_state(tx, id, "failed", "too quiet")
            failed = await sessions.get(tx, id)
            assert await sessions.set_state(tx, id, "processing")
            again = await sessions.lock(tx, id)
            assert failed is not None
            assert again is not None
            assert not await sessions.set_state(tx, uuid4(), "failed")
            assert await sessions.get(tx, uuid4()) is None
            return failed.org == org, failed.duration_s, failed.language, failed.state, failed.problem, again.state, again.problem

    assert databases.run(url, scenario) == (True, 12.5, "en", "failed", "too quiet", "processing", None)


def test_two_steps_that_decide_on_one_session_wait_and_never_deadlock(url: str) -> None:
    """Both have added rows that refer to the session before they ask for its lock."""

    async def scenario(db: Database) -> list[int]:
        org, id = await session_of(db)
        begun = asyncio.Barrier(2)
        seen = []

        async def step(name: str) -> None:
            async with db.tenant(org) as tx:
                await steps.queue(tx, id, name, "h")
                await begun.wait()
                await sessions.lock(tx, id)
                seen.append(len(await steps.of(tx, id)))

        async with asyncio.TaskGroup() as both:
            both.create_task(step("asr"))
            both.create_task(step("prosody"))
        return seen

    assert databases.run(url, scenario) == [1, 2]


def test_a_recording_is_announced_stored_and_described(url: str) -> None:
    async def scenario(db: Database) -> list[tuple[object, ...]]:
        org, id = await session_of(db)
        seen: list[tuple[object, ...]] = []
        async with db.tenant(org) as tx:
            assert not await media.complete(tx, id, size=1, sha256=None)
            assert await media.get(tx, id) is None
            begun = await media.begin(tx, id, key="k", size=10, content_type="audio/wav", filename="a b.wav", upload_id="u")
            assert await media.get(tx, id) == begun
            seen.append((begun.size, begun.upload_id, begun.complete, begun.sha256))
            assert await media.complete(tx, id, size=11, sha256="ab")
            assert await media.set_facts(tx, id, {"rate_hz": 48000})
            done = await media.get(tx, id)
            assert done is not None
            seen.append((done.size, done.upload_id, done.complete, done.sha256, done.facts))
            anew = await media.begin(tx, id, key="k2", size=5, content_type="audio/ogg", filename="b", upload_id=None)
            seen.append((anew.key, anew.size, anew.complete, anew.sha256, anew.facts))
        return seen

    assert databases.run(url, scenario) == [
        (10, "u", False, None),
        (11, None, True, "ab", {"rate_hz": 48000}),
        ("k2", 5, False, None, None),
    ]


def test_words_come_back_exactly(url: str) -> None:
    words = (
        Word("naïve,", 0, 160, 0.1 + 0.2),
        Word("um", 160, 200, 1e-300, "filler"),
        Word("th-", 2_000_000_000, 2_000_000_001, 1.0, "fragment"),
    )
    more = (Word("uh", 5, 6, 0.5, "filler"),)

    async def scenario(db: Database) -> list[object]:
        org, id = await session_of(db)
        seen: list[object] = []
        async with db.tenant(org) as tx:
            seen.append(await transcripts.load(tx, id))
            for transcript, second in (
                (Transcript(words, "en", 0.97), more),
                (Transcript(words[:1], "de", 0.5), ()),
                (Transcript((), "en", 0.1), ()),
            ):
                await transcripts.store(tx, id, transcript, second)
                seen.append(await transcripts.load(tx, id))
        return seen

    assert databases.run(url, scenario) == [
        None,
        (Transcript(words, "en", 0.97), more),
        (Transcript(words[:1], "de", 0.5), ()),
        (Transcript((), "en", 0.1), ()),
    ]


def test_documents_are_kept_whole_and_replaced(url: str) -> None:
    file = ReportFile("words.csv", "o/s/report/words.csv", 12, "text/csv")

    async def scenario(db: Database) -> list[object]:
        org, id = await session_of(db)
        seen: list[object] = []
        async with db.tenant(org) as tx:
            seen += [await documents.load(tx, "fluency", id), await documents.load(tx, "scores", id), await reports.load(tx, id)]
            for n in (1, 2):
                await documents.store(tx, "fluency", id, f"f{n}", {"n": n, "none": None, "text": "\u2028é"})
                await documents.store(tx, "scores", id, f"s{n}", {"n": [n, 0.1 + 0.2]})
                await reports.store(tx, id, f"r{n}", {"n": n}, [file] * n)
            seen += [await documents.load(tx, "fluency", id), await documents.load(tx, "scores", id), await reports.load(tx, id)]
        with pytest.raises(asyncpg.DataError):  # missing is None, and never NaN
            async with db.tenant(org) as tx:
                await documents.store(tx, "scores", id, "s", {"value": float("nan")})
        return seen

    assert databases.run(url, scenario) == [
        *(None, None, None),
        {"n": 2, "none": None, "text": "\u2028é"},
        {"n": [2, 0.1 + 0.2]},
        Report("r2", {"n": 2}, (file, file)),
    ]


def test_what_belongs_to_a_deleted_session_is_refused_by_name(url: str) -> None:
    async def scenario(db: Database) -> None:
        org, id = await session_of(db)
        async with db.tenant(org) as tx:
            assert await sessions.delete(tx, id)
            assert not await sessions.delete(tx, id)
        async with db.tenant(org) as tx:
            await documents.store(tx, "scores", id, "h", {})

    with pytest.raises(Gone):
        databases.run(url, scenario)


def test_a_message_waits_for_its_commit_and_is_sent_by_one(url: str) -> None:
    async def scenario(db: Database) -> None:
        org = await org_of(db)

        async def fail() -> None:
            async with db.tenant(org) as tx:
                await outbox.put(tx, "never", {})
                raise KeyError

        with pytest.raises(KeyError):
            await fail()
        async with db.tenant(org) as tx:
            ids = [await outbox.put(tx, f"s{n}", {"n": n}) for n in range(4)]
        async with db.relay() as one, db.relay() as other:
            first, second = await outbox.take(one, 2), await outbox.take(other, 10)
            assert [message.id for message in first + second] == ids
            assert [(message.subject, message.payload) for message in second] == [("s2", {"n": 2}), ("s3", {"n": 3})]
            await outbox.done(one, [message.id for message in first])
        async with db.relay() as tx:  # the other one did not get to it
            assert [message.id for message in await outbox.take(tx, 10)] == ids[2:]
            await outbox.done(tx, ids)
        async with db.relay() as tx:
            assert await outbox.take(tx, 10) == []

    databases.run(url, scenario)


def test_a_repeated_request_gets_the_first_answer(url: str) -> None:
    async def scenario(db: Database) -> None:
        org, begun = await org_of(db), asyncio.Event()

        async def request(name: str) -> tuple[str, Answer | None]:
            async with db.tenant(org) as tx:
                begun.set()
                known = await idempotency.remember(tx, "key", "hash")
                if known is None:
                    await idempotency.answer(tx, "key", 201, {"by": name})
                return name, known

        answers = dict(await asyncio.gather(*(request(name) for name in "abc")))  # the later wait for the first
        first = [name for name, known in answers.items() if known is None]
        assert len(first) == 1
        assert {known for known in map(repr, answers.values()) if known != "None"} == {repr(Answer(201, {"by": first[0]}))}
        with pytest.raises(KeyReused):
            async with db.tenant(org) as tx:
                await idempotency.remember(tx, "key", "another")
        async with db.tenant(org) as tx:
            assert await idempotency.remember(tx, "slow", "hash") is None
        with pytest.raises(StillAnswering):
            async with db.tenant(org) as tx:
                await idempotency.remember(tx, "slow", "hash")
        async with db.tenant(org) as tx:
            await tx.execute("update idempotency set created_at = now() - interval '25 hours'")
            assert await idempotency.remember(tx, "key", "another") is None

    databases.run(url, scenario)


def test_what_was_done_is_written_down_for_good(url: str) -> None:
    async def scenario(db: Database) -> object:
        org = await org_of(db)
        async with db.tenant(org) as tx:
            await audit.write(tx, "user:1", "session.delete", "session:2", {"title": "t"})
        for statement in ("update audit set actor = 'x'", "delete from audit"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with db.tenant(org) as tx:
                    await tx.execute(statement)
        async with db.tenant(org) as tx:
            return [tuple(row) for row in await tx.fetch("select actor, action, target, details from audit")]

    assert databases.run(url, scenario) == [("user:1", "session.delete", "session:2", {"title": "t"})]
