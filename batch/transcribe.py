"""From sound to words: which stretches to recognise, what to do with what came back short, looping or made up, and where each word lies."""

import bisect
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from batch.whisper import Decoded, Encoded, Recogniser, repetitive
from speech.audio import RATE_HZ, Floats, Span
from speech.edges import Placed, refine
from speech.filled_pauses import is_filled_pause
from speech.windows import JUDGE_WINDOW, halves, stretches, uncovered
from speech.words import Transcript, Word

_BATCH = 4  # windows decoded together: a token then costs a third, and eight save nothing more
_AGAIN = round(0.8 * RATE_HZ)  # speech without words that is worth a second decoding
_UNLIKELY = -1.0  # mean log probability per token below which a window is tried in two halves (Radford et al. 2022)
_SILENT = 0.6  # no-speech probability above which unlikely words are not believed
_STOCK = frozenset(
    [
        "thank you",
        "thanks",
        "thanks for watching",
        "thank you for watching",
        "thank you very much",
        "please subscribe",
        "bye",
        "bye bye",
        "you",
        "okay",
        "the end",
        "subtitles by the amara org community",
        "thank you so much for watching",
        "see you next time",
        "i'll see you next time",
    ]
)  # what Whisper writes where nobody speaks, from its training on subtitles
_STOCK_SURE = 0.5  # a stock phrase is kept from this mean word probability
_LETTERS = round(0.12 * RATE_HZ)  # what two letters at the edge of a word usually take
_HELD = round(0.2 * RATE_HZ)
_FILLER_SURE = 0.1  # probability of an um that the recogniser wrote itself: below, it is a syllable that it could not make out
_FILLER_PROBABILITY = 0.17  # of a filled pause as the next word where the sound may be one; other held sounds stay below 0.15


@dataclass(frozen=True, slots=True)
class _Piece:
    """One recognised window."""

    span: Span
    decoded: Decoded
    placed: tuple[Placed, ...]  # on the session's clock


@dataclass(frozen=True, slots=True)
class Heard:
    """What was said, and which of the filled pauses only a second look found."""

    transcript: Transcript
    second_opinion: tuple[Word, ...]


def transcribe(
    recogniser: Recogniser,
    pcm: Floats,
    probability: Floats,
    silences: Sequence[Span],
    candidates: Sequence[Span],
    workers: int,
    at: Callable[[float], None],
) -> Heard:
    """All words of a recording in order, on the clock of its samples.

    probability: of speech per 512 samples. silences: at least 60 ms each, from the signal. candidates: where the sound may be a filled
    pause. at: told the share done. Every window is its own batch-independent result, so the same input gives the same words.
    """
    spans = stretches(probability, pcm.size)
    if not spans:
        return Heard(Transcript((), "", 0.0), ())
    job = _Job(recogniser, pcm, probability, silences, candidates)
    spans.sort(key=lambda span: span.start - span.end)
    language, certain = job.language(spans[:_BATCH])
    batches = [spans[i : i + _BATCH] for i in range(0, len(spans), _BATCH)]
    total = sum(span.end - span.start for span in spans)
    done = 0
    words: list[Word] = []
    second: list[Word] = []
    with ThreadPoolExecutor(workers) as pool:
        for batch, found in zip(batches, pool.map(lambda b: job.recognise(b, language), batches), strict=True):
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

    def __init__(
        self, recogniser: Recogniser, pcm: Floats, probability: Floats, silences: Sequence[Span], candidates: Sequence[Span]
    ) -> None:
        self._recogniser = recogniser
        self._pcm = pcm
        self._probability = probability
        self._silences = silences
        self._candidates = candidates

    def language(self, spans: Sequence[Span]) -> tuple[str, float]:
        """The most probable language of these windows together and its probability."""
        found = self._recogniser.languages(self._encode(spans))
        share = {name: float(np.mean([window.get(name, 0.0) for window in found])) for name in found[0]}
        best = max(share, key=lambda name: share[name])
        return best, share[best]

    def recognise(self, spans: Sequence[Span], language: str) -> list[tuple[list[Word], list[Word]]]:
        """For each window its words in order, and which of them are filled pauses from the second look."""
        encoded = self._encode(spans)
        decoded = self._recogniser.decode(encoded, language)
        placed = self._recogniser.place(encoded, decoded, language)
        out = []
        for i, span in enumerate(spans):
            piece = _Piece(span, decoded[i], _moved(placed[i], span.start))
            pieces = self._mended(piece, language)
            if len(pieces) == 1 and pieces[0] is piece:
                words = self._believed(piece)
                extra = self._fillers(encoded, i, piece, words, language) if language == "en" else []
            else:
                words = [word for p in pieces for word in self._believed(p)]
                extra = []
            out.append((_with(words, extra), extra))
        return out

    def _encode(self, spans: Sequence[Span]) -> Encoded:
        return self._recogniser.encode([self._pcm[span.start : span.end] for span in spans])

    def _alone(self, span: Span, language: str) -> _Piece:
        encoded = self._encode([span])
        decoded = self._recogniser.decode(encoded, language)
        return _Piece(span, decoded[0], _moved(self._recogniser.place(encoded, decoded, language)[0], span.start))

    def _mended(self, piece: _Piece, language: str) -> list[_Piece]:
        # A window that loops or is unlikely is tried in halves; speech that its words leave out is decoded on its own.
        text = " ".join(p.word.text for p in piece.placed)
        length = piece.span.end - piece.span.start
        if length > 4 * RATE_HZ and (repetitive(text) or piece.decoded.log_probability < _UNLIKELY):
            parts = [self._alone(s, language) for s in halves(piece.span, self._probability, length * 2 // 3)]
            if _mean(parts) > piece.decoded.log_probability and not repetitive(" ".join(p.word.text for q in parts for p in q.placed)):
                return parts
        left = uncovered(piece.span, [p.word for p in piece.placed], self._probability, _AGAIN)
        if not left or repetitive(text):
            return [piece]
        pieces = [piece]
        for gap in left:
            around = Span(max(piece.span.start, gap.start - RATE_HZ // 5), min(piece.span.end, gap.end + RATE_HZ // 5))
            found = self._alone(around, language)
            fits = tuple(p for p in found.placed if p.word.start < gap.end and p.word.end > gap.start)
            if fits and found.decoded.log_probability >= _UNLIKELY:
                pieces.append(replace(found, placed=fits))
        return pieces

    def _believed(self, piece: _Piece) -> list[Word]:
        # The words of a window that there is reason to believe, with their edges on the signal.
        words = list(refine(piece.placed, self._silences))
        text = "".join(c for c in " ".join(w.text for w in words).lower() if c.isalpha() or c in " '").strip()
        likely = float(np.mean([w.probability for w in words])) if words else 0.0
        unheard = piece.decoded.no_speech > _SILENT and piece.decoded.log_probability < _UNLIKELY
        if unheard or repetitive(text) or (text in _STOCK and likely < _STOCK_SURE):
            return []
        return [
            replace(w, kind="filler") if is_filled_pause(w.text) and w.probability >= _FILLER_SURE else w for w in words if self._spoken(w)
        ]

    def _spoken(self, word: Word) -> bool:
        around = self._probability[max(0, word.start // JUDGE_WINDOW - 3) : word.end // JUDGE_WINDOW + 4]
        return bool(around.size and around.max() >= 0.1)

    def _fillers(self, encoded: Encoded, window: int, piece: _Piece, words: list[Word], language: str) -> list[Word]:
        # Asks at each place where the sound may be a filled pause how probable one is as the next word there.
        held: dict[int, Span] = {}
        for span in [*self._candidates, *self._stretched(piece)]:
            if span.start < piece.span.start or span.end > piece.span.end:
                continue
            if any(w.kind == "filler" and w.start < span.end and w.end > span.start for w in words):
                continue
            gap = _gap(piece.placed, (span.start + span.end) // 2)
            if gap is not None and (gap not in held or span.end - span.start > held[gap].end - held[gap].start):
                held[gap] = span
        found = []
        for gap, span in held.items():
            before = self._recogniser.tokens_before(piece.decoded.tokens, gap, language)
            likely = self._recogniser.filler_probability(encoded, window, before, language)
            name = max(likely, key=lambda n: likely[n])
            if likely[name] >= _FILLER_PROBABILITY:
                found.append(Word(name, span.start, span.end, likely[name], "filler"))
        return found

    def _stretched(self, piece: _Piece) -> list[Span]:
        # Sound at a word edge that lasts longer than the letters on both sides of it account for.
        ends = [piece.span.start, *(p.last_begun + _LETTERS for p in piece.placed)]
        starts = [*(p.first_done - _LETTERS for p in piece.placed), piece.span.end]
        silences = self._silences
        out = []
        for start, end in zip(ends, starts, strict=True):
            first = bisect.bisect_right(silences, start, key=lambda s: s.end)
            while start < end:
                silence = silences[first] if first < len(silences) and silences[first].start < end else Span(end, end)
                if silence.start - start >= _HELD:
                    out.append(Span(start, silence.start))
                start = silence.end
                first += 1
        return out


def _gap(placed: Sequence[Placed], at: int) -> int | None:
    # Before which word the sound at `at` lies, None where it is inside one. An um that the text lacks is spread over the end of the word
    # before it or the start of the word after it.
    for i, p in enumerate(placed):
        if at < p.first_done:
            return i
        if at < p.last_begun:
            return None
    return len(placed)


def _with(words: Sequence[Word], fillers: Sequence[Word]) -> list[Word]:
    # The fillers among the words, which give way.
    out = list(words)
    for filler in fillers:
        out = [
            replace(w, end=min(w.end, filler.start)) if w.start < filler.start else replace(w, start=max(w.start, filler.end)) for w in out
        ]
    return sorted([*out, *fillers], key=lambda w: (w.start, w.end))


def _moved(placed: Sequence[Placed], by: int) -> tuple[Placed, ...]:
    return tuple(
        Placed(replace(p.word, start=p.word.start + by, end=p.word.end + by), p.first_done + by, p.last_begun + by) for p in placed
    )


def _mean(pieces: Sequence[_Piece]) -> float:
    tokens = [max(1, len(p.decoded.tokens)) for p in pieces]
    return float(np.average([p.decoded.log_probability for p in pieces], weights=tokens))
