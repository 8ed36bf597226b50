"""Whatever a network does to packets, they come out once each, in order, in time, and what never came is counted and not invented."""

import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtc.opus import duration
from rtc.playout import LONGEST_MS, Missing, Packet, Playout, Quiet, Released
from tests.links import Link

SPEECH = bytes([0b11111_000]) + bytes(70)  # CELT, full band, one frame of 20 ms
HUSH = bytes([0b11111_000, 0])  # the same without sound: DTX
PTIME = 960

Sent = tuple[int, int, bytes]  # sequence, timestamp, payload, as on the wire


def stream(packets: int, sequence: int = 65_500, timestamp: int = 2**32 - 5_000) -> list[Sent]:
    """Speech, 20 ms a packet; both numbers wrap around soon."""
    return [(sequence + i & 0xFFFF, timestamp + PTIME * i & 0xFFFFFFFF, SPEECH + i.to_bytes(4, "big")) for i in range(packets)]


def played_one(playout: Playout, packet: Sent, now_ms: float) -> list[tuple[Released, float]]:
    """What comes out until a packet came and with it, and when: asked for whenever the buffer says it is due."""
    out: list[tuple[Released, float]] = []
    while (due_ms := playout.due_ms) is not None and due_ms <= now_ms:
        out += [(released, due_ms) for released in playout.release(due_ms)]
    playout.add(*packet, now_ms)
    return out + [(released, now_ms) for released in playout.release(now_ms)]


def played(playout: Playout, arrivals: list[tuple[Sent, float]]) -> list[tuple[Released, float]]:
    """The same for all of them, to the end."""
    out = [each for packet, now_ms in arrivals for each in played_one(playout, packet, now_ms)]
    while (due_ms := playout.due_ms) is not None:
        out += [(released, due_ms) for released in playout.release(due_ms)]
    return out


def carried(link: Link[Sent], sent: list[Sent]) -> list[tuple[Sent, float]]:
    return list(link.carry((packet, 20.0 * i) for i, packet in enumerate(sent)))


def numbers(out: list[tuple[Released, float]], first: int) -> list[int]:
    """The place in the stream of everything released, packets and missing ones."""
    places = []
    for released, _ in out:
        if isinstance(released, Packet):
            places.append(released.sequence - first & 0xFFFF)
        elif isinstance(released, Missing):
            places += [released.sequence - first + i & 0xFFFF for i in range(released.count)]
    return places


def delays(out: list[tuple[Released, float]], sent: list[Sent]) -> dict[int, float]:
    """How long after it was sent each packet came out, by its place in the stream."""
    places = [(released.sequence - sent[0][0] & 0xFFFF, at) for released, at in out if isinstance(released, Packet)]
    return {place: at - 20.0 * place for place, at in places}


def seamless(out: list[tuple[Released, float]]) -> None:
    """Each thing released begins where the one before it ended."""
    for (before, _), (after, _) in pairwise(out):
        assert before.pts + before.samples == after.pts


@pytest.mark.parametrize(
    ("payload", "samples"),
    [
        (b"", 0),
        (bytes([0b00000_000]), 480),  # SILK 10 ms
        (bytes([0b00011_000]), 2880),
        (bytes([0b01101_001, 0]), 1920),  # hybrid 20 ms, two frames
        (bytes([0b10000_000]), 120),  # CELT 2.5 ms
        (bytes([0b11111_011, 3]), 2880),  # CELT 20 ms, three frames said by the second byte
        (bytes([0b11111_011]), 0),  # which is missing
        (bytes([0b11111_011, 0]), 0),
        (bytes([0b11111_011, 7]), 0),  # 140 ms: there is no such packet
    ],
)
def test_a_packet_says_how_long_it_is(payload: bytes, samples: int) -> None:
    assert duration(payload) == samples


def test_without_loss_nothing_waits_once_the_stream_has_begun() -> None:
    sent = stream(200)
    out = played(Playout(60, 64), carried(Link(seed=1, delay_ms=30), sent))
    assert [released.payload for released, _ in out if isinstance(released, Packet)] == [payload for _, _, payload in sent]
    assert [at for _, at in out[:4]] == [90, 90, 90, 90]  # the first is held, as one before it might be on its way
    assert [at for _, at in out[4:]] == [20.0 * i + 30 for i in range(4, 200)]
    seamless(out)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 0xFFFF), st.integers(1, 120), st.sampled_from([20, 60, 120]))
def test_any_order_within_the_deadline_comes_out_as_it_was_sent(seed: int, sequence: int, packets: int, deadline_ms: int) -> None:
    sent = stream(packets, sequence, seed)
    playout = Playout(deadline_ms, 64)
    out = played(playout, carried(Link(seed=seed, jitter_ms=deadline_ms * 0.999), sent))
    assert [released.payload for released, _ in out if isinstance(released, Packet)] == [payload for _, _, payload in sent]
    assert len(out) == packets
    assert (playout.counters.received, playout.counters.lost, playout.counters.late) == (packets, 0, 0)
    seamless(out)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    packets=st.integers(2, 300),
    loss=st.sampled_from([0.0, 0.05, 0.5]),
    jitter_ms=st.sampled_from([0.0, 50.0, 400.0]),
    duplicates=st.sampled_from([0.0, 0.3]),
    capacity=st.sampled_from([2, 5, 64]),
)
def test_every_number_comes_out_once_as_a_packet_or_as_missing(
    seed: int, packets: int, loss: float, jitter_ms: float, duplicates: float, capacity: int
) -> None:
    sent = stream(packets, seed & 0xFFFF, seed)
    playout = Playout(20, capacity)
    link: Link[Sent] = Link(seed=seed, loss=loss, jitter_ms=jitter_ms, duplicates=duplicates)
    arrivals = carried(link, sent)
    out = played(playout, arrivals)
    places = numbers(out, sent[0][0])
    assert places == list(range(places[0], places[-1] + 1)) if places else not arrivals
    counters = playout.counters
    assert counters.received == sum(isinstance(released, Packet) for released, _ in out)
    assert counters.lost == sum(released.count for released, _ in out if isinstance(released, Missing))
    assert counters.received + counters.late + counters.duplicates == len(arrivals)
    assert (playout.held, playout.due_ms) == (0, None)
    seamless(out)


@pytest.mark.parametrize("loss", [0.01, 0.05])
@pytest.mark.parametrize("jitter_ms", [50.0, 100.0])
def test_five_minutes_of_loss_and_jitter_cost_what_was_lost_and_no_more(loss: float, jitter_ms: float) -> None:
    sent, link = stream(15_000), Link[Sent](seed=4, loss=loss, jitter_ms=jitter_ms)
    playout = Playout(60, 64)
    out = played(playout, carried(link, sent))
    delivered = sum(isinstance(released, Packet) for released, _ in out)
    assert delivered + playout.counters.lost == 15_000
    assert len(link.lost) > 100
    assert playout.counters.lost <= 1.2 * len(link.lost)
    assert sum(released.samples for released, _ in out if isinstance(released, Missing)) == playout.counters.lost * PTIME
    delays_ms = delays(out, sent)
    assert max(delays_ms.values()) <= jitter_ms + LONGEST_MS  # whatever is missing before a packet was noticed when it came, or earlier
    assert jitter_ms > 50 or max(delays_ms.values()) <= jitter_ms + 60 + 1


def test_a_burst_raises_the_deadline_and_a_second_later_all_is_as_before() -> None:
    sent = stream(1_000)
    # Two seconds in which every fifth packet takes a route 90 ms longer, before and after which two packets are lost.
    slow = [(packet, 20.0 * i + (90 if 300 <= i < 400 and i % 5 == 0 else 0)) for i, packet in enumerate(sent) if i not in (200, 600)]
    playout = Playout(40, 64)
    deadlines: dict[int, float] = {}
    out: list[tuple[Released, float]] = []
    for packet, at in sorted(slow, key=lambda each: each[1]):
        out += played_one(playout, packet, at)
        deadlines[round(at / 20)] = playout.deadline_ms
    assert deadlines[299] == 40
    assert deadlines[390] == pytest.approx(105)  # 70 ms after the packet that showed the gap, and half as much again
    assert deadlines[460] == 40
    assert playout.counters.late == 1  # the first of the burst: nobody could know
    assert playout.counters.lost == 3
    delays_ms = delays(out, sent)
    assert all(delays_ms[i] == 0 for i in range(450, 600))
    assert max(delays_ms[i] for i in range(601, 610)) == 40  # a lost packet holds up those behind it, for a deadline
    assert all(delays_ms[i] == 0 for i in range(604, 1000))


def test_a_stall_is_caught_up_with_at_once() -> None:
    sent = stream(500)
    playout = Playout(60, 64)
    out = played(playout, carried(Link(seed=1, stalls=((4_000, 6_000),)), sent))
    assert playout.counters.lost == 0
    late_ms = [at - 20.0 * i for i, (_, at) in enumerate(out)]
    assert max(late_ms) == 2_000
    assert all(delay_ms == 0 for delay_ms in late_ms[301:])


def test_late_and_repeated_packets_are_counted_and_dropped() -> None:
    sent = stream(20)
    playout = Playout(20, 64)
    arrivals = [(packet, 20.0 * i) for i, packet in enumerate(sent) if i != 7]
    arrivals += [(sent[7], 210.0), (sent[7], 211.0), (sent[3], 212.0), (sent[19], 385.0)]
    out = played(playout, sorted(arrivals, key=lambda each: each[1]))
    assert [released for released, _ in out if isinstance(released, Missing)] == [Missing(sent[7][0], 1, 7 * PTIME, PTIME)]
    counters = playout.counters
    assert (counters.received, counters.lost, counters.late, counters.duplicates, counters.reordered) == (19, 1, 1, 3, 0)
    seamless(out)


def test_silence_that_is_not_sent_is_not_loss() -> None:
    """40 packets of speech, silence announced and renewed every 400 ms, speech again: no number is missing, only time is."""
    speech = stream(40, 100, 0)
    hushed = [(140 + i, 40 * PTIME + i * 19_200, HUSH) for i in range(3)]
    again = [(143 + i, 40 * PTIME + 3 * 19_200 + i * PTIME, SPEECH) for i in range(10)]
    sent = speech + hushed + again
    playout = Playout(60, 64)
    out = played(playout, [(packet, packet[1] / 48) for packet in sent])
    quiet = [released for released, _ in out if isinstance(released, Quiet)]
    assert quiet == [Quiet((40 * PTIME) + i * 19_200 + PTIME, 19_200 - PTIME) for i in range(3)]
    assert playout.counters.lost == 0
    assert not any(isinstance(released, Missing) for released, _ in out)
    seamless(out)


def test_a_loss_in_announced_silence_costs_what_was_lost() -> None:
    sent = [(i, i * PTIME, SPEECH) for i in range(10)] + [(10 + i, 9_600 + i * 19_200, HUSH) for i in range(5)]
    del sent[12]
    out = played(Playout(60, 64), [(packet, packet[1] / 48) for packet in sent])
    lost = [released for released, _ in out if isinstance(released, Missing)]
    assert lost == [Missing(12, 1, 9_600 + 3 * 19_200 - PTIME, PTIME)]
    seamless(out)


def test_a_loss_where_speech_ends_is_all_missing() -> None:
    """The packet that announced the silence was lost: what of the time was speech, nobody knows."""
    sent = [(i, i * PTIME, SPEECH) for i in range(10)] + [(11, 9_600 + 19_200, HUSH), (12, 9_600 + 2 * 19_200, HUSH)]
    out = played(Playout(60, 64), [(packet, packet[1] / 48) for packet in sent])
    assert [released for released, _ in out if isinstance(released, Missing)] == [Missing(10, 1, 9_600, 19_200)]
    seamless(out)


def test_a_sender_that_rounds_its_timestamps_is_not_silent() -> None:
    rounding = np.random.default_rng(5).integers(-2, 3, 2_000)
    sent = [(i, i * PTIME + i // 5 + int(rounding[i]) + 10 & 0xFFFFFFFF, SPEECH) for i in range(2_000)]  # and gains a sample in 5 packets
    out = played(Playout(60, 64), [(packet, 20.0 * i) for i, packet in enumerate(sent)])
    packets = [released for released, _ in out if isinstance(released, Packet)]
    assert len(packets) == 2_000
    assert not any(isinstance(released, Missing) for released, _ in out)
    assert all(abs(packet.pts - (i * PTIME + i // 5)) < 125 for i, packet in enumerate(packets))


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("timestamp", [3_000_000_000, 77 + 60 * PTIME])
def test_a_sender_that_starts_anew_goes_on_where_the_clock_is(told: bool, timestamp: int) -> None:
    """Told: the SSRC changed. Not told: only the numbers jumped. The new timestamps mean nothing, even where they would fit."""
    before, after = stream(50, 1_000, 77), stream(50, 40_000, timestamp)
    playout = Playout(60, 64)
    out = played(playout, [(packet, 20.0 * i) for i, packet in enumerate(before)])
    if told:
        playout.restart()
    out += played(playout, [(packet, 1_500.0 + 20.0 * i) for i, packet in enumerate(after)])
    packets = [released for released, _ in out if isinstance(released, Packet)]
    assert [packet.payload for packet in packets] == [payload for _, _, payload in before + after]
    assert [released for released, _ in out if isinstance(released, Missing)] == [Missing(40_000, 0, 50 * PTIME, 25 * PTIME)]
    assert (playout.counters.restarts, playout.counters.stray, playout.counters.lost) == (1, 0, 0)
    seamless(out)


def test_one_packet_from_nowhere_changes_nothing() -> None:
    sent = stream(50, 1_000, 77)
    arrivals = [(packet, 20.0 * i) for i, packet in enumerate(sent)]
    arrivals.insert(25, ((30_000, 5, SPEECH), 485.0))
    arrivals.insert(26, ((30_000, 5, SPEECH), 486.0))  # twice
    arrivals.insert(36, ((30_000, 5, SPEECH), 670.0))
    arrivals.insert(37, ((1_034, 5, b""), 671.0))
    playout = Playout(60, 64)
    out = played(playout, arrivals)
    assert [released.payload for released, _ in out if isinstance(released, Packet)] == [payload for _, _, payload in sent]
    assert (playout.counters.stray, playout.counters.malformed, playout.counters.restarts) == (3, 1, 0)


def test_packets_held_back_for_seconds_are_late_and_no_new_stream() -> None:
    sent = stream(400)
    arrivals = [(packet, 20.0 * i) for i, packet in enumerate(sent) if i not in (100, 101)]
    arrivals[300:300] = [(sent[100], arrivals[300][1]), (sent[101], arrivals[300][1])]
    playout = Playout(60, 64)
    out = played(playout, arrivals)
    assert numbers(out, sent[0][0]) == list(range(400))
    assert (playout.counters.late, playout.counters.lost, playout.counters.stray, playout.counters.restarts) == (2, 2, 0, 0)
    seamless(out)


@pytest.mark.parametrize("jump", [2**31 + 5, -500_000, 100 * 48_000])
def test_a_clock_that_jumps_is_followed_by_arrival(jump: int) -> None:
    sent = [(i, i * PTIME + (jump if i >= 30 else 0) & 0xFFFFFFFF, SPEECH) for i in range(60)]
    out = played(Playout(60, 64), [(packet, 20.0 * i) for i, packet in enumerate(sent)])
    assert [released.pts for released, _ in out if isinstance(released, Packet)] == [i * PTIME for i in range(60)]
    assert len(out) == 60


def test_memory_is_bounded_whatever_comes() -> None:
    chance = random.Random(6)
    playout = Playout(120, 16)
    for _ in range(20_000):
        playout.add(chance.randrange(1 << 16), chance.randrange(1 << 32), SPEECH, 0.0)
        assert playout.held <= 16
    assert len(playout.release(0.0)) <= 3 * 16 + 3 * 16
    counters = playout.counters
    taken = counters.received + counters.stray + counters.overflow + counters.duplicates + counters.late
    assert taken == 20_000
    assert counters.overflow > 0


def test_the_end_releases_what_is_held() -> None:
    sent = stream(10, 0, 0)
    playout = Playout(60, 64)
    for i in (0, 1, 2, 4, 5):
        playout.add(*sent[i], 0.0)
    assert [type(released) for released in playout.flush()] == [Packet, Packet, Packet, Missing, Packet, Packet]
    assert playout.flush() == []


@pytest.mark.parametrize(("deadline_ms", "capacity"), [(10, 64), (121, 64), (60, 1)])
def test_senseless_sizes_are_refused(deadline_ms: float, capacity: int) -> None:
    with pytest.raises(ValueError, match=r"deadline|room"):
        Playout(deadline_ms, capacity)
