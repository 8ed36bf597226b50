"""Sound over a real WebRTC connection and a bad network: what came is heard in its place, and what is lost is what was lost."""

import asyncio
import importlib.metadata
import inspect
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aioice.ice
import aiortc.rtcdtlstransport
import aiortc.rtcpeerconnection
import numpy as np
import pytest

from rtc import sdp
from rtc.decoder import OpusDecoder, OpusDecoder16, opus_decoder
from rtc.intake import Intake, Taken
from rtc.peer import Peer, Peers
from rtc.receiver import Rtp, parsed
from speech.audio import RATE_HZ, AudioBlock, Floats
from tests.links import Link
from tests.speakers import PTIME, Speaker, coded, forward, run, speech, until, voice


class Heard:
    """A connection from a speaker to an intake."""

    def __init__(self, speaker: Speaker, peer: Peer, intake: Intake) -> None:
        self.speaker, self.peer, self.intake = speaker, peer, intake
        self.taken: list[Taken] = []
        self.gone = 0
        peer.begin(self.taken.extend, self._gone, lambda _: None)

    def _gone(self) -> None:
        self.gone += 1

    @property
    def came(self) -> int:
        """Packets that reached the receiver."""
        receiver = self.peer.receiver
        if receiver is None:
            return 0
        count = receiver.playout.counters
        # What comes twice is refused by SRTP already, as a replay.
        return count.received + count.late + count.duplicates + count.stray + count.overflow + count.malformed + self.peer.unauthentic

    async def carry(self, packets: list[bytes], link: Link[int], first: int = 0) -> None:
        """Send over the link, in its time; the receiver's timers run when they are due."""
        began = asyncio.get_running_loop().time()
        for number, arrival_ms in link.carry((first + i, 20.0 * i) for i in range(len(packets))):
            await self.pass_until(began + arrival_ms / 1000)
            before = self.came
            await self.speaker.send(number, packets[number - first])
            await until(lambda before=before: self.came > before)
        await self.pass_until(asyncio.get_running_loop().time() + 0.5)

    async def pass_until(self, at_s: float) -> None:
        receiver = self.peer.receiver
        while receiver and (due_ms := receiver.playout.due_ms) is not None and due_ms / 1000 <= at_s:
            forward(due_ms / 1000)
            await until(lambda due_ms=due_ms: receiver.playout.due_ms != due_ms)
        forward(at_s)

    def line(self) -> Floats:
        """All of it; NaN where nothing came."""
        sound: Floats = np.full(self.intake.end + RATE_HZ, np.nan, np.float32)
        for block in self.taken:
            assert isinstance(block, AudioBlock)
            assert np.isnan(sound[block.start : block.start + 320]).all()
            sound[block.start : block.start + 320] = block.pcm
        return sound


@asynccontextmanager
async def connected(intake: Intake | None = None) -> AsyncIterator[Heard]:
    """A speaker and who hears it, connected."""
    async with asyncio.TaskGroup() as tasks:
        peers, speaker, intake = Peers(tasks, loopback=True), Speaker(), Intake("s") if intake is None else intake
        peer = await peers.answer(sdp.offer(await speaker.offer()), intake)
        heard = Heard(speaker, peer, intake)
        await speaker.accept(peer.answer)
        await until(lambda: peer.receiver is not None)
        yield heard
        await speaker.close()
        await peers.close()


def reference(packets: list[bytes], decoder: OpusDecoder16 | OpusDecoder | None = None) -> Floats:
    """What a perfect network gives."""
    intake, decoder, taken = Intake("s"), decoder or opus_decoder(), []
    intake.connect(decoder.rate_hz, 0, 0.0)
    for i, packet in enumerate(packets):
        taken += intake.take(i * decoder.rate_hz // 50, decoder.decode(packet), 0.0)
    return np.concatenate([each.pcm for each in taken + intake.finish(0.0)])


@pytest.mark.parametrize(
    "link",
    [
        Link[int](seed=1),
        Link[int](seed=2, loss=0.01, jitter_ms=50),
        Link[int](seed=3, loss=0.05, jitter_ms=50),
        Link[int](seed=4, loss=0.05, burst_packets=4, reorder=0.1, reorder_ms=45, duplicates=0.05),
    ],
    ids=["perfect", "1 %", "5 %", "bursts"],
)
def test_only_what_is_lost_is_lost_and_the_rest_is_in_its_place(link: Link[int]) -> None:
    packets = speech(10)

    async def talk() -> Heard:
        async with connected() as heard:
            await heard.carry(packets, link)
        return heard

    heard = run(talk())
    receiver = heard.peer.receiver
    assert receiver is not None
    first = min(set(range(len(packets))) - set(link.lost))  # what is lost before anything came, nobody knows of
    lost = [number for number in link.lost if first < number < max(set(range(len(packets))) - set(link.lost))]
    assert len(lost) * 320 <= heard.intake.lost <= 1.2 * len(lost) * 320
    assert receiver.undecodable == 0
    perfect, sound = reference(packets), heard.line()
    last = max(each.start + 320 for each in heard.taken if isinstance(each, AudioBlock))
    assert last >= heard.intake.end - 320  # the last block waits for its packet's successor
    missing = np.isnan(sound[: perfect.size])
    assert missing[:last].sum() == heard.intake.lost
    # A decoder needs a moment after a loss; where nothing was lost for 300 ms, it says the same as without any.
    near = np.convolve(missing[: -RATE_HZ // 2], np.ones(4_800), "full")[: missing.size - RATE_HZ // 2] > 0
    settled = ~near
    assert settled.sum() > (0.9 if not lost else 0.1) * near.size
    difference = np.sqrt(np.mean(np.square(sound[: near.size] - perfect[: near.size])[settled]))
    assert difference < 0.02 * np.sqrt(np.mean(np.square(perfect)))


def test_where_libopus_is_out_of_reach_sound_is_the_same_and_a_block_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtc.receiver.opus_decoder", OpusDecoder)
    packets = speech(2)

    async def talk() -> Heard:
        async with connected() as heard:
            await heard.carry(packets, Link(seed=1))
        return heard

    heard = run(talk())
    assert heard.intake.lost == 0
    assert heard.intake.end == len(packets) * 320
    sound = heard.line()[: (len(packets) - 1) * 320]
    np.testing.assert_array_equal(sound, reference(packets, OpusDecoder())[: sound.size])


def test_nothing_of_aiortc_holds_sound() -> None:
    """No decoder thread, no packet in its queues, and no task of its own for reports."""

    async def talk() -> None:
        async with connected() as heard:
            before = asyncio.all_tasks()
            await heard.carry(speech(2), Link(seed=1, loss=0.05))
            theirs = heard.peer._transceiver.receiver
            assert vars(theirs)["_RTCRtpReceiver__decoder_thread"] is None
            assert vars(theirs)["_RTCRtpReceiver__decoder_queue"].qsize() == 0
            assert theirs._track is not None
            assert theirs._track._queue.qsize() == 0
            assert heard.peer._dtls.transport._connection._queue.qsize() == 0
            assert asyncio.all_tasks() <= before

    run(talk())


def test_what_is_relied_on_in_aiortc_and_aioice_is_there() -> None:
    """Another version may have other private parts: look at rtc/peer.py and rtc/ice.py, then change the number here."""
    assert importlib.metadata.version("aiortc") == "1.16.0"
    assert importlib.metadata.version("aioice") == "0.13.0"
    connect = inspect.getsource(aiortc.rtcpeerconnection.RTCPeerConnection)
    assert connect.count("await transceiver.receiver.receive(") == 1
    transport = inspect.getsource(aiortc.rtcdtlstransport.RTCDtlsTransport)
    assert connect.count('if dtlsTransport._role == "auto":') == 1
    for relied_on in ("await receiver._handle_rtp_packet(packet, arrival_time_ms=arrival_time_ms)", "self._rx_srtp = Session(rx_policy)"):
        assert transport.count(relied_on) == 1
    gather = inspect.getsource(aioice.ice.Connection)
    for relied_on in ("if not self._local_candidates_start:", "self._local_candidates_end = True", "self._protocols += host_protocols"):
        assert gather.count(relied_on) == 1
    assert "self.receiver.data_received(" in inspect.getsource(aioice.ice.StunProtocol.datagram_received)


def test_silence_that_is_not_sent_is_no_loss() -> None:
    """A sender that says nothing (DTX, a muted track) and comes back, its sequence numbers without a hole."""

    async def talk() -> Heard:
        async with connected() as heard:
            packets = speech(3)
            await heard.carry(packets[:50], Link(seed=1))
            loop = asyncio.get_running_loop()
            await heard.pass_until(loop.time() + 5.0)
            for i in range(50, 100):
                await heard.speaker.send(i, packets[i], timestamp=(i + 300) * PTIME)
                await until(lambda i=i: heard.came > i)
        return heard

    heard = run(talk())
    assert heard.intake.lost == 0
    assert heard.intake.end == 400 * 320
    assert np.abs(heard.line()[55 * 320 : 345 * 320]).max() < 0.001


def test_another_source_goes_on_where_the_clock_is() -> None:
    """A new SSRC with its own numbers: its place is by when it came. What still comes of the first one is dropped."""

    async def talk() -> tuple[Heard, int]:
        async with connected() as heard:
            packets = speech(3)
            await heard.carry(packets[:50], Link(seed=1))
            loop = asyncio.get_running_loop()
            start = loop.time()
            for i in range(50):
                await heard.pass_until(start + 0.02 * i)
                await heard.speaker.send(30_000 + i, packets[i], ssrc=77, timestamp=12_345 + i * PTIME)
                await until(lambda i=i: heard.came > 50 + i)
            await heard.speaker.send(50, packets[50])
            await heard.pass_until(loop.time() + 0.5)
        assert heard.peer.receiver is not None
        return heard, heard.peer.receiver.playout.counters.restarts

    heard, restarts = run(talk())
    assert restarts == 1
    ended = 50 * 320
    assert abs(heard.intake.lost - (0.5 * RATE_HZ)) < 0.1 * RATE_HZ  # the half second that `carry` lets pass, and the time the test takes
    assert heard.intake.end == ended + heard.intake.lost + 50 * 320


def test_a_packet_that_is_no_opus_is_lost() -> None:
    async def talk() -> Heard:
        async with connected() as heard:
            packets = speech(2)
            broken = bytes([0b11111_011, 0b11000010, 255, 255])  # says two frames of their own size, and is over
            await heard.carry([*packets[:20], broken, *packets[21:60]], Link(seed=1))
        return heard

    heard = run(talk())
    assert heard.peer.receiver is not None
    assert heard.peer.receiver.undecodable == 1
    assert heard.intake.lost > 0
    assert heard.intake.end == 61 * 320


def test_stereo_becomes_one_channel() -> None:
    async def talk() -> Heard:
        async with connected() as heard:
            await heard.carry(coded(voice(2, 48_000), channels=2), Link(seed=1))
        return heard

    sound = run(talk()).line()[:30_000]
    expected = reference(coded(voice(2, 48_000)))[:30_000]
    assert np.corrcoef(sound[1_000:], expected[1_000:])[0, 1] > 0.95


@pytest.mark.parametrize("delay_s", [0.0, 0.3, 10.0, 50.0])
def test_a_new_connection_goes_on_by_the_time_that_passed(delay_s: float) -> None:
    """The first one breaks off; the speaker talks on, and comes back over another. Its sound is where it was spoken."""

    async def talk() -> tuple[Intake, int, float, float]:
        intake, packets = Intake("s"), speech(3)
        async with connected(intake) as heard:
            loop = asyncio.get_running_loop()
            start = loop.time()
            await heard.carry(packets[:75], Link(seed=5, jitter_ms=40))
            heard.peer.close()
            before = intake.end
        async with connected(intake) as heard:
            again = max(loop.time(), start + 1.5 + delay_s)
            await heard.pass_until(again)
            for i in range(50):
                await heard.pass_until(again + 0.02 * (i + 1) + (0.03 if i % 3 == 0 else 0.0))  # every third is late
                await heard.speaker.send(i, packets[i])
                await until(lambda i=i: heard.came > i)
            await heard.pass_until(loop.time() + 0.2)
            first = next(each for each in heard.taken if each.start >= before)  # the filter of the first one still held its last 4 ms
        return intake, before, first.start / RATE_HZ, again - start

    intake, before, first_s, spoken_s = run(talk())
    assert before == 75 * 320
    assert abs(first_s - spoken_s) < 0.06  # the jitter of both
    assert intake.lost == pytest.approx(first_s * RATE_HZ - before, abs=320)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (bytes([0x80, 111]), b"sound"),
        (bytes([0x80, 0x80 | 111]), b"sound"),  # marker
        (bytes([0x40, 111]), None),  # version 1
    ],
)
def test_headers(header: bytes, expected: bytes | None) -> None:
    data = header + bytes([0, 7, 0, 0, 0, 9, 0, 0, 0, 3])
    found = parsed(data + b"sound")
    assert found == (None if expected is None else Rtp(111, 7, 9, 3, expected))
    assert parsed(data[:11]) is None


def test_headers_with_extensions_sources_and_padding() -> None:
    rest = bytes([111, 0, 7, 0, 0, 0, 9, 0, 0, 0, 3])
    extension = bytes([0xBE, 0xDE, 0, 1, 1, 2, 3, 4])
    assert parsed(bytes([0x92]) + rest + bytes(8) + extension + b"sound") == Rtp(111, 7, 9, 3, b"sound")
    assert parsed(bytes([0xA0]) + rest + b"sound" + bytes([0, 0, 3])) == Rtp(111, 7, 9, 3, b"sound")
    assert parsed(bytes([0xA0]) + rest + bytes([0, 0, 3])) == Rtp(111, 7, 9, 3, b"")
    for broken in (
        bytes([0x90]) + rest,  # an extension that is not there
        bytes([0x90]) + rest + bytes([0xBE, 0xDE, 0, 9, 1]),
        bytes([0x8F]) + rest,  # sources that are not there
        bytes([0xA0]) + rest + bytes([9]),  # more padding than packet
        bytes([0xA0]) + rest + bytes([5, 0]),
    ):
        assert parsed(broken) is None
