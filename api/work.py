"""Which steps of a session are to be done: begun, retried or run again, by the graph of config/graph.py."""

from uuid import UUID

from config import graph
from db import outbox as db_outbox
from db import sessions as db_sessions
from db import steps as db_steps
from db.pool import Tx

AT_WORK = frozenset({"queued", "running"})


async def begin(tx: Tx, org: UUID, session: UUID, source: str) -> None:
    """Queue the first step. source: what names the bytes of the recording. The session's row is locked by the caller."""
    await _queue(tx, org, session, graph.STEPS[0].name, graph.root_hash(source))


async def resume(tx: Tx, org: UUID, session: UUID, again: frozenset[str] = frozenset()) -> list[str]:
    """Queue what can begin of the steps that are not done, and of those in `again` though they are; their names.

    What was done on other inputs than today's (an older rubric) counts as not done. The session's row is locked by the caller.
    """
    rows = await db_steps.of(tx, session)
    root = max((row for row in rows if row.step == graph.STEPS[0].name), key=lambda row: row.queued_at).input_hash
    found = await db_sessions.get(tx, session)
    wanted = graph.hashes(root, None if found is None else found.script)
    now = {row.step: row for row in rows if wanted.get(row.step) == row.input_hash}
    done = {name for name, row in now.items() if row.state == "done" and name not in again}
    queued = []
    for step in graph.STEPS:
        row = now.get(step.name)
        if step.name in done or (row is not None and row.state in AT_WORK):
            continue
        if row is not None:  # parked, cancelled, or to be run again: it begins as if it had never been
            await db_steps.forget(tx, session, step.name, row.input_hash)
        if all(before in done for before in step.after):
            await _queue(tx, org, session, step.name, wanted[step.name])
            queued.append(step.name)
    return queued


async def _queue(tx: Tx, org: UUID, session: UUID, step: str, input_hash: str) -> None:
    if await db_steps.queue(tx, session, step, input_hash):
        payload = {"org": str(org), "session": str(session), "step": step, "input_hash": input_hash}
        await db_outbox.put(tx, step, payload)
