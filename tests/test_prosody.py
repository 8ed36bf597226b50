import itertools
import sys
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.runtime import _nrt_python as nrt  # type: ignore[attr-defined]  # numba's allocator; Python's counters miss it

from speech.audio import HOP, RATE_HZ, Floats
from speech.prosody import DELAY, LATENCY_S, Hops, Prosody, ProsodyBank, analyse
from tests import signals


def speech() -> Floats:
    voice = signals.utterance(8, pauses={3: 0.3}, f0_hz=130, seed=4)
    pcm = signals.at_snr(voice.pcm, signals.pink(voice.pcm.size, 4), 30)
    pcm[15_000:15_700] = np.nan
    return pcm[: 2 * RATE_HZ + 77]


PCM = speech()
WHOLE = analyse(PCM)


def assert_same(parts: list[Hops], whole: Hops) -> None:
    assert [part.start for part in parts] == list(np.cumsum([0, *(HOP * part.f0_hz.size for part in parts[:-1])]))
    for name in ("f0_hz", "level_dbfs", "k_power", "nuclei"):
        np.testing.assert_array_equal(np.concatenate([getattr(part, name) for part in parts]), getattr(whole, name), err_msg=name)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, PCM.size), max_size=40))
def test_chunk_size_never_changes_a_bit(cuts: list[int]) -> None:
    front = Prosody()
    edges = [0, *sorted(cuts), PCM.size]
    parts = [front.push(PCM[a:b]) for a, b in itertools.pairwise(edges)]
    assert_same([*parts, front.flush()], WHOLE)


def test_one_sample_at_a_time_is_the_same() -> None:
    front = Prosody()
    parts = [front.push(PCM[i : i + 1]) for i in range(8000)]
    assert_same([*parts, front.flush()], analyse(PCM[:8000]))


def test_there_is_a_frame_for_every_full_hop() -> None:
    for samples in (0, 1, HOP - 1, HOP, HOP + 1, 5 * HOP, 1000):
        got = analyse(PCM[:samples])
        assert got.f0_hz.size == got.level_dbfs.size == got.k_power.size == samples // HOP
        assert got.f0_hz.dtype == got.level_dbfs.dtype == np.float32


def test_a_frame_is_final_as_soon_as_promised() -> None:
    front = Prosody()
    frame = 50
    needed = round((frame + 0.5) * HOP + LATENCY_S * RATE_HZ)
    assert LATENCY_S <= 0.050
    assert front.push(PCM[: needed - 1]).f0_hz.size == frame
    assert front.push(PCM[needed - 1 : needed]).start == frame * HOP
    assert front.received == needed


def test_what_comes_later_never_changes_a_final_frame() -> None:
    quiet, loud = np.zeros(8000, np.float32), signals.white(8000, 1).astype(np.float32)
    a, b = (analyse(np.concatenate([PCM[:16_000], after])) for after in (quiet, loud))
    np.testing.assert_array_equal(a.f0_hz[: 100 - DELAY], b.f0_hz[: 100 - DELAY])


def test_lost_audio_is_lost_and_takes_its_place_on_the_clock() -> None:
    whole = signals.vowel(140.0, 2.0).pcm
    front = Prosody()
    parts = [front.push(whole[: 50 * HOP]), front.lost(30 * HOP), front.push(whole[80 * HOP :]), front.flush()]
    lost = np.concatenate([part.lost for part in parts])
    f0_hz = np.concatenate([part.f0_hz for part in parts])
    level_dbfs = np.concatenate([part.level_dbfs for part in parts])
    np.testing.assert_array_equal(np.flatnonzero(lost), np.arange(50, 80))
    assert np.isnan(f0_hz[50:80]).all()
    assert np.isnan(level_dbfs[50:80]).all()
    np.testing.assert_allclose(f0_hz[84:190], 140, rtol=0.01)
    assert (level_dbfs[~lost] > -40).all()  # a gap never reads as silence


def test_lost_is_the_same_as_pushing_what_is_no_number() -> None:
    a, b = Prosody(), Prosody()
    got = [a.push(PCM[:5000]), a.lost(250_000), a.push(PCM[:5000]), a.flush()]
    gap = np.full(250_000, np.inf, np.float32)
    assert_same(got, analyse(np.concatenate([PCM[:5000], gap, PCM[:5000]])))
    assert b.lost(0).f0_hz.size == 0


def test_one_bad_sample_costs_one_frame_of_level() -> None:
    pcm = signals.vowel(140.0, 1.0).pcm.copy()
    pcm[50 * HOP + 7] = -np.inf
    got = analyse(pcm)
    np.testing.assert_array_equal(np.flatnonzero(got.lost), [50])
    assert np.isfinite(got.f0_hz[[40, 48, 49, 51, 52, 60]]).all()


def test_streams_of_a_bank_do_not_hear_one_another() -> None:
    voices = np.stack([signals.vowel(hz, 1.0, seed=1).pcm for hz in (90.0, 150.0, 260.0)])
    bank = ProsodyBank(3)
    first, second = bank.push(voices[:, :7001]), bank.push(voices[:, 7001:])
    for s in range(3):
        alone = Prosody()
        assert_same([first[s], second[s]], alone.push(voices[s]))


def test_wrong_input_is_refused() -> None:
    front = Prosody()
    with pytest.raises(ValueError, match="one row"):
        front.push(np.zeros((2, 10), np.float32))
    with pytest.raises(ValueError, match="float64"):
        front.push(np.zeros(10))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="cannot lose"):
        front.lost(-1)
    with pytest.raises(ValueError, match=r"shape \(2, n\)"):
        ProsodyBank(2).push(np.zeros((3, 10), np.float32))
    front.flush()
    with pytest.raises(ValueError, match="flushed"):
        front.push(np.zeros(10, np.float32))
    with pytest.raises(ValueError, match="flushed"):
        front.flush()


def test_nothing_is_allocated_per_hop() -> None:
    front, hop = Prosody(), PCM[:HOP]
    one_push = allocations_of(lambda: front.push(hop))
    long = np.tile(PCM[:10_000], 160)  # 10,000 hops
    assert allocations_of(lambda: front.push(long)) == one_push
    for _ in range(100):
        front.push(hop)
    before = sys.getallocatedblocks()
    for _ in range(1000):
        front.push(hop)
    assert sys.getallocatedblocks() - before < 50


def allocations_of(run: Callable[[], object]) -> int:
    """Memory blocks that compiled code takes while `run` runs."""
    nrt.memsys_enable_stats()
    before = nrt.memsys_get_stats_alloc()
    run()
    taken = int(nrt.memsys_get_stats_alloc() - before)
    nrt.memsys_disable_stats()
    return taken
