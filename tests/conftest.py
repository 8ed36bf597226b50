"""What several test files share: one data folder for the joined weights, and one recogniser in memory."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from config import models
from config.settings import Settings

if TYPE_CHECKING:
    from batch.whisper import Recogniser


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
    from batch.whisper import Recogniser  # loads CTranslate2: not for tests that do without

    settings = Settings(data=data_folder, asr_model="bundled", device="cpu", threads=2)
    return Recogniser(models.asr_model(settings), models.placement(settings), settings.threads)
