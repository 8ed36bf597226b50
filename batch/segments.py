"""The segments of a live session, as stream_pipeline/record.py leaves them, put together into one recording."""

import asyncio
import io
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from numpy.typing import NDArray

from engines.blobs import Blobs
from speech import losses
from speech.audio import RATE_HZ, Span
from speech.errors import Problem

SUFFIX = ".flac"
BLOCK = 10 * RATE_HZ  # encoded at once

Samples16 = NDArray[np.int16]


async def join(blobs: Blobs, prefix: str, path: Path) -> None:
    """Write the recording as FLAC with zeros where sound was lost, and the tag of speech/losses.py. Raises Problem where there is none.

    prefix: the folder of the segments. Memory is that of the sound, 115 MB an hour.
    """
    async with aclosing(blobs.keys(prefix)) as keys:
        names = sorted([key async for key in keys if key.endswith(SUFFIX)])  # that is by their first samples
    if not names:
        raise Problem("nothing-recorded")
    sound = Sound()
    for name in names:
        await asyncio.to_thread(sound.add, int(Path(name).stem), await blobs.read(name))
    await asyncio.to_thread(sound.write, path)


class Sound:
    """Samples from 0 on, and where there are some."""

    def __init__(self) -> None:
        self._pcm: Samples16 = np.zeros(0, np.int16)
        self._end = 0
        self._there: list[Span] = []

    def add(self, start: int, content: bytes) -> None:
        """The sound of one segment in its place; what lies there already stays where the segment has none."""
        with av.open(io.BytesIO(content), "r") as file:
            lost = losses.lost_of(file.metadata.get(losses.TAG, ""))
            pcm = np.concatenate([frame.to_ndarray()[0] for frame in file.decode(audio=0)])
        self._grow(start + pcm.size)
        come = 0
        for hole in [*lost, Span(pcm.size, pcm.size)]:
            if hole.start > come:
                self._pcm[start + come : start + hole.start] = pcm[come : hole.start]
                self._there.append(Span(start + come, start + hole.start))
            come = hole.end

    def lost(self) -> list[Span]:
        """What no segment has, in order, not touching."""
        found: list[Span] = []
        come = 0
        for span in sorted(self._there, key=lambda span: span.start):
            if span.start > come:
                found.append(Span(come, span.start))
            come = max(come, span.end)
        return found

    def write(self, path: Path) -> None:
        """As one FLAC file."""
        with av.open(str(path), "w", format="flac") as container:
            if lost := self.lost():
                container.metadata[losses.TAG] = losses.tag_of(lost)
            stream = container.add_stream("flac", rate=RATE_HZ, layout="mono", format="s16")
            for block in self._blocks():
                frame = AudioFrame.from_ndarray(block[np.newaxis], format="s16", layout="mono")
                frame.sample_rate = RATE_HZ
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))

    def _blocks(self) -> Iterator[Samples16]:
        for start in range(0, self._end, BLOCK):
            yield self._pcm[start : min(start + BLOCK, self._end)]

    def _grow(self, end: int) -> None:
        if end > self._pcm.size:
            self._pcm.resize(max(end, self._pcm.size + self._pcm.size // 8), refcheck=False)  # new samples are zero
        self._end = max(self._end, end)
