"""The practice page in a real browser before anybody speaks: which microphone, how loud, what the browser does to it, what is wrong."""

import re
import shutil
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

from engines.embedded import Servers
from speech.audio import Floats
from tests.api_server import Running, running, settings_for
from tests.databases import database
from tests.test_page import CONTRASTS, FLAGS

FAKE = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
RATE_HZ = 48_000


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


@pytest.fixture(scope="module")
def server(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("practice")
    with database(servers.database_url) as url, running(settings_for(folder), replace(servers, database_url=url)) as made:
        yield made
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def playwright(server: Running) -> Iterator[Playwright]:
    del server  # it begins before Playwright and ends after it: beside Playwright's loop there can be no asyncio.run
    with sync_playwright() as started:
        yield started


@contextmanager
def shown(browser: Browser, url: str, path: str = "/practice", script: str = "") -> Iterator[Page]:
    """A page, held to have asked for nothing outside and complained of nothing."""
    complaints: list[str] = []
    page = browser.new_page(viewport={"width": 1200, "height": 844})
    page.set_default_timeout(15_000)
    page.add_init_script(script)
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith(f"{url}/") else complaints.append(request.url))
    page.goto(url + path)
    yield page
    page.close()
    assert complaints == []


@pytest.fixture(scope="module")
def beeping(playwright: Playwright) -> Iterator[Browser]:
    """Three microphones that beep once a second."""
    browser = chromium(playwright, *FAKE)
    yield browser
    browser.close()


def syllables(level: float) -> Floats:
    """Six seconds of a tone that swells four times a second, to this amplitude."""
    t = np.arange(6 * RATE_HZ) / RATE_HZ
    pcm: Floats = (level * np.sin(2 * np.pi * 150 * t) * np.sin(2 * np.pi * 2 * t) ** 2).astype(np.float32)
    return pcm


@pytest.mark.parametrize(
    ("level", "word", "dbfs"),
    [
        (0.0, "Silent Nothing is heard from Fake Default Audio Input", None),
        (0.008, "Too quiet Say a sentence", -47),
        (0.2, "Good The level is right.", -19),
        (2.0, "Clipping Loud sounds are cut off", None),
    ],
)
def test_the_level_is_told_in_words(
    playwright: Playwright, server: Running, tmp_path: Path, level: float, word: str, dbfs: int | None
) -> None:
    browser = chromium(playwright, *hearing(tmp_path / "heard.wav", syllables(level)))
    with shown(browser, server.url) as page:
        verdict = page.locator(".verdict")
        expect(verdict).to_contain_text(word)
        expect(page.get_by_role("status")).to_contain_text(word.split(" ", 2)[-1][:20])
        if dbfs is not None:
            told = re.search(r"−(\d+) dBFS", verdict.inner_text())
            assert told is not None
            assert -int(told[1]) == pytest.approx(dbfs, abs=2)
    browser.close()


def test_before_permission_the_page_says_what_will_happen(beeping: Browser, server: Running) -> None:
    prompt = "navigator.permissions.query = () => Promise.resolve({ state: 'prompt' })"
    with shown(beeping, server.url, script=prompt) as page:
        expect(page.get_by_text("Nothing is sent or recorded before you start.")).to_be_visible()
        page.get_by_role("button", name="Check the microphone").press("Enter")
        expect(page.get_by_role("meter", name="Level of Fake Default Audio Input")).to_be_visible()
        expect(page.get_by_text("your voice is recorded and kept on this server")).to_be_visible()
        expect(page.get_by_role("button", name="Start recording")).to_be_enabled()
    assert server.sql("select id from sessions") == []  # nothing was made for who only looked


def test_a_microphone_is_chosen_and_remembered(beeping: Browser, server: Running) -> None:
    context = beeping.new_context()
    page = context.new_page()
    page.goto(f"{server.url}/practice")
    choice = page.get_by_role("combobox", name="Microphone")
    expect(choice.locator("option")).to_have_text(["Fake Default Audio Input", "Fake Audio Input 1", "Fake Audio Input 2"])
    choice.select_option(label="Fake Audio Input 2")
    expect(page.get_by_role("meter", name="Level of Fake Audio Input 2")).to_be_visible()
    page.reload()
    expect(page.get_by_role("meter", name="Level of Fake Audio Input 2")).to_be_visible()
    assert choice.locator("option:checked").inner_text() == "Fake Audio Input 2"
    context.close()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("", "Echo cancellation, noise suppression and automatic gain are off: what is measured is your voice."),
        ("autoGainControl: true", "The browser keeps automatic gain on: loudness and pauses are measured as it makes them, not as you do."),
        ("noiseSuppression: undefined", "The browser does not say whether noise suppression is off."),
        ('echoCancellation: "all", autoGainControl: undefined', "The browser keeps echo cancellation on: loudness and pauses are measured as it makes them, not as you do. It does not say whether automatic gain is off."),  # noqa: E501
    ],
)  # fmt: skip
def test_what_the_browser_does_to_the_sound_is_read_back(beeping: Browser, server: Running, settings: str, said: str) -> None:
    really = "const really = MediaStreamTrack.prototype.getSettings;"
    script = f"{really} MediaStreamTrack.prototype.getSettings = function () {{ return {{ ...really.call(this), {settings} }}; }}"
    with shown(beeping, server.url, script=script) as page:
        expect(page.locator(".sound")).to_have_text(said)


@pytest.mark.parametrize(
    ("switches", "said"),
    [
        ([FAKE[0], f"{FAKE[1]}=deny"], "The browser was not allowed to use the microphone. Allow it in the address bar and try again."),
        ([FAKE[1]], "No microphone was found. Plug one in and try again, or drop a recording instead."),
    ],
)
def test_without_a_microphone_the_page_says_why(playwright: Playwright, server: Running, switches: list[str], said: str) -> None:
    browser = chromium(playwright, *switches)
    with shown(browser, server.url) as page:
        expect(page.locator(".trouble")).to_have_text(said)
        expect(page.get_by_role("status")).to_have_text(said)
        page.get_by_role("button", name="Try again").click()
        expect(page.locator(".trouble")).to_have_text(said)
    browser.close()


def test_a_microphone_that_is_pulled_out_is_missed(beeping: Browser, server: Running) -> None:
    keep = "const ask = MediaDevices.prototype.getUserMedia; MediaDevices.prototype.getUserMedia = async function (wanted) { const got = await ask.call(this, wanted); window.track = got.getAudioTracks()[0]; return got; }"  # noqa: E501
    with shown(beeping, server.url, script=keep) as page:
        expect(page.get_by_role("button", name="Start recording")).to_be_enabled()
        page.evaluate("() => { track.stop(); track.dispatchEvent(new Event('ended')); }")  # as when it is gone
        expect(page.locator(".trouble")).to_have_text("Fake Default Audio Input is gone. Plug it in again, or choose another one.")
        expect(page.get_by_role("button", name="Start recording")).to_be_disabled()
        page.get_by_role("combobox", name="Microphone").select_option(label="Fake Audio Input 1")
        expect(page.get_by_role("meter", name="Level of Fake Audio Input 1")).to_be_visible()
        expect(page.get_by_role("button", name="Start recording")).to_be_enabled()


def test_the_check_is_reached_by_keyboard_and_fits_a_phone(beeping: Browser, server: Running) -> None:
    with shown(beeping, server.url) as page:
        expect(page.get_by_role("button", name="Start recording")).to_be_enabled()
        reached = []
        for _ in range(5):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("(document.activeElement.id || document.activeElement.innerText).trim()"))
        assert reached == ["Skip to the content", "Elocute", "All sessions", "microphone", "Start recording"]
        for width in (390, 320):
            page.set_viewport_size({"width": width, "height": 844})
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            contrasts = page.evaluate(CONTRASTS)
            assert len(contrasts) > 5
            assert [found for found in contrasts if found[0] < found[1]] == [], scheme


def test_a_refused_start_is_told_and_leaves_nothing_behind(beeping: Browser, server: Running) -> None:
    busy = {"title": "Busy", "detail": "Too many people are speaking here right now.", "code": "busy"}
    page = beeping.new_page()
    page.route(re.compile("/offer$"), lambda route: route.fulfill(status=503, content_type="application/problem+json", json=busy))
    page.goto(f"{server.url}/practice")
    with page.expect_response(lambda response: response.request.method == "DELETE"):
        page.get_by_role("button", name="Start recording").click()
    expect(page.locator(".trouble")).to_have_text(busy["detail"])
    expect(page.get_by_role("button", name="Start recording")).to_be_enabled()
    assert page.url == f"{server.url}/practice"
    with page.expect_response(lambda response: response.request.method == "DELETE"):
        page.get_by_role("button", name="Start recording").click()
    assert server.sql("select id from sessions") == []
    page.close()


def test_silence_is_asked_about_and_another_window_may_take_over(playwright: Playwright, server: Running, tmp_path: Path) -> None:
    browser = chromium(playwright, *hearing(tmp_path / "nothing.wav", np.zeros(RATE_HZ, np.float32)))
    with shown(browser, server.url) as first:
        first.get_by_role("button", name="Start recording").click()
        said = "We hear nothing from Fake Default Audio Input: is it muted?"
        expect(first.locator(".notice")).to_contain_text(said, timeout=20_000)
        expect(first.get_by_role("status").last).to_have_text(said)
        first.get_by_role("button", name="Use Fake Audio Input 1").click()
        expect(first.locator(".notice")).to_be_empty()  # for ten seconds more
        session = first.url.rpartition("/")[2]
        with shown(browser, server.url, f"/practice/{session}") as second:
            expect(second.locator("h1")).to_have_text("Your session is still open")
            second.get_by_role("button", name="Go on recording").click()
            expect(first.locator(".notice")).to_contain_text("Another window speaks for this session now", timeout=15_000)
            second.get_by_role("button", name="Stop and get the report").click()
            second.wait_for_url(f"{server.url}/sessions/{session}")
            first.wait_for_url(f"{server.url}/sessions/{session}")
    browser.close()


def test_the_first_page_leads_to_practice(beeping: Browser, server: Running) -> None:
    with shown(beeping, server.url, "/") as page:
        page.get_by_role("link", name="Practise now").click()
        page.wait_for_url(f"{server.url}/practice")
        expect(page.locator("h1")).to_have_text("Practise")
