"""Whether memory stays flat, and whether sessions leave anything behind.

`python -m bench.soak [--sessions 4] [--minutes 60] [--short 300]` first lets short sessions come and go, and counts tasks, threads, files
and sockets of the server before and after; then some sessions speak for long while its memory is read (not with `--minutes 0`). A leak by
the session shows only in the first, a leak by the minute only in the second. Prints tables, writes bench/results/soak.json, exits with 1
where a bound is missed.
"""

import argparse
import json
import signal
import sys
import tempfile
import time
from pathlib import Path

from bench.heard import Clock, Plan, metric_latencies, missed, percentiles, slope_per_hour
from bench.live_server import live_server, speak
from bench.processes import used
from bench.served import COUNTS
from bench.server import Server, until
from bench.table import Row, keep, show
from bench.talk import talk, write_wav
from speech.audio import RATE_HZ

TALK_S, SHORT_S = 120.0, 5.0
SHORT_EVERY_S = 1.5
TRIES = 10
WARM_SHARE = 0.1  # of the time, until all buffers have their size
CALM_S = 20.0  # for what ends a moment after the session
SHOW_6 = {"show 6, memory": ("MiB an hour", 8.0)}
SHOW_6_LEFT = {"tasks": 0.0, "threads": 0.0, "files": 0.0, "sockets": 0.0}


def counts(server: Server, folder: Path) -> dict[str, int]:
    """Of the server, at this moment."""
    path = folder / COUNTS
    path.unlink(missing_ok=True)
    server.process.send_signal(signal.SIGUSR1)
    until(path.exists, 20.0)
    found: dict[str, int] = json.loads(path.read_text())
    return found


def short_sessions(server: Server, folder: Path, count: int) -> list[Row]:
    """What is there before and after; what was needed once (a cache, a library) is there after the first already."""
    path = folder / "short.wav"
    write_wav(path, talk(SHORT_S, 1).pcm[: round(SHORT_S * RATE_HZ)])

    def some(number: int) -> None:
        for _ in range(TRIES):  # the server may well refuse some
            number -= len(speak(server, [Plan(str(path), start_s=SHORT_EVERY_S * i) for i in range(number)]).accepted())
            if not number:
                return
        raise SystemExit(f"{number} short sessions were refused, {TRIES} times")

    some(max(4, count // 10))
    time.sleep(CALM_S)
    before, before_mib = counts(server, folder), used(server.process.pid).rss_mib
    some(count)
    time.sleep(CALM_S)
    after, after_mib = counts(server, folder), used(server.process.pid).rss_mib
    rows: list[Row] = [{"what": name, "before": was, "after": after[name], "left": after[name] - was} for name, was in before.items()]
    return [*rows, {"what": "KiB a session", "before": None, "after": 1024 * (after_mib - before_mib) / count, "left": None}]


def long_sessions(server: Server, folder: Path, count: int, minutes: float) -> Row:
    """Memory while they speak."""
    plans = []
    for seed in range(count):
        path = folder / f"long-{seed}.wav"
        write_wav(path, talk(TALK_S, seed).pcm)
        plans.append(Plan(str(path), repeats=max(1, round(60 * minutes / TALK_S)), start_s=3.0 * seed, seed=seed))
    spoken = speak(server, plans)
    calls = spoken.accepted()
    begin, end = max(call.left_s[0] for call in calls), min(call.left_s[-1] for call in calls)
    begin += WARM_SHARE * (end - begin)
    inside = [(at, look.rss_mib) for at, look in spoken.looks if begin <= at < end]
    late = [entry for call in calls for entry in metric_latencies(call, Clock.of(call))]
    third = (end - begin) / 3
    p95 = [percentiles([1000 * s for left, s in late if lo <= left < lo + third], 95)[0] for lo in (begin, begin + 2 * third)]
    return {
        "sessions": len(calls),
        "minutes": (end - begin) / 60,
        "MiB first": inside[0][1],
        "MiB last": inside[-1][1],
        "MiB an hour": slope_per_hour([at for at, _ in inside], [value for _, value in inside]),
        "first third p95 ms": p95[0],
        "last third p95 ms": p95[1],
        "server cores": spoken.server_cpu_s / spoken.wall_s,
        "others, cores": spoken.others_cpu_s / spoken.wall_s,
    }


def main() -> int:
    """Measure, print and keep; 1 when a bound is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sessions", type=int, default=4)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--short", type=int, default=300)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="elocute-bench-") as name:
        folder = Path(name)
        with live_server(folder, ["-m", "bench.served", str(folder), "--no-worker"]) as server:
            server.client.close()  # an idle connection would end between the counts, and hide one that stays
            left = short_sessions(server, folder, asked.short)
            show(f"{asked.short} short sessions", left)
            memory = [long_sessions(server, folder, asked.sessions, asked.minutes)] if asked.minutes else []
            if memory:
                show("long sessions", memory)
    rows = {str(row["what"]): row for row in left}
    wrong = [sentence for what, most in SHOW_6_LEFT.items() for sentence in missed([rows[what]], {f"show 6, {what}": ("left", most)})]
    wrong += missed(memory, SHOW_6)
    keep("soak", {"short": left, "long": memory, "missed": wrong})
    for sentence in wrong:
        print(f"missed: {sentence}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
