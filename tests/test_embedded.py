"""The private engines: what was written outlives every kill, and nothing outlives the server."""

import asyncio
import json
import logging
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import asyncpg
import nats
import pytest
import redis.asyncio

from config.settings import Settings
from engines import embedded, trio
from engines.embedded import MAX_RESTARTS, Embedded, EngineDied, Servers, attach, connection_file, read_connection, read_status
from speech.errors import Problem
from tests import servers as own

ROOT = os.geteuid() == 0
PATIENCE_S = 60.0  # a limit, not an expectation


def settings(folder: Path, **urls: str) -> Settings:
    return Settings(folder, "bundled", "cpu", 1, urls.get("database_url"), urls.get("redis_url"), urls.get("nats_url"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder whose cluster is made once: a start then takes 0.1 s."""
    folder = tmp_path_factory.mktemp("data")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def _nothing_stays(folder: Path, tmp_path: Path) -> Iterator[None]:
    """After each test no process works in its folders, and no server is said to run."""
    yield
    for place in (folder, tmp_path):
        assert working_in(place) == []
        assert not connection_file(place).exists()


def working_in(folder: Path) -> list[str]:
    found = []
    for link in Path("/proc").glob("[0-9]*/cwd"):
        try:
            where = os.readlink(link)
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue
        if where.startswith(str(folder)):
            found.append(link.parent.name)
    return found


def run(folder: Path, body: Callable[[Servers, Embedded], Awaitable[None]], **given: str) -> None:
    """Runs the body with the engines of the folder."""

    async def whole() -> None:
        engines = Embedded(folder, settings(folder, **given))
        async with asyncio.timeout(PATIENCE_S), engines as servers:
            await body(servers, engines)

    asyncio.run(whole())


async def write(servers: Servers, text: str) -> None:
    """One row, one key and one message."""
    database = await asyncpg.connect(servers.database_url)
    await database.execute("create table if not exists kept (text text)")
    await database.execute("insert into kept values ($1)", text)
    await database.close()
    async with redis.asyncio.Redis.from_url(servers.redis_url) as valkey:
        await valkey.rpush("kept", text)
    bus = await nats.connect(servers.nats_url, allow_reconnect=False, max_reconnect_attempts=0)
    await bus.jetstream().add_stream(name="kept", subjects=["kept"])
    await bus.jetstream().publish("kept", text.encode())
    await bus.close()


async def written(servers: Servers) -> list[set[str]]:
    """What each engine has kept."""
    database = await asyncpg.connect(servers.database_url)
    rows = {row["text"] for row in await database.fetch("select text from kept")}
    await database.close()
    async with redis.asyncio.Redis.from_url(servers.redis_url, decode_responses=True) as valkey:
        keys = set(await valkey.lrange("kept", 0, -1))
    bus = await nats.connect(servers.nats_url, allow_reconnect=False, max_reconnect_attempts=0)
    stream = bus.jetstream()
    messages = set()
    for seq in range(1, (await stream.stream_info("kept")).state.last_seq + 1):
        messages.add(((await stream.get_msg("kept", seq)).data or b"").decode())
    await bus.close()
    return [rows, keys, messages]


class Heard(logging.Handler):
    """Lets a test wait for a line of the supervisor's log."""

    def __init__(self, part: str) -> None:
        super().__init__()
        self.part = part
        self.lines: list[str] = []
        self.event = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        if self.part in record.getMessage():
            self.event.set()

    def __enter__(self) -> "Heard":
        embedded.log.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        embedded.log.removeHandler(self)

    async def wait(self) -> None:
        await self.event.wait()
        self.event.clear()


@pytest.mark.parametrize("name", ["postgres", "valkey", "nats"])
def test_an_engine_that_is_killed_comes_back_with_what_was_written(folder: Path, name: str) -> None:
    async def body(servers: Servers, engines: Embedded) -> None:
        await write(servers, name)
        before = {status.name: status.pid for status in engines.status()}
        with Heard("ended") as death, Heard("is back") as heard:
            os.kill(before[name] or 0, signal.SIGKILL)
            await death.wait()
            assert [status.name for status in read_status(folder) or [] if status.pid is None] == [name]
            await heard.wait()
        assert heard.lines[0] == f"{name} ended (killed by SIGKILL): restart 1, 1 of {MAX_RESTARTS}"
        assert all(name in kept for kept in await written(servers))
        after = {status.name: status for status in engines.status()}
        assert read_status(folder) == engines.status()
        assert after[name].restarts == 1
        assert after[name].last_exit == "killed by SIGKILL"
        assert [other for other in before if after[other].pid != before[other]] == [name]

    run(folder, body)


def test_an_engine_that_dies_again_and_again_ends_the_server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "LONGEST_BACK_OFF_S", 0.0)  # the clock

    async def body(_: Servers, engines: Embedded) -> None:
        with Heard("is back") as heard:
            while True:
                os.kill(next(status.pid for status in engines.status() if status.name == "valkey" and status.pid), signal.SIGKILL)
                await heard.wait()

    with pytest.raises(EngineDied, match=rf"valkey ended {MAX_RESTARTS + 1} times in 60 s, the last time: killed by SIGKILL"):
        run(folder, body)


def test_what_the_block_raises_comes_out_as_it_is(folder: Path) -> None:
    mine = ExceptionGroup("mine", [ValueError("one"), ValueError("two")])

    async def body(_: Servers, __: Embedded) -> None:
        raise mine

    with pytest.raises(ExceptionGroup) as raised:
        run(folder, body)
    assert raised.value is mine


def test_a_stop_is_clean_and_in_order(folder: Path) -> None:
    run(folder, nothing)
    logs = [folder / "engines" / f"{name}.log" for name in ("postgres", "nats", "valkey")]
    for file, last in zip(logs, ("database system is shut down", "Server Exiting", "bye bye"), strict=True):
        assert last in file.read_text().splitlines()[-1]
    assert logs == sorted(logs, key=lambda file: file.stat().st_mtime_ns)


@pytest.mark.parametrize("victims", ["the server", "everything"])
def test_a_start_after_kill_9(folder: Path, victims: str) -> None:
    with own.engines_in(folder) as (servers, process):
        asyncio.run(write(servers, victims))
        pids = [status.pid or 0 for status in read_status(folder) or []]
        process.kill()
        process.wait(PATIENCE_S)
        if victims == "everything":
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
        else:
            assert all(Path(f"/proc/{pid}").exists() for pid in pids)
        assert (folder / "engines" / "postgres" / "data" / "postmaster.pid").exists()
        assert connection_file(folder).exists()
        assert read_connection(folder) is None  # its owner is dead
        with pytest.raises(Problem, match="no server runs on this data folder"):
            attach(folder, settings(folder))

    async def body(servers: Servers, engines: Embedded) -> None:
        assert all(victims in kept for kept in await written(servers))
        assert not {status.pid for status in engines.status()} & set(pids)
        assert [status.restarts for status in engines.status()] == [0, 0, 0]

    run(folder, body)


def test_a_postmaster_pid_that_names_a_stranger(folder: Path) -> None:
    """After a restart of a container the old process id may belong to any other process of the same user."""
    run(folder, nothing)  # makes the cluster
    data = folder / "engines" / "postgres" / "data"
    as_owner = {"user": data.stat().st_uid, "extra_groups": []} if ROOT else {}
    with subprocess.Popen(["sleep", "600"], **as_owner) as stranger:  # type: ignore[call-overload]
        (data / "postmaster.pid").write_text(f"{stranger.pid}\n/proc/self/cwd\n1790000000\n5432\n.\n\n0 0\nready\n")
        try:
            run(folder, nothing)
            assert stranger.poll() is None
        finally:
            stranger.kill()


async def nothing(_: Servers, __: Embedded) -> None:
    """Only starts and stops."""


def test_a_second_server_on_the_same_folder_is_refused(folder: Path) -> None:
    async def body(servers: Servers, _: Embedded) -> None:
        with pytest.raises(Problem) as refused:
            async with Embedded(folder, settings(folder)):
                pass
        assert str(refused.value) == (
            f"{folder}: another Elocute server (process {os.getpid()}) uses this data folder. "
            "Stop it, or set ELOCUTE_DATA to another folder."
        )
        assert read_connection(folder) == servers == attach(folder, settings(folder))  # the first goes on
        await write(servers, "still here")

    run(folder, body)


def test_only_what_is_not_configured_is_started(folder: Path) -> None:
    async def body(servers: Servers, engines: Embedded) -> None:
        assert [status.name for status in engines.status()] == ["postgres"]
        assert servers.redis_url == "redis://elsewhere"
        assert servers.nats_url == "nats://elsewhere"
        assert read_connection(folder) == servers

    run(folder, body, redis_url="redis://elsewhere", nats_url="nats://elsewhere")


def test_nothing_is_started_when_everything_is_configured(tmp_path: Path) -> None:
    given = {"database_url": "postgresql://elsewhere", "redis_url": "redis://elsewhere", "nats_url": "nats://elsewhere"}
    kept = []

    async def body(servers: Servers, engines: Embedded) -> None:
        assert engines.status() == []
        async with Embedded(tmp_path, settings(tmp_path, **given)) as second:  # shared servers, shared folder
            assert second == servers == attach(tmp_path, settings(tmp_path, **given))
        kept.append(servers.blob_secret)

    run(tmp_path, body, **given)
    run(tmp_path, body, **given)
    assert len(kept[0]) == 32
    assert kept[0] == kept[1]


def test_secrets_are_kept_and_readable_by_nobody_else(folder: Path) -> None:
    seen: list[Servers] = []

    async def body(servers: Servers, engines: Embedded) -> None:
        seen.append(servers)
        secrets = [file.read_text() for file in (folder / "engines").glob("*.secret")]
        assert len(set(secrets)) == 4
        place = folder / "engines"
        holders = {place / "connection.json", place / "valkey" / "valkey.conf", place / "nats" / "nats.conf", *place.glob("*.secret")}
        for file in (file for file in place.rglob("*") if file.is_file()):
            assert not file.stat().st_mode & 0o077, file
            if file.parent.name != "data" and any(secret.encode() in file.read_bytes() for secret in secrets):
                holders.discard(file)
        assert holders == set()  # those above were looked at, and hold what they are thought to
        for engine in ("postgres", "valkey", "nats"):
            assert (place / engine).stat().st_mode & 0o777 == 0o700
        for status in engines.status():
            line = Path(f"/proc/{status.pid}/cmdline").read_text()
            assert not any(secret in line for secret in secrets)
        assert not any(secret in repr(servers) for secret in secrets)

    run(folder, body)
    run(folder, body)
    assert seen[0] == seen[1]
    assert len(seen[0].blob_secret) == 32


@pytest.mark.parametrize("url", ["database_url", "redis_url", "nats_url"])
def test_no_engine_lets_a_stranger_in(folder: Path, url: str) -> None:
    async def body(servers: Servers, _: Embedded) -> None:
        secret = (
            folder / "engines" / f"{({'database_url': 'postgres', 'redis_url': 'valkey', 'nats_url': 'nats'})[url]}.secret"
        ).read_text()
        wrong = getattr(servers, url).replace(secret, "wrong")
        assert wrong != getattr(servers, url)
        refusals = (asyncpg.InvalidPasswordError, redis.exceptions.ConnectionError, nats.errors.Error)
        with pytest.raises(refusals, match=r"password authentication failed|invalid username-password|Authorization Violation"):
            await write(replace(servers, **{url: wrong}), "in")

    run(folder, body)


def test_a_port_that_another_program_took_is_left_to_it(folder: Path) -> None:
    run(folder, nothing)
    port = int((folder / "engines" / "nats" / "port").read_text())

    async def body(servers: Servers, _: Embedded) -> None:
        assert servers.nats_url.endswith(f":{port}")

    run(folder, body)

    async def taken() -> None:
        async with await asyncio.start_server(lambda *_: None, "127.0.0.1", port), Embedded(folder, settings(folder)) as servers:
            assert not servers.nats_url.endswith(f":{port}")
            await write(servers, "elsewhere")

    asyncio.run(taken())


@pytest.mark.parametrize("name", ["x" * 120, "a, b#c%20d ä\"'", "50%"])
def test_a_folder_with_an_awkward_path(folder: Path, tmp_path: Path, name: str) -> None:
    """Also: a data folder may be moved."""
    run(folder, nothing)
    moved = tmp_path / name
    folder.rename(moved)
    if ROOT:
        for engine in ("postgres", "valkey", "nats"):
            os.chown(moved / "engines" / engine, 0, 0)  # as a copy by root is: it is given to the account again
    left = Path(tempfile.mkdtemp(prefix="test-elocute-"))  # by a server that was killed
    runtime = moved / "engines" / "runtime"
    runtime.symlink_to(left)
    used = []

    async def body(servers: Servers, _: Embedded) -> None:
        used.extend([runtime.readlink()] if runtime.is_symlink() else [])
        await write(servers, name)
        assert all(name in kept for kept in await written(servers))

    try:
        run(moved, body)
    finally:
        moved.rename(folder)
    assert bool(used) == (len(name) > 107 or "," in name)  # a socket must not have such a path
    assert not any(place.exists() for place in [left, *used])
    assert not (folder / "engines" / "runtime").is_symlink()


@pytest.mark.skipif(not ROOT, reason="only root's engines run as somebody else")
def test_roots_engines_run_as_somebody_else_wherever_elocute_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also from a checkout in root's home, which nobody else may enter; and after an `initdb` that was killed."""
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o700)
    for engine in (trio.Postgres, trio.Valkey, trio.Nats):
        place = locked / engine.name
        copy_parts(engine.installed(), engine.parts, place)
        monkeypatch.setattr(engine, "installed", partial(Path, place))
    (tmp_path / "engines" / "postgres" / "new" / "global").mkdir(parents=True)
    (tmp_path / "engines" / "postgres" / "password").write_text("half")
    copies = []

    async def body(servers: Servers, engines: Embedded) -> None:
        copies.append((tmp_path / "engines" / "runtime").readlink())
        await write(servers, "kept")
        assert all("kept" in kept for kept in await written(servers))
        for status in engines.status():
            facts = Path(f"/proc/{status.pid}").stat()
            assert pwd.getpwuid(facts.st_uid).pw_name == "nobody"

    run(tmp_path, body)
    assert not copies[0].exists()


def copy_parts(root: Path, parts: tuple[str, ...], to: Path) -> None:
    """A wheel's files in another place."""
    for source in (root / part for part in parts):
        part = source.relative_to(root)
        (to / part).parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, to / part) if source.is_dir() else shutil.copy(source, to / part)


@pytest.mark.skipif(not ROOT, reason="every other test runs as an ordinary user then")
def test_an_ordinary_user_needs_nobodys_help(folder: Path) -> None:
    run(folder, nothing)  # imports what is imported late: the child may not be able to read the interpreter's folder
    account = pwd.getpwnam("daemon")
    home = Path(tempfile.mkdtemp(prefix="test-elocute-"))
    os.chown(home, account.pw_uid, account.pw_gid)

    async def body(servers: Servers, _: Embedded) -> None:
        await write(servers, "kept")
        assert all("kept" in kept for kept in await written(servers))
        for file in (home / "engines").rglob("*"):
            assert file.stat().st_uid == account.pw_uid

    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setgroups([])
            os.setgid(account.pw_gid)
            os.setuid(account.pw_uid)
            run(home, body)
            status = 0
        finally:
            os._exit(status)
    try:
        assert os.waitpid(child, 0)[1] == 0
        assert working_in(home) == []
        with own.engines_in(home):  # root on that user's folder: the engines stay that user's, who can use it again
            assert (home / "engines" / "postgres" / "data").stat().st_uid == account.pw_uid
    finally:
        shutil.rmtree(home)


def test_a_start_that_fails_says_why_and_leaves_nothing(folder: Path) -> None:
    run(folder, nothing)
    version = folder / "engines" / "postgres" / "data" / "PG_VERSION"
    version.write_text("17\n")
    try:
        with pytest.raises(Problem, match=r"postgres did not start \(exit status 1: .*incompatible.*\)\. Its log is .*postgres\.log"):
            run(folder, nothing)
        assert working_in(folder) == []
    finally:
        version.write_text("18\n")
    run(folder, nothing)


def test_a_server_that_is_cancelled_stops_its_engines(folder: Path) -> None:
    async def whole() -> None:
        running = asyncio.Event()

        async def serve() -> None:
            async with Embedded(folder, settings(folder)):
                running.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(serve())
        await running.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        task = asyncio.create_task(serve())  # and one that is cancelled while it starts
        while not working_in(folder):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(whole())


def test_the_connection_file_holds_what_doctor_shows(folder: Path) -> None:
    async def body(_: Servers, engines: Embedded) -> None:
        kept = json.loads(connection_file(folder).read_text())
        assert kept["owner"]["pid"] == os.getpid()
        assert [status.name for status in read_status(folder) or []] == ["postgres", "nats", "valkey"]
        assert set(engines.timings) == {"postgres", "nats", "valkey", "engines"}

    run(folder, body)
    assert read_status(folder) is None
