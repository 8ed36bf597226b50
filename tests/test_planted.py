"""Scores move as they should, planted where sound and words are measured already; bench/planted.py does the same to real sound."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench.coverage import Voice, scores_of, session
from bench.planted import at_tempo, inserted, resynthesised
from speech import intonation, prosody
from speech.analysis import Filler, LanguageIssue
from speech.audio import HOP, RATE_HZ, Floats, State
from speech.measures import Spoken
from tests.signals import vowel, wavy

SOMEBODY = Voice("anybody", 5.3, 0.8, 0.2, 0.02, 0.006, 0.03, 2.2, 4.0, 6.0, 0.5, 1.0, 0.0)
Change = Callable[[Spoken], Spoken]


def ums(of: Spoken) -> Spoken:
    planted = [Filler("um", word.start, word.end, "filled_pause", "recogniser") for word in of.words[::15]]
    return replace(of, fillers=sorted([*of.fillers, *planted], key=lambda one: one.start))


def placed(every: int, where: str) -> Change:
    return lambda of: replace(
        of,
        pauses=[replace(one, place=where) if i % every == 0 else one for i, one in enumerate(of.pauses)],  # type: ignore[arg-type]
    )


def pitched(times: float) -> Change:
    return lambda of: replace(of, frames=replace(of.frames, f0_hz=(120 * (of.frames.f0_hz / 120) ** times).astype(np.float32)))


def levelled(change: Callable[[Floats], Floats]) -> Change:
    return lambda of: replace(of, frames=replace(of.frames, level_dbfs=change(of.frames.level_dbfs).astype(np.float32)))


def noisy(level: Floats) -> Floats:
    return np.asarray(10 * np.log10(10 ** (level / 10) + 10 ** (-40 / 10)))


def compressed(of: Spoken) -> Spoken:
    speech = of.frames.state == State.SPEECH.value
    return levelled(lambda level: np.where(speech, -24 + (level + 24) / 4, level))(of)


def at_rate(times: float) -> Change:
    """Everything happens so many times as fast, pitch and level as they were."""

    def sped(at: int) -> int:
        return round(at / times)

    def change(of: Spoken) -> Spoken:
        assert of.span is not None
        hops = (np.arange(int(of.frames.state.size / times)) * times).astype(int)
        frames = replace(of.frames, f0_hz=of.frames.f0_hz[hops], level_dbfs=of.frames.level_dbfs[hops], state=of.frames.state[hops])
        return replace(
            of,
            words=[replace(one, start=sped(one.start), end=sped(one.end)) for one in of.words],
            pauses=[replace(one, start=sped(one.start), end=sped(one.end)) for one in of.pauses],
            fillers=[replace(one, start=sped(one.start), end=sped(one.end)) for one in of.fillers],
            disfluencies=[replace(one, start=sped(one.start), end=sped(one.end)) for one in of.disfluencies],
            issues=[replace(one, start=sped(one.start), end=sped(one.end)) for one in of.issues],
            frames=frames,
            k_power=of.k_power[hops],
            span=replace(of.span, end=hops.size * HOP),
        )

    return change


def doubtful(of: Spoken) -> Spoken:
    return replace(of, words=[replace(word, probability=0.3) if i % 8 == 0 else word for i, word in enumerate(of.words)])


def slips(of: Spoken) -> Spoken:
    planted = [LanguageIssue("grammar", "rule", "text", word.start, word.end, "reason", ()) for word in of.words[::25]]
    return replace(of, issues=sorted([*of.issues, *planted], key=lambda one: one.start))


def few_words(of: Spoken) -> Spoken:
    return replace(of, words=[replace(word, text=f"w{i % 7}") if i % 2 else word for i, word in enumerate(of.words)])


@pytest.fixture(scope="module")
def before() -> Spoken:
    return session(np.random.default_rng(5), SOMEBODY, 5.0, recognised=False)


PLANTED: Mapping[str, tuple[Change, Mapping[str, int]]] = {
    "ums": (ums, {"fluency": -1}),
    "pauses inside clauses": (placed(3, "within_clause"), {"fluency": -1, "pausing": -1}),
    "pauses at clause ends": (placed(1, "between_clauses"), {"fluency": 1, "pausing": 1}),
    "monotone": (pitched(0.4), {"pitch": -1}),
    "wider": (pitched(1.4), {"pitch": 1}),
    "fast": (at_rate(1.4), {"pace": -1}),
    "slow": (at_rate(0.7), {"pace": -1}),
    "louder": (levelled(lambda level: level + 12), {}),
    "quieter": (levelled(lambda level: level - 12), {}),
    "noise at 16 dB": (levelled(noisy), {}),
    "compressed": (compressed, {"loudness": -1}),
    "doubtful words": (doubtful, {"clarity": -1}),
    "slips": (slips, {"language": -1}),
    "few words": (few_words, {"vocabulary": -1}),
}


@pytest.mark.parametrize("name", PLANTED)
def test_the_right_score_moves_the_right_way_and_the_others_stay(name: str, before: Spoken) -> None:
    change, moves = PLANTED[name]
    was, now = (of_talk(spoken) for spoken in (before, change(before)))
    for score, found in was.items():
        apart = now[score]["value"] - found["value"]
        if score in moves:
            assert apart * moves[score] > 0, score
            assert not found["low"] <= now[score]["value"] <= found["high"], score
        else:
            assert found["low"] <= now[score]["value"] <= found["high"], (score, found["value"], now[score]["value"])


def of_talk(spoken: Spoken) -> dict[str, dict[str, Any]]:
    return {name: found for (rubric, name), found in scores_of(spoken).items() if rubric == "talk" and name != "overall"}


# what the bench does to sound


def pitch_of(pcm: Floats) -> Floats:
    return prosody.analyse(pcm, ()).f0_hz


def test_a_flatter_voice_moves_as_much_less_as_it_should() -> None:
    pcm = vowel(wavy(140.0, 4.0, 4.0)).pcm
    was, now = (intonation.sd_st(pitch_of(sound)) for sound in (pcm, resynthesised(pcm, "140 * (self / 140) ^ 0.3")))
    assert was is not None
    assert now == pytest.approx(0.3 * was, rel=0.1)


def test_a_faster_sound_is_shorter_and_no_higher() -> None:
    pcm = vowel(150.0, 3.0).pcm
    fast = at_tempo(pcm, 1.6)
    assert fast.size == pytest.approx(pcm.size / 1.6, rel=0.02)
    assert np.nanmedian(pitch_of(fast)) == pytest.approx(150.0, rel=0.01)


def test_what_is_put_in_lies_where_it_was_asked_for_and_nothing_is_lost() -> None:
    pcm, piece = np.ones(RATE_HZ, np.float32), np.full(RATE_HZ // 2, 2.0, np.float32)
    out = inserted(pcm, [4000, 12000], [piece, piece])
    assert out.size == pcm.size + 2 * piece.size
    assert np.flatnonzero(out > 1.5).min() in range(4000, 4000 + HOP)
    assert out[:3800].tolist() == [1.0] * 3800
    assert (out > 1.5).sum() == pytest.approx(2 * piece.size, abs=4 * HOP)
