"""A live server to measure, its callers in a process of their own, and what each of them costs."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import httpx

from bench.heard import Call, Plan
from bench.processes import Used, busy_s, used
from bench.server import ENDED, URL, Server, serving, until
from bench.talk import talk, write_wav
from config.settings import read_settings

WARM_S = 12.0  # of talk: loads the recogniser, compiles what is not compiled
REST_S = 2.0
LOOK_S = 0.5


@dataclass(frozen=True, slots=True)
class Spoken:
    """Some sessions that ran together, and what they cost."""

    calls: list[Call]
    wall_s: float
    server_cpu_s: float  # the server's own process, its recogniser's threads included
    callers_cpu_s: float
    others_cpu_s: float  # of everything else on the machine: engines, workers, other people's programs
    looks: list[tuple[float, Used]]  # at the server, from time to time, monotonic

    def accepted(self) -> list[Call]:
        """Those that were not refused."""
        return [call for call in self.calls if call.came]

    @property
    def audio_s(self) -> float:
        """Of sound, in all accepted sessions together."""
        return sum(len(call.left_s) for call in self.accepted()) * 0.02

    def cores(self, from_s: float, to_s: float) -> float:
        """Of the server, between two monotonic times that are further apart than two looks."""
        (first_s, first), *_, (last_s, last) = [look for look in self.looks if from_s <= look[0] <= to_s]
        return (last.cpu_s - first.cpu_s) / (last_s - first_s)


@contextmanager
def live_server(folder: Path, program: Sequence[str] = ("-m", "api"), warm: bool = True) -> Iterator[Server]:
    """A server on a data folder of its own, with the weights that are there already; warm unless told otherwise."""
    data = folder / "data"
    data.mkdir()
    models = read_settings().data / "models"
    if models.is_dir():
        (data / "models").symlink_to(models)
    with serving(data, program) as server:
        if warm:
            path = folder / "warm.wav"
            write_wav(path, talk(WARM_S, seed=99).pcm)
            first = speak(server, [Plan(str(path))])
            if "--no-worker" not in program:
                settle(server, first.calls)
        yield server


def speak(server: Server, plans: Sequence[Plan]) -> Spoken:
    """Run these sessions against the server, from one process."""
    looks: list[tuple[float, Used]] = []
    before_s, began_s, all_s = used(server.process.pid).cpu_s, time.monotonic(), busy_s()
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        command = [sys.executable, "-m", "bench.caller", URL, out.name]
        with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as callers:
            assert callers.stdin is not None
            with callers.stdin as plan_file:
                json.dump([asdict(plan) for plan in plans], plan_file)
            while callers.poll() is None:
                looks.append((time.monotonic(), used(server.process.pid)))
                time.sleep(LOOK_S)
        if callers.returncode:
            raise SystemExit(f"the callers ended with {callers.returncode}")
        found = json.load(out)
    wall_s, all_s = time.monotonic() - began_s, busy_s() - all_s
    server_s = used(server.process.pid).cpu_s - before_s
    return Spoken([Call.read(call) for call in found["calls"]], wall_s, server_s, found["cpu_s"], all_s - server_s - found["cpu_s"], looks)


def settle(server: Server, calls: Sequence[Call]) -> None:
    """Until the reports of these sessions are made, so that workers do not disturb what comes next."""
    for call in calls:
        if call.came:
            until(partial(_ended, server.client, call.session))
    time.sleep(REST_S)


def _ended(client: httpx.Client, session: str | None) -> bool:
    return client.get(f"/v1/sessions/{session}").json()["state"] in ENDED
