"""Twenty clips of a ten-minute talk: how long they take, beside a plain pass of FFmpeg over the same seconds.

`python -m bench.clips` prints a table and writes bench/results/clips.json. The talk is read speech, over and over; the clips last 4 to
15 s. The plain pass codes the same sound to AAC and as many frames of a still picture to H.264 with FFmpeg's own defaults, one after
another: no loudness, no fades, no captions, no drawing. Both take turns, `--rounds` times, and the median is given; CPU time is that of
the process, which other work on the machine disturbs less.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from batch import clips
from batch.clips import Cut, Source, cut_of, render
from bench.table import Row, keep, show
from speech.audio import RATE_HZ, Floats
from tests.samples import SPEECH, recording, spoken

MINUTES = 10
CLIPS = 20
SEED = 5


def talk() -> Floats:
    """Ten minutes of reading."""
    once = recording()
    return np.tile(once, -(-MINUTES * 60 * RATE_HZ // once.size))[: MINUTES * 60 * RATE_HZ]


def plain(pcm: Floats, cuts: list[Cut], folder: Path) -> None:
    """What a script around FFmpeg would do."""
    picture = np.full((clips.HEIGHT * 3 // 2, clips.WIDTH), 128, np.uint8)
    for cut in cuts:
        with av.open(str(folder / f"{cut.name}.mp4"), "w") as container:
            video = container.add_stream("libx264", rate=clips.RATE, options={"threads": "1"})
            video.width, video.height, video.pix_fmt = clips.WIDTH, clips.HEIGHT, "yuv420p"
            sound = container.add_stream("aac", rate=RATE_HZ)
            sound.layout = "mono"
            for number in range((cut.end - cut.start) * clips.RATE // RATE_HZ):
                frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
                frame.pts, frame.time_base = number, Fraction(1, clips.RATE)
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
            heard = av.AudioFrame.from_ndarray(pcm[cut.start : cut.end].reshape(1, -1), format="fltp", layout="mono")
            heard.sample_rate, heard.pts = RATE_HZ, 0
            container.mux(sound.encode(heard))
            container.mux(sound.encode(None))


def timed(work: Callable[[], None]) -> tuple[float, float]:
    """Seconds by the wall and of the CPU."""
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall_s, time.process_time() - cpu_s


def main() -> None:
    """Measure and say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    rng = np.random.default_rng(SEED)
    pcm, words = talk(), spoken(SPEECH * 8)
    starts = np.linspace(0, (MINUTES * 60 - 15) * RATE_HZ, CLIPS).astype(int)
    lengths = (rng.uniform(4.0, 15.0, CLIPS) * RATE_HZ).astype(int)
    cuts = [cut_of(int(start), int(start + length), words, "en") for start, length in zip(starts, lengths, strict=True)]
    of_s = sum(cut.end - cut.start for cut in cuts) / RATE_HZ
    taken: dict[str, list[tuple[float, float]]] = {"clips": [], "plain pass": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for _ in range(rounds):
            taken["clips"].append(timed(lambda: render(Source(pcm, words, "en", None), cuts, folder, 2, lambda _: None)))
            taken["plain pass"].append(timed(lambda: plain(pcm, cuts, folder)))
        size = sum(file.stat().st_size for file in folder.iterdir())
    middle = {what: tuple(statistics.median(one[i] for one in found) for i in (0, 1)) for what, found in taken.items()}
    rows: list[Row] = [
        {
            "what": what,
            "wall s": wall_s,
            "CPU s": cpu_s,
            "CPU s on two cores": cpu_s / 2,
            "ratio of CPU to the plain pass": cpu_s / middle["plain pass"][1],
        }
        for what, (wall_s, cpu_s) in middle.items()
    ]
    show(f"{CLIPS} clips, {of_s:.0f} s in all, of a talk of {MINUTES} minutes; load of the machine {os.getloadavg()[0]:.1f}", rows)
    keep("clips", {"clips": CLIPS, "of_s": of_s, "bytes": size, "rounds": rounds, "load": os.getloadavg()[0], "rows": rows})


if __name__ == "__main__":
    main()
