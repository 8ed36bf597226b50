"""Sessions: a recording or a live practice, and how far its analysis is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from db.pool import Tx

Speaker = Literal["adult", "child"]  # a child is under 16
Kind = Literal["upload", "live", "overlay"]
State = Literal["created", "live", "processing", "complete", "failed", "cancelled", "deleting"]

_COLUMNS = """id, org_id as org, title, kind, state, created_at, updated_at, duration_s, language, problem,
    interrupted, style, script, user_id as user, masked, speaker, wished_language"""


@dataclass(frozen=True, slots=True)
class Session:
    """One session, as listed."""

    id: UUID
    org: UUID
    title: str
    kind: Kind
    state: State
    created_at: datetime
    updated_at: datetime
    duration_s: float | None
    language: str | None  # ISO 639-1: what was wished for, then what was found
    problem: str | None  # why it failed, for the user
    interrupted: bool  # a live one that ended without its speaker
    style: str  # of speaking: the name of a rubric
    script: str | None  # the text that is read in it
    user: UUID | None  # who speaks
    masked: bool  # names, numbers and e-mail addresses are hidden wherever words are shown
    speaker: Speaker  # as the user says
    wished_language: str | None  # what was said to be spoken; None: it is detected


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page of the list ended."""

    created_at: datetime
    id: UUID


async def create(
    tx: Tx,
    title: str,
    kind: Kind,
    language: str | None = None,
    style: str = "talk",
    *,
    script: str | None = None,
    user: UUID | None = None,
    masked: bool = False,
    speaker: Speaker = "adult",
) -> Session:
    """A new session of the transaction's org, in state `created`. user: who speaks."""
    row = await tx.fetchrow(
        f"""insert into sessions (org_id, title, kind, language, wished_language, style, script, user_id, masked, speaker)
        values (current_org(), $1, $2, $3, $3, $4, $5, $6, $7, $8) returning {_COLUMNS}""",
        title,
        kind,
        language,
        style,
        script,
        user,
        masked,
        speaker,
    )
    return Session(**row)


async def get(tx: Tx, session: UUID) -> Session | None:
    """The session, None when there is none in this org."""
    row = await tx.fetchrow(f"select {_COLUMNS} from sessions where id = $1", session)
    return None if row is None else Session(**row)


async def lock(tx: Tx, session: UUID) -> Session | None:
    """The session, held until the transaction ends: who decides on its steps decides alone. Rows that refer to it can still be added
    by others, whose transactions would otherwise deadlock with this one."""
    row = await tx.fetchrow(f"select {_COLUMNS} from sessions where id = $1 for no key update", session)
    return None if row is None else Session(**row)


async def page(tx: Tx, limit: int, before: Cursor | None = None) -> Sequence[Session]:
    """At most `limit` sessions, newest first, those after `before` in that order."""
    if before is None:
        rows = await tx.fetch(f"select {_COLUMNS} from sessions order by created_at desc, id desc limit $1", limit)
    else:
        rows = await tx.fetch(
            f"select {_COLUMNS} from sessions where (created_at, id) < ($2, $3) order by created_at desc, id desc limit $1",
            limit,
            before.created_at,
            before.id,
        )
    return [Session(**row) for row in rows]


async def set_state(tx: Tx, session: UUID, state: State, problem: str | None = None) -> bool:
    """Moves the session on; False when there is none. A problem belongs to `failed` and goes with it."""
    return await _changed(tx, "update sessions set state = $2, problem = $3, updated_at = now() where id = $1", session, state, problem)


async def go_live(tx: Tx, session: UUID, server: str) -> bool:
    """A server has it live from now on; False when there is none."""
    return await _changed(
        tx,
        "update sessions set state = 'live', kind = 'live', server = $2, seen_at = now(), updated_at = now() where id = $1",
        session,
        server,
    )


async def stay_live(tx: Tx, server: str, sessions: Sequence[UUID]) -> set[UUID]:
    """A sign of life of these sessions of a server; those that are still live. What another one ended, or somebody deleted, is not."""
    rows = await tx.fetch(
        "update sessions set seen_at = now() where state = 'live' and server = $1 and id = any($2) returning id", server, sessions
    )
    return {row["id"] for row in rows}


async def abandoned(tx: Tx, lease_s: float, server: str | None = None, limit: int = 100) -> list[UUID]:
    """Live sessions that were not heard of for so long. server: the only one that can live; then those of all others, at once."""
    rows = await tx.fetch(
        """select id from sessions where state = 'live' and (seen_at < now() - $1 * interval '1 second' or server <> $2)
        order by seen_at limit $3""",
        lease_s,
        server,
        limit,
    )
    return [row["id"] for row in rows]


async def end_live(tx: Tx, session: UUID, state: State, *, interrupted: bool, problem: str | None = None) -> bool:
    """A live session ends: there is something to process, or it failed. False when there is none."""
    return await _changed(
        tx,
        """update sessions set state = $2, interrupted = $3, problem = $4, server = null, seen_at = null, updated_at = now()
        where id = $1 and state = 'live'""",
        session,
        state,
        interrupted,
        problem,
    )


async def rename(tx: Tx, session: UUID, title: str) -> bool:
    """Gives it another title; False when there is none."""
    return await _changed(tx, "update sessions set title = $2, updated_at = now() where id = $1", session, title)


async def set_style(tx: Tx, session: UUID, style: str) -> bool:
    """Gives it another style of speaking; False when there is none."""
    return await _changed(tx, "update sessions set style = $2, updated_at = now() where id = $1", session, style)


async def set_speaker(tx: Tx, session: UUID, speaker: Speaker) -> bool:
    """Says who speaks; False when there is no such session."""
    return await _changed(tx, "update sessions set speaker = $2, updated_at = now() where id = $1", session, speaker)


async def set_script(tx: Tx, session: UUID, script: str | None) -> bool:
    """The text that is read in it, None for none; False when there is no such session."""
    return await _changed(tx, "update sessions set script = $2, updated_at = now() where id = $1", session, script)


async def mask(tx: Tx, session: UUID, masked: bool) -> bool:
    """Hides its names, numbers and e-mail addresses, or shows them again; False when there is none. What was made of its words before is
    taken away, to be made anew."""
    for table in ("fluency", "coaching", "reports"):
        await tx.execute(f"delete from {table} where session_id = $1", session)
    await tx.execute("delete from embeddings where session_id = $1 and kind <> 'comment'", session)
    return await _changed(tx, "update sessions set masked = $2, updated_at = now() where id = $1", session, masked)


async def count(tx: Tx, state: State) -> int:
    """How many sessions of the org are in this state."""
    return int(await tx.fetchval("select count(*) from sessions where state = $1", state))


async def in_state(tx: Tx, state: State, limit: int = 1000) -> list[UUID]:
    """Those that are, the oldest first."""
    return [row["id"] for row in await tx.fetch("select id from sessions where state = $1 order by created_at limit $2", state, limit)]


async def describe(tx: Tx, session: UUID, duration_s: float | None, language: str | None) -> bool:
    """What the analysis found out; None leaves what was known."""
    return await _changed(
        tx,
        "update sessions set duration_s = coalesce($2, duration_s), language = coalesce($3, language), updated_at = now() where id = $1",
        session,
        duration_s,
        language,
    )


async def delete(tx: Tx, session: UUID) -> bool:
    """Takes away the session with the rows of every table that belong to it, its time series too; False when there is none."""
    return await _changed(tx, "delete from sessions where id = $1", session)


async def _changed(tx: Tx, statement: str, *values: object) -> bool:
    return str(await tx.execute(statement, *values)).endswith(" 1")
