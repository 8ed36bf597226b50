"""Blobs in any store that speaks S3. URLs are signed for it: bytes do not pass through this server."""

import contextlib
import hashlib
import time
from asyncio import timeout
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from datetime import datetime
from itertools import islice
from typing import Any, Self

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from aiohttp import ClientError as ConnectionLost
from botocore.exceptions import BotoCoreError, ClientError

from config.settings import S3Settings
from engines.blobs import (
    LISTED,
    PIECE,
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
    disposition,
    pieces_of,
)
from engines.disk import OutOfSpace, in_thread
from engines.errors import EngineError

STREAM_PART = 8 << 20  # bytes held in memory, twice, while a stream is stored; times 10,000 parts: at most 80 GB
CONNECT_S = 5.0
SILENCE_S = 60.0  # between two bytes of an answer
ATTEMPTS = 4  # of one request, with back-off, where the store is busy or the connection breaks
CONNECTIONS = 32
TIDY_S = 10.0

_ERRORS: Mapping[str, type[EngineError]] = {
    "NoSuchKey": BlobMissing,
    "404": BlobMissing,  # HEAD has no body to say it in
    "NoSuchUpload": UploadMissing,
    "InvalidRange": RangeRefused,
    "PreconditionFailed": BlobExists,
    "InvalidPart": UploadRefused,
    "InvalidPartOrder": UploadRefused,
    "EntityTooSmall": UploadRefused,
    "QuotaExceeded": OutOfSpace,
    "InsufficientStorage": OutOfSpace,
    "XMinioStorageFull": OutOfSpace,
}


class S3Blobs(Blobs):
    """Blobs in one bucket, over one client. Made by `open`."""

    def __init__(self, client: Any, bucket: str, now: Callable[[], float]) -> None:
        self._client = client
        self._bucket = bucket
        self._now = now

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: S3Settings, now: Callable[[], float] = time.time) -> AsyncIterator[Self]:
        """The bucket, which must exist; now: seconds since 1970, for `sweep`. Raises BlobsFailed where it cannot be reached."""
        config = AioConfig(
            signature_version="s3v4",
            s3={"addressing_style": "path"},  # a bucket as a host name needs DNS that own servers rarely have
            connect_timeout=CONNECT_S,
            read_timeout=SILENCE_S,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            max_pool_connections=CONNECTIONS,
            request_checksum_calculation="when_required",  # many stores know nothing of the newer ones
            response_checksum_validation="when_required",
        )
        made = get_session().create_client(
            "s3",
            endpoint_url=settings.endpoint,
            aws_access_key_id=settings.access_key,
            aws_secret_access_key=settings.secret_key,
            region_name=settings.region,
            config=config,
        )
        async with made as client:
            try:
                with _said(settings.bucket):
                    await client.head_bucket(Bucket=settings.bucket)
            except BlobMissing as error:
                raise BlobsFailed(f"{settings.endpoint} has no bucket {settings.bucket}. Make it, or check S3_BUCKET.") from error
            yield cls(client, settings.bucket, now)

    async def put(self, key: str, data: Source, *, content_type: str, if_absent: bool = False) -> Stored:
        """See Blobs."""
        about = {"Bucket": self._bucket, "Key": check_key(key), "ContentType": check_type(content_type)}
        condition = {"IfNoneMatch": "*"} if if_absent else {}
        sha256 = hashlib.sha256()
        async with aclosing(pieces_of(data, STREAM_PART)) as pieces:
            piece = await anext(pieces, b"")
            following = await anext(pieces, None)
            await in_thread(sha256.update, piece)
            if following is None:
                whole = sha256.hexdigest()
                with _said(key):
                    answer = await self._client.put_object(**about, **condition, Body=piece, Metadata={"sha256": whole})
                return Stored(len(piece), whole, _plain(answer["ETag"]))
            async with self._new_upload(key, about) as upload:
                size = len(piece)
                etags = [await self._put_part(key, upload, 1, piece)]
                while following is not None:
                    size += len(following)
                    await in_thread(sha256.update, following)
                    etags.append(await self._put_part(key, upload, len(etags) + 1, following))
                    following = await anext(pieces, None)
                etag = await self._complete(key, upload, list(enumerate(etags, start=1)), **condition)
        return Stored(size, sha256.hexdigest(), etag)

    async def get(self, key: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """See Blobs."""
        check_range(start, end)
        asked = {} if (start, end) == (0, None) else {"Range": f"bytes={start}-{'' if end is None else end - 1}"}
        try:
            with _said(key):
                answer = await self._client.get_object(Bucket=self._bucket, Key=check_key(key), **asked)
        except RangeRefused:
            if start:
                raise
            return  # the blob is empty
        async with answer["Body"] as body, aclosing(body.iter_chunks(PIECE)) as pieces:
            with _said(key):
                async for piece in pieces:
                    yield piece

    async def stat(self, key: str) -> Stat | None:
        """See Blobs."""
        try:
            with _said(key):
                head = await self._client.head_object(Bucket=self._bucket, Key=check_key(key))
        except BlobMissing:
            return None
        sha256 = head["Metadata"].get("sha256")
        return Stat(head["ContentLength"], head["ContentType"], _plain(head["ETag"]), head["LastModified"], sha256)

    async def delete(self, keys: Iterable[str]) -> None:
        """See Blobs."""
        names = iter([{"Key": check_key(key)} for key in keys])
        while some := list(islice(names, LISTED)):
            with _said(some[0]["Key"]):
                answer = await self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": some, "Quiet": True})
            if failed := answer.get("Errors"):
                raise BlobsFailed(f"{failed[0].get('Key')} and {len(failed) - 1} others were not deleted: {failed[0].get('Message')}")

    async def keys(self, prefix: str = "") -> AsyncGenerator[str, None]:
        """See Blobs. A folder among names that begin as it does stands where the store puts it: SeaweedFS has `a/b` before `a-b`."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=check_prefix(prefix))
        with _said(prefix):
            async for page in pages:
                for found in page.get("Contents", []):
                    yield found["Key"]

    async def signed_put(self, key: str, *, content_type: str, size: int, expires_s: int) -> Signed:
        """See Blobs."""
        about = {"Key": check_key(key), "ContentType": check_type(content_type), "ContentLength": check_size(size)}
        return await self._sign("PUT", "put_object", about, expires_s, {"content-type": content_type})

    async def signed_get(self, key: str, *, expires_s: int, filename: str | None = None, content_type: str | None = None) -> Signed:
        """See Blobs."""
        about = {"Key": check_key(key)}
        if filename is not None:
            about["ResponseContentDisposition"] = disposition(filename)
        if content_type is not None:
            about["ResponseContentType"] = check_type(content_type)
        return await self._sign("GET", "get_object", about, expires_s, {})

    async def begin_upload(self, key: str, *, content_type: str, size: int) -> str:
        """See Blobs. S3 has no place for the announced size, so the id carries it."""
        about = {"Bucket": self._bucket, "Key": check_key(key), "ContentType": check_type(content_type)}
        check_size(size, least=1)
        with _said(key):
            answer = await self._client.create_multipart_upload(**about)
        return f"{size}.{answer['UploadId']}"

    async def signed_part(self, key: str, upload_id: str, number: int, size: int, expires_s: int) -> Signed:
        """See Blobs."""
        about = {
            "Key": check_key(key),
            "UploadId": _upload(upload_id)[1],
            "PartNumber": check_part_number(number),
            "ContentLength": check_size(size, least=1),
        }
        return await self._sign("PUT", "upload_part", about, expires_s, {})

    async def parts(self, key: str, upload_id: str) -> list[Part]:
        """See Blobs."""
        latest: dict[int, dict[datetime, set[Part]]] = {}
        for part in await self._listed_parts(check_key(key), _upload(upload_id)[1]):
            came = latest.setdefault(part["PartNumber"], {}).setdefault(part["LastModified"], set())
            came.add(Part(part["PartNumber"], part["Size"], _plain(part["ETag"])))
        # SeaweedFS lists what a repeat replaced, too. Two that differ within a second, the unit of its times, have no latest: neither came.
        last = [latest[number][max(latest[number])] for number in sorted(latest)]
        return [part for parts in last if len(parts) == 1 for part in parts]

    async def complete_upload(self, key: str, upload_id: str, parts: Sequence[Part]) -> None:
        """See Blobs."""
        size, upload = _upload(upload_id)
        if not parts and not await self._listed_parts(check_key(key), upload):
            raise UploadRefused("no part came")  # S3 answers that the request is malformed
        check_parts(parts, size)
        try:
            await self._complete(check_key(key), upload, [(part.number, part.etag) for part in parts])
        except UploadMissing:  # also what a repeat hears, from some stores or after some time
            stat = await self.stat(key)
            if stat is None or stat.etag != _joint_etag(parts):
                raise

    async def abort_upload(self, key: str, upload_id: str) -> None:
        """See Blobs."""
        with contextlib.suppress(UploadMissing):
            await self._abort(check_key(key), _upload(upload_id)[1])

    async def abort_uploads(self, prefix: str) -> int:
        """See Blobs."""
        count = 0
        for upload in await self._listed_uploads(check_prefix(prefix)):
            with contextlib.suppress(UploadMissing):
                await self._abort(upload["Key"], upload["UploadId"])
                count += 1
        return count

    async def sweep(self, older_than_s: float) -> int:
        """See Blobs."""
        before = self._now() - older_than_s
        swept = 0
        for upload in await self._listed_uploads(""):
            key, upload_id = upload["Key"], upload["UploadId"]
            if upload["Initiated"].timestamp() > before:
                continue
            with contextlib.suppress(UploadMissing):
                parts = await self._listed_parts(key, upload_id)
                if all(part["LastModified"].timestamp() <= before for part in parts):
                    await self._abort(key, upload_id)
                    swept += 1
        return swept

    @asynccontextmanager
    async def _new_upload(self, key: str, about: Mapping[str, str]) -> AsyncIterator[str]:
        """The id of an upload that is aborted where the block fails or is cancelled; if that fails too, `sweep` finds it."""
        with _said(key):
            upload: str = (await self._client.create_multipart_upload(**about))["UploadId"]
        try:
            yield upload
        except BaseException:
            with contextlib.suppress(EngineError, TimeoutError):
                async with timeout(TIDY_S):
                    await self._abort(key, upload)
            raise

    async def _put_part(self, key: str, upload: str, number: int, piece: bytes) -> str:
        with _said(key):
            answer = await self._client.upload_part(Bucket=self._bucket, Key=key, UploadId=upload, PartNumber=number, Body=piece)
        return _plain(answer["ETag"])

    async def _complete(self, key: str, upload: str, etags: Iterable[tuple[int, str]], **condition: str) -> str:
        parts = [{"PartNumber": number, "ETag": f'"{etag}"'} for number, etag in etags]
        with _said(key):
            answer = await self._client.complete_multipart_upload(
                Bucket=self._bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}, **condition
            )
        return _plain(answer["ETag"])

    async def _abort(self, key: str, upload: str) -> None:
        with _said(key):
            await self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload)

    async def _listed_parts(self, key: str, upload: str) -> list[dict[str, Any]]:
        pages = self._client.get_paginator("list_parts").paginate(Bucket=self._bucket, Key=key, UploadId=upload)
        with _said(key):
            return [part async for page in pages for part in page.get("Parts", [])]

    async def _listed_uploads(self, prefix: str) -> list[dict[str, Any]]:
        pages = self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self._bucket, Prefix=prefix)
        with _said(prefix):
            return [upload async for page in pages for upload in page.get("Uploads", [])]

    async def _sign(self, method: str, operation: str, about: Mapping[str, object], expires_s: int, headers: Mapping[str, str]) -> Signed:
        given = {"Bucket": self._bucket, **about}
        url = await self._client.generate_presigned_url(operation, Params=given, ExpiresIn=check_lease(expires_s))
        return Signed(url, method, headers)


@contextmanager
def _said(key: str) -> Iterator[None]:
    """What the store answers or the wire does, as one of our errors."""
    try:
        yield
    except ClientError as error:
        said = error.response.get("Error", {})
        code = str(said.get("Code"))
        raise _ERRORS.get(code, BlobsFailed)(f"{key}: {said.get('Message') or code}") from error
    except (BotoCoreError, ConnectionLost, TimeoutError) as error:
        raise BlobsFailed(f"{key}: the S3 store does not answer ({error})") from error


def _upload(upload_id: str) -> tuple[int, str]:
    """The announced size and the store's own id."""
    size, _, upload = upload_id.partition(".")
    if not (size.isascii() and size.isdigit() and upload):
        raise UploadMissing(upload_id[:40])
    return int(size), upload


def _joint_etag(parts: Sequence[Part]) -> str | None:
    """The etag S3 gives what it makes of these parts; None where theirs are no MD5, as under KMS."""
    try:
        sums = b"".join(bytes.fromhex(part.etag) for part in parts)
    except ValueError:
        return None
    return f"{hashlib.md5(sums, usedforsecurity=False).hexdigest()}-{len(parts)}"


def _plain(etag: str) -> str:
    return etag.strip('"')
