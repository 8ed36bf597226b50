"""What is chosen to be practised, when it is passed, and when it is due again: planted, then found."""

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest

from batch.analyze import Findings
from batch.drilling import proposed
from config import drills as config_drills
from config.drills import drills
from config.passages import contrasts, passages
from db import drills as db_drills
from db import orgs, sessions
from db.pool import Database, Tx
from engines.embedded import Servers
from recognition.lexicon import homophones, pronunciations
from speech.analysis import Filler, Measure, Pause
from speech.attempts import Limit, Task
from speech.audio import HOP, Frames, Span, State
from speech.drills import NAMES, measured, verdict
from speech.measures import Spoken, measure_names, rate_wpm
from speech.prominence import prominence
from speech.reading import aligned, reading
from speech.shadowing import best, contour
from speech.spacing import Due, following
from speech.words import Transcript, Word
from stream_pipeline.told import told
from tests.databases import database, run
from tests.samples import samples

TEXT = "We came late, / because it rained, / and *nobody* waited. Then we went home."


# what there is


def test_every_rule_names_a_measure_and_every_drill_a_dimension_that_is_scored() -> None:
    from config.rubrics import rubrics

    scored = {term.measure for rubric in rubrics().values() for one in rubric.dimensions for term in one.terms}
    dimensions = {one.id for rubric in rubrics().values() for one in rubric.dimensions}
    for drill in drills().values():
        assert {rule.measure for rule in drill.rules} <= {*measure_names(), *NAMES}
        assert set(drill.dimensions) <= dimensions
        assert set(drill.for_) <= scored
        assert drill.evidence.grade == "none found" or drill.evidence.source


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ('comparison = "at most"', "at most what"),
        ('comparison = "within"\nlow = 2.0\nhigh = 1.0', "within needs low and high"),
        ('comparison = "at most"\notherwise = 1.0\nleast = 3.0\nmost = 2.0', "least is more than most"),
        ('comparison = "about"\notherwise = 1.0', "about"),
    ],
)
def test_a_rule_that_means_nothing_is_refused(wrong: str, said: str) -> None:
    text = config_drills.FILE.read_text(encoding="utf-8")
    head, _, rest = text.partition("[[drills.rules]]")
    tail = rest[rest.index("[drills.evidence]") :]
    with pytest.raises(ValueError, match=said):
        config_drills.read(f'{head}[[drills.rules]]\nmeasure = "f0_sd_st"\ntitle = "Pitch"\n{wrong}\n\n{tail}')


def test_a_limit_follows_the_speakers_own_value_within_bounds() -> None:
    ums = drills()["filler-replacement"].rules[0]
    assert [ums.limits(own)[1] for own in (None, 0.4, 5.0, 30.0)] == [2.0, 1.0, 2.5, 4.0]
    pitch = drills()["pitch-lights"].rules[0]
    assert [pitch.limits(own)[0] for own in (None, 1.0, 2.2, 5.0)] == [2.5, 2.0, 2.7, 4.0]


def test_the_words_of_a_pair_differ_in_just_the_sounds_they_are_for() -> None:
    for contrast in contrasts().values():
        spelt = pronunciations({word for pair in contrast.pairs for word in pair})
        for one, other in contrast.pairs:
            ways = [(a, b) for a in spelt[one] for b in spelt[other] if len(a) == len(b)]
            differing = [[{x, y} for x, y in zip(a, b, strict=True) if x != y] for a, b in ways]
            assert [set(contrast.phones)] in differing, (one, other)
    assert "beet" in homophones({"beat"})["beat"]


def test_what_is_spoken_is_new_and_never_the_same_twice_in_a_row() -> None:
    seen: list[str] = []
    for _ in range(3 * len(passages().passages)):
        id, text = passages().unseen("passage", "B2", seen)
        assert seen[:1] != [id]
        assert id not in seen[: len(passages().passages) - 1]
        assert text
        seen.insert(0, id)
    first = [one.id for one in passages().passages if one.level == "B2"]
    assert set(seen[-len(first) :]) == set(first)  # of the level that was asked for before any other


# measured


def spoken(
    said: str, starts_s: Sequence[float], fillers: Sequence[tuple[float, float]] = (), frames: Frames | None = None, each_s: float = 0.3
) -> Spoken:
    """Words at these times, and a pause wherever none is."""
    words = tuple(Word(text, samples(at), samples(at + each_s), 0.9) for text, at in zip(said.split(), starts_s, strict=True))
    ums = tuple(Filler("um", samples(a), samples(b), "filled_pause", "recogniser") for a, b in fillers)
    held = sorted([*((w.start, w.end) for w in words), *((f.start, f.end) for f in ums)])
    pauses = tuple(Pause(a, b, "silent", "unknown") for (_, a), (b, _) in pairwise(held) if b - a >= samples(0.1))
    hops = held[-1][1] // HOP + 1
    state = np.full(hops, State.SPEECH, np.int8)
    nothing = np.full(hops, np.nan, np.float32)
    frames = frames or Frames(0, HOP, nothing, np.full(hops, -20, np.float32), state)
    span = Span(held[0][0], held[-1][1])
    return Spoken(words, (1,) * len(words), frames, nothing.astype(float), np.empty(0, np.int64), pauses, ums, (), (), span, "en")


def test_what_was_said_finds_its_place_in_the_text_also_where_it_was_misread() -> None:
    text = reading(TEXT)
    assert text.breaths == {2, 5}
    assert [text.words[at] for at in text.marked] == ["nobody"]
    said = ["we", "came", "rate", "because", "it", "um", "rained", "and", "somebody", "waited"]
    assert aligned(said, text.words) == (0, 1, 2, 3, 4, None, 5, 6, 7, 8)


def test_pauses_count_at_the_strokes_and_against_the_reader_elsewhere() -> None:
    said = "we came late because it rained and nobody waited then we went home"
    at = [0.0, 0.35, 0.7, 1.5, 1.85, 2.7, 3.27, 3.62, 3.97, 4.72, 5.07, 5.42, 5.77]  # waits after late (0.5 s), it (0.55), rained (0.27)
    found = measured(Task(1.0, TEXT), spoken(said, at))
    assert found["marks_paused_share"].value == 0.5
    assert found["pauses_off_marks_per_100_words"].value == pytest.approx(2 / 0.13)  # and after the first sentence, which has no stroke
    assert found["words_read_share"].value == 1.0
    other = measured(Task(1.0, TEXT), spoken("this is another text that has nothing to do with it at all", at))
    assert other["marks_paused_share"].why_missing == "the text was not read"


def test_only_the_right_word_is_understood_but_its_homophone_too() -> None:
    text = "Say *ship* now. Say *sea* now. Say *rock* now."
    at = [0.4 * i for i in range(9)]
    found = measured(Task(1.0, text, accepted={"sea": ("see",)}), spoken("say sheep now say see now say rock now", at))
    assert found["targets_understood_share"].value == pytest.approx(2 / 3)


def test_the_share_of_windows_at_the_target_pace() -> None:
    at = [*np.arange(0, 15, 0.4), *np.arange(15, 30, 0.8)]  # 150, then 75 words a minute
    said = " ".join("word" for _ in at)
    found = measured(Task(1.0, pace_wpm=150.0), spoken(said, at))["pace_in_band_share"]
    assert found.value == pytest.approx(0.5, abs=0.26)
    assert measured(Task(1.0, pace_wpm=75.0), spoken(said, at))["pace_in_band_share"].value == pytest.approx(0.25, abs=0.01)
    assert found.low is not None
    assert found.high is not None
    assert found.low < (found.value or 0.0) < found.high


def voice(hz: Any, level: Any) -> Frames:
    f0_hz, level_dbfs = np.asarray(hz, np.float32), np.asarray(level, np.float32)
    return Frames(0, HOP, f0_hz, level_dbfs, np.full(f0_hz.size, State.SPEECH, np.int8))


def test_the_word_that_is_higher_stronger_and_longer_is_the_most_prominent() -> None:
    words = tuple(Word("word", samples(0.3 * i), samples(0.3 * i + 0.28), 0.9) for i in range(6))
    hz, level = np.full(180, 120.0), np.full(180, -22.0)
    hz[90:118], level[90:118] = 170.0, -16.0
    assert int(np.argmax([z or 0.0 for z in prominence(words, voice(hz, level))])) == 3
    assert prominence(words, voice(np.full(180, np.nan), level)) == [None] * 6


def phrase(seed: int, hops: int) -> tuple[Any, Any]:
    """A tune and a rhythm of its own."""
    dice = np.random.default_rng(seed)
    knots = np.linspace(0, 1, 9)
    at = np.linspace(0, 1, hops)
    return np.interp(at, knots, dice.uniform(-5, 5, 9)), np.interp(at, np.linspace(0, 1, 13), dice.uniform(-25, 0, 13))


def test_an_imitation_is_found_wherever_it_is_at_another_pitch_and_speed_and_another_tune_is_none() -> None:
    st, db = phrase(1, 200)
    model = contour(voice(120 * 2 ** (st / 12), db - 20), Span(0, 200 * HOP))
    slow_st, slow_db = phrase(1, 240)
    f0, level = np.full(800, np.nan), np.full(800, -70.0)
    f0[300:540], level[300:540] = 210 * 2 ** (slow_st / 12), slow_db - 30
    found = best(model, voice(f0, level), Span(0, 800 * HOP))
    assert found is not None
    assert found.similarity > 0.95
    assert found.length_ratio == pytest.approx(1.2, abs=0.1)
    assert found.start == pytest.approx(300 * HOP, abs=20 * HOP)
    others = []
    for seed in range(2, 12):
        st, db = phrase(seed, 200)
        f0[300:540], level[300:540] = np.nan, -70.0
        f0[300:500], level[300:500] = 120 * 2 ** (st / 12), db - 20
        match = best(model, voice(f0, level), Span(0, 800 * HOP))
        others.append(0.0 if match is None else match.similarity)
    assert np.median(others) < 0.7


# passed


def test_a_drill_is_passed_only_where_every_rule_holds_and_enough_was_said() -> None:
    one = spoken("a b c d e f g h i j", [0.4 * i for i in range(10)])
    found = {"f0_sd_st": Measure(2.4, "st", 2.1, 2.7, 4.0), "pause_share": Measure(0.1, "ratio", None, None, 4.0)}
    task = Task(4.0)
    both = verdict([Limit("f0_sd_st", 2.0, None), Limit("pause_share", None, 0.2)], found, task, one)
    assert (both.passed, [c.sure for c in both.conditions]) == (True, [True, False])
    assert verdict([Limit("f0_sd_st", 2.0, None), Limit("pause_share", None, 0.05)], found, task, one).passed is False
    assert verdict([Limit("f0_sd_st", 2.5, None)], found, task, one).conditions[0].sure is False
    short = verdict([Limit("f0_sd_st", 2.0, None)], found, Task(20.0), one)
    assert (short.passed, short.missing) == (None, "needs 17 s more speech")
    none = verdict([Limit("f0_sd_st", 2.0, None)], {"f0_sd_st": Measure(None, "st", None, None, 4.0, "no voice")}, task, one)
    assert (none.passed, none.missing) == (None, "no voice")


def test_what_was_told_live_is_measured_as_in_the_report() -> None:
    shown = [{"text": "we", "start_s": 0.1, "end_s": 0.3, "probability": 0.9, "kind": "word"}]
    um = [{"text": "um", "start_s": 0.9, "end_s": 1.2, "probability": 0.9, "kind": "filler"}]
    events: list[tuple[str, dict[str, Any]]] = [("state", {"language": "en"})]
    for i in range(1, 8):
        events.append(("metrics", {"at": i * 3200, "levels_dbfs": [-20.0 - i] * 10, "pitch_hz": [100.0 + i] * 10}))
    events.insert(4, ("tokens", {"committed": shown, "tentative": [], "pauses": [{"start_s": 0.3, "end_s": 0.9}]}))
    events.append(("tokens", {"committed": um, "tentative": []}))
    found = told(events)
    assert [word.text for word in found.words] == ["we", "um"]
    assert [(pause.start, pause.end) for pause in found.pauses] == [(samples(0.3), samples(0.9))]
    assert len(found.fillers) == 1
    assert found.frames.level_dbfs.size == 140
    assert (found.frames.level_dbfs[0], found.frames.level_dbfs[-1]) == (-21.0, -27.0)
    assert np.isnan(found.frames.f0_hz[-1])  # pitch is told a little later
    assert found.span == Span(samples(0.1), samples(1.2))
    assert found.language == "en"


def test_what_was_lost_is_no_silence() -> None:
    events: list[tuple[str, dict[str, Any]]] = []
    for i in range(1, 101):  # 20 s, of which 8 never came
        level = None if 30 < i <= 70 else -20.0
        events.append(("metrics", {"at": i * 3200, "levels_dbfs": [level] * 10, "pitch_hz": [None] * 10}))
    said = [s for s in range(20) if not 6 <= s < 14]
    words = [{"text": "we", "start_s": s + 0.1, "end_s": s + 0.9, "probability": 0.9, "kind": "word"} for s in said]
    found = told([*events, ("tokens", {"committed": words, "tentative": []})])
    assert int((found.frames.state == State.LOST).sum()) == 800
    assert rate_wpm(found, Span(0, samples(20))) == pytest.approx(60.0)


# chosen


def session(fluency: tuple[float, float, float], pitch: tuple[float, float, float]) -> dict[str, Any]:
    def score(dimension: str, title: str, given: tuple[float, float, float], measure: str, value: float) -> dict[str, Any]:
        low, middle, high = given
        share = {"name": measure, "value": value, "score": middle, "weight": 1.0}
        return {"dimension": dimension, "title": title, "value": middle, "low": low, "high": high, "refusal": None, "made_of": [share]}

    none = {"value": None, "low": None, "high": None}
    refused: dict[str, Any] = {"dimension": "pace", "title": "Pace", **none, "refusal": "too short", "made_of": []}
    return {
        "scores": [
            refused,
            score("pitch", "Pitch variety", pitch, "f0_sd_st", 1.6),
            score("fluency", "Fluency", fluency, "filled_pauses_per_100_words", 7.5),
        ]
    }


def talk() -> tuple[Findings, Transcript, Frames]:
    one = spoken("so we begin and here it goes on and on", [0.4 * i for i in range(10)], [(4.5, 5.0), (30.0, 30.4)])
    ums = Measure(7.5, "1/100 words", 5.0, 10.0, 30.0)
    flat = Measure(1.6, "st", None, None, 30.0)
    findings = Findings((), tuple(one.pauses), tuple(one.fillers), (), (), {"filled_pauses_per_100_words": ums, "f0_sd_st": flat}, (), {})
    return findings, Transcript(tuple(one.words), "en", 0.99), one.frames


def test_the_weakest_dimension_comes_first_with_material_of_ones_own() -> None:
    found = proposed(session((30.0, 40.0, 50.0), (50.0, 60.0, 70.0)), None, *talk())
    assert found[0]["drill"] == "filler-replacement"
    assert [clip["ums"] for clip in found[0]["material"]["clips"]] == [[[4.5, 5.0]], [[30.0, 30.4]]]
    assert found[0]["material"]["own"]["filled_pauses_per_100_words"] == 7.5
    assert "40 of 100 (30 to 50)" in found[0]["why"]
    assert {one["dimension"] for one in found[1:]} == {"pitch"}
    swapped = proposed(session((50.0, 60.0, 70.0), (30.0, 40.0, 50.0)), None, *talk())
    assert swapped[0]["dimension"] == "pitch"


def test_what_may_well_be_good_and_what_has_no_score_is_left_alone() -> None:
    assert proposed(session((40.0, 75.0, 99.0), (85.0, 90.0, 95.0)), None, *talk()) == []


def test_what_is_named_to_work_on_has_its_drill_however_sure() -> None:
    found = proposed(session((40.0, 75.0, 99.0), (85.0, 90.0, 95.0)), "fluency", *talk())
    assert [one["drill"] for one in found] == ["filler-replacement"]


# planned


def test_what_is_passed_comes_back_after_1_3_7_and_16_days_and_what_failed_tomorrow() -> None:
    day, due = 100, None
    waits = []
    for _ in range(5):
        due = following(due, day, passed=True)
        waits.append(due.day - day)
        day = due.day
    assert waits == [1, 3, 7, 16, 16]
    assert due is not None
    assert following(due, due.day - 1, passed=True) == due  # ahead of time
    assert following(due, due.day + 9, passed=True).day == due.day + 9 + 16  # overdue
    failed = following(due, day, passed=False)
    assert failed == Due(0, day + 1)
    assert following(failed, day, passed=True) == Due(1, day + 1)  # the same day


def test_a_result_moves_the_plan_once_however_often_it_is_found_again(servers: Servers) -> None:
    today = date(2030, 5, 1)

    async def work(db: Database) -> None:
        member = await orgs.ensure_local(db)

        async def attempted(tx: Tx) -> UUID:
            one = await sessions.create(tx, "d", "live", user=member.user)
            await db_drills.begin(tx, one.id, member.user, "pitch-lights", {"text_id": one.title})
            return one.id

        async with db.tenant(member.org) as tx:
            first, second, third = [await attempted(tx) for _ in range(3)]
            await db_drills.judged_live(tx, first, {"passed": False})
            assert list(await db_drills.plan(tx, member.user)) == []  # a live result settles nothing
            for _ in range(2):
                await db_drills.settle(tx, first, {"passed": True}, today)
            assert [(one.passes, one.due_on) for one in await db_drills.plan(tx, member.user)] == [(1, today + timedelta(1))]
            await db_drills.settle(tx, second, {"passed": None}, today + timedelta(1))
            await db_drills.settle(tx, third, {"passed": True}, today + timedelta(1))
            assert [(one.passes, one.due_on) for one in await db_drills.plan(tx, member.user)] == [(2, today + timedelta(4))]
            assert not await db_drills.note(tx, first, {})  # it stands
            await sessions.delete(tx, first)
            assert len(await db_drills.recent(tx, member.user)) == 2
            assert len(await db_drills.plan(tx, member.user)) == 1
            assert await db_drills.get(tx, uuid4()) is None

    with database(servers.database_url) as url:
        run(url, work)
