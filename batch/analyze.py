"""One recording from file to full measurement: the steps in order, each a function of what came before.

`elocute analyze` runs them all in one process; the workers of a server run the same functions, one step of the graph at a time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from batch.decode import Recording, decode
from batch.progress import Progress, Unwatched
from config import models
from config.settings import Settings
from speech import activity, disfluencies, filled_pauses, measures, prosody, syllables
from speech.analysis import Analysis, AudioFacts, Disfluency, Filler, LanguageIssue, Measure, Pause, Stretch
from speech.audio import HOP, Floats, Frames, States
from speech.errors import Problem, sentence
from speech.masking import Entity
from speech.pauses import pauses, silences, speaking_span
from speech.words import Heard, Transcript, Word

if TYPE_CHECKING:  # it loads CTranslate2
    from recognition.whisper import Recogniser

DEFINITIONS = "2"  # of docs/metrics.md: grows when a formula changes

_SURE_LANGUAGE = 0.5  # probability below which a user is told to doubt it
_EDGE_SILENCE = 5 * HOP  # what may part two words


@dataclass(frozen=True, slots=True, eq=False)
class Listened:
    """What the signal alone tells."""

    probability: Floats  # (k,) of speech, per 512 samples
    hops: prosody.Hops
    state: States

    @property
    def frames(self) -> Frames:
        """What is written and drawn of them."""
        return Frames(0, HOP, self.hops.f0_hz, self.hops.level_dbfs, self.state)


@dataclass(frozen=True, slots=True)
class Findings:
    """What a measured recording holds beside its sound, its words and its frames: small enough for a row of the store."""

    warnings: tuple[str, ...]
    pauses: tuple[Pause, ...]
    fillers: tuple[Filler, ...]
    disfluencies: tuple[Disfluency, ...]
    language_issues: tuple[LanguageIssue, ...]
    measures: dict[str, Measure]
    stretches: tuple[Stretch, ...]
    versions: dict[str, str]
    entities: tuple[Entity, ...] = ()  # kept in a table of their own


def analyze(path: Path, settings: Settings, progress: Progress | None = None) -> tuple[Analysis, Recording]:
    """Measure one file: every step in this process. Raises Problem or config.errors.Unusable, with what to say to the user."""
    told = progress or Unwatched()
    told.stage("reading")
    recording = decode(path, told.at)
    told.stage("listening")
    listened = listen(recording, told.at)
    told.stage("recognising")
    model, where = models.asr_model(settings), models.placement(settings)
    from recognition.whisper import Recogniser

    # The recogniser is held by nobody else: its memory is free again before the words are read.
    heard = recognise(Recogniser(model, where, settings.threads), recording, listened, settings.threads, told.at)
    if not heard.transcript.words:
        raise Problem("no-speech", path=path)
    told.stage("reading the words")
    findings, _ = measure(recording.facts, heard, listened, models.versions(model, where), told)
    voice = voiced(recording.pcm, listened)
    return analysis(recording.facts, heard.transcript, listened, findings, voice), recording


def listen(recording: Recording, at: Callable[[float], None]) -> Listened:
    """Where there is speech, and the prosody of every hop."""
    from recognition import vad  # it loads onnxruntime: not before the file has proved to be sound

    probability = vad.speech_probability(recording.pcm, lambda done: at(done / recording.pcm.size))
    return Listened(
        probability, prosody.analyse(recording.pcm, recording.lost), activity.activity(recording.pcm, probability, recording.lost)
    )


def recognise(
    recogniser: "Recogniser",
    recording: Recording,
    listened: Listened,
    workers: int,
    at: Callable[[float], None],
    language: str | None = None,
) -> Heard:
    """The words, in their places. language: ISO 639-1, where it is known; else it is detected."""
    from batch.transcribe import transcribe

    return transcribe(
        recogniser,
        recording.pcm,
        listened.probability,
        silences(listened.state, _EDGE_SILENCE),
        filled_pauses.candidates(recording.pcm, listened.hops.f0_hz, listened.state),
        workers,
        at,
        language,
    )


def voiced(pcm: Floats, listened: Listened) -> dict[str, Measure]:
    """The measures of the voice, by Praat."""
    from batch import voice

    return voice.measures(pcm, listened.hops.f0_hz)


def measure(
    facts: AudioFacts, heard: Heard, listened: Listened, versions: dict[str, str], progress: Progress
) -> tuple[Findings, measures.Spoken]:
    """Everything that words and frames tell together, and what it was told from. versions: of what recognised the words."""
    from batch import voice
    from recognition import vad

    words = heard.transcript.words
    versions = {**versions, "definitions": DEFINITIONS, "vad": vad.VERSION, "praat": voice.VERSION}
    english = heard.transcript.language == "en"
    pronunciations: dict[str, int] = {}
    clause_ends: frozenset[int] | None = None
    markers: tuple[Filler, ...] = ()
    issues: tuple[LanguageIssue, ...] = ()
    named: tuple[Entity, ...] = ()
    if english:
        from batch import wording
        from recognition import lexicon

        pronunciations = lexicon.syllable_counts()
        reading = wording.read(words)
        clause_ends, markers, issues = wording.clause_ends(reading), wording.discourse_markers(reading), wording.language_issues(reading)
        named = wording.entities(reading)
        versions |= wording.versions()
    counts = tuple(
        count if word.kind == "word" else 0
        for word, count in zip(words, syllables.counts([w.text for w in words], pronunciations, heard.transcript.language), strict=True)
    )
    fillers = _fillers(words, frozenset((w.start, w.end) for w in heard.second_opinion), markers)
    broken = _disfluencies(words, counts) if english else ()
    found = pauses(listened.state, words, fillers, clause_ends)

    progress.stage("measuring")
    spoken = measures.Spoken(
        words,
        counts,
        listened.frames,
        listened.hops.k_power,
        listened.hops.nuclei,
        found,
        fillers,
        broken,
        issues,
        speaking_span(listened.state, words, fillers),
        heard.transcript.language,
    )
    findings = Findings(
        warnings=_warned(facts, heard.transcript),
        pauses=found,
        fillers=fillers,
        disfluencies=broken,
        language_issues=issues,
        measures=measures.measures(spoken),
        stretches=measures.stretches(spoken),
        versions=dict(sorted(versions.items())),
        entities=named,
    )
    return findings, spoken


def analysis(facts: AudioFacts, transcript: Transcript, listened: Listened, findings: Findings, voice: dict[str, Measure]) -> Analysis:
    """The parts put together."""
    return Analysis(
        audio=replace(facts, warnings=findings.warnings),
        transcript=transcript,
        frames=listened.frames,
        pauses=findings.pauses,
        fillers=findings.fillers,
        disfluencies=findings.disfluencies,
        language_issues=findings.language_issues,
        measures={**findings.measures, **voice},
        stretches=findings.stretches,
        versions=findings.versions,
    )


def _fillers(words: Sequence[Word], second_opinion: frozenset[tuple[int, int]], markers: Sequence[Filler]) -> tuple[Filler, ...]:
    filled = [
        Filler(
            w.text.strip(".,?!…- "),
            w.start,
            w.end,
            "filled_pause",
            "second_opinion" if (w.start, w.end) in second_opinion else "recogniser",
        )
        for w in words
        if w.kind == "filler"
    ]
    return tuple(sorted([*filled, *markers], key=lambda f: (f.start, f.end)))


def _disfluencies(words: Sequence[Word], counts: Sequence[int]) -> tuple[Disfluency, ...]:
    found = [*disfluencies.disfluencies(words), *disfluencies.lengthenings(words, counts)]
    return tuple(sorted(found, key=lambda d: (d.start, d.end)))


def _warned(facts: AudioFacts, heard: Transcript) -> tuple[str, ...]:
    warnings = list(facts.warnings)
    if heard.language_probability < _SURE_LANGUAGE:
        warnings.append(sentence("unsure-language", language=heard.language, percent=100 * heard.language_probability))
    if heard.language != "en":
        warnings.append(sentence("other-language", language=heard.language))
    return tuple(warnings)
