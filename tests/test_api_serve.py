"""The process: it starts with a word, refuses with a sentence, keeps a worker running, and stops in order."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from api import child, health
from api.app import opened
from api.child import Worker
from api.listening import bound, is_loopback
from api.server import Stopping, _serve
from db.errors import StoreError
from engines.embedded import Servers
from engines.errors import EngineError
from speech.errors import Problem
from tests.api_server import running, settings_for
from tests.servers import ROOT, free_ports, trio

WITHIN_S = 60


@contextmanager
def serving(servers: Servers, data: Path, *options: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`python -m api`, and the port it was given."""
    port = str(free_ports(1)[0])
    given = {
        **os.environ,
        "DATABASE_URL": servers.database_url,
        "REDIS_URL": servers.redis_url,
        "NATS_URL": servers.nats_url,
        "ELOCUTE_DATA": str(data),
        "ELOCUTE_PORT": port,
        **environment,
    }
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-m", "api", *options], cwd=ROOT, env=given, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process, port
        finally:
            process.kill()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_it_says_when_it_is_ready_and_stops_when_told(servers: Servers, tmp_path: Path, number: signal.Signals, code: int) -> None:
    with serving(servers, tmp_path, "--no-worker") as (process, port):
        assert process.stdout is not None
        split, ready = process.stdout.readline(), process.stdout.readline()
        assert split.startswith("Started in ")
        assert all(name in split for name in ("imports", "engines", "tables", "connections", "server"))
        assert ready == f"Elocute is ready: http://127.0.0.1:{port}\n"
        assert httpx.get(f"http://127.0.0.1:{port}/readyz").json()["ready"]
        process.send_signal(number)
        out, err = process.communicate(timeout=WITHIN_S)
        assert (process.returncode, out) == (code, "")
        assert "stopped" in err
        assert "Traceback" not in err


def test_a_taken_port_is_said_before_anything_is_started(servers: Servers, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with serving(servers, tmp_path, ELOCUTE_PORT=port) as (process, _):
            out, err = process.communicate(timeout=WITHIN_S)
    assert (process.returncode, out) == (2, "")
    assert err.splitlines() == [f"elocute: {Problem('port-taken', address=f'127.0.0.1:{port}')}"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_it_does_not_let_others_in_without_accounts(servers: Servers, tmp_path: Path, host: str) -> None:
    with serving(servers, tmp_path, ELOCUTE_HOST=host) as (process, _):
        _, err = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 2
    assert err.splitlines() == [f"elocute: {Problem('needs-accounts', host=host)}"]


def test_engines_that_cannot_be_reached_are_said_in_a_sentence(servers: Servers, tmp_path: Path) -> None:
    nobody = f"postgresql://elocute@127.0.0.1:{free_ports(1)[0]}/elocute"
    with serving(servers, tmp_path, DATABASE_URL=nobody) as (process, _):
        out, err = process.communicate(timeout=WITHIN_S)
    assert (process.returncode, out) == (9, "")
    assert err.startswith("elocute: ")
    assert "Traceback" not in err


def test_what_loopback_is() -> None:
    for host in ("127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost", "a.localhost"):
        assert is_loopback(host), host
    for host in ("0.0.0.0", "::", "10.0.0.1", "example.org", "localhost.example.org", "127.0.0.1.example.org", ""):
        assert not is_loopback(host), host


def test_a_worker_that_dies_is_started_again_and_stops_with_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "FIRST_PAUSE_S", 0.01)
    marks = tmp_path / "marks"
    program = (
        "import pathlib, signal, sys, time\n"
        f"marks = pathlib.Path({str(marks)!r})\n"
        "marks.open('a').write('born\\n')\n"
        "if len(marks.read_text().split()) < 3: sys.exit(7)\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(marks.open('a').write('asked')))\n"
        "marks.open('a').write('steady')\n"
        "time.sleep(60)\n"
    )
    worker = Worker((sys.executable, "-c", program))

    async def live() -> int | None:
        running = asyncio.create_task(worker.run())
        async with asyncio.timeout(WITHIN_S):
            while not (marks.exists() and marks.read_text().endswith("steady")):
                await asyncio.sleep(0)
        pid = worker.pid
        assert pid is not None
        assert os.getpriority(os.PRIO_PROCESS, pid) == child.NICE
        running.cancel()
        await asyncio.wait([running])
        return pid

    pid = asyncio.run(live())
    assert not Path(f"/proc/{pid}").exists()
    assert marks.read_text().endswith("asked")
    assert worker.restarts == 2
    assert worker.pid is None


def test_a_worker_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    program = (
        "import pathlib, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"pathlib.Path({str(mark)!r}).touch()\n"
        "time.sleep(60)\n"
    )
    worker = Worker((sys.executable, "-c", program), grace_s=0.1)

    async def live() -> int | None:
        running = asyncio.create_task(worker.run())
        async with asyncio.timeout(WITHIN_S):
            while not mark.exists():
                await asyncio.sleep(0)
        pid = worker.pid
        running.cancel()
        await asyncio.wait([running])
        return pid

    pid = asyncio.run(live())
    assert not Path(f"/proc/{pid}").exists()


def test_the_worker_stops_while_requests_end(servers: Servers, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    program = (
        "import pathlib, signal, sys, time\n"
        f"marks = pathlib.Path({str(marks)!r})\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit())\n"
        "marks.touch()\n"
        "time.sleep(60)\n"
    )
    worker = Worker((sys.executable, "-c", program))
    settings = replace(
        settings_for(tmp_path / "data"), database_url=servers.database_url, redis_url=servers.redis_url, nats_url=servers.nats_url
    )
    settings.data.mkdir()

    async def live() -> bytes:
        listening = bound("127.0.0.1", 0)
        serving = asyncio.create_task(_serve(settings, listening, worker, Stopping(), 0.0))
        async with asyncio.timeout(WITHIN_S):
            while not marks.exists():
                await asyncio.sleep(0)
            reader, writer = await asyncio.open_connection(*listening.getsockname())
            writer.write(b"POST /v1/sessions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n")
            writer.write(b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
            os.kill(os.getpid(), signal.SIGTERM)
            while worker.pid is not None:
                await asyncio.sleep(0)
            writer.write(b"{}")
            answer = await reader.readline()
            writer.close()
            await serving
        return answer

    assert asyncio.run(live()).startswith(b"HTTP/1.1 201 ")


def test_no_library_talks_to_its_maker(tmp_path: Path) -> None:
    # ONNX Runtime would keep an id and its messages there; where CI is set it would not even begin.
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")}
    program = "from recognition import vad; vad._session()"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, env={**environment, "HOME": str(tmp_path)}, check=True)
    assert not list(tmp_path.rglob("*onnxruntime*"))


def test_readiness_names_what_is_down_and_requests_say_when_to_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "FRESH_S", 0.0)
    folder = tmp_path / "engines"
    folder.mkdir()
    with ExitStack() as engines, ExitStack() as stack:
        servers = engines.enter_context(trio(folder))
        server = stack.enter_context(running(settings_for(tmp_path / "data"), servers))
        assert httpx.get(f"{server.url}/readyz").status_code == 200
        engines.close()
        answer = httpx.get(f"{server.url}/readyz", timeout=30)
        assert (answer.status_code, answer.json()["code"]) == (503, "not-ready")
        found = answer.json()["engines"]
        assert {name for name, engine in found.items() if not engine["ok"]} == {"postgres", "migrations", "live_log", "bus"}
        assert all(engine["detail"] for engine in found.values() if not engine["ok"])
        assert httpx.get(f"{server.url}/healthz").status_code == 200
        answer = httpx.get(f"{server.url}/v1/sessions", timeout=60)
        assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "store-down", "2")


def test_opening_without_engines_is_one_of_our_errors(tmp_path: Path) -> None:
    port = free_ports(1)[0]
    nobody = Servers(f"postgresql://x@127.0.0.1:{port}/x", f"redis://127.0.0.1:{port}", f"nats://127.0.0.1:{port}", bytes(32))

    async def open_it() -> None:
        async with opened(settings_for(tmp_path), nobody):
            pass

    with pytest.raises((StoreError, EngineError)):
        asyncio.run(open_it())
