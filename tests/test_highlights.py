"""What is said first: what went well and the one thing to work on, chosen by what is sure, in words made of what was measured."""

from typing import Any

from batch.highlights import PHRASES, highlights
from config.rubrics import rubrics

TALK = rubrics()["talk"]


def given(dimension: str, value: float, half: float, **measured: tuple[float, float]) -> dict[str, Any]:
    """measured: (value, score) of each measure."""
    of = {one.id: one for one in TALK.dimensions}[dimension]
    made_of = [{"name": name, "value": number, "score": score, "weight": 1 / len(measured)} for name, (number, score) in measured.items()]
    ends = {"value": value, "low": max(0.0, value - half), "high": min(100.0, value + half), "refusal": None}
    return {"dimension": dimension, "title": of.title, "weight": of.weight, **ends, "made_of": made_of}


def refused(dimension: str, reason: str) -> dict[str, Any]:
    return {"dimension": dimension, "title": dimension, "weight": 1.0, "value": None, "low": None, "high": None} | {
        "refusal": reason,
        "made_of": [],
    }


def said(*scores: dict[str, Any]) -> dict[str, Any]:
    return highlights({"scores": list(scores)}, TALK)


def test_what_went_well_and_what_to_work_on_are_said_with_their_numbers() -> None:
    found = said(
        given("pace", 98, 1, speech_rate_wpm=(152.3, 98)),
        given("fluency", 45, 5, filled_pauses_per_100_words=(5.23, 40), repetitions_per_100_words=(0.1, 98)),
    )
    assert found["well"]["sentence"] == "Pace went well: 152 words a minute."
    assert found["work_on"]["sentence"] == "Work on fluency: 5.2 filled pauses (um, uh) per 100 words; aim for 1.5 or less."
    assert found["work_on"]["facts"]["measure"] == "filled_pauses_per_100_words"
    assert found["needs"] is None


def test_an_aim_is_where_the_rubric_says_good_on_the_side_it_is_missed() -> None:
    high = given("clarity", 95, 1, unclear_words_per_100_words=(1.0, 97))
    slow = said(high, given("pace", 60, 5, speech_rate_wpm=(100.0, 60)))["work_on"]["sentence"]
    fast = said(high, given("pace", 60, 5, speech_rate_wpm=(235.0, 60)))["work_on"]["sentence"]
    assert slow == "Work on pace: 100 words a minute; aim for 126 or more."
    assert fast == "Work on pace: 235 words a minute; aim for 206 or less."
    fall = said(high, given("loudness", 30, 5, trailing_off_db=(-14.0, 30)))["work_on"]["sentence"]
    assert fall == "Work on loudness and projection: phrases that fall by 14.0 dB to their end; aim for 7.0 or less."


def test_what_is_sure_counts_and_not_what_may_be() -> None:
    unsure = given("pitch", 90, 40, f0_sd_st=(3.0, 90))
    steady = given("pace", 85, 2, speech_rate_wpm=(130.0, 85))
    low = given("clarity", 60, 35, unclear_words_per_100_words=(9.0, 60))
    lower = given("pausing", 65, 3, pauses_at_clause_ends_share=(0.6, 65))
    found = said(unsure, steady, low, lower)
    assert found["well"]["dimension"] == "pace"
    assert found["work_on"]["dimension"] == "pausing"


def test_weight_decides_between_equal_gaps() -> None:
    good = given("pace", 95, 1, speech_rate_wpm=(150.0, 95))
    light = given("vocabulary", 50, 2, mattr_50=(0.65, 50))
    heavy = given("fluency", 55, 2, filled_pauses_per_100_words=(4.0, 55))
    assert said(good, light, heavy)["work_on"]["dimension"] == "fluency"


def test_where_all_is_good_there_is_nothing_to_work_on() -> None:
    found = said(given("pace", 98, 1, speech_rate_wpm=(152.0, 98)), given("pitch", 93, 4, f0_sd_st=(3.2, 93)))
    assert (found["well"]["dimension"], found["work_on"]) == ("pace", None)


def test_one_score_is_either_good_or_to_be_worked_on() -> None:
    poor = said(given("pace", 40, 5, speech_rate_wpm=(85.0, 40)))
    assert (poor["well"], poor["work_on"]["dimension"]) == (None, "pace")
    good = said(given("pace", 80, 5, speech_rate_wpm=(120.0, 80)))
    assert (good["well"]["dimension"], good["work_on"]) == ("pace", None)


def test_what_is_best_but_not_good_is_not_praised() -> None:
    found = said(given("pace", 40, 5, speech_rate_wpm=(85.0, 40)), given("pitch", 10, 5, f0_sd_st=(0.8, 10)))
    assert found["well"]["sentence"] == "Pace went best: 85 words a minute."


def test_where_all_is_refused_it_is_said_what_would_lift_it() -> None:
    found = said(refused("pace", "needs 38 s more speech"), refused("pitch", "needs 38 s more speech"), refused("x", "other"))
    assert found["needs"] == "There is no score yet: this needs 38 s more speech."
    assert (found["well"], found["work_on"]) == (None, None)
    assert said(refused("pace", "defined for English only"))["needs"] == "There is no score: defined for English only."


def test_every_measure_that_is_scored_can_be_said() -> None:
    scored = {term.measure for rubric in rubrics().values() for dimension in rubric.dimensions for term in dimension.terms}
    assert scored <= set(PHRASES)
