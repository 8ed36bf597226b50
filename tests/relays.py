"""A network between a browser and the server that can be cut: TCP connections, and the UDP of WebRTC whose candidates are led through it.

relay.cut()     # connections break, new ones are refused, packets vanish
relay.mend()
"""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast

from playwright.sync_api import Page, Route

from tests.api_server import Running

CANDIDATE = re.compile(r"^a=candidate:\S+ 1 udp \d+ (\d+\.\d+\.\d+\.\d+) (\d+) typ host.*\r?\n", re.M | re.I)
ANY_CANDIDATE = re.compile(r"^a=(candidate:.*|end-of-candidates)\r?\n", re.M)


class Relay:
    """Runs in the server's event loop; what is public is called from the test's thread."""

    def __init__(self, server: Running) -> None:
        self._server = server
        self._target = int(server.url.rpartition(":")[2])
        self._broken = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._datagrams: list[asyncio.DatagramTransport] = []
        self._listening: asyncio.Server | None = None
        self.url = ""
        self.drop_udp = False  # as a firewall does

    def cut(self) -> None:
        """From now on nothing gets through."""
        self._server.loop.call_soon_threadsafe(self._cut)

    def mend(self) -> None:
        """Everything gets through again; what broke stays broken."""
        self._broken = False

    def lead(self, page: Page) -> None:
        """Take the page's WebRTC along: of both sides, the other one learns no address but the relay's."""
        page.route(re.compile(r"/offer$"), self._offer)

    async def open(self) -> None:
        """Listen."""
        self._listening = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._listening.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        """Stop, and drop what is open."""
        self._cut()
        for transport in self._datagrams:
            transport.close()
        if self._listening is not None:
            self._listening.close()

    def _cut(self) -> None:
        self._broken = True
        for writer in self._writers:
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._broken:
            writer.transport.abort()
            return
        to_server, from_server = (await asyncio.open_connection("127.0.0.1", self._target))[::-1]
        both = {writer, to_server}
        self._writers |= both
        try:
            await asyncio.gather(_pump(reader, to_server), _pump(from_server, writer))
        finally:
            self._writers -= both

    def _offer(self, route: Route) -> None:
        offer: dict[str, str] = route.request.post_data_json or {}
        if self._broken:
            route.abort()
            return
        answer = route.fetch(post_data={**offer, "sdp": ANY_CANDIDATE.sub("", offer["sdp"])})
        if not answer.ok:
            route.fulfill(response=answer)
            return
        found = answer.json()
        host = CANDIDATE.search(found["sdp"])
        assert host is not None
        port = self._server.do(self._udp(host[1], int(host[2])))
        line = f"a=candidate:1 1 udp 2130706431 {host[1]} {port} typ host\r\n"
        sdp = ANY_CANDIDATE.sub("", found["sdp"][: host.start()]) + line + ANY_CANDIDATE.sub("", found["sdp"][host.end() :])
        route.fulfill(response=answer, json={**found, "sdp": sdp})

    async def _udp(self, host: str, port: int) -> int:
        """A port whose packets go to that one, and the answers back to whoever asked last."""
        loop = asyncio.get_running_loop()
        relay = self

        class Side(asyncio.DatagramProtocol):
            transport: asyncio.DatagramTransport
            other: "Side"
            peer: tuple[str, int] | None = None

            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                self.transport = cast(asyncio.DatagramTransport, transport)
                relay._datagrams.append(self.transport)

            def datagram_received(self, data: bytes, addr: Any) -> None:
                if self.peer is None or self.peer[1] != port:
                    self.peer = addr
                if not (relay._broken or relay.drop_udp) and self.other.peer is not None:
                    self.other.transport.sendto(data, self.other.peer)

        _, front = await loop.create_datagram_endpoint(Side, (host, 0))
        _, back = await loop.create_datagram_endpoint(Side, (host, 0))
        front.other, back.other = back, front
        back.peer = (host, port)
        bound: int = front.transport.get_extra_info("sockname")[1]
        return bound


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextmanager
def relay(server: Running) -> Iterator[Relay]:
    """A network before this server, for as long as the block lasts."""
    made = Relay(server)
    server.do(made.open())
    try:
        yield made
    finally:
        server.do(made.close())
