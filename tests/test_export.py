"""The files beside the page: planted words, pauses and pitch come back out of every one, the same bytes each time."""

import csv
import json
import re
import string
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import parselmouth
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from praatio import textgrid
from praatio.data_classes.interval_tier import IntervalTier

from batch.captions import LINE_CHARACTERS, clock, cues, paragraphs
from batch.export import FORMATS, write
from speech.analysis import Analysis
from speech.words import Word
from tests import samples

NAMES = {
    "json": "analysis.json",
    "csv": "words.csv",
    "parquet": "frames.parquet",
    "txt": "transcript.txt",
    "vtt": "transcript.vtt",
    "srt": "transcript.srt",
    "textgrid": "analysis.TextGrid",
    "html": "index.html",
    "pdf": "report.pdf",
}
STAMPS = re.compile(r"(\d{2,}):(\d\d):(\d\d)[.,](\d{3}) --> (\d{2,}):(\d\d):(\d\d)[.,](\d{3})")


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("talk") / "made" / "on the way"
    write(samples.talk(), samples.recording(), folder)
    return folder


def stamps(text: str) -> list[tuple[float, float]]:
    found = [tuple(map(int, match)) for match in STAMPS.findall(text)]
    return [(h * 3600 + m * 60 + s + f / 1000, h2 * 3600 + m2 * 60 + s2 + f2 / 1000) for h, m, s, f, h2, m2, s2, f2 in found]


def cases() -> list[tuple[str, Analysis, int]]:
    short = samples.tone(3.0)
    return [
        ("no words", samples.bare(short), 0),
        ("one word", samples.bare(short, samples.spoken(["Hello."])), 1),
        ("one sample", samples.bare(short[:1]), 0),
        ("a word to the very end", samples.bare(short, (Word("long", 0, short.size, 1.0),)), 1),
    ]


def test_all_files_are_written_and_nothing_else(talk: Path) -> None:
    assert {path.name for path in talk.iterdir()} == set(NAMES.values())


def test_same_input_same_bytes_whatever_the_folder(talk: Path, tmp_path: Path) -> None:
    write(samples.talk(), samples.recording(), tmp_path)
    for name in NAMES.values():
        assert (tmp_path / name).read_bytes() == (talk / name).read_bytes(), name


@pytest.mark.parametrize("chosen", FORMATS)
def test_a_format_alone_writes_its_file_alone(chosen: str, tmp_path: Path) -> None:
    pcm = samples.tone(2.0)
    written = write(samples.bare(pcm, samples.spoken(["One", "two."])), pcm, tmp_path, [form for form in FORMATS if form == chosen])
    assert written == [tmp_path / NAMES[chosen]] == list(tmp_path.iterdir())


def test_a_file_that_cannot_be_finished_leaves_the_old_one(tmp_path: Path) -> None:
    pcm = samples.tone(2.0)
    good = samples.bare(pcm, samples.spoken(["One", "two."]))
    write(good, pcm, tmp_path, ["parquet"])
    before = (tmp_path / "frames.parquet").read_bytes()
    broken = replace(good, frames=replace(good.frames, f0_hz=good.frames.f0_hz[:-1]))
    with pytest.raises(pa.ArrowInvalid):
        write(broken, pcm, tmp_path, ["parquet"])
    assert [path.name for path in tmp_path.iterdir()] == ["frames.parquet"]
    assert (tmp_path / "frames.parquet").read_bytes() == before


def test_nothing_half_written_stays_behind(tmp_path: Path) -> None:
    pcm = samples.tone(2.0)
    (tmp_path / "words.csv" / "in the way").mkdir(parents=True)
    with pytest.raises(OSError, match=r"words\.csv"):
        write(samples.bare(pcm), pcm, tmp_path, ["csv"])
    assert [path.name for path in tmp_path.iterdir()] == ["words.csv"]


@pytest.mark.parametrize(("name", "analysis", "count"), cases(), ids=lambda value: value if isinstance(value, str) else "")
def test_next_to_nothing_still_makes_every_file(name: str, analysis: Analysis, count: int, tmp_path: Path) -> None:
    write(analysis, samples.tone(3.0)[: analysis.audio.samples], tmp_path)
    assert len(json.loads((tmp_path / "analysis.json").read_text())["words"]) == count, name
    assert len((tmp_path / "words.csv").read_text().splitlines()) == 1 + count
    assert (tmp_path / "transcript.vtt").read_text().startswith("WEBVTT\n")
    assert len(stamps((tmp_path / "transcript.srt").read_text())) == count
    assert parselmouth.read(str(tmp_path / "analysis.TextGrid")).xmax == pytest.approx(analysis.audio.samples / 16_000)


def test_words_csv_holds_each_word(talk: Path) -> None:
    with (talk / "words.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["text"] for row in rows] == samples.SPEECH
    assert rows[1] == {"text": "was", "start_s": "1.000", "end_s": "1.400", "probability": "0.9000", "kind": "word"}
    assert [row["kind"] for row in rows].count("filler") == 2


def test_frames_parquet_holds_centre_pitch_level_and_state(talk: Path) -> None:
    table = pq.read_table(talk / "frames.parquet")
    frames = samples.talk().frames
    assert table.column_names == ["t_s", "f0_hz", "level_dbfs", "state"]
    assert pa.types.is_dictionary(table.schema.field("state").type)
    t_s = table["t_s"].to_numpy()
    np.testing.assert_allclose(t_s, 0.005 + 0.01 * np.arange(t_s.size), atol=1e-9)
    np.testing.assert_array_equal(table["f0_hz"].to_numpy(), frames.f0_hz)
    np.testing.assert_array_equal(table["level_dbfs"].to_numpy(), frames.level_dbfs)
    state = np.array(table["state"].to_pylist())
    assert set(state[(t_s > 5) & (t_s < 5.2)]) == {"lost"}
    assert set(state[(t_s > 2) & (t_s < 3)]) == {"silence"}
    assert set(state[t_s < 2]) == {"speech"}
    assert np.isnan(table["f0_hz"].to_numpy()[(t_s > 2) & (t_s < 3)]).all()
    assert (talk / "frames.parquet").stat().st_size < 12 * t_s.size


def test_transcript_breaks_at_long_pauses_and_says_when(talk: Path) -> None:
    text = (talk / "transcript.txt").read_text(encoding="utf-8")
    found = re.findall(r"^\[(\d+:\d\d)\] (.+)$", text, flags=re.MULTILINE)
    assert " ".join(words for _, words in found).split() == samples.SPEECH
    assert [at for at, _ in found] == ["0:00", "0:10", "0:20", "0:30", "0:40"]  # 16 words, then a pause of 2.2 s
    assert text.count("\n\n") == len(found) - 1


def test_a_long_flow_without_pauses_breaks_at_a_sentence() -> None:
    texts = (["word"] * 19 + ["end."]) * 20
    words = samples.spoken(texts, each_s=0.41, long_pause_after=10**6)
    found = paragraphs(words)
    assert [word for part in found for word in part] == list(words)
    assert all(part[-1].text == "end." for part in found)
    assert {len(part) for part in found[:-1]} == {120}


def test_captions_hold_all_words_in_two_short_lines(talk: Path) -> None:
    blocks = (talk / "transcript.srt").read_text(encoding="utf-8").strip().split("\n\n")
    lines = [line for block in blocks for line in block.split("\n")[2:]]
    assert " ".join(lines).split() == samples.SPEECH
    assert [block.split("\n")[0] for block in blocks] == [str(n) for n in range(1, len(blocks) + 1)]
    assert all(3 <= len(block.split("\n")) <= 4 for block in blocks)
    assert max(map(len, lines)) <= LINE_CHARACTERS
    spans = stamps((talk / "transcript.srt").read_text(encoding="utf-8"))
    assert spans == stamps((talk / "transcript.vtt").read_text(encoding="utf-8"))
    assert spans[0][0] == 0.5


def test_vtt_keeps_what_kind_a_word_is(talk: Path) -> None:
    text = (talk / "transcript.vtt").read_text(encoding="utf-8")
    assert re.findall(r"<c\.(\w+)>([^<]*)</c>", text) == [("filler", "um,"), ("fragment", "fool-"), ("filler", "uh")]


def test_a_caption_after_three_hours_has_the_right_hour(tmp_path: Path) -> None:
    at = samples.samples(3 * 3600 + 59 * 60 + 59.25)
    analysis = samples.bare(samples.tone(1.0), (Word("Late.", at, at + 16_000, 0.9),))
    analysis = replace(analysis, audio=replace(analysis.audio, samples=at + 32_000))
    write(analysis, samples.tone(1.0), tmp_path, ["srt", "vtt", "txt"])
    assert "03:59:59,250 --> 04:00:00,250\n" in (tmp_path / "transcript.srt").read_text()
    assert "03:59:59.250 --> 04:00:00.250\n" in (tmp_path / "transcript.vtt").read_text()
    assert (tmp_path / "transcript.txt").read_text() == "[3:59:59] Late.\n"


def test_clock_rolls_over() -> None:
    assert [clock(at_s) for at_s in (0, 59.99, 60, 3599.9, 3600, 36_061)] == ["0:00", "0:59", "1:00", "59:59", "1:00:00", "10:01:01"]


def test_markup_in_words_stays_text(tmp_path: Path) -> None:
    texts = ["<b>bold</b>", "-->", "a&b", 'say"s"', "new\nline"]
    pcm = samples.tone(5.0)
    write(samples.bare(pcm, samples.spoken(texts)), pcm, tmp_path)
    vtt = (tmp_path / "transcript.vtt").read_text()
    assert "&lt;b&gt;bold&lt;/b&gt; --&gt; a&amp;b" in vtt
    assert len(stamps(vtt)) == vtt.count("-->") == 1
    srt = (tmp_path / "transcript.srt").read_text()
    assert "<" not in srt
    assert srt.count("-->") == 1
    tier = textgrid.openTextgrid(str(tmp_path / "analysis.TextGrid"), includeEmptyIntervals=False).getTier("words")
    assert [label for _, _, label in tier.entries] == ["<b>bold</b>", "-->", "a&b", 'say"s"', "new line"]
    praat = parselmouth.read(str(tmp_path / "analysis.TextGrid"))
    assert 'say"s"' in [parselmouth.praat.call(praat, "Get label of interval", 1, n) for n in range(1, 12)]


def test_japanese_is_written_without_spaces(tmp_path: Path) -> None:
    pcm = samples.tone(4.0)
    write(samples.bare(pcm, samples.spoken(["今日", "は", "晴れ。"]), language="ja"), pcm, tmp_path)
    assert (tmp_path / "transcript.txt").read_text(encoding="utf-8") == "[0:00] 今日は晴れ。\n"


def test_textgrid_loads_in_praat_and_praatio_with_what_was_planted(talk: Path) -> None:
    analysis = samples.talk()
    end_s = analysis.audio.samples / 16_000
    grid = textgrid.openTextgrid(str(talk / "analysis.TextGrid"), includeEmptyIntervals=False)
    assert grid.tierNames == ("words", "pauses", "fillers", "F0")
    assert grid.maxTimestamp == pytest.approx(end_s)
    words = grid.getTier("words")
    assert isinstance(words, IntervalTier)
    assert [label for _, _, label in words.entries] == samples.SPEECH
    assert words.entries[1][:2] == pytest.approx((1.0, 1.4))
    assert [label for _, _, label in grid.getTier("fillers").entries] == ["um,", "you know,", "uh"]
    pitch = grid.getTier("F0").entries
    voiced = analysis.frames.f0_hz[np.isfinite(analysis.frames.f0_hz)]
    assert [float(label) for _, label in pitch] == pytest.approx(voiced.tolist(), abs=0.051)
    assert pitch[0][0] == pytest.approx(0.005)

    praat = parselmouth.read(str(talk / "analysis.TextGrid"))
    assert praat.xmax == pytest.approx(end_s)
    assert parselmouth.praat.call(praat, "Get number of tiers") == 4
    assert parselmouth.praat.call(praat, "Get number of points", 4) == len(pitch)
    assert parselmouth.praat.call(praat, "Get label of interval", 1, 2) == "It"


@st.composite
def messy_words(draw: st.DrawFn) -> tuple[Word, ...]:
    """Words as a confused recogniser might give them: overlapping, of no length, past the end, very long, in any order."""
    text = st.text(alphabet=string.ascii_letters + " .,!?<>&\"'-äß\n", min_size=1, max_size=60)
    words = draw(st.lists(st.tuples(text, st.integers(0, 90_000), st.integers(1, 30_000)), max_size=40))
    return tuple(Word(said, start, start + length, 0.5, "word") for said, start, length in words)


@settings(max_examples=60, deadline=None)
@given(words=messy_words())
def test_no_caption_or_interval_ever_overlaps(words: tuple[Word, ...], tmp_path_factory: pytest.TempPathFactory) -> None:
    found = cues(words, 80_000, "en")
    said = " ".join(word.text for cue in found for line in cue.lines for word in line)
    assert sorted(said.split()) == sorted(" ".join(word.text for word in words).split())
    at = 0
    for cue in found:
        assert at <= cue.start_ms < cue.end_ms
        assert 1 <= len(cue.lines) <= 2
        for line in cue.lines:
            assert len(line) == 1 or len(" ".join(word.text for word in line)) <= LINE_CHARACTERS
        at = cue.end_ms
    folder = tmp_path_factory.mktemp("messy")
    pcm = samples.tone(5.0)
    write(samples.bare(pcm, words), pcm, folder, ["textgrid"])
    grid = textgrid.openTextgrid(str(folder / "analysis.TextGrid"), includeEmptyIntervals=True)
    entries = grid.getTier("words").entries
    assert entries[0][0] == 0
    assert entries[-1][1] == 5.0
    assert all(before[1] == after[0] for before, after in pairwise(entries))
