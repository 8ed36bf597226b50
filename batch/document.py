"""`analysis.json`: its shape, field by field, and how an Analysis becomes one. `python -m batch.document` writes the JSON Schema."""

import json
import math
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from speech.analysis import (
    Analysis,
    DisfluencyKind,
    FillerKind,
    FillerSource,
    Measure,
    PauseKind,
    PausePlace,
)
from speech.audio import RATE_HZ
from speech.words import WordKind

SCHEMA_FILE = Path(__file__).parent.parent / "docs" / "analysis.schema.json"


def _in(unit: str, description: str) -> Meta:
    return Meta(description=description, extra_json_schema={"unit": unit})


Start = Annotated[float, _in("s", "Start, in seconds since the recording began.")]
End = Annotated[float, _in("s", "End, in seconds since the recording began; not part of the stretch.")]
Probability = Annotated[float, Meta(ge=0, le=1, description="0 to 1, as the model gave it; not calibrated.")]


class WordEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One recognised word, in order of time."""

    text: Annotated[str, Meta(description="The word as recognised; sentence punctuation stays attached.")]
    start_s: Start
    end_s: End
    probability: Probability
    kind: Annotated[WordKind, Meta(description="word; filler: um, uh and the like; fragment: a word broken off.")]


class PauseEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A stretch of at least 100 ms without words. The measures count pauses from 250 ms on. Lost audio never makes one."""

    start_s: Start
    end_s: End
    kind: Annotated[PauseKind, Meta(description="silent, or filled by an um.")]
    place: Annotated[PausePlace, Meta(description="Inside a clause, between two clauses, or unknown.")]


class FillerEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A filled pause, or a discourse marker that is no part of the sentence."""

    text: Annotated[str, Meta(description="What was said.")]
    start_s: Start
    end_s: End
    kind: Annotated[FillerKind, Meta(description="filled_pause: um, uh; discourse_marker: like, you know.")]
    source: Annotated[FillerSource, Meta(description="What found it.")]


class DisfluencyEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A repetition, a false start or a drawn-out sound. For the first two the span is what was abandoned."""

    kind: Annotated[DisfluencyKind, Meta(description="Which of the three it is.")]
    text: Annotated[str, Meta(description="The words concerned.")]
    start_s: Start
    end_s: End


class LanguageIssueEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something in the wording that a coach would point at."""

    category: Annotated[
        Literal["grammar", "style", "hedge", "weak_word", "passive", "long_sentence"], Meta(description="What sort of issue it is.")
    ]
    rule: Annotated[str, Meta(description="Stable name of the rule that found it.")]
    text: Annotated[str, Meta(description="The words concerned.")]
    start_s: Start
    end_s: End
    reason: Annotated[str, Meta(description="Why it is pointed at, in a sentence.")]
    suggestions: Annotated[tuple[str, ...], Meta(description="What to say instead; may be empty.")]


class MeasureEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One number, its unit and how far it can be trusted. Definitions are in docs/metrics.md."""

    value: Annotated[float | None, Meta(description="The number, in `unit`; null exactly when `why_missing` says why.")]
    unit: Annotated[str, Meta(description="Unit of value, low and high.")]
    low: Annotated[float | None, Meta(description="Lower end of the 95 % interval; null where none can be given.")]
    high: Annotated[float | None, Meta(description="Upper end of the 95 % interval; null where none can be given.")]
    over_s: Annotated[float, _in("s", "Seconds of audio the number stands on.")]
    why_missing: Annotated[str | None, Meta(description="Why there is no value; null when there is one.")]


class StretchEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Pace, pitch and loudness in one window of the recording; null where there was too little speech."""

    start_s: Start
    end_s: End
    rate_wpm: Annotated[float | None, _in("words/min", "Speech rate, pauses included.")]
    articulation_syl_s: Annotated[float | None, _in("syllables/s", "Articulation rate, pauses left out.")]
    pause_share: Annotated[float | None, Meta(description="Share of the window that is pause, 0 to 1.")]
    f0_median_hz: Annotated[float | None, _in("Hz", "Median fundamental frequency.")]
    f0_span_st: Annotated[float | None, _in("semitones", "10th to 90th percentile of the pitch.")]
    level_dbfs: Annotated[float | None, _in("dBFS", "Level while speaking, re full scale.")]


class AudioEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the recording was."""

    name: Annotated[str, Meta(description="File name, without its folder.")]
    sha256: Annotated[str, Meta(description="SHA-256 of the file, in hexadecimal.")]
    container: Annotated[str, Meta(description="Container format of the file.")]
    codec: Annotated[str, Meta(description="Audio codec of the file.")]
    rate_hz: Annotated[int, _in("Hz", "Sample rate of the file.")]
    channels: Annotated[int, Meta(description="Channels in the file.")]
    duration_s: Annotated[float, _in("s", "Length of what was analysed.")]
    warnings: Annotated[tuple[str, ...], Meta(description="What is odd about the sound, in sentences.")]


# Scores and coaching, as other steps stored them: what those steps add later is left out here, not refused.

Given = Annotated[float, Meta(ge=0, le=100, description="A score, 0 to 100.")]
Dimension = Annotated[str, Meta(description="Which score of the rubric.")]


class RubricEntry(msgspec.Struct, frozen=True):
    """What was scored by."""

    name: Annotated[str, Meta(description="Its name in config/rubric.")]
    version: Annotated[int, Meta(description="Its version.")]
    title: Annotated[str, Meta(description="What it is called.")]
    digest: Annotated[str, Meta(description="SHA-256 of its content.")]


class ScoreEntry(msgspec.Struct, frozen=True):
    """A score with its 95 % interval, or why there is none and what would lift that."""

    value: Annotated[float | None, Meta(description="The score, 0 to 100; null exactly when `refusal` says why.")]
    low: Annotated[float | None, Meta(description="Lower end of the 95 % interval.")]
    high: Annotated[float | None, Meta(description="Upper end of the 95 % interval.")]
    refusal: Annotated[str | None, Meta(description="Why there is no score; null when there is one.")]


class ShareEntry(msgspec.Struct, frozen=True):
    """What a measure brought to a score."""

    name: Annotated[str, Meta(description="The measure's name in docs/metrics.md.")]
    value: Annotated[float, Meta(description="The measure, in its own unit.")]
    score: Given
    weight: Annotated[float, Meta(description="Its part of all that counted, 0 to 1.")]


class EvidenceEntry(msgspec.Struct, frozen=True):
    """A place where a score can be heard."""

    measure: Annotated[str, Meta(description="What is heard there.")]
    start_s: Start
    end_s: End


class DimensionEntry(ScoreEntry, frozen=True):
    """The score of one dimension and what it is made of."""

    dimension: Dimension
    title: Annotated[str, Meta(description="What the dimension is called.")]
    weight: Annotated[float, Meta(description="Its weight in the overall score.")]
    made_of: tuple[ShareEntry, ...]
    evidence: tuple[EvidenceEntry, ...]


class RatingEntry(msgspec.Struct, frozen=True):
    """What trained listeners would probably say, where the rubric knows, or why that cannot be told."""

    what: Annotated[str, Meta(description="What they would rate: fluency or prosody.")]
    value: Annotated[float | None, Meta(description="The rating; null exactly when `refusal` says why.")]
    low: Annotated[float | None, Meta(description="Lower end of the 95 % interval.")]
    high: Annotated[float | None, Meta(description="Upper end of the 95 % interval.")]
    scale: Annotated[tuple[float, float], Meta(description="The lowest and the highest rating there are.")]
    refusal: Annotated[str | None, Meta(description="Why there is no rating; null when there is one.")]


class ScoresEntry(msgspec.Struct, frozen=True):
    """The recording seen through a rubric."""

    rubric: RubricEntry
    overall: ScoreEntry
    scores: tuple[DimensionEntry, ...]
    ratings: tuple[RatingEntry, ...] = ()


class MomentEntry(msgspec.Struct, frozen=True):
    """A place worth hearing again."""

    id: Annotated[str, Meta(description="Its name in this session; its clip is called the same.")]
    kind: Annotated[Literal["stumble", "best"], Meta(description="A stumble, or one of the best moments.")]
    what: Annotated[str, Meta(description="What is heard there, such as fillers.")]
    dimension: Dimension
    why: Annotated[str, Meta(description="Why it was chosen, in a sentence.")]
    text: Annotated[str, Meta(description="The words said.")]
    start_s: Start
    end_s: End


class DrillEntry(msgspec.Struct, frozen=True):
    """An exercise that fits."""

    drill: Annotated[str, Meta(description="Its name in config/drills.toml.")]
    dimension: Dimension
    title: Annotated[str, Meta(description="What it is called.")]
    why: Annotated[str, Meta(description="Why it fits, in a sentence.")]


class ChangeEntry(msgspec.Struct, frozen=True):
    """A score before and now, and the 95 % interval of the difference."""

    dimension: Annotated[str, Meta(description="Which score of the rubric, or overall.")]
    before: Given
    now: Given
    difference: Annotated[float, Meta(description="now minus before, in points.")]
    low: Annotated[float, Meta(description="Lower end of the 95 % interval of the difference.")]
    high: Annotated[float, Meta(description="Upper end of the 95 % interval of the difference.")]
    changed: Annotated[bool, Meta(description="Whether that is more than the person's own scores differ anyway.")]


class ChangesEntry(msgspec.Struct, frozen=True):
    """What has changed since the last session of the same style, or against the person's own baseline."""

    since: Annotated[dict[str, Any] | None, Meta(description="The session before.")] = None
    baseline: Annotated[dict[str, Any] | None, Meta(description="The person's own earlier sessions, from three on.")] = None
    refusal: Annotated[str | None, Meta(description="Why nothing, or not more, can be compared.")] = None
    dimensions: tuple[ChangeEntry, ...] = ()


class HighlightEntry(msgspec.Struct, frozen=True):
    """One thing to say first, in words made from measured facts."""

    sentence: Annotated[str, Meta(description="What is said.")]
    dimension: Annotated[str | None, Meta(description="Which score of the rubric; null where none was given.")] = None


class PhrasedEntry(msgspec.Struct, frozen=True):
    """The same facts as a language model words them."""

    text: Annotated[str, Meta(description="What it says; every number in it is one of the facts.")]
    model: Annotated[str, Meta(description="Which model.")]


class HighlightsEntry(msgspec.Struct, frozen=True):
    """What went well, and the one thing to work on."""

    well: Annotated[HighlightEntry | None, Meta(description="What went well.")] = None
    work_on: Annotated[HighlightEntry | None, Meta(description="The one thing to work on.")] = None
    needs: Annotated[str | None, Meta(description="Where neither can be said: why, and what would lift that.")] = None
    phrased: Annotated[PhrasedEntry | None, Meta(description="The same in a model's words; null where none was asked.")] = None


class CoachingEntry(msgspec.Struct, frozen=True):
    """What is made of the scores."""

    moments: tuple[MomentEntry, ...] = ()
    drills: tuple[DrillEntry, ...] = ()
    change: Annotated[ChangesEntry | None, Meta(description="What has changed; null where there is nothing to compare with.")] = None
    highlights: Annotated[HighlightsEntry | None, Meta(description="What is said first; null where nothing can be.")] = None


class Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The full measurement of one recording. All times are seconds since the recording began."""

    format: Annotated[Literal["elocute.analysis/1"], Meta(description="Name and version of this shape.")]
    audio: AudioEntry
    language: Annotated[str, Meta(description="Language spoken, ISO 639-1.")]
    language_probability: Probability
    measures: Annotated[dict[str, MeasureEntry], Meta(description="Every number, by its name in docs/metrics.md.")]
    words: tuple[WordEntry, ...]
    pauses: tuple[PauseEntry, ...]
    fillers: tuple[FillerEntry, ...]
    disfluencies: tuple[DisfluencyEntry, ...]
    language_issues: tuple[LanguageIssueEntry, ...]
    stretches: tuple[StretchEntry, ...]
    scores: Annotated[ScoresEntry | None, Meta(description="Scores by the session's rubric; null where there are none.")]
    coaching: Annotated[CoachingEntry | None, Meta(description="What is made of the scores; null where there are none.")]
    versions: Annotated[dict[str, str], Meta(description="Every model, library and definition that shaped a number.")]


def document(analysis: Analysis, scores: Mapping[str, Any] | None = None, coaching: Mapping[str, Any] | None = None) -> Document:
    """The analysis in seconds: times to the millisecond, values to six significant digits, nothing NaN or infinite.

    scores, coaching: as batch/scored.py and batch/coaching.py make them.
    """
    audio = analysis.audio
    transcript = analysis.transcript
    return Document(
        format="elocute.analysis/1",
        audio=AudioEntry(
            name=plain(PurePath(audio.name).name),
            sha256=audio.sha256,
            container=audio.container,
            codec=audio.codec,
            rate_hz=audio.rate_hz,
            channels=audio.channels,
            duration_s=_seconds(audio.samples),
            warnings=tuple(plain(warning) for warning in audio.warnings),
        ),
        language=transcript.language,
        language_probability=_unit_interval(transcript.language_probability),
        measures={name: _measure(measure) for name, measure in analysis.measures.items()},
        words=tuple(
            WordEntry(plain(w.text), _seconds(w.start), _seconds(w.end), _unit_interval(w.probability), w.kind) for w in transcript.words
        ),
        pauses=tuple(PauseEntry(_seconds(p.start), _seconds(p.end), p.kind, p.place) for p in analysis.pauses),
        fillers=tuple(FillerEntry(plain(f.text), _seconds(f.start), _seconds(f.end), f.kind, f.source) for f in analysis.fillers),
        disfluencies=tuple(DisfluencyEntry(d.kind, plain(d.text), _seconds(d.start), _seconds(d.end)) for d in analysis.disfluencies),
        language_issues=tuple(
            LanguageIssueEntry(
                i.category,
                i.rule,
                plain(i.text),
                _seconds(i.start),
                _seconds(i.end),
                plain(i.reason),
                tuple(plain(suggestion) for suggestion in i.suggestions),
            )
            for i in analysis.language_issues
        ),
        stretches=tuple(
            StretchEntry(
                _seconds(s.start),
                _seconds(s.end),
                _finite(s.rate_wpm),
                _finite(s.articulation_syl_s),
                _finite(s.pause_share),
                _finite(s.f0_median_hz),
                _finite(s.f0_span_st),
                _finite(s.level_dbfs),
            )
            for s in analysis.stretches
        ),
        scores=None if scores is None else msgspec.convert(scores, ScoresEntry),
        coaching=None if coaching is None else msgspec.convert(coaching, CoachingEntry),
        versions=dict(sorted(analysis.versions.items())),
    )


def encoded(document: Document) -> bytes:
    """The document as UTF-8 JSON, indented, ending in a line feed."""
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"


def schema() -> bytes:
    """JSON Schema (2020-12) of analysis.json, made from the types above."""
    body = msgspec.json.schema(Document)
    return (json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **body}, indent=2, ensure_ascii=False) + "\n").encode()


def plain(text: str) -> str:
    """The text on one line, and encodable: a file name may hold bytes that are no UTF-8."""
    return " ".join(text.encode("utf-8", "replace").decode().split())


def _seconds(samples: int) -> float:
    return float(round(samples / RATE_HZ, 3))  # NumPy's scalars are no JSON


def _unit_interval(probability: float) -> float:
    return float(round(min(max(probability, 0.0), 1.0), 4)) if math.isfinite(probability) else 0.0


def _finite(value: float | None) -> float | None:
    return float(f"{value:.6g}") if value is not None and math.isfinite(value) else None


def _measure(measure: Measure) -> MeasureEntry:
    value = _finite(measure.value)
    missing = measure.why_missing or "it could not be computed from this recording" if value is None else None
    return MeasureEntry(
        value=value,
        unit=measure.unit,
        low=_finite(measure.low) if value is not None else None,
        high=_finite(measure.high) if value is not None else None,
        over_s=_finite(measure.over_s) or 0.0,
        why_missing=missing,
    )


if __name__ == "__main__":
    SCHEMA_FILE.parent.mkdir(exist_ok=True)
    SCHEMA_FILE.write_bytes(schema())
