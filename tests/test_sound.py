"""Live sound over a WebSocket: what was sent is what is heard, wherever it belongs; a client that comes back goes on; odd input is told."""

import json
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import av
import numpy as np
import pytest
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from numpy.typing import NDArray
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from api import sound
from batch.segments import join
from engines.embedded import Servers
from rtc.decoder import OpusDecoder
from rtc.errors import Undecodable
from speech.audio import RATE_HZ
from tests import signals
from tests.api_server import Running, running, settings_for

Samples = NDArray[np.int16]
MOST = 32_767


@pytest.fixture(scope="module")
def server(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(settings_for(tmp_path_factory.mktemp("sound")), servers) as found:
        yield found


@pytest.fixture
def session(server: Running) -> str:
    with server.client() as client:
        made: str = client.post("/v1/sessions", json={"kind": "live"}).json()["id"]
        return made


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sound is heard as fast as it comes."""
    monkeypatch.setattr(sound, "SPEED", 1e6)


def noise(seconds: float, seed: int = 1, rate_hz: int = RATE_HZ) -> Samples:
    pcm: Samples = np.rint(3000 * signals.white(round(seconds * rate_hz), seed)).clip(-MOST, MOST).astype(np.int16)
    return pcm


@contextmanager
def speaking(server: Running, session: str, query: str = "", **options: Any) -> Iterator[tuple[ClientConnection, dict[str, Any]]]:
    """A connection, and what it was told at first."""
    address = f"{server.url.replace('http', 'ws')}/v1/sessions/{session}/audio{query}"
    with connect(address, open_timeout=60, compression=None, max_queue=None, **options) as line:
        yield line, json.loads(line.recv(timeout=20))["ready"]


def send(line: ClientConnection, pcm: Samples, at: int | None = None, step: int = 320) -> None:
    """Message by message, each with its offset unless there is none."""
    for first in range(0, len(pcm), step):
        line.send((b"" if at is None else struct.pack("<Q", at + first)) + pcm[first : first + step].tobytes())


def ended(line: ClientConnection, session: str) -> None:
    """Say the end, and wait until all was heard."""
    line.send('{"end": true}')
    assert json.loads(line.recv(timeout=60)) == {"ended": {"session": session}}
    assert close_code(line) == 1000


def close_code(line: ClientConnection) -> int:
    with pytest.raises(ConnectionClosed) as closed:
        line.recv(timeout=20)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


def refused(line: ClientConnection) -> tuple[str, int]:
    """The problem that was told last, and the close code that came with it."""
    error = json.loads(line.recv(timeout=20))["error"]
    assert error["title"]
    assert error["detail"]
    return error["code"], close_code(line)


def recorded(server: Running, session: str, folder: Path) -> Samples:
    """The recording, zeros where nothing came."""
    to = folder / "joined.flac"
    server.do(join(server.state["blobs"], f"{server.state['member'].org}/{session}/live/", to))
    with av.open(to) as container:
        pieces = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    pcm: Samples = np.concatenate(pieces).astype(np.int16)
    return pcm


def heard_to(server: Running, session: str) -> int:
    return server.state["live"].rooms[UUID(session)].intake.end


def left(server: Running, session: str) -> None:
    """Returns when the server has noticed that the connection is gone."""
    with server.client() as client:
        while server.state["live"].rooms[UUID(session)]._line is not None:
            client.get("/healthz")


# what is heard


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("step", [320, 333, 16_000])
def test_what_was_sent_is_what_is_recorded(server: Running, session: str, step: int, tmp_path: Path) -> None:
    pcm = noise(4.1)
    with speaking(server, session) as (line, ready):
        form = {"format": "pcm_s16le", "rate": 16_000, "channels": 1, "offsets": False}
        assert ready == {**form, "session": session, "expected": 0, "offset": 0, "lost": []}
        send(line, pcm, step=step)
        ended(line, session)
    np.testing.assert_array_equal(recorded(server, session, tmp_path)[: pcm.size], pcm)
    with server.client() as client:
        assert client.get(f"/v1/sessions/{session}").json()["state"] == "processing"


@pytest.mark.usefixtures("at_once")
def test_with_offsets_sound_may_come_late_twice_and_with_gaps(server: Running, session: str, tmp_path: Path) -> None:
    pcm = noise(4.0)
    with speaking(server, session, "?offsets=1") as (line, _):
        send(line, pcm[:16_000], 0)
        send(line, pcm[32_000:48_000], 32_000)
        send(line, pcm[:16_000], 0)  # twice
        send(line, pcm[20_000:30_000], 20_000)  # late
        send(line, pcm[48_000:], 48_000)
        ended(line, session)
    found = recorded(server, session, tmp_path)
    holes = np.zeros(pcm.size, bool)
    holes[16_000:20_000] = holes[30_000:32_000] = True
    np.testing.assert_array_equal(found[: pcm.size], np.where(holes, 0, pcm))


@pytest.mark.usefixtures("at_once")
def test_who_comes_back_goes_on_and_fills_what_is_missing(server: Running, session: str, tmp_path: Path) -> None:
    pcm = noise(5.0)
    with speaking(server, session, "?offsets=1") as (line, _):
        send(line, pcm[:24_000], 0)
        while heard_to(server, session) < 24_000:
            line.ping().wait(20)
    left(server, session)
    with speaking(server, session, "?offsets=1") as (line, ready):
        assert (ready["expected"], ready["offset"], ready["lost"]) == (24_000, 24_000, [])
        send(line, pcm[48_000:64_000], 48_000)  # it kept nothing
        while heard_to(server, session) < 64_000:
            line.ping().wait(20)
    left(server, session)
    with speaking(server, session, "?offsets=1") as (line, ready):
        assert (ready["expected"], ready["lost"]) == (64_000, [[24_000, 48_000]])
        send(line, pcm[20_000:50_000], 20_000)  # or did, and finds it now
        send(line, pcm[64_000:], 64_000)
        ended(line, session)
    np.testing.assert_array_equal(recorded(server, session, tmp_path)[: pcm.size], pcm)


@pytest.mark.usefixtures("at_once")
def test_without_offsets_who_comes_back_goes_on_where_it_was(server: Running, session: str, tmp_path: Path) -> None:
    pcm = noise(3.0)
    with speaking(server, session) as (line, _):
        send(line, pcm[:24_000])
        while heard_to(server, session) < 24_000:
            line.ping().wait(20)
    left(server, session)
    with speaking(server, session) as (line, ready):
        assert ready["expected"] == 24_000
        send(line, pcm[24_000:])
        ended(line, session)
    np.testing.assert_array_equal(recorded(server, session, tmp_path)[: pcm.size], pcm)


@pytest.mark.usefixtures("at_once")
def test_any_rate_in_stereo_lands_on_the_clock(server: Running, session: str, tmp_path: Path) -> None:
    rate_hz, seconds = 44_100, 2.0
    tone = 8000 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate_hz)) / rate_hz)
    both = np.stack([tone, np.zeros_like(tone)], axis=1).astype(np.int16)
    with speaking(server, session, f"?rate={rate_hz}&channels=2&offsets=1") as (line, _):
        send(line, both[4410:], 4410, step=441)  # the first tenth of a second is missing
        ended(line, session)
    found = recorded(server, session, tmp_path).astype(float)
    expected = 4000 * np.sin(2 * np.pi * 440 * np.arange(found.size) / RATE_HZ)
    inside = slice(2000, round(seconds * RATE_HZ) - 400)
    np.testing.assert_allclose(found[inside], expected[inside], atol=40)  # 1 %
    assert not found[:1600].any()


def opus_packets(pcm: Samples, layout: str = "mono") -> Iterable[bytes]:
    encoder = av.CodecContext.create("libopus", "w")
    assert isinstance(encoder, AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format, encoder.bit_rate = 48_000, layout, "s16", 48_000
    encoder.time_base = Fraction(1, 48_000)
    for first in range(0, len(pcm), 960):
        frame = AudioFrame.from_ndarray(pcm[first : first + 960].reshape(1, -1), format="s16", layout=layout)
        frame.sample_rate, frame.pts = 48_000, first
        yield from (bytes(packet) for packet in encoder.encode(frame))


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("offsets", [False, True])
def test_opus_lands_on_the_clock(server: Running, session: str, offsets: bool, tmp_path: Path) -> None:
    t = np.arange(96_000) / 48_000
    chirp = (8000 * np.sin(2 * np.pi * (200 * t + 300 * t**2))).astype(np.int16)
    packets = list(opus_packets(chirp))
    with speaking(server, session, f"?format=opus&offsets={int(offsets)}") as (line, ready):
        assert ready["rate"] == 48_000
        places = [struct.pack("<Q", 960 * number) if offsets else b"" for number in range(len(packets))]
        messages = [place + packet for place, packet in zip(places, packets, strict=True)]
        if offsets:
            messages = [*messages[:50], *messages[60:80], *messages[50:60], *messages[80:]]  # ten come late
        for message in messages:
            line.send(message)
        ended(line, session)
    found = recorded(server, session, tmp_path).astype(float)
    at = np.arange(1600, 30_000)
    delay = 312 / 48_000  # of every Opus stream (RFC 7845, section 4.2)
    t16 = at / RATE_HZ - delay
    expected = 8000 * np.sin(2 * np.pi * (200 * t16 + 300 * t16**2))
    steady = np.ones(at.size, bool)
    if offsets:
        steady[(at > 15_900) & (at < 16_900)] = steady[(at > 19_000) & (at < 20_000)] = False  # a decoder begins
    error = found[at][steady] - expected[steady]
    assert np.sqrt(np.mean(error**2)) < 0.1 * np.sqrt(np.mean(expected**2))


def test_a_decoder_takes_packets_as_they_are() -> None:
    packets = list(opus_packets(np.zeros((9600, 2), np.int16), "stereo"))
    decoder = OpusDecoder()
    assert [decoder.decode(packet).shape for packet in packets] == [(960, 1)] * len(packets)
    for bad in (b"", b"\xff", b"\xff" * 2000):
        with pytest.raises(Undecodable):
            decoder.decode(bad)
    assert decoder.decode(packets[0]).shape == (960, 1)


# how fast


def test_too_far_ahead_is_told_and_then_refused(server: Running, session: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound, "AHEAD_S", 25.0)
    with speaking(server, session) as (line, _):
        send(line, np.zeros(40 * RATE_HZ, np.int16), step=RATE_HZ)
        told = [json.loads(line.recv(timeout=20)) for _ in range(2)]
        assert [10 <= told[0]["ahead_s"] < 12, 20 <= told[1]["ahead_s"] < 22] == [True, True]
        assert refused(line) == ("too-fast", 1008)
    assert heard_to(server, session) < 10 * RATE_HZ


def test_who_says_nothing_is_let_go(server: Running, session: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound, "SILENT_S", 0.05)
    with speaking(server, session) as (line, _):
        assert refused(line) == ("silent", 1008)
    left(server, session)  # and the session waits


# who speaks


def test_a_second_connection_takes_over(server: Running, session: str) -> None:
    with speaking(server, session) as (first, _), speaking(server, session) as (second, _):
        assert refused(first) == ("not-heard", 1008)
        second.send('{"ping": 7}')
        assert json.loads(second.recv(timeout=20)) == {"pong": 7}


def test_a_session_that_is_ended_elsewhere_is_not_heard_any_more(server: Running, session: str) -> None:
    with speaking(server, session) as (line, _), server.client() as client:
        send(line, noise(1.0))
        assert client.post(f"/v1/sessions/{session}/end").status_code == 202
        assert refused(line) == ("not-heard", 1008)


def denied(server: Running, session: str, query: str = "", **options: Any) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as refusal, speaking(server, session, query, **options):
        pass
    response = refusal.value.response
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, json.loads(response.body or b"")["code"]


def test_what_cannot_begin_is_refused_in_the_handshake(server: Running, session: str) -> None:
    assert denied(server, str(uuid4())) == (404, "no-session")
    assert denied(server, session, origin="https://evil.example") == (403, "foreign-origin")
    server.state_of(session, "complete")
    assert denied(server, session) == (409, "wrong-state")


@pytest.mark.parametrize(
    "query", ["rate=7999", "rate=192001", "rate=x", "channels=3", "format=mp3", "format=opus&rate=16000", "offsets=yes", "channels=0"]
)
def test_odd_parameters_are_refused_in_the_handshake(server: Running, session: str, query: str) -> None:
    assert denied(server, session, f"?{query}") == (400, "bad-parameter")
    assert UUID(session) not in server.state["live"].rooms


@pytest.mark.parametrize(
    ("query", "message", "code", "close"),
    [
        ("", b"\0" * 641, "bad-sound", 1007),
        ("?channels=2", b"\0" * 642, "bad-sound", 1007),
        ("", b"\0" * 64_002, "too-large", 1009),
        ("?offsets=1", b"\0" * 7, "bad-sound", 1007),
        ("?offsets=1", b"\xff" * 8 + b"\0" * 640, "bad-sound", 1008),
        ("?format=opus", b"\xff\xff", "bad-sound", 1007),
        ("?format=opus", b"\x01\0\0\0", "bad-sound", 1007),
        ("?format=opus", b"\x00" * 9000, "too-large", 1009),
        ("", "hello", "bad-message", 1007),
        ("", '{"end": "yes"}', "bad-message", 1008),
        ("", '{"stop": true}', "bad-message", 1008),
        ("", " " * 5000, "too-large", 1009),
    ],
)
def test_odd_messages_are_told(server: Running, session: str, query: str, message: bytes | str, code: str, close: int) -> None:
    with speaking(server, session, query) as (line, _):
        line.send(message)
        assert refused(line) == (code, close)


def test_a_server_that_stops_says_so(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> None:
    with running(settings_for(tmp_path_factory.mktemp("stops")), servers) as server:
        with server.client() as client:
            session = client.post("/v1/sessions", json={"kind": "live"}).json()["id"]
        address = f"{server.url.replace('http', 'ws')}/v1/sessions/{session}/audio"
        line = connect(address, open_timeout=60, compression=None, legacy=True)
        assert "ready" in json.loads(line.recv(timeout=20))
    assert json.loads(line.recv(timeout=20))["error"]["code"] == "stopping"
    assert close_code(line) == 1012
