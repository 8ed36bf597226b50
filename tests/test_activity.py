"""Speech and silence per hop: pauses planted in real speech are found, in clean sound and under noise; no split changes a state."""

from functools import cache

import numpy as np
import pytest

from bench.pauses import FILLS, NOISES, Planted, Tally, joined, ours, overlap, score, with_noise, without_silence
from recognition.vad import speech_probability
from speech.activity import JUDGE_WINDOW, LOOK_AHEAD, Activity, activity
from speech.audio import HOP, RATE_HZ, Floats, Span, State, States
from speech.pauses import pauses, silences
from tests.samples import recording


@cache
def pieces() -> tuple[tuple[Floats, Floats], ...]:
    return tuple((piece, recording()) for piece in without_silence(recording(), 0.5))


@cache
def cases() -> tuple[Planted, ...]:
    rng = np.random.default_rng(11)
    return tuple(joined(kind, pieces()[number % 2 :: 2], kind, rng) for number, kind in enumerate(FILLS))


@cache
def clean_states() -> tuple[States, ...]:
    return tuple(heard(case.pcm) for case in cases())


def heard(pcm: Floats, lost: tuple[Span, ...] = ()) -> States:
    return activity(pcm, speech_probability(pcm), lost)


def tally(noise: str) -> Tally:
    out = Tally()
    for number, case in enumerate(cases()):
        if noise == "clean":
            score(out, case, clean_states()[number])
            continue
        pcm = with_noise(case, noise, np.random.default_rng([3, number]))
        score(out, case, ours(pcm, speech_probability(pcm)))
    return out


def test_planted_pauses_of_200_ms_to_3_s_are_found_in_clean_speech() -> None:
    clean = tally("clean")
    assert clean.found + clean.missed >= 25
    assert clean.f1 >= 0.95
    assert clean.balanced_error <= 0.04


@pytest.mark.parametrize("noise", NOISES)
def test_planted_pauses_are_found_under_noise_at_10_db(noise: str) -> None:
    under = tally(noise)
    assert under.f1 >= 0.9
    assert under.balanced_error <= 0.08


def test_edges_of_planted_pauses_are_right_to_20_ms_in_clean_speech() -> None:
    late: list[int] = []
    for case, states in zip(cases(), clean_states(), strict=True):
        found = silences(states)
        for span in case.planted:
            best = max(found, key=lambda other: overlap(span, other))
            late += [best.start - span.start, best.end - span.end]
    assert float(np.median(np.abs(late))) <= 0.02 * RATE_HZ


def planted_at(sizes_ms: list[int]) -> tuple[Floats, list[Span]]:
    floor = np.random.default_rng(4).normal(0, 1e-4, RATE_HZ).astype(np.float32)
    longest = sorted((piece for piece, _ in pieces()), key=lambda piece: -piece.size)[: len(sizes_ms) + 1]
    parts, spans, at = [longest[0]], [], longest[0].size
    for size_ms, piece in zip(sizes_ms, longest[1:], strict=True):
        spans.append(Span(at, at + 16 * size_ms))
        parts += [floor[: 16 * size_ms], piece]
        at += 16 * size_ms + piece.size
    return np.concatenate(parts), spans


def test_silences_of_120_to_180_ms_which_the_judge_alone_joins_are_found() -> None:
    pcm, spans = planted_at([120, 140, 160, 180] * 2)
    probability = speech_probability(pcm)
    found = silences(activity(pcm, probability))
    ours_found = sum(any(overlap(span, other) >= 0.5 for other in found) for span in spans)
    silent_to_judge = np.repeat(probability < 0.5, JUDGE_WINDOW)[HOP // 2 :: HOP]
    judge_found = sum(
        any(overlap(span, other) >= 0.5 for other in silences(np.where(silent_to_judge, 0, 1).astype(np.int8))) for span in spans
    )
    assert ours_found >= 7
    assert judge_found < ours_found


def test_digital_silence_does_not_pass_for_the_floor_of_the_room() -> None:
    pcm, spans = planted_at([150] * 8)
    pcm += np.random.default_rng(6).normal(0, 10 ** (-65 / 20), pcm.size).astype(np.float32)
    lead = np.zeros(2 * RATE_HZ, np.float32)
    found = silences(heard(np.concatenate((lead, pcm)))[200:])
    assert sum(any(overlap(span, other) >= 0.5 for other in found) for span in spans) >= 7


@pytest.mark.parametrize("gain_db", [-60, 12])
def test_the_level_of_the_recording_does_not_matter(gain_db: float) -> None:
    case = cases()[1]
    same = heard(case.pcm * np.float32(10 ** (gain_db / 20))) == clean_states()[1]
    assert float(np.mean(same)) >= 0.98


def test_dc_does_not_matter() -> None:
    case = cases()[2]
    assert float(np.mean(heard(case.pcm + np.float32(0.3)) == clean_states()[2])) >= 0.98


def test_speech_that_becomes_15_db_quieter_is_still_speech() -> None:
    case = cases()[0]
    half = case.pcm.size // 2
    pcm = case.pcm.copy()
    pcm[half:] *= np.float32(10 ** (-15 / 20))
    out = Tally()
    score(out, case, heard(pcm))
    assert out.f1 >= 0.9


def test_silence_of_any_kind_is_silence() -> None:
    rng = np.random.default_rng(5)
    noise = rng.standard_normal(10 * RATE_HZ).astype(np.float32)
    for pcm in (np.zeros_like(noise), noise * np.float32(1e-5), noise * np.float32(0.01), np.full_like(noise, 0.2)):
        states = heard(pcm)
        assert states.shape == (1000,)
        assert float(np.mean(states == State.SILENCE)) >= 0.99


def test_twenty_seconds_of_digital_silence_before_the_speech_change_nothing_later() -> None:
    case = cases()[1]
    lead = np.zeros(20 * RATE_HZ, np.float32)
    states = heard(np.concatenate((lead, case.pcm)))
    assert bool((states[: 20 * 100 - 5] == State.SILENCE).all())
    out = Tally()
    score(out, case, states[20 * 100 :])
    assert out.f1 >= 0.95


def test_lost_audio_is_lost_to_the_hop_and_makes_no_pause() -> None:
    longest = max((piece for piece, _ in pieces()), key=len)
    lost = tuple(Span(at, at + 320) for at in range(3200, longest.size - 3200, 3200))
    pcm = longest.copy()
    for span in lost:
        pcm[span.start : span.end] = 0.0
    states = heard(pcm, lost)
    expected = np.zeros(states.size, np.bool_)
    for span in lost:
        expected[span.start // HOP : span.end // HOP] = True
    assert np.array_equal(states == State.LOST, expected)
    assert [pause for pause in pauses(states) if pause.end - pause.start >= RATE_HZ // 4] == []
    pcm[lost[0].start : lost[0].end] = np.nan
    assert bool((heard(pcm, lost[1:]) == states).all())


def test_any_split_of_sound_and_judgements_gives_the_same_states_and_none_is_later_than_stated() -> None:
    pcm = cases()[0].pcm[: 15 * RATE_HZ + 123]
    pcm = np.where((np.arange(pcm.size) // 8000) % 9 == 4, np.float32(np.nan), pcm)
    probability = speech_probability(pcm)
    whole = activity(pcm, probability)
    assert whole.shape == (pcm.size // HOP,)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        stream, out, at, judged, given = Activity(), [], 0, 0, 0
        while at < pcm.size:
            size = int(rng.choice([7, 160, 320, 4000, 30_000]))
            at_next = min(at + size, pcm.size)
            known = at_next // JUDGE_WINDOW  # the judge gives a window as soon as it is full
            out.append(stream.push(pcm[at:at_next], probability[judged:known]))
            at, judged = at_next, known
            given += out[-1].size
            assert at < (given + 1) * HOP + LOOK_AHEAD
        out += [stream.push(pcm[:0], probability[judged:]), stream.finish()]
        assert np.array_equal(np.concatenate(out), whole)


@pytest.mark.parametrize("size", [0, 1, 159, 160, 161, 512, 5000])
def test_short_signals_have_one_state_per_full_hop(size: int) -> None:
    assert heard(np.zeros(size, np.float32)).shape == (size // HOP,)


def test_judgements_of_another_signal_are_refused() -> None:
    with pytest.raises(ValueError, match="judgements"):
        activity(np.zeros(5120, np.float32), np.zeros(9, np.float32))


def test_the_provisional_states_fill_up_what_is_not_final_and_are_mostly_right() -> None:
    pcm = cases()[0].pcm[: 20 * RATE_HZ]
    probability, final = speech_probability(pcm), clean_states()[0]
    stream, given, off, guessed = Activity(), 0, 0, 0
    for end in range(3200, pcm.size, 3200):
        judged = slice((end - 3200) // JUDGE_WINDOW, end // JUDGE_WINDOW)
        given += stream.push(pcm[end - 3200 : end], probability[judged]).size
        guess = stream.provisional()
        assert given + guess.size == end // HOP
        assert guess.tolist() == stream.provisional().tolist()
        off += int(np.count_nonzero(guess != final[given : end // HOP]))
        guessed += guess.size
    assert guessed > 3000
    assert off <= 0.06 * guessed


def test_looking_ahead_changes_no_state() -> None:
    pcm = cases()[1].pcm[: 10 * RATE_HZ]
    probability = speech_probability(pcm)
    looking, plain = Activity(), Activity()
    out: list[list[int]] = [[], []]
    for start in range(0, pcm.size, 1600):
        judged = probability[start // JUDGE_WINDOW : (start + 1600) // JUDGE_WINDOW]
        for stream, states in zip((looking, plain), out, strict=True):
            states += stream.push(pcm[start : start + 1600], judged).tolist()
        looking.provisional()
    assert out[0] == out[1]


def test_nothing_is_provisional_before_there_is_sound_and_without_judgements_all_is_silence() -> None:
    stream = Activity()
    assert stream.provisional().size == 0
    stream.push(np.full(1600, 0.1, np.float32), np.empty(0, np.float32))
    assert stream.provisional().tolist() == [State.SILENCE] * 10
