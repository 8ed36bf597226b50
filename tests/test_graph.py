"""The graph of steps: what follows what, and what a changed input re-runs."""

from dataclasses import replace

import pytest

from config import graph


def test_steps_come_after_what_they_need() -> None:
    seen: set[str] = set()
    for step in graph.STEPS:
        assert set(step.after) <= seen
        seen.add(step.name)
    assert len(seen) == len(graph.STEPS)


def test_a_join_waits_for_all() -> None:
    assert graph.next_steps("ingest", {"ingest"}) == ["asr", "prosody"]
    assert graph.next_steps("asr", {"ingest", "asr"}) == []
    assert graph.next_steps("prosody", {"ingest", "asr", "prosody"}) == ["fluency"]
    assert graph.next_steps("report", set(graph.BY_NAME)) == []


def test_whatever_the_order_every_step_is_reached_once() -> None:
    for first in ("asr", "prosody"):
        finished, queue, ran = set[str](), ["ingest"], []
        while queue:
            name = queue.pop(queue.index(first) if first in queue else 0)
            finished.add(name)
            ran.append(name)
            queue += graph.next_steps(name, finished)
        assert sorted(ran) == sorted(graph.BY_NAME)


def test_a_new_rubric_scores_again_and_touches_nothing_before(monkeypatch: pytest.MonkeyPatch) -> None:
    before = graph.hashes(graph.root_hash("source"))
    changed = tuple(replace(step, version="2:other") if step.name == "score" else step for step in graph.STEPS)
    monkeypatch.setattr(graph, "STEPS", changed)
    after = graph.hashes(graph.root_hash("source"))
    assert [name for name in before if before[name] != after[name]] == ["score", "coach", "report", "clips", "search"]
    assert graph.following("score") == ["score", "coach", "report", "clips", "search"]


def test_another_source_changes_all() -> None:
    one, other = (graph.hashes(graph.root_hash(source)) for source in ("one", "other"))
    assert not set(one.values()) & set(other.values())


def test_another_script_is_compared_anew_and_touches_nothing_before() -> None:
    root = graph.root_hash("source")
    without, one, other = graph.hashes(root), graph.hashes(root, "It was the best of times."), graph.hashes(root, "It was the worst.")
    for a, b in ((without, one), (one, other)):
        assert [name for name in a if a[name] != b[name]] == graph.following("pronunciation")
