"""What processes cost, as the kernel counts it: CPU, memory, threads, open files. Linux."""

import os
from dataclasses import dataclass
from pathlib import Path

from engines.child import stat_fields

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / 2**20


@dataclass(frozen=True, slots=True)
class Used:
    """By one process until now."""

    cpu_s: float  # user and system, all threads
    rss_mib: float
    threads: int
    files: int  # descriptors, sockets among them
    sockets: int


def used(pid: int) -> Used:
    """Raises FileNotFoundError or ProcessLookupError when there is no such process."""
    fields = stat_fields(pid)  # from the state on: proc_pid_stat(5) numbers it 3
    links = [os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink()]
    return Used(
        (int(fields[11]) + int(fields[12])) * _TICK_S,
        int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_MIB,
        int(fields[17]),
        len(links),
        sum(link.startswith("socket:") for link in links),
    )


def cpu_s(pid: int) -> float:
    """User and system seconds of a process and of all below it that live."""
    fields = stat_fields(pid)
    below = Path(f"/proc/{pid}/task").glob("*/children")
    return (int(fields[11]) + int(fields[12])) * _TICK_S + sum(cpu_s(int(child)) for path in below for child in path.read_text().split())


def busy_s() -> float:
    """CPU seconds of the whole machine since it started, all processes."""
    user, nice, system, _, _, *interrupts = map(int, Path("/proc/stat").read_text().splitlines()[0].split()[1:9])
    return (user + nice + system + sum(interrupts)) * _TICK_S


def threads(pid: int) -> dict[str, float]:
    """CPU seconds of the threads of a process that live, by name, those of one name together."""
    out: dict[str, float] = {}
    for folder in Path(f"/proc/{pid}/task").iterdir():
        name = (folder / "comm").read_text().strip()
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        out[name] = out.get(name, 0.0) + (int(fields[11]) + int(fields[12])) * _TICK_S
    return out
