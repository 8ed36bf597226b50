"""Do scores move as they should: one thing is changed in a real talk, and all scores are looked at, through the whole pipeline.

`python -m bench.planted [--talk lj,two_cities,learner] [--only NAME,...]` prints a table for each talk, writes bench/results/planted.json
and exits with 1 where a score that should move does not, or another leaves its interval. A score has moved when the difference, part by
part of the same words, is beyond Student's t of the five parts (95 %).
"""

import argparse
import csv
import importlib.util
import math
import sys
import wave
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import parselmouth
from parselmouth.praat import call

from batch import wording
from batch.analyze import Findings, listen, measure, recognise
from batch.decode import decode
from batch.progress import Unwatched
from batch.scored import scored
from bench import corpus
from bench.corpus import Utterance
from bench.pauses import SHARED, fill, pink
from bench.table import Row, keep, show
from config import models
from config.rubrics import rubrics
from config.settings import read_settings
from recognition.whisper import Recogniser
from speech.audio import HOP, RATE_HZ, Floats
from speech.measures import BATCHES, T_QUANTILE
from speech.pauses import at_least
from speech.words import Word

PAUSE_S = 0.5  # planted
UM_EVERY, PAUSE_EVERY = 20, 15  # words
UMS_S = (0.15, 0.4)  # what an um may last
UM_GAP = RATE_HZ // 10  # of quiet to either side of an um: too short for a pause of its own
Direction = Mapping[str, int]  # score: +1 where it must rise, -1 where it must fall


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """A recording through the pipeline."""

    pcm: Floats
    findings: Findings
    words: Sequence[Word]
    clause_ends: frozenset[int]

    def scores(self) -> dict[str, dict[str, Any]]:
        """By dimension, and together."""
        given = scored(rubrics()["talk"], self.findings, self.words)
        return {**{one["dimension"]: one for one in given["scores"]}, "overall": given["overall"]}


@dataclass(frozen=True, slots=True, eq=False)
class Ums:
    """What somebody said instead of nothing."""

    pitch_hz: float  # median, of that person
    pcm: Sequence[Floats]


@dataclass(frozen=True, slots=True)
class Planted:
    """One change, and what it must move."""

    name: str
    change: Callable[[Heard], Floats]
    moves: Direction
    before: str = ""  # another change that this one is compared with; the talk as it was where empty


class Pipeline:
    """From samples to scores, as a server does it."""

    def __init__(self, folder: Path) -> None:
        self._settings = read_settings()
        self._model, self._where = models.asr_model(self._settings), models.placement(self._settings)
        self._recogniser = Recogniser(self._model, self._where, self._settings.threads)
        self._path = folder / "talk.wav"

    def __call__(self, pcm: Floats) -> Heard:
        """Analyse 16 kHz samples."""
        with wave.open(str(self._path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE_HZ)
            file.writeframes(np.asarray(np.round(np.clip(pcm, -1, 1) * 32767), "<i2").tobytes())
        recording = decode(self._path)
        listened = listen(recording, lambda _: None)
        heard = recognise(self._recogniser, recording, listened, self._settings.threads, lambda _: None)
        findings, _ = measure(recording.facts, heard, listened, models.versions(self._model, self._where), Unwatched())
        words = heard.transcript.words
        return Heard(pcm, findings, words, wording.clause_ends(wording.read(words)))


# talks


def _joined(utterances: Sequence[Utterance], pause_s: tuple[float, float], seed: int = 1) -> Floats:
    # Brought to -26 dBFS, so that 12 dB more do not clip.
    rng = np.random.default_rng(seed)
    parts: list[Floats] = []
    for utterance in utterances:
        pcm = corpus.sound(utterance.path)
        parts += [pcm, fill("own floor", pcm, round(rng.uniform(*pause_s) * RATE_HZ), rng)]
    pcm = np.concatenate(parts)
    return np.asarray(pcm * 0.05 / math.sqrt(float(np.mean(np.square(pcm)))), np.float32)


def _lj() -> Floats:
    return _joined(corpus.ljspeech()[:20], (0.3, 0.6))


def _learner() -> Floats:
    # The adult of speechocean762 whose sentences the experts liked least.
    folder = SHARED / "speechocean762"
    with (folder / "labels.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if int(row["age"]) >= 18]
    found = {path.stem: path for path in folder.rglob("*.flac")}
    rated: dict[str, list[float]] = {}
    for row in rows:
        rated.setdefault(row["speaker"], []).append(float(row["fluency"]))
    weakest = min(rated, key=lambda speaker: float(np.mean(rated[speaker])))
    return _joined([Utterance(found[row["utt"]], row["text"]) for row in rows if row["speaker"] == weakest], (0.1, 0.3))


def _two_cities() -> Floats:
    # Twice, since there are no intervals under 50 s.
    package = importlib.util.find_spec("moonshine_voice")
    assert package is not None
    assert package.origin is not None
    return _joined([Utterance(Path(package.origin).parent / "assets" / "two_cities.wav", "")] * 2, (0.5, 0.8))


TALKS: Mapping[str, Callable[[], Floats]] = {"lj": _lj, "two_cities": _two_cities, "learner": _learner}


# changes


def _cut_points(heard: Heard, every: int) -> list[int]:
    """In every so many words the quietest sample between two of them inside a clause, away from pauses: there the sound suffers least."""
    silent = at_least(heard.findings.pauses, 0.15)
    energy = np.convolve(np.square(heard.pcm), np.ones(2 * HOP), "same")
    found: dict[int, int] = {}
    for i, (word, following) in enumerate(pairwise(heard.words)):
        if i in heard.clause_ends or word.kind != "word" or following.kind != "word":
            continue
        first, end = min(word.end, following.start) - 3 * HOP, max(word.end, following.start) + 3 * HOP
        if any(pause.start < end + 20 * HOP and first - 20 * HOP < pause.end for pause in silent):
            continue
        at = first + int(np.argmin(energy[first:end]))
        best = found.setdefault(i // every, at)
        found[i // every] = at if energy[at] < energy[best] else best
    return sorted(found.values())


def inserted(pcm: Floats, at: Sequence[int], pieces: Sequence[Floats]) -> Floats:
    """Pieces put in, each faded into what it parts over 10 ms."""
    ramp = np.linspace(0, 1, HOP, dtype=np.float32)
    parts: list[Floats] = []
    previous = 0
    for cut, piece in zip(at, pieces, strict=True):
        left, right = pcm[previous:cut].copy(), piece.copy()
        if left.size >= HOP:
            left[-HOP:] *= ramp[::-1]
        right[:HOP] *= ramp
        right[-HOP:] *= ramp[::-1]
        parts += [left, right]
        previous = cut
    return np.concatenate([*parts, pcm[previous:]])


def _paused(heard: Heard) -> Floats:
    at = _cut_points(heard, PAUSE_EVERY)
    return inserted(heard.pcm, at, _pauses(heard, len(at)))


def _paused_at_ends(heard: Heard) -> Floats:
    # The same pauses, each at the next end of a clause.
    ends = np.array([heard.words[i].end for i in sorted(heard.clause_ends)])
    at = np.array([ends[ends >= cut].min(initial=ends[-1]) for cut in _cut_points(heard, PAUSE_EVERY)])
    return inserted(heard.pcm, [_quietest(heard.pcm, int(end)) for end in at], _pauses(heard, at.size))


def _pauses(heard: Heard, count: int) -> list[Floats]:
    rng = np.random.default_rng(2)
    return [fill("own floor", heard.pcm, round(PAUSE_S * RATE_HZ), rng) for _ in range(count)]


def _quietest(pcm: Floats, at: int) -> int:
    # Within 50 ms before and 100 ms after.
    near = pcm[at - 5 * HOP : at + 10 * HOP]
    return at - 5 * HOP + int(np.argmin(np.convolve(np.square(near), np.ones(HOP), "same")))


def _with_ums(ums: Ums) -> Callable[[Heard], Floats]:
    def change(heard: Heard) -> Floats:
        at = _cut_points(heard, UM_EVERY)
        rng = np.random.default_rng(3)
        speech = heard.pcm[np.abs(heard.pcm) > 0.02 * np.abs(heard.pcm).max()]
        level = math.sqrt(float(np.mean(np.square(speech))) / 2)
        room = fill("own floor", heard.pcm, RATE_HZ, rng)
        own_hz = heard.findings.measures["f0_median_hz"].value or ums.pitch_hz
        pieces = []
        for i in range(len(at)):
            um = resynthesised(ums.pcm[i % len(ums.pcm)], f"self * {own_hz} / {ums.pitch_hz}")
            um = um * level / math.sqrt(float(np.mean(np.square(um)))) + room[: um.size]
            pieces.append(np.concatenate((room[:UM_GAP], um, room[-UM_GAP:])).astype(np.float32))
        return inserted(heard.pcm, at, pieces)

    return change


def resynthesised(pcm: Floats, formula: str) -> Floats:
    """The same sound at another pitch, by overlap-add. formula: of the pitch in Hz, in Praat's words, where `self` is what it was."""
    sound = parselmouth.Sound(pcm.astype(np.float64), RATE_HZ)
    manipulation = call(sound, "To Manipulation", 0.01, 65, 500)
    tier = call(manipulation, "Extract pitch tier")
    if call(tier, "Get number of points") > 0:
        call(tier, "Formula", formula)
        call([tier, manipulation], "Replace pitch tier")
    return np.asarray(call(manipulation, "Get resynthesis (overlap-add)").values[0][: pcm.size], np.float32)


def _pitch(times: float) -> Callable[[Heard], Floats]:
    def change(heard: Heard) -> Floats:
        middle_hz = heard.findings.measures["f0_median_hz"].value
        return resynthesised(heard.pcm, f"{middle_hz} * (self / {middle_hz}) ^ {times}")

    return change


def at_tempo(pcm: Floats, times: float) -> Floats:
    """The same sound so many times as fast at the same pitch, by overlap-add."""
    sound = parselmouth.Sound(pcm.astype(np.float64), RATE_HZ)
    return np.asarray(call(sound, "Lengthen (overlap-add)", 65, 500, 1 / times).values[0], np.float32)


def _tempo(times: float) -> Callable[[Heard], Floats]:
    return lambda heard: at_tempo(heard.pcm, times)


def _noise(snr_db: float) -> Callable[[Heard], Floats]:
    def change(heard: Heard) -> Floats:
        noise = pink(heard.pcm.size, np.random.default_rng(4))
        power = float(np.mean(np.square(heard.pcm, dtype=np.float64)))
        return np.asarray(heard.pcm + noise * math.sqrt(power) * 10 ** (-snr_db / 20), np.float32)

    return change


def _gain(gain_db: float) -> Callable[[Heard], Floats]:
    return lambda heard: np.asarray(heard.pcm * 10 ** (gain_db / 20), np.float32)


def _compressed(heard: Heard) -> Floats:
    """4 to 1 around its own median level, smoothed over 30 ms; what lies 25 dB below it is left alone."""
    power = np.convolve(np.square(heard.pcm, dtype=np.float64), np.hanning(3 * HOP) / (1.5 * HOP), "same")
    level_db = 10 * np.log10(power + 1e-12)
    middle_db = float(np.median(level_db[level_db > level_db.max() - 35]))
    above_db = np.where(level_db > middle_db - 25, level_db - middle_db, 0.0)
    return np.asarray(heard.pcm * 10 ** (-0.75 * above_db / 20), np.float32)


def _unchanged(heard: Heard) -> Floats:
    return resynthesised(heard.pcm, "self")


def planted(ums: Ums | None) -> list[Planted]:
    """All changes."""
    found = [
        Planted("resynthesis alone", _unchanged, {}),
        Planted("pauses inside clauses", _paused, {"fluency": -1, "pausing": -1}),
        Planted("moved to clause ends", _paused_at_ends, {"fluency": 1, "pausing": 1}, before="pauses inside clauses"),
        Planted("monotone: pitch x 0.3", _pitch(0.3), {"pitch": -1}),
        Planted("flatter: pitch x 0.5", _pitch(0.5), {"pitch": -1}),
        Planted("wider again: x 1.5", _pitch(0.75), {"pitch": 1}, before="flatter: pitch x 0.5"),
        Planted("1.6 times as fast", _tempo(1.6), {"pace": -1}),
        Planted("0.7 times as fast", _tempo(0.7), {"pace": -1}),
        Planted("pink noise at 0 dB", _noise(0.0), {"clarity": -1}),
        Planted("12 dB louder", _gain(12.0), {}),
        Planted("12 dB quieter", _gain(-12.0), {}),
        Planted("compressed 4:1", _compressed, {"loudness": -1}),
    ]
    return [Planted("ums", _with_ums(ums), {"fluency": -1}), *found] if ums else found


def real_ums(pipeline: Pipeline) -> Ums | None:
    """Um, uh and hm of a real speaker, where there are any in the shared data."""
    if not (SHARED / "mfa_disfluent").is_dir():
        return None
    pcm = corpus.sound(SHARED / "mfa_disfluent" / "acoustic_corpus.wav")
    found = pipeline(pcm).findings
    least, most = (round(s * RATE_HZ) for s in UMS_S)
    said = [one for one in found.fillers if one.kind == "filled_pause" and one.end - one.start >= least]
    pitch_hz = found.measures["f0_median_hz"].value
    assert pitch_hz is not None
    return Ums(pitch_hz, [pcm[one.start : min(one.end, one.start + most)] for one in said])


# what came of it


def paired(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[float, float] | None:
    """The difference of a score and half its 95 % interval, from the parts of the same words; None where one was refused."""
    if before["value"] is None or after["value"] is None:
        return None
    difference = after["value"] - before["value"]
    if len(before["parts"]) != BATCHES or len(after["parts"]) != BATCHES:
        return difference, math.inf
    apart = np.subtract(after["parts"], before["parts"])
    return difference, T_QUANTILE * float(np.std(apart, ddof=1)) / BATCHES**0.5


def verdict(change: Planted, name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, bool]:
    """What is shown of one score, and whether it is as it should be."""
    found = paired(before, after)
    if found is None:
        return ("refused", name not in change.moves)
    difference, half = found
    shown = f"{before['value']:.0f} > {after['value']:.0f}"
    wanted = change.moves.get(name, 0)
    if wanted:
        good = difference * wanted > half
        return f"{shown} {'moved' if good else 'NOT MOVED'}", good
    inside = bool(before["low"] <= after["value"] <= before["high"])
    return (shown if inside else f"{shown} LEFT"), inside


def main() -> int:
    """Change, analyse, print and keep; 1 where something does not hold."""
    parser = argparse.ArgumentParser(prog="python -m bench.planted", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--talk", default="lj" if SHARED.is_dir() else "two_cities")
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    kept: dict[str, Any] = {}
    wrong: list[str] = []
    with TemporaryDirectory() as folder:
        pipeline = Pipeline(Path(folder))
        changes = planted(real_ums(pipeline))
        only = asked.only.split(",") if asked.only else [change.name for change in changes]
        for talk in asked.talk.split(","):
            base = pipeline(TALKS[talk]())
            done = {"": base.scores()}
            rows: list[Row] = []
            for change in changes:
                if change.name not in only:
                    continue
                done[change.name] = pipeline(change.change(base)).scores()
                row: dict[str, Any] = {"change": change.name}
                for name, before in done[change.before].items():
                    if name == "overall":
                        continue
                    row[name], good = verdict(change, name, before, done[change.name][name])
                    if not good:
                        wrong.append(f"{talk}, {change.name}: {name} {row[name]}")
                rows.append(row)
                print(row, flush=True)
            show(talk, rows)
            kept[talk] = {name: _kept(given) for name, given in done.items()}
    if not asked.only:
        keep("planted", {"talks": kept, "wrong": wrong})
    for sentence in wrong:
        print(f"wrong: {sentence}")
    return int(bool(wrong))


def _kept(given: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {
        name: {key: one[key] for key in ("value", "low", "high", "refusal")}
        | {"made_of": {share["name"]: share["value"] for share in one.get("made_of", ())}}
        for name, one in given.items()
    }


if __name__ == "__main__":
    sys.exit(main())
