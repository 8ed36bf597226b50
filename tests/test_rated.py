"""Ratings: planted readings, slower, with more pauses, less clear; intervals; refusals; what the rubric and the docs say."""

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from batch.analyze import Findings, Listened
from batch.ratings import model, ratings, read_of
from bench.rated_speech import Sentence
from bench.validation import WITH_SCRIPT, WITHOUT_SCRIPT, Table, covered, covered_means, judge, smd
from config.rubrics import FOLDER, RatingOf, ratings_digest, read, rubrics
from speech import prosody, rated, syllables
from speech.audio import HOP, Frames, Span, State
from speech.measures import Spoken
from speech.pauses import pauses
from speech.rated import FEATURES, Band, Line, Model, Utterance, half_width, rate, utterances
from speech.words import Transcript, Word

LEARNER = rubrics()["language-learner"]
SENTENCES = (
    "We took the early train to the city.",
    "My sister wanted to visit the museum.",
    "It was closed because of the holiday.",
    "So we walked along the river instead.",
    "There were many people with their children.",
    "In the evening we came home very tired.",
)
TEXT = " ".join(SENTENCES)


def reading(
    pace: float = 1.0, pause_s: float = 0.0, probability: float = 0.9, text: str = TEXT, gain_db: float = 0.0, gap_s: float = 0.6
) -> Spoken:
    """The text, read word by word as fast as natives read it times `pace`, paused after every third, and between sentences."""
    words: list[Word] = []
    counts: list[int] = []
    nuclei: list[int] = []
    state: list[int] = [State.SILENCE] * 20
    for i, written in enumerate(text.split()):
        count = syllables.counts([written], {}, "en")[0]
        hops = max(2, round(100 * (0.033 * count + 0.06 * len(rated.bare(written))) / pace))
        start = len(state) * HOP
        words.append(Word(written, start, start + hops * HOP, probability))
        counts.append(count)
        nuclei += [start + round((k + 0.5) * hops * HOP / count) for k in range(count)]
        state += [State.SPEECH] * hops
        state += [State.SILENCE] * round(100 * (gap_s if written.endswith(".") else pause_s if i % 3 == 2 else 0.0))
    state += [State.SILENCE] * 20
    states = np.array(state, np.int8)
    level = (-30.0 + gain_db + 3.0 * np.sin(np.arange(states.size))).astype(np.float32)
    level[states == State.SILENCE] = -70.0 + gain_db
    frames = Frames(0, HOP, np.full(states.size, np.nan, np.float32), level, states)
    found = pauses(states, words)
    return Spoken(words, counts, frames, np.zeros(states.size), np.array(nuclei), found, (), (), (), Span(0, states.size * HOP), "en")


def shipped(what: str, script: bool) -> Model:
    return model(next(one for one in LEARNER.ratings if one.what == what and one.script == script))


def value(one: Model, spoken: Spoken, text: str | None = None) -> float:
    found = rate(one, utterances(spoken, None if text is None else read_of(spoken, text)))
    assert found.value is not None
    return found.value


# what moves a rating


@pytest.mark.parametrize("what", ["fluency", "prosody"])
@pytest.mark.parametrize("script", [False, True])
def test_slower_with_more_pauses_and_less_clear_is_rated_lower(what: str, script: bool) -> None:
    one, text = shipped(what, script), TEXT if script else None
    ladders = {
        "pace": [value(one, reading(pace=pace), text) for pace in (1.0, 0.8, 0.6, 0.45)],
        "pause_s": [value(one, reading(pause_s=pause_s), text) for pause_s in (0.0, 0.3, 0.6, 1.2)],
        "probability": [value(one, reading(probability=probability), text) for probability in (0.95, 0.8, 0.6, 0.4)],
    }
    for name, ladder in ladders.items():
        assert all(a >= b for a, b in pairwise(ladder)), (name, ladder)
        assert ladder[0] - ladder[-1] > 0.4, (name, ladder)


@pytest.mark.parametrize("what", ["fluency", "prosody"])
def test_every_line_goes_the_way_it_must(what: str) -> None:
    for script, signs in ((False, WITHOUT_SCRIPT), (True, WITH_SCRIPT)):
        one = shipped(what, script)
        assert {line.feature for line in one.lines} == set(signs)
        for line in one.lines:
            adds = [adds for _, adds in line.points]
            assert adds == sorted(adds, reverse=signs[line.feature] < 0)


def test_gain_moves_nothing() -> None:
    quiet, loud = (utterances(reading(gain_db=gain_db)) for gain_db in (-20.0, 0.0))
    for name, feature in FEATURES.items():
        assert [feature(one) for one in quiet] == pytest.approx([feature(one) for one in loud], abs=1e-5), name


def test_words_of_the_script_that_were_not_read_lower_the_rating() -> None:
    one, spoken = shipped("fluency", True), reading()
    longer = TEXT.replace("the river", "the wide and very beautiful old river").replace("city", "capital")
    assert value(one, spoken, longer) < value(one, spoken, TEXT)
    assert read_of(spoken, "Something else altogether, of which nobody here has said one single thing.") is None


@pytest.mark.parametrize("what", ["fluency", "prosody"])
def test_a_child_gets_what_the_rubric_adds_and_nothing_else(what: str) -> None:
    one, heard = shipped(what, False), utterances(reading(pace=0.5, pause_s=0.5))
    assert one.child > 0.0
    adult, child = rate(one, heard), rate(one, heard, child=True)
    assert adult.value is not None
    assert child.value is not None
    assert child.value - adult.value == pytest.approx(one.child)
    assert child.parts == adult.parts


# features


def planted() -> Utterance:
    """Four words of known length with one pause of 0.4 s."""
    spoken = reading(text="one two three four.", pause_s=0.4)
    return utterances(spoken)[0]


def test_features_are_what_was_planted() -> None:
    one = planted()
    native_s = 4 * 0.033 + 0.06 * (3 + 3 + 5 + 4)
    assert one.over_s == pytest.approx(native_s + 0.4, abs=0.02)
    assert rated.tempo(one) == pytest.approx(native_s / (native_s + 0.4), abs=0.02)
    assert rated.pauses_per_syllable(one) == 0.25
    assert rated.longest_pause(one) == pytest.approx(np.log(0.5), abs=0.01)
    assert rated.slowest_words(one) == pytest.approx(0.0, abs=0.1)
    assert rated.word_probability(one) == pytest.approx(0.9)
    slow = utterances(reading(text="one two three four.", pace=0.5))[0]
    assert rated.slowest_words(slow) == pytest.approx(np.log(2.0), abs=0.05)
    assert rated.nucleus_gap(slow) > rated.nucleus_gap(one) - 0.5


def test_each_word_of_the_script_belongs_to_one_sentence() -> None:
    spoken = reading()
    read_ = read_of(spoken, TEXT.replace("closed", "quickly closed").replace("river", "lake"))
    found = utterances(spoken, read_)
    assert [len(one.script) for one in found] == [8, 7, 8, 7, 7, 8]
    assert [sum(sure == 0.0 for _, _, sure in one.script) for one in found] == [0, 0, 1, 1, 0, 0]
    assert rated.script_heard(found[0]) == pytest.approx(0.9)
    assert rated.script_heard(found[2]) == pytest.approx(0.9 * 7 / 8)


def test_sentences_are_cut_at_end_marks_and_long_ones_at_their_longest_pause() -> None:
    assert [len(one.words) for one in utterances(reading())] == [len(sentence.split()) for sentence in SENTENCES]
    run_on = utterances(reading(text=TEXT.replace(".", "") + ".", pause_s=0.3))
    assert len(run_on) > 1
    assert all(one.over_s <= rated.LONGEST_S for one in run_on)
    assert sum(len(one.words) for one in run_on) == len(TEXT.split())
    assert [one.enough for one in utterances(reading(text="Yes. " + SENTENCES[0]))] == [False, True]


# intervals


def speakers(count: int, seed: int, child: float = 0.0) -> Table:
    """Ratings that depend on tempo, with an error that half is the speaker's own; every third is a child and gets so much more."""
    rng = np.random.default_rng(seed)
    each = 20
    speaker = np.repeat(np.arange(count), each)
    tempo = np.clip(rng.normal(0.7, 0.1, count)[speaker] + rng.normal(0.0, 0.1, speaker.size), 0.3, 1.0)
    error = rng.normal(0.0, 0.5, count)[speaker] + rng.normal(0.0, 0.5, speaker.size)
    truth = np.clip(3.0 + 6.0 * tempo + child * (speaker % 3 == 0) + error, 0.0, 10.0)
    sentence = Sentence("", "", 0, "", "", {})
    return Table(
        (sentence,) * speaker.size,
        speaker.astype(str),
        speaker % 3 == 0,
        speaker % 2 == 0,
        {"tempo": tempo},
        {"fluency": truth[:, None]},
        tempo,
    )


def test_calibrated_intervals_hold_as_many_as_they_say() -> None:
    sentences, means = [], []
    for seed in range(6):
        table = speakers(40, seed)
        found = judge(table, {"tempo": 1}, table.experts["fluency"].mean(1), seed)
        sentences.append(covered(found, np.arange(found.said.size))[0])
        means.append(covered_means(found, table.speaker, 20)[0])
        assert found.models[0].shared == pytest.approx(0.5, abs=0.25)
    assert np.mean(sentences) == pytest.approx(0.95, abs=0.02)
    assert np.mean(means) == pytest.approx(0.95, abs=0.04)


@pytest.mark.parametrize("child", [1.0, -1.0, 0.0])
def test_what_children_get_more_is_learnt_and_withheld_from_who_is_taken_for_an_adult(child: float) -> None:
    table = speakers(120, 3, child)
    found = judge(table, {"tempo": 1}, table.experts["fluency"].mean(1), 0)
    assert found.models[0].child == pytest.approx(child, abs=0.25)
    for group in (table.child, ~table.child):
        assert smd(found.said, found.truth, group) == pytest.approx(0.0, abs=0.1)
    assert float((found.said - found.untold)[table.child].mean()) == pytest.approx(child, abs=0.25)
    assert np.array_equal(found.said[~table.child], found.untold[~table.child])


def test_what_all_sentences_share_does_not_average_out() -> None:
    one = Model(7.0, 0.0, (), (Band(6.0, 3.0), Band(11.0, 2.0)), 0.25)
    assert half_width(one, 7.0, 1) == pytest.approx(2.0)
    assert half_width(one, 5.9, 1) == pytest.approx(3.0)
    assert half_width(one, 7.0, 10**6) == pytest.approx(1.0, abs=1e-3)


def test_a_rating_stays_on_its_scale() -> None:
    one = Model(9.5, 0.0, (Line("tempo", ((0.0, 0.0), (1.0, 3.0))),), (Band(11.0, 2.0),), 1.0)
    found = rate(one, utterances(reading()))
    assert (found.value, found.low, found.high) == (10.0, 8.0, 10.0)


# refusals


def test_too_little_speech_is_refused_with_what_would_lift_it() -> None:
    one = shipped("fluency", False)
    few = rate(one, utterances(reading(text=" ".join(SENTENCES[:2]))))
    assert few.value is None
    assert few.refusal == "needs at least 3 sentences of 0.8 to 20 s, and there are 2"
    short = rate(one, utterances(reading(text=" ".join(SENTENCES[:3]), pace=1.2)))
    assert short.value is None
    assert re.fullmatch(r"needs \d s more speech", short.refusal or "")
    assert rate(one, utterances(reading())).refusal is None


def test_other_languages_and_other_rubrics_have_none() -> None:
    spoken = reading()
    hops = prosody.Hops(0, spoken.frames.f0_hz, spoken.frames.level_dbfs, spoken.k_power, spoken.nuclei)
    listened = Listened(np.zeros(0, np.float32), hops, spoken.frames.state)
    findings = Findings((), tuple(spoken.pauses), (), (), (), {}, (), {})
    english = Transcript(tuple(spoken.words), "en", 1.0)
    found = ratings(LEARNER, findings, english, listened, None)
    assert [one["what"] for one in found] == ["fluency", "prosody"]
    assert all(one["low"] < one["value"] < one["high"] and one["scale"] == [0.0, 10.0] and one["sentences"] == 6 for one in found)
    assert all(len(one["made_of"]) == len(WITHOUT_SCRIPT) and not one["script"] for one in found)
    assert all(one["script"] for one in ratings(LEARNER, findings, english, listened, TEXT))
    young = ratings(LEARNER, findings, english, listened, None, child=True)
    assert [(one["child"], old["child"]) for one, old in zip(young, found, strict=True)] == [
        (shipped(what, False).child, 0.0) for what in ("fluency", "prosody")
    ]
    assert all(one["value"] > old["value"] for one, old in zip(young, found, strict=True))
    german = ratings(LEARNER, findings, replace(english, language="de"), listened, None)
    assert [(one["value"], one["refusal"]) for one in german] == [(None, "defined for English only")] * 2
    assert ratings(rubrics()["talk"], findings, english, listened, None) == []


# the rubric and the page


def test_the_page_is_about_the_coefficients_that_are_shipped() -> None:
    page = (Path(__file__).parents[1] / "docs" / "validation.md").read_text(encoding="utf-8")
    assert f"`{ratings_digest(LEARNER.ratings)}`" in page


def test_each_feature_is_defined() -> None:
    metrics = (Path(__file__).parents[1] / "docs" / "metrics.md").read_text(encoding="utf-8")
    for name in FEATURES:
        assert re.search(rf"^\| `{name}` \|", metrics, re.MULTILINE), name


RATING = """
[[ratings]]
what = "fluency"
script = false
base = 7.0
child = 0.5
shared = 0.5
lines = [{feature = "tempo", points = [[0.2, -1.0], [0.6, 0.0], [1.0, 1.0]]}]
bands = [{below = 6.0, half = 2.0}, {below = 11.0, half = 1.0}]
"""


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("[0.6, 0.0]", "[0.6, -2.0]", "only grow or only fall"),
        ("[0.6, 0.0]", "[0.1, 0.0]", "growing in value"),
        ("11.0", "9.0", "reach beyond 10"),
        ("6.0, half", "12.0, half", "bands must grow"),
        ("shared = 0.5", "shared = 1.5", "<= 1"),
        ('"fluency"', '"charm"', "charm"),
        ("bands = [", 'colour = "red"\nbands = [', "colour"),
    ],
)
def test_a_rating_that_makes_no_sense_is_refused(old: str, new: str, expected: str) -> None:
    talk = (FOLDER / "talk.toml").read_text(encoding="utf-8")
    good: RatingOf = read({"talk": talk + RATING})["talk"].ratings[0]
    assert good.lines[0].points[1] == (0.6, 0.0)
    with pytest.raises(ValueError, match=expected):
        read({"talk": talk + RATING.replace(old, new)})
    with pytest.raises(ValueError, match="once with a script"):
        read({"talk": talk + RATING + RATING})
