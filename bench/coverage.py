"""How often a score's 95 % interval holds the true score, and how often two halves of a session contradict each other.

`python -m bench.coverage [--voices 100] [--sessions 2] [--minutes 1,2,4,10]` simulates speakers of three kinds: sentences whose rate,
pitch, level and pauses hang together as those of real readers do (bench/sentences.py measured how), events that come in clusters, and a
recogniser that misses and invents some. A score's truth is that of three hours of the same speaker without recogniser.
Halves are compared where the speaker stays the same: a nervous one gets better, and that should be seen.
Prints tables, writes bench/results/coverage.json, exits with 1 where a bound is missed.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from batch.analyze import Findings
from batch.scored import scored
from bench.table import Cell, Row, keep, show
from config.rubrics import rubrics
from speech.analysis import Disfluency, DisfluencyKind, Filler, FillerKind, LanguageIssue, Pause
from speech.audio import HOP, Frames, Span, State
from speech.measures import Spoken, measures
from speech.words import Word

TRUTH_MIN = 180.0  # its own error adds 3 % to that of 10 minutes
COVERED = (91.0, 97.0)
CONTRADICT = 10.0
ROUNDING = 1e-6
SYLLABLES = np.array((1, 1, 1, 1, 1, 1, 2, 2, 2, 3))

# Of neighbouring sentences of real readers, by `python -m bench.sentences` (5 readers of LibriSpeech and LJSpeech, 28 adults of
# speechocean762; the larger of the two sets): correlation, and standard deviation within a reader.
RATE_RHO, RATE_LOG = 0.19, 0.15
PITCH_RHO, PITCH_ST = 0.48, 1.1
LEVEL_RHO, LEVEL_DB = 0.36, 2.3
PAUSE_RHO, PAUSE_LOG = 0.15, 0.35
SPAN_RHO, SPAN_LOG = 0.18, 0.25  # of the deviation of pitch within a sentence
RANGE_LOG = 0.15  # of that of the level
FALL_DB = 4.7  # of the level at the end of a phrase

UM_RECALL = (14.0, 5.0)  # of a beta distribution over speakers
UM_INVENTED = 0.1  # for each that is said
WORDS_AMISS = 0.44  # deviation of the error of the count of words over 28 learners of speechocean762, as a share of the unclear ones

Kind = Literal["anybody", "nervous", "clean"]
KINDS: tuple[Kind, ...] = ("anybody", "anybody", "anybody", "nervous", "clean")
Generator = np.random.Generator
Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Voice:
    """A speaker: what an endless session of theirs would come to."""

    kind: Kind
    rate_syl_s: float
    pause_s: float  # median between sentences
    joined: float  # sentences that no pause follows
    inside: float  # pauses a word, within clauses
    events: float  # of each kind, a word
    unclear: float  # probability that a word is
    span_st: float  # deviation of pitch within a sentence
    level_db: float  # deviation of the level within a sentence
    falls_db: float  # of the level to the end of a phrase
    words: float  # how fast the next word becomes a rare one
    recall: float  # of ums
    invented: float  # ums for each that is said

    @classmethod
    def drawn(cls, rng: Generator, kind: Kind) -> "Voice":
        """Somebody, from one end of every curve to the other."""
        clean = kind == "clean"
        return cls(
            kind,
            rng.uniform(1.8, 7.5),
            rng.uniform(0.3, 1.0),
            rng.uniform(0.0, 0.5),
            0.0 if clean else rng.uniform(0.005, 0.12),
            0.0 if clean else rng.gamma(1.5, 0.02),
            rng.uniform(0.0, 0.2),
            rng.uniform(0.5, 4.0),
            rng.uniform(1.5, 7.0),
            rng.uniform(0.0, 18.0),
            rng.uniform(0.3, 1.1),
            rng.beta(*UM_RECALL),
            UM_INVENTED,
        )


def chained(rng: Generator, count: int, rho: float) -> Doubles:
    """Standard normal, each with correlation rho to the one before."""
    out = rng.normal(size=count)
    for i in range(1, count):
        out[i] = rho * out[i - 1] + (1 - rho**2) ** 0.5 * out[i]
    return out


def session(rng: Generator, voice: Voice, minutes: float, recognised: bool) -> Spoken:
    """So much of a speaker."""
    size = np.maximum(4, rng.poisson(15, round(minutes * 30) + 10))  # words of each sentence; more than there is time for
    count = size.size
    of = np.repeat(np.arange(count), size)  # the sentence of each word
    place = np.arange(of.size) - np.repeat(np.cumsum(size) - size, size)
    last = place + 1 == size[of]
    through = place / size[of]

    speed = voice.rate_syl_s * np.exp(RATE_LOG * chained(rng, count, RATE_RHO))
    syllables = rng.choice(SYLLABLES, of.size)
    word_hops = np.maximum(8, np.round(100 * syllables * np.exp(0.2 * rng.normal(size=of.size)) / speed[of])).astype(int)

    burst = rng.gamma(1 / 0.36, 0.36, count)[of]  # events come in clusters
    pausing = np.exp(PAUSE_LOG * chained(rng, count, PAUSE_RHO))[of]
    at_end = last & (rng.random(of.size) > voice.joined)
    clause = ~last & (place == (size * rng.uniform(0.3, 0.9, count)).astype(int)[of]) & (rng.random(of.size) < 0.5)
    if voice.kind == "nervous":  # at first, and less and less
        ends_s = np.cumsum(word_hops) / 100.0
        burst = burst * np.clip(1.8 - 1.6 * ends_s / min(ends_s[-1], 0.75 * minutes * 60), 0.2, 1.8)
    inside = ~last & ~clause & (rng.random(of.size) < voice.inside * burst)
    pause_s = np.select(
        [at_end, clause, inside], [voice.pause_s * pausing, 0.6 * voice.pause_s * pausing, 0.4 * np.ones(of.size)]
    ) * np.exp(0.3 * rng.normal(size=of.size))
    pause_hops = np.round(100 * pause_s).astype(int)

    hops = word_hops + pause_hops
    start = np.concatenate(([0], np.cumsum(hops)[:-1]))
    kept = int(np.searchsorted(start, minutes * 6000.0))
    total = int(start[kept - 1] + word_hops[kept - 1])

    # the signal, hop by hop
    word_of = np.repeat(np.arange(kept), hops[:kept])[:total]
    speech = np.arange(total) - start[word_of] < word_hops[word_of]
    span_st = voice.span_st * np.exp(SPAN_LOG * chained(rng, count, SPAN_RHO))[of]
    word_st = PITCH_ST * chained(rng, count, PITCH_RHO)[of] + span_st * (0.8 * rng.normal(size=of.size) - 2 * (through - 0.5))
    st = word_st[word_of] + 0.3 * rng.normal(size=total)
    deviation_db = voice.level_db * np.exp(RANGE_LOG * rng.normal(size=count))[of]
    falls_db = np.where(pause_hops >= 25, voice.falls_db + FALL_DB * rng.normal(size=of.size), 0.0)
    to_end = start[word_of] + word_hops[word_of] - np.arange(total)
    loud_db = -24.0 + (LEVEL_DB * chained(rng, count, LEVEL_RHO))[of][word_of] + deviation_db[word_of] * rng.normal(size=total)
    level_db = np.where(speech, loud_db - np.where(to_end <= 30, falls_db[word_of], 0.0), -65.0).astype(np.float32)
    state = np.where(speech, State.SPEECH.value, State.SILENCE.value).astype(np.int8)
    f0_hz = np.where(speech, 120.0 * np.exp2(st / 12), np.nan).astype(np.float32)

    # the words and what is wrong with them
    topic = rng.integers(0, 3000, (count, 3))
    common = np.floor(3 * rng.pareto(voice.words, of.size))
    which = np.where(rng.random(of.size) < 0.1, topic[of, rng.integers(0, 3, of.size)], np.minimum(common, 3000)).astype(int)
    chance = voice.events * burst
    unclear = rng.random(of.size) < voice.unclear * burst
    begin, end = start * HOP, (start + word_hops) * HOP

    def happened(times: float) -> list[int]:
        return [int(i) for i in np.flatnonzero(rng.random(kept) < times * chance[:kept])]

    def filler(i: int, kind: FillerKind) -> Filler:
        return Filler("um", int(begin[i]), int(end[i]), kind, "recogniser")

    ums = happened(1.0)
    if recognised:
        ums = [i for i in ums if rng.random() < voice.recall]
        ums += [int(i) for i in np.flatnonzero(rng.random(kept) < voice.invented * voice.events)]
    broken: list[tuple[int, DisfluencyKind]] = [(i, "repetition") for i in happened(0.5)]
    broken += [(i, "false_start") for i in happened(0.5)]
    issues = [
        LanguageIssue(category, "rule", "text", int(begin[i]), int(end[i]), "reason", ())
        for category in ("grammar", "weak_word", "hedge")
        for i in happened(1.0)
    ]
    amiss = rng.normal() * WORDS_AMISS * unclear[:kept].mean() if recognised else 0.0
    times = 1 + np.sign(amiss).astype(int) * (rng.random(kept) < abs(amiss))  # a word may be dropped or heard as two
    heard = np.repeat(np.arange(kept), times)
    which = np.where(np.diff(heard, prepend=-1) == 0, rng.permutation(which[:kept])[heard], which[heard])
    return Spoken(
        [Word(f"w{said}", int(begin[i]), int(end[i]), 0.3 if unclear[i] else 0.95) for i, said in zip(heard, which, strict=True)],
        syllables[heard].tolist(),
        Frames(0, HOP, f0_hz, level_db, state),
        10.0 ** (level_db.astype(np.float64) / 10.0),
        np.empty(0, np.int64),
        [
            Pause(int(end[i]), int(end[i] + pause_hops[i] * HOP), "silent", "within_clause" if inside[i] else "between_clauses")
            for i in np.flatnonzero(pause_hops[: kept - 1] >= 10)
        ],
        sorted([*(filler(i, "filled_pause") for i in ums), *(filler(i, "discourse_marker") for i in happened(1.0))], key=_start),
        sorted((Disfluency(kind, "it", int(begin[i]), int(end[i])) for i, kind in broken), key=_start),
        sorted(issues, key=_start),
        Span(0, total * HOP),
        "en",
    )


def _start(one: Filler | Disfluency | LanguageIssue) -> int:
    return one.start


def halves(spoken: Spoken) -> tuple[Spoken, Spoken]:
    """Each as a session of its own: what lies in the other is silence that nobody asks for."""
    span = spoken.span
    assert span is not None
    middle = (span.start + span.end) // 2
    return replace(spoken, span=Span(span.start, middle)), replace(spoken, span=Span(middle, span.end))


Scores = dict[tuple[str, str], dict[str, Any]]


def scores_of(spoken: Spoken) -> Scores:
    """By rubric and dimension, and together."""
    found = measures(spoken)
    out: Scores = {}
    for name, rubric in rubrics().items():
        given = scored(rubric, Findings((), (), (), (), (), found, (), {}), ())
        out[name, "overall"] = given["overall"]
        out |= {(name, one["dimension"]): one for one in given["scores"]}
    return out


@dataclass(slots=True)
class Tally:
    """Of one score at one length."""

    held: list[bool] = field(default_factory=list)
    widths: list[float] = field(default_factory=list)
    apart: list[bool] = field(default_factory=list)
    refused: int = 0

    def add(self, true: Mapping[str, Any], whole: Mapping[str, Any], one: Mapping[str, Any], other: Mapping[str, Any], alike: bool) -> None:
        """One session. alike: its halves are."""
        if whole["value"] is None or true["value"] is None:
            self.refused += 1
            return
        self.held.append(whole["low"] - ROUNDING <= true["value"] <= whole["high"] + ROUNDING)
        self.widths.append(whole["high"] - whole["low"])
        if alike and one["value"] is not None and other["value"] is not None:
            self.apart.append(max(one["low"], other["low"]) > min(one["high"], other["high"]) + ROUNDING)

    def row(self, names: Mapping[str, Cell]) -> Row:
        """What is shown."""
        return {
            **names,
            "sessions": len(self.held),
            "refused": self.refused,
            "covered %": 100 * float(np.mean(self.held)) if self.held else None,
            "width": float(np.mean(self.widths)) if self.held else None,
            "halves": len(self.apart),
            "contradict %": 100 * float(np.mean(self.apart)) if self.apart else None,
        }


def main() -> int:
    """Simulate, print and keep; 1 when a bound is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.coverage", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--voices", type=int, default=100)
    parser.add_argument("--sessions", type=int, default=2)
    parser.add_argument("--minutes", default="1,2,4,10")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    lengths = [float(minutes) for minutes in asked.minutes.split(",")]
    tallies: dict[tuple[str, str, float], Tally] = defaultdict(Tally)
    kinds: dict[tuple[Kind, float], Tally] = defaultdict(Tally)
    for number in range(asked.voices):
        rng = np.random.default_rng((asked.seed, number))
        voice = Voice.drawn(rng, KINDS[number % len(KINDS)])
        truth = scores_of(session(rng, voice, TRUTH_MIN, recognised=False))
        for minutes in lengths * asked.sessions:
            spoken = session(rng, voice, minutes, recognised=True)
            one, other = map(scores_of, halves(spoken))
            for key, whole in scores_of(spoken).items():
                for tally in (tallies[*key, minutes], kinds[voice.kind, minutes]):
                    tally.add(truth[key], whole, one[key], other[key], voice.kind != "nervous")
    rows = [tally.row({"rubric": rubric, "score": name, "minutes": minutes}) for (rubric, name, minutes), tally in sorted(tallies.items())]
    by_length = [_pooled(rows, {"score": name, "minutes": minutes}) for name, minutes in sorted({(n, m) for _, n, m in tallies})]
    by_score = [_pooled(rows, {"rubric": rubric, "score": name}) for rubric, name in dict.fromkeys((r, n) for r, n, _ in sorted(tallies))]
    by_kind = [tally.row({"kind": kind, "minutes": minutes}) for (kind, minutes), tally in sorted(kinds.items())]
    show("by rubric and length", rows)
    show("by length, all rubrics", by_length)
    show("by rubric, all lengths", by_score)
    show("by kind of speaker, all scores", by_kind)
    wrong = [
        f"{row['rubric']}, {row['score']}: {row['covered %']:.1f} % covered" for row in by_score if not _within(row["covered %"], COVERED)
    ]
    wrong += [
        f"{row['rubric']}, {row['score']}: halves contradict in {row['contradict %']:.1f} %"
        for row in by_score
        if not _within(row["contradict %"] or 0.0, (0.0, CONTRADICT))
    ]
    keep("coverage", {"asked": vars(asked), "rows": rows, "by score": by_score, "by kind": by_kind, "missed": wrong})
    for sentence in wrong:
        print(f"missed: {sentence}")
    return int(bool(wrong))


def _within(found: Cell, bounds: tuple[float, float]) -> bool:
    return isinstance(found, float) and bounds[0] <= found <= bounds[1]


def _pooled(rows: Sequence[Row], names: Mapping[str, Cell]) -> Row:
    # Rows that agree with `names`, by how many sessions each stands on.
    own = [row for row in rows if all(row[key] == value for key, value in names.items())]

    def mean(of: str, by: str) -> Cell:
        known = [
            (value, count) for value, count in ((row[of], row[by]) for row in own) if isinstance(value, float) and isinstance(count, int)
        ]
        weight = sum(count for _, count in known)
        return sum(value * count for value, count in known) / weight if weight else None

    return {
        **names,
        "sessions": sum(int(row["sessions"] or 0) for row in own),
        "refused": sum(int(row["refused"] or 0) for row in own),
        "covered %": mean("covered %", "sessions"),
        "width": mean("width", "sessions"),
        "halves": sum(int(row["halves"] or 0) for row in own),
        "contradict %": mean("contradict %", "halves"),
    }


if __name__ == "__main__":
    sys.exit(main())
