"""What is made of a session's scores: the moments worth hearing again, drills that fit, and what has changed since last time."""

from collections.abc import Mapping, Sequence
from typing import Any

from batch import moments
from batch.analyze import Findings
from batch.compared import compared
from batch.drilling import proposed
from batch.highlights import highlights
from config.rubrics import Rubric
from db.history import Scored
from speech.audio import Frames
from speech.words import Transcript


def coaching(
    scores: Mapping[str, Any],
    rubric: Rubric,
    earlier: Sequence[Scored] | None,
    findings: Findings,
    transcript: Transcript,
    frames: Frames,
) -> dict[str, Any]:
    """What is stored and shown (docs/protocol.md). scores: as batch/scored.py makes them by this rubric; earlier: of the same person."""
    stands_out = highlights(scores, rubric)
    work_on = (stands_out["work_on"] or {}).get("dimension")
    return {
        "moments": moments.chosen(scores, findings, transcript, frames),
        "drills": proposed(scores, work_on, findings, transcript, frames),
        "change": compared(scores, earlier),
        "highlights": stands_out,
    }
