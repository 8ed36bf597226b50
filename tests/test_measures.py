"""The table of measures: a minute made by hand, in which every number is known, and what is said where there is none."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t

from speech.analysis import Disfluency, DisfluencyKind, Filler, FillerKind, LanguageIssue, Measure, Pause, PausePlace
from speech.audio import HOP, RATE_HZ, Floats, Frames, Span, State
from speech.measures import NEEDS_ENGLISH, NEEDS_WORDS, Spoken, measures, stretches
from speech.words import Word, WordKind
from tests.samples import samples

T_97_5_OF_4 = 2.776445  # Student's t, 97.5 %, 4 degrees of freedom: any table
BLOCKS = 10  # of 6 s each
PAUSE_S = (0.3, 0.6, 1.0, 0.3, 0.6, 1.0, 0.3, 0.6, 1.0, 0.3)  # one in the middle of each block
BLOCK_WORDS_S = (0.0, 0.5, 1.0, 1.5, 2.0, 3.5, 4.0, 4.5, 5.0, 5.5)


def word(at_s: float, kind: WordKind = "word") -> Word:
    return Word("word", samples(at_s), samples(at_s + 0.3), 0.9, kind)


def numbered(one: Word, number: int) -> Word:
    """One of 25, capital or not; each twentieth unclear."""
    return replace(one, text=f"{'Word' if number % 2 else 'word'}{number % 25},", probability=0.4 if number % 20 == 0 else 0.9)


def even(lowest: float, highest: float, hops: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).permutation(np.linspace(lowest, highest, hops)).astype(np.float32)


def pitch(hops: int) -> Floats:
    """An octave from 100 Hz, evenly in semitones, in each 10 s window."""
    return np.concatenate([100 * 2 ** even(0.0, 1.0, min(1000, hops - first), first) for first in range(0, hops, 1000)], dtype=np.float32)


def fillers(kind: FillerKind, count: int) -> list[Filler]:
    return [Filler("um", samples(6 * i + 2.4), samples(6 * i + 2.5), kind, "recogniser") for i in range(count)]


def disfluencies(kind: DisfluencyKind, count: int) -> list[Disfluency]:
    return [Disfluency(kind, "it", samples(6 * i + 4), samples(6 * i + 4.2)) for i in range(count)]


def issues(category: Any, count: int) -> list[LanguageIssue]:
    return [LanguageIssue(category, "rule", "text", samples(6 * i + 1), samples(6 * i + 2), "reason", ()) for i in range(count)]


def in_time(*groups: list[Any]) -> list[Any]:
    return sorted((item for group in groups for item in group), key=lambda item: item.start)


def minute() -> Spoken:
    """60 s: 100 words of 1 and 2 syllables in turn, 25 different, 5 unclear; 3 ums, 2 fragments, 10 pauses of 6 s in all, 162 nuclei."""
    said = in_time(
        [numbered(word(6 * b + at_s), 10 * b + i) for b in range(BLOCKS) for i, at_s in enumerate(BLOCK_WORDS_S)],
        [word(6 * b + 2.35, "filler") for b in range(3)],
        [word(6 * b + 5.9, "fragment") for b in range(2)],
    )
    numbers = iter(range(100))
    pauses = in_time(
        [
            Pause(samples(6 * b + 2.4), samples(6 * b + 2.4 + length_s), "silent", "within_clause" if b < 4 else "between_clauses")
            for b, length_s in enumerate(PAUSE_S)
        ],
        [Pause(samples(6 * b + 4.3), samples(6 * b + 4.52), "silent", "within_clause") for b in range(5)],  # 220 ms
        [Pause(samples(6 * b + 5.3), samples(6 * b + 5.8), "filled", "within_clause") for b in range(7)],
    )
    state = np.full(6000, State.SPEECH, np.int8)
    level = np.empty(6000, np.float32)
    for pause in pauses:
        if pause.kind == "silent":
            state[pause.start // HOP : pause.end // HOP] = State.SILENCE
    level[state == State.SPEECH] = even(-30.0, -20.0, int((state == State.SPEECH).sum()))
    level[state == State.SILENCE] = -60.0
    return Spoken(
        words=said,
        syllables=[1 + next(numbers) % 2 if w.kind == "word" else 0 for w in said],
        frames=Frames(0, HOP, pitch(6000), level, state),
        k_power=np.full(6000, 1e-3),
        nuclei=np.linspace(0, samples(59.9), 162).astype(np.int64),
        pauses=pauses,
        fillers=in_time(fillers("filled_pause", 3), fillers("discourse_marker", 2)),
        disfluencies=in_time(disfluencies("repetition", 4), disfluencies("false_start", 1), disfluencies("lengthening", 5)),
        issues=in_time(issues("grammar", 6), issues("hedge", 7), issues("passive", 9)),
        span=Span(0, samples(60)),
        language="en",
    )


def middle_quotient() -> float:
    """Deviation over mean of 2 ** u where u is even over the middle 90 % of an octave."""
    mean = (2**0.95 - 2**0.05) / (0.9 * math.log(2))
    square = (2**1.9 - 2**0.1) / (0.9 * 2 * math.log(2))
    return math.sqrt(square - mean**2) / mean


BY_HAND = {
    "speech_rate_wpm": (100.0, "words/min"),
    "speech_rate_syl_s": (150 / 60, "syllables/s"),
    "articulation_rate_syl_s": (150 / 54, "syllables/s"),
    "nuclei_rate_s": (162 / 54, "nuclei/s"),
    "phonation_ratio": (54 / 60, "ratio"),
    "mean_length_of_run_syl": (150 / 11, "syllables"),
    "pauses_per_min": (10.0, "1/min"),
    "pauses_200_ms_per_min": (15.0, "1/min"),
    "pauses_350_ms_per_min": (6.0, "1/min"),
    "pause_mean_s": (0.6, "s"),
    "pause_median_s": (0.6, "s"),
    "pause_longest_s": (1.0, "s"),
    "pause_share": (6 / 60, "ratio"),
    "pauses_within_clause_per_100_syl": (100 * 4 / 150, "1/100 syllables"),
    "pauses_at_clause_ends_share": (0.6, "ratio"),
    "f0_median_hz": (100 * 2**0.5, "Hz"),
    "f0_span_st": (0.8 * 12, "st"),
    "f0_sd_st": (0.9 * 12 / math.sqrt(12), "st"),
    "pvq": (middle_quotient(), "ratio"),
    "loudness_lufs": (-0.691 - 30.0, "LUFS"),
    "level_dbfs": (-25.0, "dBFS"),
    "level_range_db": (8.0, "dB"),
    "snr_db": (10 * math.log10((0.01 - 0.001) / math.log(10)) + 60, "dB"),
    "filled_pauses_per_min": (3.0, "1/min"),
    "filled_pauses_per_100_words": (3.0, "1/100 words"),
    "discourse_markers_per_100_words": (2.0, "1/100 words"),
    "repetitions_per_100_words": (4.0, "1/100 words"),
    "false_starts_per_100_words": (1.0, "1/100 words"),
    "lengthenings_per_100_words": (5.0, "1/100 words"),
    "grammar_issues_per_100_words": (6.0, "1/100 words"),
    "hedges_per_100_words": (7.0, "1/100 words"),
    "style_issues_per_100_words": (9.0, "1/100 words"),
    "mattr_50": (0.5, "ratio"),
    "unclear_words_per_100_words": (5.0, "1/100 words"),
}
ELSEWHERE = {"pace_variation", "trailing_off_db", "terminal_rising_share", "terminal_falling_share"}  # have tests of their own below


@pytest.fixture(scope="module")
def of_the_minute() -> dict[str, Measure]:
    return measures(minute())


@pytest.mark.parametrize("name", BY_HAND)
def test_each_measure_is_the_number_worked_out_by_hand(of_the_minute: dict[str, Measure], name: str) -> None:
    value, unit = BY_HAND[name]
    found = of_the_minute[name]
    assert found.value == pytest.approx(value, rel=2e-3)
    assert (found.unit, found.over_s, found.why_missing) == (unit, 60.0, None)


def test_no_measure_is_left_untested(of_the_minute: dict[str, Measure]) -> None:
    assert set(of_the_minute) == set(BY_HAND) | ELSEWHERE


def test_pace_variation_is_the_spread_of_whole_windows() -> None:
    of = minute()
    per_window = [10, 20, 15, 30, 25, 20]  # syllables in each 10 s; no pauses
    said = [word(10 * w + 10 * i / n) for w, n in enumerate(per_window) for i in range(n)]
    found = measures(replace(of, words=said, syllables=[1] * len(said), pauses=()))["pace_variation"]
    assert found.value == pytest.approx(np.std(per_window, ddof=1) / np.mean(per_window))
    assert (found.unit, found.low, found.high) == ("ratio", None, None)


def ending(movement_st: float) -> Floats:
    return np.asarray(150 * 2 ** (np.linspace(0, movement_st, 30) / 12), np.float32)


def test_terminal_contours_are_taken_where_the_pauses_begin() -> None:
    of = minute()
    f0_hz = np.full(6000, 150.0, np.float32)
    for b, movement_st in enumerate((3.0, 3.0, -4.0, -4.0, -4.0, 0.0, 0.0, 0.0, 0.0, 0.0)):
        at = samples(6 * b + 2.4) // HOP
        f0_hz[at - 30 : at] = ending(movement_st)
    found = measures(replace(of, frames=replace(of.frames, f0_hz=f0_hz)))
    assert found["terminal_rising_share"].value == pytest.approx(0.2)
    assert found["terminal_falling_share"].value == pytest.approx(0.3)
    few = measures(replace(of, pauses=[p for p in of.pauses if p.start < samples(24)], frames=replace(of.frames, f0_hz=f0_hz)))
    for name in ("terminal_rising_share", "terminal_falling_share"):
        assert few[name].value is None
        assert few[name].why_missing == "needs at least five phrases that end in a pause with audible pitch"


def test_a_voice_that_trails_off_is_quieter_where_phrases_end() -> None:
    of = minute()
    level = np.where(of.frames.state == State.SPEECH, -20.0, -60.0).astype(np.float32)
    for pause in of.pauses:
        level[pause.start // HOP - 30 : pause.start // HOP] -= 6.0
    level[-30:] -= 6.0
    frames = replace(of.frames, level_dbfs=level)
    found = measures(replace(of, frames=frames))["trailing_off_db"]
    assert found.value == pytest.approx(-6.0, abs=1e-2)
    assert measures(replace(of, frames=frames, pauses=[of.pauses[0]]))["trailing_off_db"].value is None
    noisy = 10 * np.log10(10 ** (level / 10) + 10 ** (-28 / 10)).astype(np.float32)
    assert measures(replace(of, frames=replace(frames, level_dbfs=noisy)))["trailing_off_db"].value == pytest.approx(-6.0, abs=0.1)


@pytest.mark.parametrize(("background_dbfs", "range_db"), [(-50.0, 8.0), (-31.0, 8.0), (-27.0, None)])
def test_noise_does_not_narrow_the_range_of_the_voice(background_dbfs: float, range_db: float | None) -> None:
    """Speech lies evenly between -30 and -20 dBFS; as loud as its quieter tenth, the background hides it."""
    of = minute()
    level = 10 * np.log10(10 ** (of.frames.level_dbfs / 10) + 10 ** (background_dbfs / 10)).astype(np.float32)
    found = measures(replace(of, frames=replace(of.frames, level_dbfs=level)))["level_range_db"]
    assert found.value == (pytest.approx(range_db, abs=0.05) if range_db else None)


# what is not known


def test_the_names_are_always_the_same(of_the_minute: dict[str, Measure]) -> None:
    of = minute()
    for other in (replace(of, span=None, words=(), syllables=()), replace(of, language="de"), replace(of, span=Span(0, samples(1)))):
        found = measures(other)
        assert list(found) == list(of_the_minute)
        assert [m.unit for m in found.values()] == [m.unit for m in of_the_minute.values()]


def test_without_words_there_is_nothing() -> None:
    found = measures(replace(minute(), words=(), syllables=(), span=None))
    assert set(found.values()) == {Measure(None, m.unit, None, None, 0.0, NEEDS_WORDS) for m in found.values()}


NEED_WORDS = set(BY_HAND) - {
    *("nuclei_rate_s", "f0_median_hz", "f0_span_st", "f0_sd_st", "pvq", "loudness_lufs", "level_dbfs", "level_range_db", "snr_db")
}
NEED_ENGLISH = {name for name in BY_HAND if name.endswith(("_100_words", "_100_syl"))} - {"unclear_words_per_100_words"} | {
    "filled_pauses_per_min",
    "pauses_at_clause_ends_share",
}


@pytest.mark.parametrize(
    ("words", "span_s", "needs"),
    [
        (4, 60.0, "needs 1 more word"),
        (5, 1.9, "needs 2 s more speech"),
        (0, 2.9, "needs 5 more words and 1 s more speech"),
    ],
)
def test_a_few_words_or_seconds_are_too_short_and_what_is_missing_is_said(words: int, span_s: float, needs: str) -> None:
    of = minute()
    found = measures(replace(of, words=of.words[:words], syllables=of.syllables[:words], span=Span(0, samples(span_s))))
    assert {name for name, m in found.items() if m.why_missing == needs} == NEED_WORDS | {"pace_variation"}
    assert found["f0_median_hz"].value is not None


def test_fillers_are_no_words() -> None:
    of = minute()
    said = [replace(w, kind="filler") for w in of.words[:20]]
    assert measures(replace(of, words=said, syllables=[0] * 20))["speech_rate_wpm"].why_missing == "needs 5 more words"


def test_what_needs_english_says_so() -> None:
    found = measures(replace(minute(), language="es"))
    assert {name for name, m in found.items() if m.why_missing == NEEDS_ENGLISH} == NEED_ENGLISH
    assert found["speech_rate_wpm"].value == 100.0


def test_without_a_pause_there_is_no_length_of_one() -> None:
    of = minute()
    found = measures(replace(of, pauses=[p for p in of.pauses if p.kind == "filled" or p.end - p.start < samples(0.25)]))
    for name in ("pause_mean_s", "pause_median_s", "pause_longest_s"):
        assert (found[name].value, found[name].why_missing) == (None, "there is no silent pause of at least 250 ms")
    assert [found[name].value for name in ("pauses_per_min", "pause_share", "phonation_ratio")] == [0.0, 0.0, 1.0]
    assert found["mean_length_of_run_syl"].value == 150.0


def test_other_reasons_name_what_is_missing() -> None:
    of = minute()
    unheard = replace(of.frames, f0_hz=np.full(6000, np.nan, np.float32), state=np.full(6000, State.SPEECH, np.int8))
    found = measures(replace(of, frames=unheard, k_power=np.zeros(6000), span=Span(0, samples(29))))
    assert found["snr_db"].why_missing == "needs at least 0.5 s of silence"
    assert found["pace_variation"].why_missing == "needs 1 s more speech"
    placed = [p for p in of.pauses if p.place != "unknown" and p.kind == "silent" and p.end - p.start >= samples(0.25)]
    few = measures(replace(of, words=of.words[:38], syllables=of.syllables[:38], pauses=placed[:3]))
    assert few["mattr_50"].why_missing == f"needs {50 - sum(one.kind == 'word' for one in of.words[:38])} more words"
    assert few["pauses_at_clause_ends_share"].why_missing == "needs 2 more silent pauses whose place in the sentence is known"
    for name in ("f0_median_hz", "f0_span_st", "f0_sd_st", "pvq", "loudness_lufs"):
        assert found[name].why_missing == "too little speech to measure it on"


def test_lost_audio_belongs_to_no_time() -> None:
    of = minute()
    state, level, f0_hz, k_power = of.frames.state.copy(), of.frames.level_dbfs.copy(), of.frames.f0_hz.copy(), of.k_power.copy()
    gone = np.zeros(6000, bool)
    for b in range(BLOCKS):
        gone[600 * b + 100 : 600 * b + 200] = True  # a second of speech in each block
    state[gone], level[gone], f0_hz[gone], k_power[gone] = State.LOST, np.nan, np.nan, np.nan
    found = measures(replace(of, frames=Frames(0, HOP, f0_hz, level, state), k_power=k_power))
    assert {m.over_s for m in found.values()} == {50.0}
    assert found["speech_rate_wpm"].value == pytest.approx(100 / 50 * 60)
    assert found["articulation_rate_syl_s"].value == pytest.approx(150 / 44)
    assert found["phonation_ratio"].value == pytest.approx(44 / 50)
    assert found["pauses_per_min"].value == pytest.approx(10 / 50 * 60)
    assert found["pause_share"].value == pytest.approx(6 / 50)
    assert found["nuclei_rate_s"].value == pytest.approx(162 / 44)
    assert found["level_dbfs"].value == pytest.approx(-25.0, abs=0.2)
    assert found["f0_span_st"].value == pytest.approx(0.8 * 12, abs=0.2)
    assert found["loudness_lufs"].value == pytest.approx(-30.691, abs=1e-3)


# intervals


def with_rates(per_part: list[int], part_s: float = 12.0) -> Spoken:
    """So many words, evenly, in each of five parts; nothing else is known of them."""
    said = [word(part_s * (p + i / n)) for p, n in enumerate(per_part) for i in range(n)]
    hops = round(5 * part_s * RATE_HZ / HOP)
    nothing = np.full(hops, np.nan, np.float32)
    frames = Frames(0, HOP, nothing, nothing, np.full(hops, State.SPEECH, np.int8))
    none = np.empty(0, np.int64)
    return Spoken(said, [1] * len(said), frames, np.full(hops, np.nan), none, (), (), (), (), Span(0, samples(5 * part_s)), "en")


def test_the_interval_is_students_over_five_parts() -> None:
    per_part = [20, 28, 24, 30, 18]
    found = measures(with_rates(per_part))["speech_rate_wpm"]
    assert found.value == pytest.approx(120.0)
    half = T_97_5_OF_4 * np.std([n / 12 * 60 for n in per_part], ddof=1) / math.sqrt(5)
    assert found.low == pytest.approx(120 - half, rel=1e-4)
    assert found.high == pytest.approx(120 + half, rel=1e-4)


def test_there_is_no_interval_below_fifty_seconds() -> None:
    uneven = [20, 22, 20, 22, 16]
    assert measures(with_rates(uneven, part_s=10.0))["speech_rate_wpm"].high is not None
    short = replace(with_rates(uneven, part_s=10.0), span=Span(0, samples(50) - 1))
    for of in (short, replace(minute(), span=Span(0, samples(49)))):
        assert {(m.low, m.high) for name, m in measures(of).items() if m.value or name not in EVENTS} == {(None, None)}


EVENTS = {
    "filled_pauses_per_min",
    *(f"{name}_per_100_words" for name in ("filled_pauses", "discourse_markers", "repetitions", "false_starts", "lengthenings")),
    *(f"{name}_per_100_words" for name in ("grammar_issues", "hedges", "style_issues", "unclear_words")),
}


def test_five_equal_parts_give_no_interval_of_width_zero() -> None:
    found = measures(with_rates([20] * 5))["speech_rate_wpm"]
    assert found.value is not None
    assert (found.low, found.high) == (None, None)


def test_nothing_seen_is_not_nothing_to_expect() -> None:
    """With 3.69 events to expect, none is seen once in forty times."""
    of = with_rates([20] * 5)  # a minute, a hundred words
    assert sum(w.kind == "word" for w in of.words) == 100
    found = measures(of)
    for name in EVENTS:
        assert (found[name].value, found[name].low) == (0.0, 0.0)
        missed = 0.28 if name.startswith("filled_pauses") else 0.0  # of the ums that are said
        assert found[name].high == pytest.approx(-math.log(0.025) / (1 - missed), abs=2e-3)


def test_what_the_recogniser_misses_and_doubts_makes_less_sure() -> None:
    """Doubt about a tenth of the words, in all parts alike, is seen in no spread."""
    of = with_rates([18, 22, 18, 22, 20])
    ums = fillers("filled_pause", 3)
    sure = measures(replace(of, fillers=ums))
    unsure = measures(
        replace(of, fillers=ums, words=[replace(w, probability=0.3 if i % 10 == 5 else 0.95) for i, w in enumerate(of.words)])
    )
    assert width(unsure["filled_pauses_per_100_words"]) >= width(sure["filled_pauses_per_100_words"])
    pace = unsure["speech_rate_wpm"]
    assert pace.value is not None
    from_parts, doubt = width(sure["speech_rate_wpm"]) / 2 / t.ppf(0.975, 4), 0.4 * 0.1 * pace.value
    both = math.hypot(from_parts, doubt)
    freedom = 4 * both**4 / from_parts**4  # Welch & Satterthwaite
    assert width(pace) == pytest.approx(2 * t.ppf(0.975, freedom) * both, rel=0.003)


def test_ums_missed_and_invented_reach_further_up_than_down() -> None:
    """23 of 32 are found, and 3 that are none."""
    times_s = [12 * part + (i + 0.5) * 12 / count for part, count in enumerate((6, 5, 6, 7, 6)) for i in range(count)]
    ums = [Filler("um", samples(at_s), samples(at_s + 0.1), "filled_pause", "recogniser") for at_s in times_s]
    found = measures(replace(minute(), fillers=ums))["filled_pauses_per_min"]
    half = t.ppf(0.975, 4) * float(np.std([30, 25, 30, 35, 30], ddof=1)) / 5**0.5
    assert found.value == pytest.approx(30.0)
    assert (found.low, found.high) == pytest.approx((30 - math.hypot(half, 0.12 * 30), 30 + math.hypot(half, 9 / 23 * 30)), rel=0.01)


def width(found: Measure) -> float:
    assert found.low is not None
    assert found.high is not None
    return found.high - found.low


def test_the_parts_of_the_variety_of_words_come_to_the_whole() -> None:
    rng = np.random.default_rng(1)
    said = [replace(word(0.1 * i), text=f"w{rng.zipf(1.5) % 400}") for i in range(1000)]
    found = measures(replace(minute(), words=said, syllables=[1] * 1000, span=Span(0, samples(100))))["mattr_50"]
    assert found.value is not None
    assert np.mean([part or 0.0 for part in found.parts]) == pytest.approx(found.value, abs=0.005)


def test_a_part_without_a_pause_says_nothing_of_where_pauses_lie() -> None:
    of = minute()
    late = [p for p in of.pauses if p.start > samples(12)]
    found = measures(replace(of, pauses=late))["pauses_at_clause_ends_share"]
    assert found.value is not None
    assert found.parts[0] == pytest.approx(found.value)
    assert np.mean([part or 0.0 for part in found.parts]) == pytest.approx(found.value)
    assert found.low is not None


@pytest.mark.parametrize(("place", "share"), [("between_clauses", 1.0), ("within_clause", 0.0)])
def test_ten_pauses_of_one_kind_do_not_rule_out_the_other(place: PausePlace, share: float) -> None:
    """Were three in ten elsewhere, none would be seen among ten once in forty times (Clopper & Pearson)."""
    of = minute()
    found = measures(replace(of, pauses=[replace(pause, place=place) for pause in of.pauses]))["pauses_at_clause_ends_share"]
    other = 1 - 0.025 ** (1 / 10)
    assert found.value == share
    assert (found.low, found.high) == pytest.approx((1 - other, 1.0) if share else (0.0, other))


def test_a_part_without_a_value_gives_no_interval() -> None:
    of = minute()
    found = measures(replace(of, pauses=[p for p in of.pauses if p.start > samples(12)]))["pause_mean_s"]
    assert found.value is not None
    assert (found.low, found.high) == (None, None)


def test_an_interval_holds_its_value_and_no_impossible_one(of_the_minute: dict[str, Measure]) -> None:
    known = [m for m in of_the_minute.values() if m.low is not None]
    assert len(known) >= 24
    for m in known:
        assert m.low is not None
        assert m.high is not None
        assert m.value is not None
        assert m.low <= m.value <= m.high
    wild = measures(with_rates([1, 90, 1, 90, 1]))["speech_rate_wpm"]
    assert wild.low == 0.0
    of = minute()
    long = [Pause(samples(1), samples(11), "silent", "unknown")]  # in one part of five only
    found = measures(replace(of, pauses=long))
    assert found["pause_share"].low == 0.0
    assert found["phonation_ratio"].high == 1.0


def test_a_negative_level_keeps_its_interval_around_it() -> None:
    of = minute()
    level = of.frames.level_dbfs + np.repeat(np.array([-6, -3, 0, 3, 6], np.float32), 1200)
    found = measures(replace(of, frames=replace(of.frames, level_dbfs=level)))["level_dbfs"]
    assert found.value == pytest.approx(-25.0, abs=0.2)
    half = T_97_5_OF_4 * np.std([-6, -3, 0, 3, 6], ddof=1) / math.sqrt(5)
    assert found.low == pytest.approx(-25 - half, abs=0.3)
    assert found.high == pytest.approx(-25 + half, abs=0.3)


def test_the_interval_covers_the_planted_rate_as_often_as_it_says() -> None:
    rng = np.random.default_rng(11)
    truth = 30 / 12 * 60  # words a minute
    sessions = [measures(with_rates([max(1, round(n)) for n in rng.normal(30, 5, 5)]))["speech_rate_wpm"] for _ in range(300)]
    covered = np.mean([m.low is not None and m.high is not None and m.low <= truth <= m.high for m in sessions])
    assert 0.915 <= covered <= 0.98  # 95 %, give or take 2.7 standard errors of 300 sessions


# curves over time


def test_stretches_of_ten_seconds_cover_the_span_every_five() -> None:
    of = replace(minute(), span=Span(samples(3), samples(57)))
    found = stretches(of)
    assert [s.start for s in found] == [samples(at_s) for at_s in range(3, 53, 5)]
    assert [s.end for s in found] == [min(s.start + samples(10), samples(57)) for s in found]
    assert found[-1].end == samples(57)


def test_a_stretch_holds_the_same_numbers_as_the_measures() -> None:
    first = stretches(replace(minute(), span=Span(0, samples(24))))[0]  # 10 s: block 0 and 4 s of block 1
    assert first.rate_wpm == pytest.approx(16 * 6)  # 10 + 6 words
    assert first.pause_share == pytest.approx((0.3 + 0.6) / 10)
    assert first.articulation_syl_s == pytest.approx((15 + 9) / 9.1)
    assert first.f0_median_hz == pytest.approx(100 * 2**0.5, rel=1e-3)
    assert first.f0_span_st == pytest.approx(9.6, abs=0.02)
    assert first.level_dbfs == pytest.approx(-25.0, abs=0.5)


def test_short_and_silent_recordings_have_one_stretch_or_none() -> None:
    assert len(stretches(replace(minute(), span=Span(samples(3), samples(12))))) == 1
    assert stretches(replace(minute(), span=None)) == ()


def test_a_lost_window_has_no_numbers() -> None:
    of = with_rates([1] * 5)
    of = replace(of, words=(), syllables=(), frames=replace(of.frames, state=np.full(6000, State.LOST, np.int8)))
    (first, *_) = stretches(of)
    numbers = (first.rate_wpm, first.articulation_syl_s, first.pause_share, first.f0_median_hz, first.f0_span_st, first.level_dbfs)
    assert numbers == (None,) * 6


# whatever comes in


@st.composite
def anything(draw: st.DrawFn) -> Spoken:
    """A recording of up to 70 s in which any hop may be lost, silent, unvoiced or digital silence."""
    hops = draw(st.integers(1, 7000))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    stay = draw(st.sampled_from([1, 30, 500]))
    state = np.repeat(rng.integers(0, 3, -(-hops // stay)), stay)[:hops].astype(np.int8)
    if draw(st.booleans()):
        state[:] = draw(st.sampled_from(list(State)))
    lost = state == State.LOST
    level = rng.choice([-120.0, -60.0, -20.0, 0.0], hops).astype(np.float32)
    level[lost] = np.nan
    f0_hz = np.where(rng.random(hops) < draw(st.sampled_from([0.0, 0.5, 1.0])), rng.uniform(65, 500, hops), np.nan).astype(np.float32)
    k_power = np.where(lost, np.nan, 10 ** (level.astype(np.float64) / 10))
    at = np.sort(rng.integers(0, hops * HOP, draw(st.integers(0, 100))))
    said = [Word("w", int(a), int(a) + 320, 0.5, draw(st.sampled_from(["word", "filler"])) if i < 3 else "word") for i, a in enumerate(at)]
    pauses = [
        Pause(a * HOP, b * HOP, "silent", "within_clause")
        for a, b in np.sort(rng.choice(hops, (hops // 50, 2))).tolist()[: draw(st.integers(0, 20))]
        if a < b
    ]
    first, last = sorted(draw(st.tuples(st.integers(0, hops), st.integers(0, hops))))
    span = Span(first * HOP, max(last, first + 1) * HOP)
    frames = Frames(0, HOP, f0_hz, level, state)
    return Spoken(said, [1] * len(said), frames, k_power, at, in_time(pauses), (), (), (), span, draw(st.sampled_from(["en", "fr"])))


@settings(max_examples=60, deadline=None)
@given(anything())
def test_numbers_are_plain_and_finite_or_explained(of: Spoken) -> None:
    for name, m in measures(of).items():
        assert (m.value is None) == (m.why_missing is not None), name
        for number in (m.value, m.low, m.high, m.over_s):
            assert number is None or (type(number) is float and math.isfinite(number)), name
    for s in stretches(of):
        for number in (s.rate_wpm, s.articulation_syl_s, s.pause_share, s.f0_median_hz, s.f0_span_st, s.level_dbfs):
            assert number is None or (type(number) is float and math.isfinite(number))
