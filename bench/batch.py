"""What the whole analysis costs beside plain faster-whisper, which only transcribes, with the same weights and threads in the same run.

`python -m bench.batch` prints tables and writes bench/results/batch.json. The talk is joined from the read speech of the shared data, else
from the readings that moonshine-voice carries. Each system runs in a fresh process of its own, in turns. CPU time is user and system of
that process from its start to its end, as the kernel counts it; memory is the most that was resident. Ours does what `elocute analyze`
does, with all files. Ratios are the result; seconds are of this machine, at this moment. With --hours a long file is analysed instead.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from bench.table import Row, keep, show
from config import models
from config.settings import Settings, read_settings

# The parent loads little: a child's peak is counted from that of the process that started it.

SEED = 1
OURS, PLAIN = "ours", "plain, beam 5"
_STARTING = "starting (imports)"
_PEAK_UNIT = (1 if sys.platform == "darwin" else 1024) / 2**20  # MiB in one of ru_maxrss: bytes there, KiB on Linux


class _Clock:
    """Of each stage of this process the CPU seconds, children included, and the peak of memory since the process began."""

    def __init__(self) -> None:
        self.stages_s: dict[str, float] = {}
        self.peaks_mib: dict[str, float] = {}
        self._name = _STARTING
        self._since_s = 0.0  # since the process began

    def stage(self, name: str) -> None:
        """End the present stage and begin another."""
        now_s = sum(os.times()[:4])
        self.stages_s[self._name] = self.stages_s.get(self._name, 0.0) + now_s - self._since_s
        self.peaks_mib[self._name] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _PEAK_UNIT
        self._name, self._since_s = name, now_s

    def at(self, fraction: float) -> None:
        """Stages are all that is counted."""


# in children


def _settings() -> Settings:
    return replace(read_settings(), device="cpu")  # what plain runs on


def _ours(path: Path) -> _Clock:
    # What batch/__main__.py does for one file, but for the table it prints.
    from batch.analyze import analyze
    from batch.export import write

    clock = _Clock()
    with tempfile.TemporaryDirectory() as folder:
        analysis, recording = analyze(path, _settings(), clock)
        clock.stage("writing")
        write(analysis, recording.pcm, Path(folder))
        clock.stage("ending")
    return clock


def _plain(path: Path) -> _Clock:
    from faster_whisper import WhisperModel

    clock = _Clock()
    clock.stage("loading")
    settings = _settings()
    model = WhisperModel(str(models.asr_model(settings).folder), device="cpu", compute_type="int8", cpu_threads=settings.threads)
    clock.stage("transcribing")
    segments, _ = model.transcribe(str(path), beam_size=5, word_timestamps=True)
    for _ in segments:
        pass
    clock.stage("ending")
    return clock


def _talk(path: Path, length_s: float) -> None:
    from bench import corpus

    utterances = corpus.read_aloud()
    if not length_s:
        utterances = [min(utterances, key=lambda utterance: corpus.sound(utterance.path).size)]
    corpus.write_talk(path, utterances, length_s, SEED)


def _child(arguments: list[str]) -> None:
    what, path = arguments[0], Path(arguments[1])
    if what == "talk":
        _talk(path, float(arguments[2]))
    else:
        clock = _ours(path) if what == OURS else _plain(path)
        Path(arguments[2]).write_text(json.dumps([clock.stages_s, clock.peaks_mib]))


# in the parent


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one process from start to end."""

    cpu_s: float
    wall_s: float
    peak_mib: float
    stages_s: dict[str, float]  # CPU
    peaks_mib: dict[str, float]  # until the end of each stage


def cost(system: str, path: Path, folder: Path) -> Cost:
    """Run a system on a file in a fresh process."""
    stages = folder / "stages.json"
    began_s = time.perf_counter()
    pid = _start([system, str(path), str(stages)])
    _, status, used = os.wait4(pid, 0)
    if status:
        raise SystemExit(f"{system} ended with {os.waitstatus_to_exitcode(status)} on {path.name}")
    wall_s = time.perf_counter() - began_s
    return Cost(used.ru_utime + used.ru_stime, wall_s, used.ru_maxrss * _PEAK_UNIT, *json.loads(stages.read_text()))


def _start(arguments: list[str]) -> int:
    command = [sys.executable, "-m", "bench.batch", "--child", *arguments]
    return os.posix_spawn(sys.executable, command, os.environ)


def talk(path: Path, length_s: float) -> None:
    """Write a talk of at least that length; for 0 the shortest utterance alone."""
    subprocess.run([sys.executable, "-m", "bench.batch", "--child", "talk", str(path), str(length_s)], check=True)


def length_s(path: Path) -> float:
    """Of a 16 kHz, 16 bit, mono WAV file."""
    return (path.stat().st_size - 44) / 32_000


def _mean(costs: list[Cost]) -> tuple[float, float, float]:
    count = len(costs)
    return sum(c.cpu_s for c in costs) / count, sum(c.wall_s for c in costs) / count, max(c.peak_mib for c in costs)


def compare(minutes: float, rounds: int, folder: Path) -> dict[str, object]:
    """Both systems on one talk, in turns; the tables are printed."""
    path, short = folder / "talk.wav", folder / "short.wav"
    talk(path, 60 * minutes)
    talk(short, 0)  # its analysis is nearly all start and loading
    models.asr_model(read_settings())  # joined before anything is timed
    cost(OURS, short, folder)  # compiled kernels are kept from run to run, as a user keeps them
    runs: dict[str, list[Cost]] = {OURS: [], PLAIN: []}
    for _ in range(rounds):
        for system, costs in runs.items():
            costs.append(cost(system, path, folder))
    loading = {OURS: cost(OURS, short, folder), PLAIN: cost(PLAIN, short, folder)}
    loading_s = {OURS: loading[OURS].cpu_s, PLAIN: loading[PLAIN].cpu_s - loading[PLAIN].stages_s["transcribing"]}

    audio_s = length_s(path)
    rows: list[Row] = []
    for system, costs in runs.items():
        cpu_s, wall_s, peak_mib = _mean(costs)
        rows.append(
            {
                "system": system,
                "CPU s": cpu_s,
                "wall s": wall_s,
                "CPU s per audio min": 60 * cpu_s / audio_s,
                "start, loading CPU s": loading_s[system],
                "without these": cpu_s - loading_s[system],
                "peak MiB": peak_mib,
            }
        )
    ours_s, plain_s = _mean(runs[OURS])[0], _mean(runs[PLAIN])[0]
    ratios: list[Row] = [
        {"ratio": "ours / plain, CPU, everything", "value": ours_s / plain_s, "at most": 0.6},
        {
            "ratio": "ours / plain, CPU, without start and loading",
            "value": (ours_s - loading_s[OURS]) / (plain_s - loading_s[PLAIN]),
            "at most": None,
        },
        {"ratio": "ours / plain, peak memory", "value": _mean(runs[OURS])[2] / _mean(runs[PLAIN])[2], "at most": None},
    ]
    for number, (mine, theirs) in enumerate(zip(runs[OURS], runs[PLAIN], strict=True), 1):
        ratios.append({"ratio": f"ours / plain, CPU, round {number}", "value": mine.cpu_s / theirs.cpu_s, "at most": None})
    stages: list[Row] = [
        {
            "stage of ours": name,
            "CPU s": (spent_s := sum(c.stages_s[name] for c in runs[OURS]) / rounds),
            "% of ours": 100 * spent_s / ours_s,
            "of it start, loading": loading[OURS].stages_s[name],
            "peak MiB by its end": max(c.peaks_mib[name] for c in runs[OURS]),
        }
        for name in runs[OURS][0].stages_s
    ]
    show(f"whole analysis against a transcript alone, {audio_s / 60:.1f} min, mean of {rounds}", rows)
    show("ratios", ratios)
    show(f"stage by stage; start and loading: the same for a recording of {length_s(short):.0f} s", stages)
    return {"audio_s": audio_s, "rounds": rounds, "systems": rows, "ratios": ratios, "stages": stages}


def long_file(hours: float, folder: Path) -> dict[str, object]:
    """The whole analysis of a long file; the table is printed."""
    path = folder / "long.wav"
    talk(path, 3600 * hours)
    models.asr_model(read_settings())
    spent = cost(OURS, path, folder)
    rows: list[Row] = [
        {
            "hours": length_s(path) / 3600,
            "CPU s": spent.cpu_s,
            "wall s": spent.wall_s,
            "CPU s per audio min": 60 * spent.cpu_s / length_s(path),
            "peak MiB": spent.peak_mib,
            "at most MiB": 2048,
        }
    ]
    stages: list[Row] = [
        {"stage": name, "CPU s": spent_s, "peak MiB by its end": spent.peaks_mib[name]} for name, spent_s in spent.stages_s.items()
    ]
    show("whole analysis of a long file", rows)
    show("stage by stage", stages)
    return {"long": rows, "stages": stages}


def main() -> None:
    """Measure, print and write bench/results/batch.json (with --hours: batch_long.json)."""
    if sys.argv[1:2] == ["--child"]:
        _child(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(prog="python -m bench.batch", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="length of the talk (10)")
    parser.add_argument("--rounds", type=int, default=2, help="runs of each system (2)")
    parser.add_argument("--hours", type=float, help="analyse a file of this length, ours alone")
    asked = parser.parse_args()
    about = {"threads": read_settings().threads, "versions": models.library_versions()}
    with tempfile.TemporaryDirectory() as folder:
        if asked.hours is not None:
            keep("batch_long", {**about, **long_file(asked.hours, Path(folder))})
        else:
            keep("batch", {**about, **compare(asked.minutes, asked.rounds, Path(folder))})


if __name__ == "__main__":
    main()
