"""Cost of the streaming kernels, with Praat in the same run.

    python -m bench.kernels       # prints a table, writes bench/results/kernels.json

Microseconds of CPU per 10 ms hop: whole (one call), live (a call per 20 ms block, the unit of WebRTC), 10 and 1000 streams in one call,
and Praat's to_pitch_ac(0.01, 65, ..., 500). Ratios are the result; microseconds are of this machine, at this moment.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np

from bench.f0 import praat_pitch
from speech.audio import HOP, RATE_HZ, Floats
from speech.prosody import DELAY, LATENCY_S, STATE_BYTES, Prosody, ProsodyBank, analyse
from tests import signals

RESULTS = Path(__file__).parent / "results"
_HOPS = 10_000
_BLOCK = 2 * HOP
_FIRST_CALL = "import time; import numpy as np; from speech.prosody import analyse; t = time.perf_counter(); \
analyse(np.zeros(16000, np.float32)); print(time.perf_counter() - t)"


def _best(run: Callable[[], object], repeats: int = 5) -> float:
    """Least CPU seconds of some runs."""
    times = []
    for _ in range(repeats):
        begin = time.process_time()
        run()
        times.append(time.process_time() - begin)
    return min(times)


def _material() -> Floats:
    """100 s of a lively voice with pauses, and noise 40 dB down."""
    voice = signals.utterance(60, pauses={10: 0.6, 25: 1.0, 40: 0.4}, seed=1)
    pcm = np.resize(voice.pcm, _HOPS * HOP)
    return signals.at_snr(pcm, signals.pink(pcm.size, 1), 40)


def live_us(pcm: Floats) -> tuple[float, float]:
    """Wall microseconds per hop of a push of one 20 ms block from Python: p50 and p99."""
    front = Prosody()
    blocks = [pcm[i : i + _BLOCK] for i in range(0, pcm.size, _BLOCK)]
    times = np.empty(len(blocks))
    for i, block in enumerate(blocks):
        begin = time.perf_counter_ns()
        front.push(block)
        times[i] = time.perf_counter_ns() - begin
    times /= 1000 * _BLOCK / HOP
    return float(np.percentile(times, 50)), float(np.percentile(times, 99))


def allocated_blocks(pcm: Floats) -> tuple[int, int]:
    """Over 10,000 hops pushed one by one: growth of Python's blocks, and of bytes that tracemalloc sees (its own table included)."""
    front = Prosody()
    hops = [pcm[i : i + HOP] for i in range(0, pcm.size, HOP)]
    front.push(hops[0])
    before = sys.getallocatedblocks()
    for hop in hops:
        front.push(hop)
    blocks = sys.getallocatedblocks() - before
    tracemalloc.start()
    front.push(hops[0])
    begin = tracemalloc.get_traced_memory()[0]
    for hop in hops:
        front.push(hop)
    grown = tracemalloc.get_traced_memory()[0] - begin
    tracemalloc.stop()
    return blocks, grown


def bank_us(pcm: Floats, streams: int, hops: int) -> float:
    """CPU microseconds per stream and hop when `streams` advance together, 20 ms a call."""
    bank = ProsodyBank(streams)
    blocks = [np.stack([pcm[(97 * s + i) % (pcm.size - _BLOCK) :][:_BLOCK] for s in range(streams)]) for i in range(0, hops * HOP, _BLOCK)]

    def run() -> None:
        for block in blocks:
            bank.push(block)

    run()
    return 1e6 * _best(run) / (streams * hops)


def first_call_s() -> tuple[float, float]:
    """Seconds of the first call in a fresh process: with an empty cache, then with the one it left."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
        cold, cached = (
            float(subprocess.run([sys.executable, "-c", _FIRST_CALL], env=environment, check=True, capture_output=True, text=True).stdout)
            for _ in range(2)
        )
    return cold, cached


def main() -> None:
    """Measure, print and write bench/results/kernels.json."""
    pcm = _material()
    analyse(pcm[:RATE_HZ])
    ours_us = 1e6 * _best(lambda: analyse(pcm)) / _HOPS
    praat_us = 1e6 * _best(lambda: praat_pitch(pcm), 3) / _HOPS
    p50_us, p99_us = live_us(pcm)
    blocks, grown = allocated_blocks(pcm)
    few_us, many_us = bank_us(pcm, 10, 400), bank_us(pcm, 1000, 40)
    cold_s, cached_s = first_call_s()
    rows = [
        ("us per hop, whole recording in one call", ours_us, None),
        ("us per hop, Praat AC 65-500 Hz", praat_us, None),
        ("ratio: F0, voicing, level, LUFS, nuclei / Praat F0", ours_us / praat_us, 0.15),
        ("us per hop, live, 20 ms a push, p50", p50_us, None),
        ("us per hop, live, 20 ms a push, p99", p99_us, None),
        ("ratio: p99 / p50", p99_us / p50_us, 3.0),
        ("us per stream-hop, 10 streams", few_us, None),
        ("us per stream-hop, 1000 streams", many_us, None),
        ("ratio: 1000 / 10 streams", many_us / few_us, 1.3),
        ("Python blocks grown over 10,000 hops", float(blocks), 10.0),
        ("bytes grown over 10,000 hops, tracemalloc", float(grown), None),
        ("first call, nothing compiled, s", cold_s, None),
        ("first call, compiled before, s", cached_s, None),
        ("ratio: cached / cold", cached_s / cold_s, 0.15),
        ("final F0 after the centre of its frame, ms", 1000 * LATENCY_S, 50.0),
        ("hops that must follow a frame", float(DELAY), None),
        ("bytes of state per stream", float(STATE_BYTES), None),
    ]
    for name, value, limit in rows:
        print(f"{name:<52}{value:>12.3f}" + ("" if limit is None else f"   at most {limit:g}"))
    RESULTS.mkdir(exist_ok=True)
    about = {"python": platform.python_version(), "numba": numba.__version__, "machine": platform.machine()}
    figures = {name: {"value": value, "at_most": limit} for name, value, limit in rows}
    (RESULTS / "kernels.json").write_text(json.dumps({"about": about, "figures": figures}, indent=1) + "\n")


if __name__ == "__main__":
    main()
