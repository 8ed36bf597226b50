"""The practice page on a network that fails: another way round, the same session again, and a recording without a hole."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from scipy.signal import correlate, resample_poly

from batch.decode import decode
from batch.segments import join
from engines.embedded import Servers
from speech.audio import RATE_HZ, Floats
from tests.api_server import Running, running, settings_for
from tests.databases import database
from tests.relays import Relay, relay
from tests.samples import recording
from tests.test_practice import chromium, hearing

CLOCK = re.compile(r"(\d+):(\d\d)")


@pytest.fixture(scope="module")
def server(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("reconnect")
    with database(servers.database_url) as url, running(settings_for(folder), replace(servers, database_url=url)) as made:
        yield made
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def reading(server: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser into which somebody reads aloud for 44 s."""
    del server  # as in test_pages.py: it begins before Playwright
    folder = tmp_path_factory.mktemp("voice")
    with sync_playwright() as playwright:
        browser = chromium(playwright, *hearing(folder / "talk.wav", resample_poly(recording(), 3, 1)))
        yield browser
        browser.close()
    shutil.rmtree(folder)


@pytest.fixture
def network(server: Running) -> Iterator[Relay]:
    with relay(server) as made:
        yield made


def started(browser: Browser, network: Relay) -> Page:
    page = browser.new_page()
    page.set_default_timeout(20_000)
    network.lead(page)
    page.goto(f"{network.url}/practice")
    page.get_by_role("button", name="Start recording").click()
    return page


def spoken_s(page: Page) -> int:
    minutes, seconds = CLOCK.findall(page.locator(".running .clock").inner_text())[0]
    return 60 * int(minutes) + int(seconds)


def wait_for(page: Page, s: int) -> None:
    """Until the page's clock shows so much."""
    expect(page.locator(".running .clock")).to_have_text(
        re.compile(rf"0:({'|'.join(f'{n:02}' for n in range(s, s + 10))})"), timeout=20_000
    )


def recorded(server: Running, page: Page, folder: Path) -> tuple[Floats, float]:
    """What the server has of it after the end, and how much of that is missing, in seconds."""
    page.get_by_role("button", name="Stop").click()
    page.wait_for_url(re.compile("/sessions/"))
    session = page.url.rpartition("/")[2]
    page.close()
    path = folder / "joined.flac"
    server.do(join(server.state["blobs"], f"{server.state['member'].org}/{session}/live/", path))
    found = decode(path)
    return found.pcm, sum(span.end - span.start for span in found.lost) / RATE_HZ


def places(pcm: Floats) -> list[float]:
    """For each second of the recording where in the reading, which is repeated, it was said; in seconds from where the median has it."""
    twice, once_s = np.tile(recording(), 2), recording().size / RATE_HZ
    power = np.cumsum(np.pad(twice.astype(np.float64) ** 2, (1, 0)))
    loud = np.sqrt(power[RATE_HZ:] - power[:-RATE_HZ]) + 0.1  # else a louder place is likelier than the right one
    found = []
    for start in range(0, pcm.size - RATE_HZ, RATE_HZ):
        piece = pcm[start : start + RATE_HZ]
        if np.sqrt(np.mean(piece**2)) < 0.002:
            continue  # a pause is anywhere
        at = int(np.argmax(correlate(twice, piece, "valid", "fft") / loud))
        found.append((at - start) / RATE_HZ)
    usual = np.median(np.mod(found, once_s))
    return [(at - usual + once_s / 2) % once_s - once_s / 2 for at in found]


def test_a_cut_of_webrtc_leaves_no_hole(reading: Browser, server: Running, network: Relay, tmp_path: Path) -> None:
    page = started(reading, network)
    wait_for(page, 4)
    network.cut()
    expect(page.locator(".notice")).to_contain_text("Your last minute is kept", timeout=10_000)
    wait_for(page, spoken_s(page) + 1)
    network.mend()
    with page.expect_response(re.compile("/fill")) as answer:
        expect(page.locator(".notice")).to_be_empty(timeout=10_000)
    assert answer.value.json()["lost"] == []
    pcm, lost_s = recorded(server, page, tmp_path)
    found = places(pcm)
    assert lost_s < 0.05
    assert len(found) > 5
    assert np.ptp(found) < 0.1


def test_where_udp_is_blocked_sound_goes_over_a_websocket_and_survives_a_cut(
    reading: Browser, server: Running, network: Relay, tmp_path: Path
) -> None:
    network.drop_udp = True
    page = started(reading, network)
    wait_for(page, 6)
    network.cut()
    expect(page.locator(".notice")).to_contain_text("Connection lost. Your last minute is kept; reconnecting", timeout=10_000)
    wait_for(page, spoken_s(page) + 2)
    network.mend()
    expect(page.locator(".running")).to_contain_text("Recording")
    wait_for(page, spoken_s(page) + 2)
    pcm, lost_s = recorded(server, page, tmp_path)
    found = places(pcm)
    assert lost_s == 0
    assert len(found) > 5
    assert np.ptp(found) < 0.02
