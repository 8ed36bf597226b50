"""Word edges: planted silences between aligned words, and where the edges go."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from speech.audio import HOP, RATE_HZ, Span
from speech.edges import Placed, refine
from speech.words import Word

SHORTEST = 2 * HOP


def at(ms: int) -> int:
    return ms * RATE_HZ // 1000


def placed(start_ms: int, end_ms: int, first_done_ms: int, last_begun_ms: int, text: str = "word") -> Placed:
    return Placed(Word(text, at(start_ms), at(end_ms), 0.9), at(first_done_ms), at(last_begun_ms))


def span(start_ms: int, end_ms: int) -> Span:
    return Span(at(start_ms), at(end_ms))


def edges_ms(words: tuple[Word, ...]) -> list[tuple[int, int]]:
    return [(w.start * 1000 // RATE_HZ, w.end * 1000 // RATE_HZ) for w in words]


TWO = (placed(100, 500, 200, 400), placed(500, 900, 700, 800))  # aligned without a gap


def test_a_silence_between_two_words_parts_them() -> None:
    assert edges_ms(refine(TWO, [span(450, 620)])) == [(100, 450), (620, 900)]


def test_without_a_silence_the_aligned_edge_stays() -> None:
    assert edges_ms(refine(TWO, [])) == [(100, 500), (500, 900)]


def test_the_pause_may_lie_to_either_side_of_the_aligned_edge() -> None:
    assert edges_ms(refine(TWO, [span(410, 480)])) == [(100, 410), (480, 900)]
    assert edges_ms(refine(TWO, [span(560, 690)])) == [(100, 560), (690, 900)]


def test_the_longest_of_several_silences_is_the_pause() -> None:
    assert edges_ms(refine(TWO, [span(410, 480), span(520, 690)])) == [(100, 520), (690, 900)]
    assert edges_ms(refine(TWO, [span(410, 530), span(600, 670)])) == [(100, 410), (530, 900)]


def test_a_closure_of_less_than_sixty_ms_is_no_edge() -> None:
    assert edges_ms(refine(TWO, [span(480, 530)])) == [(100, 500), (500, 900)]
    assert edges_ms(refine(TWO, [span(480, 540)])) == [(100, 480), (540, 900)]


def test_a_silence_inside_a_word_is_none_of_its_edges() -> None:
    assert edges_ms(refine(TWO, [span(220, 390)])) == [(100, 500), (500, 900)]


def test_silence_before_the_first_and_after_the_last_word_is_cut_off() -> None:
    assert edges_ms(refine(TWO, [span(0, 180), span(820, 2000)])) == [(180, 500), (500, 820)]


def test_a_long_pause_between_sentences_is_found_whole() -> None:
    words = (placed(100, 3400, 200, 400), placed(3400, 3900, 3500, 3800))
    assert edges_ms(refine(words, [span(520, 3420)])) == [(100, 520), (3420, 3900)]


def test_each_of_three_words_gets_its_own_silence() -> None:
    words = (placed(100, 500, 200, 400), placed(500, 900, 600, 800), placed(900, 1300, 1000, 1200))
    assert edges_ms(refine(words, [span(430, 510), span(810, 950)])) == [(100, 430), (510, 810), (950, 1300)]


def test_text_probability_and_kind_stay() -> None:
    word = Word("um,", at(100), at(500), 0.3, "filler")
    (out,) = refine([Placed(word, at(200), at(400))], [span(0, 150)])
    assert (out.text, out.probability, out.kind) == ("um,", 0.3, "filler")


def test_no_words_have_no_edges() -> None:
    assert refine([], [span(0, 100)]) == ()


@st.composite
def alignments(draw: st.DrawFn) -> tuple[list[Placed], list[Span]]:
    """What an aligner may give: words in order, empty ones and ones on top of one another among them; any silences in order."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(1, 30))
    edges = np.cumsum(rng.choice([0, 0, 1, 5, 20, 100], count + 1)) * 2 * HOP
    words = []
    for a, b in pairwise(edges.tolist()):
        done, begun = sorted(rng.integers(a, b + 1, 2).tolist())
        if draw(st.booleans()):
            done, begun = begun, done  # of a word of two letters the first sounds are over after the last began
        words.append(Placed(Word("w", a, b, 0.5), done, begun))
    cuts = np.unique(rng.integers(0, edges[-1] + 100 * HOP, 2 * draw(st.integers(0, 20)))).tolist()
    return words, [Span(a, b) for a, b in zip(cuts[::2], cuts[1::2], strict=False)]


@settings(max_examples=300, deadline=None)
@given(alignments())
def test_words_never_overlap_and_none_is_empty(case: tuple[list[Placed], list[Span]]) -> None:
    words = refine(*case)
    assert len(words) == len(case[0])
    assert all(w.end - w.start >= SHORTEST for w in words)
    assert all(a.end <= b.start for a, b in pairwise(words))
