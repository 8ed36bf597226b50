"""What was said, found again: by meaning and by words, among how it was spoken, when, and in which session."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from pgvector import HalfVector

from db.embeddings import Kind, Manner
from db.pool import Tx

Filter = Literal["fast", "slow", "fillers", "monotone", "pauses", "loud", "quiet"]
FILTERS: tuple[Filter, ...] = get_args(Filter)
RELATIVE: frozenset[Filter] = frozenset(("fast", "slow", "monotone", "loud", "quiet"))  # to what is usual for the speaker

USUAL_OVER = 10  # sessions of a speaker, the newest
USUAL_PASSAGES = 200  # of each
FAST, SLOW, NARROW = 1.15, 0.85, 0.75  # times the usual: differences in rate of 5 % are just noticed, Quené 2007
LOUDER_DB = 3.0
LONG_PAUSE_S = 1.0
# Chosen on the development set of bench/search.toml.
_NEAREST = 60  # looked at by meaning
_SAME_WORD = 60  # at most that hold one word of the question
_BY_WORDS = 60  # looked at by words
_RARE_WORD = 0.1  # added to the cosine for a word that nothing else holds
_LEAST = 0.2  # a cosine below is chance, unless ...
_NAMED = 0.5  # ... a word as rare as this is in it
_ALIKE = 0.3  # times the cosine with what is shown already: five ways to say one thing are one answer
_EF = 100  # candidates kept by the index at a time: recall and cost in bench/search.py

MARK_START, MARK_END = "\x02", "\x03"  # around words of the query; speech has none

# What each filter asks of a passage, in SQL; $1 is what is usual.
_CONDITIONS: dict[Filter, tuple[str, str]] = {
    "fast": ("e.rate_wpm", f">= {FAST} *"),
    "slow": ("e.rate_wpm", f"<= {SLOW} *"),
    "fillers": ("e.fillers", ">="),
    "monotone": ("e.f0_span_st", f"<= {NARROW} *"),
    "pauses": ("e.pause_s", ">="),
    "loud": ("e.level_dbfs", f">= {LOUDER_DB} +"),
    "quiet": ("e.level_dbfs", f"<= -{LOUDER_DB} +"),
}
# Where nothing but a filter is asked for: what fits it most comes first.
_MOST: dict[Filter, str] = {
    "fast": "e.rate_wpm desc",
    "slow": "e.rate_wpm",
    "fillers": "e.fillers desc",
    "monotone": "e.f0_span_st",
    "pauses": "e.pause_s desc",
    "loud": "e.level_dbfs desc",
    "quiet": "e.level_dbfs",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What shall be found."""

    topic: str
    filters: tuple[Filter, ...] = ()
    session: UUID | None = None
    since: datetime | None = None  # when the session began
    before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Usual:
    """How somebody's newest passages were spoken: medians, None where there are none."""

    rate_wpm: float | None
    f0_span_st: float | None
    level_dbfs: float | None

    def limit(self, name: Filter) -> float | None:
        """What a filter measures against."""
        if name == "fillers":
            return 1.0
        if name == "pauses":
            return LONG_PAUSE_S
        return {"fast": self.rate_wpm, "slow": self.rate_wpm, "monotone": self.f0_span_st}.get(name, self.level_dbfs)


@dataclass(frozen=True, slots=True)
class Found:
    """One stretch or comment."""

    session: UUID
    speaker: UUID | None
    title: str
    filename: str | None  # of the recording
    created_at: datetime  # of the session
    kind: Kind
    text: str  # with MARK_START and MARK_END around words that were asked for
    start: int  # sample
    end: int
    manner: Manner


NOTHING = Usual(None, None, None)
Speakers = Mapping[UUID | None, Usual]


async def usual(tx: Tx) -> dict[UUID | None, Usual]:
    """What the speech of each speaker is like as a rule."""
    rows = await tx.fetch(
        """with newest as (
            select id, user_id from (
                select id, user_id, row_number() over (partition by user_id order by created_at desc, id) as place from sessions
                where org_id = current_org()
            ) s where place <= $1
        ) select newest.user_id as speaker, -- laterally, since how few the newest are is not known to the planner
            percentile_cont(0.5) within group (order by rate_wpm) as rate_wpm,
            percentile_cont(0.5) within group (order by f0_span_st) as f0_span_st,
            percentile_cont(0.5) within group (order by level_dbfs) as level_dbfs
        from newest cross join lateral (
            select rate_wpm, f0_span_st, level_dbfs from embeddings e
            where e.org_id = current_org() and e.session_id = newest.id and e.kind = 'passage' order by start_sample limit $2
        ) spoken group by newest.user_id""",
        USUAL_OVER,
        USUAL_PASSAGES,
    )
    return {row["speaker"]: Usual(row["rate_wpm"], row["f0_span_st"], row["level_dbfs"]) for row in rows}


async def search(tx: Tx, wanted: Wanted, embedding: NDArray[np.float32] | None, speakers: Speakers, limit: int) -> list[Found]:
    """At most `limit`, best first, no two of the same place. embedding: (384,) of the topic; without it words alone count. speakers: what
    is usual; may be empty where no filter asks for it."""
    conditions, values = ["s.state <> 'deleting'"], list[object]()

    def placed(value: object) -> str:
        values.append(value)
        return f"${len(values)}"

    for name in wanted.filters:
        column, comparison = _CONDITIONS[name]
        if name in RELATIVE:
            who, limits = placed(list(speakers)), placed([one.limit(name) for one in speakers.values()])
            theirs = f"select l from unnest({who}::uuid[], {limits}::float8[]) u (id, l) where id is not distinct from s.user_id"
            conditions.append(f"{column} {comparison} ({theirs})")
        else:
            conditions.append(f"{column} {comparison} {placed(NOTHING.limit(name))}::double precision")
    if wanted.session is not None:
        conditions.append(f"e.session_id = {placed(wanted.session)}")
    if wanted.since is not None:
        conditions.append(f"s.created_at >= {placed(wanted.since)}")
    if wanted.before is not None:
        conditions.append(f"s.created_at < {placed(wanted.before)}")
    # Only what asks something of the session looks at it before the nearest are known.
    source = f"embeddings e join sessions s on s.org_id = e.org_id and s.id = e.session_id where {' and '.join(conditions)}"
    many = max(_NEAREST, 4 * limit)  # some lie at the same place
    if wanted.topic:
        ids = await _best(tx, wanted.topic, embedding, source, values, limit, many)
    else:
        order = f"{_MOST[wanted.filters[0]]}, e.id desc" if wanted.filters else "e.id desc"
        rows = await tx.fetch(f"select {_PLACE} from {source} order by {order} limit {many}", *values)
        ids = _chosen([_Candidate(row, 0.0, None) for row in rows], limit)
    return await _described(tx, ids, wanted.topic)


_PLACE = "e.id, e.session_id, e.kind, e.start_sample, e.end_sample"


class _Candidate:
    """A row that may be shown. vector: of unit length."""

    def __init__(self, row: Mapping[str, Any], score: float, vector: NDArray[np.float32] | None) -> None:
        self.id, self.comment, self.session = row["id"], row["kind"] == "comment", row["session_id"]
        self.start, self.end = row["start_sample"], row["end_sample"]
        self.score, self.vector = score, vector

    def over(self, other: "_Candidate") -> bool:
        """Whether both are one place: a moment lies within a passage. Comments stand for themselves."""
        same = self.session == other.session and not self.comment and not other.comment
        return same and self.start < other.end and other.start < self.end


async def _best(
    tx: Tx, topic: str, embedding: NDArray[np.float32] | None, source: str, values: Sequence[object], limit: int, many: int
) -> list[int]:
    words: dict[int, float] = {}
    for row in await tx.fetch("select id, weight from embeddings_with($1, $2)", topic, _SAME_WORD):
        words[row["id"]] = words.get(row["id"], 0.0) + row["weight"]
    ids = sorted(words, key=lambda id: -words[id])
    if embedding is None:
        rows = await tx.fetch(f"select {_PLACE} from {source} and e.id = any(${len(values) + 1})", *values, ids)
        return _chosen([_Candidate(row, words[row["id"]], None) for row in rows], limit)
    # The index knows all orgs and no filter: it is followed on until enough fit.
    await tx.execute(f"set local hnsw.iterative_scan = relaxed_order; set local hnsw.ef_search = {max(_EF, many)}")
    near = await tx.fetch(
        f"""select e.id from {source} and e.embedding is not null order by e.embedding <=> ${len(values) + 1} limit {many}""",
        *values,
        HalfVector(embedding),
    )
    rows = await tx.fetch(
        f"select {_PLACE}, e.embedding as vector from {source} and e.id = any(${len(values) + 1})",
        *values,
        [*{*(row["id"] for row in near), *ids[:_BY_WORDS]}],
    )
    asked = embedding / np.linalg.norm(embedding)
    candidates = []
    for row in rows:
        weight, vector = words.get(row["id"], 0.0), None if row["vector"] is None else row["vector"].to_numpy().astype(np.float32)
        if vector is not None:
            vector /= np.linalg.norm(vector)
        cosine = 0.0 if vector is None else float(vector @ asked)
        if vector is None or cosine >= _LEAST or weight >= _NAMED:
            candidates.append(_Candidate(row, cosine + _RARE_WORD * weight, vector))
    return _chosen(candidates, limit)


def _chosen(candidates: Sequence[_Candidate], limit: int) -> list[int]:
    """Ids, best first; what resembles those before it waits (maximal marginal relevance, Carbonell & Goldstein 1998)."""
    left, chosen = sorted(candidates, key=lambda one: -one.score), list[int]()
    alike = dict.fromkeys((one.id for one in left), 0.0)
    while left and len(chosen) < limit:
        best = max(left, key=lambda one: one.score - _ALIKE * alike[one.id])
        chosen.append(best.id)
        left = [one for one in left if one is not best and not one.over(best)]
        for one in left:
            if one.vector is not None and best.vector is not None:
                alike[one.id] = max(alike[one.id], float(one.vector @ best.vector))
    return chosen


async def _described(tx: Tx, ids: Sequence[int], topic: str) -> list[Found]:
    rows = await tx.fetch(
        f"""select e.session_id as session, s.user_id as speaker, s.title, m.filename, s.created_at, e.kind,
            e.start_sample as start, e.end_sample as end,
            case when $2 = '' then e.text else ts_headline(
                case e.language when 'en' then 'english'::regconfig else 'simple'::regconfig end, e.text,
                replace(plainto_tsquery(case e.language when 'en' then 'english'::regconfig else 'simple'::regconfig end, $2)::text,
                    ' & ', ' | ')::tsquery,
                'HighlightAll=true, StartSel={MARK_START}, StopSel={MARK_END}') end as text,
            e.rate_wpm, e.fillers, e.pause_s, e.f0_span_st, e.level_dbfs
        from unnest($1::bigint[]) with ordinality as wanted (id, place)
            join embeddings e on e.org_id = current_org() and e.id = wanted.id
            join sessions s on s.org_id = e.org_id and s.id = e.session_id
            left join media m on m.org_id = e.org_id and m.session_id = e.session_id
        order by wanted.place""",
        ids,
        topic,
    )
    return [
        Found(
            row["session"],
            row["speaker"],
            row["title"],
            row["filename"],
            row["created_at"],
            row["kind"],
            row["text"],
            row["start"],
            row["end"],
            Manner(row["rate_wpm"], row["fillers"], row["pause_s"], row["f0_span_st"], row["level_dbfs"]),
        )
        for row in rows
    ]
