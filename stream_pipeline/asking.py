"""What a live session asks of the recogniser, what it is answered, and what it says."""

from dataclasses import dataclass
from typing import Any, Final, Literal

from speech.agreement import Window
from speech.audio import Floats, Span
from speech.words import Word

STRIDE_S: Final = 1.0  # of speech between two windows, while nothing is shed


@dataclass(frozen=True, slots=True, eq=False)
class Ask:
    """A window to recognise and all that is known of its sound. It depends on the audio alone, not on when it was asked."""

    window: Window
    pcm: Floats  # (window.end - window.start,) in [-1, 1], zeros where lost
    probability: Floats  # of speech per 512 samples, 0..1, over the window and 200 ms around it as far as there is sound
    probability_start: int  # sample where probability[0] begins
    silences: tuple[Span, ...]  # of at least 60 ms, in the window
    held: tuple[Span, ...]  # where the sound may be a filled pause (speech.filled_pauses)
    language: str | None  # ISO 639-1; None: to be detected
    asked_at: int  # samples captured when it was asked


@dataclass(frozen=True, slots=True)
class Answer:
    """What was recognised in a window."""

    words: tuple[Word, ...]  # on the clock of the session, in order, only those there is reason to believe; fillers have their kind
    language: str  # ISO 639-1
    language_probability: float  # 0..1
    foreign: float = 0.0  # log odds that this is another language than that of the session


@dataclass(frozen=True, slots=True)
class Said:
    """An event before it has a number."""

    stream: Literal["tokens", "metrics", "cue", "state"]
    t_ms: int  # session time
    data: dict[str, Any]  # as in docs/protocol.md
