"""Connections: what is offered is answered, at once and on the right ports; what is dead is noticed; and nothing is left of any."""

import asyncio
import gc
import os
import re
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiortc import RTCPeerConnection

from config.settings import IceServer
from rtc import ice, sdp
from rtc.errors import BadOffer, NoPorts, NoSound, PeersFull, Restart
from rtc.intake import Intake, Taken
from rtc.peer import CONNECT_S, FULL_BYTES, SILENT_S, Channel, Peer, Peers
from tests.speakers import WITHIN_S, Speaker, forward, run, speech, until

MEDIA = re.compile(r"^m=(\w+) (\d+) ", re.MULTILINE)


@asynccontextmanager
async def opened(*servers: IceServer, ports: range | None = None, loopback: bool = True) -> AsyncIterator[Peers]:
    async with asyncio.TaskGroup() as tasks:
        peers = Peers(tasks, servers, ports, loopback=loopback)
        yield peers
        await peers.close()


class End:
    """What is said of a connection."""

    def __init__(self, peer: Peer) -> None:
        self.gone = 0
        self.taken: list[Taken] = []
        self.channels: list[Channel] = []
        peer.begin(self.taken.extend, self._gone, self.channels.append)

    def _gone(self) -> None:
        self.gone += 1


async def joined(peers: Peers, speaker: Speaker) -> tuple[Peer, End]:
    """A speaker who is connected, and was heard."""
    peer = await peers.answer(sdp.offer(await speaker.offer()), Intake("s"))
    end = End(peer)
    await speaker.accept(peer.answer)
    await until(lambda: peer.receiver is not None)
    await speaker.send(0, speech(1)[0])
    await until(lambda: peer.receiver is not None and peer.receiver.heard_at is not None)
    return peer, end


def candidates(answer: str) -> list[tuple[str, int, str]]:
    """Address, port and type."""
    return [(line.split()[4], int(line.split()[5]), line.split()[7]) for line in answer.splitlines() if line.startswith("a=candidate:")]


def test_an_answer_holds_this_machine_s_addresses() -> None:
    async def answered() -> str:
        async with opened() as peers:
            speaker = Speaker()
            peer = await peers.answer(sdp.offer(await speaker.offer()), Intake("s"))
            await speaker.close()
            return peer.answer

    answer = run(answered())
    found = candidates(answer)
    assert {address for address, _, kind in found if kind == "host"} == set(ice.addresses(loopback=True))
    assert "127.0.0.1" in {address for address, _, _ in found}
    assert answer.count("a=rtpmap:") == 1  # Opus alone
    assert {"a=recvonly", "a=setup:passive"} <= set(answer.splitlines())
    assert "\r\n\r\n" not in answer


def test_a_stun_server_that_says_nothing_does_not_hold_up_an_answer() -> None:
    async def answered() -> str:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hole:
            hole.bind(("0.0.0.0", 0))
            async with opened(IceServer(f"stun:127.0.0.1:{hole.getsockname()[1]}")) as peers:
                speaker = Speaker()
                async with asyncio.timeout(4.0):  # aioice waits for 5 s
                    peer = await peers.answer(sdp.offer(await speaker.offer()), Intake("s"))
                await speaker.close()
                return peer.answer

    assert {kind for _, _, kind in candidates(run(answered()))} == {"host"}


def test_ports_are_of_the_range_and_are_given_back() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind(("127.0.0.1", 0))
        first = min(found.getsockname()[1], 65_000)
    allowed = range(first + 1, first + 4)

    async def talk() -> None:
        async with opened(ports=allowed) as peers:
            answered: list[Peer] = []
            speaker = Speaker()
            offer = sdp.offer(await speaker.offer())
            await speaker.close()
            for _ in allowed:
                try:
                    answered.append(await peers.answer(offer, Intake("s")))
                except NoPorts:
                    break
            with pytest.raises(NoPorts):
                await peers.answer(offer, Intake("s"))
            used = {(address, port) for peer in answered for address, port, _ in candidates(peer.answer)}
            assert answered
            assert {port for _, port in used} <= set(allowed)
            assert len(used) == sum(len(candidates(peer.answer)) for peer in answered)
            for peer in answered:
                peer.close()
                await peer.closed.wait()
            again, _ = await joined(peers, speaker := Speaker())
            assert {port for _, port, _ in candidates(again.answer)} <= set(allowed)
            await speaker.close()

    run(talk())


def test_a_machine_without_a_network_talks_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ice, "get_host_addresses", lambda **_: [])

    async def talk() -> None:
        async with opened(loopback=False) as peers:
            speaker = Speaker()
            peer, _ = await joined(peers, speaker)
            assert {address for address, _, _ in candidates(peer.answer)} == {"127.0.0.1"}
            await speaker.close()

    run(talk())


def test_the_rest_of_an_offer_is_refused_in_its_place() -> None:
    """Video first, then sound, then a data channel: the order stays, video gets port 0, and the bundle is of the other two."""

    async def talk() -> tuple[str, str]:
        async with opened() as peers:
            speaker = Speaker("events", video_first=True)
            offer = await speaker.offer()
            peer = await peers.answer(sdp.offer(offer), Intake("s"))
            # aiortc itself does not know refused sections: it is shown the answer to what was taken.
            shown = [part for part in peer.answer.split("m=") if not part.startswith("video")]
            assert len(shown) == 3
            await speaker.close()
            return offer, peer.answer

    offer, answer = run(talk())
    assert [kind for kind, _ in MEDIA.findall(offer)] == ["video", "audio", "application"]
    sections = MEDIA.findall(answer)
    assert [kind for kind, _ in sections] == ["video", "audio", "application"]
    assert [port == "0" for _, port in sections] == [True, False, False]
    mids = re.findall(r"^a=mid:(\S+)", offer, re.MULTILINE)
    assert re.findall(r"^a=mid:(\S+)", answer, re.MULTILINE) == mids
    assert f"a=group:BUNDLE {mids[1]} {mids[2]}\r\n" in answer
    assert "a=inactive" in answer.split("m=")[1].splitlines()


def test_a_data_channel_may_be_offered_before_the_sound() -> None:
    async def talk() -> None:
        async with opened() as peers:
            speaker = Speaker("events", data_first=True)
            peer, end = await joined(peers, speaker)
            assert [kind for kind, _ in MEDIA.findall(peer.answer)] == ["application", "audio"]
            await until(lambda: end.channels)
            await speaker.close()

    run(talk())


def changed(old: str, new: str) -> Callable[[str], str]:
    return lambda offer: offer.replace(old, new)


def without(pattern: str) -> Callable[[str], str]:
    return lambda offer: re.sub(rf"(?m)^{pattern}.*\r\n", "", offer)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda _: "", BadOffer),
        (lambda _: "hello", BadOffer),
        (lambda _: "v=0\r\n", BadOffer),
        (lambda offer: offer[: offer.index("m=")] + "m=audio\r\n", BadOffer),
        (lambda offer: offer + "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n" * 40, BadOffer),
        (without("a=ice-ufrag"), BadOffer),
        (without("a=fingerprint"), BadOffer),
        (without("a=setup"), BadOffer),
        (without("a=rtcp-mux"), BadOffer),
        (changed("a=fingerprint:sha-", "a=fingerprint:md"), BadOffer),
        (changed("m=audio 9 UDP/TLS/RTP/SAVPF 96", "m=audio 9 UDP/TLS/RTP/SAVPF x"), BadOffer),
        (changed("opus/48000/2", "L16/48000/2"), NoSound),
        (changed("a=sendrecv", "a=recvonly"), NoSound),
        (changed("m=audio", "m=video"), NoSound),
    ],
)
def test_an_offer_that_cannot_be_taken(change: Callable[[str], str], error: type[Exception]) -> None:
    async def offered() -> None:
        async with opened() as peers:
            speaker = Speaker()
            port = re.compile(r"m=audio \d+")
            given = change(port.sub("m=audio 9", await speaker.offer()))
            try:
                with pytest.raises(error):
                    await peers.answer(sdp.offer(given), Intake("s"))
            finally:
                await speaker.close()

    run(offered())


def test_candidates_that_come_later_and_a_restart() -> None:
    async def talk() -> None:
        async with opened() as peers:
            speaker = Speaker()
            offer = await speaker.offer()
            lines = [line for line in offer.splitlines() if line.startswith("a=candidate:")]
            ufrag = next(line for line in offer.splitlines() if line.startswith("a=ice-ufrag:"))
            peer = await peers.answer(sdp.offer(re.sub(r"(?m)^a=(candidate|end-of).*\r\n", "", offer)), Intake("s"))
            end = End(peer)
            hidden = "a=candidate:1 1 udp 1 0c8fe0b7-8f1e-4b9c-8d2f-5b1e3f3c9f11.local 9 typ host"
            await peer.trickle(sdp.fragment("\r\n".join([ufrag, *lines, hidden, "a=end-of-candidates"])))
            known = {(each.host, each.port) for each in peer._dtls.transport._connection.remote_candidates}
            assert {(line.split()[4], int(line.split()[5])) for line in lines} <= known
            assert not any(host.endswith(".local") for host, _ in known)
            with pytest.raises(Restart):
                await peer.trickle(sdp.fragment("a=ice-ufrag:other\r\n"))
            with pytest.raises(BadOffer):
                sdp.fragment("hello")
            await speaker.accept(peer.answer)
            await speaker.close()
            await peer.closed.wait()
            assert end.gone == 1

    run(talk())


def test_there_is_room_for_so_many() -> None:
    async def offered() -> None:
        async with opened() as peers:
            peers.most = 1
            speaker = Speaker()
            offer = sdp.offer(await speaker.offer())
            peer = await peers.answer(offer, Intake("s"))
            with pytest.raises(PeersFull):
                await peers.answer(offer, Intake("s"))
            peer.close()
            await peer.closed.wait()
            await until(lambda: len(peers) == 0)
            await peers.answer(offer, Intake("s"))
            await speaker.close()

    run(offered())


def test_hanging_up_is_noticed_once() -> None:
    async def talk() -> None:
        async with opened() as peers:
            speaker = Speaker()
            peer, end = await joined(peers, speaker)
            await speaker.close()
            await peer.closed.wait()
            peer.close()
            assert end.gone == 1
            assert [each.start for each in end.taken] == [0]

    run(talk())


async def pass_by(seconds: float, over: Callable[[], bool]) -> None:
    """Second by second."""
    loop = asyncio.get_running_loop()
    for _ in range(round(seconds)):
        forward(loop.time() + 1.0)
        for _ in range(50):
            await asyncio.sleep(0)
        if over():
            return


@pytest.mark.parametrize("why", ["never connected", "not heard", "vanished"])
def test_what_is_dead_is_noticed(why: str) -> None:
    async def talk() -> None:
        async with opened() as peers:
            speaker = Speaker()
            if why == "never connected":
                peer = await peers.answer(sdp.offer(await speaker.offer()), Intake("s"))
                end = End(peer)
            else:
                peer, end = await joined(peers, speaker)
            limit = {"never connected": CONNECT_S, "not heard": SILENT_S, "vanished": 50.0}[why]
            if why == "vanished":  # its checks go unanswered: RFC 7675, 30 s
                await speaker.vanish()
            await pass_by(limit / 2 if why != "vanished" else 1, lambda: end.gone > 0)
            assert end.gone == 0
            await pass_by(limit + 3, lambda: end.gone > 0)
            assert end.gone == 1
            async with asyncio.timeout(WITHIN_S):
                await peer.closed.wait()
            await speaker.close()

    run(talk())


def test_text_goes_to_a_data_channel_and_no_more_than_fits() -> None:
    async def talk() -> None:
        async with opened() as peers:
            speaker = Speaker("events:7", "tokens,metrics")
            _, end = await joined(peers, speaker)
            await until(lambda: end.channels)
            (channel,) = end.channels
            assert (channel.label, channel.protocol) == ("events:7", "tokens,metrics")
            assert channel.send("hello")
            await until(lambda: speaker.told == ["hello"])
            sent = sum(channel.send("x" * 10_000) for _ in range(20))
            assert 0 < sent <= FULL_BYTES // 10_000 + 3
            assert channel.left_out == 20 - sent
            await channel.room()
            assert channel.send("again")
            await until(lambda: "again" in speaker.told)
            await speaker.close()
            await until(lambda: channel.closed)
            assert not channel.send("gone")
            await channel.room()

    run(talk())


def test_a_mistake_in_what_takes_the_sound_is_seen_once() -> None:
    async def talk() -> None:
        seen: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: seen.append(context))
        async with opened() as peers:
            speaker = Speaker()
            peer = await peers.answer(sdp.offer(await speaker.offer()), Intake("s"))
            gone: list[int] = []

            def broken(_: list[Taken]) -> None:
                raise ZeroDivisionError

            peer.begin(broken, lambda: gone.append(1), lambda _: None)
            await speaker.accept(peer.answer)
            await until(lambda: peer.receiver is not None)
            for i in range(20):
                await speaker.send(i, speech(1)[i])
            loop = asyncio.get_running_loop()
            forward(loop.time() + 0.1)
            async with asyncio.timeout(WITHIN_S):
                await peer.closed.wait()
            await speaker.close()
            assert gone == [1]
        assert [type(each.get("exception")) for each in seen] == [ZeroDivisionError]

    run(talk())


def left() -> tuple[int, int]:
    """Sockets and threads of this process."""
    open_ones = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")]
    return sum(each.startswith("socket:") for each in open_ones), threading.active_count()


def test_nothing_is_left_of_twenty_peers() -> None:
    async def talk() -> None:
        async with opened() as peers:
            first = Speaker("events")
            await joined(peers, first)
            await first.close()
            await until(lambda: len(peers) == 0)
            before, tasks = left(), asyncio.all_tasks()
            ends = []
            for _ in range(4):
                speakers = [Speaker("events") for _ in range(5)]
                some = [await joined(peers, speaker) for speaker in speakers]
                ends += [end for _, end in some]
                for number, ((peer, _), speaker) in enumerate(zip(some, speakers, strict=True)):
                    if number % 2:
                        peer.close()
                    await speaker.close()
                    await peer.closed.wait()
            await until(lambda: len(peers) == 0 and asyncio.all_tasks() == tasks)
            assert left() == before
            assert [end.gone for end in ends] == [1] * 20
            del some, ends, peer, speakers, speaker
            gc.collect()
            assert len([each for each in gc.get_objects() if isinstance(each, Peer)]) <= 2  # in a variable of a loop that waits
            assert len([each for each in gc.get_objects() if isinstance(each, RTCPeerConnection)]) <= 3

    run(talk())
