"""What was live can be had again: a session with its schedule gives its events, and a file through the command gives them every time."""

import json
import subprocess
import sys
import wave
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recognition.whisper import Recogniser
from speech.audio import RATE_HZ, AudioBlock, Span
from stream_pipeline.asking import Answer, Ask, Said
from stream_pipeline.core import Core, prepare
from stream_pipeline.recognise import recognise
from stream_pipeline.replay import blocks_of, decoded, lost_live, replay
from tests import talks
from tests.samples import recording, samples

LENGTH_S = 30


def wild(seed: int, blocks: list[AudioBlock]) -> tuple[list[Said], list[dict[str, Any]], int]:
    """A session under load: answers late, some given up, paces and what is shed changing; its events, its schedule, how much was late."""
    dice = np.random.default_rng(seed)
    core = Core("live")
    said: list[Said] = []
    waiting: list[tuple[int, Ask]] = []
    pace = (1.0, 12.0)
    for block in blocks:
        said += core.hear(block)
        if dice.random() < 0.01:
            pace = (float(dice.choice([0.6, 1.0, 2.0])), float(dice.choice([6.0, 12.0])))
            core.shed(None if pace[0] == 1.0 else f"stride {pace[0]:g} s")
        for due in [due for due in waiting if due[0] <= core.captured]:
            waiting.remove(due)
            if not due[1].window.final and dice.random() < 0.2:
                core.dropped(due[1])
            else:
                said += core.take(due[1], talks.answer(due[1]))
        while (ask := core.ask(*pace)) is not None:
            waiting.append((core.captured + samples(float(dice.exponential(0.5))), ask))
    late = len(waiting)
    core.close()
    while waiting:
        ask = waiting.pop(int(dice.integers(len(waiting))))[1]
        said += core.take(ask, talks.answer(ask))
    while (ask := core.ask(*pace)) is not None:
        said += core.take(ask, talks.answer(ask))
    return said + core.finish(), core.schedule, late


def broken(seed: int) -> list[AudioBlock]:
    """The first half minute of the talk with losses of 20 ms to 4 s, the last of them to its end or not."""
    dice = np.random.default_rng(seed)
    starts = np.sort(dice.integers(0, LENGTH_S * 50, 6)) * 320
    lost = [Span(int(start), int(start) + 320 * int(np.exp(dice.uniform(0, np.log(200))))) for start in starts]
    return list(talks.blocks(talks.talk()[: samples(LENGTH_S) + 320 * int(dice.integers(10))], lost))


@pytest.mark.parametrize("seed", range(4))
def test_a_session_and_its_schedule_give_its_events(seed: int) -> None:
    blocks = broken(seed)
    said, schedule, _ = wild(seed, blocks)
    again = list(replay(blocks, talks.answer, json.loads(json.dumps(schedule))))
    assert again == said
    assert any("taken_at" in entry for entry in schedule)


@pytest.mark.parametrize("seed", range(4))
def test_however_late_the_answers_words_stay_as_they_were_committed_and_in_order(seed: int) -> None:
    said, _, _ = wild(seed, broken(seed))
    committed = [word for one in said if one.stream == "tokens" for word in one.data["committed"]]
    assert len(committed) > 20
    assert all(one["end_s"] <= other["start_s"] for one, other in pairwise(committed))
    names = [word["text"] for word in committed]
    assert len(set(names)) == len(names)


def test_a_recording_says_what_was_lost_to_hearing_and_what_came_too_late_for_it() -> None:
    blocks = broken(1)
    said, schedule, _ = wild(1, blocks)
    pcm = np.zeros(blocks[-1].start + blocks[-1].pcm.size, np.float32)
    lost = [Span(block.start - block.lost, block.start) for block in blocks if block.lost]
    for block in blocks:
        pcm[block.start : block.start + block.pcm.size] = block.pcm
    came = lost.pop()  # the page had kept it, and sent it later
    pcm[came.start : came.end] = talks.talk()[came.start : came.end]
    schedule.insert(2, {"filled": [came.start, came.end]})
    assert list(replay(blocks_of(pcm, lost_live(lost, schedule)), talks.answer, schedule)) == said


def test_what_differs_in_a_schedule_differs_in_the_events() -> None:
    blocks = list(talks.blocks(talks.talk()[: samples(12)]))
    said, schedule, _ = wild(9, blocks)
    schedule[3] = {**schedule[3], "taken_at": schedule[3]["taken_at"] + 3200}
    assert list(replay(blocks, talks.answer, schedule)) != said


def test_an_ideal_replay_is_the_same_every_time() -> None:
    pcm = talks.talk()[: samples(20)]
    one, other = (list(replay(blocks_of(pcm), talks.answer)) for _ in range(2))
    assert one == other


def test_measured_answers_are_taken_after_what_they_took() -> None:
    asked: list[Ask] = []

    def answer(ask: Ask) -> Answer:
        asked.append(ask)
        np.linalg.svd(np.zeros((200, 200)) + len(asked))  # some milliseconds of work
        return talks.answer(ask)

    core = Core("measured")
    list(replay(talks.blocks(talks.talk()[: samples(15)]), answer, delay_s=None, core=core))
    taken = [entry for entry in core.schedule if "taken_at" in entry and entry["asked_at"] < samples(14.5)]
    assert len(taken) > 5
    assert all(entry["taken_at"] > entry["asked_at"] for entry in taken)


@pytest.fixture(scope="module")
def wav(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The first 9.6 s of two cities."""
    path = tmp_path_factory.mktemp("replay") / "talk.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(np.asarray(np.round(recording()[: samples(9.6)] * 32767), "<i2").tobytes())
    yield path
    path.unlink()


def test_the_command_prints_what_the_real_recogniser_hears(wav: Path, recogniser: Recogniser, tmp_path: Path) -> None:
    prepare()
    core = Core("replay", "en")
    said = list(replay(blocks_of(decoded(wav)[0]), lambda ask: recognise(recogniser, [ask])[0], core=core))
    schedule = tmp_path / "schedule.jsonl"
    schedule.write_text("".join(json.dumps(entry) + "\n" for entry in core.schedule), encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "stream_pipeline",
        "replay",
        str(wav),
        "--language",
        "en",
        "--speed",
        "100",
        "--schedule",
        str(schedule),
    ]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = [json.loads(line) for line in printed.splitlines()]
    assert [line["seq"] for line in lines] == list(range(1, len(said) + 1))
    assert [(line["stream"], line["t_ms"], line["data"]) for line in lines] == [(one.stream, one.t_ms, one.data) for one in said]
    text = " ".join(word["text"].lower().strip(",.") for line in lines if line["stream"] == "tokens" for word in line["data"]["committed"])
    assert text.startswith("it was the best of times it was the worst of times")


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["nowhere.wav"], 3, "there is no such file"),
        ([__file__], 4, "no audio or video"),
        (["--speed", "0", "x.wav"], 2, "a speed is above 0"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(arguments: list[str], code: int, sentence: str) -> None:
    command = [sys.executable, "-m", "stream_pipeline", "replay", *arguments]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == code
    assert sentence in found.stderr
