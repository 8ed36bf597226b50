"""The recording of a live session: exactly what was heard, in its place, however the process ends."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest

from batch.decode import Recording, decode
from batch.segments import join
from engines.blob_files import FileBlobs
from engines.blobs import Blobs
from speech.audio import RATE_HZ, AudioBlock, Floats, Span
from speech.errors import PROBLEMS, Problem
from speech.losses import lost_of
from stream_pipeline.errors import Away
from stream_pipeline.record import LONGEST, WAITING, Recorder
from tests.servers import ROOT

BLOCK = 320
FOLDER = "org/session/live/"


def noise(samples: int, seed: int = 0) -> Floats:
    """On the grid of 16 bits, both ends of it included, and without the offset that decoding would take out."""
    half = np.rint(np.random.default_rng(seed).normal(0.0, 0.1, samples // 2) * 32768) / 32768
    sound = np.column_stack([half, -half]).ravel()
    sound[:2] = (-1.0, 32767 / 32768)
    return sound.astype(np.float32)


def blocks(pcm: Floats, lost: list[Span]) -> list[AudioBlock]:
    """The sound without what is lost, whose edges lie on those of blocks."""
    made, end = [], 0
    for start in range(0, pcm.size, BLOCK):
        if not any(span.start <= start < span.end for span in lost):
            made.append(AudioBlock("", start, pcm[start : start + BLOCK], start - end, 0.0))
            end = start + BLOCK
    return made


def store(folder: Path) -> Blobs:
    return FileBlobs(folder, bytes(32), "")


def writing(blobs: Blobs) -> Callable[[str, bytes], Awaitable[None]]:
    async def write(name: str, content: bytes) -> None:
        await blobs.put(FOLDER + name, content, content_type="audio/flac")

    return write


def read_back(folder: Path) -> Recording:
    """As the worker does."""
    joined = folder / "joined.flac"
    asyncio.run(join(store(folder), FOLDER, joined))
    return decode(joined)


def recorded(folder: Path, drive: Callable[[Recorder], None]) -> Recorder:
    async def scenario() -> Recorder:
        recorder = Recorder(writing(store(folder)))
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            tasks.create_task(recorder.run())
            drive(recorder)
            recorder.finish()
        return recorder

    return asyncio.run(scenario())


def test_every_sample_comes_back_where_it_was_and_what_was_lost_is_known(tmp_path: Path) -> None:
    pcm = noise(10 * RATE_HZ)
    lost = [Span(16_000, 16_640), Span(20_480, 20_800), Span(80_000, 115_200)]  # two packets, one, and a connection that broke

    def drive(recorder: Recorder) -> None:
        for block in blocks(pcm, lost):
            recorder.put(block)

    recorded(tmp_path, drive)

    async def names() -> list[str]:
        return [key.removeprefix(FOLDER) async for key in store(tmp_path).keys(FOLDER)]

    assert asyncio.run(names()) == ["000000000000.flac", "000000064000.flac", "000000115200.flac"]
    found = read_back(tmp_path)
    assert found.lost == tuple(lost)
    expected = pcm.copy()
    for span in lost:
        expected[span.start : span.end] = 0.0
    assert np.array_equal(found.pcm, expected)
    assert [PROBLEMS["lost"].sentence.format(lost_s=2.26, places=3)] == list(found.facts.warnings)


def test_sound_that_comes_late_takes_the_place_of_what_was_lost(tmp_path: Path) -> None:
    pcm = noise(14 * RATE_HZ)
    hole, small = Span(32_000, 192_000), Span(3_200, 3_520)

    def drive(recorder: Recorder) -> None:
        for block in blocks(pcm, [hole, small]):
            recorder.put(block)
        for start in range(hole.start, hole.end - 8_000, 1_600):  # all but the last half second, in pieces
            recorder.fill(start, pcm[start : start + 1_600])
        recorder.fill(small.start, pcm[small.start : small.start + 100])

    recorded(tmp_path, drive)
    found = read_back(tmp_path)
    assert found.lost == (Span(small.start + 100, small.end), Span(hole.end - 8_000, hole.end))
    for span in (Span(0, small.start + 100), Span(small.end, hole.end - 8_000), Span(hole.end, pcm.size)):
        assert np.array_equal(found.pcm[span.start : span.end], pcm[span.start : span.end])


def test_while_the_store_is_away_sound_waits_and_then_the_newest_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream_pipeline.record._PAUSES_S", (0.0,))
    pcm = noise((WAITING + 2) * LONGEST)
    refused = 0

    async def scenario() -> Recorder:
        there = asyncio.Event()
        write = writing(store(tmp_path))

        async def away(name: str, content: bytes) -> None:
            nonlocal refused
            if not there.is_set():
                refused += 1
                raise Away("the disk is full")
            await write(name, content)

        recorder = Recorder(away)
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            tasks.create_task(recorder.run())
            for block in blocks(pcm, []):
                recorder.put(block)  # returns though nothing can be stored
            while refused < 3:
                await asyncio.sleep(0)
            there.set()
            recorder.finish()
        return recorder

    recorder = asyncio.run(scenario())
    assert recorder.given_up == [Span(WAITING * LONGEST, (WAITING + 1) * LONGEST), Span((WAITING + 1) * LONGEST, (WAITING + 2) * LONGEST)]
    found = read_back(tmp_path)
    assert np.array_equal(found.pcm, pcm[: WAITING * LONGEST])


def test_nothing_recorded_is_said(tmp_path: Path) -> None:
    with pytest.raises(Problem) as problem:
        asyncio.run(join(store(tmp_path), FOLDER, tmp_path / "joined.flac"))
    assert problem.value.code == "nothing-recorded"


def test_what_a_file_says_is_lost_is_only_believed_where_it_can_be_ours() -> None:
    assert lost_of("10-20 30-40") == [Span(10, 20), Span(30, 40)]
    for other in ("", "yes", "10-20,30-40", "20-10", "10-20 20-30", "10-20 5-8", "-5-10", "1-9999999999999"):
        assert lost_of(other) == []


KILLED = """
import asyncio, os, sys
from pathlib import Path
from tests.test_record import blocks, noise, store, writing
from stream_pipeline.record import Recorder

async def main():
    recorder = Recorder(writing(store(Path(sys.argv[1]))))
    running = asyncio.create_task(recorder.run())
    for block in blocks(noise(30 * 16_000), []):
        recorder.put(block)
        if (block.start + 320) % 16_000 == 0:  # a second of sound, in which a segment is stored
            while recorder.stored < (block.start + 320) // 64_000:
                await asyncio.sleep(0)
            print(block.start + 320, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("killed_at", [7, 19])
def test_a_killed_process_loses_less_than_five_seconds(tmp_path: Path, killed_at: int) -> None:
    with subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        come = 0
        for line in process.stdout:
            come = int(line)
            if come >= killed_at * RATE_HZ:
                os.kill(process.pid, signal.SIGKILL)
                break
    found = read_back(tmp_path)
    assert found.lost == ()
    assert found.pcm.size > come - 5 * RATE_HZ
    assert np.array_equal(found.pcm, noise(30 * RATE_HZ)[: found.pcm.size])
