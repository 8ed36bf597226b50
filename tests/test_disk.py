"""Threads that touch files end before their caller does, and drafts appear whole or not at all."""

import asyncio
import errno
import hashlib
import threading
from pathlib import Path

import pytest

from engines.disk import Draft, OutOfSpace, in_thread, make_folders

WAIT_S = 10.0


def test_a_cancelled_caller_waits_for_its_thread() -> None:
    begun, may_end = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        assert may_end.wait(WAIT_S)
        raise ValueError("gives way to the cancellation")

    async def cancel_twice() -> None:
        caller = asyncio.create_task(in_thread(work))
        assert await asyncio.to_thread(begun.wait, WAIT_S)
        for _ in range(2):
            caller.cancel()
            done, _still = await asyncio.wait([caller], timeout=0)
            await asyncio.to_thread(lambda: None)  # a turn of the loop, and of the threads
            assert not done
            assert not caller.done()
        may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await caller

    asyncio.run(cancel_twice())


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_has_its_own_error(code: int) -> None:
    def write() -> None:
        raise OSError(code, "no")

    with pytest.raises(OutOfSpace, match="no room"):
        asyncio.run(in_thread(write))


def test_other_errors_pass() -> None:
    with pytest.raises(FileNotFoundError):
        asyncio.run(in_thread(Path("/nowhere/at/all").read_bytes))


def test_a_draft_joins_pieces_and_files(tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(b"456789")
    draft = Draft(tmp_path / "draft")
    draft.begin()
    draft.write(b"123")
    with (tmp_path / "part").open("rb") as part:
        draft.append(part.fileno(), 4)
        with pytest.raises(EOFError):
            draft.append(part.fileno(), 7)
    draft.seal(b"!")
    assert draft.path.read_bytes() == b"1234567456789!"
    assert draft.sha256 == hashlib.sha256(b"123").hexdigest()
    assert draft.path.stat().st_mode & 0o777 == 0o600
    draft.discard()
    assert not draft.path.exists()


def test_folders_are_for_this_user_only(tmp_path: Path) -> None:
    make_folders(tmp_path / "a" / "b")
    make_folders(tmp_path / "a" / "b")
    assert [folder.stat().st_mode & 0o777 for folder in (tmp_path / "a", tmp_path / "a" / "b")] == [0o700, 0o700]
