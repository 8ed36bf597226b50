"""Recordings and report files: what a store of blobs does, whichever store it is, and which one the settings ask for."""

import re
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

from config.settings import Settings
from engines.disk import in_thread
from engines.errors import EngineError

PIECE = 1 << 20  # bytes read or written at a time
LONGEST_KEY = 512  # bytes; S3 takes 1024
LONGEST_TYPE = 100  # characters of a content type
MOST_PARTS = 10_000  # S3's limits: parts of one upload,
SMALLEST_PART = 5 << 20  # bytes of every part but the last,
LONGEST_LEASE_S = 7 * 24 * 3600  # and how long a signed URL may last
LISTED = 1000  # keys deleted at a time, also S3's limit

# No part of a key begins with a dot, which leaves out `.` and `..`; 200 characters leave a file system room for a suffix.
_PART = re.compile(r"[a-z0-9_-][a-z0-9._-]{0,199}")
_TYPE = re.compile(r"[!-~]+(?: [!-~]+)*")

Source = AsyncIterator[bytes] | bytes | Path


class BlobRefused(EngineError):
    """A key, content type, size or part number that no store here takes."""


class BlobMissing(EngineError):
    """There is no blob of that key."""


class BlobExists(EngineError):
    """There already is a blob of that key, and there was not to be one."""


class BlobDamaged(EngineError):
    """What the disk holds under that key is not what was written."""


class RangeRefused(EngineError):
    """The range begins after the end of the blob."""


class UploadMissing(EngineError):
    """There is no such upload under that key: it was completed, aborted, or swept away."""


class UploadRefused(EngineError):
    """The parts named are not those that came, or do not add up to the size that was announced. The upload stays as it was."""


class BlobsFailed(EngineError):
    """The store cannot be reached, or did not do what it was asked."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What was written."""

    size: int  # bytes
    sha256: str  # hexadecimal
    etag: str  # without quotes; another for every content


@dataclass(frozen=True, slots=True)
class Stat:
    """What is known of a blob without reading it."""

    size: int  # bytes
    content_type: str
    etag: str
    modified: datetime  # with its time zone
    sha256: str | None  # hexadecimal; None where nobody summed it up: after a multipart upload, and a stream into S3 of over 8 MiB


@dataclass(frozen=True, slots=True)
class Signed:
    """A request that a browser may make until it expires."""

    url: str
    method: str
    headers: Mapping[str, str]  # to be sent exactly so


@dataclass(frozen=True, slots=True)
class Part:
    """One part of an upload, as it came."""

    number: int  # from 1
    size: int  # bytes
    etag: str


class Blobs(ABC):
    """Blobs by key, `{org}/{session}/...`: lower-case letters, digits and `-_.`, in parts divided by `/`, no part beginning with a dot.

    Whoever writes a key, a reader sees one whole version of it or another. Every method raises BlobRefused for a key it does not take,
    OutOfSpace or BlobsFailed where the store cannot; other errors are named where they occur.
    """

    @abstractmethod
    async def put(self, key: str, data: Source, *, content_type: str, if_absent: bool = False) -> Stored:
        """Store the data durably. With `if_absent`, raises BlobExists where there is one already: of two at once, one wins."""

    @abstractmethod
    def get(self, key: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """The bytes [start, end) in pieces of at most 1 MiB, to the end of the blob where `end` is None or beyond it.

        Raises BlobMissing, and RangeRefused where `start` is not 0 and at or after the end of the blob.
        """

    @abstractmethod
    async def stat(self, key: str) -> Stat | None:
        """What is known of the blob, None where there is none."""

    @abstractmethod
    async def delete(self, keys: Iterable[str]) -> None:
        """Delete the blobs; a key without one is no error."""

    @abstractmethod
    def keys(self, prefix: str = "") -> AsyncGenerator[str, None]:
        """The keys that begin with the prefix, which is empty or ends with `/`; each once, those of one folder in order."""

    @abstractmethod
    async def signed_put(self, key: str, *, content_type: str, size: int, expires_s: int) -> Signed:
        """A PUT of exactly `size` bytes of this content type."""

    @abstractmethod
    async def signed_get(self, key: str, *, expires_s: int, filename: str | None = None, content_type: str | None = None) -> Signed:
        """A GET, ranges allowed; as a download where a file name is given; under another content type where that is given."""

    @abstractmethod
    async def begin_upload(self, key: str, *, content_type: str, size: int) -> str:
        """The id of a new upload of `size` bytes in parts, for a client that may lose its connection."""

    @abstractmethod
    async def signed_part(self, key: str, upload_id: str, number: int, size: int, expires_s: int) -> Signed:
        """A PUT of exactly `size` bytes as part `number`, from 1 to 10,000; every part but the last at least 5 MiB. A repeat replaces."""

    @abstractmethod
    async def parts(self, key: str, upload_id: str) -> list[Part]:
        """The parts that came, by number. Raises UploadMissing."""

    @abstractmethod
    async def complete_upload(self, key: str, upload_id: str, parts: Sequence[Part]) -> None:
        """Make the blob of its parts and end the upload. Raises UploadMissing, and UploadRefused where a part is missing.

        A repeat, for want of an answer, is no error as long as the blob is still the one made of these parts.
        """

    @abstractmethod
    async def abort_upload(self, key: str, upload_id: str) -> None:
        """End the upload and drop its parts. No error where there is none."""

    @abstractmethod
    async def abort_uploads(self, prefix: str) -> int:
        """End every upload whose key begins with the prefix; how many."""

    @abstractmethod
    async def sweep(self, older_than_s: float) -> int:
        """Remove what killed processes left: temporary files and uploads without a new byte or part for so long; how many."""

    async def read(self, key: str) -> bytes:
        """The whole blob, in memory: for documents, not recordings. Raises BlobMissing."""
        return b"".join([piece async for piece in self.get(key)])

    async def fetch(self, key: str, path: Path) -> None:
        """The whole blob as a local file, which is replaced, and gone if this fails. Raises BlobMissing."""
        try:
            async with aclosing(self.get(key)) as pieces:
                file = await in_thread(path.open, "wb")
                try:
                    async for piece in pieces:
                        await in_thread(file.write, piece)
                finally:
                    await in_thread(file.close)
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    async def delete_prefix(self, prefix: str) -> int:
        """End all uploads and delete all blobs under the prefix, `{org}/` or longer, until a listing is empty; how many blobs."""
        if not prefix:
            raise BlobRefused("everything is not deleted by prefix")
        await self.abort_uploads(prefix)
        deleted, before = 0, list[str]()
        while found := await self._first(prefix):
            if found == before:
                raise BlobsFailed(f"{prefix}: the store says it deleted {found[0]}, and still lists it")
            await self.delete(found)
            deleted += len(found)
            before = found
        return deleted

    async def _first(self, prefix: str) -> list[str]:
        found: list[str] = []
        async with aclosing(self.keys(prefix)) as keys:
            async for key in keys:
                found.append(key)
                if len(found) == LISTED:
                    break
        return found


@asynccontextmanager
async def open_blobs(settings: Settings, secret: bytes, base_url: str, folder: Path) -> AsyncIterator[Blobs]:
    """The store that the settings ask for: S3, else files in the folder.

    secret: signs the URLs of files, 32 bytes or more; base_url: where browsers reach this server. Raises BlobsFailed where S3 does not
    answer.
    """
    if settings.s3 is None:
        from engines.blob_files import FileBlobs  # both adapters import this module

        yield FileBlobs(folder, secret, base_url)
    else:
        from engines.blob_s3 import S3Blobs  # a second to load: not for those who keep files

        async with S3Blobs.open(settings.s3) as blobs:
            yield blobs


def check_key(key: str) -> str:
    """The key itself. Raises BlobRefused."""
    parts = key.split("/")
    if len(key) > LONGEST_KEY or len(parts) < 2 or not all(_PART.fullmatch(part) for part in parts):
        raise BlobRefused(f"{key[:LONGEST_KEY]!r} is no key: it must be {{org}}/... of lower-case letters, digits, '-', '_' and '.'")
    return key


def check_prefix(prefix: str) -> str:
    """The prefix itself: empty, or parts of a key that each end with `/`. Raises BlobRefused."""
    if prefix:
        check_key(prefix + "x")
    if prefix and not prefix.endswith("/"):
        raise BlobRefused(f"{prefix!r} is no prefix of keys: it must end with '/'")
    return prefix


def check_type(content_type: str) -> str:
    """The content type itself. Raises BlobRefused where it cannot stand in a header."""
    if len(content_type) > LONGEST_TYPE or not _TYPE.fullmatch(content_type):
        raise BlobRefused(f"{content_type[:LONGEST_TYPE]!r} is no content type")
    return content_type


def check_size(size: int, least: int = 0) -> int:
    """The size itself. Raises BlobRefused."""
    if size < least:
        raise BlobRefused(f"a size of {size} bytes is too small")
    return size


def check_lease(expires_s: int) -> int:
    """The time itself. Raises BlobRefused."""
    if not 1 <= expires_s <= LONGEST_LEASE_S:
        raise BlobRefused(f"a URL cannot be signed for {expires_s} s")
    return expires_s


def check_part_number(number: int) -> int:
    """The number itself. Raises BlobRefused."""
    if not 1 <= number <= MOST_PARTS:
        raise BlobRefused(f"{number} is no part number")
    return number


def check_range(start: int, end: int | None) -> None:
    """A range is written by us, not by users: ValueError for one that is empty or backwards."""
    if start < 0 or (end is not None and end <= start):
        raise ValueError(f"[{start}, {end}) is no range of bytes")


def check_parts(parts: Sequence[Part], size: int) -> None:
    """Raises UploadRefused where the parts are out of order or do not add up."""
    if any(before.number >= after.number for before, after in pairwise(parts)):
        raise UploadRefused("the parts are not in the order of their numbers")
    come = sum(part.size for part in parts)
    if come != size:
        raise UploadRefused(f"the parts hold {come} bytes of {size}")


def disposition(filename: str) -> str:
    """The header Content-Disposition of a download under this name (RFC 6266)."""
    plain = "".join(char if char.isascii() and (char.isalnum() or char in "-_. ()") else "_" for char in filename)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='', errors='replace')}"


async def pieces_of(data: Source, size: int) -> AsyncGenerator[bytes, None]:
    """The data in pieces of exactly `size` bytes, the last one shorter."""
    if isinstance(data, bytes):
        for at in range(0, len(data), size):
            yield data[at : at + size]
    elif isinstance(data, Path):
        file = await in_thread(data.open, "rb")
        with file:
            while piece := await in_thread(file.read, size):
                yield piece
    else:
        held = bytearray()
        async for chunk in data:
            held += chunk
            while len(held) >= size:
                yield bytes(held[:size])
                del held[:size]
        if held:
            yield bytes(held)
