"""What is spoken in a drill: topics, passages, sentences and pairs of words, by level."""

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

FILE = Path(__file__).parent / "passages.toml"
CARRIERS = ("The word is *{}*.", "I said *{}* again.", "Write down *{}* here.", "Now say *{}* once.")
PAIRS_AT_ONCE = 5  # of one contrast: ten words to say

Name = Annotated[str, Meta(pattern="^[a-z][a-z-]*$", max_length=40)]
Level = Literal["A2", "B1", "B2", "C1"]
LEVELS: tuple[Level, ...] = ("A2", "B1", "B2", "C1")
UNKNOWN_LEVEL: Level = "B1"
Kind = Literal["topic", "passage", "sentences", "pairs"]


class Text(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something to speak, or to speak about."""

    id: Name
    level: Level
    text: Annotated[str, Meta(min_length=1)]


class Contrast(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Two sounds, and pairs of words that only they tell apart."""

    id: Name
    phones: tuple[str, str]  # of CMUdict
    title: str
    pairs: tuple[tuple[str, str], ...]


class Passages(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All there is."""

    passages: tuple[Text, ...]
    topics: tuple[Text, ...]
    sentences: tuple[Text, ...]
    contrasts: tuple[Contrast, ...]

    def __post_init__(self) -> None:
        if any("/" not in one.text for one in self.passages):
            raise ValueError("a passage has places to breathe")
        if any(one.text.count("*") != 2 * (one.text.count(". ") + 1) for one in self.sentences):
            raise ValueError("each sentence has one marked word")
        if any(len(one.pairs) < PAIRS_AT_ONCE for one in self.contrasts):
            raise ValueError(f"a contrast has {PAIRS_AT_ONCE} pairs at least")

    def unseen(self, kind: Kind, level: Level, seen: Sequence[str], contrast: str | None = None) -> tuple[str, str]:
        """The id and the text of the next to be spoken. seen: ids of those spoken before, the newest first.

        One never seen of this level, else of the levels around it, else the one seen longest ago: never the last one again.
        """
        found = self._of(kind, contrast)
        order = {id: number for number, id in reversed(list(enumerate(seen)))}  # when it was spoken last
        far = {name: abs(LEVELS.index(name) - LEVELS.index(level)) for name in LEVELS}
        best = min(found, key=lambda one: (-order.get(one.id, len(seen)), far[one.level]))
        return best.id, best.text

    def _of(self, kind: Kind, contrast: str | None) -> Sequence[Text]:
        if kind == "topic":
            return self.topics
        if kind == "passage":
            return self.passages
        if kind == "sentences":
            return self.sentences
        named = [one for one in self.contrasts if one.id == contrast] or list(self.contrasts)
        return [text for one in named for text in _sets(one)]


def _sets(contrast: Contrast) -> Sequence[Text]:
    # Each set leaves other pairs out, and says the pairs in another order.
    out = []
    for first in range(0, len(contrast.pairs), 2):
        chosen = [contrast.pairs[(first + i) % len(contrast.pairs)] for i in range(PAIRS_AT_ONCE)]
        words = [word for pair in chosen for word in pair]
        words = words[first % 3 :: 3] + words[(first + 1) % 3 :: 3] + words[(first + 2) % 3 :: 3]  # neighbours apart
        text = " ".join(CARRIERS[i % len(CARRIERS)].format(word) for i, word in enumerate(words))
        out.append(Text(f"{contrast.id}-{'abcd'[first // 2]}", UNKNOWN_LEVEL, text))
    return out


def read(text: str) -> Passages:
    """From the content of the file. Raises ValueError, tomllib's and msgspec's included, that says what is wrong."""
    found = msgspec.convert(tomllib.loads(text), Passages)
    for group in (found.passages, found.topics, found.sentences, found.contrasts):
        if len({one.id for one in group}) < len(group):
            raise ValueError("each needs an id of its own")
    return found


@cache
def passages() -> Passages:
    """Those of the file."""
    return read(FILE.read_text(encoding="utf-8"))


def contrasts() -> Mapping[str, Contrast]:
    """Those of the file, by id."""
    return {one.id: one for one in passages().contrasts}
