"""A session second by second: what the time series keeps, made so that seconds add up to minutes."""

from collections.abc import Sequence

import numpy as np

from speech import intonation
from speech.analysis import Pause, Second
from speech.audio import HOP, RATE_HZ, Span, State, seconds
from speech.measures import Spoken
from speech.pauses import at_least, lost_samples

_SPAN_OVER = 10 * RATE_HZ  # of the pitch span: shorter, there is no intonation to speak of
_FEWEST_VOICED = 5  # hops for a median
_FEWEST_SPEECH = 10  # hops for a level


def by_second(spoken: Spoken, samples: int, recognised: bool) -> list[Second]:
    """Every second of a recording of `samples`. recognised: the words are known; otherwise nuclei stand in for syllables."""
    count = -(-samples // RATE_HZ)
    words = np.array([w.start // RATE_HZ for w in spoken.words if w.kind == "word"], np.int64)
    fillers = np.array([f.start // RATE_HZ for f in spoken.fillers], np.int64)
    if recognised:
        at = np.array([w.start // RATE_HZ for w in spoken.words], np.int64)
        syllables = np.bincount(at, np.asarray(spoken.syllables, np.float64), count)
    else:
        syllables = np.bincount(spoken.nuclei // RATE_HZ, minlength=count).astype(np.float64)
    per_word, per_filler = np.bincount(words, minlength=count), np.bincount(fillers, minlength=count)
    pause_s = _pause_s(spoken.pauses, count)
    return [
        _second(
            spoken, t, min((t + 1) * RATE_HZ, samples), recognised, int(per_word[t]), round(syllables[t]), int(per_filler[t]), pause_s[t]
        )
        for t in range(count)
    ]


def _second(spoken: Spoken, t: int, end: int, recognised: bool, words: int, syllables: int, fillers: int, pause_s: float) -> Second:
    window = Span(t * RATE_HZ, end)
    hops = slice(window.start // HOP, -(-end // HOP))
    f0_hz, state = spoken.frames.f0_hz[hops], spoken.frames.state[hops]
    voiced = f0_hz[np.isfinite(f0_hz)]
    speech = spoken.frames.level_dbfs[hops][state == State.SPEECH]
    before = spoken.frames.f0_hz[max(0, end - _SPAN_OVER) // HOP : hops.stop]
    return Second(
        t_s=t,
        over_s=_over_s(spoken, window),
        words=words if recognised else None,
        syllables=syllables,
        fillers=fillers if recognised else None,
        pause_s=pause_s,
        speech_s=speech.size * HOP / RATE_HZ,
        lost_s=int((state == State.LOST).sum()) * HOP / RATE_HZ,
        f0_median_hz=float(np.median(voiced)) if voiced.size >= _FEWEST_VOICED else None,
        f0_span_st=intonation.span_st(before),
        level_dbfs=float(np.median(speech)) if speech.size >= _FEWEST_SPEECH else None,
    )


def _over_s(spoken: Spoken, window: Span) -> float:
    if spoken.span is None:
        return 0.0
    inside = Span(max(window.start, spoken.span.start), min(window.end, spoken.span.end))
    return seconds(inside.end - inside.start - lost_samples(spoken.frames.state, inside)) if inside.end > inside.start else 0.0


def _pause_s(pauses: Sequence[Pause], count: int) -> list[float]:
    out = [0.0] * count
    for pause in at_least(pauses):
        for t in range(pause.start // RATE_HZ, min(count, -(-pause.end // RATE_HZ))):
            out[t] += seconds(min(pause.end, (t + 1) * RATE_HZ) - max(pause.start, t * RATE_HZ))
    return out
