"""What a report says of a recording, in words and printed numbers: the page and the PDF print the same."""

import re
import tomllib
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from batch.captions import clock, paragraphs
from batch.document import ChangesEntry, DimensionEntry, Document, HighlightEntry, MeasureEntry, MomentEntry, RatingEntry, ScoreEntry, plain
from speech.analysis import Analysis, LanguageIssue, Pause
from speech.audio import RATE_HZ, seconds
from speech.words import Word

MEASURES = Path(__file__).parent / "page" / "measures.toml"
SHORTEST_PAUSE_S = 0.25  # what the measures count as a pause
MARKED_PAUSE_S = 0.5  # shown between the words of the transcript
DRAWN = 150  # points of a course over the recording; beyond that neighbouring stretches are averaged
LISTED = 300  # occurrences listed of one kind; the rest is in analysis.json
SURE_LANGUAGE = 0.8  # probability below which the language is called unsure
FRACTION = "ratio"  # a unit that is not printed
UNIT_NAMES = {"st": "semitones", "1/min": "a minute", "1/100 words": "per 100 words", "1/100 syllables": "per 100 syllables"}
LANGUAGE_NAMES = {
    "en": "English", "de": "German", "fr": "French", "es": "Spanish", "it": "Italian", "pt": "Portuguese", "nl": "Dutch",
    "sv": "Swedish", "da": "Danish", "no": "Norwegian", "fi": "Finnish", "pl": "Polish", "cs": "Czech", "ru": "Russian",
    "uk": "Ukrainian", "tr": "Turkish", "el": "Greek", "he": "Hebrew", "ar": "Arabic", "hi": "Hindi", "zh": "Chinese",
    "ja": "Japanese", "ko": "Korean", "hu": "Hungarian", "ro": "Romanian", "vi": "Vietnamese", "id": "Indonesian",
}  # fmt: skip
CATEGORY_NAMES = {
    "grammar": "Grammar",
    "style": "Style",
    "hedge": "Hedges",
    "weak_word": "Weak words",
    "passive": "Passive voice",
    "long_sentence": "Long sentences",
}
DISFLUENCY_NAMES = {"repetition": "Repetitions", "false_start": "False starts", "lengthening": "Drawn-out sounds"}
FILLER_NAMES = {"filled_pause": "Filled pauses", "discourse_marker": "Discourse markers"}
PLACE_NAMES = {"within_clause": "inside a clause", "between_clauses": "between clauses", "unknown": ""}
DEFINITIONS = (
    "Pauses are silent stretches of at least 250 ms between words; audio that was lost is never one. Pitch is the fundamental "
    "frequency of the voice, told in semitones around the speaker’s own median, so that high and low voices compare. Fillers are "
    "counted where they are no part of the sentence. A 95 % interval says how far a number could have come out differently in "
    "another stretch of the same talk; short recordings have wide ones. A score is a weighted mean of measures, each seen through "
    "a curve of the rubric; where too little was said to tell, there is none, and what it needs is said instead. Every formula, "
    "with its source and the test that pins it, is in docs/metrics.md; the rubrics are in config/rubric."
)
RATED_BY = (
    "Checked against experts for English sentences read aloud by speakers of Mandarin, and for nothing else. For other speech, a hint."
)
CLINICAL = "Not for clinical use. A practice tool, not for hiring or grading."


@dataclass(frozen=True, slots=True)
class Shown:
    """A measure as the page prints it."""

    label: str
    group: str
    key: bool
    value: str | None
    unit: str
    interval: str | None
    over: str
    why_missing: str | None
    says: str


@dataclass(frozen=True, slots=True)
class Token:
    """One word of the transcript, or a pause between two (then `pause` is set)."""

    text: str
    classes: str
    hint: str
    bridge: str  # classes of the space before it, where both neighbours share them
    pause: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the recording that can be played."""

    start_ms: int
    end_ms: int
    label: str
    clock: str


@dataclass(frozen=True, slots=True)
class Places:
    """Places that belong together: every "um", every pause of a kind."""

    title: str
    places: tuple[Place, ...]
    count: int


@dataclass(frozen=True, slots=True)
class Course:
    """One quantity over the whole recording, as lines in a box of 1000 by 100."""

    label: str
    unit: str
    lines: tuple[str, ...]
    dots: tuple[tuple[float, float], ...]
    low: str
    high: str
    summary: str


@dataclass(frozen=True, slots=True)
class Part:
    """What a score is made of."""

    label: str  # of the measure
    value: str  # with its unit
    score: str


@dataclass(frozen=True, slots=True)
class ShownScore:
    """A score as it is printed and drawn; without a value the reason why."""

    title: str
    value: float | None
    low: float | None
    high: float | None
    printed: str | None
    interval: str | None
    refusal: str | None
    made_of: tuple[Part, ...] = ()
    before: float | None = None
    change: str | None = None  # in words
    changed: bool = False
    places: tuple[Place, ...] = ()  # where it can be heard


@dataclass(frozen=True, slots=True)
class ShownMoment:
    """A moment worth hearing again."""

    place: Place
    best: bool
    title: str  # of its dimension
    why: str
    text: str


@dataclass(frozen=True, slots=True)
class ShownDrill:
    """An exercise that fits."""

    drill: str
    title: str
    dimension: str
    why: str


@dataclass(frozen=True, slots=True)
class ShownHighlight:
    """What went well, or what to work on."""

    title: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Story:
    """All that is said, in the order in which it is read."""

    title: str
    facts: tuple[str, ...]
    warnings: tuple[str, ...]
    well: ShownHighlight | None
    work_on: ShownHighlight | None
    needs: str | None  # why neither can be said
    phrased: str | None  # the same in a model's words
    rubric: str | None
    overall: ShownScore | None
    scores: tuple[ShownScore, ...]
    ratings: tuple[ShownScore, ...]
    compared: str | None  # with what the changes are
    not_compared: str | None  # why not, or not more
    settled: bool  # whether it is known how far the person's scores differ anyway
    moments: tuple[ShownMoment, ...]
    drills: tuple[ShownDrill, ...]
    keys: tuple[Shown, ...]
    groups: tuple[tuple[str, list[Shown]], ...]
    paragraphs: tuple[tuple[str, int, list[Token]], ...]  # clock, index of the first word, and the words
    fillers: tuple[tuple[str, list[Places]], ...]
    pauses: Places
    disfluencies: tuple[Places, ...]
    issues: tuple[tuple[str, int, list[tuple[Place, str, tuple[str, ...]]]], ...]
    courses: tuple[Course, ...]
    duration: str
    language: str


def story(analysis: Analysis, shape: Document) -> Story:
    """What is said of a recording. shape: the same analysis in seconds, with its scores and its coaching where it has any."""
    measures = {name: _shown(name, measure) for name, measure in shape.measures.items()}
    keys = sorted((one for one in measures.values() if one.key), key=lambda one: _key_order(one.label)) or list(measures.values())[:6]
    given, coached = shape.scores, shape.coaching
    titles = {} if given is None else {one.dimension: plain(one.title) for one in given.scores}
    changes = None if coached is None else coached.change
    said = None if coached is None else coached.highlights
    spoken = sum(1 for word in shape.words if word.kind == "word")
    language = LANGUAGE_NAMES.get(shape.language, shape.language)
    channels = {1: "mono", 2: "stereo"}.get(shape.audio.channels, f"{shape.audio.channels} channels")
    duration = clock(shape.audio.duration_s)
    return Story(
        title=shape.audio.name,
        facts=(
            duration,
            f"{spoken} word{'' if spoken == 1 else 's'}",
            language if shape.language_probability >= SURE_LANGUAGE else f"{language} (unsure)",
            f"{_codec(shape.audio.codec)}, {shape.audio.rate_hz / 1000:g} kHz, {channels}",
        ),
        warnings=shape.audio.warnings,
        well=None if said is None else _highlight(said.well, titles),
        work_on=None if said is None else _highlight(said.work_on, titles),
        needs=None if said is None or said.needs is None else plain(said.needs),
        phrased=None if said is None or said.phrased is None else f"{plain(said.phrased.text)} (worded by {plain(said.phrased.model)})",
        rubric=None if given is None else f"{plain(given.rubric.title)}, version {given.rubric.version}",
        overall=None if given is None else _changed(_score("Overall", given.overall), "overall", changes),
        scores=() if given is None else tuple(_dimension(one, measures, changes) for one in given.scores),
        ratings=() if given is None else tuple(_rating(one) for one in given.ratings),
        compared=_compared(changes),
        not_compared=None if changes is None or changes.refusal is None else plain(changes.refusal),
        settled=changes is not None and changes.baseline is not None,
        moments=() if coached is None else _best_first(coached.moments, titles),
        drills=()
        if coached is None
        else tuple(
            ShownDrill(one.drill, plain(one.title), titles.get(one.dimension, _readable(one.dimension)), plain(one.why))
            for one in coached.drills
        ),
        keys=tuple(keys),
        groups=tuple(_grouped(measures.values())),
        paragraphs=tuple(_transcript(analysis)),
        fillers=tuple(_fillers(analysis)),
        pauses=_pauses(analysis),
        disfluencies=tuple(_disfluencies(analysis)),
        issues=tuple(_issues(analysis.language_issues)),
        courses=tuple(_courses(shape)),
        duration=duration,
        language=language,
    )


# The scores and what is made of them


def _points(value: float) -> str:
    return f"{value:.0f}".replace("-0", "0").replace("-", "−")


def _score(title: str, given: ScoreEntry) -> ShownScore:
    if given.value is None or given.low is None or given.high is None:
        return ShownScore(title, None, None, None, None, None, plain(given.refusal or "it could not be given").rstrip(".") + ".")
    interval = f"{_points(given.low)} to {_points(given.high)}"
    return ShownScore(title, given.value, given.low, given.high, _points(given.value), interval, None)


def _dimension(given: DimensionEntry, measures: Mapping[str, Shown], changes: ChangesEntry | None) -> ShownScore:
    found = _score(plain(given.title), given)
    parts = tuple(
        Part(shown.label, f"{shown.value} {shown.unit}".strip(), _points(share.score))
        for share in given.made_of
        if (shown := measures.get(share.name)) is not None and shown.value is not None
    )
    places = tuple(_place(round(one.start_s * RATE_HZ), round(one.end_s * RATE_HZ), found.title) for one in given.evidence)
    return _changed(replace(found, made_of=parts, places=places), given.dimension, changes)


def _changed(found: ShownScore, dimension: str, changes: ChangesEntry | None) -> ShownScore:
    for change in changes.dimensions if changes is not None and found.value is not None else ():
        if change.dimension == dimension:
            sign = "+" if change.difference >= 0.5 else ""
            words = f"{sign}{_points(change.difference)} ({_points(change.low)} to {_points(change.high)})"
            return replace(found, before=change.before, change=words, changed=change.changed)
    return found


def _rating(given: RatingEntry) -> ShownScore:
    """On its own scale; drawn as the others are, from 0 to 100."""
    title = f"Rated {given.what}"
    if given.value is None or given.low is None or given.high is None:
        return ShownScore(title, None, None, None, None, None, plain(given.refusal or "it could not be given").rstrip(".") + ".")
    lowest, highest = given.scale
    value, low, high = (100 * (one - lowest) / (highest - lowest) for one in (given.value, given.low, given.high))
    return ShownScore(title, value, low, high, f"{given.value:.1f} of {highest:g}", f"{given.low:.1f} to {given.high:.1f}", None)


def _compared(changes: ChangesEntry | None) -> str | None:
    if changes is None or not changes.dimensions:
        return None
    return "on average in your earlier sessions of this style" if changes.baseline else "in your last session of this style"


def _highlight(given: HighlightEntry | None, titles: Mapping[str, str]) -> ShownHighlight | None:
    return None if given is None else ShownHighlight(titles.get(given.dimension or "", ""), plain(given.sentence))


def _best_first(given: Sequence[MomentEntry], titles: Mapping[str, str]) -> tuple[ShownMoment, ...]:
    shown = [
        ShownMoment(
            _place(round(one.start_s * RATE_HZ), round(one.end_s * RATE_HZ), plain(one.text)),
            one.kind == "best",
            titles.get(one.dimension, _readable(one.dimension)),
            plain(one.why),
            plain(one.text),
        )
        for one in given
    ]
    return tuple(sorted(shown, key=lambda one: not one.best))


@cache
def _names() -> dict[str, dict[str, Any]]:
    return tomllib.loads(MEASURES.read_text(encoding="utf-8"))


def _key_order(label: str) -> int:
    return [entry["label"] for entry in _names().values()].index(label)


def milliseconds(samples: int) -> int:
    """Where a sample is, as the page counts."""
    return round(samples * 1000 / RATE_HZ)


def _silent(analysis: Analysis, shortest_s: float) -> list[Pause]:
    return [pause for pause in analysis.pauses if pause.kind == "silent" and seconds(pause.end - pause.start) >= shortest_s]


# The measures


def _shown(name: str, measure: MeasureEntry) -> Shown:
    entry = _names().get(name, {})
    percent = bool(entry.get("percent")) and measure.unit == FRACTION
    digits = entry.get("digits")

    def printed(value: float) -> str:
        value = value * 100 if percent else value
        places = digits if digits is not None else 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
        return f"{value:.{places}f}".replace("-", "−")

    low, high = measure.low, measure.high
    return Shown(
        label=entry.get("label") or _readable(name),
        group=entry.get("group", "Other"),
        key=bool(entry.get("key")),
        value=None if measure.value is None else printed(measure.value),
        unit="%" if percent else "" if measure.unit == FRACTION else UNIT_NAMES.get(measure.unit, measure.unit),
        interval=None if low is None or high is None else f"{printed(low)} to {printed(high)}",
        over=f"{measure.over_s:.0f} s" if measure.over_s < 600 else f"{measure.over_s / 60:.0f} min",
        why_missing=measure.why_missing,
        says=entry.get("says", "Defined in docs/metrics.md."),
    )


def _codec(codec: str) -> str:
    return "PCM" if codec.startswith("pcm_") else {"opus": "Opus", "vorbis": "Vorbis"}.get(codec, codec.upper())


def _readable(name: str) -> str:
    words = re.sub(r"_(hz|st|db|dbfs|lufs|s|wpm)$", "", name).split("_")
    return " ".join(words).capitalize()


def _grouped(measures: Iterable[Shown]) -> list[tuple[str, list[Shown]]]:
    order = ["Tempo", "Pauses", "Fluency", "Wording", "Pitch", "Loudness", "Voice", "Recording", "Other"]
    groups: dict[str, list[Shown]] = defaultdict(list)
    for measure in measures:
        groups[measure.group].append(measure)
    return [(group, groups[group]) for group in order if group in groups]


# The transcript


def _transcript(analysis: Analysis) -> list[tuple[str, int, list[Token]]]:
    """Paragraphs: clock, index of the first word, and the words with the longer pauses between them."""
    words = analysis.transcript.words
    marks = _marks(words, analysis)
    pauses = sorted((p.start, p.end, p.place) for p in _silent(analysis, MARKED_PAUSE_S))
    starts = [start for start, _, _ in pauses]
    found: list[tuple[str, int, list[Token]]] = []
    index = 0
    for paragraph in paragraphs(words):
        first = index
        tokens: list[Token] = []
        for position, word in enumerate(paragraph):
            if position:
                # A pause belongs between two words when its middle does: its edges may cut into either.
                before = paragraph[position - 1]
                for at in range(bisect_left(starts, before.start), bisect_right(starts, word.end)):
                    start, end, place = pauses[at]
                    if (before.start + before.end) < start + end < (word.start + word.end):
                        where = f", {PLACE_NAMES[place]}" if PLACE_NAMES[place] else ""
                        tokens.append(Token(f"{seconds(end - start):.1f} s", "", f"pause{where}", "", pause=True))
            classes, hint = marks[index]
            shared = set(classes.split()) & set(tokens[-1].classes.split()) & {"disfluency", "issue"} if tokens else ()
            tokens.append(Token(plain(word.text), classes, hint, " ".join(sorted(shared))))
            index += 1
        found.append((clock(seconds(paragraph[0].start)), first, tokens))
    return found


def _marks(words: Sequence[Word], analysis: Analysis) -> list[tuple[str, str]]:
    """For each word its classes and what to say about it."""
    classes: list[list[str]] = [[] if word.kind == "word" else [word.kind] for word in words]
    hints: list[list[str]] = [[] if word.kind == "word" else [word.kind] for word in words]
    ends = [word.end for word in words]

    def mark(start: int, end: int, name: str, hint: str) -> None:
        for index in range(bisect_right(ends, start), len(words)):
            word = words[index]
            if word.start >= end:
                break
            shared = min(word.end, end) - max(word.start, start)
            if 2 * shared >= word.end - word.start:
                if name not in classes[index]:
                    classes[index].append(name)
                if hint not in hints[index]:
                    hints[index].append(hint)

    for filler in analysis.fillers:
        mark(filler.start, filler.end, "filler", FILLER_NAMES[filler.kind][:-1].lower())
    for disfluency in analysis.disfluencies:
        mark(disfluency.start, disfluency.end, "disfluency", DISFLUENCY_NAMES[disfluency.kind][:-1].lower())
    for issue in analysis.language_issues:
        # A long sentence would underline everything; it is listed beside the transcript.
        if issue.category != "long_sentence":
            mark(issue.start, issue.end, "issue", plain(issue.reason))
    return [(" ".join(names), "; ".join(says)) for names, says in zip(classes, hints, strict=True)]


# Places to hear


def _place(start: int, end: int, label: str) -> Place:
    return Place(milliseconds(start), milliseconds(end), label, clock(seconds(start)))


def _places(title: str, places: Sequence[Place]) -> Places:
    return Places(title, tuple(places[:LISTED]), len(places))


def _fillers(analysis: Analysis) -> list[tuple[str, list[Places]]]:
    """By kind, then by what was said, the most frequent first."""
    kinds: dict[str, dict[str, list[Place]]] = defaultdict(lambda: defaultdict(list))
    for filler in analysis.fillers:
        said = plain(filler.text).strip(".,!?;:…").lower() or "(unclear)"
        kinds[filler.kind][said].append(_place(filler.start, filler.end, said))
    return [
        (name, [_places(said, found) for said, found in sorted(kinds[kind].items(), key=lambda item: (-len(item[1]), item[0]))])
        for kind, name in FILLER_NAMES.items()
        if kind in kinds
    ]


def _pauses(analysis: Analysis) -> Places:
    """Silent pauses that the measures count, the longest first."""
    counted = sorted(_silent(analysis, SHORTEST_PAUSE_S), key=lambda p: (p.start - p.end, p.start))
    return _places("Pauses", [_place(p.start, p.end, f"{seconds(p.end - p.start):.2f} s") for p in counted])


def _disfluencies(analysis: Analysis) -> list[Places]:
    kinds: dict[str, list[Place]] = defaultdict(list)
    for found in analysis.disfluencies:
        kinds[found.kind].append(_place(found.start, found.end, plain(found.text)))
    return [_places(name, kinds[kind]) for kind, name in DISFLUENCY_NAMES.items() if kind in kinds]


def _issues(issues: Sequence[LanguageIssue]) -> list[tuple[str, int, list[tuple[Place, str, tuple[str, ...]]]]]:
    """By category: title, how many, and each with its reason and suggestions."""
    kinds: dict[str, list[tuple[Place, str, tuple[str, ...]]]] = defaultdict(list)
    for issue in issues:
        place = _place(issue.start, issue.end, plain(issue.text))
        kinds[issue.category].append((place, plain(issue.reason), tuple(plain(suggestion) for suggestion in issue.suggestions)))
    return [(name, len(kinds[kind]), kinds[kind][:LISTED]) for kind, name in CATEGORY_NAMES.items() if kind in kinds]


# The course over the recording


def _courses(shape: Document) -> list[Course]:
    """Pace, pausing, pitch span and level over the whole recording, where at least two stretches have a value."""
    each = -(-len(shape.stretches) // DRAWN) or 1
    groups = [range(first, min(first + each, len(shape.stretches))) for first in range(0, len(shape.stretches), each)]
    middles_s = [(shape.stretches[group[0]].start_s + shape.stretches[group[-1]].end_s) / 2 for group in groups]
    wanted: list[tuple[str, str, list[float | None]]] = [
        ("Pace", "words/min", [s.rate_wpm for s in shape.stretches]),
        ("Pausing", "%", [None if s.pause_share is None else 100 * s.pause_share for s in shape.stretches]),
        ("Pitch span", "semitones", [s.f0_span_st for s in shape.stretches]),
        ("Level", "dBFS", [s.level_dbfs for s in shape.stretches]),
    ]
    courses: list[Course] = []
    for label, unit, every in wanted:
        values = [_mean([every[index] for index in group]) for group in groups]
        present = [value for value in values if value is not None]
        if len(present) < 2:
            continue
        low, high = min(present), max(present)
        middle, half = (low + high) / 2, max((high - low) / 2, 0.05 * abs(high), 0.5)
        lines: list[list[tuple[float, float]]] = [[]]
        for middle_s, value in zip(middles_s, values, strict=True):
            if value is None:
                lines.append([])
                continue
            across = 1000 * middle_s / max(shape.audio.duration_s, 1e-3)
            lines[-1].append((round(across, 1), round(50 - 42 * (value - middle) / half, 1)))
        courses.append(
            Course(
                label=label,
                unit=unit,
                lines=tuple(" ".join(f"{x},{y}" for x, y in line) for line in lines if len(line) > 1),
                dots=tuple(line[0] for line in lines if len(line) == 1),
                low=f"{low:.0f}".replace("-", "−"),
                high=f"{high:.0f}".replace("-", "−"),
                summary=f"{label} over the recording, from {low:.0f} to {high:.0f} {unit}",
            )
        )
    return courses


def _mean(values: Sequence[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return sum(present) / len(present) if present else None
