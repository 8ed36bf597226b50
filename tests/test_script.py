"""What was said laid beside what was to be read: every planted difference is found, and nothing else."""

import numpy as np
import pytest

from speech.goodness import goodness, level, share
from speech.script import Compared, compare, tokens, words_of

SOUNDS = {
    "there": frozenset({("DH", "EH", "R")}),
    "their": frozenset({("DH", "EH", "R")}),
    "a": frozenset({("AH",)}),
    "part": frozenset({("P", "AA", "R", "T")}),
    "apart": frozenset({("AH", "P", "AA", "R", "T")}),
}


def compared(script: str, heard: str) -> Compared:
    return compare(words_of(script), words_of(heard), SOUNDS)


def odd(found: Compared) -> dict[str, str]:
    """The words that were not read as written."""
    return {word.text: word.verdict for word in found.words if word.verdict != "read"}


@pytest.mark.parametrize(
    ("script", "heard"),
    [
        ("It was the best of times.", "it was the best of times"),
        ("Don't say you can't; they're here.", "do not say you cannot, they are here"),
        ("In 1984, 25 men paid $3.50", "in nineteen eighty-four twenty five men paid three dollars fifty"),
        ("A hundred and five cats", "105 cats"),
        ("one hundred and cats", "a hundred and cats"),
        ("Over there — a part of it", "over their apart of it"),
        ("Mr. Smith & Mrs Jones", "Mister Smith and missus Jones"),
    ],
)
def test_the_same_in_other_letters_is_the_same(script: str, heard: str) -> None:
    found = compared(script, heard)
    assert odd(found) == {}
    assert found.added == found.again == ()
    assert found.completeness == found.accuracy == 1.0


def test_a_word_left_out_one_said_otherwise_and_one_added_are_told_apart() -> None:
    found = compared("it was the season of Light and of hope", "it was really the season Light and of hop")
    assert odd(found) == {"of": "left_out", "hope": "otherwise"}
    assert found.added == (2,)
    assert found.completeness == pytest.approx(8 / 9)
    assert found.accuracy == pytest.approx(7 / 8)


def test_what_is_said_twice_is_no_slip_of_reading_and_its_last_time_counts() -> None:
    found = compared("I want to go home", "I wa- want to want to go home")
    assert odd(found) == {}
    assert found.again == (1, 2, 3)
    assert [word.heard for word in found.words] == [(0,), (4,), (5,), (6,), (7,)]
    assert found.added == ()


def test_a_text_that_is_broken_off_is_right_as_far_as_it_goes() -> None:
    found = compared("one two three four five six seven eight nine ten", "one two three four")
    assert found.completeness == pytest.approx(0.4)
    assert found.accuracy == 1.0


def test_nothing_said_and_nothing_to_read() -> None:
    assert compared("one two", "").completeness == 0.0
    assert compared("one two", "").accuracy is None
    assert compared("", "one two").completeness is None
    assert compared("", "one two").added == (0, 1)


def test_planted_slips_in_a_long_text_are_found_again() -> None:
    rng = np.random.default_rng(3)
    script = ["".join("abcdefghij"[int(digit)] for digit in str(number)) for number in rng.integers(0, 400, 2000)]
    heard, gone, changed = [], set(), set()
    for i, word in enumerate(script):
        slip = rng.random()
        if slip < 0.03:
            gone.add(i)
            continue
        if slip < 0.06:
            changed.add(i)
        heard.append("zz" if i in changed else word)
    found = compare(script, heard, {})
    left_out = {i for i, word in enumerate(found.words) if word.verdict == "left_out"}
    otherwise = {i for i, word in enumerate(found.words) if word.verdict == "otherwise"}
    assert len(left_out) == len(gone)
    assert len(left_out & gone) >= 0.9 * len(gone)  # beside a changed word either may be the one
    assert len(otherwise & changed) >= 0.9 * len(changed)


def test_a_word_keeps_its_punctuation_and_compares_without() -> None:
    assert words_of("Hello , world — yes !") == ["Hello ,", "world —", "yes !"]
    assert tokens("“Well-known,”") == ("well", "known")
    assert tokens("3rd") == ("third",)


# goodness


def test_goodness_runs_from_another_word_to_a_sure_one() -> None:
    assert [goodness(0.0), goodness(1.0)] == [0.0, 1.0]
    assert [level(True, goodness(0.9)), level(True, goodness(0.001)), level(False, goodness(0.001))] == ["clear", "unsure", "other"]


def test_intervals_of_shares_cover_what_was_planted() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(400):
        flags = rng.random(300) < 0.9
        _, low, high = share(flags.tolist())
        assert low is not None
        assert high is not None
        covered += low <= 0.9 <= high
    assert covered >= 0.91 * 400
    assert share([True] * 20) == (1.0, None, None)
    assert share([True] * 100) == (1.0, 1 - 3.69 / 100, 1.0)
