"""What several test files share: one data folder for the joined weights, and one recogniser in memory."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from config import models
from config.settings import S3Settings, Settings

if TYPE_CHECKING:
    from engines.embedded import Servers
    from recognition.whisper import Recogniser


@pytest.fixture(scope="session", autouse=True)
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where this session's tests and their subprocesses keep the joined weights: ELOCUTE_DATA if set, else a passing folder."""
    if given := os.environ.get("ELOCUTE_DATA"):
        yield Path(given)
        return
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("ELOCUTE_DATA", str(folder))
        yield folder
    shutil.rmtree(folder, ignore_errors=True)  # 145 MB, which pytest would keep for three sessions


@pytest.fixture(scope="session")
def recogniser(data_folder: Path) -> "Recogniser":
    """The bundled recogniser on the CPU, whatever the machine has: float16 on a GPU may word things differently."""
    from recognition.whisper import Recogniser  # loads CTranslate2: not for tests that do without

    settings = Settings(data=data_folder, asr_model="bundled", device="cpu", threads=2)
    return Recogniser(models.asr_model(settings), models.placement(settings), settings.threads)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Servers"]:
    """PostgreSQL, Valkey and NATS for all tests: those of ELOCUTE_TEST_{DATABASE,REDIS,NATS}_URL if set, else some of their own."""
    from engines.embedded import Servers  # drivers of three servers: not for tests that do without
    from tests.servers import trio

    database, redis, nats = (os.environ.get(f"ELOCUTE_TEST_{name}_URL") for name in ("DATABASE", "REDIS", "NATS"))
    if database and redis and nats:
        yield Servers(database, redis, nats, bytes(32))
        return
    folder = tmp_path_factory.mktemp("engines")
    with trio(folder) as own:
        yield Servers(database or own.database_url, redis or own.redis_url, nats or own.nats_url, own.blob_secret)
    shutil.rmtree(folder, ignore_errors=True)  # 75 MB


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Settings]:
    """A bucket: that of ELOCUTE_TEST_S3_{ENDPOINT,BUCKET,ACCESS_KEY,SECRET_KEY} if set, else one in a SeaweedFS of its own."""
    from tests.servers import seaweed

    given = {name: os.environ.get(f"ELOCUTE_TEST_S3_{name.upper()}", "") for name in ("endpoint", "bucket", "access_key", "secret_key")}
    if all(given.values()):
        yield S3Settings(**given, region=os.environ.get("ELOCUTE_TEST_S3_REGION") or "us-east-1")
        return
    folder = tmp_path_factory.mktemp("s3")
    with seaweed(folder) as settings:
        yield settings
    shutil.rmtree(folder, ignore_errors=True)
