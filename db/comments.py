"""What people wrote about sessions."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from db.pool import Tx

_COLUMNS = "id, user_id as user, at_sample as at, text, created_at"
LISTED = 1000  # of one session; the newest


@dataclass(frozen=True, slots=True)
class Comment:
    """One remark."""

    id: UUID
    user: UUID | None  # who wrote it; None where they are gone
    at: int | None  # sample; None: on the whole session
    text: str
    created_at: datetime


async def add(tx: Tx, session: UUID, user: UUID, at: int | None, text: str) -> Comment:
    """A new one. Raises Gone when there is no such session."""
    row = await tx.fetchrow(
        f"insert into comments (org_id, session_id, user_id, at_sample, text) values (current_org(), $1, $2, $3, $4) returning {_COLUMNS}",
        session,
        user,
        at,
        text,
    )
    return Comment(**row)


async def of(tx: Tx, session: UUID) -> list[Comment]:
    """By the place they are about, those on the whole session first."""
    rows = await tx.fetch(
        f"""select * from (select {_COLUMNS} from comments where session_id = $1 order by created_at desc, id desc limit {LISTED}) newest
        order by at nulls first, created_at""",
        session,
    )
    return [Comment(**row) for row in rows]


async def delete(tx: Tx, session: UUID, comment: UUID) -> bool:
    """Takes it away, also from what is found; False when there is none."""
    return str(await tx.execute("delete from comments where session_id = $1 and id = $2", session, comment)).endswith(" 1")
