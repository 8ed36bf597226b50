"""`report.pdf`: the report on paper, tagged for screen readers, set by Typst. The same analysis gives the same bytes."""

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import typst

from batch.captions import clock, gap
from batch.document import Document
from batch.story import CLINICAL, DEFINITIONS, RATED_BY, SHORTEST_PAUSE_S, Story, Token, story
from speech.analysis import Analysis
from speech.audio import RATE_HZ, seconds

Paper = Literal["a4", "letter"]

FOLDER = Path(__file__).parent / "page"
NAMES: dict[Paper, str] = {"a4": "report.pdf", "letter": "report-letter.pdf"}
_TYPST_PAPERS = {"a4": "a4", "letter": "us-letter"}
_ONE_ROW_S = 90  # a recording up to this length is drawn in one row
_ROWS_S = (60, 120, 180, 300)  # length of a row: the shortest that makes no more than _ROWS of them, else the longest
_ROWS = 12
_POINTS = 360  # of the pitch in a row: one every 0.45 mm
_UNBROKEN = 30  # characters of a word, before it may be broken anywhere: a line holds more
_LONG = re.compile(rf"\S{{{_UNBROKEN}}}(?=\S)")
_ABSENT = frozenset({"Cc", "Cn", "Co", "Cs"})  # no font has these


def render(analysis: Analysis, shape: Document, paper: Paper) -> bytes:
    """The PDF: PDF/UA-1 where every character has a glyph, else tagged all the same and it says so."""
    data = _data(analysis, shape, story(analysis, shape), paper)
    try:
        return _set(data, "ua-1")
    except typst.TypstError as error:
        if "could not be displayed" not in str(error):
            raise
        return _set({**data, "unprinted": True}, "1.7")


def _set(data: dict[str, Any], standard: Literal["ua-1", "1.7"]) -> bytes:
    inputs = {"data": msgspec.json.encode(data).decode()}
    template = FOLDER / "report.typ"
    return typst.compile(template, root=FOLDER, font_paths=_fonts(), format="pdf", sys_inputs=inputs, pdf_standards=standard, timestamp=0)


@cache
def _fonts() -> typst.Fonts:
    # Our own; what they lack is taken from Typst's and the machine's, where it has any.
    return typst.Fonts(include_system_fonts=True, font_paths=[FOLDER])


def _data(analysis: Analysis, shape: Document, told: Story, paper: Paper) -> dict[str, Any]:
    data: dict[str, Any] = _printable(msgspec.to_builtins(replace(told, paragraphs=(), courses=())))
    timeline, rows = _timeline(analysis, shape)
    space = gap(shape.language)
    for at, paragraph in zip(_starts_s(analysis, told), told.paragraphs, strict=True):
        index = min(int(at / timeline["row_s"]), len(rows) - 1)
        rows[index]["paragraphs"].append((paragraph[0], _printable(_runs(paragraph[2], space))))
    return data | {
        "name": _kept(told.title),  # whole, where nothing breaks lines
        "paper": _TYPST_PAPERS[paper],
        "lang": shape.language if re.fullmatch("[a-z]{2,3}", shape.language) else "en",
        "words": len(shape.words),
        "timeline": timeline,
        "rows": rows if shape.words else [],
        "versions": _printable([*shape.versions.items(), ("recording", f"SHA-256 {shape.audio.sha256}")]),
        "definitions": DEFINITIONS,
        "clinical": CLINICAL,
        "rated_by": RATED_BY,
        "unprinted": False,
    }


def _starts_s(analysis: Analysis, told: Story) -> list[float]:
    words = analysis.transcript.words
    return [seconds(words[first].start) for _, first, _ in told.paragraphs]


def _kept(text: str) -> str:
    return text if text.isprintable() else "".join(letter for letter in text if unicodedata.category(letter) not in _ABSENT)


def _printable(value: Any) -> Any:
    """The same with texts that a line can hold."""
    if isinstance(value, str):
        value = _kept(value)
        return _LONG.sub("\\g<0>\u200b", value) if len(value) > _UNBROKEN else value
    if isinstance(value, dict):
        return {key: _printable(one) for key, one in value.items()}
    return [_printable(one) for one in value] if isinstance(value, list | tuple) else value


def _runs(tokens: Sequence[Token], space: str) -> list[tuple[str, str]]:
    """Words that are set alike, together."""
    found: list[tuple[str, str]] = []
    for index, token in enumerate(tokens):
        classes = token.classes.split()
        kind = "pause" if token.pause else next((name for name in ("filler", "fragment", "disfluency", "issue") if name in classes), "")
        said = (space if index else "") + token.text if not token.pause else token.text
        if found and found[-1][0] == kind != "pause":
            found[-1] = (kind, found[-1][1] + said)
        elif kind and kind != "pause" and said.startswith(" "):
            found += [("", " "), (kind, said[1:])]  # no line beneath the space
        else:
            found.append((kind, said))
    return found


def _timeline(analysis: Analysis, shape: Document) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """How the rows are scaled, and each: pauses and fillers, pitch and pace, in per cent of its box."""
    duration_s = max(shape.audio.duration_s, 0.1)
    row_s = duration_s if duration_s <= _ONE_ROW_S else next((s for s in _ROWS_S if duration_s <= s * _ROWS), _ROWS_S[-1])
    count = max(1, math.ceil(duration_s / row_s - 1e-9))
    at_s, pitch_st = _pitch(analysis, row_s / _POINTS)
    span_st = 6.0 if not pitch_st.size else float(np.clip(np.ceil(np.nanpercentile(np.abs(pitch_st), 99) / 2) * 2, 4, 18))
    pace = [((s.start_s + s.end_s) / 2, s.rate_wpm) for s in shape.stretches]
    rates = [rate for _, rate in pace if rate is not None]
    slowest, fastest = (50 * math.floor(min(rates) / 50), 50 * math.ceil((max(rates) + 1) / 50)) if rates else (0, 200)
    rows = []
    for index in range(count):
        begin, end = index * row_s, (index + 1) * row_s

        def across(at: float, begin: float = begin) -> float:
            return round(100 * (at - begin) / row_s, 2)

        inside = (at_s >= begin) & (at_s < end)
        pitched = zip(at_s[inside].tolist(), pitch_st[inside].tolist(), strict=True)
        pauses = [
            (p.start_s, p.end_s)
            for p in shape.pauses
            if p.kind == "silent" and p.end_s - p.start_s >= SHORTEST_PAUSE_S and p.end_s > begin and p.start_s < end
        ]
        fillers = [(f.start_s, f.end_s) for f in shape.fillers if f.end_s > begin and f.start_s < end]
        near = [(at, rate) for at, rate in pace if begin - 10 <= at <= end + 10]
        rows.append(
            {
                "pauses": [(max(0.0, across(a)), min(100.0, across(b))) for a, b in pauses],
                "fillers": [(max(0.0, across(a)), min(100.0, across(b))) for a, b in fillers],
                "pitch": _lines(
                    (across(at), None if np.isnan(st) else round(50 - 48 * max(-1.0, min(1.0, st / span_st)), 1)) for at, st in pitched
                ),
                "pace": _lines(
                    (across(at), None if rate is None else round(96 - 92 * (rate - slowest) / (fastest - slowest), 1)) for at, rate in near
                ),
                "ticks": [(across(at), clock(at)) for at in np.linspace(begin, end, 7).tolist() if at <= duration_s + 1],
                "alt": _said(
                    clock(begin), clock(min(end, duration_s)), len(pauses), len(fillers), [rate for at, rate in near if rate is not None]
                ),
                "paragraphs": [],
            }
        )
    scale = {
        "row_s": row_s,
        "pitch_low": f"−{span_st:.0f}",
        "pitch_high": f"+{span_st:.0f}",
        "pace_low": f"{slowest:.0f}",
        "pace_high": f"{fastest:.0f}",
    }
    return scale, rows


def _said(begin: str, end: str, pauses: int, fillers: int, rates: Sequence[float]) -> str:
    pace = f"; pace {min(rates):.0f} to {max(rates):.0f} words a minute" if rates else ""
    return f"From {begin} to {end}: {pauses} pauses, {fillers} fillers{pace}. The pitch is drawn as a line."


def _lines(points: Iterable[tuple[float, float | None]]) -> list[list[tuple[float, float]]]:
    """Unbroken lines of (x, y); a single point is a short one."""
    lines: list[list[tuple[float, float]]] = [[]]
    for x, y in points:
        if y is None:
            lines.append([])
        else:
            lines[-1].append((x, y))
    return [line if len(line) > 1 else [*line, (line[0][0] + 0.05, line[0][1])] for line in lines if line]


def _pitch(analysis: Analysis, step_s: float) -> tuple[np.ndarray[Any, np.dtype[np.float64]], np.ndarray[Any, np.dtype[np.float64]]]:
    """Where, in seconds, and the mean in semitones around the median; NaN where less than half is voiced."""
    frames = analysis.frames
    each = max(1, round(step_s * RATE_HZ / frames.hop))
    whole = frames.f0_hz[: frames.f0_hz.size // each * each].astype(np.float64).reshape(-1, each)
    voiced = np.isfinite(whole) & (whole > 0)
    at_s = (frames.start + (np.arange(whole.shape[0]) + 0.5) * each * frames.hop) / RATE_HZ
    if not voiced.any():
        return at_s, np.full(at_s.size, np.nan)
    semitones = np.where(voiced, 12 * np.log2(np.where(voiced, whole, 1.0) / np.median(whole[voiced])), 0.0)
    counted = voiced.sum(axis=1)
    return at_s, np.where(2 * counted >= each, semitones.sum(axis=1) / np.maximum(counted, 1), np.nan)
