"""Blobs as files, with URLs that this server signs and serves itself.

    blobs/{key}=              the bytes, then a trailer of 512 bytes: what is known of them comes and goes with them in one rename
    uploads/{id}/about.json   an upload in parts: key, content type, size
    uploads/{id}/00001        a part, also with a trailer
    tmp/                      what is not finished, or about to go

`=` is in no key, so a blob `a` and a folder of blobs `a/` do not meet.
"""

import contextlib
import errno
import hashlib
import hmac
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from io import FileIO
from itertools import islice
from math import ceil
from pathlib import Path
from typing import Literal
from urllib.parse import urlencode

from engines.blobs import (
    LISTED,
    PIECE,
    BlobDamaged,
    BlobExists,
    BlobMissing,
    Blobs,
    BlobsFailed,
    Part,
    RangeRefused,
    Signed,
    Source,
    Stat,
    Stored,
    UploadMissing,
    UploadRefused,
    check_key,
    check_lease,
    check_part_number,
    check_parts,
    check_prefix,
    check_range,
    check_size,
    check_type,
    pieces_of,
)
from engines.disk import Draft, in_thread, make_folders, sync_folder
from engines.errors import EngineError

TRAILER = 512  # bytes: two hashes, a size and a content type of 100 characters, all of which JSON might escape
SUFFIX = "="
ATTEMPTS = 20  # a folder may be taken away, empty, between making it and using it
PART_TYPE = "application/octet-stream"

_UPLOAD = re.compile(r"[A-Za-z0-9_-]{20,40}")

Refusal = Literal["bad", "expired", "wrong_type", "too_large"]


class SignatureRefused(EngineError):
    """This request is not the one that was signed."""

    def __init__(self, code: Refusal) -> None:
        super().__init__(f"the signed URL was refused: {code}")
        self.code: Refusal = code


class BodyCutShort(EngineError):
    """The body ended before the size that was granted. Nothing was stored."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a signed URL allows."""

    method: Literal["GET", "PUT"]
    key: str
    content_type: str | None  # of the blob to come; for a GET, what to call it instead of its own
    size: int | None  # bytes to come, exactly; None for a GET
    filename: str | None  # GET: a download under this name
    upload: str | None  # PUT: a part of this upload,
    part: int | None  # and its number


@dataclass(frozen=True, slots=True)
class _About:
    """The trailer of a file."""

    size: int
    content_type: str
    etag: str
    sha256: str | None


@dataclass(frozen=True, slots=True)
class _Upload:
    """about.json of an upload."""

    key: str
    content_type: str
    size: int


class FileBlobs(Blobs):
    """Blobs as files below one folder, which several processes may share."""

    def __init__(self, folder: Path, secret: bytes, base_url: str, now: Callable[[], float] = time.time) -> None:
        """secret: signs the URLs, 32 bytes or more; base_url: of the server that answers them; now: seconds since 1970."""
        self._blobs = folder / "blobs"
        self._uploads = folder / "uploads"
        self._tmp = folder / "tmp"
        self._secret = secret
        self._base_url = base_url.rstrip("/")
        self._now = now
        for made in (self._blobs, self._uploads, self._tmp):
            make_folders(made)

    async def put(self, key: str, data: Source, *, content_type: str, if_absent: bool = False) -> Stored:
        """See Blobs."""
        path = self._path(key)
        check_type(content_type)
        if if_absent and await in_thread(path.exists):
            raise BlobExists(key)
        async with self._draft() as draft, aclosing(pieces_of(data, PIECE)) as pieces:
            async for piece in pieces:
                await in_thread(draft.write, piece)
            return await self._finish(draft, path, content_type, key, if_absent)

    async def get(self, key: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """See Blobs."""
        check_range(start, end)
        file, about = await in_thread(_opened, self._path(key), key)
        with file:
            if start and start >= about.size:
                raise RangeRefused(f"{key}: {start} is not within its {about.size} bytes")
            at, end = start, about.size if end is None else min(end, about.size)
            while at < end:
                piece = await in_thread(os.pread, file.fileno(), min(PIECE, end - at), at)
                if not piece:
                    raise BlobDamaged(f"{key}: cut short at {at}")
                at += len(piece)
                yield piece

    async def stat(self, key: str) -> Stat | None:
        """See Blobs."""
        path = self._path(key)
        try:
            return await in_thread(_stat, path, key)
        except BlobMissing:
            return None

    async def delete(self, keys: Iterable[str]) -> None:
        """See Blobs."""
        paths = (self._path(key) for key in list(keys))
        while some := list(islice(paths, LISTED)):
            await in_thread(self._delete, some)

    async def keys(self, prefix: str = "") -> AsyncGenerator[str, None]:
        """See Blobs. All are in order of their bytes, as S3 itself lists them."""
        pending = [check_prefix(prefix)]
        while pending:
            at = pending.pop()
            if at and not at.endswith("/"):
                yield at
            else:
                pending += reversed(await in_thread(self._listed, at))

    async def signed_put(self, key: str, *, content_type: str, size: int, expires_s: int) -> Signed:
        """See Blobs."""
        return self._sign("PUT", key, expires_s, {"content-type": content_type}, type=check_type(content_type), size=check_size(size))

    async def signed_get(self, key: str, *, expires_s: int, filename: str | None = None, content_type: str | None = None) -> Signed:
        """See Blobs."""
        about = {} if filename is None else {"filename": filename}
        if content_type is not None:
            about["type"] = check_type(content_type)
        return self._sign("GET", key, expires_s, {}, **about)

    async def begin_upload(self, key: str, *, content_type: str, size: int) -> str:
        """See Blobs."""
        upload = _Upload(check_key(key), check_type(content_type), check_size(size, least=1))
        upload_id = secrets.token_urlsafe(18)
        await in_thread(self._begin, upload_id, upload)
        return upload_id

    async def signed_part(self, key: str, upload_id: str, number: int, size: int, expires_s: int) -> Signed:
        """See Blobs."""
        self._folder(upload_id)
        return self._sign("PUT", key, expires_s, {}, size=check_size(size, least=1), upload=upload_id, part=check_part_number(number))

    async def parts(self, key: str, upload_id: str) -> list[Part]:
        """See Blobs."""
        await in_thread(self._upload, key, upload_id)
        return await in_thread(_parts, self._folder(upload_id))

    async def complete_upload(self, key: str, upload_id: str, parts: Sequence[Part]) -> None:
        """See Blobs."""
        etag = f"{hashlib.sha256(''.join(part.etag for part in parts).encode()).hexdigest()[:32]}-{len(parts)}"
        folder = self._folder(upload_id)
        try:
            upload = await in_thread(self._upload, key, upload_id)
        except UploadMissing:
            stat = await self.stat(key)
            if stat is None or stat.etag != etag:
                raise
            return  # a repeat
        come = set(await in_thread(_parts, folder))
        if missing := [part.number for part in parts if part not in come]:
            raise UploadRefused(f"part {missing[0]} did not come, or is not the one that was named")
        check_parts(parts, upload.size)
        async with self._draft() as draft:
            for part in parts:
                await in_thread(_append, draft, folder, part)
            await in_thread(draft.seal, _trailer(_About(draft.size, upload.content_type, etag, None)))
            await in_thread(self._place, draft.path, self._path(key), key, False)
        await self.abort_upload(key, upload_id)

    async def abort_upload(self, key: str, upload_id: str) -> None:
        """See Blobs."""
        try:
            await in_thread(self._upload, key, upload_id)
        except UploadMissing:
            return
        await in_thread(self._drop, self._folder(upload_id))

    async def abort_uploads(self, prefix: str) -> int:
        """See Blobs."""
        check_prefix(prefix)
        count = 0
        for folder in await in_thread(_entries, self._uploads):
            about = await in_thread(_about_upload, folder)
            if about is not None and about.key.startswith(prefix):
                count += await in_thread(self._drop, folder)
        return count

    async def sweep(self, older_than_s: float) -> int:
        """See Blobs."""
        return await in_thread(self._sweep, self._now() - older_than_s)

    def check(self, method: str, key: str, query: Mapping[str, str], content_type: str | None, size: int | None) -> Grant:
        """What the request may do. query: its parameters; content_type, size: its headers. Raises SignatureRefused; waits for nothing."""
        given = dict(query)
        signature = given.pop("signature", "")
        if not hmac.compare_digest(self._signature(key, given).encode(), signature.encode(errors="replace")):
            raise SignatureRefused("bad")
        # From here on, what the URL says is what we wrote.
        if given["method"] != method:
            raise SignatureRefused("bad")
        if self._now() >= int(given["expires"]):
            raise SignatureRefused("expired")
        part = int(given["part"]) if "part" in given else None
        if method == "PUT" and part is None and content_type != given["type"]:
            raise SignatureRefused("wrong_type")
        granted = int(given["size"]) if "size" in given else None
        if granted is not None and size is not None and size != granted:
            raise SignatureRefused("too_large" if size > granted else "bad")
        return Grant("PUT" if method == "PUT" else "GET", key, given.get("type"), granted, given.get("filename"), given.get("upload"), part)

    async def receive(self, grant: Grant, chunks: AsyncIterator[bytes]) -> Stored:
        """Store the body of a PUT that was granted, durably when this returns.

        Raises SignatureRefused("too_large") as soon as more comes than was granted, BodyCutShort where less comes, and UploadMissing.
        """
        assert grant.size is not None
        if grant.upload is None or grant.part is None:
            path = self._path(grant.key)
        else:
            await in_thread(self._upload, grant.key, grant.upload)
            path = self._folder(grant.upload) / _part_name(grant.part)
        async with self._draft() as draft, aclosing(pieces_of(_at_most(grant.size, chunks), PIECE)) as pieces:
            async for piece in pieces:
                await in_thread(draft.write, piece)
            if draft.size < grant.size:
                raise BodyCutShort(f"{grant.key}: {draft.size} bytes of {grant.size} came")
            return await self._finish(draft, path, grant.content_type or PART_TYPE, grant.key, False)

    def _sign(self, method: str, key: str, expires_s: int, headers: Mapping[str, str], **about: object) -> Signed:
        check_key(key)
        query = {"method": method, "expires": str(ceil(self._now() + check_lease(expires_s)))}
        query |= {name: str(value) for name, value in about.items()}
        signature = self._signature(key, query)
        return Signed(f"{self._base_url}/v1/blobs/{key}?{_encoded(query)}&signature={signature}", method, headers)

    def _signature(self, key: str, query: Mapping[str, str]) -> str:
        return hmac.new(self._secret, f"{key}?{_encoded(query)}".encode(errors="replace"), hashlib.sha256).hexdigest()

    def _path(self, key: str) -> Path:
        return self._blobs / (check_key(key) + SUFFIX)

    def _folder(self, upload_id: str) -> Path:
        if not _UPLOAD.fullmatch(upload_id):
            raise UploadMissing(upload_id[:40])
        return self._uploads / upload_id

    @asynccontextmanager
    async def _draft(self) -> AsyncIterator[Draft]:
        draft = Draft(self._tmp / secrets.token_hex(16))
        try:
            await in_thread(draft.begin)
            yield draft
        finally:
            await in_thread(draft.discard)

    async def _finish(self, draft: Draft, path: Path, content_type: str, key: str, if_absent: bool) -> Stored:
        stored = Stored(draft.size, draft.sha256, draft.sha256[:32])
        await in_thread(draft.seal, _trailer(_About(stored.size, content_type, stored.etag, stored.sha256)))
        await in_thread(self._place, draft.path, path, key, if_absent)
        return stored

    def _place(self, draft: Path, path: Path, key: str, if_absent: bool) -> None:
        """Give a sealed draft its name, durably."""
        of_upload = path.parent.parent == self._uploads
        for _ in range(ATTEMPTS):
            try:
                if not of_upload:
                    make_folders(path.parent)
                if if_absent:
                    os.link(draft, path)
                else:
                    draft.replace(path)
                sync_folder(path.parent)
                return
            except FileExistsError as error:
                raise BlobExists(key) from error
            except FileNotFoundError as error:
                if of_upload:
                    raise UploadMissing(path.parent.name) from error
        raise BlobsFailed(f"{key}: cannot be stored, something keeps deleting {path.parent} or {draft}")

    def _delete(self, paths: Sequence[Path]) -> None:
        for path in paths:
            path.unlink(missing_ok=True)
        left = {self._without_empty_folders(path.parent) for path in paths}
        for folder in left:
            with contextlib.suppress(FileNotFoundError):  # emptied and removed by another, who then sees to it
                sync_folder(folder)

    def _without_empty_folders(self, folder: Path) -> Path:
        """The first folder, from here upwards, that was not empty."""
        while folder != self._blobs:
            try:
                folder.rmdir()
            except FileNotFoundError:
                pass
            except OSError as error:
                if error.errno != errno.ENOTEMPTY:
                    raise
                return folder
            folder = folder.parent
        return folder

    def _listed(self, prefix: str) -> list[str]:
        names = []
        for path in _entries(self._blobs / prefix):
            if path.name.endswith(SUFFIX):
                names.append(prefix + path.name.removesuffix(SUFFIX))
            else:
                names.append(f"{prefix}{path.name}/")
        return sorted(names)

    def _begin(self, upload_id: str, upload: _Upload) -> None:
        folder = self._uploads / upload_id
        folder.mkdir(mode=0o700)
        draft = Draft(self._tmp / secrets.token_hex(16))
        try:
            draft.begin()
            draft.seal(json.dumps(asdict(upload)).encode())
            draft.path.replace(folder / "about.json")
        finally:
            draft.discard()
        sync_folder(folder)
        sync_folder(self._uploads)

    def _upload(self, key: str, upload_id: str) -> _Upload:
        about = _about_upload(self._folder(upload_id))
        if about is None or about.key != check_key(key):
            raise UploadMissing(upload_id)
        return about

    def _drop(self, folder: Path) -> bool:
        """Take an upload away, all at once; whether it was there."""
        going = self._tmp / secrets.token_hex(16)
        try:
            folder.rename(going)
        except FileNotFoundError:
            return False
        _remove_folder(going)
        return True

    def _sweep(self, before: float) -> int:
        swept = 0
        for folder in _entries(self._uploads):
            newest = max((time_s for path in (folder, *_entries(folder)) if (time_s := _modified(path)) is not None), default=None)
            if newest is not None and newest <= before:
                swept += self._drop(folder)
        for path in _entries(self._tmp):
            time_s = _modified(path)
            if time_s is not None and time_s <= before:
                if path.is_dir():
                    _remove_folder(path)
                else:
                    path.unlink(missing_ok=True)
                swept += 1
        return swept


def _encoded(query: Mapping[str, str]) -> str:
    return urlencode(sorted(query.items()), errors="replace")


def _part_name(number: int) -> str:
    return f"{number:05}"


def _trailer(about: _About) -> bytes:
    return json.dumps(asdict(about)).encode().ljust(TRAILER - 1) + b"\n"


def _opened(path: Path, key: str) -> tuple[FileIO, _About]:
    try:
        file = FileIO(path)
    except FileNotFoundError as error:
        raise BlobMissing(key) from error
    try:
        size = os.fstat(file.fileno()).st_size - TRAILER
        about = _About(**json.loads(os.pread(file.fileno(), TRAILER, size))) if size >= 0 else None
        if about is None or about.size != size:
            raise BlobDamaged(f"{path}: cut short")
    except (ValueError, TypeError) as error:
        file.close()
        raise BlobDamaged(f"{path}: its last {TRAILER} bytes are not what was written there") from error
    except BaseException:
        file.close()
        raise
    return file, about


def _stat(path: Path, key: str) -> Stat:
    file, about = _opened(path, key)
    with file:
        modified = datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
    return Stat(about.size, about.content_type, about.etag, modified, about.sha256)


async def _at_most(size: int, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    come = 0
    async for chunk in chunks:
        come += len(chunk)
        if come > size:
            raise SignatureRefused("too_large")
        yield chunk


def _parts(folder: Path) -> list[Part]:
    parts = []
    for path in _entries(folder):
        if path.name.isdigit():
            stat = _stat(path, path.name)
            parts.append(Part(int(path.name), stat.size, stat.etag))
    return sorted(parts, key=lambda part: part.number)


def _append(draft: Draft, folder: Path, part: Part) -> None:
    """Add a part that was listed, as long as it still is that one."""
    try:
        file, about = _opened(folder / _part_name(part.number), part.etag)
    except BlobMissing as error:  # aborted, or completed by another
        raise UploadMissing(folder.name) from error
    with file:
        if about.etag != part.etag:
            raise UploadRefused(f"part {part.number} was replaced")
        draft.append(file.fileno(), about.size)


def _remove_folder(folder: Path) -> None:
    with contextlib.suppress(FileNotFoundError):  # another is removing it too
        shutil.rmtree(folder)


def _about_upload(folder: Path) -> _Upload | None:
    try:
        return _Upload(**json.loads((folder / "about.json").read_bytes()))
    except FileNotFoundError:
        return None


def _entries(folder: Path) -> list[Path]:
    """What is in the folder; nothing where it went away, or is a file that is none of ours."""
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _modified(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return None
