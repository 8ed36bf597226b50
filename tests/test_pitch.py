"""F0 and voicing against planted contours, with Praat beside us where a limit is relative to it."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import butter, sosfilt

from bench import f0
from speech import pitch
from speech.audio import HOP, RATE_HZ, Floats
from speech.prosody import analyse
from tests import signals

DATA = Path(os.environ.get("ELOCUTE_SPEECH_DATA", "../shared/data"))


def cents(found: Floats, truth: signals.Doubles) -> float:
    """Median distance over frames voiced in both."""
    both = np.isfinite(found) & np.isfinite(truth)
    return float(np.median(np.abs(1200 * np.log2(found[both] / truth[both]))))


@pytest.mark.parametrize("sound", ["a", "i", "u"])
@pytest.mark.parametrize("f0_hz", [66.0, 75.0, 95.0, 130.0, 190.0, 270.0, 380.0, 498.0])
def test_a_steady_vowel_is_found_anywhere_in_the_range(f0_hz: float, sound: str) -> None:
    voice = signals.vowel(f0_hz, 0.8, sound=sound)
    found = analyse(voice.pcm).f0_hz
    inside = slice(4, -4)  # the window of the first and last frames lies half outside
    assert np.isfinite(found[inside]).all()
    np.testing.assert_allclose(found[inside], f0_hz, rtol=0.012)
    assert cents(found, voice.f0_hz) < 3


def test_lively_voices_meet_their_limits() -> None:
    mine, theirs = (f0.planted(track, f0.synthetic()) for track in (f0.ours, f0.praat))
    assert mine.gpe <= 0.2
    assert mine.rpa50 >= 98
    assert mine.ffe <= theirs.ffe + 1


def test_fast_glides_are_followed() -> None:
    assert f0.planted(f0.ours, f0.glides()).rpa50 >= 96


def test_a_glide_of_an_octave_is_right_to_a_fifth_of_a_semitone() -> None:
    voice = signals.vowel(signals.glide(110, 220, 1.0))
    assert cents(analyse(voice.pcm).f0_hz, voice.f0_hz) < 20


def test_creak_does_not_double() -> None:
    voice = signals.vowel(85.0, 1.0, creaky=True)
    assert f0.errors([(f0.ours(voice.pcm), voice.f0_hz)]).gpe == 0


@pytest.mark.parametrize("make", [lambda n: signals.white(n, 1), lambda n: signals.pink(n, 1), lambda n: signals.clicks(n, 1)])
def test_noise_has_no_pitch(make: f0.Track) -> None:
    noise = 0.05 * make(5 * RATE_HZ)  # type: ignore[arg-type]
    assert np.isfinite(analyse(noise.astype(np.float32)).f0_hz).mean() < 0.02


def test_silence_and_a_bare_offset_have_no_pitch() -> None:
    for offset in (0.0, 0.4):
        assert np.isnan(analyse(np.full(RATE_HZ, offset, np.float32)).f0_hz).all()


def voiced_share(pcm: Floats, truth: signals.Doubles, after_s: float = 0.0) -> float:
    """Of the truly voiced frames after some time, those found within 50 cents."""
    first = round(after_s * RATE_HZ / HOP)
    return f0.errors([(f0.ours(pcm)[first:], truth[first:])]).rpa50


VOICE = signals.utterance(40, f0_hz=180, pauses={10: 0.5, 25: 0.5}, seed=2)
CLEAN_SHARE = voiced_share(VOICE.pcm, VOICE.f0_hz)


@pytest.mark.parametrize("gain_db", [-60, -40, 20])
def test_pitch_does_not_depend_on_the_recording_level(gain_db: float) -> None:
    assert voiced_share((VOICE.pcm * 10 ** (gain_db / 20)).astype(np.float32), VOICE.f0_hz) == pytest.approx(CLEAN_SHARE, abs=0.5)


def test_an_offset_changes_nothing() -> None:
    assert voiced_share(VOICE.pcm + np.float32(0.3), VOICE.f0_hz) == pytest.approx(CLEAN_SHARE, abs=1.0)


def test_a_bang_does_not_silence_the_quiet_speech_after_it() -> None:
    bang = np.concatenate([0.95 * signals.white(1600, 3) / 4 * np.exp(-np.arange(1600) / 300), np.zeros(3200)])
    pcm = np.concatenate([bang, VOICE.pcm * 0.02]).astype(np.float32)
    truth = np.concatenate([np.full(bang.size // HOP, np.nan), VOICE.f0_hz])
    assert voiced_share(pcm, truth) == pytest.approx(CLEAN_SHARE, abs=1.0)


@pytest.mark.parametrize("drop_db", [10, 20, 30])
def test_speech_that_turns_quiet_is_found_again_within_seconds(drop_db: float) -> None:
    quiet = VOICE.pcm * 10 ** (-drop_db / 20)
    pcm = np.concatenate([VOICE.pcm, VOICE.pcm, quiet]).astype(np.float32)
    truth = np.concatenate([VOICE.f0_hz] * 3)
    loud_s = 2 * VOICE.pcm.size / RATE_HZ
    assert voiced_share(pcm, truth, loud_s) > CLEAN_SHARE - 20
    assert voiced_share(pcm, truth, loud_s + 5.0) > CLEAN_SHARE - 4


def test_a_telephone_band_keeps_most_of_its_missing_fundamental() -> None:
    voice = signals.utterance(40, f0_hz=110, seed=2)
    band = butter(4, [300, 3400], "bandpass", fs=RATE_HZ, output="sos")
    narrow = sosfilt(band, voice.pcm).astype(np.float32)
    mine, theirs = (f0.errors([(track(narrow), voice.f0_hz)]) for track in (f0.ours, f0.praat))
    assert mine.gpe <= 10  # an octave up where the second harmonic is all that is left; Praat has it too
    assert mine.ffe <= 1.75 * theirs.ffe


def test_f0_stays_in_its_range() -> None:
    found = analyse(signals.at_snr(VOICE.pcm, signals.babble(VOICE.pcm.size, 7), 0)).f0_hz
    found = found[np.isfinite(found)]
    assert ((found >= pitch.LOWEST_HZ) & (found <= pitch.HIGHEST_HZ)).all()


def test_f0_is_final_within_50_ms_of_its_centre() -> None:
    assert analyse(np.zeros(8000, np.float32)).f0_hz.size == 50
    assert round(1000 * pitch.LATENCY_S) == 45


needs_sentences = pytest.mark.skipif(not (DATA / "fda_f0").is_dir(), reason="the fda_f0 recordings are not here (ELOCUTE_SPEECH_DATA)")


@needs_sentences
def test_real_voices_against_the_laryngograph() -> None:
    material = f0.sentences()
    mine, theirs = f0.laryngograph(f0.ours, material), f0.laryngograph(f0.praat, material)
    assert mine.gpe <= 1.5
    assert mine.vde <= theirs.vde


@needs_sentences
@pytest.mark.parametrize("noise", f0.NOISES)
def test_real_voices_in_noise_against_praat(noise: str) -> None:
    dirty = f0.noisy(f0.sentences()[::10], noise)
    mine, theirs = f0.laryngograph(f0.ours, dirty), f0.laryngograph(f0.praat, dirty)
    assert mine.ffe <= f0.NOISES[noise][2] * theirs.ffe
