"""The rated sentences of the shared data (speechocean762) as the product hears them, kept between runs.

The sentences of a speaker are joined into one session, with 1.5 s of their own background between them, and that goes through the steps of
batch/analyze.py. The language is given, since a learner's first sentences alone are often taken for another one.
"""

import csv
import hashlib
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import msgspec
import numpy as np

from batch import analyze
from batch.decode import Recording, decode
from batch.progress import Unwatched
from bench.pauses import SHARED, fill
from config import models
from config.settings import Settings
from recognition.whisper import Recogniser
from speech.analysis import AudioFacts
from speech.audio import RATE_HZ, Floats, Span, seconds
from speech.words import Heard

ADULT = 16  # years
_GAP = round(1.5 * RATE_HZ)


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence, who read it and what five experts gave it, 0 to 10."""

    name: str
    speaker: str
    age: int
    sex: str
    text: str
    experts: dict[str, tuple[float, ...]]  # "fluency", "prosody"


@dataclass(frozen=True, slots=True, eq=False)
class Session:
    """All sentences of one speaker, and what the steps made of them."""

    sentences: tuple[Sentence, ...]
    spans: tuple[Span, ...]  # of each, with half of the silence around it
    heard: Heard
    listened: analyze.Listened
    findings: analyze.Findings

    @property
    def lengths_s(self) -> list[float]:
        """Of each recording as it was given."""
        ends = [span.end - _GAP // 2 for span in self.spans]
        starts = [span.start + _GAP // 2 if i else 0 for i, span in enumerate(self.spans)]
        return [seconds(end - start) for start, end in zip(starts, ends, strict=True)]


def folder() -> Path:
    """Where the recordings and labels.csv are."""
    return SHARED / "speechocean762"


def sentences() -> list[Sentence]:
    """All of labels.csv, in its order: a speaker's stand together."""
    with (folder() / "labels.csv").open(encoding="utf-8", newline="") as file:
        return [
            Sentence(
                row["utt"],
                row["speaker"],
                int(row["age"]),
                row["gender"],
                row["text"],
                {what: tuple(float(x) for x in row[f"{column}_experts"].split(";")) for what, column in _COLUMNS},
            )
            for row in csv.DictReader(file)
        ]


def sessions(settings: Settings) -> list[Session]:
    """One for each speaker; what was heard is in the data folder where the same versions have heard it before."""
    model, where = models.asr_model(settings), models.placement(settings)
    versions = models.versions(model, where)
    made_by = hashlib.sha256(msgspec.json.encode([_GAP, sorted(versions.items())])).hexdigest()[:12]
    kept = settings.data / "bench" / f"rated-{made_by}"
    kept.mkdir(parents=True, exist_ok=True)
    recogniser: Recogniser | None = None
    found = []
    for speaker, group in groupby(sentences(), key=lambda one: one.speaker):
        said = tuple(group)
        pcm, spans = joined(said)
        facts = AudioFacts(speaker, "", "", "", RATE_HZ, 1, pcm.size, ())
        path = kept / f"{speaker}.pickle"
        if not path.exists():
            recogniser = recogniser or Recogniser(model, where, settings.threads)
            recording = Recording(pcm, (), facts)
            listened = analyze.listen(recording, lambda _: None)
            heard = analyze.recognise(recogniser, recording, listened, settings.threads, lambda _: None, "en")
            path.with_suffix(".part").write_bytes(pickle.dumps((heard, listened)))
            path.with_suffix(".part").rename(path)
            print(f"heard speaker {speaker}", flush=True)
        heard, listened = pickle.loads(path.read_bytes())  # our own file
        findings, _ = analyze.measure(facts, heard, listened, versions, Unwatched())
        found.append(Session(said, spans, heard, listened, findings))
    return found


def joined(said: Sequence[Sentence]) -> tuple[Floats, tuple[Span, ...]]:
    """The sentences of one speaker as one recording, and where each is."""
    rng = np.random.default_rng(0)
    parts, spans, at = [], [], 0
    for one in said:
        pcm = decode(next(folder().glob(f"*/{one.name}.*"))).pcm
        parts += [pcm, fill("own floor", pcm, _GAP, rng)]
        spans.append(Span(max(0, at - _GAP // 2), at + pcm.size + _GAP // 2))
        at += pcm.size + _GAP
    return np.concatenate(parts), tuple(spans)


_COLUMNS = (("fluency", "fluency"), ("prosody", "prosodic"))
