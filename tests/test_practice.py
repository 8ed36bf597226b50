"""The practice page in a real browser before anybody speaks: which microphone, how loud, what the browser does to it, what is wrong."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Playwright, Route, expect, sync_playwright

from engines.embedded import Servers
from speech.audio import Floats
from tests.api_server import Running
from tests.browsers import FAKE, PLACES, RATE_HZ, chromium, hearing, serving, shown
from tests.test_page import CONTRASTS


@pytest.fixture(scope="module")
def server(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(servers, tmp_path_factory.mktemp("practice")) as made:
        yield made


@pytest.fixture(scope="module")
def playwright(server: Running) -> Iterator[Playwright]:
    del server  # it begins before Playwright
    with sync_playwright() as started:
        yield started


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
        expect(page.get_by_role("combobox", name="Scored as")).to_be_visible()
        reached = []
        for _ in range(6):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("(document.activeElement.id || document.activeElement.innerText).trim()"))
        assert reached == ["Skip to the content", "Elocute", "All sessions", "microphone", "style", "Start recording"]
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


def test_the_start_is_calm_and_moves_nothing(beeping: Browser, server: Running) -> None:
    offers: list[Route] = []
    with shown(beeping, server.url) as page:
        page.route(re.compile("/offer$"), lambda route: offers.append(route))
        with page.expect_request(re.compile("/offer$")):
            page.get_by_role("button", name="Start recording").press("Enter")
        expect(page.locator(".running")).to_contain_text("Connecting…")
        expect(page.locator(".notice")).to_be_empty()
        expect(page.get_by_role("status").last).to_have_text("Connecting")
        expect(page.get_by_role("button", name="Stop and get the report")).to_be_focused()
        before = page.evaluate(PLACES)
        assert len(before) == 6
        offers[0].continue_()
        expect(page.locator(".running")).to_contain_text("Recording")
        expect(page.locator(".notice")).to_be_empty()
        assert page.evaluate(PLACES) == before
        page.keyboard.press("Enter")
        expect(page.locator(".running")).to_contain_text("Stopping")
        assert page.evaluate(PLACES) == before
        page.wait_for_url(re.compile("/sessions/"))


def test_a_start_whose_answer_was_lost_makes_one_session(beeping: Browser, server: Running) -> None:
    keys: list[str] = []

    def lose(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            route.fetch()  # the server has made it
            route.abort()
        else:
            route.continue_()

    before = {row["id"] for row in server.sql("select id from sessions")}
    with shown(beeping, server.url, expected="net::ERR_FAILED") as page:
        page.route(re.compile("/v1/sessions$"), lose)
        page.get_by_role("button", name="Start recording").press("Enter")
        expect(page.locator(".trouble")).to_contain_text("The server cannot be reached.")
        expect(page.get_by_role("button", name="Start recording")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator(".running")).to_contain_text("Recording")
        made = {row["id"] for row in server.sql("select id from sessions")} - before
        assert [str(one) for one in made] == [page.url.rpartition("/")[2]]
        assert len(keys) == 2
        page.get_by_role("button", name="Stop and get the report").press("Enter")
        page.wait_for_url(re.compile("/sessions/"))
        page.unroute_all()
        page.goto(f"{server.url}/practice")
        with page.expect_request(re.compile("/v1/sessions$")) as next_one:
            page.get_by_role("button", name="Start recording").press("Enter")
        assert next_one.value.headers["idempotency-key"] not in keys


def test_an_upload_whose_first_answer_was_lost_makes_one_session(beeping: Browser, server: Running, tmp_path: Path) -> None:
    lost: list[Route] = []

    def lose(route: Route) -> None:
        if route.request.method == "POST" and not lost:
            lost.append(route)
            route.fetch()
            route.abort()
        else:
            route.continue_()

    path = tmp_path / "lost.wav"
    hearing(path, syllables(0.2))
    with shown(beeping, server.url, "/", expected="net::ERR_FAILED") as page:
        page.route(re.compile("/v1/sessions$"), lose)
        page.locator("input[type=file]").set_input_files(path)
        page.get_by_role("button", name="Try again").click()
        page.wait_for_url(re.compile("/sessions/"))
        (made,) = server.sql("select id, state from sessions where title = 'lost'")
        assert str(made["id"]) == page.url.rpartition("/")[2]


def test_another_window_may_take_over_and_silence_is_asked_about(playwright: Playwright, server: Running, tmp_path: Path) -> None:
    browser = chromium(playwright, *hearing(tmp_path / "nothing.wav", np.zeros(RATE_HZ, np.float32)))
    deaf = "RTCPeerConnection.prototype.close = () => undefined; Object.defineProperty(RTCPeerConnection.prototype, 'connectionState', { get: () => 'connected' })"  # noqa: E501
    elsewhere = "Another window speaks for this session now. What you say here is not heard."
    with shown(browser, server.url, script=deaf) as first:  # only the session's events tell it
        first.get_by_role("button", name="Start recording").click()
        expect(first.locator(".running")).to_contain_text("Recording")
        before = first.evaluate(PLACES)
        session = first.url.rpartition("/")[2]
        with shown(browser, server.url, f"/practice/{session}") as second:
            expect(second.locator("h1")).to_have_text("Your session is still open")
            second.get_by_role("button", name="Go on recording").click()
            expect(first.locator(".notice .note")).to_have_text(elsewhere)
            expect(first.get_by_role("status").last).to_have_text(elsewhere)
            assert first.evaluate(PLACES) == before
            expect(second.locator(".running")).to_contain_text("Recording")
            first.get_by_role("button", name="Speak here again").press("Enter")
            expect(first.get_by_role("button", name="Stop and get the report")).to_be_focused()
            expect(second.locator(".notice .note")).to_have_text(elsewhere)
            said = "We hear nothing from Fake Default Audio Input: is it muted?"
            expect(first.locator(".notice .trouble")).to_have_text(said, timeout=15_000)
            expect(first.get_by_role("status").last).to_have_text(said)
            first.get_by_role("button", name="Use Fake Audio Input 1").click()
            expect(first.locator(".notice")).to_be_empty()  # for ten seconds more
            first.get_by_role("button", name="Stop and get the report").click()
            first.wait_for_url(f"{server.url}/sessions/{session}")
            second.wait_for_url(f"{server.url}/sessions/{session}")
    browser.close()


def test_the_first_page_leads_to_practice(beeping: Browser, server: Running) -> None:
    with shown(beeping, server.url, "/") as page:
        page.get_by_role("link", name="Practise now").click()
        page.wait_for_url(f"{server.url}/practice")
        expect(page.locator("h1")).to_have_text("Practise")
