"""How a script was read, by the recogniser: how probable each of its words is where it was said.

The text is forced through the decoder as it was recognised, with the script's words in place of those that it took for others. So each
word is judged after what was really said before it. Only for English.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from recognition.whisper import Recogniser
from speech.audio import Floats, Span
from speech.script import Compared
from speech.words import Word

_LEAST = 1e-9  # probability below which one is as good as another
_POSITIONS = 440  # of the decoder's 448 may hold text
_EDGES = '.,!?;:"“”()[]{}…*_«»<>|~—–- '


@dataclass(frozen=True, slots=True)
class Said:
    """A word of the script as it was said."""

    script: int  # its number
    start: int  # sample
    end: int
    probability: float  # 0..1, geometric mean over its tokens


@dataclass(slots=True)
class _Group:
    # Words of the script and heard words that cannot be told apart: "every one" and "everyone".
    script: list[int]
    heard: list[int]
    text: str = ""


def pronounced(
    recogniser: Recogniser, pcm: Floats, spans: Sequence[Span], words: Sequence[Word], compared: Compared, at: Callable[[float], None]
) -> list[Said]:
    """Every word of a script that was said, in order.

    spans: of at most 26 s, in order, that hold all words. words: as `compared` numbers them. at: told the share done.
    """
    groups = _groups(compared, words)
    said: list[Said] = []
    begun = 0
    for n, span in enumerate(spans):
        # A word belongs to the first span that ends after its middle; to the last at any rate.
        last = len(groups) if n + 1 == len(spans) else begun
        while last < len(groups) and _middle(words[groups[last].heard[0]]) < span.end:
            last += 1
        inside = groups[begun:last]
        begun = last
        if any(group.script for group in inside):
            said += _window(recogniser, pcm[span.start : span.end], words, inside)
        at((n + 1) / len(spans))
    return said


def _middle(word: Word) -> int:
    return (word.start + word.end) // 2


def _groups(compared: Compared, words: Sequence[Word]) -> list[_Group]:
    # In the order of what was heard. A word that belongs to none of the script stands alone.
    groups: list[_Group] = []
    for i, word in enumerate(compared.words):
        if not word.heard:
            continue
        if groups and groups[-1].heard[-1] >= word.heard[0]:
            groups[-1].script.append(i)
            groups[-1].heard = sorted({*groups[-1].heard, *word.heard})
        else:
            groups.append(_Group([i], list(word.heard)))
    for group in groups:
        read = all(compared.words[i].verdict == "read" for i in group.script)
        group.text = " ".join(words[j].text for j in group.heard) if read else _plain([compared.words[i].text for i in group.script])
    groups += [_Group([], [j], words[j].text) for j in (*compared.again, *compared.added)]
    return sorted(groups, key=lambda group: group.heard[0])


def _plain(script: Sequence[str]) -> str:
    # A script in capitals is not what the recogniser writes.
    small = [word.lower() if word.isupper() and len(word) > 1 else word for word in script]
    return " ".join("I" + word[1:] if word.startswith("i'") else word for word in small)


def _window(recogniser: Recogniser, pcm: Floats, words: Sequence[Word], groups: Sequence[_Group]) -> list[Said]:
    pieces = [_tokens(recogniser, group.text) for group in groups]
    text = [token for own, rest in pieces for token in (*own, *rest)][:_POSITIONS]
    likely, _ = recogniser.likelihood(recogniser.encode([pcm]), 0, text)
    said: list[Said] = []
    first = 0
    for group, (own, rest) in zip(groups, pieces, strict=True):
        if first + len(own) > len(text):
            break
        probability = float(np.exp(np.mean(np.log(np.maximum(likely[first : first + len(own)], _LEAST)))))
        said += [Said(i, words[group.heard[0]].start, words[group.heard[-1]].end, probability) for i in group.script]
        first += len(own) + len(rest)
    return said


def _tokens(recogniser: Recogniser, text: str) -> tuple[list[int], list[int]]:
    # Of the word itself, and of the punctuation after it, which is not judged.
    bare = text.strip(_EDGES) or text
    rest = text[text.find(bare) + len(bare) :]
    return recogniser.tokens(" " + bare), recogniser.tokens(rest) if rest else []
