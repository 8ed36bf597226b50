import numpy as np
import pytest

from bench import f0
from speech import cycles
from speech.audio import HOP, RATE_HZ, Floats
from speech.prosody import analyse
from tests import signals


def marks_of(pcm: Floats) -> cycles.Doubles:
    return cycles.cycle_marks(pcm, analyse(pcm).f0_hz)


@pytest.mark.parametrize("f0_hz", [80.0, 113.0, 187.0, 290.0])
def test_there_is_one_mark_per_glottal_closure(f0_hz: float) -> None:
    voice = signals.vowel(f0_hz, 1.5, jitter=0.004, shimmer=0.03, seed=1)
    marks = marks_of(voice.pcm)
    inside = voice.closures[(voice.closures >= marks[0] - 20) & (voice.closures <= marks[-1] + 20)]
    lag = marks[:, None] - inside[None, :]
    nearest = lag[np.arange(marks.size), np.abs(lag).argmin(axis=1)]
    assert marks.size == pytest.approx(inside.size, abs=1)
    assert np.abs(np.diff(nearest)).max() < 0.5  # half a sample: always at the same place of the cycle, but for a slow drift
    assert marks.size > 0.93 * voice.closures.size


def test_a_perfectly_regular_voice_has_no_jitter() -> None:
    voice = signals.vowel(171.3, 1.5)  # 93.4 samples a period: without sub-sample places this would read 0.5 %
    jitter, shimmer = cycles.local_jitter_percent(marks_of(voice.pcm)), cycles.local_shimmer_percent(voice.pcm, marks_of(voice.pcm))
    assert jitter is not None
    assert jitter < 0.05
    assert shimmer is not None
    assert shimmer < 0.5


@pytest.mark.parametrize("snr_db", [None, 20.0])
def test_jitter_and_shimmer_are_those_of_praat(snr_db: float | None) -> None:
    got = f0.regularity(snr_db)
    jitter, shimmer = got["jitter against Praat"], got["shimmer against Praat"]
    assert jitter.r >= 0.99
    assert jitter.median <= 0.05
    assert jitter.worst <= 0.3
    assert shimmer.r >= 0.99
    assert shimmer.median <= (0.3 if snr_db is None else 0.8)


def test_more_jitter_and_shimmer_read_higher() -> None:
    jitters, shimmers = [], []
    for step in range(5):
        voice = signals.vowel(140.0, 2.0, jitter=0.004 * step, shimmer=0.03 * step, seed=step)
        marks = marks_of(voice.pcm)
        jitters.append(cycles.local_jitter_percent(marks))
        shimmers.append(cycles.local_shimmer_percent(voice.pcm, marks))
    assert jitters == sorted(jitters)  # type: ignore[type-var]
    assert shimmers == sorted(shimmers)  # type: ignore[type-var]


def test_the_formulas_on_numbers_worked_by_hand() -> None:
    marks = np.cumsum(np.array([0.0, *([100.0, 102.0] * 10)]))
    assert cycles.local_jitter_percent(marks) == pytest.approx(100 * 2 / 101)
    gap = np.concatenate([marks, marks + 5000])  # the leap between two stretches is no period
    assert cycles.local_jitter_percent(gap) == pytest.approx(100 * 2 / 101)


def test_wild_periods_and_amplitudes_are_left_out() -> None:
    periods = [100.0, 102.0] * 10
    periods[9] = 150.0  # 1.47 times its neighbours
    assert cycles.local_jitter_percent(np.cumsum(np.array([0.0, *periods]))) == pytest.approx(100 * 2 / 101, rel=0.01)
    at = np.arange(1, 31) * 100
    pcm = np.zeros(3200, np.float32)
    pcm[at] = np.where(np.arange(30) % 2, 1.0, 1.1)
    pcm[at[15]] = 3.0  # 2.7 times its neighbours
    assert cycles.local_shimmer_percent(pcm, at.astype(np.float64)) == pytest.approx(100 * 0.1 / 1.116, rel=0.02)


def test_too_few_cycles_give_no_number() -> None:
    assert cycles.local_jitter_percent(np.arange(0.0, 500.0, 100.0)) is None
    assert cycles.local_shimmer_percent(np.zeros(900, np.float32), np.arange(0.0, 500.0, 100.0)) is None
    assert cycles.local_shimmer_percent(np.zeros(900, np.float32), np.empty(0)) is None


def test_silence_has_no_marks() -> None:
    assert marks_of(np.zeros(RATE_HZ, np.float32)).size == 0


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        cycles.cycle_marks(np.zeros(100, np.float32), np.full(1, 100.0, np.float32))
    with pytest.raises(ValueError, match="lost audio"):
        cycles.cycle_marks(np.full(200, np.nan, np.float32), np.full(1, 100.0, np.float32))


def test_sustained_stretches_are_long_and_steady() -> None:
    held = np.full(80, 150.0, np.float32)
    gliding = np.geomspace(150, 300, 80).astype(np.float32)  # 9 semitones in 0.8 s: never 0.5 s within 2
    short = np.full(49, 150.0, np.float32)
    gap = np.full(10, np.nan, np.float32)
    spans = cycles.sustained(np.concatenate([gap, held, gap, gliding, gap, short, gap]), start=1600)
    assert [(span.start, span.end) for span in spans] == [(1600 + 10 * HOP, 1600 + 90 * HOP)]
    assert cycles.sustained(np.empty(0, np.float32)) == []
