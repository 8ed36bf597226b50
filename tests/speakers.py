"""Somebody who speaks over WebRTC: a real aiortc client whose packets the test makes and sends, and a clock that can be moved."""

import asyncio
from collections.abc import Coroutine
from fractions import Fraction
from functools import cache
from typing import Any, TypeVar

import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.rtp import RtpPacket
from av import AudioFrame, CodecContext
from av.audio.codeccontext import AudioCodecContext
from numpy.typing import NDArray

T = TypeVar("T")

PTIME = 960
WITHIN_S = 10.0


class Moved(asyncio.SelectorEventLoop):
    """An event loop whose clock a test may put forward."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run in a loop that can be moved."""
    with asyncio.Runner(loop_factory=Moved) as runner:
        return runner.run(work)


def forward(to_s: float) -> None:
    """Move the clock of the running loop forward to `to_s`, in its own time."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, Moved)
    loop.ahead += max(0.0, to_s - loop.time())


async def until(condition: Any) -> None:
    """Let the loop run until something holds, in real time: what is waited for takes no time, or never comes."""
    for _ in range(20_000):
        if condition():
            return
        await asyncio.sleep(0.0005)
    raise AssertionError("it never came")


def voice(seconds: float, rate_hz: int, seed: int = 1) -> NDArray[np.float64]:
    """Syllables of a buzzing voice whose pitch wanders, with hissing between them: no two moments sound the same."""
    chance = np.random.default_rng(seed)
    n = round(seconds * rate_hz)
    t = np.arange(n) / rate_hz
    knots = np.arange(0, seconds + 1, 0.15)
    pitch_hz = np.interp(t, knots, chance.uniform(90, 220, knots.size))
    phase = 2 * np.pi * np.cumsum(pitch_hz) / rate_hz
    buzz = sum(np.interp(t, knots, chance.uniform(0, 1, knots.size)) / k * np.sin(k * phase) for k in range(1, 12))
    loud = np.interp(t, knots, chance.uniform(0.02, 1, knots.size))
    hiss = np.interp(t, knots, chance.uniform(0, 0.2, knots.size)) * chance.standard_normal(n)
    sound: NDArray[np.float64] = 0.15 * loud * (buzz + hiss)
    return np.clip(sound, -0.99, 0.99)


def coded(pcm: NDArray[np.float64], channels: int = 1) -> list[bytes]:
    """Opus packets of 20 ms at 32 kbit/s of a sound at 48 kHz, as a browser makes them."""
    encoder = CodecContext.create("libopus", "w")
    assert isinstance(encoder, AudioCodecContext)
    encoder.format, encoder.layout, encoder.sample_rate, encoder.bit_rate = "s16", ("mono", "stereo")[channels - 1], 48_000, 32_000
    encoder.options = {"application": "voip"}
    samples = np.round(pcm * 32_767).astype(np.int16)
    packets = []
    for i in range(0, samples.size - PTIME + 1, PTIME):
        frame = AudioFrame.from_ndarray(
            np.repeat(samples[i : i + PTIME], channels)[np.newaxis], format="s16", layout=("mono", "stereo")[channels - 1]
        )
        frame.sample_rate, frame.pts, frame.time_base = 48_000, i, Fraction(1, 48_000)
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets


@cache
def speech(seconds: int = 10) -> list[bytes]:
    """Packets of `voice`."""
    return coded(voice(seconds, 48_000))


class _Mute(MediaStreamTrack):
    kind = "audio"

    async def recv(self) -> Any:
        """Never: packets are sent past the track."""
        await asyncio.Event().wait()


class Speaker:
    """One connection. Sequence numbers and timestamps wrap around soon."""

    def __init__(self, channel: str | None = None, protocol: str = "", *, video_first: bool = False, data_first: bool = False) -> None:
        """channel: the label of a data channel."""
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[], alwaysNegotiateDataChannels=data_first))
        if video_first:
            self.connection.addTransceiver("video", direction="sendonly")
        self._sender = self.connection.addTrack(_Mute())
        self._first = 65_400
        self.told: list[str] = []
        self._channel, self._protocol = channel, protocol
        if not data_first:
            self._open()

    async def offer(self) -> str:
        """Its SDP."""
        await self.connection.setLocalDescription(await self.connection.createOffer())
        self._open()
        return self.connection.localDescription.sdp

    def _open(self) -> None:
        if self._channel:
            self.connection.createDataChannel(self._channel, protocol=self._protocol).on("message", self.told.append)
            self._channel = None

    async def accept(self, answer: str) -> None:
        """Take the answer and be connected."""
        await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        if self.connection.connectionState == "connected":
            return
        connected = asyncio.Event()
        self.connection.on("connectionstatechange", lambda: connected.set() if self.connection.connectionState == "connected" else None)
        async with asyncio.timeout(WITHIN_S):
            await connected.wait()

    async def send(self, number: int, payload: bytes, ssrc: int | None = None, timestamp: int | None = None) -> None:
        """The packet that is `number` x 20 ms from the beginning."""
        payload_type = next(each for each in self.connection.getTransceivers() if each.kind == "audio")._codecs[0].payloadType
        assert payload_type is not None
        packet = RtpPacket(
            payload_type=payload_type,
            sequence_number=(self._first + number) & 0xFFFF,
            timestamp=(2**32 - 5_000 + (number * PTIME if timestamp is None else timestamp)) & 0xFFFFFFFF,
            ssrc=ssrc or self._sender._ssrc,
            payload=payload,
        )
        await self._sender.transport._send_rtp(packet.serialize())

    async def vanish(self) -> None:
        """Be gone without a word, as with a network that was cut."""
        for protocol in self._sender.transport.transport._connection._protocols:
            protocol.transport.abort()

    async def close(self) -> None:
        """Hang up."""
        await self.connection.close()
