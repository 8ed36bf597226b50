import math

import numpy as np
import pyloudnorm
import pytest

from speech import level
from speech.audio import HOP, RATE_HZ, Floats
from speech.prosody import analyse
from tests import signals


def tone(hz: float, amplitude: float, seconds: float) -> Floats:
    return np.asarray(amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ), np.float32)


@pytest.mark.parametrize(("amplitude", "dbfs"), [(1.0, -3.01), (0.1, -23.01), (0.001, -63.01)])
def test_the_level_of_a_sine_is_its_rms_re_full_scale(amplitude: float, dbfs: float) -> None:
    np.testing.assert_allclose(analyse(tone(1000, amplitude, 0.5)).level_dbfs, dbfs, atol=0.02)


def test_digital_silence_reads_minus_120() -> None:
    np.testing.assert_array_equal(analyse(np.zeros(RATE_HZ, np.float32)).level_dbfs, level.SILENCE_DBFS)


def test_a_hop_knows_only_its_own_samples() -> None:
    pcm = np.zeros(40 * HOP, np.float32)
    pcm[20 * HOP : 21 * HOP] = tone(1000, 0.5, 0.01)
    got = analyse(pcm).level_dbfs
    assert got[20] == pytest.approx(20 * math.log10(0.5 / math.sqrt(2)), abs=0.1)
    assert (got[:20] == level.SILENCE_DBFS).all()
    assert got[21] < -55  # what the DC filter still rings


def test_an_offset_is_no_sound() -> None:
    pcm = tone(300, 0.01, 1.0)
    np.testing.assert_allclose(analyse(pcm + np.float32(0.2)).level_dbfs, analyse(pcm).level_dbfs, atol=0.6)
    assert (analyse(np.full(RATE_HZ, 0.3, np.float32)).level_dbfs < -100).all()


def test_k_weighting_at_48_khz_is_the_table_of_bs_1770() -> None:
    shelf = [1.53512485958697, -2.69169618940638, 1.19839281085285, -1.69065929318241, 0.73248077421585]
    highpass = [1.0, -2.0, 1.0, -1.99004745483398, 0.99007225036621]
    np.testing.assert_allclose(level.k_weighting(48_000), [shelf, highpass], atol=1e-8)


@pytest.mark.parametrize("hz", [60, 200, 1000, 2000, 4000, 6000])
def test_k_weighting_at_16_khz_has_the_same_response(hz: float) -> None:
    def gain_db(rate_hz: int) -> float:
        z = np.exp(-2j * np.pi * hz / rate_hz)
        h = [(b0 + b1 * z + b2 * z * z) / (1 + a1 * z + a2 * z * z) for b0, b1, b2, a1, a2 in level.k_weighting(rate_hz)]
        return float(20 * np.log10(np.abs(np.prod(h))))

    assert gain_db(RATE_HZ) == pytest.approx(gain_db(48_000), abs=0.25)


def test_a_full_scale_sine_at_997_hz_reads_minus_3_01_lkfs() -> None:  # BS.1770-4; the warp at 16 kHz costs 0.04
    assert level.integrated_lufs(analyse(tone(997, 1.0, 3.0)).k_power) == pytest.approx(-3.01, abs=0.05)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_integrated_loudness_is_that_of_pyloudnorm(seed: int) -> None:
    voice = signals.utterance(30, pauses={9: 2.0, 20: 1.0}, level=0.2, seed=seed)
    pcm = signals.at_snr(voice.pcm, signals.pink(voice.pcm.size, seed), 30)
    theirs = pyloudnorm.Meter(RATE_HZ, filter_class="DeMan").integrated_loudness(pcm.astype(np.float64))
    assert level.integrated_lufs(analyse(pcm).k_power) == pytest.approx(theirs, abs=0.05)


def test_gates_keep_pauses_out_of_the_loudness() -> None:
    speech = tone(500, 0.2, 4.0)
    padded = np.concatenate([speech, np.zeros(10 * RATE_HZ, np.float32), speech])
    alone, with_pause = (level.integrated_lufs(analyse(pcm).k_power) for pcm in (speech, padded))
    assert with_pause == pytest.approx(alone, abs=0.4)


def test_loudness_of_too_little_or_of_silence_is_missing() -> None:
    assert level.integrated_lufs(analyse(tone(500, 0.5, 0.39)).k_power) is None
    assert level.integrated_lufs(analyse(np.zeros(RATE_HZ, np.float32)).k_power) is None


def test_momentary_loudness_spans_400_ms_and_misses_what_was_lost() -> None:
    pcm = tone(997, 1.0, 2.0)
    pcm[RATE_HZ : RATE_HZ + HOP] = np.nan
    lufs = level.momentary_lufs(analyse(pcm).k_power)
    assert np.isnan(lufs[:39]).all()
    assert np.isnan(lufs[100:140]).all()
    np.testing.assert_allclose(lufs[45:100], -3.01, atol=0.05)
    np.testing.assert_allclose(lufs[150:], -3.01, atol=0.05)
    assert np.isnan(level.momentary_lufs(np.ones(10))).all()


def test_loudness_goes_on_over_a_loss() -> None:
    pcm = tone(997, 0.5, 4.0)
    whole = level.integrated_lufs(analyse(pcm).k_power)
    pcm[20_000:24_000] = np.inf
    assert level.integrated_lufs(analyse(pcm).k_power) == pytest.approx(whole, abs=0.05)


def test_an_offset_that_comes_later_is_forgotten() -> None:
    pcm = np.zeros(2 * RATE_HZ, np.float32)
    pcm[RATE_HZ:] = 0.3
    assert (analyse(pcm).level_dbfs[-80:] < -100).all()
