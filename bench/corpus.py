"""Read speech with its text, from the shared data where there is any, and long talks joined from it."""

import importlib.util
import re
import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jiwer
import numpy as np

from batch.decode import decode
from bench.pauses import FILLS, SHARED, aligned, fill
from speech.audio import RATE_HZ, Floats

PAUSES_S = (0.3, 4.0)  # between two utterances of a talk, uniform
FILLED = ("um", "uh", "hm")  # how the references write filled pauses


@dataclass(frozen=True, slots=True)
class Utterance:
    """One recording and what was said in it."""

    path: Path
    text: str  # as the reference writes it; empty where there is no reference


@dataclass(frozen=True, slots=True)
class Timed:
    """A word and where it is."""

    text: str
    start_s: float
    end_s: float


def librispeech() -> list[Utterance]:
    """librispeech_test_other: 40 utterances of 4 speakers."""
    folder = SHARED / "librispeech_test_other"
    rows = [line.split("\t") for line in (folder / "refs.tsv").read_text(encoding="utf-8").splitlines()]
    return [Utterance(folder / name.split("-")[0] / f"{name}.flac", text) for name, text in rows]


def ljspeech() -> list[Utterance]:
    """ljspeech: 32 sentences of one reader, with numbers written out."""
    folder = SHARED / "ljspeech"
    rows = [line.split("|") for line in (folder / "metadata.csv").read_text(encoding="utf-8").splitlines()]
    # Without brackets: what is in them was read aloud, and the normaliser would drop it.
    return [Utterance(folder / f"{name}.flac", re.sub(r"[()\[\]]", " ", text)) for name, _, text in rows]


def disfluent() -> list[Utterance]:
    """mfa_disfluent: one speaker; fillers as FILLED, broken words as `<cutoff-x>` and `<hes-x>`, noises in brackets."""
    folder = SHARED / "mfa_disfluent"
    rows = [line.split("\t") for line in (folder / "refs.tsv").read_text(encoding="utf-8").splitlines()]
    labelled = folder / "acoustic_corpus.lab"
    return [
        *(Utterance(folder / f"{name}.flac", text) for name, text in rows),
        Utterance(labelled.with_suffix(".wav"), labelled.read_text(encoding="utf-8").strip()),
    ]


def word_aligned() -> list[tuple[Utterance, list[Timed]]]:
    """libri_word_align: the text has END times only, so a word starts where the item before it (a word or a pause) ends."""
    out = []
    for name, _, items in aligned():
        words = [Timed(text.lower(), span.start / RATE_HZ, span.end / RATE_HZ) for text, span in items if text]
        out.append((Utterance(SHARED / "libri_word_align" / f"{name}.flac", " ".join(w.text for w in words)), words))
    return out


def read_aloud() -> list[Utterance]:
    """What talks are joined from: all read speech of the shared data, else the two readings that moonshine-voice carries (no text)."""
    if SHARED.is_dir():
        return [*librispeech(), *ljspeech(), *(utterance for utterance, _ in word_aligned())]
    package = importlib.util.find_spec("moonshine_voice")
    if package is None or package.origin is None:
        raise SystemExit("no speech to measure on: set ELOCUTE_SPEECH_DATA, or install moonshine-voice")
    assets = Path(package.origin).parent / "assets"
    return [Utterance(assets / name, "") for name in ("two_cities.wav", "beckett.wav")]


def write_talk(path: Path, utterances: Sequence[Utterance], length_s: float, seed: int) -> tuple[float, str]:
    """Join utterances into a WAV of at least `length_s`, and return its length in seconds and its text.

    Each pass over the utterances is in a new order. The pauses hold what FILLS has at `seed`: digital silence, a room at -40 dB of the
    utterance before, or that utterance's own floor. Memory does not grow with the length.
    """
    texts = []
    written = 0
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        for utterance, pcm in _spoken(utterances, seed):
            texts.append(utterance.text)
            written += pcm.size
            file.writeframes(np.asarray(np.round(np.clip(pcm, -1, 1) * 32767), "<i2").tobytes())
            if written >= length_s * RATE_HZ:
                break
    return written / RATE_HZ, " ".join(texts)


def _spoken(utterances: Sequence[Utterance], seed: int) -> Iterator[tuple[Utterance, Floats]]:
    # Each utterance with the pause after it, without end.
    rng = np.random.default_rng(seed)
    while True:
        for i in rng.permutation(len(utterances)):
            pcm = sound(utterances[i].path)
            pause = fill(FILLS[seed % len(FILLS)], pcm, round(rng.uniform(*PAUSES_S) * RATE_HZ), rng)
            yield utterances[i], np.concatenate((pcm, pause))


def bare(text: str) -> str:
    """A word without case and punctuation; something is always left."""
    return re.sub(r"[^a-z0-9']", "", text.lower()) or "-"


def same(truth: Sequence[Timed], found: Sequence[Timed]) -> Iterator[tuple[Timed, Timed]]:
    """The words that the alignment of least errors lays on one another and that are the same."""
    if not truth or not found:
        return
    true_text, found_text = (" ".join(bare(word.text) for word in words) for words in (truth, found))
    for chunk in jiwer.process_words(true_text, found_text).alignments[0]:
        if chunk.type == "equal":
            yield from zip(truth[chunk.ref_start_idx : chunk.ref_end_idx], found[chunk.hyp_start_idx : chunk.hyp_end_idx], strict=True)


@cache
def sound(path: Path) -> Floats:
    """A recording as 16 kHz mono samples, as the analysis reads it."""
    return decode(path).pcm
