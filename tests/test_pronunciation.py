"""How a script was read, by the real recogniser: planted changes of the script are marked, and nothing else is."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest

from batch.analyze import Listened
from batch.pronounced import pronounced, without_words
from recognition import vad
from recognition.whisper import Recogniser
from speech import activity, prosody
from speech.analysis import Measure
from speech.audio import Floats
from speech.goodness import CLEAR
from speech.words import Transcript
from tests.test_transcribe import SENTENCES, cut, hear

# Two sentences of "A Tale of Two Cities", read by a native speaker: 8.4 s.
FIRST, SECOND = list(SENTENCES)[3:5]
TEXT = f"{SENTENCES[FIRST]} {SENTENCES[SECOND]}"


@pytest.fixture(scope="module")
def heard(recogniser: Recogniser) -> tuple[Floats, Listened, Transcript]:
    pcm = cut(FIRST[0], SECOND[1])
    probability = vad.speech_probability(pcm)
    listened = Listened(probability, prosody.analyse(pcm, ()), activity.activity(pcm, probability, ()))
    return pcm, listened, hear(recogniser, pcm).transcript


@pytest.fixture(scope="module")
def judge(recogniser: Recogniser, heard: tuple[Floats, Listened, Transcript]) -> Any:
    pcm, listened, transcript = heard

    @cache
    def judged(script: str, language: str = "en", snr_db: float = 40.0) -> Mapping[str, Any]:
        said = Transcript(transcript.words, language, 1.0)
        measures = {"snr_db": Measure(snr_db, "dB", None, None, 8.0)}
        return pronounced(lambda: recogniser, pcm, listened, said, measures, script, lambda _: None)

    return judged


def levels(found: Mapping[str, Any]) -> dict[str, str]:
    """The words that are marked."""
    return {word["text"]: word["level"] for word in found["words"] if word["level"] != "clear"}


def test_the_right_script_is_read_clearly_and_in_its_place(judge: Any) -> None:
    found = judge(TEXT)
    assert found["refusal"] is None
    assert levels(found) == {}
    assert found["completeness"]["value"] == 1.0
    assert found["accuracy"]["value"] >= 0.9  # a swallowed "the" is heard as "a", and passes all the same
    assert found["added"] == found["again"] == []
    assert [word["text"] for word in found["words"]] == TEXT.split()
    starts = [word["start_s"] for word in found["words"]]
    assert starts == sorted(starts)
    assert 4.0 <= starts[12] <= 4.6  # the second sentence


@pytest.mark.parametrize(("word", "other"), [("spring", "string"), ("despair", "repair"), ("winter", "winner")])
def test_another_word_in_the_script_is_marked_and_the_others_stay(judge: Any, word: str, other: str) -> None:
    right, found = judge(TEXT), judge(TEXT.replace(word, other, 1))
    marked = levels(found)
    assert list(marked) == [other]
    assert marked[other] in ("other", "unsure")
    pairs = [(a["goodness"], b["goodness"]) for a, b in zip(right["words"], found["words"], strict=True) if b["text"] != other]
    assert all(b >= CLEAR for _, b in pairs)
    assert next(b["heard"] for b in found["words"] if b["text"] == other).strip(".,").lower() == word


def test_a_word_that_was_not_said_is_left_out_and_one_that_was_is_added(judge: Any) -> None:
    found = judge(TEXT.replace("spring of", "early spring", 1))
    assert levels(found) == {"early": "left_out"}
    assert [word["text"].lower() for word in found["added"]] == ["of"]
    assert found["completeness"]["value"] == pytest.approx(1 - 1 / len(TEXT.split()))


def test_another_script_is_said_to_be_another(judge: Any) -> None:
    other = "Four score and seven years ago our fathers brought forth on this continent a new nation conceived in liberty and dedicated"
    assert judge(other) == {"refusal": "too little of what was said was recognised as this script: is it the right one?"}


def test_where_it_cannot_be_had_there_is_a_reason_and_no_score(judge: Any) -> None:
    assert judge(TEXT, language="de") == {"refusal": "only English is judged"}
    assert "too loud" in judge(TEXT, snr_db=4.0)["refusal"]
    assert judge("It was a season of light, it was a")["refusal"] == "needs 10 words of the script to be read, and 9 were"
    assert "at most" in judge("word " * 6000)["refusal"]


def test_what_was_heard_is_kept_from_a_session_with_hidden_names(judge: Any) -> None:
    hidden = without_words(judge(TEXT.replace("spring", "string", 1)))
    assert all(word["heard"] is None for word in hidden["words"])
    assert hidden["words"][0]["goodness"] is not None
    assert without_words({"refusal": "r"}) == {"refusal": "r"}
