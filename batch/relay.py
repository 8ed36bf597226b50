"""The relay: from the outbox to the bus. Any number may run; each takes rows that no other holds."""

import asyncio
import logging

import msgspec

from db import outbox
from db.errors import StoreError
from db.pool import Database
from engines.bus import Bus
from engines.errors import EngineError

log = logging.getLogger("elocute.relay")

_AT_ONCE = 100
_POLL_S = 2.0  # a notification can be missed; the outbox cannot
_RETRY_S = 0.5


async def relay(db: Database, bus: Bus) -> None:
    """Publish what the outbox holds, for ever. A row is deleted after the bus has it: one that is published twice is dropped by its id."""
    woken = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_listen(db, woken), name="relay: listen")
        while True:
            woken.clear()
            try:
                while await _some(db, bus):
                    pass
            except (StoreError, EngineError) as error:
                log.warning("relay: %s; trying again", error)
                await asyncio.sleep(_RETRY_S)
                continue
            try:
                async with asyncio.timeout(_POLL_S):
                    await woken.wait()
            except TimeoutError:
                pass  # look all the same


async def _some(db: Database, bus: Bus) -> bool:
    async with db.relay() as tx:
        messages = await outbox.take(tx, _AT_ONCE)
        for message in messages:
            # Ids begin anew with a new database, on the same bus: the session tells them apart.
            await bus.publish(message.subject, msgspec.json.encode(message.payload), f"{message.payload['session']}.{message.id}")
        await outbox.done(tx, [message.id for message in messages])
    return len(messages) == _AT_ONCE


async def _listen(db: Database, woken: asyncio.Event) -> None:
    async for _ in db.listen(outbox.CHANNEL):
        woken.set()
