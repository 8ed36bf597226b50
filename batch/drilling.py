"""Drills that fit a session: those that work on what probably cost it points, with material of its own; and what an attempt came to."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from batch.analyze import Findings
from batch.document import plain
from batch.highlights import PHRASES
from config.drills import Drill, drills
from config.passages import Contrast, contrasts
from db.drills import Attempt, document
from speech.analysis import Filler
from speech.audio import HOP, RATE_HZ, Frames, Span, seconds
from speech.drills import measured, verdict
from speech.measures import Spoken
from speech.pauses import at_least, speaking_span
from speech.reading import plain as letters
from speech.shadowing import contour
from speech.words import Transcript, Word

GOOD = 80.0  # of 100: a score that probably lies below it is worth a drill
SURE = 0.43  # of the upper half of the interval: with it four of five lie below, for a normal distribution
MOST = 3  # drills of one session
_CLIPS, _CLIP_BEFORE, _CLIP_AFTER = 5, 3 * RATE_HZ, 2 * RATE_HZ
_EXCERPT_WORDS = 60
_PHRASES, _PHRASE_S, _PHRASE_WORDS = 4, (1.5, 5.0), (4, 16)
_SENTENCES, _SENTENCE_WORDS = 4, (5, 16)
_UNCLEAR = 0.5  # as speech.measures
_PRIOR_WORDS = 20.0  # how many a usual rate counts for
_FEWEST_UNCLEAR = 2


def proposed(
    scores: Mapping[str, Any], work_on: str | None, findings: Findings, transcript: Transcript, frames: Frames
) -> list[dict[str, Any]]:
    """The key `drills` of the coaching document (docs/protocol.md), the weakest dimension first: those that are probably weak, and the one
    that is named to work on, however sure. scores: as batch/scored.py makes them; work_on: a dimension."""
    if transcript.language != "en":  # what they are measured by is defined for English
        return []
    found: dict[str, dict[str, Any]] = {}
    for score in sorted(
        (one for one in scores["scores"] if _weak(one) or one["dimension"] == work_on), key=lambda one: float(one["value"])
    ):
        costly = {share["name"]: share for share in score["made_of"] if share["score"] < GOOD}
        for share in sorted(costly.values(), key=lambda share: (share["score"] - 100.0) * share["weight"]):
            for drill in drills().values():
                if drill.id in found or score["dimension"] not in drill.dimensions or share["name"] not in drill.for_:
                    continue
                material = _material(drill, findings, transcript, frames)
                if material is not None:
                    found[drill.id] = {
                        "drill": drill.id,
                        "dimension": score["dimension"],
                        "title": drill.title,
                        "why": _why(score, share),
                        "material": material,
                    }
    return list(found.values())[:MOST]


def judged(attempt: Attempt, findings: Findings, transcript: Transcript, frames: Frames) -> dict[str, Any]:
    """What an attempt came to, as db/drills.py keeps it."""
    span = speaking_span(frames.state, transcript.words, findings.fillers)
    nothing = np.empty(0)
    spoken = Spoken(
        transcript.words,
        (0,) * len(transcript.words),
        frames,
        nothing,
        np.empty(0, np.int64),
        findings.pauses,
        findings.fillers,
        findings.disfluencies,
        findings.language_issues,
        span,
        transcript.language,
    )
    own = measured(attempt.task, spoken)
    return document(verdict(attempt.limits, {**findings.measures, **own}, attempt.task, spoken))


def _weak(score: Mapping[str, Any]) -> bool:
    if score["value"] is None:
        return False
    return float(score["value"]) + SURE * (float(score["high"]) - float(score["value"])) < GOOD


def _why(score: Mapping[str, Any], share: Mapping[str, Any]) -> str:
    phrase = PHRASES.get(share["name"])
    said = f": {phrase.said(share['value'])}" if phrase is not None else ""
    return f"{score['title']} is {score['value']:.0f} of 100 ({score['low']:.0f} to {score['high']:.0f}){said}."


def _material(drill: Drill, findings: Findings, transcript: Transcript, frames: Frames) -> dict[str, Any] | None:
    # None where there is nothing of the session's own that the drill could begin with.
    wanted = {rule.measure for rule in drill.rules if rule.own is not None} | {"speech_rate_wpm"}
    own = {name: findings.measures[name].value for name in sorted(wanted) if name in findings.measures}
    words = transcript.words
    more: Mapping[str, Any] | None
    if drill.watch == "fillers":
        more = _clips([filler for filler in findings.fillers if filler.kind == "filled_pause"], words)
    elif drill.watch in ("marks", "clock"):
        more = {"excerpt": _excerpt(words)}
    elif drill.watch == "lights":
        more = _flattest(findings)
    elif drill.watch == "phrase":
        more = {"phrases": _phrases(findings, words, frames)}
    elif drill.speaks == "pairs":
        more = _contrast(words)
    else:
        more = {"excerpt": _marked(words)}
    return None if more is None else {"own": own, **more}


def _text(words: Iterable[Word]) -> str:
    return " ".join(plain(word.text) for word in words if word.kind == "word")


def _clips(fillers: Sequence[Filler], words: Sequence[Word]) -> dict[str, Any] | None:
    # The longest ums, each with some seconds around it in which all ums are known.
    clips: list[Span] = []
    for filler in sorted(fillers, key=lambda one: one.start - one.end):
        clip = Span(max(0, filler.start - _CLIP_BEFORE), filler.end + _CLIP_AFTER)
        if len(clips) < _CLIPS and all(clip.end <= other.start or other.end <= clip.start for other in clips):
            clips.append(clip)
    if not clips:
        return None
    return {
        "clips": [
            {
                "start_s": seconds(clip.start),
                "end_s": seconds(clip.end),
                "text": _text(word for word in words if clip.start <= word.start < clip.end),
                "ums": [[seconds(f.start), seconds(f.end)] for f in fillers if clip.start <= f.start < clip.end],
            }
            for clip in sorted(clips, key=lambda clip: clip.start)
        ]
    }


def _excerpt(words: Sequence[Word]) -> str:
    """The speaker's own words from the beginning of a sentence, with strokes at the ends of clauses."""
    from batch import wording

    said = [word for word in words if word.kind == "word"]
    first = next((i + 1 for i, word in enumerate(said[:-_EXCERPT_WORDS]) if word.text.endswith((".", "?", "!"))), 0)
    some = said[first : first + _EXCERPT_WORDS]
    ends = wording.clause_ends(wording.read(some))
    return " ".join(plain(word.text) + (" /" if i in ends and i < len(some) - 1 else "") for i, word in enumerate(some))


def _marked(words: Sequence[Word]) -> str:
    """Some sentences of the speaker's own, the longest word of each to stand out."""
    sentences: list[list[Word]] = [[]]
    for word in words:
        if word.kind == "word":
            sentences[-1].append(word)
            if word.text.endswith((".", "?", "!")):
                sentences.append([])
    fitting = [one for one in sentences if _SENTENCE_WORDS[0] <= len(one) <= _SENTENCE_WORDS[1]][:_SENTENCES]
    out = []
    for sentence in fitting:
        longest = max(range(len(sentence)), key=lambda i: len(letters(sentence[i].text)))
        out.append(" ".join(f"*{plain(word.text)}*" if i == longest else plain(word.text) for i, word in enumerate(sentence)))
    return " ".join(out)


def _flattest(findings: Findings) -> dict[str, Any] | None:
    known = [stretch for stretch in findings.stretches if stretch.f0_span_st is not None]
    if not known:
        return None
    flattest = min(known, key=lambda stretch: stretch.f0_span_st or 0.0)
    return {"clips": [{"start_s": seconds(flattest.start), "end_s": seconds(flattest.end), "text": "", "ums": []}]}


def _phrases(findings: Findings, words: Sequence[Word], frames: Frames) -> list[dict[str, Any]]:
    """What lies between two pauses without an um or an unclear word; those whose pitch moves most come first."""
    breaks = at_least(findings.pauses)
    spoken = [word for word in words if word.kind != "fragment"]
    found = []
    for before, after in pairwise(breaks):
        inside = [word for word in spoken if before.end - 5 * HOP <= (word.start + word.end) // 2 < after.start]
        clear = inside and all(word.kind == "word" and word.probability >= _UNCLEAR for word in inside)
        fits = _PHRASE_WORDS[0] <= len(inside) <= _PHRASE_WORDS[1] and _PHRASE_S[0] <= seconds(after.start - before.end) <= _PHRASE_S[1]
        if clear and fits:
            tune = contour(frames, Span(before.end, after.start))
            moves = float(np.nanstd(tune.st)) if np.count_nonzero(~np.isnan(tune.st)) >= RATE_HZ // HOP // 4 else 0.0
            found.append((moves, before.end, after.start, _text(inside), tune))
    return [
        {
            "start_s": seconds(start),
            "end_s": seconds(end),
            "text": text,
            "st": [None if np.isnan(st) else round(float(st), 1) for st in tune.st],
            "db": [round(float(db), 1) for db in tune.db],
        }
        for _, start, end, text, tune in sorted(found, key=lambda one: -one[0])[:_PHRASES]
    ]


def _contrast(words: Sequence[Word]) -> dict[str, Any] | None:
    """The pair of sounds that words which could not be made out hold more often than others."""
    from recognition import lexicon

    said = [(letters(word.text), word.probability < _UNCLEAR) for word in words if word.kind == "word"]
    phones = lexicon.pronunciations({text for text, _ in said})
    usual = sum(unclear for _, unclear in said) / max(1, len(said))

    def holding(one: Contrast) -> list[tuple[str, bool]]:
        return [(text, unclear) for text, unclear in said if any(set(one.phones) & set(spelt) for spelt in phones.get(text, ()))]

    rated = []
    for one in contrasts().values():
        here = holding(one)
        missed = sum(unclear for _, unclear in here)
        if missed >= _FEWEST_UNCLEAR:
            rated.append(((missed + usual * _PRIOR_WORDS) / (len(here) + _PRIOR_WORDS), one, here))
    if not rated:
        return None
    _, worst, here = max(rated, key=lambda each: each[0])
    return {"contrast": worst.id, "title": worst.title, "words": sorted({text for text, unclear in here if unclear})[:6]}
