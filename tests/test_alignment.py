"""A stretch of sound is found again, exactly or not at all."""

import numpy as np
import pytest
from numpy.typing import NDArray

from rtc.alignment import find
from rtc.decoder import OpusDecoder
from rtc.resample import Resampler, mono
from speech.audio import RATE_HZ, Floats
from tests.speakers import coded, voice


def sixteen(sound: NDArray[np.float64]) -> Floats:
    return Resampler(48_000).feed(sound.astype(np.float32))


@pytest.mark.parametrize("off", [-30_000, -1, 0, 12_345])
def test_a_piece_is_found_to_the_sample(off: int) -> None:
    sound = voice(12, RATE_HZ).astype(np.float32)
    found = find(sound[80_000:112_000], sound, 80_000 + off, 80_000)
    assert found is not None
    assert (found.at, round(found.score, 3)) == (80_000, 1.0)


@pytest.mark.parametrize("start", [-16_000, -3, 165_000])
def test_a_piece_that_hangs_over_an_end_is_found(start: int) -> None:
    longer = voice(14, RATE_HZ).astype(np.float32)
    sound, pattern = longer[16_000 : 16_000 + 192_000], longer[16_000 + start : 16_000 + start + 32_000]
    found = find(pattern, sound, start + 5_000, 80_000)
    assert found is not None
    assert found.at == start


def test_it_is_found_through_a_codec_whose_delay_it_tells() -> None:
    """Opus is 6.5 ms late (RFC 7845, pre-skip 312 samples of 48 kHz), and loses a third of the waveform."""
    sound = voice(10, 48_000, seed=3)
    decoder = OpusDecoder()
    heard = Resampler(48_000).feed(np.concatenate([mono(decoder.decode(packet)) for packet in coded(sound)]))
    found = find(heard[48_000:80_000], sixteen(sound), 50_000, 80_000)
    assert found is not None
    assert abs(found.at - (48_000 - 104)) <= 1
    assert 0.6 < found.score < 1.0


def test_nothing_is_said_where_nothing_is_clear() -> None:
    chance = np.random.default_rng(0)
    t = np.arange(12 * RATE_HZ) / RATE_HZ
    hum = (0.3 * np.sin(2 * np.pi * 150 * t) + 0.1 * np.sin(2 * np.pi * 450 * t)).astype(np.float32)
    noise = (0.1 * chance.standard_normal(t.size)).astype(np.float32)
    silence = np.zeros(t.size, np.float32)
    for sound in (hum, silence, (1e-5 * noise)):
        assert find(sound[80_000:112_000], sound, 80_000, 80_000) is None
    other = (0.1 * chance.standard_normal(32_000)).astype(np.float32)
    assert find(other, noise, 80_000, 80_000) is None
    assert find(voice(2, RATE_HZ, seed=8).astype(np.float32), voice(12, RATE_HZ).astype(np.float32), 80_000, 80_000) is None


def test_a_place_out_of_reach_is_not_looked_for() -> None:
    sound = voice(12, RATE_HZ).astype(np.float32)
    assert find(sound[80_000:112_000], sound, 160_000, 40_000) is None
    assert find(sound[:32_000], sound, 900_000, 40_000) is None
    assert find(sound[:32_000], sound[:3_000], 0, 40_000) is None
