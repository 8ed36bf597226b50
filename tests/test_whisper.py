"""The recogniser itself: known sentences in, their words, places and language out; and how a loop is told from honest prose."""

from itertools import pairwise

import numpy as np
import pytest

from recognition.whisper import Decoded, Encoded, Recogniser
from speech.audio import RATE_HZ, Floats
from speech.edges import Placed
from speech.loops import repetitive
from tests.samples import recording

FIRST = "it was the best of times it was the worst of times"
SECOND = "it was the age of wisdom it was the age of foolishness"


def piece(start_s: float, end_s: float) -> Floats:
    return recording()[round(start_s * RATE_HZ) : round(end_s * RATE_HZ)]


def bare(text: str) -> str:
    return "".join(c for c in text.lower() if c.isalpha() or c in " '").strip()


@pytest.fixture(scope="module")
def windows() -> list[Floats]:
    return [piece(1.0, 4.8), piece(4.8, 8.5)]


@pytest.fixture(scope="module")
def encoded(recogniser: Recogniser, windows: list[Floats]) -> Encoded:
    return recogniser.encode(windows)


@pytest.fixture(scope="module")
def placed(recogniser: Recogniser, encoded: Encoded) -> list[list[Placed]]:
    return recogniser.place(encoded, recogniser.decode(encoded, "en"), "en")


def test_each_window_has_the_words_that_were_said_in_it(placed: list[list[Placed]]) -> None:
    assert [bare(" ".join(p.word.text for p in window)) for window in placed] == [FIRST, SECOND]


def test_words_lie_in_order_inside_their_window(placed: list[list[Placed]], windows: list[Floats]) -> None:
    for window, sound in zip(placed, windows, strict=True):
        for p in window:
            assert 0 <= p.word.start <= p.word.end <= sound.size
            assert p.word.start <= p.first_done <= p.word.end
            assert p.word.start <= p.last_begun <= p.word.end
            assert 0.0 <= p.word.probability <= 1.0
            assert p.word.kind == "word"
        assert all(a.word.end <= b.word.start for a, b in pairwise(window))


def test_the_recogniser_is_sure_of_clear_speech(recogniser: Recogniser, encoded: Encoded) -> None:
    for decoded in recogniser.decode(encoded, "en"):
        assert -0.5 < decoded.log_probability <= 0.0
        assert decoded.no_speech < 0.3


def test_text_is_cut_into_the_tokens_that_the_decoder_writes(recogniser: Recogniser, encoded: Encoded) -> None:
    for decoded in recogniser.decode(encoded, "en"):
        assert recogniser.tokens(recogniser.text(decoded.tokens)) == list(decoded.tokens)  # " the" among them


def test_the_language_is_english(recogniser: Recogniser, encoded: Encoded) -> None:
    for window in recogniser.languages(encoded):
        assert sum(window.values()) == pytest.approx(1.0, abs=1e-3)
        assert max(window, key=lambda code: window[code]) == "en"


def test_company_changes_no_word_and_hardly_a_time(recogniser: Recogniser, windows: list[Floats], placed: list[list[Placed]]) -> None:
    company = recogniser.encode([windows[0], piece(25.0, 36.0)])
    together = recogniser.place(company, recogniser.decode(company, "en"), "en")[0]
    assert [bare(p.word.text) for p in together] == [bare(p.word.text) for p in placed[0]]
    moved = [abs(a.word.start - b.word.start) for a, b in zip(together, placed[0], strict=True)]
    assert max(moved) <= 0.06 * RATE_HZ


def test_a_window_is_encoded_no_further_than_it_needs(recogniser: Recogniser) -> None:
    short = recogniser.encode([np.zeros(RATE_HZ, np.float32)])
    long = recogniser.encode([np.zeros(20 * RATE_HZ, np.float32)])
    assert [e.states.shape[1] * 320 / RATE_HZ for e in (short, long)] == [12.0, 23.0]
    assert short.samples == (RATE_HZ,)


@pytest.mark.parametrize("samples", [1, 160, 1600])
def test_the_shortest_windows_do_no_harm(recogniser: Recogniser, samples: int) -> None:
    encoded = recogniser.encode([np.zeros(samples, np.float32)])
    for p in recogniser.place(encoded, recogniser.decode(encoded, "en"), "en")[0]:
        assert 0 <= p.word.start <= p.word.end <= samples


# loops


LOOPS = [
    "thank you. " * 4,
    "I don't know what to do. " * 10,
    "and so on and so on and so on and so on and so on",
    "uh, " * 40,
    "1-2-3-4" + "-4" * 60,
    "We went there. " + "the the the the the the the the " * 5,
]
# Anaphora, as speakers are taught to use it.
ANAPHORA = (
    "It was the best of times, it was the worst of times. It was the age of wisdom, it was the age of foolishness. It was the epoch of "
    "belief, it was the epoch of incredulity. It was the season of light, it was the season of darkness. It was the spring of hope, it was "
    "the winter of despair. We had everything before us, we had nothing before us."
)
HONEST = [
    "",
    "No.",
    "no, no, no!",
    "It was very, very, very good.",
    "We choose to go to the moon in this decade and do the other things, not because they are easy, but because they are hard.",
    "Ask not what your country can do for you, ask what you can do for your country.",
    ANAPHORA,
    "We shall fight on the beaches, we shall fight on the landing grounds, we shall fight in the fields and in the streets, we shall "
    "fight in the hills; we shall never surrender.",
    "Government of the people, by the people, for the people, shall not perish from the earth.",
    "One, two, three, four, five, six, seven, eight, nine, ten.",
]


@pytest.mark.parametrize("text", LOOPS)
def test_a_loop_is_one(text: str) -> None:
    assert repetitive(text)


@pytest.mark.parametrize("text", HONEST)
def test_honest_prose_is_none(text: str) -> None:
    assert not repetitive(text)


def test_anaphora_is_none_without_its_punctuation_either() -> None:
    assert not repetitive(bare(ANAPHORA))


def test_more_text_than_can_be_cut_into_letters_is_placed_by_words(recogniser: Recogniser, windows: list[Floats]) -> None:
    encoded = recogniser.encode(windows[:1])
    tokens = recogniser.decode(encoded, "en")[0].tokens * 14
    placed = recogniser.place(encoded, [Decoded(tokens, (1.0,) * len(tokens), -0.1, 0.0)], "en")[0]
    assert len(placed) == 14 * len(FIRST.split())
    starts = [p.word.start for p in placed]
    assert starts == sorted(starts)
