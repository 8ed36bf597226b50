"""Live numbers: the measures of the report, over the last 3, 10 and 30 s and over the whole session so far.

Every number comes from the function that the report uses (`speech.measures`, `speech.pauses`, `speech.intonation`), on a ring of the last
half minute; the whole session adds what has left the ring as sums. Words come a second or two after their sound: until then syllable
nuclei stand in for syllables, scaled to what this speaker's nuclei turned out to be worth. States come 0.4 s after it: the windows of a
reading end with the best guess of them (`expect`), so that no number is late; the whole session counts only what is final.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from speech import intonation, measures
from speech.analysis import Pause
from speech.audio import HOP, RATE_HZ, Floats, Frames, Span, State, States, seconds
from speech.measures import Spoken
from speech.pauses import at_least, lost_samples, pauses, speaking_span
from speech.prosody import Hops
from speech.words import Word

WINDOWS_S: Final = (3.0, 10.0, 30.0)

_KEPT = 33 * RATE_HZ // HOP  # hops: the longest window, and the words that come late for it
_ROOM = 2 * _KEPT  # hops; when full the older ones are summed up, at once, since moving them hop by hop would cost more
_PIECE = 10 * RATE_HZ // HOP  # hops taken in one go
_SPOKEN = np.array([State.SPEECH], np.int8)
_NOTHING = np.empty(0)

_LEAST_S = 3.0  # of time for anything per time, as speech.measures
_FEWEST_WORDS = 5  # the same
_FEWEST_VOICED, _FEWEST_SPEECH = 100, 50  # hops for a median, as speech.intonation and speech.measures
_PRIOR_SYLLABLES = 20.0  # how many a guess counts for: about 4 s of speech
_WORDS_A_SYLLABLE = 1 / 1.4  # English talk; others by what they turn out to be

# Medians of the session are read from histograms.
_ST, _DB = 0.02, 0.05  # width of a bin
_LOWEST_HZ, _LOWEST_DBFS = 65.0, -120.0
_F0_BINS, _LEVEL_BINS = round(36 / _ST), round(132 / _DB)

_Counts = NDArray[np.int64]
_Movement = tuple[float | None, float | None]  # span and deviation of pitch, semitones


@dataclass(frozen=True, slots=True)
class LiveMetrics:
    """The numbers over a stretch that ends at `at`. None where there is too little to stand on; definitions in docs/metrics.md."""

    seq: int  # of the reading; the windows of one reading share it
    at: int  # sample: all sound before it is measured
    over_s: float  # length of the window; of the session so far for the whole
    rate_wpm: float | None  # words a minute, pauses included
    articulation_syl_s: float | None  # syllables a second of time that is not silent pause
    pause_share: float | None  # 0..1 of the time, silent pauses of at least 250 ms
    longest_pause_s: float | None  # of those that reach into the window, with all their length; None without any
    f0_median_hz: float | None
    f0_span_st: float | None  # semitones, 10th to 90th percentile
    f0_sd_st: float | None  # semitones, standard deviation of the middle 90 %
    level_dbfs: float | None  # median while speaking
    fillers_per_min: float | None
    lost_share: float  # 0..1 of the window that never came
    degraded: str | None  # what is shed at the moment, in words of whoever sheds it


@dataclass(slots=True)
class _Closed:
    """What has left the ring, of the speaker's time."""

    over_s: float
    pause_s: float
    nuclei: int
    f0: _Counts
    level: _Counts


class Live:
    """The live numbers of one session. Sound and words in as they come, numbers out at any time. 200 kB, whatever its length."""

    def __init__(self) -> None:
        self._seq = 0
        self._first = 0  # the ring's first hop
        self._frames = self._states = 0  # hops that came, since the session began
        self._expected = 0  # hops up to which the states are final or guessed
        self._f0_hz, self._level_dbfs = np.empty(_ROOM, np.float32), np.empty(_ROOM, np.float32)
        self._state = np.empty(_ROOM, np.int8)
        # Places from here on are samples from the start of the ring, which is also the clock of what is handed to the measures.
        self._nuclei = np.empty(_ROOM, np.int64)
        self._nuclei_count = 0
        self._words: list[Word] = []
        self._syllables: list[int] = []
        self._pauses: list[Pause] = []  # those that are over
        self._open: list[Pause] = []  # after the last speech
        self._searched = 0  # hop before which all pauses are known
        self._carried = 0  # samples of silence before `_searched` that go on after it
        self._begin: int | None = None  # of the speaker's time
        self._begun_by_word = False
        self._last_word = 0  # end
        self._settled_to = 0
        self._counted_to = 0  # nuclei before it are in the sum
        self._block = 0  # hop where the 10 s of pitch begin that are not over
        self._lost = 0  # hops, all
        self._word_count = self._syllable_count = self._filler_count = 0
        self._matched_syllables = self._nucleus_count = 0  # of the same sound
        self._longest_pause = 0
        self._blocks: deque[tuple[int, _Movement]] = deque()  # of pitch, with the hop where each ends
        self._older_blocks = np.zeros((2, 2))  # of each movement: sum, number
        self._closed = _nothing_closed()
        self._frozen: tuple[int, LiveMetrics] | None = None  # the whole up to a last speech that is leaving the ring

    def hear(self, hops: Hops, states: States) -> None:
        """Take frames and states that became final, (k,) and (m,), each following those before.

        ValueError where one runs ahead of the other by more than 20 s.
        """
        told = 0
        for first in range(0, max(hops.f0_hz.size, states.size, 1), _PIECE):
            f0_hz, state = hops.f0_hz[first : first + _PIECE], states[first : first + _PIECE]
            self._make_room(max(self._frames + f0_hz.size, self._states + state.size))
            at = self._frames - self._first
            self._f0_hz[at : at + f0_hz.size] = f0_hz
            self._level_dbfs[at : at + f0_hz.size] = hops.level_dbfs[first : first + _PIECE]
            self._frames += f0_hz.size
            at = self._states - self._first
            self._state[at : at + state.size] = state
            self._states += state.size
            self._lost += int(np.count_nonzero(state == State.LOST.value))
            upto = int(np.searchsorted(hops.nuclei, self._frames * HOP)) if first + _PIECE < hops.f0_hz.size else hops.nuclei.size
            self._nuclei[self._nuclei_count : self._nuclei_count + upto - told] = hops.nuclei[told:upto] - self._first * HOP
            self._nuclei_count += upto - told
            told = upto
        self._expected = self._known

    def expect(self, states: States, level_dbfs: Floats) -> None:
        """Take the best guess at the states (k,) that follow those known, and the levels (m,) that follow the frames, to the same hop.

        It stands until `hear` is called again, and counts in `read` alone. There is no pitch yet where there are no frames.
        """
        self._make_room(max(self._states + states.size, self._frames + level_dbfs.size))
        at = self._states - self._first
        self._state[at : at + states.size] = states
        at = self._frames - self._first
        self._level_dbfs[at : at + level_dbfs.size] = level_dbfs
        self._f0_hz[at : at + level_dbfs.size] = np.nan
        self._expected = min(self._states + states.size, self._frames + level_dbfs.size)

    def learn(self, words: Sequence[Word], syllables: Sequence[int], settled_to: int) -> None:
        """Take committed words and fillers with the syllables of each (0 for fillers and fragments), following those before.

        settled_to: words that begin before this sample are all here (`Agreement.settled_to`).
        """
        shift = self._first * HOP
        self._words += [replace(word, start=word.start - shift, end=word.end - shift) for word in words]
        self._syllables += syllables
        self._word_count += sum(word.kind == "word" for word in words)
        self._filler_count += sum(word.kind == "filler" for word in words)
        self._syllable_count += sum(syllables)
        # Words that come so late that their nuclei are forgotten say nothing about what a nucleus is worth.
        self._matched_syllables += sum(s for word, s in zip(words, syllables, strict=True) if word.start >= shift)
        if words:
            self._last_word = max(self._last_word, words[-1].end - shift)
        self._settled_to = max(self._settled_to, settled_to - shift)

    def read(self, over_s: Sequence[float] = WINDOWS_S, degraded: str | None = None) -> tuple[LiveMetrics, ...]:
        """The numbers over windows of at most 30 s that end with all that is known or expected.

        Costs 0.4 ms for the three, however long the session.
        """
        self._seq += 1
        self._catch_up(self._expected)
        spoken = self._ring(self._expected)
        return tuple(self._window(spoken, length_s, degraded) for length_s in over_s)

    @property
    def pauses(self) -> tuple[Span, ...]:
        """The silent pauses of at least 250 ms of the last half minute that are over, once words tell them from what came before."""
        if not self._begun_by_word:
            return ()
        shift = self._first * HOP
        return tuple(Span(p.start + shift, p.end + shift) for p in at_least(self._pauses))

    def frames(self, span: Span) -> Frames:
        """What was heard in a span of the last half minute, to whole hops, the states as they are known or expected."""
        first = max(0, span.start // HOP - self._first)
        last = max(first, min(-(-span.end // HOP), self._expected) - self._first)
        start = (self._first + first) * HOP
        return Frames(start, HOP, self._f0_hz[first:last], self._level_dbfs[first:last], self._state[first:last])

    def whole(self) -> LiveMetrics:
        """The numbers of the session so far, with the words committed so far: those that a report of it would give.

        The medians of pitch and level are exact to 0.01 semitones and 0.025 dB once sound has left the ring.
        """
        self._catch_up(self._known)
        spoken = self._ring(self._known)
        span = self._in_ring(spoken)
        if span is None:
            if self._frozen is not None:
                return replace(self._frozen[1], seq=self._seq, **self._so_far())
            return replace(self._nothing(0, 0.0, None), **self._so_far())
        if self._frozen is not None and self._frozen[0] == span.end:
            return replace(self._frozen[1], seq=self._seq, **self._so_far())
        over_s, pause_s = _times(spoken, span)
        over_s, pause_s = over_s + self._closed.over_s, pause_s + self._closed.pause_s
        syllables = self._syllable_count if self._begun_by_word else self._closed.nuclei + self._nuclei_in(span)
        enough = over_s >= _LEAST_S
        longest = max((p.end - p.start for p in at_least(spoken.pauses) if p.end <= span.end), default=0)
        f0_span_st, f0_sd_st = self._movement(spoken, span)
        return LiveMetrics(
            seq=self._seq,
            **self._so_far(),
            rate_wpm=60.0 * self._word_count / over_s if enough and self._word_count >= _FEWEST_WORDS else None,
            articulation_syl_s=syllables / (over_s - pause_s) if over_s - pause_s >= 1.0 else None,
            pause_share=pause_s / over_s if enough else None,
            longest_pause_s=seconds(max(longest, self._longest_pause)) or None,
            f0_median_hz=self._f0_median_hz(spoken, span),
            f0_span_st=f0_span_st,
            f0_sd_st=f0_sd_st,
            level_dbfs=self._level_median_dbfs(spoken, span),
            fillers_per_min=60.0 * self._filler_count / over_s if enough and self._word_count >= _FEWEST_WORDS else None,
            degraded=None,
        )

    def _so_far(self) -> dict[str, Any]:
        return {
            "at": self._known * HOP,
            "over_s": seconds(self._known * HOP),
            "lost_share": self._lost / max(1, self._states),
        }

    @property
    def _known(self) -> int:
        return min(self._frames, self._states)

    # one window

    def _window(self, spoken: Spoken, over_s: float, degraded: str | None) -> LiveMetrics:
        end = spoken.frames.state.size * HOP
        full = Span(max(end - round(over_s * RATE_HZ), -self._first * HOP), end)
        begin = end if self._begin is None else min(end, max(full.start, self._begin))
        window = Span(begin, end)
        states = spoken.frames.state[begin // HOP :]
        if not (states == State.SPEECH.value).any():
            return self._nothing(end, over_s, degraded, self._lost_share(spoken, full))
        f0_hz = spoken.frames.f0_hz[begin // HOP :]
        sums = measures.part(spoken, window)
        enough = sums.over_s >= _LEAST_S
        words, syllables = self._estimated(window)
        rate_wpm = sums.rate_wpm if self._word_count >= _FEWEST_WORDS else None
        articulation_syl_s = sums.articulation_rate_syl_s
        if articulation_syl_s is not None and syllables:
            articulation_syl_s += syllables / (sums.over_s - sums.pause_s)
        near = [p for p in at_least(spoken.pauses) if p.end > begin]
        melody = over_s >= 10.0  # shorter, there is no intonation to speak of
        f0_span_st, f0_sd_st = intonation.movement_st(f0_hz) if melody else (None, None)
        covered = seconds(end - begin) >= max(10.0, over_s) and self._settled_to > -self._first * HOP  # one um in 3 s is no rate
        return LiveMetrics(
            seq=self._seq,
            at=end + self._first * HOP,
            over_s=over_s,
            rate_wpm=rate_wpm + 60.0 * words / sums.over_s if rate_wpm is not None else None,
            articulation_syl_s=articulation_syl_s,
            pause_share=sums.pause_share if enough else None,
            longest_pause_s=seconds(max(p.end - p.start for p in near)) if near else None,
            f0_median_hz=intonation.median_hz(f0_hz),
            f0_span_st=f0_span_st,
            f0_sd_st=f0_sd_st,
            level_dbfs=measures.level_dbfs(spoken, window),
            fillers_per_min=60.0 * self._fillers(window) / sums.over_s if covered and enough else None,
            lost_share=self._lost_share(spoken, full),
            degraded=degraded,
        )

    def _nothing(self, end: int, over_s: float, degraded: str | None, lost_share: float = 0.0) -> LiveMetrics:
        missing = (None,) * 9
        return LiveMetrics(self._seq, end + self._first * HOP, over_s, *missing, lost_share, degraded)

    def _fillers(self, window: Span) -> int:
        first, last = (bisect_left(self._words, at, key=_start) for at in (window.start, window.end))
        return sum(word.kind == "filler" for word in self._words[first:last])

    def _lost_share(self, spoken: Spoken, span: Span) -> float:
        return lost_samples(spoken.frames.state, span) / (span.end - span.start) if span.end > span.start else 0.0

    def _estimated(self, span: Span) -> tuple[float, float]:
        # Words and syllables of the part of the span whose words are still to come.
        nuclei = self._nuclei_in(Span(max(span.start, self._settled_to), span.end))
        syllables = nuclei * (self._matched_syllables + _PRIOR_SYLLABLES) / (self._nucleus_count + _PRIOR_SYLLABLES)
        words = self._word_count + _PRIOR_SYLLABLES * _WORDS_A_SYLLABLE
        return syllables * words / (self._syllable_count + _PRIOR_SYLLABLES), syllables

    def _nuclei_in(self, span: Span) -> int:
        first, last = np.searchsorted(self._nuclei[: self._nuclei_count], [span.start, span.end])
        return max(0, int(last - first))

    # the whole session

    def _in_ring(self, spoken: Spoken) -> Span | None:
        # What of the speaker's time lies in the ring; None where no speech does.
        if self._begin is None:
            return None
        # A cough after the last word closes nothing.
        named = [Word("", self._begin, max(self._last_word, self._begin), 1.0)] if self._begun_by_word else []
        span = speaking_span(spoken.frames.state, named)
        if span is None:
            return None
        return Span(max(0, self._begin), span.end)

    def _movement(self, spoken: Spoken, span: Span) -> _Movement:
        # The mean over blocks of 10 s, the last of which is cut by the end of the span.
        within = [block for block in self._blocks if block[0] <= span.end // HOP]
        start = within[-1][0] if within else self._blocks[0][0] - intonation.WINDOW_HOPS if self._blocks else self._block
        rest = intonation.movement_st(spoken.frames.f0_hz[max(0, start) : -(-span.end // HOP)])
        out = []
        for (total, count), *values in zip(self._older_blocks.tolist(), *(block[1] for block in within), rest, strict=True):
            known = [v for v in values if v is not None]
            out.append((total + sum(known)) / (count + len(known)) if count + len(known) else None)
        return out[0], out[1]

    def _f0_median_hz(self, spoken: Spoken, span: Span) -> float | None:
        f0_hz = spoken.frames.f0_hz[span.start // HOP : span.end // HOP]
        if not self._closed.f0.any():
            return intonation.median_hz(f0_hz)
        counts = self._closed.f0 + _f0_counts(f0_hz)
        return float(_LOWEST_HZ * 2 ** (_median_bin(counts) * _ST / 12)) if counts.sum() >= _FEWEST_VOICED else None

    def _level_median_dbfs(self, spoken: Spoken, span: Span) -> float | None:
        if not self._closed.level.any():
            return measures.level_dbfs(spoken, span)
        counts = self._closed.level + _level_counts(spoken, span)
        return _LOWEST_DBFS + _median_bin(counts) * _DB if counts.sum() >= _FEWEST_SPEECH else None

    # keeping up

    def _ring(self, upto: int) -> Spoken:
        upto -= self._first
        frames = Frames(0, HOP, self._f0_hz[:upto], self._level_dbfs[:upto], self._state[:upto])
        nuclei = self._nuclei[: self._nuclei_count]
        found = [*self._pauses, *self._open]
        return Spoken(self._words, self._syllables, frames, _NOTHING, nuclei, found, (), (), (), None, "")

    def _catch_up(self, upto: int) -> None:
        # All that is known, and the open pauses up to a hop that may lie behind it.
        known = self._known - self._first
        self._find_begin(known)
        if self._begin is None:
            return
        self._find_pauses(known, upto - self._first)
        upto = min(self._settled_to, known * HOP)
        if upto > self._counted_to:
            self._nucleus_count += self._nuclei_in(Span(self._counted_to, upto))
            self._counted_to = upto
        while self._block + intonation.WINDOW_HOPS <= known:
            f0_hz = self._f0_hz[self._block : self._block + intonation.WINDOW_HOPS]
            self._block += intonation.WINDOW_HOPS
            self._blocks.append((self._block, intonation.movement_st(f0_hz)))
            while self._blocks[0][0] <= 0:
                for older, value in zip(self._older_blocks, self._blocks.popleft()[1], strict=True):
                    older += (value, 1) if value is not None else 0

    def _find_begin(self, known: int) -> None:
        # The first speech; once words are known, the first that the first of them names. What was summed up before it is forgotten.
        if self._begun_by_word or (self._begin is not None and not self._words):
            return
        named = [Word("", self._words[0].start, known * HOP, 1.0)] if self._words else []
        span = speaking_span(self._state[:known], named)
        if span is None:
            return
        self._begin, self._begun_by_word = span.start, bool(self._words)
        self._searched, self._carried = span.start // HOP, 0
        self._pauses, self._open, self._longest_pause = [], [], 0
        self._counted_to, self._nucleus_count = span.start, 0
        self._block = span.start // HOP
        self._older_blocks[:] = 0.0
        self._blocks.clear()
        self._closed, self._frozen = _nothing_closed(), None

    def _find_pauses(self, known: int, upto: int) -> None:
        # Speech parts the search: what lies before the last of it need not be looked at again.
        states = self._state[self._searched : upto]
        found = list(pauses(np.concatenate((_SPOKEN, states, _SPOKEN)), start=(self._searched - 1) * HOP))
        if found and self._carried and found[0].start == self._searched * HOP:
            found[0] = replace(found[0], start=found[0].start - self._carried)
        speech = np.flatnonzero(states[: known - self._searched] == State.SPEECH.value)
        if speech.size:
            self._searched += int(speech[-1])
            self._carried = 0
        self._pauses += [p for p in found if p.end <= self._searched * HOP]
        self._open = [p for p in found if p.end > self._searched * HOP]

    def _make_room(self, hops: int) -> None:
        if hops - self._first <= _ROOM:
            return
        self._catch_up(self._known)
        gone = self._known - self._first - _KEPT
        if hops - self._first - gone > _ROOM:
            raise ValueError(f"{self._frames} frames and {self._states} states: one runs too far ahead of the other")
        self._close(gone)
        for buffer in (self._f0_hz, self._level_dbfs, self._state):
            buffer[: _ROOM - gone] = buffer[gone:].copy()
        self._first += gone
        shift = gone * HOP
        first = int(np.searchsorted(self._nuclei[: self._nuclei_count], shift))
        self._nuclei_count -= first
        self._nuclei[: self._nuclei_count] = self._nuclei[first : first + self._nuclei_count] - shift
        first = bisect_left(self._words, shift, key=_start)
        self._words = [replace(word, start=word.start - shift, end=word.end - shift) for word in self._words[first:]]
        self._syllables = self._syllables[first:]
        self._pauses, self._open = (
            [replace(p, start=p.start - shift, end=p.end - shift) for p in part if p.end > shift] for part in (self._pauses, self._open)
        )
        self._blocks = deque((end - gone, movement) for end, movement in self._blocks)
        self._frozen = (self._frozen[0] - shift, self._frozen[1]) if self._frozen is not None else None
        self._begin = self._begin - shift if self._begin is not None else None
        self._last_word, self._settled_to, self._counted_to = (at - shift for at in (self._last_word, self._settled_to, self._counted_to))
        self._block, self._searched = self._block - gone, self._searched - gone

    def _close(self, gone: int) -> None:
        # Sum up the first hops of the ring before they leave it.
        if self._begin is None:
            return
        spoken = self._ring(self._known)
        in_ring = self._in_ring(spoken)
        if in_ring is not None and in_ring.end <= (gone + intonation.WINDOW_HOPS) * HOP:
            self._frozen = (in_ring.end, self.whole())
        span = Span(max(0, self._begin), gone * HOP)
        if span.end > span.start:
            over_s, pause_s = _times(spoken, span)
            self._closed.over_s += over_s
            self._closed.pause_s += pause_s
            self._closed.nuclei += self._nuclei_in(span)
            self._closed.f0 += _f0_counts(spoken.frames.f0_hz[span.start // HOP : gone])
            self._closed.level += _level_counts(spoken, span)
        leaving = [p.end - p.start for p in at_least(self._pauses) if p.end <= gone * HOP]
        self._longest_pause = max([self._longest_pause, *leaving])
        if self._searched < gone:  # silence all the way: how much of it goes on
            silent = self._state[self._searched : gone] == State.SILENCE.value
            run = gone - self._searched if silent.all() else int(np.argmin(silent[::-1]))
            self._carried = run * HOP + (self._carried if silent.all() else 0)
            self._searched = gone


def _nothing_closed() -> _Closed:
    return _Closed(0.0, 0.0, 0, np.zeros(_F0_BINS, np.int64), np.zeros(_LEVEL_BINS, np.int64))


def _times(spoken: Spoken, span: Span) -> tuple[float, float]:
    # Seconds that came, and of them silent pauses.
    over_s = seconds(span.end - span.start - lost_samples(spoken.frames.state, span))
    return over_s, over_s * (measures.pause_share(spoken, span) or 0.0)


def _f0_counts(f0_hz: Floats) -> _Counts:
    bins = np.rint(12.0 / _ST * np.log2(f0_hz[~np.isnan(f0_hz)] / _LOWEST_HZ)).astype(np.int64)
    return np.bincount(np.clip(bins, 0, _F0_BINS - 1), minlength=_F0_BINS)


def _level_counts(spoken: Spoken, span: Span) -> _Counts:
    hops = slice(span.start // HOP, span.end // HOP)
    speech = spoken.frames.level_dbfs[hops][spoken.frames.state[hops] == State.SPEECH.value]
    bins = np.rint((speech - _LOWEST_DBFS) / _DB).astype(np.int64)
    return np.bincount(np.clip(bins, 0, _LEVEL_BINS - 1), minlength=_LEVEL_BINS)


def _median_bin(counts: _Counts) -> float:
    return float(np.searchsorted(np.cumsum(counts), counts.sum() / 2))


def _start(word: Word) -> int:
    return word.start
