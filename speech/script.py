"""What was said laid beside the text that was to be read: which words were read, left out, added or said otherwise."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from speech.syllables import read_out

LONGEST = 5000  # words of either side: their table then takes 50 MB

Phones = tuple[str, ...]
Verdict = Literal["read", "otherwise", "left_out"]

_GAP = 3  # what a word without a partner costs
_OTHER = 4  # two different words as partners; cheaper than two gaps
_CLOSE = 3  # the same where they begin alike
_CONTRACTED = {"won't": ("will", "not"), "can't": ("can", "not"), "cannot": ("can", "not"), "shan't": ("shall", "not")}
_ENDINGS = (("n't", "not"), ("'ll", "will"), ("'re", "are"), ("'ve", "have"), ("'m", "am"))
_NUMBERS = frozenset(word for n in range(100) for word in read_out(str(n)))
_COUNTED = frozenset({"hundred", "thousand", "million", "billion", "trillion"})
_SPOKEN_OUT = {"mr": "mister", "mrs": "missus", "dr": "doctor", "&": "and", "%": "percent"}
_EDGES = '.,!?;:"“”()[]{}…*_«»<>|~'


@dataclass(frozen=True, slots=True)
class ScriptWord:
    """A word of the script and what became of it."""

    text: str  # as written
    verdict: Verdict
    heard: tuple[int, ...]  # numbers of the heard words that belong to it


@dataclass(frozen=True, slots=True)
class Compared:
    """A script and what was heard, side by side."""

    words: tuple[ScriptWord, ...]
    again: tuple[int, ...]  # heard words that say again what the script has once: a slip of fluency, not of reading
    added: tuple[int, ...]  # other heard words that the script does not have

    @property
    def completeness(self) -> float | None:
        """The share of the script's words that were said, rightly or not; None of an empty script."""
        return sum(word.verdict != "left_out" for word in self.words) / len(self.words) if self.words else None

    @property
    def accuracy(self) -> float | None:
        """The share of the words said of the script that were recognised as written; None where none was said."""
        said = [word for word in self.words if word.verdict != "left_out"]
        return sum(word.verdict == "read" for word in said) / len(said) if said else None


def words_of(text: str) -> list[str]:
    """The words of a text as written, punctuation attached; what has no letter or digit joins the word before it."""
    out: list[str] = []
    for part in text.split():
        if any(c.isalnum() for c in part) or part in _SPOKEN_OUT:
            out.append(part)
        elif out:
            out[-1] += f" {part}"
    return out


def tokens(word: str) -> tuple[str, ...]:
    """How a written word is compared: as spoken, lower case, numbers read out, contractions in full."""
    out: list[str] = []
    for part in re.split(r"[-–—/\s]+", word.replace("’", "'").lower()):
        bare = part.strip(_EDGES).strip("'") or part.strip(_EDGES)
        if bare in _SPOKEN_OUT:
            out.append(_SPOKEN_OUT[bare])
        elif any(c.isdigit() for c in bare):
            out += read_out(bare)
        elif any(c.isalpha() for c in bare):
            out += _in_full(bare)
    return tuple(out)


def compare(script: Sequence[str], heard: Sequence[str], sounds: Mapping[str, frozenset[Phones]]) -> Compared:
    """Lay heard words beside those of a script, with as few differences as possible.

    script, heard: words as written, each at most `LONGEST`; fillers and fragments left out. sounds: of lower-case words their
    pronunciations; two words that share one are the same, since no ear can tell them apart. Of a phrase that is said twice the last time
    counts. O(script * heard).
    """
    ours, ours_of = _flat(script)
    theirs, theirs_of = _flat(heard)
    pairs = _partners(ours, theirs, _same(ours, theirs, sounds))
    partners = _joined(pairs, ours, theirs, sounds)
    right = [True] * len(script)
    silent = set(range(len(script))) - set(ours_of)  # of "a hundred and five" the "and"
    said: list[set[int]] = [set() for _ in script]
    for i, (found, same) in enumerate(partners):
        right[ours_of[i]] &= same
        said[ours_of[i]].update(theirs_of[j] for j in found)
    taken = {j for found, _ in partners for j in found}
    spare = sorted({theirs_of[j] for j in range(len(theirs)) if j not in taken} - set().union(*said))
    again = _repeated(spare, heard)
    words = tuple(
        ScriptWord(text, "left_out" if not own and i not in silent else "read" if right[i] else "otherwise", tuple(sorted(own)))
        for i, (text, own) in enumerate(zip(script, said, strict=True))
    )
    return Compared(words, tuple(again), tuple(j for j in spare if j not in set(again)))


def _in_full(word: str) -> list[str]:
    if word in _CONTRACTED:
        return list(_CONTRACTED[word])
    for ending, full in _ENDINGS:
        if word.endswith(ending) and len(word) > len(ending):
            return [word.removesuffix(ending), full]
    return [word]


def _flat(words: Sequence[str]) -> tuple[list[str], list[int]]:
    # All tokens and the word that each belongs to. "A hundred and five" is also said without "and".
    out: list[tuple[str, int]] = []
    for i, word in enumerate(words):
        out += [(token, i) for token in tokens(word)]
    kept = []
    for k, (token, i) in enumerate(out):
        before, after = out[k - 1][0] if k else "", out[k + 1][0] if k + 1 < len(out) else ""
        if not (token == "and" and before in _COUNTED and after in _NUMBERS):
            kept.append(("one" if token == "a" and after in _COUNTED else token, i))
    return [token for token, _ in kept], [i for _, i in kept]


def _same(ours: Sequence[str], theirs: Sequence[str], sounds: Mapping[str, frozenset[Phones]]) -> NDArray[np.bool_]:
    # (ours, theirs): alike in letters or in sound.
    same = np.zeros((len(ours), len(theirs)), bool)
    places: dict[str | Phones, tuple[list[int], list[int]]] = {}
    for side, words in enumerate((ours, theirs)):
        for i, word in enumerate(words):
            for key in (word, *sounds.get(word, ())):
                places.setdefault(key, ([], []))[side].append(i)
    for a, b in places.values():
        if a and b:
            same[np.ix_(a, b)] = True
    return same


def _partners(ours: Sequence[str], theirs: Sequence[str], same: NDArray[np.bool_]) -> list[tuple[int, int, bool]]:
    # Least cost first to last; (-1 for none, index, the same).
    n, m = len(ours), len(theirs)
    first, other = np.array([w[:2] for w in ours], "U2"), np.array([w[:2] for w in theirs], "U2")
    along = np.arange(m + 1) * _GAP
    cost = np.empty((n + 1, m + 1), np.int32 if (n + m) * _GAP > 32_000 else np.int16)
    cost[0] = along
    for i in range(n):
        step = np.where(same[i], 0, np.where(other == first[i], _CLOSE, _OTHER))
        best = cost[i] + _GAP
        np.minimum(best[1:], cost[i, :-1] + step, out=best[1:])
        cost[i + 1] = np.minimum.accumulate(best - along) + along
    found = []
    i, j = n, m
    while i or j:
        alike = bool(i and j and same[i - 1, j - 1])
        paid = 0 if alike else _CLOSE if i and j and ours[i - 1][:2] == theirs[j - 1][:2] else _OTHER
        if i and j and cost[i, j] == cost[i - 1, j - 1] + paid:
            i, j = i - 1, j - 1
            found.append((i, j, alike))
        elif i and cost[i, j] == cost[i - 1, j] + _GAP:
            i -= 1
            found.append((i, -1, False))
        else:
            j -= 1
            found.append((-1, j, False))
    return found[::-1]


def _joined(
    pairs: Sequence[tuple[int, int, bool]], ours: Sequence[str], theirs: Sequence[str], sounds: Mapping[str, frozenset[Phones]]
) -> list[tuple[tuple[int, ...], bool]]:
    # Of each token of ours its partners, and whether they are the same. Between two words that agree, what sounds alike when joined is
    # the same: "every one" for "everyone".
    out: list[tuple[tuple[int, ...], bool]] = [((), False)] * len(ours)
    start = 0
    while start < len(pairs):
        i, j, same = pairs[start]
        if same:
            out[i] = ((j,), True)
            start += 1
            continue
        end = start
        while end < len(pairs) and not pairs[end][2]:
            end += 1
        block = pairs[start:end]
        a, b = [i for i, _, _ in block if i >= 0], [j for _, j, _ in block if j >= 0]
        whole = bool(a and b) and _sound([ours[i] for i in a], sounds) == _sound([theirs[j] for j in b], sounds)
        for i, j, _ in block:
            if i >= 0:
                out[i] = (tuple(b) if whole else (j,) if j >= 0 else (), whole)
        start = end
    return out


def _sound(words: Sequence[str], sounds: Mapping[str, frozenset[Phones]]) -> str:
    known = [min(sounds.get(word, ()), default=()) for word in words]
    return " ".join(phone for phones in known for phone in phones) if all(known) else "".join(words)


def _repeated(spare: Sequence[int], heard: Sequence[str]) -> list[int]:
    # Of runs of spare words the end that is said again right after it, and beginnings of the word after them.
    plain = ["".join(tokens(word)) for word in heard]
    out: list[int] = []
    start = 0
    while start < len(spare):
        length = 1
        while start + length < len(spare) and spare[start + length] == spare[start] + length:
            length += 1
        first, end = spare[start], spare[start] + length
        same = next((k for k in range(first, end) if plain[k:end] == plain[end : end + end - k]), end)
        out += [k for k in range(first, end) if k >= same or (k + 1 < len(plain) and plain[k + 1].startswith(plain[k]))]
        start += length
    return out
