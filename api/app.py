"""The composition root: what the server is made of, and how its parts find each other."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import UUID

from starlette.applications import Starlette
from starlette.types import ASGIApp

from api import blobs, calls, clips, comments, drills, events, health, live, metrics, pages, search, sessions, sound, uploads, ws
from api.access import Gate
from api.health import Check, Health
from api.problems import HANDLERS
from api.state import State
from config.models import program_version
from config.settings import Settings
from db import migrate
from db import orgs as db_orgs
from db import sessions as db_sessions
from db.errors import StoreError
from db.pool import Database
from engines.blobs import open_blobs
from engines.bus import Bus
from engines.embedded import Servers
from engines.errors import EngineError
from engines.live_log import LiveLog
from recognition.embedding import Embedder

log = logging.getLogger("api")

BLOBS = "blobs"  # the folder, below the data folder
TIDY_EVERY_S = 3600.0


class SchemaBehind(StoreError):
    """The tables are not those of this version."""


@asynccontextmanager
async def opened(settings: Settings, servers: Servers, recognise: bool = True) -> AsyncIterator[State]:
    """Connect to every engine; without `recognise` live sessions have no words. Raises StoreError, EngineError when one cannot be used."""
    async with AsyncExitStack() as stack:
        db = await stack.enter_async_context(Database.open(servers.database_url))
        # Links without a host: api/blobs.py puts in front of them the name by which the browser knows this server.
        store = await stack.enter_async_context(open_blobs(settings, servers.blob_secret, "", settings.data / BLOBS))
        live_log = await stack.enter_async_context(LiveLog.connect(servers.redis_url))
        member = await db_orgs.ensure_local(db)

        async def postgres() -> None:
            async with db.tenant(member.org) as tx:
                await tx.fetchval("select 1")

        async def migrations() -> None:
            if behind := await migrate.pending(servers.database_url):
                raise SchemaBehind(f"Run `elocute migrate`: {', '.join(behind)} is not applied.")

        async def bus() -> None:
            async with Bus.connect(servers.nats_url) as connection:
                await connection.ping()

        async def blob_store() -> None:
            await store.stat(f"{member.org}/ready")

        checks: dict[str, Check] = {
            "postgres": postgres,
            "migrations": migrations,
            "live_log": live_log.ping,
            "bus": bus,
            "blobs": blob_store,
        }
        yield State(
            settings=settings,
            servers=servers,
            db=db,
            blobs=store,
            live_log=live_log,
            embedder=Embedder(settings),
            member=member,
            places=uploads.Places(),
            live=live.Live(settings, db, store, live_log, member.org, recognise=recognise),
            calls=calls.Calls(settings, live_log),
            health=Health(program_version(), checks),
            closing=asyncio.Event(),
        )


def create(state: State) -> ASGIApp:
    """The application around what is open already."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[State]:
        async with asyncio.TaskGroup() as tasks:
            around = [
                tasks.create_task(tidy(state), name="tidy"),
                tasks.create_task(_stop_live(state), name="stop live"),
            ]
            living = tasks.create_task(state["live"].run(), name="live")
            calling = tasks.create_task(state["calls"].run(), name="calls")
            yield state
            state["live"].stop()
            state["calls"].stop()
            await asyncio.wait([living, calling])
            for task in around:
                task.cancel()

    routes = [
        *(*health.routes, *sessions.routes, *uploads.routes, *metrics.routes, *events.routes, *blobs.routes),
        *(*clips.routes, *comments.routes, *search.routes, *drills.routes),
        *(*live.routes, *calls.routes, *sound.routes, *ws.routes, *pages.routes),
    ]
    app = Starlette(routes=routes, exception_handlers=pages.readable(HANDLERS), lifespan=lifespan)
    return Gate(app, state["settings"])


async def _stop_live(state: State) -> None:
    """Who speaks is told as soon as the server is to stop, not when the last request is answered."""
    await state["closing"].wait()
    state["live"].stop()


async def tidy(state: State) -> None:
    """What a killed process left half deleted, at the start and every hour; workers sweep the blobs."""
    while True:
        try:
            await _tidy_once(state)
        except (StoreError, EngineError) as error:
            log.warning("tidying is put off: %s", error)
        await asyncio.sleep(TIDY_EVERY_S)


async def _tidy_once(state: State) -> None:
    org: UUID = state["member"].org
    async with state["db"].tenant(org) as tx:
        left = await db_sessions.in_state(tx, "deleting")
    for session in left:
        await sessions.erase(state, org, session)
        log.info("session %s was half deleted, and is gone now", session)
