"""A recording through the live path, with a clock that is moved: the same events every time, or those of a session that was live."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import av
import numpy as np

from speech import losses
from speech.agreement import Window
from speech.audio import RATE_HZ, AudioBlock, Floats, Span
from stream_pipeline.asking import STRIDE_S, Answer, Ask, Said
from stream_pipeline.core import Core

DELAY_S: Final = 0.4  # from the question to the answer, in the ideal schedule: what a window takes on an idle core

_BLOCK = 320
# The filter of batch/decode.py, which this package may not import.
_RESAMPLER = {"filter_size": "128", "cutoff": "0.96"}

Answering = Callable[[Ask], Answer]


def replay(
    blocks: Iterable[AudioBlock],
    answer: Answering,
    schedule: Sequence[dict[str, Any]] | None = None,
    delay_s: float | None = DELAY_S,
    stride_s: float = STRIDE_S,
    language: str | None = None,
    core: Core | None = None,
) -> Iterator[Said]:
    """The events of a session with these blocks.

    Each answer is taken `delay_s` of sound after it was asked for; None: after the CPU time that it took, by one recogniser that is asked
    one thing at a time. schedule: of a live session (`Core.schedule`); then windows and times are its. core: to look at afterwards.
    KeyError and OutsideRing where a schedule does not belong to the blocks.
    """
    core = core or Core("replay", language)
    if schedule is not None:
        yield from _scheduled(core, blocks, answer, schedule)
        return
    waiting: deque[tuple[int, Ask, Answer]] = deque()
    free_at = 0
    for block in blocks:
        yield from core.hear(block)
        while waiting and waiting[0][0] <= core.captured:
            yield from core.take(*waiting.popleft()[1:])
        while (ask := core.ask(stride_s)) is not None:
            began = time.process_time()
            found = answer(ask)
            took_s = time.process_time() - began
            free_at = max(free_at, core.captured) + round(took_s * RATE_HZ) if delay_s is None else core.captured + round(delay_s * RATE_HZ)
            waiting.append((free_at, ask, found))
    core.close()
    for late in waiting:
        yield from core.take(*late[1:])
    while (ask := core.ask(stride_s)) is not None:
        yield from core.take(ask, answer(ask))
    yield from core.finish()


def _scheduled(core: Core, blocks: Iterable[AudioBlock], answer: Answering, schedule: Sequence[dict[str, Any]]) -> Iterator[Said]:
    asked: dict[int, tuple[Ask, Answer]] = {}  # by number in the schedule; as many as were outstanding
    entries = deque((number, entry) for number, entry in enumerate(schedule) if "filled" not in entry)
    questions = deque(sorted((entry["asked_at"], number) for number, entry in entries if "asked_at" in entry))

    def put(closed: bool) -> None:
        while questions and questions[0][0] <= core.captured and schedule[questions[0][1]]["closed"] <= closed:
            entry = schedule[questions[0][1]]
            ask = replace(core.framed(Window(entry["start"], entry["end"], entry["final"])), language=entry["language"])
            asked[questions.popleft()[1]] = ask, answer(ask)

    def taken(closed: bool) -> Iterator[Said]:
        while entries:
            number, entry = entries[0]
            if not closed and ("closed_at" in entry or entry["taken_at" if "taken_at" in entry else "at"] > core.captured):
                return
            if "taken_at" in entry:
                yield from core.take(*asked.pop(number))
            elif "degraded" in entry:
                core.shed(entry["degraded"])
            entries.popleft()

    for block in blocks:
        yield from core.hear(block)
        put(False)
        yield from taken(False)
    core.close()
    put(True)
    yield from taken(True)
    yield from core.finish()


def blocks_of(pcm: Floats, lost: Sequence[Span] = (), session: str = "replay") -> Iterator[AudioBlock]:
    """A signal, (n,) at 16 kHz in [-1, 1], as it would come in without what is lost, in order; a last block is filled up with zeros."""
    came = 0
    begins = [0, *(span.end for span in lost)]
    ends = [*(span.start for span in lost), pcm.size]
    for begin, end in zip(begins, ends, strict=True):
        for start in range(begin, end, _BLOCK):
            part = pcm[start : min(start + _BLOCK, end)]
            yield AudioBlock(session, start, np.pad(part, (0, _BLOCK - part.size)), start - came, start / RATE_HZ)
            came = start + _BLOCK


def decoded(path: Path) -> tuple[Floats, list[Span]]:
    """The sound of a file, 16 kHz mono on the 16-bit grid, as a live session gets it; and what of it was lost. av.FFmpegError, OSError."""
    parts: list[Floats] = []
    with av.open(str(path)) as container:
        lost = losses.lost_of(container.metadata.get(losses.TAG, ""))
        resampler = av.AudioResampler("fltp", "mono", RATE_HZ, options=_RESAMPLER)
        for frame in container.decode(audio=0):
            parts += [block.to_ndarray()[0] for block in resampler.resample(frame)]
        parts += [block.to_ndarray()[0] for block in resampler.resample(None)]
    pcm = np.concatenate(parts) if parts else np.empty(0, np.float32)
    return np.clip(np.round(pcm * 32768), -32768, 32767).astype(np.float32) / np.float32(32768), lost


def lost_live(lost: Sequence[Span], schedule: Sequence[dict[str, Any]]) -> list[Span]:
    """What was lost when a session was heard: also what came when it was too late for that, as its schedule says."""
    spans = sorted([*lost, *(Span(*entry["filled"]) for entry in schedule if "filled" in entry)], key=lambda span: span.start)
    joined: list[Span] = []
    for span in spans:
        if joined and span.start <= joined[-1].end:
            span = Span(joined[-1].start, max(joined.pop().end, span.end))
        joined.append(span)
    return joined
