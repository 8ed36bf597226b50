"""Clips over HTTP: listed with links that work, made within the recording, played with ranges, deleted with their files."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from api import clips as api_clips
from batch.clips import SUFFIXES
from config import graph
from db import clips, sessions, steps
from db.clips import Rendered
from db.pool import Tx
from db.reports import ReportFile
from engines.embedded import Servers
from tests.api_server import Running, running, settings_for

HASHES = graph.hashes(graph.root_hash("source"))


@pytest.fixture(scope="module")
def server(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(settings_for(tmp_path_factory.mktemp("api")), servers) as found:
        yield found


@pytest.fixture
def client(server: Running) -> Iterator[httpx.Client]:
    with server.client() as found:
        yield found


def coached(server: Running, *moments: tuple[str, float, float]) -> str:
    """A finished session of 60 s with a rendered clip of each moment."""

    async def begun(tx: Tx) -> UUID:
        session = (await sessions.create(tx, "A talk", "upload")).id
        await sessions.describe(tx, session, 60.0, "en")
        for name, input_hash in HASHES.items():
            await steps.queue(tx, session, name, input_hash)
            await steps.finish(tx, session, name, input_hash, {})
        await sessions.set_state(tx, session, "complete")
        return session

    session: UUID = server.tenant(begun)
    rendered = [(name, rendering(server, str(session), name, start_s, end_s)) for name, start_s, end_s in moments]
    server.tenant(lambda tx: clips.store(tx, session, rendered, ()))
    return str(session)


def rendering(server: Running, session: str, name: str, start_s: float, end_s: float) -> Rendered:
    files = []
    for suffix in SUFFIXES:
        content = f"{name}{suffix}".encode()
        key = server.put(session, f"clips/{name}{suffix}", content)
        files.append(ReportFile(f"clip{suffix}", key, len(content), "video/mp4" if suffix == ".mp4" else "text/plain"))
    return Rendered(round(start_s * 16_000), round(end_s * 16_000), tuple(files))


def of(client: httpx.Client, session: str) -> list[dict[str, Any]]:
    answer = client.get(f"/v1/sessions/{session}/clips")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["clips"]
    return found


def test_clips_are_listed_and_their_links_work(server: Running, client: httpx.Client) -> None:
    session = coached(server, ("m2", 31.25, 40.0), ("m1", 3.0, 9.5))
    found = of(client, session)
    assert [(clip["moment"], clip["start_s"], clip["end_s"]) for clip in found] == [("m1", 3.0, 9.5), ("m2", 31.25, 40.0)]
    for clip in found:
        for file, suffix in zip(clip["files"], SUFFIXES, strict=True):
            content = f"{clip['moment']}{suffix}".encode()
            assert client.get(file["url"]).content == content
            assert client.get(file["link"]).content == content
            assert file["size"] == len(content)
    video = found[0]["files"][0]["url"]
    part = client.get(video, headers={"range": "bytes=1-2"})
    assert (part.status_code, part.content, part.headers["content-type"]) == (206, b"1.", "video/mp4")
    assert "content-disposition" not in part.headers
    assert 'filename="A talk m1.mp4"' in client.get(video, params={"download": "1"}).headers["content-disposition"]


def test_a_clip_of_ones_own_is_made_and_its_step_is_due(server: Running, client: httpx.Client) -> None:
    session = coached(server, ("m1", 3.0, 9.5))
    answer = client.post(f"/v1/sessions/{session}/clips", json={"start_s": 10, "end_s": 12.5, "label": "Mine"})
    assert answer.status_code == 201
    made = answer.json()
    assert (made["moment"], made["label"], made["start_s"], made["end_s"], made["files"]) == (None, "Mine", 10.0, 12.5, [])
    assert answer.headers["location"] == f"/v1/sessions/{session}/clips/{made['id']}"
    assert [clip["id"] for clip in of(client, session)][1] == made["id"]
    assert client.get(f"/v1/sessions/{session}").json()["state"] == "processing"
    due = server.sql("select subject, payload from outbox where payload ->> 'session' = $1", session)
    assert [(row["subject"], row["payload"]["input_hash"]) for row in due] == [("clips", HASHES["clips"])]
    other = client.post(f"/v1/sessions/{session}/clips", json={"start_s": 10, "end_s": 12})
    assert (other.status_code, other.json()["code"]) == (409, "wrong-state")


@pytest.mark.parametrize(
    ("start_s", "end_s"), [(5, 5.4), (5, 4), (58, 60.5), (0, 121), (-1, 5)], ids=["short", "backwards", "beyond", "long", "before"]
)
def test_what_cannot_be_cut_out_is_said(server: Running, client: httpx.Client, start_s: float, end_s: float) -> None:
    session = coached(server)
    answer = client.post(f"/v1/sessions/{session}/clips", json={"start_s": start_s, "end_s": end_s})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid" if start_s < 0 else "bad-span")
    assert of(client, session) == []
    assert client.get(f"/v1/sessions/{session}").json()["state"] == "complete"


def test_there_is_an_end_to_clips(server: Running, client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_clips, "MOST_OWN", 1)
    session = coached(server, ("m1", 3.0, 9.5))
    server.tenant(lambda tx: clips.add(tx, UUID(session), "", 0, 16_000))
    answer = client.post(f"/v1/sessions/{session}/clips", json={"start_s": 10, "end_s": 12})
    assert (answer.status_code, answer.json()["code"]) == (409, "many-clips")


def test_a_deleted_clip_takes_its_files_but_none_that_another_shares(server: Running, client: httpx.Client) -> None:
    session = coached(server, ("m1", 3.0, 9.5), ("m2", 20.0, 26.0))

    async def shared(tx: Tx) -> None:
        first = next(clip for clip in await clips.of(tx, UUID(session)) if clip.moment == "m1")
        await clips.add(tx, UUID(session), "the same", first.start, first.end)
        await clips.store(tx, UUID(session), (), (Rendered(first.start, first.end, first.files),))

    moments = {clip["moment"]: clip for clip in of(client, session)}
    assert client.delete(f"/v1/sessions/{session}/clips/{moments['m2']['id']}").status_code == 204
    assert [key.rpartition("/")[2] for key in server.blob_keys(session)] == sorted(f"m1{suffix}" for suffix in SUFFIXES)
    server.tenant(shared)  # the moments are gone from the coaching, and the user's own clip has their files
    (own,) = of(client, session)
    assert client.get(own["files"][0]["url"]).content == b"m1.mp4"
    assert client.delete(f"/v1/sessions/{session}/clips/{own['id']}").status_code == 204
    assert server.blob_keys(session) == []
    assert client.delete(f"/v1/sessions/{session}/clips/{own['id']}").json()["code"] == "no-clip"


def test_what_is_not_there_is_refused(server: Running, client: httpx.Client) -> None:
    session = coached(server, ("m1", 3.0, 9.5))
    (clip,) = of(client, session)
    base = f"/v1/sessions/{session}/clips"
    assert client.get(f"{base}/{uuid4()}/clip.mp4").json()["code"] == "no-clip"
    assert client.get(f"{base}/{clip['id']}/other.mp4").json()["code"] == "no-file"
    assert client.get(f"/v1/sessions/{uuid4()}/clips").json()["code"] == "no-session"
