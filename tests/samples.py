"""Analyses made by hand: what is in them is known, whatever the recogniser would say."""

import importlib.util
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np

from speech.analysis import Analysis, AudioFacts, Disfluency, Filler, LanguageIssue, Measure, Pause, Stretch
from speech.audio import HOP, RATE_HZ, Floats, Frames, State
from speech.words import Transcript, Word, WordKind

TEXT = (
    "It was the best of times, it was, um, it was the worst of times. It was the age of wisdom, you know, the age of fool- "
    "foolishness. It was the epoch of belief, it was the epoch of uh incredulity, it was the season of light, it was the season of "
    "darkness. It was the spring of hope, it was the winter of despair."
)
SPEECH = TEXT.split()


def samples(at_s: float) -> int:
    """Seconds as a sample index."""
    return round(at_s * RATE_HZ)


@cache
def recording() -> Floats:
    """44 s of read speech, 16 kHz."""
    spec = importlib.util.find_spec("moonshine_voice")
    assert spec is not None
    assert spec.origin is not None
    blocks: list[Floats] = []
    with av.open(str(Path(spec.origin).parent / "assets" / "two_cities.wav")) as container:
        resampler = av.AudioResampler("fltp", "mono", RATE_HZ)
        for frame in container.decode(audio=0):
            blocks += [block.to_ndarray()[0] for block in resampler.resample(frame)]
    return np.concatenate(blocks, dtype=np.float32)


def tone(length_s: float) -> Floats:
    """A quiet 220 Hz tone."""
    at = np.arange(samples(length_s))
    return np.asarray(0.1 * np.sin(2 * np.pi * 220 / RATE_HZ * at), dtype=np.float32)


def frames(pcm: Floats) -> Frames:
    """Planted prosody: two of three seconds voiced around 140 Hz, then a second of silence; the second second of hop 500 is lost."""
    at_s = (np.arange(pcm.size // HOP) + 0.5) * HOP / RATE_HZ
    voiced = at_s % 3 < 2
    f0_hz = np.where(voiced, 140 * 2 ** (4 * np.sin(at_s * 2.1) * np.sin(at_s * 0.37) / 12), np.nan).astype(np.float32)
    level_dbfs = np.where(voiced, -22 + 3 * np.sin(at_s * 5), -61.0).astype(np.float32)
    state = np.where(voiced, State.SPEECH, State.SILENCE).astype(np.int8)
    lost = (at_s >= 5) & (at_s < 5.2)
    f0_hz[lost] = level_dbfs[lost] = np.nan
    state[lost] = State.LOST
    return Frames(0, HOP, f0_hz, level_dbfs, state)


def kind(text: str) -> WordKind:
    """The kind that a planted word has."""
    if text.strip(",.") in {"um", "uh"}:
        return "filler"
    return "fragment" if text.endswith("-") else "word"


def spoken(texts: list[str], first_s: float = 0.5, each_s: float = 0.5, long_pause_after: int = 16) -> tuple[Word, ...]:
    """Words of 0.4 s every half second, with 2.5 s between each `long_pause_after` of them."""
    found = []
    for index, text in enumerate(texts):
        start_s = first_s + index * each_s + (index // long_pause_after) * 2.1
        found.append(Word(text, samples(start_s), samples(start_s + 0.4), 0.9, kind(text)))
    return tuple(found)


def facts(pcm: Floats, name: str = "two_cities.wav", warnings: tuple[str, ...] = ()) -> AudioFacts:
    """A plain WAV file of that sound."""
    return AudioFacts(name, "ab" * 32, "wav", "pcm_s16le", 48_000, 1, pcm.size, warnings)


MEASURES = {
    "speech_rate_wpm": Measure(158.4, "wpm", 149.1, 166.9, 44.4),
    "speech_rate_syl_s": Measure(3.61, "syl/s", 3.4, 3.83, 44.4),
    "articulation_rate_syl_s": Measure(4.87, "syl/s", 4.66, 5.1, 34.2),
    "phonation_ratio": Measure(0.742, "ratio", 0.7, 0.79, 44.4),
    "mean_length_of_run_syl": Measure(9.4, "syl", 7.2, 11.6, 44.4),
    "pauses_per_min": Measure(15.2, "/min", 11.0, 19.5, 44.4),
    "pause_mean_s": Measure(0.82, "s", None, None, 44.4),
    "pause_longest_s": Measure(2.5, "s", None, None, 44.4),
    "pause_share": Measure(0.258, "ratio", 0.21, 0.3, 44.4),
    "f0_median_hz": Measure(140.2, "Hz", 136.0, 144.1, 28.0),
    "f0_span_st": Measure(6.8, "st", 5.9, 7.6, 28.0),
    "pvq": Measure(0.18, "ratio", None, None, 28.0),
    "loudness_lufs": Measure(-23.4, "LUFS", None, None, 44.4),
    "level_range_db": Measure(9.7, "dB", 8.4, 11.0, 34.2),
    "filled_pauses_per_min": Measure(2.7, "/min", 0.9, 4.6, 44.4),
    "filled_pauses_per_100_words": Measure(3.1, "/100 words", 1.0, 5.2, 44.4),
    "discourse_markers_per_100_words": Measure(1.5, "/100 words", 0.2, 2.9, 44.4),
    "jitter_local": Measure(None, "ratio", None, None, 0.0, "no sustained vowel of half a second was found"),
    "snr_db": Measure(41.0, "dB", None, None, 44.4),
    "rhythm_npvi": Measure(52.31, "npvi", None, None, 44.4),  # a name the page has no entry for
}


def talk() -> Analysis:
    """Everything once: fillers, a fragment, a false start, issues, pauses of every kind, lost audio."""
    pcm = recording()
    words = spoken(SPEECH)
    where = dict(zip(SPEECH, words, strict=True))
    um, uh, fragment = where["um,"], where["uh"], where["fool-"]
    silences = [
        Pause(before.end, after.start, "silent", "between_clauses" if before.text.endswith((".", ",")) else "within_clause")
        for before, after in pairwise(words)
    ]
    return Analysis(
        audio=facts(pcm, warnings=("The sound is clipped in 12 places; loudness and level range are too low there.",)),
        transcript=Transcript(words, "en", 0.9876),
        frames=frames(pcm),
        pauses=tuple(sorted([*silences, Pause(um.start, um.end, "filled", "within_clause")], key=lambda p: (p.start, p.end))),
        fillers=(
            Filler("um,", um.start, um.end, "filled_pause", "recogniser"),
            Filler("you know,", where["you"].start, where["know,"].end, "discourse_marker", "syntax"),
            Filler("uh", uh.start, uh.end, "filled_pause", "second_opinion"),
        ),
        disfluencies=(
            Disfluency("repetition", "it was,", words[6].start, words[7].end),
            Disfluency("false_start", "fool-", fragment.start, fragment.end),
        ),
        language_issues=(
            LanguageIssue(
                "weak_word",
                "weak_word.best",
                "best of times",
                words[3].start,
                words[5].end,
                "A superlative says little without a comparison.",
                ("finest years", ""),
            ),
            LanguageIssue("hedge", "hedge.you_know", "you know", where["you"].start, where["know,"].end, "It weakens the claim.", ()),
        ),
        measures=dict(MEASURES),
        stretches=tuple(
            Stretch(
                samples(at_s), samples(at_s + 10), 150 + 6.0 * index, 4.8, 0.2 + 0.02 * index, 140.0, 6.0 + index % 3, -22.0 + index % 2
            )
            if index != 3
            else Stretch(samples(at_s), samples(at_s + 10), None, None, None, None, None, None)
            for index, at_s in enumerate(range(0, 35, 5))
        ),
        versions={"elocute": "0.1.0", "asr_model": "whisper-base d01c3014", "metrics": "1"},
    )


def bare(pcm: Floats, words: tuple[Word, ...] = (), name: str = "tone.wav", language: str = "en") -> Analysis:
    """An analysis with these words and nothing else."""
    missing = {"speech_rate_wpm": Measure(None, "wpm", None, None, 0.0, "too few words")}
    return Analysis(facts(pcm, name), Transcript(words, language, 0.5), frames(pcm), (), (), (), (), missing, (), {})


def scores() -> dict[str, Any]:
    """A scores document: overall, a score that is sure, one that is not, and one that is refused."""

    def given(dimension: str, title: str, value: float | None, low: float | None, high: float | None, **more: Any) -> dict[str, Any]:
        number: dict[str, Any] = {"value": value, "low": low, "high": high, "refusal": None, "parts": []}
        return {"dimension": dimension, "title": title, "weight": 1.0, **number, "made_of": [], "evidence": []} | more

    share = {"name": "filled_pauses_per_100_words", "value": 3.1, "score": 68.0, "weight": 1.0, "source": "ours"}
    return {
        "rubric": {"name": "talk", "version": 1, "title": "Talk", "digest": "cd" * 32},
        "overall": {"value": 73.6, "low": 66.2, "high": 81.3, "refusal": None},
        "scores": [
            given("pace", "Pace", 96.8, 88.4, 100.0),
            given(
                "fluency",
                "Fluency",
                60.4,
                47.6,
                71.2,
                made_of=[share],
                evidence=[{"measure": "filled_pauses_per_100_words", "start_s": 4.5, "end_s": 4.9}],
            ),
            given("pitch", "Pitch variety", None, None, None, refusal="needs 50 s more speech"),
        ],
        "ratings": [
            {"what": "fluency", "value": 7.43, "low": 6.21, "high": 8.65, "scale": [0.0, 10.0], "refusal": None},
            {"what": "prosody", "value": None, "low": None, "high": None, "scale": [0.0, 10.0], "refusal": "needs 9 s more speech"},
        ],
    }


def coaching() -> dict[str, Any]:
    """A coaching document: two moments, a drill, a change that is one and one that is not."""

    def moment(name: str, kind: str, dimension: str, why: str, text: str, start_s: float, end_s: float) -> dict[str, Any]:
        cut = {"cut_start_s": start_s - 0.5, "cut_end_s": end_s + 0.5}
        return {"id": name, "kind": kind, "what": "planted", "dimension": dimension, "why": why, "text": text} | {
            "start_s": start_s,
            "end_s": end_s,
            **cut,
        }

    def change(dimension: str, before: float, now: float, low: float, high: float, changed: bool) -> dict[str, Any]:
        number = {"before": before, "now": now, "difference": now - before, "low": low, "high": high}
        return {"dimension": dimension, **number, "changed": changed}

    return {
        "moments": [
            moment("m1", "stumble", "fluency", "Two fillers in nine seconds.", "it was, um, it was the worst", 3.0, 7.0),
            moment("m2", "best", "pace", "Twelve seconds at 158 words a minute without a filler.", "It was the age of wisdom,", 20.0, 32.0),
        ],
        "drills": [
            {
                "drill": "filler-replacement",
                "dimension": "fluency",
                "title": "A pause instead of an um",
                "why": "There were 3.1 filled pauses per 100 words.",
                "material": {"clips": ["m1"]},
            }
        ],
        "change": {
            "since": {"created_at": "2026-11-20T09:00:00+00:00"},
            "baseline": {"sessions": 4, "created_at": "2026-11-02T09:00:00+00:00"},
            "refusal": None,
            "dimensions": [change("pace", 94.3, 96.8, -8.1, 13.2, False), change("fluency", 41.9, 60.4, 6.7, 30.3, True)],
        },
        "highlights": {
            "well": {"dimension": "pace", "sentence": "Pace went well: 158 words a minute.", "facts": {}},
            "work_on": {"dimension": "fluency", "sentence": "Work on fluency: 3.1 filled pauses per 100 words.", "facts": {}},
            "needs": None,
            "phrased": None,
        },
    }
