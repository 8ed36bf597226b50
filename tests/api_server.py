"""The server of api/ for tests: on a free port of this machine, in a thread of this process, around real engines."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import httpx

from api import app
from api.listening import bound
from api.server import Listener, configured
from api.state import State
from config.settings import S3Settings, Settings
from db import sessions as db_sessions
from db.migrate import migrate
from db.pool import Tx
from engines.embedded import Servers

T = TypeVar("T")


def settings_for(folder: Path, s3: S3Settings | None = None) -> Settings:
    """Nothing of the environment."""
    return Settings(data=folder, asr_model="bundled", device="cpu", threads=1, s3=s3)


class Running:
    """A server that answers, and a way into its event loop."""

    def __init__(self, url: str, state: State, loop: asyncio.AbstractEventLoop) -> None:
        self.url = url
        self.state = state
        self.loop = loop

    def client(self, **headers: str) -> httpx.Client:
        """A client of this server."""
        return httpx.Client(base_url=self.url, timeout=30, headers=headers, verify=False)  # no TLS here; certificates take 50 ms

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """What it returns, run where the server's connections are."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def tenant(self, work: Any) -> Any:
        """What `work(tx)` returns, in a transaction of the local org."""

        async def inside() -> Any:
            async with self.state["db"].tenant(self.state["member"].org) as tx:
                return await work(tx)

        return self.do(inside())

    def sql(self, statement: str, *values: object) -> list[Any]:
        """Rows, as the local org sees them."""

        async def rows(tx: Tx) -> list[Any]:
            return list(await tx.fetch(statement, *values))

        found: list[Any] = self.tenant(rows)
        return found

    def put(self, session: str, name: str, content: bytes, content_type: str = "application/octet-stream") -> str:
        """Leave a file in a session's folder; its key."""
        key = f"{self.state['member'].org}/{session}/{name}"
        self.do(self.state["blobs"].put(key, content, content_type=content_type))
        return key

    def blob_keys(self, session: str) -> list[str]:
        """What there is in a session's folder."""

        async def listed() -> list[str]:
            return [key async for key in self.state["blobs"].keys(f"{self.state['member'].org}/{session}/")]

        return self.do(listed())

    def state_of(self, session: str, state: db_sessions.State) -> None:
        """Put a session into a state."""
        self.tenant(lambda tx: db_sessions.set_state(tx, UUID(session), state))


@contextmanager
def running(settings: Settings, servers: Servers, recognise: bool = False) -> Iterator[Running]:
    """Serve until the block ends; live sessions have words only with `recognise`, which loads the model."""
    ready = threading.Event()
    made: list[tuple[Running, Listener]] = []

    async def serve() -> None:
        await migrate(servers.database_url)
        async with app.opened(settings, servers, recognise) as state:
            listening = bound("127.0.0.1", 0)
            server = Listener(configured(app.create(state), drain_s=5), ready.set)
            url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            made.append((Running(url, state, asyncio.get_running_loop()), server))
            await server.serve([listening])

    with ThreadPoolExecutor(1, "server") as pool:
        serving = pool.submit(asyncio.run, serve())
        serving.add_done_callback(lambda _: ready.set())
        assert ready.wait(60)
        try:
            if not serving.done():
                yield made[0][0]
        finally:
            for found, server in made:
                found.loop.call_soon_threadsafe(found.state["closing"].set)
                server.should_exit = True
            serving.result(60)
