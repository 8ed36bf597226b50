"""A session seen through a rubric: every score with its interval, what it is made of and where to hear it."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec

from batch.analyze import Findings
from config.rubrics import Dimension, Rubric
from speech.audio import seconds
from speech.evidence import MOST, Material, evidence
from speech.scoring import Curve, Score, Term, overall, score
from speech.words import Word


def scored(rubric: Rubric, findings: Findings, words: Sequence[Word]) -> dict[str, Any]:
    """What is stored, told and shown (docs/protocol.md): from what was measured, without the sound."""
    material = Material(words, findings.pauses, findings.fillers, findings.disfluencies, findings.language_issues, findings.stretches)
    given = {dimension.id: score(_terms(dimension), findings.measures) for dimension in rubric.dimensions}
    together = overall({dimension.id: (given[dimension.id], dimension.weight) for dimension in rubric.dimensions})
    return {
        "rubric": {"name": rubric.name, "version": rubric.version, "title": rubric.title, "digest": rubric.digest},
        "overall": _number(together),
        "scores": [_entry(dimension, given[dimension.id], material) for dimension in rubric.dimensions],
    }


@cache
def _terms(dimension: Dimension) -> tuple[Term, ...]:
    return tuple(Term(term.measure, Curve(term.points), term.weight) for term in dimension.terms)


def _number(found: Score) -> dict[str, Any]:
    return {"value": found.value, "low": found.low, "high": found.high, "refusal": found.refusal}


def _entry(dimension: Dimension, found: Score, material: Material) -> dict[str, Any]:
    sources = {term.measure: term.source for term in dimension.terms}
    curves = {term.measure: term.curve for term in _terms(dimension)}
    heard = []
    # What costs most comes first.
    for share in sorted(found.shares, key=lambda share: (share.score - 100.0) * share.weight):
        for span in evidence(share.name, curves[share.name], material):
            heard.append({"measure": share.name, "start_s": round(seconds(span.start), 3), "end_s": round(seconds(span.end), 3)})
    return {
        "dimension": dimension.id,
        "title": dimension.title,
        "weight": dimension.weight,
        **_number(found),
        "parts": found.parts,
        "made_of": [{**msgspec.to_builtins(share), "source": sources[share.name]} for share in found.shares],
        "evidence": heard[: 2 * MOST],
    }
