"""One live session: blocks of sound go in, are recorded, heard and recognised, and what is to be said of them goes out.

Everything but the recogniser runs in the event loop: hearing 100 ms of sound takes less than one. When answers come is the only thing in
which two runs of the same sound differ; the core logs it, so that a session can be replayed.
"""

import asyncio
import logging
from collections import deque
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from speech.audio import RATE_HZ, AudioBlock
from stream_pipeline.asking import Ask, Said
from stream_pipeline.asr import Asr, AsrError
from stream_pipeline.core import Core
from stream_pipeline.hearing import STEP
from stream_pipeline.publish import Outbox, Publish
from stream_pipeline.record import Recorder

INBOX = 3200  # blocks, 64 s in 4 MB: a page that comes back sends its last minute at once. What comes beyond is heard as lost
LAST_WORDS_S = 15.0  # for the recogniser, after the end
LAST_EVENTS_S = 5.0  # for the live log
FAILURES = 3  # of the recogniser in a row: after the end nothing more is asked of it
_PAUSES_S = (1.0, 2.0, 5.0, 15.0)  # after a failure of the recogniser; the last again and again

log = logging.getLogger("live")


class Session:
    """Give it blocks by `put`, run it by `run`, stop it by `end`. Without a recogniser there are no words."""

    def __init__(self, session: str, core: Core, asr: Asr | None, publish: Publish, record: Recorder) -> None:
        self.session = session
        # JSON lines, a sixth of what the objects would take: they grow for as long as somebody speaks.
        self.words = bytearray()  # committed, as published
        self.schedule = bytearray()  # when answers came and what was shed, as the core logs it
        self.overrun = 0  # samples that were recorded and not heard, for want of time
        self.asked = self.answered = self.given_up = self.failures = 0  # windows; failures in a row
        self._core = core
        self._asr = asr
        self._record = record
        self._outbox = Outbox(publish)
        self._inbox: deque[AudioBlock] = deque()
        self._come = 0  # where the last block in the inbox ends
        self._news = asyncio.Event()
        self._ended = False
        self._asking: set[asyncio.Task[None]] = set()
        self._shed: str | None = None

    @property
    def heard(self) -> int:
        """Samples so far, lost ones included."""
        return self._core.captured

    def put(self, block: AudioBlock) -> None:
        """The next block. Never waits."""
        self._record.put(block)
        if len(self._inbox) >= INBOX:
            self.overrun += block.pcm.size
            return
        lost = block.start - self._come  # what was not taken is lost to hearing, whoever left it out
        self._inbox.append(block if block.lost == lost else replace(block, lost=lost))
        before, self._come = self._come, block.start + block.pcm.size
        if before // STEP != self._come // STEP:  # sooner nothing comes of it
            self._news.set()

    def filled(self, start: int, end: int) -> None:
        """Sound came that was lost to hearing: it is in the recording, and whoever replays that must know."""
        self.schedule += _lines([{"filled": [start, end]}])

    def say(self, data: dict[str, Any]) -> None:
        """Say a state of the session, after what was said already. Never waits."""
        self._outbox.add([Said("state", round(1000 * self.heard / RATE_HZ), data)])

    def end(self) -> None:
        """Nothing more comes: `run` returns when the rest is heard, recognised and said, or the limits for that have passed."""
        self._ended = True
        self._news.set()

    async def run(self) -> None:
        """Hear until `end`."""
        async with asyncio.TaskGroup() as tasks:
            publishing = tasks.create_task(self._outbox.run(), name=f"publish {self.session}")
            await self._live(tasks)
            try:
                async with asyncio.timeout(LAST_WORDS_S):
                    await self._last_words(tasks)
            except TimeoutError:
                log.warning("session %s: the recogniser was not done in time with its last words", self.session)
            for asking in list(self._asking):
                asking.cancel()
            self._say(self._core.finish())
            self._outbox.finish()
            await asyncio.wait([publishing], timeout=LAST_EVENTS_S)
            publishing.cancel()

    async def _live(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            while self._inbox:
                self._say(self._core.hear(self._joined()))
                self._ask(tasks)
                await asyncio.sleep(0)  # others have their turn
            self._ask(tasks)
            if self._ended:
                return
            self._news.clear()
            await self._news.wait()

    def _joined(self) -> AudioBlock:
        """The next blocks, up to a loss or to the end of a step, as one: the core makes the same of it, for less."""
        first = self._inbox.popleft()
        pieces, end = [first.pcm], first.start + first.pcm.size
        step = first.start // STEP
        while self._inbox and not self._inbox[0].lost and end // STEP == step:
            pieces.append(self._inbox.popleft().pcm)
            end += pieces[-1].size
        return replace(first, pcm=np.concatenate(pieces)) if len(pieces) > 1 else first

    async def _last_words(self, tasks: asyncio.TaskGroup) -> None:
        self._core.close()
        self._ask(tasks)
        while self._asking and self.failures < FAILURES:
            await asyncio.wait(self._asking, return_when=asyncio.FIRST_COMPLETED)
            self._ask(tasks)

    def _ask(self, tasks: asyncio.TaskGroup) -> None:
        if self._asr is None:
            return
        pace = self._asr.pace
        shed = "recogniser" if self.failures else pace.degraded
        if shed != self._shed:
            self._core.shed(shed)
            self._shed = shed
        while (ask := self._core.ask(pace.stride_s, pace.longest_s)) is not None:
            self.asked += 1
            task = tasks.create_task(self._answer(self._asr, ask), name=f"recognise {self.session}")
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)
        self._keep_schedule()

    async def _answer(self, asr: Asr, ask: Ask) -> None:
        try:
            answer = await asr.recognise(self.session, ask)
        except AsrError as error:
            pause_s = _PAUSES_S[min(self.failures, len(_PAUSES_S) - 1)]
            self.failures += 1
            log.error("session %s: %s", self.session, error)
            await asyncio.sleep(pause_s)  # while it is still asked: nothing else is
            self._core.dropped(ask)
        else:
            self.failures = 0
            if answer is None:
                self.given_up += 1
                self._core.dropped(ask)
            else:
                self.answered += 1
                self._say(self._core.take(ask, answer))
        self._news.set()  # there may be something to ask now

    def _say(self, said: list[Said]) -> None:
        for one in said:
            if one.stream == "tokens":
                self.words += _lines(one.data["committed"])
        self._outbox.add(said)

    def _keep_schedule(self) -> None:
        self.schedule += _lines(self._core.schedule)
        self._core.schedule.clear()


def _lines(entries: list[dict[str, Any]]) -> bytes:
    return b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries)
