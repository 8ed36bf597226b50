"""Nothing of one org is seen or changed by another: in every table and view, and through every query function."""

import asyncio
import inspect
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import asyncpg
import numpy as np
import pytest

import db
from db import migrate, outbox, series, sessions
from db.clips import Rendered
from db.embeddings import DIMENSIONS
from db.errors import StoreError
from db.pool import APP_ROLE, Database
from db.search import Wanted
from speech.analysis import Second
from speech.masking import Entity
from speech.words import Transcript, Word
from tests import databases

if TYPE_CHECKING:
    from engines.embedded import Servers

STARTED = datetime.now(UTC)
SECONDS = [Second(t, 1.0, 2, 4, 1, 0.2, 0.8, 0.0, 110.0, 3.0, -20.0) for t in range(90)]
VECTOR = np.linspace(-1, 1, DIMENSIONS, dtype=np.float32)

# A row in every table, of the org of the transaction.
PLANTED = {
    "memberships": "values (current_org(), '{user}', 'owner')",
    "projects": "(org_id, name) values (current_org(), 'p')",
    "media": "(org_id, session_id, key, size, content_type, filename) values (current_org(), '{session}', 'k', 1, 'audio/wav', 'f')",
    "transcripts": "(org_id, session_id, language, language_probability) values (current_org(), '{session}', 'en', 0.9)",
    "words": "values (current_org(), '{session}', false, 0, 'secret', 0, 1, 0.5, 'word')",
    "fluency": "values (current_org(), '{session}', 'h', '{{}}')",
    "scores": "values (current_org(), '{session}', 'h', '{{}}')",
    "coaching": "values (current_org(), '{session}', 'h', '{{}}')",
    "reports": "values (current_org(), '{session}', 'h', '{{}}', '[]')",
    "steps": "(org_id, session_id, step, input_hash, state) values (current_org(), '{session}', 'asr', 'h', 'parked')",
    "outbox": "(org_id, subject, payload) values (current_org(), 's', '{{}}')",
    "idempotency": "values (current_org(), 'key', 'h', 200, '{{}}')",
    "audit": "(org_id, actor, action, target, details) values (current_org(), 'a', 'b', 'c', '{{}}')",
    "consents": "(org_id, user_id, kind, wording) values (current_org(), '{user}', 'k', 'w')",
    "rubrics": "(org_id, name, version, data) values (current_org(), 'r', 1, '{{}}')",
    "plans": "(org_id, user_id, skill, passes, due_on) values (current_org(), '{user}', 's', 1, now())",
    "drills": "(org_id, session_id, user_id, skill, given) values (current_org(), '{session}', '{user}', 's', '{{}}')",
    "comments": "(org_id, session_id, user_id, text) values (current_org(), '{session}', '{user}', 't')",
    "shares": "(org_id, session_id, token_sha256, expires_at) values (current_org(), '{session}', sha256('{session}'), now())",
    "clips": "(org_id, session_id, label, start_sample, end_sample) values (current_org(), '{session}', 'l', 0, 1)",
    "entities": "(org_id, session_id, kind, text, start_sample, end_sample) values (current_org(), '{session}', 'k', 't', 0, 1)",
    "embeddings": """(org_id, session_id, text, start_sample, end_sample, embedding)
        values (current_org(), '{session}', 't', 0, 1, array_fill(0.5::real, array[384])::vector)""",
}


@dataclass(frozen=True)
class Planted:
    """An org with a row in every table."""

    org: UUID
    user: UUID
    session: UUID


@dataclass(frozen=True)
class Store:
    """A database with two of them."""

    url: str
    ours: Planted
    theirs: Planted


async def plant(store: Database) -> Planted:
    org, user = uuid4(), uuid4()
    async with store.tenant(org) as tx:
        await databases.plant_org(tx)
        await tx.execute("insert into users (org_id, id, name) values (current_org(), $1, 'u')", user)
        session = (await sessions.create(tx, "planted", "upload")).id
        for table, row in PLANTED.items():
            await tx.execute(f"insert into {table} {row.format(session=session, user=user)}")
        await series.store(tx, session, STARTED, SECONDS)
    return Planted(org, user, session)


@pytest.fixture(scope="module", params=["superuser", "modest"])
def store(servers: "Servers", request: pytest.FixtureRequest) -> Iterator[Store]:
    """Owned by a superuser, whom no policy holds, and by a login without special rights, whom FORCE holds to them."""

    async def two(opened: Database) -> tuple[Planted, Planted]:
        return await plant(opened), await plant(opened)

    with databases.empty_database(servers.database_url) as url:
        if request.param == "superuser":
            asyncio.run(migrate.migrate(url))
            yield Store(url, *databases.run(url, two))
        else:
            with databases.modest_login(url, prepared=True) as own:
                asyncio.run(migrate.migrate(own))
                yield Store(own, *databases.run(own, two))


TOUCHABLE = """select c.oid::regclass::text as name, c.relkind = 'v' as view, c.relrowsecurity and c.relforcerowsecurity as forced,
        'security_barrier=true' = any(c.reloptions) as barrier, pg_has_role($1, c.relowner, 'MEMBER') as owned,
        array(select p from unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) p
            where has_table_privilege($1, c.oid, p)) as allowed,
        array(select quote_ident(attname) from pg_attribute
            where attrelid = c.oid and attnum > 0 and not attisdropped and attgenerated = '') as given,
        (select a.attname from pg_attribute a where a.attrelid = c.oid and a.attname in ('org_id', 'id')
            order by a.attname desc limit 1) as org_column
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_toast'
        and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
    order by 1"""


async def touchable(url: str) -> list[asyncpg.Record]:
    """Every table and view on which the application has any right, found in the catalogue."""
    connection = await asyncpg.connect(url, server_settings={"search_path": "public"})
    try:
        return [row for row in await connection.fetch(TOUCHABLE, APP_ROLE) if row["allowed"]]
    finally:
        await connection.close()


async def walk(url: str, ours: Planted, theirs: Planted) -> list[str]:
    """What is wrong with any table or view: a sentence each."""
    wrong = []
    async with Database.open(url) as store:
        for table in await touchable(url):
            name, column, allowed = table["name"], table["org_column"], table["allowed"]
            if not (table["barrier"] if table["view"] else table["forced"]):
                wrong.append(f"{name} has neither forced row security nor a security barrier")
            if table["owned"]:
                wrong.append(f"{name} belongs to the application")
            if set(allowed) - {"SELECT", "INSERT", "UPDATE", "DELETE"}:
                wrong.append(f"{name}: {allowed} is too much")
            if column is None:
                wrong.append(f"{name} has no org_id")
                continue
            async with store.tenant(ours.org) as tx:
                seen = {row[0] for row in await tx.fetch(f"select {column} from {name}")}
                if seen - {ours.org}:
                    wrong.append(f"{name} shows rows of another org")
                for privilege, statement in (("UPDATE", f"update {name} set {column} = {column}"), ("DELETE", f"delete from {name}")):
                    if privilege in allowed:
                        changed = await tx.execute(f"{statement} where {column} = $1", theirs.org)
                        if not changed.endswith(" 0"):
                            wrong.append(f"{name}: {changed.split()[0]} reaches rows of another org")
            async with store.tenant(uuid4()) as tx:
                if await tx.fetchval(f"select count(*) from {name}"):
                    wrong.append(f"{name} shows rows to an org that is none")
            if "UPDATE" in allowed and not await refused(store, ours.org, f"update {name} set {column} = $1", theirs.org):
                wrong.append(f"{name}: a row can be given to another org")
            if "INSERT" in allowed:
                async with store.tenant(theirs.org) as tx:
                    row = await tx.fetchval(f"select to_jsonb(t) from {name} t limit 1")
                columns = ", ".join(table["given"])
                source = f"jsonb_populate_record(null::{name}, $1)"
                copy = f"insert into {name} ({columns}) overriding system value select {columns} from {source}"
                if not await refused(store, ours.org, copy, row):
                    wrong.append(f"{name}: a row can be planted in another org")
    return wrong


async def refused(store: Database, org: UUID, statement: str, value: object) -> bool:
    try:
        async with store.tenant(org) as tx:
            await tx.execute(statement, value)
    except asyncpg.InsufficientPrivilegeError:
        return True
    return False


async def everything_of(url: str, org: UUID) -> dict[str, list[str]]:
    """All that an org can see, as text."""
    tables = await touchable(url)
    connection = await asyncpg.connect(url, server_settings={"role": APP_ROLE, "app.org": str(org)})
    try:
        return {table["name"]: [row[0] for row in await connection.fetch(f"select t::text from {table['name']} t")] for table in tables}
    finally:
        await connection.close()


def test_every_table_and_view_shows_and_takes_only_what_belongs_to_the_org(store: Store) -> None:
    before = asyncio.run(everything_of(store.url, store.theirs.org))
    assert asyncio.run(walk(store.url, store.ours, store.theirs)) == []
    assert asyncio.run(everything_of(store.url, store.theirs.org)) == before
    assert all(before.values()), "a table without a planted row proves nothing"
    assert {"orgs", "users", "sessions", "series", "ts.metric_second", "ts.metric_minute", *PLANTED} == set(before)


def test_a_table_without_a_policy_is_noticed(store: Store) -> None:
    asyncio.run(
        databases.execute(
            store.url,
            "create table leak (org_id uuid)",
            "grant select, insert, update on leak to elocute_app",
            f"insert into leak values ('{store.ours.org}'), ('{store.theirs.org}')",
            "create view ts.leak as select * from leak",
            "grant select on ts.leak to elocute_app",
        )
    )
    try:
        wrong = asyncio.run(walk(store.url, store.ours, store.theirs))
    finally:
        asyncio.run(databases.execute(store.url, "drop view ts.leak", "drop table leak"))
    assert {sentence.split()[0].strip(":") for sentence in wrong} == {"leak", "ts.leak"}
    assert {
        "leak has neither forced row security nor a security barrier",
        "leak shows rows of another org",
        "leak: UPDATE reaches rows of another org",
        "leak shows rows to an org that is none",
        "leak: a row can be given to another org",
        "leak: a row can be planted in another org",
        "ts.leak shows rows of another org",
    } <= set(wrong)


@pytest.mark.parametrize("setting", [None, ""])
def test_without_an_org_there_is_nothing(store: Store, setting: str | None) -> None:
    async def count() -> dict[str, int]:
        connection = await asyncpg.connect(store.url, server_settings={"role": APP_ROLE})
        try:
            if setting is not None:
                await connection.execute("select set_config('app.org', $1, false)", setting)
            tables = await touchable(store.url)
            return {table["name"]: await connection.fetchval(f"select count(*) from {table['name']}") for table in tables}
        finally:
            await connection.close()

    assert set(asyncio.run(count()).values()) == {0}


def test_whatever_else_there_is_the_application_cannot_read(store: Store) -> None:
    async def unreadable() -> tuple[set[str], set[str]]:
        connection = await asyncpg.connect(store.url, server_settings={"search_path": "public"})
        try:
            hidden = {row["name"] for row in await connection.fetch(TOUCHABLE, APP_ROLE) if not row["allowed"]}
            await connection.execute(f"set role {APP_ROLE}")
            denied = set()
            for name in hidden:
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.fetch(f"select from {name}")
                denied.add(name)
            return hidden, denied
        finally:
            await connection.close()

    hidden, denied = asyncio.run(unreadable())
    assert hidden == denied
    assert {"schema_migrations", "ts.seconds", "ts.minutes"} <= hidden


def test_the_application_is_nobody_special(store: Store) -> None:
    rights = asyncio.run(
        databases.fetch(
            store.url,
            """select rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication, rolcanlogin,
                has_schema_privilege(rolname, 'public', 'CREATE'), has_schema_privilege(rolname, 'ts', 'CREATE'),
                exists (select from pg_auth_members m where m.member = r.oid)
            from pg_roles r where rolname like 'elocute_%' order by 1""",
        )
    )
    assert len(rights) == 2
    assert {right for row in rights for right in row} == {False}


def test_what_runs_with_the_owners_rights_is_known_and_fixed(store: Store) -> None:
    found = asyncio.run(
        databases.fetch(
            store.url,
            """select p.oid::regproc::text, 'search_path=pg_catalog, pg_temp' = any(p.proconfig)
            from pg_proc p join pg_namespace n on n.oid = p.pronamespace
            where (p.prosecdef or n.nspname = 'ts') and n.nspname in ('public', 'ts') and p.prorettype <> 'trigger'::regtype
                and has_function_privilege($1, p.oid, 'EXECUTE')
                and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e') order by 1""",
            APP_ROLE,
        )
    )
    assert found == [("embeddings_with", True), ("ts.maintain", True), ("ts.put_seconds", True)]


# What each parameter of a query function is given: whatever it is, it is theirs.
def arguments(theirs: Planted) -> dict[str, Any]:
    word = Word("planted", 0, 1, 0.5)
    return {
        "session": theirs.session,
        "transcript": Transcript((word,), "en", 0.9),
        "second_opinion": (word,),
        "started_at": STARTED,
        "seconds": SECONDS,
        "resolution": "second",
        "step": "asr",
        "table": "scores",
        "input_hash": "h",
        "attempt": 1,
        "worker": "w",
        "lease_s": 1.0,
        "server": "s",
        "sessions": [theirs.session],
        "interrupted": True,
        "failed": True,
        "result": {},
        "error_code": "c",
        "error": "e",
        "limit": 100,
        "subject": "s",
        "payload": {},
        "ids": list(range(1000)),
        "data": {},
        "files": (),
        "facts": {},
        "key": "key",
        "request_hash": "h",
        "status": 500,
        "body": {},
        "actor": "a",
        "action": "b",
        "target": "c",
        "details": {},
        "title": "planted",
        "kind": "upload",
        "state": "failed",
        "duration_s": 1.0,
        "language": "en",
        "drill": "s",
        "given": {},
        "notes": {},
        "today": STARTED.date(),
        "style": "interview",
        "speaker": "child",
        "script": "planted",
        "user": theirs.user,
        "before": None,
        "size": 1,
        "sha256": "0",
        "content_type": "audio/wav",
        "filename": "f",
        "embedding": VECTOR,
        "entities": (Entity("name", "planted", 0, 1),),
        "masked": True,
        "comment": uuid4(),
        "text": "planted",
        "at": 0,
        "wanted": Wanted("secret"),
        "speakers": {},
        "passages": (),
        "label": "planted",
        "start": 0,
        "end": 1,
        "clip": uuid4(),
        "moments": (("m1", Rendered(0, 1, ())),),
        "own": (Rendered(0, 1, ()),),
    }


def query_functions() -> list[tuple[str, Any]]:
    """Every public function of every module of db that works in a transaction."""
    found = []
    for module in pkgutil.iter_modules(db.__path__, "db."):
        for name, function in inspect.getmembers(import_module(module.name), inspect.iscoroutinefunction):
            if function.__module__ == module.name and not name.startswith("_") and "tx" in inspect.signature(function).parameters:
                found.append((f"{module.name}.{name}", function))
    return found


@pytest.mark.parametrize("name", [name for name, _ in query_functions()])
def test_a_query_function_given_ids_of_another_org_finds_and_changes_nothing(store: Store, name: str) -> None:
    function = dict(query_functions())[name]
    parameters = list(inspect.signature(function).parameters.values())
    given = arguments(store.theirs)
    wanted = [p for p in parameters if p.name != "tx" and (p.name in given or p.default is p.empty)]
    positional = [given[p.name] for p in wanted if p.kind is not p.KEYWORD_ONLY]
    named = {p.name: given[p.name] for p in wanted if p.kind is p.KEYWORD_ONLY}

    async def call(opened: Database) -> object:
        before = await everything_of(store.url, store.theirs.org)
        try:
            async with opened.tenant(store.ours.org) as tx:
                answer = await function(tx, *positional, **named)
        except (StoreError, asyncpg.InsufficientPrivilegeError):
            answer = None
        assert await everything_of(store.url, store.theirs.org) == before
        return answer

    answer = databases.run(store.url, call)
    if "session" in (p.name for p in parameters):
        assert not answer or answer == "over"
    for theirs in (store.theirs.org, store.theirs.user, store.theirs.session):
        assert str(theirs) not in repr(answer)


def test_the_relay_sees_the_outbox_of_all_and_nothing_else(store: Store) -> None:
    async def look(opened: Database) -> set[int]:
        async with opened.relay() as tx:
            ids = {message.id for message in await outbox.take(tx, 100)}
        for table in await touchable(store.url):
            if table["name"] != "outbox":
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    async with opened.relay() as tx:
                        await tx.fetch(f"select from {table['name']}")
        return ids

    async def own(opened: Database) -> set[int]:
        ids = set()
        for org in (store.ours.org, store.theirs.org):
            async with opened.tenant(org) as tx:
                ids |= {row[0] for row in await tx.fetch("select id from outbox")}
        return ids

    assert databases.run(store.url, look) == databases.run(store.url, own) != set()


def test_a_row_cannot_hang_on_a_session_of_another_org(store: Store) -> None:
    async def hang(opened: Database) -> None:
        async with opened.tenant(store.ours.org) as tx:
            await tx.execute("insert into fluency values (current_org(), $1, 'h', '{}')", store.theirs.session)

    with pytest.raises(StoreError):
        databases.run(store.url, hang)


def test_every_foreign_key_has_an_index_and_carries_the_org(store: Store) -> None:
    keys = asyncio.run(
        databases.fetch(
            store.url,
            """select k.conrelid::regclass::text || ' ' || k.conname,
                exists (select from pg_attribute a where a.attrelid = k.conrelid and a.attname = 'org_id' and a.attnum = k.conkey[1]),
                exists (select from pg_index i where i.indrelid = k.conrelid
                    and (string_to_array(i.indkey::text, ' ')::int2[])[1:cardinality(k.conkey)] @> k.conkey)
            from pg_constraint k join pg_namespace n on n.oid = k.connamespace
            where k.contype = 'f' and n.nspname in ('public', 'ts')""",
        )
    )
    assert len(keys) > 20
    assert [name for name, org, index in keys if not (org and index)] == []


def test_a_deleted_session_is_nowhere(servers: "Servers") -> None:
    """By the catalogue: whatever table has a session_id, read as the owner."""

    async def scenario(store: Database) -> tuple[Planted, Planted]:
        gone, kept = await plant(store), await plant(store)
        await series.maintain(store)
        async with store.tenant(gone.org) as tx:
            assert await sessions.delete(tx, gone.session)
        return gone, kept

    async def left(url: str, session: UUID) -> dict[str, int]:
        tables = await databases.fetch(
            url,
            """select a.attrelid::regclass::text from pg_attribute a join pg_class c on c.oid = a.attrelid
            join pg_namespace n on n.oid = c.relnamespace
            where a.attname = 'session_id' and c.relkind in ('r', 'p') and n.nspname in ('public', 'ts') and not c.relispartition""",
        )
        return {
            table: (await databases.fetch(url, f"select count(*) from {table} where session_id = $1", session))[0][0] for (table,) in tables
        }

    with databases.database(servers.database_url) as url:
        gone, kept = databases.run(url, scenario)
        assert set(asyncio.run(left(url, gone.session)).values()) == {0}
        still = asyncio.run(left(url, kept.session))
        assert [table for table, rows in still.items() if not rows and table != "ts.dirty"] == []
