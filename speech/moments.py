"""Moments worth hearing again: where a speaker stumbles and where all is well, each with a reason in numbers and where to cut.

What counts is what the rubric looks at: a pace that costs nothing in a talk may be rushed in a reading. Cuts keep words whole, lie in the
quietest place of a pause where there is one, and hold the clause or sentence around what is meant.
"""

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, TypeVar

import numpy as np

from speech import intonation
from speech.analysis import Disfluency, Filler, Measure, Pause, Stretch
from speech.audio import HOP, RATE_HZ, Floats, Frames, Span, State
from speech.evidence import Material
from speech.pauses import at_least
from speech.scoring import Curve

Kind = Literal["stumble", "best"]
_Event = TypeVar("_Event", Filler, Disfluency)

MOST_STUMBLES = 6
MOST_BEST = 4
ALIKE = 2  # of one sort at most: three times the same tells nothing new
SHORTEST_S, LONGEST_S = 4.0, 15.0
_LIKED_S = 8.0  # long enough for a sentence, short enough to hear all of it
_BEST_FROM_S = 5.0
_FEWEST_WORDS = 10  # in a best moment

_LEAD = round(0.3 * RATE_HZ)  # of a pause, at most, before the first word
_TAIL = round(0.45 * RATE_HZ)  # and after the last: words die away
_QUIET = 5  # hops that are compared for the quietest place

_CLUSTER_S = 10.0
_PAIR_S = 5.0  # two fillers this close are a cluster as well
_REPAIRS_S = 6.0
_LONG_PAUSE_S = 0.5  # inside a clause, heard as a halt
_HALT_S = 0.4  # what a best moment has none of
_FAULT = 75.0  # a stretch whose measure scores less is one
_FINE = 85.0  # what pace and pitch of a best moment score at least, together
_GRAMMAR = 0.3  # how grave, beside halts and fillers

# What is near to what in words: "a third above your usual".
_FRACTIONS = ((0.22, ""), (0.29, "a quarter "), (0.42, "a third "), (0.6, "half "))
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


@dataclass(frozen=True, slots=True)
class Moment:
    """A stretch of the recording that is worth hearing, and why."""

    kind: Kind
    what: str  # machine name of the sort: fillers, repair, rushed ...
    dimension: str  # of the rubric
    why: str  # a sentence for the speaker
    start: int  # what is meant
    end: int
    cut: Span  # what is played


@dataclass(frozen=True, slots=True)
class View:
    """How a rubric sees a measure."""

    dimension: str
    score: float | None  # of that dimension in this session
    curve: Curve


@dataclass(frozen=True, slots=True)
class _Found:
    what: str
    view: View
    gravity: float  # 0..1
    why: str
    start: int
    end: int

    @property
    def importance(self) -> float:
        """The weaker its dimension, the more it matters."""
        return self.gravity * (1.0 + (100.0 - (50.0 if self.view.score is None else self.view.score)) / 100.0)


def moments(material: Material, frames: Frames, measures: Mapping[str, Measure], views: Mapping[str, View]) -> tuple[Moment, ...]:
    """At most ten, none overlapping another: what went best first, then stumbles, each in order of importance.

    frames: of the whole recording. measures: of the session, to compare with. views: by measure; what the rubric does not look at is no
    stumble.
    """
    if not material.words:
        return ()
    cuts = _Cuts(material, frames)
    usual = {name: measure.value for name, measure in measures.items() if measure.value is not None}
    found = [
        *_fillers(material.fillers, views),
        *_repairs(material.disfluencies, views),
        *_halts(material, views),
        *_stretched(material.stretches, usual, views),
        *_grammar(material, views),
    ]
    taken: list[Moment] = []
    sorts: Counter[str] = Counter()
    for one in sorted(found, key=lambda one: (-one.importance, one.start)):
        if len(taken) == MOST_STUMBLES:
            break
        if sorts[one.what] < ALIKE and (cut := cuts.around(one.start, one.end)) is not None and _free(cut, taken):
            sorts[one.what] += 1
            taken.append(Moment("stumble", one.what, one.view.dimension, one.why, one.start, one.end, cut))
    best: list[Moment] = []
    for _, moment in sorted(_best(material, frames, cuts, usual, views), key=lambda rated: (-rated[0], rated[1].start)):
        if len(best) < MOST_BEST and sorts[moment.what] < ALIKE and _free(moment.cut, [*taken, *best]):
            sorts[moment.what] += 1
            best.append(moment)
    return (*best, *taken)


def _free(cut: Span, taken: Sequence[Moment]) -> bool:
    return all(cut.end <= one.cut.start or one.cut.end <= cut.start for one in taken)


# where to cut


class _Cuts:
    """The places between words, each with how well one can cut there."""

    def __init__(self, material: Material, frames: Frames) -> None:
        words = sorted(material.words, key=lambda word: word.start)
        self.words = words
        self.samples = frames.state.size * HOP
        self._lost = np.flatnonzero(frames.state == State.LOST.value) * HOP
        level = np.where(np.isfinite(frames.level_dbfs), frames.level_dbfs, 0.0)
        self._level = np.convolve(level, np.full(_QUIET, 1.0 / _QUIET), "same") if level.size else level
        self._pauses = sorted((p for p in material.pauses if p.kind == "silent"), key=lambda p: p.start)
        self._pause_ends = [pause.end for pause in self._pauses]
        self.ends = [0, *accumulate((word.end for word in words), max)]  # where all words before place k have ended
        self.starts = [*(word.start for word in words), self.samples]
        self.middles = [(word.start + word.end) // 2 for word in words]
        self.costs = [self._cost(k) for k in range(len(words) + 1)]

    def around(self, start: int, end: int) -> Span | None:
        """The best cut that holds [start, end) and whole words; None where nothing good is to be had, or sound is lost in it."""
        first = max(0, bisect_right(self.ends, start) - 1)
        last = min(len(self.words), bisect_left(self.starts, end))
        longest = round(LONGEST_S * RATE_HZ)
        best: tuple[float, Span] | None = None
        for a in range(first, -1, -1):
            if self.starts[last - 1 if last else 0] - self.starts[min(a, len(self.words) - 1)] > longest:
                break
            for b in range(max(last, a + 1), len(self.words) + 1):
                cut = self.cut(a, b)
                length = cut.end - cut.start
                if length > longest:
                    break
                length_s = length / RATE_HZ
                short = 4.0 * max(0.0, SHORTEST_S - length_s)
                cost = self.costs[a] + self.costs[b] + abs(length_s - _LIKED_S) / 3.0 + short
                if cut.start <= start and cut.end >= end and (best is None or cost < best[0]):
                    best = (cost, cut)
        if best is None or self.loses(best[1]):
            return None
        return best[1]

    def cut(self, a: int, b: int) -> Span:
        """From place a to place b."""
        return Span(
            self._quietest(max(self.ends[a], self.starts[a] - _LEAD), self.starts[a]),
            self._quietest(self.ends[b], min(self.starts[b], self.ends[b] + _TAIL)),
        )

    def loses(self, cut: Span) -> bool:
        """Whether sound is lost in it."""
        return bool(bisect_left(self._lost, cut.start - HOP + 1) < bisect_left(self._lost, cut.end))

    def _pause(self, low: int, high: int) -> Pause | None:
        """The longest silent pause that lies in or around [low, high)."""
        at = bisect_right(self._pause_ends, low)
        near = []
        while at < len(self._pauses) and self._pauses[at].start < high:
            near.append(self._pauses[at])
            at += 1
        return max(near, key=lambda pause: pause.end - pause.start, default=None)

    def _cost(self, k: int) -> float:
        if k in (0, len(self.words)):
            return 0.0
        pause = self._pause(self.ends[k], self.starts[k])
        if pause is None:
            return 4.0
        long = pause.end - pause.start >= RATE_HZ // 4
        if self.words[k - 1].text.rstrip("\"'”’)»").endswith((".", "!", "?", "…", "。")):
            return 0.0 if long else 0.5
        if pause.place == "between_clauses":
            return 0.5 if long else 1.0
        return 1.5 if long else 2.5

    def _quietest(self, low: int, high: int) -> int:
        """Between two words, in a silent pause where one is there; halfway where all is equally quiet."""
        if high <= low:
            return (low + high) // 2
        pause = self._pause(low, high)
        if pause is not None and min(pause.end, high) > max(pause.start, low):
            low, high = max(pause.start, low), min(pause.end, high)
        first, last = -(-low // HOP), min(high // HOP, self._level.size)
        if last - first < 2:
            return (low + high) // 2
        middle = (first + last - 1) / 2.0
        hops = np.arange(first, last)
        at = int(hops[np.argmin(self._level[first:last] + 0.02 * np.abs(hops - middle))])
        return min(max(at * HOP + HOP // 2, low), high)


# stumbles


def _runs(found: Sequence[_Event], within_s: float) -> Iterator[list[_Event]]:
    """Every longest run of events that lie within so many seconds."""
    last = 0
    for i in range(len(found)):
        j = i + 1
        while j < len(found) and (found[j].end - found[i].start) / RATE_HZ <= within_s:
            j += 1
        if j > last:
            last = j
            yield list(found[i:j])


def _fillers(found: Sequence[Filler], views: Mapping[str, View]) -> Iterator[_Found]:
    for kind, what, measure, several in (
        ("filled_pause", "fillers", "filled_pauses_per_100_words", "fillers"),
        ("discourse_marker", "markers", "discourse_markers_per_100_words", "filler phrases"),
    ):
        view = views.get(measure)
        if view is None:
            continue
        one_kind = [filler for filler in found if filler.kind == kind]
        for within_s, least in ((_CLUSTER_S, 3), (_PAIR_S, 2)):
            for run in _runs(one_kind, within_s):
                if len(run) < least:
                    continue
                texts = [filler.text.strip(".,?!…- ").lower() for filler in run]
                named = f"times “{texts[0]}”" if len(set(texts)) == 1 else f"{several} ({', '.join(texts)})"
                over_s = (run[-1].end - run[0].start) / RATE_HZ
                why = f"{_number(len(run)).capitalize()} {named} in {_seconds(over_s)}."
                yield _Found(what, view, min(1.0, 0.25 * len(run)), why, run[0].start, run[-1].end)


def _repairs(found: Sequence[Disfluency], views: Mapping[str, View]) -> Iterator[_Found]:
    names = {"repetition": "repetitions_per_100_words", "false_start": "false_starts_per_100_words"}
    broken = [one for one in found if one.kind in names and names[one.kind] in views]
    for run in _runs(broken, _REPAIRS_S):
        first = run[0]
        texts = [f"“{one.text.strip('.,?!…- ')}”" for one in run]
        if len(run) > 1:
            why = f"{_number(len(run)).capitalize()} repairs in {_seconds((run[-1].end - first.start) / RATE_HZ)}: {', '.join(texts)}."
        elif first.kind == "repetition":
            why = f"{texts[0]} is said, and said again."
        else:
            why = f"{texts[0]} is begun, and then begun anew."
        view = views[names[first.kind]]
        said = sum(len(one.text.split()) for one in run)
        yield _Found("repair", view, min(1.0, 0.2 * len(run) + 0.1 * said), why, first.start, run[-1].end)


def _halts(material: Material, views: Mapping[str, View]) -> Iterator[_Found]:
    view = views.get("pauses_within_clause_per_100_syl") or views.get("pauses_at_clause_ends_share")
    if view is None:
        return
    words = [word for word in material.words if word.kind == "word"]
    middles = [(word.start + word.end) // 2 for word in words]
    for pause in at_least(material.pauses, _LONG_PAUSE_S):
        after = bisect_left(middles, (pause.start + pause.end) // 2)
        if pause.place != "within_clause" or not 0 < after < len(words):
            continue
        long_s = (pause.end - pause.start) / RATE_HZ
        before, then = (words[i].text.strip(".,?!…- ") for i in (after - 1, after))
        why = f"A pause of {long_s:.1f} s in the middle of a clause, between “{before}” and “{then}”."
        yield _Found("pause", view, min(1.0, long_s / 2.0), why, pause.start, pause.end)


def _stretched(found: Sequence[Stretch], usual: Mapping[str, float], views: Mapping[str, View]) -> Iterator[_Found]:
    for stretch in found:
        if stretch.end - stretch.start < SHORTEST_S * RATE_HZ:
            continue
        # The middle of a stretch is enough to hear it: all of it and whole words around would be too long.
        start, end = stretch.start + RATE_HZ, stretch.end - RATE_HZ
        for measure, value, unit in (
            ("speech_rate_wpm", stretch.rate_wpm, "words a minute"),
            ("speech_rate_syl_s", _syllables_s(stretch), "syllables a second"),
        ):
            view = views.get(measure)
            if view is None or value is None or (score := float(view.curve(value))) >= _FAULT:
                continue
            fast = value > _top(view.curve)
            shown = f"{value:.0f}" if measure.endswith("wpm") else f"{value:.1f}"
            why = f"At {shown} {unit}{_beside(value, usual.get(measure), fast, 0 if measure.endswith('wpm') else 1)}."
            yield _Found("rushed" if fast else "slow", view, 1.0 - score / 100.0, why, start, end)
        view = views.get("f0_sd_st")
        if view is not None and stretch.f0_span_st is not None:
            score = float(view.curve(stretch.f0_span_st / 2.56))  # of a normal distribution
            if score < _FAULT:
                whole = usual.get("f0_span_st")
                beside = f", {whole:.1f} over the whole recording" if whole is not None and whole > stretch.f0_span_st else ""
                why = f"Pitch moves over {stretch.f0_span_st:.1f} semitones for ten seconds{beside}."
                yield _Found("monotone", view, 1.0 - score / 100.0, why, start, end)


def _grammar(material: Material, views: Mapping[str, View]) -> Iterator[_Found]:
    view = views.get("grammar_issues_per_100_words")
    if view is not None:
        for issue in material.issues:
            if issue.category == "grammar":
                yield _Found("grammar", view, _GRAMMAR, f"“{issue.text}”: {issue.reason}", issue.start, issue.end)


def _syllables_s(stretch: Stretch) -> float | None:
    if stretch.articulation_syl_s is None or stretch.pause_share is None:
        return None
    return stretch.articulation_syl_s * (1.0 - stretch.pause_share)


# what went well


def _best(
    material: Material, frames: Frames, cuts: _Cuts, usual: Mapping[str, float], views: Mapping[str, View]
) -> Iterator[tuple[float, Moment]]:
    """From the beginning of a clause to the end of one, without any trouble, at a good pace and with a lively pitch."""
    pace, pitch, fluency = views.get("speech_rate_wpm"), views.get("f0_sd_st"), views.get("filled_pauses_per_100_words")
    places = any(pause.place != "unknown" for pause in material.pauses)  # else only fillers were looked for
    troubles = sorted(
        [one.start for one in material.fillers]
        + [one.start for one in material.disfluencies if one.kind != "lengthening"]
        + [one.start for one in at_least(material.pauses, _HALT_S) if one.place == "within_clause"]
        + [one.start for one in material.issues if one.category == "grammar"]
    )
    good = [k for k, cost in enumerate(cuts.costs) if cost <= 0.5]
    for i, a in enumerate(good):
        for b in good[i + 1 :]:
            cut = cuts.cut(a, b)
            length_s = (cut.end - cut.start) / RATE_HZ
            if length_s > LONGEST_S:
                break
            count = sum(word.kind == "word" for word in cuts.words[a:b])
            start, end = cuts.starts[a], cuts.ends[b]
            if length_s < _BEST_FROM_S or count < _FEWEST_WORDS or bisect_left(troubles, start) < bisect_left(troubles, end):
                continue
            if cuts.loses(cut):
                continue
            wpm = 60.0 * count * RATE_HZ / (end - start)
            f0_hz: Floats = frames.f0_hz[start // HOP : end // HOP]
            sd_st, span_st = intonation.sd_st(f0_hz), intonation.span_st(f0_hz)
            rated = [float(view.curve(value)) for view, value in ((pace, wpm), (pitch, sd_st)) if view is not None and value is not None]
            if not rated or min(rated) < _FAULT or sum(rated) / len(rated) < _FINE:
                continue
            clean = f"no filler{' and no repair' if places else ''} in {count} words"
            whole_st = usual.get("f0_span_st")
            lively = span_st is not None and whole_st is not None and span_st > 1.15 * whole_st
            if lively and pitch is not None:
                what, dimension = "varied", pitch.dimension
                why = f"Pitch moves over {span_st:.1f} semitones, {whole_st:.1f} over the whole recording; {clean}."
            elif pace is not None and places and any(start < p.start and p.end < end for p in at_least(material.pauses)):
                what, dimension = "paced", pace.dimension
                why = f"{wpm:.0f} words a minute, with every longer pause at the end of a clause; {clean}."
            elif fluency is not None:
                what, dimension = "clean", fluency.dimension
                why = f"{clean[0].upper()}{clean[1:]}, at {wpm:.0f} words a minute."
            else:
                continue
            sure = sum(word.probability for word in cuts.words[a:b]) / (b - a)
            value = sum(rated) / len(rated) * sure - 2.0 * abs(length_s - _LIKED_S)
            yield value, Moment("best", what, dimension, why, start, end, cut)


# in words


def _number(count: int) -> str:
    return _NUMBERS[count] if count < len(_NUMBERS) else str(count)


def _seconds(length_s: float) -> str:
    whole = max(1, math.ceil(length_s))
    return "one second" if whole == 1 else f"{_number(whole)} seconds"


def _top(curve: Curve) -> float:
    """The middle of where it is highest."""
    most = max(score for _, score in curve.points)
    at = [value for value, score in curve.points if score == most]
    return (at[0] + at[-1]) / 2.0


def _beside(value: float, usual: float | None, fast: bool, digits: int) -> str:
    """How it lies beside what is usual for the speaker, where it does."""
    if usual is None or usual <= 0.0:
        return ""
    off = value / usual - 1.0 if fast else 1.0 - value / usual
    if off < 0.05:
        return f", where {usual:.{digits}f} is usual in this recording"
    about = next((words for most, words in _FRACTIONS if off <= most), "") or f"{100.0 * off:.0f} % "
    return f", {about}{'above' if fast else 'below'} the {usual:.{digits}f} of the whole recording"
