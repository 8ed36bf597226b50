"""Any recording PyAV can decode, as the 16 kHz mono signal that everything else measures."""

import errno
import hashlib
import io
import os
import stat
import struct
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from numpy.typing import NDArray

from batch.timeline import Timeline
from speech import losses
from speech.analysis import AudioFacts
from speech.audio import HOP, RATE_HZ, Floats, Span, seconds
from speech.errors import Problem, printable, sentence

Beginning = Callable[[Floats, tuple[Span, ...]], None]

BEGINNING_S = 60  # what a user sees numbers of before the rest is decoded
SHORTEST_S = 0.2  # less than one syllable
LONGEST_HOURS = 12
LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 4_000, 1_000_000
BLOCK_S = 0.5  # worked on at once: large enough that Python costs little
SILENT_PEAK = 10 ** (-84 / 20)  # two steps of 16 bits: the dither of a muted input
QUIET_DBFS = -45.0
CHANNEL_FLOOR = 0.01  # a channel 20 dB below the loudest carries only what leaks into it
OFFSET = 0.02  # voices are lopsided by less; all above 1e-4 is removed, this is worth saying
CANCELLED = 0.25  # the mix has a quarter of the power that unrelated channels would give: they cancel
RAIL = 0.999
WAV_LEFT_OPEN = 0x7FFFF000  # from here on a size is one that a program writes when it does not know
CLIPPED_SHARE = 1e-4
OVERSHOOT = 1.5  # codecs exceed full scale by some decibels where the original was clipped; beyond that the file was never scaled
ABSURD = 2.0**32  # beyond any integer scale: not a sample
BAD_READS = 100  # after so many failed reads in a row the rest of the file is given up

# Only streams that state their length can be told from cut ones; the others' is guessed from the bit rate, or measured at the end.
STATES_ITS_LENGTH = frozenset(
    {"w64", "flac", "mov", "mp4", "matroska", "webm", "aiff", "caf", "au", "wv", "tta", "ape", "asf", "avi", "flv", "mp3"}
)
# They name other files to be opened. `_refuse` would stop them as well; this says it before anything is tried.
PLAYLISTS = frozenset({"hls", "concat", "concatf", "dash", "sdp", "rtsp", "imf", "webm_dash_manifest", "smoothstreaming", "applehttp"})
PLAYLIST_HEADS = (b"#extm3u", b"ffconcat", b"[playlist]", b"v=0\no=", b"v=0\r\no=")
PLAYLIST_TAGS = (b"<mpd", b"<playlist", b"<asx", b"<smoothstreamingmedia")
NAMES = {"video": "pictures", "subtitle": "subtitles"}
SCALES = {"s16": 2.0**15, "s32": 2.0**31, "u8": 2.0**7, "flt": 1.0, "dbl": 1.0}

# 128 taps at 0.96 of Nyquist: -0.5 dB at 7.5 kHz and under -95 dB from 8.2 kHz on, where the default still passes -15 dB (measured).
RESAMPLER = {"filter_size": "128", "cutoff": "0.96"}


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """The sound of one file on the one clock."""

    pcm: Floats  # (n,) 16 kHz mono in [-1, 1]; zero where lost
    lost: tuple[Span, ...]  # what never arrived, in order, not touching
    facts: AudioFacts


def decode(path: Path, at: Callable[[float], None] = lambda _: None, beginning: Beginning | None = None) -> Recording:
    """The sound of a plain local file: any container, codec, rate and number of channels that PyAV knows.

    Memory is that of the signal (4 bytes a sample, 230 MB an hour) plus an eighth while it grows. The default audio stream is taken.
    Channels are averaged, leaving out those 20 dB below the loudest; where that cancels, the loudest is taken (such files are decoded
    twice). Every sample keeps its place by the container's timestamps. `at` is told the share of the file that has been read; `beginning`,
    once, the first BEGINNING_S of a longer recording and what is lost of them, before the rest is decoded and the whole is levelled.
    Raises Problem for everything that can be wrong with a file.
    """
    with _opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            raise Problem("empty-file", path=path)
        try:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            made = _Pass(path, file, size, at)
            made.run(None, beginning)
            channels = _voices(made.covariance)
            if channels != tuple(range(len(made.covariance))):
                made = _Pass(path, file, size, at)  # the first signal is released before the second grows
                made.run(channels)
            return _finished(made, channels, digest)
        except MemoryError as error:
            raise Problem("out-of-memory", path=path) from error
        except OSError as error:  # av's own errors are caught where they arise
            raise Problem("cannot-read", path=path, reason=error.strerror or error) from error


def check_plain_file(path: Path) -> None:
    """Raise Problem where there is no plain, readable, non-empty local file; cheap, so that it can be said before anything is loaded."""
    with _opened(path) as file:
        if os.fstat(file.fileno()).st_size == 0:
            raise Problem("empty-file", path=path)


def _opened(path: Path) -> io.BufferedReader:
    """The file, if it is one. Opened without waiting, so that a FIFO without a writer cannot hold us up."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        if str(path).lower().startswith(("http:/", "https:/", "rtmp:/", "rtsp:/", "ftp:/", "file:/")):
            raise Problem("not-local", path=str(path).replace(":/", "://", 1)) from error  # Path has folded the slashes
        raise Problem("not-found", path=path) from error
    except PermissionError as error:
        raise Problem("not-allowed", path=path) from error
    except ValueError as error:  # a NUL in the name
        raise Problem("not-found", path=path) from error
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket
            raise Problem("not-a-file", path=path, kind="socket") from error
        if error.errno in (errno.ENAMETOOLONG, errno.ENOTDIR, errno.ELOOP):
            raise Problem("not-found", path=path) from error
        raise Problem("cannot-read", path=path, reason=error.strerror) from error
    mode = os.fstat(number).st_mode
    if not stat.S_ISREG(mode):
        os.close(number)
        kind = "folder" if stat.S_ISDIR(mode) else "pipe" if stat.S_ISFIFO(mode) else "device"
        raise Problem("not-a-file", path=path, kind=kind)
    return os.fdopen(number, "rb")


class _Bytes:
    """What FFmpeg may see of the file: its bytes, and no name to take for a protocol, a pattern or a raw format."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        self.read = file.read
        self.tell = file.tell

    def seek(self, offset: int, whence: int) -> int:
        """As of a file, but a place that cannot be (a damaged index names such) is FFmpeg's negative error, not an exception."""
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return -errno.EINVAL


class _Elsewhere(Exception):
    """FFmpeg wanted to open something that the file named."""


def _refuse(*_: object) -> None:
    raise _Elsewhere


def sealed(file: io.BufferedReader) -> InputContainer:
    """The file as FFmpeg may see it: a playlist that is not recognised as one still cannot open anything. Raises av's errors."""
    options = {"protocol_whitelist": "none"}
    return av.open(_Bytes(file), "r", container_options=options, io_open=_refuse, metadata_errors="replace")


class _Signal:
    """The growing 16 kHz signal. It grows by an eighth: large blocks are moved by remapping pages, so nothing is held twice."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pcm: Floats = np.empty(60 * RATE_HZ, np.float32)
        self.size = 0

    def append(self, pcm: Floats) -> None:
        end = self.size + pcm.size
        if end > LONGEST_HOURS * 3600 * RATE_HZ:
            raise Problem("too-long", path=self._path, hours=LONGEST_HOURS)
        if end > self._pcm.size:
            self._pcm.resize(max(end, self._pcm.size + self._pcm.size // 8), refcheck=False)
        self._pcm[self.size : end] = pcm
        self.size = end

    def cut(self, size: int) -> None:
        """Make it exactly `size` long: the resampler's last few samples are a matter of rounding."""
        if size > self.size:
            self.append(np.zeros(size - self.size, np.float32))
        self.size = size

    def first(self, size: int) -> Floats:
        """A copy of the first samples."""
        return self._pcm[:size].copy()

    def take(self) -> Floats:
        self._pcm.resize(self.size, refcheck=False)
        return self._pcm


class _Pass:
    """One reading of the file from front to back."""

    def __init__(self, path: Path, file: io.BufferedReader, size: int, at: Callable[[float], None]) -> None:
        self.path = path
        self._file = file
        self._size = size
        self._at = at
        self.signal = _Signal(path)
        self._resampler: AudioResampler | None = None
        self._converter: AudioResampler | None = None
        self._rate_hz = 0  # of the present part of the stream
        self._from = 0  # where that part begins, samples at 16 kHz
        self._placed = 0  # samples of it at its own rate
        self._blocks: list[Floats] = []
        self._block_size = 0
        self._mix: tuple[int, ...] | None = None
        self.covariance: NDArray[np.float64] = np.zeros((1, 1))
        self.lost: list[Span] = []
        self._said_lost: deque[Span] = deque()  # by the file itself, at its rate; not reached yet
        self.container_name = self.codec = ""
        self.rate_hz = self.channels = 0
        self.streams, self.stream = 1, 0
        self.starts_late = 0
        self.jumps = 0
        self.samples = self.clipped = self.over = self.non_finite = 0  # at the file's rate, over all channels
        self.claimed_s: float | None = None
        self._cut = False
        self._marks_cuts = True
        self.damaged_end = False
        self.failed = 0

    def run(self, mix: tuple[int, ...] | None, beginning: Beginning | None = None) -> None:
        """Fill the signal with the average of the channels in `mix` (None: all)."""
        self._mix = mix
        self._file.seek(0)
        container = self._open()
        with container:
            stream = self._choose(container)
            for piece in self._placed_pieces(container, stream):
                if isinstance(piece, int):
                    self._gap(piece)
                else:
                    self._add(piece)
                if beginning is not None and self.signal.size >= BEGINNING_S * RATE_HZ:
                    beginning(self.signal.first(BEGINNING_S * RATE_HZ), tuple(s for s in self.lost if s.end <= BEGINNING_S * RATE_HZ))
                    beginning = None
            self._end_part()

    def _open(self) -> InputContainer:
        head = self._file.read(512)
        self._file.seek(0)
        text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
        if text.startswith(PLAYLIST_HEADS) or (text.startswith(b"<") and any(tag in text for tag in PLAYLIST_TAGS)):
            raise Problem("refers-elsewhere", path=self.path)
        try:
            container = sealed(self._file)
        except _Elsewhere as error:
            raise Problem("refers-elsewhere", path=self.path) from error
        except (av.error.FFmpegError, ValueError) as error:
            if isinstance(error, av.error.MemoryError):
                raise Problem("out-of-memory", path=self.path) from error
            raise Problem("no-index" if head[4:8] == b"ftyp" else "not-audio", path=self.path) from error
        if PLAYLISTS & set(container.format.name.split(",")):
            container.close()
            raise Problem("refers-elsewhere", path=self.path)
        return container

    def _choose(self, container: InputContainer) -> AudioStream:
        streams = container.streams.audio
        if not streams:
            kinds = sorted({NAMES[stream.type] for stream in container.streams if stream.type in NAMES})
            raise Problem("no-audio-stream", path=self.path, kind=" and ".join(kinds) or "other data")
        default = [stream for stream in streams if stream.disposition & av.stream.Disposition.default]
        chosen = (default or list(streams))[0]
        self.streams, self.stream = len(streams), list(streams).index(chosen) + 1
        self.container_name = container.format.name
        self._said_lost.extend(losses.lost_of(container.metadata.get(losses.TAG, "")))
        if chosen.codec_context is None:
            raise Problem("unknown-codec", path=self.path, codec="something unknown")
        self.codec = chosen.codec_context.codec.canonical_name
        pictures = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
        if pictures and pictures[0].start_time is not None and pictures[0].time_base is not None:
            self._picture_s: float | None = float(pictures[0].start_time * pictures[0].time_base)
        else:
            self._picture_s = None
        formats = set(container.format.name.split(","))
        if "ogg" in formats:
            self._cut = self._ogg_is_cut()
        elif "wav" in formats:
            if self.codec.startswith("pcm_"):
                self.claimed_s = self._wav_claims_s()
            self._marks_cuts = False  # FFmpeg marks the last packet of every streamed WAV as cut
        elif formats & STATES_ITS_LENGTH and ("mp3" not in formats or self._has_frame_count()):
            if chosen.duration is not None and chosen.time_base is not None:
                self.claimed_s = float(chosen.duration * chosen.time_base)
            elif container.duration is not None and not pictures and len(streams) == 1:
                self.claimed_s = container.duration / 1e6
        return chosen

    def _has_frame_count(self) -> bool:
        """Whether an MP3 says how long it is (Xing, Info or VBRI in its first frame); else FFmpeg guesses from the bit rate."""
        where = self._file.tell()
        self._file.seek(0)
        head = self._file.read(10)
        tag = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True)) if head[:3] == b"ID3" else 0
        self._file.seek(tag)
        first = self._file.read(4096)
        self._file.seek(where)
        return any(mark in first for mark in (b"Xing", b"Info", b"VBRI"))

    def _wav_claims_s(self) -> float | None:
        """What a WAV header promises (FFmpeg trusts the size of the file instead); None where it was left open, as streams do."""
        where = self._file.tell()
        self._file.seek(12)
        rate, claimed_s = 0, None
        while len(head := self._file.read(8)) == 8:
            name, size = struct.unpack("<4sI", head)
            if name == b"fmt ":
                rate = struct.unpack("<8xI", self._file.read(12).ljust(12, b"\0"))[0]
                self._file.seek(-12, os.SEEK_CUR)
            elif name == b"data":
                claimed_s = size / rate if rate and 0 < size < WAV_LEFT_OPEN else None
                break
            self._file.seek(size + size % 2, os.SEEK_CUR)
        self._file.seek(where)
        return claimed_s

    def _ogg_is_cut(self) -> bool:
        """Whether the last page is incomplete; FFmpeg drops such a page without a word."""
        where = self._file.tell()
        self._file.seek(max(0, self._size - 70_000))  # a page has at most 65,307 bytes
        tail = self._file.read()
        self._file.seek(where)
        page = tail[tail.rfind(b"OggS\0") :]
        lacing = page[27 : 27 + page[26]] if len(page) > 26 else b""
        return len(page) < 27 + len(lacing) + sum(lacing) or len(page) < 27

    def _placed_pieces(self, container: InputContainer, stream: AudioStream) -> Iterator[Floats | int]:
        """Blocks of one rate and layout, and gaps between them in samples of that rate. A change of either ends the part."""
        line: Timeline | None = None
        tick_s = float(stream.time_base or 0)
        shape = (0, 0)
        for frame in self._frames(container, stream):
            if isinstance(frame, float):  # a packet without a timestamp that could not be decoded
                if self._rate_hz:
                    yield round(frame * self._rate_hz)
                continue
            rate_hz, block = frame.sample_rate, self._floats(frame)
            if block.shape[1] == 0:
                continue
            at_s = float(frame.pts * frame.time_base) if frame.pts is not None and frame.time_base else None
            if (rate_hz, block.shape[0]) != shape or line is None:
                if not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ:
                    raise Problem("odd-rate", path=self.path, rate_hz=rate_hz)
                if line is not None:
                    yield from line.finish()
                    self.jumps += line.jumps
                    self._end_part()
                    line = Timeline(rate_hz, tick_s)
                else:
                    self.rate_hz, self.channels = rate_hz, block.shape[0]
                    line = Timeline(rate_hz, tick_s)
                    self._late(at_s)
                self._begin_part(rate_hz, block.shape[0])
                shape = (rate_hz, block.shape[0])
            yield from line.add(None if at_s is None else at_s * rate_hz, block)
        if line is None:
            raise Problem("not-decodable", path=self.path)
        yield from line.finish()
        self.jumps += line.jumps

    def _late(self, at_s: float | None) -> None:
        """In a video whose sound begins after its picture the start is lost, so that word times are those of the video."""
        if at_s is not None and self._picture_s is not None and 0.02 < at_s - self._picture_s <= 600:
            self.starts_late = round((at_s - self._picture_s) * RATE_HZ)
            self._lose(0, self.starts_late)
            self.signal.append(np.zeros(self.starts_late, np.float32))

    def _frames(self, container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame | float]:
        """The decoded frames; the length in seconds of a packet that failed, where no timestamp of a later one will show it."""
        bad_reads = 0
        told = 0.0
        while bad_reads < BAD_READS:
            try:
                for packet in container.demux(stream):
                    bad_reads = 0
                    if packet.pos is not None and packet.pos / self._size >= told + 0.01:
                        told = min(1.0, packet.pos / self._size)
                        self._at(told)
                    try:
                        frames = stream.codec_context.decode(packet)
                    except av.error.EOFError:
                        return
                    except av.error.MemoryError as error:
                        raise Problem("out-of-memory", path=self.path) from error
                    except av.error.FFmpegError:
                        self.failed += 1
                        self.damaged_end = True
                        if packet.pts is None and packet.duration and packet.time_base:
                            yield float(packet.duration * packet.time_base)
                        continue
                    if packet.size:
                        self.damaged_end = packet.is_corrupt and self._marks_cuts
                    yield from frames
                self.damaged_end |= self._cut
                self._at(1.0)
                return
            except av.error.DecoderNotFoundError as error:
                raise Problem("unknown-codec", path=self.path, codec=self.codec) from error
            except _Elsewhere as error:
                raise Problem("refers-elsewhere", path=self.path) from error
            except (av.error.EOFError, av.error.MemoryError):
                self.damaged_end = True
                return
            except (av.error.FFmpegError, IndexError):  # the container is damaged here, or a stream PyAV does not know begins; many go on
                bad_reads += 1
                self.damaged_end = True

    def _floats(self, frame: AudioFrame) -> Floats:
        """(channels, n) in units of full scale."""
        name = frame.format.name.removesuffix("p")
        if name not in SCALES:  # 64-bit integers
            self._converter = self._converter or AudioResampler(format="dblp")
            (frame,) = self._converter.resample(frame)
            name = "dbl"
        values: NDArray[Any] = frame.to_ndarray()
        if not frame.format.is_planar:
            values = values.reshape(-1, frame.layout.nb_channels).T
        if name == "u8":
            return (values.astype(np.float32) - 128.0) / 128.0
        with np.errstate(over="ignore", invalid="ignore"):  # a double beyond float becomes infinite, and is taken as missing
            floats: Floats = np.multiply(values, 1.0 / SCALES[name], dtype=np.float32, casting="unsafe")
        return floats

    def _begin_part(self, rate_hz: int, channels: int) -> None:
        self._rate_hz, self._from, self._placed = rate_hz, self.signal.size, 0
        self._resampler = AudioResampler(format="fltp", layout="mono", rate=RATE_HZ, options=RESAMPLER if rate_hz != RATE_HZ else None)
        if len(self.covariance) != channels:
            self.covariance = np.zeros((channels, channels))

    def _end_part(self) -> None:
        self._flush()
        if self._resampler is not None:
            self._write(self._resampler.resample(None))
            self.signal.cut(self._from + self._here(self._placed))

    def _here(self, placed: int) -> int:
        """A place in the present part, at 16 kHz."""
        return round(placed * RATE_HZ / self._rate_hz)

    def _gap(self, size: int) -> None:
        self._flush()
        self._lose(self._from + self._here(self._placed), self._from + self._here(self._placed + size))
        step = max(1, round(BLOCK_S * self._rate_hz))
        for start in range(0, size, step):
            self._resample(np.zeros(min(step, size - start), np.float32))

    def _lose(self, start: int, end: int) -> None:
        if self.lost and start <= self.lost[-1].end:
            start, end = self.lost[-1].start, max(end, self.lost.pop().end)
        if end > start:
            self.lost.append(Span(start, end))

    def _add(self, block: Floats) -> None:
        self._blocks.append(block)
        self._block_size += block.shape[1]
        if self._block_size >= BLOCK_S * self._rate_hz:
            self._flush()

    def _flush(self) -> None:
        if not self._blocks:
            return
        block = self._blocks[0] if len(self._blocks) == 1 else np.concatenate(self._blocks, axis=1)
        self._blocks, self._block_size = [], 0
        block = self._without_lost(self._mended(block))
        self._look_at(block)
        if self._mix is None or len(block) != len(self.covariance) or max(self._mix) >= len(block):
            mono = block.mean(axis=0, dtype=np.float32)
        else:
            mono = block[list(self._mix)].mean(axis=0, dtype=np.float32)
        self._resample(mono)

    def _mended(self, block: Floats) -> Floats:
        """Samples that are no numbers become zero; where a hop or more of them is so in all channels, the sound is lost."""
        bad = ~(np.abs(block) < ABSURD)
        if not bad.any():
            return block
        self.non_finite += int(bad.sum())
        everywhere = np.concatenate(([False], bad.all(axis=0), [False]))
        edges = np.flatnonzero(everywhere[1:] != everywhere[:-1])
        for start, end in edges.reshape(-1, 2):
            if (end - start) * RATE_HZ >= HOP * self._rate_hz:
                self._lose(self._from + self._here(self._placed + int(start)), self._from + self._here(self._placed + int(end)))
        return np.where(bad, np.float32(0), block)

    def _without_lost(self, block: Floats) -> Floats:
        """Zeros where the file itself says that it lost the sound."""
        end = self._placed + block.shape[1]
        while self._said_lost and self._said_lost[0].start < end:
            span = self._said_lost[0]
            start, stop = max(span.start, self._placed), min(span.end, end)
            if start < stop:
                block[:, start - self._placed : stop - self._placed] = 0.0
                self._lose(self._from + self._here(start), self._from + self._here(stop))
            if span.end > end:
                break
            self._said_lost.popleft()
        return block

    def _look_at(self, block: Floats) -> None:
        size = np.abs(block)
        self.samples += block.size
        peak = float(size.max())
        if peak >= RAIL:
            flat = (size[:, 1:-1] >= RAIL) & (block[:, 1:-1] == block[:, :-2]) & (block[:, 1:-1] == block[:, 2:])
            over = size > 1.0
            self.clipped += int((flat & ~over[:, 1:-1]).sum())
            self.over += int(over.sum())
        if len(block) > 1:
            moving = block - block.mean(axis=1, keepdims=True)  # an offset carries no voice
            self.covariance += (moving @ moving.T).astype(np.float64)
        else:
            self.covariance += 1.0

    def _resample(self, mono: Floats) -> None:
        assert self._resampler is not None
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(mono)[np.newaxis], format="fltp", layout="mono")
        frame.sample_rate = self._rate_hz
        self._placed += mono.size
        self._write(self._resampler.resample(frame))

    def _write(self, frames: list[AudioFrame]) -> None:
        for frame in filter(None, frames):  # a resampler with nothing to do hands back the None of its flush
            self.signal.append(frame.to_ndarray()[0].astype(np.float32, copy=False))


def _voices(covariance: NDArray[np.float64]) -> tuple[int, ...]:
    """The channels to average: those within 20 dB of the loudest, or the loudest alone where their average cancels."""
    power = np.diag(covariance)
    loudest = int(np.argmax(power))
    carrying = np.flatnonzero(power >= CHANNEL_FLOOR * power[loudest])
    mixed = covariance[np.ix_(carrying, carrying)].sum()
    if carrying.size > 1 and mixed < CANCELLED * power[carrying].sum():
        return (loudest,)
    return tuple(int(channel) for channel in carrying)


def _finished(made: _Pass, channels: tuple[int, ...], digest: str) -> Recording:
    """Offset and scale put right, and everything said that the user should know. Works in place: the signal may be most of the memory."""
    path, pcm = made.path, made.signal.take()
    lost_samples = sum(span.end - span.start for span in made.lost)
    if pcm.size == lost_samples:
        raise Problem("not-decodable", path=path)
    if pcm.size - lost_samples < SHORTEST_S * RATE_HZ:
        raise Problem("too-short", path=path, duration_ms=round(1000 * seconds(pcm.size - lost_samples)))
    warnings = []
    offset = float(pcm.mean(dtype=np.float64)) * pcm.size / (pcm.size - lost_samples)
    peak = float(max(pcm.max(), -pcm.min()))
    scale = 1.0 / peak if peak > OVERSHOOT and made.over > CLIPPED_SHARE * made.samples else 1.0
    if scale != 1.0:
        warnings.append(sentence("over-full-scale", peak=peak))
    if abs(offset) * scale > 1e-4:
        pcm -= np.float32(offset)
        for span in made.lost:
            pcm[span.start : span.end] = 0.0
    if scale != 1.0:
        pcm *= np.float32(scale)
    np.clip(pcm, -1.0, 1.0, out=pcm)
    if max(pcm.max(), -pcm.min()) < SILENT_PEAK:
        raise Problem("silent", path=path)

    if abs(offset) * scale > OFFSET:
        warnings.append(sentence("dc-offset", percent=100 * abs(offset) * scale))
    if made.streams > 1:
        warnings.append(sentence("several-streams", count=made.streams, index=made.stream))
    if made.channels > len(channels):
        if len(channels) == 1 and _cancels(made, channels[0]):
            warnings.append(sentence("anti-phase", used=channels[0] + 1))
        else:
            warnings.append(sentence("one-channel", count=made.channels, used=len(channels)))
    if made.rate_hz < RATE_HZ:
        warnings.append(sentence("narrow-band", rate_hz=made.rate_hz, top_hz=made.rate_hz // 2))
    if made.non_finite:
        warnings.append(sentence("non-finite", samples=made.non_finite))
    if made.starts_late:
        warnings.append(sentence("starts-late", lost_s=seconds(made.starts_late)))
    holes = [span for span in made.lost if not (made.starts_late and span.start == 0)]
    if holes:
        warnings.append(sentence("lost", lost_s=seconds(sum(span.end - span.start for span in holes)), places=len(holes)))
    if made.jumps:
        warnings.append(sentence("clock-jump", times=made.jumps))
    got_s = seconds(pcm.size - made.starts_late)
    if made.claimed_s is not None and not made.jumps and got_s < made.claimed_s - max(0.25, 0.002 * made.claimed_s):
        warnings.append(sentence("truncated", got_s=got_s, claimed_s=made.claimed_s))
    elif made.damaged_end:
        warnings.append(sentence("cut-off"))
    if scale == 1.0 and made.clipped + made.over > CLIPPED_SHARE * made.samples:
        warnings.append(sentence("clipped", percent=100 * (made.clipped + made.over) / made.samples))
    level_dbfs = _loud_level_dbfs(pcm)
    if level_dbfs < QUIET_DBFS:
        warnings.append(sentence("quiet", level_dbfs=level_dbfs))
    facts = AudioFacts(
        name=printable(path.name),
        sha256=digest,
        container=made.container_name,
        codec=made.codec,
        rate_hz=made.rate_hz,
        channels=made.channels,
        samples=int(pcm.size),
        warnings=tuple(warnings),
    )
    return Recording(pcm, tuple(made.lost), facts)


def _cancels(made: _Pass, used: int) -> bool:
    """Whether a second channel carries as much as the one used, so that it was left out for its phase and not for its silence."""
    power = np.diag(made.covariance)
    return bool(np.sum(power >= CHANNEL_FLOOR * power[used]) > 1)


def _loud_level_dbfs(pcm: Floats) -> float:
    """RMS level of the loudest twentieth of the 100 ms blocks: that of the voice, however long the pauses are."""
    blocks = pcm[: pcm.size // 1600 * 1600].reshape(-1, 1600)
    power = np.einsum("ij,ij->i", blocks, blocks) / 1600
    return float(10 * np.log10(np.percentile(power, 95) + 1e-12))
