"""Real servers for tests: the embedded trio and a small S3, each as a process of its own in a folder, gone with the block."""

import asyncio
import json
import os
import secrets
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from config.settings import S3Settings
from engines.embedded import Servers, read_connection

ROOT = Path(__file__).parent.parent
START_S = 60.0
STOP_S = 60.0


@contextmanager
def trio(folder: Path) -> Iterator[Servers]:
    """PostgreSQL, Valkey and NATS of their own in this data folder."""
    with engines_in(folder) as (servers, _):
        yield servers


@contextmanager
def engines_in(folder: Path) -> Iterator[tuple[Servers, subprocess.Popen[str]]]:
    """The same, and the process that supervises them, `python -m engines.embedded`, which a test may kill."""
    command = [sys.executable, "-m", "engines.embedded", str(folder), "--until-eof"]  # it ends even if this test run is killed
    pipe = subprocess.PIPE
    with (
        (folder / "supervisor.log").open("w+", encoding="utf-8") as log,
        subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=log, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            printed = [process.stdout.readline() for _ in range(3)]
            servers = read_connection(folder)
            if servers is None or not printed[-1]:
                log.seek(0)
                raise RuntimeError(f"the engines did not start: {log.read()}")
            yield servers, process
        finally:
            process.terminate()
            process.wait(timeout=STOP_S)


@contextmanager
def seaweed(folder: Path) -> Iterator[S3Settings]:
    """SeaweedFS with one bucket, `elocute-test`, on loopback."""
    key, secret = secrets.token_hex(8), secrets.token_hex(16)
    identity = {"name": "test", "credentials": [{"accessKey": key, "secretKey": secret}], "actions": ["Admin", "Read", "Write", "List"]}
    store = folder / "weed"
    store.mkdir()
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}), encoding="utf-8")
    names = ("s3.port", "master.port", "volume.port", "filer.port", "admin.port")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    switches: dict[str, object] = {
        "dir": store,
        "ip": "127.0.0.1",  # the machine's own address otherwise
        "ip.bind": "127.0.0.1",
        "s3.config": folder / "s3.json",
        "master.telemetry": "false",
        "webdav": "false",
        "admin.ui": "false",
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        **ports,
    }
    command = [str(Path(sysconfig.get_path("scripts")) / "weed"), "mini", *(f"-{name}={value}" for name, value in switches.items())]
    settings = S3Settings(f"http://127.0.0.1:{ports['s3.port']}", "elocute-test", key, secret, "us-east-1")
    there = {**os.environ, "TMPDIR": str(folder)}  # its logs
    with (folder / "weed.log").open("wb") as log, subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=there) as process:
        try:
            asyncio.run(make_bucket(settings))
            yield settings
        finally:
            process.kill()  # what it holds goes anyway, but for its sockets, which have a fixed place
            for port in (*ports.values(), *(port + 10_000 for port in ports.values())):
                for socket_file in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                    socket_file.unlink(missing_ok=True)


async def make_bucket(settings: S3Settings) -> None:
    """Makes the bucket as soon as the server can."""
    from aiobotocore.config import AioConfig  # half a second to import: only for tests that need S3
    from aiobotocore.session import get_session
    from botocore.exceptions import BotoCoreError, ClientError

    session, config = get_session(), AioConfig(retries={"max_attempts": 0}, connect_timeout=5, read_timeout=5)
    keys = {"aws_access_key_id": settings.access_key, "aws_secret_access_key": settings.secret_key, "endpoint_url": settings.endpoint}
    async with asyncio.timeout(START_S):
        async with session.create_client("s3", region_name=settings.region, config=config, **keys) as client:
            while True:
                try:
                    await client.create_bucket(Bucket=settings.bucket)
                    return
                except (BotoCoreError, ClientError):  # not up, or up without its filer
                    await asyncio.sleep(0.05)


def free_ports(count: int) -> list[int]:
    """Loopback ports nobody listens on, each with the one 10,000 above it, where SeaweedFS puts its gRPC."""
    found: list[int] = []
    with ExitStack() as held:
        while len(found) < count:
            low, high = held.enter_context(socket.socket()), held.enter_context(socket.socket())
            port = 20_000 + secrets.randbelow(12_000)  # below the range that outgoing connections are given
            try:
                low.bind(("127.0.0.1", port))
                high.bind(("127.0.0.1", port + 10_000))
            except OSError:
                continue
            found.append(port)
    return found
