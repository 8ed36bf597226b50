"""How often a score's 95 % interval holds the true score, and how often two halves of a session contradict each other.

`python -m bench.coverage [--voices 60] [--sessions 5] [--minutes 4]` simulates speakers: sentences whose rate, pitch, level and pauses hang
together from one to the next as those of real readers do (RHO), and events that come in clusters. A score's truth is that of an hour of
the same speaker. Prints a table, writes bench/results/coverage.json, exits with 1 where a bound is missed.
"""

import argparse
import sys
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from batch.analyze import Findings
from batch.scored import scored
from bench.table import Row, keep, show
from config.rubrics import rubrics
from speech.analysis import Disfluency, Filler, LanguageIssue, Pause
from speech.audio import HOP, RATE_HZ, Frames, Span, State
from speech.measures import Spoken, measures
from speech.words import Word

RHO = 0.45  # between one sentence and the next
HOUR_MIN = 60.0
COVERED = (91.0, 97.0)
CONTRADICT = 10.0
SYLLABLES = (1, 1, 1, 1, 1, 1, 2, 2, 2, 3)
Generator = np.random.Generator


@dataclass(frozen=True, slots=True)
class Voice:
    """A speaker: what an endless session of theirs would come to."""

    rate_syl_s: float
    pause_s: float  # median between sentences
    inside: float  # pauses a word, within clauses
    events: float  # of each kind, a word
    unclear: float  # probability that a word is
    span_st: float  # deviation of pitch within a sentence
    level_db: float  # deviation of the level within a sentence
    falls_db: float  # of the level to the end of a phrase
    words: int  # in use

    @classmethod
    def drawn(cls, rng: Generator) -> "Voice":
        """Anybody."""
        return cls(
            rng.uniform(3.2, 6.0),
            rng.uniform(0.3, 1.0),
            rng.uniform(0.005, 0.08),
            rng.gamma(1.5, 0.01),
            rng.uniform(0.01, 0.12),
            rng.uniform(1.0, 3.5),
            rng.uniform(3.0, 6.0),
            rng.uniform(0.0, 12.0),
            int(rng.uniform(150, 1500)),
        )


def chained(rng: Generator, count: int) -> np.ndarray:
    """Standard normal, with the autocorrelation of sentences."""
    noise = rng.normal(size=count)
    out = np.empty(count)
    out[0] = noise[0]
    for i in range(1, count):
        out[i] = RHO * out[i - 1] + (1 - RHO**2) ** 0.5 * noise[i]
    return out


class Talk:
    """A session as it grows, word by word."""

    def __init__(self) -> None:
        self.at = 0
        self.words: list[Word] = []
        self.syllables: list[int] = []
        self.pauses: list[Pause] = []
        self.fillers: list[Filler] = []
        self.disfluencies: list[Disfluency] = []
        self.issues: list[LanguageIssue] = []
        self.f0_st: list[np.ndarray] = []
        self.level_db: list[np.ndarray] = []
        self.state: list[np.ndarray] = []

    def quiet(self, hops: int, place: str) -> None:
        """A silence."""
        if hops >= 10:
            self.pauses.append(Pause(self.at, self.at + hops * HOP, "silent", place))  # type: ignore[arg-type]
        self._add(np.full(hops, np.nan), np.full(hops, -65.0), State.SILENCE)

    def sound(self, st: np.ndarray, db: np.ndarray) -> None:
        """Voice."""
        self._add(st, db, State.SPEECH)

    def _add(self, st: np.ndarray, db: np.ndarray, state: State) -> None:
        self.f0_st.append(st)
        self.level_db.append(db)
        self.state.append(np.full(st.size, state.value, np.int8))
        self.at += st.size * HOP

    def spoken(self) -> Spoken:
        """What measures are made of."""
        level = np.concatenate(self.level_db).astype(np.float32)
        frames = Frames(0, HOP, (120.0 * np.exp2(np.concatenate(self.f0_st) / 12)).astype(np.float32), level, np.concatenate(self.state))
        return Spoken(
            self.words,
            self.syllables,
            frames,
            10.0 ** (level.astype(np.float64) / 10.0),
            np.empty(0, np.int64),
            self.pauses,
            self.fillers,
            self.disfluencies,
            self.issues,
            Span(0, self.at),
            "en",
        )


def session(rng: Generator, voice: Voice, minutes: float) -> Spoken:
    """So much of a speaker."""
    talk = Talk()
    count = round(minutes * 60)  # more sentences than there is time for
    rate, pausing, pitch, loud = (chained(rng, count) for _ in range(4))
    for i in range(count):
        if talk.at >= minutes * 60 * RATE_HZ:
            break
        burst = rng.gamma(1 / 0.36, 0.36)  # events come in clusters
        words = max(4, int(rng.poisson(15)))
        clause = int(rng.integers(words // 3 + 1, words))
        speed = voice.rate_syl_s * np.exp(0.13 * rate[i])
        topic = rng.integers(voice.words, size=3)
        for w in range(words):
            _word(rng, talk, voice, speed, burst, topic, w / words, 1.5 * pitch[i], 1.5 * loud[i])
            if w + 1 == clause and rng.random() < 0.5:
                talk.quiet(round(100 * 0.35 * voice.pause_s / 0.6 * np.exp(0.5 * rng.normal())), "between_clauses")
            elif rng.random() < voice.inside * burst:
                talk.quiet(round(100 * 0.4 * np.exp(0.4 * rng.normal())), "within_clause")
        talk.quiet(round(100 * voice.pause_s * np.exp(0.4 * pausing[i] + 0.2 * rng.normal())), "between_clauses")
    return talk.spoken()


def _word(
    rng: Generator, talk: Talk, voice: Voice, speed: float, burst: float, topic: np.ndarray, through: float, high_st: float, loud_db: float
) -> None:
    syllables = int(rng.choice(SYLLABLES))
    hops = max(8, round(100 * syllables / speed))
    start, end = talk.at, talk.at + hops * HOP
    which = int(rng.choice(topic)) if rng.random() < 0.15 else min(int(rng.pareto(0.9) * 3), voice.words)
    talk.words.append(Word(f"w{which}", start, end, 0.3 if rng.random() < voice.unclear * burst else 0.95))
    talk.syllables.append(syllables)
    st = high_st + voice.span_st * rng.normal() * 0.8 - 2 * voice.span_st * (through - 0.5) + 0.3 * rng.normal(size=hops)
    db = -24.0 + loud_db + voice.level_db * rng.normal(size=hops) - (voice.falls_db if through > 0.93 else 0.0)
    talk.sound(st, db)
    chance = voice.events * burst
    for kind in ("filled_pause", "discourse_marker"):
        if rng.random() < chance:
            talk.fillers.append(Filler("um", start, end, kind, "recogniser"))
    for kind in ("repetition", "false_start"):
        if rng.random() < chance / 2:
            talk.disfluencies.append(Disfluency(kind, "it", start, end))  # type: ignore[arg-type]
    for category in ("grammar", "weak_word", "hedge"):
        if rng.random() < chance:
            talk.issues.append(LanguageIssue(category, "rule", "text", start, end, "reason", ()))


def halves(spoken: Spoken) -> tuple[Spoken, Spoken]:
    """Each as a session of its own: what lies in the other is silence that nobody asks for."""
    span = spoken.span
    assert span is not None
    middle = (span.start + span.end) // 2
    return _only(spoken, Span(span.start, middle)), _only(spoken, Span(middle, span.end))


def _only(spoken: Spoken, span: Span) -> Spoken:
    kept = [span.start <= word.start < span.end for word in spoken.words]
    return Spoken(
        [word for word, inside in zip(spoken.words, kept, strict=True) if inside],
        [count for count, inside in zip(spoken.syllables, kept, strict=True) if inside],
        spoken.frames,
        spoken.k_power,
        spoken.nuclei,
        [one for one in spoken.pauses if span.start <= one.start < span.end],
        [one for one in spoken.fillers if span.start <= one.start < span.end],
        [one for one in spoken.disfluencies if span.start <= one.start < span.end],
        [one for one in spoken.issues if span.start <= one.start < span.end],
        span,
        spoken.language,
    )


def scores_of(spoken: Spoken) -> dict[str, dict[str, float | None]]:
    """By dimension, and together."""
    found = Findings((), (), (), (), (), measures(spoken), (), {})
    given = scored(rubrics()["talk"], found, ())
    return {"overall": given["overall"], **{one["dimension"]: one for one in given["scores"]}}


def main() -> int:
    """Simulate, print and keep; 1 when a bound is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.coverage", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--voices", type=int, default=60)
    parser.add_argument("--sessions", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    rng = np.random.default_rng(asked.seed)
    held: dict[str, list[bool]] = defaultdict(list)
    widths: dict[str, list[float]] = defaultdict(list)
    apart: dict[str, list[bool]] = defaultdict(list)
    refused: dict[str, int] = defaultdict(int)
    for _ in range(asked.voices):
        voice = Voice.drawn(rng)
        truth = scores_of(session(rng, voice, HOUR_MIN))
        for _ in range(asked.sessions):
            spoken = session(rng, voice, asked.minutes)
            one, other = (scores_of(half) for half in halves(spoken))
            for name, found in scores_of(spoken).items():
                low, high, true = found["low"], found["high"], truth[name]["value"]
                if low is None or high is None or true is None:
                    refused[name] += 1
                    continue
                held[name].append(low <= true <= high)
                widths[name].append(high - low)
                ends = [half[name][end] for half in (one, other) for end in ("low", "high")]
                if all(end is not None for end in ends):
                    apart[name].append(max(ends[0], ends[2]) > min(ends[1], ends[3]))  # type: ignore[type-var, operator]
    rows: list[Row] = [
        {
            "score": name,
            "sessions": len(held[name]),
            "refused": refused[name],
            "covered %": 100 * float(np.mean(held[name])),
            "width": float(np.mean(widths[name])),
            "halves": len(apart[name]),
            "contradict %": 100 * float(np.mean(apart[name])) if apart[name] else None,
        }
        for name in held
    ]
    show(f"{asked.minutes:g} minutes", rows)
    wrong = [
        f"{row['score']}: {row['covered %']:.1f} % covered" for row in rows if not COVERED[0] <= float(str(row["covered %"])) <= COVERED[1]
    ]
    wrong += [
        f"{row['score']}: halves contradict in {row['contradict %']} %"
        for row in rows
        if float(str(row["contradict %"] or 0.0)) > CONTRADICT
    ]
    keep("coverage", {"minutes": asked.minutes, "rows": rows, "missed": wrong})
    for sentence in wrong:
        print(f"missed: {sentence}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
