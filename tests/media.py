"""Broken and odd media, made on the spot: every kind with what it must come to. Used by tests/test_decode.py and bench/media.py."""

import importlib.util
import os
import struct
import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float64]  # (channels, n) in units of full scale

SPEECH_FROM_S, SPEECH_S = 1.0, 3.0


@dataclass(frozen=True)
class Kind:
    """One kind of file: how to make it in a folder, what it must come to ("ok" or a problem's code), the warnings it must bring."""

    name: str
    make: Callable[[Path], Path]
    outcome: str
    warnings: tuple[str, ...] = ()


KINDS: dict[str, Kind] = {}


def kind(name: str, outcome: str, *warnings: str) -> Callable[[Callable[[Path], Path]], Callable[[Path], Path]]:
    """Register a maker."""

    def register(make: Callable[[Path], Path]) -> Callable[[Path], Path]:
        assert name not in KINDS
        KINDS[name] = Kind(name, make, outcome, warnings)
        return make

    return register


@cache
def speech(rate_hz: int = 48_000) -> Samples:
    """(1, n) three seconds of a real voice, at full scale less 3 dB."""
    found = importlib.util.find_spec("moonshine_voice")
    assert found is not None
    assert found.origin is not None
    with wave.open(str(Path(found.origin).parent / "assets" / "two_cities.wav")) as source:
        at_hz = source.getframerate()
        source.setpos(int(SPEECH_FROM_S * at_hz))
        pcm = np.frombuffer(source.readframes(int(SPEECH_S * at_hz)), "<i2").astype(float)
    pcm *= 0.7 / np.abs(pcm).max()
    if rate_hz != at_hz:
        pcm = np.interp(np.arange(round(SPEECH_S * rate_hz)) / rate_hz, np.arange(pcm.size) / at_hz, pcm)
    return pcm[np.newaxis]


def encode(
    path: Path,
    pcm: Samples,
    codec: str = "pcm_s16le",
    rate_hz: int = 48_000,
    *,
    format: str | None = None,
    at: Callable[[int], int | None] = lambda sample: sample,
    options: dict[str, str] | None = None,
    bit_rate: int = 64_000,
    pictures: str | None = None,
    tracks: Sequence[Samples] = (),
    keep: Callable[[int], bool] = lambda _: True,
    time_base: Fraction | None = None,
) -> Path:
    """Write `pcm` (channels, n) with FFmpeg. `at` gives each packet's timestamp for its first sample, `keep` drops packets by number."""
    with av.open(str(path), "w", format=format, options=options or {}) as out:
        layout = {1: "mono", 2: "stereo", 4: "quad", 6: "5.1", 8: "7.1"}[len(pcm)]
        streams: list[Any] = []
        for _ in range(1 + len(tracks)):
            stream: Any = out.add_stream(codec, rate=rate_hz, options={"strict": "experimental"} if codec == "vorbis" else {})
            stream.layout = layout
            stream.format = stream.codec.audio_formats[0]
            if not codec.startswith("pcm"):
                stream.bit_rate = bit_rate
            if time_base is not None:
                stream.time_base = time_base
            streams.append(stream)
        if pictures is not None:
            _pictures(out, pictures, pcm.shape[1] / rate_hz)
        for stream, sound in zip(streams, (pcm, *tracks), strict=True):
            resampler = av.AudioResampler(format=stream.format.name, layout=layout, rate=rate_hz)
            number = 0
            step = 1024 if codec.startswith("pcm") else sound.shape[1]
            frames: list[Any] = []
            for start in range(0, sound.shape[1], step):
                frame = av.AudioFrame.from_ndarray(
                    np.ascontiguousarray(sound[:, start : start + step], np.float32), format="fltp", layout=layout
                )
                frame.sample_rate = rate_hz
                frame.pts = start
                frame.time_base = Fraction(1, rate_hz)
                frames += resampler.resample(frame)
            for frame in [*(f for f in (*frames, *resampler.resample(None)) if f is not None), None]:
                for packet in stream.encode(frame):
                    if packet.pts is not None:
                        sample = round(packet.pts * packet.time_base * rate_hz)
                        moved = at(sample)
                        if moved is None:
                            packet.pts = packet.dts = None
                        elif moved != sample:
                            packet.pts = packet.dts = packet.pts + round((moved - sample) / rate_hz / packet.time_base)
                    if keep(number):
                        out.mux(packet)
                    number += 1
    return path


def _pictures(out: Any, codec: str, seconds: float) -> None:
    video = out.add_stream(codec, rate=5)
    video.width, video.height = 64, 48
    video.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    for number in range(max(1, round(5 * seconds))):
        frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 40 * (number % 5), np.uint8), format="rgb24")
        frame.pts = number
        for packet in video.encode(frame.reformat(format=video.pix_fmt)):
            out.mux(packet)
    for packet in video.encode(None):
        out.mux(packet)


def riff(
    pcm: bytes,
    tag: int = 1,
    bits: int = 16,
    rate_hz: int = 16_000,
    channels: int = 1,
    *,
    claimed: int | None = None,
    head: int | None = None,
) -> bytes:
    """A WAV by hand, with whatever sizes are wanted in its headers."""
    block = channels * bits // 8
    size = len(pcm) if claimed is None else claimed
    form = struct.pack("<HHIIHH", tag, channels, rate_hz, rate_hz * block, block, bits)
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", size) + pcm
    return b"RIFF" + struct.pack("<I", len(body) if head is None else head) + body


def int16(pcm: Samples) -> bytes:
    """Little-endian 16-bit samples, interleaved."""
    return np.round(np.clip(pcm, -1, 1) * 32767).astype("<i2").T.tobytes()


def written(path: Path, content: bytes) -> Path:
    """The path, now holding `content`."""
    path.write_bytes(content)
    return path


def _wav(path: Path, pcm: Samples | None = None, rate_hz: int = 16_000) -> Path:
    pcm = speech(rate_hz) if pcm is None else pcm
    return written(path, riff(int16(pcm), rate_hz=rate_hz, channels=len(pcm)))


def _cut(path: Path, share: float) -> Path:
    return written(path, path.read_bytes()[: int(path.stat().st_size * share)])


def _sampled_at(rate_hz: int) -> Callable[[Path], Path]:
    return lambda to: _wav(to / "talk.wav", rate_hz=rate_hz)


def _coded(codec: str, suffix: str, share: float = 1.0) -> Callable[[Path], Path]:
    return lambda to: _cut(encode(to / f"talk.{suffix}", speech(), codec), share)


# plain files: containers, codecs, rates, channels

for rate in (8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000):
    kind(f"WAV, 16 bit, {rate} Hz", "ok", *(["narrow-band"] if rate < 16_000 else []))(_sampled_at(rate))

for name, codec, suffix in (
    ("WAV, 8 bit", "pcm_u8", "wav"),
    ("WAV, 24 bit", "pcm_s24le", "wav"),
    ("WAV, 32 bit", "pcm_s32le", "wav"),
    ("WAV, float", "pcm_f32le", "wav"),
    ("WAV, double", "pcm_f64le", "wav"),
    ("WAV, mu-law", "pcm_mulaw", "wav"),
    ("WAV, IMA ADPCM", "adpcm_ima_wav", "wav"),
    ("AIFF, 16 bit", "pcm_s16be", "aiff"),
    ("AU, 16 bit", "pcm_s16be", "au"),
    ("CAF, 64-bit double", "pcm_f64be", "caf"),
    ("W64, 16 bit", "pcm_s16le", "w64"),
    ("FLAC", "flac", "flac"),
    ("MP3", "libmp3lame", "mp3"),
    ("M4A, AAC", "aac", "m4a"),
    ("M4A, Apple Lossless", "alac", "m4a"),
    ("ADTS, AAC", "aac", "aac"),
    ("Ogg, Opus", "libopus", "ogg"),
    ("WebM, Opus", "libopus", "webm"),
    ("Matroska, FLAC", "flac", "mka"),
    ("WavPack", "wavpack", "wv"),
    ("TTA", "tta", "tta"),
    ("WMA", "wmav2", "wma"),
    ("AC-3", "ac3", "ac3"),
    ("MP2", "mp2", "mp2"),
    ("MPEG-TS, AAC", "aac", "ts"),
    ("AVI, PCM", "pcm_s16le", "avi"),
    ("NUT, 64-bit integers", "pcm_s64le", "nut"),
):
    kind(name, "ok")(_coded(codec, suffix))

kind("AMR narrow band", "ok", "narrow-band")(lambda to: encode(to / "talk.amr", speech(8_000), "libopencore_amrnb", 8_000, bit_rate=12_200))
kind("FLV, Nellymoser", "ok")(lambda to: encode(to / "talk.flv", speech(22_050), "nellymoser", 22_050))


@kind("Ogg, Vorbis (stereo)", "ok")
def _(to: Path) -> Path:
    return encode(to / "talk.ogg", np.repeat(speech(), 2, 0), "vorbis")


@kind("RF64 (WAV beyond 4 GB)", "ok")
def _(to: Path) -> Path:
    return encode(to / "talk.wav", speech(), options={"rf64": "always"})


# channels


@kind("stereo", "ok")
def _(to: Path) -> Path:
    return _wav(to / "talk.wav", np.repeat(speech(16_000), 2, 0))


@kind("stereo, one channel inverted", "ok", "anti-phase")
def _(to: Path) -> Path:
    return _wav(to / "talk.wav", np.concatenate((speech(16_000), -0.8 * speech(16_000))))


@kind("stereo, right channel silent", "ok", "one-channel")
def _(to: Path) -> Path:
    return _wav(to / "talk.wav", np.concatenate((speech(16_000), 0 * speech(16_000))))


@kind("5.1 sound, AAC", "ok")
def _(to: Path) -> Path:
    return encode(to / "talk.m4a", np.repeat(speech(), 6, 0), "aac", bit_rate=256_000)


@kind("8 channels, speech in one", "ok", "one-channel")
def _(to: Path) -> Path:
    pcm = np.random.default_rng(1).normal(0, 1e-3, (8, speech(16_000).shape[1]))
    pcm[5] += speech(16_000)[0]
    return _wav(to / "talk.wav", pcm)


@kind("8 channels, speech in all", "ok")
def _(to: Path) -> Path:
    return _wav(to / "talk.wav", np.repeat(speech(16_000), 8, 0))


@kind("24 channels", "ok")
def _(to: Path) -> Path:
    return _wav(to / "talk.wav", np.repeat(speech(16_000), 24, 0))


# samples that are odd


@kind("NaN and infinity in a float WAV", "ok", "non-finite", "lost")
def _(to: Path) -> Path:
    pcm = speech(16_000)[0].astype("<f4")
    pcm[8_000:12_000] = np.nan
    pcm[20_000] = np.inf
    return written(to / "talk.wav", riff(pcm.tobytes(), 3, 32))


@kind("all NaN", "not-decodable")
def _(to: Path) -> Path:
    return written(to / "talk.wav", riff(np.full(16_000, np.nan, "<f4").tobytes(), 3, 32))


@kind("float WAV scaled like 16 bit", "ok", "over-full-scale")
def _(to: Path) -> Path:
    return written(to / "talk.wav", riff((speech(16_000)[0] * 32_768).astype("<f4").tobytes(), 3, 32))


@kind("clipped hard", "ok", "clipped")
def _(to: Path) -> Path:
    return _wav(to / "talk.wav", speech(16_000) * 8)


@kind("very quiet (-60 dBFS)", "ok", "quiet")
def _(to: Path) -> Path:
    return _wav(to / "talk.wav", speech(16_000) * 1e-3 / np.sqrt(np.mean(speech(16_000) ** 2)))


@kind("constant offset under speech", "ok", "dc-offset")
def _(to: Path) -> Path:
    return _wav(to / "talk.wav", speech(16_000) * 0.5 + 0.25)


@kind("constant offset alone", "silent")
def _(to: Path) -> Path:
    return _wav(to / "talk.wav", np.full((1, 16_000), 0.3))


@kind("digital silence", "silent")
def _(to: Path) -> Path:
    return _wav(to / "talk.wav", np.zeros((1, 48_000)))


@kind("1 sample", "too-short")
def _(to: Path) -> Path:
    return _wav(to / "talk.wav", np.full((1, 1), 0.5))


@kind("20 ms", "too-short")
def _(to: Path) -> Path:
    return _wav(to / "talk.wav", speech(16_000)[:, 8_000:8_320])


@kind("WAV without a sample", "not-decodable")
def _(to: Path) -> Path:
    return _wav(to / "talk.wav", np.zeros((1, 0)))


@kind("2 Hz WAV", "odd-rate")
def _(to: Path) -> Path:
    return written(to / "talk.wav", riff(int16(speech(16_000)), rate_hz=2))


# headers that lie, files that end


@kind("WAV header says 0 bytes (recorder crashed)", "ok")
def _(to: Path) -> Path:
    return written(to / "talk.wav", riff(int16(speech(16_000)), claimed=0, head=0))


@kind("WAV header says 4 GB (streamed)", "ok")
def _(to: Path) -> Path:
    return written(to / "talk.wav", riff(int16(speech(16_000)), claimed=0xFFFFFFFF, head=0xFFFFFFFF))


@kind("WAV header claims 18 hours", "ok", "truncated")
def _(to: Path) -> Path:
    return written(to / "talk.wav", riff(int16(speech(16_000)), claimed=2_100_000_000))


for suffix, codec, share, warnings in (
    ("wav", "pcm_s16le", 0.6, ["truncated"]),
    ("flac", "flac", 0.6, ["truncated"]),
    ("mp3", "libmp3lame", 0.6, ["truncated"]),
    ("ogg", "libopus", 0.6, ["cut-off"]),
    ("webm", "libopus", 0.6, ["truncated"]),
    ("aac", "aac", 0.6, ["cut-off"]),
    ("aiff", "pcm_s16be", 0.6, ["truncated"]),
):
    kind(f"{suffix} cut at {share:.0%}", "ok", *warnings)(_coded(codec, suffix, share))


@kind("MP4 (index first) cut at 60%", "ok", "truncated")
def _(to: Path) -> Path:
    return _cut(encode(to / "talk.m4a", speech(), "aac", options={"movflags": "faststart"}), 0.6)


@kind("MP4 (index last) cut at 60%", "no-index")
def _(to: Path) -> Path:
    return _cut(encode(to / "talk.m4a", speech(), "aac"), 0.6)


@kind("CAF with a chunk of 2^60 bytes", "ok")
def _(to: Path) -> Path:
    whole = encode(to / "talk.caf", speech(), "pcm_s16be").read_bytes()
    return written(to / "talk.caf", whole[:52] + b"free" + struct.pack(">q", 1 << 60) + whole[52:])


@kind("WAV cut inside its header", "not-audio")
def _(to: Path) -> Path:
    return written(to / "talk.wav", _wav(to / "talk.wav").read_bytes()[:20])


@kind("MP3 of 100 bytes", "not-audio")
def _(to: Path) -> Path:
    return written(to / "talk.mp3", encode(to / "talk.mp3", speech(), "libmp3lame").read_bytes()[2_000:2_100])


@kind("MP3 with a hole of zero bytes", "ok", "lost")
def _(to: Path) -> Path:
    whole = encode(to / "talk.mp3", speech(), "libmp3lame").read_bytes()
    return written(to / "talk.mp3", whole[:8_000] + bytes(2_000) + whole[10_000:])


@kind("WebM with damaged packets", "ok", "lost")
def _(to: Path) -> Path:
    options = {"cluster_time_limit": "400"}
    whole = bytearray(encode(to / "talk.webm", speech(), "libopus", bit_rate=96_000, options=options).read_bytes())
    whole[16_000:18_000] = np.random.default_rng(3).integers(0, 256, 2_000, np.uint8).tobytes()
    return written(to / "talk.webm", bytes(whole))


@kind("FLAC with flipped bits", "ok", "lost")
def _(to: Path) -> Path:
    whole = bytearray(encode(to / "talk.flac", speech(), "flac").read_bytes())
    whole[60_000:60_040] = bytes(40)
    return written(to / "talk.flac", bytes(whole))


@kind("WebM without duration (MediaRecorder)", "ok")
def _(to: Path) -> Path:
    return encode(to / "talk.webm", speech(), "libopus", options={"live": "1"})


@kind("fragmented MP4", "ok")
def _(to: Path) -> Path:
    return encode(to / "talk.mp4", speech(), "aac", options={"movflags": "frag_keyframe+empty_moov+default_base_moof"})


@kind("chained Ogg (two recordings joined)", "ok", "clock-jump")
def _(to: Path) -> Path:
    one = encode(to / "talk.ogg", speech(), "libopus").read_bytes()
    return written(to / "talk.ogg", one + encode(to / "talk.ogg", -speech(), "libopus").read_bytes())


@kind("MP3 joined from two rates", "ok")
def _(to: Path) -> Path:
    one = encode(to / "talk.mp3", speech(44_100), "libmp3lame", 44_100, options={"write_xing": "0", "id3v2_version": "0"}).read_bytes()
    two = encode(to / "talk.mp3", speech(22_050), "libmp3lame", 22_050, options={"write_xing": "0", "id3v2_version": "0"}).read_bytes()
    return written(to / "talk.mp3", one + two)


@kind("MP3 behind 5 kB of noise", "ok")
def _(to: Path) -> Path:
    noise = bytes(np.random.default_rng(2).integers(0, 200, 5_000, np.uint8))
    return written(to / "talk.mp3", noise + encode(to / "talk.mp3", speech(), "libmp3lame").read_bytes())


# timestamps


@kind("WebM, half a second of packets missing", "ok", "lost")
def _(to: Path) -> Path:
    return encode(to / "talk.webm", speech(), "libopus", keep=lambda number: not 50 <= number < 75)


@kind("Matroska, timestamps jitter by 12 ms", "ok")
def _(to: Path) -> Path:
    return encode(to / "talk.mka", speech(), "libopus", at=lambda sample: sample + (576 if sample // 960 % 3 == 1 else 0))


@kind("Matroska, timestamps jump a day ahead", "ok", "clock-jump")
def _(to: Path) -> Path:
    return encode(to / "talk.mka", speech(), "libopus", at=lambda sample: sample + (86_400 * 48_000 if sample > 72_000 else 0))


@kind("MPEG-TS, timestamps start at an hour", "ok")
def _(to: Path) -> Path:
    return encode(to / "talk.ts", speech(), "aac", at=lambda sample: sample + 3_600 * 48_000)


@kind("M4A, timestamps start half a second below zero", "ok")
def _(to: Path) -> Path:
    return encode(to / "talk.m4a", speech(), "alac", at=lambda sample: sample - 24_000, options={"avoid_negative_ts": "disabled"})


@kind("M4A, timestamps start at half a second", "ok")
def _(to: Path) -> Path:
    return encode(to / "talk.m4a", speech(), "alac", at=lambda sample: sample + 24_000)


# pictures and several streams


@kind("video with sound (MP4)", "ok")
def _(to: Path) -> Path:
    return encode(to / "talk.mp4", speech(), "aac", pictures="mpeg4")


@kind("video with sound (Matroska)", "ok")
def _(to: Path) -> Path:
    return encode(to / "talk.mkv", speech(), "libopus", pictures="mpeg4")


@kind("video whose sound starts 0.8 s late", "ok", "starts-late")
def _(to: Path) -> Path:
    return encode(to / "talk.mkv", speech(), "pcm_s16le", pictures="mpeg4", at=lambda sample: sample + 38_400)


@kind("video without sound", "no-audio-stream")
def _(to: Path) -> Path:
    with av.open(str(to / "talk.mp4"), "w") as out:
        _pictures(out, "mpeg4", 1.0)
    return to / "talk.mp4"


@kind("MP3 with cover art", "ok")
def _(to: Path) -> Path:
    audio = encode(to / "talk.mp3", speech(), "libmp3lame", options={"id3v2_version": "0"}).read_bytes()
    picture = b"\x00image/jpeg\x00\x03\x00" + _jpeg(to).read_bytes()
    frame = b"APIC" + struct.pack(">IH", len(picture), 0) + picture
    size = bytes((len(frame) >> shift) & 0x7F for shift in (21, 14, 7, 0))
    return written(to / "talk.mp3", b"ID3\x03\x00\x00" + size + frame + audio)


@kind("two audio tracks", "ok", "several-streams")
def _(to: Path) -> Path:
    return encode(to / "talk.mka", speech(), "flac", tracks=[-0.1 * speech()])


def _jpeg(to: Path) -> Path:
    with av.open(str(to / "talk.jpg"), "w", format="mjpeg") as out:
        _pictures(out, "mjpeg", 0.2)
    return to / "talk.jpg"


@kind("JPEG", "no-audio-stream")
def _(to: Path) -> Path:
    return _jpeg(to)


# not recordings at all


@kind("no such file", "not-found")
def _(to: Path) -> Path:
    return to / "talk.wav"


@kind("0 bytes", "empty-file")
def _(to: Path) -> Path:
    return written(to / "talk.wav", b"")


@kind("text named .wav", "not-audio")
def _(to: Path) -> Path:
    return written(to / "talk.wav", b"It was the best of times, it was the worst of times.\n" * 100)


@kind("HTML named .mp3 (a login page)", "not-audio")
def _(to: Path) -> Path:
    return written(to / "talk.mp3", b"<!doctype html><html><head><title>Sign in</title></head><body><p>Please sign in.</p></body></html>\n")


@kind("random bytes", "not-audio")
def _(to: Path) -> Path:
    return written(to / "talk.wav", np.random.default_rng(4).integers(0, 256, 40_000, np.uint8).tobytes())


@kind("zero bytes (64 kB)", "not-audio")
def _(to: Path) -> Path:
    return written(to / "talk.wav", bytes(65_536))


@kind("ZIP", "not-audio")
def _(to: Path) -> Path:
    return written(to / "talk.zip", b"PK\x03\x04\x14\x00\x00\x00\x08\x00" + bytes(range(256)) * 8)


@kind("subtitles (SRT)", "no-audio-stream")
def _(to: Path) -> Path:
    return written(to / "talk.srt", b"1\n00:00:00,000 --> 00:00:01,000\nHello\n\n2\n00:00:01,000 --> 00:00:02,000\nagain\n\n" * 5)


@kind("HLS playlist", "refers-elsewhere")
def _(to: Path) -> Path:
    _wav(to / "secret.wav")
    return written(to / "talk.m3u8", b"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:3\n#EXTINF:3.0,\nsecret.wav\n#EXT-X-ENDLIST\n")


@kind("concat script", "refers-elsewhere")
def _(to: Path) -> Path:
    _wav(to / "secret.wav")
    return written(to / "talk.txt", b"ffconcat version 1.0\nfile secret.wav\n")


@kind("DASH manifest named .wav", "refers-elsewhere")
def _(to: Path) -> Path:
    return written(
        to / "talk.wav",
        b'<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" profiles="urn:mpeg:dash:profile:isoff-main:2011">'
        b'<Period><AdaptationSet mimeType="audio/mp4"><Representation id="1"><BaseURL>secret.wav</BaseURL></Representation></AdaptationSet>'
        b"</Period></MPD>\n",
    )


@kind("SDP session file", "refers-elsewhere")
def _(to: Path) -> Path:
    return written(to / "talk.sdp", b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n")


# places and names


@kind("web address", "not-local")
def _(to: Path) -> Path:  # noqa: ARG001  (an address lies in no folder)
    return Path("https://example.org/talk.mp3")


@kind("FFmpeg protocol in the name", "not-found")
def _(to: Path) -> Path:
    _wav(to / "talk.wav")
    return Path(f"concat:{to / 'talk.wav'}")


@kind("-", "not-found")
def _(to: Path) -> Path:  # noqa: ARG001
    return Path("-")


@kind("folder", "not-a-file")
def _(to: Path) -> Path:
    (to / "talk.wav").mkdir()
    return to / "talk.wav"


@kind("named pipe without a writer", "not-a-file")
def _(to: Path) -> Path:
    os.mkfifo(to / "talk.wav")
    return to / "talk.wav"


@kind("device", "not-a-file")
def _(to: Path) -> Path:  # noqa: ARG001
    return Path(os.devnull)


@kind("symlink to a recording", "ok")
def _(to: Path) -> Path:
    _wav(to / "real.wav")
    (to / "talk.wav").symlink_to("real.wav")
    return to / "talk.wav"


@kind("symlink to itself", "not-found")
def _(to: Path) -> Path:
    (to / "talk.wav").symlink_to("talk.wav")
    return to / "talk.wav"


@kind("name with newline, quotes and Unicode", "ok")
def _(to: Path) -> Path:
    return _wav(to / 'Über\n\'"talk" \N{MICROPHONE}.wav')


@kind("missing file with an escape sequence in its name", "not-found")
def _(to: Path) -> Path:
    return to / "\x1b[31mred\n.wav"


@kind("name that is not UTF-8", "ok")
def _(to: Path) -> Path:
    return _wav(to / os.fsdecode(b"caf\xe9.wav"))


@kind("name starting with a dash", "ok")
def _(to: Path) -> Path:
    return _wav(to / "-talk.wav")


@kind("name too long for the system", "not-found")
def _(to: Path) -> Path:
    return to / ("x" * 300 + ".wav")


@kind("FLAC named .mp3", "ok")
def _(to: Path) -> Path:
    return encode(to / "talk.mp3", speech(), "flac", format="flac")


@kind("WAV without a suffix", "ok")
def _(to: Path) -> Path:
    return _wav(to / "talk")


def unreadable(to: Path) -> Path | None:
    """A file nobody may read, or None where (as root) permissions do not bind."""
    path = _wav(to / "talk.wav")
    path.chmod(0)
    try:
        path.open("rb").close()
    except PermissionError:
        return path
    return None
