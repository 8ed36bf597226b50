"""Many files as one ZIP, made while it is sent: nothing of it is kept, and no more than a piece of it is in memory."""

import asyncio
import zipfile
from collections.abc import AsyncIterator, Sequence
from io import RawIOBase
from pathlib import PurePosixPath
from typing import Any

from db.reports import ReportFile
from engines.blobs import Blobs

_DENSE = frozenset({".pdf", ".parquet", ".mp3"})  # what would not get smaller
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first day that a ZIP knows: the same files give the same bytes


class _Pieces(RawIOBase):
    """What was written since it was last taken."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, piece: Any, /) -> int:
        self._pieces.append(bytes(piece))
        return len(piece)

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


async def zipped(blobs: Blobs, files: Sequence[ReportFile]) -> AsyncIterator[bytes]:
    """The bytes of a ZIP that holds the files. What takes time is done in threads."""
    pieces = _Pieces()
    with zipfile.ZipFile(pieces, "w") as archive:
        for file in files:
            entry = zipfile.ZipInfo(file.name, _EPOCH)
            entry.compress_type = zipfile.ZIP_STORED if PurePosixPath(file.name).suffix in _DENSE else zipfile.ZIP_DEFLATED
            with archive.open(entry, "w") as out:
                async for chunk in blobs.get(file.key):
                    await asyncio.to_thread(out.write, chunk)
                    if piece := pieces.take():
                        yield piece
    yield pieces.take()
