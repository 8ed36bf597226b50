"""How a person's sessions of one style were scored, one after the other."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from db.pool import Tx


@dataclass(frozen=True, slots=True)
class Scored:
    """A finished session and its scores, without what they are made of."""

    session: UUID
    title: str
    created_at: datetime
    rubric: dict[str, Any]
    overall: dict[str, Any]
    scores: list[dict[str, Any]]  # dimension, title, value, low, high


async def scored(
    tx: Tx, user: UUID, style: str, limit: int, *, language: str | None = None, before: datetime | None = None
) -> list[Scored]:
    """The last ones, at most `limit`, the oldest first, without attempts at drills. before: those that were made earlier than this."""
    rows = await tx.fetch(
        """select s.id as session, s.title, s.created_at, c.data -> 'rubric' as rubric, c.data -> 'overall' as overall,
            (select jsonb_agg(jsonb_build_object('dimension', one -> 'dimension', 'title', one -> 'title',
                'value', one -> 'value', 'low', one -> 'low', 'high', one -> 'high'))
            from jsonb_array_elements(c.data -> 'scores') one) as scores
        from sessions s join scores c on c.org_id = s.org_id and c.session_id = s.id
        where s.user_id = $1 and s.style = $2 and s.state = 'complete'
            and not exists (select from drills d where d.org_id = s.org_id and d.session_id = s.id)
            and ($4::text is null or s.language = $4) and ($5::timestamptz is null or s.created_at < $5)
        order by s.created_at desc, s.id desc limit $3""",
        user,
        style,
        limit,
        language,
        before,
    )
    return [Scored(**row) for row in reversed(rows)]
