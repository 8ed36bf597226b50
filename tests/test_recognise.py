"""A live window: cut anywhere, alone or in company, in a language known or not, and with nobody speaking in it."""

import asyncio
import threading
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from config.settings import Settings
from recognition import vad
from recognition.whisper import Recogniser
from speech import activity, filled_pauses, prosody
from speech.agreement import Window
from speech.audio import RATE_HZ, Floats, Span
from speech.pauses import silences
from stream_pipeline.asking import Answer, Ask
from stream_pipeline.asr import Asr
from stream_pipeline.recognise import recognise
from tests.samples import recording
from tests.signals import active_rms, chords, clicks, hum, pink, vowel, white

FIRST = "it was the best of times it was the worst of times"
SECOND = "it was the age of wisdom it was the age of foolishness"


@lru_cache(maxsize=1)
def signs(sound: bytes) -> tuple[Floats, list[Span], list[Span]]:
    """Of a sound how probable speech is, its silences and where it is held."""
    pcm = np.frombuffer(sound, np.float32)
    likely = vad.speech_probability(pcm)
    state = activity.activity(pcm, likely, ())
    return likely, silences(state, 960), filled_pauses.candidates(pcm, prosody.analyse(pcm, ()).f0_hz, state)


def ask(pcm: Floats, start_s: float = 0.0, end_s: float | None = None, final: bool = True, language: str | None = "en") -> Ask:
    """A stretch of a sound as the live session asks for it."""
    start, end = round(start_s * RATE_HZ), pcm.size if end_s is None else round(end_s * RATE_HZ)
    likely, quiet, held = signs(pcm.tobytes())
    first, last = max(0, start // 512 - 6), -(-end // 512) + 6
    return Ask(
        Window(start, end, final),
        pcm[start:end],
        likely[first:last],
        first * 512,
        tuple(Span(max(s.start, start), min(s.end, end)) for s in quiet if s.end > start and s.start < end),
        tuple(s for s in held if s.start >= start and s.end <= end),
        language,
        end,
    )


def bare(answer: Answer) -> str:
    return "".join(c for c in " ".join(w.text for w in answer.words).lower() if c.isalpha() or c == " ")


# words


def test_a_window_gives_its_words_on_the_clock_of_the_session(recogniser: Recogniser) -> None:
    (answer,) = recognise(recogniser, [ask(recording(), 4.8, 8.5)])
    assert bare(answer) == SECOND
    assert (answer.language, answer.language_probability) == ("en", 1.0)
    assert answer.words[0].start >= 4.8 * RATE_HZ
    assert answer.words[-1].end <= 8.5 * RATE_HZ
    assert all(a.end <= b.start and a.start < a.end for a, b in zip(answer.words, answer.words[1:], strict=False))


@pytest.mark.parametrize("end_s", [2.05, 2.9, 3.6])
def test_a_window_that_cuts_a_word_adds_none(recogniser: Recogniser, end_s: float) -> None:
    (answer,) = recognise(recogniser, [ask(recording(), 1.0, end_s, final=False)])
    heard = bare(answer).split()
    assert heard[:-1] == FIRST.split()[: len(heard) - 1]  # the last may be half a word
    assert len(heard) >= 3


@pytest.mark.parametrize("before_s", [0.0, 0.1, 0.2])
def test_a_window_may_begin_right_before_a_word(recogniser: Recogniser, before_s: float) -> None:
    (whole,) = recognise(recogniser, [ask(recording(), 1.0, 8.5)])
    wisdom = next(w for w in whole.words if w.text.lower().startswith("wisdom"))
    (answer,) = recognise(recogniser, [ask(recording(), wisdom.start / RATE_HZ - before_s, 8.5)])
    assert bare(answer).endswith("wisdom it was the age of foolishness")
    assert len(bare(answer).split()) <= 8  # and nothing more than the rest of the word before it


def test_company_changes_nothing(recogniser: Recogniser) -> None:
    asks = [
        ask(recording(), 1.0, 4.75),
        ask(recording(), 4.8, 12.9, final=False),  # padded further
        ask(recording(), 13.2, 15.1, final=False),
        ask(recording(), 21.5, 28.0, language=None),  # longer, and so with more tokens to come
    ]
    alone = [recognise(recogniser, [one])[0] for one in asks]
    assert all(one.words for one in alone)
    assert recognise(recogniser, asks[::-1]) == alone[::-1]


def test_a_window_alone_in_its_language_is_detected(recogniser: Recogniser) -> None:
    (answer,) = recognise(recogniser, [ask(recording(), 1.0, 8.5, language=None)])
    assert answer.language == "en"
    assert 0.5 < answer.language_probability <= 1.0
    assert bare(answer).startswith("it was the best of times")


def test_another_language_than_the_session_s_is_noticed(recogniser: Recogniser) -> None:
    # An English television beside a session in German: the recogniser would translate it.
    (answer,) = recognise(recogniser, [ask(recording(), 1.0, 8.5, language="de")])
    assert answer.foreign > 0
    (answer,) = recognise(recogniser, [ask(recording(), 1.0, 8.5)])
    assert answer.foreign < 0


def test_a_filled_pause_that_the_text_lacks_is_asked_for(recogniser: Recogniser) -> None:
    pcm = recording()[RATE_HZ : round(8.5 * RATE_HZ)].copy()
    uh = vowel(115.0 * np.linspace(1.03, 0.95, round(0.4 * RATE_HZ)), sound="schwa").pcm
    uh *= np.float32(active_rms(pcm) / active_rms(uh))
    at = round(3.7 * RATE_HZ)  # between two sentences
    quiet = np.random.default_rng(5).normal(0, 1.1e-3, RATE_HZ // 6).astype(np.float32)
    (answer,) = recognise(recogniser, [ask(np.concatenate((pcm[:at], quiet, uh, quiet, pcm[at:])))])
    spoken = replace(answer, words=tuple(w for w in answer.words if w.kind != "filler"))
    assert bare(spoken) == f"{FIRST} {SECOND}"
    for filler in (w for w in answer.words if w.kind == "filler"):
        assert at < filler.end
        assert filler.start < at + uh.size + 2 * quiet.size


# where nobody speaks


N = 6 * RATE_HZ
NOISES: dict[str, Floats] = {
    "nothing": np.zeros(0, np.float32),
    "a sample": np.zeros(1, np.float32),
    "digital silence": np.zeros(N, np.float32),
    "white noise": (0.05 * white(N, seed=1)).astype(np.float32),
    "pink noise": (0.05 * pink(N, seed=1)).astype(np.float32),
    "music": (0.1 * chords(N, seed=1)).astype(np.float32),
    "a keyboard": (0.05 * clicks(N, seed=1)).astype(np.float32),
    "hum": (0.05 * hum(N)).astype(np.float32),
}


@pytest.mark.parametrize("noise", NOISES)
def test_nothing_is_invented_where_nobody_speaks(recogniser: Recogniser, noise: str) -> None:
    pcm = NOISES[noise]
    fooled = np.full(-(-pcm.size // 512), 0.9, np.float32)  # the judge of speech
    one = Ask(Window(0, pcm.size, False), pcm, fooled, 0, (), (), "en", pcm.size)
    assert recognise(recogniser, [one])[0].words == ()


def test_what_the_judge_of_speech_does_not_hear_is_not_recognised(recogniser: Recogniser) -> None:
    one = ask(recording(), 1.0, 4.75)
    deaf = replace(one, probability=np.zeros_like(one.probability))
    assert recognise(recogniser, [deaf])[0] == Answer((), "en", 1.0)


def test_more_than_the_recogniser_can_take_is_refused(recogniser: Recogniser) -> None:
    pcm = np.zeros(30 * RATE_HZ + 1, np.float32)
    loud = np.ones(-(-pcm.size // 512), np.float32)
    with pytest.raises(ValueError, match="480001"):
        recognise(recogniser, [Ask(Window(0, pcm.size, True), pcm, loud, 0, (), (), "en", pcm.size)])


# of a whole process


def test_opened_with_the_settings_it_answers(data_folder: Path) -> None:
    async def run() -> Answer | None:
        async with Asr.open(Settings(data=data_folder, asr_model="bundled", device="cpu", threads=2)) as asr:
            assert not asr.full
            assert asr.pace.degraded is None
            return await asr.recognise("one", ask(recording(), 1.0, 4.75))

    before = threading.active_count()
    answer = asyncio.run(run())
    assert answer is not None
    assert bare(answer) == FIRST
    assert threading.active_count() == before
