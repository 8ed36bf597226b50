"""How well the ratings of config/rubric/language-learner.toml agree with human experts: writes docs/validation.md.

`python -m bench.validation` trains and judges on speakers left out (five folds by speaker; intervals are calibrated on speakers left out of
the training speakers in turn). `--write` also fits on all speakers and writes the coefficients into the rubric. About ten minutes of
recognition the first time; what was heard is kept in the data folder.
"""

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.stats import spearmanr

from batch import ratings
from bench.rated_speech import ADULT, Sentence, Session, sessions
from config import models
from config.rubrics import FOLDER, RatingOf, ratings_digest, rubrics
from config.rubrics import Band as RubricBand
from config.rubrics import Line as RubricLine
from config.settings import read_settings
from speech.rated import FEATURES, SCALE, Band, Line, Model, Utterance, counted, half_width, rate, utterance, utterances

Doubles = NDArray[np.float64]
Mask = NDArray[np.bool_]

RUBRIC = FOLDER / "language-learner.toml"
PAGE = Path(__file__).parents[1] / "docs" / "validation.md"
MARK = "# Ratings. Written by `python -m bench.validation --write`: docs/validation.md says how good they are."

WHATS = ("fluency", "prosody")
FOLDS = 5
SENTENCE_BARS = {"adults": 0.95, "all ages": 0.88}  # of one expert's PCC
SPEAKER_BAR = 0.88
REPEATS = 20  # of the five folds, each another partition: figures are means over them
_INNER_SEED = 1000
# Which way each feature moves a rating.
WITHOUT_SCRIPT = {
    "tempo": 1,
    "pauses_per_syllable": -1,
    "longest_pause": -1,
    "slowest_words": -1,
    "nucleus_gap": -1,
    "word_probability": 1,
}
WITH_SCRIPT = {
    "script_tempo": 1,
    "pauses_per_syllable": -1,
    "longest_pause": -1,
    "slowest_words": -1,
    "nucleus_gap": -1,
    "script_heard": 1,
}
MODELS = {False: WITHOUT_SCRIPT, True: WITH_SCRIPT}
EACH = tuple((what, script) for what in WHATS for script in MODELS)
_KNOTS = (0.05, 0.5, 0.95)  # quantiles of a feature between which its line bends
_RIDGE = 0.01
_EVEN = 1.0  # what the squared mean error of a group weighs, against the mean squared error of all
_BOUNDS = (6.5, 8.0, 11.0)  # of the bands that intervals are calibrated in
_COVER = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """One row per sentence."""

    sentences: tuple[Sentence, ...]
    speaker: NDArray[np.str_]
    child: Mask
    male: Mask
    features: Mapping[str, Doubles]
    experts: Mapping[str, Doubles]  # (n, 5)
    words_per_s: Doubles  # words of the reference / length of the file


def fit(table: Table, rows: NDArray[np.int64], signs: Mapping[str, int], y: Doubles) -> Model:
    """Least squares with a little ridge; every step of a line goes its feature's way or is level. No bands yet."""
    knots = {name: np.unique(np.round(np.quantile(table.features[name][rows], _KNOTS), 3)) for name in signs}
    steep = [ramp for name, sign in signs.items() for ramp in sign * _ramps(table.features[name][rows], knots[name])]
    child = table.child[rows].astype(float)
    ramps = np.array([*steep, child, -child]).T  # which way a child's ratings differ is not fixed beforehand
    mean, target = ramps.mean(0), y[rows] - y[rows].mean()
    centred = ramps - mean
    groups = [mask[rows] for mask in (table.child, ~table.child, table.male, ~table.male) if mask[rows].any()]
    even = np.array([centred[group].mean(0) for group in groups])
    even_target = np.array([target[group].mean() for group in groups])
    share = np.sqrt(_EVEN * rows.size / len(groups))
    size = centred.shape[1]
    left = np.concatenate((centred, np.sqrt(_RIDGE * rows.size) * np.eye(size), share * even))
    steps, _ = nnls(left, np.concatenate((target, np.zeros(size), share * even_target)))
    lines, at = [], 0
    for name, sign in signs.items():
        own = slice(at, at + knots[name].size - 1)
        adds = sign * np.concatenate(([0.0], np.cumsum(steps[own]))) - steps[own] @ mean[own]
        lines.append(Line(name, tuple((float(a), round(float(b), 3)) for a, b in zip(knots[name], adds, strict=True))))
        at = own.stop
    offset = float(steps[-2] - steps[-1])
    return Model(round(float(y[rows].mean() - offset * child.mean()), 3), round(offset, 3), tuple(lines), (), 1.0)


def _ramps(value: Doubles, knots: Doubles) -> Doubles:
    # (knots - 1, n): how far each value has come from one knot to the next.
    return np.array([np.clip((value - a) / (b - a), 0, 1) for a, b in pairwise(knots)])


def predict(model: Model, table: Table, rows: NDArray[np.int64], *, told: bool = True) -> Doubles:
    """The rating of each sentence alone. told: whether it is known which speakers are children; else all are taken for adults."""
    total = model.base + model.child * (table.child[rows] & told)
    for line in model.lines:
        at, adds = np.array(line.points).T
        total += np.interp(table.features[line.feature][rows], at, adds)
    return np.asarray(np.clip(total, *SCALE))


def table(given: Sequence[Session]) -> Table:
    """Features of every sentence that can be rated, with the script of the whole session laid beside it."""
    kept: list[tuple[Sentence, Utterance, float]] = []
    for session in given:
        for said, one in zip(session.sentences, cut_as_read(session), strict=True):
            if one is not None and one.enough:
                kept.append((said, one, session.lengths_s[session.sentences.index(said)]))
    rated = tuple(sentence for sentence, _, _ in kept)
    return Table(
        rated,
        np.array([one.speaker for one in rated]),
        np.array([one.age < ADULT for one in rated]),
        np.array([one.sex == "m" for one in rated]),
        {name: np.array([feature(one) for _, one, _ in kept]) for name, feature in FEATURES.items()},
        {what: np.array([one.experts[what] for one in rated]) for what in WHATS},
        np.array([len(one.text.split()) / length for one, _, length in kept]),
    )


def cut_as_read(session: Session) -> list[Utterance | None]:
    """The sentences of a session where they are known to begin and end."""
    heard = ratings.spoken(session.findings, session.heard.transcript, session.listened)
    read = ratings.read_of(heard, " ".join(one.text.lower() for one in session.sentences))
    words = counted(heard)
    middles = np.array([(heard.words[i].start + heard.words[i].end) // 2 for i in words])
    edges = [np.searchsorted(middles, [span.start, span.end]) for span in session.spans]
    return [utterance(heard, words, int(first), int(end), read) if end > first else None for first, end in edges]


def folds(table: Table, rows: NDArray[np.int64], seed: int) -> list[NDArray[np.int64]]:
    """The rows in FOLDS parts, each speaker in one, children and adults, female and male spread evenly."""
    rng = np.random.default_rng(seed)
    place: dict[str, int] = {}
    for child in (False, True):
        for male in (False, True):
            group = rows[(table.child[rows] == child) & (table.male[rows] == male)]
            for speaker in rng.permutation(np.unique(table.speaker[group])):
                place[str(speaker)] = len(place) % FOLDS
    return [rows[[place[str(speaker)] == k for speaker in table.speaker[rows]]] for k in range(FOLDS)]


def calibrated(table: Table, rows: NDArray[np.int64], signs: Mapping[str, int], y: Doubles) -> Model:
    """Fitted on all rows; its intervals on what it says of speakers left out of them."""
    said = np.empty(y.size)
    for left in folds(table, rows, _INNER_SEED):
        said[left] = predict(fit(table, np.setdiff1d(rows, left), signs, y), table, left)
    error, value = (y - said)[rows], said[rows]
    bands, above = [], -np.inf
    for bound in _BOUNDS:
        inside = np.abs(error[(value >= above) & (value < bound)])
        rank = int(np.ceil((inside.size + 1) * _COVER))
        # A band that holds too few to know its quantile takes that of all.
        of = np.sort(inside if rank <= inside.size else np.abs(error))
        bands.append(Band(bound, round(float(of[min(of.size, int(np.ceil((of.size + 1) * _COVER))) - 1]), 2)))
        above = bound
    return replace(fit(table, rows, signs, y), bands=tuple(bands), shared=round(_shared(error, table.speaker[rows]), 2))


def _shared(error: Doubles, speaker: NDArray[np.str_]) -> float:
    # One-way analysis of variance: the part between speakers.
    groups = [error[speaker == one] for one in np.unique(speaker)]
    within = float(np.mean([group.var(ddof=1) for group in groups]))
    size = float(np.mean([group.size for group in groups]))
    between = max(0.0, float(np.var([group.mean() for group in groups], ddof=1)) - within / size)
    common = between + float(np.square(error.mean()))
    return float(common / (common + within))


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What models said of speakers that they never heard."""

    truth: Doubles
    said: Doubles
    untold: Doubles  # where everybody is taken for an adult
    models: tuple[Model, ...]  # of each row


def judge(table: Table, signs: Mapping[str, int], y: Doubles, seed: int) -> Judged:
    """Five folds by speaker; calibration and all else inside the training speakers."""
    every = np.arange(y.size)
    said, untold = np.empty(y.size), np.empty(y.size)
    models: list[Model | None] = [None] * y.size
    for left in folds(table, every, seed):
        model = calibrated(table, np.setdiff1d(every, left), signs, y)
        said[left], untold[left] = predict(model, table, left), predict(model, table, left, told=False)
        for i in left:
            models[i] = model
    return Judged(y, said, untold, tuple(one for one in models if one is not None))


def words_per_second(table: Table, y: Doubles, seed: int) -> Doubles:
    """The baseline: a straight line through words of the reference per second of the recording, in the same folds."""
    every = np.arange(y.size)
    said = np.empty(y.size)
    for left in folds(table, every, seed):
        rows = np.setdiff1d(every, left)
        said[left] = np.polyval(np.polyfit(table.words_per_s[rows], y[rows], 1), table.words_per_s[left])
    return said


# figures


def pcc(a: Doubles, b: Doubles) -> float:
    """Pearson's correlation."""
    return float(np.corrcoef(a, b)[0, 1])


def rho(a: Doubles, b: Doubles) -> float:
    """Spearman's correlation."""
    return float(spearmanr(a, b)[0])


def human(experts: Doubles) -> float:
    """One expert against the mean of the other four, averaged over the five."""
    return float(np.mean([pcc(experts[:, i], np.delete(experts, i, 1).mean(1)) for i in range(experts.shape[1])]))


def prmse(said: Doubles, experts: Doubles) -> float:
    """1 - mean squared error against the true score / variance of the true score, both freed from the error of the experts (RSMTool)."""
    error = float(experts.var(1, ddof=1).mean()) / experts.shape[1]
    truth = experts.mean(1)
    return float(1.0 - (np.mean(np.square(said - truth)) - error) / (truth.var(ddof=1) - error))


def smd(said: Doubles, truth: Doubles, group: Mask) -> float:
    """How much higher a group is rated than by the experts, in standard deviations of all experts' scores."""
    return float(said[group].mean() - truth[group].mean()) / float(truth.std(ddof=1))


def by_speaker(values: Doubles, speaker: NDArray[np.str_]) -> Doubles:
    """The mean of each speaker, over the first axis."""
    return np.array([values[speaker == one].mean(0) for one in np.unique(speaker)])


def covered(judged: Judged, rows: NDArray[np.int64]) -> tuple[float, float]:
    """Share of sentences whose experts' mean lies in the interval, and the mean width of that."""
    low, high = _ends(judged, rows)
    inside = (judged.truth[rows] >= low) & (judged.truth[rows] <= high)
    return float(inside.mean()), float((high - low).mean())


def _ends(judged: Judged, rows: NDArray[np.int64]) -> tuple[Doubles, Doubles]:
    half = np.array([half_width(judged.models[i], float(judged.said[i]), 1) for i in rows])
    return np.maximum(SCALE[0], judged.said[rows] - half), np.minimum(SCALE[1], judged.said[rows] + half)


def covered_means(judged: Judged, speaker: NDArray[np.str_], size: int) -> tuple[float, float]:
    """The same for means over `size` sentences of a speaker, side by side."""
    inside, widths = [], []
    for one in np.unique(speaker):
        own = np.flatnonzero(speaker == one)
        for rows in np.split(own[: own.size // size * size], max(1, own.size // size)):
            if rows.size:
                value = float(judged.said[rows].mean())
                half = half_width(judged.models[rows[0]], value, rows.size)
                low, high = max(SCALE[0], value - half), min(SCALE[1], value + half)
                inside.append(low <= judged.truth[rows].mean() <= high)
                widths.append(high - low)
    return float(np.mean(inside)), float(np.mean(widths))


# the page


@dataclass(frozen=True, slots=True, eq=False)
class Trials:
    """Every partition of the speakers into folds, judged."""

    table: Table
    judged: Mapping[tuple[str, bool], Sequence[Judged]]  # by what is rated and whether the script is known
    words_per_second: Mapping[str, Sequence[Doubles]]

    @classmethod
    def of(cls, table: Table) -> "Trials":
        """All of them."""
        truth = {what: table.experts[what].mean(1) for what in WHATS}
        return cls(
            table,
            {(what, script): [judge(table, MODELS[script], truth[what], seed) for seed in range(REPEATS)] for what, script in EACH},
            {what: [words_per_second(table, truth[what], seed) for seed in range(REPEATS)] for what in WHATS},
        )

    def told(self, what: str) -> tuple[Sequence[Doubles], ...]:
        """Of each partition what was said: with the age group, with all taken for adults, with the script too, by words per second."""
        plain, read = self.judged[what, False], self.judged[what, True]
        return [one.said for one in plain], [one.untold for one in plain], [one.said for one in read], self.words_per_second[what]

    @property
    def groups(self) -> dict[str, Mask]:
        """Whom figures are given for."""
        child = self.table.child
        return {"adults": ~child, "children": child, "all ages": np.ones(child.size, bool)}


def _printed(figure: float) -> str:
    return "–" if np.isnan(figure) else f"{figure:.3f}"


def _mean(figures: Iterable[float]) -> float:
    # Over the partitions.
    return float(np.mean(list(figures)))


def page(trials: Trials, given: Sequence[Session], final: Sequence[RatingOf], versions: Mapping[str, str]) -> tuple[str, list[str]]:
    """docs/validation.md, and what misses its bar."""
    missed: list[str] = []
    sections = (
        _data(trials.table, given),
        _sentences(trials, missed),
        _speakers(trials, given, missed),
        _fairness(trials, missed),
        _coverage(trials, missed),
        _alone(trials),
    )
    met = "All bars are met." if not missed else "Missed: " + "; ".join(missed) + "."
    return _PAGE.format(
        digest=ratings_digest(final),
        versions=", ".join(f"{name} {version}" for name, version in sorted(versions.items())),
        met=met,
        repeats=REPEATS,
        adult=ADULT,
        sections="\n\n".join(sections),
    ), missed


def _rows(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _data(table: Table, given: Sequence[Session]) -> str:
    every = [one for session in given for one in session.sentences]
    adults = len({one.speaker for one in every if one.age >= ADULT})
    children = len({one.speaker for one in every if one.age < ADULT})
    return f"""## Data

{len(every)} sentences of 40 speakers of speechocean762, English read aloud by {adults} adults and {children} children (under {ADULT}) with
Mandarin as first language; each scored by five experts, whose mean is the truth here. {len(every) - len(table.sentences)} of the sentences
could not be rated (fewer than two words were recognised, or under 0.8 s)."""


def _sentences(trials: Trials, missed: list[str]) -> str:
    rows = []
    for what in WHATS:
        experts = trials.table.experts[what]
        truth = experts.mean(1)
        for name, of in trials.groups.items():
            plain, untold, read, naive = ([said[of] for said in each] for each in trials.told(what))
            found, found_rho = (_mean(figure(said, truth[of]) for said in plain) for figure in (pcc, rho))
            alone = _mean(pcc(said, truth[of]) for said in untold)
            found_prmse = _mean(prmse(said, experts[of]) for said in plain)
            rmse = _mean(float(np.sqrt(np.mean(np.square(said - truth[of])))) for said in plain)
            read_pcc, read_rho = (_mean(figure(said, truth[of]) for said in read) for figure in (pcc, rho))
            line, line_rho = (_mean(figure(said, truth[of]) for said in naive) for figure in (pcc, rho))
            ceiling = human(experts[of])
            bar = SENTENCE_BARS.get(name, np.nan) * ceiling
            if found < bar:
                missed.append(f"{what}, sentences, {name}: PCC {found:.3f}, bar {bar:.3f}")
            if name == "adults" and found < line + 0.03:
                missed.append(f"{what}, sentences, {name}: PCC {found:.3f}, words per second {line:.3f} + 0.03")
            figures = (found, alone, found_rho, found_prmse, rmse, read_pcc, read_rho, ceiling, bar, line, line_rho)
            rows.append([f"{what}, {name}", str(int(of.sum())), *map(_printed, figures)])
    header = (
        *(
            "rating",
            "sentences",
            "PCC",
            "PCC, all taken for adults",
            "Spearman",
            "PRMSE",
            "RMSE",
            "PCC with script",
            "Spearman with script",
        ),
        *("one expert, PCC", "bar", "words/s, PCC", "words/s, Spearman"),
    )
    return f"## Sentences\n\n{_rows(header, rows)}"


def _speakers(trials: Trials, given: Sequence[Session], missed: list[str]) -> str:
    heard = {
        session.sentences[0].speaker: utterances(ratings.spoken(session.findings, session.heard.transcript, session.listened))
        for session in given
    }
    rows = []
    for what in WHATS:
        own = [_by_own_cut(trials.table, one, heard) for one in trials.judged[what, False]]
        for name, of in trials.groups.items():
            speaker = trials.table.speaker[of]
            names = np.unique(speaker)
            truth = by_speaker(trials.table.experts[what].mean(1)[of], speaker)
            plain, untold, read, naive = ([by_speaker(said[of], speaker) for said in each] for each in trials.told(what))
            found, found_rho = (_mean(figure(said, truth) for said in plain) for figure in (pcc, rho))
            alone, read_pcc, line = (_mean(pcc(said, truth) for said in each) for each in (untold, read, naive))
            cut = _mean(pcc(np.array([one[name] for name in names]), truth) for one in own)
            ceiling = human(by_speaker(trials.table.experts[what][of], speaker))
            bar = SPEAKER_BAR if name in SENTENCE_BARS else np.nan
            if found < bar:
                missed.append(f"{what}, speakers, {name}: PCC {found:.3f}, bar {bar:.3f}")
            figures = (found, alone, found_rho, read_pcc, cut, ceiling, bar, line)
            rows.append([f"{what}, {name}", str(names.size), *map(_printed, figures)])
    header = (
        *("rating", "speakers", "PCC", "PCC, all taken for adults", "Spearman", "PCC with script", "PCC, cut by us", "one expert, PCC"),
        *("bar", "words/s, PCC"),
    )
    return (
        '## Speakers\n\nThe mean over a speaker\'s 20 sentences, about 90 s. "Cut by us": the session as one recording, cut into\n'
        "utterances by the recogniser's end marks as the product does, instead of where the sentences are known to end.\n\n"
        + _rows(header, rows)
    )


def _by_own_cut(table: Table, judged: Judged, heard: Mapping[str, Sequence[Utterance]]) -> dict[str, float]:
    found = {}
    for name, own in heard.items():
        row = int(np.flatnonzero(table.speaker == name)[0])
        value = rate(judged.models[row], own, child=bool(table.child[row])).value
        if value is None:
            raise SystemExit(f"speaker {name} cannot be rated")
        found[name] = value
    return found


def _fairness(trials: Trials, missed: list[str]) -> str:
    child, male = trials.table.child, trials.table.male
    groups = {"adults": ~child, "children": child, "female": ~male, "male": male}
    rows = []
    for what, script in EACH:
        found = {name: _mean(smd(one.said, one.truth, of) for one in trials.judged[what, script]) for name, of in groups.items()}
        if not script:
            missed += [f"{what}, {name}: SMD {value:+.3f}" for name, value in found.items() if abs(value) > 0.15]
        without = (_mean(smd(one.untold, one.truth, of) for one in trials.judged[what, script]) for of in groups.values())
        named = what + (", with script" if script else "")
        rows.append([named, *(f"{value:+.2f}" for value in found.values())])
        rows.append([f"{named}, all taken for adults", *(f"{value:+.2f}" for value in without)])
    return (
        "## By age and sex\n\nHow much higher than by the experts a group is rated, in standard deviations of the experts' scores (SMD;\n"
        f"bar 0.15 either way, where the age group is given).\n\n{_rows(('rating', *groups), rows)}"
    )


def _coverage(trials: Trials, missed: list[str]) -> str:
    rows = []
    child, male = trials.table.child, trials.table.male
    groups = {"adults": ~child, "children": child, "female": ~male, "male": male}
    for what, script in EACH:
        every = np.arange(trials.table.child.size)
        judged = trials.judged[what, script]
        share, width = (_mean(covered(one, every)[k] for one in judged) for k in (0, 1))
        if not script and not 0.92 <= share <= 0.97:
            missed.append(f"{what}: intervals cover {100 * share:.1f} %")
        cells = [_percent(share), f"{width:.1f}"]
        for low, high in pairwise((-np.inf, *_BOUNDS)):
            cells.append(_percent(_mean(_covered_between(one, low, high) for one in judged)))
        cells += [_percent(_mean(covered(one, np.flatnonzero(of))[0] for one in judged)) for of in groups.values()]
        untold = [replace(one, said=one.untold) for one in judged]
        cells.append(_percent(_mean(covered(one, np.flatnonzero(trials.table.child))[0] for one in untold)))
        for size in (5, 20):
            held, wide = (_mean(covered_means(one, trials.table.speaker, size)[k] for one in judged) for k in (0, 1))
            cells.append(f"{_percent(held)}, {wide:.1f} wide")
        rows.append([what + (", with script" if script else ""), *cells])
    header = (
        *("rating", "sentences", "width", f"rated below {_BOUNDS[0]:g}", f"{_BOUNDS[0]:g} to {_BOUNDS[1]:g}", "above"),
        *(*groups, "children taken for adults", "means of 5", "means of 20"),
    )
    return (
        "## Intervals\n\nShare of sentences, and of means over 5 and 20 sentences of a speaker, whose experts' mean lies in the 95 %\n"
        f"interval (bar for sentences: 92-97 %).\n\n{_rows(header, rows)}"
    )


def _covered_between(one: Judged, low: float, high: float) -> float:
    return covered(one, np.flatnonzero((one.said >= low) & (one.said < high)))[0]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _alone(trials: Trials) -> str:
    rows = []
    for name, values in trials.table.features.items():
        found = (pcc(values[of], trials.table.experts[what].mean(1)[of]) for what in WHATS for of in trials.groups.values())
        rows.append([f"`{name}`", *(f"{one:+.2f}" for one in found)])
    header = ("feature", *(f"{what}, {name}" for what in WHATS for name in trials.groups))
    return f"## Each feature alone\n\nPCC with the experts' mean. Definitions: [metrics.md](metrics.md#ratings).\n\n{_rows(header, rows)}"


_PAGE = """# How far the ratings agree with human experts

Written by `python -m bench.validation`; do not edit. Coefficients: `config/rubric/language-learner.toml`, digest
`{digest}`.
Heard by: {versions}.

What is judged: rated fluency and prosody (0 to 10) of the rubric for language learners, made by an additive model of six monotone
piecewise-linear curves each and one number that is added for children (`speech/rated.py`). Fitted by least squares with a fixed ridge, the
direction of each feature fixed beforehand and the mean error of adults, children, female and male speakers held near zero in training.
Every figure is of speakers that the model never heard: five folds by speaker, averaged over {repeats} partitions into folds; intervals are
calibrated on speakers left out of the training speakers in turn. Features come from the literature, ridge and knots were set beforehand.
Two things were decided after figures of these speakers had been seen: one feature more (movement of the level) was left out since it added
nothing, and the number for children was added since without it they were rated too low. The coefficients in the rubric are fitted the same
way on all speakers.

The age group is what the speaker says (`speaker`: adult, or child, which is under {adult}); it is never inferred. Who says nothing is taken
for an adult: "all taken for adults" is the same model, where no child has said so.

{met}

{sections}

## How to read it

- **One expert, PCC**: an expert against the mean of the other four, averaged over the five: what a human reaches. The bar is 95 % of it for
  adults and 88 % for all ages; the words-per-second baseline (words of the reference / length of the recording, a straight line, the same
  folds) must be beaten by 0.03 for adults.
- A model may come out above one expert, who has slips and a taste of their own. It does not know more than the five together.
- **Spearman** is the figure to look at where PCC is carried by a few poor speakers.
- **PRMSE**: the share of the variance of the true score (freed from the experts' own error) that is explained; 1 is perfect. Below zero,
  the mean of the group would come closer: so it is among children, whom the experts rate much alike.
- **Speakers of all ages**: the bar for prosody, 0.88, is more than one expert reaches (0.860).
- **An interval** is about the mean of five experts, not about some truth beyond them. What a speaker's sentences share does not average
  out, so the interval of a session stops shrinking after a few sentences.
- **Children** read with the same tempo, pauses and clarity get more from the experts than adults do: that is the number that is added. It
  puts children as a group where the experts put them. It does not rank them: among children alone the ratings follow the experts hardly at
  all (PCC above), and the experts agree less among themselves. Guessing the age from the pitch of the voice was tried: it does not mend
  this, makes adults worse, and is nothing a speaker should be rated by.

## Where it is not valid

- To compare children with each other, or a child with itself. A child taken for an adult is rated too low.
- Other first languages than Mandarin, other accents of English, native speakers: never tested. The recogniser hears some accents worse
  than others, and its probabilities are part of the ratings.
- Free speech: all of it was read, in sentences of 2 to 17 s. Search for words, repairs and content play no part. A talk gets a number as if
  its sentences had been read.
- The sessions here are joined from sentences recorded one by one in quiet rooms. Noise, echo and lost audio lower the recogniser's
  probabilities, and the rating with them. The language was given, not detected.
- 19 to 33 and 6 to 15 years; nobody older. Few speakers: the 95 % interval of a speaker-level correlation of 0.9 over 40 speakers is
  0.82 to 0.95.
- Other languages than English: refused. Under three sentences or 10 s: refused.
- Exams, hiring, clinical use: not for these. The experts' scale is that of speechocean762, no CEFR or IELTS level.
"""


def written(final: Sequence[RatingOf]) -> str:
    """As the rubric's file says it."""
    out = [MARK]
    for one in final:
        out.append(f'\n[[ratings]]\nwhat = "{one.what}"\nscript = {str(one.script).lower()}')
        out.append(f"base = {one.base}\nchild = {one.child}\nshared = {one.shared}")
        for line in one.lines:
            out.append(f'\n[[ratings.lines]]\nfeature = "{line.feature}"\npoints = {[list(point) for point in line.points]}')
        for band in one.bands:
            out.append(f"\n[[ratings.bands]]\nbelow = {band.below}\nhalf = {band.half}")
    return "\n".join(out) + "\n"


def final_ratings(table: Table) -> tuple[RatingOf, ...]:
    """Fitted and calibrated on all speakers."""
    found = []
    for what, script in EACH:
        model = calibrated(table, np.arange(table.child.size), MODELS[script], table.experts[what].mean(1))
        found.append(
            RatingOf(
                cast(Literal["fluency", "prosody"], what),
                script,
                model.base,
                model.child,
                model.shared,
                tuple(RubricLine(line.feature, line.points) for line in model.lines),
                tuple(RubricBand(band.below, band.half) for band in model.bands),
            )
        )
    return tuple(found)


def main() -> int:
    """Train, judge, write; 1 where a bar is missed or the rubric holds other coefficients."""
    parser = argparse.ArgumentParser(prog="python -m bench.validation", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the coefficients into the rubric")
    asked = parser.parse_args()
    settings = read_settings()
    given = sessions(settings)
    found = table(given)
    final = final_ratings(found)
    text, missed = page(Trials.of(found), given, final, models.versions(models.asr_model(settings), models.placement(settings)))
    if asked.write:
        before = RUBRIC.read_text(encoding="utf-8").partition(MARK)[0].rstrip()
        RUBRIC.write_text(f"{before}\n\n{written(final)}", encoding="utf-8")
    elif ratings_digest(rubrics()["language-learner"].ratings) != ratings_digest(final):
        missed.append("the rubric holds other coefficients: run with --write")
    PAGE.write_text(text, encoding="utf-8")
    print(text)
    for sentence in missed:
        print(f"missed: {sentence}")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
