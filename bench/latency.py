"""How late live numbers and words are, how right, and what they cost: one session on a good link and on bad ones, and the naive baseline.

`python -m bench.latency [--seconds 120] [--seed 1] [--no-baseline]` prints tables, writes bench/results/latency.json, and exits with 1
where a bound is missed. The client is a process of its own (`bench.caller`). It sends a talk in real time; over the bad links each packet
comes up to 50 ms late on its own, which reorders most of them, some never come, and now and then none for 200 ms. A number is late from
the moment when the newest sample in it left the client; a word from its true end, where an alignment gives one. WER is against the text,
and against the batch analysis of the same file. The machine should be idle otherwise: `others` is the CPU that something else took.
"""

import argparse
import math
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench import naive
from bench.heard import (
    PACKET_S,
    Call,
    Clock,
    Plan,
    committed,
    degraded,
    false_pauses,
    latency_row,
    lost_s,
    metric_latencies,
    missed,
    missing,
    pauses,
    recovery_s,
    shifts,
    wer,
)
from bench.live_server import Spoken, live_server, settle, speak
from bench.server import Server
from bench.table import Row, keep, show
from bench.talk import Talk, talk, write_wav

JITTER_MS = 50.0
BURST_MS = 200.0
BURST_EVERY_MS = 25_000.0
LINKS = {"0 %": 0.0, "1 %": 0.01, "5 %": 0.05}

# Shows of the issue: name -> (column, at most)
SHOW_2 = {
    "show 2, metrics": ("p95 ms", 150.0),
    "show 2, first shown": ("shown p50 s", 1.0),
    "show 2, committed": ("commit p50 s", 1.8),
    "show 2, committed, late ones": ("commit p95 s", 3.2),
    "show 2, against batch": ("above batch", 1.0),
}
SHOW_3 = {
    "show 3, never delivered": ("never / lost", 1.2),
    "show 3, back to normal": ("back after s", 1.0),
    "show 3, word times": ("words moved ms", 20.0),
    "show 3, lost is no pause": ("false pauses", 0.0),
}
SHOW_4 = {"show 4, cost": ("ratio", 0.25), "show 4, WER": ("above naive", 0.0)}

# Of the whole session in the last live event -> of the report, how far apart they may be, and whether that is a share of the report's.
# Words differ a little between live and batch, so what stands on words has room for one in twenty; the rest is the same sound.
SAME: dict[str, tuple[str, float, bool]] = {
    "rate_wpm": ("speech_rate_wpm", 0.05, True),
    "articulation_syl_s": ("articulation_rate_syl_s", 0.05, True),
    "pause_share": ("pause_share", 0.01, False),
    "longest_pause_s": ("pause_longest_s", 0.05, False),
    "f0_median_hz": ("f0_median_hz", 0.01, True),
    "f0_span_st": ("f0_span_st", 0.2, False),
    "f0_sd_st": ("f0_sd_st", 0.1, False),
    "level_dbfs": ("level_dbfs", 0.2, False),
    "fillers_per_min": ("filled_pauses_per_min", 1.0, False),
}


def text(call: Call) -> str:
    """What was committed, without filled pauses."""
    return " ".join(word.text for _, word in committed(call, Clock.of(call)))


def cost_row(link: str, spoken: Spoken, said: Talk, batch_wer: float) -> Row:
    """Accuracy and cost of one session."""
    mine = wer(said.text, text(spoken.calls[0]))
    return {
        "loss": link,
        "WER %": mine,
        "batch WER %": batch_wer,
        "above batch": mine - batch_wer,
        "CPU s / audio s": spoken.server_cpu_s / spoken.audio_s,
        "others, cores": spoken.others_cpu_s / spoken.wall_s,
    }


def loss_row(link: str, call: Call, undisturbed: Call) -> Row:
    """What the link took, and what that did."""
    clock, other = Clock.of(call), Clock.of(undisturbed)
    gone_s = len(missing(call)) * PACKET_S
    bursts_s = [call.left_s[min(int(end / 1000 / PACKET_S), len(call.left_s) - 1)] for _, end in call.plan.outages]
    moved = shifts([word for _, word in committed(undisturbed, other)], [word for _, word in committed(call, clock)])
    return {
        "loss": link,
        "lost s": gone_s,
        "never there s": lost_s(call),
        "never / lost": lost_s(call) / gone_s if gone_s else None,
        "back after s": recovery_s(metric_latencies(call, clock), bursts_s),
        "words moved ms": abs(1000 * float(np.median(moved))) if moved else math.nan,
        "p90 ms": 1000 * float(np.percentile(np.abs(moved), 90)) if moved else math.nan,
        "pauses": len(pauses(call, clock)),
        "false pauses": false_pauses(pauses(call, clock), pauses(undisturbed, other)),
    }


def same_rows(call: Call, report: Mapping[str, Any]) -> list[Row]:
    """The numbers of the whole session as they were last seen live, beside those of its report."""
    live = [event["data"]["session"] for _, event in call.of("metrics") if event["data"].get("session")][-1]
    rows: list[Row] = []
    for name, (theirs, most, share) in SAME.items():
        reported = report["measures"][theirs]["value"]
        known = live[name] is not None and reported is not None
        apart = abs(live[name] - reported) / (abs(reported) if share else 1.0) if known and reported else None
        if known and not reported:
            apart = abs(live[name])
        agree = apart <= most if apart is not None else live[name] == reported
        rows.append({"number": name, "live": live[name], "report": reported, "apart": apart, "at most": most, "missed": int(not agree)})
    return rows


def plan(path: Path, loss: float, length_s: float, seed: int) -> Plan:
    """A good link for no loss, else a bad one."""
    if not loss:
        return Plan(str(path), seed=seed)
    bursts = tuple((float(at), at + BURST_MS) for at in np.arange(BURST_EVERY_MS / 2, 1000 * length_s - 5000, BURST_EVERY_MS))
    return Plan(str(path), seed=seed, loss=loss, jitter_ms=JITTER_MS, outages=bursts)


def batch_wer(path: Path, said: Talk) -> float:
    """Of the analysis of the file."""
    from batch.analyze import analyze
    from config.settings import read_settings

    words = analyze(path, replace(read_settings(), device="cpu"))[0].transcript.words
    return wer(said.text, " ".join(word.text for word in words if word.kind == "word"))


def report(server: Server, call: Call) -> Mapping[str, Any]:
    """Of a session, once it is made."""
    settle(server, [call])
    found = server.client.get(f"/v1/sessions/{call.session}/fluency")
    found.raise_for_status()
    answer: Mapping[str, Any] = found.json()
    return answer


def main() -> int:
    """Measure, print and keep; 1 when a bound is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.latency", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-baseline", action="store_true", help="leave out the naive baseline, which takes several minutes")
    asked = parser.parse_args()
    said = talk(asked.seconds, asked.seed)
    tables: dict[str, list[Row]] = {}
    wrong: list[str] = []
    with tempfile.TemporaryDirectory(prefix="elocute-bench-") as name:
        folder = Path(name)
        path = folder / "talk.wav"
        write_wav(path, said.pcm)
        theirs = batch_wer(path, said)
        with live_server(folder) as server:
            runs: dict[str, Spoken] = {}
            for link, loss in LINKS.items():
                runs[link] = speak(server, [plan(path, loss, said.length_s, asked.seed)])
                if not runs[link].accepted():
                    raise SystemExit(f"refused: {runs[link].calls[0].status}")
                if not loss:
                    tables["same"] = same_rows(runs[link].calls[0], report(server, runs[link].calls[0]))
                settle(server, runs[link].calls)
        tables["latency"] = [{"loss": link, **latency_row(run.calls, {str(path): said.words})} for link, run in runs.items()]
        tables["cost"] = [cost_row(link, run, said, theirs) for link, run in runs.items()]
        tables["loss"] = [loss_row(link, run.calls[0], runs["0 %"].calls[0]) for link, run in runs.items() if LINKS[link]]
        show(f"a talk of {said.length_s:.0f} s, {len(said.words)} words", tables["latency"])
        show("how right, and at what cost", tables["cost"])
        show("what the link took", tables["loss"])
        show("the whole session, live and in the report", tables["same"])
        print("shed:", {link: degraded(run.calls) for link, run in runs.items()})
        wrong += missed([{**tables["latency"][0], **tables["cost"][0]}], SHOW_2) + missed(tables["loss"], SHOW_3)
        wrong += missed(tables["same"], {"show 2, live as in the report": ("missed", 0.0)})
        if not asked.no_baseline:
            tables["baseline"] = [baseline_row(naive.run(path), said, tables["cost"][0])]
            show("beside the naive baseline", tables["baseline"])
            wrong += missed(tables["baseline"], SHOW_4)
    keep("latency", {"seconds": said.length_s, "seed": asked.seed, "tables": tables, "missed": wrong})
    for sentence in wrong:
        print(f"missed: {sentence}")
    return int(bool(wrong))


def baseline_row(outcome: naive.Outcome, said: Talk, ours: Row) -> Row:
    """What it costs and makes wrong, beside ours."""
    mine, cost = ours["CPU s / audio s"], outcome.cpu_s / outcome.audio_s
    theirs = wer(said.text, outcome.text)
    assert isinstance(mine, float)
    assert isinstance(ours["WER %"], float)
    return {
        "passes": outcome.passes,
        "naive CPU s / audio s": cost,
        "ours": mine,
        "ratio": mine / cost,
        "naive WER %": theirs,
        "WER %": ours["WER %"],
        "above naive": ours["WER %"] - theirs,
    }


if __name__ == "__main__":
    sys.exit(main())
