"""WebRTC connections: offers are answered, sound goes to the intake of a session, text to a data channel.

aiortc does ICE, DTLS and SCTP. Sound takes another way (rtc/receiver.py, rtc/ice.py). Where it is put in: `receive` of aiortc's receiver,
which would start a thread and a task, registers ours instead. A connection ends once: when it is closed, fails, never comes about, or
nothing is heard for long. Then nothing of it is left: no task, no socket, no thread.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine

import pylibsrtp
from aiortc import RTCConfiguration, RTCDataChannel, RTCIceServer, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.exceptions import InternalError, InvalidAccessError, InvalidStateError, OperationError
from aiortc.rtcconfiguration import RTCBundlePolicy
from aiortc.rtcdtlstransport import X509_DIGEST_ALGORITHMS, RTCDtlsTransport
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters
from aiortc.rtp import is_rtcp
from aiortc.sdp import SessionDescription, candidate_from_sdp

from config.settings import IceServer
from rtc import ice, sdp
from rtc.errors import BadOffer, PeersFull, Restart, Unanswered
from rtc.intake import Intake, Taken
from rtc.receiver import Receiver, parsed

log = logging.getLogger("rtc")

MOST_PEERS = 150  # of one process; three times what one core can hear
ANSWER_S = 5.0
CONNECT_S = 20.0  # from the answer to the first packet; a client that trickles may be slow
SILENT_S = 60.0  # a muted microphone sends silence, and DTX a packet every 400 ms
CLOSE_S = 5.0
LOOK_EVERY_S = 1.0
REPORT_EVERY = 3  # looks
FULL_BYTES = 64 * 1024  # in the data channel's buffer: what can be left out is
MOST_CHANNELS = 4
# What aiortc and its parser of SDP say of an offer that makes no sense; the parser asserts and indexes.
_SENSELESS = (
    ValueError,
    AssertionError,
    LookupError,
    AttributeError,
    TypeError,
    InternalError,
    InvalidAccessError,
    InvalidStateError,
    OperationError,
)


class Channel:
    """A data channel that the other side opened."""

    def __init__(self, channel: RTCDataChannel) -> None:
        self.label, self.protocol = channel.label, channel.protocol
        self.closed = False
        self.left_out = 0
        self._channel = channel
        self._free = asyncio.Event()
        channel.bufferedAmountLowThreshold = FULL_BYTES // 2
        channel.on("bufferedamountlow", self._free.set)
        channel.on("close", self._end)

    @property
    def full(self) -> bool:
        """Whether the other side is behind."""
        return self._channel.bufferedAmount >= FULL_BYTES

    def send(self, text: str) -> bool:
        """False where it was left out: the channel is full, or closed."""
        if self.closed or self.full or self._channel.readyState != "open":
            self.left_out += 1
            return False
        self._channel.send(text)
        return True

    async def room(self) -> None:
        """Returns when `send` would take something, or never will again."""
        while self.full and not self.closed:
            self._free.clear()
            await self._free.wait()

    def _end(self) -> None:
        self.closed = True
        self._free.set()


class Peer:
    """One connection. `begin` says where its sound goes, and has to follow at once: before that nothing is heard."""

    def __init__(self, offer: sdp.Offer, intake: Intake, owner: "Peers") -> None:
        self.answer = ""  # SDP
        self.closed = asyncio.Event()  # nothing is left of it
        self.unauthentic = 0  # packets that are not of the other side, or came before
        self.receiver: Receiver | None = None
        self._offer = offer
        self._intake = intake
        self._owner = owner
        self._clock = asyncio.get_running_loop().time
        self._began = self._clock()
        self._looks = 0
        self._over = False
        self._deliver: Callable[[list[Taken]], None] = _nowhere
        self._gone: Callable[[], None] = _nothing
        self._channel: Callable[[Channel], None] = _nobody
        self._channels: list[Channel] = []
        servers = [RTCIceServer(urls=each.url, username=each.username, credential=each.credential) for each in owner.ice_servers]
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=servers, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self._connection.on("connectionstatechange", self._state)
        self._connection.on("datachannel", self._opened)
        transceiver = self._connection.addTransceiver("audio", direction="recvonly")
        known = RTCRtpReceiver.getCapabilities("audio")
        transceiver.setCodecPreferences([codec for codec in known.codecs if codec.mimeType == "audio/opus"] if known else [])
        transceiver.receiver.receive = self._receive  # type: ignore[method-assign]
        self._transceiver = transceiver

    @property
    def ufrag(self) -> str:
        """Names the ICE session."""
        return self._dtls.transport.iceGatherer.getLocalParameters().usernameFragment or ""

    def begin(self, deliver: Callable[[list[Taken]], None], gone: Callable[[], None], channel: Callable[[Channel], None]) -> None:
        """deliver: what the intake made of the sound. gone: it is over, said once, after the last sound. channel: one was opened.

        None of them may wait.
        """
        self._deliver, self._gone, self._channel = deliver, gone, channel

    async def trickle(self, fragment: sdp.Fragment) -> None:
        """Take candidates that came later. Raises BadOffer, Restart."""
        if fragment.ufrag is not None and fragment.ufrag != self._offer.ufrag:
            raise Restart
        await self._candidates(fragment.candidates)

    def close(self, taken_over: bool = False) -> None:
        """It is over; the rest happens behind it. taken_over: the intake is another's now, and gets nothing more."""
        if self._over:
            return
        self._over = True
        if self.receiver is not None:
            self.receiver.close(flush=not taken_over)
        for channel in self._channels:
            channel._end()
        self._owner.closing(self, self._close())
        self._gone()

    async def look(self) -> None:
        """Called every LOOK_EVERY_S: ends what is dead, and reports to the sender."""
        self._looks += 1
        now, receiver = self._clock(), self.receiver
        heard_at = receiver.heard_at if receiver else None
        if heard_at is None and now - self._began > CONNECT_S:
            log.info("session %s: no connection came about in %.0f s", self._intake.session, CONNECT_S)
            self.close()
        elif heard_at is not None and now - heard_at > SILENT_S:
            log.info("session %s: nothing was heard for %.0f s", self._intake.session, SILENT_S)
            self.close()
        elif receiver and self._looks % REPORT_EVERY == 0 and (report := receiver.report(self._transceiver.sender._ssrc)):
            try:
                await self._dtls._send_rtp(report)
            except ConnectionError:  # it is about to say so
                log.debug("session %s: no report could be sent", self._intake.session)

    async def reply(self) -> None:
        """Answer the offer. Raises BadOffer, NoPorts."""
        connection = self._connection
        try:
            described = SessionDescription.parse(self._offer.text)
            for media in described.media:
                if not any(each.algorithm.lower() in X509_DIGEST_ALGORITHMS for each in (media.dtls.fingerprints if media.dtls else [])):
                    raise BadOffer("a section has no fingerprint of a kind that is known")
            await connection.setRemoteDescription(RTCSessionDescription(self._offer.text, "offer"))
        except _SENSELESS as error:
            raise BadOffer(str(error) or type(error).__name__) from error
        self._dtls: RTCDtlsTransport = self._transceiver.receiver.transport
        # Who may choose is the server: GStreamer has an RSA certificate, and aiortc knows no cipher for a server with one.
        if not any(media.dtls and media.dtls.role == "server" for media in described.media):
            self._dtls._set_role("server")
        await ice.gather(self._dtls.transport._connection, self._owner.addresses(), self._owner.ports, self._sound)
        await connection.setLocalDescription(await connection.createAnswer())
        self.answer = sdp.answer(self._offer, connection.localDescription.sdp)
        await self._candidates(self._offer.candidates)

    async def _candidates(self, given: tuple[str, ...]) -> None:
        """That there are no more is never told: ICE would give up on a client whose address shows only in its checks."""
        transport = self._dtls.transport
        for line in given:
            if len(transport._connection.remote_candidates) >= sdp.MOST_CANDIDATES:
                return
            await transport.addRemoteCandidate(candidate_from_sdp(line))

    async def _receive(self, parameters: RTCRtpReceiveParameters) -> None:
        """The handshake is done: what aiortc's own receiver would start is not started."""
        if self._over:
            return
        payload_type = parameters.codecs[0].payloadType
        assert payload_type is not None
        self.receiver = Receiver(self._intake, payload_type, self._deliver, lambda: self.close(taken_over=True))
        self._dtls._register_rtp_receiver(self.receiver, parameters)

    def _sound(self, datagram: bytes) -> bool:
        """Take a datagram that holds sound; False where it goes the usual way."""
        receiver = self.receiver  # there once the keys are
        if receiver is None or is_rtcp(datagram):
            return False
        try:
            packet = parsed(self._dtls._rx_srtp.unprotect(datagram))
        except pylibsrtp.Error:
            self.unauthentic += 1
            return True
        if packet is not None:
            receiver.packet(packet)
        return True

    def _opened(self, opened: RTCDataChannel) -> None:
        if len(self._channels) < MOST_CHANNELS:
            channel = Channel(opened)
            self._channels.append(channel)
            self._channel(channel)

    def _state(self) -> None:
        if self._connection.connectionState in ("failed", "closed"):
            self.close()

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._connection.close()
        except TimeoutError:
            log.warning("session %s: its connection did not close in %.0f s", self._intake.session, CLOSE_S)
        finally:
            self.closed.set()


class Peers:
    """All connections of this process. `tasks` outlives them; `close` ends them all."""

    def __init__(
        self, tasks: asyncio.TaskGroup, ice_servers: tuple[IceServer, ...] = (), ports: range | None = None, *, loopback: bool = False
    ) -> None:
        """loopback: clients on this machine may come by its loopback address."""
        self.ice_servers = ice_servers
        self.ports = ice.Ports(ports)
        self.most = MOST_PEERS
        self._loopback = loopback
        self._tasks = tasks
        self._peers: set[Peer] = set()
        self._watch = tasks.create_task(self._look(), name="peers: look")

    def __len__(self) -> int:
        return len(self._peers)

    def addresses(self) -> list[str]:
        """Those to listen on."""
        return ice.addresses(self._loopback)

    async def answer(self, offer: sdp.Offer, intake: Intake) -> Peer:
        """A connection for the offer, with its answer. Raises BadOffer, NoPorts, PeersFull, Unanswered."""
        if len(self._peers) >= self.most:
            raise PeersFull
        peer = Peer(offer, intake, self)
        self._peers.add(peer)
        try:
            async with asyncio.timeout(ANSWER_S):
                await peer.reply()
        except TimeoutError as error:
            peer.close()
            raise Unanswered from error
        except BaseException:
            peer.close()
            raise
        return peer

    async def close(self) -> None:
        """End all of them."""
        self._watch.cancel()
        for peer in list(self._peers):
            peer.close()
        while self._peers:
            await next(iter(self._peers)).closed.wait()
            await asyncio.sleep(0)

    def closing(self, peer: Peer, work: Coroutine[None, None, None]) -> None:
        """Have a peer closed in a task of ours."""
        try:
            task = self._tasks.create_task(work, name="peer: close")
        except RuntimeError:  # the group is over: whatever ended it ends the process as well, and its sockets
            work.close()
            self._peers.discard(peer)
            return
        task.add_done_callback(lambda _: self._peers.discard(peer))

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            for peer in list(self._peers):
                await peer.look()


def _nowhere(_: list[Taken]) -> None:
    """Where sound goes before anybody has said where."""


def _nothing() -> None:
    """Nobody waits for the end yet."""


def _nobody(_: Channel) -> None:
    """Nobody waits for a channel."""
