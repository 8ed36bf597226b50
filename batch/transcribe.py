"""From sound to words: which stretches to recognise, what to do with what came back short, looping or made up, and where each word lies."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain, repeat

import numpy as np

from recognition.belief import believed, moved, with_fillers
from recognition.mending import mended
from recognition.second_opinion import second_opinion
from recognition.whisper import Encoded, Piece, Recogniser
from speech.audio import Floats, Span
from speech.windows import stretches
from speech.words import Heard, Transcript, Word

_BATCH = 4  # windows decoded together: a token then costs a third, and eight save nothing more


def transcribe(
    recogniser: Recogniser,
    pcm: Floats,
    probability: Floats,
    silences: Sequence[Span],
    held: Sequence[Span],
    workers: int,
    at: Callable[[float], None],
    language: str | None = None,
) -> Heard:
    """All words of a recording in order, on the clock of its samples.

    probability: of speech per 512 samples. silences: at least 60 ms each, from the signal. held: where the sound may be a filled pause,
    from `speech.filled_pauses`. at: told the share done. language: ISO 639-1; None: it is detected. The same input
    gives the same words, whatever the number of workers.
    """
    spans = stretches(probability, pcm.size)
    if not spans:
        return Heard(Transcript((), "", 0.0), ())
    job = _Job(recogniser, pcm, probability, silences, held)
    spans.sort(key=lambda span: (span.start - span.end, span.start))
    first = job.encode(spans[:_BATCH])
    language, certain = (language, 1.0) if language else job.language(first)
    batches = [spans[i : i + _BATCH] for i in range(0, len(spans), _BATCH)]
    total = sum(span.end - span.start for span in spans)
    done = 0
    words: list[Word] = []
    second: list[Word] = []
    with ThreadPoolExecutor(workers) as pool:
        for batch, found in zip(batches, pool.map(job.recognise, batches, repeat(language), chain([first], repeat(None))), strict=True):
            for heard, extra in found:
                words += heard
                second += extra
            done += sum(span.end - span.start for span in batch)
            at(done / total)
    words.sort(key=lambda word: (word.start, word.end))
    second.sort(key=lambda word: word.start)
    return Heard(Transcript(_apart(words), language, certain), tuple(second))


def _apart(words: list[Word]) -> tuple[Word, ...]:
    # Windows touch where a long stretch was cut: keep the times in order there too.
    out: list[Word] = []
    for word in words:
        start = max(word.start, out[-1].end) if out else word.start
        out.append(replace(word, start=start, end=max(word.end, start + 320)))
    return tuple(out)


class _Job:
    """What every window of one recording needs."""

    def __init__(self, recogniser: Recogniser, pcm: Floats, probability: Floats, silences: Sequence[Span], held: Sequence[Span]) -> None:
        self._recogniser = recogniser
        self._pcm = pcm
        self._probability = probability
        self._silences = silences
        self._held = held

    def language(self, encoded: Encoded) -> tuple[str, float]:
        """The most probable language of these windows together and its probability."""
        found = self._recogniser.languages(encoded)
        share = {name: float(np.mean([window.get(name, 0.0) for window in found])) for name in found[0]}
        best = max(share, key=lambda name: share[name])
        return best, share[best]

    def recognise(self, spans: Sequence[Span], language: str, encoded: Encoded | None) -> list[tuple[list[Word], list[Word]]]:
        """For each window its words in order, and which of them are filled pauses from the second look. encoded: if it is known already."""
        encoded = encoded or self.encode(spans)
        decoded = self._recogniser.decode(encoded, language)
        placed = self._recogniser.place(encoded, decoded, language)
        out = []
        for i, span in enumerate(spans):
            words: list[Word] = []
            extra: list[Word] = []
            whole = Piece(span, encoded, i, decoded[i], moved(placed[i], span.start))
            for piece in mended(whole, lambda part: self._alone(part, language), self._probability, self._silences):
                sure = believed(piece, self._probability, self._silences)
                fillers = self._second_opinion(piece, sure) if language == "en" and sure else []
                words += with_fillers(sure, fillers)
                extra += [filler for _, filler in fillers]
            out.append((words, extra))
        return out

    def encode(self, spans: Sequence[Span]) -> Encoded:
        """The windows as the decoder sees them."""
        return self._recogniser.encode([self._pcm[span.start : span.end] for span in spans])

    def _alone(self, span: Span, language: str) -> Piece:
        encoded = self.encode([span])
        decoded = self._recogniser.decode(encoded, language)
        return Piece(span, encoded, 0, decoded[0], moved(self._recogniser.place(encoded, decoded, language)[0], span.start))

    def _second_opinion(self, piece: Piece, words: dict[int, Word]) -> list[tuple[int, Word]]:
        written = [word for word in words.values() if word.kind == "filler"]
        return second_opinion(self._recogniser, piece, written, self._held, self._silences)
