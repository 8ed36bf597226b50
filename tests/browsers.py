"""Chromium as the tests of the practice page drive it: who speaks into it, and pages that are held to have complained of nothing."""

import shutil
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Playwright, sync_playwright
from scipy.signal import resample_poly

from engines.embedded import Servers
from speech.audio import Floats
from tests.api_server import Running, running, settings_for
from tests.databases import database
from tests.samples import recording
from tests.test_page import FLAGS

FAKE = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
RATE_HZ = 48_000

# Where in the page what nobody touches lies, to the pixel: it must not move when something is told.
PLACES = """() => [...document.querySelectorAll(".studio .main, .overlay-links, .transcript, .dials, .pitch, .more")].map((one) => {
  const { x, y } = one.getBoundingClientRect();
  return [one.className, Math.round(x), Math.round(y + scrollY)];
})"""


@contextmanager
def serving(servers: Servers, folder: Path, *, recognise: bool = False) -> Iterator[Running]:
    """A server with a database of its own. It must begin before Playwright and end after it, whose event loop suffers no other."""
    with database(servers.database_url) as url, running(settings_for(folder), replace(servers, database_url=url), recognise) as made:
        yield made
    shutil.rmtree(folder, ignore_errors=True)


def chromium(playwright: Playwright, *arguments: str) -> Browser:
    """A browser with these switches besides the usual ones; skips where there is none."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("no Chromium on this machine; Debian has it as the package chromium")
    return playwright.chromium.launch(executable_path=path, args=[*FLAGS.split(), *arguments])


def hearing(path: Path, pcm: Floats) -> list[str]:
    """Switches that make this sound, (n,) at 48 kHz, what every microphone hears, again and again."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(np.rint(np.clip(pcm, -1, 1) * 32767).astype("<i2").tobytes())
    return [*FAKE, f"--use-file-for-fake-audio-capture={path}"]


@contextmanager
def read_to(folder: Path) -> Iterator[Browser]:
    """A browser into which somebody reads the opening of A Tale of Two Cities, for 44 s, and again."""
    with sync_playwright() as playwright:
        browser = chromium(playwright, *hearing(folder / "talk.wav", resample_poly(recording(), 3, 1)))
        yield browser
        browser.close()
    shutil.rmtree(folder)


@contextmanager
def shown(browser: Browser, url: str, path: str = "/practice", script: str = "", expected: str = "nothing") -> Iterator[Page]:
    """A page, held to have asked for nothing outside and complained of nothing but what is expected."""
    complaints: list[str] = []
    page = browser.new_page(viewport={"width": 1200, "height": 844})
    page.set_default_timeout(15_000)
    page.add_init_script(script)
    page.on("console", lambda message: None if expected in message.text else complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith(f"{url}/") else complaints.append(request.url))
    page.goto(url + path)
    yield page
    page.close()
    assert complaints == []
