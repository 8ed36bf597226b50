"""Clips: cut where they were meant to be, without a click, at one loudness, captions in time, and nothing rendered that nobody wants."""

import asyncio
import re
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import pyloudnorm
import pytest
from numpy.typing import NDArray

from batch import clips
from batch.clips import SOUND_HZ, SUFFIXES, Source, cut_of, render
from batch.steps import RUN, Job, Tools, Watched
from config.settings import Settings
from db import clips as db_clips
from db import documents, media, orgs, sessions, steps, transcripts
from db.pool import Database, Tx
from engines.blobs import Blobs, open_blobs
from engines.embedded import Servers
from speech.audio import RATE_HZ, Floats
from speech.loudness import loudness_lufs, normalised, true_peak_dbtp
from speech.words import Transcript, Word
from tests.databases import database
from tests.samples import recording, samples
from tests.test_analyze import wav
from tests.test_transcribe import bare, hear

if TYPE_CHECKING:
    from recognition.whisper import Recogniser

EDGE_S = 0.02
STAMP = re.compile(r"(\d\d):(\d\d):(\d\d)\.(\d\d\d)")


def at_48_khz(pcm: Floats) -> NDArray[np.float64]:
    return np.fft.irfft(np.fft.rfft(pcm), 3 * pcm.size) * 3


def heard(path: Path) -> NDArray[np.float64]:
    """What a player plays of it, which honours edit lists."""
    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)]).astype(np.float64)


def lag(found: NDArray[np.float64], meant: NDArray[np.float64]) -> int:
    """By how many samples `found` comes later, by cross-correlation."""
    size = 2 * max(found.size, meant.size)
    together = np.fft.irfft(np.conj(np.fft.rfft(meant, size)) * np.fft.rfft(found, size))
    best = int(np.argmax(together))
    return best if best < size // 2 else best - size


def cut_out(folder: Path, pcm: Floats, start: int, end: int, words: tuple[Word, ...] = (), pictures: Path | None = None) -> Path:
    """The clip, as the path of its files without a suffix."""
    cut = cut_of(start, end, words, "en")
    render(Source(pcm, words, "en", pictures), [cut], folder, 1, lambda _: None)
    return folder / cut.name


def stamps(text: str) -> list[float]:
    return [int(h) * 3600 + int(m) * 60 + int(s) + int(ms) / 1000 for h, m, s, ms in STAMP.findall(text)]


# sound


@pytest.mark.parametrize(
    ("start", "end"),
    [(samples(8.613), samples(13.117)), (0, samples(4.0)), (recording().size - samples(4.2), recording().size)],
    ids=["inside", "at the very beginning", "at the very end"],
)
def test_the_edges_are_where_they_were_meant_to_be(tmp_path: Path, start: int, end: int) -> None:
    path = cut_out(tmp_path, recording(), start, end)
    meant = at_48_khz(recording()[start:end])
    near = SOUND_HZ // 2
    for suffix in (".m4a", ".mp4"):
        found = heard(path.with_suffix(suffix))
        for part in (slice(None), slice(0, near), slice(meant.size - near, meant.size)):
            assert abs(lag(found[part], meant[part])) / SOUND_HZ < 0.001, suffix  # 20 times less than may be heard
        with av.open(str(path.with_suffix(suffix))) as container:
            sound = container.streams.audio[0]
            assert sound.duration == pytest.approx(meant.size, abs=2)
        # What a decoder that does not look at the length gives beyond it is the rest of AAC's last frame, and silent.
        assert found.size - meant.size < 1024
        assert np.abs(found[meant.size :]).max(initial=0.0) < 0.01


def test_planted_clicks_stay_in_their_places(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    pcm = rng.normal(0, 1e-3, samples(10)).astype(np.float32)
    planted = np.arange(samples(0.35), pcm.size, samples(0.7))
    pcm[planted] = 0.7
    start, end = samples(3.21), samples(7.9)
    found = np.abs(heard(cut_out(tmp_path, pcm, start, end).with_suffix(".m4a")))
    for at in planted[(planted > start + RATE_HZ // 50) & (planted < end - RATE_HZ // 50)]:
        near = 3 * (at - start)
        there = near - 960 + int(np.argmax(found[near - 960 : near + 960]))
        assert abs(there - near) / SOUND_HZ < 0.001


def test_a_cut_through_a_loud_tone_does_not_click(tmp_path: Path) -> None:
    tone = (0.5 * np.sin(2 * np.pi * 200 * np.arange(samples(6)) / RATE_HZ)).astype(np.float32)
    start = samples(1) + RATE_HZ // 800  # on a crest
    path = cut_out(tmp_path, tone, start, start + samples(4))
    found = heard(path.with_suffix(".m4a"))
    steps = np.abs(np.diff(np.concatenate(([0.0], found, [0.0]))))
    inside = steps[SOUND_HZ : 2 * SOUND_HZ].max()  # of the tone itself
    assert steps[: SOUND_HZ // 50].max() < 1.05 * inside
    assert steps[-SOUND_HZ // 50 :].max() < 1.05 * inside
    assert np.abs(found[[0, -1]]).max() < 0.01
    # unfaded, it would have jumped from zero to the crest
    assert np.abs(found[SOUND_HZ : 2 * SOUND_HZ]).max() > 20 * inside * 0.5


@pytest.mark.parametrize("gain_db", [-18.0, -6.0, 12.0])
def test_every_clip_is_equally_loud_and_no_peak_passes_the_ceiling(tmp_path: Path, gain_db: float) -> None:
    pcm = (recording() * 10 ** (gain_db / 20)).astype(np.float32)
    found = heard(cut_out(tmp_path, pcm, samples(1), samples(13)).with_suffix(".m4a"))
    assert pyloudnorm.Meter(SOUND_HZ).integrated_loudness(found) == pytest.approx(clips.LOUDNESS_LUFS, abs=0.5)
    assert np.abs(at_48_khz(found.astype(np.float32))).max() < 10 ** (-1 / 20)  # three times as fine: true peaks


def test_loudness_agrees_with_pyloudnorm_and_peaks_are_held() -> None:
    pcm = recording()[: samples(12)]
    assert loudness_lufs(pcm) == pytest.approx(pyloudnorm.Meter(RATE_HZ).integrated_loudness(pcm.astype(float)), abs=0.3)
    spiky = pcm.copy()
    spiky[:: RATE_HZ // 3] = 0.9
    made = normalised(spiky, -16.0, -1.5)
    assert loudness_lufs(made) == pytest.approx(-16.0, abs=0.2)
    assert true_peak_dbtp(made) < -1.4
    silence = np.zeros(RATE_HZ, np.float32)
    assert np.array_equal(normalised(silence, -16.0, -1.5), silence)


# captions


def test_captions_say_what_is_heard_when_it_is_heard(tmp_path: Path, recogniser: "Recogniser") -> None:
    whole = hear(recogniser, recording()[: samples(14)]).transcript.words
    start, end = samples(4.78), samples(8.55)
    path = cut_out(tmp_path, recording(), start, end, whole)
    text = path.with_suffix(".vtt").read_text(encoding="utf-8")
    body = "\n".join(line for line in text.split("\n")[1:] if "-->" not in line)
    found = heard(path.with_suffix(".mp4"))
    again = hear(recogniser, np.asarray(av_16_khz(found), np.float32)).transcript.words
    assert bare(re.sub(r"<[^>]*>", "", body)) == bare(list(again)) == "it was the age of wisdom it was the age of foolishness"
    said = [word for word in whole if start <= word.start < end]
    assert len(said) == len(again)
    off_s = [abs((one.start - start) - other.start) / RATE_HZ for one, other in zip(said, again, strict=True)]
    assert max(off_s) < 0.1
    # every word but those that begin a cue bears its time
    times = set(stamps(text))
    assert all(min(abs(at - (word.start - start) / RATE_HZ) for at in times) < 0.1 for word in said)


def av_16_khz(found: NDArray[np.float64]) -> NDArray[np.float64]:
    size = found.size // 3
    return np.fft.irfft(np.fft.rfft(found)[: size // 2 + 1], size) / 3


def test_the_track_in_the_video_has_the_words_and_the_holes_between(tmp_path: Path) -> None:
    words = tuple(Word(text, samples(at), samples(at + 0.4), 0.9) for text, at in (("One", 1.2), ("two.", 1.7), ("Naïve?", 4.0)))
    path = cut_out(tmp_path, recording(), samples(1), samples(6), words)
    with av.open(str(path.with_suffix(".mp4"))) as container:
        told = [(float(p.pts * p.time_base), bytes(p)[2:].decode()) for p in container.demux(subtitles=0) if p.size and p.pts is not None]
    assert [text for _, text in told if text] == ["One two.", "Naïve?"]
    assert [at for at, text in told if text] == pytest.approx([0.2, 3.0], abs=0.002)


# video


def test_sound_and_pictures_of_a_video_are_equally_long(tmp_path: Path) -> None:
    for length_s in (4.0, 5.03, 7.777):
        path = cut_out(tmp_path, recording(), samples(2), samples(2 + length_s))
        with av.open(str(path.with_suffix(".mp4"))) as container:
            video, sound = container.streams.video[0], container.streams.audio[0]
            lengths = [float(stream.duration * stream.time_base) for stream in (video, sound) if stream.duration and stream.time_base]
            assert [stream.start_time for stream in (video, sound)] == [0, 0]
        assert lengths[1] == pytest.approx(length_s, abs=0.001)
        assert 0 <= lengths[0] - lengths[1] <= 1 / clips.RATE + 0.001
        with av.open(str(path.with_suffix(".jpg"))) as container:
            assert next(container.decode(video=0)).width == clips.WIDTH


def test_the_waveform_takes_colour_as_it_is_heard(tmp_path: Path) -> None:
    path = cut_out(tmp_path, recording(), samples(1), samples(6))
    with av.open(str(path.with_suffix(".mp4"))) as container:
        frames = [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]
    for number in (0, len(frames) // 2, len(frames) - 1):
        bright = np.flatnonzero(frames[number][clips._MIDDLE, :, 1] > 160)
        reached = float(bright.max()) if bright.size else clips._MARGIN
        wide = clips.WIDTH - 2 * clips._MARGIN
        assert (reached - clips._MARGIN) / wide == pytest.approx(number / len(frames), abs=0.03)


def film(path: Path, length_s: float, rate: int = 30, sound_late_s: float = 0.0, begins_s: float = 0.0, width: int = 320) -> Path:
    """A video whose frame n is as bright as n modulo 50 says, with the reader's voice."""
    pcm = recording()[: samples(length_s)]
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=rate, options={"crf": "10", "preset": "ultrafast", "g": "45"})
        video.width, video.height, video.pix_fmt = width, 180, "yuv420p"
        sound = container.add_stream("aac", rate=RATE_HZ)
        sound.layout = "mono"
        for number in range(round(length_s * rate)):
            raw = np.full((270, width), 128, np.uint8)
            raw[:180] = 20 + 4 * (number % 50)
            frame = av.VideoFrame.from_ndarray(raw, format="yuv420p")
            frame.pts, frame.time_base = number + round(begins_s * rate), Fraction(1, rate)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        heard_frame = av.AudioFrame.from_ndarray(pcm.reshape(1, -1), format="fltp", layout="mono")
        heard_frame.sample_rate, heard_frame.pts = RATE_HZ, round((begins_s + sound_late_s) * RATE_HZ)
        container.mux(sound.encode(heard_frame))
        container.mux(sound.encode(None))
    return path


@pytest.mark.parametrize(("name", "sound_late_s", "begins_s"), [("talk.mp4", 0.0, 0.0), ("talk.mp4", 0.5, 0.0), ("talk.mkv", 0.0, 1.5)])
def test_the_users_own_pictures_are_those_of_the_time(tmp_path: Path, name: str, sound_late_s: float, begins_s: float) -> None:
    path = film(tmp_path / name, 8.0, sound_late_s=sound_late_s, begins_s=begins_s)
    late = np.zeros(samples(sound_late_s), np.float32)
    pcm = np.concatenate((late, recording()[: samples(8.0)]))  # as batch/decode.py has it
    start, end = samples(3.2), samples(7.4)
    made = cut_out(tmp_path, pcm, start, end, pictures=path)
    with av.open(str(made.with_suffix(".mp4"))) as container:
        shown = [round((float(frame.to_ndarray()[: frame.height].mean()) - 20) / 4) for frame in container.decode(video=0)]
        assert (container.streams.video[0].width, container.streams.video[0].height) == (320, 180)
    meant = [(96 + number) % 50 for number in range(len(shown))]
    assert len(shown) == 126
    assert sum(abs(one - other) > 1 for one, other in zip(shown, meant, strict=True)) == 0


def test_a_film_of_a_phone_held_upright_stands_upright(tmp_path: Path) -> None:
    wide = film(tmp_path / "wide.mp4", 4.5)
    turned = tmp_path / "turned.mp4"
    content = bytearray(wide.read_bytes())
    # The matrix of the video's tkhd: by 90 degrees.
    plain = b"".join(value.to_bytes(4, "big", signed=True) for value in (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30))
    quarter = b"".join(value.to_bytes(4, "big", signed=True) for value in (0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30))
    at = content.index(plain, content.index(b"tkhd"))
    content[at : at + len(plain)] = quarter
    turned.write_bytes(content)
    made = cut_out(tmp_path, recording(), 0, samples(4), pictures=turned)
    with av.open(str(made.with_suffix(".mp4"))) as container:
        assert (container.streams.video[0].width, container.streams.video[0].height) == (180, 320)


def test_a_damaged_film_leaves_the_waveform(tmp_path: Path) -> None:
    path = film(tmp_path / "talk.mp4", 5.0)
    content = bytearray(path.read_bytes())
    content[200 : len(content) // 2] = bytes(len(content) // 2 - 200)
    path.write_bytes(content)
    made = cut_out(tmp_path, recording(), samples(0.5), samples(4.5), pictures=path)
    with av.open(str(made.with_suffix(".mp4"))) as container:
        assert container.streams.video[0].frames > 0
    assert all(made.with_suffix(suffix).stat().st_size > 100 for suffix in (".m4a", ".jpg"))


# who wants it


class NotWanted(Exception):
    """Somebody cancelled."""


def test_what_nobody_wants_any_more_ends_at_once(tmp_path: Path) -> None:
    cuts = [cut_of(samples(at), samples(at + 10), (), "en") for at in range(1, 31, 3)]
    told: list[float] = []

    def at(share: float) -> None:
        told.append(share)
        if share > 0.02:
            raise NotWanted

    with pytest.raises(NotWanted):
        render(Source(recording(), (), "en", None), cuts, tmp_path, 2, at)
    assert max(told) < 0.2
    assert len(list(tmp_path.glob("*.jpg"))) < len(cuts) // 2


def test_the_same_words_have_the_same_name_and_others_another() -> None:
    words = (Word("one", 100, 200, 0.9), Word("two", 9000, 9100, 0.9))
    name = cut_of(0, 5000, words, "en").name
    assert cut_of(0, 5000, words[:1], "en").name == name  # the other is not in it
    assert cut_of(0, 5000, (Word("won", 100, 200, 0.9),), "en").name != name  # recognised anew, or masked
    assert cut_of(0, 5001, words, "en").name != name


class Unwatched(Watched):
    """Nobody looks."""

    def stage(self, name: str) -> None:
        pass

    def at(self, fraction: float) -> None:
        pass


def moment(number: int, start_s: float, end_s: float) -> dict[str, object]:
    return {"id": f"m{number}", "start_s": start_s, "end_s": end_s, "cut_start_s": start_s, "cut_end_s": end_s}


def test_only_what_is_new_is_rendered_and_what_is_old_goes(servers: Servers, data_folder: Path, tmp_path: Path) -> None:
    words = tuple(Word(f"w{i}", samples(i + 0.1), samples(i + 0.5), 0.9) for i in range(14))
    path = wav(tmp_path / "talk.wav", 0.0, 15.0)

    async def coached(tx: Tx, job: Job, *moments: dict[str, object]) -> None:
        await documents.store(tx, "coaching", job.session, "h", {"moments": list(moments)})

    async def run(db: Database, blobs: Blobs) -> None:
        org = (await orgs.ensure_local(db)).org
        settings = Settings(data=data_folder, asr_model="bundled", device="cpu", threads=2)
        tools = Tools(settings, db, blobs, tmp_path / "scratch")
        async with db.tenant(org) as tx:
            session = (await sessions.create(tx, "a talk", "upload")).id
            job = Job(org, session, "clips", "h")
            stored = await blobs.put(job.key("source"), path, content_type="audio/wav")
            await media.begin(tx, session, key=job.key("source"), size=stored.size, content_type="audio/wav", filename="talk.wav")
            await media.complete(tx, session, size=stored.size, sha256=stored.sha256)
            facts = {"name": "", "sha256": "", "container": "", "codec": "", "rate_hz": 16_000, "channels": 1, "samples": 1, "warnings": []}
            await media.set_facts(tx, session, facts)
            await transcripts.store(tx, session, Transcript(words, "en", 0.9))
            await steps.queue(tx, session, "asr", "h")
            await steps.finish(tx, session, "asr", "h", {"versions": {}})
            await coached(tx, job, moment(1, 1.0, 4.0), moment(2, 5.0, 9.0))
            own = await db_clips.add(tx, session, "mine", samples(10), samples(12))

        async def again() -> tuple[int, dict[str | None, db_clips.Clip], set[str]]:
            done = await RUN["clips"](tools, job, Unwatched())
            async with db.tenant(org) as tx:
                await done.store(tx)
                found = await db_clips.of(tx, session)
            keys = {key async for key in blobs.keys(job.key("clips/"))}
            assert keys == {file.key for clip in found for file in clip.files}
            for clip in found:
                assert [file.name for file in clip.files] == [f"clip{suffix}" for suffix in SUFFIXES]
                for file in clip.files:
                    stat = await blobs.stat(file.key)
                    assert stat is not None
                    assert stat.size == file.size > 0
            return done.result["rendered"], {clip.moment: clip for clip in found}, keys

        rendered, by_moment, keys = await again()
        assert (rendered, set(by_moment)) == (3, {"m1", "m2", None})
        assert by_moment[None].id == own.id
        assert (await again())[0] == 0  # the same again: nothing
        async with db.tenant(org) as tx:
            await coached(tx, job, moment(1, 5.0, 9.0), moment(2, 6.0, 10.0))  # the second is now the first
        rendered, later, left = await again()
        assert rendered == 1
        assert later["m1"].files == by_moment["m2"].files
        assert {file.key for file in by_moment["m1"].files}.isdisjoint(left)
        assert len(left) == len(keys)

    async def opened(url: str) -> None:
        settings = Settings(data=data_folder, asr_model="bundled", device="cpu", threads=2)
        async with Database.open(url) as db, open_blobs(settings, bytes(32), "", tmp_path / "blobs") as blobs:
            await run(db, blobs)

    with database(servers.database_url) as url:
        asyncio.run(opened(url))
