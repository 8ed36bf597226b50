"""What a live session says, on its way to those who follow. It never holds up hearing: what cannot be said in time gives way."""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Sequence

from stream_pipeline.asking import Said
from stream_pipeline.errors import Away

METRICS = 50  # waiting at most, 10 s of them: the newest win
OTHERS = 2000  # words, cues, states: half an hour of them
AT_ONCE = 200
_PAUSES_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)  # between two tries; the last again and again

Publish = Callable[[Sequence[Said]], Awaitable[None]]  # in this order, after all before; raises Away
log = logging.getLogger("live")


class Outbox:
    """Events in their order, until they are published."""

    def __init__(self, publish: Publish) -> None:
        self.unsaid: Counter[str] = Counter()  # events that were given up, by stream, and not told of yet
        self._publish = publish
        self._waiting: deque[Said] = deque()
        self._metrics = 0  # of them
        self._news = asyncio.Event()
        self._finished = False

    def add(self, said: Iterable[Said]) -> None:
        """Say this. Never waits."""
        for one in said:
            self._waiting.append(one)
            self._metrics += one.stream == "metrics"
        if self._waiting:
            self._trim()
            self._news.set()

    def finish(self) -> None:
        """Nothing more comes: `run` returns when all is said."""
        self._finished = True
        self._news.set()

    async def run(self) -> None:
        """Publish until `finish`, for as long as it takes."""
        tries = 0
        while True:
            while batch := self._batch():
                try:
                    await self._publish(batch)
                    tries = 0
                except Away as error:
                    log.warning("%d events wait: %s", len(batch), error)
                    self._put_back(batch)
                    await asyncio.sleep(_PAUSES_S[min(tries, len(_PAUSES_S) - 1)])
                    tries += 1
            if self._finished:
                return
            self._news.clear()
            await self._news.wait()

    def _batch(self) -> list[Said]:
        batch = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
        self._metrics -= sum(one.stream == "metrics" for one in batch)
        if batch and self.unsaid:  # before what came after them
            batch.insert(0, Said("state", batch[0].t_ms, {"unsaid": dict(self.unsaid)}))
            self.unsaid.clear()
        return batch

    def _put_back(self, batch: list[Said]) -> None:
        if "unsaid" in batch[0].data:
            self.unsaid.update(batch.pop(0).data["unsaid"])
        self._waiting.extendleft(reversed(batch))
        self._metrics += sum(one.stream == "metrics" for one in batch)
        self._trim()

    def _trim(self) -> None:
        metrics = max(0, self._metrics - METRICS)
        others = max(0, len(self._waiting) - self._metrics - OTHERS)
        if not metrics and not others:
            return
        kept: deque[Said] = deque()
        for one in self._waiting:
            if one.stream == "metrics" and metrics:
                metrics -= 1
                self._metrics -= 1
                self.unsaid["metrics"] += 1
            elif one.stream != "metrics" and others:
                others -= 1
                self.unsaid[one.stream] += 1
            else:
                kept.append(one)
        self._waiting = kept
