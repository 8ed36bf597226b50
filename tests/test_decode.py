"""Decoding: odd and broken media, quality of the resampler, places in time, memory."""

import hashlib
import re
import tracemalloc
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch import decode as decoding
from batch.decode import Recording, decode
from batch.timeline import Timeline
from speech.audio import RATE_HZ, Floats, Span
from speech.errors import PROBLEMS, Problem
from tests.media import KINDS, Kind, encode, int16, riff, speech, unreadable, written


def code_of(text: str) -> str:
    """The code whose sentence this is."""
    for code, entry in PROBLEMS.items():
        shape = re.sub(r"\\\{.*?\\\}", ".*", re.escape(entry.sentence))
        if re.fullmatch(shape, text):
            return code
    raise AssertionError(f"not in the table: {text}")


def codes(warnings: Iterable[str]) -> list[str]:
    return sorted(code_of(text) for text in warnings)


def lag_and_likeness(pcm: Floats, truth: Floats) -> tuple[int, float]:
    """How many samples `pcm` is late against `truth`, and the correlation at that lag."""
    size = pcm.size + truth.size
    cross = np.fft.irfft(np.fft.rfft(pcm, size) * np.conj(np.fft.rfft(truth, size)), size)
    at = int(np.argmax(np.abs(cross)))
    return (at if at < pcm.size else at - size), float(cross[at] / np.sqrt(np.sum(pcm**2.0) * np.sum(truth**2.0)))


def voice() -> Floats:
    pcm: Floats = speech(RATE_HZ)[0].astype(np.float32)
    return pcm


# Of these the sound is not that of one whole recording, by their nature.
NOT_WHOLE = ("cut at", "joined", "damaged", "hole", "missing", "half a second below zero", "NaN", "clipped hard", "0.8 s late")


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_kind_of_file_comes_to_what_it_should(kind: Kind, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = kind.make(tmp_path)
    comes_to(kind, path)
    assert capfd.readouterr() == ("", "")  # FFmpeg and PyAV say nothing past us


def comes_to(kind: Kind, path: Path) -> None:
    if kind.outcome != "ok":
        with pytest.raises(Problem) as caught:
            decode(path)
        assert caught.value.code == kind.outcome
        assert str(caught.value).isprintable()
        return
    made = decode(path)
    assert codes(made.facts.warnings) == sorted(kind.warnings)
    assert made.pcm.dtype == np.float32
    assert made.facts.samples == made.pcm.size
    assert np.abs(made.pcm).max() <= 1.0
    assert made.facts.name.isprintable()
    if not any(mark in kind.name for mark in NOT_WHOLE):
        lag, likeness = lag_and_likeness(made.pcm, voice())
        # Codecs that do not tell their delay (ADTS, MPEG-TS, AC-3, AMR, Nellymoser) come up to 45 ms late.
        assert abs(lag) <= (2 if made.facts.codec.startswith(("pcm", "flac", "alac", "wavpack", "tta")) else 0.045 * RATE_HZ)
        assert likeness > (0.7 if made.facts.codec in {"amr_nb", "nellymoser"} else 0.9)
        assert abs(made.pcm.size - 3 * RATE_HZ) <= 0.05 * RATE_HZ


def test_a_programme_that_joins_a_broadcast_late_does_no_harm(tmp_path: Path) -> None:
    """Beyond what FFmpeg looks at first (5 MB), a stream begins that PyAV does not know."""
    long = np.repeat(np.tile(speech(), 38), 2, 0)
    first = encode(tmp_path / "first.ts", long, "mp2", bit_rate=384_000).read_bytes()
    second = encode(tmp_path / "second.ts", speech(), "aac", pictures="mpeg2video").read_bytes()
    made = decode(written(tmp_path / "both.ts", first + second))
    assert made.pcm.size >= 38 * 3 * RATE_HZ


def test_a_file_nobody_may_read_is_said_to_be_so(tmp_path: Path) -> None:
    path = unreadable(tmp_path)
    if path is None:
        pytest.skip("run as root, whom permissions do not bind")
    with pytest.raises(Problem) as caught:
        decode(path)
    assert caught.value.code == "not-allowed"


def test_the_same_file_gives_the_same_samples_and_its_checksum(tmp_path: Path) -> None:
    path = encode(tmp_path / "talk.webm", np.concatenate((speech(), -speech())), "libopus")
    one, two = decode(path), decode(path)
    assert one.pcm.tobytes() == two.pcm.tobytes()
    assert one.facts == two.facts
    assert one.facts.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", ["HLS playlist", "concat script"])
def test_a_playlist_not_known_by_its_first_bytes_still_opens_nothing(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "PLAYLIST_HEADS", (b"\0",))
    monkeypatch.setattr(decoding, "PLAYLISTS", frozenset())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Problem) as caught:
        decode(KINDS[name].make(tmp_path))
    assert caught.value.code in {"refers-elsewhere", "not-audio", "no-audio-stream", "not-decodable"}


def test_progress_rises_to_one(tmp_path: Path) -> None:
    told: list[float] = []
    decode(encode(tmp_path / "talk.flac", speech(), "flac"), told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert len(told) > 10


# the resampler


def tone(tmp_path: Path, hz: float, rate_hz: int) -> Floats:
    pcm = 0.5 * np.sin(2 * np.pi * hz * np.arange(rate_hz) / rate_hz)
    beside = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate_hz) / rate_hz)  # so that the file is not silent
    stereo = np.stack((pcm + beside, pcm + beside)) / 2
    return decode(written(tmp_path / "tone.wav", riff(int16(stereo), rate_hz=rate_hz, channels=2))).pcm


def level_db(pcm: Floats, hz: float) -> float:
    """Of one tone, against 0.25 in amplitude."""
    pcm = pcm[1600:-1600]
    window = np.hanning(pcm.size)
    size = np.abs(np.sum(pcm * window * np.exp(-2j * np.pi * hz * np.arange(pcm.size) / RATE_HZ))) / window.sum() * 2
    return float(20 * np.log10(size / 0.25 + 1e-9))


@pytest.mark.parametrize("rate_hz", [22_050, 44_100, 48_000, 192_000])
def test_resampling_keeps_7_khz_and_lets_nothing_alias(rate_hz: int, tmp_path: Path) -> None:
    assert level_db(tone(tmp_path, 100, rate_hz), 100) == pytest.approx(0.0, abs=0.05)
    assert level_db(tone(tmp_path, 7_000, rate_hz), 7_000) == pytest.approx(0.0, abs=0.1)
    for hz in (8_500.0, 10_000.0):
        assert level_db(tone(tmp_path, hz, rate_hz), 16_000 - hz) < -85  # 16 bit


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 44_100, 48_000, 96_000])
def test_a_click_stays_where_it_was(rate_hz: int, tmp_path: Path) -> None:
    pcm = np.zeros((1, 3 * rate_hz))
    pcm[0, [rate_hz // 2, 2 * rate_hz]] = 0.9
    made = decode(written(tmp_path / "click.wav", riff(int16(pcm), rate_hz=rate_hz)))
    assert made.pcm.size == 3 * RATE_HZ
    found = [int(np.argmax(np.abs(made.pcm[:RATE_HZ]))), RATE_HZ + int(np.argmax(np.abs(made.pcm[RATE_HZ:])))]
    assert found == pytest.approx([rate_hz // 2 / rate_hz * RATE_HZ, 2 * RATE_HZ], abs=1)


# places in time


def test_missing_packets_are_a_hole_and_move_nothing(tmp_path: Path) -> None:
    whole = decode(encode(tmp_path / "whole.webm", speech(), "libopus"))
    holed = decode(encode(tmp_path / "holed.webm", speech(), "libopus", keep=lambda number: not 50 <= number < 75))
    (hole,) = holed.lost
    assert hole.end - hole.start == RATE_HZ // 2
    assert abs(hole.start - RATE_HZ) < 0.02 * RATE_HZ
    assert holed.pcm.size == whole.pcm.size
    assert np.abs(holed.pcm[hole.start + 160 : hole.end - 160]).max() < 1e-3
    lag, likeness = lag_and_likeness(holed.pcm[hole.end + 1600 :], whole.pcm[hole.end + 1600 :])
    assert (lag, likeness > 0.99) == (0, True)


def test_bad_floats_become_a_hole_of_their_length(tmp_path: Path) -> None:
    made = decode(KINDS["NaN and infinity in a float WAV"].make(tmp_path))
    assert made.lost == (Span(8_000, 12_000),)  # the single infinity at 20 000 is mended, not lost
    assert not made.pcm[8_000:12_000].any()


def placed(line: Timeline, pieces: Iterable[tuple[float | None, Floats]]) -> list[int]:
    """The samples in the order they were placed; a gap as so many zeros."""
    row: list[int] = []
    events = [event for at, block in pieces for event in line.add(at, block)] + list(line.finish())
    for event in events:
        row += [0] * event if isinstance(event, int) else [int(value) for value in event[0]]
    return row


def blocks(count: int, size: int = 20) -> list[Floats]:
    return [np.arange(1 + size * number, 1 + size * (number + 1), dtype=np.float32)[np.newaxis] for number in range(count)]


def test_a_jump_that_lasts_is_a_gap_of_its_length() -> None:
    line = Timeline(1_000, 0.001)
    row = placed(line, ((20 * number + (300 if number >= 5 else 0), block) for number, block in enumerate(blocks(40))))
    assert row == [*range(1, 101), *[0] * 300, *range(101, 801)]


def test_two_gaps_close_together_are_both_kept() -> None:
    line = Timeline(1_000, 0.001)
    shift = [0, 0, 40, 40, 40, 120] + [120] * 30
    row = placed(line, ((20 * number + shift[number], block) for number, block in enumerate(blocks(36))))
    assert row == [*range(1, 41), *[0] * 40, *range(41, 101), *[0] * 80, *range(101, 721)]


@pytest.mark.parametrize("swing", [12, 40])
def test_jitter_is_no_gap(swing: int) -> None:
    line = Timeline(1_000, 0.001)
    at = [20 * number + (swing if number % 3 == 1 else -swing if number % 3 == 2 else 0) for number in range(60)]
    assert placed(line, zip(at, blocks(60), strict=True)) == list(range(1, 1201))
    assert line.jumps == 0


def test_a_clock_that_creeps_is_not_believed() -> None:
    line = Timeline(1_000, 0.001)
    assert placed(line, ((20.15 * number, block) for number, block in enumerate(blocks(500)))) == list(range(1, 10_001))


@pytest.mark.parametrize("jump", [-5_000, 86_400_000])
def test_a_clock_that_starts_anew_loses_nothing(jump: int) -> None:
    line = Timeline(1_000, 0.001)
    row = placed(line, ((20 * number + (jump if number >= 5 else 0), block) for number, block in enumerate(blocks(40))))
    assert row == list(range(1, 801))
    assert line.jumps == 1


@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), max_size=60))
def test_no_sample_is_ever_dropped_or_reordered(times: list[float | None]) -> None:
    line = Timeline(1_000, 0.001)
    row = placed(line, zip(times, blocks(len(times)), strict=True))
    assert [value for value in row if value] == list(range(1, 20 * len(times) + 1))


# channels and scale


def test_inverted_channels_do_not_cancel(tmp_path: Path) -> None:
    made = decode(KINDS["stereo, one channel inverted"].make(tmp_path))
    assert np.sqrt(np.mean(made.pcm**2)) == pytest.approx(np.sqrt(np.mean(voice() ** 2)), rel=0.01)


def test_a_voice_in_one_of_eight_channels_keeps_its_level(tmp_path: Path) -> None:
    made = decode(KINDS["8 channels, speech in one"].make(tmp_path))
    assert np.abs(made.pcm - voice()).max() < 0.01


def test_unlike_channels_are_averaged(tmp_path: Path) -> None:
    noise = np.random.default_rng(5).normal(0, 0.1, (2, 32_000))
    made = decode(written(tmp_path / "two.wav", riff(int16(noise), channels=2)))
    assert np.abs(made.pcm - noise.mean(axis=0)).max() < 1e-3
    assert not made.facts.warnings


def test_an_offset_is_taken_away_and_said(tmp_path: Path) -> None:
    made = decode(KINDS["constant offset under speech"].make(tmp_path))
    assert abs(made.pcm.mean()) < 1e-5
    assert "25.0 %" in made.facts.warnings[0]


def test_a_loud_sine_is_not_called_clipped(tmp_path: Path) -> None:
    sine = 0.9999 * np.sin(2 * np.pi * 120 * np.arange(48_000) / 48_000)
    assert not decode(written(tmp_path / "sine.wav", riff(int16(sine[np.newaxis]), rate_hz=48_000))).facts.warnings


# bounds


@pytest.mark.parametrize("channels", [(1.0,), (1.0, -1.0)], ids=["mono", "inverted stereo, decoded twice"])
def test_memory_is_that_of_the_signal(channels: tuple[float, ...], tmp_path: Path) -> None:
    minutes = 3
    voices = np.array(channels)[:, np.newaxis] * speech(RATE_HZ)
    path = written(tmp_path / "long.wav", riff(int16(voices) * 20 * minutes, channels=len(channels)))
    tracemalloc.start()
    made = decode(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert made.pcm.size == minutes * 60 * RATE_HZ
    assert peak < 1.13 * made.pcm.nbytes + 4e6  # an eighth to grow into, and blocks of half a second


def test_a_recording_beyond_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "LONGEST_HOURS", 2 / 3600)
    with pytest.raises(Problem) as caught:
        decode(KINDS["WAV, 16 bit, 48000 Hz"].make(tmp_path))
    assert caught.value.code == "too-long"


WHOLE = [kind for kind in KINDS.values() if kind.outcome == "ok" and "name" not in kind.name and "symlink" not in kind.name]


@pytest.mark.parametrize("seed", range(40))
def test_damaged_bytes_bring_a_problem_or_sound_and_nothing_else(seed: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(seed)
    path = WHOLE[int(rng.integers(len(WHOLE)))].make(tmp_path)
    content = bytearray(path.read_bytes())
    for _ in range(int(rng.integers(1, 40))):
        at = int(rng.integers(min(len(content), 600) if rng.random() < 0.6 else len(content)))
        if rng.random() < 0.5:
            content[at] = int(rng.integers(256))
        else:
            del content[at : at + int(rng.integers(1, 200))]
    with suppress(Problem):
        check(decode(written(path, bytes(content))))
    assert capfd.readouterr() == ("", "")


def check(made: Recording) -> None:
    assert np.isfinite(made.pcm).all()
    assert np.abs(made.pcm).max() <= 1.0
    assert all(0 <= span.start < span.end <= made.pcm.size for span in made.lost)
    assert all(one.end < two.start for one, two in zip(made.lost, made.lost[1:], strict=False))


def test_the_beginning_of_a_long_recording_is_told_before_its_end(tmp_path: Path) -> None:
    pcm = (0.1 * np.sin(np.arange(65 * RATE_HZ) * 0.05)).astype(np.float32)
    shares: list[float] = []
    told: list[tuple[Floats, int]] = []

    def beginning(first: Floats, lost: tuple[Span, ...]) -> None:
        assert lost == ()
        told.append((first, len(shares)))

    whole = decode(written(tmp_path / "long.wav", riff(int16(pcm))), shares.append, beginning)
    assert [first.size for first, _ in told] == [decoding.BEGINNING_S * RATE_HZ]
    assert np.array_equal(told[0][0], whole.pcm[: told[0][0].size])
    assert told[0][1] < len(shares)  # there was more to read
    decode(written(tmp_path / "short.wav", riff(int16(pcm[: 10 * RATE_HZ]))), beginning=beginning)
    assert len(told) == 1  # a short recording has no beginning apart
