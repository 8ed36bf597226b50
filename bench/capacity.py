"""How many sessions keep up, how latency grows with each, and what happens to those who come when there is no room.

`python -m bench.capacity [--without-asr] [--from N] [--most N] [--step N] [--hold S]` adds sessions, each with a talk of its own, until
committed words or numbers are too late or the server refuses; then half as many again come at once, and afterwards one. Prints tables,
writes bench/results/capacity.json or capacity-without-asr.json, and exits with 1 where a bound is missed. Only what was said while all
sessions spoke is counted. Callers are one process, whose CPU is given apart: on a small machine it takes from the server. No worker runs.
With --without-asr there is no recogniser, a profile says where the time of the event loop goes, by the function of ours at work, and bare
aiortc (bench.served_bare) holds as many sessions as keep up: ours may cost half as much again as its.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from math import ceil
from pathlib import Path

import numpy as np

from bench.corpus import Timed
from bench.heard import Call, Clock, Plan, committed, degraded, latency_row, missed, wer
from bench.live_server import Spoken, live_server, speak
from bench.served import PROFILE
from bench.server import Server, serving
from bench.table import Row, keep, show
from bench.talk import Talk, talk, write_wav

STAGGER_S = {True: 3.0, False: 0.25}  # between two arrivals, with and without recogniser, which fills up gradually
SETTLE_S = 5.0  # after the last arrival
WORDS_S, METRICS_MS = 4.0, 200.0  # Shows 4 and 5: 95 % are no later
FEWEST = 6  # Show 4
AGAIN, AGAIN_S = 3, 10.0  # tries of who was refused, as far apart as the server says
SLOWER = 1.5  # Show 6: what counts as "keep their latency" and "back to normal", as a ratio
MOST_RATIO = 1.5  # Show 5: of what a session takes to what bare aiortc does
SHOWN_PLACES = 25
LATENCY = ("refused", "p50 ms", "p95 ms", "p99 ms", "words", "shown p50 s", "shown p95 s", "commit p50 s", "commit p95 s", "caller ms")
COST = ("WER %", "server cores", "core % a session", "callers, cores", "others, cores", "shed")


class Talks:
    """A talk for each session, written once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._talks: dict[tuple[int, int], tuple[Path, Talk]] = {}

    def of(self, seed: int, length_s: float) -> tuple[Path, Talk]:
        """Of at least that length."""
        key = (seed, ceil(length_s))
        if key not in self._talks:
            path = self._folder / f"talk-{key[0]}-{key[1]}.wav"
            said = talk(key[1], seed)
            write_wav(path, said.pcm)
            self._talks[key] = path, said
        return self._talks[key]


def planned(talks: Talks, count: int, hold_s: float, stagger_s: float) -> list[tuple[Plan, Talk]]:
    """So many sessions, one after the other, and all of them for `hold_s`."""
    plans = []
    for number in range(count):
        path, said = talks.of(number, hold_s + SETTLE_S + stagger_s * (count - number))
        plans.append((Plan(str(path), start_s=stagger_s * number, seed=number), said))
    return plans


def all_spoke(calls: Sequence[Call]) -> tuple[float, float]:
    """From when until when, monotonic."""
    return max(call.left_s[0] for call in calls) + SETTLE_S, min(call.left_s[-1] for call in calls)


def together(server: Server, talks: Talks, count: int, hold_s: float, stagger_s: float) -> tuple[Row, Spoken]:
    """What `planned` plans: latency and cost."""
    plans = planned(talks, count, hold_s, stagger_s)
    truth: dict[str, Sequence[Timed]] = {plan.wav: said.words for plan, said in plans}
    texts = {plan.wav: said.text for plan, said in plans}
    spoken = speak(server, [plan for plan, _ in plans])
    calls = spoken.accepted()
    refusals = [call for call in spoken.calls if not call.came]
    row: dict[str, str | int | float | None] = {
        "sessions": count,
        "refused": len(refusals),
        "503, Retry-After": sum(call.status == 503 and call.retry_after_s is not None for call in refusals),
    }
    if calls:
        from_s, to_s = all_spoke(calls)
        cores = spoken.cores(from_s, to_s)
        row |= latency_row(calls, truth, from_s, to_s)
        row |= {
            "WER %": float(np.mean([wer(texts[call.plan.wav], text(call)) for call in calls])),
            "server cores": cores,
            "core % a session": 100 * cores / len(calls),
            "callers, cores": spoken.callers_cpu_s / spoken.wall_s,
            "others, cores": spoken.others_cpu_s / spoken.wall_s,
            "shed": ", ".join(f"{what} {share:.0%}" for what, share in shed(calls).items()) or "-",
        }
    return row, spoken


def bare(folder: Path, talks: Talks, row: Row, hold_s: float, stagger_s: float) -> Row:
    """As many sessions as in the row with bare aiortc, and what ours cost beside."""
    count = int(str(row["sessions"]))
    data = folder / "bare"
    data.mkdir()
    with serving(data, ("-m", "bench.served_bare", "--no-worker")) as server:  # it has none
        spoken = speak(server, [plan for plan, _ in planned(talks, count, hold_s, stagger_s)])
    cost = 100 * spoken.cores(*all_spoke(spoken.accepted())) / count
    ours = float(str(row["core % a session"]))
    return {"sessions": count, "core % a session": ours, "bare aiortc": cost, "ratio": ours / cost}


def text(call: Call) -> str:
    """What was committed."""
    return " ".join(word.text for _, word in committed(call, Clock.of(call)))


def shed(calls: Sequence[Call]) -> dict[str, float]:
    """What was shed, by the share of readings that say so."""
    readings = sum(1 for call in calls for _ in call.of("metrics"))
    return {what: count / readings for what, count in degraded(calls).items()}


def keeps_up(row: Row, recognise: bool) -> bool:
    """Whether nobody was refused and nothing was late."""
    late = missed([row], {"numbers": ("p95 ms", METRICS_MS)} | ({"words": ("commit p95 s", WORDS_S)} if recognise else {}))
    return not row["refused"] and "p95 ms" in row and not late


def overload(
    server: Server, talks: Talks, most: int, alone: Row, full: Row, hold_s: float, stagger_s: float
) -> tuple[list[Row], list[str]]:
    """Half as many again as there is room for, and one afterwards; with what is wrong."""
    crowd, _ = together(server, talks, ceil(1.5 * most), hold_s, stagger_s)
    wrong = []
    for _ in range(AGAIN):
        after, _ = together(server, talks, 1, hold_s, stagger_s)
        if not after["refused"]:
            break
        time.sleep(AGAIN_S)
    else:
        wrong.append("show 6: nobody is let in afterwards")
    if crowd["refused"] != crowd["503, Retry-After"]:
        wrong.append(f"show 6: {crowd['refused']} refused, {crowd['503, Retry-After']} of them with 503 and Retry-After")
    for column in ("p95 ms", "commit p95 s"):
        for name, row, usual in (("admitted sessions", crowd, full), ("one session afterwards", after, alone)):
            found, before = row.get(column), usual.get(column)
            if isinstance(found, float) and isinstance(before, float) and found > SLOWER * before:
                wrong.append(f"show 6: {name}: {column} is {found:.2f}, was {before:.2f}")
    return [{"what": "150 %", **crowd}, {"what": "afterwards", **after}], wrong


def profile_rows(path: Path) -> list[Row]:
    """Where the event loop was when it was looked at, the idle loop left out."""
    found = json.loads(path.read_text())
    idle = ("asyncio/runners.py", "api/server.py", "bench/served.py", "-")
    places = Counter({place: count for place, count in found["ours"] if not place.startswith(idle)})
    total = sum(places.values())
    return [{"place": place, "% of busy looks": 100 * count / total} for place, count in places.most_common(SHOWN_PLACES)]


def main() -> int:
    """Measure, print and keep; 1 when a bound is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.capacity", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--without-asr", action="store_true")
    parser.add_argument("--from", type=int, dest="first", metavar="N", help="sessions to begin with (1; 10 without ASR)")
    parser.add_argument("--most", type=int, metavar="N", help="sessions to end with (16; 120)")
    parser.add_argument("--step", type=int, metavar="N", help="sessions more each time (1; 10)")
    parser.add_argument("--hold", type=float, metavar="S", help="seconds that all speak (60; 20)")
    asked = parser.parse_args()
    recognise = not asked.without_asr
    usual = (1, 16, 1, 60.0) if recognise else (10, 120, 10, 20.0)
    first, most, step = (int(given or value) for given, value in zip((asked.first, asked.most, asked.step), usual, strict=False))
    hold_s, stagger_s = asked.hold or usual[3], STAGGER_S[recognise]
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="elocute-bench-") as name:
        folder = Path(name)
        talks = Talks(folder)
        program = ["-m", "bench.served", str(folder), "--no-worker", *([] if recognise else ["--without-asr", "--profile"])]
        with live_server(folder, program) as server:
            for count in range(first, most + 1, step):
                row, _ = together(server, talks, count, hold_s, stagger_s)
                rows.append(row)
                print(f"{count} sessions: numbers p95 {row.get('p95 ms')} ms, words p95 {row.get('commit p95 s')} s", flush=True)
                if not keeps_up(row, recognise):
                    break
            kept = [row for row in rows if keeps_up(row, recognise)]
            holds = int(str(kept[-1]["sessions"])) if kept else 0
            wrong = [] if not recognise or holds >= min(FEWEST, most) else [f"show 4: {holds} sessions keep up, at least {FEWEST}"]
            crowds: list[Row] = []
            if kept and recognise:
                crowds, more = overload(server, talks, holds, rows[0], kept[-1], hold_s, stagger_s)
                wrong += more
        places = [] if recognise else profile_rows(folder / PROFILE)
        beside = [bare(folder, talks, kept[-1], hold_s, stagger_s)] if kept and not recognise else []
        wrong += missed(beside, {"show 5": ("ratio", MOST_RATIO)})
    for title, table in (("by the number of sessions", rows), ("overload", crowds)):
        for kind, columns in (("latency", LATENCY), ("cost", COST)):
            if table:
                show(
                    f"{title}: {kind}",
                    [{name: row.get(name) for name in ("what", "sessions", *columns) if name in table[0]} for row in table],
                )
    if beside:
        show("beside bare aiortc with decoding and resampling", beside)
    if places:
        show("where the event loop was", places)
    print(f"{holds} sessions keep up")
    keep(
        "capacity" if recognise else "capacity-without-asr",
        {"hold_s": hold_s, "rows": rows, "overload": crowds, "bare": beside, "profile": places, "missed": wrong},
    )
    for sentence in wrong:
        print(f"missed: {sentence}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
