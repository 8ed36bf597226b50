"""Live practice in a real browser with the real recogniser: start, words while they are spoken, stop, and the session's page."""

import re
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from playwright.sync_api import Browser, expect

from db import sessions
from engines.embedded import Servers
from tests.api_server import Running
from tests.browsers import read_to, serving, shown
from tests.test_page import CONTRASTS

# Everything that a screen reader says by itself, as it comes.
LISTEN = """() => {
  window.said = [];
  const note = (changes) => {
    const live = new Set(changes.map(({ target }) => (target.closest ? target : target.parentElement)?.closest("[role=status], [role=alert], [aria-live]")));
    for (const one of live) if (one) said.push(one.textContent);
  };
  new MutationObserver(note).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""  # noqa: E501
CONTROLS = {"button", "link", "checkbox", "combobox", "textbox", "meter", "DisclosureTriangle"}


@pytest.fixture(scope="module")
def server(servers: Servers, data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("live")
    (data_folder / "models").mkdir(exist_ok=True)
    (folder / "models").symlink_to(data_folder / "models")  # joined once for all tests
    with serving(servers, folder, recognise=True) as made:
        yield made


@pytest.fixture(scope="module")
def reading(server: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    del server  # it begins before Playwright
    with read_to(tmp_path_factory.mktemp("voice")) as browser:
        yield browser


def test_words_come_while_they_are_spoken_and_the_end_leads_to_the_session(reading: Browser, server: Running) -> None:
    with shown(reading, server.url) as page:
        page.get_by_role("button", name="Start recording").click()
        stop = page.get_by_role("button", name="Stop and get the report")
        expect(stop).to_be_focused()
        expect(page.locator(".running")).to_contain_text("Recording", timeout=20_000)
        expect(page.get_by_role("status").last).to_have_text("Recording. Speak.")
        page.evaluate(LISTEN)
        expect(page.locator(".live")).to_contain_text(re.compile("it was the", re.I), timeout=30_000)
        assert [words for words in page.evaluate("said") if words] == []  # words are not for who listens, unless asked for
        page.get_by_text("All numbers").click()
        tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
        controls = [node["name"]["value"] for node in tree if not node["ignored"] and node["role"]["value"] in CONTROLS]
        assert len(controls) >= 8
        assert all(controls)
        for _ in range(len(controls)):
            page.keyboard.press("Tab")
            outline = page.evaluate(
                "document.activeElement === document.body ? 'solid' : getComputedStyle(document.activeElement).outlineStyle"
            )
            assert outline == "solid"
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
