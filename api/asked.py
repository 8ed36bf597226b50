"""What a question asks for: "where did I talk about pricing too fast" is the topic "pricing", spoken faster than usual."""

import re
from dataclasses import dataclass

from db.search import Filter

_VERY = r"(?:too|so|very|really|quite|a bit|rather)"
_MANY = r"(?:too many|so many|many|a lot of|lots of|some|the)?\s*"
# How people say it. A bare "fast" may be the topic (fast food), so it counts at the end alone.
_PHRASES: tuple[tuple[Filter, str], ...] = (
    ("fast", rf"{_VERY} (?:fast|quick|quickly)|faster than usual|rush(?:ed|ing)?|hurried(?:ly)?|(?:fast|quickly)$"),
    ("slow", rf"{_VERY} (?:slow|slowly)|slower than usual|(?:slow|slowly)$"),
    ("fillers", rf"(?:with|using|used?|had|have|say|saying|said) {_MANY}(?:fillers?(?: words?)?|u[mh]+s?(?: and u[mh]+s?)?)"),
    ("monotone", rf"{_VERY}? ?(?:monotonous(?:ly)?|monotone)|(?:in|with) a (?:flat|monotone) voice|{_VERY} flat"),
    (
        "pauses",
        rf"(?:with|made|had|have|left|leave|make) {_MANY}(?:a )?(?:very )?long (?:pauses?|silences?)|paus(?:ed?|ing) (?:too )?long",
    ),
    ("loud", rf"{_VERY} loud(?:ly)?|louder than usual|shout(?:ed|ing)?|loud(?:ly)?$"),
    ("quiet", rf"{_VERY} (?:quiet|quietly|soft|softly)|quieter than usual|whisper(?:ed|ing)?|(?:quietly|softly)$"),
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What a question may begin with before it comes to its topic; without a word of the second row it is none.
_BEFORE = _words(
    """please me for all the any that in places place parts part moments moment passages times where when what which did do have had was
    were am you we're i'm use used using talk talked talking speak spoke spoken speaking say said saying mention mentioned mentioning
    discuss discussed explain explained describe described something anything things about of on through over"""
)
_ASKING = _words("i we show find search look give about")
_AFTER = _words("and but while with was is it being i when said spoken said, spoken, or")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, taken apart."""

    topic: str  # may be empty
    filters: tuple[Filter, ...]


def asked(question: str) -> Asked:
    """The topic and how it was spoken. What is not understood belongs to the topic."""
    rest = " ".join(question.split()).strip(" ?!.")
    found = []
    for name, phrase in _PHRASES:
        rest, count = re.subn(rf"(?<![\w'-])(?:{phrase})(?![\w'-])", " ", rest, flags=re.IGNORECASE)
        if count:
            found.append(name)
    words = rest.strip(" ,?!.").split()
    begin = next((i for i, word in enumerate(words) if word.lower() not in _BEFORE | _ASKING), len(words))
    if _ASKING.isdisjoint(word.lower() for word in words[:begin]) and begin < len(words):
        begin = 0
    words = words[begin:]
    while words and words[-1].lower() in _AFTER:
        words.pop()
    return Asked(" ".join(words).strip(" ,"), tuple(found))
