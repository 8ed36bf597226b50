"""Live events over HTTP: all that was, then all that comes, in order, once, also for those who come back."""

import json
import threading
from collections.abc import Iterator
from typing import Any, get_args
from uuid import UUID

import httpx
import pytest

from api import events as api_events
from api import following
from engines.embedded import Servers
from engines.live_log import Entry, Stream
from tests.api_server import Running, running, settings_for


@pytest.fixture(scope="module")
def server(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(settings_for(tmp_path_factory.mktemp("api")), servers) as found:
        yield found


@pytest.fixture
def session(server: Running) -> str:
    with server.client() as client:
        made: str = client.post("/v1/sessions", json={}).json()["id"]
        return made


def say(server: Running, session: str, *entries: Entry) -> int:
    return server.do(server.state["live_log"].append_many(UUID(session), entries))


def heard(server: Running, session: str, count: int, query: str = "", headers: dict[str, str] | None = None) -> list[dict[str, Any]]:
    """The first events that come; then the line is dropped."""
    found: list[dict[str, Any]] = []
    with server.client() as client, client.stream("GET", f"/v1/sessions/{session}/events{query}", headers=headers or {}) as stream:
        assert stream.status_code == 200
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert stream.headers["x-accel-buffering"] == "no"
        event_id = None
        for line in stream.iter_lines():
            name, _, value = line.partition(": ")
            if name == "id":
                event_id = int(value)
            if name == "data":
                event = json.loads(value)
                assert event_id in (None, event["seq"])
                found.append(event)
            if not line and len(found) == count:
                return found
    return found


def metric(number: int) -> Entry:
    return Entry("metrics", 200 * number, {"rate_wpm": number})


def test_an_event_is_the_envelope_of_every_live_connection(server: Running, session: str) -> None:
    say(server, session, Entry("tokens", 1234, {"committed": [{"text": "ä\nb"}]}))
    assert heard(server, session, 1) == [
        {"v": 1, "seq": 1, "session": session, "stream": "tokens", "t_ms": 1234, "data": {"committed": [{"text": "ä\nb"}]}}
    ]


def test_only_the_streams_asked_for_come(server: Running, session: str) -> None:
    streams: tuple[Stream, ...] = get_args(Stream)
    say(server, session, *(Entry(stream, 0, {}) for stream in (*streams, *streams)))
    wanted = ["tokens", "metrics"]
    assert [event["stream"] for event in heard(server, session, 4, "?streams=metrics,tokens")] == wanted * 2
    assert [event["stream"] for event in heard(server, session, 5)] == list(streams)


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
        for take in (1, 70, 3, 150, 176):
            headers = {"last-event-id": str(met[-1]["seq"])} if met else {}
            met += heard(server, session, take, "?after=0", headers)  # the header counts more than the address
    finally:
        speaker.join()
    assert [event["seq"] for event in met] == list(range(1, total + 1))
    assert [event["data"]["rate_wpm"] for event in met] == list(range(1, total + 1))
    assert [event["seq"] for event in heard(server, session, 2, f"?after={total - 2}")] == [total - 1, total]


def test_a_silent_session_says_that_it_lives(server: Running, session: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_events, "HEARTBEAT_S", 0.05)
    with server.client() as client, client.stream("GET", f"/v1/sessions/{session}/events") as stream:
        assert next(line for line in stream.iter_lines() if line).startswith(":")


def test_a_reader_that_pauses_gets_every_token_and_the_newest_metrics(
    server: Running, session: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "STALE_S", 0.0)  # how long metrics wait before they give way
    rounds, each = 60, 50
    seen: list[dict[str, Any]] = []
    with server.client() as client, client.stream("GET", f"/v1/sessions/{session}/events") as stream:
        for first in range(0, rounds * each, each):  # 6 MB: more than the system takes for a reader that does not read
            numbers = range(first + 1, first + each + 1)
            say(server, session, *(entry for n in numbers for entry in (Entry("tokens", 0, {"n": n, "text": "x" * 2000}), metric(n))))
        say(server, session, Entry("state", 0, {"last": True}))
        for line in stream.iter_lines():
            if line.startswith("data: "):
                seen.append(json.loads(line[6:]))
                if seen[-1]["stream"] == "state":
                    break
    assert [event["data"]["n"] for event in seen if event["stream"] == "tokens"] == list(range(1, rounds * each + 1))
    metrics = [event["data"]["rate_wpm"] for event in seen if event["stream"] == "metrics"]
    assert metrics == sorted(metrics)
    assert metrics[-1] == rounds * each
    assert len(metrics) < rounds * each


def test_those_who_leave_are_not_followed_any_more(server: Running, session: str) -> None:
    say(server, session, metric(1))
    live = server.state["live_log"]
    heard(server, session, 1)
    with server.client() as client:
        while UUID(session) in live._followed:
            client.get("/healthz")


def test_followers_of_a_deleted_session_are_told_and_sent_away(server: Running, session: str) -> None:
    say(server, session, metric(1))
    with (
        server.client() as client,
        server.client() as other,
        client.stream("GET", f"/v1/sessions/{session}/events?streams=metrics") as stream,
    ):
        lines = stream.iter_lines()
        assert any(line.startswith("data: ") for line in lines)
        assert other.delete(f"/v1/sessions/{session}").status_code == 204
        rest = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]  # it ends
    assert [event["data"] for event in rest] == [{"session": "deleting"}]


def test_streams_end_when_the_server_stops(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> None:
    ended = []
    with running(settings_for(tmp_path_factory.mktemp("api")), servers) as server:
        client = httpx.Client(base_url=server.url, timeout=30)
        session = client.post("/v1/sessions", json={}).json()["id"]
        say(server, session, metric(1))
        begun = threading.Event()

        def listen() -> None:
            with client.stream("GET", f"/v1/sessions/{session}/events") as stream:
                for line in stream.iter_lines():
                    if line.startswith("data: "):
                        begun.set()
            ended.append(True)  # cleanly: a line that was cut raises

        listener = threading.Thread(target=listen)
        listener.start()
        assert begun.wait(20)
    listener.join(20)
    client.close()
    assert ended == [True]
