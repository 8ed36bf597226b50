"""Opus to samples: at 16 kHz by libopus itself, or at 48 kHz by way of FFmpeg."""

import _struct

import numpy as np
import pytest
from av import AudioFrame, CodecContext
from av.audio.codeccontext import AudioCodecContext
from numpy.typing import NDArray

from rtc import decoder
from rtc.decoder import OpusDecoder, OpusDecoder16, opus_decoder
from rtc.errors import Undecodable
from rtc.opus import CLOCK_HZ, duration
from rtc.resample import Resampler, mono
from speech.audio import RATE_HZ, Floats
from tests.speakers import coded, voice

LATE = 104  # samples at 16 kHz: the 6.5 ms of Opus (RFC 7845, pre-skip 312 samples of 48 kHz)


def heard(packets: list[bytes], by: OpusDecoder16 | OpusDecoder) -> Floats:
    resampler = Resampler(by.rate_hz)
    return np.concatenate([*(resampler.feed(mono(by.decode(packet))) for packet in packets), resampler.end()])


def below_6_khz(sound: Floats) -> Floats:
    spectrum = np.fft.rfft(sound)
    spectrum[sound.size * 6_000 // RATE_HZ :] = 0.0
    return np.fft.irfft(spectrum, sound.size).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 2])
def test_both_ways_give_the_same_sound_at_the_same_place(channels: int) -> None:
    packets = coded(voice(4, CLOCK_HZ), channels)
    by = opus_decoder()
    assert isinstance(by, OpusDecoder16)
    direct, filtered = below_6_khz(heard(packets, by)), below_6_khz(heard(packets, OpusDecoder()))
    assert direct.shape == filtered.shape == (len(packets) * RATE_HZ // 50,)
    products = [float(direct[100 + lag : lag - 100] @ filtered[100:-100]) for lag in range(-20, 21)]
    assert abs(int(np.argmax(products)) - 20) <= 1
    assert np.corrcoef(direct, filtered)[0, 1] > 0.98


def test_a_click_is_late_by_what_every_opus_stream_is() -> None:
    sound = np.zeros(CLOCK_HZ)
    sound[CLOCK_HZ // 2 : CLOCK_HZ // 2 + 48] = 0.9
    found = heard(coded(sound), opus_decoder())
    assert abs(int(np.argmax(np.abs(found))) - (RATE_HZ // 2 + 8 + LATE)) <= 8


@pytest.mark.parametrize("frame_ms", ["2.5", "5", "10", "40", "60"])
def test_packets_of_any_length(frame_ms: str) -> None:
    encoder = CodecContext.create("libopus", "w")
    assert isinstance(encoder, AudioCodecContext)
    encoder.format, encoder.layout, encoder.sample_rate = "s16", "mono", CLOCK_HZ
    encoder.options = {"frame_duration": frame_ms}
    samples: NDArray[np.int16] = np.zeros((1, round(CLOCK_HZ * float(frame_ms) / 1000)), np.int16)
    frame = AudioFrame.from_ndarray(samples, format="s16", layout="mono")
    frame.sample_rate = CLOCK_HZ
    by = opus_decoder()
    packets = [bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)]]
    assert packets
    for packet in packets:
        assert by.decode(packet).shape == (duration(packet) * RATE_HZ // CLOCK_HZ,)


@pytest.mark.parametrize("by", [opus_decoder, OpusDecoder])
def test_what_is_no_opus_is_said_and_the_next_packet_is_heard(by: type[OpusDecoder]) -> None:
    packets = coded(voice(1, CLOCK_HZ))
    stream = by()
    whole = [stream.decode(packet) for packet in packets]
    again = by()
    for i, packet in enumerate(packets):
        for broken in (b"", bytes([0b11111_011, 0b11000010, 255, 255])):
            with pytest.raises(Undecodable):
                again.decode(broken)
        np.testing.assert_array_equal(again.decode(packet), whole[i])


def test_without_libopus_within_reach_there_is_the_other_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder, "context", _struct)  # a library that is linked with none
    decoder._libopus.cache_clear()
    try:
        assert isinstance(opus_decoder(), OpusDecoder)
    finally:
        decoder._libopus.cache_clear()
