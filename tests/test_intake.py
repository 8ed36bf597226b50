"""Every sample lies where its timestamp says, for hours, whatever is lost; and what is lost is counted to the sample."""

import random
from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import pytest
from av.audio.frame import AudioFrame
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from batch.decode import RESAMPLER as BATCH_RESAMPLER
from rtc.decoder import OpusDecoder
from rtc.errors import Unplaceable
from rtc.intake import BLOCK, Filled, Intake, Taken
from rtc.resample import RESAMPLER, Resampler, mono, unpacked
from speech.audio import RATE_HZ, AudioBlock, Floats, Span
from tests.speakers import coded, voice

PTIME = 960
PCM = NDArray[np.int16]


def tone(rate_hz: int, samples: int, hz: float = 440.0, amplitude: float = 0.5) -> PCM:
    return np.round(amplitude * 32_767 * np.sin(2 * np.pi * hz * np.arange(samples) / rate_hz)).astype(np.int16)


def blocks(taken: Iterable[Taken]) -> list[AudioBlock]:
    return [each for each in taken if isinstance(each, AudioBlock)]


def line(taken: Iterable[Taken], end: int, filled: bool = True) -> Floats:
    """Everything in its place on the clock; NaN where nothing came."""
    sound: Floats = np.full(end, np.nan, np.float32)
    for each in taken:
        if isinstance(each, AudioBlock) or filled:
            place = sound[each.start : each.start + each.pcm.size]
            assert np.isnan(place).all()  # nothing comes twice
            place[:] = each.pcm
    return sound


def complete(taken: Iterable[Taken]) -> int:
    """Blocks and what they say is lost cover the clock without a hole; where they end."""
    end = 0
    for block in blocks(taken):
        assert block.start == end + block.lost
        assert block.pcm.shape == (BLOCK,)
        assert block.pcm.dtype == np.float32
        end = block.start + BLOCK
    return end


def streamed(intake: Intake, pcm: PCM, lost: Iterable[int] = (), packet: int = PTIME) -> list[Taken]:
    """Packets of one connection, those in `lost` left out."""
    missing = set(lost)
    taken: list[Taken] = []
    for i in range(-(-len(pcm) // packet)):
        if i not in missing:
            taken += intake.take(i * packet, pcm[i * packet : (i + 1) * packet], arrived=i * 0.02)
    return taken


def opened(rate_hz: int = 48_000, at: int = 0) -> Intake:
    intake = Intake("s")
    assert intake.connect(rate_hz, at, 0.0) == []
    return intake


def test_a_session_is_filtered_as_its_recording_is() -> None:
    assert RESAMPLER == BATCH_RESAMPLER


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 44_100, 48_000, 96_000])
def test_a_tone_comes_out_as_a_tone_in_its_place(rate_hz: int) -> None:
    intake = opened(rate_hz)
    taken = streamed(intake, tone(rate_hz, 2 * rate_hz), packet=rate_hz // 50) + intake.finish(9.0)
    assert complete(taken) == 2 * RATE_HZ
    assert intake.lost == 0
    expected = tone(RATE_HZ, 2 * RATE_HZ) / 32_768
    middle = slice(RATE_HZ // 10, -RATE_HZ // 10)
    np.testing.assert_allclose(line(taken, 2 * RATE_HZ)[middle], expected[middle], atol=0.002)


def test_a_block_is_there_with_the_packet_after_it() -> None:
    intake = opened()
    came = [len(intake.take(i * PTIME, tone(48_000, PTIME), arrived=float(i))) for i in range(10)]
    assert came == [0] + [1] * 9
    assert blocks(intake.take(10 * PTIME, tone(48_000, PTIME), arrived=7.5))[0].arrived == 7.5


def test_channels_are_averaged() -> None:
    left, right = tone(48_000, 48_000, 300), tone(48_000, 48_000, 500)
    both = np.stack([left, right], axis=1)
    np.testing.assert_allclose(mono(both), (left / 32_768 + right / 32_768) / 2, atol=1e-7)
    frame = AudioFrame.from_ndarray(both.reshape(1, -1), format="s16", layout="stereo")
    np.testing.assert_array_equal(unpacked(frame), both)
    np.testing.assert_array_equal(unpacked(AudioFrame.from_ndarray(left.reshape(1, -1), format="s16", layout="mono")), left[:, np.newaxis])
    with pytest.raises(ValueError, match="packed 16 bits"):
        unpacked(AudioFrame.from_ndarray(np.zeros((2, 10), np.float32), format="fltp", layout="stereo"))
    with pytest.raises(ValueError, match="int16"):
        mono(np.zeros(10, np.float32))


def test_full_scale_stays_within_one() -> None:
    square = np.where(np.arange(48_000) // 100 % 2, 32_767, -32_768).astype(np.int16)
    intake = opened()
    sound = line(streamed(intake, square) + intake.finish(0.0), RATE_HZ)
    assert np.abs(sound).max() == 1.0


def test_a_lost_packet_is_lost_and_nothing_moves() -> None:
    pcm = tone(48_000, 48_000 * 3)
    lost = [10, 40, 41, 42, 90]
    intake, whole = opened(), opened()
    taken = streamed(intake, pcm, lost) + intake.finish(9.0)
    reference = line(streamed(whole, pcm) + whole.finish(9.0), 3 * RATE_HZ)
    assert complete(taken) == 3 * RATE_HZ
    assert intake.lost == 5 * 320 == sum(block.lost for block in blocks(taken))
    assert [(block.start, block.lost) for block in blocks(taken) if block.lost] == [(11 * 320, 320), (43 * 320, 960), (91 * 320, 320)]
    sound = line(taken, 3 * RATE_HZ)
    heard = ~np.isnan(sound)
    assert heard.sum() == 3 * RATE_HZ - 5 * 320
    far = heard & ~np.isnan(np.convolve(sound, np.ones(161), "same"))  # further from a gap than the filter reaches
    np.testing.assert_allclose(sound[far], reference[far], atol=1e-4)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([480, 960, 2880, 1000]),
    st.sampled_from([8_000, 16_000, 44_100, 48_000]),
    st.integers(0, 50_000),
)
def test_what_came_and_what_is_lost_make_up_the_clock(seed: int, packet: int, rate_hz: int, at: int) -> None:
    chance = random.Random(seed)
    intake = opened(rate_hz, at)
    taken: list[Taken] = []
    place = came = 0
    for _ in range(40):
        match chance.choice(["sound", "sound", "sound", "gap", "quiet", "again", "jump"]):
            case "sound":
                taken += intake.take(place, tone(rate_hz, packet), 0.0)
                came = place = place + packet
            case "gap":
                place += packet
            case "jump":
                place += chance.randrange(1, 3 * rate_hz)
            case "quiet":
                taken += intake.quiet(place, 3 * packet, 0.0)
                came = place = place + 3 * packet
            case _:
                taken += intake.take(place - packet, tone(rate_hz, packet + 7), 0.0)
                came = place = place + 7
    live = blocks(taken + intake.finish(0.0))
    assert complete(live) == intake.lost + BLOCK * len(live)
    if came:
        assert -1 < live[-1].start + BLOCK - (at + came * RATE_HZ / rate_hz) < BLOCK + 1
    assert intake.gaps == tuple(sorted(intake.gaps, key=lambda span: span.start))


@pytest.mark.parametrize("rate_hz", [44_100, 48_000])
def test_six_hours_later_a_click_is_where_its_timestamp_says(rate_hz: int) -> None:
    """Clicks at odd places, most of the time lost, some of it sent as silence: the place of each is exact, and so is the sum."""
    chance = random.Random(3)
    intake = opened(rate_hz)
    hours = 6 * 3600 * rate_hz
    taken: list[Taken] = []
    clicks: list[float] = []
    at = 0
    while at < hours:
        click = np.zeros(rate_hz // 5, np.int16)
        click[rate_hz // 10] = 20_000
        clicks.append((at + rate_hz // 10) * RATE_HZ / rate_hz)
        taken += intake.take(at, click, 0.0)
        if chance.random() < 0.3:
            taken += intake.quiet(at + rate_hz // 5, rate_hz, 0.0)
        at += chance.randrange(2 * rate_hz, 120 * rate_hz)
    taken += intake.take(hours, tone(rate_hz, rate_hz), 0.0) + intake.finish(0.0)
    assert complete(taken) - (6 * 3600 + 1) * RATE_HZ in range(-1, BLOCK)
    assert len(clicks) > 300
    found: list[float] = []
    for block in blocks(taken)[: -RATE_HZ // BLOCK]:
        peak = int(np.argmax(block.pcm))
        if block.pcm[peak] > 0.1 and (not found or block.start + peak - found[-1] > 100):
            found.append(block.start + peak)
    assert len(found) == len(clicks)
    assert max(abs(place - click) for place, click in zip(found, clicks, strict=True)) <= 1.0


def test_half_an_hour_without_a_gap_keeps_every_sample() -> None:
    """44.1 kHz: 441 samples in are 160 out, so that any rounding would add up."""
    intake = opened(44_100)
    second = tone(44_100, 44_100)
    end = 0
    for i in range(1800):
        for block in blocks(intake.take(i * 44_100, second, 0.0)):
            assert block.start == end
            end += BLOCK
    assert end == 1800 * RATE_HZ - BLOCK
    last = blocks(intake.finish(0.0))
    assert last[-1].start + BLOCK == 1800 * RATE_HZ
    np.testing.assert_allclose(np.concatenate([b.pcm for b in last])[-320:-100], tone(RATE_HZ, RATE_HZ)[-320:-100] / 32_768, atol=0.002)


def test_silence_that_was_not_sent_is_sound() -> None:
    intake = opened()
    pcm = tone(48_000, PTIME * 5)
    taken = intake.take(0, pcm, 0.0) + intake.quiet(PTIME * 5, 19_200, 0.4) + intake.take(PTIME * 5 + 19_200, pcm, 0.5) + intake.finish(0.6)
    assert complete(taken) == 2 * 1600 + 6400
    assert intake.lost == 0
    sound = line(taken, 2 * 1600 + 6400)
    assert np.abs(sound[1600 + 80 : 1600 + 6400 - 80]).max() == 0.0
    assert np.abs(sound[1600 + 6400 :]).max() > 0.4


def test_what_is_sent_again_is_dropped() -> None:
    pcm = tone(RATE_HZ, RATE_HZ)
    intake = opened(RATE_HZ)
    taken = intake.take(0, pcm[:5_000], 0.0)
    assert intake.end == 5_000
    taken += intake.take(3_000, pcm[3_000:4_000], 0.1) + intake.take(4_800, pcm[4_800:9_000], 0.2) + intake.take(9_000, pcm[9_000:], 0.3)
    assert complete(taken) == RATE_HZ
    np.testing.assert_array_equal(line(taken, RATE_HZ), pcm / np.float32(32_768))


@pytest.mark.parametrize("rate_hz", [16_000, 44_100, 48_000])
@pytest.mark.parametrize("chunk_s", [0.1, 0.37, 20.0])
def test_a_gap_that_is_filled_later_is_whole(rate_hz: int, chunk_s: float) -> None:
    """Ten seconds lost; the live sound goes on and what the page kept follows behind it, in pieces that overlap what is there."""
    pcm = tone(rate_hz, 20 * rate_hz, hz=200)
    intake, whole = opened(rate_hz), opened(rate_hz)
    reference = line(whole.take(0, pcm, 0.0) + whole.finish(0.0), 20 * RATE_HZ)
    taken = intake.take(0, pcm[: 4 * rate_hz], 0.0)
    chunk = round(chunk_s * rate_hz)
    old = range(4 * rate_hz - rate_hz // 10, 14 * rate_hz + rate_hz // 10, chunk)
    for i in range(6 * rate_hz // chunk + 1):  # live and old sound by turns
        live = 14 * rate_hz + i * chunk
        taken += intake.take(live, pcm[live : live + chunk], 1.0)
        if i < len(old):
            taken += intake.take(old[i], pcm[old[i] : old[i] + chunk], 1.0)
    for at in old[6 * rate_hz // chunk + 1 :]:
        taken += intake.take(at, pcm[at : at + chunk], 1.0)
    taken += intake.finish(2.0)
    gap = intake.lost
    assert 10 * RATE_HZ <= gap < 10 * RATE_HZ + BLOCK
    assert intake.filled == gap == sum(each.pcm.size for each in taken if isinstance(each, Filled))
    assert intake.gaps == ()
    assert complete(taken) == 20 * RATE_HZ
    sound = line(taken, 20 * RATE_HZ)
    edges = (4 * RATE_HZ, 14 * RATE_HZ)  # live sound had zeros beside it in the filter; the very first depends on how much is fed first
    for part in (slice(70, edges[0] - 70), slice(edges[0], edges[1] - 70), slice(edges[1] + 70, -70)):
        np.testing.assert_allclose(sound[part], reference[part], atol=1e-4)
    assert np.isnan(line(taken, 20 * RATE_HZ, filled=False)).sum() == gap


def test_a_gap_in_webrtc_is_filled_with_what_the_page_kept() -> None:
    """Live sound is Opus at 48 kHz by pts; the rest comes as PCM at 16 kHz by its place in the session."""
    intake = opened()
    taken = streamed(intake, tone(48_000, 48_000))
    taken += intake.connect(48_000, 3 * RATE_HZ, 3.0)  # another peer connection, whose pts begins at 0 again
    taken += streamed(intake, tone(48_000, 48_000))
    assert intake.gaps == (Span(RATE_HZ, 3 * RATE_HZ),)
    kept = tone(RATE_HZ, 4 * RATE_HZ)
    taken += intake.fill(RATE_HZ, 0, 8_000, kept[8_000:30_000]) + intake.fill(RATE_HZ, 0, 40_000, kept[40_000:])
    assert intake.gaps == (Span(30_000, 40_000),)
    taken += intake.finish(4.0)
    assert complete(taken) == 4 * RATE_HZ
    sound = line(taken, 4 * RATE_HZ)
    assert np.isnan(sound).sum() == 10_000
    np.testing.assert_array_equal(sound[RATE_HZ:30_000], kept[RATE_HZ:30_000] / np.float32(32_768))


@pytest.mark.parametrize("rate_hz", [16_000, 44_100, 48_000])
def test_a_gap_is_whole_as_soon_as_its_last_sample_is_there(rate_hz: int) -> None:
    second = tone(rate_hz, rate_hz)
    intake = opened(rate_hz)
    intake.take(0, second, 0.0)
    intake.take(2 * rate_hz, second, 0.0)
    assert intake.gaps == (Span(RATE_HZ, 2 * RATE_HZ),)
    intake.take(rate_hz, second, 0.0)
    assert not intake.gaps


def test_what_is_lost_for_a_minute_stays_lost() -> None:
    intake = opened(RATE_HZ)
    second = tone(RATE_HZ, RATE_HZ)
    for i in (0, 2, 4):
        intake.take(i * RATE_HZ, second, 0.0)
    assert len(intake.gaps) == 2
    for i in range(6, 70, 2):
        intake.take(i * RATE_HZ, second, 0.0)
    assert len(intake.gaps) == 31  # those of the last minute
    assert intake.take(RATE_HZ, second, 0.0) == []
    assert intake.filled == 0
    assert intake.lost == 34 * RATE_HZ


def test_connections_follow_one_another_on_one_clock() -> None:
    """Opus at 48 kHz, then PCM at 44.1 kHz that overlaps by a second, then PCM at 16 kHz after a gap of a second."""
    intake = opened(48_000)
    taken = streamed(intake, tone(48_000, 3 * 48_000))
    taken += intake.connect(44_100, 2 * RATE_HZ, 3.0)
    taken += intake.take(0, tone(44_100, 3 * 44_100), 3.0)
    taken += intake.connect(RATE_HZ, 0, 5.0)
    taken += intake.take(6 * RATE_HZ, tone(RATE_HZ, RATE_HZ), 7.0) + intake.finish(7.0)
    assert complete(taken) == 7 * RATE_HZ
    assert intake.lost == RATE_HZ
    sound = line(taken, 7 * RATE_HZ)
    expected = tone(RATE_HZ, 7 * RATE_HZ) / 32_768
    inside = [slice(100, 3 * RATE_HZ - 100), slice(3 * RATE_HZ + 100, 5 * RATE_HZ - 100), slice(6 * RATE_HZ, 7 * RATE_HZ)]
    for part in inside:
        np.testing.assert_allclose(sound[part], expected[part], atol=0.002)
    assert np.isnan(sound[5 * RATE_HZ : 6 * RATE_HZ]).all()


def test_what_a_filter_still_holds_at_the_end_is_no_longer_than_the_sound() -> None:
    """Where the rates have no common step, its last sample is a matter of rounding."""
    for samples in range(900, 1_000):
        intake = opened(44_100)
        intake.take(0, tone(44_100, samples), 0.0)
        intake.connect(RATE_HZ, 0, 0.1)
        assert round(samples * RATE_HZ / 44_100) - 1 <= intake.end <= round(samples * RATE_HZ / 44_100)


def test_a_step_of_more_than_an_hour_is_refused() -> None:
    intake = opened()
    intake.take(0, tone(48_000, PTIME), 0.0)
    with pytest.raises(Unplaceable, match="3601 s ahead"):
        intake.take(3601 * 48_000 + PTIME, tone(48_000, PTIME), 0.0)
    with pytest.raises(Unplaceable, match="ahead"):
        intake.quiet(PTIME, 2**60, 0.0)
    assert len(intake.take(PTIME, tone(48_000, PTIME), 0.0)) == 1
    with pytest.raises(ValueError, match="before a connection"):
        Intake("s").take(0, tone(48_000, PTIME), 0.0)
    for rate_hz in (4_000, 400_000):
        with pytest.raises(ValueError, match="8 to 192 kHz"):
            Resampler(rate_hz)


def test_zeros_that_are_skipped_are_as_if_they_had_been_fed() -> None:
    for rate_hz in (44_100, 48_000):
        fed, skipped = Resampler(rate_hz), Resampler(rate_hz)
        sound = mono(tone(rate_hz, 10_001))
        gap = 7 * rate_hz + 13
        long = np.concatenate([fed.feed(sound), fed.feed(np.zeros(gap, np.float32)), fed.feed(sound), fed.end()])
        before = skipped.feed(sound)
        out, more = skipped.zeros(gap)
        short = np.concatenate([before, out, np.zeros(more, np.float32), skipped.feed(sound), skipped.end()])
        assert more > 6 * RATE_HZ
        assert long.size == short.size
        np.testing.assert_allclose(short, long, atol=1e-6)


def test_gaps_are_in_order_and_apart() -> None:
    intake = opened()
    streamed(intake, tone(48_000, 48_000 * 2), lost=[3, 4, 9, 50])
    assert intake.gaps == (Span(960, 1600), Span(2880, 3200), Span(16_000, 16_320))
    assert all(before.end < after.start for before, after in pairwise(intake.gaps))


@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
def test_all_sound_lies_on_the_grid_of_16_bits(rate_hz: int) -> None:
    """A FLAC recording of 16 bits then holds exactly what was heard: what was filled in as well, and the average of channels."""
    first, between, last = np.split(np.round(32_767 * np.clip(12 * voice(3, rate_hz), -1, 1)).astype(np.int16), 3)
    intake = opened(rate_hz)
    taken = intake.take(0, first, 0.0) + intake.take(2 * rate_hz, np.stack([last, -last // 3], axis=1), 1.0)
    taken += intake.take(rate_hz, between, 2.0) + intake.finish(3.0)
    assert {type(each) for each in taken} == {AudioBlock, Filled}
    sound = np.concatenate([each.pcm for each in taken])
    recorded = np.round(sound * 32_768).astype(np.int32)
    assert recorded.min() >= -32_768
    assert recorded.max() == 32_767
    np.testing.assert_array_equal((recorded / np.float32(32_768)).astype(np.float32), sound)


def test_the_clock_goes_on_while_nobody_is_connected() -> None:
    """The promptest sound says how much was captured by when: what came late says nothing, and what came ten seconds ago little."""
    intake = opened(RATE_HZ)
    assert intake.captured(77.0) == 0
    second = tone(RATE_HZ, RATE_HZ)
    for i in range(20):
        intake.take(i * RATE_HZ, second, 100.0 + i + 1.0 + (0.2 if i % 3 else 0.05))
    assert intake.captured(120.05) == 20 * RATE_HZ
    assert intake.captured(130.05) == 30 * RATE_HZ
    for i in range(20, 40):  # the sender's clock runs fast: 10 ms a second
        intake.take(i * RATE_HZ, second, 100.0 + i + 1.05 - 0.01 * (i - 19))
    assert intake.captured(139.85 + 1.0) == 41 * RATE_HZ


def through_opus(sound: NDArray[np.float64]) -> PCM:
    """What the server hears of a sound at 48 kHz."""
    decoder = OpusDecoder()
    return np.concatenate([decoder.decode(packet)[:, 0] for packet in coded(sound)])


def cut_call(sound: NDArray[np.float64], from_s: float, to_s: float, late_s: float) -> tuple[Intake, list[Taken]]:
    """A call by WebRTC whose network is gone for a while; the connection after it is placed late_s too late."""
    intake = opened()
    before, after = (through_opus(part) for part in (sound[: round(from_s * 48_000)], sound[round(to_s * 48_000) :]))
    taken = streamed(intake, before)
    taken += intake.connect(48_000, round((to_s + late_s) * RATE_HZ), 0.0)
    return intake, taken + streamed(intake, after) + intake.finish(0.0)


def shift(piece: Floats, of: Floats, at: int) -> int:
    """By how many samples a piece lies off its place."""
    return max(range(-40, 41), key=lambda off: float(np.dot(piece, of[at + off : at + off + piece.size])))


@pytest.mark.parametrize("late_s", [0.0, 0.07, -0.07])
@pytest.mark.parametrize("about_s", [-2.0, 0.31])
def test_what_a_page_kept_is_put_where_it_was_said(late_s: float, about_s: float) -> None:
    """The page has the microphone's sound without a hole, and hardly knows where it belongs; the server's went through Opus."""
    sound = voice(14, 48_000, seed=4)
    intake, taken = cut_call(sound, 5.0, 11.0, late_s)
    kept = np.round(32_767 * sound[3 * 48_000 : 13 * 48_000]).astype(np.int16)
    filled = intake.patch(48_000, kept, about=round((3.0 + about_s) * RATE_HZ))
    assert sum(each.pcm.size for each in filled) == intake.filled
    assert intake.lost - intake.filled == pytest.approx(max(late_s, 0) * RATE_HZ, abs=2)  # of too long a gap, the rest stays lost
    whole = line(taken + filled, round(14.2 * RATE_HZ))
    intact, without = cut_call(sound, 5.0, 5.0, 0.0)
    opus = line(without, round(14.2 * RATE_HZ))
    edge = 5 * RATE_HZ
    end = round((11.0 + late_s) * RATE_HZ)
    assert abs(shift(whole[edge : edge + 8_000], opus, edge)) <= 8  # half a millisecond: Opus moves the lowest tones
    assert abs(shift(whole[end - 8_000 : end], opus, 11 * RATE_HZ - 8_000)) <= 8
    assert intact.lost == 0


def test_where_nothing_can_be_compared_the_page_is_believed() -> None:
    for sound in (np.zeros(16 * 48_000), 0.3 * np.sin(2 * np.pi * 200 * np.arange(16 * 48_000) / 48_000)):
        intake, _ = cut_call(sound, 5.0, 11.0, 0.0)
        kept = np.round(32_767 * sound[3 * 48_000 : 10 * 48_000]).astype(np.int16)
        filled = intake.patch(48_000, kept, about=3 * RATE_HZ)
        assert [(each.start, each.start + each.pcm.size) for each in filled] == [(5 * RATE_HZ, 10 * RATE_HZ)]
        assert intake.gaps == (Span(10 * RATE_HZ, 11 * RATE_HZ),)


def test_a_patch_for_what_is_not_lost_is_dropped() -> None:
    intake = opened()
    taken = streamed(intake, np.round(32_767 * voice(4, 48_000)).astype(np.int16))
    assert complete(taken) > 3 * RATE_HZ
    assert intake.patch(RATE_HZ, tone(RATE_HZ, 2 * RATE_HZ), 0) == []
    assert intake.patch(RATE_HZ, tone(RATE_HZ, 10), 100 * RATE_HZ) == []


def test_two_gaps_and_single_losses_are_filled_by_their_own_patches() -> None:
    sound = voice(30, 48_000, seed=9)
    pcm = np.round(32_767 * sound).astype(np.int16)
    intake = opened()
    streamed(intake, pcm, lost=[*range(250, 500), 510, *range(900, 1200), 1210])
    for from_s, to_s in ((3, 12), (16, 26)):
        intake.patch(48_000, pcm[from_s * 48_000 : to_s * 48_000], about=from_s * RATE_HZ + 777)
    assert intake.gaps == ()
