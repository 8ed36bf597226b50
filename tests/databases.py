"""Databases for tests: a new one on the tests' server, migrated, gone with the block."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from db import migrate
from db.pool import APP_ROLE, RELAY_ROLE, Database, Tx

LIMIT_S = 60.0  # a test that waits longer hangs

Answer = TypeVar("Answer")


@contextmanager
def empty_database(server_url: str) -> Iterator[str]:
    """Nothing in it. `server_url` is the login of a superuser."""
    name = f"test_{secrets.token_hex(6)}"
    asyncio.run(execute(server_url, f"create database {name}"))
    try:
        yield at(server_url, name)
    finally:
        asyncio.run(execute(server_url, f"drop database {name} with (force)"))


@contextmanager
def database(server_url: str) -> Iterator[str]:
    """Migrated by a superuser, as the embedded one is."""
    with empty_database(server_url) as url:
        asyncio.run(migrate.migrate(url))
        yield url


@contextmanager
def modest_login(admin_url: str, *, prepared: bool) -> Iterator[str]:
    """The database's own login without special rights: with what an administrator has to prepare, or with nothing at all."""
    login, password = f"test_{secrets.token_hex(6)}", secrets.token_hex(8)
    name = urlsplit(admin_url).path[1:]
    asyncio.run(execute(admin_url, f"create role {login} login password '{password}'"))
    try:
        if prepared:
            asyncio.run(
                execute(admin_url, f"alter database {name} owner to {login}", "create extension if not exists vector", *roles(login))
            )
        yield at(admin_url, name, login, password)
    finally:
        asyncio.run(execute(admin_url, f"reassign owned by {login} to current_user", f"drop owned by {login}", f"drop role {login}"))


def roles(login: str) -> list[str]:
    """The two roles, granted: they are the whole server's, and may be there."""
    make = "do $$ begin create role {0} nologin; exception when duplicate_object or unique_violation then null; end $$"
    return [*(make.format(role) for role in (APP_ROLE, RELAY_ROLE)), f"grant {APP_ROLE}, {RELAY_ROLE} to {login}"]


def at(url: str, name: str, login: str | None = None, password: str | None = None) -> str:
    """The URL of another database of the same server, and of another login."""
    parts = urlsplit(url)
    where = parts.netloc if login is None else f"{login}:{password}@{parts.netloc.rpartition('@')[2]}"
    return urlunsplit(parts._replace(netloc=where, path=f"/{name}"))


async def execute(url: str, *statements: str) -> None:
    """Runs each as this login, outside a transaction."""
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def fetch(url: str, query: str, *values: object) -> list[tuple[Any, ...]]:
    """Rows as this login sees them."""
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(query, *values)]
    finally:
        await connection.close()


def run(url: str, scenario: Callable[[Database], Awaitable[Answer]], size: int = 4) -> Answer:
    """What the scenario comes to, with this database open."""

    async def limited() -> Answer:
        async with asyncio.timeout(LIMIT_S), Database.open(url, size) as db:
            return await scenario(db)

    return asyncio.run(limited())


async def plant_org(tx: Tx) -> None:
    """The org of the transaction."""
    await tx.execute("insert into orgs (id, name) values (current_org(), 'planted')")
