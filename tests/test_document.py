"""analysis.json keeps its promise: the fields named in the issue, seconds, no NaN, and a schema that every document meets."""

import json
import math
from dataclasses import replace
from typing import Any

import jsonschema
import numpy as np
import pytest

from batch.document import SCHEMA_FILE, document, encoded, schema
from speech.analysis import Analysis, Measure
from speech.words import Transcript, Word
from tests import samples


def written(analysis: Analysis) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    found: dict[str, Any] = json.loads(encoded(document(analysis)), parse_constant=refuse)
    jsonschema.Draft202012Validator(json.loads(schema())).validate(found)
    return found


def test_the_schema_in_docs_is_the_one_the_types_make() -> None:
    assert SCHEMA_FILE.read_bytes() == schema(), "run: python -m batch.document"


def test_every_field_of_the_schema_is_described() -> None:
    shapes = json.loads(schema())["$defs"]
    jsonschema.Draft202012Validator.check_schema(json.loads(schema()))
    for name, shape in shapes.items():
        assert shape["description"], name
        for field, kind in shape["properties"].items():
            assert "description" in kind or "$ref" in kind or kind["type"] == "array", f"{name}.{field}"


def test_the_fields_are_named_as_the_issue_names_them() -> None:
    found = written(samples.talk())
    assert set(found["words"][0]) == {"text", "start_s", "end_s", "probability", "kind"}
    assert set(found["pauses"][0]) == {"start_s", "end_s", "kind", "place"}
    assert set(found["fillers"][0]) == {"text", "start_s", "end_s", "kind", "source"}
    assert set(found["disfluencies"][0]) == {"kind", "text", "start_s", "end_s"}
    assert set(found["language_issues"][0]) == {"category", "rule", "text", "start_s", "end_s", "reason", "suggestions"}
    assert set(found["measures"]["speech_rate_wpm"]) == {"value", "unit", "low", "high", "over_s", "why_missing"}
    assert {"audio", "versions", "language", "stretches"} <= set(found)


def test_samples_become_seconds_to_the_millisecond() -> None:
    found = written(samples.talk())
    assert found["words"][0] == {"text": "It", "start_s": 0.5, "end_s": 0.9, "probability": 0.9, "kind": "word"}
    assert [w["kind"] for w in found["words"] if w["text"] in ("um,", "fool-", "uh")] == ["filler", "fragment", "filler"]
    assert found["audio"]["duration_s"] == round(samples.recording().size / 16_000, 3)
    assert found["fillers"][0]["start_s"] == 4.5
    assert found["stretches"][3]["rate_wpm"] is None
    jitter = found["measures"]["jitter_local"]
    assert (jitter["value"], jitter["why_missing"]) == (None, "no sustained vowel of half a second was found")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_missing_with_a_reason(value: float) -> None:
    analysis = replace(samples.bare(samples.tone(1.0)), measures={"odd": Measure(value, "Hz", math.nan, math.inf, math.nan)})
    odd = written(analysis)["measures"]["odd"]
    assert odd.pop("why_missing") == "it could not be computed from this recording"
    assert odd == {"value": None, "unit": "Hz", "low": None, "high": None, "over_s": 0.0}


def test_numpy_numbers_and_odd_names_are_written_too() -> None:
    pcm = samples.tone(1.0)
    word = Word("one\nword", np.int64(1600), np.int64(4800), np.float32(0.5))  # type: ignore[arg-type]
    analysis = samples.bare(pcm, (word,), name="/somewhere/else/caf\udce9.wav")
    analysis = replace(analysis, transcript=Transcript((word,), "en", math.nan))
    found = written(analysis)
    assert found["words"] == [{"text": "one word", "start_s": 0.1, "end_s": 0.3, "probability": 0.5, "kind": "word"}]
    assert found["audio"]["name"] == "caf?.wav"
    assert found["language_probability"] == 0.0


def test_a_field_too_many_does_not_meet_the_schema() -> None:
    found = written(samples.talk())
    found["words"][0]["confidence"] = 1.0
    with pytest.raises(jsonschema.ValidationError, match="confidence"):
        jsonschema.Draft202012Validator(json.loads(schema())).validate(found)
