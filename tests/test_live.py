"""Live numbers: a planted session goes in piece by piece, and what comes out is what the measures of the report say of the same sound."""

from dataclasses import dataclass, fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speech import intonation, measures
from speech.analysis import Filler
from speech.audio import HOP, RATE_HZ, Floats, Frames, Span, State, States, seconds
from speech.live import WINDOWS_S, Live, LiveMetrics
from speech.measures import Spoken
from speech.pauses import at_least, lost_samples, pauses, speaking_span
from speech.prosody import Hops
from speech.words import Word
from tests.samples import samples

EXACT = 1e-6
MISSING = {"rate_wpm", "articulation_syl_s", "pause_share", "longest_pause_s", "f0_median_hz", "f0_span_st", "f0_sd_st", "level_dbfs"}


@dataclass(frozen=True)
class Session:
    """All of a planted session."""

    f0_hz: Floats
    level_dbfs: Floats
    state: States
    nuclei: np.ndarray
    words: list[Word]
    syllables: list[int]

    def spoken(self, hops: int | None = None) -> Spoken:
        """What a report would measure, of the first `hops`; what comes after is taken for speech, which ends a silence."""
        state = self.state[:hops]
        fillers = [Filler(w.text, w.start, w.end, "filled_pause", "recogniser") for w in self.words if w.kind == "filler"]
        found = pauses(self.state, self.words, fillers) if hops is None else pauses(np.append(state, np.int8(State.SPEECH)))
        span = speaking_span(self.state, self.words, fillers)
        frames = Frames(0, HOP, self.f0_hz[:hops], self.level_dbfs[:hops], state)
        return Spoken(self.words, self.syllables, frames, np.empty(0), self.nuclei, found, fillers, [], [], span, "en")


def session(seed: int, length_s: float, silence_s: float = 0.0, cough: bool = False, nuclei_per_syllable: float = 1.0) -> Session:
    """Phrases of 0.3 to 5 s with a word every 0.35 s, silences of 60 ms to 2.5 s, some loss; `silence_s` of silence in the middle."""
    dice = np.random.default_rng(seed)
    state: list[int] = [State.SILENCE] * 80
    if cough:
        state += [State.SPEECH] * 30 + [State.SILENCE] * 150
    words: list[Word] = []
    syllables: list[int] = []
    nuclei: list[int] = []
    owed = 0.0
    waiting = silence_s
    while len(state) * HOP < length_s * RATE_HZ:
        if waiting and len(state) * HOP > length_s * RATE_HZ / 2:
            state += [State.SILENCE] * round(waiting * 100)
            waiting = 0.0
        start, hops = len(state) * HOP, int(dice.integers(30, 500))
        state += [State.SPEECH] * hops
        for at in range(start, start + (hops - 30) * HOP + 1, samples(0.35)):
            filler = dice.random() < 0.05
            words.append(Word("um" if filler else "word", at, at + samples(0.3), 0.9, "filler" if filler else "word"))
            syllables.append(0 if filler else int(dice.integers(1, 4)))
            owed += syllables[-1] * nuclei_per_syllable
            count = int(owed)
            owed -= count
            nuclei += [at + (2 * k + 1) * samples(0.35) // (2 * count) for k in range(count)]
        state += [State.SILENCE] * int(dice.choice([6, 15, 30, 60, 250]))
        if dice.random() < 0.15:
            state += [State.LOST] * int(dice.integers(1, 60))
    states = np.array(state, np.int8)
    speech = states == State.SPEECH
    drift = np.cumsum(dice.normal(0, 0.15, states.size))
    f0_hz = np.where(speech & (dice.random(states.size) < 0.7), 120 * 2 ** (np.sin(drift) / 3), np.nan).astype(np.float32)
    level = np.where(speech, dice.normal(-25, 5, states.size), -65.0).astype(np.float32)
    f0_hz[states == State.LOST] = level[states == State.LOST] = np.nan
    return Session(f0_hz, level, states, np.array(nuclei, np.int64), words, syllables)


def feed(live: Live, planted: Session, first: int, last: int, state_first: int | None = None, state_last: int | None = None) -> None:
    """Hops from first to last; states from state_first to state_last, the same unless said otherwise."""
    state_first, state_last = (first if state_first is None else state_first), (last if state_last is None else state_last)
    told = planted.nuclei[(planted.nuclei >= first * HOP) & (planted.nuclei < last * HOP)]
    part = slice(first, last)
    live.hear(
        Hops(first * HOP, planted.f0_hz[part], planted.level_dbfs[part], np.zeros(last - first), told),
        planted.state[state_first:state_last],
    )


def teach(live: Live, planted: Session, start: int, end: int) -> None:
    """The words that begin from start to end, which is then settled."""
    which = [i for i, w in enumerate(planted.words) if start <= w.start < end]
    live.learn([planted.words[i] for i in which], [planted.syllables[i] for i in which], end)


def run(planted: Session, seed: int = 0, late_s: float = 2.0) -> Live:
    """The whole session in pieces of 10 ms to 3 s, states up to 0.4 s and words `late_s` behind the sound."""
    dice = np.random.default_rng(seed)
    live = Live()
    at = state_at = taught = 0
    hops = planted.state.size
    while at < hops:
        to = min(hops, at + int(dice.integers(1, 300)))
        state_to = hops if to == hops else max(state_at, to - int(dice.integers(0, 40)))
        feed(live, planted, at, to, state_at, state_to)
        settled = to * HOP if to == hops else max(taught, to * HOP - samples(late_s))
        teach(live, planted, taught, settled)
        at, state_at, taught = to, state_to, settled
        if dice.random() < 0.5:
            live.read()
    return live


def close(value: float | None, expected: float | None, within: float = EXACT) -> bool:
    if value is None or expected is None:
        return value is expected
    return abs(value - expected) <= within * max(1.0, abs(expected))


def expected_whole(spoken: Spoken) -> dict[str, float | None]:
    span = spoken.span
    assert span is not None
    table = measures.measures(spoken)
    return {
        "rate_wpm": table["speech_rate_wpm"].value,
        "articulation_syl_s": table["articulation_rate_syl_s"].value,
        "pause_share": table["pause_share"].value,
        "longest_pause_s": table["pause_longest_s"].value,
        "f0_median_hz": table["f0_median_hz"].value,
        "f0_span_st": table["f0_span_st"].value,
        "f0_sd_st": table["f0_sd_st"].value,
        "level_dbfs": table["level_dbfs"].value,
        "fillers_per_min": table["filled_pauses_per_min"].value,
    }


MEDIANS = {"f0_median_hz": 2 ** (0.02 / 12) - 1, "level_dbfs": 0.05 / 25}  # relative, of what has left the ring


@pytest.mark.parametrize(
    ("length_s", "silence_s", "cough"), [(20, 0, False), (60, 0, True), (200, 0, False), (240, 50, True), (150, 90, False), (400, 3, True)]
)
def test_the_whole_session_has_the_numbers_of_its_report(length_s: float, silence_s: float, cough: bool) -> None:
    planted = session(int(length_s), length_s, silence_s, cough)
    found = run(planted).whole()
    expected = expected_whole(planted.spoken())
    for name, value in expected.items():
        assert close(getattr(found, name), value, MEDIANS.get(name, EXACT)), (name, getattr(found, name), value)
    assert found.lost_share == pytest.approx(np.mean(planted.state == State.LOST))
    assert found.at == planted.state.size * HOP


@pytest.mark.parametrize("quiet_s", [5.0, 26.0, 40.0, 200.0])
def test_silence_after_the_last_word_changes_nothing(quiet_s: float) -> None:
    planted = session(3, 120)
    hops = round(quiet_s * 100)
    live = run(planted)
    for _ in range(hops // 50):
        nothing = np.full(50, np.nan, np.float32)
        live.hear(Hops(live.whole().at, nothing, nothing - 0, np.zeros(50), np.empty(0, np.int64)), np.full(50, State.SILENCE, np.int8))
    for name, value in expected_whole(planted.spoken()).items():
        assert close(getattr(live.whole(), name), value, MEDIANS.get(name, EXACT)), name


def window_by_measures(planted: Session, at: int, over_s: float) -> dict[str, float | None]:
    spoken = planted.spoken(at // HOP)
    begin = planted.spoken().span
    assert begin is not None
    window = Span(max(at - samples(over_s), begin.start), at)
    heard_s = seconds(at - window.start - lost_samples(spoken.frames.state, window))
    f0_hz = spoken.frames.f0_hz[window.start // HOP :]
    near = [p.end - p.start for p in at_least(spoken.pauses) if p.end > window.start and p.start >= begin.start]
    fillers = sum(window.start <= f.start < at for f in spoken.fillers)
    whole_window = at - window.start == samples(over_s)
    return {
        "rate_wpm": measures.rate_wpm(spoken, window),
        "articulation_syl_s": measures.articulation_rate_syl_s(spoken, window),
        "pause_share": measures.pause_share(spoken, window) if heard_s >= 3 else None,
        "longest_pause_s": seconds(max(near)) if near else None,
        "f0_median_hz": intonation.median_hz(f0_hz),
        "f0_span_st": intonation.span_st(f0_hz) if over_s >= 10 else None,
        "f0_sd_st": intonation.sd_st(f0_hz) if over_s >= 10 else None,
        "level_dbfs": measures.level_dbfs(spoken, window),
        "fillers_per_min": 60 * fillers / heard_s if over_s >= 10 and heard_s >= 3 and whole_window else None,
    }


@pytest.mark.parametrize("seed", range(6))
def test_each_window_has_the_numbers_that_the_report_would_give_it(seed: int) -> None:
    planted = session(seed, 110)
    live = Live()
    dice = np.random.default_rng(seed)
    at = taught = compared = 0
    while at < planted.state.size:
        to = min(planted.state.size, at + int(dice.integers(20, 400)))
        feed(live, planted, at, to)
        teach(live, planted, taught, to * HOP)
        at, taught = to, to * HOP
        reading = live.read()
        assert [m.over_s for m in reading] == list(WINDOWS_S)
        if sum(w.kind == "word" and w.start < at * HOP for w in planted.words) < 5:
            assert all(m.rate_wpm is None for m in reading)
            continue
        for metrics in reading:
            window = slice(max(0, at - round(metrics.over_s * 100)), at)
            assert metrics.at == at * HOP
            assert metrics.lost_share == pytest.approx(np.mean(planted.state[window] == State.LOST))
            if (planted.state[window] != State.SPEECH).all():
                assert {getattr(metrics, name) for name in MISSING} == {None}
                continue
            for name, value in window_by_measures(planted, at * HOP, metrics.over_s).items():
                assert close(getattr(metrics, name), value), (metrics.over_s, at, name, getattr(metrics, name), value)
                compared += value is not None
    assert compared > 300


@given(st.integers(0, 2**32))
@settings(max_examples=8, deadline=None)
def test_how_it_comes_in_changes_nothing(seed: int) -> None:
    planted = session(5, 90, 4)
    one, other = run(planted), run(planted, seed)
    for a, b in zip([*one.read(), one.whole()], [*other.read(), other.whole()], strict=True):
        for field in fields(LiveMetrics):
            if field.name != "seq":
                assert close(getattr(a, field.name), getattr(b, field.name)), field.name


def test_before_there_are_words_nuclei_count_and_words_are_missing() -> None:
    planted = session(1, 40)
    live = Live()
    feed(live, planted, 0, 1500)
    three, ten, _ = live.read()
    begin = int(np.argmax(planted.state == State.SPEECH))
    assert ten.articulation_syl_s == pytest.approx(measures.nuclei_rate_s(planted.spoken(1500), Span(max(begin, 500) * HOP, 1500 * HOP)))
    assert {m.rate_wpm for m in (three, ten)} == {None} == {m.fillers_per_min for m in (three, ten)}


@pytest.mark.parametrize("nuclei_per_syllable", [0.7, 1.0, 1.3])
def test_nuclei_are_worth_what_this_speaker_makes_them(nuclei_per_syllable: float) -> None:
    """Words stop coming after 80 s; the next 10 s are guessed, to within 10 % of what was said."""
    planted = session(7, 120, nuclei_per_syllable=nuclei_per_syllable)
    live = Live()
    for at in range(0, 9000, 1000):
        feed(live, planted, at, at + 1000)
        teach(live, planted, samples(at / 100), samples(min(80, at / 100 + 10)))
    guessed = live.read()[1]
    teach(live, planted, samples(80), samples(90))
    known = live.read()[1]
    assert guessed.articulation_syl_s == pytest.approx(known.articulation_syl_s, rel=0.1)
    assert guessed.rate_wpm == pytest.approx(known.rate_wpm, rel=0.25)  # these words are longer than those before


def test_words_that_come_when_their_nuclei_are_forgotten_do_not_mislead() -> None:
    planted = session(7, 120)
    live = Live()
    feed(live, planted, 0, 9000)
    teach(live, planted, 0, samples(80))
    guessed = live.read()[1].articulation_syl_s
    teach(live, planted, samples(80), samples(90))
    assert guessed == pytest.approx(live.read()[1].articulation_syl_s, rel=0.15)


def test_nothing_stands_in_silence_nor_at_the_very_start() -> None:
    live = Live()
    for metrics in live.read():
        assert {getattr(metrics, name) for name in MISSING} == {None}
    planted = session(2, 60)
    feed(live, planted, 0, 200)
    assert {(m.rate_wpm, m.pause_share, m.fillers_per_min) for m in live.read()} == {(None, None, None)}
    feed(live, planted, 200, 5000)
    teach(live, planted, 0, samples(50))
    assert live.read()[2].rate_wpm is not None
    nothing = np.full(3100, np.nan, np.float32)
    live.hear(Hops(samples(50), nothing, nothing, np.zeros(3100), np.empty(0, np.int64)), np.full(3100, State.SILENCE, np.int8))
    assert {getattr(m, name) for m in live.read() for name in MISSING} == {None}


def test_a_loss_is_no_pause() -> None:
    state = np.full(1500, State.SPEECH, np.int8)
    state[1000:1200] = State.LOST
    level = np.where(state == State.LOST, np.nan, -20.0).astype(np.float32)
    live = Live()
    live.hear(Hops(0, np.full(1500, np.nan, np.float32), level, np.zeros(1500), np.empty(0, np.int64)), state)
    ten = live.read()[1]
    assert (ten.pause_share, ten.longest_pause_s, ten.lost_share) == (0.0, None, 0.2)


def test_what_is_kept_does_not_grow() -> None:
    planted = session(9, 150)
    live, hops = Live(), planted.state.size
    sizes = []
    for lap in range(8):
        for at in range(0, hops, 500):
            to = min(hops, at + 500)
            first = lap * hops + at
            live.hear(
                Hops(first * HOP, planted.f0_hz[at:to], planted.level_dbfs[at:to], np.zeros(to - at), np.empty(0, np.int64)),
                planted.state[at:to],
            )
            said = [w for w in planted.words if at * HOP <= w.start < to * HOP]
            shift = lap * hops * HOP
            live.learn([Word(w.text, w.start + shift, w.end + shift, 1.0, w.kind) for w in said], [1] * len(said), (lap * hops + to) * HOP)
            live.read()
        sizes.append(sum(len(value) for value in vars(live).values() if hasattr(value, "__len__")))
    assert max(sizes[2:]) < 1.05 * min(sizes[2:])


def test_frames_without_states_are_refused_before_they_are_lost() -> None:
    live = Live()
    silent = np.full(1000, np.nan, np.float32)
    nothing, none = np.empty(0, np.int64), np.empty(0, np.int8)
    for first in range(0, 6000, 1000):
        live.hear(Hops(first * HOP, silent, silent, np.zeros(1000), nothing), none)
    with pytest.raises(ValueError, match="too far ahead"):
        live.hear(Hops(6000 * HOP, silent, silent, np.zeros(1000), nothing), none)


def expect(live: Live, planted: Session, frames: int, states: int, upto: int) -> None:
    """Tell what follows the frames and the states that are known, as it will turn out."""
    live.expect(planted.state[states:upto], planted.level_dbfs[frames:upto])


def test_a_reading_ends_with_what_is_expected_and_has_the_numbers_that_this_will_give() -> None:
    planted = session(4, 60)
    ahead, behind = Live(), Live()
    feed(ahead, planted, 0, 4000)
    feed(behind, planted, 0, 3996, 0, 3960)
    expect(behind, planted, 3996, 3960, 4000)
    for live in (ahead, behind):
        teach(live, planted, 0, samples(40))
    for one, other in zip(ahead.read(), behind.read(), strict=True):
        assert (other.at, other.lost_share) == (4000 * HOP, one.lost_share)
        for name in MISSING - {"f0_median_hz", "f0_span_st", "f0_sd_st"}:
            assert close(getattr(other, name), getattr(one, name)), name
        assert close(other.f0_median_hz, one.f0_median_hz, 0.01)
    assert behind.whole().at == 3960 * HOP


def test_what_was_expected_leaves_no_trace() -> None:
    planted = session(6, 120, 3)
    plain, wrong = Live(), Live()
    for at in range(0, 11000, 20):
        for live in (plain, wrong):
            feed(live, planted, at, at + 20, max(0, at - 36), max(0, at - 16))
            teach(live, planted, samples(max(0, at - 200) / 100), samples(max(0, at - 180) / 100))
        wrong.expect(1 - np.minimum(planted.state[at - 16 : at + 20], 1) if at >= 20 else planted.state[:20], np.empty(0, np.float32))
        wrong.read()
        plain.read()
    for name in ("rate_wpm", "pause_share", "longest_pause_s", "f0_median_hz", "f0_sd_st", "level_dbfs"):
        assert getattr(plain.whole(), name) == getattr(wrong.whole(), name), name
    assert plain.pauses == wrong.pauses


def test_frames_of_a_span_are_those_that_came() -> None:
    planted = session(8, 100)
    live = Live()
    for at in range(0, 9000, 100):
        feed(live, planted, at, at + 100)
    found = live.frames(Span(samples(70) + 5, samples(80) - 5))
    assert found.start == samples(70)
    assert found.state.tolist() == planted.state[7000:8000].tolist()
    np.testing.assert_array_equal(found.f0_hz, planted.f0_hz[7000:8000])
