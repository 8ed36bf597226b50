"""`index.html`: one page that shows and plays an analysis, with its styles, script, fonts and sound inside."""

import base64
import hashlib
import json
import re
import tomllib
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from batch.captions import clock, gap, paragraphs
from batch.document import Document, MeasureEntry, plain
from speech.analysis import Analysis, LanguageIssue, Pause
from speech.audio import RATE_HZ, Floats, State, seconds
from speech.words import Word

FOLDER = Path(__file__).parent / "page"
LONG_S = 3600  # beyond this the drawing is made of 40 ms steps instead of 20 ms: 270 kB instead of 540 kB for three hours
SHORTEST_PAUSE_S = 0.25  # what the measures count as a pause
MARKED_PAUSE_S = 0.5  # shown between the words of the transcript
DRAWN = 150  # points of a course over the recording; beyond that neighbouring stretches are averaged
LISTED = 300  # occurrences listed of one kind; the rest is in analysis.json
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
class Moment:
    """A place in the recording that can be played."""

    start_ms: int
    end_ms: int
    label: str
    clock: str


@dataclass(frozen=True, slots=True)
class Moments:
    """Places that belong together: every "um", every pause of a kind."""

    title: str
    moments: tuple[Moment, ...]
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


def render(analysis: Analysis, shape: Document, pcm: Floats, sound: bytes | str, *, served: bool = False) -> str:
    """The page as HTML. shape: the same analysis in seconds. sound: MP3 to carry inside, or where it lies, relative to the page.

    served: the page is opened at /sessions/{id}/report of the server, so it takes sound from nowhere else, and leads back to the list.
    """
    script = (FOLDER / "page.js").read_text(encoding="utf-8")
    style = Markup("").join(Markup((FOLDER / name).read_text(encoding="utf-8")) for name in ("base.css", "page.css")) + _fonts()
    sources = "data: blob:" if isinstance(sound, bytes) else "'self'" if served else "'self' file:"
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_digest(script)}'",
            f"style-src '{_digest(style)}'",
            "font-src data:",
            "img-src data:",
            f"media-src {sources}",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    measures = [_shown(name, measure) for name, measure in shape.measures.items()]
    keys = sorted((m for m in measures if m.key), key=lambda m: _key_order(m.label)) or measures[:6]
    return _template().render(
        policy=policy,
        style=style,
        script=Markup(script),
        figures=_figures(analysis, pcm),
        sound="data:audio/mpeg;base64," + base64.b64encode(sound).decode() if isinstance(sound, bytes) else sound,
        served=served,
        shape=shape,
        language=LANGUAGE_NAMES.get(shape.language, shape.language),
        codec=_codec(shape.audio.codec),
        duration=clock(shape.audio.duration_s),
        spoken=sum(1 for word in shape.words if word.kind == "word"),
        keys=keys,
        groups=_grouped(measures),
        space=gap(shape.language),
        paragraphs=_transcript(analysis),
        fillers=_fillers(analysis),
        pauses=_pauses(analysis),
        disfluencies=_disfluencies(analysis),
        issues=_issues(analysis.language_issues),
        courses=_courses(shape),
        clock=clock,
    )


@cache
def _template() -> jinja2.Template:
    loader = jinja2.FileSystemLoader(FOLDER)
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    return environment.get_template("index.html")


@cache
def _names() -> dict[str, dict[str, Any]]:
    return tomllib.loads((FOLDER / "measures.toml").read_text(encoding="utf-8"))


def _key_order(label: str) -> int:
    return [entry["label"] for entry in _names().values()].index(label)


@cache
def _fonts() -> Markup:
    faces = (("Inter", "inter.woff2", "100 900"), ("Source Serif", "source-serif.woff2", "200 900"))
    return Markup("").join(
        Markup(
            f"@font-face{{font-family:'{family}';font-weight:{weights};font-display:block;"
            f"src:url(data:font/woff2;base64,{base64.b64encode((FOLDER / file).read_bytes()).decode()}) format('woff2')}}\n"
        )
        for family, file, weights in faces
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _ms(samples: int) -> int:
    return round(samples * 1000 / RATE_HZ)


def _silent(analysis: Analysis, shortest_s: float) -> list[Pause]:
    return [pause for pause in analysis.pauses if pause.kind == "silent" and seconds(pause.end - pause.start) >= shortest_s]


# The drawing


def _figures(analysis: Analysis, pcm: Floats) -> Markup:
    """What the script draws from, as JSON that is safe inside a script element."""
    frames = analysis.frames
    hops = 2 if seconds(analysis.audio.samples) <= LONG_S else 4
    median_hz, pitch = _pitch(frames.f0_hz, hops)
    lost = _runs(frames.state == State.LOST)
    figures = {
        "duration_ms": _ms(analysis.audio.samples),
        "step_ms": hops * frames.hop * 1000 / RATE_HZ,
        "offset_ms": _ms(frames.start),
        "peaks": _packed(_peaks(pcm, hops * frames.hop)),
        "pitch": _packed(pitch),
        "median_hz": median_hz,
        "words": [[_ms(word.start), _ms(word.end)] for word in analysis.transcript.words],
        "pauses": [
            [_ms(p.start), _ms(p.end)] for p in analysis.pauses if p.kind == "silent" and seconds(p.end - p.start) >= SHORTEST_PAUSE_S
        ],
        "fillers": [[_ms(f.start), _ms(f.end), plain(f.text)] for f in analysis.fillers],
        "disfluencies": [[_ms(d.start), _ms(d.end)] for d in analysis.disfluencies],
        "lost": [[_ms(frames.start + first * frames.hop), _ms(frames.start + last * frames.hop)] for first, last in lost],
        "pace": [[_ms(s.start), _ms(s.end), None if s.rate_wpm is None else round(s.rate_wpm, 1)] for s in analysis.stretches],
    }
    text = json.dumps(figures, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _packed(values: NDArray[np.uint8]) -> str:
    return base64.b64encode(values.tobytes()).decode()


def _peaks(pcm: Floats, step: int) -> NDArray[np.uint8]:
    """Largest excursion per step, 255 at (nearly) the loudest one. Views only: three hours of sound are not copied."""
    whole = pcm.size // step * step
    parts = [part for part in (pcm[:whole].reshape(-1, step), pcm[whole:].reshape(1, -1)) if part.size]
    if not parts:
        return np.zeros(0, np.uint8)
    peak = np.nan_to_num(np.concatenate([np.maximum(part.max(axis=1), -part.min(axis=1)) for part in parts]))
    full = max(float(np.percentile(peak, 99.8)), 1e-4)
    return np.asarray(np.clip(np.rint(peak / full * 255), 0, 255), dtype=np.uint8)


def _pitch(f0_hz: Floats, hops: int) -> tuple[float | None, NDArray[np.uint8]]:
    """Median in Hz, and per step 0 where unvoiced, else 128 + 5 for each semitone above the median."""
    steps = -(-f0_hz.size // hops)
    voiced = np.isfinite(f0_hz) & (f0_hz > 0)
    if not voiced.any():
        return None, np.zeros(steps, np.uint8)
    median_hz = float(np.median(f0_hz[voiced]))
    semitones = np.zeros(steps * hops)
    semitones[: f0_hz.size][voiced] = 12 * np.log2(f0_hz[voiced] / median_hz)
    counted = np.zeros(steps * hops)
    counted[: f0_hz.size] = voiced
    count = counted.reshape(-1, hops).sum(axis=1)
    mean = semitones.reshape(-1, hops).sum(axis=1) / np.maximum(count, 1)
    coded = np.clip(np.rint(128 + 5 * mean), 1, 255)
    return round(median_hz, 1), np.where(count > 0, coded, 0).astype(np.uint8)


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(np.int8), [0]))))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]


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


# The moments


def _moment(start: int, end: int, label: str) -> Moment:
    return Moment(_ms(start), _ms(end), label, clock(seconds(start)))


def _moments(title: str, moments: Sequence[Moment]) -> Moments:
    return Moments(title, tuple(moments[:LISTED]), len(moments))


def _fillers(analysis: Analysis) -> list[tuple[str, list[Moments]]]:
    """By kind, then by what was said, the most frequent first."""
    kinds: dict[str, dict[str, list[Moment]]] = defaultdict(lambda: defaultdict(list))
    for filler in analysis.fillers:
        said = plain(filler.text).strip(".,!?;:…").lower() or "(unclear)"
        kinds[filler.kind][said].append(_moment(filler.start, filler.end, said))
    return [
        (name, [_moments(said, found) for said, found in sorted(kinds[kind].items(), key=lambda item: (-len(item[1]), item[0]))])
        for kind, name in FILLER_NAMES.items()
        if kind in kinds
    ]


def _pauses(analysis: Analysis) -> Moments:
    """Silent pauses that the measures count, the longest first."""
    counted = sorted(_silent(analysis, SHORTEST_PAUSE_S), key=lambda p: (p.start - p.end, p.start))
    return _moments("Pauses", [_moment(p.start, p.end, f"{seconds(p.end - p.start):.2f} s") for p in counted])


def _disfluencies(analysis: Analysis) -> list[Moments]:
    kinds: dict[str, list[Moment]] = defaultdict(list)
    for found in analysis.disfluencies:
        kinds[found.kind].append(_moment(found.start, found.end, plain(found.text)))
    return [_moments(name, kinds[kind]) for kind, name in DISFLUENCY_NAMES.items() if kind in kinds]


def _issues(issues: Sequence[LanguageIssue]) -> list[tuple[str, int, list[tuple[Moment, str, tuple[str, ...]]]]]:
    """By category: title, how many, and each with its reason and suggestions."""
    kinds: dict[str, list[tuple[Moment, str, tuple[str, ...]]]] = defaultdict(list)
    for issue in issues:
        moment = _moment(issue.start, issue.end, plain(issue.text))
        kinds[issue.category].append((moment, plain(issue.reason), tuple(plain(suggestion) for suggestion in issue.suggestions)))
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
