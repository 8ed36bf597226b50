"""Stretches of sessions by meaning: vectors, and the nearest to one."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from pgvector import Vector

from db.pool import Tx

DIMENSIONS = 384


@dataclass(frozen=True, slots=True, eq=False)
class Passage:
    """A stretch of a session and the vector of its text."""

    text: str
    start: int  # sample
    end: int
    embedding: NDArray[np.float32]  # (384,)


@dataclass(frozen=True, slots=True)
class Found:
    """A stretch that is near in meaning."""

    session: UUID
    text: str
    start: int  # sample
    end: int
    distance: float  # cosine, 0..2


async def store(tx: Tx, session: UUID, passages: Sequence[Passage]) -> None:
    """Keeps the passages of a session, in place of earlier ones."""
    await tx.execute("delete from embeddings where session_id = $1", session)
    await tx.execute(
        """insert into embeddings (org_id, session_id, text, start_sample, end_sample, embedding)
        select current_org(), $1, * from unnest($2::text[], $3::integer[], $4::integer[], $5::vector[])""",
        session,
        [passage.text for passage in passages],
        [passage.start for passage in passages],
        [passage.end for passage in passages],
        [Vector(passage.embedding) for passage in passages],
    )


async def search(tx: Tx, embedding: NDArray[np.float32], limit: int) -> list[Found]:
    """The org's passages nearest to (384,), nearest first; approximate. The index knows all orgs: it is followed on until enough are of
    this one, and from wider lists than by default, since most of a list may be of others (recall and cost: bench/store.py)."""
    await tx.execute("set local hnsw.iterative_scan = strict_order; set local hnsw.ef_search = 160")
    rows = await tx.fetch(
        """select session_id as session, text, start_sample as start, end_sample as end, embedding <=> $1 as distance
        from embeddings order by embedding <=> $1 limit $2""",
        embedding,
        limit,
    )
    return [Found(**row) for row in rows]
