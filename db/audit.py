"""Who did what. Only ever added to."""

from collections.abc import Mapping
from typing import Any

from db.pool import Tx

SESSION_DELETED = "session.delete"


async def write(tx: Tx, actor: str, action: str, target: str, details: Mapping[str, Any]) -> None:
    """One entry, in the transaction of what it tells of."""
    await tx.execute(
        "insert into audit (org_id, actor, action, target, details) values (current_org(), $1, $2, $3, $4)",
        actor,
        action,
        target,
        dict(details),
    )


async def wrote(tx: Tx, action: str, target: str) -> bool:
    """Whether there is an entry of this action on this target."""
    return bool(await tx.fetchval("select exists (select from audit where action = $1 and target = $2)", action, target))
