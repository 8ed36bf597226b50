"""Sessions over HTTP: made once, listed whole, processed once, read, and gone when deleted."""

import asyncio
import io
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import numpy as np
import pytest

from api import sessions as api_sessions
from api.app import tidy
from batch.export import save_frames
from config import graph
from config.rubrics import rubrics
from db import documents, drills, reports, series, steps, transcripts
from db.pool import Tx
from db.reports import ReportFile
from engines.embedded import Servers
from speech.analysis import Second
from speech.audio import HOP, RATE_HZ, Frames, State
from speech.words import Transcript, Word
from tests.api_server import Running, running, settings_for

TABLES = ("sessions", "media", "steps", "transcripts", "words", "fluency", "scores", "reports", "series")


@pytest.fixture(scope="module")
def server(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(settings_for(tmp_path_factory.mktemp("api")), servers) as found:
        yield found


@pytest.fixture
def client(server: Running) -> Iterator[httpx.Client]:
    with server.client() as found:
        yield found


def made(client: httpx.Client, **wanted: Any) -> str:
    answer = client.post("/v1/sessions", json=wanted)
    assert answer.status_code == 201, answer.text
    found: str = answer.json()["id"]
    return found


def uploaded(client: httpx.Client, content: bytes = b"RIFF....") -> str:
    session = made(client, title="a talk")
    answer = client.post(f"/v1/sessions/{session}/media", content=content, headers={"content-type": "audio/wav"})
    assert answer.status_code == 201, answer.text
    return session


def queued(server: Running, session: str) -> list[dict[str, str]]:
    """The messages that were left for the bus, oldest first. No worker and no relay runs here."""
    rows = server.sql("select subject, payload from outbox where payload ->> 'session' = $1 order by id", session)
    return [{"subject": row["subject"], **row["payload"]} for row in rows]


# made, listed, changed


def test_a_session_is_made_and_found_again(client: httpx.Client) -> None:
    answer = client.post("/v1/sessions", json={"title": "Räde 🎤", "kind": "live"})
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/sessions/{answer.json()['id']}"
    found = client.get(answer.headers["location"]).json()
    assert (found["title"], found["kind"], found["state"]) == ("Räde 🎤", "live", "created")
    assert found["steps"] == []
    assert datetime.fromisoformat(found["created_at"]).tzinfo is not None
    assert client.post("/v1/sessions").status_code == 201  # nothing is wanted: all has defaults


def test_a_session_that_nobody_named_is_called_as_its_recording(client: httpx.Client) -> None:
    session = made(client, filename="my talk.wav", size=4)
    assert client.get(f"/v1/sessions/{session}").json()["title"] == "my talk"
    session = made(client)
    client.post(f"/v1/sessions/{session}/media", files={"file": ("other.wav", b"RIFF", "audio/wav")})
    assert client.get(f"/v1/sessions/{session}").json()["title"] == "other"


def test_a_title_can_be_changed(client: httpx.Client) -> None:
    session = made(client, title="before")
    answer = client.patch(f"/v1/sessions/{session}", json={"title": "after"})
    assert (answer.status_code, answer.json()["title"]) == (200, "after")
    assert client.patch(f"/v1/sessions/{session}", json={}).status_code == 422


def test_the_text_that_is_read_is_kept_changed_and_removed(client: httpx.Client) -> None:
    text = "It was the best of times,\nit was the worst of times. " + "é" * 19_000
    session = made(client, style="read-aloud", script=text)
    found = client.get(f"/v1/sessions/{session}").json()
    assert (found["style"], found["script"]) == ("read-aloud", text)
    assert client.patch(f"/v1/sessions/{session}", json={"script": "other"}).json()["script"] == "other"
    assert client.patch(f"/v1/sessions/{session}", json={"title": "named"}).json()["script"] == "other"
    assert all("script" not in one for one in client.get("/v1/sessions").json()["sessions"])  # a list stays small
    for none in (None, ""):
        client.patch(f"/v1/sessions/{session}", json={"script": "other"})
        assert "script" not in client.patch(f"/v1/sessions/{session}", json={"script": none}).json()
    for wrong in ("x" * 20_001, "nul\x00", 3):
        assert client.patch(f"/v1/sessions/{session}", json={"script": wrong}).json()["code"] == "invalid"
        assert client.post("/v1/sessions", json={"script": wrong}).json()["code"] == "invalid"


def test_a_session_is_of_who_made_it(server: Running, client: httpx.Client) -> None:
    session = made(client)
    found = server.sql("select user_id from sessions where id = $1", UUID(session))
    assert found[0]["user_id"] == server.state["member"].user


def test_pages_hold_every_session_once_while_others_are_made(client: httpx.Client) -> None:
    there = [made(client, title=f"page {number}") for number in range(13)]
    met: list[str] = []
    path: str | None = "/v1/sessions?limit=4"
    while path:
        page = client.get(path).json()
        assert len(page["sessions"]) <= 4
        met += [session["id"] for session in page["sessions"]]
        path = page["next"]
        made(client, title="meanwhile")  # newest first: it belongs before the first page
    assert len(met) == len(set(met))
    assert [session for session in met if session in there] == there[::-1]


def test_pages_hold_sessions_of_the_same_moment(server: Running, client: httpx.Client) -> None:
    there = [made(client) for _ in range(7)]
    server.sql(
        "update sessions set created_at = '2020-01-01 00:00:00.123457+00' where id = any($1::uuid[])", [UUID(each) for each in there]
    )
    path: str | None = f"/v1/sessions?limit=3&before=1577836800123458.{'0' * 32}"  # a microsecond later
    met: list[str] = []
    while path:
        page = client.get(path).json()
        met += [session["id"] for session in page["sessions"]]
        path = page["next"]
    assert [session for session in met if session in there] == sorted(there, reverse=True)
    assert len(met) == len(set(met))


def test_the_same_key_makes_one_session_however_often_and_at_once(server: Running) -> None:
    key, body = uuid4().hex, {"title": "once", "size": 3, "filename": "a.wav"}

    def post(_: int) -> httpx.Response:
        with server.client() as client:
            return client.post("/v1/sessions", json=body, headers={"idempotency-key": key})

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(post, range(24)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert all(answer.json()["upload"]["put"]["url"] for answer in answers)
    with server.client() as client:
        other = client.post("/v1/sessions", json={**body, "title": "twice"}, headers={"idempotency-key": key})
    assert (other.status_code, other.json()["code"]) == (422, "key-reused")


# processed


def test_processing_begins_once_with_its_message_in_the_same_transaction(server: Running, client: httpx.Client) -> None:
    session = uploaded(client)

    def post(_: int) -> int:
        with server.client() as another:
            return another.post(f"/v1/sessions/{session}/process").status_code

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(post, range(12))) == {202}
    found = client.get(f"/v1/sessions/{session}").json()
    assert found["state"] == "processing"
    assert [(step["step"], step["state"]) for step in found["steps"]] == [("ingest", "queued")]
    assert found["progress"]["done"] == 0
    assert found["progress"]["total"] == len(graph.STEPS)
    messages = queued(server, session)
    assert [message["subject"] for message in messages] == ["ingest"]
    assert messages[0]["input_hash"] == server.sql("select input_hash from steps where session_id = $1", UUID(session))[0]["input_hash"]
    assert messages[0]["org"] == str(server.state["member"].org)


def test_processing_without_the_recording_is_refused(client: httpx.Client) -> None:
    assert client.post(f"/v1/sessions/{made(client)}/process").json()["code"] == "not-uploaded"
    assert client.post(f"/v1/sessions/{made(client, size=5)}/process").json()["code"] == "not-uploaded"


def test_processing_another_size_than_announced_is_refused(server: Running, client: httpx.Client) -> None:
    session = made(client, size=5)
    server.put(session, "source", b"1234")
    answer = client.post(f"/v1/sessions/{session}/process")
    assert (answer.status_code, answer.json()["code"]) == (409, "size-differs")
    assert queued(server, session) == []


def test_more_sessions_than_the_queue_takes_are_told_to_come_back(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_sessions, "MOST_IN_WORK", 0)
    session = uploaded(client)
    answer = client.post(f"/v1/sessions/{session}/process")
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (429, "queue-full", "30")
    assert client.get(f"/v1/sessions/{session}").json()["state"] == "created"


def test_cancelled_work_can_be_retried(server: Running, client: httpx.Client) -> None:
    session = uploaded(client)
    assert client.post(f"/v1/sessions/{session}/cancel").json()["code"] == "wrong-state"
    client.post(f"/v1/sessions/{session}/process")
    found = client.post(f"/v1/sessions/{session}/cancel").json()
    assert (found["state"], [step["state"] for step in found["steps"]]) == ("cancelled", ["cancelled"])
    assert client.post(f"/v1/sessions/{session}/cancel").status_code == 200
    assert client.post(f"/v1/sessions/{session}/process").json()["code"] == "wrong-state"
    found = client.post(f"/v1/sessions/{session}/retry").json()
    assert (found["state"], [step["state"] for step in found["steps"]]) == ("processing", ["queued"])
    assert [message["subject"] for message in queued(server, session)] == ["ingest", "ingest"]
    assert client.post(f"/v1/sessions/{session}/retry").json()["code"] == "nothing-parked"


def finished(server: Running, client: httpx.Client, parked: str | None = None) -> str:
    """A session whose steps were done, up to one that is parked."""
    session = uploaded(client)
    client.post(f"/v1/sessions/{session}/process")
    root = queued(server, session)[0]["input_hash"]
    wanted = graph.hashes(root)

    async def work(tx: Tx) -> None:
        for step in graph.STEPS:
            await steps.queue(tx, UUID(session), step.name, wanted[step.name])
            if step.name == parked:
                await steps.park(tx, UUID(session), step.name, wanted[step.name], "no-speech", "No speech was found.")
                return
            await steps.finish(tx, UUID(session), step.name, wanted[step.name], {})

    server.tenant(work)
    server.state_of(session, "failed" if parked else "complete")
    return session


def test_a_parked_step_shows_its_error_and_is_retried_alone(server: Running, client: httpx.Client) -> None:
    session = finished(server, client, parked="asr")
    found = {step["step"]: step for step in client.get(f"/v1/sessions/{session}").json()["steps"]}
    assert found["asr"]["error"] == {"code": "no-speech", "sentence": "No speech was found."}
    assert found["ingest"]["error"] is None
    found = {step["step"]: step["state"] for step in client.post(f"/v1/sessions/{session}/retry").json()["steps"]}
    assert found == {"ingest": "done", "asr": "queued", "prosody": "queued"}  # prosody had not been begun, and can be
    assert [message["subject"] for message in queued(server, session)] == ["ingest", "asr", "prosody"]


def test_a_step_is_run_again_with_all_that_follows(server: Running, client: httpx.Client) -> None:
    session = finished(server, client)
    found = {step["step"]: step["state"] for step in client.post(f"/v1/sessions/{session}/steps/fluency/rerun").json()["steps"]}
    assert found == {"ingest": "done", "asr": "done", "prosody": "done", "fluency": "queued"}  # the rest is due when it is done
    assert [message["subject"] for message in queued(server, session)] == ["ingest", "fluency"]
    assert client.post(f"/v1/sessions/{session}/steps/score/rerun").json()["code"] == "no-step"
    assert client.post(f"/v1/sessions/{session}/steps/fluency/rerun").json()["code"] == "wrong-state"
    assert client.post(f"/v1/sessions/{session}/steps/nonsense/rerun").json()["code"] == "no-step"


# what came out


@pytest.fixture
def full(server: Running, client: httpx.Client) -> str:
    """A session with something of everything."""
    session = finished(server, client)
    fill(server, session)
    return session


def fill(server: Running, session: str) -> None:
    which = UUID(session)
    words = (Word("so", 1600, 3200, 0.9), Word("um", 4000, 6400, 0.5, "filler"))
    files = [
        ReportFile(name, server.put(session, f"report/{name}", content), len(content), kind)
        for name, content, kind in (
            ("words.csv", b"text,start_s\n", "text/csv; charset=utf-8"),
            ("page.html", b"<p>report</p>", "text/html; charset=utf-8"),
        )
    ]
    started = server.sql("select created_at from sessions where id = $1", which)[0]["created_at"]

    async def work(tx: Tx) -> None:
        await transcripts.store(tx, which, Transcript(words, "en", 0.98), (Word("uh", 8000, 9600, 0.4, "filler"),))
        await documents.store(tx, "fluency", which, "h", {"measures": {"rate_wpm": {"value": 120.5}}})
        await documents.store(tx, "scores", which, "h", {"scores": []})
        await reports.store(tx, which, "h", {"words": 2}, files)
        rows = [Second(t, 0.5, t % 4, 3, 1, 0.125, 0.5, 0.0, None, None, -20.0) for t in range(150)]
        await series.store(tx, which, started, rows)

    server.tenant(work)
    server.put(session, "audio.mp3", bytes(range(256)) * 40, "audio/mpeg")


def test_the_transcript_comes_out_as_it_was_stored(client: httpx.Client, full: str) -> None:
    found = client.get(f"/v1/sessions/{full}/transcript").json()
    assert (found["language"], found["language_probability"]) == ("en", 0.98)
    assert found["words"] == [
        {"text": "so", "start_s": 0.1, "end_s": 0.2, "probability": 0.9, "kind": "word"},
        {"text": "um", "start_s": 0.25, "end_s": 0.4, "probability": 0.5, "kind": "filler"},
    ]
    assert [word["text"] for word in found["second_opinion"]] == ["uh"]


def test_documents_come_out_as_they_were_stored(client: httpx.Client, full: str) -> None:
    assert client.get(f"/v1/sessions/{full}/fluency").json() == {"measures": {"rate_wpm": {"value": 120.5}}}
    assert client.get(f"/v1/sessions/{full}/scores").json() == {"scores": []}


def test_metrics_by_second_and_minute_in_a_range(client: httpx.Client, full: str) -> None:
    found = client.get(f"/v1/sessions/{full}/metrics?from_s=10&to_s=13").json()
    assert [(row["t_s"], row["rate_wpm"], row["f0_median_hz"]) for row in found["rows"]] == [
        (10, 240, None),
        (11, 360, None),
        (12, 0, None),
    ]
    assert len(client.get(f"/v1/sessions/{full}/metrics").json()["rows"]) == 150
    minutes = client.get(f"/v1/sessions/{full}/metrics?resolution=minute").json()["rows"]
    assert [(row["t_s"], row["seconds"], row["fillers"], row["pause_share"]) for row in minutes] == [
        (0, 60, 60, 0.25),
        (60, 60, 60, 0.25),
        (120, 30, 30, 0.25),
    ]


def test_frames_come_out_in_their_range_with_null_for_what_is_missing(
    server: Running, client: httpx.Client, full: str, tmp_path: Path
) -> None:
    hops = 3 * RATE_HZ // HOP
    f0 = np.full(hops, 200.0, np.float32)
    f0[150:160] = np.nan
    frames = Frames(0, HOP, f0, np.linspace(-40, -10, hops).astype(np.float32), np.full(hops, State.SPEECH, np.int8))
    save_frames(frames, tmp_path / "frames.parquet")
    server.put(full, "frames.parquet", (tmp_path / "frames.parquet").read_bytes())
    found = client.get(f"/v1/sessions/{full}/metrics?resolution=raw&from_s=1.49&to_s=1.61").json()["frames"]
    assert (found["start_s"], found["hop_s"]) == (1.49, 0.01)
    assert found["columns"]["f0_hz"] == [200.0, *[None] * 10, 200.0]
    assert set(found["columns"]["state"]) == {"speech"}
    assert found["columns"]["level_dbfs"] == pytest.approx(frames.level_dbfs[149:161].tolist(), abs=0.006)


def test_the_report_lists_files_with_links_that_work_and_downloads_all_but_the_page(client: httpx.Client, full: str) -> None:
    found = client.get(f"/v1/sessions/{full}/report").json()
    assert found["data"] == {"words": 2}
    for file, content in zip(found["files"], (b"text,start_s\n", b"<p>report</p>"), strict=True):
        for address in (file["url"], file["link"]):
            answer = client.get(address)
            assert (answer.status_code, answer.content) == (200, content)
            assert answer.headers["content-type"] == file["content_type"]
            assert ("attachment" in answer.headers.get("content-disposition", "")) == (file["name"] != "page.html")
            assert "sandbox" in answer.headers["content-security-policy"]
    assert client.get(f"/v1/sessions/{full}/report/files/none.txt").json()["code"] == "no-file"
    assert client.get(found["files"][0]["link"].replace("words", "other")).json()["code"] == "bad-signature"


WHOLE = bytes(range(256)) * 40


@pytest.mark.parametrize(
    ("asked", "status", "span"),
    [
        (None, 200, (0, 10240)),
        ("bytes=0-", 206, (0, 10240)),
        ("bytes=100-199", 206, (100, 200)),
        ("bytes=-40", 206, (10200, 10240)),
        ("bytes=-99999", 206, (0, 10240)),
        ("bytes=10239-99999", 206, (10239, 10240)),
        ("bytes=10240-", 416, None),
        ("bytes=-0", 416, None),
        ("bytes=5-4", 200, (0, 10240)),
        ("bytes=0-1,5-6", 200, (0, 10240)),
        ("seconds=1-2", 200, (0, 10240)),
    ],
)
def test_audio_is_played_from_anywhere(
    client: httpx.Client, full: str, asked: str | None, status: int, span: tuple[int, int] | None
) -> None:
    answer = client.get(f"/v1/sessions/{full}/audio", headers={"range": asked} if asked else {})
    assert answer.status_code == status
    if span is None:
        assert (answer.json()["code"], answer.headers["content-range"]) == ("bad-range", "bytes */10240")
        return
    assert answer.content == WHOLE[span[0] : span[1]]
    assert answer.headers["content-type"] == "audio/mpeg"
    assert answer.headers["accept-ranges"] == "bytes"
    if status == 206:
        assert answer.headers["content-range"] == f"bytes {span[0]}-{span[1] - 1}/10240"


def test_audio_that_is_known_is_not_sent_again(client: httpx.Client, full: str) -> None:
    path = f"/v1/sessions/{full}/audio"
    etag = client.get(path).headers["etag"]
    again = client.get(path, headers={"if-none-match": f'"x", {etag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert client.get(path, headers={"range": "bytes=0-9", "if-range": etag}).status_code == 206
    assert client.get(path, headers={"range": "bytes=0-9", "if-range": '"other"'}).status_code == 200
    head = client.head(path)
    assert (head.status_code, head.headers["content-length"], head.content) == (200, "10240", b"")


def test_what_is_not_there_yet_is_said_so(client: httpx.Client) -> None:
    session = uploaded(client)
    for part in ("transcript", "fluency", "scores", "report", "audio", "metrics?resolution=raw"):
        answer = client.get(f"/v1/sessions/{session}/{part}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not-yet"), part
    assert client.get(f"/v1/sessions/{session}/metrics").json()["rows"] == []


def test_another_style_scores_a_finished_session_anew(server: Running, client: httpx.Client) -> None:
    session = finished(server, client)
    answer = client.patch(f"/v1/sessions/{session}", json={"style": "interview"}).json()
    assert (answer["style"], answer["state"]) == ("interview", "processing")
    due = {step["step"]: step["state"] for step in answer["steps"] if step["state"] != "done"}
    assert due == {"score": "queued"}  # what follows is due when it is done
    assert [message["subject"] for message in queued(server, session)] == ["ingest", "score"]
    again = client.patch(f"/v1/sessions/{session}", json={"style": "talk"})
    assert (again.status_code, again.json()["code"]) == (409, "wrong-state")
    assert client.get(f"/v1/sessions/{session}").json()["style"] == "interview"


def test_who_speaks_is_said_by_the_user_and_another_one_is_scored_anew(server: Running, client: httpx.Client) -> None:
    session = finished(server, client)
    assert client.get(f"/v1/sessions/{session}").json().get("speaker", "adult") == "adult"
    assert client.patch(f"/v1/sessions/{session}", json={"speaker": "adult"}).json()["state"] == "complete"
    answer = client.patch(f"/v1/sessions/{session}", json={"speaker": "child"}).json()
    assert (answer["speaker"], answer["state"]) == ("child", "processing")
    assert {step["step"]: step["state"] for step in answer["steps"] if step["state"] != "done"} == {"score": "queued"}
    assert [message["subject"] for message in queued(server, session)] == ["ingest", "score"]
    again = client.patch(f"/v1/sessions/{session}", json={"speaker": "adult"})
    assert (again.status_code, again.json()["code"]) == (409, "wrong-state")
    assert client.get(f"/v1/sessions/{session}").json()["speaker"] == "child"

    early = made(client, speaker="child")
    assert client.get(f"/v1/sessions/{early}").json()["speaker"] == "child"
    found = client.patch(f"/v1/sessions/{early}", json={"speaker": "adult"}).json()
    assert (found.get("speaker", "adult"), found["state"], queued(server, early)) == ("adult", "created", [])
    assert client.patch(f"/v1/sessions/{early}", json={"speaker": "parent"}).json()["code"] == "invalid"
    assert client.post("/v1/sessions", json={"speaker": "parent"}).json()["code"] == "invalid"
    rated = [one["name"] for one in client.get("/v1/rubrics").json()["rubrics"] if one["rated"]]
    assert rated == ["language-learner"]  # where it plays a part


def test_another_script_is_compared_anew(server: Running, client: httpx.Client) -> None:
    session = finished(server, client)
    answer = client.patch(f"/v1/sessions/{session}", json={"script": "It was the best of times."}).json()
    assert (answer["script"], answer["state"]) == ("It was the best of times.", "processing")
    assert {step["step"]: step["state"] for step in answer["steps"] if step["state"] != "done"} == {"pronunciation": "queued"}
    assert [message["subject"] for message in queued(server, session)] == ["ingest", "pronunciation"]
    again = client.patch(f"/v1/sessions/{session}", json={"script": None})
    assert (again.status_code, again.json()["code"]) == (409, "wrong-state")


def test_the_same_style_or_one_before_the_start_scores_nothing(server: Running, client: httpx.Client) -> None:
    session = finished(server, client)
    assert client.patch(f"/v1/sessions/{session}", json={"style": "talk"}).json()["state"] == "complete"
    early = made(client)
    found = client.patch(f"/v1/sessions/{early}", json={"style": "read-aloud"}).json()
    assert (found["style"], found["state"], queued(server, early)) == ("read-aloud", "created", [])
    assert client.patch(f"/v1/sessions/{early}", json={"style": "none"}).json()["code"] == "invalid"
    assert client.post("/v1/sessions", json={"style": "none"}).json()["code"] == "invalid"


# over several sessions


def scored(server: Running, client: httpx.Client, value: float | None, style: str = "interview", digest: str | None = None) -> str:
    """A finished session with a score."""
    session = made(client, style=style, title=f"at {value}")
    rubric = rubrics()[style]
    number = {"value": value, "low": value and value - 5, "high": value and value + 5, "refusal": None if value else "needs more"}
    scores: list[dict[str, Any]] = [
        {"dimension": "pace", "title": "Pace", "weight": 1.0, **number, "parts": [], "made_of": [], "evidence": []}
    ]
    data = {"rubric": {"name": style, "digest": digest or rubric.digest}, "overall": number, "scores": scores}
    server.tenant(lambda tx: documents.store(tx, "scores", UUID(session), "h", data))
    server.state_of(session, "complete")
    return session


def test_progress_is_that_of_who_asks_in_one_style_and_rubric(server: Running, client: httpx.Client) -> None:
    mine = [scored(server, client, value) for value in (40.0, None, 60.0)]
    other = scored(server, client, 90.0, digest="of another version")
    scored(server, client, 91.0, style="talk")
    unfinished = scored(server, client, 92.0)
    server.state_of(unfinished, "processing")
    drill = scored(server, client, 94.0)
    server.tenant(lambda tx: drills.begin(tx, UUID(drill), server.state["member"].user, "pacing", {}))
    theirs = scored(server, client, 93.0)
    server.sql("update sessions set user_id = null where id = $1", UUID(theirs))
    found = client.get("/v1/progress?style=interview").json()
    assert [one["session"] for one in found["sessions"]] == mine
    assert [one["scores"] for one in found["sessions"]] == [
        [{"dimension": name, "value": value, "low": value and value - 5, "high": value and value + 5} for name in ("overall", "pace")]
        for value in (40.0, None, 60.0)
    ]
    assert found["left_out"] == 1
    assert list(found["dimensions"])[:2] == ["overall", "pace"]
    assert client.delete(f"/v1/sessions/{other}").status_code == 204
    assert client.get("/v1/progress?style=interview").json()["left_out"] == 0
    assert client.get("/v1/progress?style=none").json()["code"] == "bad-parameter"


def test_progress_ends_with_the_last_twenty(server: Running, client: httpx.Client) -> None:
    made_of = [scored(server, client, 10.0 + number, style="read-aloud") for number in range(22)]
    found = client.get("/v1/progress?style=read-aloud").json()["sessions"]
    assert [one["session"] for one in found] == made_of[2:]


# deleted


def left(server: Running, session: str) -> dict[str, int]:
    """Rows of a session, by table. Not the outbox: what is in it is the relay's, and a worker finds no step for it."""
    found = {}
    for table in TABLES:
        column = "id" if table == "sessions" else "session_id"
        found[table] = server.sql(f"select count(*) from {table} where {column} = $1", UUID(session))[0]["count"]
    found["seconds"] = len(server.tenant(lambda tx: series.read(tx, UUID(session), "second")))
    return found


def test_a_deleted_session_leaves_no_row_no_blob_and_no_event(server: Running, client: httpx.Client, full: str) -> None:
    live = server.state["live_log"]
    server.do(live.append(UUID(full), "metrics", 0, {"rate_wpm": 1}))
    before = left(server, full)
    assert all(before.values()), before  # the test would see each of them
    assert len(server.blob_keys(full)) == 4
    assert client.delete(f"/v1/sessions/{full}").status_code == 204
    assert set(left(server, full).values()) == {0}
    assert server.blob_keys(full) == []
    assert server.do(live.read(UUID(full), 0)) == []
    assert client.get(f"/v1/sessions/{full}").json()["code"] == "no-session"
    assert client.delete(f"/v1/sessions/{full}").json()["code"] == "no-session"
    entry = server.sql("select actor, action from audit where target = $1", full)
    assert [(row["actor"], row["action"]) for row in entry] == [(str(server.state["member"].user), "session.delete")]


def test_a_step_that_ends_after_the_deletion_finds_no_session(server: Running, client: httpx.Client) -> None:
    session = uploaded(client)
    client.post(f"/v1/sessions/{session}/process")
    input_hash = queued(server, session)[0]["input_hash"]
    client.delete(f"/v1/sessions/{session}")
    assert not server.tenant(lambda tx: steps.finish(tx, UUID(session), "ingest", input_hash, {}))


def test_a_deletion_that_broke_off_is_finished(server: Running, client: httpx.Client, full: str) -> None:
    server.state_of(full, "deleting")
    assert client.get(f"/v1/sessions/{full}").status_code == 404
    assert full not in [session["id"] for session in client.get("/v1/sessions").json()["sessions"]]
    assert client.delete(f"/v1/sessions/{full}").status_code == 204
    assert set(left(server, full).values()) == {0}


def test_half_deleted_sessions_are_tidied_at_the_next_start(server: Running, full: str) -> None:
    server.state_of(full, "deleting")

    async def until_gone() -> None:
        tidying = asyncio.create_task(tidy(server.state))
        try:
            async with asyncio.timeout(20):
                while True:
                    async with server.state["db"].tenant(server.state["member"].org) as tx:
                        if await tx.fetchval("select count(*) from sessions where id = $1", UUID(full)) == 0:
                            return
        finally:
            tidying.cancel()

    server.do(until_gone())
    assert server.blob_keys(full) == []


# the report's files


REPORT = {
    "analysis.json": b'{"a": 1}' * 50_000,
    "frames.parquet": bytes(range(256)) * 8192,  # more than one piece
    "report.pdf": b"%PDF a4",
    "report-letter.pdf": b"%PDF letter",
    "index.html": b"<p>with sound</p>",
    "empty.txt": b"",
    "page.html": b"<p>without</p>",
}


@pytest.fixture
def reported(server: Running, client: httpx.Client) -> str:
    found: str = client.post("/v1/sessions", json={"title": "a talk"}).json()["id"]
    files = [
        ReportFile(name, server.put(found, f"report/{name}", content), len(content), "application/octet-stream")
        for name, content in REPORT.items()
    ]

    async def store(tx: Tx) -> None:
        await reports.store(tx, UUID(found), "h", {}, files)

    server.tenant(store)
    return found


def test_all_files_come_as_one_zip(client: httpx.Client, reported: str) -> None:
    address = client.get(f"/v1/sessions/{reported}/report").json()["archive"]
    answer = client.get(address)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    assert 'filename="elocute-report.zip"' in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == {
            name: content for name, content in REPORT.items() if name != "page.html"
        }
    assert len(answer.content) < sum(map(len, REPORT.values()))
    assert client.get(address).content == answer.content


def test_the_paper_is_chosen(client: httpx.Client, reported: str) -> None:
    address = f"/v1/sessions/{reported}/report/files/report.pdf"
    assert [client.get(address + query).content for query in ("", "?paper=a4", "?paper=letter")] == [b"%PDF a4", b"%PDF a4", b"%PDF letter"]
    assert client.get(f"{address}?paper=a5").json()["code"] == "bad-parameter"
    sent = client.get(f"/sessions/{reported}/report.pdf?paper=letter")
    assert (sent.status_code, sent.headers["location"]) == (307, f"{address}?paper=letter")
