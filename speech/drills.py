"""What a drill measures beside the measures of the report, and whether it was passed. docs/metrics.md defines each."""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from speech.analysis import Measure
from speech.attempts import Condition, Limit, Task, Verdict
from speech.audio import RATE_HZ, Span, seconds
from speech.measures import Spoken, part, rate_wpm
from speech.pauses import at_least
from speech.prominence import prominence
from speech.reading import Reading, aligned, plain, reading
from speech.shadowing import Contour, best, lag_s
from speech.words import Word

BREATH_S = 0.3  # a shorter pause at a place to breathe is none
BESIDE_S = 0.25  # a longer one elsewhere is heard
WAITED_S = 0.4  # a pause in place of an um
_WINDOW, _HOP = 10 * RATE_HZ, 5 * RATE_HZ  # of the pace, as speech.measures.stretches
_BAND = 0.2  # of the target pace, to either side
_LEAST_READ = 0.6  # of a text, to be judged as read
_LEAST_SPOKEN = 0.75  # of the time a drill needs at least
_Z = 1.96


def measured(task: Task, spoken: Spoken) -> dict[str, Measure]:
    """What the task asks for: name -> measure, with `value` None where `why_missing` says so."""
    found = {"pauses_400_ms_per_min": _waited(spoken)}
    if task.pace_wpm is not None:
        found["pace_in_band_share"] = _in_band(task.pace_wpm, spoken)
    if task.model is not None:
        found |= _shadowed(task, task.model, spoken)
    elif task.text:
        found |= _read(task, reading(task.text), spoken)
    return found


def verdict(limits: Sequence[Limit], found: Mapping[str, Measure], task: Task, spoken: Spoken) -> Verdict:
    """What the measures come to. found: those of the report and those of `measured`."""
    conditions = tuple(_condition(limit, found[limit.measure]) for limit in limits)
    spoken_s = seconds(spoken.span.end - spoken.span.start) if spoken.span is not None else 0.0
    missing = None
    if spoken_s < _LEAST_SPOKEN * task.least_s:
        missing = f"needs {math.ceil(task.least_s - spoken_s)} s more speech"
    else:
        missing = next((found[one.measure].why_missing for one in conditions if one.met is None), None)
    if missing is not None:
        return Verdict(None, missing, conditions)
    return Verdict(all(one.met for one in conditions), None, conditions)


def _condition(limit: Limit, found: Measure) -> Condition:
    inside = _inside(limit, found.value)
    ends = (found.low, found.high)
    sure = inside is not None and None not in ends and all(_inside(limit, end) == inside for end in ends)
    if sure and inside is False and limit.low is not None and limit.high is not None:
        sure = bool((found.high or 0.0) < limit.low or (found.low or 0.0) > limit.high)
    return Condition(limit.measure, found.value, found.unit, found.low, found.high, limit.low, limit.high, inside, sure)


def _inside(limit: Limit, value: float | None) -> bool | None:
    if value is None:
        return None
    return (limit.low is None or value >= limit.low) and (limit.high is None or value <= limit.high)


# intervals of what is counted


def share(hits: int, of: int, over_s: float) -> Measure:
    """A share with its Wilson interval."""
    if not of:
        return Measure(None, "ratio", None, None, over_s, "nothing of it was heard")
    p, z = hits / of, _Z
    middle, half = p + z * z / (2 * of), z * math.sqrt(p * (1 - p) / of + z * z / (4 * of * of))
    scale = 1 + z * z / of
    return Measure(p, "ratio", max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale), over_s)


def _rate(events: int, per: float, unit: str, over_s: float) -> Measure:
    """Events over an exposure, with Byar's approximation of the Poisson interval."""
    if per <= 0.0:
        return Measure(None, unit, None, None, over_s, "too little speech to measure it on")
    low = events * (1 - 1 / (9 * events) - _Z / (3 * math.sqrt(events))) ** 3 if events else 0.0
    more = events + 1
    high = more * (1 - 1 / (9 * more) + _Z / (3 * math.sqrt(more))) ** 3
    return Measure(events / per, unit, max(0.0, low) / per, high / per, over_s)


# free talk


def _waited(spoken: Spoken) -> Measure:
    over_s = part(spoken, spoken.span).over_s if spoken.span is not None else 0.0
    return _rate(len(at_least(spoken.pauses, WAITED_S)), over_s / 60.0, "1/min", over_s)


def _in_band(target_wpm: float, spoken: Spoken) -> Measure:
    # Windows overlap by half: the interval counts those that fit side by side.
    span = spoken.span
    over_s = part(spoken, span).over_s if span is not None else 0.0
    rates = []
    if span is not None:
        starts = range(span.start, span.end - _WINDOW + 1, _HOP)
        rates = [rate for start in starts if (rate := rate_wpm(spoken, Span(start, start + _WINDOW))) is not None]
    if not rates:
        return Measure(None, "ratio", None, None, over_s, "needs at least 10 s of speech")
    inside = sum(abs(rate / target_wpm - 1.0) <= _BAND for rate in rates) / len(rates)
    apart = max(1, int(over_s // (_WINDOW / RATE_HZ)))
    around = share(round(inside * apart), apart, over_s)
    return Measure(inside, "ratio", min(inside, around.low or 0.0), max(inside, around.high or 1.0), over_s)


# texts


def _read(task: Task, text: Reading, spoken: Spoken) -> dict[str, Measure]:
    words = [word for word in spoken.words if word.kind == "word"]
    places = aligned([word.text for word in words], text.words)
    over_s = part(spoken, spoken.span).over_s if spoken.span is not None else 0.0
    right = {place for word, place in zip(words, places, strict=True) if place is not None and plain(word.text) == plain(text.words[place])}
    reached = max(right, default=-1) + 1
    found: dict[str, Measure] = {"words_read_share": share(len(right), len(text.words), over_s)}
    if text.breaths:
        found |= _breathed(text, words, places, reached, spoken, over_s)
    if task.accepted is not None:
        found["targets_understood_share"] = _understood(task.accepted, text, words, places, over_s)
    elif text.marked:
        found["emphasis_hit_share"] = _stood_out(text, words, places, spoken, over_s)
    if not right or len(right) < _LEAST_READ * reached:
        why = "the text was not read"
        found |= {name: Measure(None, one.unit, None, None, over_s, why) for name, one in found.items() if name != "words_read_share"}
    return found


def _breathed(
    text: Reading, words: Sequence[Word], places: Sequence[int | None], reached: int, spoken: Spoken, over_s: float
) -> dict[str, Measure]:
    here = [(word, place) for word, place in zip(words, places, strict=True) if place is not None]
    middles = [(word.start + word.end) // 2 for word, _ in here]
    taken, beside = set[int](), 0
    for pause in at_least(spoken.pauses, BESIDE_S):
        after = bisect_left(middles, (pause.start + pause.end) // 2)
        if not 0 < after < len(here):
            continue
        between = range(here[after - 1][1], here[after][1])
        at = [place for place in between if place in text.breaths]
        if not at:
            beside += 1
        elif seconds(pause.end - pause.start) >= BREATH_S:
            taken.update(at)
    passed = [place for place in text.breaths if place < reached - 1]
    return {
        "marks_paused_share": share(len(taken & set(passed)), len(passed), over_s),
        "pauses_off_marks_per_100_words": _rate(beside, len(here) / 100.0, "1/100 words", over_s),
    }


def _understood(
    accepted: Mapping[str, tuple[str, ...]], text: Reading, words: Sequence[Word], places: Sequence[int | None], over_s: float
) -> Measure:
    heard = {place: plain(word.text) for word, place in zip(words, places, strict=True) if place is not None}
    targets = [place for place in text.marked if any(near in heard for near in (place - 1, place, place + 1))]
    hits = 0
    for place in targets:
        word = plain(text.words[place])
        hits += heard.get(place) in (word, *accepted.get(word, ()))
    return share(hits, len(targets), over_s)


def _stood_out(text: Reading, words: Sequence[Word], places: Sequence[int | None], spoken: Spoken, over_s: float) -> Measure:
    at = {place: word for word, place in zip(words, places, strict=True) if place is not None}
    hits = of = 0
    for marked in text.marked:
        within = [place for place, sentence in enumerate(text.sentences) if sentence == text.sentences[marked] and place in at]
        if marked not in at or len(within) < 3:
            continue
        given = prominence([at[place] for place in within], spoken.frames)
        rated = {place: z for place, z in zip(within, given, strict=True) if z is not None}
        of += 1
        hits += marked in rated and rated[marked] == max(rated.values())
    return share(hits, of, over_s)


# a phrase


def _shadowed(task: Task, model: Contour, spoken: Spoken) -> dict[str, Measure]:
    over_s = part(spoken, spoken.span).over_s if spoken.span is not None else 0.0
    wanted = Counter(plain(word) for word in reading(task.text).words)
    said = Counter(plain(word.text) for word in spoken.words if word.kind == "word")
    read = share(sum((wanted & said).values()), wanted.total(), over_s)
    match = best(model, spoken.frames, spoken.span) if spoken.span is not None else None
    why = None
    if read.value is None or read.value < _LEAST_READ:
        why = "the phrase was not heard"
    elif match is None:
        why = "too little voice to compare"
    known = match if why is None else None
    lag = lag_s(known, task.plays) if known is not None else None

    def one(unit: str, of: Callable[[], float | None], reason: str | None = None) -> Measure:
        value = of() if known is not None else None
        return Measure(value, unit, None, None, over_s, None if value is not None else why or reason)

    return {
        "words_read_share": read,
        "shadow_similarity": one("ratio", lambda: known.similarity if known else None),
        "shadow_length_ratio": one("ratio", lambda: known.length_ratio if known else None),
        "shadow_lag_s": one("s", lambda: lag, "the phrase was not played during the attempt"),
    }


NAMES = (
    "pauses_400_ms_per_min",
    "pace_in_band_share",
    "words_read_share",
    "marks_paused_share",
    "pauses_off_marks_per_100_words",
    "targets_understood_share",
    "emphasis_hit_share",
    "shadow_similarity",
    "shadow_length_ratio",
    "shadow_lag_s",
)
