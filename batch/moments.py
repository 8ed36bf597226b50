"""The moments of a scored session, as they are stored and shown."""

from collections.abc import Mapping, Sequence
from typing import Any

from batch.analyze import Findings
from batch.captions import gap
from batch.document import plain
from config.rubrics import rubrics
from speech.audio import Frames, seconds
from speech.evidence import Material
from speech.moments import View, moments
from speech.scoring import Curve
from speech.words import Transcript, Word


def chosen(scores: Mapping[str, Any], findings: Findings, transcript: Transcript, frames: Frames) -> list[dict[str, Any]]:
    """The key `moments` of the coaching document (docs/protocol.md). scores: as batch/scored.py makes them."""
    material = Material(
        transcript.words, findings.pauses, findings.fillers, findings.disfluencies, findings.language_issues, findings.stretches
    )
    values = {score["dimension"]: score["value"] for score in scores["scores"]}
    views = {
        term.measure: View(dimension.id, values.get(dimension.id), Curve(term.points))
        for dimension in rubrics()[scores["rubric"]["name"]].dimensions
        for term in dimension.terms
    }
    return [
        {
            "id": f"m{number}",
            "kind": moment.kind,
            "what": moment.what,
            "dimension": moment.dimension,
            "why": plain(moment.why),
            "text": text_of(within(transcript.words, moment.cut.start, moment.cut.end), transcript.language),
            "start_s": seconds(moment.start),
            "end_s": seconds(moment.end),
            "cut_start_s": seconds(moment.cut.start),
            "cut_end_s": seconds(moment.cut.end),
        }
        for number, moment in enumerate(moments(material, frames, findings.measures, views), 1)
    ]


def within(words: Sequence[Word], start: int, end: int) -> list[Word]:
    """The words whose middle lies in [start, end)."""
    return [word for word in words if start <= (word.start + word.end) // 2 < end]


def text_of(words: Sequence[Word], language: str) -> str:
    """What was said, on one line."""
    return gap(language).join(plain(word.text) for word in words)
