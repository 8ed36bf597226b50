"""One live session: hearing waits for nothing, what is recognised comes in its place, and what could not be said is said to be missing."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from speech.agreement import Window
from speech.audio import RATE_HZ, AudioBlock, Floats
from speech.words import Word
from stream_pipeline.asking import Answer, Ask, Said
from stream_pipeline.asr import Asr, AsrError
from stream_pipeline.core import Core
from stream_pipeline.errors import Away
from stream_pipeline.hearing import STEP
from stream_pipeline.load import Pace
from stream_pipeline.publish import METRICS, OTHERS, Outbox
from stream_pipeline.record import Recorder
from stream_pipeline.session import INBOX, Session
from tests.samples import recording

BLOCK = 320
LIMIT_S = 15.0
PACE = Pace(1.5, 9.0, None)


def block(number: int, pcm: Floats | None = None, lost: int = 0) -> AudioBlock:
    return AudioBlock("s", number * BLOCK, np.zeros(BLOCK, np.float32) if pcm is None else pcm, lost, 0.0)


class Counting(Core):
    """Asks for a final window after every second of sound, and says how far it has heard."""

    def __init__(self) -> None:
        super().__init__("s")
        self.lost: list[tuple[int, int]] = []  # (before, how many)
        self.shown: list[str | None] = []
        self.closed = False
        self._asked = self._end = 0
        self._open: Ask | None = None

    def hear(self, block: AudioBlock) -> list[Said]:
        if block.lost:
            self.lost.append((block.start, block.lost))
        assert block.start - block.lost == self._end  # what is not heard is told as lost, to the sample
        self.captured = self._end = block.start + block.pcm.size
        return [Said("metrics", 1000 * self._end // RATE_HZ, {"at": self._end})] if self._end % 3200 == 0 else []

    def ask(self, stride_s: float = 1.0, longest_s: float = 12.0) -> Ask | None:
        assert (stride_s, longest_s) == (PACE.stride_s, PACE.longest_s)
        end = self._asked + RATE_HZ
        if self._open is not None or (self.captured < end and not (self.closed and self.captured > self._asked)):
            return None
        nothing: Floats = np.zeros(0, np.float32)
        self._open = Ask(Window(self._asked, min(end, self.captured), True), nothing, nothing, 0, (), (), None, self.captured)
        return self._open

    def take(self, ask: Ask, answer: Answer) -> list[Said]:
        assert ask is self._open
        self._open, self._asked = None, ask.window.end
        self.schedule.append({"start": ask.window.start, "taken_at": self.captured})
        words = [{"text": word.text, "start_s": word.start / RATE_HZ} for word in answer.words]
        return [Said("tokens", 0, {"committed": words, "tentative": []})]

    def dropped(self, ask: Ask) -> None:
        assert ask is self._open
        self._open = None

    def shed(self, what: str | None) -> None:
        self.shown.append(what)

    def close(self) -> None:
        self.closed = True

    def finish(self) -> list[Said]:
        return [Said("metrics", 0, {"session": self.captured})]


def lines(log: bytearray) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.splitlines()]


class Planted(Asr):
    """Knows one word for every window, and may be told to fail, to give up, or to hang."""

    def __init__(self) -> None:
        self.failing = self.giving_up = 0
        self.hanging = False
        self.shedding: str | None = None
        self.windows: list[Window] = []

    async def recognise(self, session: str, ask: Ask) -> Answer | None:
        assert session == "s"
        self.windows.append(ask.window)
        if self.hanging:
            await asyncio.Event().wait()
        await asyncio.sleep(0)
        if self.failing:
            self.failing -= 1
            raise AsrError("a planted failure")
        if self.giving_up:
            self.giving_up -= 1
            return None
        return Answer((Word(f"w{ask.window.start // RATE_HZ}", ask.window.start, ask.window.end, 0.9),), "en", 0.9)

    @property
    def pace(self) -> Pace:
        return replace(PACE, degraded=self.shedding)


class Recorded:
    """A session with all that is around it, and what came out."""

    def __init__(self, asr: Asr | None) -> None:
        self.said: list[Said] = []
        self.stored: list[str] = []
        self.core = Counting()
        self.recorder = Recorder(self._write)
        self.session = Session("s", self.core, asr, self._publish, self.recorder)

    async def _publish(self, said: Sequence[Said]) -> None:
        self.said += said

    async def _write(self, name: str, content: bytes) -> None:
        assert content
        self.stored.append(name)

    async def run(self, blocks: list[AudioBlock], at_once: int = 1) -> None:
        async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(self.session.run())
            tasks.create_task(self.recorder.run())
            for i, one in enumerate(blocks):
                self.session.put(one)
                if i % at_once == at_once - 1:
                    await asyncio.sleep(0)
            self.session.end()
            await running
            self.recorder.finish()

    def words(self) -> list[str]:
        return [word["text"] for one in self.said if one.stream == "tokens" for word in one.data["committed"]]


def test_all_is_heard_recognised_and_said_in_order() -> None:
    asr = Planted()
    found = Recorded(asr)
    asyncio.run(found.run([block(i) for i in range(230)]))
    assert found.words() == ["w0", "w1", "w2", "w3", "w4"]  # the last window is the rest, after the end
    assert [entry["text"] for entry in lines(found.session.words)] == found.words()
    ticks = [one.data["at"] for one in found.said if "at" in one.data]
    assert ticks == list(range(3200, 230 * BLOCK + 1, 3200))
    assert found.said[-1].data == {"session": 230 * BLOCK}
    assert [entry["start"] for entry in lines(found.session.schedule)] == [0, 16_000, 32_000, 48_000, 64_000]
    assert all(entry["taken_at"] >= entry["start"] for entry in lines(found.session.schedule))
    assert found.stored == ["000000000000.flac", "000000064000.flac"]
    assert found.core.shown == []


def test_what_is_said_is_that_of_single_blocks_and_comes_with_the_block_that_completes_a_step() -> None:
    """However many wait, off the grid of steps, and with losses."""
    pcm = recording()[: 12 * RATE_HZ]
    starts = [at for at in range(1_000, pcm.size - BLOCK, BLOCK) if not (20_000 < at < 21_000 or 90_000 < at < 120_000 or at % 7_000 < 320)]
    ends = [0, *(at + BLOCK for at in starts)]
    blocks = [AudioBlock("s", at, pcm[at : at + BLOCK], at - end, 0.0) for at, end in zip(starts, ends, strict=False)]
    core, alone = Core("s", "en"), list[Said]()
    for one in blocks:
        alone += core.hear(one)
    core.close()
    alone += core.finish()

    async def lived(at_once: int) -> list[Said]:
        said: list[Said] = []

        async def publish(more: Sequence[Said]) -> None:
            said.extend(more)

        async def write(name: str, content: bytes) -> None:
            raise AssertionError((name, content))

        session = Session("s", Core("s", "en"), None, publish, Recorder(write))
        async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as tasks:
            tasks.create_task(session.run())
            for i, one in enumerate(blocks):
                session.put(one)
                if i % at_once == 0:
                    for _ in range(3 * at_once):
                        await asyncio.sleep(0)
                    assert session.heard > (one.start + BLOCK) // STEP * STEP - 1
            session.end()
        return said

    for at_once in (1, 23, len(blocks)):
        assert asyncio.run(lived(at_once)) == alone


def test_without_a_recogniser_there_are_numbers_and_no_words() -> None:
    found = Recorded(None)
    asyncio.run(found.run([block(i) for i in range(100)]))
    assert found.words() == []
    assert len([one for one in found.said if "at" in one.data]) == 10


def test_what_is_not_heard_for_want_of_time_is_lost_to_the_sample_and_recorded_all_the_same() -> None:
    found = Recorded(None)
    more = 777
    blocks = [block(i) for i in range(INBOX + more)]
    blocks += [block(INBOX + more + 5, lost=5 * BLOCK), block(INBOX + more + 6)]  # a real gap too

    async def scenario() -> None:
        async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as tasks:
            tasks.create_task(found.recorder.run())
            for one in blocks[: INBOX + more]:  # nobody has time to hear: nothing else runs meanwhile
                found.session.put(one)
            running = tasks.create_task(found.session.run())
            while found.session.heard < INBOX * BLOCK:
                await asyncio.sleep(0)
            for one in blocks[INBOX + more :]:
                found.session.put(one)
            found.session.end()
            await running
            found.recorder.finish()

    asyncio.run(scenario())
    assert found.session.overrun == more * BLOCK
    assert found.core.lost == [((INBOX + more + 5) * BLOCK, (more + 5) * BLOCK)]
    assert found.session.heard == (INBOX + more + 7) * BLOCK
    assert found.stored[-2:] == ["000001152000.flac", "000001216000.flac"]  # no hole of `more` blocks


def test_a_window_that_was_given_up_is_asked_for_again() -> None:
    asr = Planted()
    asr.giving_up = 2
    found = Recorded(asr)
    asyncio.run(found.run([block(i) for i in range(100)]))
    assert found.words() == ["w0", "w1"]
    assert [window.start for window in asr.windows] == [0, 0, 0, 16_000]
    assert found.session.given_up == 2


def test_a_failing_recogniser_is_shown_and_asked_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream_pipeline.session._PAUSES_S", (0.0,))
    asr = Planted()
    asr.failing = 2
    asr.shedding = "stride"
    found = Recorded(asr)
    asyncio.run(found.run([block(i) for i in range(200)]))
    assert found.words() == ["w0", "w1", "w2", "w3"]
    assert found.core.shown == ["stride", "recogniser", "stride"]


@pytest.mark.parametrize("trouble", ["hangs", "fails"])
def test_the_end_waits_for_no_recogniser_for_ever(monkeypatch: pytest.MonkeyPatch, trouble: str) -> None:
    monkeypatch.setattr("stream_pipeline.session._PAUSES_S", (0.0,))
    monkeypatch.setattr("stream_pipeline.session.LAST_WORDS_S", 0.05)
    asr = Planted()
    asr.hanging, asr.failing = trouble == "hangs", 1000
    found = Recorded(asr)
    asyncio.run(found.run([block(i) for i in range(100)]))
    assert found.words() == []
    assert found.said[-1].data == {"session": 100 * BLOCK}


def test_a_defect_is_seen() -> None:
    class Broken(Counting):
        def hear(self, block: AudioBlock) -> list[Said]:
            raise ZeroDivisionError(block)

    found = Recorded(None)
    found.session._core = Broken()
    with pytest.raises(BaseExceptionGroup) as group:
        asyncio.run(found.run([block(0)]))
    assert group.group_contains(ZeroDivisionError)


# on their way out


class Log:
    """A live log that can be away."""

    def __init__(self) -> None:
        self.said: list[Said] = []
        self.away = asyncio.Event()  # it was asked while it was away
        self.there = True

    async def publish(self, said: Sequence[Said]) -> None:
        if not self.there:
            self.away.set()
            raise Away("no answer")
        self.said += said


def metrics(at: int) -> Said:
    return Said("metrics", at, {"at": at})


def tokens(at: int) -> Said:
    return Said("tokens", at, {"committed": [], "at": at})


async def through(log: Log, first: list[Said], then: list[Said]) -> None:
    """`first` while the log is away, `then` after the outbox has noticed."""
    outbox = Outbox(log.publish)
    async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as tasks:
        tasks.create_task(outbox.run())
        log.there = False
        outbox.add(first)
        await log.away.wait()
        outbox.add(then)
        log.there = True
        outbox.finish()


def test_events_wait_for_the_live_log_in_their_order() -> None:
    log = Log()
    asyncio.run(through(log, [tokens(1), metrics(2)], [metrics(3), tokens(4)]))
    assert log.said == [tokens(1), metrics(2), metrics(3), tokens(4)]


def test_the_newest_numbers_win_every_word_is_kept_and_what_was_lost_is_said() -> None:
    log = Log()
    some: list[Said] = [tokens(0)]
    for at in range(1, 501):
        some.append(metrics(at))
        if at % 10 == 0:
            some.append(tokens(at))
    asyncio.run(through(log, some[:5], some[5:]))
    lost, kept = log.said[0], log.said[1:]
    assert lost.stream == "state"
    assert lost.data == {"unsaid": {"metrics": 500 - METRICS}}
    assert [one.t_ms for one in kept if one.stream == "metrics"] == list(range(501 - METRICS, 501))
    assert [one.t_ms for one in kept if one.stream == "tokens"] == list(range(0, 501, 10))
    assert [one.t_ms for one in kept] == sorted(one.t_ms for one in kept)


def test_words_too_have_a_bound() -> None:
    log = Log()
    asyncio.run(through(log, [tokens(0)], [tokens(at) for at in range(1, OTHERS + 100)]))
    assert log.said[0].data == {"unsaid": {"tokens": 100}}
    assert [one.t_ms for one in log.said[1:]] == list(range(100, OTHERS + 100))
