"""The worker that a server brings along: one child process with less priority, started again when it dies."""

import asyncio
import logging
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress

log = logging.getLogger("api.worker")

COMMAND = (sys.executable, "-m", "batch", "worker", "--until-eof")
NICE = 10  # behind whatever is live
GRACE_S = 25.0  # to hand back what it is at; then it is killed, and the bus delivers its work again
FIRST_PAUSE_S = 0.5  # before it is started again; doubled up to
LONGEST_PAUSE_S = 30.0
STEADY_S = 60.0  # having lived so long, it starts again with the first pause


class Worker:
    """Runs until cancelled; then it stops the child, and waits for it."""

    def __init__(self, command: tuple[str, ...] = COMMAND, grace_s: float = GRACE_S) -> None:
        self._command = command
        self._grace_s = grace_s
        self._child: Process | None = None
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """Of the child, while there is one."""
        return self._child.pid if self._child is not None and self._child.returncode is None else None

    async def run(self) -> None:
        """Keep one worker running."""
        clock = asyncio.get_running_loop().time
        pause_s = FIRST_PAUSE_S
        while True:
            began = clock()
            status = await self._once()
            pause_s = FIRST_PAUSE_S if clock() - began >= STEADY_S else pause_s
            log.warning("the worker ended with status %d after %.1f s; starting it again in %.1f s", status, clock() - began, pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(LONGEST_PAUSE_S, 2 * pause_s)
            self.restarts += 1

    def kill(self) -> None:
        """At once, for those in a hurry."""
        if self._child is not None:
            with suppress(ProcessLookupError):
                self._child.kill()

    async def _once(self) -> int:
        # A session of its own: Ctrl-C in the terminal reaches the server alone, which stops the worker in its turn. Its standard input
        # ends when the server does, however that ends.
        self._child = await asyncio.create_subprocess_exec(*self._command, stdin=PIPE, start_new_session=True)
        with suppress(ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, self._child.pid, NICE)
        try:
            return await self._child.wait()
        finally:
            if self._child.returncode is None:
                await asyncio.shield(self._stop(self._child))

    async def _stop(self, child: Process) -> None:
        with suppress(ProcessLookupError):
            child.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(self._grace_s):
                await child.wait()
        except TimeoutError:
            log.warning("the worker did not stop within %.0f s and is killed", self._grace_s)
            self.kill()
            await child.wait()
