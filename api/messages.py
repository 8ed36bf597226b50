"""What goes over the wire as JSON, in one place: these types validate what comes in and describe what goes out."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from config.rubrics import DEFAULT

MOST_BYTES = 4 * 2**30  # of one recording: six hours of 48 kHz stereo in 16 bits, or two hours of a filmed talk

Title = Annotated[str, Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$", description="what the speaker calls it")]
Filename = Annotated[
    str, Meta(min_length=1, max_length=255, pattern=r"^[^\x00]*$", description="the name the recording had on the speaker's disk")
]
ContentType = Annotated[str, Meta(max_length=120, pattern=r"^[\w.+-]+/[\w.+-]+(\s*;.*)?$", description="audio/... or video/...")]
Size = Annotated[int, Meta(ge=1, le=MOST_BYTES, description="bytes")]
Language = Annotated[str, Meta(pattern=r"^[a-z]{2}$", description="ISO 639-1; without it the language is detected")]
Style = Annotated[str, Meta(pattern=r"^[a-z-]{1,40}$", description="of speaking: the name of a rubric")]
Script = Annotated[str, Meta(max_length=20_000, pattern=r"^[^\x00]*$", description="the text that is read")]
Speaker = Literal["adult", "child"]  # a child is under 16
Kind = Literal["upload", "live", "overlay"]
SessionState = Literal["created", "live", "processing", "complete", "failed", "cancelled", "deleting"]
StepState = Literal["queued", "running", "done", "parked", "cancelled"]


# in


class NewSession(Struct, forbid_unknown_fields=True, frozen=True):
    """A session to be. With `size`, the answer says where to put the recording."""

    title: Title = ""
    kind: Kind = "upload"
    language: Language | None = None  # that is spoken
    style: Style = DEFAULT
    script: Script | None = None
    masked: bool = False  # names, numbers and e-mail addresses are hidden; the sound keeps them
    speaker: Speaker = "adult"
    filename: Filename | None = None
    content_type: ContentType | None = None
    size: Size | None = None


class SessionChange(Struct, forbid_unknown_fields=True, frozen=True):
    """What of a session can be changed by hand. Another style or speaker scores it anew."""

    title: Title | None = None
    style: Style | None = None
    script: Script | UnsetType | None = UNSET  # null removes it
    speaker: Speaker | None = None
    masked: bool | None = None  # hides names, numbers and e-mail addresses, or shows them again


# out


class Link(Struct, frozen=True):
    """A request that needs no other permission than being made in time, with exactly these headers."""

    url: str
    method: str
    headers: dict[str, str]


class PartLink(Struct, frozen=True):
    """Where one part of the recording goes."""

    number: int  # from 1
    offset: int  # bytes into the recording
    size: int
    url: str
    method: str
    headers: dict[str, str]


class PartThere(Struct, frozen=True):
    """A part that has arrived."""

    number: int
    size: int


class Upload(Struct, frozen=True, omit_defaults=True):
    """How to bring the recording: by one PUT, or by parts of `part_size` that may be sent again and in any order."""

    size: int
    expires_s: int  # how long the links live; GET /v1/sessions/{id}/upload gives fresh ones
    complete: bool = False
    put: Link | None = None
    upload_id: str | None = None
    part_size: int | None = None
    parts: list[PartLink] = []
    there: list[PartThere] = []


class Trouble(Struct, frozen=True):
    """Why a session or a step failed."""

    code: str
    sentence: str


class StepView(Struct, frozen=True):
    """One step of the work on a session."""

    step: str
    state: StepState
    attempt: int
    error: Trouble | None
    queued_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None


class MediaView(Struct, frozen=True):
    """The recording as it was given."""

    filename: str | None
    content_type: str | None
    size: int | None
    complete: bool


class Progress(Struct, frozen=True):
    """How far the work on a session is; how far a step is comes with the live events."""

    done: int  # steps
    total: int


class SessionView(Struct, frozen=True, omit_defaults=True):
    """A session, and where everything about it is."""

    id: UUID
    title: str
    kind: Kind
    state: SessionState
    created_at: datetime
    updated_at: datetime
    links: dict[str, str]
    duration_s: float | None = None
    language: str | None = None
    problem: str | None = None
    interrupted: bool = False  # it ended without its speaker: the connection or the server was gone
    style: str = DEFAULT
    script: str | None = None  # not in lists
    masked: bool = False
    speaker: Speaker = "adult"
    media: MediaView | None = None
    steps: list[StepView] | None = None
    progress: Progress | None = None
    upload: Upload | None = None


class RubricView(Struct, frozen=True):
    """A style of speaking, and what is scored in it."""

    name: str
    version: int
    title: str
    about: str
    rated: bool  # as trained listeners would, too, for which it matters who speaks


class RubricList(Struct, frozen=True):
    """All there are."""

    rubrics: list[RubricView]


class GivenView(Struct, frozen=True):
    """A score of a dimension and its 95 % interval; null where there was none."""

    dimension: str  # or overall
    value: float | None
    low: float | None
    high: float | None


class ScoredView(Struct, frozen=True):
    """A finished session and how it scored."""

    session: UUID
    title: str
    created_at: datetime
    scores: list[GivenView]


class ProgressView(Struct, frozen=True):
    """A person's scores in one style over their last sessions, the oldest first; of the rubric as it is now."""

    style: str
    dimensions: dict[str, str]  # id -> title, overall first
    sessions: list[ScoredView]
    left_out: int  # sessions that another version of the rubric scored


class NewComment(Struct, forbid_unknown_fields=True, frozen=True):
    """A remark on a session, or on a place in it."""

    text: Annotated[str, Meta(min_length=1, max_length=2000, pattern=r"^[^\x00]*\S[^\x00]*$")]
    at_s: Annotated[float, Meta(ge=0, le=86_400)] | None = None


class CommentView(Struct, frozen=True):
    """One remark."""

    id: UUID
    at_s: float | None
    text: str
    created_at: datetime


class CommentList(Struct, frozen=True):
    """Those of a session, in the order of their places."""

    comments: list[CommentView]


class EntityView(Struct, frozen=True):
    """Somebody or something that was named."""

    kind: Literal["name", "organisation", "place", "date"]
    text: str
    start_s: float
    end_s: float


class EntityList(Struct, frozen=True):
    """Those of a session, in order of time; without names where they are hidden."""

    entities: list[EntityView]


class FilterView(Struct, frozen=True):
    """How a stretch was spoken that is looked for."""

    name: str
    title: str


class PieceView(Struct, frozen=True):
    """A piece of a text."""

    text: str
    hit: bool  # a word that was asked for


class HitView(Struct, frozen=True):
    """One stretch or comment that was found."""

    session: UUID
    title: str
    created_at: datetime  # of the session
    kind: Literal["passage", "moment", "comment"]
    start_s: float
    end_s: float
    text: list[PieceView]
    why: list[str]  # what fits the filters, in words
    url: str  # a page that plays it


class SearchView(Struct, frozen=True):
    """What was understood and found, best first."""

    topic: str
    filters: list[FilterView]
    by_meaning: bool  # false: the weights are not installed, and only words were looked for
    results: list[HitView]


class SessionPage(Struct, frozen=True):
    """Some sessions, newest first, and the address of the page after them."""

    sessions: list[SessionView]
    next: str | None


class LiveView(Struct, frozen=True):
    """Live practice on this server."""

    ready: bool
    problem: str | None  # why there is none
    sessions: int  # that are live here
    full: bool  # no further speaker is let in at the moment
    recogniser: dict[str, float] | None  # waits and sizes, for those who watch over the server


class LostView(Struct, frozen=True):
    """What is missing of a live session and may still be filled."""

    lost: list[list[float]]  # [start_s, end_s] each


class WordView(Struct, frozen=True):
    """One recognised word."""

    text: str
    start_s: float
    end_s: float
    probability: float
    kind: Literal["word", "filler", "fragment"]


class TranscriptView(Struct, frozen=True):
    """What was said."""

    language: str
    language_probability: float
    words: list[WordView]
    second_opinion: list[WordView]  # what a second pass heard besides: fillers that the recogniser left out


class Frames(Struct, frozen=True):
    """10 ms frames, a column each; null where there is no value (no pitch, or the audio is lost)."""

    start_s: float
    hop_s: float
    columns: dict[str, list[float | int | str | None]]


class MetricsView(Struct, frozen=True):
    """Numbers over time."""

    resolution: Literal["second", "minute", "raw"]
    from_s: float
    to_s: float
    rows: list[dict[str, Any]] | None = None  # per second or minute
    frames: Frames | None = None  # raw


class FileView(Struct, frozen=True):
    """One file of the report."""

    name: str
    size: int
    content_type: str
    url: str  # on this server
    link: str  # signed: works for anyone who has it, until it expires


class NewClip(Struct, forbid_unknown_fields=True, frozen=True):
    """A stretch of the recording to be cut out."""

    start_s: Annotated[float, Meta(ge=0, le=86_400)]
    end_s: Annotated[float, Meta(ge=0, le=86_400)]
    label: Title = ""


class ClipView(Struct, frozen=True):
    """A clip; its files are there once it is rendered."""

    id: UUID
    moment: str | None  # of the coaching; null: the user's own
    label: str
    start_s: float
    end_s: float
    files: list[FileView]  # clip.mp4, clip.m4a, clip.vtt, clip.jpg


class ClipList(Struct, frozen=True):
    """The clips of a session by time."""

    clips: list[ClipView]
    expires_s: int  # how long the links live


class ReportView(Struct, frozen=True):
    """The report and its files."""

    data: dict[str, Any]
    files: list[FileView]
    archive: str  # address of a ZIP of all of them
    expires_s: int


class EngineView(Struct, frozen=True):
    """One engine, asked just now."""

    ok: bool
    latency_ms: float
    detail: str | None = None


class Ready(Struct, frozen=True):
    """Whether the server can do its work."""

    ready: bool
    version: str
    engines: dict[str, EngineView]


class NewAttempt(Struct, forbid_unknown_fields=True, frozen=True):
    """A drill to be done now."""

    source: UUID | None = None  # the session whose material is used; else the newest that has some
    level: Literal["A2", "B1", "B2", "C1"] = "B1"  # of what is read
    seconds: Annotated[float, Meta(ge=1, le=600)] | None = None  # how long it goes at most


class Noted(Struct, forbid_unknown_fields=True, frozen=True):
    """What the page saw of an attempt."""

    plays_s: Annotated[list[Annotated[float, Meta(ge=0, le=14_400)]], Meta(max_length=100)] = []  # when the phrase was played
    identified: Annotated[int, Meta(ge=0, le=1000)] = 0  # words told apart by ear, of those below
    heard: Annotated[int, Meta(ge=0, le=1000)] = 0


class PlannedView(Struct, frozen=True):
    """When a drill is due again."""

    drill: str
    title: str
    passes: int  # on end, each when it was due
    due_on: date
    state: Literal["overdue", "due", "later"]


class PlanView(Struct, frozen=True):
    """What somebody is to repeat, the longest due first."""

    today: date
    planned: list[PlannedView]


class RuleView(Struct, frozen=True):
    """What a measure has to be."""

    measure: str
    title: str
    low: float | None
    high: float | None


class EvidenceView(Struct, frozen=True):
    """How well a drill is founded."""

    grade: str
    says: str
    source: str


class DrillView(Struct, frozen=True):
    """A type of drill, and what it means for whoever asks."""

    id: str
    title: str
    dimensions: tuple[str, ...]
    goal: str
    steps: tuple[str, ...]
    watch: str
    speaks: str
    least_s: float
    usual_s: float
    most_s: float
    measured: str
    rules: list[RuleView]  # with the limits for this person
    evidence: EvidenceView
    planned: PlannedView | None
    why: str | None  # it was proposed
    source: UUID | None  # the session that it was proposed from
    material: dict[str, Any] | None
    voices: int  # synthesised ones that there are


class DrillList(Struct, frozen=True):
    """All there are, without their material."""

    drills: list[DrillView]


class AttemptView(Struct, frozen=True):
    """One attempt. Results are as docs/protocol.md says."""

    session: UUID
    drill: str
    title: str
    goal: str
    watch: str
    state: SessionState
    text: str
    reads: bool  # the text is read; else it says what to speak about
    usual_s: float
    seconds: float  # it goes so long at most
    pace_wpm: float | None
    light_st: float | None  # from here on the light is green
    phrase: dict[str, Any] | None  # {url, start_s, end_s} of its sound
    rules: list[RuleView]
    live: dict[str, Any] | None  # the result from live numbers
    settled: dict[str, Any] | None  # and from the finished analysis
    planned: PlannedView | None
