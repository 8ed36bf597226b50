"""The recording of a live session: segments of a few seconds, each durable by itself, so that a killed process loses only the last.

A segment is a FLAC file of 16 kHz mono, named after its first sample: exactly the samples that were heard, which lie on the 16-bit grid.
What was lost is zero in it, and a tag says where, as speech/losses.py has it; a longer gap ends a segment. Sound that came late is in
segments of its own, that overlap what was lost in others. batch/segments.py puts them together.
"""

import asyncio
import io
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import av
import numpy as np
from av.audio.frame import AudioFrame

from speech import losses
from speech.audio import RATE_HZ, AudioBlock, Floats, Span, seconds
from stream_pipeline.errors import Away

LONGEST = 4 * RATE_HZ  # samples of one segment: with the time to store it, less than 5 s are lost with the process
LONGEST_GAP = RATE_HZ  # samples of a gap inside a segment: single packets, not a connection that broke
WAITING = 32  # segments to be stored, two minutes in 8 MB; the store is away if there are more, and the newest is given up
_PAUSES_S = (0.1, 0.2, 0.5, 1.0, 2.0)  # between two tries to store one; the last again and again

Write = Callable[[str, bytes], Awaitable[None]]
log = logging.getLogger("live")


@dataclass(slots=True)
class Segment:
    """Sound that belongs together."""

    start: int
    end: int
    pieces: list[tuple[int, Floats]] = field(default_factory=list)  # each with its place on the session's clock, in order

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.start:012d}.flac"


class Recorder:
    """Takes the sound of one session and stores it by `write(name, content)`, which raises Away while it cannot.

    Holds two segments that grow, and WAITING that wait.
    """

    def __init__(self, write: Write) -> None:
        self.stored = 0  # segments
        self.given_up: list[Span] = []  # what came and could not be stored
        self._write = write
        self._growing: Segment | None = None
        self._filling: Segment | None = None
        self._waiting: deque[Segment] = deque()
        self._news = asyncio.Event()
        self._finished = False

    def put(self, block: AudioBlock) -> None:
        """The next block. Never waits."""
        self._growing = self._grown(self._growing, block.start, block.pcm, LONGEST_GAP)

    def fill(self, start: int, pcm: Floats) -> None:
        """Sound for a gap that is over, any length. Never waits."""
        for at in range(0, pcm.size, LONGEST):
            self._filling = self._grown(self._filling, start + at, pcm[at : at + LONGEST], 0)

    def flush(self) -> None:
        """Nothing more may come for a while: what there is becomes a segment, however short."""
        for segment in (self._growing, self._filling):
            if segment is not None:
                self._enqueue(segment)
        self._growing = self._filling = None

    def finish(self) -> None:
        """Nothing more comes: `run` returns when all is stored."""
        self.flush()
        self._finished = True
        self._news.set()

    async def run(self) -> None:
        """Store one segment after the other until `finish`, for as long as it takes."""
        while True:
            while self._waiting:
                segment = self._waiting[0]
                await self._store(segment.name, await asyncio.to_thread(encoded, segment))
                self._waiting.popleft()
                self.stored += 1
            if self._finished:
                return
            self._news.clear()
            await self._news.wait()

    async def _store(self, name: str, content: bytes) -> None:
        tries = 0
        while True:
            try:
                await self._write(name, content)
                return
            except Away as error:
                log.warning("a segment of the recording waits: %s", error)
            await asyncio.sleep(_PAUSES_S[min(tries, len(_PAUSES_S) - 1)])
            tries += 1

    def _grown(self, segment: Segment | None, start: int, pcm: Floats, longest_gap: int) -> Segment | None:
        end = start + pcm.size
        if segment is not None and not (0 <= start - segment.end <= longest_gap and end - segment.start <= LONGEST):
            self._enqueue(segment)
            segment = None
        if segment is None:
            segment = Segment(start, start)
        segment.pieces.append((start, pcm))  # they become 16 bits all at once, in a thread: twenty times cheaper than one by one here
        segment.end = end
        if end - segment.start == LONGEST:
            self._enqueue(segment)
            return None
        return segment

    def _enqueue(self, segment: Segment) -> None:
        if len(self._waiting) >= WAITING:
            log.error("%.1f s of the recording are given up: the store is away", seconds(segment.end - segment.start))
            self.given_up.append(Span(segment.start, segment.end))
            return
        self._waiting.append(segment)
        self._news.set()


def encoded(segment: Segment) -> bytes:
    """The file. 3 ms for 4 s of sound."""
    sound = np.zeros(segment.end - segment.start, np.float32)
    lost: list[Span] = []
    come = segment.start
    for start, piece in segment.pieces:
        if start > come:
            lost.append(Span(come - segment.start, start - segment.start))
        sound[start - segment.start : start - segment.start + piece.size] = piece
        come = start + piece.size
    pcm = np.clip(np.rint(sound * 32768.0), -32768, 32767).astype(np.int16)
    file = io.BytesIO()
    with av.open(file, "w", format="flac") as container:
        if lost:
            container.metadata[losses.TAG] = losses.tag_of(lost)
        stream = container.add_stream("flac", rate=RATE_HZ, layout="mono", format="s16")
        frame = AudioFrame.from_ndarray(pcm[np.newaxis], format="s16", layout="mono")
        frame.sample_rate = RATE_HZ
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return file.getvalue()
