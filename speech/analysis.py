"""Everything that is known of one recording: what the steps fill in and the files are written from. Time is in samples."""

from dataclasses import dataclass
from typing import Literal

from speech.audio import Frames
from speech.words import Transcript

PauseKind = Literal["silent", "filled"]
PausePlace = Literal["within_clause", "between_clauses", "unknown"]
FillerKind = Literal["filled_pause", "discourse_marker"]
FillerSource = Literal["recogniser", "second_opinion", "acoustic", "syntax"]
DisfluencyKind = Literal["repetition", "false_start", "lengthening"]


@dataclass(frozen=True, slots=True)
class Pause:
    """A stretch without words of at least 100 ms: silent, or filled by an um. Lost audio never makes one."""

    start: int
    end: int
    kind: PauseKind
    place: PausePlace


@dataclass(frozen=True, slots=True)
class Filler:
    """A filled pause (um, uh) or a discourse marker (like, you know) that is no part of the sentence."""

    text: str
    start: int
    end: int
    kind: FillerKind
    source: FillerSource  # what found it


@dataclass(frozen=True, slots=True)
class Disfluency:
    """A repair, a repetition or a drawn-out sound. For a repetition and a false start the span is what was abandoned."""

    kind: DisfluencyKind
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class LanguageIssue:
    """Something in the wording that a coach would point at, and what to say instead."""

    category: Literal["grammar", "style", "hedge", "weak_word", "passive", "long_sentence"]
    rule: str  # stable name of the rule that spoke
    text: str  # the words concerned
    start: int
    end: int
    reason: str
    suggestions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Measure:
    """One number, its unit and how far it can be trusted; `value` is None exactly when `why_missing` says why."""

    value: float | None
    unit: str
    low: float | None  # 95 % interval, None where none can be given
    high: float | None
    over_s: float  # seconds of audio it stands on
    why_missing: str | None = None
    parts: tuple[float | None, ...] = ()  # the same on each of five contiguous parts, where that is how the interval was found


@dataclass(frozen=True, slots=True)
class Stretch:
    """Pace, pitch and loudness in one window of the recording, for drawing them over time."""

    start: int
    end: int
    rate_wpm: float | None
    articulation_syl_s: float | None
    pause_share: float | None
    f0_median_hz: float | None
    f0_span_st: float | None
    level_dbfs: float | None


@dataclass(frozen=True, slots=True)
class Second:
    """One second. Counts and times add up; rates are made from their sums by whoever reads. Missing is None, never zero."""

    t_s: int  # it covers [t_s, t_s + 1)
    over_s: float  # of it inside the speaker's time, from first to last speech, lost audio left out
    words: int | None  # that begin in it, fillers and fragments left out; None before they are recognised
    syllables: int  # of those words; before they are known, syllable nuclei of the signal
    fillers: int | None  # filled pauses and discourse markers that begin in it
    pause_s: float  # of silent pauses of at least 250 ms
    speech_s: float
    lost_s: float
    f0_median_hz: float | None
    f0_span_st: float | None  # 10th to 90th percentile over the 10 s that end with it
    level_dbfs: float | None  # median of the hops that hold speech


@dataclass(frozen=True, slots=True)
class AudioFacts:
    """What the file was, and what is odd about its sound."""

    name: str
    sha256: str
    container: str
    codec: str
    rate_hz: int  # of the file
    channels: int  # of the file
    samples: int  # at 16 kHz
    warnings: tuple[str, ...]  # sentences for the user: truncated, clipped, NaN, very quiet ...


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """The full measurement of one recording."""

    audio: AudioFacts
    transcript: Transcript
    frames: Frames
    pauses: tuple[Pause, ...]
    fillers: tuple[Filler, ...]
    disfluencies: tuple[Disfluency, ...]
    language_issues: tuple[LanguageIssue, ...]
    measures: dict[str, Measure]
    stretches: tuple[Stretch, ...]
    versions: dict[str, str]  # of every model, library and definition that shaped a number
