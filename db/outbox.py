"""Messages that become due with a transaction, and are handed to the bus afterwards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from db.pool import Database, Tx

CHANNEL = "elocute_outbox"  # notified when something was put


@dataclass(frozen=True, slots=True)
class Message:
    """One message; its id is the same however often it is sent."""

    id: int
    subject: str
    payload: dict[str, Any]


async def put(tx: Tx, subject: str, payload: Mapping[str, Any]) -> int:
    """To be sent once the transaction has committed; the message's id."""
    message = await tx.fetchval(
        "insert into outbox (org_id, subject, payload) values (current_org(), $1, $2) returning id", subject, dict(payload)
    )
    await tx.execute(f"notify {CHANNEL}")
    return int(message)


async def take(tx: Tx, limit: int) -> list[Message]:
    """The oldest messages of all orgs that nobody else is sending; held until the transaction ends. Needs `Database.relay`."""
    rows = await tx.fetch("select id, subject, payload from outbox order by id limit $1 for update skip locked", limit)
    return [Message(**row) for row in rows]


async def done(tx: Tx, ids: Sequence[int]) -> None:
    """They were sent: forgets them."""
    await tx.execute("delete from outbox where id = any($1::bigint[])", ids)


async def announce_overdue(db: Database, after_s: float) -> int:
    """Puts the steps that nobody has taken or kept alive for `after_s` once more, of all orgs; how many. Any process may, at any time."""
    async with db.relay() as tx:
        return int(await tx.fetchval("select announce_overdue($1 * interval '1 second')", after_s))
