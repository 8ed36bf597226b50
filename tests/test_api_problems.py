"""Everything that a request can get wrong has a status, a code and a sentence."""

import json
import re
import socket
import string
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from api import problems
from api.messages import MOST_BYTES
from api.problems import PROBLEMS, Refused
from engines.embedded import Servers
from tests.api_server import Running, running, settings_for

NOBODY = uuid4()
JSON = {"content-type": "application/json"}
FORM = {"content-type": "multipart/form-data; boundary=xx"}


@pytest.fixture(scope="module")
def server(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(settings_for(tmp_path_factory.mktemp("api")), servers) as found:
        yield found


@dataclass(frozen=True)
class Case:
    method: str
    path: str
    status: int
    code: str
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    says: str = ""  # in its sentence


CASES = [
    Case("GET", "/v1/nothing", 404, "unknown-route"),
    Case("GET", "/v1/sessions/1", 404, "unknown-route"),
    Case("PUT", "/v1/sessions", 405, "wrong-method", says="GET, HEAD, POST"),
    Case("POST", f"/v1/sessions/{NOBODY}", 405, "wrong-method", says="DELETE, GET, HEAD, PATCH"),
    Case("GET", f"/v1/sessions/{NOBODY}", 404, "no-session"),
    *(
        Case("GET", f"/v1/sessions/{NOBODY}/{part}", 404, "no-session")
        for part in ("upload", "events", "transcript", "metrics", "metrics?resolution=raw", "fluency", "scores", "report", "audio")
    ),
    Case("GET", f"/v1/sessions/{NOBODY}/report/files/x.json", 404, "no-session"),
    Case("DELETE", f"/v1/sessions/{NOBODY}", 404, "no-session"),
    Case("PATCH", f"/v1/sessions/{NOBODY}", 404, "no-session", b'{"title": "x"}', JSON),
    *(Case("POST", f"/v1/sessions/{NOBODY}/{part}", 404, "no-session") for part in ("process", "cancel", "retry", "steps/asr/rerun")),
    Case("POST", f"/v1/sessions/{NOBODY}/upload/complete", 404, "no-session"),
    *(Case("GET", f"/v1/sessions/{NOBODY}/{part}", 404, "no-session") for part in ("comments", "entities")),
    Case("POST", f"/v1/sessions/{NOBODY}/comments", 404, "no-session", b'{"text": "x"}', JSON),
    Case("POST", f"/v1/sessions/{NOBODY}/comments", 422, "invalid", b'{"text": " "}', JSON, "$.text"),
    Case("DELETE", f"/v1/sessions/{NOBODY}/comments/{NOBODY}", 404, "no-session"),
    Case("GET", "/v1/search", 400, "bad-parameter", says="q="),
    Case("GET", "/v1/search?q=x&fast=2", 400, "bad-parameter", says="fast=2"),
    Case("POST", f"/v1/sessions/{NOBODY}/media", 404, "no-session", b"RIFF", {"content-type": "audio/wav"}),
    Case("POST", "/v1/sessions", 400, "bad-json", b"{", JSON),
    Case("POST", "/v1/sessions", 400, "bad-json", b'{"title": "\xff"}', JSON),
    Case("POST", "/v1/sessions", 422, "invalid", b"[]", JSON),
    Case("POST", "/v1/sessions", 422, "invalid", b'{"title": 1}', JSON, "$.title"),
    Case("POST", "/v1/sessions", 422, "invalid", rb'{"title": "a\u0000b"}', JSON, "$.title"),
    Case("POST", "/v1/sessions", 422, "invalid", rb'{"filename": "a\u0000.wav"}', JSON, "$.filename"),
    Case("POST", "/v1/sessions", 422, "invalid", b'{"titel": "x"}', JSON, "titel"),
    Case("POST", "/v1/sessions", 422, "invalid", b'{"size": 0}', JSON, "$.size"),
    Case("POST", "/v1/sessions", 422, "invalid", b'{"size": %d}' % (MOST_BYTES + 1), JSON, "$.size"),
    Case("POST", "/v1/sessions", 422, "invalid", b'{"kind": "song"}', JSON, "$.kind"),
    Case("POST", "/v1/sessions", 422, "invalid", b'{"title": "%s"}' % (b"x" * 201), JSON, "200"),
    Case("POST", "/v1/sessions", 415, "wrong-type", b"title=x", {"content-type": "application/x-www-form-urlencoded"}),
    Case("POST", "/v1/sessions", 415, "wrong-type", b'{"content_type": "text/html"}', JSON, "text/html"),
    Case("POST", "/v1/sessions", 415, "wrong-encoding", b"x", {**JSON, "content-encoding": "gzip"}),
    Case("POST", "/v1/sessions", 413, "too-large", b" " * 65_537, JSON, "65536"),
    Case("POST", "/v1/sessions", 400, "bad-key", b"{}", {**JSON, "idempotency-key": "x" * 201}),
    Case("PATCH", f"/v1/sessions/{NOBODY}", 411, "length-required", None, JSON),
    Case("GET", "/v1/sessions?limit=0", 400, "bad-parameter", says="limit=0"),
    Case("GET", "/v1/sessions?limit=1e3", 400, "bad-parameter"),
    Case("GET", "/v1/sessions?limit=" + "9" * 5000, 400, "bad-parameter"),
    Case("GET", "/v1/sessions?before=yesterday", 400, "bad-parameter", says="before=yesterday"),
    Case("GET", f"/v1/sessions/{NOBODY}/metrics?resolution=hour", 400, "bad-parameter", says="second, minute, raw"),
    Case("GET", f"/v1/sessions/{NOBODY}/metrics?from_s=nan", 400, "bad-parameter", says="from_s=nan"),
    Case("GET", f"/v1/sessions/{NOBODY}/metrics?from_s=5&to_s=5", 400, "bad-parameter", says="to_s=5"),
    Case("GET", f"/v1/sessions/{NOBODY}/metrics?resolution=raw&to_s=601", 400, "bad-parameter", says="600 s"),
    Case("GET", f"/v1/sessions/{NOBODY}/events?streams=tokens,smells", 400, "bad-parameter", says="smells"),
    Case("GET", f"/v1/sessions/{NOBODY}/events?after=-1", 400, "bad-parameter"),
    Case("GET", f"/v1/sessions/{NOBODY}/events", 400, "bad-parameter", headers={"last-event-id": "x"}),
    Case("POST", f"/v1/sessions/{NOBODY}/media", 411, "length-required"),
    Case("POST", f"/v1/sessions/{NOBODY}/media", 422, "empty-upload", b"", {"content-length": "0"}),
    Case("POST", f"/v1/sessions/{NOBODY}/media", 415, "wrong-type", b"<p>", {"content-type": "text/html"}),
    Case("POST", f"/v1/sessions/{NOBODY}/media", 400, "bad-form", b"--", {"content-type": "multipart/form-data"}, "boundary"),
    Case("GET", "/v1/blobs/a/b?signature=no", 403, "bad-signature"),
    Case("PUT", "/v1/blobs/a/b?signature=no", 403, "bad-signature", b"x"),
    Case("GET", "/v1/blobs/../../etc/passwd", 404, "unknown-route"),
    Case("GET", "/v1/blobs/%2e%2e/%2e%2e/etc/passwd", 403, "bad-signature"),
    Case("GET", "/v1/sessions", 421, "unknown-host", headers={"host": "evil.example"}, says="evil.example"),
    Case("GET", "/v1/sessions", 421, "unknown-host", headers={"host": "127.0.0.1.evil.example"}),
    Case("GET", "/v1/sessions", 421, "unknown-host", headers={"host": "evil@127.0.0.1"}),
    Case("GET", "/healthz", 421, "unknown-host", headers={"host": ""}),
    Case("POST", "/v1/sessions", 403, "foreign-origin", b"{}", {**JSON, "origin": "https://evil.example"}, "evil.example"),
    Case("POST", "/v1/sessions", 403, "foreign-origin", b"{}", {**JSON, "origin": "http://127.0.0.1:1"}),
    Case("POST", "/v1/sessions", 403, "foreign-origin", b"{}", {**JSON, "origin": "null"}),
    Case("POST", "/v1/sessions", 403, "foreign-origin", b"{}", {**JSON, "sec-fetch-site": "cross-site"}),
    Case("DELETE", f"/v1/sessions/{NOBODY}", 403, "foreign-origin", None, {"sec-fetch-site": "same-site"}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.method} {case.path[:60]} {case.code}")
def test_a_bad_request_is_refused_by_its_row_of_the_table(server: Running, case: Case) -> None:
    with server.client() as client:
        request = client.build_request(case.method, case.path, content=case.body, headers=case.headers)
        if case.code == "length-required":
            request.headers.pop("content-length", None)
        if "/../" in case.path:  # what httpx would tidy up
            request.url = request.url.copy_with(raw_path=case.path.encode())
        answer = client.send(request)
    assert (answer.status_code, answer.headers["content-type"]) == (case.status, "application/problem+json"), answer.text
    problem = answer.json()
    assert problem["code"] == case.code
    assert problem["type"] == f"urn:elocute:problem:{case.code}"
    assert problem["status"] == case.status
    assert problem["title"] == PROBLEMS[case.code].title
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert case.says in problem["detail"]
    assert "{" not in problem["detail"]
    if case.status == 405:
        assert answer.headers["allow"] == case.says


def test_every_sentence_says_what_to_do_and_fits_its_facts() -> None:
    for code, entry in PROBLEMS.items():
        names = [name for _, name, _, _ in string.Formatter().parse(entry.sentence) if name]
        facts: dict[str, Any] = {name: "Do this." if name == "instead" else 7 for name in names}
        said = str(Refused(code, more=None, **facts))
        assert said.endswith("."), code
        assert len(re.findall(r"[.;:?] ", said)) >= 1 or code in ("bad-parameter", "invalid"), code
        assert entry.status >= 400
        assert (entry.retry_after_s is not None) == (entry.status in (429, 503, 507) or code == "still-answering"), code


def test_a_huge_body_is_refused_before_a_byte_of_it_is_read(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(problems, "LINGER_IDLE_S", 0.1)
    where = urlsplit(server.url)
    for length in (MOST_BYTES + 1, 10**15):
        with socket.create_connection((where.hostname, where.port), timeout=10) as raw:
            lines = (
                f"POST /v1/sessions/{NOBODY}/media HTTP/1.1",
                "Host: 127.0.0.1",
                "Content-Type: audio/wav",
                f"Content-Length: {length}",
            )
            raw.sendall("\r\n".join((*lines, "", "")).encode())  # and nothing more: an answer proves that it waited for nothing
            answer = b"".join(iter(lambda: raw.recv(65_536), b""))
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b'"code": "too-large"' in answer
        assert str(MOST_BYTES).encode() in answer


def test_a_sane_request_id_is_kept_and_another_is_replaced(server: Running) -> None:
    with server.client() as client:
        assert client.get("/healthz", headers={"x-request-id": "trace-7:a"}).headers["x-request-id"] == "trace-7:a"
        for odd in ("x" * 129, "a b", "<script>", ""):
            made = client.get("/healthz", headers={"x-request-id": odd}).headers["x-request-id"]
            assert re.fullmatch("[0-9a-f]{32}", made)


def test_names_of_this_machine_are_answered(server: Running) -> None:
    with server.client() as client:
        for host in ("localhost", "localhost:1234", "LOCALHOST.", "127.0.0.1:8000", "127.9.9.9", "[::1]:8000", "app.localhost"):
            assert client.get("/healthz", headers={"host": host}).status_code == 200, host


def test_own_pages_may_change_things(server: Running) -> None:
    with server.client() as client:
        own = {"origin": server.url, "sec-fetch-site": "same-origin", "content-type": "application/json"}
        assert client.post("/v1/sessions", content=b"{}", headers=own).status_code == 201


def test_every_answer_carries_the_security_headers(server: Running) -> None:
    with server.client() as client:
        for path in ("/healthz", "/v1/sessions", "/v1/nothing"):
            headers = client.get(path).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["content-security-policy"]
            assert headers["cross-origin-resource-policy"] == "same-origin"
            assert "access-control-allow-origin" not in headers


def test_the_access_log_is_one_line_of_json_without_the_query(server: Running, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "api.access"), server.client() as client:
        client.get("/v1/sessions?limit=7&signature=secret", headers={"x-request-id": "seen"})
    lines = [json.loads(record.getMessage()) for record in caplog.records if record.name == "api.access"]
    line = next(line for line in lines if line["request_id"] == "seen")
    assert (line["method"], line["path"], line["status"]) == ("GET", "/v1/sessions", 200)
    assert "secret" not in str(lines)


def test_ready_names_every_engine_with_its_latency(server: Running) -> None:
    with server.client() as client:
        ready = client.get("/readyz").json()
    assert ready["ready"]
    assert set(ready["engines"]) == {"postgres", "migrations", "live_log", "bus", "blobs"}
    assert all(engine["ok"] and engine["latency_ms"] >= 0 for engine in ready["engines"].values())
