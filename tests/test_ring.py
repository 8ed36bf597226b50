import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speech.ring import CAPACITY, OutsideRing, Ring


def ramp(start: int, samples: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.arange(start, start + samples, dtype=np.float32)


def test_samples_come_back_by_their_absolute_index() -> None:
    ring = Ring(100)
    ring.write(ramp(0, 70))
    ring.write(ramp(70, 70))
    assert (ring.start, ring.end, ring.overwritten, ring.capacity) == (40, 140, 40, 100)
    np.testing.assert_array_equal(ring.read(40, 140), ramp(40, 100))
    np.testing.assert_array_equal(ring.read(95, 103), ramp(95, 8))
    assert ring.read(60, 60).size == 0


def test_what_is_gone_and_what_is_not_there_yet_are_told_apart() -> None:
    ring = Ring(100)
    ring.write(ramp(0, 150))
    with pytest.raises(OutsideRing, match="gone: the oldest kept is 50"):
        ring.read(49, 60)
    with pytest.raises(OutsideRing, match="not there yet: the newest is 149"):
        ring.read(140, 151)
    with pytest.raises(ValueError, match="end before they start"):
        ring.read(60, 59)


def test_lost_audio_keeps_its_place_and_reads_as_nan() -> None:
    ring = Ring(100)
    ring.write(ramp(0, 90))
    ring.lost(20)
    ring.write(ramp(110, 10))
    got = ring.read(80, 120)
    np.testing.assert_array_equal(np.isnan(got), [False] * 10 + [True] * 20 + [False] * 10)
    np.testing.assert_array_equal(got[30:], ramp(110, 10))
    ring.lost(1000)
    assert np.isnan(ring.read(ring.start, ring.end)).all()
    assert ring.end == 1120


def test_a_read_is_a_copy() -> None:
    ring = Ring(10)
    ring.write(ramp(0, 10))
    got = ring.read(0, 10)
    ring.write(ramp(10, 10))
    np.testing.assert_array_equal(got, ramp(0, 10))


def test_a_ring_of_half_a_minute_is_what_a_session_gets() -> None:
    ring = Ring()
    assert ring.capacity == CAPACITY == 30 * 16_000
    with pytest.raises(ValueError, match="at least one sample"):
        Ring(0)
    with pytest.raises(ValueError, match="cannot lose"):
        ring.lost(-1)
    with pytest.raises(ValueError, match="one row"):
        ring.write(np.zeros((2, 10), np.float32))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 45)), max_size=30))
def test_a_ring_is_the_tail_of_everything_written(writes: list[tuple[bool, int]]) -> None:
    ring, whole = Ring(32), np.zeros(0, np.float32)
    for lost, samples in writes:
        if lost:
            ring.lost(samples)
            whole = np.append(whole, np.full(samples, np.nan, np.float32))
        else:
            ring.write(ramp(whole.size, samples))
            whole = np.append(whole, ramp(whole.size, samples))
    assert (ring.start, ring.end) == (max(0, whole.size - 32), whole.size)
    np.testing.assert_array_equal(ring.read(ring.start, ring.end), whole[ring.start :])
