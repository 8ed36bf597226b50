"""The shape of the house: who may import whom, and what the pure core keeps out."""

import ast
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# What each package may import of ours, besides itself (DESIGN.md, section 1). Tests and benches look at everything.
MAY_IMPORT = {
    "speech": set[str](),
    "config": set[str](),
    "db": {"speech", "config"},
    "engines": {"speech", "config"},
    "recognition": {"speech", "config"},
    "rtc": {"speech", "config"},
    "stream_pipeline": {"speech", "config", "recognition"},
    "batch": {"speech", "config", "db", "engines", "recognition"},
    "api": {"speech", "config", "db", "engines", "recognition", "rtc", "stream_pipeline"},
}
FROM_THE_CHECKOUT = {"bench", "tests"}  # run where the sources are, not installed
PURE = {
    *("bisect", "collections", "dataclasses", "enum", "functools", "itertools", "math", "re", "typing", "zlib"),
    *("numba", "numpy", "speech"),
}


def packages() -> set[str]:
    return {file.parent.name for file in ROOT.glob("*/__init__.py")}


@cache
def imports() -> list[tuple[Path, int, str, int]]:
    """Every import statement of every package, wherever in the file it is: file, line, the full name of the module, and how relative."""
    found = []
    for package in sorted(packages()):
        for file in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                at = file.relative_to(ROOT)
                if isinstance(node, ast.Import):
                    found += [(at, node.lineno, name.name, 0) for name in node.names]
                elif isinstance(node, ast.ImportFrom):
                    found.append((at, node.lineno, node.module or "", node.level))
    return found


def top(module: str) -> str:
    return module.split(".")[0]


def test_every_package_has_its_place() -> None:
    assert packages() <= set(MAY_IMPORT) | FROM_THE_CHECKOUT


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_a_package_imports_only_what_it_may(package: str) -> None:
    ours = set(MAY_IMPORT) | FROM_THE_CHECKOUT
    forbidden = ours - MAY_IMPORT[package] - {package}
    wrong = [f"{file}:{line} imports {name}" for file, line, name, _ in imports() if file.parts[0] == package and top(name) in forbidden]
    assert wrong == []


def test_the_core_is_pure() -> None:
    wrong = [f"{file}:{line} imports {name}" for file, line, name, _ in imports() if file.parts[0] == "speech" and top(name) not in PURE]
    assert wrong == []


def test_imports_are_absolute() -> None:
    assert [f"{file}:{line}" for file, line, _, level in imports() if level] == []


def test_what_is_installed_is_what_exists() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert set(project["tool"]["setuptools"]["packages"]) == packages() - FROM_THE_CHECKOUT
    assert set(project["tool"]["mypy"]["packages"]) == packages()


def test_the_server_starts_without_what_only_analysis_needs() -> None:
    """Each of these takes half a second or more to import, and the server is to answer three seconds after its command."""
    slow = ("numba", "pyarrow", "spacy", "ctranslate2", "onnxruntime", "parselmouth", "aiobotocore")
    command = [sys.executable, "-c", "import api.server, sys; print(*sys.modules)"]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True)
    assert sorted(set(loaded.stdout.split()) & set(slow)) == []
