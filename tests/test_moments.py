"""Moments: planted stumbles and a planted best are found, said in their numbers, and cut in the quiet between words."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import pytest

from config.rubrics import rubrics
from speech.analysis import Disfluency, Filler, LanguageIssue, Measure, Pause, PausePlace, Stretch
from speech.audio import HOP, RATE_HZ, Frames, State
from speech.evidence import Material
from speech.moments import ALIKE, LONGEST_S, MOST_BEST, MOST_STUMBLES, SHORTEST_S, Moment, View, moments
from speech.scoring import Curve
from speech.words import Word

WORD, GAP, BREATH = 4_000, 800, 9_600  # samples: 250 ms, 50 ms between words, 600 ms between sentences
SENTENCE = 12  # words


def views(style: str = "talk") -> dict[str, View]:
    return {
        term.measure: View(dimension.id, 60.0, Curve(term.points)) for dimension in rubrics()[style].dimensions for term in dimension.terms
    }


@dataclass
class Talk:
    """Sentences of twelve words with a breath after each, loud in the words and quiet between them, quietest in mid-breath."""

    sentences: int = 40
    words: list[Word] = field(default_factory=list)
    pauses: list[Pause] = field(default_factory=list)
    fillers: list[Filler] = field(default_factory=list)
    broken: list[Disfluency] = field(default_factory=list)
    issues: list[LanguageIssue] = field(default_factory=list)
    stretches: list[Stretch] = field(default_factory=list)

    def __post_init__(self) -> None:
        at = RATE_HZ
        for number in range(self.sentences):
            for place in range(SENTENCE):
                end = "." if place == SENTENCE - 1 else ""
                self.words.append(Word(f"w{number}x{place}{end}", at, at + WORD, 0.9))
                at += WORD + GAP
            self.pauses.append(Pause(at - GAP, at - GAP + BREATH, "silent", "between_clauses"))
            at += BREATH - GAP
        self.samples = at + RATE_HZ

    def shift(self, index: int, by: int) -> None:
        """All from this word on comes so much later."""
        at = self.words[index].start
        self.words = [replace(w, start=w.start + by, end=w.end + by) if w.start >= at else w for w in self.words]
        self.pauses = [replace(p, start=p.start + by, end=p.end + by) if p.start >= at else p for p in self.pauses]
        self.samples += by

    def halt(self, index: int, length_s: float, place: PausePlace = "within_clause") -> Pause:
        """A pause before this word."""
        start = self.words[index - 1].end
        self.shift(index, round(length_s * RATE_HZ) - GAP)
        self.pauses = sorted([*self.pauses, pause := Pause(start, self.words[index].start, "silent", place)], key=lambda p: p.start)
        return pause

    def um(self, *indices: int) -> None:
        """These words are fillers."""
        for index in indices:
            self.words[index] = word = replace(self.words[index], text="um", kind="filler")
            self.fillers.append(Filler("um", word.start, word.end, "filled_pause", "recogniser"))

    def frames(self) -> Frames:
        hops = self.samples // HOP
        at = np.arange(hops)
        level = np.full(hops, -60.0, np.float32)
        for pause in self.pauses:  # a valley, and a breath in its first third
            first, last = pause.start // HOP, pause.end // HOP
            level[first:last] = -62.0 + 10.0 * np.abs(at[first:last] - (first + 2 * last) / 3) / max(1, last - first)
        state = np.full(hops, State.SILENCE, np.int8)
        f0_hz = np.full(hops, np.nan, np.float32)
        for word in self.words:
            inside = slice(word.start // HOP, word.end // HOP)
            level[inside], state[inside] = -20.0, State.SPEECH
            f0_hz[inside] = 140.0 * 2.0 ** (3.5 * np.sin(at[inside] * 0.11) / 12.0)
        return Frames(0, HOP, f0_hz, level, state)

    def material(self) -> Material:
        return Material(self.words, self.pauses, self.fillers, self.broken, self.issues, self.stretches)

    def found(self, style: str = "talk") -> tuple[Moment, ...]:
        measures = {
            "speech_rate_wpm": Measure(150.0, "words/min", 145.0, 155.0, 100.0),
            "f0_span_st": Measure(7.0, "st", 6.5, 7.5, 100.0),
        }
        return moments(self.material(), self.frames(), measures, views(style))

    def stumbles(self, style: str = "talk") -> list[Moment]:
        return [moment for moment in self.found(style) if moment.kind == "stumble"]


def check_cuts(talk: Talk, found: Sequence[Moment]) -> None:
    """Words whole, edges in pauses, of a good length, none over another."""
    for moment in found:
        cut = moment.cut
        assert 0 <= cut.start <= moment.start < moment.end <= cut.end <= talk.samples
        assert SHORTEST_S <= (cut.end - cut.start) / RATE_HZ <= LONGEST_S
        for edge in (cut.start, cut.end):
            assert not any(word.start < edge < word.end for word in talk.words), moment
            assert edge < RATE_HZ or any(pause.start <= edge <= pause.end for pause in talk.pauses) or edge > talk.words[-1].end
    spans = sorted((moment.cut.start, moment.cut.end) for moment in found)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


def test_clustered_fillers_are_one_moment_said_in_numbers() -> None:
    talk = Talk()
    talk.um(63, 68, 74)
    talk.um(200)  # alone: nothing to show
    (moment,) = talk.stumbles()
    assert (moment.what, moment.dimension) == ("fillers", "fluency")
    assert (moment.start, moment.end) == (talk.words[63].start, talk.words[74].end)
    assert moment.why == "Three times “um” in five seconds."
    check_cuts(talk, talk.found())


def test_a_halt_inside_a_clause_is_found_and_one_between_clauses_is_none() -> None:
    talk = Talk()
    halt = talk.halt(30, 1.4)
    talk.halt(120, 1.4, "between_clauses")
    talk.halt(200, 0.4)  # too short to be heard as one
    (moment,) = talk.stumbles()
    assert (moment.what, moment.start, moment.end) == ("pause", halt.start, halt.end)
    assert moment.why == "A pause of 1.4 s in the middle of a clause, between “w2x5” and “w2x6”."
    assert moment.cut.start <= talk.words[29].start
    assert moment.cut.end >= talk.words[30].end


def test_repairs_close_together_are_one_moment() -> None:
    talk = Talk()
    first, second = talk.words[50], talk.words[54]
    talk.broken = [
        Disfluency("repetition", "the the", first.start, first.end),
        Disfluency("false_start", "we should", second.start, second.end),
        Disfluency("lengthening", "sooo", talk.words[100].start, talk.words[100].end),
    ]
    (moment,) = talk.stumbles()
    assert moment.why == "Two repairs in two seconds: “the the”, “we should”."
    assert moment.what == "repair"


@pytest.mark.parametrize(("style", "rushed"), [("talk", False), ("read-aloud", True)])
def test_what_is_rushed_depends_on_the_style(style: str, rushed: bool) -> None:
    talk = Talk()
    start = talk.words[100].start
    talk.stretches = [Stretch(start, start + 10 * RATE_HZ, 216.0, 5.5, 0.05, 140.0, 8.0, -20.0)]
    found = [moment for moment in talk.stumbles(style) if moment.what == "rushed"]
    assert [moment.why for moment in found] == (["At 216 words a minute, half above the 150 of the whole recording."] if rushed else [])


def test_a_monotone_stretch_is_said_beside_the_whole() -> None:
    talk = Talk()
    start = talk.words[100].start
    talk.stretches = [Stretch(start, start + 10 * RATE_HZ, 150.0, 4.5, 0.15, 140.0, 3.0, -20.0)]
    (moment,) = talk.stumbles()
    assert (moment.what, moment.dimension) == ("monotone", "pitch")
    assert moment.why == "Pitch moves over 3.0 semitones for ten seconds, 7.0 over the whole recording."


def test_the_best_holds_no_trouble_and_says_what_was_measured() -> None:
    talk = Talk(8)
    talk.um(6, 18, 30, 66, 78, 90)  # only the fourth and the fifth sentence, words 36 to 59, are without
    (best,) = [moment for moment in talk.found() if moment.kind == "best"]
    assert (best.start, best.end) == (talk.words[36].start, talk.words[59].end)
    wpm = 24 * 60 * RATE_HZ / (best.end - best.start)
    assert best.why == f"{wpm:.0f} words a minute, with every longer pause at the end of a clause; no filler and no repair in 24 words."


def test_there_are_ten_at_most_and_never_three_alike() -> None:
    talk = Talk(80)
    for sentence in range(0, 60, 4):
        talk.um(*(sentence * SENTENCE + place for place in (2, 5, 8)))
    for sentence in range(2, 60, 4):
        talk.halt(sentence * SENTENCE + 6, 0.8)
    found = talk.found()
    check_cuts(talk, found)
    sorts = [moment.what for moment in found]
    assert max(sorts.count(sort) for sort in sorts) <= ALIKE
    assert sum(moment.kind == "stumble" for moment in found) == 4 <= MOST_STUMBLES
    assert 0 < sum(moment.kind == "best" for moment in found) <= MOST_BEST
    assert [moment.kind for moment in found] == sorted(moment.kind for moment in found)  # what went best first


def test_the_cut_is_in_the_quietest_place_of_the_pause() -> None:
    talk = Talk()
    talk.um(63, 67, 70)
    (moment,) = talk.stumbles()
    frames = talk.frames()
    for edge, side in ((moment.cut.start, -1), (moment.cut.end, 1)):
        pause = next(pause for pause in talk.pauses if pause.start <= edge <= pause.end)
        reach = (pause.end - round(0.3 * RATE_HZ), pause.end) if side < 0 else (pause.start, pause.start + round(0.45 * RATE_HZ))
        allowed = frames.level_dbfs[reach[0] // HOP : reach[1] // HOP]
        assert frames.level_dbfs[edge // HOP] <= allowed.min() + 0.5


def test_where_sound_was_lost_there_is_no_moment() -> None:
    talk = Talk()
    talk.um(63, 68, 74)
    frames = talk.frames()
    frames.state[talk.words[70].start // HOP] = State.LOST
    assert [m for m in moments(talk.material(), frames, {}, views()) if m.kind == "stumble"] == []


def test_a_moment_at_the_very_beginning_and_end_is_cut_inside_the_recording() -> None:
    talk = Talk(6)
    last = len(talk.words) - 1
    talk.um(0, 3, 6, last - 7, last - 4, last - 1)
    found = talk.stumbles()
    assert len(found) == 2
    check_cuts(talk, found)


def test_without_words_or_with_one_there_is_nothing_to_choose() -> None:
    talk = Talk(1)
    talk.words = talk.words[:1]
    assert talk.found() == ()
    talk.words = []
    assert talk.found() == ()


def test_what_the_rubric_does_not_look_at_is_no_stumble() -> None:
    talk = Talk()
    talk.um(63, 68, 74)
    talk.halt(200, 1.0)
    assert moments(talk.material(), talk.frames(), {}, {}) == ()
