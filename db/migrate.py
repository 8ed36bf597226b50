"""Brings a database to the shape this version expects: numbered SQL, forward only, each in a transaction and with a checksum."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Literal, cast, get_args

import asyncpg

from db.errors import StoreBusy, StoreDown, StoreError
from db.pool import APP_ROLE, CONNECT_S, RELAY_ROLE

Level = Literal["full", "apache", "none"]  # of TimescaleDB

_NAME = re.compile(r"(\d{4})_[a-z_]+(?:\.([a-z-]+))?\.sql")  # 0002_seconds.apache-none.sql: only on these levels
_LOCK = "hashtextextended('elocute: migrate', 0)"
_WAIT_S = 300.0  # for another process that is migrating
_OLDEST_TIMESCALEDB = (2, 18)  # older ones call the columnstore something else


@dataclass(frozen=True, slots=True)
class Migration:
    """One file."""

    number: int
    name: str  # of the file
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the file, hex."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


async def migrate(url: str) -> list[str]:
    """Applies what is missing; the names of the files. `url` is the owner's login. Processes that do it at once wait for one another.
    Raises StoreDown, StoreBusy, or StoreError with what a database administrator has to do."""
    async with _connect(url) as connection:
        await _wait_for_others(connection)
        try:
            return await _migrate(connection)
        except asyncpg.InsufficientPrivilegeError as error:
            raise StoreError(await _for_the_administrator(connection, str(error))) from error


async def pending(url: str) -> list[str]:
    """What `migrate` would apply. Raises as it does, when an applied file was changed or the database is newer than this version."""
    async with _connect(url) as connection:
        applied = await _applied(connection)
        level = await _level(connection, applied)
        return [migration.name for migration in _missing(known(level), applied)]


async def capabilities(connection: asyncpg.Connection) -> Level:
    """What this database offers for time series."""
    row = await connection.fetchrow(
        """select (select extversion from pg_extension where extname = 'timescaledb') as version,
            current_setting('timescaledb.license', true) as license"""
    )
    return level_of(row["version"], row["license"])


def level_of(version: str | None, licence: str | None) -> Level:
    """The level from the version of the installed extension (None: not installed) and its setting timescaledb.license."""
    if version is None or tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < _OLDEST_TIMESCALEDB:
        return "none"
    return {"timescale": "full", "apache": "apache"}.get(licence or "", "none")  # type: ignore[return-value]


def known(level: Level, folder: Traversable | None = None) -> list[Migration]:
    """The files of this version for one level, in order."""
    found = []
    for file in (folder or files("db") / "migrations").iterdir():
        if match := _NAME.fullmatch(file.name):
            number, levels = match.groups()
            if levels is None or level in levels.split("-"):
                found.append(Migration(int(number), file.name, file.read_text(encoding="utf-8")))
    return sorted(found, key=lambda migration: migration.number)


async def _migrate(connection: asyncpg.Connection) -> list[str]:
    applied = await _applied(connection)
    if not applied:
        await _create_timescaledb(connection)
    level = await _level(connection, applied)
    missing = _missing(known(level), applied)
    if missing:
        await _check_pgvector(connection)
        await _ensure_roles(connection)
    for migration in missing:
        try:
            await _apply(connection, migration, level)
        except (asyncpg.InsufficientPrivilegeError, asyncpg.PostgresConnectionError, asyncpg.exceptions.OperatorInterventionError):
            raise
        except asyncpg.PostgresError as error:
            raise StoreError(f"{migration.name} cannot be applied ({error}). The database is as it was before it.") from error
    return [migration.name for migration in missing]


async def _apply(connection: asyncpg.Connection, migration: Migration, level: Level) -> None:
    async with connection.transaction():
        await connection.execute(
            """create table if not exists schema_migrations (
                number integer primary key, name text not null, checksum text not null, level text not null,
                applied_at timestamptz not null default now()
            )"""
        )
        await connection.execute(migration.sql)
        await connection.execute(
            "insert into schema_migrations (number, name, checksum, level) values ($1, $2, $3, $4)",
            migration.number,
            migration.name,
            migration.checksum,
            level,
        )


async def _applied(connection: asyncpg.Connection) -> list[asyncpg.Record]:
    if await connection.fetchval("select to_regclass('schema_migrations')") is None:
        return []
    return cast(list[asyncpg.Record], await connection.fetch("select number, name, checksum, level from schema_migrations order by number"))


async def _level(connection: asyncpg.Connection, applied: list[asyncpg.Record]) -> Level:
    """The level is settled by the first migration. A database that gains TimescaleDB later stays as it is: everything works on every level,
    and moving rows between levels is not worth its risk."""
    if not applied:
        return await capabilities(connection)
    level = applied[0]["level"]
    if level not in get_args(Level):
        raise StoreError(f"schema_migrations holds the unknown level {level!r}.")
    return cast(Level, level)


def _missing(migrations: list[Migration], applied: list[asyncpg.Record]) -> list[Migration]:
    by_number = {migration.number: migration for migration in migrations}
    for row in applied:
        migration = by_number.pop(row["number"], None)
        if migration is None:
            raise StoreError(f"the database is newer than this version of Elocute: it has {row['name']}. Install the newer version.")
        if migration.checksum != row["checksum"]:
            raise StoreError(f"{migration.name} was changed after it was applied. Restore the file; put changes into a new migration.")
    return list(by_number.values())


async def _create_timescaledb(connection: asyncpg.Connection) -> None:
    """Where the server has loaded it and we may. For a login that may not, or may not even look, an administrator creates it before;
    else the database is of level `none`."""
    ready = await connection.fetchval(
        """select case when pg_has_role('pg_read_all_settings', 'USAGE') then current_setting('shared_preload_libraries') end
                like '%timescaledb%'
            and exists (select from pg_available_extensions where name = 'timescaledb' and installed_version is null)"""
    )
    if ready:
        try:
            await connection.execute("create extension if not exists timescaledb")
        except asyncpg.InsufficientPrivilegeError:
            return


async def _check_pgvector(connection: asyncpg.Connection) -> None:
    if not await connection.fetchval("select exists (select from pg_available_extensions where name = 'vector')"):
        version = connection.get_server_version().major
        raise StoreError(f"PostgreSQL has no pgvector. Install it on its machine (on Debian: postgresql-{version}-pgvector).")


async def _ensure_roles(connection: asyncpg.Connection) -> None:
    """The roles belong to the whole server: another database on it may have made them already, or be making them."""
    for role in (APP_ROLE, RELAY_ROLE):
        if not await connection.fetchval("select exists (select from pg_roles where rolname = $1)", role):
            with suppress(asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError):
                await connection.execute(f"create role {role} nologin")
        if await connection.fetchval("select rolsuper or rolbypassrls from pg_roles where rolname = $1", role):
            raise StoreError(
                f"the role {role} bypasses row security: orgs would see one another. Run: alter role {role} nosuperuser nobypassrls;"
            )
        how = "SET" if connection.get_server_version().major >= 16 else "MEMBER"
        if not await connection.fetchval("select pg_has_role(current_user, $1, $2)", role, how):
            await connection.execute(f"grant {role} to current_user")


async def _for_the_administrator(connection: asyncpg.Connection, refused: str) -> str:
    login, database, missing = await connection.fetchrow(
        """select quote_ident(current_user), quote_ident(current_database()),
            array(select r from unnest($1::text[]) r where not exists (select from pg_roles where rolname = r))""",
        [APP_ROLE, RELAY_ROLE],
    )
    return "\n".join(
        [
            f"the login of DATABASE_URL may not set up the database ({refused}). As an administrator, in {database}, run:",
            *(f"    create role {role} nologin;" for role in missing),
            f"    grant {APP_ROLE}, {RELAY_ROLE} to {login};",
            f"    grant create on database {database} to {login};",
            f"    grant create on schema public to {login};",
            "    create extension if not exists vector;",
        ]
    )


async def _wait_for_others(connection: asyncpg.Connection) -> None:
    """The lock is the session's, so that it goes with the process that holds it, however that dies."""
    try:
        await connection.execute(f"select pg_advisory_lock({_LOCK})", timeout=_WAIT_S)
    except TimeoutError as error:
        raise StoreBusy("another process is migrating the database, and does not finish.") from error


@asynccontextmanager
async def _connect(url: str) -> AsyncIterator[asyncpg.Connection]:
    try:
        connection = await asyncpg.connect(
            url, timeout=CONNECT_S, server_settings={"application_name": "elocute migrate", "search_path": "public"}
        )
    except (OSError, TimeoutError, asyncpg.PostgresConnectionError, asyncpg.exceptions.OperatorInterventionError) as error:
        raise StoreDown(f"PostgreSQL is not there ({error}).") from error
    except asyncpg.PostgresError as error:
        raise StoreError(f"PostgreSQL refuses the login of DATABASE_URL ({error}).") from error
    try:
        yield connection
    except (asyncpg.PostgresConnectionError, asyncpg.exceptions.OperatorInterventionError) as error:
        raise StoreDown(f"PostgreSQL went away while migrating ({error}); nothing is half done.") from error
    finally:
        try:
            await asyncio.wait_for(connection.close(), CONNECT_S)
        except TimeoutError:
            connection.terminate()
