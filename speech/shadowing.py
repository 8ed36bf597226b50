"""A phrase and how it was imitated: its tune and its rhythm, aligned in time."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from speech.audio import HOP, Floats, Frames, Span, seconds

STEP = 2 * HOP  # 20 ms: what live events tell pitch and level by
_FAR_ST, _FAR_DB = 6.0, 15.0  # from here on two points could not be further apart
_VOICE = 0.6  # how far apart a voiced point and one that is not are
_FLOOR_DB = -30.0  # below the strongest: what is quieter is no part of the phrase's rhythm
_FEWEST = 10  # points that are voiced in both
_INFINITE = 1e9


@dataclass(frozen=True, slots=True, eq=False)
class Contour:
    """Tune and rhythm, a point each 20 ms."""

    st: Floats  # (k,) semitones around the phrase's median; NaN where unvoiced
    db: Floats  # (k,) level below the strongest point, -30 at least


@dataclass(frozen=True, slots=True)
class Match:
    """Where a phrase was imitated best."""

    similarity: float  # 0..1: mean of the correlations of pitch and of level along the alignment, not below 0
    start: int  # sample
    end: int
    length_ratio: float  # of the imitation to the phrase


def contour(frames: Frames, span: Span) -> Contour:
    """Of a stretch of a recording."""
    hops = slice((span.start - frames.start) // HOP, (span.end - frames.start) // HOP)
    f0_hz, level_dbfs = frames.f0_hz[hops][::2], frames.level_dbfs[hops][::2]
    st = 12.0 * np.log2(f0_hz)
    voiced = st[~np.isnan(st)]
    middle = float(np.median(voiced)) if voiced.size else 0.0
    strongest = float(np.nanmax(level_dbfs)) if np.isfinite(level_dbfs).any() else 0.0
    db = np.clip(np.nan_to_num(level_dbfs - strongest, nan=_FLOOR_DB), _FLOOR_DB, 0.0)
    return Contour(np.asarray(st - middle, np.float32), np.asarray(db, np.float32))


def best(model: Contour, frames: Frames, span: Span) -> Match | None:
    """Where in the span the phrase was imitated best. Dynamic time warping between half and double its speed, begin and end open.

    O(model * span), a row at a time. The recording's pitch is taken around its own median: a deeper voice may imitate a higher one.
    None where it is shorter than half the phrase or nothing of it is voiced.
    """
    heard = contour(frames, span)
    m, n = model.st.size, heard.st.size
    if n < m // 2 or m < _FEWEST:
        return None
    cost = _distances(model, heard)
    total = np.full((m, n), _INFINITE)
    steps = np.zeros((m, n))  # weight of the path so far
    came = np.zeros((m, n), np.int8)
    total[0], steps[0] = cost[0], 1.0
    for i in range(1, m):
        options = [(_shifted(total[i - 1], 1) + cost[i], _shifted(steps[i - 1], 1) + 1.0)]
        options.append((_shifted(total[i - 1], 2) + (cost[i] + _shifted(cost[i], 1)) / 2, _shifted(steps[i - 1], 2) + 1.0))
        if i >= 2:
            options.append((_shifted(total[i - 2], 1) + cost[i - 1] + cost[i], _shifted(steps[i - 2], 1) + 2.0))
        sums = np.stack([one for one, _ in options])
        came[i] = sums.argmin(axis=0)
        total[i] = np.take_along_axis(sums, came[i][None].astype(np.intp), 0)[0]
        steps[i] = np.take_along_axis(np.stack([one for _, one in options]), came[i][None].astype(np.intp), 0)[0]
    last = int(np.argmin(total[-1] / steps[-1]))
    if total[-1, last] >= _INFINITE:
        return None
    path = _path(came, last)
    pairs = np.array(path)
    similarity = _similarity(model, heard, pairs)
    if similarity is None:
        return None
    first, end = int(pairs[0, 1]), int(pairs[-1, 1]) + 1
    return Match(similarity, span.start + first * STEP, span.start + end * STEP, (end - first) / m)


def lag_s(match: Match, plays: tuple[int, ...]) -> float | None:
    """How long after the last time the phrase was played before it the imitation began. None where it was not played in the session."""
    before = [play for play in plays if play <= match.start]
    return seconds(match.start - max(before)) if before else None


def _distances(model: Contour, heard: Contour) -> NDArray[np.float64]:
    a, b = model.st[:, None], heard.st[None, :]
    voiced_a, voiced_b = ~np.isnan(a), ~np.isnan(b)
    pitch = np.where(voiced_a & voiced_b, np.minimum(np.abs(np.nan_to_num(a) - np.nan_to_num(b)) / _FAR_ST, 1.0), 0.0)
    pitch = np.where(voiced_a != voiced_b, _VOICE, pitch)
    level = np.minimum(np.abs(model.db[:, None] - heard.db[None, :]) / _FAR_DB, 1.0)
    return np.asarray(pitch + level, np.float64)


def _shifted(row: NDArray[np.float64], by: int) -> NDArray[np.float64]:
    out = np.full(row.size, _INFINITE)
    out[by:] = row[:-by]
    return out


def _path(came: NDArray[np.int8], last: int) -> list[tuple[int, int]]:
    i, j = came.shape[0] - 1, last
    path = [(i, j)]
    while i > 0:
        step = int(came[i, j])
        i, j = (i - 1, j - 1) if step == 0 else (i - 1, j - 2) if step == 1 else (i - 2, j - 1)
        path.append((i, j))
    return path[::-1]


def _similarity(model: Contour, heard: Contour, pairs: NDArray[np.int64]) -> float | None:
    a, b = model.st[pairs[:, 0]], heard.st[pairs[:, 1]]
    both = ~np.isnan(a) & ~np.isnan(b)
    if int(both.sum()) < _FEWEST:
        return None
    pitch = _correlation(a[both], b[both])
    level = _correlation(model.db[pairs[:, 0]], heard.db[pairs[:, 1]])
    return (max(0.0, pitch) + max(0.0, level)) / 2


def _correlation(a: Floats, b: Floats) -> float:
    if float(a.std()) == 0.0 or float(b.std()) == 0.0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])
