"""Pauses planted in real speech, clean and under noise at 10 dB: how many are found, against Silero VAD alone on the same sound.

`python -m bench.pauses` prints a table and writes bench/results/pauses.json. Speech from the shared data is cut at its own silences into
pieces that have none (by the labels where there are any, else by the clean level and the judge). The pieces, brought to one loudness, are
joined with pauses of 200 ms to 3 s (log-uniform) of digital silence, room noise at -40 dB or the recording's own floor: then every pause
is known. In `words` the pauses are planted between aligned words instead, and the natural ones of the alignment stay: those must not be
split, merged or called false. A found silence of at least 150 ms matches a planted one when their intersection is half of their union.
"""

import argparse
import csv
import itertools
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from praatio import textgrid

from batch.decode import decode
from recognition.vad import WINDOW, speech_probability
from speech.activity import activity
from speech.audio import HOP, RATE_HZ, Floats, Span, State, States
from speech.pauses import pauses

SHARED = Path(os.environ.get("ELOCUTE_SPEECH_DATA", Path(__file__).parents[2] / "shared" / "data"))
RESULTS = Path(__file__).parent / "results" / "pauses.json"
SNR_DB = 10.0
SHORTEST_FOUND = 2400  # 150 ms: below it a closure is as likely as a pause, and the shortest planted is 200 ms
SEED = 7

FILLS = ("digital silence", "room", "own floor")


@dataclass(frozen=True, slots=True, eq=False)
class Planted:
    """Speech with known pauses."""

    name: str
    pcm: Floats
    planted: tuple[Span, ...]  # what must be found
    natural: tuple[Span, ...]  # what may be found


@dataclass(slots=True)
class Tally:
    """What a method found over some recordings."""

    found: int = 0
    false: int = 0
    missed: int = 0
    natural: int = 0  # natural pauses of 250 ms and more, and how many of them were found as one
    natural_found: int = 0
    speech_hops: int = 0
    speech_missed: int = 0
    silent_hops: int = 0
    silence_missed: int = 0

    @property
    def f1(self) -> float:
        """F1 of the planted pauses, 0..1."""
        return 2 * self.found / max(1, 2 * self.found + self.false + self.missed)

    @property
    def balanced_error(self) -> float:
        """Mean of missed speech and missed silence among hops more than 40 ms from an edge, 0..1."""
        return (self.speech_missed / max(1, self.speech_hops) + self.silence_missed / max(1, self.silent_hops)) / 2


def unit_power(noise: NDArray[np.float64]) -> NDArray[np.float64]:
    """The noise at an RMS of 1."""
    return noise / math.sqrt(float(np.mean(np.square(noise))))


def pink(size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Power falls by 3 dB an octave from 20 Hz up."""
    spectrum = np.fft.rfft(rng.standard_normal(size))
    hz = np.fft.rfftfreq(size, 1 / RATE_HZ)
    return unit_power(np.fft.irfft(spectrum / np.sqrt(np.maximum(hz, 20.0)), size))


def music(size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Chords of plucked tones in changing keys, with a drum."""
    out = np.zeros(size)
    at = 0
    while at < size:
        beat = int(RATE_HZ * rng.choice([0.25, 0.5, 0.5, 1.0]))
        root_hz = 110.0 * 2.0 ** (rng.integers(0, 12) / 12)
        t = np.arange(min(2 * beat, size - at)) / RATE_HZ
        for interval in (1.0, 1.26, 1.5, 2.0):
            for k in range(1, 7):
                decay = np.exp(-t * (2 + k / 2)) * np.minimum(1, t / 0.01) / k
                out[at : at + t.size] += decay * np.sin(2 * np.pi * root_hz * interval * k * t + rng.uniform(0, 2 * np.pi))
        if rng.random() < 0.6:
            hit = np.arange(min(1600, size - at))
            out[at : at + hit.size] += 1.5 * rng.standard_normal(hit.size) * np.exp(-hit / 300)
        at += beat
    return unit_power(out)


def keyboard(size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Typing, four keys a second: each goes down and comes up with a click."""
    out = rng.standard_normal(size) * 0.01
    at = 0
    while at < size:
        for delay, strength in ((0, 1.0), (int(rng.uniform(0.06, 0.12) * RATE_HZ), 0.5)):
            t = np.arange(max(0, min(800, size - at - delay)))
            thud = rng.standard_normal(t.size) * np.exp(-t / rng.uniform(60, 200))
            ring = np.sin(2 * np.pi * rng.uniform(1500, 4000) * t / RATE_HZ) * np.exp(-t / 80)
            out[at + delay : at + delay + t.size] += strength * rng.uniform(0.5, 1) * (thud + ring)
        at += int(RATE_HZ * (0.05 + rng.exponential(0.18)))
    return unit_power(out)


NOISES: dict[str, Callable[[int, np.random.Generator], NDArray[np.float64]]] = {"pink": pink, "music": music, "keyboard": keyboard}


def with_noise(case: Planted, kind: str, rng: np.random.Generator, snr_db: float = SNR_DB) -> Floats:
    """The recording under one of NOISES, `snr_db` below the power of what is not a planted pause; `clean` leaves it as it is."""
    if kind == "clean":
        return case.pcm
    said = np.ones(case.pcm.size, np.bool_)
    for span in case.planted:
        said[span.start : span.end] = False
    power = float(np.mean(np.square(case.pcm[said], dtype=np.float64)))
    return np.asarray(case.pcm + NOISES[kind](case.pcm.size, rng) * math.sqrt(power) * 10 ** (-snr_db / 20), np.float32)


def fill(kind: str, speech: Floats, size: int, rng: np.random.Generator) -> Floats:
    """What a planted pause holds."""
    if kind == "digital silence":
        return np.zeros(size, np.float32)
    if kind == "room":
        return np.asarray(pink(size, rng) * math.sqrt(float(np.mean(np.square(speech)))) * 0.01, np.float32)
    # the quietest 100 ms, in overlapping windows of changing phase and direction
    power = np.convolve(np.square(speech), np.ones(1600), "valid")[:: HOP // 2]
    quietest = speech[int(np.argmin(power)) * (HOP // 2) :][:1600]
    window = np.sqrt(np.hanning(1600))
    out = np.zeros(size + 3200)
    for at in range(0, size + 1600, 800):
        piece = quietest if rng.random() < 0.5 else quietest[::-1]
        out[at : at + 1600] += np.roll(piece, int(rng.integers(1600))) * window
    return np.asarray(out[800 : 800 + size], np.float32)


def length(rng: np.random.Generator) -> int:
    """Of a planted pause, samples: 200 ms to 3 s, log-uniform."""
    return int(RATE_HZ * np.exp(rng.uniform(np.log(0.2), np.log(3.0))))


def joined(name: str, pieces: Sequence[tuple[Floats, Floats]], kind: str, rng: np.random.Generator) -> Planted:
    """Pieces without silences, each with the recording it is from, and a planted pause between each two."""
    parts, planted, at = [], [], 0
    for number, (piece, whole) in enumerate(pieces):
        gain = np.float32(0.05 / math.sqrt(float(np.mean(np.square(piece)))))
        parts.append(piece * gain)
        at += piece.size
        if number < len(pieces) - 1:
            size = length(rng)
            planted.append(Span(at, at + size))
            parts.append(fill(kind, whole, size, rng) * gain)
            at += size
    return Planted(name, np.concatenate(parts), tuple(planted), ())


def between_words(name: str, pcm: Floats, cuts: Sequence[int], natural: Sequence[Span], kind: str, rng: np.random.Generator) -> Planted:
    """Pauses planted at some of the cuts, 0.8 s or more apart and 100 ms or more from natural ones, which move along."""
    parts, planted, moved, at, shift = [], [], list(natural), 0, 0
    for cut in cuts:
        free = all(cut < span.start - 1600 or cut > span.end + 1600 for span in natural)
        if cut - at < 0.8 * RATE_HZ or not free or rng.random() < 0.4:
            continue
        size = length(rng)
        parts += [pcm[at:cut], fill(kind, pcm, size, rng)]
        planted.append(Span(cut + shift, cut + shift + size))
        shift += size
        moved = [Span(new.start + size, new.end + size) if old.start > cut else new for old, new in zip(natural, moved, strict=True)]
        at = cut
    return Planted(name, np.concatenate([*parts, pcm[at:]]), tuple(planted), tuple(moved))


def without_silence(pcm: Floats, shortest_s: float = 0.8) -> list[Floats]:
    """The pieces of clean speech between silences of 80 ms and more: 32 dB below the loud parts, near the floor, or silent to the judge."""
    hops = pcm.size // HOP
    level = 10 * np.log10(np.mean(np.square(pcm[: hops * HOP].reshape(hops, HOP)), axis=1) + 1e-12)
    loud = level > max(float(np.percentile(level, 95)) - 32, float(np.percentile(level, 5)) + 6)
    judged = np.repeat(speech_probability(pcm) > 0.3, WINDOW)[HOP // 2 :: HOP][:hops]
    silent = runs(~(loud & judged), 8)
    edges = [0, *(edge for span in silent for edge in (span.start, span.end)), hops * HOP]
    return [pcm[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= shortest_s * RATE_HZ]


def runs(chosen: NDArray[np.bool_], hops: int) -> list[Span]:
    """Stretches of at least so many chosen hops, in samples."""
    edges = np.flatnonzero(np.diff(chosen.astype(np.int8), prepend=0, append=0)) * HOP
    return [Span(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= hops * HOP]


def aligned() -> Iterator[tuple[str, Floats, list[tuple[str, Span]]]]:
    """libri_word_align: words with their spans, an empty word for a pause."""
    folder = SHARED / "libri_word_align"
    for line in (folder / "8629-261140.alignment.txt").read_text().splitlines():
        name, texts, ends = line.split()
        ends_at = [round(float(end) * RATE_HZ) for end in ends.strip('"').split(",")]
        spans = [Span(a, b) for a, b in zip([0, *ends_at], ends_at, strict=False)]
        yield name, decode(folder / f"{name}.flac").pcm, list(zip(texts.strip('"').split(","), spans, strict=True))


def material() -> Iterator[Planted]:
    """All recordings with their planted pauses; the same every time."""
    rng = np.random.default_rng(SEED)
    pieces: dict[str, list[tuple[Floats, Floats]]] = {"librispeech": [], "ljspeech": [], "aligned": [], "emuR": []}
    for name, folder in (("librispeech", "librispeech_test_other"), ("ljspeech", "ljspeech")):
        for path in sorted((SHARED / folder).rglob("*.flac")):
            pcm = decode(path).pcm
            pieces[name] += [(piece, pcm) for piece in without_silence(pcm)]
    for name, pcm, words in aligned():
        gaps = [span for text, span in words if not text]
        inner = [Span(a.end, b.start) for a, b in itertools.pairwise(gaps)]
        pieces["aligned"] += [(pcm[span.start : span.end], pcm) for span in inner if span.end - span.start >= 0.8 * RATE_HZ]
        cuts = [a.end for (left, a), (right, _) in itertools.pairwise(words) if left and right]
        kind = FILLS[int(name[-1]) % 3]
        yield between_words(f"words {name} {kind}", pcm, cuts, gaps, kind, rng)
    for path in sorted((SHARED / "emuR_ae_hand_segmented" / "wavFiles").glob("*.wav")):
        pcm = decode(path).pcm
        grid = textgrid.openTextgrid(str(path.parents[1] / "annotationFiles" / f"{path.stem}.TextGrid"), includeEmptyIntervals=False)
        said = grid.getTier("Text").entries
        pieces["emuR"].append((pcm[round(said[0].start * RATE_HZ) : round(said[-1].end * RATE_HZ)], pcm))
    for name, found in pieces.items():
        for number, first in enumerate(range(0, len(found) - 1, 8)):
            kind = FILLS[number % 3]
            yield joined(f"{name} {number} {kind}", found[first : first + 9], kind, rng)


def ours(pcm: Floats, probability: Floats) -> States:
    """The method of this program."""
    return activity(pcm, probability)


def judge_alone(pcm: Floats, probability: Floats) -> States:
    """Silero VAD at its usual 0.5, nothing else."""
    at = (np.arange(pcm.size // HOP) * HOP + HOP // 2) // WINDOW
    return np.where(probability[at] > 0.5, State.SPEECH, State.SILENCE).astype(np.int8)


METHODS: dict[str, Callable[[Floats, Floats], States]] = {"elocute": ours, "silero 0.5": judge_alone}


def overlap(a: Span, b: Span) -> float:
    """Intersection over union, 0..1."""
    both = min(a.end, b.end) - max(a.start, b.start)
    return max(0, both) / (max(a.end, b.end) - min(a.start, b.start))


def score(tally: Tally, case: Planted, states: States) -> None:
    """Add one recording to the tally."""
    found = [Span(p.start, p.end) for p in pauses(states) if p.kind == "silent" and p.end - p.start >= SHORTEST_FOUND]
    free = list(found)
    for span in case.planted:
        best = max(free, key=lambda other: overlap(span, other), default=None)
        if best is not None and overlap(span, best) >= 0.5:
            free.remove(best)
            tally.found += 1
        else:
            tally.missed += 1
    tally.false += sum(not any(min(f.end, n.end) - max(f.start, n.start) > 0.5 * (f.end - f.start) for n in case.natural) for f in free)
    inner = [n for n in case.natural if n.start > 0 and n.end < case.pcm.size - HOP and n.end - n.start >= RATE_HZ // 4]
    tally.natural += len(inner)
    tally.natural_found += sum(any(overlap(n, f) >= 0.5 for f in found) for n in inner)
    said = np.ones(states.size, np.bool_)
    for span in (*case.planted, *case.natural):
        said[span.start // HOP : span.end // HOP] = False
    sure = np.ones(states.size, np.bool_)
    for edge in np.flatnonzero(np.diff(said)) + 1:
        sure[max(0, edge - 4) : edge + 4] = False
    tally.speech_hops += int(np.count_nonzero(said & sure))
    tally.speech_missed += int(np.count_nonzero(said & sure & (states == State.SILENCE)))
    tally.silent_hops += int(np.count_nonzero(~said & sure))
    tally.silence_missed += int(np.count_nonzero(~said & sure & (states == State.SPEECH)))


def measure() -> dict[str, dict[str, dict[str, Tally]]]:
    """Tallies by noise, method and set; the set `all` holds every other."""
    out: dict[str, dict[str, dict[str, Tally]]] = {}
    for number, case in enumerate(material()):
        for noise in ("clean", *NOISES):
            pcm = with_noise(case, noise, np.random.default_rng([SEED, number]))
            probability = speech_probability(pcm)
            for name, method in METHODS.items():
                states = method(pcm, probability)
                for group in ("all", case.name.split()[0]):
                    score(out.setdefault(noise, {}).setdefault(name, {}).setdefault(group, Tally()), case, states)
    return out


def main() -> int:
    """Print the table, write the JSON."""
    argparse.ArgumentParser(prog="python -m bench.pauses", description=__doc__).parse_args()
    if not SHARED.is_dir():
        print(f"no speech to measure on: {SHARED} is not there; set ELOCUTE_SPEECH_DATA")
        return 1
    measured = measure()
    table = csv.writer(sys.stdout, delimiter="\t")
    table.writerow(("noise", "method", "set", "planted", "found", "false", "F1", "natural", "as one", "balanced error %"))
    for noise, methods in measured.items():
        for name, sets in methods.items():
            for group, t in sets.items():
                planted = t.found + t.missed
                error = f"{100 * t.balanced_error:.1f}"
                table.writerow((noise, name, group, planted, t.found, t.false, f"{t.f1:.3f}", t.natural, t.natural_found, error))
    RESULTS.parent.mkdir(exist_ok=True)
    rows = {
        noise: {
            name: {
                group: {"f1": t.f1, "found": t.found, "false": t.false, "missed": t.missed, "balanced_error": t.balanced_error}
                for group, t in sets.items()
            }
            for name, sets in methods.items()
        }
        for noise, methods in measured.items()
    }
    RESULTS.write_text(json.dumps({"seed": SEED, "snr_db": SNR_DB, "noise": rows}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
