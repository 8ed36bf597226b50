"""From what was recognised in one window after another to words that stay.

A word is committed once two hypotheses in a row have it in the same place after the words committed before it (LocalAgreement-2,
Macháček et al. 2023), with its time as a second witness. What that leaves open is bounded on the audio captured, not on words, so that a
recogniser that never agrees with itself cannot hold the transcript up. `now` is that audio: the samples captured so far.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from speech.audio import HOP, RATE_HZ
from speech.disfluencies import core
from speech.loops import before_loop
from speech.words import Word

BOUND_S = 3.0  # after its end no word is tentative for longer
AFTER_S = 1.0  # of sound after a word that two hypotheses agree on: with less, one in twenty of the wrong words would have been put right
EDGE_S = 0.25  # a word that ends so close to a cut may have been cut: twice the usual error of a word's edge
LONGEST_S = 12.0  # audio that needs to be recognised again at most

_NEAR = 2 * RATE_HZ // 5  # between the middles of a word heard twice: edges are wrong by up to 200 ms each time
_INSIDE = RATE_HZ // 4  # a word that lies so far inside what is committed cannot follow it
_SHORTEST = 2 * HOP
_OVERLAP = 5  # words compared with what was committed, as whisper_streaming does
_BEFORE = RATE_HZ // 5  # a window begins so much before the words that tie it to those committed
_GAP = RATE_HZ  # a longer one between two words is a better place to begin
_IN_SILENCE = 3 * RATE_HZ // 10  # of the silence of at least 0.5 s that ends a final window


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of samples to recognise. It begins at or before `Agreement.trim_to`, or in a silence; its end may cut a word."""

    start: int
    end: int
    final: bool  # it ends in a silence of at least 0.5 s, or with the session: no word is cut


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What was recognised in a window: its words in order, on the clock of the session."""

    window: Window
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class TranscriptDelta:
    """What a hypothesis changed. Words, committed and tentative, are in order of time and never overlap."""

    committed: tuple[Word, ...]  # new ones; they follow those committed before and never change
    tentative: tuple[Word, ...]  # all that are shown but not sure, after the committed ones; replaces what was tentative before
    heard_to: int  # samples recognised so far


class Agreement:
    """The words of one session. Hypotheses in, in the order of their windows; deltas out. Memory does not grow."""

    def __init__(self, bound_s: float = BOUND_S, edge_s: float = EDGE_S, longest_s: float = LONGEST_S, after_s: float = AFTER_S) -> None:
        self.ignored = 0  # hypotheses that came too late to say anything new
        self.forced = 0  # words committed for their age alone
        self.looped = 0  # hypotheses cut short because they looped
        self._bound, self._edge, self._longest, self._after = (round(s * RATE_HZ) for s in (bound_s, edge_s, longest_s, after_s))
        self._tail: deque[Word] = deque(maxlen=_OVERLAP)  # the last words committed
        self._pending: list[Word] = []  # of the last hypothesis, not committed
        self._cut = 0  # words of the last hypothesis that end later may have been clipped
        self._heard_to = self._final_to = self._settled_to = self._trim_to = self._now = 0

    @property
    def trim_to(self) -> int:
        """Where the next window may begin: audio before it is not needed again. Just before the last committed words, or in a silence."""
        return max(self._trim_to, self._heard_to - self._longest)  # not from `now`: what is late must still be heard

    @property
    def settled_to(self) -> int:
        """Words that begin before this sample are committed, as far as can be known."""
        return self._settled_to

    def take(self, hypothesis: Hypothesis, now: int) -> TranscriptDelta:
        """What is known after one more hypothesis. now: samples captured so far.

        A final hypothesis commits all its words. One that heard nothing new, or came out of order, is counted in `ignored`.
        """
        window = hypothesis.window
        if window.end <= max(self._final_to, self._frontier) or (window.end <= self._heard_to and not window.final):
            self.ignored += 1
            return self.advance(now)
        committed = self._left_behind(window.start)
        self._heard_to = max(self._heard_to, window.end)
        self._cut = window.end if window.final else window.end - self._edge
        words = self._audible(hypothesis)
        new = words[self._heard_before(words, window.start) :]
        agreed = len(new) if window.final else self._agreed(new)
        committed += self._commit(new[:agreed])
        self._pending = list(new[agreed:])
        if window.final:
            self._final_to = window.end
            self._trim_to = max(self._trim_to, window.end - _IN_SILENCE)
        return self._delta(committed, now)

    def advance(self, now: int) -> TranscriptDelta:
        """What is known after more audio without a hypothesis: overdue words are committed or, if clipped, withdrawn until heard again."""
        return self._delta([], now)

    def flush(self, now: int) -> TranscriptDelta:
        """Commit all there is: no more will be recognised of this audio."""
        committed = self._commit(self._pending)
        self._pending = []
        self._settled_to = max(self._settled_to, self._heard_to)
        return self._delta(committed, now)

    @property
    def _frontier(self) -> int:
        return self._tail[-1].end if self._tail else 0

    def _delta(self, committed: list[Word], now: int) -> TranscriptDelta:
        self._now = max(self._now, now)
        committed += self._overdue()
        unsettled = self._pending[0].start if self._pending else self._cut
        self._settled_to = max(self._settled_to, self._frontier, unsettled)
        return TranscriptDelta(tuple(committed), tuple(self._in_place(self._pending)), self._heard_to)

    def _audible(self, hypothesis: Hypothesis) -> Sequence[Word]:
        # Without signs, words beyond the window (recognised in its padding) and all but the first copy of a loop.
        window = hypothesis.window
        words = [
            replace(word, start=max(word.start, window.start), end=min(word.end, window.end))
            for word in hypothesis.words
            if window.start < word.end and word.start < window.end and any(c.isalnum() for c in word.text)
        ]
        kept = before_loop(words)
        self.looped += len(kept) < len(words)
        return kept

    def _heard_before(self, words: Sequence[Word], start: int) -> int:
        # How many of the words are already committed. Said by the text where the last committed word is heard again; otherwise by time.
        tail = [word for word in self._tail if word.end > start]
        best, likeness = 0, 0.0
        for i in range(len(words) if tail else 0):
            like = [_likeness(new, old) for new, old in zip(words[i::-1], tail[::-1], strict=False)]
            like = like[: like.index(0.0)] if 0.0 in like else like
            follows = i + 1 == len(words) or _middle(words[i + 1]) >= self._frontier - _INSIDE
            if follows and sum(like) > likeness:
                best, likeness = i + 1, sum(like)
        while best < len(words) and (
            _middle(words[best]) < self._final_to - _IN_SILENCE
            or (not likeness and self._tail and not _follows(words[best], self._tail[-1]))
        ):
            best += 1
        return best

    def _agreed(self, new: Sequence[Word]) -> int:
        for i, (word, before) in enumerate(zip(new, self._pending, strict=False)):
            if word.end > self._heard_to - self._after or not _likeness(word, before):
                return i
        return min(len(new), len(self._pending))

    def _left_behind(self, start: int) -> list[Word]:
        # Of words before the new window nothing more will be heard: the last hypothesis stands, but for what it may have clipped.
        gone = sum(word.end <= start for word in self._pending)
        kept = [word for word in self._pending[:gone] if word.end <= self._cut]
        del self._pending[:gone]
        return self._commit(kept)

    def _overdue(self) -> list[Word]:
        due = sum(word.end <= self._now - self._bound for word in self._pending)
        whole = [word for word in self._pending[:due] if word.end <= self._cut]
        del self._pending[:due]
        self.forced += len(whole)
        return self._commit(whole)

    def _commit(self, words: Sequence[Word]) -> list[Word]:
        placed = self._in_place(words)
        for word in placed:
            gap = self._tail and word.start - self._frontier > _GAP
            tie = word if gap or not self._tail else self._tail[-1]
            self._trim_to = max(self._trim_to, tie.start - _BEFORE)
            self._tail.append(word)
        return placed

    def _in_place(self, words: Sequence[Word]) -> list[Word]:
        # After what is committed and after one another, within what was heard; a word without any room left is none.
        placed, floor = [], self._frontier
        for word in words:
            start = max(word.start, floor)
            end = min(max(word.end, start + _SHORTEST), self._heard_to)
            if start < end:
                placed.append(replace(word, start=start, end=end))
                floor = end
        return placed


def _middle(word: Word) -> int:
    return (word.start + word.end) // 2


def _follows(word: Word, last: Word) -> bool:
    # Whether it overlaps the last word by less than a third of what both cover: otherwise it is rather the same sound again.
    return 3 * (last.end - word.start) <= word.end - last.start


def _likeness(one: Word, other: Word) -> float:
    # Above 0 where both may be the same word: 1 in the same place, less with distance.
    distance = abs(_middle(one) - _middle(other))
    return 1.0 - distance / (_NEAR + 1) if distance <= _NEAR and core(one.text) == core(other.text) else 0.0
