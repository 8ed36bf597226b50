"""Live sound over a WebSocket, where UDP is blocked and for programs: PCM or Opus, one message after the other or by sample offsets.

It comes by TCP, so nothing is lost on the way, but it may come late and all at once. What a client kept while it had no connection is
heard at twice the speed of speech until it has caught up. So much and no more is held here: who is further ahead has a file, which
belongs to an upload, and a TCP connection that is merely slowed down would not let a ping through.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
import numpy as np
from msgspec import UNSET, Struct, UnsetType
from starlette.routing import BaseRoute

from api import bodies, sockets
from api.problems import Refused
from api.sockets import BAD_DATA, DONE, POLICY, TOO_LONG, Hangup, Socket
from rtc import opus
from rtc.decoder import OpusDecoder
from rtc.errors import Undecodable, Unplaceable
from rtc.intake import Taken
from rtc.resample import Samples16
from speech.audio import RATE_HZ, AudioBlock

if TYPE_CHECKING:
    from api.live import Room

LONGEST_MESSAGE_S = 2.0
LONGEST_PACKET = 8 * 1024  # bytes of Opus; 120 ms at its highest bit rate are 7.7 KB
MOST_TEXT = 4 * 1024  # characters
OFFSET_BYTES = 8
AHEAD_S = 75.0  # of sound that waits to be heard: the minute that a client keeps, and what is spoken meanwhile
AHEAD_BYTES = 16 * 2**20
TOLD_EVERY_S = 10.0  # of it, the client is told
SPEED = 2.0  # at which it is heard
BURST_S = 2.0  # that much may come at once: a hiccup of the line
SILENT_S = 30.0
LOADED_WITHIN_S = 8.0  # clients give a handshake up after 10
EXPECTED = 'Send sound as binary messages, {"end": true} when all was said, or {"ping": 1}'


class Word(Struct, forbid_unknown_fields=True, frozen=True):
    """What a client says besides sound."""

    end: bool = False
    ping: int | float | str | UnsetType | None = UNSET


@dataclass(frozen=True, slots=True)
class Form:
    """How the sound is coded, for as long as the connection lasts."""

    rate_hz: int
    channels: int
    opus: bool
    offsets: bool  # each message begins with the place of its sound, in samples at rate_hz since the session began

    def parsed(self, message: bytes, expected: int) -> tuple[int, bytes, int]:
        """Where it belongs, what there is, and how many samples. `expected`: where it belongs if it does not say. Raises Hangup."""
        at, sound = expected, message
        if self.offsets:
            if len(message) < OFFSET_BYTES:
                raise Hangup(BAD_DATA, Refused("bad-sound", reason=f"A message of {len(message)} bytes holds no offset"))
            at, sound = int.from_bytes(message[:OFFSET_BYTES], "little"), message[OFFSET_BYTES:]
        if self.opus:
            if len(sound) > LONGEST_PACKET:
                raise Hangup(TOO_LONG, Refused("too-large", limit=LONGEST_PACKET))
            samples = opus.duration(sound)
            if samples == 0:
                raise Hangup(BAD_DATA, Refused("bad-sound", reason=f"{len(sound)} bytes are no Opus packet"))
            return at, sound, samples
        width = 2 * self.channels
        if len(sound) > (limit := int(LONGEST_MESSAGE_S * self.rate_hz) * width):
            raise Hangup(TOO_LONG, Refused("too-large", limit=limit))
        if len(sound) % width:
            raise Hangup(BAD_DATA, Refused("bad-sound", reason=f"{len(sound)} bytes are no whole number of {8 * width}-bit samples"))
        return at, sound, len(sound) // width


def form(socket: Socket) -> Form:
    """What the address says. Raises Refused."""
    request = socket.connection
    coded = bodies.one_of(request, "format", "pcm_s16le", ("pcm_s16le", "opus")) == "opus"
    rate_hz = bodies.whole(request, "rate", opus.CLOCK_HZ if coded else RATE_HZ, 8_000, 192_000)
    if coded and rate_hz != opus.CLOCK_HZ:
        raise Refused("bad-parameter", name="rate", value=rate_hz, expected=f"must be {opus.CLOCK_HZ} with format=opus, or left out")
    channels = bodies.whole(request, "channels", 1, 1, 2)
    return Form(rate_hz, channels, coded, bodies.one_of(request, "offsets", "0", ("0", "1")) == "1")


class Speaker:
    """One connection that sends sound."""

    def __init__(self, socket: Socket, room: "Room", form: Form) -> None:
        self._socket = socket
        self._room = room
        self._form = form
        self._clock = asyncio.get_running_loop().time
        self._waiting: deque[tuple[int, bytes, int]] = deque()  # of at most AHEAD_S
        self._samples = self._bytes = 0  # of what waits
        self._told = 0  # steps of TOLD_EVERY_S
        self._fresh = asyncio.Event()
        self._ended = self._ending = False  # all was said; all was heard
        self._free_at = 0.0  # when what was heard so far is over, at SPEED
        self._decoder, self._late = OpusDecoder(), OpusDecoder()
        self.replaced = asyncio.Event()
        self.line = room.attach(self.replaced.set)
        # Sample 0 of this connection is that of the session, or comes right after all that was heard.
        origin = 0 if form.offsets else room.intake.end
        room.deliver(self.line, room.intake.connect(form.rate_hz, origin, self._clock()))
        self._expected = -(-room.intake.end * form.rate_hz // RATE_HZ) if form.offsets else 0  # of the next message

    def ready(self) -> dict[str, object]:
        """The first message: where to go on."""
        intake, form = self._room.intake, self._form
        return {
            "ready": {
                "session": str(self._room.session),
                "format": "opus" if form.opus else "pcm_s16le",
                "rate": form.rate_hz,
                "channels": form.channels,
                "offsets": form.offsets,
                "expected": intake.end,
                "offset": -(-intake.end * form.rate_hz // RATE_HZ),
                "lost": [[span.start, span.end] for span in intake.gaps],
            }
        }

    async def receive(self) -> None:
        """Take what comes, until the client has said all."""
        while not self._ended:
            try:
                async with asyncio.timeout(SILENT_S):
                    message = await self._socket.receive()
            except TimeoutError as error:
                raise Hangup(POLICY, Refused("silent", waited_s=SILENT_S)) from error
            if isinstance(message, str):
                await self._word(message)
            elif message:
                await self._sound(message)

    async def hear(self) -> None:
        """Hand on what came, as fast as it may be; at the end, end the session."""
        while True:
            while not self._waiting and not self._ended:
                self._fresh.clear()
                await self._fresh.wait()
            if self.replaced.is_set():  # the intake is another connection's now
                return
            if not self._waiting:
                break
            at, sound, samples = self._waiting.popleft()
            self._samples -= samples
            self._bytes -= len(sound)
            taken = self._taken(at, sound, samples)
            self._room.deliver(self.line, taken)
            heard_s = sum(block.pcm.size for block in taken if isinstance(block, AudioBlock)) / RATE_HZ  # what fills a gap costs little
            now = self._clock()
            self._free_at = max(self._free_at, now - BURST_S / SPEED) + heard_s / SPEED
            await asyncio.sleep(max(0.0, self._free_at - now))
        self._ending = True
        await self._room.end()
        await self._socket.say({"ended": {"session": str(self._room.session)}})
        raise Hangup(DONE)

    async def watch(self) -> None:
        """Ends the connection when another one speaks for the session."""
        await self.replaced.wait()
        if not self._ending and not self._socket.state["closing"].is_set():  # which is told by itself
            raise Hangup(POLICY, Refused("not-heard"))

    async def _word(self, text: str) -> None:
        if len(text) > MOST_TEXT:
            raise Hangup(TOO_LONG, Refused("too-large", limit=MOST_TEXT))
        try:
            word = msgspec.json.decode(text, type=Word)
        except msgspec.ValidationError as error:
            raise Hangup(POLICY, Refused("bad-message", reason=error, expected=EXPECTED)) from error
        except msgspec.DecodeError as error:
            raise Hangup(BAD_DATA, Refused("bad-message", reason=error, expected=EXPECTED)) from error
        if word.ping is not UNSET:
            await self._socket.say({"pong": word.ping})
        if word.end:
            self._ended = True
            self._fresh.set()

    async def _sound(self, message: bytes) -> None:
        at, sound, samples = self._form.parsed(message, self._expected)
        self._expected = at + samples
        self._waiting.append((at, sound, samples))
        self._samples += samples
        self._bytes += len(sound)
        self._fresh.set()
        ahead_s = self._samples / self._form.rate_hz
        if ahead_s > AHEAD_S or self._bytes > AHEAD_BYTES:
            raise Hangup(POLICY, Refused("too-fast", ahead_s=ahead_s))
        before, self._told = self._told, int(ahead_s // TOLD_EVERY_S)
        if self._told > before:
            await self._socket.say({"ahead_s": round(ahead_s, 1)})

    def _taken(self, at: int, sound: bytes, samples: int) -> list[Taken]:
        intake, now = self._room.intake, self._clock()
        try:
            if not self._form.opus:
                return intake.take(at, np.frombuffer(sound, "<i2").reshape(-1, self._form.channels), now)
            if opus.quiet(sound):
                return intake.quiet(at, samples, now)
            return intake.take(at, self._decoded(at, sound), now)
        except Unplaceable as error:
            raise Hangup(POLICY, Refused("bad-sound", reason=str(error).capitalize())) from error
        except Undecodable as error:
            raise Hangup(BAD_DATA, Refused("bad-sound", reason=str(error).capitalize())) from error

    def _decoded(self, at: int, packet: bytes) -> Samples16:
        """What comes late is decoded beside what comes in order, since a decoder carries on from the packet before."""
        late = self._form.offsets and at * RATE_HZ // self._form.rate_hz < self._room.intake.end - 1
        return (self._late if late else self._decoder).decode(packet)


async def speak(socket: Socket) -> None:
    """GET /v1/sessions/{id}/audio."""
    wanted = form(socket)
    session: UUID = socket.connection.path_params["session"]
    live = socket.state["live"]
    try:
        async with asyncio.timeout(LOADED_WITHIN_S):
            await live.ready.wait()
    except TimeoutError as error:
        raise Refused("live-loading") from error
    room = await live.join(socket.org, session)
    speaker = Speaker(socket, room, wanted)
    try:
        await socket.accept()
        await socket.say(speaker.ready())
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(speaker.receive(), name="sound: receive")
            tasks.create_task(speaker.watch(), name="sound: watch")
            tasks.create_task(speaker.hear(), name="sound: hear")
    finally:
        room.detach(speaker.line)


routes: list[BaseRoute] = [sockets.route("/v1/sessions/{session:uuid}/audio", speak)]
