"""Disk work kept off the event loop, and a file that appears whole or not at all."""

import asyncio
import contextlib
import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from engines.errors import EngineError

P = ParamSpec("P")
T = TypeVar("T")

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # full disk, used-up quota, larger than this disk or process may write


class OutOfSpace(EngineError):
    """The disk, or the store, has no room left. What was begun is gone again."""


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `work` returns, run in a thread. A caller that is cancelled first waits for the thread, whose file it may be about to close.

    Raises OutOfSpace where the system says so; any other OSError passes.
    """
    running = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([running])
        if not running.cancelled():
            running.exception()  # seen: it gives way to the cancellation
        raise
    except OSError as error:
        if error.errno in NO_ROOM:
            raise OutOfSpace(f"There is no room left on the disk ({error}). Make room and try again.") from error
        raise


class Draft:
    """A file being written under a passing name. Its methods block: they belong in threads, one at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0  # bytes so far
        self._file: int | None = None
        self._sha256 = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Of what `write` was given, in hexadecimal."""
        return self._sha256.hexdigest()

    def begin(self) -> None:
        """Make the file, which must be new."""
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def write(self, piece: bytes) -> None:
        """Append the piece."""
        self._sha256.update(piece)
        self._write(piece)
        self.size += len(piece)

    def append(self, source: int, size: int) -> None:
        """Append the first `size` bytes of an open file, inside the kernel: they are not hashed. Raises EOFError where it is shorter."""
        assert self._file is not None
        at = 0
        while at < size:
            sent = os.sendfile(self._file, source, at, size - at)
            if not sent:
                raise EOFError(f"{at} bytes of {size}")
            at += sent
        self.size += size

    def seal(self, trailer: bytes) -> None:
        """End the file with the trailer; when this returns, it is on the disk."""
        assert self._file is not None
        self._write(trailer)
        os.fsync(self._file)

    def discard(self) -> None:
        """Close it, and remove it where it still has its passing name."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        self.path.unlink(missing_ok=True)

    def _write(self, piece: bytes) -> None:
        assert self._file is not None
        left = memoryview(piece)
        while left:
            left = left[os.write(self._file, left) :]


def sync_folder(folder: Path) -> None:
    """Names made in or taken from the folder are on the disk when this returns."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def make_folders(folder: Path) -> None:
    """Make the folder and those above it, durably, for this user only."""
    if folder.is_dir():
        return
    make_folders(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    sync_folder(folder.parent)
