"""What the live path makes of sound in which nobody speaks to it: words it invents, and what that costs beside speech.

`python -m bench.live_noise [--minutes 5]` replays silence, a room, music, typing, and a television in other languages through the live
path, faster than in real time, with the language set to English. Prints a table, writes bench/results/live_noise.json, exits with 1 where
a bound is missed. The television is espeak-ng, where it is installed: no recording of another language is at hand. Music and typing are
made by `bench.pauses`. Cost is CPU time of hearing and recognising a second of sound, without the network, as a share of that of speech.
"""

import argparse
import itertools
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from batch.decode import decode
from bench.heard import missed
from bench.pauses import keyboard, music, pink
from bench.table import Row, keep, show
from bench.talk import talk
from config import models
from config.settings import read_settings
from recognition.whisper import Recogniser
from speech.audio import RATE_HZ, Floats
from stream_pipeline.asking import Answer, Ask
from stream_pipeline.core import prepare
from stream_pipeline.recognise import recognise
from stream_pipeline.replay import blocks_of, replay

SEED = 3
SPEECH_S = 90.0
SHOWN_TEXT = 60  # characters
SILENCE = "digital silence"
SHOW_7_SILENCE = {"show 7, words in silence": ("words", 0.0), "show 7, cost of silence": ("of speech", 0.15)}
SHOW_7_NOISE = {"show 7, words in noise": ("words/min", 1.0)}

TELEVISION = {
    "de": "Guten Abend, meine Damen und Herren. Die Regierung hat heute ein neues Gesetz beschlossen, das im Januar in Kraft treten soll. "
    "Am Wochenende wird es in weiten Teilen des Landes regnen, nur an der Küste bleibt es trocken und mild.",
    "es": "Buenas noches y bienvenidos. El ministro anunció esta tarde que las obras del puente terminarán antes del verano. "
    "Mañana subirán las temperaturas en el sur, con cielos despejados y viento flojo del este.",
    "fr": "Bonsoir à tous. Le maire de la ville a présenté ce matin son projet pour les écoles et les transports. "
    "Demain, le soleil reviendra sur la moitié nord du pays, avec quelques averses dans l'après-midi.",
}


def at_level(pcm: Floats, dbfs: float) -> Floats:
    """The sound at this RMS level."""
    return np.asarray(pcm * 10 ** (dbfs / 20) / np.sqrt(np.mean(np.square(pcm, dtype=np.float64))), np.float32)


def television(length_s: float) -> Floats | None:
    """Speakers of other languages one after the other; None without espeak-ng."""
    if shutil.which("espeak-ng") is None:
        return None
    parts: list[Floats] = []
    with tempfile.TemporaryDirectory() as folder:
        for voice, text in itertools.cycle(TELEVISION.items()):
            path = Path(folder) / "voice.wav"
            subprocess.run(["espeak-ng", "-v", voice, "-w", str(path), text], check=True)
            parts += [decode(path).pcm, np.zeros(RATE_HZ, np.float32)]
            if sum(part.size for part in parts) >= length_s * RATE_HZ:
                return np.concatenate(parts)[: round(length_s * RATE_HZ)]
    raise AssertionError  # cycle() has no end


def sounds(minutes: float) -> dict[str, Floats]:
    """What is replayed."""
    size = round(60 * minutes * RATE_HZ)

    def noise(make: Callable[[int, np.random.Generator], np.ndarray], dbfs: float) -> Floats:
        return at_level(np.asarray(make(size, np.random.default_rng(SEED)), np.float32), dbfs)

    made = {
        SILENCE: np.zeros(size, np.float32),
        "room": noise(pink, -60),
        "music": noise(music, -25),
        "keyboard": noise(keyboard, -35),
    }
    other = television(60 * minutes)
    return made if other is None else {**made, "television": at_level(other, -25)}


def heard(recogniser: Recogniser, pcm: Floats) -> tuple[list[str], int, float]:
    """Words and fillers that were committed, windows that were recognised, and CPU seconds."""
    windows = 0

    def answer(ask: Ask) -> Answer:
        nonlocal windows
        windows += 1
        return recognise(recogniser, [ask])[0]

    began_s = time.process_time()
    said = list(replay(blocks_of(pcm), answer, language="en"))
    cpu_s = time.process_time() - began_s
    return [word["text"] for one in said if one.stream == "tokens" for word in one.data["committed"]], windows, cpu_s


def main() -> int:
    """Measure, print and keep; 1 when a bound is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.live_noise", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0)
    asked = parser.parse_args()
    settings = replace(read_settings(), device="cpu")
    recogniser = Recogniser(models.asr_model(settings), models.placement(settings), 1)
    prepare()
    speech = talk(SPEECH_S, SEED).pcm
    heard(recogniser, speech[: 10 * RATE_HZ])  # the first windows set things up
    rows: list[Row] = []
    usual = 0.0
    for name, pcm in {"speech": speech, **sounds(asked.minutes)}.items():
        words, windows, cpu_s = heard(recogniser, pcm)
        length_s = pcm.size / RATE_HZ
        cost = cpu_s / length_s
        usual = usual or cost
        rows.append(
            {
                "sound": name,
                "minutes": length_s / 60,
                "words": len(words),
                "words/min": 60 * len(words) / length_s,
                "windows/min": 60 * windows / length_s,
                "CPU s / audio s": cost,
                "of speech": cost / usual,
                "text": " ".join(words)[:SHOWN_TEXT] if name != "speech" else "",
            }
        )
    show("sound in which nobody speaks", rows)
    wrong = missed([row for row in rows if row["sound"] == SILENCE], SHOW_7_SILENCE)
    wrong += missed([row for row in rows if row["sound"] != "speech"], SHOW_7_NOISE)
    if not any(row["sound"] == "television" for row in rows):
        print("espeak-ng is not installed: nothing was said in another language")
    keep("live_noise", {"rows": rows, "missed": wrong})
    for sentence in wrong:
        print(f"missed: {sentence}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
