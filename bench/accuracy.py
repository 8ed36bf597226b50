"""How right the analysis is on real speech with known answers, beside plain faster-whisper with the same weights in the same run.

`python -m bench.accuracy [--only wer,times,fillers,f0,pauses] [--quick]` prints tables and writes bench/results/accuracy.json.

Ours is `elocute analyze` as a whole; plain is WhisperModel.transcribe with word timestamps. Word error rates are those of jiwer after
OpenAI's English normaliser, which drops um and uh; our fillers are left out by their kind. The shared data must be there; --quick takes
every fourth file (of the disfluent ones also all with fillers) and one talk of two minutes.
"""

import argparse
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

import ctranslate2
import jiwer
import numpy as np
from faster_whisper import WhisperModel
from numpy.typing import NDArray
from whisper_normalizer.english import EnglishTextNormalizer

from batch.analyze import analyze
from bench import corpus, f0, pauses
from bench.corpus import FILLED, Timed, Utterance, bare, same
from bench.pauses import SHARED
from bench.table import Cell, Row, keep, show
from config import models
from config.settings import Settings, read_settings
from speech.audio import RATE_HZ, seconds
from speech.errors import Problem
from speech.filled_pauses import is_filled_pause

SEEDS = (1, 2)
TALK_S = 600.0
OURS, BEAM_1, BEAM_5 = "ours", "plain, beam 1", "plain, beam 5"


@dataclass(frozen=True, slots=True)
class Heard:
    """What a system made of a recording."""

    words: tuple[Timed, ...]  # fillers among them
    fillers: frozenset[int]  # which of the words are filled pauses
    markers: int  # other fillers reported (like, you know)

    def text(self) -> str:
        """The words without the filled pauses."""
        return " ".join(word.text for i, word in enumerate(self.words) if i not in self.fillers)


System = Callable[[Path], Heard]


def systems(settings: Settings) -> dict[str, System]:
    """Ours, and plain faster-whisper by beam; each hears a file once."""
    model = WhisperModel(str(models.asr_model(settings).folder), device="cpu", compute_type="int8", cpu_threads=settings.threads)

    def plain(path: Path, beam: int) -> Heard:
        ctranslate2.set_random_seed(1)  # it samples where it is unsure
        segments, _ = model.transcribe(corpus.sound(path), beam_size=beam, word_timestamps=True, language="en")
        words = [Timed(word.word.strip(), word.start, word.end) for segment in segments for word in segment.words or ()]
        return Heard(tuple(words), frozenset(i for i, word in enumerate(words) if is_filled_pause(word.text)), 0)

    def ours(path: Path) -> Heard:
        try:
            analysis, _ = analyze(path, settings)
        except Problem as problem:
            if problem.code != "no-speech":
                raise
            return Heard((), frozenset(), 0)
        words = analysis.transcript.words
        return Heard(
            tuple(Timed(word.text, seconds(word.start), seconds(word.end)) for word in words),
            frozenset(i for i, word in enumerate(words) if word.kind == "filler"),
            sum(filler.kind != "filled_pause" for filler in analysis.fillers),
        )

    return {OURS: cache(ours), BEAM_1: cache(lambda path: plain(path, 1)), BEAM_5: cache(lambda path: plain(path, 5))}


# words


def word_errors(name: str, utterances: Sequence[Utterance], heard: dict[str, System]) -> list[Row]:
    """A row for each system; `above plain` is in points, against the better of the plain ones."""
    normal = EnglishTextNormalizer()
    truth = [normal(utterance.text) for utterance in utterances]
    counted = {system: jiwer.process_words(truth, [normal(hear(u.path).text()) for u in utterances]) for system, hear in heard.items()}
    best = min(100 * count.wer for system, count in counted.items() if system != OURS)
    return [
        {
            "set": name,
            "system": system,
            "words": count.hits + count.substitutions + count.deletions,
            "WER %": 100 * count.wer,
            "S": count.substitutions,
            "D": count.deletions,
            "I": count.insertions,
            "above plain": 100 * count.wer - best if system == OURS else None,
        }
        for system, count in counted.items()
    ]


def wer(heard: dict[str, System], folder: Path, every: int) -> list[Row]:
    """Word error rates of single utterances and of talks joined from them."""
    rows = []
    for name, utterances in (("librispeech_test_other", corpus.librispeech()), ("ljspeech", corpus.ljspeech())):
        rows += word_errors(name, utterances[::every], heard)
    for seed in SEEDS if every == 1 else SEEDS[:1]:
        path = folder / f"talk{seed}.wav"
        length_s, text = corpus.write_talk(path, corpus.read_aloud(), TALK_S if every == 1 else TALK_S / 5, seed)
        rows += word_errors(f"talk of {length_s / 60:.1f} min, seed {seed}", [Utterance(path, text)], heard)
    return rows


def times(heard: dict[str, System], every: int) -> list[Row]:
    """Errors of word edges in milliseconds, over the words that a system got right; bias is the median of found less true."""
    rows: list[Row] = []
    material = corpus.word_aligned()[::every]
    for system in (OURS, BEAM_5):
        hear = heard[system]
        pairs = [pair for utterance, truth in material for pair in same(truth, hear(utterance.path).words)]
        row: dict[str, Cell] = {"system": system, "words": sum(len(truth) for _, truth in material), "matched": len(pairs)}
        for edge, errors_s in (
            ("start", [found.start_s - true.start_s for true, found in pairs]),
            ("end", [found.end_s - true.end_s for true, found in pairs]),
        ):
            ms = 1000 * np.array(errors_s)
            row[f"{edge}: median ms"] = float(np.median(np.abs(ms)))
            row[f"{edge}: p90 ms"] = float(np.percentile(np.abs(ms), 90))
            row[f"{edge}: bias ms"] = float(np.median(ms))
        rows.append(row)
    return rows


# fillers


def fillers_found(reference: str, heard: Heard, off: int = 0) -> int:
    """How many found filled pauses are right: between the same words as one of the reference.

    The reference has no times. A found filler stands where the reference has one when an alignment of least errors of all other words
    passes between those before the two and those after them, or `off` words of the reference further. Each of its fillers counts once.
    """
    tokens = [re.sub(r"^<(?:cutoff|hes)-(.*)>$", r"\1", token) for token in reference.split() if not token.startswith("[")]
    truth = [bare(token) for token in tokens if token not in FILLED]
    found = [bare(word.text) for i, word in enumerate(heard.words) if i not in heard.fillers]
    before, after = _distances(truth, found), _distances(truth[::-1], found[::-1])[::-1, ::-1]
    true_gaps = _gaps([token in FILLED for token in tokens])
    right = 0
    for gap in _gaps([i in heard.fillers for i in range(len(heard.words))]):
        here = np.flatnonzero(before[:, gap] + after[:, gap] == before[-1, -1])
        match = next((true for true in true_gaps if np.abs(here - true).min() <= off), None)
        if match is not None:
            true_gaps.remove(match)
            right += 1
    return right


def _distances(truth: Sequence[str], found: Sequence[str]) -> NDArray[np.int64]:
    # (i, j): fewest errors between the first i true and the first j found words (Levenshtein).
    errors = np.add.outer(np.arange(len(truth) + 1), np.arange(len(found) + 1))
    for i, true in enumerate(truth):
        for j, word in enumerate(found):
            errors[i + 1, j + 1] = min(errors[i, j] + (true != word), errors[i, j + 1] + 1, errors[i + 1, j] + 1)
    return errors


def _gaps(fillers: Sequence[bool]) -> list[int]:
    # Of each filler: how many words that are none stand before it.
    before = np.cumsum([not filler for filler in fillers])
    return [int(before[i]) for i, filler in enumerate(fillers) if filler]


def fillers(heard: dict[str, System], every: int) -> list[Row]:
    """Filled pauses found in disfluent speech, and found where there are none: read speech. `markers`: like, you know, reported there.

    `within a word` is about a time collar of half a second.
    """
    spoken = [u for i, u in enumerate(corpus.disfluent()) if i % every == 0 or set(FILLED) & set(u.text.split())]
    read = [*corpus.librispeech()[::every], *corpus.ljspeech()[::every]]
    minutes = sum(corpus.sound(utterance.path).size for utterance in read) / RATE_HZ / 60
    rows: list[Row] = []
    true = sum(token in FILLED for utterance in spoken for token in utterance.text.split())
    for system in (OURS, BEAM_5):
        hear = heard[system]
        found = sum(len(hear(utterance.path).fillers) for utterance in spoken)
        right, near = (sum(fillers_found(utterance.text, hear(utterance.path), off) for utterance in spoken) for off in (0, 1))
        false = sum(len(hear(utterance.path).fillers) for utterance in read)
        rows.append(
            {
                "system": system,
                "true": true,
                "found": found,
                "right": right,
                "recall": right / true,
                "precision": right / found if found else None,
                "within a word": near,
                "its recall": near / true,
                "its precision": near / found if found else None,
                "read min": minutes,
                "false there": false,
                "false/min": false / minutes,
                "markers there": sum(hear(utterance.path).markers for utterance in read),
            }
        )
    return rows


# signal


def pitch(every: int) -> list[Row]:
    """F0 and voicing against the laryngograph; the rest of its tables come from `python -m bench.f0`."""
    material = f0.sentences()[::every]
    tracks = (("ours", f0.ours), ("praat", f0.praat))
    return [{"system": name, "sentences": len(material), **asdict(f0.laryngograph(track, material))} for name, track in tracks]


def planted_pauses() -> list[Row]:
    """Pauses of 200 ms to 3 s planted in speech, clean and under noise."""
    return [
        {
            "noise": noise,
            "system": name,
            "planted": sets["all"].found + sets["all"].missed,
            "found": sets["all"].found,
            "false": sets["all"].false,
            "F1": sets["all"].f1,
            "balanced error %": 100 * sets["all"].balanced_error,
        }
        for noise, methods in pauses.measure().items()
        for name, sets in methods.items()
    ]


def main() -> None:
    """Measure what was asked for, print it and write bench/results/accuracy.json."""
    parts = ("wer", "times", "fillers", "f0", "pauses")
    parser = argparse.ArgumentParser(prog="python -m bench.accuracy", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", default=",".join(parts), metavar="PART[,PART]", help=f"among {', '.join(parts)}")
    parser.add_argument("--quick", action="store_true", help="every fourth file and one talk of two minutes")
    asked = parser.parse_args()
    wanted = asked.only.split(",")
    if unknown := [part for part in wanted if part not in parts]:
        parser.error(f"there is no part {unknown[0]!r}")
    if not SHARED.is_dir():
        raise SystemExit(f"no speech to measure on: {SHARED} is not there; set ELOCUTE_SPEECH_DATA")
    settings = replace(read_settings(), device="cpu")  # what plain runs on
    every = 4 if asked.quick else 1
    tables: dict[str, list[Row]] = {}

    def measured(part: str, title: str, rows: list[Row]) -> None:
        tables[part] = rows
        show(title, rows)

    if "pauses" in wanted:
        measured("pauses", "planted pauses of 200 ms to 3 s; noise at 10 dB", planted_pauses())
    if "f0" in wanted:
        measured("f0", "F0 on fda_f0, percent", pitch(every))
    if {"wer", "times", "fillers"} & set(wanted):
        heard = systems(settings)
        if "times" in wanted:
            measured("times", "word edges on libri_word_align", times(heard, every))
        if "fillers" in wanted:
            measured("fillers", "filled pauses on mfa_disfluent, and on read speech where there are none", fillers(heard, every))
        if "wer" in wanted:
            with tempfile.TemporaryDirectory() as folder:
                measured("wer", "word error rates, fillers aside", wer(heard, Path(folder), every))
    keep("accuracy", {"quick": asked.quick, "threads": settings.threads, "versions": models.library_versions(), "tables": tables})


if __name__ == "__main__":
    main()
