"""Two servers and three workers that share nothing but engines given by URLs are one: what one is given, the other shows, live."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from config import graph
from config.settings import S3Settings
from engines.embedded import Servers
from tests.databases import database, fetch
from tests.servers import ROOT, free_ports
from tests.test_analyze import wav

LIMIT_S = 120.0
STOP_LIMIT_S = 30.0
# Whichever of the first two recognises is killed at it: nothing is theirs alone.
WORKERS = ("ingest,asr", "asr,score", "relay,ingest,prosody,fluency,pronunciation,score,coach,report,clips,search")


@dataclass
class Cluster:
    """Two servers by their addresses, and the workers by their process ids."""

    urls: list[str]
    workers: dict[int, Process]
    database_url: str


@asynccontextmanager
async def program(arguments: list[str], environment: dict[str, str], ready: bytes, *, on_stderr: bool) -> AsyncIterator[Process]:
    """A process that has said it is ready."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *arguments),
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=DEVNULL,
        stdout=DEVNULL if on_stderr else PIPE,
        stderr=PIPE if on_stderr else DEVNULL,
    )
    try:
        spoken = process.stderr if on_stderr else process.stdout
        assert spoken is not None
        said = b""
        while ready not in said:
            line = await spoken.readline()
            assert line, said.decode()
            said += line
        drain = asyncio.create_task(spoken.read())  # nobody reads on, and a full pipe would stop it
        try:
            yield process
        finally:
            drain.cancel()
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(STOP_LIMIT_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


@asynccontextmanager
async def cluster(url: str, servers: Servers, s3: S3Settings, weights: Path, folder: Path) -> AsyncIterator[Cluster]:
    """Two servers with a data folder each, and three workers."""
    shared = {
        "DATABASE_URL": url,
        "REDIS_URL": servers.redis_url,
        "NATS_URL": servers.nats_url,
        "S3_ENDPOINT": s3.endpoint,
        "S3_BUCKET": s3.bucket,
        "S3_ACCESS_KEY": s3.access_key,
        "S3_SECRET_KEY": s3.secret_key,
        "S3_REGION": s3.region,
        "ELOCUTE_DEVICE": "cpu",
        "ELOCUTE_ASR_MODEL": "bundled",
        "ELOCUTE_THREADS": "1",
        "TMPDIR": str(folder),  # what a killed worker leaves
    }
    ports = free_ports(2)
    async with AsyncExitStack() as stack:
        serving = [
            program(
                ["api", "--no-worker"],
                {**shared, "ELOCUTE_DATA": str(folder / str(port)), "ELOCUTE_PORT": str(port)},
                b"is ready",
                on_stderr=False,
            )
            for port in ports
        ]
        working = [
            program(["batch", "worker", "--steps", steps], {**shared, "ELOCUTE_DATA": str(weights)}, b"worker ready", on_stderr=True)
            for steps in WORKERS
        ]
        started = await asyncio.gather(*(stack.enter_async_context(each) for each in [*serving, *working]))
        workers = {process.pid: process for process in started[len(ports) :]}
        yield Cluster([f"http://127.0.0.1:{port}" for port in ports], workers, url)


async def events(client: httpx.AsyncClient, session: str, heard: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """What the server tells of the session, from the first event to the one that `heard` waits for."""
    found: list[dict[str, Any]] = []
    async with client.stream("GET", f"/v1/sessions/{session}/events") as answer:
        assert answer.status_code == 200
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                found.append(json.loads(line.removeprefix("data: ")))
                if heard(found[-1]):
                    return found
    raise AssertionError(found)


def ended(event: dict[str, Any]) -> bool:
    return bool(event["data"].get("session") == "complete")


async def upload(client: httpx.AsyncClient, path: Path) -> str:
    """A session whose recording went straight to the store, by a signed link."""
    content = path.read_bytes()
    made = (await client.post("/v1/sessions", json={"filename": path.name, "content_type": "audio/wav", "size": len(content)})).json()
    put = made["upload"]["put"]
    (await client.request(put["method"], put["url"], content=content, headers=put["headers"])).raise_for_status()
    session: str = made["id"]
    (await client.post(f"/v1/sessions/{session}/process")).raise_for_status()
    return session


def test_what_one_server_is_given_the_other_shows_live_though_a_worker_dies(
    servers: Servers, s3: S3Settings, data_folder: Path, tmp_path: Path
) -> None:
    talk = wav(tmp_path / "a talk.wav", 1.0, 21.0)

    async def scenario(url: str) -> None:
        async with (
            asyncio.timeout(LIMIT_S),
            cluster(url, servers, s3, data_folder, tmp_path) as house,
            httpx.AsyncClient(base_url=house.urls[0], timeout=60) as one,
            httpx.AsyncClient(base_url=house.urls[1], timeout=60) as other,
        ):
            session = await upload(one, talk)

            def recognising(event: dict[str, Any]) -> bool:
                return bool(event["data"].get("step") == "asr" and event["data"]["state"] == "running")

            before = await events(other, session, recognising)
            ((holder,),) = await fetch(url, "select worker from steps where step = 'asr' and state = 'running'")
            dead = house.workers[int(holder.rpartition(":")[2])]
            os.kill(dead.pid, signal.SIGKILL)
            assert await dead.wait() == -signal.SIGKILL

            told = await events(other, session, ended)
            assert [event["seq"] for event in told] == list(range(1, len(told) + 1))
            assert told[: len(before)] == before
            assert await events(one, session, ended) == told

            rows = await fetch(url, "select step, state, worker, attempt from steps")
            assert {(step, state) for step, state, _, _ in rows} == {(name, "done") for name in graph.BY_NAME}
            assert len(rows) == len(graph.BY_NAME)
            ((worker, attempt),) = [(worker, attempt) for step, _, worker, attempt in rows if step == "asr"]
            assert worker != holder
            assert attempt == 2

            listed = (await other.get("/v1/sessions")).json()["sessions"]
            assert [(each["id"], each["state"], each["title"]) for each in listed] == [(session, "complete", "a talk")]
            files = {file["name"]: file for file in (await other.get(f"/v1/sessions/{session}/report")).json()["files"]}
            link = files["analysis.json"]["link"]
            assert link.startswith(s3.endpoint)
            async with httpx.AsyncClient() as anybody:
                analysis = (await anybody.get(link)).raise_for_status().json()
            said = [word["text"] for event in told if event["stream"] == "tokens" for word in event["data"]["committed"]]
            assert said == [word["text"] for word in analysis["words"]]
            assert "worst of times" in " ".join(said).lower()

    with database(servers.database_url) as url:
        asyncio.run(scenario(url))
