"""A live session without clock or load: blocks of sound and answers of the recogniser in, events out, each time the same.

What is recognised when is decided here, at fixed places of the sound (every 200 ms). A window begins at a committed word some seconds
back, since what was said before helps to recognise what is said now, or in the silence before somebody speaks. It ends with what was
heard, or in a silence of half a second: then it is final. While somebody speaks there is one every `stride_s`, sooner where they pause for
a moment, since words are whole then. If that pause turns out to be the end of an utterance, the window has heard all of it: its words are
taken for final, and nothing is recognised twice.
"""

import itertools
import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from recognition.lexicon import syllable_counts
from recognition.vad import WINDOW
from speech import syllables
from speech.agreement import Agreement, Hypothesis, TranscriptDelta, Window
from speech.audio import HOP, RATE_HZ, AudioBlock, Floats, Span, State, seconds
from speech.cues import Cues
from speech.filled_pauses import candidates
from speech.live import Live, LiveMetrics
from speech.pauses import silences
from speech.pitch import DELAY
from speech.words import Word
from stream_pipeline.asking import STRIDE_S, Answer, Ask, Said
from stream_pipeline.hearing import STEP, Hearing

LONGEST_S: Final = 15.0  # a window at most

_FIRST_S = 0.8  # of an utterance, before its first window
_PAUSE = 15  # hops: a shorter silence may be a closure inside a word
_PAUSED_STRIDE = 0.4  # of the stride, that suffices in a pause
_FINAL = 50  # hops of silence that end an utterance
_FINAL_END = 3 * RATE_HZ // 5  # of that silence, in the window
_LEAD = 2 * RATE_HZ // 5  # of silence before the first speech, in the window: onsets are soft, and the judge is late
_CONTEXT = 12 * RATE_HZ  # of a window that goes on from where the one before began: with what went before, fewer words are wrong
_CONTEXT_AGAIN = 2 / 3  # of that has the next one, where it is exceeded
_APART = RATE_HZ  # a longer silence parts what was said before: as in the report
_LONG_PAUSE_S = 0.6  # a longer one is no better a place to begin
_STOPS = {".": 0.4, "?": 0.4, "!": 0.4, ",": 0.15, ";": 0.15, ":": 0.15}  # what punctuation counts for, in seconds of pause
_WHOLE = RATE_HZ // 12  # after the last speech: a window that goes so far has heard all of it
_MAYBE, _SURE = 0.2, 0.5  # probability of speech: as in speech.windows, where a missed word costs more than a window; and for a partial
_FEWEST_FINAL, _FEWEST_NEW, _FEWEST_PAUSED = 2, 3, 6  # judgements of 32 ms
_UNHEARD_GAP = 3 * RATE_HZ // 10  # no window spans a longer loss
_NOTHING_IN = 5 * RATE_HZ // 2  # of sound in which no word was found, that is tried again with what follows
_AROUND = RATE_HZ // 5  # judgements to either side of a window
_PITCH_LATE = DELAY * HOP  # what is drawn of pitch lies so far back
_CLOSURE = 6 * HOP  # 60 ms, the shortest silence that helps to place a word

_SURE_LANGUAGE, _LANGUAGE_S = 0.7, 2.0
# Log odds that somebody speaks another language than that of the session, before anything was heard, and after however much.
_FOREIGN_AT_FIRST, _FOREIGN_AT_MOST = -1.0, 3.0
_SPEAKING, _SILENT = 8, 50  # hops of speech in the last 200 ms, and of none in the last 500, that turn the state
_SHOWN = ("rate_wpm", "articulation_syl_s", "pause_share", "longest_pause_s", "f0_median_hz", "f0_span_st", "f0_sd_st", "level_dbfs")


def prepare() -> None:
    """Load what takes long: kernels, the judge, the dictionary (half a second, a minute where kernels are compiled). In any thread."""
    syllable_counts()
    noise = np.random.default_rng(0).normal(0.0, 0.1, 3 * STEP).astype(np.float32)
    live = Live()
    hearing = Hearing(live)
    hearing.push(noise)
    hearing.lose(1)
    live.read()
    hearing.finish(noise[:HOP])


@dataclass(frozen=True, slots=True)
class _Due:
    """A stretch that could be recognised now."""

    window: Window
    speech_end: int  # of what it ends with
    first: int  # the first speech after all that is final
    cut: bool  # it ends before what was heard, because it would be too long


class Core:
    """One session. Not safe for two threads at once; a call takes 3 ms at most, once `prepare` was called."""

    def __init__(self, session: str, language: str | None = None) -> None:
        self.session = session
        self.captured = 0  # samples so far, lost ones included
        self.schedule: list[dict[str, Any]] = []  # what came from outside, to be logged: the caller writes it down and clears it
        self._language = language
        self._language_said = False
        self._foreign = _FOREIGN_AT_FIRST
        self._degraded: str | None = None
        self._live = Live()
        self._hearing = Hearing(self._live)
        self._agreement = Agreement()
        self._cues = Cues()
        self._step = np.empty(STEP, np.float32)  # samples on the way to a step
        self._filled = 0
        self._gaps: deque[Span] = deque(maxlen=128)  # those that no window spans: more do not fit into the ring
        self._closed = False
        self._outstanding: list[Ask] = []  # a partial, a final or both
        self._before_close: tuple[Ask, ...] = ()  # outstanding when the session was closed
        self._tried = (-1, -1, -1, 0.0, 0.0)  # what the last `ask` knew, if it found nothing to do
        self._answers = 0
        self._last: Hypothesis | None = None  # a partial since the last final: becomes one if nothing more is said
        self._done = 0  # all speech before is recognised for good
        self._taken_to = 0  # end of the newest window taken
        self._from = 0  # no window begins before it
        self._tentative: tuple[Word, ...] = ()
        self._settled_to = 0
        self._said: deque[Word] = deque(maxlen=64)  # the last words committed
        self._left = -1  # where the newest window taken began
        self._pauses_to = 0  # end of the last pause told
        self._speaking = False

    def hear(self, block: AudioBlock) -> list[Said]:
        """Take the next block. What was lost before it counts too. ValueError where it does not follow, or after `close`."""
        if self._closed or block.start != self.captured + block.lost:
            raise ValueError(f"a block at {block.start} after {self.captured} samples and {block.lost} lost")
        said = self._lose(block.lost) if block.lost else []
        self.captured += block.pcm.size
        return said + self._fill(block.pcm)

    def ask(self, stride_s: float = STRIDE_S, longest_s: float = LONGEST_S) -> Ask | None:
        """What to recognise now, or None: a final before a partial, none while one is outstanding, but a final overtakes a partial.

        Cheap while nothing has changed; to be called after every block and every answer.
        """
        known = (self._hearing.end, self._answers, len(self._outstanding), stride_s, longest_s)
        if known == self._tried:
            return None
        window = self._next(stride_s, round(min(longest_s, LONGEST_S) * RATE_HZ))
        if window is None:
            self._tried = known
            return None
        self._outstanding.append(self.framed(window))
        return self._outstanding[-1]

    def framed(self, window: Window) -> Ask:
        """The Ask of a window that is known already: as it was when `captured` was what it is now."""
        frames = self._live.frames(Span(max(window.start, self._hearing.oldest + HOP), window.end))
        quiet = silences(frames.state, _CLOSURE, frames.start)
        held: list[Span] = []
        if self._language in (None, "en") and frames.state.size > 4:
            sound = self._hearing.sound(Span(frames.start, min(frames.start + frames.state.size * HOP, self._hearing.end)))
            held = candidates(sound, frames.f0_hz, frames.state)
        probability, start = self._hearing.probability(Span(max(0, window.start - _AROUND), window.end + _AROUND))
        return Ask(
            window,
            self._hearing.sound(Span(window.start, window.end)),
            probability,
            start,
            _inside(quiet, window),
            _inside((Span(h.start + frames.start, h.end + frames.start) for h in held), window),
            self._language,
            self.captured,
        )

    def take(self, ask: Ask, answer: Answer) -> list[Said]:
        """Take an answer. One that comes too late to say anything new is no harm."""
        window = ask.window
        self._outstanding = [other for other in self._outstanding if other is not ask]
        self._answers += 1
        self.schedule.append(
            {
                "asked_at": ask.asked_at,
                "start": window.start,
                "end": window.end,
                "final": window.final,
                "language": ask.language,
                "closed": self._closed and all(ask is not other for other in self._before_close),
                "taken_at": self.captured,
            }
        )
        said = self._learn_language(ask, answer)
        self._foreign = min(max(self._foreign + answer.foreign, -_FOREIGN_AT_MOST), _FOREIGN_AT_MOST)
        hypothesis = Hypothesis(window, () if self._foreign > 0.0 else answer.words)  # a television, a caller
        delta = self._agreement.take(hypothesis, self.captured)
        if window.end > self._taken_to:
            self._taken_to, self._left = window.end, window.start
        if window.final:
            self._finished(window.end)
        elif window.end > self._done and (self._last is None or window.end > self._last.window.end):
            self._last = hypothesis
        if not hypothesis.words and not delta.tentative:
            self._from = max(self._from, window.end - _NOTHING_IN)
        return said + self._tell([delta, *self._promoted()])

    def dropped(self, ask: Ask) -> None:
        """An ask was given up: it may be asked again."""
        self._outstanding = [other for other in self._outstanding if other is not ask]
        self._answers += 1

    def shed(self, what: str | None) -> None:
        """What is left out at the moment for want of time, in words: shown as `degraded` from the next metrics on."""
        if what != self._degraded:
            self._degraded = what
            self.schedule.append({"at": self.captured, "degraded": what})

    def close(self) -> None:
        """No more blocks will come: `ask` gives finals until all is heard."""
        if not self._closed:
            self._closed = True
            self._before_close = tuple(self._outstanding)
            self._hearing.finish(self._step[: self._filled].copy())
            self._answers += 1
            self.schedule.append({"closed_at": self.captured})

    def finish(self) -> list[Said]:
        """After the last answer: all words there are, and the numbers of the whole session. ValueError before `close`."""
        if not self._closed:
            raise ValueError("a session is closed before it is finished")
        return [*self._tell([*self._promoted(), self._agreement.flush(self.captured)]), *self._measured(whole=True)]

    # sound

    def _fill(self, pcm: np.ndarray) -> list[Said]:
        said: list[Said] = []
        at = 0
        while at < pcm.size:
            take = min(STEP - self._filled, pcm.size - at)
            self._step[self._filled : self._filled + take] = pcm[at : at + take]
            self._filled += take
            at += take
            if self._filled == STEP:
                self._filled = 0
                self._hearing.push(self._step)
                said += self._settled() + self._measured()
        return said

    def _lose(self, samples: int) -> list[Said]:
        # However long: what is said of it is said once, at its end.
        if samples >= _UNHEARD_GAP:
            self._gaps.append(Span(self.captured, self.captured + samples))
        self.captured += samples
        before = self._hearing.end
        if self._filled + samples >= STEP:
            samples -= STEP - self._filled
            self._step[self._filled :] = np.nan
            self._filled = 0
            self._hearing.push(self._step)
            if samples >= STEP:
                self._hearing.lose(samples // STEP)
                samples %= STEP
        self._step[self._filled : self._filled + samples] = np.nan
        self._filled += samples
        return self._settled() + self._measured() if self._hearing.end > before else []

    # words

    def _settled(self) -> list[Said]:
        # After every step, whether anything was recognised or not.
        said = self._tell([*self._promoted(), self._agreement.advance(self.captured)])
        if not self._language_said and self._language is not None:
            said.append(self._learnt_language())
        states = self._live.frames(Span(self._hearing.end - _SILENT * HOP, self._hearing.end)).state == State.SPEECH.value
        speaking = bool(states.any()) if self._speaking else int(np.count_nonzero(states[-STEP // HOP :])) >= _SPEAKING
        if speaking != self._speaking:
            self._speaking = speaking
            said.append(Said("state", self._now_ms, {"speech": speaking}))
        return said

    def _promoted(self) -> list[TranscriptDelta]:
        # The last partial is final after all: nothing was said after it.
        if self._last is None:
            return []
        due = self._due(round(LONGEST_S * RATE_HZ))
        if due is None or not due.window.final or not _covers(self._last.window, due):
            return []
        window = Window(self._last.window.start, due.window.end, True)
        delta = self._agreement.take(Hypothesis(window, self._last.words), self.captured)
        self._finished(window.end)
        return [delta]

    def _finished(self, end: int) -> None:
        self._done = max(self._done, end)
        if self._last is not None and self._last.window.end <= self._done:
            self._last = None

    def _tell(self, deltas: Sequence[TranscriptDelta]) -> list[Said]:
        committed = [word for delta in deltas for word in delta.committed]
        if committed or self._agreement.settled_to > self._settled_to:
            self._settled_to = self._agreement.settled_to
            counts = syllables.counts([word.text for word in committed], syllable_counts(), self._language or "en") if committed else ()
            known = [count if word.kind == "word" else 0 for word, count in zip(committed, counts, strict=True)]
            self._live.learn(committed, known, self._settled_to)
        self._said.extend(committed)
        pauses = [pause for pause in self._live.pauses if pause.end > self._pauses_to]
        tentative = deltas[-1].tentative
        if not committed and not pauses and tentative == self._tentative:
            return []
        self._tentative = tentative
        data: dict[str, Any] = {
            "committed": [_shown_word(word) for word in committed],
            "tentative": [_shown_word(word) for word in tentative],
            "heard_to_s": _shown_s(deltas[-1].heard_to),
        }
        if pauses:
            self._pauses_to = pauses[-1].end
            data["pauses"] = [{"start_s": _shown_s(pause.start), "end_s": _shown_s(pause.end)} for pause in pauses]
        return [Said("tokens", self._now_ms, data)]

    def _learn_language(self, ask: Ask, answer: Answer) -> list[Said]:
        speech_s = seconds(int(np.count_nonzero(ask.probability >= _SURE)) * WINDOW)
        if self._language is not None or answer.language_probability < _SURE_LANGUAGE or speech_s < _LANGUAGE_S:
            return []
        self._language = answer.language
        return [self._learnt_language()]

    def _learnt_language(self) -> Said:
        self._language_said = True
        return Said("state", self._now_ms, {"language": self._language})

    # numbers

    def _measured(self, whole: bool = False) -> list[Said]:
        reading = self._live.read(degraded=self._degraded)
        three, ten, thirty = reading
        t_ms = ten.at * 1000 // RATE_HZ
        data: dict[str, Any] = {"seq": ten.seq, "at": ten.at, "degraded": ten.degraded, **_shown(ten)}
        data["windows"] = {"3": _shown(three), "30": _shown(thirty)}
        drawn = Span(self._hearing.end - STEP, self._hearing.end)
        data["levels_dbfs"] = _thinned(self._live.frames(drawn).level_dbfs)
        data["pitch_hz"] = _thinned(self._live.frames(Span(max(0, drawn.start - _PITCH_LATE), drawn.end - _PITCH_LATE)).f0_hz)
        if whole or self._hearing.end % RATE_HZ == 0:
            data["session"] = _shown(self._live.whole())
        said = [Said("metrics", t_ms, data)]
        cue = self._cues.take(reading)
        if cue is not None:
            said.append(Said("cue", t_ms, asdict(cue)))
        return said

    @property
    def _now_ms(self) -> int:
        return self.captured * 1000 // RATE_HZ

    # what to recognise

    def _next(self, stride_s: float, longest: int) -> Window | None:
        due = self._due(longest)
        waiting = [ask.window for ask in self._outstanding]
        if due is None or any(window.final for window in waiting):
            return None
        if due.window.final:
            heard = [*waiting, self._last.window] if self._last is not None else waiting
            return None if any(_covers(window, due) for window in heard) else due.window
        if waiting:
            return None
        end, heard_to = due.window.end, max(self._taken_to, due.first)
        new = self._speech(Span(heard_to, end), _SURE).size
        if due.cut:
            return due.window if end > self._taken_to else None
        if new < _FEWEST_NEW:
            return None
        stride = stride_s * RATE_HZ
        enough = stride if self._taken_to > due.first else min(stride, _FIRST_S * RATE_HZ)
        paused = end - due.speech_end >= _PAUSE * HOP and new >= _FEWEST_PAUSED and end - heard_to >= _PAUSED_STRIDE * stride
        return due.window if paused or end - heard_to >= enough else None

    def _due(self, longest: int) -> _Due | None:
        # Of the speech that is not final yet, what can be heard in one window.
        heard = limit = self._hearing.end
        done, begin = self._done, self._from
        speech = self._speech(Span(done, heard), _MAYBE)
        for gap in self._gaps:
            if gap.start >= done and np.count_nonzero(speech < gap.start) >= _FEWEST_FINAL:
                limit = gap.start
                break
            if gap.end > done:
                done = begin = gap.end
                speech = speech[speech >= done]
        if speech.size < _FEWEST_FINAL:
            return None
        first = int(speech[0])
        start = max(self._agreement.trim_to, begin, self._hearing.oldest + STEP)
        later = speech[speech >= start - WINDOW]
        if later.size:  # the silence before it need not be heard
            start = max(start, min([int(later[0]), *(word.start for word in self._tentative[:1])]) - _LEAD)
        start = self._with_context(start, begin, limit, min(_CONTEXT, longest))
        quiet = silences(self._live.frames(Span(first, limit)).state, _PAUSE * HOP, first // HOP * HOP)
        ends = [silence for silence in quiet if silence.end - silence.start >= _FINAL * HOP and first < silence.start]
        finals = [(min(silence.end, silence.start + _FINAL_END, limit), silence.start) for silence in ends]
        if limit < heard or self._closed:
            finals.append((limit, quiet[-1].start if quiet and quiet[-1].end >= limit - HOP else limit))
        finals = [(end, speech_end) for end, speech_end in finals if done < end and start < end <= start + longest]
        if finals:
            end, speech_end = finals[-1]
            return _Due(Window(start, end, True), speech_end, first, False)
        if limit - start <= longest:
            speech_end = quiet[-1].start if quiet and quiet[-1].end >= limit - HOP else limit
            return _Due(Window(start, limit, False), speech_end, first, False)
        if start + longest <= self._taken_to:  # it was heard without a word that could be committed
            start = self._taken_to - longest + RATE_HZ
        end = self._least_likely(Span(start + longest // 2, min(start + longest, limit)))
        return _Due(Window(start, end, False), end, first, True)

    def _with_context(self, start: int, begin: int, end: int, context: int) -> int:
        # Further back, where the window before began, as long as that is not too far. Then at the best place among what is committed: in
        # a pause, or after a sentence. Never across a gap or a long silence.
        floor = max(begin, self._together(start), self._hearing.oldest + STEP)
        if floor <= self._left <= start and end - self._left <= context:
            return self._left
        best, found = 0.0, start
        for before, word in itertools.pairwise(self._said):
            at = max((before.end + word.start) // 2, word.start - _LEAD)
            if max(floor, end - _CONTEXT_AGAIN * context) <= at <= start:
                worth = min(seconds(word.start - before.end), _LONG_PAUSE_S) + _STOPS.get(before.text[-1:], 0.0)
                if worth >= best:
                    best, found = worth, at
        return found

    def _together(self, start: int) -> int:
        # Where that was begun which has gone on since without a long silence.
        for word in reversed(self._said):
            if word.start < start:
                if start - word.end > _APART:
                    return start - _LEAD
                start = word.start
        return 0

    def _speech(self, span: Span, least: float) -> np.ndarray:
        # Samples where judgements of a span begin that are at least so probable.
        probability, start = self._hearing.probability(span)
        return np.flatnonzero(probability >= least) * WINDOW + start

    def _least_likely(self, span: Span) -> int:
        probability, start = self._hearing.probability(span)
        around = np.convolve(probability, np.ones(5) / 5, "same")
        return min(span.end, start + int(np.argmin(around)) * WINDOW + WINDOW // 2)


def _covers(window: Window, due: _Due) -> bool:
    # Whether it has heard all speech of a final window, and nothing after it.
    return window.start < due.speech_end and min(due.speech_end + _WHOLE, due.window.end) <= window.end <= due.window.end


def _inside(spans: Iterable[Span], window: Window) -> tuple[Span, ...]:
    cut = (Span(max(span.start, window.start), min(span.end, window.end)) for span in spans)
    return tuple(span for span in cut if span.end > span.start)


def _thinned(values: Floats) -> list[float | None]:
    # Every second hop, the last one included: what a picture needs.
    return [round(value, 1) if math.isfinite(value) else None for value in values[1::2].tolist()]


def _shown_s(samples: int) -> float:
    return round(seconds(samples), 3)


def _shown_word(word: Word) -> dict[str, Any]:
    return {
        "text": word.text,
        "start_s": _shown_s(word.start),
        "end_s": _shown_s(word.end),
        "probability": round(word.probability, 3),
        "kind": word.kind,
    }


def _shown(metrics: LiveMetrics) -> dict[str, Any]:
    shown: dict[str, Any] = {"over_s": metrics.over_s}
    for name in (*_SHOWN, "fillers_per_min", "lost_share"):
        value = getattr(metrics, name)
        shown[name] = None if value is None else round(value, 4)
    return shown
