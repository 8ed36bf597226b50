"""What is installed is pinned by hash, from wherever the user's own installer gets it."""

import json
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HOST = re.compile(r"\b[\w-]+(?:\.[\w-]+)*\.(?:org|com|net|io|dev|cloud|internal|local)\b")
MAY_NAME_NO_HOST = [
    *(
        "Makefile",
        "pyproject.toml",
        *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "requirements").glob("*.in"))),
        "requirements.lock",
        "package.json",
        "package-lock.json",
        ".npmrc",
        "pip.conf",
        "uv.toml",
    ),
    *("web/package.json", "web/package-lock.json", "web/.npmrc"),
]


@cache
def locked() -> dict[str, str]:
    """Name -> everything the lock says of it."""
    lines = [line for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")]
    blocks = re.split(r"\n(?=\S)", "\n".join(lines).strip())
    return {re.split(r"[=\s;\[]", block)[0]: block for block in blocks}


def asked_for() -> set[str]:
    lines = [line for path in (ROOT / "requirements").glob("*.in") for line in path.read_text(encoding="utf-8").splitlines()]
    return {re.split(r"[=<>!~\[; ]", line)[0] for line in lines if line and not line.startswith("#")}


def test_every_requirement_is_pinned_with_hashes() -> None:
    assert len(locked()) > 50
    for name, block in locked().items():
        first, *hashes = block.split(" \\\n")
        assert re.fullmatch(r"[a-z0-9-]+==[\w.+!]+( ; .+)?", first), first
        assert hashes, f"{name} has no hash"
        for given in hashes:
            assert re.fullmatch(r" {4}--hash=sha256:[0-9a-f]{64}", given), f"{name}: {given}"


def test_everything_asked_for_is_in_the_lock() -> None:
    assert asked_for() <= set(locked())


@pytest.mark.parametrize("file", [name for name in MAY_NAME_NO_HOST if (ROOT / name).exists()])
def test_no_file_says_where_packages_come_from(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    if file.endswith("package-lock.json"):  # whom to sponsor is no place that packages come from
        packages = json.loads(text)["packages"]
        text = json.dumps([{key: value for key, value in package.items() if key != "funding"} for package in packages.values()])
    assert "://" not in text
    assert HOST.findall(text) == []
    assert re.findall(r"--(?:extra-)?index|--find-links|--trusted-host| @ ", text) == []


def test_no_torch_and_no_cuda_wheels() -> None:
    assert [name for name in locked() if name.startswith(("torch", "nvidia", "triton", "tensorflow"))] == []
