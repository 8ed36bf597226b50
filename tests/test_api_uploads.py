"""Recordings come in whole, by every way; or not at all, with a reason; and many at once."""

import asyncio
import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import pytest

from api import bodies, uploads
from api.problems import Refused
from api.uploads import PART_BYTES, Places
from config.settings import S3Settings
from db import sessions as db_sessions
from engines.embedded import Servers
from tests.api_server import Running, running, settings_for

WAV = {"content-type": "audio/wav"}


@pytest.fixture(scope="module")
def server(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(settings_for(tmp_path_factory.mktemp("api")), servers) as found:
        yield found


@pytest.fixture
def client(server: Running) -> Iterator[httpx.Client]:
    with server.client() as found:
        yield found


def made(client: httpx.Client, **wanted: Any) -> dict[str, Any]:
    answer = client.post("/v1/sessions", json=wanted)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def stored(server: Running, session: str) -> bytes:
    return server.do(server.state["blobs"].read(f"{server.state['member'].org}/{session}/source"))


def leftovers(server: Running) -> list[str]:
    """What is half written or half uploaded."""
    blobs = server.state["settings"].data / "blobs"
    return [str(path.relative_to(blobs)) for name in ("tmp", "uploads") for path in (blobs / name).rglob("*")]


# by one PUT


def test_a_put_by_its_link_is_processed(server: Running, client: httpx.Client) -> None:
    content = os.urandom(100_000)
    session = made(client, filename="a.wav", content_type="audio/wav", size=len(content))
    put = session["upload"]["put"]
    assert urlsplit(put["url"]).netloc == urlsplit(server.url).netloc  # the name under which the client knows the server
    assert client.request(put["method"], put["url"], content=content, headers=put["headers"]).status_code == 200
    done = client.post(f"/v1/sessions/{session['id']}/upload/complete")
    assert done.json()["media"] == {"filename": "a.wav", "content_type": "audio/wav", "size": len(content), "complete": True}
    assert client.post(f"/v1/sessions/{session['id']}/process").json()["state"] == "processing"
    assert stored(server, session["id"]) == content
    assert client.get(f"/v1/sessions/{session['id']}/upload").json()["complete"]


def test_a_put_without_complete_is_enough_to_process(client: httpx.Client) -> None:
    session = made(client, content_type="audio/wav", size=4)
    client.put(session["upload"]["put"]["url"], content=b"RIFF", headers=WAV)
    assert client.post(f"/v1/sessions/{session['id']}/process").json()["media"]["complete"]


@pytest.mark.parametrize(
    ("content", "headers", "change", "status", "code"),
    [
        (b"12345", WAV, ("size=4", "size=5"), 403, "bad-signature"),
        (b"12345", WAV, None, 413, "link-size"),
        (b"123", WAV, None, 403, "bad-signature"),
        (b"1234", {"content-type": "text/html"}, None, 415, "link-type"),
        (b"1234", WAV, ("source", "report/page.html"), 403, "bad-signature"),
        (b"1234", WAV, ("method=PUT", "method=GET"), 403, "bad-signature"),
    ],
)
def test_a_link_allows_what_it_was_made_for(
    client: httpx.Client, content: bytes, headers: dict[str, str], change: tuple[str, str] | None, status: int, code: str
) -> None:
    session = made(client, content_type="audio/wav", size=4)
    url = session["upload"]["put"]["url"]
    answer = client.put(url.replace(*change) if change else url, content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert client.post(f"/v1/sessions/{session['id']}/upload/complete").json()["code"] == "not-uploaded"


def test_a_chunked_put_is_stopped_where_the_link_ends(server: Running, client: httpx.Client) -> None:
    session = made(client, content_type="audio/wav", size=4)
    for chunks, code in (([b"123", b"45"], "link-size"), ([b"12"], "cut-short")):
        answer = client.put(session["upload"]["put"]["url"], content=iter(chunks), headers=WAV)
        assert answer.json()["code"] == code
    assert leftovers(server) == []


def test_a_link_expires(server: Running, client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    session = made(client, content_type="audio/wav", size=4)
    blobs = server.state["blobs"]
    monkeypatch.setattr(blobs, "_now", lambda now=blobs._now: now() + uploads.LINKS_LIVE_S + 2)  # type: ignore[attr-defined]
    answer = client.put(session["upload"]["put"]["url"], content=b"RIFF", headers=WAV)
    assert (answer.status_code, answer.json()["code"]) == (403, "link-expired")
    fresh = client.get(f"/v1/sessions/{session['id']}/upload").json()["put"]
    assert client.put(fresh["url"], content=b"RIFF", headers=WAV).status_code == 200


# by parts


def brought_in_parts(client: httpx.Client, content: bytes) -> str:
    """Broken off, resumed and completed."""
    session = made(client, filename="long.wav", content_type="audio/wav", size=len(content))
    upload = session["upload"]
    assert [part["offset"] for part in upload["parts"]] == list(range(0, len(content), PART_BYTES))

    def send(part: dict[str, Any]) -> httpx.Response:
        piece = content[part["offset"] : part["offset"] + part["size"]]
        return client.request(part["method"], part["url"], content=piece, headers=part["headers"])

    assert send(upload["parts"][1]).status_code == 200  # in any order; then the line breaks
    path = f"/v1/sessions/{session['id']}/upload"
    answer = client.post(f"{path}/complete")
    assert (answer.status_code, answer.json()["code"], answer.json()["missing"]) == (409, "parts-missing", [1, 3])
    assert client.post(f"/v1/sessions/{session['id']}/process").json()["code"] == "not-uploaded"
    resumed = client.get(path).json()
    assert resumed["upload_id"] == upload["upload_id"]
    assert resumed["there"] == [{"number": 2, "size": PART_BYTES}]
    assert [part["number"] for part in resumed["parts"]] == [1, 3]
    for part in resumed["parts"]:
        assert send(part).status_code == 200
    for _ in range(2):  # an answer that was lost is asked for again
        assert client.post(f"{path}/complete").json()["media"]["complete"]
    assert client.get(path).json()["complete"]
    assert client.post(f"/v1/sessions/{session['id']}/process").status_code == 202
    return str(session["id"])


def test_an_upload_that_broke_off_is_resumed(server: Running, client: httpx.Client) -> None:
    content = os.urandom(2 * PART_BYTES + 12_345)
    session = brought_in_parts(client, content)
    assert stored(server, session) == content
    assert leftovers(server) == []


def test_a_part_of_the_wrong_size_counts_as_missing(server: Running, client: httpx.Client) -> None:
    session = made(client, content_type="audio/wav", size=PART_BYTES + 5)
    key, upload_id = f"{server.state['member'].org}/{session['id']}/source", session["upload"]["upload_id"]
    for number, size in ((1, 7), (2, 5)):
        link = server.do(server.state["blobs"].signed_part(key, upload_id, number, size, 60))
        assert client.put(link.url, content=bytes(size)).status_code == 200
    answer = client.post(f"/v1/sessions/{session['id']}/upload/complete")
    assert (answer.json()["code"], answer.json()["missing"]) == ("parts-missing", [1])
    assert client.delete(f"/v1/sessions/{session['id']}").status_code == 204
    assert leftovers(server) == []


def test_the_same_with_s3(servers: Servers, s3: S3Settings, tmp_path_factory: pytest.TempPathFactory) -> None:
    content = os.urandom(2 * PART_BYTES + 12_345)
    with running(settings_for(tmp_path_factory.mktemp("api"), s3), servers) as server, server.client() as client:
        session = brought_in_parts(client, content)
        assert stored(server, session) == content
        small = made(client, content_type="audio/wav", size=4)
        put = small["upload"]["put"]
        assert client.put(put["url"], content=b"RIFF", headers=put["headers"]).status_code == 200
        assert client.post(f"/v1/sessions/{small['id']}/process").status_code == 202
        assert client.get("/v1/blobs/a/b").json()["code"] == "unknown-route"
        server.put(small["id"], "audio.mp3", bytes(1000), "audio/mpeg")
        assert client.get(f"/v1/sessions/{small['id']}/audio", headers={"range": "bytes=10-19"}).content == bytes(10)
        for each in (session, small["id"]):
            assert client.delete(f"/v1/sessions/{each}").status_code == 204
            assert server.blob_keys(each) == []


# as a form, or raw


def test_a_form_with_other_fields_is_taken(server: Running, client: httpx.Client) -> None:
    content = os.urandom(300_000) + b"\r\n--not-the-boundary\r\n"
    session = made(client)["id"]
    files: list[Any] = [
        ("note", (None, b"x" * 70_000)),
        ("file", ('Räde "1".wav', content, "audio/x-wav")),
        ("file", ("second.wav", b"no")),
    ]
    answer = client.post(f"/v1/sessions/{session}/media", files=files)
    assert answer.status_code == 201, answer.text
    assert answer.json()["media"]["size"] == len(content)
    assert answer.json()["media"]["content_type"] == "audio/x-wav"
    assert answer.json()["media"]["filename"].startswith("Räde ")
    assert stored(server, session) == content
    digest = server.sql("select sha256 from media where session_id = $1", UUID(session))[0]["sha256"]
    assert digest == hashlib.sha256(content).hexdigest()


def test_a_raw_body_is_taken(server: Running, client: httpx.Client) -> None:
    session = made(client)["id"]
    chunks = [os.urandom(1000) for _ in range(40)]
    answer = client.post(f"/v1/sessions/{session}/media", content=iter(chunks), headers={"content-type": "audio/webm;codecs=opus"})
    assert (answer.status_code, answer.json()["media"]["content_type"]) == (201, "audio/webm")
    assert stored(server, session) == b"".join(chunks)


HEAD = b'--xx\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n'


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (HEAD + b"RIFF\r\n--xx", 400, "cut-short"),
        (HEAD + b"RIFF", 400, "cut-short"),
        (HEAD + b"\r\n--xx--\r\n", 422, "empty-upload"),
        (HEAD.replace(b'"file"', b'"other"') + b"RIFF\r\n--xx--\r\n", 400, "bad-form"),
        (HEAD.replace(b"audio/wav", b"text/html") + b"RIFF\r\n--xx--\r\n", 415, "wrong-type"),
        (b"no form at all", 400, "bad-form"),
        (b"--xx--\r\n", 400, "bad-form"),
    ],
)
def test_a_broken_form_leaves_nothing(server: Running, client: httpx.Client, body: bytes, status: int, code: str) -> None:
    session = made(client)["id"]
    answer = client.post(f"/v1/sessions/{session}/media", content=body, headers={"content-type": "multipart/form-data; boundary=xx"})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (server.blob_keys(session), leftovers(server)) == ([], [])
    assert "media" not in client.get(f"/v1/sessions/{session}").json()


def test_a_body_without_end_is_stopped_at_the_limit(server: Running, client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MOST_BYTES", 100_000)
    session = made(client)["id"]
    answer = client.post(f"/v1/sessions/{session}/media", content=iter([bytes(30_000)] * 4), headers=WAV)
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")
    assert (server.blob_keys(session), leftovers(server)) == ([], [])


def test_a_recording_is_not_replaced_once_it_is_processed(client: httpx.Client) -> None:
    session = made(client)["id"]
    for _ in range(2):  # until then it may be sent again
        assert client.post(f"/v1/sessions/{session}/media", content=b"RIFF", headers=WAV).status_code == 201
    client.post(f"/v1/sessions/{session}/process")
    answer = client.post(f"/v1/sessions/{session}/media", content=b"other", headers=WAV)
    assert (answer.status_code, answer.json()["code"]) == (409, "already-uploaded")


class Line:
    """An upload over a bare connection, as slow as the test likes."""

    def __init__(self, server: Running, session: str) -> None:
        where = urlsplit(server.url)
        self.raw = socket.create_connection((where.hostname, where.port), timeout=20)
        head = (
            f"POST /v1/sessions/{session}/media HTTP/1.1",
            "Host: localhost",
            "Content-Type: audio/wav",
            "Content-Length: 100",
            "Connection: close",
            "",
            "",
        )
        self.raw.sendall("\r\n".join(head).encode() + b"RIFF")

    def answer(self) -> bytes:
        return b"".join(iter(lambda: self.raw.recv(65_536), b""))


def test_a_deleted_session_takes_no_upload_that_was_under_way(server: Running, client: httpx.Client) -> None:
    session = made(client)["id"]
    line = Line(server, session)
    while not leftovers(server):  # it has begun to be written
        client.get("/healthz")
    assert client.delete(f"/v1/sessions/{session}").status_code == 204
    line.raw.sendall(bytes(96))
    assert b'"code": "no-session"' in line.answer()
    assert (server.blob_keys(session), leftovers(server)) == ([], [])


def test_an_upload_that_breaks_off_leaves_nothing(server: Running, client: httpx.Client) -> None:
    session = made(client)["id"]
    line = Line(server, session)
    while not leftovers(server):
        client.get("/healthz")
    line.raw.close()
    while leftovers(server):
        client.get("/healthz")
    assert server.blob_keys(session) == []


def test_slow_uploads_block_nobody_and_are_given_up(server: Running, client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    slow, quick = made(client)["id"], made(client)["id"]
    with ExitStack() as lines:
        dripping = [Line(server, slow) for _ in range(31)]  # one place is left
        for line in dripping:
            lines.callback(line.raw.close)
        while len(leftovers(server)) < len(dripping):
            client.get("/healthz")
        assert client.post(f"/v1/sessions/{quick}/media", content=b"RIFF", headers=WAV).status_code == 201
        assert client.get("/v1/sessions").status_code == 200
    while leftovers(server):
        client.get("/healthz")
    monkeypatch.setattr(bodies, "GRACE_S", 0.1)
    monkeypatch.setattr(bodies, "SLOWEST_BYTES_S", 1e9)
    line = Line(server, slow)
    answer = line.answer()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code": "too-slow"' in answer
    assert leftovers(server) == []


# many at once


def test_places_are_bounded_and_so_are_those_who_wait() -> None:
    async def rush() -> tuple[int, int, int]:
        places = Places(inside=2, waiting=3, wait_s=60.0)
        held, inside, most = asyncio.Event(), 0, 0

        async def one() -> str:
            nonlocal inside, most
            try:
                async with places.taken():
                    inside += 1
                    most = max(most, inside)
                    await held.wait()
                    inside -= 1
            except Refused as refused:
                return refused.code
            return "in"

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one()) for _ in range(10)]
            for _ in range(20):
                await asyncio.sleep(0)
            assert places.refused == 5  # at once; nobody has waited yet
            held.set()
        results = [task.result() for task in tasks]
        return most, results.count("in"), results.count("uploads-busy")

    assert asyncio.run(rush()) == (2, 5, 5)


def test_a_place_that_does_not_become_free_in_time_is_refused() -> None:
    async def wait() -> None:
        places = Places(inside=1, waiting=1, wait_s=0.01)
        async with places.taken():
            with pytest.raises(Refused, match="Too many"):
                async with places.taken():
                    pass
        async with places.taken():  # it was given back
            assert places.refused == 1

    asyncio.run(wait())


def test_a_burst_of_a_hundred_is_accepted_or_told_to_come_back(server: Running) -> None:
    content = os.urandom(200_000)

    async def one(client: httpx.AsyncClient) -> tuple[str, int, int]:
        session = (await client.post("/v1/sessions", json={})).json()["id"]
        sent = await client.post(f"/v1/sessions/{session}/media", files={"file": ("a.wav", content, "audio/wav")})
        if sent.status_code != 201:
            assert int(sent.headers["retry-after"]) > 0
            return session, sent.status_code, 0
        begun = await client.post(f"/v1/sessions/{session}/process")
        return session, sent.status_code, begun.status_code

    async def burst() -> list[tuple[str, int, int]]:
        limits = httpx.Limits(max_connections=100)
        async with httpx.AsyncClient(base_url=server.url, timeout=60, limits=limits) as client:
            return await asyncio.gather(*(one(client) for _ in range(100)))

    results = asyncio.run(burst())
    assert {sent for _, sent, _ in results} <= {201, 503}
    accepted = [session for session, sent, _ in results if sent == 201]
    assert len(accepted) >= 32
    assert {begun for _, sent, begun in results if sent == 201} <= {202, 429}
    assert all(stored(server, session) == content for session in accepted)
    assert leftovers(server) == []

    async def states(tx: Any) -> list[str]:
        found = [await db_sessions.get(tx, UUID(session)) for session, _, begun in results if begun == 202]
        return [session.state for session in found if session]

    assert set(server.tenant(states)) == {"processing"}
