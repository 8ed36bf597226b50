"""What a worker does around its steps: its scratch folder, the sweep of blobs, waiting for the store, the doctor's look at the engines."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from batch import service
from batch.service import Found, examine
from config.settings import Settings
from db import audit, sessions, steps
from db.pool import Database
from engines.blobs import open_blobs
from engines.embedded import Servers
from tests.databases import at, database, empty_database

HOLD = """
import sys, time
from pathlib import Path
from batch.service import _scratch
with _scratch(Path(sys.argv[1])) as own:
    (own / "copy.wav").write_bytes(b"sound")
    print(own.name, flush=True)
    sys.stdin.read()
"""


def holding(folder: Path) -> tuple["subprocess.Popen[str]", str]:
    """A process with a scratch folder, and that folder's name."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_what_a_killed_worker_left_goes_with_the_next_and_the_living_keep_theirs(tmp_path: Path) -> None:
    (killed, its_name), (living, name) = holding(tmp_path), holding(tmp_path)
    with killed, living:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert (tmp_path / its_name / "copy.wav").exists()
        with service._scratch(tmp_path) as own:
            assert own.is_dir()
            assert not (tmp_path / its_name).exists()
            assert (tmp_path / name / "copy.wav").exists()
        living.communicate(timeout=30)
    assert list(tmp_path.iterdir()) == []


def test_the_sweep_takes_what_was_deleted_and_nothing_else(servers: Servers, tmp_path: Path) -> None:
    org, lives, deleted, unknown = (uuid4() for _ in range(4))

    async def scenario(url: str) -> set[str]:
        settings = Settings(data=tmp_path, asr_model="bundled", device="cpu", threads=1)
        async with Database.open(url, 2) as db, open_blobs(settings, bytes(32), "", tmp_path / "blobs") as blobs:
            async with db.tenant(org) as tx:
                await tx.execute("insert into orgs (id, name) values ($1, 'o')", org)
                kept = (await sessions.create(tx, "lives", "upload")).id
                await audit.write(tx, "somebody", audit.SESSION_DELETED, str(deleted), {})
            for key in (f"{org}/{kept}/source", f"{org}/{deleted}/late", f"{org}/{unknown}/source", "backups/today/dump"):
                await blobs.put(key, b"x", content_type="text/plain")
            await service._sweep(db, blobs)
            return {key.replace(str(kept), str(lives)) async for key in blobs.keys("")}

    with database(servers.database_url) as url:
        found = asyncio.run(scenario(url))
    assert found == {f"{org}/{lives}/source", f"{org}/{unknown}/source", "backups/today/dump"}


def test_a_worker_waits_for_a_store_that_is_not_there_yet(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = 0
    opened = Database.open

    def late(url: str, size: int = 10) -> object:
        nonlocal tried
        tried += 1
        return opened(url if tried > 2 else "postgresql://nobody@127.0.0.1:1/none", size)

    monkeypatch.setattr(Database, "open", late)
    monkeypatch.setattr(service, "RETRY_S", 0.01)
    with database(servers.database_url) as there:
        asyncio.run(service._until_there(replace(servers, database_url=there)))
    assert tried == 3


def doctor(url: str, servers: Servers, folder: Path) -> Callable[[], list[Found]]:
    settings = Settings(folder, "bundled", "cpu", 1, database_url=url, redis_url=servers.redis_url, nats_url=servers.nats_url)
    return lambda: examine(settings)


def test_the_doctor_tells_of_missing_tables_and_parked_steps(servers: Servers, tmp_path: Path) -> None:
    with empty_database(servers.database_url) as url:
        found = doctor(url, servers, tmp_path)()
        assert [one.wrong for one in found if one.what == "database"] == ["The tables are out of date. Run `elocute migrate`."]
    with database(servers.database_url) as url:

        async def park() -> None:
            from db.orgs import ensure_local

            async with Database.open(url, 2) as db:
                member = await ensure_local(db)
                async with db.tenant(member.org) as tx:
                    session = (await sessions.create(tx, "bad", "upload")).id
                    await steps.queue(tx, session, "asr", "h")
                    await steps.park(tx, session, "asr", "h", "no-speech", "No speech was found.")

        asyncio.run(park())
        found = doctor(url, servers, tmp_path)()
    assert [one.wrong for one in found] == [None] * len(found)
    (parked,) = [one.state for one in found if one.what == "parked"]
    assert parked.startswith("asr of session ")
    assert parked.endswith("No speech was found.")


def test_the_doctor_tells_of_an_engine_that_does_not_answer(servers: Servers, tmp_path: Path) -> None:
    nowhere = at(servers.database_url, "there_is_no_such_database")
    found = doctor(nowhere, servers, tmp_path)()
    (database,) = [one for one in found if one.what == "database"]
    assert database.wrong is not None
    assert database.wrong.startswith("The database does not answer")
    assert {one.what for one in found if one.wrong is None} == {"bus", "live log"}


def test_the_doctor_says_so_when_nothing_runs(tmp_path: Path) -> None:
    assert examine(Settings(tmp_path, "bundled", "cpu", 1)) == [Found("engines", "not running; `elocute serve` starts them")]
