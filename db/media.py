"""The recording of a session as it came in: where its bytes are, and what is known of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from db.pool import Tx

_COLUMNS = "session_id as session, key, size, sha256, content_type, filename, upload_id, complete, facts"


@dataclass(frozen=True, slots=True)
class Media:
    """One recording."""

    session: UUID
    key: str  # of the blob
    size: int  # bytes: announced, then stored
    sha256: str | None  # hex; None until the bytes are there
    content_type: str
    filename: str  # as the user named it
    upload_id: str | None  # of the resumable upload under way
    complete: bool  # the bytes are stored
    facts: dict[str, Any] | None  # what decoding found out


async def begin(tx: Tx, session: UUID, *, key: str, size: int, content_type: str, filename: str, upload_id: str | None = None) -> Media:
    """An upload begins. A new one takes the place of an earlier one, also of a finished one."""
    row = await tx.fetchrow(
        f"""insert into media (org_id, session_id, key, size, content_type, filename, upload_id)
        values (current_org(), $1, $2, $3, $4, $5, $6)
        on conflict (org_id, session_id) do update set key = excluded.key, size = excluded.size, content_type = excluded.content_type,
            filename = excluded.filename, upload_id = excluded.upload_id, sha256 = null, complete = false, facts = null
        returning {_COLUMNS}""",
        session,
        key,
        size,
        content_type,
        filename,
        upload_id,
    )
    return Media(**row)


async def complete(tx: Tx, session: UUID, *, size: int, sha256: str | None) -> bool:
    """All bytes are stored; False when no upload was begun."""
    done = await tx.execute(
        "update media set size = $2, sha256 = $3, complete = true, upload_id = null where session_id = $1", session, size, sha256
    )
    return str(done).endswith(" 1")


async def get(tx: Tx, session: UUID) -> Media | None:
    """The recording, None when no upload was begun."""
    row = await tx.fetchrow(f"select {_COLUMNS} from media where session_id = $1", session)
    return None if row is None else Media(**row)


async def set_facts(tx: Tx, session: UUID, facts: Mapping[str, Any]) -> bool:
    """What decoding found out; False when no upload was begun."""
    return str(await tx.execute("update media set facts = $2 where session_id = $1", session, dict(facts))).endswith(" 1")
