"""Agreement of hypotheses: a planted talk is heard through windows that cut it anywhere, and must come out whole, once and in order."""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speech.agreement import AFTER_S, BOUND_S, EDGE_S, LONGEST_S, Agreement, Hypothesis, TranscriptDelta, Window
from speech.audio import RATE_HZ, seconds
from speech.loops import before_loop, repetitive
from speech.words import Word
from tests.samples import samples

FEW = ("the", "very", "it", "was", "no", "good", "I", "and", "times", "so")  # so few that words and phrases come again and again


def word(text: str, start_s: float, end_s: float) -> Word:
    return Word(text, samples(start_s), samples(end_s), 0.9)


def heard(start_s: float, end_s: float, *words: Word, final: bool = False) -> Hypothesis:
    return Hypothesis(Window(samples(start_s), samples(end_s), final), words)


def texts(words: tuple[Word, ...]) -> list[str]:
    return [word.text for word in words]


@dataclass
class Talk:
    """A talk, a recogniser that hears it through windows, and what an Agreement made of it."""

    seed: int
    unique: bool = False  # no word twice
    jitter_s: float = 0.05  # of every edge, each time
    slips: float = 0.0  # probability that a word in the last second of a window is heard as another
    delays_s: tuple[float, float] = (0.0, 1.0)  # between the end of a window and its hypothesis
    words: list[Word] = field(default_factory=list)
    committed: list[Word] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dice = np.random.default_rng(self.seed)
        self.agreement = Agreement()
        at = self.dice.uniform(0.0, 1.0)
        for i in range(int(self.dice.integers(4, 18))):
            length = self.dice.uniform(0.14, 0.6)
            text = f"word{i}" if self.unique else str(self.dice.choice(FEW))
            if texts(tuple(self.words[-3:])) == [text] * 3:
                text = "end"  # four times on end may be a loop
            self.words.append(word(text, at, at + length))
            gap = self.dice.choice([0.0, 0.02, 0.2, self.dice.uniform(0.6, 3.0)], p=[0.5, 0.25, 0.15, 0.1])
            at += length + gap
        self.end = self.words[-1].end + samples(0.7)

    def silent(self, end: int) -> bool:
        """Whether the half second before `end` holds no word."""
        return all(w.end <= end - samples(0.5) or w.start >= end for w in self.words)

    def hypothesis(self, window: Window) -> Hypothesis:
        found: list[Word] = []
        for said in self.words:
            if said.end <= window.start or said.start >= window.end:
                continue
            text = said.text
            start, end = (round(edge + self.dice.uniform(-self.jitter_s, self.jitter_s) * RATE_HZ) for edge in (said.start, said.end))
            if said.end > window.end or said.start < window.start:
                if self.dice.random() < 0.3:
                    continue
                text = str(self.dice.choice([text, text[:1], "mumble", *FEW]))
                end = window.end if said.end > window.end else end
                start = window.start if said.start < window.start else start
            elif not window.final and said.end > window.end - RATE_HZ and self.dice.random() < self.slips:
                text = f"slip{self.dice.integers(1000)}"
            start = max(start, window.start, found[-1].end if found else 0)
            end = min(max(end, start + 320), window.end)
            if start < end:
                found.append(Word(text, start, end, 0.9))
        return Hypothesis(window, tuple(found))

    def window(self, end: int) -> Window:
        """Any that a scheduler may choose: from `trim_to`, from before it, or from later in a silence that was heard."""
        start = self.agreement.trim_to
        choice = self.dice.random()
        if choice < 0.3:
            start = max(0, start - round(self.dice.uniform(0, 2) * RATE_HZ))
        elif choice < 0.5:
            later = start + round(self.dice.uniform(0, 2) * RATE_HZ)
            if later < end and all(w.end <= start or w.start >= later + samples(0.1) for w in self.words):
                start = later
        return Window(start, end, final=self.silent(end) and bool(self.dice.random() < 0.7))

    def check(self, delta: TranscriptDelta, now: int) -> None:
        self.committed += delta.committed
        line = [*self.committed, *delta.tentative]
        assert all(a.end <= b.start for a, b in pairwise(line))
        assert all(0 <= w.start < w.end <= delta.heard_to for w in line)
        assert all(w.end > now - samples(BOUND_S) for w in delta.tentative)

    def run(self) -> list[str]:
        end = now = 0
        while end < self.end:
            end = min(self.end, max(end, now) + round(self.dice.uniform(0.1, 1.5) * RATE_HZ))
            hypothesis = self.hypothesis(self.window(end))
            for _ in range(int(self.dice.integers(0, 3))):
                now = max(now, end) + round(self.dice.uniform(*self.delays_s) / 3 * RATE_HZ)
                self.check(self.agreement.advance(now), now)
            now = max(now, end)
            self.check(self.agreement.take(hypothesis, now), now)
            if self.dice.random() < 0.1:  # the same comes again, late
                delta = self.agreement.take(hypothesis, now)
                assert delta.committed == ()
        if self.dice.random() < 0.5:
            self.check(self.agreement.take(self.hypothesis(Window(self.agreement.trim_to, self.end, final=True)), now), now)
        self.check(self.agreement.flush(now), now)
        return texts(tuple(self.committed))


SCHEDULES = 1200


@pytest.mark.parametrize("seed", [0, 50_000])
def test_what_is_heard_without_errors_comes_out_exactly_whatever_the_schedule(seed: int) -> None:
    for talk in (Talk(seed + i) for i in range(SCHEDULES)):
        assert talk.run() == texts(tuple(talk.words)), talk.seed


@given(st.integers(0, 2**32), st.floats(0.0, 0.08), st.floats(0.0, 4.0))
@settings(max_examples=60, deadline=None)
def test_edges_and_delays_change_no_word(seed: int, jitter_s: float, delay_s: float) -> None:
    talk = Talk(seed, jitter_s=jitter_s, delays_s=(0.0, delay_s))
    assert talk.run() == texts(tuple(talk.words))


@given(st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_slips_double_no_word_and_lose_none_that_was_heard_well(seed: int) -> None:
    talk = Talk(seed, unique=True, slips=0.4)
    found = talk.run()
    kept = [text for text in found if not text.startswith("slip")]
    said = texts(tuple(talk.words))
    assert kept == [text for text in said if text in kept]  # each once, and in order
    assert len(found) == len(said)  # a slip stands in the place of its word


HELLO, WORLD, AGAIN = word("Hello", 0.5, 0.9), word("world.", 0.9, 1.3), word("Again", 1.6, 2.0)


def test_a_word_is_committed_when_two_hypotheses_have_it() -> None:
    agreement = Agreement()
    first = agreement.take(heard(0, 2, HELLO, WORLD), samples(2))
    assert (first.committed, texts(first.tentative)) == ((), ["Hello", "world."])
    second = agreement.take(heard(0, 3, word("hello,", 0.52, 0.9), word("world", 0.95, 1.3), AGAIN), samples(3))
    assert (texts(second.committed), texts(second.tentative)) == (["hello,", "world"], ["Again"])  # as heard last, with more after it
    assert second.heard_to == samples(3)
    assert agreement.trim_to <= samples(0.52)


def test_the_same_words_elsewhere_are_no_second_witness() -> None:
    agreement = Agreement()
    agreement.take(heard(0, 2, HELLO, WORLD), samples(2))
    delta = agreement.take(heard(0, 3, word("Hello", 1.7, 2.0), word("world.", 2.0, 2.4)), samples(3))
    assert delta.committed == ()


def test_words_that_agree_wait_for_some_sound_after_them() -> None:
    agreement = Agreement()
    agreement.take(heard(0, 1.6, HELLO, WORLD), samples(1.6))
    soon = seconds(HELLO.end) + AFTER_S
    assert agreement.take(heard(0, soon - 0.01, HELLO, WORLD), samples(soon)).committed == ()
    assert texts(agreement.take(heard(0, soon, HELLO, WORLD), samples(soon)).committed) == ["Hello"]


def test_a_word_that_a_cut_may_have_clipped_is_never_committed() -> None:
    agreement = Agreement()
    for end_s in (1.32, 1.34, 1.36, 1.30 + EDGE_S - 0.01):
        delta = agreement.take(heard(0, end_s, HELLO, WORLD), samples(end_s))
        assert "world." not in texts(delta.committed)
    delta = agreement.advance(samples(9))
    assert (texts(delta.committed), delta.tentative) == (["Hello"], ())  # withdrawn when its time is up
    assert texts(agreement.take(heard(0, 9, HELLO, WORLD), samples(9)).committed) == ["world."]  # heard whole at last: no need to wait


def test_a_final_hypothesis_commits_all_and_the_next_window_begins_in_the_silence() -> None:
    agreement = Agreement()
    assert texts(agreement.take(heard(0, 1.9, HELLO, WORLD, final=True), samples(2.4)).committed) == ["Hello", "world."]
    assert samples(1.4) < agreement.trim_to < samples(1.9)
    assert agreement.settled_to == samples(1.9)


def test_a_final_that_ends_before_the_last_partial_is_heard() -> None:
    agreement = Agreement()
    agreement.take(heard(0, 2.2, HELLO), samples(2.2))
    delta = agreement.take(heard(0, 1.9, HELLO, WORLD, final=True), samples(2.4))
    assert (texts(delta.committed), delta.heard_to, agreement.ignored) == (["Hello", "world."], samples(2.2), 0)


def test_old_hypotheses_are_ignored_and_counted() -> None:
    agreement = Agreement()
    agreement.take(heard(0, 2, HELLO), samples(2))
    agreement.take(heard(0, 1.8, HELLO, WORLD), samples(2))  # came after a longer one
    agreement.take(heard(0, 3, HELLO, WORLD, final=True), samples(3))
    agreement.take(heard(0, 2.5, HELLO, WORLD, final=True), samples(3))  # of what is settled
    delta = agreement.take(heard(0, 3, HELLO, WORLD), samples(3))
    assert (delta.committed, delta.tentative, agreement.ignored) == ((), (), 3)


def test_silence_changes_nothing_and_withdraws_what_was_only_imagined() -> None:
    agreement = Agreement()
    for end_s in range(1, 60):
        assert agreement.take(heard(end_s - 1, end_s, final=end_s % 3 == 0), samples(end_s)).committed == ()
    agreement.take(heard(60, 61, word("you", 60.2, 60.4)), samples(61))
    agreement.take(heard(60, 62), samples(62))
    assert agreement.advance(samples(70)) == TranscriptDelta((), (), samples(62))
    assert agreement.flush(samples(70)).committed == ()


def test_a_recogniser_that_never_agrees_holds_nothing_up() -> None:
    """Each window gives every word another text, as noise would; all still come out, and windows stay short."""
    agreement = Agreement()
    count, longest = 0, 0
    for tick in range(1, 121):
        end, start = tick * RATE_HZ // 2, agreement.trim_to
        spoken = range(-(-start // 8000) * 8000, end - 4800, 8000)
        words = tuple(Word(f"w{tick}x{at}", at + 800, at + 4800, 0.5) for at in spoken if at >= start)
        delta = agreement.take(Hypothesis(Window(start, end, False), words), end)
        count += len(delta.committed)
        longest = max(longest, end - agreement.trim_to)
        assert all(w.end > end - samples(BOUND_S) for w in delta.tentative)
    assert count >= 110
    assert agreement.forced == count
    assert longest < samples(BOUND_S + 2)


def test_windows_stay_short_even_if_nothing_is_ever_committed() -> None:
    agreement = Agreement()
    for end_s in range(1, 100):
        start = agreement.trim_to
        agreement.take(Hypothesis(Window(start, samples(end_s), False), (Word("mm", start, samples(end_s), 0.1),)), samples(end_s))
        assert samples(end_s) - agreement.trim_to <= samples(LONGEST_S)


def test_audio_that_comes_all_at_once_is_not_skipped() -> None:
    """After a lost connection a minute is there at once, and is recognised piece by piece."""
    agreement = Agreement()
    said = [word(f"w{i}", i, i + 0.6) for i in range(60)]
    committed: list[Word] = []
    agreement.advance(samples(61))
    while agreement.trim_to < samples(57):
        start = agreement.trim_to
        end = min(start + samples(20.3), samples(61))
        within = tuple(w for w in said if w.start >= start and w.end <= end)
        committed += agreement.take(Hypothesis(Window(start, end, end == samples(61)), within), samples(61)).committed
    assert committed == said


def test_time_alone_commits_what_no_hypothesis_comes_to_confirm() -> None:
    agreement = Agreement()
    agreement.take(heard(0, 2, HELLO, WORLD), samples(2))
    assert agreement.advance(samples(0.9 + BOUND_S) - 1).committed == ()
    assert texts(agreement.advance(samples(0.9 + BOUND_S)).committed) == ["Hello"]
    assert texts(agreement.advance(samples(1.3 + BOUND_S)).committed) == ["world."]


def test_words_that_the_next_window_leaves_behind_are_kept() -> None:
    agreement = Agreement()
    agreement.take(heard(0, 2, HELLO, WORLD), samples(2))
    delta = agreement.take(heard(1.5, 3, AGAIN), samples(3))
    assert (texts(delta.committed), texts(delta.tentative)) == (["Hello", "world."], ["Again"])


def test_what_was_committed_is_not_heard_again_in_other_words() -> None:
    agreement = Agreement()
    agreement.take(heard(0, 2, word("I", 0.4, 0.5), word("cannot", 0.5, 1.0), final=True), samples(2))
    again = heard(0, 3, word("I", 0.4, 0.5), word("can", 0.5, 0.7), word("not", 0.7, 1.0), word("go.", 2.1, 2.4), final=True)
    assert texts(agreement.take(again, samples(3)).committed) == ["go."]


def test_a_word_said_twice_is_told_apart_by_its_neighbours() -> None:
    the, cat = word("the", 1.5, 1.6), word("cat", 1.6, 1.85)
    agreement = Agreement()
    agreement.take(heard(0, 2.1, the, cat, word("the", 1.9, 2.0)), samples(2.1))
    agreement.flush(samples(2.1))
    again = heard(1, 4, the, cat, word("a", 1.9, 2.0), word("sat", 2.4, 2.7), final=True)
    assert texts(agreement.take(again, samples(4)).committed) == ["sat"]


def test_a_window_that_begins_after_a_word_cannot_hear_it_again() -> None:
    agreement = Agreement()
    agreement.take(heard(0, 1.15, word("no", 1.0, 1.1)), samples(1.15))
    agreement.flush(samples(1.2))
    assert texts(agreement.take(heard(1.2, 2.5, word("no", 1.3, 1.4), final=True), samples(2.5)).committed) == ["no"]


def test_the_next_window_need_not_hold_a_long_gap() -> None:
    agreement = Agreement()
    agreement.take(heard(0, 6, HELLO, word("there", 5, 5.3)), samples(6))
    agreement.take(heard(0, 7, HELLO, word("there", 5, 5.3)), samples(7))
    assert samples(4.5) < agreement.trim_to < samples(5)


def test_signs_and_words_in_the_padding_are_no_words() -> None:
    agreement = Agreement()
    agreement.take(heard(0, 2.5), samples(2.5))
    delta = agreement.take(heard(0, 2, HELLO, word("\u266a", 1, 1.2), word("you", 2.0, 2.4), final=True), samples(2.5))
    assert texts(delta.committed) == ["Hello"]


def test_a_loop_is_cut_to_its_first_copy() -> None:
    copies = [word(text, 1 + 0.1 * i, 1.1 + 0.1 * i) for i, text in enumerate(["thank", "you."] * 5)]
    agreement = Agreement()
    assert texts(agreement.take(heard(0, 3, HELLO, *copies, final=True), samples(3)).committed) == ["Hello", "thank", "you."]
    assert agreement.looped == 1


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("it was the best of times it was the worst of times it was the age", None),
        ("no no no no", None),  # short enough to be said
        ("bigger bigger bigger bigger is what I said", None),  # goes on: meant
        ("so thank you thank you thank you thank you thank", "so thank you"),
        ("hello " + "ha" * 20, "hello " + "ha" * 20),  # in one word: nothing to cut
    ],
)
def test_what_is_a_loop(text: str, kept: str | None) -> None:
    words = [word(w, i, i + 1) for i, w in enumerate(text.split())]
    assert " ".join(w.text for w in before_loop(words)) == (kept or text)
    assert repetitive(text) == (kept is not None or "bigger" in text)


def test_words_after_a_flush_go_on() -> None:
    agreement = Agreement()
    agreement.take(heard(0, 1.35, HELLO, WORLD), samples(1.4))
    assert texts(agreement.flush(samples(1.4)).committed) == ["Hello", "world."]
    assert texts(agreement.take(heard(0, 3, HELLO, WORLD, AGAIN, final=True), samples(3)).committed) == ["Again"]
