"""Calls on a real server: our page's way, and WHIP as RFC 9725 has it, by clients that are nobody's but the test's."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
import numpy as np
import pytest
from playwright.sync_api import sync_playwright

from config.settings import IceServer
from rtc.intake import Taken
from speech.audio import RATE_HZ
from tests.api_server import Running, running, settings_for
from tests.browsers import chromium, hearing
from tests.speakers import Speaker, speech

if TYPE_CHECKING:
    from engines.embedded import Servers

SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}
ICE = (IceServer("stun:192.0.2.1:3478"), IceServer("turn:192.0.2.1:3478?transport=tcp", "me", 'p"w'))

SPEAK = """async (session) => {
  window.events = [];
  window.peer = new RTCPeerConnection();
  const off = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const stream = await navigator.mediaDevices.getUserMedia({ audio: off });
  peer.addTrack(stream.getAudioTracks()[0], stream);
  peer.createDataChannel("events", { protocol: "metrics,state" }).onmessage = (event) => events.push(event.data);
  await peer.setLocalDescription();
  const headers = { "Content-Type": "application/json" };
  const body = JSON.stringify({ sdp: peer.localDescription.sdp, type: "offer" });
  const answer = await fetch(`/v1/sessions/${session}/offer`, { method: "POST", headers, body });
  if (!answer.ok) throw new Error(await answer.text());
  await peer.setRemoteDescription(await answer.json());
  await new Promise((done, failed) => {
    peer.onconnectionstatechange = () => {
      if (peer.connectionState === "connected") done();
      if (peer.connectionState === "failed") failed(new Error("failed"));
    };
    peer.onconnectionstatechange();
  });
}"""


@pytest.fixture(scope="module")
def server(servers: "Servers", tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(settings_for(tmp_path_factory.mktemp("calls")), servers) as found:
        yield found


def created(client: httpx.Client) -> str:
    made: str = client.post("/v1/sessions", json={"kind": "live", "title": "t"}).json()["id"]
    return made


def state_of(client: httpx.Client, session: str) -> str:
    state: str = client.get(f"/v1/sessions/{session}").json()["state"]
    return state


async def spoken(speaker: Speaker, seconds: int = 2) -> None:
    for i, packet in enumerate(speech(10)[: 50 * seconds]):  # as fast as can be: each says where it belongs
        await speaker.send(i, packet)
        await asyncio.sleep(0)


async def heard(server: Running, session: str, to: int) -> None:
    """Until the session has so many samples."""
    async with asyncio.timeout(10):
        while (room := server.state["live"].rooms.get(UUID(session))) is None or room.intake.end < to:
            await asyncio.sleep(0.01)


def test_a_page_speaks_and_ends(server: Running) -> None:
    async def talk(client: httpx.Client) -> str:
        session, speaker = created(client), Speaker("events", "state,metrics")
        offered = client.post(f"/v1/sessions/{session}/offer", json={"sdp": await speaker.offer(), "type": "offer"})
        assert offered.status_code == 200
        assert offered.json().keys() == {"sdp", "type", "connection"}
        assert offered.json()["type"] == "answer"
        await speaker.accept(offered.json()["sdp"])
        await spoken(speaker)
        await heard(server, session, 2 * 16_000)
        assert state_of(client, session) == "live"
        assert len(server.state["calls"]) == 1
        async with asyncio.timeout(10):
            while not any('"metrics"' in text for text in speaker.told):
                await asyncio.sleep(0.01)
        ended = await asyncio.to_thread(client.post, f"/v1/sessions/{session}/end")
        assert ended.status_code < 300
        async with asyncio.timeout(10):
            while len(server.state["calls"]):
                await asyncio.sleep(0.01)
        assert {json.loads(text)["stream"] for text in speaker.told} == {"state", "metrics"}
        assert [json.loads(text)["seq"] for text in speaker.told] == sorted(json.loads(text)["seq"] for text in speaker.told)
        await speaker.close()
        return state_of(client, session)

    with server.client() as client:
        assert asyncio.run(talk(client)) != "live"


def test_a_program_speaks_by_whip_and_deletes_its_call(server: Running) -> None:
    async def talk(client: httpx.Client) -> str:
        session, speaker = created(client), Speaker()
        offer = await speaker.offer()
        answer = client.post(f"/v1/sessions/{session}/whip", content=offer, headers={**SDP, "Authorization": "Bearer any"})
        assert answer.status_code == 201
        assert answer.headers["content-type"] == "application/sdp"
        assert answer.headers["accept-patch"] == FRAGMENT["Content-Type"]
        location, etag = answer.headers["location"], answer.headers["etag"]
        assert location.startswith(f"/v1/sessions/{session}/whip/")
        assert etag.startswith('"')
        ufrag = next(line for line in offer.splitlines() if line.startswith("a=ice-ufrag:"))
        fragment = f"{ufrag}\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:1 1 udp 1 192.0.2.7 9 typ host\r\na=end-of-candidates\r\n"
        for headers, status in (
            (FRAGMENT, 428),
            ({**FRAGMENT, "If-Match": '"other"'}, 412),
            ({**FRAGMENT, "If-Match": "*"}, 422),
            ({**SDP, "If-Match": etag}, 415),
            ({**FRAGMENT, "If-Match": etag}, 204),
        ):
            assert client.patch(location, content=fragment, headers=headers).status_code == status
        assert client.patch(location, content="hello", headers={**FRAGMENT, "If-Match": etag}).status_code == 400
        restart = fragment.replace(ufrag, "a=ice-ufrag:another")
        assert client.patch(location, content=restart, headers={**FRAGMENT, "If-Match": etag}).status_code == 422
        await speaker.accept(answer.text)
        await spoken(speaker)
        await heard(server, session, 2 * 16_000)
        assert client.delete(location.replace(location[-3:], "abc")).status_code == 404
        assert (await asyncio.to_thread(client.delete, location)).status_code == 200
        assert client.delete(location).status_code == 404
        await speaker.close()
        return state_of(client, session)

    with server.client() as client:
        assert asyncio.run(talk(client)) != "live"


def test_what_whip_refuses(server: Running) -> None:
    async def offer() -> str:
        speaker = Speaker()
        text = await speaker.offer()
        await speaker.close()
        return text

    text = asyncio.run(offer())
    with server.client() as client:
        session = created(client)
        address = f"/v1/sessions/{session}/whip"
        for method in ("GET", "HEAD", "PUT", "PATCH"):
            refused = client.request(method, address)
            assert refused.status_code == 405
            assert refused.headers["allow"] == "OPTIONS, POST"
        assert client.post(address, content=text, headers={"Content-Type": "text/plain"}).status_code == 415
        assert client.post(address, content="hello", headers=SDP).json()["code"] == "bad-offer"
        assert client.post(address, content=b"\xff", headers=SDP).status_code == 400
        assert client.post(address, content=text.replace("opus/48000", "L16/48000"), headers=SDP).status_code == 406
        assert client.post(address, content=text * 200, headers=SDP).status_code == 413
        assert client.post(f"/v1/sessions/{UUID(int=1)}/whip", content=text, headers=SDP).status_code == 404
        assert client.post(address, content=text, headers={**SDP, "Origin": "https://elsewhere.example"}).status_code == 403
        assert client.get(f"{address}/x").status_code == 405
        assert client.post(f"/v1/sessions/{session}/offer", json={"sdp": text, "type": "answer"}).status_code == 422
        assert state_of(client, session) == "created"  # nothing of it made the session live


def test_what_may_be_asked_of_whip(server: Running) -> None:
    with server.client() as client:
        address = f"/v1/sessions/{created(client)}/whip"
        own = str(client.base_url).rstrip("/")
        asked = client.options(address, headers={"Origin": own, "Access-Control-Request-Method": "POST"})
        assert asked.status_code == 204
        assert asked.headers["accept-post"] == "application/sdp"
        assert asked.headers["access-control-allow-origin"] == own
        assert "POST" in asked.headers["access-control-allow-methods"]
        assert "authorization" in asked.headers["access-control-allow-headers"].lower()
        foreign = client.options(address, headers={"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"})
        assert foreign.status_code == 204
        assert "access-control-allow-origin" not in foreign.headers
        assert client.options(f"{address}/x").headers["accept-patch"] == FRAGMENT["Content-Type"]


def test_a_second_connection_takes_over(server: Running) -> None:
    async def talk(client: httpx.Client) -> int:
        session, first, second = created(client), Speaker(), Speaker("events", "state")
        names = []
        for speaker, end in ((first, 2 * 16_000), (second, 4 * 16_000)):
            offered = client.post(f"/v1/sessions/{session}/offer", json={"sdp": await speaker.offer(), "type": "offer"})
            names.append(offered.json()["connection"])
            await speaker.accept(offered.json()["sdp"])
            await spoken(speaker)
            await heard(server, session, end)
        async with asyncio.timeout(10):
            while not (said := [data["replaced"] for text in second.told if "replaced" in (data := json.loads(text)["data"])]):
                await asyncio.sleep(0.01)
        assert said == names[:1]
        count = len([call for call in server.state["calls"]._calls.values() if str(call.session) == session])
        await asyncio.to_thread(client.post, f"/v1/sessions/{session}/end")
        await first.close()
        await second.close()
        return count

    with server.client() as client:
        assert asyncio.run(talk(client)) == 1


def test_servers_that_help_are_told(servers: "Servers", tmp_path_factory: pytest.TempPathFactory) -> None:
    async def offer() -> str:
        speaker = Speaker()
        text = await speaker.offer()
        await speaker.close()
        return text

    settings = replace(settings_for(tmp_path_factory.mktemp("ice")), ice_servers=ICE)
    with running(settings, servers) as server, server.client() as client:
        assert client.get("/v1/ice").json() == {
            "ice_servers": [
                {"urls": "stun:192.0.2.1:3478"},
                {"urls": "turn:192.0.2.1:3478?transport=tcp", "username": "me", "credential": 'p"w'},
            ]
        }
        session = created(client)
        answer = client.post(f"/v1/sessions/{session}/whip", content=asyncio.run(offer()), headers=SDP)
        assert answer.status_code == 201
        assert answer.headers.get_list("link") == [
            '<stun:192.0.2.1:3478>; rel="ice-server"',
            '<turn:192.0.2.1:3478?transport=tcp>; rel="ice-server"; username="me"; credential="p\\"w"; credential-type="password"',
        ]
        assert client.delete(answer.headers["location"]).status_code == 200


def test_a_browser_is_understood(server: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chromium with a recording for a microphone, on a page of nobody's: the tone that it heard is heard here, and no packet is lost."""
    t = np.arange(48_000 * 20) / 48_000
    beeps = (0.5 * np.sin(2 * np.pi * 440 * t) * (t % 1 < 0.5)).astype(np.float32)
    taken: list[Taken] = []
    with server.client() as client, sync_playwright() as playwright:
        session = created(client)
        browser = chromium(playwright, *hearing(tmp_path / "mic.wav", beeps))
        page = browser.new_context(bypass_csp=True).new_page()
        page.goto(f"{server.url}/healthz")
        page.evaluate(SPEAK, session)
        room = server.state["live"].rooms[UUID(session)]
        deliver = room.deliver

        def noted(line: Any, some: Sequence[Taken]) -> None:
            taken.extend(some)
            deliver(line, some)

        monkeypatch.setattr(room, "deliver", noted)
        page.wait_for_function("events.length > 10")
        while room.intake.end < 2 * RATE_HZ:
            page.wait_for_timeout(50)
        assert client.post(f"/v1/sessions/{session}/end").status_code < 300
        streams = set(page.evaluate("events.map((each) => JSON.parse(each).stream)"))
        browser.close()
    assert room.intake.lost == 0
    assert streams == {"metrics", "state"}
    sound = np.concatenate([each.pcm for each in taken])
    loud = sound[np.abs(sound) > 0.1]
    assert loud.size > 0.2 * sound.size
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(sound.size)))
    assert np.argmax(spectrum) * RATE_HZ / sound.size == pytest.approx(440, abs=2)
