"""The coach on the pages, in a real browser: what stands out, change, progress; and how a session's style and text are chosen."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from batch.compared import compared
from batch.highlights import highlights
from config.rubrics import rubrics
from db import documents, history, reports, sessions
from engines.embedded import Servers
from tests.api_server import Running
from tests.browsers import FAKE, chromium, serving, shown

TALK = rubrics()["talk"]
MEASURED = {"pace": ("speech_rate_wpm", 152.0), "fluency": ("filled_pauses_per_100_words", 5.2), "pitch": ("f0_sd_st", 2.4)}


@pytest.fixture(scope="module")
def server(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(servers, tmp_path_factory.mktemp("coached")) as made:
        yield made


@pytest.fixture(scope="module")
def browser(server: Running) -> Iterator[Browser]:
    del server  # begins before
    with sync_playwright() as playwright:
        started = chromium(playwright, *FAKE)
        yield started
        started.close()


def given(**values: float) -> dict[str, Any]:
    """A scores document: so much in each dimension, give or take 4."""
    scores = []
    for dimension in TALK.dimensions:
        value = values.get(dimension.id)
        one = {"dimension": dimension.id, "title": dimension.title, "weight": dimension.weight, "parts": [], "evidence": []}
        if value is None:
            scores.append(one | {"value": None, "low": None, "high": None, "refusal": "needs 38 s more speech", "made_of": []})
        else:
            name, measured = MEASURED[dimension.id]
            made_of = [{"name": name, "value": measured, "score": value, "weight": 1.0, "source": "ours"}]
            scores.append(one | {"value": value, "low": value - 4, "high": min(100, value + 4), "refusal": None, "made_of": made_of})
    mean = sum(values.values()) / len(values) if values else None
    overall = {"value": mean, "low": mean and mean - 3, "high": mean and mean + 3, "refusal": None if values else "needs more"}
    rubric = {"name": TALK.name, "version": TALK.version, "title": TALK.title, "digest": TALK.digest}
    return {"rubric": rubric, "overall": overall, "scores": scores}


def planted(server: Running, data: dict[str, Any], phrased: dict[str, str] | None = None) -> UUID:
    """A finished session with these scores, and what the coach makes of them."""
    user = server.state["member"].user

    async def store(tx: Any) -> UUID:
        session = await sessions.create(tx, "A talk", "upload", "en", user=user)
        earlier = await history.scored(tx, user, "talk", 20, before=session.created_at)
        made = {"moments": [], "drills": [], "change": compared(data, earlier), "highlights": highlights(data, TALK) | {"phrased": phrased}}
        await documents.store(tx, "fluency", session.id, "h", {"measures": {}})
        await documents.store(tx, "scores", session.id, "h", data)
        await documents.store(tx, "coaching", session.id, "h", made)
        await reports.store(tx, session.id, "h", {}, [])
        await sessions.set_state(tx, session.id, "complete")
        return session.id

    found: UUID = server.tenant(store)
    return found


def test_what_stands_out_is_said_and_progress_is_drawn(browser: Browser, server: Running) -> None:
    for pace in (50.0, 52.0, 48.0):
        planted(server, given(pace=pace, fluency=40.0 + pace / 50))
    session = planted(server, given(pace=90.0, fluency=41.0))
    with shown(browser, server.url, f"/sessions/{session}", expected="status of 404") as page:  # no transcript is planted
        cards = page.locator(".stands-out > div")
        expect(cards.nth(0)).to_contain_text("What went well")
        expect(cards.nth(0)).to_contain_text("Pace went well: 152 words a minute.")
        expect(cards.nth(1)).to_contain_text("Work on fluency: 5.2 filled pauses (um, uh) per 100 words; aim for 1.5 or less.")
        rows = page.locator(".changes li")
        expect(rows).to_have_count(3)
        expect(rows.filter(has_text="Pace")).to_contain_text("Higher")
        expect(rows.filter(has_text="Pace")).to_contain_text("+40")
        expect(rows.filter(has_text="Pace")).to_contain_text("50 → 90")
        expect(rows.filter(has_text="Fluency")).to_contain_text("No clear change")
        expect(page.get_by_text("Against the mean of your 3 sessions before this one")).to_be_visible()
    with shown(browser, server.url, "/") as page:
        expect(page.locator(".trends figure")).to_have_count(3)  # what was never scored has no line
        expect(page.get_by_role("img", name="Pace, session by session: 50, 52, 48, 90")).to_be_visible()


def test_what_a_model_worded_is_marked_and_a_refusal_says_what_would_lift_it(browser: Browser, server: Running) -> None:
    text = "Your pace went well at 152 words a minute. In fluency there were 5.2 filled pauses per 100 words."
    session = planted(server, given(pace=90.0, fluency=41.0), {"text": text, "model": "tiny"})
    with shown(browser, server.url, f"/sessions/{session}", expected="status of 404") as page:  # no transcript is planted
        expect(page.get_by_text(text)).to_be_visible()
        expect(page.get_by_text("Worded by the language model tiny")).to_be_visible()
        expect(page.get_by_text("Work on fluency")).to_be_hidden()
        page.get_by_text("As measured").click()
        expect(page.get_by_text("Work on fluency")).to_be_visible()
    with shown(browser, server.url, f"/sessions/{planted(server, given())}", expected="status of 404") as page:
        expect(page.get_by_text("There is no score yet: this needs 38 s more speech.")).to_be_visible()


def test_the_style_and_the_text_are_chosen_before_a_practice_and_the_style_is_remembered(browser: Browser, server: Running) -> None:
    with shown(browser, server.url, expected="status of 503") as page:
        style = page.get_by_label("Scored as")
        expect(style).to_have_value("talk")
        expect(page.get_by_label("Text you will read")).to_have_count(0)
        style.select_option("read-aloud")
        page.get_by_label("Text you will read").fill("  It was the best of times.\nIt was the worst of times. ")
        with page.expect_request(lambda request: request.method == "POST" and request.url.endswith("/v1/sessions")) as asked:
            page.get_by_role("button", name="Start recording").click()
        wanted = json.loads(asked.value.post_data or "")
        assert wanted["style"] == "read-aloud"
        assert wanted["script"] == "It was the best of times.\nIt was the worst of times."
        page.goto(server.url + "/")
        expect(page.get_by_label("Scored as")).to_have_value("read-aloud")


def test_an_upload_is_scored_as_chosen_without_a_text_that_is_not_read(browser: Browser, server: Running, tmp_path: Path) -> None:
    (tmp_path / "one.wav").write_bytes(bytes(1000))
    with shown(browser, server.url, "/") as page:
        page.get_by_label("Scored as").select_option("read-aloud")
        page.get_by_label("Text you will read").fill("Once upon a time")
        page.get_by_label("Scored as").select_option("interview")
        with page.expect_request(lambda request: request.method == "POST" and request.url.endswith("/v1/sessions")) as asked:
            page.locator("input[type=file]").set_input_files(tmp_path / "one.wav")
        wanted = json.loads(asked.value.post_data or "")
        assert wanted["style"] == "interview"
        assert "script" not in wanted
        page.wait_for_url("**/sessions/*")
