"""Rubrics: those we ship make sense, and one that does not is refused with what is wrong."""

from itertools import pairwise

import msgspec
import pytest

from config.rubrics import DEFAULT, FOLDER, Rubric, digest, read, rubrics
from speech.evidence import _EVENTS, _STRETCHES
from speech.measures import measure_names

TALK = (FOLDER / "talk.toml").read_text(encoding="utf-8")


def test_the_default_comes_first_and_each_file_is_a_rubric() -> None:
    found = rubrics()
    assert next(iter(found)) == DEFAULT
    assert set(found) == {path.stem for path in FOLDER.iterdir()} == {"talk", "interview", "read-aloud", "language-learner"}
    assert len({one.digest for one in found.values()} | {digest()}) == len(found) + 1


@pytest.mark.parametrize("rubric", rubrics().values(), ids=rubrics())
def test_a_rubric_is_made_of_measures_there_are(rubric: Rubric) -> None:
    terms = [term for dimension in rubric.dimensions for term in dimension.terms]
    assert {term.measure for term in terms} <= set(measure_names())
    assert len({term.measure for term in terms}) == len(terms)  # none counts twice
    for term in terms:
        assert all(a < b for (a, _), (b, _) in pairwise(term.points))
        assert max(score for _, score in term.points) == 100


def test_what_is_like_another_takes_over_what_it_does_not_say() -> None:
    talk, reading = rubrics()["talk"], rubrics()["read-aloud"]
    of = {dimension.id: dimension for dimension in talk.dimensions}
    assert [dimension.id for dimension in reading.dimensions] == [name for name in of if name not in ("language", "vocabulary")]
    own = [dimension.id for dimension in reading.dimensions if dimension != of[dimension.id]]
    assert own == ["pace", "fluency"]


def test_evidence_is_known_for_measures_there_are() -> None:
    assert set(_EVENTS) | set(_STRETCHES) <= set(measure_names())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TALK.replace("[[60, 0], [110, 70]", "[[60, 0], [60, 70]"), "growing in value"),
        (TALK.replace("[110, 70]", "[110, 170]", 1), "<= 100"),
        (TALK.replace("weight = 1.5", "weight = 0.0"), "> 0"),
        (TALK.replace('id = "pausing"', 'id = "pace"'), "an id of its own"),
        (TALK.replace('title = "Pausing"', 'titel = "Pausing"'), "titel"),
        (TALK.replace('name = "talk"', 'name = "speech"'), "its file says speech"),
        (TALK.replace('about = "', 'without = ["pitch"]\nabout = "'), "without pitch"),
        (TALK.replace('measure = "trailing_off_db"', 'measure = "level_range_db"'), "a measure of its own"),
        ("name = ", "Invalid value"),
    ],
)
def test_what_is_wrong_is_said(text: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        read({"talk": text})


def test_another_point_is_another_digest() -> None:
    changed = read({"talk": TALK.replace("[110, 70]", "[110, 71]", 1)})["talk"]
    assert changed.digest != rubrics()["talk"].digest
    assert msgspec.structs.replace(changed, dimensions=rubrics()["talk"].dimensions).digest == rubrics()["talk"].digest
