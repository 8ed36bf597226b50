"""The steps of a session's analysis: one row for each step and hash of its input. A repeat is a no-op."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast
from uuid import UUID

from db.pool import Tx

StepState = Literal["queued", "running", "done", "parked", "cancelled"]

_COLUMNS = """session_id as session, step, input_hash, state, attempt, error_code, error, result, queued_at, started_at, finished_at"""
_ONE = "where session_id = $1 and step = $2 and input_hash = $3"


@dataclass(frozen=True, slots=True)
class Step:
    """One step on one input."""

    session: UUID
    step: str
    input_hash: str
    state: StepState
    attempt: int  # of delivery; 0 until it was started
    error_code: str | None  # why it is parked: a row of speech.errors.PROBLEMS, or the name of an error
    error: str | None  # the sentence for the user
    result: dict[str, Any] | None
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """A step in a worker's hands."""

    attempt: int  # 1 for the first
    failures: int  # of the earlier ones, those that ended in an error of the step itself; the others lost their worker


async def queue(tx: Tx, session: UUID, step: str, input_hash: str) -> bool:
    """A step becomes due; False when it is known already, in whatever state."""
    return await _changed(
        tx,
        "insert into steps (org_id, session_id, step, input_hash) values (current_org(), $1, $2, $3) on conflict do nothing",
        session,
        step,
        input_hash,
    )


async def start(tx: Tx, session: UUID, step: str, input_hash: str, worker: str, lease_s: float) -> Attempt | Literal["busy", "over"]:
    """A worker takes a step; `busy` while another that was heard of within `lease_s` has it, `over` when there is nothing to do: done,
    parked or cancelled before, or its session is not being processed."""
    row = await tx.fetchrow(
        f"""update steps set state = 'running', attempt = attempt + 1, worker = $4, started_at = now(), touched_at = now() {_ONE}
            and (state = 'queued' or (state = 'running' and (worker = $4 or touched_at < now() - $5 * interval '1 second')))
            and exists (select from sessions where id = $1 and state = 'processing')
        returning attempt, failures""",
        session,
        step,
        input_hash,
        worker,
        lease_s,
    )
    if row is not None:
        return Attempt(row["attempt"], row["failures"])
    running = await tx.fetchval(
        f"select true from steps {_ONE} and state = 'running' and exists (select from sessions where id = $1 and state = 'processing')",
        session,
        step,
        input_hash,
    )
    return "busy" if running else "over"


async def touch(tx: Tx, session: UUID, step: str, input_hash: str, worker: str) -> bool:
    """A sign of life of the worker; False when the step is no longer its own."""
    return await _changed(
        tx, f"update steps set touched_at = now() {_ONE} and state = 'running' and worker = $4", session, step, input_hash, worker
    )


async def release(tx: Tx, session: UUID, step: str, input_hash: str, worker: str, *, failed: bool) -> bool:
    """A worker gives a step back: after an error of the step itself, or because it could not be worked on, which counts as no attempt."""
    return await _changed(
        tx,
        f"""update steps set state = 'queued', worker = null, touched_at = now(),
            attempt = attempt - case when $5 then 0 else 1 end, failures = failures + case when $5 then 1 else 0 end
        {_ONE} and state = 'running' and worker = $4""",
        session,
        step,
        input_hash,
        worker,
        failed,
    )


async def finish(tx: Tx, session: UUID, step: str, input_hash: str, result: Mapping[str, Any]) -> bool:
    """Keeps the result; False when it was done or cancelled before: then nothing else may be written for it either."""
    return await _changed(
        tx,
        f"""update steps set state = 'done', result = $4, error_code = null, error = null, finished_at = now()
        {_ONE} and state in ('queued', 'running', 'parked')""",
        session,
        step,
        input_hash,
        dict(result),
    )


async def park(tx: Tx, session: UUID, step: str, input_hash: str, error_code: str, error: str) -> bool:
    """Gives up, with the reason; False when it was done or cancelled before."""
    return await _changed(
        tx,
        f"""update steps set state = 'parked', error_code = $4, error = $5, finished_at = now()
        {_ONE} and state in ('queued', 'running')""",
        session,
        step,
        input_hash,
        error_code,
        error,
    )


async def cancel_all(tx: Tx, session: UUID) -> int:
    """Whatever is not finished will not be; how many steps."""
    done = await tx.execute(
        "update steps set state = 'cancelled', finished_at = now() where session_id = $1 and state in ('queued', 'running')", session
    )
    return int(str(done).split()[-1])


async def requeue(tx: Tx, session: UUID, step: str, input_hash: str) -> bool:
    """Again from the beginning, whatever became of it; False when it is unknown."""
    return await _changed(
        tx,
        f"""update steps set state = 'queued', attempt = 0, failures = 0, error_code = null, error = null, result = null,
            touched_at = now(), queued_at = now(), started_at = null, finished_at = null {_ONE}""",
        session,
        step,
        input_hash,
    )


async def forget(tx: Tx, session: UUID, step: str, input_hash: str) -> bool:
    """As if it had never been due; False when it is unknown."""
    return await _changed(tx, f"delete from steps {_ONE}", session, step, input_hash)


async def of(tx: Tx, session: UUID) -> list[Step]:
    """Every step of a session, in the order in which they became due."""
    rows = await tx.fetch(f"select {_COLUMNS} from steps where session_id = $1 order by queued_at, step, input_hash", session)
    return [Step(**row) for row in rows]


async def result(tx: Tx, session: UUID, step: str) -> dict[str, Any] | None:
    """What a step came to when it was last done; None when it never was."""
    return cast(
        dict[str, Any] | None,
        await tx.fetchval(
            "select result from steps where session_id = $1 and step = $2 and state = 'done' order by finished_at desc limit 1",
            session,
            step,
        ),
    )


async def parked(tx: Tx, limit: int) -> list[Step]:
    """What needs a look: parked steps of the org, the latest first."""
    rows = await tx.fetch(f"select {_COLUMNS} from steps where state = 'parked' order by finished_at desc limit $1", limit)
    return [Step(**row) for row in rows]


async def _changed(tx: Tx, statement: str, *values: object) -> bool:
    return str(await tx.execute(statement, *values)).endswith(" 1")
