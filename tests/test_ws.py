"""Live events over a WebSocket: many sessions on one connection, resumed without gap or double, and slow readers."""

import asyncio
import json
import socket
import threading
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from typing import Any, get_args
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from api import access, following, ws
from api import server as api_server
from api.following import Waiting
from engines import live_log
from engines.embedded import Servers
from engines.live_log import Entry, Event, Stream
from tests.api_server import Running, running, settings_for

STREAMS: tuple[Stream, ...] = get_args(Stream)


@pytest.fixture(scope="module")
def server(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(settings_for(tmp_path_factory.mktemp("ws")), servers) as found:
        yield found


def new_session(server: Running) -> str:
    with server.client() as client:
        made: str = client.post("/v1/sessions", json={}).json()["id"]
        return made


@pytest.fixture
def session(server: Running) -> str:
    return new_session(server)


def say(server: Running, session: str, *entries: Entry) -> int:
    return server.do(server.state["live_log"].append_many(UUID(session), entries))


def opened(server: Running, path: str = "/v1/ws", **options: Any) -> ClientConnection:
    options = {"open_timeout": 20, "compression": None, "max_queue": None, "legacy": True, **options}  # legacy: also without `with`
    line: ClientConnection = connect(server.url.replace("http", "ws") + path, **options)
    return line


def tell(line: ClientConnection, **message: Any) -> None:
    line.send(json.dumps(message))


def take(line: ClientConnection, count: int = 1) -> list[dict[str, Any]]:
    return [json.loads(line.recv(timeout=20)) for _ in range(count)]


def one(line: ClientConnection) -> dict[str, Any]:
    return take(line)[0]


def forgotten(server: Running, session: str) -> bool:
    """Whether the session is soon followed by nobody."""
    with server.client() as client:
        for _ in range(1000):
            if UUID(session) not in server.state["live_log"]._followed:
                return True
            client.get("/healthz")
    return False


def token(number: int, text: str = "word") -> Entry:
    return Entry("tokens", 10 * number, {"n": number, "text": text})


def metric(number: int) -> Entry:
    return Entry("metrics", 10 * number, {"n": number})


# what comes


def test_an_event_is_the_envelope_of_every_live_connection(server: Running, session: str) -> None:
    with opened(server) as line:
        tell(line, subscribe=[f"session:{session}:tokens"])
        assert one(line) == {"subscribed": [f"session:{session}:tokens"]}
        say(server, session, Entry("tokens", 1234, {"committed": [{"text": "ä\nb"}]}))
        envelope = {"v": 1, "seq": 1, "session": session, "stream": "tokens", "t_ms": 1234}
        assert one(line) == {**envelope, "data": {"committed": [{"text": "ä\nb"}]}}


def test_only_the_streams_asked_for_come_until_they_are_given_up(server: Running, session: str) -> None:
    everything = [Entry(stream, 0, {}) for stream in STREAMS]
    with opened(server) as line:
        tell(line, subscribe=[f"session:{session}:cue", f"session:{session}:tokens"])
        assert len(one(line)["subscribed"]) == 2
        say(server, session, *everything)
        assert [event["stream"] for event in take(line, 2)] == ["tokens", "cue"]
        tell(line, unsubscribe=[f"session:{session}:tokens"])
        assert one(line) == {"unsubscribed": [f"session:{session}:tokens"]}
        say(server, session, *everything)
        assert (one(line)["stream"]) == "cue"
        tell(line, subscribe=[f"session:{session}:*"])
        assert one(line) == {"subscribed": [f"session:{session}:*"]}
        say(server, session, *everything)
        assert [event["seq"] for event in take(line, 5)] == [11, 12, 13, 14, 15]  # not those before, since it was followed already
        tell(line, unsubscribe=[f"session:{session}:*"])
        assert "unsubscribed" in one(line)
        assert forgotten(server, session)
        tell(line, subscribe=[f"session:{session}:score"], after=5)
        assert [message.get("seq") for message in take(line, 3)] == [None, 8, 13]


def test_several_sessions_share_one_connection(server: Running) -> None:
    sessions = [new_session(server) for _ in range(5)]
    with opened(server) as line:
        tell(line, subscribe=[f"session:{session}:tokens" for session in sessions])
        assert len(one(line)["subscribed"]) == 5
        for number in range(1, 21):
            for session in sessions:
                say(server, session, token(number))
        seen: dict[str, list[int]] = {session: [] for session in sessions}
        for event in take(line, 100):
            seen[event["session"]].append(event["data"]["n"])
    assert seen == {session: list(range(1, 21)) for session in sessions}


def test_a_line_that_drops_is_taken_up_without_gap_or_double(server: Running, session: str) -> None:
    total = 400
    say(server, session, *(metric(number) for number in range(1, 51)))

    def go_on() -> None:
        for number in range(51, total + 1):
            say(server, session, metric(number))

    speaker = threading.Thread(target=go_on)
    speaker.start()
    try:
        met: list[dict[str, Any]] = []
        for count in (1, 70, 3, 150, 176):
            with opened(server) as line:
                tell(line, subscribe=[f"session:{session}:*"], after=met[-1]["seq"] if met else 0)
                assert "subscribed" in one(line)
                met += take(line, count)
    finally:
        speaker.join()
    assert [event["seq"] for event in met] == list(range(1, total + 1))
    assert [event["data"]["n"] for event in met] == list(range(1, total + 1))


def test_another_server_tells_the_same(server: Running, session: str, servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> None:
    with running(settings_for(tmp_path_factory.mktemp("other")), servers) as other, opened(other) as line:
        tell(line, subscribe=[f"session:{session}:*"])
        assert "subscribed" in one(line)
        say(server, session, token(1), metric(2))
        assert [event["seq"] for event in take(line, 2)] == [1, 2]


def test_what_the_log_has_no_more_is_said(server: Running, session: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_log, "MOST_EVENTS", 200)
    last = say(server, session, *(token(number) for number in range(1, 901)))
    with opened(server) as line:
        tell(line, subscribe=[f"session:{session}:tokens"], after=7)
        assert "subscribed" in one(line)
        missed = one(line)["missed"]
        assert missed["session"] == session
        assert missed["from"] == 8
        assert [event["seq"] for event in take(line, last - missed["to"])] == list(range(missed["to"] + 1, last + 1))


def test_a_session_that_is_deleted_ends_its_subscription(server: Running, session: str) -> None:
    say(server, session, token(1))
    with opened(server) as line, server.client() as client:
        tell(line, subscribe=[f"session:{session}:tokens"])
        assert [message.get("seq") for message in take(line, 2)] == [None, 1]
        assert client.delete(f"/v1/sessions/{session}").status_code == 204
        told, left = take(line, 2)
        assert told["data"] == {"session": "deleting"}
        assert left == {"unsubscribed": [f"session:{session}:tokens"]}
        tell(line, subscribe=[f"session:{session}:tokens"], ping=1)
        pong, refused, subscribed = take(line, 3)
        assert pong == {"pong": 1}
        assert refused["error"]["code"] == "no-session"
        assert subscribed == {"subscribed": []}


def test_those_who_leave_are_not_followed_any_more(server: Running, session: str) -> None:
    with opened(server) as line:
        tell(line, subscribe=[f"session:{session}:tokens"])
        say(server, session, token(1))
        take(line, 2)
    assert forgotten(server, session)


# slow readers


def test_a_reader_that_pauses_gets_every_token_and_the_newest_metrics(
    server: Running, session: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "STALE_S", 0.0)  # how long metrics wait before they give way
    rounds, each = 40, 50
    with opened(server, max_queue=1) as line:  # reads no more than a message or two ahead
        tell(line, subscribe=[f"session:{session}:*"])
        assert "subscribed" in one(line)
        for first in range(0, rounds * each, each):  # 4 MB: more than the system takes for a reader that does not read
            numbers = range(first + 1, first + each + 1)
            say(server, session, *(entry for number in numbers for entry in (token(number, "x" * 2000), metric(number))))
        say(server, session, Entry("state", 0, {"last": True}))
        seen: list[dict[str, Any]] = []
        while not seen or seen[-1]["stream"] != "state":
            seen.append(one(line))
    assert [event["data"]["n"] for event in seen if event["stream"] == "tokens"] == list(range(1, rounds * each + 1))
    metrics = [event["data"]["n"] for event in seen if event["stream"] == "metrics"]
    assert metrics == sorted(metrics)
    assert metrics[-1] == rounds * each
    assert len(metrics) < rounds * each
    assert [event["seq"] for event in seen] == sorted(event["seq"] for event in seen)


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 20))


ONE, OTHER = UUID(int=1), UUID(int=2)


def event(stream: Stream, seq: int, whose: UUID = ONE, **data: Any) -> Event:
    return Event(seq=seq, session=whose, stream=stream, t_ms=0, data=data)


def test_of_metrics_that_wait_too_long_only_the_newest_of_each_kind_are_kept() -> None:
    async def test() -> None:
        now = 0.0
        waiting = Waiting(clock=lambda: now)
        for seq in range(1, 4):
            await waiting.put(event("metrics", seq))
        await waiting.put(event("tokens", 4))
        await waiting.put(event("metrics", 5, session={}))  # of the whole session
        await waiting.put(event("metrics", 1, OTHER))
        now = 0.9
        await waiting.put(event("metrics", 6))
        assert waiting.thinned == 0
        now = 1.0
        await waiting.put(event("metrics", 7))
        found = await waiting.take()
        assert [(each.session.int, each.seq) for each in found] == [(1, 4), (1, 5), (2, 1), (1, 6), (1, 7)]
        assert waiting.thinned == 3

    run(test())


def test_what_may_not_be_dropped_waits_for_room() -> None:
    async def test() -> None:
        waiting = Waiting(capacity=3)
        for seq in range(1, 4):
            await waiting.put(event("tokens", seq))
        late = asyncio.create_task(waiting.put(event("tokens", 4)))
        await asyncio.sleep(0)
        assert not late.done()
        assert [each.seq for each in await waiting.take()] == [1, 2, 3]
        await late
        waiting.close()
        assert [each.seq for each in await waiting.take()] == [4]
        assert await waiting.take() == []

    run(test())


def test_metrics_make_room_for_what_comes_when_the_reader_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "STALE_S", 0.0)

    async def test() -> None:
        waiting = Waiting(capacity=3)
        for seq in range(1, 4):
            await waiting.put(event("metrics", seq))
        for seq in range(4, 6):
            await waiting.put(event("tokens", seq))
        assert [each.seq for each in await waiting.take()] == [3, 4, 5]

    run(test())


# what is refused


def refusal(server: Running, path: str = "/v1/ws", **options: Any) -> tuple[int, dict[str, Any]]:
    with pytest.raises(InvalidStatus) as refused, opened(server, path, **options):
        pass
    response = refused.value.response
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-request-id"]
    document: dict[str, Any] = json.loads(response.body or b"")
    return response.status_code, document


def test_foreign_pages_and_names_are_refused(server: Running) -> None:
    assert refusal(server, origin="https://evil.example")[0] == 403
    assert refusal(server, additional_headers={"Sec-Fetch-Site": "cross-site"})[1]["code"] == "foreign-origin"
    with opened(server, origin=server.url) as line:
        tell(line, ping="x")
        assert one(line) == {"pong": "x"}
    parts = urlsplit(server.url)
    with socket.create_connection((parts.hostname or "", parts.port or 0)) as raw:
        raw.sendall(handshake("evil.example"))
        assert raw.recv(64).startswith(b"HTTP/1.1 421 ")


def handshake(host: str) -> bytes:
    lines = ("GET /v1/ws HTTP/1.1", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13")
    return "\r\n".join((*lines, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "", "")).encode()


def test_too_many_connections_and_wrong_addresses_are_refused(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusal(server, "/v1/nothing")[1]["code"] == "unknown-route"
    assert refusal(server, "/")[0] == 404
    with server.client() as client:
        plain = client.get("/v1/ws")
        assert (plain.status_code, plain.json()["code"]) == (426, "not-a-websocket")
    monkeypatch.setattr(access, "MOST_SOCKETS", 0)
    status, document = refusal(server)
    assert (status, document["code"]) == (503, "sockets-busy")
    with server.client() as client:
        assert client.post("/v1/sessions", json={}).status_code == 201  # nothing else is refused


def test_each_subscription_is_refused_by_itself(server: Running, session: str) -> None:
    unknown = str(uuid4())
    base = f"session:{session}"
    bad = ("tokens", f"{base}:words", base, "session:1:tokens", f"room:{session}:tokens", f"{base}:*:*", f"{base}:")
    with opened(server) as line:
        tell(line, subscribe=[f"session:{unknown}:tokens", *bad, f"session:{session}:tokens"])
        answers = take(line, 2 + len(bad))
        assert [(answer["error"]["code"], answer["error"]["subscription"]) for answer in answers[:-1]] == [
            ("no-session", f"session:{unknown}:tokens"),
            *(("bad-subscription", name) for name in bad),
        ]
        assert answers[-1] == {"subscribed": [f"session:{session}:tokens"]}


def test_too_many_sessions_are_refused(server: Running, session: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ws, "MOST_SESSIONS", 1)
    other = new_session(server)
    names = [f"session:{session}:tokens", f"session:{other}:tokens", f"session:{session}:cue"]
    with opened(server) as line:
        for _ in range(2):
            tell(line, subscribe=names)
            refused, subscribed = take(line, 2)
            assert (refused["error"]["code"], refused["error"]["subscription"]) == ("too-many-sessions", names[1])
            assert subscribed == {"subscribed": [names[0], names[2]]}
        tell(line, unsubscribe=[f"session:{session}:*"])
        tell(line, subscribe=[names[1]])
        assert take(line, 2)[1] == {"subscribed": [names[1]]}


@pytest.mark.parametrize(
    "message",
    [
        {"subscribe": "x"},
        {"say": 1},
        {"after": 1},
        {"subscribe": [], "after": -1},
        {"after": 1.5},
        [],
        "ping",
        {"ping": [1]},
    ],
)
def test_a_message_that_does_not_fit_is_explained(server: Running, message: object) -> None:
    with opened(server) as line:
        line.send(json.dumps(message))
        error = one(line)["error"]
        assert error["code"] == "bad-message"
        assert '{"subscribe"' in error["detail"]
        tell(line, ping=2)
        assert one(line) == {"pong": 2}


@pytest.mark.parametrize(
    ("message", "code", "close"),
    [
        ("{", "bad-message", 1007),
        (b"\0\0", "bad-message", 1003),
        (" " * 70_000, "too-large", 1009),
        (json.dumps({"subscribe": ["x"] * 600}), "bad-message", 1008),
    ],
)
def test_what_cannot_be_understood_at_all_closes_the_connection(server: Running, message: str | bytes, code: str, close: int) -> None:
    with opened(server) as line:
        line.send(message)
        assert one(line)["error"]["code"] == code
        with pytest.raises(ConnectionClosed) as closed:
            line.recv(timeout=20)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == close


def test_a_huge_message_is_not_even_read(server: Running) -> None:
    with opened(server) as line:
        with suppress(ConnectionClosed):
            line.send("x" * (3 * 2**20))
        with pytest.raises(ConnectionClosed):
            line.recv(timeout=20)


# the life of a connection


def test_a_server_that_stops_says_so(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> None:
    with running(settings_for(tmp_path_factory.mktemp("stops")), servers) as server:
        line = opened(server)
    assert one(line)["error"]["code"] == "stopping"
    with pytest.raises(ConnectionClosed) as closed:
        line.recv(timeout=20)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1012, "The server stops")


def test_the_server_pings(servers: Servers, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_server, "PING_EVERY_S", 0.05)
    with running(settings_for(tmp_path_factory.mktemp("pings")), servers) as server:
        parts = urlsplit(server.url)
        with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20) as raw, raw.makefile("rb") as received:
            raw.sendall(handshake(parts.netloc))
            assert received.readline().startswith(b"HTTP/1.1 101 ")
            while received.readline().strip():
                pass
            assert received.read(1) == b"\x89"  # FIN, ping
