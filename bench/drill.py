"""The kill drill: real processes, killed with -9 at random moments, while recordings are being processed. Is anything lost, or done twice?

    python -m bench.drill [--seed 1] [--kills 200] [--sessions 20] [--gap 2]

Engines, a server, a relay and two workers run as in production, each started again when it dies, as systemd would. Clients keep
`--sessions` sessions in processing: short cuts of a reading, sent in both ways there are, by clients that try again until they are
answered; every eighth is deleted while it is at work. First each cut is processed undisturbed, which is what the others are compared with.
Then kills fall, on average every `--gap` seconds, each on a random one of server, relay, worker, PostgreSQL, NATS and Valkey. After the
last one all must come to rest; then every acknowledged session is complete, each result there once and equal to the undisturbed one, and
nothing else is left. Prints tables, writes bench/results/drill.json, exits with 1 when something is wrong.
"""

import argparse
import asyncio
import hashlib
import json
import os
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import nats.errors
import redis.asyncio as redis
from nats.aio.client import Client as NatsClient
from redis.exceptions import RedisError

from bench.table import Row, keep, show
from config import graph
from config.settings import Settings
from engines.blob_files import FileBlobs
from engines.blobs import open_blobs
from engines.bus import Bus, BusDown
from engines.child import stat_fields
from engines.embedded import Servers, read_connection, read_status
from speech.audio import seconds
from tests.samples import recording
from tests.servers import free_ports
from tests.test_analyze import wav

ROOT = Path(__file__).parent.parent
WORKERS = ("worker1", "worker2")
TARGETS = ("server", "relay", "worker", "postgres", "nats", "valkey")
STEPS = ",".join(graph.BY_NAME)
LONGEST_S, SHORTEST_S = 12.0, 6.0  # of a cut
DELETED = 8  # one of so many sessions is deleted while it is at work
RESTART_S = 0.1  # systemd's RestartSec
REST_LIMIT_S = 300.0  # for all to come to rest after the last kill
START_LIMIT_S = 120.0
STOP_LIMIT_S = 30.0
LOOK_S = 2.0  # how often a client asks after its session
PROBE_S = 0.05
FILES = frozenset(
    {"source", "audio.mp3", "frames.parquet", "listened.npz"}
    | {f"report/{name}" for name in ("analysis.json", "words.csv", "frames.parquet", "transcript.txt", "transcript.vtt", "transcript.srt")}
    | {f"report/{name}" for name in ("analysis.textgrid", "index.html", "page.html")}
)


# what runs


class Program:
    """A process of ours, started again whenever it ends."""

    def __init__(self, name: str, arguments: Sequence[str], environment: dict[str, str], folder: Path) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self.gave_up = 0  # times it ended by itself
        self.ready_s = 0.0  # monotonic: when it last said that it is ready
        behind = ["nice", "-n", "10"] if name in WORKERS else []  # as the server starts its worker
        self._command = [*behind, sys.executable, "-m", *arguments]
        self._environment = {**os.environ, **environment}
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """Of the process that runs now."""
        return None if self._process is None or self._process.returncode is not None else self._process.pid

    async def run(self) -> None:
        """For ever; cancelled, it ends the process."""
        while True:
            with self.log.open("ab") as out:
                start = out.seek(0, os.SEEK_END)
                self._process = await asyncio.create_subprocess_exec(
                    *self._command, cwd=ROOT, env=self._environment, stdin=asyncio.subprocess.DEVNULL, stdout=out, stderr=out
                )
            try:
                async with asyncio.TaskGroup() as tasks:
                    looking = tasks.create_task(self._look(start))
                    status = await self._process.wait()
                    looking.cancel()
            except asyncio.CancelledError:
                await _end(self._process)
                raise
            self.gave_up += status != -signal.SIGKILL
            await asyncio.sleep(RESTART_S)

    async def _look(self, start: int) -> None:
        while True:
            with self.log.open("rb") as file:
                file.seek(start)
                if b"worker ready" in file.read():
                    self.ready_s = time.monotonic()
                    return
            await asyncio.sleep(PROBE_S)


async def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_LIMIT_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


@dataclass
class House:
    """All that runs, and what is known of it."""

    folder: Path
    servers: Servers
    url: str
    engines_pid: int
    programs: dict[str, Program]
    kills: Counter[str] = field(default_factory=Counter)
    last_kill_s: dict[str, float] = field(default_factory=dict)  # monotonic, by process
    back_s: dict[str, list[float]] = field(default_factory=dict)  # seconds, by target, of kills that were not followed by another
    outages_s: dict[str, list[float]] = field(default_factory=dict)  # of all kills: killed again meanwhile, it counts on
    wrong: list[str] = field(default_factory=list)

    def pid(self, name: str) -> int | None:
        """The process to kill; None while there is none."""
        if name in self.programs:
            return self.programs[name].pid
        for engine in read_status(self.folder) or []:
            if engine.name == name and engine.pid is not None:
                try:  # the file may be a moment behind: only a child of our engines is one
                    return engine.pid if int(stat_fields(engine.pid)[1]) == self.engines_pid else None
                except (FileNotFoundError, ProcessLookupError):
                    return None
        return None

    async def recovered(self, target: str, name: str, since_s: float) -> None:
        """Note how long after `since_s` it did its work again."""
        self.last_kill_s[name] = since_s
        probes = {"server": self.ready, "postgres": self._query, "nats": self._bus, "valkey": self._ping}
        try:
            await _until(probes.get(target) or partial(self._said_so, name, since_s), REST_LIMIT_S)
        except TimeoutError:
            self.wrong.append(f"{name} did not come back within {REST_LIMIT_S:.0f} s")
            return
        took_s = time.monotonic() - since_s
        self.outages_s.setdefault(target, []).append(took_s)
        if self.last_kill_s[name] == since_s:
            self.back_s.setdefault(target, []).append(took_s)

    async def started(self) -> None:
        """Until relay and workers have come up for the first time."""
        for name in self.programs:
            if name != "server":
                await _until(partial(self._said_so, name, 0.0), START_LIMIT_S)

    async def _said_so(self, name: str, since_s: float) -> bool:
        return self.programs[name].ready_s > since_s

    async def ready(self) -> bool:
        """Whether the server can do its work."""
        try:
            async with httpx.AsyncClient(timeout=5) as client:
                return (await client.get(f"{self.url}/readyz")).status_code == 200
        except httpx.TransportError:
            return False

    async def _query(self) -> bool:
        try:
            connection = await asyncpg.connect(self.servers.database_url, timeout=5)
            try:
                await connection.fetchval("select count(*) from sessions")
            finally:
                await connection.close()
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        return True

    async def _bus(self) -> bool:
        client = NatsClient()
        try:
            async with asyncio.timeout(5):
                await client.connect(
                    self.servers.nats_url,
                    allow_reconnect=False,
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0,
                    connect_timeout=2,
                    error_cb=_ignore,
                )
                await client.jetstream(timeout=2).account_info()
        except (OSError, TimeoutError, nats.errors.Error):
            return False
        finally:
            if client.is_connected:
                await client.close()
        return True

    async def _ping(self) -> bool:
        client = redis.from_url(self.servers.redis_url, socket_timeout=5)
        try:
            await client.ping()
        except (OSError, RedisError):
            return False
        finally:
            await client.aclose()
        return True


async def _ignore(_: Exception) -> None:
    pass


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[House]:
    """Engines, server, relay and two workers, until the block ends."""
    command = [sys.executable, "-m", "engines.embedded", str(folder), "--until-eof"]
    with (folder / "engines.log").open("wb") as log:
        engines = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log
        )
    try:
        assert engines.stdout is not None
        async with asyncio.timeout(START_LIMIT_S):
            for _ in range(3):
                await engines.stdout.readline()
        servers = read_connection(folder)
        if servers is None:
            raise RuntimeError(f"the engines did not start: {(folder / 'engines.log').read_text()}")
        (port,) = free_ports(1)
        environment = {
            "DATABASE_URL": servers.database_url,
            "REDIS_URL": servers.redis_url,
            "NATS_URL": servers.nats_url,
            "ELOCUTE_DATA": str(folder),
            "ELOCUTE_PORT": str(port),
            "ELOCUTE_DEVICE": "cpu",
            "ELOCUTE_THREADS": "1",
            "TMPDIR": str(folder / "scratch"),  # of killed workers
        }
        (folder / "scratch").mkdir()
        commands = {
            "server": ["api", "--no-worker"],
            "relay": ["batch", "worker", "--steps", "relay"],
            **{name: ["batch", "worker", "--steps", STEPS] for name in WORKERS},
        }
        programs = {name: Program(name, arguments, environment, folder) for name, arguments in commands.items()}
        house = House(folder, servers, f"http://127.0.0.1:{port}", engines.pid, programs)
        async with asyncio.TaskGroup() as tasks:
            kept = [tasks.create_task(programs["server"].run(), name="server")]
            await _until(house.ready, START_LIMIT_S)
            kept += [tasks.create_task(program.run(), name=name) for name, program in programs.items() if name != "server"]
            await house.started()
            yield house
            for task in kept:
                task.cancel()
    finally:
        await _end(engines)


async def _until(true: Callable[[], Awaitable[bool]], limit_s: float) -> None:
    async with asyncio.timeout(limit_s):
        while not await true():
            await asyncio.sleep(PROBE_S)


# who uses it


@dataclass(frozen=True, slots=True)
class Cut:
    """A recording."""

    wav: bytes
    sha256: str


def cuts(rng: random.Random, count: int, folder: Path) -> list[Cut]:
    """Different ones of the reading."""
    whole_s = seconds(recording().size)
    found = []
    for _ in range(count):
        length_s = rng.uniform(SHORTEST_S, LONGEST_S)
        start_s = rng.uniform(0.0, whole_s - length_s)
        content = wav(folder / "cut.wav", start_s, start_s + length_s).read_bytes()
        found.append(Cut(content, hashlib.sha256(content).hexdigest()))
    return found


@dataclass
class Sent:
    """A session whose processing the server has acknowledged."""

    id: str
    cut: int
    took_s: float | None = None  # from the acknowledgement to `complete`, as its client saw it
    deleted: bool = False


class Refused(Exception):
    """The server said no where it had no reason to."""


class Clients:
    """Everybody who uses the server."""

    def __init__(self, house: House, recordings: Sequence[Cut], rng: random.Random) -> None:
        self.sent: list[Sent] = []
        self.broken = 0  # requests without an answer
        self.put_off: Counter[int] = Counter()  # requests to be tried again, by status
        self.log_restarts = 0  # times a live log began anew
        self.events = 0
        self._house = house
        self._recordings = recordings
        self._rng = rng
        self._http = httpx.AsyncClient(base_url=house.url, timeout=20, limits=httpx.Limits(max_connections=None))

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def each_once(self) -> list[bytes]:
        """Every recording, all at once; their analyses."""
        async with asyncio.TaskGroup() as tasks:
            for i in range(len(self._recordings)):
                tasks.create_task(self.one(i, delete=False))
        if self._house.wrong:
            raise RuntimeError(f"something is wrong before the first kill: {self._house.wrong}")
        found = {sent.cut: await self.analysis(sent.id) for sent in self.sent}
        return [found[i] for i in range(len(self._recordings))]

    async def keep_busy(self, over: asyncio.Event) -> None:
        """One session after the other, until it is over."""
        while not over.is_set():
            await self.one(self._rng.randrange(len(self._recordings)), delete=self._rng.randrange(DELETED) == 0)

    async def one(self, cut: int, *, delete: bool) -> None:
        """A session from its beginning to its end."""
        recorded = self._recordings[cut]
        key = UUID(int=self._rng.getrandbits(128), version=4)
        wanted = {"filename": "talk.wav", "content_type": "audio/wav", "size": len(recorded.wav)}
        made = (await self._ask("POST", "/v1/sessions", json=wanted, headers={"Idempotency-Key": str(key)})).json()
        path = f"/v1/sessions/{made['id']}"
        if self._rng.random() < 0.5:
            put = made["upload"]["put"]
            await self._ask(put["method"], put["url"], content=recorded.wav, headers=put["headers"])
        else:
            headers = {"Content-Type": "audio/wav", "X-Filename": "talk.wav"}
            await self._ask("POST", f"{path}/media", content=recorded.wav, headers=headers)
        await self._ask("POST", f"{path}/process")
        sent = Sent(made["id"], cut)
        self.sent.append(sent)
        began_s = time.monotonic()
        if delete:
            await asyncio.sleep(self._rng.uniform(0.0, 15.0))
            await self._ask("DELETE", path, also=(404,))
            sent.deleted = True
            return
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(self._follow(path))
            while True:
                state = (await self._ask("GET", path)).json()
                if state["state"] != "processing":
                    break
                await asyncio.sleep(LOOK_S)
            following.cancel()
        if state["state"] == "complete":
            sent.took_s = time.monotonic() - began_s
        else:
            self._house.wrong.append(f"{sent.id} ended {state['state']}: {state.get('problem')}")

    async def analysis(self, session: str) -> bytes:
        """The report's analysis.json, by its signed link."""
        report = (await self._ask("GET", f"/v1/sessions/{session}/report")).json()
        (link,) = (file["link"] for file in report["files"] if file["name"] == "analysis.json")
        return (await self._ask("GET", link)).content

    async def _follow(self, path: str) -> None:
        # The live log, as a browser reads it: no event may be missing.
        last = 0
        while True:
            try:
                async with self._http.stream("GET", f"{path}/events", headers={"Last-Event-ID": str(last)}) as answer:
                    if answer.status_code == 200:
                        async for line in answer.aiter_lines():
                            if not line.startswith("id: "):
                                continue
                            seq = int(line[4:])
                            self.events += 1
                            if seq > last + 1:
                                self._house.wrong.append(f"{path}: event {seq} came after {last}")
                            self.log_restarts += seq <= last
                            last = seq
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.2)

    async def _ask(self, method: str, path: str, *, also: tuple[int, ...] = (), **content: Any) -> httpx.Response:
        while True:
            try:
                answer = await self._http.request(method, path, **content)
            except httpx.TransportError:
                self.broken += 1
                await asyncio.sleep(0.2)
                continue
            if answer.is_success or answer.status_code in also:
                return answer
            retry_s = answer.headers.get("retry-after")
            if answer.status_code == 500:
                self._house.wrong.append(f"{method} {path.partition('?')[0]}: {answer.text}")
            elif retry_s is None:
                raise Refused(f"{method} {path.partition('?')[0]}: {answer.status_code} {answer.text}")
            self.put_off[answer.status_code] += 1
            await asyncio.sleep(min(1.0, float(retry_s or 1)))


# what is done to it


async def strike(house: House, rng: random.Random, kills: int, gap_s: float) -> None:
    """Kill one process after the other, and wait until each has come back."""
    async with asyncio.TaskGroup() as tasks:
        while sum(house.kills.values()) < kills:
            await asyncio.sleep(rng.expovariate(1.0 / gap_s))
            target = rng.choice(TARGETS)
            name = rng.choice(WORKERS) if target == "worker" else target
            pid = house.pid(name)
            if pid is None:  # it is down: somebody else, a little later
                continue
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                house.kills[target] += 1
                tasks.create_task(house.recovered(target, name, time.monotonic()))


# what must hold


async def wrong(house: House, clients: Clients, recordings: Sequence[Cut], expected: Sequence[bytes]) -> AsyncIterator[str]:
    """What does not hold once all has come to rest."""
    connection = await asyncpg.connect(house.servers.database_url)  # as a superuser, who sees every org
    settings = Settings(data=house.folder, asr_model="bundled", device="cpu", threads=1)
    try:
        async with open_blobs(settings, house.servers.blob_secret, "", house.folder / "blobs") as blobs:
            assert isinstance(blobs, FileBlobs)
            async for sentence in _rows_wrong(connection, clients.sent):
                yield sentence
            live = {sent.id: sent for sent in clients.sent if not sent.deleted}
            org = str(await connection.fetchval("select id from orgs"))
            there = dict[str, set[str]]()
            async for key in blobs.keys():
                owner, session, name = key.split("/", 2)
                there.setdefault(session, set()).add(name)
                if owner != org or session not in live:
                    yield f"orphan: {key}"
            for sent in live.values():
                names, cut = there.get(sent.id, set()), recordings[sent.cut]
                if names != FILES:
                    yield f"{sent.id}: files too many or missing: {sorted(names ^ FILES)}"
                    continue
                if hashlib.sha256(await blobs.read(f"{org}/{sent.id}/source")).hexdigest() != cut.sha256:
                    yield f"{sent.id}: its recording is not what was sent"
                analysis = await clients.analysis(sent.id)
                if analysis != expected[sent.cut]:
                    yield f"{sent.id}: its report is not that of the undisturbed run"
                said = [word["text"] for word in json.loads(analysis)["words"]]
                rows = await connection.fetch(
                    "select text from words where session_id = $1 and not second_opinion order by ordinal", UUID(sent.id)
                )
                if [row["text"] for row in rows] != said:
                    yield f"{sent.id}: the words stored are not those of its report"
            swept = await blobs.sweep(0.0)
            left = [path.name for place in ("tmp", "uploads") for path in (house.folder / "blobs" / place).iterdir()]
            if left:
                yield f"after a sweep of {swept} there are still {left}"
    finally:
        await connection.close()


async def _rows_wrong(connection: asyncpg.Connection, all_sent: Sequence[Sent]) -> AsyncIterator[str]:
    gone = [UUID(sent.id) for sent in all_sent if sent.deleted]
    live = [UUID(sent.id) for sent in all_sent if not sent.deleted]
    if unknown := await connection.fetch("select id, state from sessions where id <> all($1::uuid[])", live):
        yield f"sessions that should not be: {[(str(row['id']), row['state']) for row in unknown]}"
    tables = await connection.fetch(
        """select format('%I.%I', table_schema, table_name) as name from information_schema.columns natural join information_schema.tables
        where column_name = 'session_id' and table_type = 'BASE TABLE' and table_schema in ('public', 'ts')"""
    )
    for table in tables:
        if count := await connection.fetchval(f"select count(*) from {table['name']} where session_id = any($1::uuid[])", gone):
            yield f"{table['name']} has {count} rows of deleted sessions"
    for session in live:
        if (state := await connection.fetchval("select state from sessions where id = $1", session)) != "complete":
            yield f"{session}: acknowledged, and now {state or 'lost'}"
            continue
        rows = await connection.fetch("select step, input_hash, state, failures from steps where session_id = $1", session)
        if sorted(row["step"] for row in rows) != sorted(graph.BY_NAME) or any(row["state"] != "done" for row in rows):
            yield f"{session}: steps are not done once each: {[(row['step'], row['state']) for row in rows]}"
            continue
        if failed := [row["step"] for row in rows if row["failures"]]:
            yield f"{session}: failed by itself: {failed}"
        hashes = {row["step"]: row["input_hash"] for row in rows}
        if hashes != graph.hashes(hashes["ingest"]):
            yield f"{session}: its steps are not of one chain"
        for table in ("fluency", "scores", "reports"):
            step = {"scores": "score", "reports": "report"}.get(table, table)
            found = await connection.fetch(f"select input_hash from {table} where session_id = $1", session)
            if [row["input_hash"] for row in found] != [hashes[step]]:
                yield f"{session}: {len(found)} rows in {table}, or of another input"
        one = await connection.fetchrow(
            """select (select count(*) from transcripts where session_id = $1) as transcripts,
                (select count(*) from media where session_id = $1 and complete and upload_id is null) as media,
                (select count(*) from ts.seconds where session_id = $1) as seconds,
                (select duration_s from sessions where id = $1) as length_s""",
            session,
        )
        if (one["transcripts"], one["media"], one["seconds"]) != (1, 1, ceil(one["length_s"])):
            yield f"{session}: rows too many or missing: {dict(one)}"


async def at_rest(house: House) -> str | None:
    """What is still on its way after the time it may take; None when nothing is."""
    left = ""
    try:
        async with asyncio.timeout(REST_LIMIT_S), Bus.connect(house.servers.nats_url) as bus:
            while True:
                connection = await asyncpg.connect(house.servers.database_url)
                try:
                    waiting = await connection.fetchval("select count(*) from outbox")
                finally:
                    await connection.close()
                depths = await bus.depths()
                if not waiting and not depths:
                    return None
                left = f"{waiting} messages in the outbox, on the bus {depths}"
                await asyncio.sleep(LOOK_S)
    except (TimeoutError, BusDown) as error:
        return f"no rest: {left} {error}"


# the drill


@dataclass
class Outcome:
    """What came of it."""

    undisturbed_s: list[float]
    struck_s: float  # from the first kill's wait to the last kill
    rest_s: float  # from the last kill until all was at rest
    clients: Clients
    house: House


async def drill(seed: int, kills: int, sessions: int, gap_s: float, folder: Path) -> Outcome:
    """Run it."""
    rng = random.Random(seed)
    recordings = cuts(rng, sessions, folder)
    async with running(folder) as house:
        before = Clients(house, recordings, rng)
        try:
            expected = await before.each_once()
        finally:
            await before.close()
        print(f"undisturbed: {len(recordings)} sessions", flush=True)
        clients = Clients(house, recordings, rng)
        try:
            over, began_s = asyncio.Event(), time.monotonic()
            async with asyncio.TaskGroup() as tasks:
                busy = [tasks.create_task(clients.keep_busy(over)) for _ in range(sessions)]
                await strike(house, rng, kills, gap_s)
                over.set()
                last_s = time.monotonic()
                _, late = await asyncio.wait(busy, timeout=REST_LIMIT_S)
                for task in late:
                    task.cancel()
            if still := await at_rest(house):
                house.wrong.append(still)
            rest_s = time.monotonic() - last_s
            everybody = Clients(house, recordings, rng)
            everybody.sent = before.sent + clients.sent
            try:
                house.wrong += [sentence async for sentence in wrong(house, everybody, recordings, expected)]
            finally:
                await everybody.close()
            for log in folder.glob("*.log"):
                if count := log.read_bytes().count(b"Traceback (most recent call last)"):
                    house.wrong.append(f"{log.name}: {count} errors that nobody named")
        finally:
            await clients.close()
        return Outcome([sent.took_s for sent in before.sent if sent.took_s], last_s - began_s, rest_s, clients, house)


def tell(outcome: Outcome, about: Mapping[str, object]) -> None:
    """Tables and JSON."""
    house, clients = outcome.house, outcome.clients
    gave_up = Counter({name.rstrip("12"): 0 for name in house.programs})
    for program in house.programs.values():
        gave_up[program.name.rstrip("12")] += program.gave_up
    rows: list[Row] = []
    for target in TARGETS:
        back_s = house.back_s.get(target)
        rows.append(
            {
                "killed": target,
                "times": house.kills[target],
                "back after, median s": statistics.median(back_s) if back_s else None,
                "most s": max(back_s) if back_s else None,
                "most s, kills meanwhile counted in": max(house.outages_s.get(target, [0.0])),
                "ended by itself": gave_up.get(target),
            }
        )
    show("Kills, and the time until it did its work again", rows)
    took = [sent.took_s for sent in clients.sent if sent.took_s]
    ends: list[Row] = [
        {"sessions": name, "complete": len(times), "median s": statistics.median(times), "longest s": max(times)}
        for name, times in (("undisturbed, all at once", outcome.undisturbed_s), ("under kills", took))
        if times
    ]
    show("Sessions, from the acknowledgement to `complete`", ends)
    figures: dict[str, float] = {
        "sessions acknowledged under kills": len(clients.sent),
        "of these deleted at work": sum(sent.deleted for sent in clients.sent),
        "requests without an answer": clients.broken,
        "requests put off": sum(clients.put_off.values()),
        "live events followed": clients.events,
        "live logs that began anew": clients.log_restarts,
        "kills went on for, s": round(outcome.struck_s, 1),
        "at rest after the last kill, s": round(outcome.rest_s, 1),
        "wrong": len(house.wrong),
    }
    show("The drill", [{"": name, "value": value} for name, value in figures.items()])
    for sentence in house.wrong:
        print(f"WRONG: {sentence}")
    print("\nNothing was lost, nothing was done twice." if not house.wrong else f"\n{len(house.wrong)} violations.")
    keep("drill", {"about": about, "kills": rows, "sessions": ends, "figures": figures, "wrong": house.wrong})


def main() -> int:
    """Run, print, write bench/results/drill.json."""
    parser = argparse.ArgumentParser(description="Kill what runs, at random, and see whether anything is lost.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--sessions", type=int, default=20, help="in processing at any time")
    parser.add_argument("--gap", type=float, default=2.0, help="seconds between kills, on average")
    parser.add_argument("--keep", action="store_true", help="leave the folder with the logs")
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="elocute-drill-"))
    try:
        outcome = asyncio.run(drill(asked.seed, asked.kills, asked.sessions, asked.gap, folder))
        tell(outcome, {"seed": asked.seed, "kills": asked.kills, "sessions": asked.sessions, "gap_s": asked.gap, "cores": os.cpu_count()})
        return 1 if outcome.house.wrong else 0
    finally:
        if asked.keep:
            print(f"logs: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
