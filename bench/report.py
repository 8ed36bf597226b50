"""What a report costs: the PDF of half an hour, and how soon the page of two hours answers a click on a word.

    python -m bench.report        # prints a table, writes bench/results/report.json

CPU seconds of the PDF, each of another recording, so that nothing of it was set before; cold in a process of its own, with imports and
fonts. For the page: milliseconds from the start of the navigation until a click on a word moves the sound, in Chromium, with the CPU time
of its main thread. Ratios to an empty report, and to the page of a minute, are the result; seconds are of this machine, at this moment.
"""

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, sync_playwright

from batch import index_page, pdf
from batch.document import document
from bench.table import keep, show
from speech.analysis import Analysis, Disfluency, Filler, Pause, Stretch
from speech.audio import RATE_HZ, Floats
from speech.words import Transcript, Word
from tests import samples
from tests.test_page import FLAGS

_REPEATS = 5
_COLD = "import time; t = time.process_time(); w = time.perf_counter(); from bench.report import spoken, paper; a = spoken(30, 9)[0]; \
b = time.process_time(), time.perf_counter(); paper(a); print(time.process_time() - b[0], time.perf_counter() - b[1])"
_CLICK = """(() => { const look = () => {
  const word = document.querySelector("#transcript .w");
  if (word) word.click();
  if (document.querySelector(".w.now")) window.answered = performance.now(); else setTimeout(look, 5);
}; look(); })()"""


def spoken(minutes: float, seed: int) -> tuple[Analysis, Floats]:
    """A talk of 130 words a minute with all that is marked in one; no two seeds give the same words."""
    rng = np.random.default_rng(seed)
    vocabulary = [*(word.strip(".,") for word in samples.SPEECH), "committee", "uncharacteristically", "between", "people"]
    words: list[Word] = []
    pauses: list[Pause] = []
    fillers: list[Filler] = []
    broken: list[Disfluency] = []
    at_s = 0.5
    while at_s < 60 * minutes - 2:
        ends = rng.random() < 0.07
        text = "um" if rng.random() < 0.03 else str(rng.choice(vocabulary)) + "." * ends
        word = Word(text, samples.samples(at_s), samples.samples(at_s + 0.12 + 0.04 * len(text)), 0.9, samples.kind(text))
        words.append(word)
        if word.kind == "filler":
            fillers.append(Filler(text, word.start, word.end, "filled_pause", "recogniser"))
        elif rng.random() < 0.01:
            broken.append(Disfluency("repetition", text, word.start, word.end))
        gap_s = float(rng.uniform(0.4, 1.6) if ends else rng.choice([0.03, rng.uniform(0.26, 0.9)], p=[0.85, 0.15]))
        if gap_s > 0.1:
            end = word.end + samples.samples(gap_s)
            pauses.append(Pause(word.end, end, "silent", "between_clauses" if ends else "within_clause"))
        at_s = word.end / RATE_HZ + gap_s
    pcm = np.resize(samples.recording(), samples.samples(60 * minutes))
    stretches = tuple(
        Stretch(samples.samples(s), samples.samples(s + 10), 140 + 30 * float(np.sin(s / 40)), 4.8, 0.25, 140.0, 6.0, -22.0)
        for s in range(0, round(60 * minutes) - 10, 5)
    )
    talk = samples.talk()
    analysis = replace(
        talk,
        audio=replace(talk.audio, samples=pcm.size),
        transcript=Transcript(tuple(words), "en", 0.99),
        frames=samples.frames(pcm),
        pauses=tuple(pauses),
        fillers=tuple(fillers),
        disfluencies=tuple(broken),
        language_issues=(),
        stretches=stretches,
    )
    return analysis, pcm


def paper(analysis: Analysis) -> bytes:
    """Its PDF, with scores and coaching."""
    return pdf.render(analysis, document(analysis, samples.scores(), samples.coaching()), "a4")


def _cpu_s(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def papers() -> dict[str, float]:
    """CPU seconds: a report without words, one of 30 minutes, and one in a new process (then wall as well)."""
    empty = [samples.bare(samples.tone(1.0 + seed), name=f"{seed}.wav") for seed in range(_REPEATS + 1)]
    long = [spoken(30, seed)[0] for seed in range(_REPEATS + 1)]
    paper(empty[-1]), paper(long[-1])  # fonts are read once
    nothing_s, warm_s = [], []
    for a, b in zip(empty[:-1], long[:-1], strict=True):  # by turns: what slows one slows the other
        nothing_s.append(_cpu_s(lambda a=a: paper(a)))  # type: ignore[misc]
        warm_s.append(_cpu_s(lambda b=b: paper(b)))  # type: ignore[misc]
    cold = subprocess.run([sys.executable, "-c", _COLD], capture_output=True, text=True, check=True).stdout.split()
    return {
        "nothing_cpu_s": statistics.median(nothing_s),
        "warm_cpu_s": statistics.median(warm_s),
        "cold_cpu_s": float(cold[0]),
        "cold_wall_s": float(cold[1]),
    }


def _answered(browser: Browser, page: Path) -> tuple[float, float]:
    """Milliseconds until a click on a word is answered, and CPU milliseconds of the page's main thread until it was all there."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    meter = context.new_cdp_session(opened)
    meter.send("Performance.enable", {"timeDomain": "threadTicks"})
    opened.add_init_script(_CLICK)
    opened.goto(page.as_uri())
    answered_ms = 0.0
    while not answered_ms:
        answered_ms = float(opened.evaluate("window.answered || 0"))
    metrics: Any = meter.send("Performance.getMetrics")["metrics"]
    context.close()
    return answered_ms, 1000 * next(float(metric["value"]) for metric in metrics if metric["name"] == "TaskDuration")


def pages() -> dict[str, float]:
    """Medians for a page of one minute and for one of two hours, opened by turns."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        made = {name: Path(folder) / f"{name}.html" for name in ("minute", "two_hours")}
        for (_, path), minutes in zip(made.items(), (1, 120), strict=True):
            analysis, pcm = spoken(minutes, 1)
            shape = document(analysis, samples.scores(), samples.coaching())
            path.write_text(index_page.render(analysis, shape, pcm, "audio.mp3"), encoding="utf-8")
            del analysis, pcm
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS.split())
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in made}
        for _ in range(_REPEATS):
            for name, path in made.items():
                found[name].append(_answered(browser, path))
        browser.close()
    return {
        f"{name}_{what}_ms": statistics.median(each[index] for each in times)
        for name, times in found.items()
        for index, what in enumerate(("click", "cpu"))
    }


def main() -> None:
    """Measure, print and write bench/results/report.json."""
    figures = papers() | pages()
    rows = [
        ("PDF of nothing, CPU s", figures["nothing_cpu_s"], None),
        ("PDF of 30 min, warm, CPU s", figures["warm_cpu_s"], 0.3),
        ("ratio: 30 min / nothing", figures["warm_cpu_s"] / figures["nothing_cpu_s"], None),
        ("PDF of 30 min, new process, CPU s", figures["cold_cpu_s"], 1.5),
        ("PDF of 30 min, new process, wall s", figures["cold_wall_s"], 1.5),
        ("page of a minute, first click, ms", figures["minute_click_ms"], None),
        ("page of two hours, first click, ms", figures["two_hours_click_ms"], 1000.0),
        ("ratio: two hours / a minute", figures["two_hours_click_ms"] / figures["minute_click_ms"], None),
        ("page of a minute, CPU ms", figures["minute_cpu_ms"], None),
        ("page of two hours, CPU ms", figures["two_hours_cpu_ms"], None),
    ]
    show("The report", [{"what": what, "value": value, "at most": limit} for what, value, limit in rows])
    keep("report", figures)


if __name__ == "__main__":
    main()
