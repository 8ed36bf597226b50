"""How far a word stands out of its sentence: higher, stronger and longer than the others."""

from collections.abc import Sequence

import numpy as np

from speech.audio import HOP, Floats, Frames, seconds
from speech.words import Word

_LETTER_S = 0.06  # a letter of English, read calmly: long words take long without standing out
_WEIGHTS = (0.45, 0.35, 0.2)  # pitch, level, length
_FEWEST_VOICED = 3  # hops


def prominence(words: Sequence[Word], frames: Frames) -> list[float | None]:
    """Of the words of one sentence: mean z-score of highest pitch, level and relative length among them. None where nothing is voiced.

    Pitch is the 90th percentile of the word's voiced frames in semitones, level that of its frames in dB, length the time over what its
    letters take. Ours, after the parameters of Niebuhr et al. 2020.
    """
    pitch, level, length = (np.array([of(word, frames) for word in words], np.float64) for of in (_pitch_st, _level_db, _length))
    total = np.zeros(len(words))
    for weight, values in zip(_WEIGHTS, (pitch, level, length), strict=True):
        known = values[~np.isnan(values)]
        spread = float(known.std()) if known.size >= 2 else 0.0
        total += weight * ((values - known.mean()) / spread if spread > 0.0 else np.where(np.isnan(values), np.nan, 0.0))
    return [None if np.isnan(z) else float(z) for z in total]


def _within(values: Floats, word: Word, frames: Frames) -> Floats:
    inside = values[max(0, (word.start - frames.start) // HOP) : max(0, -((frames.start - word.end) // HOP))]
    return np.asarray(inside[~np.isnan(inside)], np.float32)


def _pitch_st(word: Word, frames: Frames) -> float:
    hz = _within(frames.f0_hz, word, frames)
    return float(12.0 * np.log2(np.percentile(hz, 90))) if hz.size >= _FEWEST_VOICED else np.nan


def _level_db(word: Word, frames: Frames) -> float:
    db = _within(frames.level_dbfs, word, frames)
    return float(np.percentile(db, 90)) if db.size else np.nan


def _length(word: Word, _: Frames) -> float:
    return seconds(word.end - word.start) / (_LETTER_S * max(2, len(word.text.strip(".,;:?!"))))
