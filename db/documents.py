"""What a step made of a session, as one document in a table of its own: `fluency`, `scores` and `coaching`."""

from collections.abc import Mapping
from typing import Any, Literal, cast
from uuid import UUID

from db.pool import Tx

Table = Literal["fluency", "scores", "coaching"]


async def store(tx: Tx, table: Table, session: UUID, input_hash: str, data: Mapping[str, Any]) -> None:
    """Keeps the document, in place of an earlier one."""
    await tx.execute(
        f"""insert into {table} (org_id, session_id, input_hash, data) values (current_org(), $1, $2, $3)
        on conflict (org_id, session_id) do update set input_hash = excluded.input_hash, data = excluded.data, created_at = now()""",
        session,
        input_hash,
        dict(data),
    )


async def load(tx: Tx, table: Table, session: UUID) -> dict[str, Any] | None:
    """The document, None when there is none."""
    return cast(dict[str, Any] | None, await tx.fetchval(f"select data from {table} where session_id = $1", session))
