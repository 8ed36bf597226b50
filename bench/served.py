"""`elocute serve` as the benches need it: without recogniser, counted, profiled.

`python -m bench.served FOLDER [--without-asr] [--profile] [--no-worker]`. SIGUSR1 writes FOLDER/counts.json: what there is of tasks,
threads, files and sockets. With --profile a thread looks a hundred times a second at what the event loop is doing, and writes
FOLDER/profile.json in the end.
"""

import argparse
import asyncio
import gc
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from functools import partial
from pathlib import Path
from types import FrameType

from starlette.types import ASGIApp

from api import __main__ as program
from api import app
from api.state import State
from bench.processes import threads, used
from db import pool as db_pool
from engines import live_log

LOOK_S = 0.01
FILLED_WITHIN_S = 10.0
POOL_THREADS = min(32, (os.cpu_count() or 1) + 4)  # of asyncio.to_thread, as the library has it
PROFILE, COUNTS = "profile.json", "counts.json"
_ROOT = str(Path(__file__).parent.parent)


async def counts(state: State) -> dict[str, int]:
    """What a session must not leave behind. Pools grow as they are needed, up to a bound; they are counted at that, whatever was needed
    so far. Raises TimeoutError where something of a pool was never given back."""
    connections, threads_ = asyncio.Barrier(db_pool.CONNECTIONS), threading.Barrier(POOL_THREADS)

    async def connect() -> None:
        async with state["db"].tenant(state["member"].org):
            await connections.wait()

    async with asyncio.timeout(FILLED_WITHIN_S), asyncio.TaskGroup() as tasks:
        for _ in range(db_pool.CONNECTIONS):
            tasks.create_task(connect())
        for _ in range(live_log.CONNECTIONS):
            tasks.create_task(state["live_log"].ping())
        for _ in range(POOL_THREADS):
            tasks.create_task(asyncio.to_thread(threads_.wait, FILLED_WITHIN_S))
    gc.collect()
    now = used(os.getpid())
    return {"tasks": len(asyncio.all_tasks()), "threads": now.threads, "files": now.files, "sockets": now.sockets}


def _place(frame: FrameType) -> str:
    path = frame.f_code.co_filename
    short = path.removeprefix(_ROOT + "/") if "site-packages" not in path else path.rpartition("site-packages/")[2]
    return f"{short}:{frame.f_code.co_qualname}"


class Profile:
    """What the main thread is at, from time to time, and the CPU seconds of every thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._leaves: Counter[str] = Counter()
        self._ours: Counter[str] = Counter()  # the innermost function of ours that is at work there
        self._over = threading.Event()
        self._main = threading.main_thread().ident
        self._thread = threading.Thread(target=self._look, name="profile", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def _look(self) -> None:
        while not self._over.wait(LOOK_S):
            frame = sys._current_frames().get(self._main or 0)
            if frame is None:
                continue
            self._leaves[_place(frame)] += 1
            inner: FrameType | None = frame
            while inner is not None and (_ROOT not in inner.f_code.co_filename or "site-packages" in inner.f_code.co_filename):
                inner = inner.f_back
            self._ours[_place(inner) if inner is not None else "-"] += 1

    def end(self) -> None:
        """Write it down."""
        self._over.set()
        self._thread.join()
        found = {"leaves": self._leaves.most_common(60), "ours": self._ours.most_common(60), "threads": threads(os.getpid())}
        self._path.write_text(json.dumps({"at_s": time.monotonic(), **found}))


def main() -> int:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m bench.served", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--without-asr", action="store_true")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--no-worker", action="store_true")
    asked = parser.parse_args()
    create = app.create

    def counted(state: State) -> ASGIApp:
        async def write() -> None:
            part = asked.folder / f"{COUNTS}.part"
            part.write_text(json.dumps(await counts(state)))
            part.rename(asked.folder / COUNTS)

        writing: set[asyncio.Task[None]] = set()

        def begin() -> None:
            writing.add(task := asyncio.create_task(write(), name="counts"))
            task.add_done_callback(writing.discard)

        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, begin)
        return create(state)

    app.create = counted
    if asked.without_asr:
        app.opened = partial(app.opened, recognise=False)
    profile = Profile(asked.folder / PROFILE)
    if asked.profile:
        profile.start()
    try:
        return program.main(["--no-worker"] if asked.no_worker else [])
    finally:
        if asked.profile:
            profile.end()


if __name__ == "__main__":
    sys.exit(main())
