"""The sound of one WebRTC connection: RTP packets in, blocks on the session's clock out.

It takes the place of aiortc's receiver behind the DTLS transport (`_handle_*`, see rtc/peer.py), whose buffer throws away five packets for
each one lost and whose decoder is a thread with two unbounded queues. Here a packet is put in order, decoded and delivered in the call that
brings it: no task, no thread, no queue. A timer of the event loop is set only while a gap is waited for.

What never came is lost and counted; it is never concealed, and never silence.
"""

import asyncio
import logging
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, cast

from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import AnyRtcpPacket, RtcpByePacket, RtcpReceiverInfo, RtcpRrPacket, RtcpSrPacket, RtpPacket

from rtc.decoder import opus_decoder
from rtc.errors import Undecodable
from rtc.intake import Intake, Taken
from rtc.opus import CLOCK_HZ
from rtc.playout import Packet, Playout, Quiet
from speech.audio import RATE_HZ

log = logging.getLogger("rtc")

DEADLINE_MS, CAPACITY = 60.0, 64  # of the reorder buffer: three packets of 20 ms, and more than a second of them
MOST_RETIRED = 16  # sources that were followed by another; what still comes of them is dropped
_HEADER = struct.Struct("!BBHII")  # RFC 3550, section 5.1
_EXTENSION = struct.Struct("!HH")


class Rtp(NamedTuple):
    """What we need of an RTP packet."""

    payload_type: int
    sequence_number: int
    timestamp: int
    ssrc: int
    payload: bytes


def parsed(data: bytes) -> Rtp | None:
    """An RTP packet; None where it is none. Header extensions are skipped: what they say (audio level, mid) nobody needs here."""
    if len(data) < _HEADER.size:
        return None
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
    begin = _HEADER.size + 4 * (first & 0x0F)
    end = len(data)
    if first & 0x10:
        if end < begin + _EXTENSION.size:
            return None
        begin += _EXTENSION.size + 4 * _EXTENSION.unpack_from(data, begin)[1]
    if first & 0x20 and begin < end:
        end -= data[-1] or end
    return Rtp(second & 0x7F, sequence, timestamp, ssrc, data[begin:end]) if first >> 6 == 2 and begin <= end else None


@dataclass(slots=True)
class _Reports:
    """What RTCP wants to know of one source."""

    statistics: StreamStatistics
    sender_report: int = 0  # the middle of the NTP time in the last one
    sender_report_at: float = 0.0  # when it came, loop time


class Receiver:
    """Follows one Opus stream at a time. `deliver` is called with what a packet completed; it must not wait.

    `failed` is called before what nobody here can mend rises into the event loop: so it is seen once, and not fifty times a second.
    """

    def __init__(self, intake: Intake, payload_type: int, deliver: Callable[[list[Taken]], None], failed: Callable[[], None]) -> None:
        self.intake = intake
        self.payload_type = payload_type
        self.playout = Playout(DEADLINE_MS, CAPACITY)
        self.undecodable = 0  # packets; lost, like those that never came
        self.heard_at: float | None = None  # loop time of the newest packet
        self._deliver, self._failed = deliver, failed
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._decoder = opus_decoder()
        self._per_sample = CLOCK_HZ // self._decoder.rate_hz
        self._ssrc: int | None = None
        self._retired: deque[int] = deque(maxlen=MOST_RETIRED)
        self._reports: _Reports | None = None
        self._opening: dict[int, float] | None = {}  # sequence numbers and when they came, until the first is released; None: connected
        self._closed = False

    def packet(self, rtp: Rtp) -> None:
        """A packet came. What is not of the stream is dropped."""
        if self._closed or rtp.payload_type != self.payload_type or not rtp.payload:
            return
        now = self._loop.time()
        if rtp.ssrc != self._ssrc:
            if rtp.ssrc in self._retired:
                return
            if self._ssrc is not None:
                self._retired.append(self._ssrc)
                self.playout.restart()
            self._ssrc, self._reports = rtp.ssrc, _Reports(StreamStatistics(CLOCK_HZ))
        self.heard_at = now
        if self._reports:
            self._reports.statistics.add(cast(RtpPacket, rtp))  # looks at sequence number and timestamp alone
        if self._opening is not None and len(self._opening) < CAPACITY:
            self._opening.setdefault(rtp.sequence_number, now)
        self.playout.add(rtp.sequence_number, rtp.timestamp, rtp.payload, now * 1000)
        self._release(now)

    def report(self, ssrc: int) -> bytes | None:
        """An RTCP receiver report for the sender, in the name of ssrc; None before the first packet."""
        of = self._reports
        if of is None or self._ssrc is None:
            return None
        info = RtcpReceiverInfo(
            ssrc=self._ssrc,
            fraction_lost=of.statistics.fraction_lost,
            packets_lost=of.statistics.packets_lost,
            highest_sequence=of.statistics.max_seq or 0,
            jitter=of.statistics.jitter,
            lsr=of.sender_report,
            dlsr=min(round((self._loop.time() - of.sender_report_at) * 65_536), 0xFFFFFFFF) if of.sender_report else 0,
        )
        return bytes(RtcpRrPacket(ssrc=ssrc, reports=[info]))

    def close(self, flush: bool) -> None:
        """Nothing is taken after it. flush: deliver what is held; not where another connection has the intake now."""
        if self._closed:
            return
        self._closed = True
        if self._timer:
            self._timer.cancel()
        if flush:
            self._take(self._loop.time(), flush=True)

    # what aiortc's DTLS transport asks of a receiver

    async def _handle_rtp_packet(self, packet: RtpPacket, arrival_time_ms: int) -> None:  # noqa: ARG002
        """What came before the shortcut in rtc/ice.py was open."""
        self.packet(Rtp(packet.payload_type, packet.sequence_number, packet.timestamp, packet.ssrc, packet.payload))

    async def _handle_rtcp_packet(self, packet: AnyRtcpPacket) -> None:
        if isinstance(packet, RtcpSrPacket) and packet.ssrc == self._ssrc and self._reports:
            self._reports.sender_report = packet.sender_info.ntp_timestamp >> 16 & 0xFFFFFFFF
            self._reports.sender_report_at = self._loop.time()
        elif isinstance(packet, RtcpByePacket) and self._ssrc in packet.sources and not self._closed:
            self._take(self._loop.time(), flush=True)  # the sender may go on with another source

    def _handle_disconnect(self) -> None:
        """The other side closed DTLS. aiortc says so by `connectionstatechange` as well, which is listened to."""

    def _release(self, now: float) -> None:
        try:
            self._take(now)
        except BaseException:
            self._failed()
            raise
        due_ms = self.playout.due_ms
        if due_ms is not None and self._timer is None and not self._closed:
            self._timer = self._loop.call_at(due_ms / 1000, self._due)

    def _due(self) -> None:
        self._timer = None
        self._release(self._loop.time())

    def _take(self, now: float, flush: bool = False) -> None:
        released = self.playout.flush() if flush else self.playout.release(now * 1000)
        taken: list[Taken] = []
        for each in released:
            if isinstance(each, Packet):
                if self._opening is not None:
                    taken += self._connect([other for other in released if isinstance(other, Packet)], now)
                taken += self._decoded(each, now)
            elif isinstance(each, Quiet):
                first, last = each.pts // self._per_sample, (each.pts + each.samples) // self._per_sample
                taken += self.intake.quiet(first, last - first, now)
        if taken:
            self._deliver(taken)

    def _connect(self, first: list[Packet], now: float) -> list[Taken]:
        """Put sample 0 of this connection where the speaker's clock stood, judged by the promptest of its first packets."""
        came, self._opening = self._opening or {}, None
        starts = [self.intake.captured(came.get(each.sequence, now)) - (each.pts + each.samples) * RATE_HZ // CLOCK_HZ for each in first]
        return self.intake.connect(self._decoder.rate_hz, max(self.intake.end, min(starts)), now)

    def _decoded(self, packet: Packet, now: float) -> list[Taken]:
        try:
            pcm = self._decoder.decode(packet.payload)
        except Undecodable as error:
            self.undecodable += 1
            log.debug("session %s: %s", self.intake.session, error)
            return []
        return self.intake.take(packet.pts // self._per_sample, pcm, now)
