"""What a live session told its client, against what was said: how late each number and word was, how right, how much was lost. Pure.

Three clocks meet here. The client's is monotonic: when each packet left, when each event came. The talk's begins with packet 0. The
session's begins with the first packet that the server heard; `first_packet` ties it to the other two.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jiwer
import numpy as np
from whisper_normalizer.english import EnglishTextNormalizer

from bench.corpus import Timed, bare, same
from bench.table import Cell, Row
from speech.audio import RATE_HZ

PACKET = 320  # samples at 16 kHz in a packet of 20 ms
PACKET_S = PACKET / RATE_HZ
NEAR_S = 0.5  # between the middles of a word when it was shown and when it was committed
_FEW = 5  # readings
_normal = EnglishTextNormalizer()

Event = dict[str, Any]
Truth = Mapping[str, Sequence[Timed]]  # the words by the WAV of the plan


@dataclass(frozen=True, slots=True)
class Plan:
    """What a caller is to do. Times count from the start of the caller's first session."""

    wav: str
    repeats: int = 1  # how often it is said
    start_s: float = 0.0
    transport: str = "webrtc"  # or "ws"
    language: str | None = "en"
    seed: int = 1
    loss: float = 0.0  # share of packets
    burst_packets: float = 1.0  # mean length of a run of losses
    jitter_ms: float = 0.0  # uniform, each packet on its own: neighbours overtake one another
    outages: tuple[tuple[float, float], ...] = ()  # what leaves in [from, to) ms never comes

    @classmethod
    def read(cls, kept: Mapping[str, Any]) -> "Plan":
        """From JSON."""
        return cls(**{**kept, "outages": tuple((begin, end) for begin, end in kept["outages"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a caller kept. Monotonic seconds; packets by their number."""

    plan: Plan
    session: str | None  # None where the server refused it
    status: int  # of the last answer to the request that opens the sound
    retry_after_s: float | None = None  # that a refusal named
    asked_s: float = 0.0  # when the sound was asked for
    left_s: Sequence[float] = ()  # of each packet: when its last sample had been captured, whatever the link did to it then
    came: Sequence[int] = ()  # packets that the link delivered, in order of arrival
    late_s: float = 0.0  # 99th percentile of how late the caller itself was: more than a few ms spoils the rest
    delay_s: float = 0.0  # of the sound behind the packets, from the encoder
    ended_s: float = 0.0  # when the end of the session was answered
    state: str = ""  # of the session, in the end
    events: Sequence[tuple[float, Event]] = field(default=(), repr=False)  # with their arrival

    @classmethod
    def read(cls, kept: Mapping[str, Any]) -> "Call":
        """From JSON."""
        return cls(**{**kept, "plan": Plan.read(kept["plan"]), "events": [(arrived, event) for arrived, event in kept["events"]]})

    def of(self, stream: str) -> Iterator[tuple[float, Event]]:
        """The events of one stream in order."""
        return ((arrived, event) for arrived, event in self.events if event["stream"] == stream)


def first_packet(came: Sequence[int], captured: int) -> int:
    """The packet that is the start of the session. captured: samples of the whole session, which ends with the last packet that came.

    That is the first that came, unless the server was not listening yet. One packet more or less at the end is what a filter still held.
    """
    counted = round((max(came) + 1) - captured / PACKET)
    return counted if counted > min(came) + 1 else min(came)


@dataclass(frozen=True, slots=True)
class Clock:
    """The session's samples on the client's clock and on the talk's."""

    first: int  # packet
    left_s: Sequence[float]
    delay_s: float

    @classmethod
    def of(cls, call: Call) -> "Clock":
        """From what came and how long the session was in the end."""
        captured = max((event["data"]["at"] for _, event in call.of("metrics")), default=0)
        return cls(first_packet(call.came, captured) if captured else min(call.came), call.left_s, call.delay_s)

    def left(self, at: int) -> float:
        """When the sample before `at` left the client: numbers over all sound before `at` could not be known earlier."""
        packet = self.first + max(0, at - 1) // PACKET
        return self.left_s[min(packet, len(self.left_s) - 1)]

    def spoken(self, talk_s: float) -> float:
        """When this moment of the talk was captured."""
        packet = min(int(talk_s / PACKET_S), len(self.left_s) - 1)
        return self.left_s[packet] - (packet + 1) * PACKET_S + talk_s

    def talk_s(self, session_s: float) -> float:
        """A time of the session on the clock of the talk."""
        return session_s + self.first * PACKET_S - self.delay_s


# numbers


def metric_latencies(call: Call, clock: Clock) -> list[tuple[float, float]]:
    """Of each metrics event: when its newest sample left the client, and the seconds from then until it arrived."""
    left = [(clock.left(event["data"]["at"]), arrived) for arrived, event in call.of("metrics")]
    return [(left_s, arrived - left_s) for left_s, arrived in left]


def percentiles(values: Sequence[float], *of: float) -> list[float | None]:
    """None where there is nothing."""
    return [float(np.percentile(values, p)) if len(values) else None for p in of]


def recovery_s(latencies: Sequence[tuple[float, float]], over_s: Sequence[float], margin_s: float = 0.06) -> float | None:
    """The longest until numbers came as usual again after a burst of losses; None without any.

    over_s: when the last packet of each burst left. Usual is the median and `margin_s` more. It is back with the first of five numbers (a
    second of them) whose median is usual: one late number alone is the machine's doing.
    """
    if not latencies or not over_s:
        return None
    late = np.array([late for _, late in latencies])
    usual = [float(np.median(late[i : i + _FEW])) <= float(np.median(late)) + margin_s for i in range(len(late) - _FEW + 1)]
    left = [left for left, _ in latencies]
    return max(next((at - burst for at, fine in zip(left, usual, strict=False) if at >= burst and fine), math.inf) for burst in over_s)


# words


@dataclass(frozen=True, slots=True)
class Late:
    """A word that was recognised rightly, and how long after its end it was shown and committed."""

    text: str
    ended_s: float  # monotonic
    shown_s: float
    committed_s: float


def committed(call: Call, clock: Clock, kinds: tuple[str, ...] = ("word",)) -> list[tuple[float, Timed]]:
    """The words that stay, on the clock of the talk, with the arrival of each."""
    return [
        (arrived, Timed(word["text"], clock.talk_s(word["start_s"]), clock.talk_s(word["end_s"])))
        for arrived, event in call.of("tokens")
        for word in event["data"]["committed"]
        if word["kind"] in kinds
    ]


def word_latencies(call: Call, clock: Clock, truth: Sequence[Timed]) -> list[Late]:
    """Of the words of the truth that were recognised and whose end is known.

    A word is first shown by the first event that has it, tentative or committed, within half a second of where it was committed.
    """
    kept = committed(call, clock)
    arrivals = {id(word): arrived for arrived, word in kept}
    shown = _shown(call, clock)
    out = []
    for true, found in same(truth, [word for _, word in kept]):
        if math.isnan(true.end_s):
            continue
        ended_s, arrived = clock.spoken(true.end_s), arrivals[id(found)]
        middle = (found.start_s + found.end_s) / 2
        first_s = next((at for at, where in shown.get(bare(found.text), ()) if abs(where - middle) <= NEAR_S and at <= arrived), arrived)
        out.append(Late(found.text, ended_s, first_s - ended_s, arrived - ended_s))
    return out


def _shown(call: Call, clock: Clock) -> dict[str, list[tuple[float, float]]]:
    # Of each text all arrivals, with the middle of the word on the clock of the talk.
    shown: dict[str, list[tuple[float, float]]] = {}
    for arrived, event in call.of("tokens"):
        for word in (*event["data"]["committed"], *event["data"]["tentative"]):
            shown.setdefault(bare(word["text"]), []).append((arrived, clock.talk_s((word["start_s"] + word["end_s"]) / 2)))
    return shown


def wer(reference: str, text: str) -> float:
    """Word error rate in percent, both normalised as OpenAI does."""
    return 100 * float(jiwer.process_words(_normal(reference), _normal(text)).wer)


def shifts(before: Sequence[Timed], after: Sequence[Timed]) -> list[float]:
    """By how many seconds the starts and ends of the words that both have moved."""
    return [moved for a, b in same(before, after) for moved in (b.start_s - a.start_s, b.end_s - a.end_s)]


# what never came


def lost_s(call: Call) -> float:
    """Seconds of sound that never came, as the session counts them in the end. (Its `state` leaves out gaps of single packets.)"""
    whole = [event["data"]["session"] for _, event in call.of("metrics") if event["data"].get("session")]
    return whole[-1]["lost_share"] * whole[-1]["over_s"] if whole else math.nan


def pauses(call: Call, clock: Clock) -> list[tuple[float, float]]:
    """The pauses that were told, on the clock of the talk."""
    told = [pause for _, event in call.of("tokens") for pause in event["data"].get("pauses", ())]
    return [(clock.talk_s(pause["start_s"]), clock.talk_s(pause["end_s"])) for pause in told]


def false_pauses(found: Sequence[tuple[float, float]], true: Sequence[tuple[float, float]]) -> int:
    """How many overlap none of the true ones."""
    return sum(not any(start < other_end and other_start < end for other_start, other_end in true) for start, end in found)


def missing(call: Call) -> set[int]:
    """Packets that left and never came, between the first that came and the last."""
    return set(range(min(call.came), max(call.came) + 1)) - set(call.came)


# tables


def latency_row(calls: Sequence[Call], truth: Truth, from_s: float = 0.0, to_s: float = math.inf) -> dict[str, Cell]:
    """Latencies of some sessions together, of what was said between two monotonic times."""
    numbers: list[float] = []
    words: list[Late] = []
    for call in calls:
        if not call.came:
            continue
        clock = Clock.of(call)
        numbers += [late for left, late in metric_latencies(call, clock) if from_s <= left < to_s]
        words += [late for late in word_latencies(call, clock, truth[call.plan.wav]) if from_s <= late.ended_s < to_s]
    metric = percentiles([1000 * late for late in numbers], 50, 95, 99)
    shown = percentiles([late.shown_s for late in words], 50, 95)
    final = percentiles([late.committed_s for late in words], 50, 95)
    return {
        "metrics": len(numbers),
        "p50 ms": metric[0],
        "p95 ms": metric[1],
        "p99 ms": metric[2],
        "words": len(words),
        "shown p50 s": shown[0],
        "shown p95 s": shown[1],
        "commit p50 s": final[0],
        "commit p95 s": final[1],
        "caller ms": max((1000 * call.late_s for call in calls), default=0.0),
    }


def degraded(calls: Sequence[Call]) -> dict[str, int]:
    """What was shed, by the number of metrics events that say so."""
    return dict(Counter(what for call in calls for _, event in call.of("metrics") if (what := event["data"].get("degraded"))))


def slope_per_hour(at_s: Sequence[float], values: Sequence[float]) -> float:
    """Least squares, in units of the values an hour."""
    return float(np.polyfit(np.asarray(at_s), np.asarray(values), 1)[0]) * 3600


def missed(rows: Sequence[Row], bounds: Mapping[str, tuple[str, float]]) -> list[str]:
    """A sentence for each cell above its bound. bounds: name -> (column, at most)."""
    return [
        f"{name}: {column} is {value:.2f}, at most {most:g}"
        for row in rows
        for name, (column, most) in bounds.items()
        if isinstance(value := row.get(column), int | float) and not value <= most
    ]
