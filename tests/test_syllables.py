import pytest

from recognition.lexicon import syllable_counts
from speech import syllables

SAID = [
    ("hello", 2),
    ("Hello,", 2),
    ("1984", 5),
    ("2005", 4),
    ("$5", 3),
    ("$3.50", 5),
    ("3rd", 1),
    ("20th", 3),
    ("21st", 3),
    ("50%", 4),
    ("2,500", 6),
    ("10:30", 3),
    ("1980s", 4),
    ("0.5", 4),
    ("USA", 3),
    ("NASA", 2),
    ("WWW", 9),
    ("U.S.", 2),
    ("twenty-five", 3),
    ("dog's", 1),
    ("boss's", 2),
    ("don’t", 1),
    ("COLD", 1),
    ("5k", 3),
    ("—", 0),
    ("...", 0),
]


@pytest.mark.parametrize(("text", "expected"), SAID)
def test_a_written_word_has_the_syllables_with_which_it_is_said(text: str, expected: int) -> None:
    assert syllables.count(text, syllable_counts()) == expected


def test_the_rule_alone_is_right_for_nine_dictionary_words_in_ten() -> None:
    known = {word: n for i, (word, n) in enumerate(sorted(syllable_counts().items())) if word.isalpha() and i % 20 == 0}
    errors = [syllables.by_rule(word) - n for word, n in known.items()]
    assert len(known) > 4000
    assert sum(error == 0 for error in errors) / len(errors) > 0.9
    assert abs(sum(errors)) / sum(known.values()) < 0.03  # a rate over many words hardly shifts


@pytest.mark.parametrize(
    ("text", "expected"), [("hola", 2), ("Straße", 2), ("привет", 2), ("καλημέρα", 4), ("東京", 2), ("안녕하세요", 5), ("mañana", 3)]
)
def test_other_languages_count_groups_of_vowels(text: str, expected: int) -> None:
    assert syllables.count(text, {}, language="xx") == expected


def test_cardinals() -> None:
    assert " ".join(syllables.cardinal(1_234_567)) == "one million two hundred thirty four thousand five hundred sixty seven"
    assert syllables.cardinal(10**15)[:2] == ["one", "zero"]
