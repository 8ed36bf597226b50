"""Stretches of sessions and comments on them, to be found again: their words, how they were spoken, and vectors of what they mean."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from pgvector import HalfVector

from db.pool import Tx

DIMENSIONS = 384

Kind = Literal["passage", "moment", "comment"]


@dataclass(frozen=True, slots=True)
class Manner:
    """How a stretch was spoken; None where there is too little."""

    rate_wpm: float | None
    fillers: int | None
    pause_s: float | None  # the longest silent one
    f0_span_st: float | None  # 10th to 90th percentile
    level_dbfs: float | None


UNSPOKEN = Manner(None, None, None, None, None)


@dataclass(frozen=True, slots=True, eq=False)
class Passage:
    """A stretch of a session."""

    kind: Kind
    text: str
    start: int  # sample
    end: int
    manner: Manner = UNSPOKEN
    embedding: NDArray[np.float32] | None = None  # (384,), of `meant`; None where the weights are not installed
    meant: str = ""  # what the vector is to be of: one sentence of the text; not stored


async def store(tx: Tx, session: UUID, passages: Sequence[Passage], language: str = "en") -> None:
    """Keeps the passages and moments of a session, in place of earlier ones. language: ISO 639-1, of their words."""
    await tx.execute("delete from embeddings where session_id = $1 and kind <> 'comment'", session)
    await tx.execute(
        """insert into embeddings (
            org_id, session_id, language, kind, text, start_sample, end_sample,
            rate_wpm, fillers, pause_s, f0_span_st, level_dbfs, embedding
        ) select current_org(), $1, $2, * from unnest(
            $3::text[], $4::text[], $5::integer[], $6::integer[], $7::double precision[], $8::integer[], $9::double precision[],
            $10::double precision[], $11::double precision[], $12::halfvec[]
        )""",
        session,
        language,
        [passage.kind for passage in passages],
        [passage.text for passage in passages],
        [passage.start for passage in passages],
        [passage.end for passage in passages],
        [passage.manner.rate_wpm for passage in passages],
        [passage.manner.fillers for passage in passages],
        [passage.manner.pause_s for passage in passages],
        [passage.manner.f0_span_st for passage in passages],
        [passage.manner.level_dbfs for passage in passages],
        [_vector(passage.embedding) for passage in passages],
    )


async def store_comment(
    tx: Tx, session: UUID, comment: UUID, text: str, at: int | None, embedding: NDArray[np.float32] | None, language: str
) -> None:
    """Has a comment found; it goes with the comment. at: sample, None for one on the whole session."""
    await tx.execute(
        """insert into embeddings (org_id, session_id, comment_id, kind, text, start_sample, end_sample, embedding, language)
        values (current_org(), $1, $2, 'comment', $3, $4, $4, $5, $6)""",
        session,
        comment,
        text,
        at or 0,
        _vector(embedding),
        language,
    )


def _vector(embedding: NDArray[np.float32] | None) -> HalfVector | None:
    return None if embedding is None else HalfVector(embedding)
