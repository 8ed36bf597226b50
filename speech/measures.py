"""Every number of the report, from words, pauses, fillers and frames: its definition, its unit, its interval, or why it cannot be given.

docs/metrics.md explains each; the names and formulas here are the ones it lists.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, hypot, inf, log10, pi, sqrt
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from speech import intonation
from speech.analysis import Disfluency, DisfluencyKind, Filler, FillerKind, LanguageIssue, Measure, Pause, Stretch
from speech.audio import HOP, RATE_HZ, Floats, Frames, Span, State, seconds
from speech.level import integrated_lufs
from speech.pauses import at_least, lost_samples
from speech.quantiles import median
from speech.words import Word

BATCHES = 5  # contiguous parts that a whole measure is recomputed on for its interval (batch means; notes in docs/metrics.md)
T_QUANTILE = 2.7764  # Student's t, 97.5 %, BATCHES - 1 degrees of freedom
# What the recogniser gets wrong alike in all parts of a session, so that their spread does not show it: docs/metrics.md.
_WORDS_AMISS = 0.4  # standard deviation over readers of the error of the count of words, as a share of the unclear ones among them
_UM_RECALL, _UM_PRECISION = 0.72, 0.88
_TAIL = 0.025
_NONE_SEEN = 3.6889  # -ln 0.025: as many events could have been expected where none was seen (exact Poisson interval, 95 %)
_BATCH_S = 10.0  # a shorter part does not hold a measure
_WINDOW = 10 * RATE_HZ  # of the series over time
_STEP = 5 * RATE_HZ
_FEWEST_WORDS = 5
_LEAST_S = 3.0
_MATTR_WORDS = 50  # of the window: Covington & McFall 2010
_UNCLEAR = 0.5  # a word the recogniser would not bet on
_FEWEST_PLACED = 5  # pauses with a known place
_AUDIBLE_DB = 3.0  # over the background alone: there the voice is as loud as the background
_PHRASE_HOPS, _PHRASE_END_HOPS, _FEWEST_PHRASES = 100, 30, 3  # a phrase of 1 s, its last 300 ms

LEAST_PARTED_S = BATCHES * _BATCH_S  # of a session, for an interval by its parts
NEEDS_ENGLISH = "defined for English only"
NEEDS_WORDS = "no words were recognised"


@dataclass(frozen=True, slots=True, eq=False)
class Spoken:
    """All that measures are made of, of a whole recording. Sequences are in order of time."""

    words: Sequence[Word]
    syllables: Sequence[int]  # one per word; fillers and fragments have 0
    frames: Frames
    k_power: NDArray[np.float64]  # (hops,) K-weighted mean square, NaN where lost
    nuclei: NDArray[np.int64]  # samples
    pauses: Sequence[Pause]
    fillers: Sequence[Filler]
    disfluencies: Sequence[Disfluency]
    issues: Sequence[LanguageIssue]
    span: Span | None  # first to last speech
    language: str


@dataclass(frozen=True, slots=True)
class Part:
    """Sums over one stretch of a recording, and what they come to."""

    over_s: float  # lost audio left out
    pause_s: float  # silent, at least 250 ms
    words: int
    syllables: int
    pauses: int

    @property
    def rate_wpm(self) -> float | None:
        """Words a minute, pauses included, fillers and fragments left out."""
        return _ratio(self.words, self.over_s, 60.0) if self.over_s >= _LEAST_S else None

    @property
    def articulation_rate_syl_s(self) -> float | None:
        """Syllables a second of time that is not silent pause."""
        return _ratio(self.syllables, self.over_s - self.pause_s) if self.over_s - self.pause_s >= 1.0 else None

    @property
    def pause_share(self) -> float | None:
        """Share of the time that is silent pause of at least 250 ms."""
        return _ratio(self.pause_s, self.over_s)


_Number = Callable[[Spoken, Span], float | None]


def measures(spoken: Spoken) -> dict[str, Measure]:
    """Name -> measure, all of them always; `value` is None where `why_missing` says so."""
    return {name: _measure(spoken, unit, needs, of) for name, (unit, needs, of) in _TABLE.items()}


def measure_names() -> tuple[str, ...]:
    """Those that `measures` gives."""
    return tuple(_TABLE)


def stretches(spoken: Spoken) -> tuple[Stretch, ...]:
    """Pace, pausing, pitch and level in windows of 10 s every 5 s over the speaking span, for curves over time."""
    if spoken.span is None:
        return ()
    out = []
    start = spoken.span.start
    while True:
        window = Span(start, min(start + _WINDOW, spoken.span.end))
        out.append(
            Stretch(
                window.start,
                window.end,
                rate_wpm(spoken, window),
                articulation_rate_syl_s(spoken, window),
                pause_share(spoken, window),
                intonation.median_hz(_f0(spoken, window)),
                intonation.span_st(_f0(spoken, window)),
                level_dbfs(spoken, window),
            )
        )
        if window.end >= spoken.span.end:
            return tuple(out)
        start += _STEP


def _measure(spoken: Spoken, unit: str, needs: str, of: _Number) -> Measure:
    span = spoken.span
    if span is None:
        return Measure(None, unit, None, None, 0.0, NEEDS_WORDS)
    over_s = _over_s(spoken, span)
    if "english" in needs and spoken.language != "en":
        return Measure(None, unit, None, None, over_s, NEEDS_ENGLISH)
    if "words" in needs and (wanted := _wanted(sum(w.kind == "word" for w in spoken.words), over_s)):
        return Measure(None, unit, None, None, over_s, wanted)
    value = of(spoken, span)
    if value is None:
        why = _MORE[of](spoken, span) if of in _MORE else _WHY.get(of, "too little speech to measure it on")
        return Measure(None, unit, None, None, over_s, why)
    parts = _on_parts(spoken, span, of) if "batches" in needs else ()
    half = _half_width(parts)
    if half is None and value == 0.0 and needs.endswith(("a word", "a second")):
        most = _NONE_SEEN * (60.0 / over_s if needs.endswith("second") else 100.0 / part(spoken, span).words)
        return Measure(value, unit, 0.0, most / _UM_RECALL if "ums" in needs else most, over_s, parts=parts)
    if half is None and of is pauses_at_clause_ends_share and parts and value in (0.0, 1.0):
        unseen = 1.0 - _TAIL ** (1.0 / _placed(spoken, span)[1])
        return Measure(value, unit, value * (1.0 - unseen), max(value, unseen), over_s, parts=parts)
    if half is None:
        return Measure(value, unit, None, None, over_s, parts=parts)
    if needs.endswith(("counted", "a word")):
        half = _with(half, value * _WORDS_AMISS * _unclear_share(spoken))
    invented, missed = (1.0 - _UM_PRECISION, 1.0 / _UM_RECALL - 1.0) if "ums" in needs else (0.0, 0.0)
    low = value - hypot(half, value * invented)
    high = value + hypot(half, value * missed)
    low = low if unit in ("dBFS", "LUFS", "dB") else max(low, 0.0)
    high = min(high, 1.0) if of in _SHARES else high
    return Measure(value, unit, low, high, over_s, parts=parts)


def _with(half: float, deviation: float) -> float:
    # Half an interval from five parts, and an error of known deviation beside it: degrees of freedom of the sum by Welch & Satterthwaite,
    # Student's quantile by its expansion in them (Abramowitz & Stegun 26.7.5; 0.3 % off with four).
    from_parts = half / T_QUANTILE
    freedom = (BATCHES - 1) * (1 + (deviation / from_parts) ** 2) ** 2
    z = 1.96
    quantile = z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
    quantile += (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    return max(half, quantile * hypot(from_parts, deviation))


def _unclear_share(spoken: Spoken) -> float:
    words = [word for word in spoken.words if word.kind == "word"]
    return sum(word.probability < _UNCLEAR for word in words) / len(words)


def _wanted(words: int, over_s: float) -> str | None:
    """What is missing of the least that a measure of words needs."""
    missing = [f"{_FEWEST_WORDS - words} more {'word' if words == _FEWEST_WORDS - 1 else 'words'}"] if words < _FEWEST_WORDS else []
    missing += [f"{ceil(_LEAST_S - over_s)} s more speech"] if over_s < _LEAST_S else []
    return "needs " + " and ".join(missing) if missing else None


def _on_parts(spoken: Spoken, span: Span, of: _Number) -> tuple[float | None, ...]:
    if seconds(span.end - span.start) < BATCHES * _BATCH_S:
        return ()
    edges = np.linspace(span.start, span.end, BATCHES + 1).astype(int)
    of_part = _ON_PART.get(of, of)
    return tuple(of_part(spoken, Span(int(a), int(b))) for a, b in pairwise(edges))


def _half_width(parts: Sequence[float | None]) -> float | None:
    # Of the mean of five contiguous parts: their spread over sqrt(5), times t. None where a part is too short or has
    # no value, and where all are alike: five times no um in a talk does not make the speaker sure never to say one.
    known = [v for v in parts if v is not None]
    spread = float(np.std(known, ddof=1)) if len(known) == BATCHES else 0.0
    return T_QUANTILE * spread / BATCHES**0.5 if spread > 0.0 else None


# what falls into a stretch


class _Timed(Protocol):
    @property
    def start(self) -> int: ...


_Item = TypeVar("_Item", bound=_Timed)


def _within(items: Sequence[_Item], span: Span) -> Sequence[_Item]:
    # Those that begin in the span: each item then belongs to just one of several spans that touch.
    return items[bisect_left(items, span.start, key=_start) : bisect_left(items, span.end, key=_start)]


def _start(item: _Timed) -> int:
    return item.start


def _hops(span: Span) -> slice:
    return slice(span.start // HOP, -(-span.end // HOP))


def _f0(spoken: Spoken, span: Span) -> Floats:
    return spoken.frames.f0_hz[_hops(span)]


def _over_s(spoken: Spoken, span: Span) -> float:
    return seconds(span.end - span.start - lost_samples(spoken.frames.state, span))


def _pause_s(spoken: Spoken, span: Span) -> float:
    # Silent pauses of at least 250 ms, as far as they lie in the span.
    longest = 120 * RATE_HZ  # how far back a pause that reaches into the span may begin
    near = _within(spoken.pauses, Span(span.start - longest, span.end))
    return seconds(sum(max(0, min(p.end, span.end) - max(p.start, span.start)) for p in at_least(near)))


def part(spoken: Spoken, span: Span) -> Part:
    """The sums over one span."""
    first, last = (bisect_left(spoken.words, at, key=_start) for at in (span.start, span.end))
    return Part(
        _over_s(spoken, span),
        _pause_s(spoken, span),
        sum(w.kind == "word" for w in spoken.words[first:last]),
        sum(spoken.syllables[first:last]),
        len(at_least(_within(spoken.pauses, span))),
    )


def _ratio(number: float, of: float, times: float = 1.0) -> float | None:
    return number / of * times if of > 0.0 else None


# tempo


def rate_wpm(spoken: Spoken, span: Span) -> float | None:
    """Words a minute, pauses included, fillers and fragments left out."""
    return part(spoken, span).rate_wpm


def speech_rate_syl_s(spoken: Spoken, span: Span) -> float | None:
    """Syllables a second, pauses included."""
    sums = part(spoken, span)
    return _ratio(sums.syllables, sums.over_s) if sums.over_s >= _LEAST_S else None


def articulation_rate_syl_s(spoken: Spoken, span: Span) -> float | None:
    """Syllables a second of time that is not silent pause."""
    return part(spoken, span).articulation_rate_syl_s


def phonation_ratio(spoken: Spoken, span: Span) -> float | None:
    """Share of the time that is not silent pause."""
    sums = part(spoken, span)
    return _ratio(sums.over_s - sums.pause_s, sums.over_s)


def mean_length_of_run_syl(spoken: Spoken, span: Span) -> float | None:
    """Syllables between one silent pause and the next."""
    sums = part(spoken, span)
    return _ratio(sums.syllables, sums.pauses + 1)


def pace_variation(spoken: Spoken, span: Span) -> float | None:
    """Coefficient of variation of the articulation rate over whole 10 s windows, at least three."""
    starts = range(span.start, span.end - _WINDOW + 1, _WINDOW)
    rates = [articulation_rate_syl_s(spoken, Span(start, start + _WINDOW)) for start in starts]
    known = [rate for rate in rates if rate]
    return float(np.std(known, ddof=1) / np.mean(known)) if len(known) >= 3 else None


def nuclei_rate_s(spoken: Spoken, span: Span) -> float | None:
    """Syllable nuclei a second of time that is not silent pause, from the sound alone."""
    sums = part(spoken, span)
    first, last = np.searchsorted(spoken.nuclei, [span.start, span.end])
    return _ratio(int(last - first), sums.over_s - sums.pause_s) if sums.over_s - sums.pause_s >= 1.0 else None


# pauses


def pauses_per_min(spoken: Spoken, span: Span) -> float | None:
    """Silent pauses of at least 250 ms a minute."""
    return _ratio(part(spoken, span).pauses, _over_s(spoken, span), 60.0)


def pause_share(spoken: Spoken, span: Span) -> float | None:
    """Share of the time that is silent pause of at least 250 ms."""
    return part(spoken, span).pause_share


def _pause_length(of: Callable[[NDArray[np.float64]], float], threshold_s: float = 0.25) -> _Number:
    def length(spoken: Spoken, span: Span) -> float | None:
        found = at_least(_within(spoken.pauses, span), threshold_s)
        return float(of(np.array([seconds(p.end - p.start) for p in found]))) if found else None

    return length


def _pauses_per_min_at(threshold_s: float) -> _Number:
    def rate(spoken: Spoken, span: Span) -> float | None:
        return _ratio(len(at_least(_within(spoken.pauses, span), threshold_s)), _over_s(spoken, span), 60.0)

    return rate


def pauses_within_clause_per_100_syl(spoken: Spoken, span: Span) -> float | None:
    """Silent pauses of at least 250 ms inside a clause, per 100 syllables."""
    sums = part(spoken, span)
    inside = sum(p.place == "within_clause" for p in at_least(_within(spoken.pauses, span)))
    return _ratio(inside, sums.syllables, 100.0)


def pauses_at_clause_ends_share(spoken: Spoken, span: Span) -> float | None:
    """Of the silent pauses of at least 250 ms whose place is known, at least five, those between clauses."""
    ends, placed = _placed(spoken, span)
    return ends / placed if placed >= _FEWEST_PLACED else None


def _clause_ends_on_part(spoken: Spoken, span: Span) -> float | None:
    # A part has few pauses, and not all as many: each counts by how many it has, as in the variance of a ratio (Cochran 1977, 6.4).
    ends, placed = _placed(spoken, span)
    all_ends, all_placed = _placed(spoken, spoken.span or span)
    return all_ends / all_placed + (ends - placed * all_ends / all_placed) * BATCHES / all_placed if all_placed else None


def _placed(spoken: Spoken, span: Span) -> tuple[int, int]:
    places = [p.place for p in at_least(_within(spoken.pauses, span)) if p.place != "unknown"]
    return places.count("between_clauses"), len(places)


# pitch and level


def _pitch(of: Callable[[Floats], float | None]) -> _Number:
    return lambda spoken, span: of(_f0(spoken, span))


def _terminal(of: Callable[[Sequence[float]], float | None]) -> _Number:
    def share(spoken: Spoken, span: Span) -> float | None:
        return of(intonation.terminal_contours_st(spoken.frames.f0_hz, _within(spoken.pauses, span)))

    return share


def _levels(spoken: Spoken, span: Span, state: State) -> Floats:
    hops = _hops(span)
    return np.asarray(spoken.frames.level_dbfs[hops][spoken.frames.state[hops] == state.value], np.float32)


def level_dbfs(spoken: Spoken, span: Span) -> float | None:
    """Median level of the frames that hold speech."""
    speech = _levels(spoken, span, State.SPEECH)
    return median(speech) if speech.size >= 50 else None


def _floor_dbfs(spoken: Spoken) -> float:
    # The level of the background, whatever breaths and doors are in it; -inf where there is too little silence to tell.
    silence = _levels(spoken, spoken.span, State.SILENCE) if spoken.span else np.empty(0, np.float32)
    return median(silence) if silence.size >= 50 else -inf


def _voice_db(level_dbfs: float, floor_dbfs: float) -> float | None:
    # The level of the voice alone, of voice and background together; None where the background is the louder of the two.
    above_db = level_dbfs - floor_dbfs
    return level_dbfs + 10 * log10(1 - 10 ** (-above_db / 10)) if above_db >= _AUDIBLE_DB else None


def level_range_db(spoken: Spoken, span: Span) -> float | None:
    """10th to 90th percentile of the level of the frames that hold speech, without what the background adds."""
    speech = _levels(spoken, span, State.SPEECH)
    if speech.size < 100:
        return None
    floor_dbfs = _floor_dbfs(spoken)
    low, high = (_voice_db(float(np.percentile(speech, share)), floor_dbfs) for share in (10, 90))
    return high - low if low is not None and high is not None else None


def snr_db(spoken: Spoken, span: Span) -> float | None:
    """Mean power of speech frames over that of silent ones (at least 0.5 s of them), in dB; what speech adds to the background."""
    speech, silence = _levels(spoken, span, State.SPEECH), _levels(spoken, span, State.SILENCE)
    if speech.size < 50 or silence.size < 50:
        return None
    return float(10 * np.log10(np.mean(10 ** (speech / 10.0)) / np.mean(10 ** (silence / 10.0))))


def trailing_off_db(spoken: Spoken, span: Span) -> float | None:
    """How far the level of the last 300 ms of a phrase lies above that of the whole (below: negative), median of at least three.

    A phrase is what lies between two silent pauses of at least 250 ms and holds at least 1 s of speech; both levels are medians of frames,
    without what the background adds.
    """
    falls = _falls_db(spoken, span)
    middle = float(np.median(falls)) if len(falls) >= _FEWEST_PHRASES else -inf
    return middle if middle > -inf else None


def _trailing_off_on_part(spoken: Spoken, span: Span) -> float | None:
    # By how many phrases there are, as for the ends of clauses. A median varies sqrt(pi / 2) times as much as a mean, but of one or two it
    # is the mean.
    every, falls = _falls_db(spoken, spoken.span or span), _falls_db(spoken, span)
    if not falls or not every:
        return float(np.median(every)) if every else None
    middle = float(np.median(every))
    wider = sqrt(pi / 2) if len(falls) < _FEWEST_PHRASES else 1.0
    return middle + (float(np.median(falls)) - middle) * wider * len(falls) * BATCHES / len(every)


def _falls_db(spoken: Spoken, span: Span) -> list[float]:
    # One for each phrase; -inf where its end is lost in the background.
    breaks = at_least(_within(spoken.pauses, span))
    edges = [(span.start, span.start), *((p.start, p.end) for p in breaks), (span.end, span.end)]
    floor_dbfs = _floor_dbfs(spoken)
    falls = []
    for (_, start), (end, _) in pairwise(edges):
        speech = _levels(spoken, Span(start, max(start, end)), State.SPEECH)
        if speech.size >= _PHRASE_HOPS:
            end_dbfs, whole_dbfs = (_voice_db(float(np.median(of)), floor_dbfs) for of in (speech[-_PHRASE_END_HOPS:], speech))
            falls.append(end_dbfs - whole_dbfs if end_dbfs is not None and whole_dbfs is not None else -inf)
    return falls


def loudness_lufs(spoken: Spoken, span: Span) -> float | None:
    """Integrated loudness, ITU-R BS.1770-4."""
    return integrated_lufs(spoken.k_power[_hops(span)])


# fluency and wording


def _fillers_per_min(spoken: Spoken, span: Span) -> float | None:
    return _ratio(sum(f.kind == "filled_pause" for f in _within(spoken.fillers, span)), _over_s(spoken, span), 60.0)


def _per_100_words(count: Callable[[Spoken, Span], int]) -> _Number:
    def rate(spoken: Spoken, span: Span) -> float | None:
        return _ratio(count(spoken, span), part(spoken, span).words, 100.0)

    return rate


def _fillers(kind: FillerKind) -> Callable[[Spoken, Span], int]:
    return lambda spoken, span: sum(f.kind == kind for f in _within(spoken.fillers, span))


def _disfluencies(kind: DisfluencyKind) -> Callable[[Spoken, Span], int]:
    return lambda spoken, span: sum(d.kind == kind for d in _within(spoken.disfluencies, span))


def _issues(*categories: str) -> Callable[[Spoken, Span], int]:
    return lambda spoken, span: sum(i.category in categories for i in _within(spoken.issues, span))


def _words(spoken: Spoken, span: Span) -> list[Word]:
    return [word for word in _within(spoken.words, span) if word.kind == "word"]


def mattr_50(spoken: Spoken, span: Span) -> float | None:
    """Different words among fifty on end, averaged over all such windows. Covington & McFall 2010."""
    said = [_folded(word) for word in _words(spoken, span)]
    if len(said) < _MATTR_WORDS:
        return None
    inside = Counter(said[:_MATTR_WORDS])
    different = [len(inside)]
    for left, come in zip(said, said[_MATTR_WORDS:], strict=False):
        inside[come] += 1
        inside[left] -= 1
        if not inside[left]:
            del inside[left]
        different.append(len(inside))
    return sum(different) / len(different) / _MATTR_WORDS


def _new_words(spoken: Spoken, span: Span) -> float | None:
    # `mattr_50` as a mean over words: one that was last said d words ago is new in min(d, 50) of the 50 windows that it is in. The
    # end of the recording counts as lying before its beginning. Windows inside a part would leave out what is new across its edges.
    whole = [word for word in _within(spoken.words, spoken.span or span) if word.kind == "word"]
    last = {_folded(word): at - len(whole) for at, word in enumerate(whole)}
    new = np.empty(len(whole))
    for at, word in enumerate(whole):
        new[at] = min(at - last[_folded(word)], _MATTR_WORDS) / _MATTR_WORDS
        last[_folded(word)] = at
    here = new[[span.start <= word.start < span.end for word in whole]]
    if not here.size:
        return None
    # The first and the last words are in fewer windows: the whole varies as if it had so many fewer.
    place = np.arange(1, len(whole) + 1)
    windows = np.minimum(np.minimum(place, place[::-1]), min(_MATTR_WORDS, len(whole) - _MATTR_WORDS + 1))
    fewer = len(whole) * float(windows @ windows) / float(windows.sum()) ** 2
    return float(new.mean() + (here.mean() - new.mean()) * sqrt(fewer))


def _folded(word: Word) -> str:
    return word.text.strip(_PUNCTUATION).casefold()


def _unclear(spoken: Spoken, span: Span) -> int:
    return sum(word.probability < _UNCLEAR for word in _words(spoken, span))


_SHARES = (phonation_ratio, pause_share, pauses_at_clause_ends_share, mattr_50)
_PUNCTUATION = ".,;:!?…\"'-–—()[] "
_NO_PAUSE = "there is no silent pause of at least 250 ms"
_LONGEST_PAUSE = _pause_length(np.max)
_MEAN_PAUSE = _pause_length(np.mean)
_MEDIAN_PAUSE = _pause_length(np.median)
_RISING = _terminal(intonation.rising_share)
_FALLING = _terminal(intonation.falling_share)

# What stands for a measure on each of the five parts, where the measure itself would not do.
_ON_PART: dict[_Number, _Number] = {
    mattr_50: _new_words,
    pauses_at_clause_ends_share: _clause_ends_on_part,
    trailing_off_db: _trailing_off_on_part,
}

# name: unit, what it needs (words: enough of them; english; batches: an interval by recomputing it; counted: words are), formula
_TABLE: dict[str, tuple[str, str, _Number]] = {
    "speech_rate_wpm": ("words/min", "words batches counted", rate_wpm),
    "speech_rate_syl_s": ("syllables/s", "words batches counted", speech_rate_syl_s),
    "articulation_rate_syl_s": ("syllables/s", "words batches counted", articulation_rate_syl_s),
    "nuclei_rate_s": ("nuclei/s", "batches", nuclei_rate_s),
    "phonation_ratio": ("ratio", "words batches", phonation_ratio),
    "mean_length_of_run_syl": ("syllables", "words batches counted", mean_length_of_run_syl),
    "pace_variation": ("ratio", "words", pace_variation),
    "pauses_per_min": ("1/min", "words batches", pauses_per_min),
    "pauses_200_ms_per_min": ("1/min", "words batches", _pauses_per_min_at(0.2)),
    "pauses_350_ms_per_min": ("1/min", "words batches", _pauses_per_min_at(0.35)),
    "pause_mean_s": ("s", "words batches", _MEAN_PAUSE),
    "pause_median_s": ("s", "words batches", _MEDIAN_PAUSE),
    "pause_longest_s": ("s", "words", _LONGEST_PAUSE),
    "pause_share": ("ratio", "words batches", pause_share),
    "pauses_within_clause_per_100_syl": ("1/100 syllables", "words english batches counted", pauses_within_clause_per_100_syl),
    "pauses_at_clause_ends_share": ("ratio", "words english batches", pauses_at_clause_ends_share),
    "f0_median_hz": ("Hz", "batches", _pitch(intonation.median_hz)),
    "f0_span_st": ("st", "batches", _pitch(intonation.span_st)),
    "f0_sd_st": ("st", "batches", _pitch(intonation.sd_st)),
    "pvq": ("ratio", "batches", _pitch(intonation.pvq)),
    "terminal_rising_share": ("ratio", "", _RISING),
    "terminal_falling_share": ("ratio", "", _FALLING),
    "loudness_lufs": ("LUFS", "batches", loudness_lufs),
    "level_dbfs": ("dBFS", "batches", level_dbfs),
    "level_range_db": ("dB", "batches", level_range_db),
    "trailing_off_db": ("dB", "batches", trailing_off_db),
    "snr_db": ("dB", "", snr_db),
    "filled_pauses_per_min": ("1/min", "words english batches, ums a second", _fillers_per_min),
    "filled_pauses_per_100_words": ("1/100 words", "words english batches, ums a word", _per_100_words(_fillers("filled_pause"))),
    "discourse_markers_per_100_words": (
        "1/100 words",
        "words english batches, events a word",
        _per_100_words(_fillers("discourse_marker")),
    ),
    "repetitions_per_100_words": ("1/100 words", "words english batches, events a word", _per_100_words(_disfluencies("repetition"))),
    "false_starts_per_100_words": ("1/100 words", "words english batches, events a word", _per_100_words(_disfluencies("false_start"))),
    "lengthenings_per_100_words": ("1/100 words", "words english batches, events a word", _per_100_words(_disfluencies("lengthening"))),
    "grammar_issues_per_100_words": ("1/100 words", "words english batches, events a word", _per_100_words(_issues("grammar"))),
    "hedges_per_100_words": ("1/100 words", "words english batches, events a word", _per_100_words(_issues("hedge"))),
    "style_issues_per_100_words": (
        "1/100 words",
        "words english batches, events a word",
        _per_100_words(_issues("style", "weak_word", "passive", "long_sentence")),
    ),
    "mattr_50": ("ratio", "words batches", mattr_50),
    "unclear_words_per_100_words": ("1/100 words", "words batches, events a word", _per_100_words(_unclear)),
}

# What would lift a refusal, with its number where that is known.
_MORE: dict[_Number, Callable[[Spoken, Span], str]] = {
    pauses_at_clause_ends_share: lambda spoken, span: (
        f"needs {_FEWEST_PLACED - _placed(spoken, span)[1]} more silent pauses whose place in the sentence is known"
    ),
    mattr_50: lambda spoken, span: f"needs {_MATTR_WORDS - len(_words(spoken, span))} more words",
    pace_variation: lambda _, span: (
        f"needs {ceil(3 * seconds(_WINDOW) - seconds(span.end - span.start))} s more speech"
        if span.end - span.start < 3 * _WINDOW
        else "needs three windows of 10 s with speech"
    ),
}
_WHY: dict[_Number, str] = {
    level_range_db: "the background is as loud as the quieter speech",
    trailing_off_db: f"needs at least {_FEWEST_PHRASES} phrases of a second between pauses that end louder than the background",
    _LONGEST_PAUSE: _NO_PAUSE,
    _MEAN_PAUSE: _NO_PAUSE,
    _MEDIAN_PAUSE: _NO_PAUSE,
    _RISING: "needs at least five phrases that end in a pause with audible pitch",
    _FALLING: "needs at least five phrases that end in a pause with audible pitch",
    snr_db: "needs at least 0.5 s of silence",
}
