"""What trained listeners would probably say of a learner's fluency and prosody, 0 to 10: a small additive model over our own measures.

A session is cut into utterances like those that listeners rated (read sentences of a few seconds). Each gets the sum of a base, one
monotone piecewise-linear curve per feature and, where the speaker has said that a child speaks, one number more; the session gets their
mean. Curves, and the intervals that hold 95 % of what listeners say of speakers the model never heard, are in the rubric;
`python -m bench.validation` fits them and says in docs/validation.md how good they are. No feature depends on the gain or on how high a
voice is.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from speech.analysis import Pause
from speech.audio import HOP, RATE_HZ, Span, State, seconds
from speech.measures import Spoken
from speech.pauses import at_least, lost_samples, speaking_span
from speech.script import ScriptWord
from speech.words import Word

SCALE = (0.0, 10.0)
FEWEST_WORDS = 2  # of an utterance
SHORTEST_S = 0.8
LONGEST_S = 20.0  # the longest that was rated has 17 s
FEWEST_UTTERANCES = 3  # of a session
FEWEST_S = 10.0  # of their time together

_LONG_S = 15.0  # a longer sentence is cut at the longest gap between its words,
_LEAST_LEFT = 4  # of which so many stay together
_PAUSE_S = 0.2  # from here a silence is a pause: Gao, Sun & Li 2025, monologue
_SYLLABLE_S, _LETTER_S = 0.033, 0.060  # a native reader's word lasts their sum: least squares over 329 words of libri_word_align
_BRIEFEST_S = 0.03  # of a word
_AROUND = 100  # hops beside the words in which their speech may begin or end


@dataclass(frozen=True, slots=True)
class Read:
    """A script laid beside the words that count in a session: those of kind `word`, in order."""

    words: Sequence[ScriptWord]
    syllables: Sequence[int]  # of each


@dataclass(frozen=True, slots=True, eq=False)
class Utterance:
    """A few seconds of one speaker."""

    span: Span  # first to last speech
    words: tuple[Word, ...]  # without fillers and fragments
    syllables: tuple[int, ...]
    pauses: tuple[Pause, ...]  # silent ones of at least 100 ms inside
    speech: NDArray[np.bool_]  # (k,) of the hops of the span
    lost: int  # samples of the span that never came
    nuclei: NDArray[np.int64]  # samples
    script: tuple[tuple[str, int, float], ...] = ()
    # what was to be read, where that is known: word, its syllables, the recogniser's probability (0 where another was heard or none)

    @property
    def over_s(self) -> float:
        """Time from the first to the last speech, lost audio left out."""
        return seconds(max(HOP, self.span.end - self.span.start - self.lost))

    @property
    def enough(self) -> bool:
        """Whether it can be rated."""
        return len(self.words) >= FEWEST_WORDS and SHORTEST_S <= self.over_s <= LONGEST_S


@dataclass(frozen=True, slots=True)
class Line:
    """A feature's part in a rating: straight between points (value, what it adds), level beyond them."""

    feature: str
    points: tuple[tuple[float, float], ...]

    def __call__(self, value: float) -> float:
        """What is added for a value."""
        at, adds = zip(*self.points, strict=True)
        return float(np.interp(value, at, adds))


@dataclass(frozen=True, slots=True)
class Band:
    """Half the width of the 95 % interval of one utterance that is rated below a bound."""

    below: float
    half: float


@dataclass(frozen=True, slots=True)
class Model:
    """How one rating is made."""

    base: float
    child: float  # what is added for a child
    lines: tuple[Line, ...]
    bands: tuple[Band, ...]  # growing; the last reaches to the top of the scale
    shared: float  # 0..1: the part of the error's variance that all utterances of a speaker share


@dataclass(frozen=True, slots=True)
class Part:
    """What a feature has brought, over all utterances."""

    name: str
    value: float  # mean
    adds: float  # mean, on the scale of the rating


@dataclass(frozen=True, slots=True)
class Rating:
    """0 to 10 with its 95 % interval, or why there is none."""

    value: float | None
    low: float | None
    high: float | None
    utterances: int
    parts: tuple[Part, ...] = ()
    refusal: str | None = None


def rate(model: Model, heard: Sequence[Utterance], *, child: bool = False) -> Rating:
    """The mean over all utterances that can be rated. child: whether a child speaks."""
    found = [one for one in heard if one.enough]
    over_s = sum(one.over_s for one in found)
    if len(found) < FEWEST_UTTERANCES or over_s < FEWEST_S:
        return Rating(None, None, None, len(found), refusal=_too_little(len(found), over_s))
    values = np.array([[FEATURES[line.feature](one) for line in model.lines] for one in found])
    adds = np.array([[line(value) for line, value in zip(model.lines, row, strict=True)] for row in values])
    value = float(np.mean(np.clip(model.base + model.child * child + adds.sum(1), *SCALE)))
    half = half_width(model, value, len(found))
    return Rating(
        value,
        max(SCALE[0], value - half),
        min(SCALE[1], value + half),
        len(found),
        tuple(
            Part(line.feature, float(of), float(added)) for line, of, added in zip(model.lines, values.mean(0), adds.mean(0), strict=True)
        ),
    )


def half_width(model: Model, value: float, utterances: int) -> float:
    """Of the interval of a mean over so many utterances: what they do not share averages out."""
    band = next((one for one in model.bands if value < one.below), model.bands[-1])
    return band.half * float(np.sqrt(model.shared + (1.0 - model.shared) / utterances))


def _too_little(utterances: int, over_s: float) -> str:
    if utterances < FEWEST_UTTERANCES:
        return f"needs at least {FEWEST_UTTERANCES} sentences of {SHORTEST_S:g} to {LONGEST_S:g} s, and there are {utterances}"
    return f"needs {FEWEST_S - over_s:.0f} s more speech"


# utterances


def utterances(spoken: Spoken, read: Read | None = None) -> list[Utterance]:
    """What a session is rated on, in order: sentences by the recogniser's end marks; what is too long is cut at the longest gap."""
    words = counted(spoken)
    cuts: list[list[int]] = [[]]
    for k, i in enumerate(words):
        cuts[-1].append(k)
        if spoken.words[i].text.rstrip("\"')").endswith((".", "?", "!")):
            cuts.append([])
    pieces = [piece for cut in cuts if cut for piece in _cut(spoken, words, cut)]
    found = (utterance(spoken, words, piece[0], piece[-1] + 1, read) for piece in pieces)
    return [one for one in found if one is not None]


def counted(spoken: Spoken) -> list[int]:
    """Numbers of the words that are no fillers and no fragments."""
    return [i for i, word in enumerate(spoken.words) if word.kind == "word"]


def utterance(spoken: Spoken, words: Sequence[int], first: int, end: int, read: Read | None = None) -> Utterance | None:
    """What lies from the first to before the end of the `counted` words. None where the signal holds no speech there."""
    said = [spoken.words[i] for i in words[first:end]]
    begin = max(0, said[0].start // HOP - _AROUND)
    span = speaking_span(spoken.frames.state[begin : said[-1].end // HOP + _AROUND], said, (), begin * HOP)
    if span is None:
        return None
    hops = slice(span.start // HOP, span.end // HOP)
    low, high = np.searchsorted(spoken.nuclei, [span.start, span.end])
    return Utterance(
        span,
        tuple(said),
        tuple(spoken.syllables[i] for i in words[first:end]),
        tuple(p for p in spoken.pauses if p.kind == "silent" and span.start <= p.start and p.end <= span.end),
        spoken.frames.state[hops] == State.SPEECH.value,
        lost_samples(spoken.frames.state, span),
        spoken.nuclei[low:high],
        tuple(_of_script(read, said, first, end)) if read else (),
    )


def _of_script(read: Read, said: Sequence[Word], first: int, end: int) -> Iterator[tuple[str, int, float]]:
    # A word that was left out belongs where the one before it was heard.
    at = 0
    for word, syllables in zip(read.words, read.syllables, strict=True):
        at = word.heard[0] if word.heard else at
        if first <= at < end:
            sure = [said[k - first].probability for k in word.heard if first <= k < end]
            yield word.text, syllables, float(np.mean(sure)) if word.verdict == "read" and sure else 0.0


def bare(word: str) -> str:
    """Without case and punctuation."""
    return "".join(c for c in word.casefold() if c.isalnum())


def _length_s(spoken: Spoken, words: Sequence[int], piece: Sequence[int]) -> float:
    return seconds(spoken.words[words[piece[-1]]].end - spoken.words[words[piece[0]]].start)


def _cut(spoken: Spoken, words: Sequence[int], piece: list[int]) -> list[list[int]]:
    if _length_s(spoken, words, piece) <= _LONG_S or len(piece) < 2 * _LEAST_LEFT:
        return [piece]
    inner = range(_LEAST_LEFT, len(piece) - _LEAST_LEFT + 1)
    at = max(inner, key=lambda k: spoken.words[words[piece[k]]].start - spoken.words[words[piece[k - 1]]].end)
    return [*_cut(spoken, words, piece[:at]), *_cut(spoken, words, piece[at:])]


# features


def _expected_s(letters: Sequence[str], syllables: Sequence[int]) -> NDArray[np.float64]:
    # How long a native reader takes for each word.
    return np.array([_SYLLABLE_S * n + _LETTER_S * max(1, len(bare(text))) for text, n in zip(letters, syllables, strict=True)])


def tempo(one: Utterance) -> float:
    """Time that a native reader takes for these words / time taken, pauses included."""
    return float(_expected_s([w.text for w in one.words], one.syllables).sum()) / one.over_s


def pauses_per_syllable(one: Utterance) -> float:
    """Silent pauses of at least 200 ms / syllables."""
    return len(at_least(one.pauses, _PAUSE_S)) / max(1, sum(one.syllables))


def longest_pause(one: Utterance) -> float:
    """Natural logarithm of 0.1 s + the longest silent pause (of at least 100 ms) in seconds."""
    return float(np.log(0.1 + max((seconds(p.end - p.start) for p in one.pauses), default=0.0)))


def slowest_words(one: Utterance) -> float:
    """Natural logarithm of a word's speech / what a native reader takes, mean of the slowest quarter of the words."""
    expected = _expected_s([w.text for w in one.words], one.syllables)
    spoken_s = [max(_BRIEFEST_S, _speech_s(one, word)) for word in one.words]
    ratios = np.sort(np.log(np.array(spoken_s) / expected))
    return float(ratios[-max(1, round(ratios.size / 4)) :].mean())


def nucleus_gap(one: Utterance) -> float:
    """Natural logarithm of the 75th percentile of the time between syllable nuclei, in seconds; 0.3 s where there are under four."""
    gaps_s = np.diff(one.nuclei) / RATE_HZ
    return float(np.log(np.percentile(gaps_s, 75) if gaps_s.size >= 3 else 0.3))


def word_probability(one: Utterance) -> float:
    """Mean of the recogniser's probabilities of the words."""
    return float(np.mean([w.probability for w in one.words]))


def script_tempo(one: Utterance) -> float:
    """Time that a native reader takes for the words of the script / time taken."""
    return float(_expected_s([text for text, _, _ in one.script], [n for _, n, _ in one.script]).sum()) / one.over_s


def script_heard(one: Utterance) -> float:
    """Mean over the words of the script of the recogniser's probability, 0 for one that was not heard."""
    return float(np.mean([sure for _, _, sure in one.script])) if one.script else 0.0


def _speech_s(one: Utterance, word: Word) -> float:
    first, end = (word.start - one.span.start) // HOP, -((one.span.start - word.end) // HOP)
    return HOP / RATE_HZ * float(one.speech[max(0, first) : max(0, end)].sum())


FEATURES: Mapping[str, Callable[[Utterance], float]] = {
    "tempo": tempo,
    "pauses_per_syllable": pauses_per_syllable,
    "longest_pause": longest_pause,
    "slowest_words": slowest_words,
    "nucleus_gap": nucleus_gap,
    "word_probability": word_probability,
    "script_tempo": script_tempo,
    "script_heard": script_heard,
}
