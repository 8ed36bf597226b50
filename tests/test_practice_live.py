"""Live practice in a real browser with the real recogniser: start, words while they are spoken, stop, and the session's page."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from playwright.sync_api import Browser, expect, sync_playwright
from scipy.signal import resample_poly

from db import sessions
from engines.embedded import Servers
from tests.api_server import Running, running, settings_for
from tests.databases import database
from tests.samples import recording
from tests.test_page import CONTRASTS
from tests.test_practice import chromium, hearing, shown


@pytest.fixture(scope="module")
def server(servers: Servers, data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("live")
    (data_folder / "models").mkdir(exist_ok=True)
    (folder / "models").symlink_to(data_folder / "models")  # joined once for all tests
    with (
        database(servers.database_url) as url,
        running(settings_for(folder), replace(servers, database_url=url), recognise=True) as made,
    ):
        yield made
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def reading(server: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser into which somebody reads the opening of A Tale of Two Cities."""
    del server  # as in test_pages.py: it begins before Playwright
    folder = tmp_path_factory.mktemp("voice")
    with sync_playwright() as playwright:
        browser = chromium(playwright, *hearing(folder / "talk.wav", resample_poly(recording(), 3, 1)))
        yield browser
        browser.close()
    shutil.rmtree(folder)


def test_words_come_while_they_are_spoken_and_the_end_leads_to_the_session(reading: Browser, server: Running) -> None:
    with shown(reading, server.url) as page:
        page.get_by_role("button", name="Start recording").click()
        stop = page.get_by_role("button", name="Stop and get the report")
        expect(stop).to_be_focused()
        expect(page.locator(".running")).to_contain_text("Recording", timeout=20_000)
        expect(page.get_by_role("status").last).to_have_text("Recording. Speak.")
        expect(page.locator(".live")).to_contain_text(re.compile("it was the", re.I), timeout=30_000)
        assert page.title() == "● Recording · Elocute"
        session = page.url.rpartition("/")[2]
        assert page.get_by_role("link", name="Overlay").get_attribute("href") == f"{server.url}/overlay/{session}"
        assert not page.evaluate("dispatchEvent(new Event('beforeunload', { cancelable: true }))")  # the browser asks before it closes
        for width in (390, 320, 1200):
            page.set_viewport_size({"width": width, "height": 844})
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            assert [found for found in page.evaluate(CONTRASTS) if found[0] < found[1]] == [], scheme
        page.keyboard.press("Control+Enter")
        page.wait_for_url(f"{server.url}/sessions/{session}", timeout=30_000)
        expect(page.locator("h1")).to_contain_text("Practice, ")
        found = server.tenant(lambda tx: sessions.get(tx, UUID(session)))
        assert (found.state, found.kind, found.interrupted) == ("processing", "live", False)
        page.goto(f"{server.url}/practice/{session}")  # over is over
        page.wait_for_url(f"{server.url}/sessions/{session}")
