"""What went well and the one thing to work on, in sentences made of measured facts: the `highlights` of a coaching document."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Any

import numpy as np

from config.rubrics import Rubric
from speech.scoring import Curve

WELL = 75.0  # a score from which something is said to have gone well
ENOUGH = 90.0  # a score that leaves nothing to work on, and what is aimed at


@dataclass(frozen=True, slots=True)
class Phrase:
    """How a measure is said of a speaker."""

    words: str  # {} is the number
    digits: int = 1
    times: float = 1.0

    def number(self, value: float) -> str:
        """As it is printed."""
        return f"{max(0.0, self.times * value):.{self.digits}f}"

    def said(self, value: float) -> str:
        """With its words."""
        return self.words.format(self.number(value))


PHRASES: Mapping[str, Phrase] = {
    "speech_rate_wpm": Phrase("{} words a minute", 0),
    "speech_rate_syl_s": Phrase("{} syllables a second"),
    "pauses_at_clause_ends_share": Phrase("{} % of the pauses at the end of a clause", 0, 100.0),
    "pause_share": Phrase("{} % of the time in pauses", 0, 100.0),
    "pause_mean_s": Phrase("pauses of {} s on average"),
    "pauses_within_clause_per_100_syl": Phrase("{} pauses inside clauses per 100 syllables"),
    "filled_pauses_per_100_words": Phrase("{} filled pauses (um, uh) per 100 words"),
    "repetitions_per_100_words": Phrase("{} repetitions per 100 words"),
    "false_starts_per_100_words": Phrase("{} false starts per 100 words"),
    "discourse_markers_per_100_words": Phrase("{} words such as “like” or “you know” per 100"),
    "f0_sd_st": Phrase("pitch that varies by {} semitones"),
    "level_range_db": Phrase("a level that ranges over {} dB"),
    "trailing_off_db": Phrase("phrases that fall by {} dB to their end", 1, -1.0),
    "unclear_words_per_100_words": Phrase("{} words in 100 that the recogniser was unsure of"),
    "grammar_issues_per_100_words": Phrase("{} slips of grammar per 100 words"),
    "style_issues_per_100_words": Phrase("{} remarks on style per 100 words"),
    "hedges_per_100_words": Phrase("{} hedges (“I guess”, “probably”) per 100 words"),
    "mattr_50": Phrase("{} % different words among fifty on end", 0, 100.0),
}


def highlights(scores: Mapping[str, Any], rubric: Rubric) -> dict[str, Any]:
    """scores: as batch/scored.py makes them with this rubric.

    What went well is the score that is surely high (its lower end counts); what to work on, the one that surely costs the overall score
    most: its weight times what its upper end lacks of 100.
    """
    given = [one for one in scores["scores"] if one["value"] is not None and one["made_of"]]
    if not given:
        return {"well": None, "work_on": None, "needs": _needs(scores), "phrased": None}
    curves = {(dimension.id, term.measure): Curve(term.points) for dimension in rubric.dimensions for term in dimension.terms}
    well: Mapping[str, Any] | None = max(given, key=lambda one: (one["low"], one["value"]))
    left = [one for one in given if one is not well and one["value"] < ENOUGH]
    if not left and well is not None and well["value"] < WELL:
        left, well = [well], None
    worst = max(left, key=lambda one: (one["weight"] * (100.0 - one["high"]), one["weight"] * (100.0 - one["value"])), default=None)
    return {"well": well and _well(well), "work_on": worst and _work_on(worst, curves), "needs": None, "phrased": None}


def _well(one: Mapping[str, Any]) -> dict[str, Any]:
    share = max(one["made_of"], key=lambda share: share["weight"] * share["score"])
    facts = _facts(one, share)
    went = "went well" if one["value"] >= WELL else "went best"
    return {"dimension": one["dimension"], "sentence": f"{one['title']} {went}: {facts['said']}.", "facts": facts}


def _work_on(one: Mapping[str, Any], curves: Mapping[tuple[str, str], Curve]) -> dict[str, Any]:
    share = max(one["made_of"], key=lambda share: share["weight"] * (100.0 - share["score"]))
    facts = _facts(one, share)
    sentence = f"Work on {one['title'].lower()}: {facts['said']}."
    curve = curves.get((one["dimension"], share["name"]))
    aim = None if curve is None else _aim(share, curve)
    if aim is not None:
        facts["aim"] = aim
        sentence = f"{sentence[:-1]}; aim for {aim}."
    return {"dimension": one["dimension"], "sentence": sentence, "facts": facts}


def _facts(one: Mapping[str, Any], share: Mapping[str, Any]) -> dict[str, Any]:
    phrase = PHRASES.get(share["name"], Phrase(share["name"].replace("_", " ") + " {}"))
    return {
        "title": one["title"],
        "score": round(one["value"]),
        "low": round(one["low"]),
        "high": round(one["high"]),
        "measure": share["name"],
        "said": phrase.said(share["value"]),
    }


def _aim(share: Mapping[str, Any], curve: Curve) -> str | None:
    """The nearest value that the rubric calls good, as it is printed: `1.8 or less`."""
    phrase = PHRASES.get(share["name"])
    at = [value for value, _ in curve.points]
    values = np.union1d(np.linspace(at[0], at[-1], 2001), at)
    good = values[curve(values) >= ENOUGH - 1e-9]
    if phrase is None or share["score"] >= ENOUGH or good.size == 0:
        return None
    nearest = phrase.times * float(good[np.argmin(np.abs(good - share["value"]))])
    upwards = nearest > phrase.times * share["value"]
    scale = 10.0**phrase.digits
    rounded = (ceil(nearest * scale - 1e-6) if upwards else floor(nearest * scale + 1e-6)) / scale
    return f"{rounded:.{phrase.digits}f} or {'more' if upwards else 'less'}"


def _needs(scores: Mapping[str, Any]) -> str:
    """What would lift the refusals: the commonest of them."""
    reasons: Sequence[str] = [one["refusal"] for one in scores["scores"] if one["refusal"]]
    reason = Counter(reasons).most_common(1)[0][0] if reasons else "nothing was measured"
    return f"There is no score yet: this {reason}." if reason.startswith("needs") else f"There is no score: {reason}."
