"""Is the process alive, and can it do its work: /healthz and /readyz."""

import asyncio
from collections.abc import Awaitable, Callable

from starlette.responses import Response
from starlette.routing import Route

from api import views
from api.messages import EngineView, Ready
from api.problems import Refused
from api.state import Request
from db.errors import StoreError
from engines.errors import EngineError

CHECK_WITHIN_S = 2.0
FRESH_S = 1.0  # whoever asks oftener gets the last answer: readiness is no way to load the engines

Check = Callable[[], Awaitable[None]]


class Health:
    """Asks every engine at once, at most once a second however many ask."""

    def __init__(self, version: str, checks: dict[str, Check]) -> None:
        self._version = version
        self._checks = checks
        self._lock = asyncio.Lock()
        self._asked_at = float("-inf")
        self._last: Ready | None = None

    async def ask(self) -> Ready:
        """The state of all engines, not older than a second."""
        clock = asyncio.get_running_loop().time
        async with self._lock:
            if self._last is None or clock() - self._asked_at >= FRESH_S:
                async with asyncio.TaskGroup() as asked:
                    tasks = {name: asked.create_task(_one(check), name=f"ready: {name}") for name, check in self._checks.items()}
                engines = {name: task.result() for name, task in tasks.items()}
                self._last = Ready(all(engine.ok for engine in engines.values()), self._version, engines)
                self._asked_at = clock()
            return self._last


async def _one(check: Check) -> EngineView:
    clock = asyncio.get_running_loop().time
    began = clock()
    detail: str | None = None
    try:
        async with asyncio.timeout(CHECK_WITHIN_S):
            await check()
    except TimeoutError:
        detail = f"no answer within {CHECK_WITHIN_S:.0f} s"
    except (StoreError, EngineError) as error:
        detail = str(error)
    return EngineView(detail is None, round((clock() - began) * 1000, 2), detail)


async def healthz(request: Request) -> Response:  # noqa: ARG001
    """The process lives."""
    return views.answer({"status": "ok"})


async def readyz(request: Request) -> Response:
    """Every engine answers and the store is up to date; else 503 with the same facts in the problem."""
    ready = await request.state["health"].ask()
    if ready.ready:
        return views.answer(ready)
    engines = {name: {"ok": engine.ok, "latency_ms": engine.latency_ms, "detail": engine.detail} for name, engine in ready.engines.items()}
    down = [name for name, engine in ready.engines.items() if not engine.ok]
    raise Refused("not-ready", what=", ".join(down), more={"ready": False, "version": ready.version, "engines": engines})


routes = [Route("/healthz", healthz, methods=["GET"]), Route("/readyz", readyz, methods=["GET"])]
