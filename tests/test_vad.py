"""The judge of speech: against speech with planted silence, at any level, in any split."""

import subprocess
import sys

import numpy as np
import pytest

from config.models import silero_vad_path
from recognition.vad import WINDOW, SpeechProbability, speech_probability
from tests.samples import recording

RATE_HZ = 16_000


def test_the_weights_are_found_without_importing_faster_whisper() -> None:
    code = "import sys, recognition.vad; print(recognition.vad.silero_vad_path().is_file(), 'faster_whisper' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["True", "False"]
    assert silero_vad_path().suffix == ".onnx"


def test_speech_is_likely_and_planted_silence_is_not() -> None:
    speech = recording()[: 10 * RATE_HZ]
    room = np.random.default_rng(1).normal(0, 1e-4, 5 * RATE_HZ).astype(np.float32)
    p = speech_probability(np.concatenate((room, speech, room)))
    at_s = (np.arange(p.size) + 0.5) * WINDOW / RATE_HZ
    assert float(np.mean(p[(at_s > 5) & (at_s < 15)] > 0.5)) > 0.6
    assert float(np.max(p[(at_s < 4.9) | (at_s > 15.5)])) < 0.3


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 5 * 512])
def test_there_is_one_probability_per_window_also_for_the_last_one(size: int) -> None:
    p = speech_probability(np.zeros(size, np.float32))
    assert p.shape == (-(-size // WINDOW),)
    assert p.dtype == np.float32


def test_any_split_of_the_samples_gives_the_same_probabilities() -> None:
    pcm = recording()[: 12 * RATE_HZ + 77]
    whole = speech_probability(pcm)
    rng = np.random.default_rng(2)
    judge = SpeechProbability()
    cuts = np.sort(rng.choice(pcm.size, 60, replace=False))
    parts = [judge.push(part) for part in np.split(pcm, cuts)] + [judge.finish()]
    assert np.abs(np.concatenate(parts) - whole).max() < 1e-5


@pytest.mark.parametrize("gain", [1e-3, 1e-2, 4.0])
def test_a_very_quiet_or_a_loud_recording_is_judged_as_its_original(gain: float) -> None:
    pcm = recording()[: 20 * RATE_HZ]
    assert float(np.mean((speech_probability(pcm * np.float32(gain)) > 0.5) != (speech_probability(pcm) > 0.5))) < 0.03


def test_dc_changes_nothing() -> None:
    pcm = recording()[: 20 * RATE_HZ]
    assert float(np.mean((speech_probability(pcm + np.float32(0.3)) > 0.5) != (speech_probability(pcm) > 0.5))) < 0.01


def test_lost_samples_are_heard_as_silence_and_do_not_spread() -> None:
    pcm = recording()[: 6 * RATE_HZ].copy()
    pcm[2 * RATE_HZ : 3 * RATE_HZ] = np.nan
    p = speech_probability(pcm)
    assert bool(np.isfinite(p).all())
    assert float(np.max(p[np.arange(p.size) * WINDOW > 4 * RATE_HZ])) > 0.9


def test_progress_grows_to_the_end() -> None:
    pcm = np.tile(recording()[: 10 * RATE_HZ], 3)
    told: list[int] = []
    speech_probability(pcm, told.append)
    assert told == sorted(told)
    assert told[-1] == pcm.size
    assert len(told) >= 3
