"""A language model may word what the templates of batch/highlights.py say: from the measured facts alone, and checked against them.

It never sees a word of the transcript. Whatever it does wrong is logged, and the templates stand.
"""

import logging
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from config.settings import LlmSettings

log = logging.getLogger("batch.phrasing")

WITHIN_S = 20.0  # for all of it, once: the coach goes on without
MOST_BYTES = 64 * 1024  # of an answer
MOST_CHARACTERS = 600
_ASKED = """You are the voice of a speech coach. Say the facts below to the speaker in two or three plain English sentences: what went well
first, then the one thing to work on, each in a sentence of its own that names its title. Use no number that is not in the facts, and write
numbers in digits as they stand there. Add no advice, cause or judgement that is not there. Say nothing of feelings, personality or health.
Plain text only."""
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_WORDED = re.compile(
    r"\b(zero|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen|twenty|thirty|forty|fifty|"
    r"sixty|seventy|eighty|ninety|hundreds?|thousands?|millions?|dozens?|half|halves|halved|thirds?|quarters?|double[ds]?|twice|thrice|"
    r"triple[ds]?)\b",
    re.IGNORECASE,
)
_UNSAID = re.compile(
    r"nervous|anxi|confiden|enthusias|emotion|feeling|\bfelt\b|mood|calm|bor(?:ed|ing)\b|afraid|shy|disorder|patholog|stutter|therap|diagnos",
    re.IGNORECASE,
)


class Rejected(Exception):
    """What the model said is not what was measured; `str()` says why."""


@dataclass(frozen=True, slots=True)
class _Group:
    """The facts of one dimension."""

    title: str
    numbers: Collection[str]


class _Message(msgspec.Struct):
    content: str


class _Choice(msgspec.Struct):
    message: _Message


class _Answer(msgspec.Struct):
    choices: list[_Choice]


async def phrased(settings: LlmSettings, highlights: Mapping[str, Any], titles: Collection[str]) -> dict[str, str] | None:
    """The highlights in the model's words, with its name; None where there is nothing to word or it did not do as told.

    titles: of all dimensions, so that none is spoken of whose facts were not given.
    """
    facts = {
        name: highlights[name]["facts"] | {"sentence": highlights[name]["sentence"]} for name in ("well", "work_on") if highlights[name]
    }
    if not facts:
        return None
    from aiohttp import ClientError

    try:
        text = await _asked(settings, facts)
        check(text, facts, titles)
    except (ClientError, TimeoutError, msgspec.MsgspecError, RecursionError, Rejected) as error:
        log.warning("the language model is not heeded: %s", str(error) or type(error).__name__)
        return None
    return {"text": text, "model": settings.model}


async def _asked(settings: LlmSettings, facts: Mapping[str, Any]) -> str:
    from aiohttp import ClientSession, ClientTimeout

    body = {
        "model": settings.model,
        "temperature": 0,
        "max_tokens": 300,
        "messages": [
            {"role": "system", "content": _ASKED},
            {"role": "user", "content": msgspec.json.encode(facts).decode()},
        ],
    }
    headers = {"Authorization": f"Bearer {settings.key}"} if settings.key else {}
    async with (
        ClientSession(timeout=ClientTimeout(total=WITHIN_S), headers=headers) as session,
        # A redirect could carry the key elsewhere.
        session.post(f"{settings.url}/chat/completions", json=body, allow_redirects=False) as answer,
    ):
        if answer.status != 200:
            raise Rejected(f"it answered with status {answer.status}")
        raw = bytearray()
        async for piece in answer.content.iter_any():
            raw += piece
            if len(raw) > MOST_BYTES:
                raise Rejected(f"its answer is larger than {MOST_BYTES} bytes")
    found = msgspec.json.decode(bytes(raw), type=_Answer)
    if not found.choices:
        raise Rejected("its answer is empty")
    return " ".join(found.choices[0].message.content.split())


def check(text: str, facts: Mapping[str, Mapping[str, Any]], titles: Collection[str]) -> None:
    """Raises Rejected. A sentence may hold the numbers of the dimensions that it names and no others; facts: what the model was given."""
    if not text or len(text) > MOST_CHARACTERS:
        raise Rejected(f"its text has {len(text)} characters")
    if not text.isprintable() or "<" in text or "http" in text.lower():
        raise Rejected("its text is not plain")
    if found := _UNSAID.search(text):
        raise Rejected(f"it speaks of “{found[0]}”")
    groups = [_Group(str(one["title"]), _numbers(one)) for one in facts.values()]
    given = {group.title for group in groups}
    for title in titles:
        if title not in given and _names(text, title) and not any(title.lower() in name.lower() for name in given):
            raise Rejected(f"it speaks of {title}, of which it was told nothing")
    for group in groups:
        if not _names(text, group.title):
            raise Rejected(f"it leaves out {group.title}")
    for sentence in re.split(r"(?<=[.!?])\s+", text):
        allowed = {number for group in groups if _names(sentence, group.title) for number in group.numbers}
        if (found := _WORDED.search(sentence)) and not any(found[0].lower() in one["said"].lower() for one in facts.values()):
            raise Rejected(f"it counts in words: “{found[0]}”")
        for number in _NUMBER.findall(sentence):
            if number not in allowed:
                raise Rejected(f"{number} is not among the facts of what the sentence names")


def _numbers(facts: Mapping[str, Any]) -> set[str]:
    """As printed, and rounded to a whole number as anybody would."""
    printed = {number for key in ("said", "aim", "score", "low", "high") for number in _NUMBER.findall(str(facts.get(key, "")))}
    return printed | {str(round(float(number))) for number in printed}


def _names(text: str, title: str) -> bool:
    return re.search(rf"\b{re.escape(title)}\b", text, re.IGNORECASE) is not None
