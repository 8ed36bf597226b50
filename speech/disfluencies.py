"""Repetitions, false starts and drawn-out words, found from the words and their places.

The part of a repair that is given up is called the reparandum (Shriberg 1994); for repetitions and false starts that is the span reported.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from speech.analysis import Disfluency
from speech.audio import RATE_HZ
from speech.words import Word

LONGEST_REPEAT_WORDS = 4
LONGEST_BREAK_S = 3.0  # between the given-up words and the new ones: after a longer break a person starts afresh
BREAK_S = 0.25  # a silence that counts as a break before a restart; the usual threshold of a pause

LEAST_WORDS = 30  # fewer say too little about a speaker's own pace
LENGTHENED_Z = 3.0
LEAST_SPREAD = 0.25  # of log duration per syllable: steadier speakers than this are an effect of few words
LEAST_FUNCTION_S = 0.35  # per syllable; function words in running speech take 0.1 to 0.2 s
LEAST_CONTENT_S = 0.60
LONGEST_S = 3.0  # per syllable; more is a word placed wrongly, not a sound held
FINAL_FACTOR = 1.8  # phrase-final lengthening stretches a last syllable by up to this much (Wightman et al. 1992)


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Doubles that are said on purpose: grammar ("that that", "had had"), emphasis, farewells, sounds.
_MEANT_TWICE = _set(
    "that had very bye no yes yeah yep nope so really many much far long more never again now there hear ha hah haha knock chop "
    "okay ok right well come wait go please too is do big old great little deep slow slowly late hot cold hard dear blah bla tut "
    "cha boo la hey hi hello oh ah wow aye quick quickly fast way ever super same good bad mega stop run look easy sure fine none "
    "pretty double bang dum ding win"
)
_MEANT_PHRASES = frozenset(
    tuple(phrase.split())
    for phrase in (
        *("i know", "i see", "thank you", "come on", "of course", "all right", "let's go", "so much", "new york", "good morning", "me too"),
        *("oh no", "oh my", "no way", "go on", "hang on", "hold on", "too much", "i do", "well done", "that is", "i'm sorry", "uh huh"),
        *("not yet", "why not"),
    )
)
_NUMBERS = _set(
    "zero oh one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
    "nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion point"
)
_JOINING = _set("and or by to after for upon")
_NOMINATIVE = _set("i he she we they")
_SUBJECTS = _NOMINATIVE | {"you", "it", "there"}
_SUBORDINATING = _set("if when as what how where which while who though")
_ALSO_OBJECTS = _set("you it her him them me us")  # "I saw it, it was big" is no repetition
_OPENERS = _set("and but so because if when that then or as what how where which while who well like know think mean said though")
_THINKING = _set("think guess mean know believe suppose hope said say")
_ARTICLES_FIRST = _set("a an the my our your")
_ARTICLES_SECOND = _ARTICLES_FIRST | {"his", "her", "their", "this", "these", "those"}
_AUXILIARIES = _set("is was are were am has have had do does did will would can could should must may might")
_FUNCTION_WORDS = _set(
    "the a an and but or so to of in on at for with from by as that this it is was are were be i we you he she they my your our his "
    "her their if because when then there have has had will would can could not just like"
)


@dataclass(frozen=True, slots=True)
class _GivenUp:
    first: int  # index of the first word given up
    last: int  # inclusive
    repeated: bool


def disfluencies(words: Sequence[Word]) -> tuple[Disfluency, ...]:
    """Repetitions (one to four words said again at once) and false starts (broken off or replaced), each with the span given up.

    Works on words alone and knows no grammar: doubles that are meant ("that that", "very very", numbers) are left out by list.
    The lists are English; in other languages only literal repetitions and fragments can be found.
    """
    return tuple(
        Disfluency(
            "repetition" if part.repeated else "false_start",
            " ".join(word.text for word in words[part.first : part.last + 1]),
            words[part.first].start,
            words[part.last].end,
        )
        for part in _given_up(words)
    )


def abandoned(words: Sequence[Word]) -> frozenset[int]:
    """Indices of the words given up in repetitions and false starts: without them, and without fillers, stands what was meant."""
    return frozenset(i for part in _given_up(words) for i in range(part.first, part.last + 1))


def core(text: str) -> str:
    """A word as compared: lower case, without the punctuation around it."""
    return text.lower().replace("’", "'").strip(".,!?;:\"“”()[]…-–—'‘ ")


def _is_fragment(word: Word) -> bool:
    text = word.text.rstrip(",.…")
    broken_off = text.endswith("-") and not text.endswith("--") and text[:1].isalpha()
    return word.kind == "fragment" or (word.kind == "word" and broken_off)


def _given_up(words: Sequence[Word]) -> list[_GivenUp]:
    spoken = [i for i, word in enumerate(words) if word.kind != "filler" and (_is_fragment(word) or core(word.text))]
    found: list[_GivenUp] = []
    at = 0
    while at < len(spoken):
        length = _fragment_length(words, spoken, at)
        if length:
            found.append(_GivenUp(spoken[at], spoken[at + length - 1], repeated=False))
            at += length
            continue
        length = _repeat_length(words, spoken, at)
        if length:
            found.append(_GivenUp(spoken[at], spoken[at + length - 1], repeated=True))
            at += length
            continue
        length = _restart_length(words, spoken, at)
        if length:
            found.append(_GivenUp(spoken[at], spoken[at + length - 1], repeated=False))
            at += length
            continue
        at += 1
    return found


def _fragment_length(words: Sequence[Word], spoken: list[int], at: int) -> int:
    """Words given up from `at` to a fragment: the fragment itself, and the words before it that are said again after it."""
    for back in range(LONGEST_REPEAT_WORDS - 1, -1, -1):
        end = at + back
        if end >= len(spoken) or not _is_fragment(words[spoken[end]]):
            continue
        while end + 1 < len(spoken) and _is_fragment(words[spoken[end + 1]]):
            end += 1
        before = [core(words[spoken[k]].text) for k in range(at, at + back)]
        after = [core(words[i].text) for i in spoken[end + 1 : end + 1 + back]]
        if before == after and not any(_is_fragment(words[spoken[k]]) for k in range(at, at + back)):
            return end + 1 - at
    return 0


def _repeat_length(words: Sequence[Word], spoken: list[int], at: int) -> int:
    for length in range(min(LONGEST_REPEAT_WORDS, (len(spoken) - at) // 2), 0, -1):
        first = [words[i] for i in spoken[at : at + length]]
        second = [words[i] for i in spoken[at + length : at + 2 * length]]
        if any(_is_fragment(word) for word in first + second):
            continue
        said, again = [core(word.text) for word in first], [core(word.text) for word in second]
        clitic = length == 1 and again[0].startswith(said[0] + "'") and said[0] in _SUBJECTS
        if (said != again and not clitic) or _ends_sentence(first[-1]) or (second[0].start - first[-1].end) / RATE_HZ > LONGEST_BREAK_S:
            continue
        following = core(words[spoken[at + 2 * length]].text) if at + 2 * length < len(spoken) else ""
        before = core(words[spoken[at - 1]].text) if at else ""
        closes = length == 1 and said[0] in _ALSO_OBJECTS and not clitic and not _opens_clause(words, spoken, at)
        if not _meant(said, before, following) and not closes:
            return length
    return 0


def _meant(said: list[str], before: str, following: str) -> bool:
    if all(word in _NUMBERS or word[0].isdigit() for word in said) or all(len(word) == 1 and word not in "ai" for word in said):
        return True
    if len(said) == 1:
        return said[0] in _MEANT_TWICE
    if tuple(said) in _MEANT_PHRASES or all(word in _MEANT_TWICE for word in said):
        return True
    chained = (said[1] in _JOINING and following == said[0]) or (said[0] in _JOINING and before == said[1])
    return len(said) == 2 and chained  # over and over and over


def _restart_length(words: Sequence[Word], spoken: list[int], at: int) -> int:
    """Words given up at `at` because others take their place: "I went, I want", "she is, she was", "the my", "he she"."""

    def text(k: int) -> str:
        return core(words[spoken[at + k]].text) if at + k < len(spoken) else ""

    if at + 1 >= len(spoken) or _ends_sentence(words[spoken[at]]):
        return 0
    one, two, three, four = text(0), text(1), text(2), text(3)
    if one in _ARTICLES_FIRST and two in _ARTICLES_SECOND and one != two and three and not _letter_a(words, spoken, at):
        return 1
    if one in _NOMINATIVE and two in _NOMINATIVE and one != two and three and three not in _THINKING:
        return 1
    restarts = one == three and one in _SUBJECTS and two != four and four != "" and not _ends_sentence(words[spoken[at + 1]])
    if restarts and _opens_clause(words, spoken, at, _OPENERS - _SUBORDINATING):
        broken = _break_between(words, spoken[at + 1], spoken[at + 2])
        both_auxiliaries = two in _AUXILIARIES and four in _AUXILIARIES
        if broken and (both_auxiliaries or _alike(two, four)):
            return 2
    return 0


def _letter_a(words: Sequence[Word], spoken: list[int], at: int) -> bool:
    """Whether "A" is written large inside a sentence: the letter (vitamin A, the A team), no article."""
    inside = at > 0 and not _ends_sentence(words[spoken[at - 1]])
    return words[spoken[at + 1]].text == "A" or (inside and words[spoken[at]].text == "A")


def _opens_clause(words: Sequence[Word], spoken: list[int], at: int, openers: frozenset[str] = _OPENERS) -> bool:
    """Whether the word before lets a clause begin here: none, one that closes a sentence or takes a comma, or a conjunction."""
    if at == 0:
        return True
    before = words[spoken[at - 1]]
    return before.text[-1] in ",.?!;:" or core(before.text) in openers


def _break_between(words: Sequence[Word], left: int, right: int) -> bool:
    """Whether a filler, a silence or a mark of the recogniser's stands between two words."""
    silence_s = (words[right].start - words[left].end) / RATE_HZ
    marked = words[left].text[-1] in ",…-–—" or words[left].text.endswith("...")
    return silence_s <= LONGEST_BREAK_S and (right - left > 1 or marked or silence_s >= BREAK_S)


def _ends_sentence(word: Word) -> bool:
    text = word.text.rstrip("\"”'’)")
    return text.endswith(("?", "!")) or (text.endswith(".") and not text.endswith(".."))


def _alike(one: str, two: str) -> bool:
    """Two forms of one word, or nearly the same sound: they begin alike and differ in at most half their letters."""
    if not one or not two or one[0] != two[0]:
        return False
    distance = list(range(len(two) + 1))
    for i, a in enumerate(one, 1):
        previous, distance[0] = distance[0], i
        for j, b in enumerate(two, 1):
            previous, distance[j] = distance[j], min(distance[j] + 1, distance[j - 1] + 1, previous + (a != b))
    return distance[-1] <= max(len(one), len(two)) / 2


def lengthenings(words: Sequence[Word], syllables: Sequence[int]) -> tuple[Disfluency, ...]:
    """Words held much longer than their syllables take at this speaker's own pace.

    syllables: one count for each word (0 where unknown: not judged). The log of duration per syllable is compared with the median and
    the median absolute deviation of the speaker's words of the same class (function or content word); what counts is a robust z above
    LENGTHENED_Z and at least LEAST_FUNCTION_S or LEAST_CONTENT_S a syllable. Before a pause or at the end the expected duration is
    FINAL_FACTOR times as long, so that normal final lengthening does not count by itself. Fewer than LEAST_WORDS words give none.
    Only as good as the word edges.
    """
    if len(words) != len(syllables):
        raise ValueError(f"{len(words)} words but {len(syllables)} syllable counts")
    judged = [i for i, word in enumerate(words) if word.kind == "word" and syllables[i] > 0 and word.end > word.start]
    if len(judged) < LEAST_WORDS:
        return ()
    function = np.array([core(words[i].text) in _FUNCTION_WORDS for i in judged])
    per_syllable_s = np.array([(words[i].end - words[i].start) / RATE_HZ / syllables[i] for i in judged])
    final = np.array([_before_pause(words, i) for i in judged])
    pace = np.log(per_syllable_s) - np.where(final, math.log(FINAL_FACTOR), 0.0)
    found = []
    for of_class, least_s in ((function, LEAST_FUNCTION_S), (~function, LEAST_CONTENT_S)):
        inside = pace[of_class & ~final]
        reference = inside if inside.size >= LEAST_WORDS // 3 else pace
        centre = float(np.median(reference))
        spread = max(LEAST_SPREAD, 1.4826 * float(np.median(np.abs(reference - centre))))
        least = np.where(final, least_s * FINAL_FACTOR, least_s)
        held = of_class & ((pace - centre) / spread > LENGTHENED_Z) & (per_syllable_s >= least) & (per_syllable_s <= LONGEST_S)
        found += [judged[k] for k in np.flatnonzero(held)]
    return tuple(Disfluency("lengthening", words[i].text, words[i].start, words[i].end) for i in sorted(found))


def _before_pause(words: Sequence[Word], i: int) -> bool:
    return i + 1 >= len(words) or (words[i + 1].start - words[i].end) / RATE_HZ >= BREAK_S or _ends_sentence(words[i])
