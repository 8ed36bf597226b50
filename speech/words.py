"""Words with their places in the sound."""

from dataclasses import dataclass
from typing import Literal

WordKind = Literal["word", "filler", "fragment"]


@dataclass(frozen=True, slots=True)
class Word:
    """One recognised word. Sentence punctuation stays attached to `text`, as the recogniser wrote it."""

    text: str
    start: int  # first sample, inclusive
    end: int  # exclusive
    probability: float  # 0..1, from the recogniser, not calibrated
    kind: WordKind = "word"


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said, in order of time, and in which language."""

    words: tuple[Word, ...]
    language: str  # ISO 639-1
    language_probability: float  # 0..1


@dataclass(frozen=True, slots=True)
class Heard:
    """What was said, and which of the filled pauses only a second look found."""

    transcript: Transcript
    second_opinion: tuple[Word, ...]
