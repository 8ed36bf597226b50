"""Pauses: which silences between words count, of what kind, where in the sentence, and what they come to.

Three rules hold throughout. The signal says where silence is: recognised words have edges that are wrong by 50-200 ms, so they may
veto a short silence but never a long one. Lost audio neither makes nor lengthens a pause. Every silence of 100 ms is kept, and a
threshold (250 ms unless said otherwise: de Jong & Bosker 2013) is applied when counting, so that 200 and 350 ms need no second look at
the sound.
"""

import bisect
import itertools
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from speech.analysis import Filler, Pause, PauseKind, PausePlace
from speech.audio import HOP, RATE_HZ, Span, State, States, seconds
from speech.words import Word

VERSION: Final = 1
SHORTEST: Final = RATE_HZ // 10  # 100 ms: all that is kept
THRESHOLD_S: Final = 0.25  # from here on a silence is reported as a pause

# A closure inside a word lasts 50-150 ms (p, t, k; longer when geminate). From 200 ms on it is a pause whatever the words say.
_LONGEST_CLOSURE = RATE_HZ // 5
_EDGE_ERROR = RATE_HZ // 20  # 50 ms, the median error of a recognised word's edge
_WORST_EDGE_ERROR = RATE_HZ // 5
_HIDES_NO_WORD = RATE_HZ // 5  # a loss shorter than a syllable (200 ms at five a second) cannot have held a word


@dataclass(frozen=True, slots=True)
class PauseMeasures:
    """What the silent pauses of at least `threshold_s` come to, over the speaker's time: first to last speech, less what was lost."""

    threshold_s: float
    over_s: float  # the speaker's time
    count: int
    count_within_clause: int
    count_between_clauses: int
    per_min: float | None  # None without any time
    share: float | None  # 0..1 of the time, None without any
    mean_s: float | None  # None without any pause, as the next two
    median_s: float | None
    longest_s: float | None


def silences(states: States, shortest: int = SHORTEST, start: int = 0) -> list[Span]:
    """Every unbroken run of silence of at least `shortest` samples, by time. states: (k,) of 10 ms each, the first at sample `start`."""
    return [span for span in _runs(states == State.SILENCE.value, start) if span.end - span.start >= shortest]


def speaking_span(states: States, words: Sequence[Word] = (), fillers: Sequence[Filler] = (), start: int = 0) -> Span | None:
    """From the first to the last speech: what pauses lie within and rates refer to. None where nothing was said.

    Its edges are those of the signal, since a recogniser likes to start the first word at 0 and to end the last with the file. Which
    speech is the first and the last is said by the words and fillers, where there are any, give or take 200 ms: a cough or a door
    before the first word opens nothing.
    """
    spoken = np.flatnonzero(states == State.SPEECH.value) * HOP + start
    named: list[Word | Filler] = [*words, *fillers]
    if named:
        first = min(span.start for span in named) - _WORST_EDGE_ERROR
        last = max(span.end for span in named) + _WORST_EDGE_ERROR
        spoken = spoken[(spoken >= first) & (spoken < last)]
    return Span(int(spoken[0]), int(spoken[-1]) + HOP) if spoken.size else None


def pauses(
    states: States,
    words: Sequence[Word] = (),
    fillers: Sequence[Filler] = (),
    clause_ends: Collection[int] | None = None,
    start: int = 0,
) -> tuple[Pause, ...]:
    """All silent and filled pauses of at least 100 ms within the speaking span, by time.

    states: (k,) of 10 ms each, the first at sample `start`. words: by time, fillers among them or not. clause_ends: indices of the
    words that end a clause or a sentence; None where that is not known, and then so is every place. An um belongs to the gap that it is in.

    - A silence under 200 ms is a pause only where a word ends or starts in it or within 50 ms of it; otherwise it is a closure inside a
      word. Without any words every silence counts.
    - Silences parted by less than 200 ms of lost audio, which can hide no word, are one pause, and of that only the longest piece is
      known to be silent and is given. Parted by more, each stands for itself.
    - A filled pause is the longest stretch of speech inside a filled-pause filler. Where the signal has only silence there is none.
    """
    span = speaking_span(states, words, fillers, start)
    if span is None:
        return ()
    edges = sorted(itertools.chain.from_iterable((word.start, word.end) for word in words))
    kept: list[tuple[Span, PauseKind]] = []
    for silence in _longest_of_neighbours(silences(states, HOP, start), states, start):
        within = span.start <= silence.start and silence.end <= span.end
        if within and silence.end - silence.start >= SHORTEST and not _closure(silence, edges):
            kept.append((silence, "silent"))
    for filler in fillers:
        if filler.kind == "filled_pause":
            voiced = _longest_speech(filler, states, start)
            if voiced is not None and voiced.end - voiced.start >= SHORTEST:
                kept.append((voiced, "filled"))
    middles = [((word.start + word.end) // 2, index) for index, word in enumerate(words) if word.kind != "filler"]
    return tuple(
        Pause(pause.start, pause.end, kind, _place(pause, middles, clause_ends))
        for pause, kind in sorted(kept, key=lambda item: (item[0].start, item[0].end))
    )


def at_least(found: Iterable[Pause], threshold_s: float = THRESHOLD_S, kind: PauseKind = "silent") -> tuple[Pause, ...]:
    """The pauses of one kind that last at least threshold_s."""
    shortest = round(threshold_s * RATE_HZ)
    return tuple(pause for pause in found if pause.kind == kind and pause.end - pause.start >= shortest)


def pause_measures(found: Iterable[Pause], span: Span | None, lost: int = 0, threshold_s: float = THRESHOLD_S) -> PauseMeasures:
    """Frequency, length and share of the silent pauses of at least threshold_s.

    span: the speaking span. lost: samples of it that never came; they belong to no time. The definitions are those of docs/metrics.md.
    """
    counted = at_least(found, threshold_s)
    over_s = seconds(max(0, span.end - span.start - lost)) if span is not None else 0.0
    lengths_s = np.array([seconds(pause.end - pause.start) for pause in counted])
    return PauseMeasures(
        threshold_s=threshold_s,
        over_s=over_s,
        count=len(counted),
        count_within_clause=sum(pause.place == "within_clause" for pause in counted),
        count_between_clauses=sum(pause.place == "between_clauses" for pause in counted),
        per_min=len(counted) / over_s * 60.0 if over_s else None,
        share=float(lengths_s.sum()) / over_s if over_s else None,
        mean_s=float(lengths_s.mean()) if counted else None,
        median_s=float(np.median(lengths_s)) if counted else None,
        longest_s=float(lengths_s.max()) if counted else None,
    )


def lost_samples(states: States, span: Span | None, start: int = 0) -> int:
    """Samples of the span that never came, to whole hops."""
    if span is None:
        return 0
    first, last = (span.start - start) // HOP, -((start - span.end) // HOP)
    return int(np.count_nonzero(states[max(0, first) : last] == State.LOST.value)) * HOP


def _runs(chosen: NDArray[np.bool_], start: int) -> list[Span]:
    edges = np.flatnonzero(np.diff(chosen.astype(np.int8), prepend=0, append=0)) * HOP + start
    return [Span(int(first), int(end)) for first, end in zip(edges[::2], edges[1::2], strict=True)]


def _longest_of_neighbours(found: Sequence[Span], states: States, start: int) -> list[Span]:
    # Of silences with nothing but a short loss between them, the longest; all others as they are.
    out: list[Span] = []
    previous_end = None
    for silence in found:
        gap = states[(previous_end - start) // HOP : (silence.start - start) // HOP] if previous_end is not None else states[:0]
        if gap.size and gap.size * HOP < _HIDES_NO_WORD and bool((gap == State.LOST.value).all()):
            if silence.end - silence.start > out[-1].end - out[-1].start:
                out[-1] = silence
        else:
            out.append(silence)
        previous_end = silence.end
    return out


def _closure(silence: Span, edges: Sequence[int]) -> bool:
    if not edges or silence.end - silence.start >= _LONGEST_CLOSURE:
        return False
    nearest = bisect.bisect_left(edges, silence.start - _EDGE_ERROR)
    return nearest == len(edges) or edges[nearest] > silence.end + _EDGE_ERROR


def _longest_speech(filler: Filler, states: States, start: int) -> Span | None:
    first, last = max(0, (filler.start - start) // HOP), max(0, -((start - filler.end) // HOP))
    runs = _runs(states[first:last] == State.SPEECH.value, start + first * HOP)
    return max(runs, key=lambda run: run.end - run.start, default=None)


def _place(pause: Span, middles: Sequence[tuple[int, int]], clause_ends: Collection[int] | None) -> PausePlace:
    # A word's middle is on the right side of a pause even where its edges are not.
    if clause_ends is None:
        return "unknown"
    before = bisect.bisect_left(middles, ((pause.start + pause.end) // 2, 0)) - 1
    if not 0 <= before < len(middles) - 1:
        return "unknown"
    return "between_clauses" if middles[before][1] in clause_ends else "within_clause"
