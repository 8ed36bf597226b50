"""Private engines in the data folder, for whatever is not configured: started together, watched, stopped in order."""

import asyncio
import fcntl
import json
import logging
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from config.settings import Settings
from engines.child import (
    Account,
    Child,
    account_for,
    bound,
    copy_readable,
    describe,
    obstacle,
    private_folder,
    stat_fields,
    stop_orphans,
    write_private,
)
from engines.errors import EngineError
from engines.trio import Engine, Nats, NotReady, Postgres, Valkey, new_secret
from speech.errors import Problem

log = logging.getLogger(__name__)

READY_LIMIT_S = 120.0  # PostgreSQL may have a gigabyte of its log to replay after a crash
PROBE_EVERY_S = 0.01
MAX_RESTARTS = 20  # of one engine, within; bench/drill.py kills one 4 to 7 times in that on average
RESTART_WINDOW_S = 60.0
LONGEST_BACK_OFF_S = 2.0  # before the first restart in the window none, then 0.1 s, doubled each time up to this
LONGEST_SOCKET_PATH = 107  # sockaddr_un
LOG_CHECK_S = 60.0


@dataclass(frozen=True, slots=True, repr=False)
class Servers:
    """Where the engines are, secrets included: it has no `repr`, so that no log shows them."""

    database_url: str  # as the owner of the tables
    redis_url: str
    nats_url: str
    blob_secret: bytes  # signs addresses of files; 32 bytes


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """How one embedded engine does."""

    name: str
    pid: int | None  # None: it is down at the moment
    restarts: int  # since the server was started
    last_exit: str | None  # how it ended the last time, in words


class EngineDied(EngineError):
    """An engine ended again and again."""


class _Watched:
    """An engine with its process and its history."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.child: Child | None = None
        self.restarts = 0
        self.last_exit: str | None = None
        self.deaths: deque[float] = deque(maxlen=MAX_RESTARTS + 1)  # seconds, monotonic

    async def clear(self) -> None:
        """Stops and removes what a killed owner, or a killed postmaster, has left."""
        engine = self.engine
        if orphans := await stop_orphans(engine.folder, engine.programs(), engine.stop_signal):
            log.warning("%s: stopped what was left running (%s)", engine.name, ", ".join(map(str, orphans)))
        engine.tidy()
        bound(engine.log)

    async def start(self) -> None:
        """Until it answers, or has ended, which raises Problem("engine-failed")."""
        self.child = Child(self.engine.command(), self.engine.home, self.engine.log, self.engine.account)
        try:
            async with asyncio.timeout(READY_LIMIT_S):
                while not await self._ready():
                    await asyncio.sleep(PROBE_EVERY_S)
        except TimeoutError as error:
            await self.stop()
            raise self._failed(f"no answer within {READY_LIMIT_S:.0f} s") from error

    async def _ready(self) -> bool:
        assert self.child is not None
        try:
            await self.engine.probe()
        except NotReady:
            if (status := self.child.returncode) is not None:
                raise self._failed(describe(status)) from None
            return False
        return True

    def _failed(self, how: str) -> Problem:
        assert self.child is not None
        self.last_exit = how
        return Problem("engine-failed", engine=self.engine.name, reason=f"{how}: {self.child.last_words()}", log=self.engine.log)

    async def stop(self) -> None:
        """Asks, then kills."""
        if self.child is not None:
            await self.child.stop(self.engine.stop_signal, self.engine.stop_limit_s)

    def status(self) -> EngineStatus:
        running = self.child is not None and self.child.returncode is None
        return EngineStatus(self.engine.name, self.child.pid if self.child and running else None, self.restarts, self.last_exit)


class Embedded:
    """`async with Embedded(data folder, settings) as servers:` starts what is not configured, watches it, and stops it in order.

    An engine that dies is started again, at most MAX_RESTARTS times in RESTART_WINDOW_S; then the block is cancelled and leaves with
    EngineDied. Raises Problem("data-in-use") if another server holds the folder, "engine-failed" if an engine does not start.
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.timings: dict[str, float] = {}  # seconds from nothing to ready: by engine, and "engines" for all of them
        self._data = folder
        self._settings = settings
        self._watched: list[_Watched] = []
        self._watchers: list[asyncio.Task[None]] = []
        self._group = asyncio.TaskGroup()
        self._lock: int | None = None
        self._passing: Path | None = None
        self._servers: Servers | None = None

    def status(self) -> list[EngineStatus]:
        """Of each engine that runs embedded."""
        return [watched.status() for watched in self._watched]

    async def __aenter__(self) -> Servers:
        settings = self._settings
        began = time.perf_counter()
        if settings.database_url and settings.redis_url and settings.nats_url:
            return Servers(settings.database_url, settings.redis_url, settings.nats_url, _blob_secret(self._data))
        try:
            async with AsyncExitStack() as stack:
                stack.push_async_callback(self._stop)
                servers = await self._start_all()
                self._watchers = [
                    self._group.create_task(self._watch(watched), name=f"watch {watched.engine.name}") for watched in self._watched
                ]
                stack.pop_all()  # from here on `__aexit__` stops what runs
        except (OSError, ExceptionGroup) as error:
            raise self._plain(error) from None
        self.timings["engines"] = time.perf_counter() - began
        return servers

    async def _start_all(self) -> Servers:
        settings, folder = self._settings, _engines_folder(self._data)
        self._lock = _lock(self._data, folder)
        _forget_runtime(folder / "runtime")
        self._watched = [_Watched(engine) for engine in self._engines(folder, account_for(folder / Postgres.name))]
        async with asyncio.TaskGroup() as starting:
            for watched in self._watched:
                starting.create_task(self._start(watched), name=f"start {watched.engine.name}")
        urls = {watched.engine.name: watched.engine.url for watched in self._watched}
        self._servers = Servers(
            settings.database_url or urls[Postgres.name],
            settings.redis_url or urls[Valkey.name],
            settings.nats_url or urls[Nats.name],
            _blob_secret(self._data),
        )
        self._publish()
        await self._group.__aenter__()
        return self._servers

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._lock is None:
            return
        for watcher in self._watchers:
            watcher.cancel()
        try:
            cancelled = isinstance(error, asyncio.CancelledError)  # the group tells whether it did that itself
            await self._group.__aexit__(kind if cancelled else None, error if cancelled else None, trace if cancelled else None)
        except ExceptionGroup as group:
            raise self._plain(group) from None
        finally:
            await self._stop()

    def _plain(self, error: Exception) -> Exception:
        """The one error that a reader wants to see: the first of a group; a sentence when the system refuses, as a full disk does."""
        if isinstance(error, ExceptionGroup):
            return self._plain(error.exceptions[0])
        if isinstance(error, OSError):
            return Problem("data-folder", path=self._data, reason=error.strerror or str(error))
        return error

    def _engines(self, folder: Path, account: Account | None) -> Sequence[Engine]:
        """Those that are not configured, in the order in which they are stopped."""
        settings = self._settings
        wanted: list[type[Engine]] = []
        wanted += [] if settings.database_url else [Postgres]
        wanted += [] if settings.nats_url else [Nats]
        wanted += [] if settings.redis_url else [Valkey]
        longest = folder / Postgres.name / "data" / ".s.PGSQL.5432"
        if len(os.fsencode(longest)) > LONGEST_SOCKET_PATH or "," in str(longest):  # a comma parts hosts in a PostgreSQL URL
            sockets = private_folder(self._runtime(folder) / "sockets", account)
        else:
            sockets = None
        return [
            kind(folder / kind.name, self._root(kind, folder, account), sockets, account, _secret(folder / f"{kind.name}.secret"))
            for kind in wanted
        ]

    def _root(self, kind: type[Engine], folder: Path, account: Account | None) -> Path:
        """Where the account finds the engine's programs: a copy, if those installed are in somebody's home, such as root's."""
        root = kind.installed()
        if obstacle(root / kind.parts[0], account) is None:
            return root
        copy = self._runtime(folder) / kind.name
        copy_readable(root, kind.parts, copy)
        assert account is not None
        if found := obstacle(copy / kind.parts[0], account):
            raise Problem("engine-blocked", path=found, user=account.name)
        return copy

    def _runtime(self, folder: Path) -> Path:
        """A folder with a short path that the account may enter; it lives as long as the engines."""
        if self._passing is None:
            self._passing = Path(tempfile.mkdtemp(prefix="elocute-"))
            self._passing.chmod(0o711)
            (folder / "runtime").symlink_to(self._passing)
        return self._passing

    async def _start(self, watched: _Watched) -> None:
        began = time.perf_counter()
        await watched.clear()
        await watched.engine.prepare()
        await watched.start()
        self.timings[watched.engine.name] = time.perf_counter() - began

    async def _watch(self, watched: _Watched) -> None:
        """Starts the engine again whenever it ends, while that makes sense."""
        name = watched.engine.name
        while True:
            assert watched.child is not None
            try:
                async with asyncio.timeout(LOG_CHECK_S):
                    status = await watched.child.exited()
            except TimeoutError:
                bound(watched.engine.log)
                continue
            watched.last_exit = describe(status)
            now = time.monotonic()
            watched.deaths.append(now)
            recent = sum(now - death < RESTART_WINDOW_S for death in watched.deaths)
            if recent > MAX_RESTARTS:
                why = f"{watched.last_exit}: {watched.child.last_words()}"
                raise EngineDied(f"{name} ended {recent} times in {RESTART_WINDOW_S:.0f} s, the last time: {why}")
            watched.restarts += 1
            self._publish()
            log.warning("%s ended (%s): restart %d, %d of %d", name, watched.last_exit, watched.restarts, recent, MAX_RESTARTS)
            await asyncio.sleep(0 if recent == 1 else min(LONGEST_BACK_OFF_S, 0.1 * 2 ** (recent - 2)))
            with suppress(Problem):  # it ended again: the next turn counts that
                await watched.clear()
                await watched.start()
                log.warning("%s is back (process %d)", name, watched.child.pid)
            self._publish()

    def _publish(self) -> None:
        """Tells the other processes on this data folder where the engines are, and how they do."""
        if self._servers is not None:
            servers = asdict(self._servers) | {"blob_secret": self._servers.blob_secret.hex()}
            text = json.dumps({"owner": _identity(os.getpid()), "servers": servers, "engines": [asdict(each) for each in self.status()]})
            write_private(connection_file(self._data), text)

    async def _stop(self) -> None:
        if self._lock is None:  # another server's folder
            return
        connection_file(self._data).unlink(missing_ok=True)
        try:
            for watched in self._watched:  # what writes most is stopped first
                await watched.stop()
        finally:
            for watched in self._watched:  # only when that was cancelled: nothing may stay
                if watched.child is not None:
                    watched.child.kill()
            _forget_runtime(self._data / "engines" / "runtime")
            os.close(self._lock)
            self._lock = None


def connection_file(folder: Path) -> Path:
    """Where a running server tells its workers, on the same data folder, how to reach its engines."""
    return folder / "engines" / "connection.json"


def read_connection(folder: Path) -> Servers | None:
    """The engines of the server that runs on this data folder; None if none does."""
    kept = _read(folder)
    if kept is None:
        return None
    servers = kept["servers"]
    return Servers(servers["database_url"], servers["redis_url"], servers["nats_url"], bytes.fromhex(servers["blob_secret"]))


def read_status(folder: Path) -> list[EngineStatus] | None:
    """How the embedded engines of the server on this data folder do; None if none runs."""
    kept = _read(folder)
    return None if kept is None else [EngineStatus(**each) for each in kept["engines"]]


def attach(folder: Path, settings: Settings) -> Servers:
    """The engines for a process that starts none itself: those configured, and for the rest those of the server on this data folder.

    Raises Problem("no-server") if something is neither.
    """
    if settings.database_url and settings.redis_url and settings.nats_url:
        return Servers(settings.database_url, settings.redis_url, settings.nats_url, _blob_secret(folder))
    running = read_connection(folder)
    if running is None:
        raise Problem("no-server", path=folder)
    return running


def _read(folder: Path) -> dict[str, Any] | None:
    try:
        kept = json.loads(connection_file(folder).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return kept if kept["owner"] == _identity(kept["owner"]["pid"]) else None


def _identity(pid: int) -> dict[str, int | str]:
    """A process, told apart from a later one with the same id. Its start is none if it does not live."""
    try:
        started = stat_fields(pid)[19]  # field 22 of proc(5): clock ticks since the boot
    except (FileNotFoundError, ProcessLookupError):
        return {"pid": pid, "start": ""}
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return {"pid": pid, "start": f"{boot} {started}"}


def _engines_folder(data: Path) -> Path:
    """Its own, and for others only a way through: root's engines run as somebody else."""
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        return private_folder(data / "engines", None, 0o711 if os.geteuid() == 0 else 0o700)
    except OSError as error:
        raise Problem("data-folder", path=data, reason=error.strerror or str(error)) from error


def _lock(data: Path, folder: Path) -> int:
    """The descriptor that holds the lock: it goes with the process, however that ends."""
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = os.read(lock, 32).decode("ascii").strip() or "?"
        os.close(lock)
        raise Problem("data-in-use", path=data, pid=owner) from error
    os.truncate(lock, 0)
    os.write(lock, str(os.getpid()).encode())
    return lock


def _forget_runtime(link: Path) -> None:
    """Removes the passing folder that the link names, if it still is ours: a reboot may have emptied the folder it was in."""
    if link.is_symlink():
        target = link.readlink()
        if target.is_dir() and not target.is_symlink() and target.stat().st_uid == os.geteuid():
            shutil.rmtree(target)
        link.unlink()


def _secret(path: Path) -> str:
    """The secret in this file, made if need be. Two processes that make it at once end with the same."""
    try:
        return path.read_text(encoding="ascii")
    except FileNotFoundError:
        new = path.with_name(f"{path.name}.{os.getpid()}")
        write_private(new, new_secret())
        with suppress(FileExistsError):
            os.link(new, path)
        new.unlink()
        return path.read_text(encoding="ascii")


def _blob_secret(data: Path) -> bytes:
    return bytes.fromhex(_secret(_engines_folder(data) / "blob.secret"))


async def _serve(folder: Path, *, until_eof: bool) -> None:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    if until_eof:
        loop.add_reader(sys.stdin, ended.set)
    embedded = Embedded(folder, Settings(data=folder, asr_model="bundled", device="cpu", threads=1))
    async with embedded as servers:
        urls = {"DATABASE_URL": servers.database_url, "REDIS_URL": servers.redis_url, "NATS_URL": servers.nats_url}
        print("\n".join(f"{name}={url}" for name, url in urls.items()), flush=True)
        print(" ".join(f"{name} {seconds * 1000:.0f} ms" for name, seconds in embedded.timings.items()), file=sys.stderr, flush=True)
        await ended.wait()


def main() -> None:
    """`python -m engines.embedded FOLDER`: the three as servers of their own until SIGTERM or Ctrl-C, for tests and drills.

    Prints their URLs. With --until-eof it also ends with its standard input, so that it does not outlive a test run that was killed.
    """
    if len(sys.argv) < 2:
        sys.exit(main.__doc__)
    logging.basicConfig(format="%(message)s")
    try:
        asyncio.run(_serve(Path(sys.argv[1]).absolute(), until_eof="--until-eof" in sys.argv))
    except (Problem, EngineError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
