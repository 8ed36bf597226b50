"""The baseline: what common servers do with the same weights. Every second the whole buffer again, padded to 30 s, with LocalAgreement-2.

`python -m bench.naive WAV OUT` writes its text, its words, and its CPU time as JSON. The algorithm is that of whisper_streaming (Macháček
et al. 2023): faster-whisper with word times, the last 200 characters that have left the buffer as prompt, the buffer cut at the end of a
segment when it is longer than 15 s. Greedy, which costs less than the beam of five it comes with. The clock stands still while it works
(`--comp_unaware`), so on a slow machine it is neither late nor made to skip: its cost and its accuracy are the best it can have.
One thread: a second costs half as much again.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path

from faster_whisper import WhisperModel
from faster_whisper.transcribe import Segment

from bench.corpus import Timed
from bench.talk import read_wav
from config import models
from config.settings import read_settings
from speech.audio import RATE_HZ, Floats

STEP_S = 1.0
TRIM_S = 15.0
PROMPT_CHARACTERS = 200
_SILENT = 0.9  # a segment that is so probably no speech is left out
_NGRAM = 5


@dataclass(frozen=True, slots=True)
class Outcome:
    """What it made of a file."""

    words: tuple[Timed, ...]
    cpu_s: float  # without loading
    wall_s: float
    audio_s: float
    passes: int

    @property
    def text(self) -> str:
        """The transcript."""
        return "".join(word.text for word in self.words)


class _Agreed:
    """The words that two passes in a row have begun with (HypothesisBuffer)."""

    def __init__(self) -> None:
        self.words: list[Timed] = []  # all
        self._inside: list[Timed] = []  # of them, still in the buffer
        self.pending: list[Timed] = []
        self._to_s = 0.0

    def take(self, heard: Sequence[Timed]) -> None:
        """Words of one more pass, on the clock of the file."""
        new = [word for word in heard if word.start_s > self._to_s - 0.1]
        if new and abs(new[0].start_s - self._to_s) < 1:
            for count in range(1, min(len(self._inside), len(new), _NGRAM) + 1):
                if [word.text for word in self._inside[-count:]] == [word.text for word in new[:count]]:
                    del new[:count]
                    break
        count = 0
        while count < min(len(new), len(self.pending)) and new[count].text == self.pending[count].text:
            count += 1
        if count:
            self._to_s = new[count - 1].end_s
        self.words += new[:count]
        self._inside += new[:count]
        self.pending = new[count:]

    def leave(self, to_s: float) -> None:
        """The buffer now begins there."""
        self._inside = [word for word in self._inside if word.end_s > to_s]


def listen(model: WhisperModel, pcm: Floats) -> Outcome:
    """Hear a file a second at a time."""
    agreed = _Agreed()
    offset_s = 0.0
    passes = 0
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    for to in range(round(STEP_S * RATE_HZ), pcm.size + round(STEP_S * RATE_HZ), round(STEP_S * RATE_HZ)):
        buffer = pcm[round(offset_s * RATE_HZ) : to]
        passes += 1
        found, _ = model.transcribe(
            buffer,
            beam_size=1,
            language="en",
            word_timestamps=True,
            condition_on_previous_text=True,
            initial_prompt=_prompt(agreed, offset_s),
        )
        segments = list(found)
        heard = [
            Timed(word.word, word.start + offset_s, word.end + offset_s)
            for segment in segments
            if segment.no_speech_prob <= _SILENT
            for word in segment.words or ()
        ]
        agreed.take(heard)
        if buffer.size > TRIM_S * RATE_HZ and (end_s := _cut(segments, agreed, offset_s)) is not None:
            agreed.leave(end_s)
            offset_s = end_s
    words = (*agreed.words, *agreed.pending)
    return Outcome(words, time.process_time() - cpu_s, time.perf_counter() - wall_s, pcm.size / RATE_HZ, passes)


def _prompt(agreed: _Agreed, offset_s: float) -> str:
    # The end of what has left the buffer.
    gone = [word.text for word in agreed.words[:-1] if word.end_s <= offset_s]
    prompt: list[str] = []
    length = 0
    while gone and length < PROMPT_CHARACTERS:
        prompt.append(gone.pop())
        length += len(prompt[-1]) + 1
    return "".join(reversed(prompt))


def _cut(segments: Sequence[Segment], agreed: _Agreed, offset_s: float) -> float | None:
    # The end of the last segment but one that is committed as a whole.
    if not agreed.words:
        return None
    ends = [segment.end + offset_s for segment in segments[:-1]]
    return max((end for end in ends if end <= agreed.words[-1].end_s), default=None)


def run(path: Path) -> Outcome:
    """In a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "outcome.json"
        subprocess.run([sys.executable, "-m", "bench.naive", str(path), str(out)], check=True)
        kept = json.loads(out.read_text())
    return Outcome(tuple(Timed(*word) for word in kept[0]), *kept[1:])


def main() -> None:
    """Hear one file and write the outcome."""
    source, out = map(Path, sys.argv[1:])
    settings = replace(read_settings(), device="cpu")
    model = WhisperModel(str(models.asr_model(settings).folder), device="cpu", compute_type="int8", cpu_threads=1)
    pcm = read_wav(source)
    list(model.transcribe(pcm[: 2 * RATE_HZ], beam_size=1, language="en")[0])  # the first pass sets things up
    out.write_text(json.dumps(astuple(listen(model, pcm))))


if __name__ == "__main__":
    main()
