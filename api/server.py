"""The life of `elocute serve`: engines, tables, server, worker, one after the other; and back in the other order."""

import asyncio
import contextlib
import logging
import signal
import socket
import sys
import time
from asyncio import BaseTransport, Transport
from collections.abc import Callable, Iterator
from typing import cast

import uvicorn
import uvloop
from starlette.types import ASGIApp
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from api import app
from api.child import Worker
from api.listening import WAITING_CONNECTIONS, netloc
from config.settings import Settings
from db.errors import StoreError
from db.migrate import migrate
from engines.embedded import Embedded
from engines.errors import EngineError
from speech.errors import EXIT_INTERRUPTED, EXIT_NO_ENGINE, EXIT_OK, Problem

log = logging.getLogger("api")

DRAIN_S = 10  # for requests under way when the server is told to stop
KEEP_ALIVE_S = 75  # idle connections; a client that uses one again must not meet its end, which for a POST is an error
PING_EVERY_S = 15.0  # WebSockets; proxies drop what is silent for 30 to 60 s
PONG_WITHIN_S = 15.0
MOST_MESSAGE_BYTES = 2 * 2**20  # of a WebSocket's message: two seconds of 192 kHz in stereo
UNSENT_BYTES = 16 * 1024  # of a WebSocket, in the kernel and again here: what is behind is thinned out before it gets there
CODES = {signal.SIGTERM: EXIT_OK, signal.SIGINT: EXIT_INTERRUPTED}


def run(settings: Settings, listening: socket.socket, *, worker: bool, imports_s: float) -> int:
    """Serve until SIGTERM or Ctrl-C; the exit code. A second signal hurries. Raises Problem when it cannot be started."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s", stream=sys.stderr)
    for noisy in ("nats", "botocore", "aiobotocore", "uvicorn", "aioice"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    stopping = Stopping()
    try:
        uvloop.run(_serve(settings, listening, Worker() if worker else None, stopping, imports_s))
    except (StoreError, EngineError, Problem, BaseExceptionGroup) as error:
        wrong = named(error)
        if isinstance(wrong, Problem):
            raise wrong from None
        print(f"elocute: {wrong}", file=sys.stderr)
        return EXIT_NO_ENGINE
    except asyncio.CancelledError:
        if stopping.by is None:
            raise
    return CODES[stopping.by] if stopping.by else EXIT_OK


def named(error: BaseException) -> StoreError | EngineError | Problem:
    """The one error with a sentence in it, out of a group. Raises what else there is."""
    if isinstance(error, BaseExceptionGroup):
        found, others = error.split((StoreError, EngineError, Problem))
        if found is None or others is not None:
            raise error
        return named(found.exceptions[0])
    if isinstance(error, StoreError | EngineError | Problem):
        return error
    raise error


class Stopping:
    """What a signal does: the first one stops in order, the second hurries."""

    def __init__(self) -> None:
        self.by: signal.Signals | None = None
        self._gently: Callable[[], object] | None = None
        self._at_once: Callable[[], object] | None = None

    def watch(self, gently: Callable[[], object], at_once: Callable[[], object]) -> None:
        """From now on, signals do these."""
        self._gently, self._at_once = gently, at_once
        for number in CODES:
            asyncio.get_running_loop().add_signal_handler(number, self._on, number)

    def _on(self, number: signal.Signals) -> None:
        act = self._gently if self.by is None else self._at_once
        self.by = self.by or number
        if act is not None:
            act()


class Listener(uvicorn.Server):
    """uvicorn's server, with our signals and a word when it answers."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves them to us: uvicorn would raise them again before the engines have stopped."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Answers from here on."""
        await super().startup(sockets)
        self._ready()


class Sockets(WebSocketsSansIOProtocol):
    """uvicorn's WebSockets, which notice early that a reader is slow: what the system has taken cannot be thinned out any more."""

    def connection_made(self, transport: BaseTransport) -> None:
        """The handshake is about to be read."""
        cast(Transport, transport).set_write_buffer_limits(high=UNSENT_BYTES)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
        super().connection_made(transport)


def configured(application: ASGIApp, drain_s: int = DRAIN_S) -> uvicorn.Config:
    """How the application is served."""
    return uvicorn.Config(
        application,
        http="httptools",
        ws=Sockets,
        ws_max_size=MOST_MESSAGE_BYTES,
        ws_ping_interval=PING_EVERY_S,
        ws_ping_timeout=PONG_WITHIN_S,
        ws_per_message_deflate=False,  # what is sent is small and soon: deflate would cost 160 KB of memory a connection
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=WAITING_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=drain_s,
    )


async def _serve(settings: Settings, listening: socket.socket, worker: Worker | None, stopping: Stopping, imports_s: float) -> None:
    main = asyncio.current_task()
    assert main is not None
    stopping.watch(main.cancel, main.cancel)
    with listening:
        times = {"imports": imports_s}
        lap = _laps(times)
        embedded = Embedded(settings.data, settings)
        async with embedded as servers:
            lap("engines")
            await migrate(servers.database_url)
            lap("tables")
            async with app.opened(settings, servers) as state:
                lap("connections")

                def ready() -> None:
                    lap("server")
                    url = settings.public_url or f"http://{netloc(*listening.getsockname()[:2])}"
                    _say(times, embedded.timings, url)

                server = Listener(configured(app.create(state)), ready)

                async with asyncio.TaskGroup() as tasks:
                    working = None if worker is None else tasks.create_task(worker.run(), name="worker")

                    def rest() -> None:
                        if working is not None and not working.cancelling():  # a second time it would wait for its child no more
                            working.cancel()

                    def gently() -> None:
                        log.info("stopping")
                        state["closing"].set()
                        server.should_exit = True
                        rest()  # what it is at takes seconds to hand back, in which requests end

                    def at_once() -> None:
                        log.warning("stopping at once")
                        server.force_exit = True
                        if worker is not None:
                            worker.kill()

                    stopping.watch(gently, at_once)
                    await server.serve([listening])
                    rest()
    log.info("stopped")


def _laps(times: dict[str, float]) -> Callable[[str], None]:
    last = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal last
        now = time.perf_counter()
        times[name] = now - last
        last = now

    return lap


def _say(times: dict[str, float], engines: dict[str, float], url: str) -> None:
    inner = ", ".join(f"{name} {taken:.2f}" for name, taken in engines.items() if name != "engines")
    parts = ", ".join(f"{name} {taken:.2f}" + (f" ({inner})" if name == "engines" and inner else "") for name, taken in times.items())
    print(f"Started in {sum(times.values()):.2f} s: {parts}")
    print(f"Elocute is ready: {url}", flush=True)
