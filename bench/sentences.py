"""How the sentences of one real reader hang together: what bench/coverage.py simulates speakers with.

`python -m bench.sentences` takes readings in order from the shared data (LibriSpeech chapters, LJSpeech, the sentences of speechocean762)
and prints, for each quantity of a sentence, its standard deviation within a reader and between readers, and the correlation with the next
sentence and with the one after. No words are recognised: syllables are those of the text that was read.
"""

import argparse
import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from batch.analyze import listen
from batch.decode import decode
from bench.corpus import Utterance, librispeech, ljspeech, word_aligned
from bench.pauses import SHARED
from bench.table import Row, keep, show
from recognition import lexicon
from speech import intonation, syllables
from speech.audio import HOP, State, seconds
from speech.pauses import at_least, pauses, speaking_span

_LEAST_S = 1.5  # of speech in a sentence, for its numbers to mean something
_FEWEST = 8  # sentences of a reader
_END_HOPS = 30
QUANTITIES = ("log rate", "pause share", "log pause", "pitch st", "pitch SD st", "level dB", "level range dB", "fall dB")
Sentences = Sequence[Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Reader:
    """Sentences of one person, in the order in which they were read."""

    name: str
    utterances: tuple[Utterance, ...]


def readers() -> dict[str, list[Reader]]:
    """By the set they come from."""
    chapters = groupby(librispeech(), key=lambda one: one.path.parent.name)
    with (SHARED / "speechocean762" / "labels.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if int(row["age"]) >= 18]
    found = {path.stem: path for path in (SHARED / "speechocean762").rglob("*.flac")}
    learners = groupby(sorted(rows, key=lambda row: (row["speaker"], row["utt"])), key=lambda row: row["speaker"])
    return {
        "read": [
            *(Reader(name, tuple(chapter)) for name, chapter in chapters),
            Reader("8629", tuple(utterance for utterance, _ in word_aligned())),
            Reader("LJ", tuple(ljspeech())),
        ],
        "learners": [Reader(name, tuple(Utterance(found[row["utt"]], row["text"].lower()) for row in own)) for name, own in learners],
    }


def sentence(utterance: Utterance) -> dict[str, float] | None:
    """The quantities of one sentence; None where it is too short."""
    recording = decode(utterance.path)
    listened = listen(recording, lambda _: None)
    state = listened.state
    span = speaking_span(state)
    if span is None:
        return None
    hops = slice(span.start // HOP, span.end // HOP)
    silent = at_least(pauses(state))
    pause_s = seconds(sum(pause.end - pause.start for pause in silent))
    over_s = seconds(span.end - span.start)
    level_db = listened.hops.level_dbfs[hops][state[hops] == State.SPEECH.value]
    f0_hz = listened.hops.f0_hz[hops]
    voiced_st = 12 * np.log2(f0_hz[~np.isnan(f0_hz)])
    sd_st = intonation.sd_st(f0_hz)
    if over_s - pause_s < _LEAST_S or sd_st is None:
        return None
    counts = syllables.counts(utterance.text.split(), lexicon.syllable_counts(), "en")
    found = {
        "log rate": math.log(sum(counts) / (over_s - pause_s)),
        "pitch st": float(np.median(voiced_st)),
        "pitch SD st": sd_st,
        "level dB": float(np.median(level_db)),
        "level range dB": float(np.percentile(level_db, 90) - np.percentile(level_db, 10)),
        "fall dB": float(np.median(level_db[-_END_HOPS:]) - np.median(level_db)),
        "pause share": pause_s / over_s,
    }
    if silent:
        found["log pause"] = float(np.mean([math.log(seconds(pause.end - pause.start)) for pause in silent]))
    return found


def together(series: Sequence[Sequence[float]]) -> Row:
    """Spread and autocorrelation pooled over readers.

    The correlation found in a short series is too low by about (1 + 4 rho) / n (Kendall 1954); that is mended.
    """
    long = [np.array(one) for one in series if len(one) >= _FEWEST]
    within = [one - one.mean() for one in long]
    squares = sum(float(one @ one) for one in within)
    freedom = sum(one.size - 1 for one in within)
    size = float(np.mean([one.size for one in within]))

    def lagged(lag: int) -> float:
        # Each mean of products over as many as there are, against the mean square.
        products = sum(float(one[:-lag] @ one[lag:]) for one in within) / sum(one.size - lag for one in within)
        raw = products * sum(one.size for one in within) / squares
        return float((raw + 1 / size) / (1 - 4 / size) if lag == 1 else raw + 1 / size)

    return {
        "readers": len(long),
        "sentences": sum(one.size for one in long),
        "SD within": math.sqrt(squares / freedom),
        "SD between": float(np.std([one.mean() for one in long], ddof=1)),
        "next": lagged(1),
        "the one after": lagged(2),
    }


def main() -> None:
    """Measure, print and keep."""
    argparse.ArgumentParser(
        prog="python -m bench.sentences", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    ).parse_args()
    tables = {}
    for name, people in readers().items():
        said: list[Sentences] = [[one for one in map(sentence, reader.utterances) if one is not None] for reader in people]
        rows: list[Row] = [
            {"quantity": quantity, **together([[one[quantity] for one in own if quantity in one] for own in said])}
            for quantity in QUANTITIES
        ]
        show(name, rows)
        tables[name] = rows
    keep("sentences", tables)


if __name__ == "__main__":
    main()
