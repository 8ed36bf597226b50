"""The sockets of a connection: on which addresses and ports it listens, and a shortcut for its sound.

aioice binds any port, and waits up to 5 s for STUN. So the candidates are gathered here, in its place: it then believes to have done so.
This is the one place that sets its private parts (tests/test_receiver.py pins them to its version).
"""

import asyncio
import errno
import ipaddress
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from aioice import stun, turn
from aioice.candidate import Candidate, candidate_foundation, candidate_priority
from aioice.ice import Connection, StunProtocol, get_host_addresses, relayed_candidate, server_reflexive_candidate

from rtc.errors import NoPorts

log = logging.getLogger("rtc")

LOOPBACK = "127.0.0.1"
MOST_ADDRESSES = 8
GATHER_S = 0.7  # for STUN and TURN; a server whose address is its own needs neither
MOST_WAITING = 256  # datagrams that are not sound: handshakes, reports, data channels; and what a stranger sends before
COMPONENT = 1  # sound and its reports share one


class Ports:
    """UDP ports of a range, one after the other, so that one that was given back rests for a while. None: any."""

    def __init__(self, ports: range | None) -> None:
        self._ports = ports
        self._turn = 0

    def bound(self, address: str) -> socket.socket:
        """A socket of its own. Raises NoPorts when none is free, OSError when this is no address to listen on."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        for _ in self._ports or range(1):
            port = self._ports[self._turn % len(self._ports)] if self._ports else 0
            self._turn += 1
            made = socket.socket(family, socket.SOCK_DGRAM)
            try:
                made.setblocking(False)
                made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, turn.UDP_SOCKET_BUFFER_SIZE)
                made.bind((address, port))
            except OSError as error:
                made.close()
                if error.errno != errno.EADDRINUSE:
                    raise
            else:
                return made
        raise NoPorts


class Datagrams(StunProtocol):
    """aioice's protocol, with a shorter way for sound: no attempt to read it as STUN, no queue and no other task before it is heard."""

    def __init__(self, connection: Connection, sound: Callable[[bytes], bool]) -> None:
        super().__init__(connection)
        self._sound = sound
        self.dropped = 0

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        """RFC 7983: the first byte says what it is."""
        assert isinstance(data, bytes)
        if data and 128 <= data[0] < 192 and self._sound(data):
            return
        if self.receiver._queue.qsize() >= MOST_WAITING:
            self.dropped += 1
            return
        super().datagram_received(data, addr)


def addresses(loopback: bool) -> list[str]:
    """Those of this machine. loopback: also the one that only this machine reaches; it is there anyway if there is no other."""
    found = get_host_addresses(use_ipv4=True, use_ipv6=True)[:MOST_ADDRESSES]
    return [*found, LOOPBACK] if loopback or not found else found


async def gather(connection: Connection, on: list[str], ports: Ports, sound: Callable[[bytes], bool]) -> None:
    """Listen, and let the connection know. What STUN and TURN do not say in time is left out. Raises NoPorts.

    sound: called with each datagram that may be sound; gives whether it was taken.
    """
    loop = asyncio.get_running_loop()
    connection._local_candidates_start = True
    candidates: list[Candidate] = []
    for address in on:
        try:
            bound = ports.bound(address)
        except NoPorts:
            if not candidates and address == on[-1]:
                raise
            continue
        except OSError as error:  # an interface that has just gone
            log.warning("cannot listen on %s: %s", address, error)
            continue
        _, protocol = await loop.create_datagram_endpoint(lambda: Datagrams(connection, sound), sock=bound)
        connection._protocols.append(protocol)
        protocol.local_candidate = _host(*bound.getsockname()[:2])
        candidates.append(protocol.local_candidate)
    candidates += await _with_help(connection, sound)
    connection._local_candidates += candidates
    connection._local_candidates_end = True


def _host(address: str, port: int) -> Candidate:
    return Candidate(
        foundation=candidate_foundation("host", "udp", address),
        component=COMPONENT,
        transport="udp",
        priority=candidate_priority(COMPONENT, "host"),
        host=address,
        port=port,
        type="host",
    )


async def _with_help(connection: Connection, sound: Callable[[bytes], bool]) -> list[Candidate]:
    """Candidates from STUN and TURN."""
    tasks: list[asyncio.Task[tuple[Candidate, StunProtocol | None]]] = []
    if connection.stun_server:
        for protocol in connection._protocols:
            if ipaddress.ip_address(protocol.local_candidate.host).version == 4 and protocol.local_candidate.host != LOOPBACK:
                tasks.append(asyncio.create_task(server_reflexive_candidate(protocol, connection.stun_server), name="stun"))
    if connection.turn_server:
        relayed = relayed_candidate(
            component=COMPONENT,
            hide_related_address=False,
            protocol_factory=lambda: Datagrams(connection, sound),
            turn_server=connection.turn_server,
            turn_username=connection.turn_username,
            turn_password=connection.turn_password,
            turn_ssl=connection.turn_ssl,
            turn_transport=connection.turn_transport,
        )
        tasks.append(asyncio.create_task(relayed, name="turn"))
    if not tasks:
        return []
    try:
        await asyncio.wait(tasks, timeout=GATHER_S)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    candidates = []
    for task in tasks:
        with suppress(asyncio.CancelledError):  # it was too slow
            try:
                candidate, relay = task.result()
            except (OSError, stun.TransactionError) as error:
                log.warning("no help from the %s server: %s", task.get_name(), str(error) or type(error).__name__)
                continue
            candidates.append(candidate)
            if relay is not None:
                connection._protocols.append(relay)
    return candidates
