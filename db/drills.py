"""Attempts at drills, each a live session, and when each drill is due again."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import numpy as np

from db.pool import Tx
from speech.attempts import Limit, Task, Verdict
from speech.audio import RATE_HZ
from speech.shadowing import Contour
from speech.spacing import Due, following

MOST_SEEN = 50  # attempts that are looked back on for what was spoken before

_COLUMNS = "session_id as session, user_id as user, skill as drill, given, notes, live, settled, created_at, done_at"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt, as it is kept."""

    session: UUID
    user: UUID
    drill: str
    given: dict[str, Any]  # by api/drills.py
    notes: dict[str, Any]
    live: dict[str, Any] | None
    settled: dict[str, Any] | None
    created_at: datetime
    done_at: datetime | None  # when it was settled

    @property
    def task(self) -> Task:
        """What was to be spoken."""
        model = self.given.get("model")
        return Task(
            least_s=self.given["least_s"],
            text=self.given["text"] if self.given["reads"] else "",
            pace_wpm=self.given.get("pace_wpm"),
            model=None if model is None else Contour(np.array(model["st"], np.float32), np.array(model["db"], np.float32)),
            plays=tuple(round(at_s * RATE_HZ) for at_s in self.notes.get("plays_s", ())),
            accepted=self.given.get("accepted"),
        )

    @property
    def limits(self) -> tuple[Limit, ...]:
        """Its rules."""
        return tuple(Limit(rule["measure"], rule["low"], rule["high"]) for rule in self.given["rules"])


@dataclass(frozen=True, slots=True)
class Planned:
    """When a drill is due."""

    drill: str
    passes: int
    due_on: date


def document(verdict: Verdict) -> dict[str, Any]:
    """A verdict as it is kept and told."""
    return asdict(verdict)


async def begin(tx: Tx, session: UUID, user: UUID, drill: str, given: Mapping[str, Any]) -> None:
    """A session becomes an attempt."""
    await tx.execute(
        "insert into drills (org_id, session_id, user_id, skill, given) values (current_org(), $1, $2, $3, $4)",
        session,
        user,
        drill,
        dict(given),
    )


async def get(tx: Tx, session: UUID) -> Attempt | None:
    """The attempt that a session is, None where it is none."""
    row = await tx.fetchrow(f"select {_COLUMNS} from drills where session_id = $1", session)
    return None if row is None else Attempt(**row)


async def recent(tx: Tx, user: UUID, drill: str | None = None, limit: int = MOST_SEEN) -> Sequence[Attempt]:
    """Somebody's attempts at one drill or any, the newest first."""
    rows = await tx.fetch(
        f"select {_COLUMNS} from drills where user_id = $1 and skill = coalesce($2, skill) order by created_at desc, id desc limit $3",
        user,
        drill,
        limit,
    )
    return [Attempt(**row) for row in rows]


async def note(tx: Tx, session: UUID, notes: Mapping[str, Any]) -> bool:
    """What the page saw, in place of what it said before; False where there is no such attempt, or it is settled."""
    done = await tx.execute("update drills set notes = $2, live = null where session_id = $1 and settled is null", session, dict(notes))
    return str(done).endswith(" 1")


async def judged_live(tx: Tx, session: UUID, result: Mapping[str, Any]) -> None:
    """The result from live numbers."""
    await tx.execute("update drills set live = $2 where session_id = $1 and settled is null", session, dict(result))


async def settle(tx: Tx, session: UUID, result: Mapping[str, Any], today: date) -> None:
    """The result of the finished analysis. The first time it moves the plan; an analysis that is run again does not."""
    row = await tx.fetchrow("select user_id, skill, done_at from drills where session_id = $1 for update", session)
    if row is None:
        return
    await tx.execute("update drills set settled = $2, done_at = coalesce(done_at, now()) where session_id = $1", session, dict(result))
    if row["done_at"] is not None or result["passed"] is None:
        return
    before = await tx.fetchrow("select passes, due_on from plans where user_id = $1 and skill = $2", row["user_id"], row["skill"])
    was = None if before is None else Due(before["passes"], before["due_on"].toordinal())
    due = following(was, today.toordinal(), passed=result["passed"])
    await tx.execute(
        """insert into plans (org_id, user_id, skill, passes, due_on) values (current_org(), $1, $2, $3, $4)
        on conflict (org_id, user_id, skill) do update
        set passes = excluded.passes, due_on = excluded.due_on, updated_at = now()""",
        row["user_id"],
        row["skill"],
        due.passes,
        date.fromordinal(due.day),
    )


async def plan(tx: Tx, user: UUID) -> Sequence[Planned]:
    """What somebody is to repeat, the longest due first."""
    rows = await tx.fetch("select skill as drill, passes, due_on from plans where user_id = $1 order by due_on, skill", user)
    return [Planned(**row) for row in rows]


async def material(tx: Tx, user: UUID, drill: str, session: UUID | None = None) -> tuple[UUID, dict[str, Any]] | None:
    """The newest of somebody's sessions that a drill was proposed from, and the proposal; of one session alone where one is named."""
    row = await tx.fetchrow(
        """select s.id, d.proposal from sessions s join coaching c on c.org_id = s.org_id and c.session_id = s.id
        cross join lateral jsonb_array_elements(c.data -> 'drills') d (proposal)
        where s.user_id = $1 and d.proposal ->> 'drill' = $2 and ($3::uuid is null or s.id = $3) and s.state <> 'deleting'
            and not exists (select from drills a where a.session_id = s.id)
        order by s.created_at desc limit 1""",
        user,
        drill,
        session,
    )
    return None if row is None else (row["id"], row["proposal"])


async def usual(tx: Tx, user: UUID) -> dict[str, float]:
    """What the measures of somebody's newest finished session are that was no attempt."""
    found = await tx.fetchval(
        """select f.data -> 'measures' from sessions s join fluency f on f.org_id = s.org_id and f.session_id = s.id
        where s.user_id = $1 and s.state = 'complete' and not exists (select from drills a where a.session_id = s.id)
        order by s.created_at desc limit 1""",
        user,
    )
    return {name: one["value"] for name, one in (found or {}).items() if one["value"] is not None}
