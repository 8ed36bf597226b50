"""How the accuracy bench counts."""

import wave
from pathlib import Path

import numpy as np
import pytest

from bench.accuracy import OURS, Heard, System, fillers_found, word_errors
from bench.corpus import PAUSES_S, Timed, Utterance, write_talk
from speech.audio import RATE_HZ
from speech.filled_pauses import is_filled_pause


def heard(text: str) -> Heard:
    words = [Timed(word, i, i + 1) for i, word in enumerate(text.split())]
    return Heard(tuple(words), frozenset(i for i, word in enumerate(words) if is_filled_pause(word.text)), 0)


@pytest.mark.parametrize(
    ("reference", "text", "right"),
    [
        ("montreal forced um aligner", "Montreal forced, um, aligner.", 1),
        ("montreal forced um aligner", "Montreal forced uh aligner.", 1),  # which one it was is not asked
        ("montreal forced um aligner", "Montreal, um, forced aligner.", 0),
        ("montreal forced um aligner", "Montreal forest um the liner.", 1),  # misheard neighbours are still neighbours
        ("montreal forced um aligner", "Montreal forced um um aligner.", 1),
        ("um so uh we go", "Um, so we uh go.", 1),
        ("um so uh we go", "Um, so uh we go.", 2),
        ("<cutoff-forced> um forced [laughter]", "forced um forced", 1),
        ("montreal forced aligner", "Montreal um forced aligner.", 0),
        ("um", "um", 1),
        ("we go um", "", 0),
    ],
)
def test_a_filler_is_right_between_the_same_neighbours(reference: str, text: str, right: int) -> None:
    assert fillers_found(reference, heard(text)) == right


def test_a_filler_one_word_off_is_near() -> None:
    assert fillers_found("montreal forced um aligner", heard("Montreal um forced aligner."), off=1) == 1
    assert fillers_found("montreal forced um aligner", heard("Um Montreal forced aligner."), off=1) == 0


def test_word_errors_are_counted_without_fillers_against_the_better_plain_one() -> None:
    said = {OURS: "The hm cat sad on on mat", "plain, beam 1": "a dog sat", "plain, beam 5": "The cat sat on the mat."}

    def hears(text: str) -> System:
        return lambda _: heard(text)

    rows = word_errors("one", [Utterance(Path("one.wav"), "the cat sat on the mat")], {name: hears(text) for name, text in said.items()})
    assert [(row["system"], row["S"], row["D"], row["I"]) for row in rows] == [
        (OURS, 2, 0, 0),
        ("plain, beam 1", 2, 3, 0),
        ("plain, beam 5", 0, 0, 0),
    ]
    assert rows[0]["above plain"] == pytest.approx(100 * 2 / 6)


def test_a_talk_is_its_utterances_with_pauses_between(tmp_path: Path) -> None:
    tone = np.asarray(8000 * np.sin(2 * np.pi * 200 * np.arange(RATE_HZ) / RATE_HZ + 0.1), "<i2")
    for name in ("a", "b", "c"):
        with wave.open(str(tmp_path / f"{name}.wav"), "wb") as file:
            file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
            file.writeframes(tone.tobytes())
    utterances = [Utterance(tmp_path / f"{name}.wav", name) for name in ("a", "b", "c")]
    length_s, text = write_talk(tmp_path / "talk.wav", utterances, 20.0, seed=3)  # every third seed pauses in digital silence
    with wave.open(str(tmp_path / "talk.wav")) as file:
        pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert pcm.size == round(length_s * RATE_HZ)
    assert length_s >= 20
    assert {frozenset(text.split()[i : i + 3]) for i in (0, 3)} == {frozenset("abc")}
    quiet = np.flatnonzero(np.diff((pcm == 0).astype(int), prepend=0, append=0)).reshape(-1, 2)
    pauses_s = [float(b - a) / RATE_HZ for a, b in quiet if b - a > RATE_HZ // 10]
    assert len(pauses_s) == len(text.split())
    assert all(PAUSES_S[0] - 0.001 <= pause_s <= PAUSES_S[1] + 0.001 for pause_s in pauses_s)
