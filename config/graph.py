"""The graph of steps that turns a recording into a report: the one place that says what follows what.

    ingest -> asr, prosody -> fluency -> pronunciation -> score -> coach -> report, clips, search

A step runs once everything in `after` is done for the same source. What it was computed from is its input hash, a chain from the hash of
the source through the versions of all steps before it: a new rubric gives `score` and what follows a new hash and leaves the rest alone.
"""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from config import drills
from config.rubrics import digest


@dataclass(frozen=True, slots=True)
class Step:
    """One node. A worker runs one step of each lane at a time."""

    name: str
    title: str  # what the user reads
    after: tuple[str, ...]
    version: str  # grows when the step's result changes for the same input
    lane: str
    limit_s: float  # it is given up after this and `limit_per_s` for each second of the recording
    limit_per_s: float


STEPS: tuple[Step, ...] = (
    Step("ingest", "Reading the recording", (), "1", "ingest", 120.0, 0.5),
    Step("asr", "Recognising the words", ("ingest",), "2", "asr", 300.0, 4.0),
    Step("prosody", "Measuring the voice", ("ingest",), "1", "measure", 120.0, 1.0),
    Step("fluency", "Reading the words", ("asr", "prosody"), "3", "measure", 120.0, 1.0),
    Step("pronunciation", "Comparing with the script", ("fluency",), "1", "asr", 300.0, 2.0),
    Step("score", "Scoring", ("pronunciation",), f"3:{digest()}", "measure", 60.0, 0.0),
    Step("coach", "Choosing what to show and to practise", ("score",), f"1:{drills.digest()}", "measure", 120.0, 0.1),
    Step("report", "Writing the report", ("coach",), "2", "measure", 120.0, 1.0),
    Step("clips", "Cutting the clips", ("coach",), "1", "clips", 120.0, 1.0),
    Step("search", "Making it searchable", ("coach",), "1", "search", 120.0, 0.1),
)
BY_NAME: Mapping[str, Step] = {step.name: step for step in STEPS}


def root_hash(source: str) -> str:
    """The input hash of the first step. source: what names the bytes of the recording, such as their SHA-256."""
    return _hash(STEPS[0], (source,))


def hashes(root: str, script: str | None = None) -> dict[str, str]:
    """The input hash that every step of a session has now, from that of its first. script: the text that is read in it."""
    found = {STEPS[0].name: root}
    for step in STEPS[1:]:
        read = (hashlib.sha256(script.encode()).hexdigest(),) if script and step.name == "pronunciation" else ()
        found[step.name] = _hash(step, (*(found[name] for name in step.after), *read))
    return found


def next_steps(done: str, finished: Collection[str]) -> list[str]:
    """The steps that may begin now that `done` is among the `finished` ones."""
    return [step.name for step in STEPS if done in step.after and all(name in finished for name in step.after)]


def following(name: str) -> list[str]:
    """A step and all that follow from it, in order."""
    found = [name]
    for step in STEPS:
        if any(before in found for before in step.after):
            found.append(step.name)
    return found


def _hash(step: Step, inputs: tuple[str, ...]) -> str:
    return hashlib.sha256("\n".join((step.name, step.version, *inputs)).encode()).hexdigest()
