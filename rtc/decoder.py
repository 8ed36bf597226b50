"""Opus packets to samples, one by one and without delay.

libopus itself gives 16 kHz, at half of what 48 kHz costs and with no filter after it. FFmpeg's wrapper of it gives 48 kHz alone, so the one
that PyAV has loaded is called past the wrapper: its interface has not changed since 2012. Where it is not to be found (linked statically),
there is still the wrapper.
"""

import ctypes
from functools import cache

import numpy as np
from av import CodecContext
from av.audio.codeccontext import AudioCodecContext
from av.codec import context
from av.error import FFmpegError
from av.packet import Packet

from rtc.errors import Undecodable
from rtc.opus import CLOCK_HZ, LONGEST
from rtc.resample import Samples16, unpacked
from speech.audio import RATE_HZ


class OpusDecoder:
    """One stream of packets, each to be decoded once and in order. Sound is 6.5 ms late in it, as in every Opus stream."""

    rate_hz = CLOCK_HZ

    def __init__(self) -> None:
        codec = CodecContext.create("libopus", "r")
        assert isinstance(codec, AudioCodecContext)
        codec.sample_rate = CLOCK_HZ
        codec.layout = "mono"  # libopus mixes what was coded in stereo, for 4/5 of what two channels cost
        codec.format = "s16"
        self._codec = codec

    def decode(self, packet: bytes) -> Samples16:
        """The packet's sound at rate_hz, (n, 1). Raises Undecodable; the next packet may be decoded all the same."""
        if not packet:  # would end the stream
            raise Undecodable("an empty packet")
        try:
            frames = self._codec.decode(Packet(packet))
        except FFmpegError as error:
            raise Undecodable(f"{len(packet)} bytes are no Opus packet") from error
        if len(frames) != 1:
            raise Undecodable(f"{len(frames)} frames in one Opus packet")
        return unpacked(frames[0])


class OpusDecoder16:
    """The same at 16 kHz."""

    rate_hz = RATE_HZ

    def __init__(self, libopus: ctypes.PyDLL) -> None:
        self._decode = libopus.opus_decode
        self._state = ctypes.create_string_buffer(libopus.opus_decoder_get_size(1))
        if libopus.opus_decoder_init(self._state, RATE_HZ, 1):
            raise ValueError("libopus takes no 16 kHz")
        self._out = np.empty(LONGEST * RATE_HZ // CLOCK_HZ, np.int16)
        self._to = ctypes.c_void_p(self._out.ctypes.data)

    def decode(self, packet: bytes) -> Samples16:
        """As that of OpusDecoder, (n,)."""
        if not packet:  # would be taken for a lost one
            raise Undecodable("an empty packet")
        samples: int = self._decode(self._state, packet, len(packet), self._to, self._out.size, 0)
        if samples < 0:
            raise Undecodable(f"{len(packet)} bytes are no Opus packet")
        return self._out[:samples].copy()


def opus_decoder() -> OpusDecoder16 | OpusDecoder:
    """The cheapest there is."""
    libopus = _libopus()
    return OpusDecoder16(libopus) if libopus else OpusDecoder()


@cache
def _libopus() -> ctypes.PyDLL | None:
    assert context.__file__
    try:
        # Names are looked for in what a library is linked with as well. The GIL is kept: giving it up for 20 us costs more.
        libopus = ctypes.PyDLL(context.__file__)
        for name in ("opus_decode", "opus_decoder_get_size", "opus_decoder_init"):
            getattr(libopus, name)
    except (OSError, AttributeError):
        return None
    return libopus
