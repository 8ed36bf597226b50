"""What goes over the wire as JSON, in one place: these types validate what comes in and describe what goes out."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta, Struct

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
Kind = Literal["upload", "live", "overlay"]
SessionState = Literal["created", "live", "processing", "complete", "failed", "cancelled", "deleting"]
StepState = Literal["queued", "running", "done", "parked", "cancelled"]


# in


class NewSession(Struct, forbid_unknown_fields=True, frozen=True):
    """A session to be. With `size`, the answer says where to put the recording."""

    title: Title = ""
    kind: Kind = "upload"
    language: Language | None = None  # of a live session
    style: Style = DEFAULT
    filename: Filename | None = None
    content_type: ContentType | None = None
    size: Size | None = None


class SessionChange(Struct, forbid_unknown_fields=True, frozen=True):
    """What of a session can be changed by hand. Another style scores it anew."""

    title: Title | None = None
    style: Style | None = None


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


class RubricList(Struct, frozen=True):
    """All there are."""

    rubrics: list[RubricView]


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


class ReportView(Struct, frozen=True):
    """The report and its files."""

    data: dict[str, Any]
    files: list[FileView]
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
