"""Clients of the live server, in a process of their own: sound out in real time over a bad link, events in, all with their times.

`python -m bench.caller URL OUT < PLANS` takes a JSON list of plans (`bench.heard.Plan`) and writes what its sessions heard (`Call`), and
what the caller itself cost. Sound is encoded before the clock starts, and events are parsed after it has stopped: in between a session
costs little. The link works on RTP packets before they are encrypted, as SRTP has no state that loss or order could disturb.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import uvloop
import websockets
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.rtp import RtpPacket
from av.frame import Frame
from av.packet import Packet

from bench.heard import PACKET, PACKET_S, Call, Plan
from bench.talk import read_wav
from speech.audio import RATE_HZ
from tests.links import Link

STREAMS = ("tokens", "metrics", "cue", "state")
CLOCK_HZ = 48_000
BITS_A_S = 32_000  # what browsers send speech with
CONNECT_S, END_S = 20.0, 60.0
OVER = ("processing", "complete", "failed", "cancelled", "interrupted")
FIRST_SEQUENCE, FIRST_TIMESTAMP = 1000, 0
HEADROOM_S = 1.0  # between the start of the clock and the first session


@cache
def opus(wav: str) -> tuple[tuple[bytes, ...], float]:
    """A file as packets of 20 ms, and by how many seconds the encoder delays the sound in them."""
    codec = av.CodecContext.create("libopus", "w")
    assert isinstance(codec, av.AudioCodecContext)
    codec.sample_rate, codec.layout, codec.format, codec.bit_rate = CLOCK_HZ, "mono", "s16", BITS_A_S
    codec.options = {"application": "voip", "frame_duration": "20"}
    up = av.AudioResampler(format="s16", layout="mono", rate=CLOCK_HZ, frame_size=CLOCK_HZ // 50)
    pcm = np.asarray(np.round(np.clip(read_wav(Path(wav)), -1, 1) * 32767), np.int16)
    frame = av.AudioFrame.from_ndarray(pcm[None, : pcm.size // PACKET * PACKET], format="s16", layout="mono")
    frame.sample_rate, frame.pts = RATE_HZ, 0
    packets = [packet for whole in (*up.resample(frame), *up.resample(None)) for packet in codec.encode(whole)]
    assert packets[0].pts is not None
    return tuple(bytes(packet) for packet in packets), -packets[0].pts / CLOCK_HZ


@cache
def pcm16(wav: str) -> tuple[tuple[bytes, ...], float]:
    """The same without an encoder: 16-bit samples."""
    pcm = np.asarray(np.round(np.clip(read_wav(Path(wav)), -1, 1) * 32767), "<i2")
    return tuple(pcm[i : i + PACKET].tobytes() for i in range(0, pcm.size - PACKET + 1, PACKET)), 0.0


class _Sound:
    """One session's packets on their way: the times when they left, and those that came."""

    def __init__(self, plan: Plan, count: int) -> None:
        self.link = Link[int](plan.seed, plan.loss, plan.burst_packets, 0.0, plan.jitter_ms, outages=plan.outages)
        self.count = count
        self.left_s: list[float] = []
        self.came: list[int] = []
        self.late_s: list[float] = []

    async def arrivals(self) -> AsyncIterator[int]:
        """Each packet that the link lets through, when it comes out of the link."""
        began_s = time.monotonic() + PACKET_S
        due_s = [began_s + PACKET_S * i for i in range(self.count)]  # a packet leaves when its last sample was captured
        self.left_s = list(due_s)
        for number, at_ms in self.link.carry((i, 1000 * PACKET_S * i) for i in range(self.count)):
            wait_s = began_s + at_ms / 1000 - time.monotonic()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
                wait_s = began_s + at_ms / 1000 - time.monotonic()
            self.late_s.append(max(0.0, -wait_s))
            self.left_s[number] = due_s[number] + self.late_s[-1]  # what the caller was late is not the server's
            self.came.append(number)
            yield number


class _Mute(MediaStreamTrack):
    kind = "audio"

    async def recv(self) -> "Frame | Packet[Any]":
        """Never: packets are sent past the track, with numbers of their own."""
        await asyncio.Event().wait()
        raise AssertionError


class Refused(Exception):
    """The server takes no sound of this session."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(f"{response.status_code} {response.text}")
        self.status = response.status_code
        after = response.headers.get("retry-after")
        self.retry_after_s = float(after) if after else None


async def _webrtc(client: httpx.AsyncClient, session: str, sound: _Sound, packets: Sequence[bytes]) -> None:
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connected = asyncio.Event()
    peer.on("connectionstatechange", lambda: connected.set() if peer.connectionState == "connected" else None)
    try:
        sender = peer.addTrack(_Mute())
        await peer.setLocalDescription(await peer.createOffer())
        offer = {"sdp": peer.localDescription.sdp, "type": peer.localDescription.type}
        response = await client.post(f"/v1/sessions/{session}/offer", json=offer)
        if response.status_code >= 300:
            raise Refused(response)
        answer = response.json()
        await peer.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
        async with asyncio.timeout(CONNECT_S):
            await connected.wait()
        payload_type = peer.getTransceivers()[0]._codecs[0].payloadType
        assert payload_type is not None
        async for number in sound.arrivals():
            packet = RtpPacket(
                payload_type=payload_type,
                sequence_number=(FIRST_SEQUENCE + number) & 0xFFFF,
                timestamp=(FIRST_TIMESTAMP + number * CLOCK_HZ // 50) & 0xFFFFFFFF,
                ssrc=sender._ssrc,
                payload=packets[number],
            )
            await sender.transport._send_rtp(packet.serialize())
        await _end(client, session)
    finally:
        await peer.close()


async def _websocket(client: httpx.AsyncClient, session: str, sound: _Sound, packets: Sequence[bytes]) -> None:
    try:
        async with websockets.connect(f"{_ws(client)}/v1/sessions/{session}/audio?rate={RATE_HZ}", ping_interval=None) as socket:
            await socket.recv()  # ready
            async for number in sound.arrivals():
                await socket.send(packets[number])
            await socket.send('{"end": true}')
            async with asyncio.timeout(END_S):
                await socket.wait_closed()
    except websockets.InvalidStatus as error:
        body = httpx.Response(error.response.status_code, headers=list(error.response.headers.raw_items()))
        raise Refused(body) from error


def _ws(client: httpx.AsyncClient) -> str:
    return str(client.base_url).replace("http", "ws", 1).rstrip("/")


async def _end(client: httpx.AsyncClient, session: str) -> None:
    (await client.post(f"/v1/sessions/{session}/end", timeout=END_S)).raise_for_status()


class _Ear:
    """The events of one session as they come, not yet read."""

    def __init__(self) -> None:
        self.heard: list[tuple[float, str]] = []
        self.over = asyncio.Event()  # the session is no longer live

    async def listen(self, socket: websockets.ClientConnection) -> None:
        """Until cancelled."""
        async for message in socket:
            assert isinstance(message, str)
            self.heard.append((time.monotonic(), message))
            if '"stream":"state"' in message and json.loads(message)["data"].get("session") in OVER:
                self.over.set()

    def events(self) -> list[tuple[float, dict[str, Any]]]:
        """What came, without the answers to our own messages."""
        read = [(arrived, json.loads(message)) for arrived, message in self.heard]
        if wrong := [message for _, message in read if "error" in message or "missed" in message]:
            raise RuntimeError(f"the events are not whole: {wrong[0]}")
        return [(arrived, event) for arrived, event in read if "seq" in event]


async def call(client: httpx.AsyncClient, plan: Plan, packets: Sequence[bytes], delay_s: float) -> Call:
    """One session from its creation to its end."""
    made = await client.post("/v1/sessions", json={"title": Path(plan.wav).stem, "kind": "live", "language": plan.language})
    if made.status_code >= 300:
        return _refusal(plan, None, Refused(made), time.monotonic())
    session = made.json()["id"]
    sound, ear = _Sound(plan, len(packets)), _Ear()
    asked_s = time.monotonic()
    async with websockets.connect(f"{_ws(client)}/v1/ws", max_queue=None, ping_interval=None) as socket, asyncio.TaskGroup() as tasks:
        await socket.send(json.dumps({"subscribe": [f"session:{session}:*"]}))
        listening = tasks.create_task(ear.listen(socket), name="ear")
        try:
            await SPEAK[plan.transport](client, session, sound, packets)
        except Refused as refused:
            return _refusal(plan, session, refused, asked_s)
        else:
            ended_s = time.monotonic()
            async with asyncio.timeout(END_S):
                await ear.over.wait()
        finally:
            listening.cancel()
    state = (await client.get(f"/v1/sessions/{session}")).json()["state"]
    late_s = float(np.percentile(sound.late_s, 99))
    return Call(
        plan=plan,
        session=session,
        status=200,
        asked_s=asked_s,
        left_s=sound.left_s,
        came=sound.came,
        late_s=late_s,
        delay_s=delay_s,
        ended_s=ended_s,
        state=state,
        events=ear.events(),
    )


def _refusal(plan: Plan, session: str | None, refused: Refused, asked_s: float) -> Call:
    return Call(plan=plan, session=session, status=refused.status, retry_after_s=refused.retry_after_s, asked_s=asked_s)


async def calls(url: str, plans: Sequence[Plan], sounds: Sequence[tuple[tuple[bytes, ...], float]]) -> list[Call]:
    """All sessions, each at its time."""
    began_s = time.monotonic() + HEADROOM_S

    async def one(client: httpx.AsyncClient, plan: Plan, sound: tuple[tuple[bytes, ...], float]) -> Call:
        await asyncio.sleep(began_s + plan.start_s - time.monotonic())
        return await call(client, plan, *sound)

    limits = httpx.Limits(max_connections=None, max_keepalive_connections=16)
    async with httpx.AsyncClient(base_url=url, timeout=30.0, limits=limits) as client, asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(one(client, plan, sound)) for plan, sound in zip(plans, sounds, strict=True)]
    return [task.result() for task in running]


def main() -> None:
    """Do the plans and write what came of them."""
    url, out = sys.argv[1:]
    plans = [Plan.read(plan) for plan in json.load(sys.stdin)]
    sounds = [(packets * plan.repeats, delay_s) for plan in plans for packets, delay_s in [CODED[plan.transport](plan.wav)]]
    before_s = time.process_time()
    done = uvloop.run(calls(url, plans, sounds))
    cpu_s = time.process_time() - before_s
    Path(out).write_text(json.dumps({"cpu_s": cpu_s, "calls": [asdict(one) for one in done]}))


SPEAK = {"webrtc": _webrtc, "ws": _websocket}
CODED = {"webrtc": opus, "ws": pcm16}

if __name__ == "__main__":
    main()
