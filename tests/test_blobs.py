"""Both stores of blobs keep one contract: the same tests run on files and on a real S3, signed URLs over real HTTP."""

import asyncio
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette

from api import blobs as blobs_by_http
from api.problems import HANDLERS
from api.uploads import Places
from config.settings import S3Settings, Settings
from engines.blob_files import BodyCutShort, FileBlobs, SignatureRefused
from engines.blobs import (
    LISTED,
    SMALLEST_PART,
    BlobDamaged,
    BlobExists,
    BlobMissing,
    BlobRefused,
    Blobs,
    BlobsFailed,
    Part,
    RangeRefused,
    Signed,
    UploadMissing,
    UploadRefused,
    check_key,
    disposition,
    open_blobs,
)
from engines.disk import make_folders

T = TypeVar("T")

ROOT = Path(__file__).parent.parent
SECRET = bytes(range(32))
TEXT = "text/plain"
WAIT_S = 20.0


class Clock:
    """The wall clock, moved."""

    ahead_s = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_s


@dataclass(frozen=True)
class Store:
    """One adapter, the loop it lives in, and how another process opens it."""

    blobs: Blobs
    run: Callable[[Coroutine[Any, Any, T]], T]
    clock: Clock
    folder: Path  # of files; of no use to S3
    environ: dict[str, str]


@pytest.fixture(scope="module", params=["files", "s3"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    clock = Clock()
    folder = tmp_path_factory.mktemp("blobs")
    with asyncio.Runner() as runner:
        rooms = AsyncExitStack()
        if request.param == "files":
            with Served(folder, clock) as blobs:
                yield Store(blobs, runner.run, clock, folder, {})
        else:
            from engines.blob_s3 import S3Blobs

            s3: S3Settings = request.getfixturevalue("s3")
            made = runner.run(rooms.enter_async_context(S3Blobs.open(s3, clock)))
            environ = {f"S3_{name.upper()}": getattr(s3, name) for name in S3Settings.__slots__}
            yield Store(made, runner.run, clock, folder, environ)
        runner.run(rooms.aclose())
    shutil.rmtree(folder)


class Served:
    """FileBlobs below the folder, and the server's own answers to their URLs, from a thread of its own."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.blobs = FileBlobs(folder, SECRET, f"http://127.0.0.1:{self.listening.getsockname()[1]}", clock)

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[dict[str, object]]:
            yield {"blobs": self.blobs, "places": Places()}

        app = Starlette(routes=blobs_by_http.routes, exception_handlers=HANDLERS, lifespan=lifespan)
        self.server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.listening]})

    def __enter__(self) -> FileBlobs:
        self.thread.start()
        return self.blobs

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self.thread.join(WAIT_S)
        self.listening.close()


@pytest.fixture
def org(store: Store) -> Iterator[str]:
    """An org of this test's own, emptied afterwards."""
    name = str(uuid4())
    yield name
    store.clock.ahead_s = 0.0
    store.run(store.blobs.delete_prefix(f"{name}/"))


def noise(size: int, seed: int = 1) -> bytes:
    return Random(seed).randbytes(size)


async def stream(content: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(content), size):
        yield content[at : at + size]


async def listed(blobs: Blobs, prefix: str) -> list[str]:
    return [key async for key in blobs.keys(prefix)]


async def some(blobs: Blobs, key: str, start: int, end: int | None) -> bytes:
    return b"".join([piece async for piece in blobs.get(key, start, end)])


async def ask(signed: Signed, method: str | None = None, content: bytes | AsyncIterator[bytes] = b"", **headers: str) -> httpx.Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()} or dict(signed.headers)
    async with httpx.AsyncClient(timeout=WAIT_S) as client:
        return await client.request(method or signed.method, signed.url, headers=sent, content=content if signed.method == "PUT" else None)


def nothing_left(store: Store) -> bool:
    """No temporary file, no open upload."""
    if isinstance(store.blobs, FileBlobs):
        return not any((store.folder / "tmp").iterdir()) and not any((store.folder / "uploads").iterdir())
    store.clock.ahead_s = 10.0  # S3 gives times in whole seconds
    return store.run(store.blobs.sweep(0)) == 0


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (9 << 20) + 1, 17 << 20])
def test_what_is_put_is_what_is_read(store: Store, org: str, size: int) -> None:
    key, content = f"{org}/s/source", noise(size)

    async def there_and_back() -> None:
        stored = await store.blobs.put(key, stream(content, 700_001), content_type="audio/webm;codecs=opus")
        assert (stored.size, stored.sha256) == (size, hashlib.sha256(content).hexdigest())
        assert await store.blobs.read(key) == content
        stat = await store.blobs.stat(key)
        assert stat is not None
        assert (stat.size, stat.content_type, stat.etag) == (size, "audio/webm;codecs=opus", stored.etag)
        assert stat.sha256 == stored.sha256 or (stat.sha256 is None and size > 8 << 20)
        assert abs(stat.modified - datetime.now(stat.modified.tzinfo)) < timedelta(minutes=1)

    store.run(there_and_back())
    assert nothing_left(store)


def test_a_file_goes_in_and_comes_out_as_a_file(store: Store, org: str, tmp_path: Path) -> None:
    content = noise(3_000_000)
    (tmp_path / "in").write_bytes(content)

    async def there_and_back() -> None:
        await store.blobs.put(f"{org}/s/audio.mp3", tmp_path / "in", content_type="audio/mpeg")
        await store.blobs.fetch(f"{org}/s/audio.mp3", tmp_path / "out")
        assert (tmp_path / "out").read_bytes() == content
        with pytest.raises(BlobMissing):
            await store.blobs.fetch(f"{org}/s/other", tmp_path / "other")

    store.run(there_and_back())
    assert not (tmp_path / "other").exists()


def test_a_missing_blob_is_said(store: Store, org: str) -> None:
    assert store.run(store.blobs.stat(f"{org}/s/none")) is None
    with pytest.raises(BlobMissing):
        store.run(store.blobs.read(f"{org}/s/none"))
    store.run(store.blobs.delete([f"{org}/s/none"]))


def test_a_later_version_replaces_the_whole_one(store: Store, org: str) -> None:
    async def twice() -> None:
        await store.blobs.put(f"{org}/s/r", b"first and longer", content_type=TEXT)
        await store.blobs.put(f"{org}/s/r", b"second", content_type="text/html")
        stat = await store.blobs.stat(f"{org}/s/r")
        assert stat is not None
        assert (await store.blobs.read(f"{org}/s/r"), stat.content_type) == (b"second", "text/html")

    store.run(twice())


def test_ranges_are_half_open(store: Store, org: str) -> None:
    key, content = f"{org}/s/source", noise(3 << 20)
    size = len(content)

    async def look() -> None:
        await store.blobs.put(key, content, content_type=TEXT)
        for start, end in [(0, 1), (5, 9), ((1 << 20) - 1, (2 << 20) + 1), (size - 1, size), (size - 3, None), (7, size + 100)]:
            assert await some(store.blobs, key, start, end) == content[start:end]
        for start in (size, size + 1):
            with pytest.raises(RangeRefused):
                await some(store.blobs, key, start, None)
        for start, end in [(-1, None), (4, 4), (4, 3)]:
            with pytest.raises(ValueError, match="no range"):
                await some(store.blobs, key, start, end)
        await store.blobs.put(f"{org}/s/empty", b"", content_type=TEXT)
        assert await some(store.blobs, f"{org}/s/empty", 0, 5) == b""

    store.run(look())


def test_of_two_that_must_be_first_one_wins(store: Store, org: str) -> None:
    async def race(key: str) -> None:
        async def one(number: int) -> int | None:
            try:
                await store.blobs.put(key, stream(bytes([number]) * 2_000_000, 1 << 16), content_type=TEXT, if_absent=True)
            except BlobExists:
                return None
            return number

        winners = [number for number in await asyncio.gather(*(one(number) for number in range(4))) if number is not None]
        assert len(winners) == 1
        assert await store.blobs.read(key) == bytes(winners) * 2_000_000
        with pytest.raises(BlobExists):
            await store.blobs.put(key, b"late", content_type=TEXT, if_absent=True)

    for number in range(3):
        store.run(race(f"{org}/s/{number}"))
    assert nothing_left(store)


def test_a_stream_of_many_parts_is_also_conditional(store: Store, org: str) -> None:
    async def twice() -> None:
        content = noise(9 << 20)
        await store.blobs.put(f"{org}/s/long", content, content_type=TEXT, if_absent=True)
        with pytest.raises(BlobExists):
            await store.blobs.put(f"{org}/s/long", bytes(9 << 20), content_type=TEXT, if_absent=True)
        assert await store.blobs.read(f"{org}/s/long") == content

    store.run(twice())
    assert nothing_left(store)


def test_of_writers_at_once_one_whole_version_stays(store: Store, org: str) -> None:
    key = f"{org}/s/busy"

    def version(number: int) -> bytes:
        return bytes([number]) * (500_000 + number)

    async def contend() -> None:
        await store.blobs.put(key, version(0), content_type="x/0")

        async def write(number: int) -> None:
            await store.blobs.put(key, stream(version(number), 1 << 16), content_type=f"x/{number}")

        async def look() -> None:
            for _ in range(10):
                seen = await store.blobs.read(key)
                assert seen == version(seen[0])

        async with asyncio.TaskGroup() as group:
            for number in range(1, 9):
                group.create_task(write(number))
            group.create_task(look())
        last, stat = await store.blobs.read(key), await store.blobs.stat(key)
        assert stat is not None
        assert (stat.content_type, stat.size) == (f"x/{last[0]}", len(last))
        assert stat.sha256 == hashlib.sha256(version(last[0])).hexdigest()

    store.run(contend())
    assert nothing_left(store)


@pytest.mark.parametrize("size", [5 << 20, 20 << 20])
def test_a_failing_or_cancelled_writer_leaves_nothing(store: Store, org: str, size: int) -> None:
    async def broken(come: asyncio.Event | None) -> AsyncIterator[bytes]:
        async for chunk in stream(noise(size), 1 << 20):
            yield chunk
        if come is None:
            raise ConnectionResetError
        come.set()
        await asyncio.Event().wait()

    async def fail() -> None:
        with pytest.raises(ConnectionResetError):
            await store.blobs.put(f"{org}/s/x", broken(None), content_type=TEXT)
        come = asyncio.Event()
        writing = asyncio.create_task(store.blobs.put(f"{org}/s/x", broken(come), content_type=TEXT))
        await come.wait()
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        assert await store.blobs.stat(f"{org}/s/x") is None

    store.run(fail())
    assert nothing_left(store)


WRITER = """
import asyncio, sys
from pathlib import Path
from config.settings import read_settings
from engines.blobs import open_blobs

async def chunks():
    for _ in range(16):
        yield bytes(1 << 20)
    print("writing", flush=True)
    await asyncio.Event().wait()

async def main():
    async with open_blobs(read_settings(), bytes(32), "http://127.0.0.1", Path(sys.argv[1])) as blobs:
        await blobs.put(sys.argv[2], chunks(), content_type="text/plain")

asyncio.run(main())
"""


def test_a_killed_writer_leaves_no_blob_and_is_swept(store: Store, org: str) -> None:
    key = f"{org}/s/killed"
    command = [sys.executable, "-c", WRITER, str(store.folder), key]
    with subprocess.Popen(command, cwd=ROOT, env=os.environ | store.environ, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"writing\n"
        writer.send_signal(signal.SIGKILL)
    assert store.run(store.blobs.stat(key)) is None
    assert store.run(listed(store.blobs, f"{org}/")) == []
    assert store.run(store.blobs.sweep(3600)) == 0
    store.clock.ahead_s = 3700.0
    assert store.run(store.blobs.sweep(3600)) == 1
    assert store.run(store.blobs.sweep(0)) == 0
    assert nothing_left(store)


def test_a_signed_put_stores_what_was_granted(store: Store, org: str) -> None:
    async def send() -> None:
        for size in (0, 1, 2_500_000):
            content = noise(size)
            signed = await store.blobs.signed_put(f"{org}/s/source", content_type="audio/webm;codecs=opus", size=size, expires_s=60)
            assert signed.method == "PUT"
            assert (await ask(signed, content=content)).status_code == 200
            assert await store.blobs.read(f"{org}/s/source") == content
            stat = await store.blobs.stat(f"{org}/s/source")
            assert stat is not None
            assert stat.content_type == "audio/webm;codecs=opus"

    store.run(send())


def changed(signed: Signed, old: str, new: str) -> Signed:
    url = re.sub(old, new, signed.url, count=1)
    assert url != signed.url
    return Signed(url, signed.method, signed.headers)


REFUSED_PUTS: dict[str, Callable[[Signed], Coroutine[Any, Any, httpx.Response]]] = {
    "tampered": lambda signed: ask(changed(signed, r"(?i)(signature=)[0-9a-f]{8}", r"\g<1>00000000"), content=b"12345"),
    "longer lease": lambda signed: ask(changed(signed, r"(?i)(expires=)", r"\g<1>1"), content=b"12345"),
    "no signature": lambda signed: ask(changed(signed, r"(?i)&[a-z-]*signature=[0-9a-f]+", ""), content=b"12345"),
    "other key": lambda signed: ask(changed(signed, "/granted", "/other"), content=b"12345"),
    "other type": lambda signed: ask(signed, content=b"12345", content_type="text/html"),
    "too large": lambda signed: ask(signed, content=b"123456"),
    "too small": lambda signed: ask(signed, content=b"1234"),
    "too large, in chunks": lambda signed: ask(signed, content=stream(b"123456", 1)),
    "other method": lambda signed: ask(signed, "GET"),
}


@pytest.mark.parametrize("case", REFUSED_PUTS)
def test_any_other_put_is_refused(store: Store, org: str, case: str) -> None:
    signed = store.run(store.blobs.signed_put(f"{org}/s/granted", content_type=TEXT, size=5, expires_s=60))
    answer = store.run(REFUSED_PUTS[case](signed))
    assert answer.status_code in (400, 403, 411, 413, 415)
    assert store.run(listed(store.blobs, f"{org}/")) == []
    assert nothing_left(store)
    assert store.run(ask(signed, content=b"12345")).status_code == 200


@pytest.mark.parametrize("kind", ["put", "get", "part"])
def test_a_url_expires(store: Store, org: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    key = f"{org}/s/a"

    async def sign(upload: str) -> Signed:
        if kind == "put":
            return await store.blobs.signed_put(key, content_type=TEXT, size=5, expires_s=60)
        if kind == "get":
            return await store.blobs.signed_get(key, expires_s=60)
        return await store.blobs.signed_part(key, upload, 1, 5, expires_s=60)

    async def signed_then_and_now() -> None:
        await store.blobs.put(key, b"there", content_type=TEXT)
        upload = await store.blobs.begin_upload(key, content_type=TEXT, size=5)
        with monkeypatch.context() as an_hour_ago:
            store.clock.ahead_s = -3600.0
            import botocore.auth

            now = botocore.auth.get_current_datetime
            an_hour_ago.setattr("botocore.auth.get_current_datetime", lambda *given: now(*given) - timedelta(hours=1))
            late = await sign(upload)
        store.clock.ahead_s = 0.0
        assert (await ask(late, content=b"12345")).status_code == 403
        assert (await ask(await sign(upload), content=b"12345")).status_code == 200
        await store.blobs.abort_upload(key, upload)

    store.run(signed_then_and_now())


def test_a_signed_get_serves_the_whole_and_ranges(store: Store, org: str) -> None:
    key, content = f"{org}/s/audio.mp3", noise(2_100_000)
    size = len(content)

    async def look() -> None:
        await store.blobs.put(key, content, content_type="audio/mpeg")
        signed = await store.blobs.signed_get(key, expires_s=60)
        whole = await ask(signed)
        assert (whole.status_code, whole.content, whole.headers["content-type"]) == (200, content, "audio/mpeg")
        for asked, start, end in [
            ("bytes=0-0", 0, 1),
            ("bytes=1000-1999999", 1000, 2_000_000),
            (f"bytes={size - 1}-", size - 1, size),
            ("bytes=-5", size - 5, size),
            (f"bytes=7-{size * 2}", 7, size),
        ]:
            answer = await ask(signed, range=asked)
            assert (answer.status_code, answer.content) == (206, content[start:end])
            assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
        beyond = await ask(signed, range=f"bytes={size}-")
        assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")

    store.run(look())


def test_a_download_has_its_name_and_type(store: Store, org: str) -> None:
    key = f"{org}/s/report/transcript.textgrid"

    async def look() -> None:
        await store.blobs.put(key, b"x", content_type="application/octet-stream")
        signed = await store.blobs.signed_get(key, expires_s=60, filename='Probe "1" für Zoë\r\n.TextGrid', content_type="text/plain")
        answer = await ask(signed)
        assert answer.headers["content-type"].startswith("text/plain")
        assert answer.headers["content-disposition"] == (
            "attachment; filename=\"Probe _1_ f_r Zo___.TextGrid\"; filename*=UTF-8''Probe%20%221%22%20f%C3%BCr%20Zo%C3%AB%0D%0A.TextGrid"
        )

    store.run(look())


REFUSED_GETS: dict[str, Callable[[Signed], Coroutine[Any, Any, httpx.Response]]] = {
    "tampered": lambda signed: ask(changed(signed, r"(?i)(signature=)[0-9a-f]{8}", r"\g<1>00000000")),
    "other key": lambda signed: ask(changed(signed, "/granted", "/other")),
    "climbing": lambda signed: ask(changed(signed, "/granted", "/x/%2e%2e/granted")),
    "put": lambda signed: ask(Signed(signed.url, "PUT", {}), content=b"12345"),
    "another name": lambda signed: ask(changed(signed, "mine", "yours")),
}


@pytest.mark.parametrize("case", REFUSED_GETS)
def test_any_other_get_is_refused(store: Store, org: str, case: str) -> None:
    async def try_it() -> None:
        await store.blobs.put(f"{org}/s/granted", b"there", content_type=TEXT)
        await store.blobs.put(f"{org}/s/other", b"there", content_type=TEXT)
        signed = await store.blobs.signed_get(f"{org}/s/granted", expires_s=60, filename="mine")
        assert (await REFUSED_GETS[case](signed)).status_code in (400, 403)
        assert (await ask(signed)).content == b"there"

    store.run(try_it())
    assert nothing_left(store)


def test_an_upload_in_parts_is_resumed(store: Store, org: str) -> None:
    key, content = f"{org}/s/source", noise(2 * SMALLEST_PART + 1000)
    cut = [content[at : at + SMALLEST_PART] for at in range(0, len(content), SMALLEST_PART)]

    async def upload() -> None:
        upload_id = await store.blobs.begin_upload(key, content_type="video/mp4", size=len(content))

        async def send(number: int, part: bytes) -> int:
            signed = await store.blobs.signed_part(key, upload_id, number, len(cut[number - 1]), expires_s=60)
            return (await ask(signed, content=part)).status_code

        assert await send(1, cut[0]) == 200
        assert await send(1, cut[0]) == 200  # the answer was lost
        assert await send(3, cut[2]) == 200
        come = await store.blobs.parts(key, upload_id)
        assert [(part.number, part.size) for part in come] == [(1, SMALLEST_PART), (3, 1000)]
        with pytest.raises(UploadRefused):
            await store.blobs.complete_upload(key, upload_id, come)
        with pytest.raises(UploadRefused):
            await store.blobs.complete_upload(key, upload_id, [come[0], Part(2, SMALLEST_PART, come[0].etag), come[1]])
        assert await store.blobs.stat(key) is None

        assert await send(2, cut[1]) == 200
        come = await store.blobs.parts(key, upload_id)
        with pytest.raises(UploadRefused):
            await store.blobs.complete_upload(key, upload_id, [come[1], come[0], come[2]])
        await store.blobs.complete_upload(key, upload_id, come)
        assert await store.blobs.read(key) == content
        stat = await store.blobs.stat(key)
        assert stat is not None
        assert (stat.size, stat.content_type, stat.sha256) == (len(content), "video/mp4", None)

        assert await send(3, cut[2]) in (404, 409)
        with pytest.raises(UploadMissing):
            await store.blobs.parts(key, upload_id)
        await store.blobs.complete_upload(key, upload_id, come)  # the answer was lost
        await store.blobs.complete_upload(key, upload_id[:-4] + "0000", come)  # the store has forgotten the id
        await store.blobs.put(key, b"something else", content_type=TEXT)
        aborted = await store.blobs.begin_upload(key, content_type="video/mp4", size=len(content))
        await store.blobs.abort_upload(key, aborted)
        with pytest.raises(UploadMissing):
            await store.blobs.complete_upload(key, aborted, come)

    store.run(upload())
    assert nothing_left(store)


def test_a_part_that_is_sent_anew_is_never_the_old_one(store: Store, org: str) -> None:
    async def change_its_mind() -> None:
        upload_id = await store.blobs.begin_upload(f"{org}/s/source", content_type=TEXT, size=5)
        signed = await store.blobs.signed_part(f"{org}/s/source", upload_id, 1, 5, expires_s=60)
        assert (await ask(signed, content=b"first")).status_code == 200
        old = await store.blobs.parts(f"{org}/s/source", upload_id)
        for wrong in (b"123456", b"1234"):
            assert (await ask(signed, content=wrong)).status_code in (403, 413)
        assert await store.blobs.parts(f"{org}/s/source", upload_id) == old
        assert (await ask(signed, content=b"later")).status_code == 200
        new = await store.blobs.parts(f"{org}/s/source", upload_id)
        assert new != old
        if new:  # SeaweedFS cannot tell which of two in one second was the later
            await store.blobs.complete_upload(f"{org}/s/source", upload_id, new)
            assert await store.blobs.read(f"{org}/s/source") == b"later"

    store.run(change_its_mind())


def test_an_upload_belongs_to_its_key(store: Store, org: str) -> None:
    async def steal() -> None:
        upload_id = await store.blobs.begin_upload(f"{org}/s/source", content_type=TEXT, size=1)
        with pytest.raises(UploadMissing):
            await store.blobs.parts(f"{org}/t/source", upload_id)
        for nonsense in ("", "x", "../../etc", f"../{upload_id}", "1." + "0" * 30):
            with pytest.raises(UploadMissing):
                await store.blobs.parts(f"{org}/s/source", nonsense)
            await store.blobs.abort_upload(f"{org}/s/source", nonsense)
        with pytest.raises(UploadRefused):
            await store.blobs.complete_upload(f"{org}/s/source", upload_id, [])
        assert await store.blobs.parts(f"{org}/s/source", upload_id) == []
        await store.blobs.abort_upload(f"{org}/s/source", upload_id)
        with pytest.raises(UploadMissing):
            await store.blobs.parts(f"{org}/s/source", upload_id)

    store.run(steal())


def test_only_abandoned_uploads_are_swept(store: Store, org: str) -> None:
    key = f"{org}/s/source"

    async def begin() -> str:
        upload_id = await store.blobs.begin_upload(key, content_type=TEXT, size=5)
        signed = await store.blobs.signed_part(key, upload_id, 1, 5, expires_s=60)
        assert (await ask(signed, content=b"12345")).status_code == 200
        return upload_id

    upload_id = store.run(begin())
    empty = store.run(store.blobs.begin_upload(f"{org}/s/other", content_type=TEXT, size=5))
    store.clock.ahead_s = 3000.0
    assert store.run(store.blobs.sweep(3600)) == 0
    store.run(store.blobs.abort_upload(f"{org}/s/other", empty))
    assert len(store.run(store.blobs.parts(key, upload_id))) == 1
    store.clock.ahead_s = 3700.0
    assert store.run(store.blobs.sweep(3600)) == 1
    with pytest.raises(UploadMissing):
        store.run(store.blobs.parts(key, upload_id))


def test_keys_are_listed_in_order_and_a_prefix_is_emptied(store: Store, org: str) -> None:
    many = [f"{org}/s/clip/{number:04}" for number in range(LISTED + 3)]
    others = [f"{org}/s/source", f"{org}/s-2/source", f"{org}/s2"]

    async def fill_and_empty() -> None:
        gate = asyncio.Semaphore(16)

        async def one(key: str) -> None:
            async with gate:
                await store.blobs.put(key, b"", content_type=TEXT)

        await asyncio.gather(*map(one, [*many, *others]))
        await store.blobs.begin_upload(f"{org}/s/unfinished", content_type=TEXT, size=5)
        kept = await store.blobs.begin_upload(f"{org}/s2/unfinished", content_type=TEXT, size=5)
        assert await listed(store.blobs, f"{org}/s/clip/") == many
        assert await listed(store.blobs, f"{org}/s/") == [*many, others[0]]
        assert sorted(await listed(store.blobs, f"{org}/")) == sorted([*many, *others])
        assert set(await listed(store.blobs, "")) >= {*many, *others}

        assert await store.blobs.delete_prefix(f"{org}/s/") == LISTED + 4
        assert await listed(store.blobs, f"{org}/s/") == []
        assert sorted(await listed(store.blobs, f"{org}/")) == sorted(others[1:])
        assert await store.blobs.parts(f"{org}/s2/unfinished", kept) == []
        assert await store.blobs.delete_prefix(f"{org}/") == 2
        assert await store.blobs.delete_prefix(f"{org}/") == 0

    store.run(fill_and_empty())
    assert nothing_left(store)


def test_a_blob_and_a_folder_may_share_a_name(store: Store, org: str) -> None:
    async def share() -> None:
        keys = [f"{org}/a", f"{org}/a/b", f"{org}/a/b/c"]
        for key in reversed(keys):
            await store.blobs.put(key, key.encode(), content_type=TEXT)
        assert await listed(store.blobs, f"{org}/") == keys
        assert [await store.blobs.read(key) for key in keys] == [key.encode() for key in keys]
        await store.blobs.delete(keys[1:2])
        assert await listed(store.blobs, f"{org}/") == [keys[0], keys[2]]

    store.run(share())


BAD_KEYS = ["", "/", "org", "org/", "/org/x", "org//x", "org/../x", "org/./x", "..", "../x", "org/..", "org/.hidden", "Org/x", "org/x y"]
BAD_KEYS += ["org/x\n", "org/x\0", "org/é", "org\\x/y", "org/x%2e", "org/x=", "org/" + "a" * 201, "org/" + "a/" * 300 + "a"]


@pytest.mark.parametrize("key", BAD_KEYS)
def test_no_method_takes_a_key_outside_the_grammar(store: Store, key: str) -> None:
    blobs = store.blobs
    tries: list[Callable[[], Coroutine[Any, Any, object]]] = [
        lambda: blobs.put(key, b"", content_type=TEXT),
        lambda: blobs.read(key),
        lambda: blobs.stat(key),
        lambda: blobs.delete([key]),
        lambda: blobs.signed_put(key, content_type=TEXT, size=1, expires_s=1),
        lambda: blobs.signed_get(key, expires_s=1),
        lambda: blobs.begin_upload(key, content_type=TEXT, size=1),
        lambda: blobs.signed_part(key, "x" * 24, 1, 1, 1),
        lambda: blobs.delete_prefix(key.removesuffix("/") if key.strip("/") == "org" else key),
    ]
    for attempt in tries:
        with pytest.raises((BlobRefused, UploadMissing)):
            store.run(attempt())


def test_nonsense_beside_the_key_is_refused(store: Store, org: str) -> None:
    blobs, key = store.blobs, f"{org}/s/a"
    for content_type in ("", "a\r\nb: c", " a/b", "a/b ", "a" * 101, "ü/x"):
        with pytest.raises(BlobRefused):
            store.run(blobs.put(key, b"", content_type=content_type))
        with pytest.raises(BlobRefused):
            store.run(blobs.signed_get(key, expires_s=1, content_type=content_type))
    for size, expires_s in [(-1, 60), (1, 0), (1, 604_801)]:
        with pytest.raises(BlobRefused):
            store.run(blobs.signed_put(key, content_type=TEXT, size=size, expires_s=expires_s))
    upload_id = store.run(blobs.begin_upload(key, content_type=TEXT, size=1))
    for number in (0, 10_001):
        with pytest.raises(BlobRefused):
            store.run(blobs.signed_part(key, upload_id, number, 1, 60))
    with pytest.raises(BlobRefused):
        store.run(listed(blobs, org))


# What only files can show.


@given(st.lists(st.sampled_from(["a", "..", ".", "/", "//", "\0", "\n", "é", "-", "_", "9", "A", "=", "%2e", "a" * 150]), max_size=12))
def test_a_key_that_is_taken_stays_in_the_folder(drawn: list[str]) -> None:
    key = "".join(drawn)
    try:
        check_key(key)
    except BlobRefused:
        return
    path = (Path("/store/blobs") / key).resolve()
    assert str(path) == f"/store/blobs/{key}"
    assert len(key) <= 512
    assert all(part.strip(".") and len(part) <= 200 for part in key.split("/"))


@given(st.text(max_size=40))
def test_a_file_name_cannot_leave_its_header(filename: str) -> None:
    header = disposition(filename)
    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') == 2


@pytest.fixture
def files(tmp_path: Path) -> FileBlobs:
    return FileBlobs(tmp_path / "store", SECRET, "http://127.0.0.1", Clock())


def test_files_are_listed_in_order_of_bytes(files: FileBlobs) -> None:
    keys = ["o/a", "o/a-b", "o/a.c", "o/a/c", "o/a0", "o/b/x/y", "o/b/z"]

    async def fill() -> list[str]:
        for key in reversed(keys):
            await files.put(key, b"", content_type=TEXT)
        return await listed(files, "")

    assert asyncio.run(fill()) == keys == sorted(keys)


def test_no_empty_folder_is_left(files: FileBlobs, tmp_path: Path) -> None:
    async def churn() -> None:
        async def come_and_go(number: int) -> None:
            for _ in range(20):
                await files.put(f"o/s/{number}", b"x", content_type=TEXT)
                await files.delete([f"o/s/{number}"])

        await asyncio.gather(*(come_and_go(number) for number in range(4)))

    asyncio.run(churn())
    assert list((tmp_path / "store" / "blobs").iterdir()) == []


def test_a_folder_taken_away_at_the_wrong_moment_is_made_again(files: FileBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    times = []

    def made_and_gone(folder: Path) -> None:
        make_folders(folder)
        times.append(folder)
        if len(times) == 1:
            folder.rmdir()  # as a delete does that has just emptied it

    monkeypatch.setattr("engines.blob_files.make_folders", made_and_gone)
    asyncio.run(files.put("o/s/a", b"x", content_type=TEXT))
    assert asyncio.run(files.read("o/s/a")) == b"x"
    assert len(times) == 2


def query_of(signed: Signed) -> dict[str, str]:
    return dict(httpx.QueryParams(urlsplit(signed.url).query))


@pytest.mark.parametrize(
    ("method", "content_type", "size", "change", "code"),
    [
        ("GET", TEXT, 5, {}, "bad"),
        ("HEAD", TEXT, 5, {}, "bad"),
        ("PUT", None, 5, {}, "wrong_type"),
        ("PUT", TEXT, 6, {}, "too_large"),
        ("PUT", TEXT, 4, {}, "bad"),
        ("PUT", TEXT, 5, {"signature": "ü"}, "bad"),
        ("PUT", TEXT, 5, {"signature": ""}, "bad"),
        ("PUT", TEXT, 5, {"size": "6"}, "bad"),
        ("PUT", TEXT, 5, {"more": "\udcff"}, "bad"),
        ("PUT", TEXT, 5, {"upload": "x" * 24, "part": "1"}, "bad"),
    ],
)
def test_the_reason_of_a_refusal_is_said(
    files: FileBlobs, method: str, content_type: str | None, size: int, change: dict[str, str], code: str
) -> None:
    signed = asyncio.run(files.signed_put("o/a", content_type=TEXT, size=5, expires_s=60))
    assert files.check("PUT", "o/a", query_of(signed), TEXT, None).size == 5
    with pytest.raises(SignatureRefused) as caught:
        files.check(method, "o/a", query_of(signed) | change, content_type, size)
    assert caught.value.code == code


def test_another_servers_secret_signs_nothing_here(files: FileBlobs, tmp_path: Path) -> None:
    other = FileBlobs(tmp_path / "other", bytes(32), "http://127.0.0.1", Clock())
    signed = asyncio.run(other.signed_get("o/a", expires_s=60))
    with pytest.raises(SignatureRefused):
        files.check("GET", "o/a", query_of(signed), None, None)


def test_a_body_that_stops_early_is_not_stored(files: FileBlobs, tmp_path: Path) -> None:
    async def cut_short() -> None:
        signed = await files.signed_put("o/a", content_type=TEXT, size=3_000_000, expires_s=60)
        grant = files.check("PUT", "o/a", query_of(signed), TEXT, None)
        with pytest.raises(BodyCutShort):
            await files.receive(grant, stream(bytes(2_999_999), 1 << 16))
        assert await files.stat("o/a") is None

    asyncio.run(cut_short())
    assert list((tmp_path / "store" / "tmp").iterdir()) == []


def test_a_blob_replaced_under_a_reader_is_not_mixed(files: FileBlobs) -> None:
    async def replace() -> None:
        await files.put("o/a", b"old" * 1_000_000, content_type=TEXT)
        reading = files.get("o/a")
        pieces = [await anext(reading)]
        await files.put("o/a", b"new" * 1_000_000, content_type=TEXT)
        pieces += [piece async for piece in reading]
        assert b"".join(pieces) == b"old" * 1_000_000

    asyncio.run(replace())


@pytest.mark.parametrize("harm", ["cut", "lengthened", "overwritten", "emptied"])
def test_damage_on_the_disk_is_said(files: FileBlobs, tmp_path: Path, harm: str) -> None:
    asyncio.run(files.put("o/a", b"x" * 1000, content_type=TEXT))
    (path,) = (tmp_path / "store" / "blobs").rglob("*=")
    held = path.read_bytes()
    assert json.loads(held[1000:])["size"] == 1000
    path.write_bytes({"cut": held[10:], "lengthened": held + b"x", "overwritten": held[:-400] + b"{" * 400, "emptied": b""}[harm])
    with pytest.raises(BlobDamaged):
        asyncio.run(files.read("o/a"))


FULL = """
import asyncio, sys
from pathlib import Path
from engines.blob_files import FileBlobs
from engines.disk import OutOfSpace

async def main():
    blobs = FileBlobs(Path(sys.argv[1]), bytes(32), "http://127.0.0.1")
    await blobs.put("o/kept", bytes(1 << 20), content_type="text/plain")
    try:
        await blobs.put("o/more", bytes(8 << 20), content_type="text/plain")
    except OutOfSpace as error:
        print(error)
    print([key async for key in blobs.keys()], len(await blobs.read("o/kept")), list(Path(sys.argv[1], "tmp").iterdir()))

asyncio.run(main())
"""


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    room = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec"]
    mount = 'mount -t tmpfs -o size=4m none "$1"'
    if shutil.which("unshare") is None or subprocess.run([*room, mount, "sh", str(tmp_path)], capture_output=True).returncode:
        pytest.skip("no small file system can be mounted here")
    command = [*room, mount + '; exec "$2" -c "$3" "$1"', "sh", str(tmp_path), sys.executable, FULL]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=WAIT_S)
    assert done.stderr == ""
    said, left = done.stdout.splitlines()
    assert said.startswith("There is no room left on the disk")
    assert left == "['o/kept'] 1048576 []"


# What only S3 can show.


@pytest.mark.parametrize("wrong", [{"bucket": "elocute-none"}, {"secret_key": "wrong"}, {"endpoint": "http://127.0.0.1:9"}])
def test_an_s3_that_cannot_be_used_is_said_at_once(
    s3: S3Settings, tmp_path: Path, wrong: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {name: getattr(s3, name) for name in S3Settings.__slots__}
    settings = Settings(tmp_path, "bundled", "cpu", 1, s3=S3Settings(**(given | wrong)))
    monkeypatch.setattr("engines.blob_s3.ATTEMPTS", 1)

    async def open_it() -> None:
        async with open_blobs(settings, SECRET, "http://127.0.0.1", tmp_path):
            pass

    with pytest.raises(BlobsFailed):
        asyncio.run(open_it())


def test_without_s3_blobs_are_files(tmp_path: Path) -> None:
    async def open_it() -> None:
        settings = Settings(tmp_path, "bundled", "cpu", 1)
        async with open_blobs(settings, SECRET, "http://127.0.0.1", tmp_path / "blobs") as blobs:
            assert isinstance(blobs, FileBlobs)

    asyncio.run(open_it())
