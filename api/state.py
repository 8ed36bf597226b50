"""What every request finds in `request.state`: made once, when the server starts, by api/app.py."""

import asyncio
from typing import TYPE_CHECKING, NotRequired, TypedDict

import starlette.requests

from config.settings import Settings
from db.orgs import Member
from db.pool import Database
from engines.blobs import Blobs
from engines.embedded import Servers
from engines.live_log import LiveLog
from recognition.embedding import Embedder

if TYPE_CHECKING:
    from api.calls import Calls
    from api.health import Health
    from api.live import Live
    from api.uploads import Places


class State(TypedDict):
    """The parts of the server, handed to the requests."""

    settings: Settings
    servers: Servers
    db: Database
    blobs: Blobs
    live_log: LiveLog
    embedder: Embedder  # of what is looked for, and of comments
    member: Member  # of local mode: who everybody is
    places: "Places"  # for recordings being received
    live: "Live"  # who is speaking
    calls: "Calls"  # by WebRTC
    health: "Health"
    closing: asyncio.Event  # set when the server stops: streams end
    request_id: NotRequired[str]  # of this request
    body_read: NotRequired[bool]  # to its end


Request = starlette.requests.Request[State]
