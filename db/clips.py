"""Clips: cuts of a recording, of moments that the coach chose and the user's own."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from db.pool import Tx
from db.reports import ReportFile

_COLUMNS = "id, moment, label, start_sample, end_sample, files"


@dataclass(frozen=True, slots=True)
class Clip:
    """One clip."""

    id: UUID
    moment: str | None  # of the coaching; None: the user's own
    label: str  # what the user calls it
    start: int  # sample
    end: int
    files: tuple[ReportFile, ...]  # none until it is rendered


@dataclass(frozen=True, slots=True)
class Rendered:
    """The files of a stretch. Its blobs must be stored before."""

    start: int
    end: int
    files: tuple[ReportFile, ...]


async def of(tx: Tx, session: UUID) -> list[Clip]:
    """The clips of a session by time."""
    rows = await tx.fetch(f"select {_COLUMNS} from clips where session_id = $1 order by start_sample, end_sample, id", session)
    return [_clip(row) for row in rows]


async def add(tx: Tx, session: UUID, label: str, start: int, end: int) -> Clip:
    """A clip of the user's own, to be rendered."""
    row = await tx.fetchrow(
        f"""insert into clips (org_id, session_id, label, start_sample, end_sample) values (current_org(), $1, $2, $3, $4)
        returning {_COLUMNS}""",
        session,
        label,
        start,
        end,
    )
    return _clip(row)


async def delete(tx: Tx, session: UUID, clip: UUID) -> Clip | None:
    """Forgets a clip, which is given; None when there is none."""
    row = await tx.fetchrow(f"delete from clips where session_id = $1 and id = $2 returning {_COLUMNS}", session, clip)
    return None if row is None else _clip(row)


async def store(tx: Tx, session: UUID, moments: Sequence[tuple[str, Rendered]], own: Sequence[Rendered]) -> None:
    """The clips of these moments in place of all earlier ones, and the files of the user's own."""
    await tx.execute(
        "delete from clips where session_id = $1 and moment is not null and not moment = any($2::text[])", session, [m for m, _ in moments]
    )
    for moment, found in moments:
        await tx.execute(
            """insert into clips (org_id, session_id, moment, label, start_sample, end_sample, files)
            values (current_org(), $1, $2, '', $3, $4, $5) on conflict (org_id, session_id, moment) do update
            set start_sample = excluded.start_sample, end_sample = excluded.end_sample, files = excluded.files, created_at = now()""",
            session,
            moment,
            found.start,
            found.end,
            [asdict(file) for file in found.files],
        )
    for found in own:
        await tx.execute(
            "update clips set files = $4 where session_id = $1 and moment is null and start_sample = $2 and end_sample = $3",
            session,
            found.start,
            found.end,
            [asdict(file) for file in found.files],
        )


def _clip(row: Any) -> Clip:
    files = tuple(ReportFile(**file) for file in row["files"])
    return Clip(row["id"], row["moment"], row["label"], row["start_sample"], row["end_sample"], files)
