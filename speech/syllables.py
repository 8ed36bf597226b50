"""How many syllables a written word has when it is spoken."""

import math
import re
from collections.abc import Mapping, Sequence
from functools import partial


def _list(text: str) -> list[str]:
    return text.split()


_ONES = _list(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
)
_TENS = _list("zero ten twenty thirty forty fifty sixty seventy eighty ninety")
_SCALES = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (10**3, "thousand"), (100, "hundred"))
_CURRENCIES = "$€£¥₹"
_SIGNS = dict(zip("$€£¥₹%&+=@#°", _list("dollars euros pounds yen rupees percent and plus equals at number degrees"), strict=True))
_UNITS = {
    "km": "kilometers",
    "kg": "kilograms",
    "cm": "centimeters",
    "mm": "millimeters",
    "k": "thousand",
    "m": "million",
    "am": "a m",
    "pm": "p m",
}
_ORDINALS = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth", "twelve": "twelfth"}
_NUMBER = re.compile(rf"([{_CURRENCIES}#]?)(\d[\d,]*)((?:[.:]\d+)?)([a-z%°]*)", re.IGNORECASE)
_LATIN_VOWELS = "aeiouyàáâãäåæèéêëìíîïòóôõöøœùúûüýÿāēīōūąęăıőű"
_CYRILLIC_AND_GREEK_VOWELS = "аеёиоуыэюяіїєαεηιουωάέήίόύώϊϋΐΰ"
_VOWEL_GROUP = re.compile(f"[{_LATIN_VOWELS}{_CYRILLIC_AND_GREEK_VOWELS}]+")
_HIATUS = re.compile(
    r"(?<![tcsg])i[aou]|iet|ier$|eo(?!u)|(?<![qgs])u[ao]|[aeiouy]ing|^(?:re|co)(?=[aeiou])(?!rea|coa|coo|cou|coi)|sm$|thms?$"
)
_WITHOUT_ALPHABET = re.compile(r"[぀-ヿ㐀-鿿가-힯]")  # kana, Han and Hangul: about one syllable a character


def count(text: str, pronunciations: Mapping[str, int], language: str = "en") -> int:
    """Syllables of one written word as a person would say it; at least 1 where a letter or digit is there, otherwise 0.

    `pronunciations` maps lower-case English words to syllables (CMUdict: one per vowel phone). A word it lacks is counted by rule,
    digits are spoken out, and capitals that are no known word are spelled. Other languages count groups of vowels: right where one
    written vowel group is one syllable, too low where two vowels stand in hiatus (Spanish "leer"), and of no use for scripts that
    write no vowels (1 for each word).
    """
    if not any(character.isalnum() for character in text):
        return sum(_word(_SIGNS[sign], pronunciations) for sign in text if sign in _SIGNS)
    if language != "en":
        return _vowel_groups(text)
    return max(1, sum(_part(part, pronunciations) for part in re.split(r"[-–—/_\s]+", text) if part))


def counts(texts: Sequence[str], pronunciations: Mapping[str, int], language: str = "en") -> tuple[int, ...]:
    """`count` for each text."""
    return tuple(map(partial(count, pronunciations=pronunciations, language=language), texts))


def _part(part: str, pronunciations: Mapping[str, int]) -> int:
    bare = part.strip(".,!?;:\"“”()[]…'‘’")
    if not any(character.isdigit() for character in bare):
        if bare.isupper() and len(bare) > 1 and _spelled(bare, pronunciations):
            return sum(_letter(letter) for letter in bare)
        return _word(bare.lower().replace("’", "'"), pronunciations)
    return sum(_word(word, pronunciations) for word in read_out(bare))


def read_out(text: str) -> list[str]:
    """The words in which a piece of writing with digits is said; letters between them one by one."""
    said: list[str] = []
    rest = text
    while match := _NUMBER.search(rest):
        said += _letters(rest[: match.start()]) + spoken(*match.groups())
        rest = rest[match.end() :]
    return said + _letters(rest)


def _letters(text: str) -> list[str]:
    return [_SIGNS[c] if c in _SIGNS else c.lower() for c in text if c in _SIGNS or c.isalpha()]


def _spelled(capitals: str, pronunciations: Mapping[str, int]) -> bool:
    """Capitals are spelled letter by letter unless they are a word someone shouted or an acronym said as a word (NASA)."""
    letters = capitals.replace(".", "")
    return letters.isalpha() and ("." in capitals or (letters.lower() not in pronunciations and len(letters) <= 5))


def _letter(letter: str) -> int:
    if letter == ".":
        return 0
    return 3 if letter in "Ww" else 1


def spoken(sign: str, whole: str, fraction: str, unit: str) -> list[str]:
    """The words in which "$3.50", "1984", "10:30", "3rd" or "50%" are said; approximate where several readings are usual."""
    digits = whole.replace(",", "")
    unit = unit.lower()
    if fraction.startswith(":"):
        minutes = int(fraction[1:])
        words = cardinal(int(digits)) + ([] if minutes == 0 else (["oh"] if minutes < 10 else []) + cardinal(minutes))
    elif fraction:
        words = cardinal(int(digits))
        if sign and sign in _CURRENCIES and len(fraction) == 3:
            return [*words, _SIGNS[sign], *cardinal(int(fraction[1:]))]
        words = [*words, "point", *(_ONES[int(digit)] for digit in fraction[1:])]
    elif len(digits) == 4 and "," not in whole and not sign and (1100 <= int(digits) <= 1999 or 2010 <= int(digits) <= 2099):
        words = _year(int(digits))
    elif len(digits) > 1 and digits.startswith("0"):
        words = [_ONES[int(digit)] for digit in digits]
    else:
        words = cardinal(int(digits))
    if unit in ("st", "nd", "rd", "th"):
        words[-1] = _ordinal(words[-1])
    elif unit == "s":
        words[-1] = words[-1].removesuffix("y") + ("ies" if words[-1].endswith("y") else "s")
    elif unit:
        words += _UNITS[unit].split() if unit in _UNITS else [_SIGNS.get(unit, unit)]
    if sign:
        words = [_SIGNS[sign], *words] if sign == "#" else [*words, _SIGNS[sign]]
    return words


def cardinal(number: int) -> list[str]:
    """A whole number in English words, without "and": 1203 -> one thousand two hundred three. Above 10^15 digit by digit."""
    if number < 20:
        return [_ONES[number]]
    if number < 100:
        return [_TENS[number // 10], *([_ONES[number % 10]] if number % 10 else [])]
    if number >= 10**15:
        return [_ONES[int(digit)] for digit in str(number)]
    size, name = next(scale for scale in _SCALES if number >= scale[0])
    return [*cardinal(number // size), name, *(cardinal(number % size) if number % size else [])]


def _year(year: int) -> list[str]:
    century, rest = divmod(year, 100)
    tail = ["hundred"] if rest == 0 else ["oh", _ONES[rest]] if rest < 10 else cardinal(rest)
    return cardinal(century) + tail


def _ordinal(word: str) -> str:
    if word in _ORDINALS:
        return _ORDINALS[word]
    return word.removesuffix("y") + "ieth" if word.endswith("y") else word + "th"


def _word(word: str, pronunciations: Mapping[str, int]) -> int:
    if not word:
        return 0
    known = pronunciations.get(word)
    if known is not None:
        return known
    if word.endswith(("'s", "s'")):
        stem = word[:-2]
        return _word(stem, pronunciations) + (1 if re.search(r"(s|x|z|ch|sh|ce|ge|se|ze)$", stem) and word.endswith("'s") else 0)
    if len(word) == 1:
        return _letter(word)
    return by_rule(word)


def by_rule(word: str) -> int:
    """Syllables of an English word from its spelling: groups of vowels, less the silent e, -es and -ed, plus common hiatus."""
    letters = re.sub(r"[^a-z]", "", word.lower())
    if not letters:
        return max(1, _vowel_groups(word))
    groups = len(re.findall(r"[aeiouy]+", letters))
    if re.search(r"[^aeiouy]e$", letters) and not re.search(r"[^aeiouylr]le$", letters):
        groups -= 1  # late, but not table
    if re.search(r"[^aeiouytd]ed$", letters) and not re.search(r"[^aeiouylr]led$", letters):
        groups -= 1  # walked, but not wanted
    if re.search(r"[^aeiouyscxzhg]es$", letters) and not re.search(r"[^aeiouylr]les$", letters):
        groups -= 1  # makes, but not houses
    groups += len(_HIATUS.findall(letters))
    groups += letters.startswith("mc")
    groups -= len(re.findall(r"[^aeiouyl]e(?=(?:ly|ments?|ful|fully|less|ness|man|men|line|time)$)", letters))  # lonely, movement
    return max(1, groups)


def _vowel_groups(text: str) -> int:
    characters = len(_WITHOUT_ALPHABET.findall(text))
    if characters:
        return characters
    digits = sum(len(run) for run in re.findall(r"\d+", text))
    return max(1, math.ceil(1.5 * digits) + len(_VOWEL_GROUP.findall(text.lower())))
