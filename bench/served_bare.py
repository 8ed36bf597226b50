"""What bench.capacity compares with: aiortc as it comes, the sound of each peer decoded, resampled to 16 kHz and thrown away.

`python -m bench.served_bare` serves on ELOCUTE_PORT as much of the interface as bench.caller needs: sessions without sound but that of
their peer, and with one event, their end.
"""

import asyncio
import os
from contextlib import suppress
from itertools import count

import uvicorn
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame
from av.audio.resampler import AudioResampler
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from speech.audio import RATE_HZ

_numbers = count(1)
_ended: dict[str, asyncio.Event] = {}
_peers: dict[str, RTCPeerConnection] = {}
_listening: set[asyncio.Task[None]] = set()


async def ready(_: Request) -> Response:
    """There is nothing to wait for."""
    return Response()


async def begin(_: Request) -> Response:
    """A session."""
    session = str(next(_numbers))
    _ended[session] = asyncio.Event()
    return JSONResponse({"id": session}, 201)


async def look(_: Request) -> Response:
    """Only asked at the end."""
    return JSONResponse({"state": "processing"})


async def offer(request: Request) -> Response:
    """A peer."""
    offered = await request.json()
    peer = _peers[request.path_params["session"]] = RTCPeerConnection(RTCConfiguration(iceServers=[]))

    def begun(track: MediaStreamTrack) -> None:
        task = asyncio.create_task(hear(track))
        _listening.add(task)
        task.add_done_callback(_listening.discard)

    peer.on("track", begun)
    await peer.setRemoteDescription(RTCSessionDescription(offered["sdp"], offered["type"]))
    await peer.setLocalDescription(await peer.createAnswer())
    return JSONResponse({"sdp": peer.localDescription.sdp, "type": peer.localDescription.type}, 201)


async def hear(track: MediaStreamTrack) -> None:
    """What a hundred lines of aiortc do with sound before anybody hears it."""
    resampler = AudioResampler(format="s16", layout="mono", rate=RATE_HZ)
    with suppress(MediaStreamError):
        while True:
            frame = await track.recv()
            assert isinstance(frame, AudioFrame)
            for resampled in resampler.resample(frame):
                resampled.to_ndarray()


async def end(request: Request) -> Response:
    """Of a session."""
    session = request.path_params["session"]
    await _peers.pop(session).close()
    _ended.pop(session).set()
    return Response(status_code=202)


async def events(socket: WebSocket) -> None:
    """One, for the session of the first message."""
    await socket.accept()
    _, session, _ = (await socket.receive_json())["subscribe"][0].split(":")
    await _ended[session].wait()
    await socket.send_text('{"stream":"state","seq":1,"t_ms":0,"data":{"session":"processing"}}')
    with suppress(WebSocketDisconnect):
        await socket.receive_text()


routes = [
    Route("/readyz", ready),
    Route("/v1/sessions", begin, methods=["POST"]),
    Route("/v1/sessions/{session}", look),
    Route("/v1/sessions/{session}/offer", offer, methods=["POST"]),
    Route("/v1/sessions/{session}/end", end, methods=["POST"]),
    WebSocketRoute("/v1/ws", events),
]

if __name__ == "__main__":
    uvicorn.run(Starlette(routes=routes), host="127.0.0.1", port=int(os.environ["ELOCUTE_PORT"]), log_level="warning")
