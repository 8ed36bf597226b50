"""One process of another program: started under an unprivileged account, waited for, stopped, and found again when its owner was killed."""

import asyncio
import os
import pwd
import shutil
import signal
import stat
import subprocess
from collections.abc import Container, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from speech.errors import Problem

# Nothing of ours leaks into the engines: no PG* variable that steers PostgreSQL, no LD_LIBRARY_PATH, no secret.
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
LOG_BYTES = 16 << 20  # an engine's log is emptied when it has grown past this: it is for the hour after a mishap
ORPHAN_LIMIT_S = 20.0


@dataclass(frozen=True, slots=True)
class Account:
    """Whom the engines run as when Elocute runs as root: PostgreSQL refuses root, and the others need none of its rights."""

    name: str
    uid: int
    gid: int

    @classmethod
    def of(cls, entry: pwd.struct_passwd) -> Self:
        """The account of an entry of /etc/passwd."""
        return cls(entry.pw_name, entry.pw_uid, entry.pw_gid)

    def own(self, folder: Path) -> None:
        """Give the folder and all that is in it to this account, unless the folder is its own already."""
        if folder.stat().st_uid == self.uid:
            return
        for parent, folders, files in os.walk(folder):
            for name in folders + files:
                os.lchown(os.path.join(parent, name), self.uid, self.gid)
        os.chown(folder, self.uid, self.gid)  # last: an interrupted walk is begun anew


def account_for(folder: Path) -> Account | None:
    """None when not root. Else the owner of the folder, if that is somebody (it was filled by that user before), else `nobody`."""
    if os.geteuid() != 0:
        return None
    owner = folder.stat().st_uid if folder.exists() else 0
    if owner != 0:
        with suppress(KeyError):
            return Account.of(pwd.getpwuid(owner))
    try:
        return Account.of(pwd.getpwnam("nobody"))
    except KeyError as error:
        raise Problem("engine-no-user", user="nobody") from error


class Child:
    """A running process. Whoever starts one stops it: nothing here outlives its owner but by kill -9, and then `stop_orphans` finds it."""

    def __init__(self, command: Sequence[str | Path], folder: Path, log: Path, account: Account | None) -> None:
        """Starts it in `folder`; what it prints is appended to `log`. Raises Problem("engine-blocked") if the account may not run it."""
        # In a session of its own, so that Ctrl-C in a terminal reaches Elocute alone, which then stops its engines in order.
        descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._log, self._log_from = log, os.fstat(descriptor).st_size
        try:
            self._process = subprocess.Popen(
                list(command),
                cwd=folder,
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                start_new_session=True,
                umask=0o077,
                user=None if account is None else account.uid,
                group=None if account is None else account.gid,
                extra_groups=None if account is None else [],
            )
        except PermissionError as error:
            user = account.name if account else pwd.getpwuid(os.geteuid()).pw_name
            raise Problem("engine-blocked", path=command[0], user=user) from error
        finally:
            os.close(descriptor)
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit status, minus the signal if one ended it, None while it runs."""
        return self._process.poll()

    def last_words(self) -> str:
        """The last lines it printed, as one."""
        with self._log.open("rb") as file:
            file.seek(max(self._log_from, file.seek(0, os.SEEK_END) - 4096))
            return " / ".join(line.decode("utf-8", "replace").strip() for line in file.read().splitlines()[-3:])

    async def exited(self) -> int:
        """Waits for its end; the exit status, or minus the signal."""
        if self._process.poll() is None:
            await _end_of(self.pid)
        return self._process.wait()

    async def stop(self, how: signal.Signals, limit_s: float) -> int:
        """Asks it to end, kills it after `limit_s` or when this wait is cancelled; the exit status, or minus the signal."""
        self._process.send_signal(how)  # does nothing once the process was reaped
        try:
            async with asyncio.timeout(limit_s):
                return await self.exited()
        except TimeoutError:
            self.kill()
            return await self.exited()
        except asyncio.CancelledError:
            self.kill()
            raise

    def kill(self) -> None:
        """At once. Does not wait."""
        self._process.kill()


async def stop_orphans(folder: Path, programs: Container[str], how: signal.Signals) -> list[int]:
    """Stops every process of these programs that works inside the folder: those of an owner who was killed. Returns their ids.

    They are told by their working folder and executable, which no crash can leave out of date, as it can a file of process ids.
    """
    found = _inside(folder, programs)
    for pid, parent in found.items():
        if parent not in found:  # a postmaster takes its own with it
            _signal(pid, how)
    with suppress(TimeoutError):
        async with asyncio.timeout(ORPHAN_LIMIT_S):
            await _end_of_all(found)
    left = _inside(folder, programs)
    for pid in left:
        _signal(pid, signal.SIGKILL)
    try:
        async with asyncio.timeout(ORPHAN_LIMIT_S):
            await _end_of_all(left)
    except TimeoutError as error:  # it hangs in the kernel
        reason = f"process {min(left)} of an earlier run cannot be killed"
        raise Problem("engine-failed", engine=folder.name, reason=reason, log=folder.with_name(f"{folder.name}.log")) from error
    return sorted(found)


def describe(status: int) -> str:
    """How a process ended, in words."""
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


def bound(log: Path) -> None:
    """Empties a log that has grown too long; what appends to it goes on at its new end."""
    if log.exists() and log.stat().st_size > LOG_BYTES:
        os.truncate(log, 0)


async def _end_of(pid: int) -> None:
    loop = asyncio.get_running_loop()
    descriptor = os.pidfd_open(pid)
    ended = asyncio.Event()
    try:
        loop.add_reader(descriptor, ended.set)
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def _end_of_all(pids: Iterable[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            await _end_of(pid)


def _signal(pid: int, how: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, how)


def _inside(folder: Path, programs: Container[str]) -> dict[int, int]:
    """The live processes of these programs whose working folder is `folder` or below it: their ids, and their parents'."""
    inside, found = os.path.realpath(folder), {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            where = os.readlink(f"/proc/{entry}/cwd")
            runs = os.readlink(f"/proc/{entry}/exe").removesuffix(" (deleted)")  # an update replaced the file
            if (where == inside or where.startswith(inside + "/")) and os.path.basename(runs) in programs:
                found[int(entry)] = int(stat_fields(int(entry))[1])
        except (FileNotFoundError, PermissionError, ProcessLookupError):  # ended meanwhile, a zombie, or someone else's
            continue
    return found


def stat_fields(pid: int) -> list[str]:
    """What /proc/PID/stat says of a process, from its state on (field 3 of proc(5))."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()


def obstacle(path: Path, account: Account | None) -> Path | None:
    """The first folder on the way that the account may not enter, or the file itself if it may not run it; None if it may."""
    if account is None:
        return None
    for part in dict.fromkeys(part for way in (path, path.resolve()) for part in [*reversed(way.parents), way]):
        facts = part.stat()
        mask = stat.S_IXUSR if facts.st_uid == account.uid else stat.S_IXGRP if facts.st_gid == account.gid else stat.S_IXOTH
        if not facts.st_mode & mask:
            return part
    return None


def copy_readable(root: Path, parts: Iterable[str], to: Path) -> None:
    """Copies these files and folders below `root` to the same places below `to`, such that everybody may read and run them."""
    for part in parts:
        shutil.copytree(root / part, to / part) if (root / part).is_dir() else _copy(root / part, to / part)
    for parent, _, files in os.walk(to):
        os.chmod(parent, 0o755)
        for name in files:
            os.chmod(os.path.join(parent, name), 0o755)


def _copy(file: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, to)


def private_folder(folder: Path, account: Account | None, mode: int = 0o700) -> Path:
    """Makes the folder if need be, for the account alone."""
    folder.mkdir(mode=mode, parents=True, exist_ok=True)
    folder.chmod(mode)
    if account is not None:
        account.own(folder)
    return folder


def write_private(path: Path, text: str, account: Account | None = None) -> None:
    """Writes a file of mode 0600 whole or not at all."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        if account is not None:
            os.fchown(descriptor, account.uid, account.gid)
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    new.replace(path)
