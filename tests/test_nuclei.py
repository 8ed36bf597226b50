import numpy as np
import pytest

from speech.audio import HOP, RATE_HZ
from speech.prosody import Prosody, analyse
from tests import signals


@pytest.mark.parametrize(("syllable_s", "f0_hz"), [(0.15, 220.0), (0.2, 120.0), (0.3, 100.0)])
def test_every_planted_syllable_is_found_once(syllable_s: float, f0_hz: float) -> None:
    voice = signals.utterance(40, f0_hz=f0_hz, syllable_s=syllable_s, pauses={12: 0.6, 30: 1.2}, seed=6)
    found = analyse(signals.at_snr(voice.pcm, signals.pink(voice.pcm.size, 1), 40)).nuclei
    nearest = np.abs(found[:, None] - voice.nuclei[None, :])
    assert (nearest.min(axis=0) < 0.08 * RATE_HZ).mean() >= 0.95  # found
    assert (nearest.min(axis=1) < 0.08 * RATE_HZ).mean() >= 0.95  # and nothing else
    assert (np.diff(found) > 0).all()


def test_noise_bursts_are_no_syllables() -> None:
    bursts = signals.white(5 * RATE_HZ, 2) * np.repeat(np.tile([0.3, 0.001], 10), RATE_HZ // 4)
    assert analyse(bursts.astype(np.float32)).nuclei.size == 0


def test_a_held_vowel_is_one_syllable() -> None:
    pcm = np.concatenate([np.zeros(4000), signals.vowel(150.0, 2.0).pcm, np.zeros(4000)]).astype(np.float32)
    assert analyse(pcm).nuclei.size == 1


def test_a_syllable_at_the_very_end_is_told_by_flush() -> None:
    pcm = np.concatenate([np.zeros(4000), signals.vowel(150.0, 0.25).pcm]).astype(np.float32)
    front = Prosody()
    assert front.push(pcm).nuclei.size == 0
    assert front.flush().nuclei.size == 1


def test_a_gap_adds_no_syllable() -> None:
    voice = signals.utterance(10, seed=3)
    pcm = voice.pcm.copy()
    pcm[: 25 * HOP] = np.nan
    pcm[-20 * HOP :] = np.nan
    assert analyse(pcm).nuclei.size == analyse(voice.pcm).nuclei.size == 10


def test_a_ripple_of_less_than_2_db_makes_no_syllable() -> None:
    voice = signals.vowel(150.0, 1.6)
    knots_s, knots_db = [0.0, 0.2, 0.5, 0.7, 1.0, 1.2, 1.6], [-20, 0, -6, -5, -11, -10, -30]  # falls with bumps of 1 dB
    gain_db = np.interp(np.arange(voice.pcm.size) / RATE_HZ, knots_s, knots_db)
    pcm = np.concatenate([np.zeros(4000), voice.pcm * 10 ** (gain_db / 20), np.zeros(4000)]).astype(np.float32)
    assert analyse(pcm).nuclei.size == 1
