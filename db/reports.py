"""Reports: what they say, and the files they consist of."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from db.pool import Tx


@dataclass(frozen=True, slots=True)
class ReportFile:
    """One file of a report."""

    name: str
    key: str  # of the blob
    size: int  # bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class Report:
    """The report of a session."""

    input_hash: str
    data: dict[str, Any]
    files: tuple[ReportFile, ...]


async def store(tx: Tx, session: UUID, input_hash: str, data: Mapping[str, Any], files: Sequence[ReportFile]) -> None:
    """Keeps the report, in place of an earlier one. Its blobs must be stored before."""
    await tx.execute(
        """insert into reports (org_id, session_id, input_hash, data, files) values (current_org(), $1, $2, $3, $4)
        on conflict (org_id, session_id) do update
        set input_hash = excluded.input_hash, data = excluded.data, files = excluded.files, created_at = now()""",
        session,
        input_hash,
        dict(data),
        [asdict(file) for file in files],
    )


async def load(tx: Tx, session: UUID) -> Report | None:
    """The report, None when there is none."""
    row = await tx.fetchrow("select input_hash, data, files from reports where session_id = $1", session)
    return None if row is None else Report(row["input_hash"], row["data"], tuple(ReportFile(**file) for file in row["files"]))
