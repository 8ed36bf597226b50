"""The practice page on a network that fails: another way round, the same session again, and a recording without a hole."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect
from scipy.signal import correlate

from batch.decode import decode
from batch.segments import join
from engines.embedded import Servers
from speech.audio import RATE_HZ, Floats
from tests.api_server import Running
from tests.browsers import PLACES, read_to, serving
from tests.relays import Relay, relay
from tests.samples import recording

CLOCK = re.compile(r"(\d+):(\d\d)")


@pytest.fixture(scope="module")
def server(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(servers, tmp_path_factory.mktemp("reconnect")) as made:
        yield made


@pytest.fixture(scope="module")
def reading(server: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    del server  # it begins before Playwright
    with read_to(tmp_path_factory.mktemp("voice")) as browser:
        yield browser


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
    page.wait_for_url(re.compile("/sessions/"))
    session = page.url.rpartition("/")[2]
    page.close()
    path = folder / "joined.flac"
    server.do(join(server.state["blobs"], f"{server.state['member'].org}/{session}/live/", path))
    found = decode(path)
    return found.pcm, sum(span.end - span.start for span in found.lost) / RATE_HZ


def places_of(pcm: Floats) -> list[float]:
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


def test_a_cut_leaves_no_hole(reading: Browser, server: Running, tmp_path: Path) -> None:
    """Of WebRTC, and of the WebSocket where UDP is blocked: at the same time, since it takes as long as it takes."""
    with ExitStack() as opened:
        networks = [opened.enter_context(relay(server)) for _ in range(2)]
        networks[1].drop_udp = True
        pages = [started(reading, network) for network in networks]
        for page in pages:
            wait_for(page, 4)
        places = [page.evaluate(PLACES) for page in pages]
        for network in networks:
            network.cut()
        for page in pages:
            expect(page.locator(".notice .trouble")).to_have_text(
                "Connection lost. Your last minute is kept; reconnecting…", timeout=10_000
            )
        assert [page.evaluate(PLACES) for page in pages] == places
        for page in pages:
            wait_for(page, spoken_s(page) + 1)
        with pages[0].expect_response(re.compile("/fill")) as answer:
            for network in networks:
                network.mend()
            for page in pages:
                page.evaluate("dispatchEvent(new Event('online'))")  # it need not wait for its next try
            for page in pages:
                expect(page.locator(".notice")).to_be_empty(timeout=10_000)
                expect(page.locator(".running")).to_contain_text("Recording")
        assert answer.value.json()["lost"] == []
        wait_for(pages[1], spoken_s(pages[1]) + 2)
        for page in pages:
            page.get_by_role("button", name="Stop").click()
        for page, most_lost_s, most_moved_s in zip(pages, (0.05, 0.0), (0.1, 0.02), strict=True):
            pcm, lost_s = recorded(server, page, tmp_path)
            found = places_of(pcm)
            assert lost_s <= most_lost_s
            assert len(found) > 5
            assert np.ptp(found) < most_moved_s
