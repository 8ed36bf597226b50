"""A live session as its events told it, in the form that the measures of the report are made of: what is said at its end, at once."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from speech.analysis import Filler, Pause
from speech.audio import HOP, RATE_HZ, Frames, State
from speech.measures import Spoken
from speech.pauses import speaking_span
from speech.pitch import DELAY
from speech.words import Word


def told(events: Iterable[tuple[str, Mapping[str, Any]]]) -> Spoken:
    """Words, pauses, pitch and level of the events (stream, data) of one session, in order.

    Pitch and level come every 20 ms, and stand for both hops; where there is no level, sound was lost: that is no silence. Syllables,
    places of pauses and wording are not told live: measures that need them have no value.
    """
    words: list[Word] = []
    pauses: dict[int, Pause] = {}
    readings: dict[int, tuple[list[float | None], list[float | None]]] = {}
    language = ""
    for stream, data in events:
        if stream == "tokens":
            words += [_word(one) for one in data["committed"]]
            for one in data.get("pauses", ()):
                start, end = round(one["start_s"] * RATE_HZ), round(one["end_s"] * RATE_HZ)
                pauses[start] = Pause(start, end, "silent", "unknown")
        elif stream == "metrics" and "levels_dbfs" in data:
            readings[data["at"] // HOP] = (data["levels_dbfs"], data["pitch_hz"])
        elif stream == "state":
            language = data.get("language", language)
    words.sort(key=lambda word: word.start)
    fillers = tuple(Filler(word.text, word.start, word.end, "filled_pause", "recogniser") for word in words if word.kind == "filler")
    found = tuple(pauses[start] for start in sorted(pauses))
    frames = _frames(readings, words, found)
    span = speaking_span(frames.state, words, fillers)
    nothing = np.empty(0, np.int64)
    return Spoken(words, (0,) * len(words), frames, np.full(frames.state.size, np.nan), nothing, found, fillers, (), (), span, language)


def _word(one: Mapping[str, Any]) -> Word:
    return Word(one["text"], round(one["start_s"] * RATE_HZ), round(one["end_s"] * RATE_HZ), one["probability"], one["kind"])


def _frames(
    readings: Mapping[int, tuple[list[float | None], list[float | None]]], words: Iterable[Word], pauses: Iterable[Pause]
) -> Frames:
    hops = max(readings, default=0)
    f0_hz, level_dbfs = np.full(hops, np.nan, np.float32), np.full(hops, np.nan, np.float32)
    for end, (levels, pitch) in readings.items():
        for into, values, late in ((level_dbfs, levels, 0), (f0_hz, pitch, DELAY)):
            both = np.repeat(np.array(values, np.float32), 2)
            first = max(0, end - late - both.size)
            into[first : end - late] = both[both.size - (end - late - first) :]
    state = np.where(np.isfinite(level_dbfs), State.SILENCE, State.LOST).astype(np.int8)
    for word in words:
        state[word.start // HOP : -(-word.end // HOP)] = State.SPEECH
    for pause in pauses:
        state[pause.start // HOP : pause.end // HOP] = State.SILENCE
    return Frames(0, HOP, f0_hz, level_dbfs, state)
