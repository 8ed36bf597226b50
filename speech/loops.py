"""Loops: a recogniser that does not know where to stop says the same thing over and over."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from speech.words import Word

_LOOP = re.compile(r"(.{2,80}?)\1{3,}")
_SHORTEST = 24  # characters: "no, no, no, no" is said by people


def repetitive(text: str) -> bool:
    """Whether a text holds a loop: something of 2 to 80 characters said at least four times on end, over at least 24 characters.

    Not the compression ratio of Radford et al. 2022, which also takes honest anaphora ("it was the best of times, it was ...") for a loop.
    """
    return any(True for _ in _loops(text.lower() + " "))


def before_loop(words: Sequence[Word]) -> Sequence[Word]:
    """The words up to the end of the first copy of what is looped to the last word; all of them where nothing is.

    A recogniser does not get out of a loop: what goes on after it was repeated by the speaker.
    """
    text = "".join(word.text.lower() + " " for word in words)
    found = next((loop for loop in _loops(text) if loop[1].startswith(text[loop.end() :].rstrip())), None)
    if found is None:
        return words
    kept, length = 0, 0
    while length < found.end(1) - 1:  # a copy may begin with the blank before its first word or end with the one after its last
        length += len(words[kept].text) + 1
        kept += 1
    return words[:kept]


def _loops(text: str) -> Iterator[re.Match[str]]:
    # Four copies hold some whole word three times, or lie in one long word. Most texts do not, and the search costs a hundred times more.
    words = Counter(text.split())
    if max(words.values(), default=0) >= 3 or max(map(len, words), default=0) >= _SHORTEST:
        yield from (found for found in _LOOP.finditer(text) if len(found[0]) >= _SHORTEST)
