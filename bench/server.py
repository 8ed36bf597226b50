"""What a user waits for: the start, the first numbers after an upload, the report, and a burst of uploads.

`python -m bench.server` starts `elocute serve` on a data folder of its own and prints tables; JSON goes to bench/results/server.json. The
report's time is given as a ratio to `elocute analyze` of the same file in the same run. The machine should be idle: times feel company.
"""

import argparse
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from bench.batch import talk
from bench.table import Row, keep, show

PORT = 8797
URL = f"http://127.0.0.1:{PORT}"
LIMIT_S = 600.0
POLL_S = 0.02
ENDED = ("complete", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Server:
    """A running `elocute serve`."""

    process: subprocess.Popen[bytes]
    ready_s: float  # from its start to its first answer
    split: str  # as it printed it
    client: httpx.Client


def until(what: Callable[[], Any], limit_s: float = LIMIT_S) -> Any:
    """The first true answer, asked every 20 ms."""
    end_s = time.monotonic() + limit_s
    while time.monotonic() < end_s:
        if found := what():
            return found
        time.sleep(POLL_S)
    raise TimeoutError(f"nothing after {limit_s:g} s")


@contextmanager
def serving(data: Path, program: Sequence[str] = ("-m", "api")) -> Iterator[Server]:
    """`elocute serve` on this data folder, until the block ends. program: what Python runs in its place."""
    environment = {**os.environ, "ELOCUTE_DATA": str(data), "ELOCUTE_PORT": str(PORT), "ELOCUTE_DEVICE": "cpu"}
    log = data / "serve.log"
    began_s = time.monotonic()
    with log.open("wb") as out, subprocess.Popen([sys.executable, *program], env=environment, stdout=out, stderr=out) as process:
        try:
            with httpx.Client(base_url=URL, timeout=60.0) as client:
                until(lambda: process.poll() is None and _answers(client), 120.0)
                ready_s = time.monotonic() - began_s
                split = next((line for line in log.read_text().splitlines() if line.startswith("Started in")), "")
                if "--no-worker" not in program:
                    until(lambda: "worker ready" in log.read_text(), 120.0)
                yield Server(process, ready_s, split, client)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60.0)


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def start(client: httpx.Client, sound: bytes, name: str) -> tuple[str, float]:
    """Upload and process; the session and the monotonic time of the last byte."""
    made = client.post("/v1/sessions", json={"title": name})
    made.raise_for_status()
    session = made.json()["id"]
    client.post(f"/v1/sessions/{session}/media", content=sound, headers={"Content-Type": "audio/wav"}).raise_for_status()
    last_byte_s = time.monotonic()
    client.post(f"/v1/sessions/{session}/process").raise_for_status()
    return session, last_byte_s


def first_numbers(client: httpx.Client, sound: bytes, rounds: int) -> list[float]:
    """Seconds from the last byte to metrics that GET shows, each on an idle worker."""
    found = []
    for number in range(rounds):
        session, last_byte_s = start(client, sound, f"round {number}")
        until(partial(_has_numbers, client, session))
        found.append(time.monotonic() - last_byte_s)
        client.post(f"/v1/sessions/{session}/cancel").raise_for_status()
        client.delete(f"/v1/sessions/{session}").raise_for_status()
        time.sleep(5.0)  # the worker lets go of what it was at
    return found


def _has_numbers(client: httpx.Client, session: str) -> bool:
    return bool(client.get(f"/v1/sessions/{session}/metrics").json()["rows"])


def report_s(client: httpx.Client, sound: bytes) -> float:
    """Seconds from the last byte to the whole report."""
    session, last_byte_s = start(client, sound, "whole")
    state = until(lambda: (found := client.get(f"/v1/sessions/{session}").json()["state"]) in ENDED and found)
    if state != "complete":
        raise RuntimeError(f"the session is {state}")
    return time.monotonic() - last_byte_s


def analyze_s(path: Path, folder: Path, data: Path) -> float:
    """Wall seconds of `elocute analyze` with all files."""
    command = [sys.executable, "-m", "batch", "analyze", str(path), "--out", str(folder / "out")]
    began_s = time.monotonic()
    subprocess.run(command, env={**os.environ, "ELOCUTE_DATA": str(data), "ELOCUTE_DEVICE": "cpu"}, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - began_s


def burst(server: Server, sound: bytes, count: int) -> Row:
    """`count` uploads at once; what became of them."""

    def one(number: int) -> tuple[int, str | None, bool]:
        with httpx.Client(base_url=URL, timeout=120.0) as client:
            made = client.post("/v1/sessions", json={"title": f"burst {number}"})
            if made.status_code != 201:
                return made.status_code, None, "retry-after" in made.headers
            session = made.json()["id"]
            for path, body in (("media", {"content": sound, "headers": {"Content-Type": "audio/wav"}}), ("process", {})):
                sent = client.post(f"/v1/sessions/{session}/{path}", **body)  # type: ignore[arg-type]
                if sent.status_code >= 300:
                    return sent.status_code, None, "retry-after" in sent.headers
            return sent.status_code, session, True

    began_s = time.monotonic()
    with ThreadPoolExecutor(count) as pool:
        answers = list(pool.map(one, range(count)))
    sent_s = time.monotonic() - began_s
    accepted = [session for _, session, _ in answers if session]
    refused = [(status, polite) for status, session, polite in answers if session is None]

    def ended() -> list[str] | None:
        states = [server.client.get(f"/v1/sessions/{session}").json()["state"] for session in accepted]
        time.sleep(1.0)
        return states if all(state in ENDED for state in states) else None

    states = until(ended)
    return {
        "uploads": count,
        "accepted": len(accepted),
        "refused 429/503 with Retry-After": sum(status in (429, 503) and polite for status, polite in refused),
        "other": sum(status not in (429, 503) or not polite for status, polite in refused),
        "complete": states.count("complete"),
        "sent in s": sent_s,
        "done in s": time.monotonic() - began_s,
        "server peak MiB": _peak_mib(server.process.pid),
        "worker peak MiB": max((_peak_mib(pid) for pid in _children(server.process.pid) if _is_worker(pid)), default=0.0),
    }


def _peak_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _is_worker(pid: int) -> bool:
    return b"worker" in Path(f"/proc/{pid}/cmdline").read_bytes()


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--burst", type=int, default=100)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="elocute-bench-") as name:
        folder = Path(name)
        long, short = folder / "long.wav", folder / "short.wav"
        talk(long, 600.0)
        talk(short, 6.0)
        data = folder / "data"
        data.mkdir()
        starts: list[Row] = []
        with serving(data) as server:
            starts.append({"start": "first", "ready s": server.ready_s, "split": server.split})
        for number in range(3):
            with serving(data) as server:
                starts.append({"start": f"warm {number + 1}", "ready s": server.ready_s, "split": server.split})
        show("start: from the command to the first answer", starts)
        with serving(data) as server:
            waits = first_numbers(server.client, long.read_bytes(), asked.rounds)
            ordered = sorted(waits)
            first: Row = {
                "rounds": len(waits),
                "median s": statistics.median(waits),
                "p95 s": ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))],
                "worst s": ordered[-1],
                "at most": 2.0,
            }
            show("first numbers of a 10-minute upload, after its last byte", [first])
            served_s = report_s(server.client, long.read_bytes())
            alone_s = analyze_s(long, folder, data)
            report: Row = {"served s": served_s, "analyze s": alone_s, "ratio": served_s / alone_s, "at most": 1.1}
            show("whole report of the same", [report])
            crowd = burst(server, short.read_bytes(), asked.burst)
            show("a burst of small uploads", [crowd])
        keep("server", {"starts": starts, "first_numbers": {**first, "all": waits}, "report": report, "burst": crowd})
        shutil.rmtree(data, ignore_errors=True)


if __name__ == "__main__":
    main()
