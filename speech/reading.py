"""A text that is read aloud, and which of its words the words that were said are."""

from collections.abc import Sequence
from dataclasses import dataclass

_PUNCTUATION = ".,;:!?…\"'’-–—()[] "


@dataclass(frozen=True, slots=True)
class Reading:
    """A text with places to breathe and words that are to stand out. Numbers are indices of words."""

    words: tuple[str, ...]  # as printed
    breaths: frozenset[int]  # a breath follows these
    marked: tuple[int, ...]
    sentences: tuple[int, ...]  # which sentence each word belongs to


def reading(text: str) -> Reading:
    """The text of a drill: `/` is a place to breathe, *word* is to stand out. See config/passages.toml."""
    words: list[str] = []
    breaths, marked, sentences = set[int](), list[int](), list[int]()
    sentence = 0
    for token in text.split():
        if token == "/":
            breaths.add(len(words) - 1)
            continue
        if token.startswith("*"):
            marked.append(len(words))
        words.append(token.replace("*", ""))
        sentences.append(sentence)
        sentence += words[-1].endswith((".", "?", "!"))
    return Reading(tuple(words), frozenset(breaths), tuple(marked), tuple(sentences))


def plain(word: str) -> str:
    """A word as it is compared: in small letters, without punctuation."""
    return word.strip(_PUNCTUATION).casefold().replace("’", "").replace("'", "")


def aligned(said: Sequence[str], text: Sequence[str]) -> tuple[int | None, ...]:
    """For each word that was said, the word of the text that stands there; None for one that was added. Fewest changes; O(n * m).

    A word that was misread or misheard stands in the place of the one it was read for.
    """
    spoken, written = [plain(word) for word in said], [plain(word) for word in text]
    cost = [list(range(len(written) + 1))]
    for i, word in enumerate(spoken, 1):
        before, row = cost[-1], [i]
        for j, other in enumerate(written, 1):
            row.append(min(before[j - 1] + (word != other), before[j] + 1, row[j - 1] + 1))
        cost.append(row)
    # Who stops early has left nothing out: what comes after the last word costs nothing.
    i = len(spoken)
    j = min(range(len(written) + 1), key=lambda end: cost[i][end])
    found: list[int | None] = [None] * len(spoken)
    while i and j:
        if cost[i][j] == cost[i - 1][j - 1] + (spoken[i - 1] != written[j - 1]):
            i, j = i - 1, j - 1
            found[i] = j
        elif cost[i][j] == cost[i - 1][j] + 1:
            i -= 1
        else:
            j -= 1
    return tuple(found)
