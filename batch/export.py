"""The files that `elocute analyze` leaves behind. The same analysis and sound give the same bytes, whatever the day or the folder."""

import csv
import html
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from praatio.data_classes.interval_tier import IntervalTier
from praatio.data_classes.point_tier import PointTier
from praatio.data_classes.textgrid import Textgrid

from batch import index_page, pdf, playback
from batch.captions import Cue, clock, cues, gap, paragraphs
from batch.document import Document, document, encoded, plain
from batch.pdf import Paper
from speech.analysis import Analysis
from speech.audio import RATE_HZ, Floats, Frames, State, seconds
from speech.words import Word

Format = Literal["json", "csv", "parquet", "txt", "vtt", "srt", "textgrid", "html", "pdf"]
FORMATS: tuple[Format, ...] = get_args(Format)

EMBEDDED_BYTES = 12 * 2**20  # sound up to this size, about 50 minutes, travels inside the page; Firefox takes no data URI over 32 MB
SOUND_FILE = "audio.mp3"


@dataclass(frozen=True, slots=True)
class Coached:
    """What was made of an analysis, as batch/scored.py and batch/coaching.py make it."""

    scores: Mapping[str, Any] | None = None
    coaching: Mapping[str, Any] | None = None


UNCOACHED = Coached()


def write(
    analysis: Analysis,
    pcm: Floats,
    out_dir: Path,
    formats: Sequence[Format] = FORMATS,
    sound: bytes | None = None,
    coached: Coached = UNCOACHED,
    papers: Sequence[Paper] = ("a4",),
) -> list[Path]:
    """Write the files asked for into out_dir, which is made where missing, and say where they are.

    pcm: (n,) the sound analysed, 16 kHz in [-1, 1]. sound: the same as MP3, which the page plays; made here where it is not given. A file
    appears whole or not at all. Raises OSError where the folder cannot be written. A long recording's page keeps its sound beside it, in
    audio.mp3. papers: a PDF for each.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    shape = document(analysis, coached.scores, coached.coaching)
    written: list[Path] = []

    def put(name: str, save: Callable[[Path], object]) -> None:
        path = out_dir / name
        part = out_dir / f".{name}.{os.getpid()}.part"
        try:
            save(part)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        written.append(path)

    def put_bytes(name: str, content: bytes) -> None:
        put(name, lambda part: part.write_bytes(content))

    if "json" in formats:
        put_bytes("analysis.json", encoded(shape))
    if "csv" in formats:
        put("words.csv", lambda part: _save_words(shape, part))
    if "parquet" in formats:
        put("frames.parquet", lambda part: save_frames(analysis.frames, part))
    if "txt" in formats:
        put_bytes("transcript.txt", _text(analysis).encode())
    captions = cues(analysis.transcript.words, analysis.audio.samples, analysis.transcript.language)
    if "vtt" in formats:
        put_bytes("transcript.vtt", _vtt(captions, gap(analysis.transcript.language)).encode())
    if "srt" in formats:
        put_bytes("transcript.srt", _srt(captions, gap(analysis.transcript.language)).encode())
    if "textgrid" in formats:
        put("analysis.TextGrid", lambda part: _save_textgrid(analysis, part))
    if "html" in formats:
        sound = sound or playback.mp3(pcm)
        if len(sound) > EMBEDDED_BYTES:
            put_bytes(SOUND_FILE, sound)
            put_bytes("index.html", index_page.render(analysis, shape, pcm, SOUND_FILE).encode())
        else:
            put_bytes("index.html", index_page.render(analysis, shape, pcm, sound).encode())
    for paper in papers if "pdf" in formats else ():
        put_bytes(pdf.NAMES[paper], pdf.render(analysis, shape, paper))
    return written


def _save_words(shape: Document, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("text", "start_s", "end_s", "probability", "kind"))
        table.writerows((w.text, f"{w.start_s:.3f}", f"{w.end_s:.3f}", f"{w.probability:.4f}", w.kind) for w in shape.words)


def save_frames(frames: Frames, path: Path) -> None:
    """One row per hop. The centre is written to 0.1 ms, so that equal hops stay equal and compress."""
    centre_s = np.round((frames.start + (np.arange(frames.state.size) + 0.5) * frames.hop) / RATE_HZ, 4)
    fields = [
        pa.field("t_s", pa.float64(), nullable=False, metadata={"unit": "s", "meaning": "centre of the hop"}),
        pa.field("f0_hz", pa.float32(), nullable=False, metadata={"unit": "Hz", "meaning": "NaN where unvoiced or lost"}),
        pa.field("level_dbfs", pa.float32(), nullable=False, metadata={"unit": "dBFS", "meaning": "NaN where lost"}),
        pa.field("state", pa.dictionary(pa.int8(), pa.string()), nullable=False),
    ]
    states = pa.DictionaryArray.from_arrays(pa.array(frames.state, pa.int8()), pa.array([state.name.lower() for state in State]))
    table = pa.Table.from_arrays(
        [pa.array(centre_s), pa.array(frames.f0_hz, pa.float32()), pa.array(frames.level_dbfs, pa.float32()), states],
        schema=pa.schema(fields),
    )
    pq.write_table(table, path, compression="zstd", use_dictionary=["state"], use_byte_stream_split=["t_s", "f0_hz", "level_dbfs"])


def _text(analysis: Analysis) -> str:
    space = gap(analysis.transcript.language)
    return "\n".join(
        f"[{clock(seconds(words[0].start))}] {space.join(plain(word.text) for word in words)}\n"
        for words in paragraphs(analysis.transcript.words)
    )


def _stamp(at_ms: int, point: str) -> str:
    at_s, ms = divmod(at_ms, 1000)
    minutes, second = divmod(at_s, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours:02}:{minute:02}:{second:02}{point}{ms:03}"


def _vtt(captions: Iterable[Cue], space: str) -> str:
    """WebVTT. Fillers and fragments are class spans, so a style can dim or hide them."""

    def marked(word: Word) -> str:
        text = html.escape(word.text, quote=False)
        return text if word.kind == "word" else f"<c.{word.kind}>{text}</c>"

    return "WEBVTT\n" + "".join(
        f"\n{_stamp(cue.start_ms, '.')} --> {_stamp(cue.end_ms, '.')}\n"
        + "".join(space.join(marked(word) for word in line) + "\n" for line in cue.lines)
        for cue in captions
    )


def _srt(captions: Iterable[Cue], space: str) -> str:
    """SubRip. It knows no escape, so what players would read as markup or as a time line is written with look-alikes."""
    harmless = str.maketrans({"<": "‹", ">": "›"})
    return "\n".join(
        f"{number}\n{_stamp(cue.start_ms, ',')} --> {_stamp(cue.end_ms, ',')}\n"
        + "".join(space.join(word.text for word in line).translate(harmless) + "\n" for line in cue.lines)
        for number, cue in enumerate(captions, 1)
    )


def _intervals(spans: Iterable[tuple[int, int, str]], samples: int) -> list[tuple[float, float, str]]:
    """Labelled spans as a Praat tier takes them: in order, inside the recording, never overlapping.

    Where one begins before the last ends it is shortened; where nothing of it is left its label joins the last one's.
    """
    found: list[tuple[int, int, str]] = []
    for start, end, label in sorted(spans):
        begin = max(start, found[-1][1] if found else 0)
        stop = min(end, samples)
        if begin < stop:
            found.append((begin, stop, label))
        elif found:
            found[-1] = (*found[-1][:2], f"{found[-1][2]} {label}")
    return [(seconds(start), seconds(end), label) for start, end, label in found]


def _save_textgrid(analysis: Analysis, path: Path) -> None:
    """Interval tiers words, pauses and fillers, and the pitch of every voiced hop in Hz as the point tier F0."""
    samples = analysis.audio.samples
    end_s = seconds(samples)
    frames = analysis.frames
    voiced = np.flatnonzero(np.isfinite(frames.f0_hz))
    centre_s = (frames.start + (voiced + 0.5) * frames.hop) / RATE_HZ
    tiers = {
        "words": ((w.start, w.end, plain(w.text)) for w in analysis.transcript.words),
        "pauses": ((p.start, p.end, p.kind) for p in analysis.pauses),
        "fillers": ((f.start, f.end, plain(f.text)) for f in analysis.fillers),
    }
    grid = Textgrid(0.0, end_s)
    for name, spans in tiers.items():
        grid.addTier(IntervalTier(name, _intervals(spans, samples), 0.0, end_s))
    points = [(at_s, f"{f0_hz:.1f}") for at_s, f0_hz in zip(centre_s.tolist(), frames.f0_hz[voiced].tolist(), strict=True) if at_s < end_s]
    grid.addTier(PointTier("F0", points, 0.0, end_s))
    grid.save(str(path), format="short_textgrid", includeBlankSpaces=True, reportingMode="error")
