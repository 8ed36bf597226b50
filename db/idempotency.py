"""Answers to requests that carry an Idempotency-Key, so that a repeat gets the first answer."""

from dataclasses import dataclass
from typing import Any

from db.errors import KeyReused, StillAnswering
from db.pool import Tx

KEPT = "24 hours"


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered the first time."""

    status: int  # HTTP
    body: Any  # JSON


async def remember(tx: Tx, key: str, request_hash: str) -> Answer | None:
    """None when the key is new, or older than a day: do the work, and `answer` in the same transaction. Waits for a transaction that is
    doing so. Raises KeyReused when the key came with another request, StillAnswering when it was remembered but never answered."""
    await tx.execute(f"delete from idempotency where created_at < now() - interval '{KEPT}'")
    new = await tx.execute(
        "insert into idempotency (org_id, key, request_hash) values (current_org(), $1, $2) on conflict do nothing", key, request_hash
    )
    if str(new).endswith(" 1"):
        return None
    row = await tx.fetchrow("select request_hash, status, body from idempotency where key = $1", key)
    if row is None or row["request_hash"] != request_hash:
        raise KeyReused(key)
    if row["status"] is None:
        raise StillAnswering(key)
    return Answer(row["status"], row["body"])


async def answer(tx: Tx, key: str, status: int, body: Any) -> None:
    """What a repeat will get."""
    await tx.execute("update idempotency set status = $2, body = $3 where key = $1", key, status, body)
