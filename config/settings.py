"""What can be set from outside, read once and checked at the door."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

import platformdirs

from config.errors import Unusable

Device = Literal["auto", "cpu", "cuda"]

MOST_THREADS = 256


@dataclass(frozen=True, slots=True)
class Settings:
    """Checked settings, handed down in pieces. Nothing else reads the environment."""

    data: Path  # ELOCUTE_DATA: where joined weights are kept; absolute
    asr_model: str  # ELOCUTE_ASR_MODEL: `bundled`, a folder, or a name on the Hugging Face hub
    device: Device  # ELOCUTE_DEVICE
    threads: int  # ELOCUTE_THREADS: CPU threads for the models; by default every core this process may use


def read_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this environment; an empty variable counts as unset. Raises Unusable("bad-setting") for a senseless value."""
    device = environ.get("ELOCUTE_DEVICE") or "auto"
    if device not in get_args(Device):
        raise Unusable("bad-setting", name="ELOCUTE_DEVICE", value=device, expected="must be auto, cpu or cuda")
    return Settings(
        data=_data(environ.get("ELOCUTE_DATA")),
        asr_model=environ.get("ELOCUTE_ASR_MODEL") or "bundled",
        device=cast(Device, device),
        threads=_threads(environ.get("ELOCUTE_THREADS")),
    )


def _data(value: str | None) -> Path:
    if not value:
        return platformdirs.user_data_path("elocute").absolute()
    try:
        folder = Path(value).expanduser().absolute()
    except RuntimeError as error:  # ~nobody
        raise Unusable("bad-setting", name="ELOCUTE_DATA", value=value, expected="names a home folder that does not exist") from error
    if folder.exists() and not folder.is_dir():
        raise Unusable("bad-setting", name="ELOCUTE_DATA", value=value, expected="must be a folder, and this is none")
    return folder


def _threads(value: str | None) -> int:
    if not value:
        return min(len(os.sched_getaffinity(0)), MOST_THREADS)
    if not value.isascii() or not value.isdigit() or not 1 <= int(value) <= MOST_THREADS:
        raise Unusable("bad-setting", name="ELOCUTE_THREADS", value=value, expected=f"must be a number from 1 to {MOST_THREADS}")
    return int(value)
