"""What of a session can be found again: each sentence, shown in a passage of a few with how that was spoken, and its moments."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from batch.analyze import Findings
from batch.captions import ends_sentence, gap
from db.embeddings import Manner, Passage
from speech.analysis import Stretch
from speech.audio import RATE_HZ, Span, seconds
from speech.words import Word

FEWEST_WORDS, MOST_WORDS = 14, 30  # of a passage
_WHOLE_WORDS = 6  # fewer mean little without what follows
_LEAST_LEFT = 8  # words that make a passage of their own, but for the first
_RATED_WORDS = 5  # fewer have no rate


def passages(words: Sequence[Word], findings: Findings, coaching: Mapping[str, Any] | None, language: str) -> list[Passage]:
    """In order of time, then moments; their vectors are still to be found. A passage is there once for each of its sentences: the vector
    of a whole one lies between what they mean, and is found less (bench/search.py)."""
    space = gap(language)
    found = []
    for piece in _pieces(words):
        text, manner = space.join(word.text for word in piece), _manner(piece, findings)
        for sentence in _meant(piece):
            meant = space.join(word.text for word in sentence)
            found.append(Passage("passage", text, piece[0].start, piece[-1].end, manner, meant=meant))
    for moment in coaching["moments"] if coaching else ():
        start, end = round(moment["start_s"] * RATE_HZ), round(moment["end_s"] * RATE_HZ)
        said = [word for word in words if start <= word.start < end]
        text = f"{moment['why']} {moment['text']}".strip()
        found.append(Passage("moment", text, start, end, _manner(said, findings), meant=text))
    return found


def _pieces(words: Sequence[Word]) -> list[Sequence[Word]]:
    pieces: list[list[Word]] = []
    for sentence in _sentences(words):
        if pieces and len(pieces[-1]) < FEWEST_WORDS and len(pieces[-1]) + len(sentence) <= MOST_WORDS:
            pieces[-1] += sentence
        else:
            pieces.append(list(sentence))
    whole: list[list[Word]] = []
    for piece in pieces:
        if whole and len(piece) < _LEAST_LEFT:
            whole[-1] += piece
        else:
            whole.append(piece)
    return [piece for piece in whole if any(word.kind == "word" for word in piece)]


def _meant(piece: Sequence[Word]) -> list[Sequence[Word]]:
    """Its sentences, a short one together with the next, or at the end with the one before."""
    joined: list[list[Word]] = []
    for sentence in _sentences(piece):
        if joined and len(joined[-1]) < _WHOLE_WORDS:
            joined[-1] += sentence
        else:
            joined.append(list(sentence))
    if len(joined) > 1 and len(joined[-1]) < _WHOLE_WORDS:
        joined[-2:] = [joined[-2] + joined[-1]]
    return list(joined)


def _sentences(words: Sequence[Word]) -> Iterator[Sequence[Word]]:
    """Cut where one is longer than a passage, too."""
    first = 0
    for i, word in enumerate(words):
        if ends_sentence(word) or i + 1 - first == MOST_WORDS or i + 1 == len(words):
            yield words[first : i + 1]
            first = i + 1


def _manner(words: Sequence[Word], findings: Findings) -> Manner:
    if not words:
        return Manner(None, 0, 0.0, None, None)
    span = Span(words[0].start, words[-1].end)
    spoken = sum(word.kind == "word" for word in words)
    inside = [pause.end - pause.start for pause in findings.pauses if pause.kind == "silent" and span.start <= pause.start < span.end]
    return Manner(
        rate_wpm=60.0 * spoken / seconds(span.end - span.start) if spoken >= _RATED_WORDS else None,
        fillers=sum(span.start <= filler.start < span.end for filler in findings.fillers),
        pause_s=seconds(max(inside, default=0)),
        f0_span_st=_mean([(stretch, stretch.f0_span_st) for stretch in findings.stretches], span),
        level_dbfs=_mean([(stretch, stretch.level_dbfs) for stretch in findings.stretches], span),
    )


def _mean(values: Sequence[tuple[Stretch, float | None]], span: Span) -> float | None:
    """Of the stretches, weighted by how much of each is inside."""
    inside = [
        (min(stretch.end, span.end) - max(stretch.start, span.start), value)
        for stretch, value in values
        if value is not None and stretch.start < span.end and span.start < stretch.end
    ]
    total = sum(weight for weight, _ in inside)
    return sum(weight * value for weight, value in inside) / total if total else None
