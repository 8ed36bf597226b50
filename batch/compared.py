"""The scores of a session beside those of the same person's earlier sessions: the `change` of a coaching document."""

from collections.abc import Mapping, Sequence
from typing import Any

from db.history import Scored
from speech.changes import LEAST_EARLIER, MOST_EARLIER, Change, Estimate, change

OVERALL = {"dimension": "overall", "title": "Overall"}


def compared(scores: Mapping[str, Any], earlier: Sequence[Scored] | None) -> dict[str, Any]:
    """earlier: finished sessions in the same style and language, by time; None for an attempt at a drill. Only scores of the very same
    rubric are compared."""
    if earlier is None:
        refusal = "An attempt at a drill is not compared with other sessions."
        return {"since": None, "baseline": None, "refusal": refusal, "dimensions": []}
    like = [one for one in earlier if one.rubric["digest"] == scores["rubric"]["digest"]][-MOST_EARLIER:]
    last = like[-1] if like else None
    settled = len(like) >= LEAST_EARLIER
    found = []
    for now in [{**scores["overall"], **OVERALL}, *scores["scores"]]:
        estimate = _estimate(now)
        before = [known for one in like if (known := _estimate(_of(one, now["dimension"])))]
        if estimate and before:
            found.append(_entry(now, change(estimate, before), len(before)))
    return {
        "since": None if last is None else {"created_at": last.created_at.isoformat()},
        "baseline": {"sessions": len(like), "created_at": like[0].created_at.isoformat()} if settled else None,
        "refusal": _refusal(len(like), len(earlier)),
        "dimensions": found,
    }


def _of(session: Scored, dimension: str) -> Mapping[str, Any]:
    if dimension == OVERALL["dimension"]:
        return session.overall
    return next((one for one in session.scores if one["dimension"] == dimension), {})


def _estimate(given: Mapping[str, Any]) -> Estimate | None:
    if given.get("value") is None or given["low"] is None or given["high"] is None:
        return None
    return Estimate(given["value"], given["low"], given["high"])


def _entry(now: Mapping[str, Any], found: Change, sessions: int) -> dict[str, Any]:
    return {
        "dimension": now["dimension"],
        "title": now["title"],
        "sessions": sessions if sessions >= LEAST_EARLIER else 1,
        "before": found.before,
        "now": found.now,
        "difference": found.difference,
        "low": found.low,
        "high": found.high,
        "changed": found.changed,
    }


def _refusal(like: int, all_of_them: int) -> str | None:
    """Why nothing, or not more, can be said."""
    if like >= LEAST_EARLIER:
        return None
    if not all_of_them:
        return "This is your first session in this style: there is nothing to compare it with."
    if not like:
        return "Your earlier sessions in this style were scored by another version of the rubric, so they are not compared."
    more = LEAST_EARLIER - like
    return f"What differs from one session to the next anyway is known after {more} more {'session' if more == 1 else 'sessions'}."
