"""Clips: a short cut of the recording as sound, as video with captions, and as a picture.

The sound is what was analysed, at one loudness and faded in and out over 10 ms. The video shows the user's own pictures where the upload
has some, else the waveform with a row of words under it; captions are a track in the file and a WebVTT file beside it, word by word.
H.264 and AAC in MP4 are what every browser, phone and editor plays; the x264 in PyAV's wheels is under the GPL, as we are.
"""

import hashlib
import html
import io
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import av.error
import numpy as np
from av.container import InputContainer
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from batch.captions import Cue, cues, gap
from batch.decode import sealed
from batch.moments import within
from speech.audio import RATE_HZ, Floats
from speech.loudness import faded, normalised
from speech.words import Word

VERSION = 1  # of what a clip looks and sounds like: grows when that changes
SUFFIXES = (".mp4", ".m4a", ".vtt", ".jpg")  # of the files of a clip

LOUDNESS_LUFS = -16.0  # what podcasts and most players agree on for speech
CEILING_DBTP = -1.5  # AAC may add a little
FADE = RATE_HZ // 100
SOUND_HZ = 48_000  # what every device plays; AAC's own delay is then 21 ms, even where a player does not take it off
SOUND_BIT_RATE = 96_000
_AAC = {"aac_coder": "fast"}  # not only fast: on speech at this rate 39 dB from the original, and the default 23, with peaks 4 dB higher

WIDTH, HEIGHT = 768, 432
RATE = 20  # frames a second: what moves is a line of colour
LONGEST_SIDE = 960  # of the user's own pictures
FASTEST = 30
_ROUNDED_S = 0.002  # Matroska rounds times to milliseconds
_X264 = {"preset": "superfast", "crf": "23", "threads": "1"}  # clips run beside one another; one thread gives the same bytes each time

_MARGIN, _BAR, _PITCH = 48, 4, 8  # pixels, even: colours have half the resolution
_MIDDLE, _TALLEST, _LEAST = 168, 112, 4
_WORDS_Y, _WORD_HEIGHT = 312, 8  # above where players write captions
_CHECKED = 10  # frames between two looks whether anybody still wants the clip

Planes = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]
Colour = tuple[int, int, int]


def _yuv(rgb: int) -> Colour:
    """BT.709, limited range."""
    red, green, blue = ((rgb >> shift & 255) / 255 for shift in (16, 8, 0))
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return round(16 + 219 * luma), round(128 + 224 * (blue - luma) / 1.8556), round(128 + 224 * (red - luma) / 1.5748)


# The dark colours of the pages (batch/page/base.css).
_PAPER, _WAVE, _ACCENT, _FILLER_AHEAD, _FILLER = (_yuv(rgb) for rgb in (0x14171A, 0x4F6F6C, 0x5CC9BF, 0x8A6238, 0xF0A45D))


@dataclass(frozen=True, slots=True)
class Cut:
    """What to render, and under which name."""

    name: str  # of its files, without a suffix
    start: int  # samples
    end: int


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """What clips are cut out of."""

    pcm: Floats  # (n,) at 16 kHz
    words: Sequence[Word]
    language: str
    pictures: Path | None  # the upload, where it may hold a video


def cut_of(start: int, end: int, words: Sequence[Word], language: str) -> Cut:
    """The same cut of the same words has the same name, whatever else changes: it is not rendered again."""
    said = [(word.text, word.start, word.end, word.kind) for word in within(words, start, end)]
    digest = hashlib.sha256(repr((VERSION, language, said)).encode()).hexdigest()[:12]
    return Cut(f"{start}-{end}-{digest}", start, end)


def render(source: Source, cuts: Sequence[Cut], folder: Path, at_once: int, at: Callable[[float], None]) -> None:
    """Writes the files of every cut into the folder, `at_once` of them side by side. `at` is told the share that is done, and may raise:
    then nothing more is begun, and what runs ends at once."""
    done = [0.0] * len(cuts)

    def one(number: int) -> None:
        def told(share: float) -> None:
            done[number] = share
            at(sum(done) / len(cuts))

        _render(source, cuts[number], folder, told)

    pool = ThreadPoolExecutor(max_workers=at_once, thread_name_prefix="clips")
    try:
        for future in as_completed([pool.submit(one, number) for number in range(len(cuts))]):
            future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def sound(pcm: Floats, start: int, end: int) -> Floats:
    """The sound of a cut, at 16 kHz."""
    return faded(normalised(pcm[start:end], LOUDNESS_LUFS, CEILING_DBTP), FADE)


def _render(source: Source, cut: Cut, folder: Path, at: Callable[[float], None]) -> None:
    at(0.0)
    heard = sound(source.pcm, cut.start, cut.end)
    words = [
        replace(word, start=max(0, word.start - cut.start), end=min(cut.end, word.end) - cut.start)
        for word in within(source.words, cut.start, cut.end)
    ]
    captions = cues(words, heard.size, source.language)
    at(0.1)
    path = folder / cut.name
    _write_sound(path, heard)
    (folder / f"{cut.name}.vtt").write_text(vtt(captions, source.language), encoding="utf-8")
    at(0.3)

    def video(frames: "Pictures", shown: Callable[[float], None]) -> None:
        _write_video(path, frames, heard, captions, source.language, shown)

    def shown(share: float) -> None:
        at(0.3 + 0.7 * share)

    if source.pictures is not None:
        try:
            with _own_pictures(source.pictures, cut) as own:
                if own is not None:
                    video(own, shown)
                    return
        except (av.error.FFmpegError, ValueError):  # damaged there, or of a kind that cannot be sought in: the sound alone is left
            pass
    video(_waveform(heard, words), shown)


# captions


def vtt(captions: Sequence[Cue], language: str) -> str:
    """WebVTT in which every word bears its time, so that a player can light it up."""
    out = ["WEBVTT\n"]
    for cue in captions:
        out.append(f"\n{_stamp(cue.start_ms)} --> {_stamp(cue.end_ms)}\n")
        for line in cue.lines:
            out.append(gap(language).join(_timed(word, cue) for word in line) + "\n")
    return "".join(out)


def _timed(word: Word, cue: Cue) -> str:
    text = html.escape(word.text, quote=False)
    if word.kind != "word":
        text = f"<c.{word.kind}>{text}</c>"
    # A time inside a cue must lie after its start and before its end.
    start_ms = round(word.start * 1000 / RATE_HZ)
    return f"<{_stamp(start_ms)}>{text}" if cue.start_ms < start_ms < cue.end_ms else text


def _stamp(at_ms: int) -> str:
    seconds, ms = divmod(at_ms, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{ms:03}"


# sound


_MUXER = {"movflags": "+faststart", "fflags": "+bitexact"}


def _write_sound(path: Path, heard: Floats) -> None:
    resampler = av.AudioResampler("fltp", "mono", SOUND_HZ)
    frame = av.AudioFrame.from_ndarray(heard.reshape(1, -1), format="fltp", layout="mono")
    frame.sample_rate, frame.pts = RATE_HZ, 0
    with av.open(f"{path}.m4a", "w", format="ipod", options=_MUXER) as container:
        stream = container.add_stream("aac", rate=SOUND_HZ, options=_AAC)
        stream.bit_rate = SOUND_BIT_RATE
        stream.layout = "mono"
        for part in filter(None, (*resampler.resample(frame), *resampler.resample(None))):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))


# video


@dataclass(frozen=True, slots=True)
class Pictures:
    """What a video shows: `count` frames, all of one size."""

    width: int
    height: int
    rate: int  # frames a second
    count: int
    frames: Iterator[VideoFrame]


def _write_video(path: Path, shown: Pictures, heard: Floats, captions: Sequence[Cue], language: str, at: Callable[[float], None]) -> None:
    with av.open(f"{path}.m4a") as sound, av.open(f"{path}.mp4", "w", format="mp4", options=_MUXER) as container:
        video = container.add_stream("libx264", rate=shown.rate, options=_X264)
        video.width, video.height, video.pix_fmt = shown.width, shown.height, "yuv420p"
        video.codec_context.max_b_frames = 0  # none has to be cut off by an edit list
        video.codec_context.color_range = 1
        video.codec_context.color_primaries = video.codec_context.color_trc = video.codec_context.colorspace = 1  # BT.709
        coded = container.add_stream_from_template(sound.streams.audio[0])  # not coded a second time
        track = container.add_stream("mov_text") if captions else None
        if track is not None:
            track.time_base = Fraction(1, 1000)
            track.codec_context.subtitle_header = b""
        thumbnail = shown.count // 3
        for number, frame in enumerate(shown.frames):
            if number % _CHECKED == 0:
                at(number / shown.count)
            frame.pts, frame.time_base = number, Fraction(1, shown.rate)
            container.mux(video.encode(frame))
            if number == thumbnail:
                Path(f"{path}.jpg").write_bytes(_jpeg(frame))
        container.mux(video.encode(None))
        for part in sound.demux(audio=0):
            if part.dts is not None:  # the last, which is empty, has none
                part.stream = coded
                container.mux(part)
        if track is not None:
            for packet in _caption_packets(captions, heard.size, language):
                packet.stream, packet.time_base = track, Fraction(1, 1000)
                container.mux(packet)
    at(1.0)


def _caption_packets(captions: Sequence[Cue], samples: int, language: str) -> Iterator["av.Packet[Stream]"]:
    """3GPP timed text: two bytes of length and the text. The track has no holes, so there are empty ones in between."""
    end_ms = 0
    for cue in captions:
        if cue.start_ms > end_ms:
            yield _caption("", end_ms, cue.start_ms)
        yield _caption("\n".join(gap(language).join(word.text for word in line) for line in cue.lines), cue.start_ms, cue.end_ms)
        end_ms = cue.end_ms
    if (last_ms := round(samples * 1000 / RATE_HZ)) > end_ms:
        yield _caption("", end_ms, last_ms)


def _caption(text: str, start_ms: int, end_ms: int) -> "av.Packet[Stream]":
    coded = text.encode()
    packet = av.Packet(len(coded).to_bytes(2, "big") + coded)
    packet.pts = packet.dts = start_ms
    packet.duration = end_ms - start_ms
    return packet


def _jpeg(frame: VideoFrame) -> bytes:
    picture = frame.reformat(
        format="yuvj420p", src_colorspace="ITU709", dst_colorspace="ITU601", src_color_range="MPEG", dst_color_range="JPEG"
    )
    coder = av.CodecContext.create("mjpeg", "w")
    assert isinstance(coder, av.VideoCodecContext)
    coder.width, coder.height, coder.pix_fmt, coder.time_base = frame.width, frame.height, "yuvj420p", Fraction(1, 1)
    coder.options = {"q:v": "4"}
    picture.pts = 0
    made = io.BytesIO()
    for packet in (*coder.encode(picture), *coder.encode(None)):
        made.write(bytes(packet))
    return made.getvalue()


# the waveform


def _waveform(heard: Floats, words: Sequence[Word]) -> Pictures:
    count = max(1, -(-heard.size * RATE // RATE_HZ))
    return Pictures(WIDTH, HEIGHT, RATE, count, _waves(heard, words, count))


def _waves(heard: Floats, words: Sequence[Word], count: int) -> Iterator[VideoFrame]:
    """Bars that take colour from left to right as they are heard, and under them a dash for each word."""
    raw, shown = _canvas()
    _, played = _canvas()
    bars = (WIDTH - 2 * _MARGIN) // _PITCH
    edges = np.linspace(0, heard.size, bars + 1).astype(int)
    power = np.array([float(np.sqrt(np.mean(np.square(heard[a:b])))) if b > a else 0.0 for a, b in pairwise(edges)])
    tall = power / max(float(power.max()), 1e-6)
    fillers = [(word.start, word.end) for word in words if word.kind == "filler"]
    for number, height in enumerate(tall):
        half = _even(max(_LEAST, _TALLEST * height))
        x = _MARGIN + number * _PITCH + (_PITCH - _BAR) // 2
        middle = (edges[number] + edges[number + 1]) / 2
        filler = any(start <= middle < end for start, end in fillers)
        box = (x, x + _BAR, _MIDDLE - half, _MIDDLE + half)
        _fill(shown, box, _FILLER_AHEAD if filler else _WAVE)
        _fill(played, box, _FILLER if filler else _ACCENT)
    for word in words:
        left, right = (_MARGIN + _even((WIDTH - 2 * _MARGIN) * at / heard.size) for at in (word.start, word.end))
        box = (left, max(left + 2, right - 4), _WORDS_Y, _WORDS_Y + _WORD_HEIGHT)
        _fill(shown, box, _FILLER_AHEAD if word.kind == "filler" else _WAVE)
        _fill(played, box, _FILLER if word.kind == "filler" else _ACCENT)
    reached = 0
    for number in range(count):
        until = min(WIDTH, _MARGIN + _even((WIDTH - 2 * _MARGIN) * number * RATE_HZ / RATE / heard.size))
        for target, source, scale in zip(shown, played, (1, 2, 2), strict=True):
            target[:, reached // scale : until // scale] = source[:, reached // scale : until // scale]
        reached = until
        yield VideoFrame.from_ndarray(raw, format="yuv420p")


def _even(value: float) -> int:
    return 2 * round(value / 2)


def _canvas() -> tuple[NDArray[np.uint8], Planes]:
    """An empty picture, as PyAV takes it and as its three planes."""
    size = WIDTH * HEIGHT
    raw = np.empty(size * 3 // 2, np.uint8)
    luma, blue, red = np.split(raw, (size, size * 5 // 4))
    planes = (luma.reshape(HEIGHT, WIDTH), blue.reshape(HEIGHT // 2, WIDTH // 2), red.reshape(HEIGHT // 2, WIDTH // 2))
    for plane, value in zip(planes, _PAPER, strict=True):
        plane[:] = value
    return raw.reshape(HEIGHT * 3 // 2, WIDTH), planes


def _fill(planes: Planes, box: tuple[int, int, int, int], colour: Colour) -> None:
    left, right, top, bottom = box
    for plane, value, scale in zip(planes, colour, (1, 2, 2), strict=True):
        plane[top // scale : bottom // scale, left // scale : right // scale] = value


# the user's own pictures


@contextmanager
def _own_pictures(path: Path, cut: Cut) -> Iterator[Pictures | None]:
    """The frames of the upload from the beginning of the cut to its end; None where it has no video."""
    with path.open("rb") as file, sealed(file) as container:
        found = [one for one in container.streams.video if not one.disposition & av.stream.Disposition.attached_pic]
        stream = found[0] if found else None
        if stream is None or stream.time_base is None or not stream.width:
            yield None
            return
        origin_s = _origin_s(container, stream)
        rate = min(FASTEST, max(1, round(float(stream.average_rate or RATE))))
        count = max(1, -(-(cut.end - cut.start) * rate // RATE_HZ))
        stream.thread_type = "NONE"
        start_s = origin_s + cut.start / RATE_HZ
        tick_s = stream.time_base
        container.seek(max(0, int(start_s / tick_s)), stream=stream)
        frames = _steady(container.decode(stream), tick_s, start_s, rate, count)
        first = next(frames, None)
        yield None if first is None else Pictures(first.width, first.height, rate, count, _with(first, frames))


def _with(first: VideoFrame, rest: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
    yield first
    yield from rest


def _origin_s(container: InputContainer, stream: VideoStream) -> float:
    """What the container calls the time at which the recording begins, as batch/decode.py has it: that of the sound, or of the picture
    where that came first by a little and the sound was late."""
    picture_s, sound_s = (
        float(one.start_time * one.time_base) if one.start_time is not None and one.time_base is not None else None
        for one in (stream, container.streams.audio[0])
    )
    if sound_s is None:
        return picture_s or 0.0
    return picture_s if picture_s is not None and 0.02 < sound_s - picture_s <= 600 else sound_s


def _steady(decoded: Iterator[VideoFrame], tick_s: Fraction, start_s: float, rate: int, count: int) -> Iterator[VideoFrame]:
    """`count` frames at a steady rate, each the one that is on the screen at its time."""
    number, current = 0, None
    for frame in decoded:
        if frame.pts is None:
            continue
        at_s = float(frame.pts * tick_s) - start_s
        while current is not None and number < count and number / rate < at_s - _ROUNDED_S:
            yield _fitted(current)
            number += 1
        if number == count:
            return
        current = frame
    while current is not None and number < count:
        yield _fitted(current)
        number += 1


def _fitted(frame: VideoFrame) -> VideoFrame:
    """Small enough, in even sizes, upright."""
    scale = min(1.0, LONGEST_SIDE / max(frame.width, frame.height))
    width, height = (max(2, _even(side * scale)) for side in (frame.width, frame.height))
    small = frame.reformat(width=width, height=height, format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
    turns = round(frame.rotation / 90) % 4
    if not turns:
        return VideoFrame.from_ndarray(small.to_ndarray(), format="yuv420p")  # without the times and marks of the one it comes from
    raw = small.to_ndarray().reshape(-1)
    size = width * height
    planes = np.split(raw, (size, size * 5 // 4))
    shapes = ((height, width), (height // 2, width // 2), (height // 2, width // 2))
    turned = [np.rot90(plane.reshape(shape), turns) for plane, shape in zip(planes, shapes, strict=True)]
    wide = turned[0].shape[1]
    return VideoFrame.from_ndarray(np.concatenate([plane.reshape(-1) for plane in turned]).reshape(-1, wide), format="yuv420p")
