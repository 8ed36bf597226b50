"""Opus packets to samples, one by one and without delay."""

from av import CodecContext
from av.audio.codeccontext import AudioCodecContext
from av.error import FFmpegError
from av.packet import Packet

from rtc.errors import Undecodable
from rtc.opus import CLOCK_HZ
from rtc.resample import Samples16, unpacked


class OpusDecoder:
    """One stream of packets, each to be decoded once and in order. Sound is 6.5 ms late in it, as in every Opus stream."""

    def __init__(self) -> None:
        codec = CodecContext.create("libopus", "r")
        assert isinstance(codec, AudioCodecContext)
        codec.sample_rate = CLOCK_HZ
        codec.layout = "mono"  # libopus mixes what was coded in stereo, for 4/5 of what two channels cost
        codec.format = "s16"
        self._codec = codec

    def decode(self, packet: bytes) -> Samples16:
        """The packet's sound at 48 kHz, (n, 1). Raises Undecodable; the next packet may be decoded all the same."""
        if not packet:  # would end the stream
            raise Undecodable("an empty packet")
        try:
            frames = self._codec.decode(Packet(packet))
        except FFmpegError as error:
            raise Undecodable(f"{len(packet)} bytes are no Opus packet") from error
        if len(frames) != 1:
            raise Undecodable(f"{len(frames)} frames in one Opus packet")
        return unpacked(frames[0])
