"""Held sounds: synthetic ums and uhs of known place against vowels that move, hiss and silence."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.signal import butter, sosfilt

from speech import prosody
from speech.audio import RATE_HZ, Floats, Span, State, States
from speech.filled_pauses import candidates, is_filled_pause
from tests.signals import VOWELS, Doubles, glide, hum, utterance, vowel, white

BEFORE_S = 0.3


def between_silences(sound: Floats | Doubles) -> Floats:
    return np.pad(sound, round(BEFORE_S * RATE_HZ)).astype(np.float32)


def found(pcm: Floats, state: State = State.SPEECH) -> list[Span]:
    states: States = np.full(pcm.size // 160, state, np.int8)
    return candidates(pcm, prosody.analyse(pcm, ()).f0_hz[: states.size], states)


def moving(seconds: float) -> Floats:
    """A voice that passes through a, i, u and o, 80 ms each."""
    phase = np.arange(round(seconds * RATE_HZ)) / RATE_HZ / 0.08 % 4
    out = np.zeros(phase.size)
    for k, sound in enumerate("aiuo"):
        away = np.minimum(np.abs(phase - k), 4 - np.abs(phase - k))
        out += vowel(120.0, seconds, sound=sound).pcm * np.clip(1 - away, 0, 1)
    return out.astype(np.float32)


@pytest.mark.parametrize("text", ["um", "Um,", "uh", "Uh...", "uhm", "erm.", "Hmm?", "mm", "UM"])
def test_every_spelling_of_um_is_one(text: str) -> None:
    assert is_filled_pause(text)


@pytest.mark.parametrize("text", ["", "...", "I", "a", "the", "human", "uh-huh", "like", "oh", "so", "mum", "hum", "er-"])
def test_a_word_is_none(text: str) -> None:
    assert not is_filled_pause(text)


@pytest.mark.parametrize("sound", VOWELS)
def test_a_held_vowel_is_found_where_it_is(sound: str) -> None:
    (span,) = found(between_silences(vowel(120.0, 0.4, sound=sound).pcm))
    assert span.start / RATE_HZ == pytest.approx(BEFORE_S, abs=0.03)
    assert span.end / RATE_HZ == pytest.approx(BEFORE_S + 0.4, abs=0.03)


@pytest.mark.parametrize("f0_hz", [90.0, 220.0, 300.0])
def test_so_is_one_of_any_voice(f0_hz: float) -> None:
    assert len(found(between_silences(vowel(f0_hz, 0.4, sound="schwa").pcm))) == 1


def test_so_is_a_creaking_and_a_gently_falling_one() -> None:
    assert len(found(between_silences(vowel(70.0, 0.4, sound="schwa", creaky=True).pcm))) == 1
    assert len(found(between_silences(vowel(glide(125, 110, 0.4), sound="schwa").pcm))) == 1


def test_one_shorter_than_150_ms_is_as_likely_a_vowel() -> None:
    assert found(between_silences(vowel(120.0, 0.12, sound="schwa").pcm)) == []
    assert len(found(between_silences(vowel(120.0, 0.2, sound="schwa").pcm))) == 1


def test_a_moving_vowel_is_none() -> None:
    assert found(between_silences(moving(0.5))) == []


def test_a_gliding_pitch_is_none() -> None:
    assert found(between_silences(vowel(glide(110, 200, 0.25), sound="schwa").pcm)) == []


def test_a_held_s_is_none() -> None:
    hiss = 0.1 * sosfilt(butter(4, [3500, 7500], "bandpass", fs=RATE_HZ, output="sos"), white(RATE_HZ // 2, seed=3))
    assert found(between_silences(hiss)) == []


def test_noise_and_silence_are_none() -> None:
    assert found((0.05 * white(RATE_HZ, seed=3)).astype(np.float32)) == []
    assert found(np.zeros(RATE_HZ, np.float32)) == []
    assert found(np.zeros(0, np.float32)) == []


def test_a_hum_where_nobody_speaks_is_none() -> None:
    assert found((0.05 * hum(RATE_HZ)).astype(np.float32), State.SILENCE) == []


def test_fluent_syllables_hold_hardly_any() -> None:
    held = [span for seed in range(4) for span in found(utterance(40, seed=seed).pcm)]
    assert len(held) <= 2  # of 160 syllables


def test_one_planted_among_syllables_is_found_there() -> None:
    um = vowel(118.0, 0.45, sound="schwa").pcm
    before, after = utterance(8, seed=5).pcm, utterance(8, seed=6).pcm
    spans = found(np.concatenate((before, um, after)))
    span = max(spans, key=lambda s: s.end - s.start)  # a short vowel of the syllables may be held too
    assert span.start == pytest.approx(before.size, abs=0.04 * RATE_HZ)
    assert span.end == pytest.approx(before.size + um.size, abs=0.04 * RATE_HZ)


def test_spans_are_in_order_also_where_the_sound_is_taken_in_pieces() -> None:
    pcm = between_silences(vowel(120.0, 0.4, sound="schwa").pcm)
    long = np.tile(pcm, 65)  # 65 s: more than two pieces of 30 s
    spans = found(long)
    assert len(spans) == 65
    assert all(a.end <= b.start for a, b in pairwise(spans))
    starts = np.array([s.start for s in spans]) - np.arange(65) * pcm.size
    assert np.ptp(starts) <= 160
