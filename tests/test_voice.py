"""Praat's measures of the voice on vowels with planted jitter and shimmer, and their absence on running speech."""

import numpy as np
import parselmouth
import pytest

from batch import voice
from speech import prosody
from speech.analysis import Measure
from speech.audio import RATE_HZ, Floats
from tests.signals import Voice, at_snr, utterance, vowel, white

UNITS = {"jitter_local": "ratio", "shimmer_local": "ratio", "hnr_db": "dB", "cpps_db": "dB"}


def measured(pcm: Floats) -> dict[str, Measure]:
    return voice.measures(pcm, prosody.analyse(pcm, ()).f0_hz)


def value(found: dict[str, Measure], name: str) -> float:
    number = found[name].value
    assert type(number) is float
    return number


def planted(jitter: float, shimmer: float) -> Voice:
    return vowel(120.0, 1.5, jitter=jitter, shimmer=shimmer, seed=4)


@pytest.mark.parametrize("jitter", [0.0, 0.005, 0.01])
def test_planted_jitter_comes_back(jitter: float) -> None:
    sound = planted(jitter, 0.0)
    found = measured(sound.pcm)
    # The formants carry a part of each cycle into the next, so that Praat sees less than what the closures have.
    assert 100 * value(found, "jitter_local") == pytest.approx(sound.jitter_percent, rel=0.2, abs=0.1)


@pytest.mark.parametrize("shimmer", [0.0, 0.03, 0.06])
def test_planted_shimmer_comes_back(shimmer: float) -> None:
    sound = planted(0.0, shimmer)
    found = measured(sound.pcm)
    assert 100 * value(found, "shimmer_local") == pytest.approx(sound.shimmer_percent, rel=0.25, abs=0.5)


def test_harmonicity_is_the_planted_signal_to_noise_ratio() -> None:
    clean = vowel(120.0, 1.2).pcm
    rms = float(np.sqrt(np.mean(clean.astype(np.float64) ** 2)))
    for snr_db in (10.0, 20.0):
        noisy = (clean + white(clean.size, seed=2) * rms * 10 ** (-snr_db / 20)).astype(np.float32)
        assert value(measured(noisy), "hnr_db") == pytest.approx(snr_db, abs=1.5)


def test_noise_lowers_the_cepstral_peak() -> None:
    clean = vowel(120.0, 1.2).pcm
    noisy = [at_snr(clean, white(clean.size, seed=1), snr_db) for snr_db in (15, 0)]
    peaks = [value(measured(pcm), "cpps_db") for pcm in (clean, *noisy)]
    assert peaks[0] > peaks[1] > peaks[2]


def test_it_says_on_how_much_voice_it_stands() -> None:
    found = measured(np.pad(vowel(120.0, 1.5).pcm, RATE_HZ))
    assert {name: m.unit for name, m in found.items()} == UNITS
    for m in found.values():
        assert m.over_s == pytest.approx(1.5, abs=0.1)
        assert (m.low, m.high, m.why_missing) == (None, None, None)


def test_several_vowels_count_by_their_length() -> None:
    steady, rough = vowel(120.0, 2.0), vowel(120.0, 1.2, jitter=0.01, seed=4)
    gap = np.zeros(RATE_HZ // 2, np.float32)
    both = value(measured(np.concatenate((steady.pcm, gap, rough.pcm))), "jitter_local")
    alone = [value(measured(one.pcm), "jitter_local") for one in (steady, rough)]
    assert both == pytest.approx((2.0 * alone[0] + 1.2 * alone[1]) / 3.2, rel=0.1)


@pytest.mark.parametrize(
    "pcm",
    [
        utterance(60, seed=1).pcm,
        vowel(120.0, 0.9).pcm,  # less than a second
        np.tile(np.pad(vowel(120.0, 0.4).pcm, 4000), 5),  # none lasts half a second
        np.zeros(2 * RATE_HZ, np.float32),
        np.zeros(0, np.float32),
    ],
    ids=["running speech", "too short", "short vowels", "silence", "nothing"],
)
def test_without_held_vowels_it_says_why(pcm: Floats) -> None:
    found = measured(pcm)
    assert {name: m.unit for name, m in found.items()} == UNITS
    for m in found.values():
        assert (m.value, m.low, m.high) == (None, None, None)
        assert m.why_missing == "needs 1 s of vowels held for at least 0.5 s each; running speech has few"
        assert type(m.over_s) is float


def test_the_version_names_praat() -> None:
    assert voice.VERSION.startswith(f"Praat {parselmouth.PRAAT_VERSION} ")
    assert parselmouth.VERSION in voice.VERSION


def test_the_same_vowel_gives_the_same_numbers() -> None:
    sound = planted(0.005, 0.03)
    assert measured(sound.pcm) == measured(sound.pcm)
