"""Who and what was named in a session."""

from collections.abc import Sequence
from uuid import UUID

from db.pool import Tx
from speech.masking import Entity


async def store(tx: Tx, session: UUID, entities: Sequence[Entity]) -> None:
    """Keeps them, in place of earlier ones: from now on it is known what there is to hide of the transcript."""
    await tx.execute("delete from entities where session_id = $1", session)
    await tx.execute(
        """insert into entities (org_id, session_id, kind, text, start_sample, end_sample)
        select current_org(), $1, * from unnest($2::text[], $3::text[], $4::integer[], $5::integer[])""",
        session,
        [entity.kind for entity in entities],
        [entity.text for entity in entities],
        [entity.start for entity in entities],
        [entity.end for entity in entities],
    )
    await tx.execute("update transcripts set named = true where session_id = $1", session)


async def of(tx: Tx, session: UUID) -> list[Entity] | None:
    """In order of time, without people where names are hidden; None before they were looked for."""
    masked = await tx.fetchval(
        """select s.masked from sessions s join transcripts t on t.org_id = s.org_id and t.session_id = s.id
        where s.id = $1 and t.named""",
        session,
    )
    if masked is None:
        return None
    return [entity for entity in await every(tx, session) if not (masked and entity.kind == "name")]


async def every(tx: Tx, session: UUID) -> list[Entity]:
    """All of them, people too, in order of time."""
    rows = await tx.fetch(
        "select kind, text, start_sample, end_sample from entities where session_id = $1 order by start_sample, id", session
    )
    return [Entity(*row) for row in rows]
