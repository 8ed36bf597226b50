"""A live session on planted words: each is committed once, soon, and never changed; windows are asked for where somebody speaks."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from bench.pauses import keyboard
from recognition.vad import WINDOW, speech_probability
from speech.activity import activity
from speech.agreement import Window
from speech.audio import HOP, RATE_HZ, AudioBlock, Floats, Frames, Span, State, seconds
from speech.live import Live
from speech.measures import Spoken, measures
from speech.pauses import pauses, silences, speaking_span
from speech.prosody import analyse
from speech.words import Word
from stream_pipeline.asking import Answer, Ask, Said
from stream_pipeline.core import LONGEST_S, Core
from stream_pipeline.hearing import STEP, Hearing
from stream_pipeline.replay import replay
from tests import talks
from tests.samples import recording, samples

NEVER = Answer((), "en", 0.0)


@cache
def run() -> tuple[Core, list[Said], list[Ask]]:
    core = Core("talk")
    asks: list[Ask] = []

    def answer(ask: Ask) -> Answer:
        asks.append(ask)
        return talks.answer(ask)

    return core, list(replay(talks.blocks(talks.talk()), answer, stride_s=1.0, core=core)), asks


def of(said: Sequence[Said], stream: str) -> list[Said]:
    return [one for one in said if one.stream == stream]


def committed(said: Sequence[Said]) -> list[dict[str, object]]:
    return [word for one in of(said, "tokens") for word in one.data["committed"]]


def test_every_word_is_committed_once_in_its_place() -> None:
    said = run()[1]
    assert [(w["text"], w["start_s"], w["end_s"]) for w in committed(said)] == [
        (w.text, round(seconds(w.start), 3), round(seconds(w.end), 3)) for w in talks.words()
    ]
    assert of(said, "tokens")[-1].data["tentative"] == []


def test_words_are_shown_and_committed_soon_after_they_end() -> None:
    """On the clock of the sound, with 0.4 s for each answer."""
    ends = {word.text: seconds(word.end) for word in talks.words()}
    shown: dict[str, float] = {}
    sure: dict[str, float] = {}
    for one in of(run()[1], "tokens"):
        for word in [*one.data["tentative"], *one.data["committed"]]:
            shown.setdefault(word["text"], one.t_ms / 1000 - ends[word["text"]])
        for word in one.data["committed"]:
            sure[word["text"]] = one.t_ms / 1000 - ends[word["text"]]
    assert np.median(list(shown.values())) <= 1.0
    assert np.median(list(sure.values())) <= 1.8
    assert np.percentile(list(sure.values()), 95) <= 3.2


def test_windows_begin_before_the_words_that_are_not_committed_and_end_with_what_was_heard() -> None:
    asks = run()[2]
    for ask in asks:
        window = ask.window
        assert window.end - window.start <= samples(LONGEST_S)
        assert ask.pcm.size == window.end - window.start
        assert np.array_equal(ask.pcm, talks.talk()[window.start : window.end])
        assert not any(word.start < window.start + samples(0.05) < word.end - samples(0.05) for word in talks.words())
        assert ask.asked_at - window.end < STEP or window.final
    assert len(asks) <= 61  # one for each second of speech
    for onset in (next(w for w in talks.words() if w.start > samples(at_s)) for at_s in (0, 50)):
        first = next(ask for ask in asks if ask.window.end > onset.end)
        assert onset.start - first.window.start >= samples(0.3)


def test_windows_reach_back_across_pauses() -> None:
    """And go on from the one before as long as they can."""
    asks = run()[2]
    pauses = [(one.end, two.start) for one, two in pairwise(talks.words()) if two.start - one.end >= samples(0.8)][:3]
    for end, start in pauses:
        assert any(ask.window.start < end - samples(1) and ask.window.end > start + samples(0.5) for ask in asks)
    assert max(ask.window.end - ask.window.start for ask in asks) > samples(10)
    assert sum(one.window.start == two.window.start for one, two in pairwise(asks)) > len(asks) / 2


def test_windows_do_not_reach_back_across_a_long_silence() -> None:
    end = next(one.end for one, two in pairwise(talks.words()) if two.start - one.end >= samples(0.8)) + samples(0.4)
    silence = samples(1)
    pcm = np.concatenate((talks.talk()[:end], np.zeros(silence, np.float32), talks.talk()[end : samples(30)]))
    words = [w if w.end < end else replace(w, start=w.start + silence, end=w.end + silence) for w in talks.words()]
    windows: list[Window] = []

    def answer(ask: Ask) -> Answer:
        windows.append(ask.window)
        return Answer(tuple(w for w in words if w.start >= ask.window.start and w.end <= ask.window.end), "en", 0.99)

    list(replay(talks.blocks(pcm), answer))
    after = [window for window in windows if window.end > end + silence + samples(1)]
    assert after
    assert all(window.start >= end for window in after)


def test_nobody_else_is_taken_down() -> None:
    """Where window after window is in another language; one alone may be an accent. Who the session belongs to is heard again soon."""
    core = Core("two", "en")
    said: list[Said] = []
    for block in talks.blocks(talks.talk()[: samples(75)]):
        said += core.hear(block)
        while (ask := core.ask()) is not None:
            end_s = ask.window.end / RATE_HZ
            foreign = 0.8 if 20 <= end_s < 40 or 50 <= end_s < 51 else -0.8
            said += core.take(ask, replace(talks.answer(ask), foreign=foreign))
    core.close()
    ends = [float(str(word["end_s"])) for word in committed(said + core.finish())]
    assert not any(24 < end < 39 for end in ends)
    for start, end in ((0, 19), (44, 74)):
        spoken = [w for w in talks.words() if samples(start) <= w.end < samples(end)]
        assert sum(start <= at < end for at in ends) == len(spoken)


def test_what_is_known_of_a_window_is_what_a_report_finds() -> None:
    pcm = talks.talk()
    probability = speech_probability(pcm)
    quiet = silences(activity(pcm, probability), 6 * HOP)
    for ask in run()[2][5:40:5]:
        first = ask.probability_start // WINDOW
        assert first * WINDOW <= max(0, ask.window.start - samples(0.19))
        np.testing.assert_allclose(ask.probability, probability[first : first + ask.probability.size], atol=0.02)
        inside = [s for s in quiet if s.start > ask.window.start + HOP and s.end < ask.window.end - samples(0.5)]
        found = [s for s in ask.silences if s.start > ask.window.start + HOP and s.end < ask.window.end - samples(0.5)]
        assert found == inside


@pytest.mark.parametrize("kind", ["digital", "room", "typing"])
def test_nothing_is_asked_where_nobody_speaks(kind: str) -> None:
    rng = np.random.default_rng(1)
    length = samples(40)
    pcm = {
        "digital": np.zeros(length, np.float32),
        "room": rng.normal(0, 0.01, length).astype(np.float32),
        "typing": np.asarray(0.1 * keyboard(length, rng), np.float32),
    }[kind]
    core = Core("quiet")
    for block in talks.blocks(pcm):
        core.hear(block)
        assert core.ask() is None
    core.close()
    assert core.ask() is None
    assert of(core.finish(), "tokens") == []


def test_the_end_of_an_utterance_is_not_recognised_twice() -> None:
    """What a window in the first moment of the pause found stands; 0.5 s later it is final."""
    said, asks = run()[1:]
    last = next(w for w in reversed(talks.words()) if w.end < samples(50))
    assert sum(last.end < ask.window.end < samples(53) for ask in asks) == 1
    told = next(one for one in of(said, "tokens") if last.text in {w["text"] for w in one.data["committed"]})
    assert told.t_ms / 1000 - seconds(last.end) <= 1.0


def test_in_a_pause_all_that_was_said_is_committed_at_once() -> None:
    """Mostly by the window that was asked for when the pause began: there are fewer finals than pauses."""
    said, asks = run()[1:]
    pcm = talks.talk()
    long = [s for s in silences(activity(pcm, speech_probability(pcm)), samples(0.75)) if samples(3) < s.start < samples(70)]
    for pause in long:
        last = next(w for w in reversed(talks.words()) if w.end <= pause.start)
        told = next(one for one in of(said, "tokens") if last.text in {w["text"] for w in one.data["committed"]})
        assert told.t_ms / 1000 - seconds(pause.start) <= 1.15
    assert len(long) >= 3
    assert sum(ask.window.final for ask in asks) < len(long)


def test_metrics_leave_with_the_block_that_completes_them_and_hold_all_of_it() -> None:
    core = Core("talk")
    for block in talks.blocks(talks.talk()[: samples(12)]):
        measured = of(core.hear(block), "metrics")
        assert len(measured) == (core.captured % STEP == 0)
        for one in measured:
            assert one.data["at"] == core.captured
            assert one.t_ms == core.captured // 16
            assert ("session" in one.data) == (core.captured % RATE_HZ == 0)
            assert set(one.data["windows"]) == {"3", "30"}


def test_the_numbers_at_the_end_are_those_of_the_report() -> None:
    pcm = talks.talk()
    hops, states, words = analyse(pcm), activity(pcm, speech_probability(pcm)), talks.words()
    frames = Frames(0, HOP, hops.f0_hz, hops.level_dbfs, states)
    span = speaking_span(states, words)
    report = measures(Spoken(words, [1] * len(words), frames, hops.k_power, hops.nuclei, pauses(states, words), (), (), (), span, "en"))
    found = of(run()[1], "metrics")[-1].data["session"]
    for name, of_report, within in (
        ("rate_wpm", "speech_rate_wpm", 0.5),
        ("pause_share", "pause_share", 0.005),
        ("longest_pause_s", "pause_longest_s", 0.03),
        ("f0_median_hz", "f0_median_hz", 0.5),
        ("f0_sd_st", "f0_sd_st", 0.02),
        ("level_dbfs", "level_dbfs", 0.1),
    ):
        assert found[name] == pytest.approx(report[of_report].value, abs=within), name


def test_numbers_without_lag_are_near_those_that_wait() -> None:
    """The newest 0.4 s count as guessed: against the same windows when all states are final."""
    pcm = talks.talk()
    states, hops = activity(pcm, speech_probability(pcm)), analyse(pcm)
    off: dict[str, list[float]] = {"pause_share": [], "level_dbfs": [], "f0_median_hz": []}
    for one in of(run()[1], "metrics")[20:220:7]:
        live, upto = Live(), one.data["at"] // HOP
        cut = type(hops)(0, hops.f0_hz[:upto], hops.level_dbfs[:upto], hops.k_power[:upto], hops.nuclei[:0])
        live.hear(cut, states[:upto])
        final = live.read((10.0,))[0]
        for name, differences in off.items():
            if one.data[name] is not None and getattr(final, name) is not None:
                differences.append(abs(one.data[name] - getattr(final, name)))
    assert max(off["pause_share"]) <= 0.04
    assert max(off["level_dbfs"]) <= 1.0
    assert max(off["f0_median_hz"]) <= 2.0


@pytest.mark.parametrize("gain_db", [0, -50])
def test_states_are_those_of_the_report_though_the_judge_rests(gain_db: float) -> None:
    room = np.random.default_rng(2).normal(0, 1e-5, samples(12)).astype(np.float32)
    pcm = np.concatenate([room[: samples(8)], recording()[: samples(9.6)], room[samples(8) :]]) * np.float32(10 ** (gain_db / 20))
    live, expected = Live(), activity(pcm, speech_probability(pcm))
    hearing = Hearing(live)
    whole = pcm.size // STEP * STEP
    for start in range(0, whole, STEP):
        hearing.push(pcm[start : start + STEP])
    hearing.finish(pcm[whole:])
    found = live.frames(Span(0, pcm.size)).state
    assert float(np.mean(found == expected)) >= 0.99
    onset = 850 + int(np.argmax(expected[850:] == State.SPEECH))  # the first half second of the recording is its own room
    assert abs(850 + int(np.argmax(found[850:] == State.SPEECH)) - onset) <= 2


def gapped(at_s: float, length_s: float) -> tuple[list[Said], list[Ask], Core]:
    """The talk with a loss; what follows it comes later by as much as is not of the talk."""
    core = Core("gap")
    asks: list[Ask] = []

    def answer(ask: Ask) -> Answer:
        asks.append(ask)
        return talks.answer(ask)

    lost = Span(samples(at_s), samples(at_s + length_s))
    return list(replay(talks.blocks(talks.talk()[: samples(30)], [lost]), answer, core=core)), asks, core


def test_no_window_spans_a_loss_and_no_other_word_is() -> None:
    said, asks, _ = gapped(10.0, 3.0)
    lost = Span(samples(10), samples(13))
    assert all(ask.window.end <= lost.start or ask.window.start >= lost.end for ask in asks)
    assert any(ask.window.end == lost.start and ask.window.final for ask in asks) or committed(said)
    there = [w.text for w in talks.words() if w.end <= lost.start or (w.start >= lost.end and w.end < samples(30))]
    assert [w["text"] for w in committed(said)] == there
    assert not any(p["start_s"] < 13 and p["end_s"] > 10 for one in of(said, "tokens") for p in one.data.get("pauses", ()))


def test_a_short_loss_parts_nothing() -> None:
    said, asks, _ = gapped(10.0, 0.1)
    assert any(ask.window.start < samples(10) and ask.window.end > samples(10.1) for ask in asks)
    assert [w["text"] for w in committed(said)] == [w.text for w in talks.words() if w.end < samples(30)]
    assert all(np.isfinite(ask.pcm).all() for ask in asks)


def test_an_hour_that_never_came_is_said_once() -> None:
    core = Core("gap")
    for block in talks.blocks(talks.talk()[: samples(8)]):
        core.hear(block)
    hour = 3600 * RATE_HZ + 77
    block = AudioBlock("gap", core.captured + hour, talks.talk()[:320], hour, 0.0)
    said = core.hear(block)
    assert core.captured == samples(8) + hour + 320
    assert [one.data["at"] // STEP for one in of(said, "metrics")] == [core.captured // STEP]
    assert of(said, "metrics")[0].data["lost_share"] == 1.0
    for at, later in enumerate(talks.blocks(talks.talk()[: samples(8)])):
        core.hear(AudioBlock("gap", core.captured, later.pcm, 0, at / 50))
        ask = core.ask()
        assert ask is None or ask.window.start >= samples(8) + hour or ask.window.end <= samples(8)
        if ask is not None:
            core.take(ask, NEVER)
    core.close()
    whole = of(core.finish(), "metrics")[-1].data["session"]
    assert whole["lost_share"] == pytest.approx(hour / core.captured, abs=1e-4)
    assert whole["over_s"] == pytest.approx(seconds(core.captured), abs=0.02)


def test_one_is_outstanding_unless_a_final_overtakes_it() -> None:
    core, outstanding = Core("slow"), list[Ask]()
    most = 0
    for block in talks.blocks(talks.talk()[: samples(56)]):
        core.hear(block)
        while (ask := core.ask()) is not None:
            assert ask.window.final or not outstanding
            outstanding.append(ask)
        most = max(most, len(outstanding))
    assert [ask.window.final for ask in outstanding] == [False, True]
    assert most == 2


def test_what_was_given_up_is_asked_again_and_nothing_is_left_out() -> None:
    core = Core("busy")
    dice = np.random.default_rng(4)
    said: list[Said] = []
    for block in talks.blocks(talks.talk()):
        said += core.hear(block)
        while (ask := core.ask(2.0, 6.0)) is not None:
            assert ask.window.end - ask.window.start <= samples(6) + STEP
            if not ask.window.final and dice.random() < 0.4:
                core.dropped(ask)
                break
            said += core.take(ask, talks.answer(ask))
    core.close()
    while (ask := core.ask(2.0, 6.0)) is not None:
        said += core.take(ask, talks.answer(ask))
    said += core.finish()
    assert [w["text"] for w in committed(said)] == [w.text for w in talks.words()]


def test_a_recogniser_that_was_away_catches_up_in_windows_it_can_take() -> None:
    core = Core("away")
    said: list[Said] = []
    for block in talks.blocks(talks.talk()[: samples(24)]):
        said += core.hear(block)
    core.close()
    windows: list[Window] = []
    while (ask := core.ask()) is not None:
        windows.append(ask.window)
        said += core.take(ask, talks.answer(ask))
    said += core.finish()
    assert len(windows) <= 4
    assert all(window.end - window.start <= samples(LONGEST_S) for window in windows)
    cut = sum(one.end < word.end and word.start < one.end for one, _ in pairwise(windows) for word in talks.words())
    assert len(committed(said)) >= sum(w.end <= samples(24) for w in talks.words()) - cut


def test_language_speech_shedding_and_fillers_are_told() -> None:
    core = Core("talk")
    said: list[Said] = []

    def answer(ask: Ask) -> Answer:
        found = talks.answer(ask)
        return Answer(tuple(Word("um", w.start, w.end, 0.5, "filler") if w.text == "word3" else w for w in found.words), "de", 0.9)

    for block in talks.blocks(talks.talk()[: samples(12)]):
        said += core.hear(block)
        while (ask := core.ask()) is not None:
            said += core.take(ask, answer(ask))
        if core.captured == samples(11):
            core.shed("stride")
    states = [one.data for one in of(said, "state")]
    assert states[0] == {"speech": True}
    assert states.count({"language": "de"}) == 1
    assert [one.t_ms > 11_000 for one in of(said, "metrics")] == [one.data["degraded"] == "stride" for one in of(said, "metrics")]
    assert [w["kind"] for w in committed(said) if w["text"] == "um"] == ["filler"]
    assert {"at": samples(11), "degraded": "stride"} in core.schedule
    given = Core("given", "fr")
    told = [one.data for block in talks.blocks(talks.talk()[: samples(1)]) for one in of(given.hear(block), "state")]
    assert told == [{"language": "fr"}]


def test_pauses_are_told_as_they_are_known() -> None:
    said = run()[1]
    pcm = talks.talk()
    told = [(p["start_s"], p["end_s"]) for one in of(said, "tokens") for p in one.data.get("pauses", ())]
    assert all(end_s <= one.t_ms / 1000 for one in of(said, "tokens") for end_s in [p["end_s"] for p in one.data.get("pauses", ())])
    states = activity(pcm, speech_probability(pcm))
    speech = np.flatnonzero(states == State.SPEECH)
    expected = [
        (seconds(s.start), seconds(s.end))
        for s in silences(states, samples(0.25))
        if s.start > speech[0] * HOP and s.end <= speech[-1] * HOP
    ]
    np.testing.assert_allclose(told, expected, atol=0.021)


def test_what_is_kept_does_not_grow() -> None:
    core = Core("long")
    sizes = []
    for _ in range(4):
        shift = core.captured
        for block in talks.blocks(talks.talk()[: samples(34)]):
            core.hear(AudioBlock("long", core.captured, block.pcm, 0, 0.0))
            while (ask := core.ask()) is not None:
                found = [w for w in talks.words() if w.start + shift >= ask.window.start and w.end + shift <= ask.window.end]
                core.take(ask, Answer(tuple(Word(w.text, w.start + shift, w.end + shift, 0.9) for w in found), "en", 0.99))
        core.schedule.clear()
        parts = (core, core._live, core._hearing, core._agreement, core._hearing._activity)
        sizes.append(sum(len(value) for part in parts for value in vars(part).values() if hasattr(value, "__len__")))
    assert max(sizes[1:]) <= 1.05 * min(sizes[1:])


def test_blocks_that_do_not_follow_are_refused() -> None:
    core = Core("talk")
    silent: Floats = np.zeros(320, np.float32)
    with pytest.raises(ValueError, match="a block at 640"):
        core.hear(AudioBlock("talk", 640, silent, 320, 0.0))
    with pytest.raises(ValueError, match="closed before"):
        core.finish()
    core.close()
    with pytest.raises(ValueError, match="a block at 0"):
        core.hear(AudioBlock("talk", 0, silent, 0, 0.0))
