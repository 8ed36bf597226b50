"""Names, numbers and e-mail addresses taken out of what was said. The sound keeps them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from speech.words import Word

EntityKind = Literal["name", "organisation", "place", "date"]
Secret = Literal["name", "number", "email"]

FEWEST_DIGITS = 6  # a year, a price or a room may be told; a telephone, card or account number has more


@dataclass(frozen=True, slots=True)
class Entity:
    """Somebody or something that was named."""

    kind: EntityKind
    text: str
    start: int  # sample
    end: int


@dataclass(frozen=True, slots=True)
class Hidden:
    """Words that are replaced by one."""

    kind: Secret
    first: int  # index of a word
    stop: int  # exclusive


_DIGITS = dict.fromkeys(("zero", "oh", "o", "nought", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"), 1)
_DIGITS |= dict.fromkeys(("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"), 2)
_TENS = frozenset(("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"))
_TIMES = {"double": 2, "triple": 3}
_BETWEEN_DIGITS = frozenset(("plus", "dash", "hyphen", "area", "code", "extension"))
_WRITTEN = re.compile(r"[+(]*\d[\d().+-]*")
_QUANTITY = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+\.\d+")
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_ENDINGS = frozenset(
    ("com", "org", "net", "edu", "gov", "info", "biz", "io", "co", "uk", "de", "fr", "es", "it", "nl", "eu", "us", "ca", "au", "in")
)
_TITLES = frozenset(("mr", "mrs", "ms", "miss", "dr", "doctor", "prof", "professor"))
_MARKS = ".,?!;:…\"'“”‘’()[]"


def masked(words: Sequence[Word], entities: Sequence[Entity]) -> tuple[Word, ...]:
    """The words with one in place of each that is hidden, over the same time; its mark of punctuation stays."""
    found: list[Word] = []
    at = 0
    for one in hidden(words, entities):
        found += words[at : one.first]
        some = words[one.first : one.stop]
        tail = re.search(r"(?:['’]s)?[.,?!;:…]*$", some[-1].text)
        probability = min(word.probability for word in some)
        found.append(
            replace(some[0], text=f"[{one.kind}]{tail[0] if tail else ''}", end=some[-1].end, probability=probability, kind="word")
        )
        at = one.stop
    return (*found, *words[at:])


def hidden(words: Sequence[Word], entities: Sequence[Entity]) -> list[Hidden]:
    """What is to be hidden, in order and apart. Of two that meet the first counts, made as long as both."""
    found = sorted([*_emails(words), *_numbers(words), *_names(words, entities)], key=lambda one: (one.first, -one.stop))
    apart: list[Hidden] = []
    for one in found:
        if apart and one.first < apart[-1].stop:
            apart[-1] = replace(apart[-1], stop=max(one.stop, apart[-1].stop))
        else:
            apart.append(one)
    return apart


def _plain(text: str) -> str:
    return text.strip(_MARKS).lower()


def _names(words: Sequence[Word], entities: Sequence[Entity]) -> Iterator[Hidden]:
    spans = [(one.start, one.end) for one in entities if one.kind == "name"]
    named = [any(word.start < end and start < word.end for start, end in spans) for word in words]
    # What was a name once is one wherever it stands with a capital: the parser misses some.
    known = {_bare(word.text) for word, so in zip(words, named, strict=True) if so and word.text[:1].isupper()}
    for i, word in enumerate(words):
        before = [_plain(other.text) for other in words[max(0, i - 3) : i]]
        introduced = before[-3:] == ["my", "name", "is"] or before[-2:] == ["name", "is"] or (bool(before) and before[-1] in _TITLES)
        capital = word.text.strip(_MARKS)[:1].isupper()
        named[i] = (
            named[i] or (capital and _bare(word.text) in known) or (introduced and word.kind == "word" and _bare(word.text).isalpha())
        )
    first = None
    for i, so in enumerate([*named, False]):
        if so and first is None:
            first = i
        # A comma or a full stop parts two people; so does a possessive.
        if first is not None and (
            not so or (i + 1 < len(words) and named[i + 1] and re.search(r"(?:[,;?!]|['’]s|\w\w\.)$", words[i].text))
        ):
            stop = i + 1 if so else i
            yield Hidden("name", first, stop)
            first = None


def _bare(text: str) -> str:
    return re.sub(r"['’]s$", "", text.strip(_MARKS))


def _numbers(words: Sequence[Word]) -> Iterator[Hidden]:
    first, last, digits, times = 0, -1, 0, 1
    for i, word in enumerate(words):
        text = _plain(word.text)
        count = _digits(word.text)
        if count:
            if not digits:
                first = i
            digits, last, times = digits + count * times, i, 1
        elif text in _TIMES:
            if not digits:
                first = i
            times = _TIMES[text]
        elif word.kind != "word" or (digits and text in _BETWEEN_DIGITS):
            continue
        else:
            times = 1
        # Longer numbers with a comma behind are a list.
        if not (count or text in _TIMES) or (count > 1 and word.text.endswith((",", ".", "?", "!")) and text.isdigit()):
            if digits >= FEWEST_DIGITS:
                yield Hidden("number", first, last + 1)
            digits = 0
    if digits >= FEWEST_DIGITS:
        yield Hidden("number", first, last + 1)


def _digits(text: str) -> int:
    """How many digits of a long number it can be; 0 for a quantity."""
    text = text.strip("\"'“”‘’.,?!;:…").lower()
    if _QUANTITY.fullmatch(text):
        return 0
    if _WRITTEN.fullmatch(text):
        return sum(c.isdigit() for c in text)
    parts = text.split("-")
    if all(part in _DIGITS or part in _TENS for part in parts):
        return sum(1 if part in _TENS and len(parts) > 1 else 2 if part in _TENS else _DIGITS[part] for part in parts)
    return 0


def _emails(words: Sequence[Word]) -> Iterator[Hidden]:
    plain = [_plain(word.text) for word in words]
    for i, word in enumerate(words):
        if _EMAIL.fullmatch(word.text.strip(_MARKS)):
            yield Hidden("email", i, i + 1)
        elif plain[i] == "at" and 0 < i < len(words) - 1:
            stop = _domain(plain, i + 1)
            if stop:
                first = i - 1
                while first >= 2 and plain[first - 1] in ("dot", "underscore", "dash", "hyphen"):
                    first -= 2
                yield Hidden("email", first, stop)


def _domain(plain: Sequence[str], first: int) -> int:
    """Where a spoken domain ends that begins there, "example dot com" or "example.com"; 0 where there is none."""
    _, dot, ending = plain[first].rpartition(".")
    if dot and ending in _ENDINGS:
        return first + 1
    stop = first + 1
    while stop + 1 < len(plain) and plain[stop] == "dot" and plain[stop + 1].isalpha():
        stop += 2
    return stop if stop > first + 1 and plain[stop - 1] in _ENDINGS else 0
