"""Orgs and who is in them."""

from dataclasses import dataclass
from uuid import UUID

from db.pool import Database

# The single user of local mode: always the same, so that processes that start at once agree.
LOCAL_ORG = UUID("8d3f3f5e-0c0a-4c1e-9a59-000000000001")
LOCAL_USER = UUID("8d3f3f5e-0c0a-4c1e-9a59-000000000002")


@dataclass(frozen=True, slots=True)
class Member:
    """A user, in the org they act for."""

    org: UUID
    user: UUID


async def ensure_local(db: Database) -> Member:
    """The single user of local mode, made on first use."""
    async with db.tenant(LOCAL_ORG) as tx:
        await tx.execute("insert into orgs (id, name) values ($1, 'local') on conflict do nothing", LOCAL_ORG)
        await tx.execute("insert into users (org_id, id, name) values ($1, $2, 'local') on conflict do nothing", LOCAL_ORG, LOCAL_USER)
        await tx.execute(
            "insert into memberships (org_id, user_id, role) values ($1, $2, 'owner') on conflict do nothing", LOCAL_ORG, LOCAL_USER
        )
    return Member(LOCAL_ORG, LOCAL_USER)
