"""The commands that need a running store: a worker, a migration, and what the doctor asks of the engines."""

import asyncio
import fcntl
import logging
import os
import re
import shutil
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import uvloop

from batch.relay import relay
from config import graph
from config.settings import Settings
from db import audit, orgs, outbox, series, sessions
from db import migrate as migrations
from db import steps as db_steps
from db.errors import StoreBusy, StoreDown, StoreError
from db.pool import Database
from engines.blobs import Blobs, open_blobs
from engines.bus import Bus
from engines.embedded import Servers, attach, read_connection, read_status
from engines.errors import EngineError
from engines.live_log import LiveLog
from speech.errors import EXIT_INTERRUPTED, EXIT_NO_ENGINE, EXIT_OK

log = logging.getLogger("elocute")

SWEEP_EVERY_S = 3600.0
ABANDONED_S = 24 * 3600.0  # an upload that nobody went on with
MAINTAIN_EVERY_S = 60.0
_MOST_PARKED = 20
_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
THERE_WITHIN_S = 30.0
RETRY_S = 0.5
OVERDUE_S = 120.0  # a step that nobody took or kept alive for so long is announced again: the bus may have lost it


def work(settings: Settings, names: Sequence[str], *, until_eof: bool = False) -> int:
    """Run these steps until SIGTERM, Ctrl-C, or the end of standard input: whoever holds its other end has died."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s", stream=sys.stderr)
    for noisy in ("nats", "botocore", "aiobotocore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        uvloop.run(_work(settings, names, until_eof))
    except (StoreError, EngineError) as error:
        log.error("%s", error)
        return EXIT_NO_ENGINE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return EXIT_OK


async def _work(settings: Settings, names: Sequence[str], until_eof: bool) -> None:
    main = asyncio.current_task()
    assert main is not None
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, main.cancel)
    if until_eof:

        def ended() -> None:
            loop.remove_reader(sys.stdin)
            main.cancel()

        loop.add_reader(sys.stdin, ended)  # nothing is ever written to it
    steps = [name for name in names if name in graph.BY_NAME]
    servers = attach(settings.data, settings)
    began_s = time.monotonic()
    try:
        await _until_there(servers)
        async with (
            Database.open(servers.database_url) as db,
            Bus.connect(servers.nats_url) as bus,
            open_blobs(settings, servers.blob_secret, "", settings.data / "blobs") as blobs,
            AsyncExitStack() as also,
            asyncio.TaskGroup() as tasks,
        ):
            if steps:
                await _take_steps(steps, settings, servers, (db, bus, blobs), also, tasks)
            if len(steps) < len(names):
                tasks.create_task(relay(db, bus), name="relay")
                tasks.create_task(_every(MAINTAIN_EVERY_S, lambda: series.maintain(db)), name="maintain")
                tasks.create_task(_every(OVERDUE_S / 4, lambda: outbox.announce_overdue(db, OVERDUE_S)), name="overdue")
                tasks.create_task(_every(SWEEP_EVERY_S, lambda: _sweep(db, blobs)), name="sweep")
            log.info("worker ready after %.1f s: %s", time.monotonic() - began_s, ", ".join(names))
    except asyncio.CancelledError:
        log.info("worker stopped")


async def _take_steps(
    steps: Sequence[str],
    settings: Settings,
    servers: Servers,
    outside: tuple[Database, Bus, Blobs],
    also: AsyncExitStack,
    tasks: asyncio.TaskGroup,
) -> None:
    from batch.steps import Tools, in_thread  # seconds to import: not for a relay
    from batch.worker import Worker

    db, bus, blobs = outside
    live = await also.enter_async_context(LiveLog.connect(servers.redis_url))
    tools = Tools(settings, db, blobs, also.enter_context(_scratch(settings.data / "scratch")))
    if "ingest" in steps:
        await in_thread(tools.warm_up)
    tasks.create_task(in_thread(tools.warm_up_more, steps), name="warm up")
    tasks.create_task(Worker(tools, bus, live, f"{socket.gethostname()}:{os.getpid()}").run(steps), name="worker")


async def _until_there(servers: Servers) -> None:
    """Wait while PostgreSQL is away: it may be starting too. Raises StoreDown after THERE_WITHIN_S."""
    end_s = time.monotonic() + THERE_WITHIN_S
    while True:
        try:
            async with Database.open(servers.database_url, size=1):
                return
        except (StoreDown, StoreBusy):
            if time.monotonic() > end_s:
                raise
        await asyncio.sleep(RETRY_S)


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A folder for this process, gone afterwards; those of processes that were killed go first. What lives is locked."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.lock"):
        with old.open("wb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(old.with_suffix(""), ignore_errors=True)
            old.unlink(missing_ok=True)
    own = folder / f"{os.getpid()}-{time.monotonic_ns()}"
    held = own.with_suffix(".lock")
    with held.open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        own.mkdir()
        try:
            yield own
        finally:
            shutil.rmtree(own, ignore_errors=True)
            held.unlink(missing_ok=True)


async def _every(period_s: float, do: Callable[[], Awaitable[object]]) -> None:
    while True:
        try:
            await do()
        except (StoreError, EngineError) as error:
            log.warning("%s", error)
        await asyncio.sleep(period_s)


async def _sweep(db: Database, blobs: Blobs) -> None:
    """Take away what nobody goes on with, and what belongs to a deleted session: a link to upload outlives the session it was made for."""
    await blobs.sweep(ABANDONED_S)
    known: dict[tuple[str, str], bool] = {}
    async for key in blobs.keys():
        org, session = key.split("/")[:2]
        if (org, session) in known or not (_UUID.fullmatch(org) and _UUID.fullmatch(session)):  # not ours: a bucket may hold other things
            continue
        async with db.tenant(UUID(org)) as tx:
            known[org, session] = await sessions.get(tx, UUID(session)) is not None or not await audit.wrote(
                tx, audit.SESSION_DELETED, session
            )
    for (org, session), wanted in known.items():
        if not wanted:
            log.warning("files of session %s, which was deleted, are deleted: %d", session, await blobs.delete_prefix(f"{org}/{session}/"))


def migrate(settings: Settings, say: Callable[[str], object]) -> int:
    """Bring the tables up to date."""
    try:
        done = asyncio.run(migrations.migrate(attach(settings.data, settings).database_url))
    except (StoreError, EngineError) as error:
        say(f"elocute: {error}")
        return EXIT_NO_ENGINE
    say("\n".join(f"applied {name}" for name in done) or "Nothing to do.")
    return EXIT_OK


@dataclass(frozen=True, slots=True)
class Found:
    """One row of the doctor's table."""

    what: str
    state: str
    wrong: str | None = None  # what is to be done about it


def examine(settings: Settings) -> list[Found]:
    """How the engines do, whether the tables are up to date, and which steps are parked."""
    configured = settings.database_url and settings.redis_url and settings.nats_url
    if not configured and read_connection(settings.data) is None:
        return [Found("engines", "not running; `elocute serve` starts them")]
    found = []
    for status in read_status(settings.data) or []:
        if status.pid is None:
            found.append(Found(status.name, "down", f"{status.name} is down ({status.last_exit}) and is being restarted."))
        else:
            ended = f"; last time it {status.last_exit}" if status.last_exit else ""
            found.append(Found(status.name, f"process {status.pid}, {status.restarts} restarts{ended}"))
    return found + asyncio.run(_examine(attach(settings.data, settings)))


async def _examine(servers: Servers) -> list[Found]:
    found = []
    for what, ask in (("database", _ask_database), ("bus", _ask_bus), ("live log", _ask_live_log)):
        try:
            found += await ask(servers)
        except (StoreError, EngineError) as error:
            found.append(Found(what, "does not answer", f"The {what} does not answer: {error}"))
    return found


async def _ask_database(servers: Servers) -> list[Found]:
    waiting = await migrations.pending(servers.database_url)
    if waiting:
        return [Found("database", f"{len(waiting)} migrations are missing", "The tables are out of date. Run `elocute migrate`.")]
    async with Database.open(servers.database_url, size=1) as db, db.tenant(orgs.LOCAL_ORG) as tx:
        parked = await db_steps.parked(tx, _MOST_PARKED)
    return [
        Found("database", "answers, tables up to date"),
        *(Found("parked", f"{step.step} of session {step.session}: {step.error}") for step in parked),
    ]


async def _ask_bus(servers: Servers) -> list[Found]:
    async with Bus.connect(servers.nats_url) as bus:
        depths = await bus.depths()
    return [Found("bus", "answers; waiting: " + (", ".join(f"{count} {name}" for name, count in sorted(depths.items())) or "nothing"))]


async def _ask_live_log(servers: Servers) -> list[Found]:
    async with LiveLog.connect(servers.redis_url) as live:
        await live.ping()
    return [Found("live log", "answers")]
