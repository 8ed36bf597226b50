"""Where in the recording a score comes from: the spans to listen to, worst first."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from speech.analysis import Disfluency, Filler, LanguageIssue, Pause, Stretch
from speech.audio import RATE_HZ, Span
from speech.pauses import at_least
from speech.scoring import Curve
from speech.words import Word

MOST = 5
_AROUND = RATE_HZ  # of a pause or an um, that shows what it interrupts


@dataclass(frozen=True, slots=True)
class Material:
    """What a recording held, each by time."""

    words: Sequence[Word]
    pauses: Sequence[Pause]
    fillers: Sequence[Filler]
    disfluencies: Sequence[Disfluency]
    issues: Sequence[LanguageIssue]
    stretches: Sequence[Stretch]


class _Timed(Protocol):
    @property
    def start(self) -> int: ...

    @property
    def end(self) -> int: ...


def evidence(measure: str, curve: Curve, material: Material) -> tuple[Span, ...]:
    """At most five spans that speak against the best score, worst first; none where a measure belongs to the whole alone."""
    of = _STRETCHES.get(measure)
    if of is not None:
        rated = [(float(curve(value)), stretch) for stretch in material.stretches if (value := of(stretch)) is not None]
        return _apart(stretch for given, stretch in sorted(rated, key=lambda one: one[0]) if given < 100.0)
    events = _EVENTS.get(measure)
    return tuple(Span(max(0, one.start - _AROUND), one.end + _AROUND) for one in events(material)[:MOST]) if events else ()


def _apart(stretches: Iterable[_Timed]) -> tuple[Span, ...]:
    # They overlap by half: of two that do the worse one is enough.
    taken: list[Span] = []
    for one in stretches:
        if len(taken) < MOST and all(one.end <= span.start or span.end <= one.start for span in taken):
            taken.append(Span(one.start, one.end))
    return tuple(taken)


def _longest(found: Iterable[_Timed]) -> list[_Timed]:
    return sorted(found, key=lambda one: one.start - one.end)


def _inside(material: Material) -> list[_Timed]:
    return _longest(pause for pause in at_least(material.pauses) if pause.place == "within_clause")


def _fillers(kind: str) -> Callable[[Material], list[_Timed]]:
    return lambda material: _longest(filler for filler in material.fillers if filler.kind == kind)


def _disfluencies(kind: str) -> Callable[[Material], list[_Timed]]:
    return lambda material: _longest(one for one in material.disfluencies if one.kind == kind)


def _issues(*categories: str) -> Callable[[Material], list[_Timed]]:
    return lambda material: [issue for issue in material.issues if issue.category in categories]


def _unclear(material: Material) -> list[_Timed]:
    return [word for word in sorted(material.words, key=lambda word: word.probability) if word.kind == "word" and word.probability < 0.5]


_STRETCHES: dict[str, Callable[[Stretch], float | None]] = {
    "speech_rate_wpm": lambda stretch: stretch.rate_wpm,
    "speech_rate_syl_s": lambda stretch: (
        None
        if stretch.pause_share is None or stretch.articulation_syl_s is None
        else (stretch.articulation_syl_s * (1.0 - stretch.pause_share))
    ),
    "pause_share": lambda stretch: stretch.pause_share,
    "f0_sd_st": lambda stretch: None if stretch.f0_span_st is None else stretch.f0_span_st / 2.56,  # of a normal distribution
}
_EVENTS: dict[str, Callable[[Material], list[_Timed]]] = {
    "pauses_at_clause_ends_share": _inside,
    "pauses_within_clause_per_100_syl": _inside,
    "pause_mean_s": lambda material: _longest(at_least(material.pauses)),
    "filled_pauses_per_100_words": _fillers("filled_pause"),
    "discourse_markers_per_100_words": _fillers("discourse_marker"),
    "repetitions_per_100_words": _disfluencies("repetition"),
    "false_starts_per_100_words": _disfluencies("false_start"),
    "grammar_issues_per_100_words": _issues("grammar"),
    "style_issues_per_100_words": _issues("style", "weak_word", "passive", "long_sentence"),
    "hedges_per_100_words": _issues("hedge"),
    "unclear_words_per_100_words": _unclear,
}
