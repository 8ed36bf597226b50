import numpy as np
import pytest

from speech.audio import RATE_HZ
from speech.disfluencies import abandoned, disfluencies, lengthenings
from speech.words import Word, WordKind

FILLERS = {"um", "uh", "um,", "uh,"}


def spoken(text: str, word_s: float = 0.2, gap_s: float = 0.05) -> tuple[Word, ...]:
    """Words of equal length; `[1.5]` is a pause of that many seconds, um and uh are fillers, a trailing hyphen is a fragment."""
    words, at = [], 0.0
    for token in text.split():
        if token.startswith("["):
            at += float(token[1:-1])
            continue
        kind: WordKind = "filler" if token.lower() in FILLERS else "fragment" if token.endswith("-") else "word"
        words.append(Word(token, round(at * RATE_HZ), round((at + word_s) * RATE_HZ), 0.9, kind))
        at += word_s + gap_s
    return tuple(words)


PLANTED = [
    ("the the house is old", [("repetition", "the")]),
    ("I was I was going home", [("repetition", "I was")]),
    ("and I I think so", [("repetition", "I")]),
    ("we go to the we go to the market", [("repetition", "we go to the")]),
    ("it is in um in the box", [("repetition", "in")]),
    ("it is in, uh, [1.5] in the box", [("repetition", "in,")]),
    ("and the the the end", [("repetition", "the"), ("repetition", "the")]),
    ("I I'm not sure", [("repetition", "I")]),
    ("kids kids are fun", [("repetition", "kids")]),
    ("I wan- I wanted to go", [("false_start", "I wan-")]),
    ("I wan- wanted to go", [("false_start", "wan-")]),
    ("then we de- uh de- decided", [("false_start", "de- uh de-")]),
    ("it was in the hou- in the garden", [("false_start", "in the hou-")]),
    ("and th- nobody came", [("false_start", "th-")]),
    ("I went, I want to go", [("false_start", "I went,")]),
    ("I went um I want to go", [("false_start", "I went")]),
    ("she is [0.5] she was going", [("false_start", "she is")]),
    ("this is the my house", [("false_start", "the")]),
    ("and it, it was cold", [("repetition", "it,")]),
    ("and he she went home", [("false_start", "he")]),
]
FLUENT = [
    "I know that that man had had enough",
    "it is very very good",
    "okay bye bye",
    "no no that is fine",
    "call one one two now",
    "the code is b b c",
    "over and over and over it came",
    "I came, I saw, I conquered",
    "Go home. Home is good",
    "the thing that I know I love",
    "it is a long long way",
    "he, I think, is right",
    "I see, I know him",
    "we read it again and again",
    "vitamin A the best of all",
    "you do what you do",
    "nine nine nine",
    "thank you thank you all",
    "I know. I know him",
    "she said she would",
    "I wanted what I want",
    "I saw it, it was big",
    "wherever you are, you can call",
    "when I went, [0.5] I wanted to stay",
]


@pytest.mark.parametrize(("text", "expected"), PLANTED)
def test_planted_disfluencies_are_found_with_their_span(text: str, expected: list[tuple[str, str]]) -> None:
    words = spoken(text)
    found = disfluencies(words)
    assert [(d.kind, d.text) for d in found] == expected
    for d in found:
        assert d.start in {w.start for w in words}
        assert d.end in {w.end for w in words}


@pytest.mark.parametrize("text", FLUENT)
def test_meant_doubles_are_no_disfluency(text: str) -> None:
    assert disfluencies(spoken(text)) == ()


def test_after_a_long_break_a_person_starts_afresh() -> None:
    assert len(disfluencies(spoken("so we [2.5] we left"))) == 1
    assert disfluencies(spoken("so we [3.5] we left")) == ()


def test_without_the_given_up_words_stands_what_was_meant() -> None:
    words = spoken("I I wan- I wanted um to to go")
    gone = abandoned(words)
    assert " ".join(w.text for i, w in enumerate(words) if i not in gone and w.kind == "word") == "I wanted to go"


def paced(texts: list[str], seed: int, factor: float = 1.0) -> tuple[list[Word], np.random.Generator]:
    rng = np.random.default_rng(seed)
    words, at = [], 0
    for text in texts:
        length = round(factor * (0.14 if text in ("the", "to", "and", "so") else 0.28) * RATE_HZ * float(np.exp(rng.normal(0, 0.25))))
        words.append(Word(text, at, at + length, 0.9))
        at += length + round(0.02 * RATE_HZ)
    return words, rng


def stretched(words: list[Word], i: int, length_s: float, pause_s: float = 0.0) -> list[Word]:
    longer = round(length_s * RATE_HZ) - (words[i].end - words[i].start)
    shift = longer + round(pause_s * RATE_HZ)
    return [
        *words[:i],
        Word(words[i].text, words[i].start, words[i].end + longer, 0.9),
        *(Word(w.text, w.start + shift, w.end + shift, 0.9) for w in words[i + 1 :]),
    ]


SENTENCE = "the man and dog to town so men walk the road and sing to crowds"
TEXTS = SENTENCE.split() * 6


def test_a_held_function_word_is_found_and_normal_pace_is_not() -> None:
    words, _ = paced(TEXTS, seed=1)
    assert lengthenings(words, [1] * len(words)) == ()
    held = lengthenings(stretched(words, 30, 0.7), [1] * len(words))
    assert [(d.kind, d.start) for d in held] == [("lengthening", words[30].start)]


def test_final_lengthening_before_a_pause_does_not_count_by_itself() -> None:
    words, _ = paced(TEXTS, seed=2)
    ones = [1] * len(words)
    at = 16  # "man": 0.28 s at the usual pace
    assert lengthenings(stretched(words, at, 0.28 * 1.8, pause_s=0.6), ones) == ()
    assert len(lengthenings(stretched(words, at, 1.6, pause_s=0.6), ones)) == 1


@pytest.mark.parametrize(("factor", "length_s"), [(0.4, 0.9), (1.8, 1.2)])
def test_final_lengthening_is_allowed_for_at_every_pace(factor: float, length_s: float) -> None:
    words, _ = paced(TEXTS, seed=5, factor=factor)
    ones = [1] * len(words)
    assert lengthenings(stretched(words, 16, length_s, pause_s=0.6), ones) == ()
    assert len(lengthenings(stretched(words, 16, length_s), ones)) == 1


def test_a_long_word_is_judged_by_its_syllables() -> None:
    words, _ = paced(TEXTS, seed=3)
    ones = [1] * len(words)
    longer = stretched(words, 17, 1.2)
    assert lengthenings(longer, [4 if i == 17 else 1 for i in range(len(words))]) == ()
    assert len(lengthenings(longer, ones)) == 1


def test_too_few_words_tell_no_pace() -> None:
    words, _ = paced(TEXTS[:20], seed=4)
    assert lengthenings(stretched(words, 5, 1.0), [1] * 20) == ()
    with pytest.raises(ValueError, match="20 words but 1"):
        lengthenings(words, [1])
