"""From sound to words: a text everybody knows, planted silences, noises in which nobody speaks, and texts that were cut short."""

from dataclasses import replace
from itertools import pairwise

import jiwer
import numpy as np
import pytest

from batch.transcribe import transcribe
from recognition import vad
from recognition.whisper import Decoded, Encoded, Recogniser
from speech import activity, filled_pauses, prosody
from speech.audio import RATE_HZ, Floats
from speech.pauses import silences
from speech.words import Heard, Word
from tests.samples import recording
from tests.signals import active_rms, chords, clicks, hum, pink, vowel, white

# What is read in two_cities.wav: the opening of "A Tale of Two Cities" (Charles Dickens, 1859).
DICKENS = """
    It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness, it was the epoch of
    belief, it was the epoch of incredulity, it was the season of Light, it was the season of Darkness, it was the spring of hope, it was
    the winter of despair, we had everything before us, we had nothing before us, we were all going direct to Heaven, we were all going
    direct the other way - in short, the period was so far like the present period, that some of its noisiest authorities insisted on its
    being received, for good or for evil, in the superlative degree of comparison only.
"""
# Where each of its first sentences lies in the recording, with a little of the silence around it; and what it says.
SENTENCES = {
    (1.0, 4.75): "it was the best of times it was the worst of times",
    (4.8, 8.5): "it was the age of wisdom it was the age of foolishness",
    (8.6, 13.1): "it was the epoch of belief it was the epoch of incredulity",
    (13.2, 17.1): "it was the season of light it was the season of darkness",
    (17.3, 20.85): "it was the spring of hope it was the winter of despair",
}
GAPS_S = (3.0, 1.0, 2.0, 3.0)
SECOND_S = 10.0


def bare(words: tuple[Word, ...] | list[Word] | str) -> str:
    text = words if isinstance(words, str) else " ".join(w.text for w in words)
    return " ".join("".join(c for c in text.lower() if c.isalpha() or c in " '\n").split())


def hear(recogniser: Recogniser, pcm: Floats, workers: int = 2, probability: Floats | None = None, language: str | None = None) -> Heard:
    """As the analysis does it. probability: in place of the judge of speech."""
    likely = vad.speech_probability(pcm) if probability is None else probability
    f0_hz = prosody.analyse(pcm, ()).f0_hz
    state = activity.activity(pcm, likely, ())
    held = filled_pauses.candidates(pcm, f0_hz, state)
    return transcribe(recogniser, pcm, likely, silences(state, 800), held, workers, lambda _: None, language)


def room(seconds: float, seed: int = 5) -> Floats:
    """A quiet room, -59 dBFS as the reader's."""
    return np.random.default_rng(seed).normal(0, 1.1e-3, round(seconds * RATE_HZ)).astype(np.float32)


def cut(start_s: float, end_s: float) -> Floats:
    return recording()[round(start_s * RATE_HZ) : round(end_s * RATE_HZ)]


def onset(pcm: Floats) -> int:
    """The first 10 ms above -47 dBFS: the reader's room is at -59, his breaths stay below -52."""
    power = (pcm[: pcm.size // 160 * 160].reshape(-1, 160) ** 2).mean(1)
    return int(np.argmax(power > 10**-4.7)) * 160


# a known text


@pytest.fixture(scope="module")
def dickens(recogniser: Recogniser) -> Heard:
    return hear(recogniser, recording())


def test_a_well_known_text_comes_back(dickens: Heard) -> None:
    assert jiwer.wer(bare(DICKENS), bare(dickens.transcript.words)) <= 0.05
    assert dickens.transcript.language == "en"
    assert dickens.transcript.language_probability > 0.8


def test_a_language_that_is_known_is_not_detected(recogniser: Recogniser) -> None:
    sentence = cut(*next(iter(SENTENCES)))
    found = {language: hear(recogniser, sentence, language=language).transcript for language in ("en", "de", None)}
    assert [(one.language, one.language_probability == 1.0) for one in found.values()] == [("en", True), ("de", True), ("en", False)]
    assert found["en"].words == found[None].words


def test_read_speech_has_no_fillers(dickens: Heard) -> None:
    assert dickens.second_opinion == ()
    assert {w.kind for w in dickens.transcript.words} == {"word"}


def test_times_rise_and_stay_inside_the_sound(dickens: Heard) -> None:
    words = dickens.transcript.words
    assert all(0 <= w.start < w.end <= recording().size for w in words)
    assert all(a.end <= b.start for a, b in pairwise(words))
    assert all(0.0 <= w.probability <= 1.0 for w in words)
    assert all(type(w.start) is int and type(w.end) is int and type(w.probability) is float for w in words)


# planted silences


@pytest.fixture(scope="module")
def apart() -> tuple[Floats, list[int]]:
    """Five sentences with seconds of silence between them, and where the sound of each begins."""
    parts = [room(0.5)]
    starts = []
    for span, gap_s in zip(SENTENCES, (*GAPS_S, 0.5), strict=True):
        starts.append(sum(p.size for p in parts) + onset(cut(*span)))
        parts += [cut(*span), room(gap_s)]
    return np.concatenate(parts), starts


@pytest.fixture(scope="module")
def heard_apart(recogniser: Recogniser, apart: tuple[Floats, list[int]]) -> Heard:
    return hear(recogniser, apart[0])


def test_sentences_seconds_apart_are_all_kept(heard_apart: Heard) -> None:
    assert jiwer.wer(" ".join(SENTENCES.values()), bare(heard_apart.transcript.words)) <= 0.02  # one word may be another, none is lost
    assert len(heard_apart.transcript.words) == len(" ".join(SENTENCES.values()).split())


def test_each_sentence_begins_where_its_sound_does(heard_apart: Heard, apart: tuple[Floats, list[int]]) -> None:
    words = heard_apart.transcript.words
    firsts = np.cumsum([0, *(len(text.split()) for text in SENTENCES.values())])[:-1]
    off_ms = [1000 * (words[first].start - start) / RATE_HZ for first, start in zip(firsts, apart[1], strict=True)]
    assert max(map(abs, off_ms)) <= 80, off_ms


def test_no_word_lies_in_a_planted_silence(heard_apart: Heard, apart: tuple[Floats, list[int]]) -> None:
    for previous, start in pairwise([None, *apart[1]]):
        silent = (start or 0) - round(0.9 * RATE_HZ), (start or 0) - round(0.1 * RATE_HZ)
        assert previous is None or not any(w.start < silent[1] and w.end > silent[0] for w in heard_apart.transcript.words)


def test_the_same_sound_gives_the_same_words_with_any_number_of_workers(
    recogniser: Recogniser, apart: tuple[Floats, list[int]], heard_apart: Heard
) -> None:
    assert hear(recogniser, apart[0], workers=1) == heard_apart


def test_progress_rises_to_the_end(recogniser: Recogniser) -> None:
    pcm = np.concatenate((room(0.3), cut(1.0, 4.75)))
    told: list[float] = []
    transcribe(recogniser, pcm, vad.speech_probability(pcm), [], [], 1, told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0


# where nobody speaks


N = round(SECOND_S * RATE_HZ)
NOISES: dict[str, Floats] = {
    "nothing": np.zeros(0, np.float32),
    "digital silence": np.zeros(N, np.float32),
    "a quiet room": room(SECOND_S),
    "white noise": (0.05 * white(N, seed=1)).astype(np.float32),
    "pink noise": (0.05 * pink(N, seed=1)).astype(np.float32),
    "music": (0.1 * chords(N, seed=1)).astype(np.float32),
    "a keyboard": (0.05 * clicks(N, seed=1)).astype(np.float32),
    "hum": (0.05 * hum(N)).astype(np.float32),
}


@pytest.mark.parametrize("noise", NOISES)
def test_nothing_is_invented_where_nobody_speaks(recogniser: Recogniser, noise: str) -> None:
    assert hear(recogniser, NOISES[noise]).transcript.words == ()


@pytest.mark.parametrize("noise", ["digital silence", "hum", "white noise"])
def test_nothing_is_invented_even_where_the_judge_of_speech_is_fooled(recogniser: Recogniser, noise: str) -> None:
    pcm = NOISES[noise][: 4 * RATE_HZ]
    assert hear(recogniser, pcm, probability=np.full(-(-pcm.size // 512), 0.9, np.float32)).transcript.words == ()


@pytest.mark.parametrize("noise", ["a keyboard", "music"])
def test_noise_after_a_sentence_adds_no_words(recogniser: Recogniser, noise: str) -> None:
    span, text = next(iter(SENTENCES.items()))
    loud = NOISES[noise][: 6 * RATE_HZ]
    pcm = np.concatenate((room(0.5), cut(*span), loud * np.float32(0.5 * active_rms(cut(*span)) / active_rms(loud))))
    assert bare(hear(recogniser, pcm).transcript.words) == text


# filled pauses


def test_a_planted_uh_costs_no_word(recogniser: Recogniser) -> None:
    (first, said), (second, said_next), *_ = SENTENCES.items()
    uh = vowel(115.0 * np.linspace(1.03, 0.95, round(0.4 * RATE_HZ)), sound="schwa").pcm
    uh *= np.minimum(1, np.minimum(np.arange(uh.size), np.arange(uh.size)[::-1]) / 400).astype(np.float32)
    uh *= np.float32(active_rms(recording()) / active_rms(uh))
    before = np.concatenate((room(0.5), cut(first[0], 4.6), room(0.15)))
    heard = hear(recogniser, np.concatenate((before, uh, room(0.15), cut(5.0, second[1]), room(0.5))))
    assert bare([w for w in heard.transcript.words if w.kind != "filler"]) == f"{said} {said_next}"
    for filler in (w for w in heard.transcript.words if w.kind == "filler"):  # a synthetic uh may or may not pass for one
        assert filler.start < before.size + uh.size
        assert filler.end > before.size


# mending


class Hasty(Recogniser):
    """A recogniser that stops half way through every window of more than 6 s, as Whisper does now and then."""

    def decode(self, encoded: Encoded, language: str) -> list[Decoded]:
        return [
            replace(d, tokens=d.tokens[: len(d.tokens) // 2]) if samples > 6 * RATE_HZ else d
            for d, samples in zip(super().decode(encoded, language), encoded.samples, strict=True)
        ]


def test_a_text_that_was_cut_short_is_completed(recogniser: Recogniser) -> None:
    hasty = object.__new__(Hasty)
    hasty.__dict__.update(recogniser.__dict__)  # the same weights
    pcm = np.concatenate((room(0.5), cut(1.0, 8.5), room(0.5)))
    said, said_next, *_ = SENTENCES.values()
    encoded = hasty.encode([pcm])
    heard_once = hasty.place(encoded, hasty.decode(encoded, "en"), "en")[0]
    assert len(heard_once) < 15  # of 24: the fault is there
    assert bare(hear(hasty, pcm).transcript.words) == f"{said} {said_next}"
