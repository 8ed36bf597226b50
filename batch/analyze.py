"""One recording from file to full measurement: the steps in order, each a function of what came before."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from batch.decode import Recording, decode
from batch.progress import Progress, Unwatched
from config import models
from config.settings import Settings
from speech import activity, disfluencies, filled_pauses, measures, prosody, syllables
from speech.analysis import Analysis, AudioFacts, Disfluency, Filler, LanguageIssue
from speech.audio import HOP, Frames
from speech.errors import Problem, sentence
from speech.pauses import pauses, silences, speaking_span
from speech.words import Transcript, Word

DEFINITIONS = "1"  # of docs/metrics.md: grows when a formula changes

_SURE_LANGUAGE = 0.5  # probability below which a user is told to doubt it
_EDGE_SILENCE = 5 * HOP  # what may part two words


def analyze(path: Path, settings: Settings, progress: Progress | None = None) -> tuple[Analysis, Recording]:
    """Measure one file. Raises Problem or config.errors.Unusable, with what to say to the user, before anything is written."""
    told = progress or Unwatched()
    told.stage("reading")
    recording = decode(path, told.at)
    pcm = recording.pcm

    told.stage("listening")
    from batch import vad  # these load onnxruntime, CTranslate2 and Praat: not before the file has proved to be sound
    from batch.transcribe import transcribe
    from batch.whisper import Recogniser

    probability = vad.speech_probability(pcm, lambda done: told.at(done / pcm.size))
    hops = prosody.analyse(pcm, recording.lost)
    state = activity.activity(pcm, probability, recording.lost)
    frames = Frames(0, HOP, hops.f0_hz, hops.level_dbfs, state)

    told.stage("recognising")
    model, where = models.asr_model(settings), models.placement(settings)
    heard = transcribe(
        Recogniser(model, where, settings.threads),  # held by nobody else: its memory is free again before the words are read
        pcm,
        probability,
        silences(state, _EDGE_SILENCE),
        filled_pauses.candidates(pcm, frames.f0_hz, state),
        settings.threads,
        told.at,
    )
    words = heard.transcript.words
    if not words:
        raise Problem("no-speech", path=path)

    told.stage("reading the words")
    versions = {"definitions": DEFINITIONS, "vad": vad.VERSION, **models.versions(model, where)}
    english = heard.transcript.language == "en"
    pronunciations: dict[str, int] = {}
    clause_ends: frozenset[int] | None = None
    markers: tuple[Filler, ...] = ()
    issues: tuple[LanguageIssue, ...] = ()
    if english:
        from batch import lexicon, wording

        pronunciations = lexicon.syllable_counts()
        reading = wording.read(words)
        clause_ends, markers, issues = wording.clause_ends(reading), wording.discourse_markers(reading), wording.language_issues(reading)
        versions |= wording.versions()
    counts = tuple(
        count if word.kind == "word" else 0
        for word, count in zip(words, syllables.counts([w.text for w in words], pronunciations, heard.transcript.language), strict=True)
    )
    fillers = _fillers(words, frozenset((w.start, w.end) for w in heard.second_opinion), markers)
    broken = _disfluencies(words, counts) if english else ()
    found = pauses(state, words, fillers, clause_ends)

    told.stage("measuring")
    from batch import voice

    spoken = measures.Spoken(
        words,
        counts,
        frames,
        hops.k_power,
        hops.nuclei,
        found,
        fillers,
        broken,
        issues,
        speaking_span(state, words, fillers),
        heard.transcript.language,
    )
    analysis = Analysis(
        audio=_warned(recording.facts, heard.transcript),
        transcript=heard.transcript,
        frames=frames,
        pauses=found,
        fillers=fillers,
        disfluencies=broken,
        language_issues=issues,
        measures={**measures.measures(spoken), **voice.measures(pcm, frames.f0_hz)},
        stretches=measures.stretches(spoken),
        versions=dict(sorted({**versions, "praat": voice.VERSION}.items())),
    )
    return analysis, recording


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


def _warned(facts: AudioFacts, heard: Transcript) -> AudioFacts:
    warnings = list(facts.warnings)
    if heard.language_probability < _SURE_LANGUAGE:
        warnings.append(sentence("unsure-language", language=heard.language, percent=100 * heard.language_probability))
    if heard.language != "en":
        warnings.append(sentence("other-language", language=heard.language))
    return replace(facts, warnings=tuple(warnings))
