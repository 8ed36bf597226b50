"""`index.html`: one page that shows and plays an analysis, with its styles, script, fonts and sound inside."""

import base64
import hashlib
import json
from functools import cache
from pathlib import Path

import jinja2
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from batch.captions import gap
from batch.document import Document, plain
from batch.story import CLINICAL, DEFINITIONS, RATED_BY, SHORTEST_PAUSE_S, milliseconds, story
from speech.analysis import Analysis
from speech.audio import RATE_HZ, Floats, State, seconds

FOLDER = Path(__file__).parent / "page"
LONG_S = 3600  # beyond this the drawing is made of 40 ms steps instead of 20 ms: 270 kB instead of 540 kB for three hours


def render(analysis: Analysis, shape: Document, pcm: Floats, sound: bytes | str, *, served: bool = False) -> str:
    """The page as HTML. shape: the same analysis in seconds. sound: MP3 to carry inside, or where it lies, relative to the page.

    served: the page is opened at /sessions/{id}/report of the server, so it takes sound from nowhere else, and leads back to the list.
    """
    script = (FOLDER / "page.js").read_text(encoding="utf-8")
    style = Markup("").join(Markup((FOLDER / name).read_text(encoding="utf-8")) for name in ("base.css", "page.css")) + _fonts()
    sources = "data: blob:" if isinstance(sound, bytes) else "'self'" if served else "'self' file:"
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_digest(script)}'",
            f"style-src '{_digest(style)}'",
            "font-src data:",
            "img-src data:",
            f"media-src {sources}",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    return _template().render(
        policy=policy,
        style=style,
        script=Markup(script),
        figures=_figures(analysis, pcm),
        sound="data:audio/mpeg;base64," + base64.b64encode(sound).decode() if isinstance(sound, bytes) else sound,
        served=served,
        shape=shape,
        story=story(analysis, shape),
        definitions=DEFINITIONS,
        clinical=CLINICAL,
        rated_by=RATED_BY,
        space=gap(shape.language),
    )


@cache
def _template() -> jinja2.Template:
    loader = jinja2.FileSystemLoader(FOLDER)
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    return environment.get_template("index.html")


@cache
def _fonts() -> Markup:
    faces = (("Inter", "inter.woff2", "100 900"), ("Source Serif", "source-serif.woff2", "200 900"))
    return Markup("").join(
        Markup(
            f"@font-face{{font-family:'{family}';font-weight:{weights};font-display:block;"
            f"src:url(data:font/woff2;base64,{base64.b64encode((FOLDER / file).read_bytes()).decode()}) format('woff2')}}\n"
        )
        for family, file, weights in faces
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


# The drawing


def _figures(analysis: Analysis, pcm: Floats) -> Markup:
    """What the script draws from, as JSON that is safe inside a script element."""
    frames = analysis.frames
    hops = 2 if seconds(analysis.audio.samples) <= LONG_S else 4
    median_hz, pitch = _pitch(frames.f0_hz, hops)
    lost = _runs(frames.state == State.LOST)
    figures = {
        "duration_ms": milliseconds(analysis.audio.samples),
        "step_ms": hops * frames.hop * 1000 / RATE_HZ,
        "offset_ms": milliseconds(frames.start),
        "peaks": _packed(_peaks(pcm, hops * frames.hop)),
        "pitch": _packed(pitch),
        "median_hz": median_hz,
        "words": [[milliseconds(word.start), milliseconds(word.end)] for word in analysis.transcript.words],
        "pauses": [
            [milliseconds(p.start), milliseconds(p.end)]
            for p in analysis.pauses
            if p.kind == "silent" and seconds(p.end - p.start) >= SHORTEST_PAUSE_S
        ],
        "fillers": [[milliseconds(f.start), milliseconds(f.end), plain(f.text)] for f in analysis.fillers],
        "disfluencies": [[milliseconds(d.start), milliseconds(d.end)] for d in analysis.disfluencies],
        "lost": [[milliseconds(frames.start + first * frames.hop), milliseconds(frames.start + last * frames.hop)] for first, last in lost],
        "pace": [
            [milliseconds(s.start), milliseconds(s.end), None if s.rate_wpm is None else round(s.rate_wpm, 1)] for s in analysis.stretches
        ],
    }
    text = json.dumps(figures, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _packed(values: NDArray[np.uint8]) -> str:
    return base64.b64encode(values.tobytes()).decode()


def _peaks(pcm: Floats, step: int) -> NDArray[np.uint8]:
    """Largest excursion per step, 255 at (nearly) the loudest one. Views only: three hours of sound are not copied."""
    whole = pcm.size // step * step
    parts = [part for part in (pcm[:whole].reshape(-1, step), pcm[whole:].reshape(1, -1)) if part.size]
    if not parts:
        return np.zeros(0, np.uint8)
    peak = np.nan_to_num(np.concatenate([np.maximum(part.max(axis=1), -part.min(axis=1)) for part in parts]))
    full = max(float(np.percentile(peak, 99.8)), 1e-4)
    return np.asarray(np.clip(np.rint(peak / full * 255), 0, 255), dtype=np.uint8)


def _pitch(f0_hz: Floats, hops: int) -> tuple[float | None, NDArray[np.uint8]]:
    """Median in Hz, and per step 0 where unvoiced, else 128 + 5 for each semitone above the median."""
    steps = -(-f0_hz.size // hops)
    voiced = np.isfinite(f0_hz) & (f0_hz > 0)
    if not voiced.any():
        return None, np.zeros(steps, np.uint8)
    median_hz = float(np.median(f0_hz[voiced]))
    semitones = np.zeros(steps * hops)
    semitones[: f0_hz.size][voiced] = 12 * np.log2(f0_hz[voiced] / median_hz)
    counted = np.zeros(steps * hops)
    counted[: f0_hz.size] = voiced
    count = counted.reshape(-1, hops).sum(axis=1)
    mean = semitones.reshape(-1, hops).sum(axis=1) / np.maximum(count, 1)
    coded = np.clip(np.rint(128 + 5 * mean), 1, 255)
    return round(median_hz, 1), np.where(count > 0, coded, 0).astype(np.uint8)


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(np.int8), [0]))))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]
