"""What trained listeners would probably say of a session, for rubrics that know: from what the steps before have stored."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from batch.analyze import Findings, Listened
from config.rubrics import RatingOf, Rubric
from recognition import lexicon
from speech import rated, script, syllables
from speech.measures import NEEDS_ENGLISH, Spoken
from speech.pauses import speaking_span
from speech.rated import Band, Line, Model, Rating, Read, Utterance
from speech.words import Transcript

_LEAST_READ = 0.25  # of the script's words, heard as written: who says fewer of them does not read it


def ratings(
    rubric: Rubric, findings: Findings, transcript: Transcript, listened: Listened, text: str | None, child: bool = False
) -> list[dict[str, Any]]:
    """What is stored, told and shown (docs/protocol.md). text: what was to be read, where that is known."""
    if not rubric.ratings:
        return []
    heard = spoken(findings, transcript, listened)
    read = None if text is None else read_of(heard, text)
    utterances = rated.utterances(heard, read)
    fitting = [one for one in rubric.ratings if one.script == (read is not None)]
    return [_entry(one, _rating(one, utterances, transcript.language, child), child) for one in fitting]


def spoken(findings: Findings, transcript: Transcript, listened: Listened) -> Spoken:
    """What was measured, put together again. English, or without syllables."""
    words = transcript.words
    known: Mapping[str, int] = lexicon.syllable_counts() if transcript.language == "en" else {}
    counts = tuple(
        count if word.kind == "word" else 0
        for word, count in zip(words, syllables.counts([w.text for w in words], known, transcript.language), strict=True)
    )
    return Spoken(
        words,
        counts,
        listened.frames,
        listened.hops.k_power,
        listened.hops.nuclei,
        findings.pauses,
        findings.fillers,
        findings.disfluencies,
        findings.language_issues,
        speaking_span(listened.state, words, findings.fillers),
        transcript.language,
    )


def read_of(heard: Spoken, text: str) -> Read | None:
    """The script beside the words; None where something else was said, or it is too long to compare."""
    written = script.words_of(text)
    said = [heard.words[i].text for i in rated.counted(heard)]
    if max(len(written), len(said)) > script.LONGEST:
        return None
    compared = script.compare(written, said, {})
    if sum(word.verdict == "read" for word in compared.words) <= _LEAST_READ * len(written):
        return None
    return Read(compared.words, syllables.counts(written, lexicon.syllable_counts(), "en"))


@cache
def model(of: RatingOf) -> Model:
    """As the rubric writes it."""
    return Model(
        of.base,
        of.child,
        tuple(Line(line.feature, line.points) for line in of.lines),
        tuple(Band(band.below, band.half) for band in of.bands),
        of.shared,
    )


def _rating(of: RatingOf, heard: Sequence[Utterance], language: str, child: bool) -> Rating:
    if language != "en":
        return Rating(None, None, None, 0, refusal=NEEDS_ENGLISH)
    return rated.rate(model(of), heard, child=child)


def _entry(of: RatingOf, found: Rating, child: bool) -> dict[str, Any]:
    return {
        "what": of.what,
        "value": found.value,
        "low": found.low,
        "high": found.high,
        "scale": list(rated.SCALE),
        "refusal": found.refusal,
        "made_of": [{"name": part.name, "value": part.value, "adds": part.adds} for part in found.parts],
        "child": of.child if child else 0.0,
        "sentences": found.utterances,
        "script": of.script,
    }
