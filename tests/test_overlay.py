"""What is seen while somebody speaks, in a real browser: the overlay, and the live view of the practice page, from planted events."""

import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, WebSocketRoute, expect, sync_playwright

from db import sessions
from engines.embedded import Servers
from engines.live_log import Entry
from tests.api_server import Running, running, settings_for
from tests.browsers import FAKE, PLACES, chromium
from tests.test_page import CONTRASTS, until

ALL = "?show=pace,pitch,loudness,fillers,cue,words,time"
EVENTS = re.compile("/v1/ws$")
NUMBERS: dict[str, Any] = {
    "seq": 1,
    "at": 0,
    "over_s": 10.0,
    "rate_wpm": 168.4,
    "articulation_syl_s": 4.62,
    "pause_share": 0.183,
    "longest_pause_s": 1.24,
    "f0_median_hz": 118.4,
    "f0_span_st": 6.1,
    "f0_sd_st": 2.44,
    "level_dbfs": -24.2,
    "fillers_per_min": 6.0,
    "lost_share": 0.0,
    "degraded": None,
}


class Spoken:
    """A live session as its events tell it, put into the log of the server that the browser asks."""

    def __init__(self, server: Running) -> None:
        self.server = server
        self.session: UUID = server.tenant(lambda tx: sessions.create(tx, "Live", "live")).id

    def say(self, *entries: Entry) -> int:
        """Append events; the seq of the last."""
        return self.server.do(self.server.state["live_log"].append_many(self.session, entries))

    def live(self) -> None:
        """It has begun."""
        self.say(Entry("state", 0, {"session": "live"}), Entry("state", 0, {"language": "en"}))

    @property
    def overlay(self) -> str:
        return f"/overlay/{self.session}"


def word(text: str, start_s: float, kind: str = "word") -> dict[str, Any]:
    return {"text": text, "start_s": start_s, "end_s": start_s + 0.3, "probability": 0.9, "kind": kind}


def words(text: str, start_s: float) -> list[dict[str, Any]]:
    return [word(one, start_s + 0.4 * place) for place, one in enumerate(text.split())]


def tokens(at_s: float, committed: list[dict[str, Any]], tentative: list[dict[str, Any]] = [], **more: Any) -> Entry:  # noqa: B006
    return Entry("tokens", round(at_s * 1000), {"committed": committed, "tentative": tentative, "heard_to_s": at_s, **more})


def metrics(at_s: float, **changed: Any) -> Entry:
    tick: dict[str, Any] = {name: changed.pop(name) for name in ("pitch_hz", "levels_dbfs") if name in changed}
    of_10 = {**NUMBERS, "at": round(at_s * 16_000), **changed}
    windows = {"3": {**of_10, "over_s": 3.0}, "30": {**of_10, "over_s": 30.0, "rate_wpm": 151.2}}
    return Entry("metrics", round(at_s * 1000), {**of_10, "windows": windows, "session": {**of_10, "rate_wpm": 149.9}, **tick})


def cue(at_s: float, text: str) -> Entry:
    data = {"at": round(at_s * 16_000), "kind": "too_fast", "measure": "rate_wpm", "value": 230.0, "over_s": 10.0, "text": text}
    return Entry("cue", round(at_s * 1000), data)


@pytest.fixture(scope="module")
def server(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("overlay")
    with running(settings_for(folder), servers) as started:
        yield started
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def spoken(server: Running) -> Spoken:
    return Spoken(server)


@pytest.fixture(scope="module")
def browser(server: Running) -> Iterator[Browser]:
    del server  # as in test_pages.py
    with sync_playwright() as playwright:
        started = chromium(playwright, *FAKE)
        yield started
        started.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1200, "height": 700}, permissions=["microphone"])
    made.set_default_timeout(15_000)
    yield made
    made.close()


@pytest.fixture
def show(context: BrowserContext, server: Running) -> Iterator[Callable[..., Page]]:
    """Opens a page, and at the end holds it to have complained of nothing but what is expected."""
    complaints: list[str] = []

    def open_page(path: str, expected: str = "nothing", before: Callable[[Page], None] = lambda _: None) -> Page:
        page = context.new_page()
        page.on("console", lambda message: None if expected in message.text else complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: None if request.url.startswith(server.url) else complaints.append(request.url))
        before(page)
        page.goto(server.url + path)
        return page

    yield open_page
    assert complaints == []


@pytest.fixture
def practise(show: Callable[..., Page]) -> Callable[[Spoken], Page]:
    """The practice page as its speaker sees it; the sound goes nowhere, since its events are planted."""

    def open_practice(spoken: Spoken) -> Page:
        def no_sound(page: Page) -> None:
            page.route(re.compile("/offer$"), lambda _: None)
            page.route_web_socket(re.compile("/audio$"), lambda _: None)

        page = show(f"/practice/{spoken.session}", before=no_sound)
        page.get_by_role("button", name=re.compile("^(Start|Go on)")).click()
        page.locator(".live").wait_for()
        return page

    return open_practice


def figure(page: Page, name: str) -> Locator:
    """One number of the overlay, as it is printed."""
    return page.locator(".figure", has=page.locator(".name", has_text=re.compile(f"^{name}$"))).locator(".value")


def told(page: Page) -> Locator:
    return page.locator(".standing")


# the words


def test_words_stay_once_committed_and_fillers_and_pauses_are_marked(practise: Callable[[Spoken], Page], spoken: Spoken) -> None:
    spoken.live()
    page = practise(spoken)
    transcript = page.get_by_role("group", name="Transcript")
    expect(transcript).to_have_text("Your words appear here as you speak.")
    spoken.say(tokens(2, words("I want", 0.4), words("two", 1.2)))
    expect(transcript).to_have_text("I want two ")
    expect(transcript.locator(".tentative")).to_have_text("two ")
    pauses = [{"start_s": 1.5, "end_s": 2.3}, {"start_s": 2.6, "end_s": 4.2}, {"start_s": 5.0, "end_s": 5.3}]
    spoken.say(tokens(6, [word("to", 1.2), word("um", 2.3, "filler"), word("speak.", 4.2)], words("Now", 5.3), pauses=pauses))
    expect(transcript).to_have_text("I want to  um 1.6 s pause speak. Now ")
    expect(transcript.locator("mark")).to_have_text("um")
    assert transcript.locator("mark").evaluate("(mark) => getComputedStyle(mark).textDecorationLine") == "underline"
    expect(transcript.get_by_role("img", name="pause")).to_have_count(1)  # one of 0.3 s is not marked
    expect(transcript.locator(".gap")).to_have_count(1)
    expect(transcript).to_have_attribute("lang", "en")


def test_the_end_stays_in_sight_unless_somebody_reads_further_up(practise: Callable[[Spoken], Page], spoken: Spoken) -> None:
    spoken.live()
    many = words("one two three four five six seven eight nine ten.", 0)
    later = [[{**one, "start_s": one["start_s"] + 10 * k, "end_s": one["end_s"] + 10 * k} for one in many] for k in range(60)]
    spoken.say(*(tokens(10 * k + 5, said) for k, said in enumerate(later)), tokens(650, words("The end of it.", 640)))
    page = practise(spoken)
    box = page.get_by_role("group", name="Transcript")
    expect(box).to_contain_text("The end of it.")
    end = "((box) => box.scrollHeight - box.clientHeight - box.scrollTop < 2)(document.querySelector('.live .words'))"
    until(page, end)
    assert box.locator("p").count() > 3
    page.evaluate("document.querySelector('.live .words').scrollTop = 100")
    expect(page.get_by_role("button", name="Back to now")).to_be_visible()
    spoken.say(tokens(700, words("After that.", 700)))
    expect(box).to_contain_text("After that.")
    assert page.evaluate("document.querySelector('.live .words').scrollTop") == 100
    page.get_by_role("button", name="Back to now").click()
    until(page, end)


# the numbers


def test_the_overlay_tells_the_numbers_of_the_practice_page(
    show: Callable[..., Page], practise: Callable[[Spoken], Page], spoken: Spoken
) -> None:
    spoken.live()
    page, overlay = practise(spoken), show(spoken.overlay + ALL)
    dials = page.locator(".dials figure .sum")
    expect(dials).to_have_text(["– words/min", "– dBFS"])
    expect(figure(overlay, "Pace")).to_have_text("– words/min")
    spoken.say(tokens(3, words("So many words", 1)), metrics(4))
    expect(dials).to_have_text(["168 words/min", "−24 dBFS"])
    expect(figure(overlay, "Pace")).to_have_text("168 words/min")
    expect(figure(overlay, "Loudness")).to_have_text("−24 dBFS")
    expect(figure(overlay, "Fillers")).to_have_text("6.0 per min")
    expect(figure(overlay, "Time")).to_have_text("0:04")
    expect(overlay.locator(".said")).to_have_text("So many words ")
    expect(page.get_by_role("row")).to_have_count(0)  # the rest is for who asks
    page.get_by_text("All numbers").click()
    for said in (
        "Pace words/min 168 151 150",
        "Pauses % of the time 18 18 18",
        "Longest pause 1.2 s 1.2 s 1.2 s",
        "Fillers per minute 6.0 6.0 6.0",
    ):
        expect(page.get_by_role("row", name=said)).to_be_visible()
    spoken.say(metrics(75, rate_wpm=None, level_dbfs=-51.0, fillers_per_min=None, lost_share=0.25, degraded="words come later"))
    expect(dials).to_have_text(["– words/min", "−51 dBFS"])
    expect(figure(overlay, "Pace")).to_have_text("– words/min")
    expect(figure(overlay, "Fillers")).to_have_text("– per min")
    expect(figure(overlay, "Loudness")).to_have_text("−51 quiet")
    expect(figure(overlay, "Time")).to_have_text("1:15")
    amiss = "25 % of the last 10 s of sound did not arrive. The server is busy: words come later."
    expect(page.locator(".amiss")).to_have_text(amiss)
    expect(told(overlay)).to_have_text(amiss)
    spoken.say(metrics(76, rate_wpm=240.0))
    expect(page.locator(".dial figcaption")).to_have_text("Pace fast")
    expect(page.locator(".amiss")).to_be_empty()
    expect(told(overlay)).to_be_empty()


def test_the_ribbon_lies_around_the_speakers_own_median(show: Callable[..., Page], spoken: Spoken) -> None:
    spoken.live()
    # Six semitones above a median of 100 Hz for four seconds, then silence: every 20 ms, as a tick of 200 ms brings them.
    high = [100 * 2**0.5] * 10
    spoken.say(
        *(metrics(26 + k / 5, f0_median_hz=100.0, pitch_hz=high if k < 20 else [None] * 10, levels_dbfs=[-20.0] * 10) for k in range(40))
    )
    page = show(f"{spoken.overlay}?show=pitch,time", expected="Canvas2D")
    expect(figure(page, "Time")).to_have_text("0:33")
    drawn = """() => {
      const canvas = document.querySelector(".ribbon canvas"), { width, height } = canvas;
      const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
      const found = { left: 1, right: 0, top: 1, bottom: 0 };
      for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
        const [r, g, b, a] = data.subarray(4 * (y * width + x));
        if (a < 250 || r > 150 || g < 200) continue; // the accent, not the grid
        found.left = Math.min(found.left, x / width), found.right = Math.max(found.right, x / width);
        found.top = Math.min(found.top, y / height), found.bottom = Math.max(found.bottom, y / height);
      }
      return found;
    }"""
    until(page, f"({drawn})().right > 0")
    found = page.evaluate(drawn)
    # 30 s wide, from -9 to +9 semitones: 33.8 s is now.
    assert found["left"] == pytest.approx((25.8 - 3.8) / 30, abs=0.02)
    assert found["right"] == pytest.approx((29.8 - 3.8) / 30, abs=0.02)
    assert (found["top"] + found["bottom"]) / 2 == pytest.approx(3 / 18, abs=0.08)


def test_no_line_joins_what_lies_far_apart(show: Callable[..., Page], spoken: Spoken) -> None:
    spoken.live()
    # An octave up and down again, and 200 ms between: 0 and 12 semitones around 100 Hz, of which 9 are drawn.
    ticks = [None if k % 3 == 2 else 100.0 * (1 + k // 3 % 2) for k in range(40)]
    spoken.say(*(metrics(26 + k / 5, f0_median_hz=100.0, pitch_hz=[hz] * 10) for k, hz in enumerate(ticks)))
    page = show(f"{spoken.overlay}?show=pitch,time", expected="Canvas2D")
    expect(figure(page, "Time")).to_have_text("0:33")
    drawn = """(from, to) => {
      const canvas = document.querySelector(".ribbon canvas"), { width, height } = canvas;
      const { data } = canvas.getContext("2d").getImageData(0, Math.round(from * height), width, Math.round((to - from) * height));
      let found = 0;
      for (let at = 0; at < data.length; at += 4) if (data[at + 3] > 60 && data[at] < 150 && data[at + 1] > 160) found += 1;
      return found;
    }"""
    until(page, f"({drawn})(0, 1) > 100")
    assert page.evaluate(f"({drawn})(0.2, 0.3)") == 0
    assert page.evaluate(f"({drawn})(0.36, 0.44)") == 0


def test_one_cue_at_a_time_and_not_for_long(show: Callable[..., Page], practise: Callable[[Spoken], Page], spoken: Spoken) -> None:
    spoken.live()
    spoken.say(cue(1, "An old one"), metrics(8))
    page, overlay = practise(spoken), show(spoken.overlay)
    expect(figure(overlay, "Pace")).to_have_text("168 words/min")
    shown = [page.locator(".live .cue"), overlay.locator(".cue")]
    for place in shown:
        expect(place).to_be_empty()
        expect(place).to_have_attribute("role", "status")  # listened to politely, and there before it speaks
    spoken.say(cue(30, "A little slower"), metrics(30.2))
    for place in shown:
        expect(place).to_have_text("A little slower")
    spoken.say(cue(33, "Pause instead of um"))
    for place in shown:
        expect(place).to_have_text("Pause instead of um")
    spoken.say(metrics(38.9))
    expect(figure(overlay, "Pace")).to_be_visible()
    for place in shown:
        expect(place).to_have_text("Pause instead of um")
    spoken.say(metrics(39.2))
    for place in shown:
        expect(place).to_be_empty()


def test_a_cue_goes_also_when_nothing_more_comes(show: Callable[..., Page], spoken: Spoken) -> None:
    spoken.live()
    page = show(spoken.overlay, before=lambda page: page.clock.install())
    spoken.say(metrics(29.8), cue(30, "A little slower"))
    while page.locator(".cue").inner_text() != "A little slower":
        page.clock.run_for(100)
    page.clock.run_for(5000)
    expect(page.locator(".cue")).to_have_text("A little slower")
    page.clock.run_for(1500)
    expect(page.locator(".cue")).to_be_empty()


# the overlay


def test_what_is_shown_is_asked_for_in_the_address(show: Callable[..., Page], spoken: Spoken) -> None:
    spoken.live()
    spoken.say(tokens(1, words("Hello there.", 0)), metrics(2), cue(2, "A little slower"))
    page = show(spoken.overlay)
    names = page.locator(".figure .name")
    expect(figure(page, "Pace")).to_have_text("168 words/min")
    expect(names).to_have_text(["Pace", "Loudness", "Pitch"])
    expect(page.locator(".cue")).to_have_text("A little slower")
    expect(page.locator(".said")).to_have_count(0)
    page = show(f"{spoken.overlay}?show=words,time,fillers&theme=light&size=large&place=top-right")
    expect(page.locator(".said")).to_have_text("Hello there. ")
    expect(names).to_have_text(["Pace", "Loudness", "Pitch"])  # of the first page, still
    expect(page.locator(".figure .name")).to_have_text(["Time", "Fillers"])
    expect(page.locator(".cue")).to_have_count(0)
    box = page.locator(".plate.row").bounding_box()
    assert box is not None
    assert (box["y"] < 200, box["x"] + box["width"] > 1100) == (True, True)
    ink, plate = (
        page.locator(".plate.row").evaluate(f"(plate) => getComputedStyle(plate).{name}") for name in ("color", "backgroundColor")
    )
    assert (ink, plate) == ("rgb(20, 24, 27)", "rgba(255, 255, 255, 0.9)")
    page = show(f"{spoken.overlay}?show=pace,bananas&place=middle")
    expect(page.locator(".figure .name")).to_have_text(["Pace"])
    expect(told(page)).to_contain_text("show=bananas is not among pace, pitch, loudness, fillers, cue, words, time.")
    expect(told(page)).to_contain_text("place=middle is not one of bottom-left,")


def test_nothing_but_the_plates_covers_the_video(show: Callable[..., Page], spoken: Spoken) -> None:
    spoken.live()
    spoken.say(tokens(20, words("word " * 40, 0)), metrics(20), cue(20, "Take a breath: pause after the sentence"))
    page = show(spoken.overlay + ALL)
    expect(figure(page, "Pace")).to_have_text("168 words/min")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        see_through = "all => all.map((one) => getComputedStyle(one)).map((style) => [style.backgroundColor, style.backgroundImage])"
        for background in page.locator("html, body, #app, main").evaluate_all(see_through):
            assert background == ["rgba(0, 0, 0, 0)", "none"]
    for width, height in ((1920, 1080), (800, 600), (390, 300)):
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]") == [width, height]
        for box in page.locator(".plate").evaluate_all(
            "all => all.map((one) => one.getBoundingClientRect()).map((box) => [box.left, box.right])"
        ):
            assert (box[0] >= 0, box[1] <= width) == (True, True)
    assert page.locator("a, button, input").count() == 0
    # The worst ground for white on 84 % black is white: what shines through makes the plate 45 of 255.
    page.evaluate("document.querySelectorAll('.plate, .cue span').forEach((plate) => (plate.style.background = 'rgb(52, 54, 57)'))")
    assert [found for found in page.evaluate(CONTRASTS) if found[0] < found[1]] == []


def test_how_the_session_stands_is_said_in_small_words(show: Callable[..., Page], server: Running, spoken: Spoken) -> None:
    page = show(spoken.overlay)
    expect(told(page)).to_have_text("Waiting for the session to begin.")
    spoken.live()
    expect(told(page)).to_be_empty()
    spoken.say(metrics(5), Entry("state", 5000, {"session": "waiting"}))
    expect(told(page)).to_have_text("Waiting for the speaker to come back.")
    spoken.say(Entry("state", 5000, {"session": "live"}))
    expect(told(page)).to_be_empty()
    spoken.say(Entry("state", 6000, {"session": "processing"}))
    expect(told(page)).to_have_text("This session has ended.")
    # The sums of the finished recording are no live numbers.
    spoken.say(Entry("metrics", 6200, {"rate_wpm": 99.0, "over_s": 6.2}), Entry("state", 6300, {"session": "complete"}))
    page.reload()
    expect(figure(page, "Pace")).to_have_text("168 words/min")
    expect(told(page)).to_have_text("This session has ended.")
    old = Spoken(server)
    server.state_of(str(old.session), "complete")  # so long ago that no events are left
    page.goto(server.url + old.overlay)
    expect(told(page)).to_have_text("This session has ended.")
    page.goto(f"{server.url}/overlay/anything")
    expect(told(page)).to_have_text("There is no such session.")
    page = show(f"/overlay/{UUID(int=0)}", expected="status of 404")
    expect(told(page)).to_have_text("There is no such session.")
    expect(page.locator(".figure")).to_have_count(0)


# the line


def test_after_a_cut_everything_is_there_once(show: Callable[..., Page], spoken: Spoken) -> None:
    lines: list[WebSocketRoute] = []
    asked: list[str] = []

    def watch(line: WebSocketRoute) -> None:
        there = line.connect_to_server()
        lines.append(line)

        def pass_on(message: str | bytes) -> None:
            asked.append(str(message))
            there.send(message)

        line.on_message(pass_on)

    spoken.live()
    seen = spoken.say(tokens(2, words("One two", 0.4), words("tree", 1.2)), metrics(2))
    page = show(f"{spoken.overlay}?show=words,time", before=lambda page: page.route_web_socket(EVENTS, watch))
    expect(page.locator(".said")).to_have_text("One two tree ")
    lines[0].close(code=1001)
    spoken.say(tokens(4, words("three four", 1.2)), metrics(4), tokens(5, [], words("five", 2)))
    expect(page.locator(".said")).to_have_text("One two three four five ")
    expect(figure(page, "Time")).to_have_text("0:05")
    assert len(lines) == 2
    assert re.search(r'"after":(\d+)', asked[0]) and '"after":0' in asked[0]  # noqa: PT018
    assert f'"after":{seen}' in asked[1]


def test_what_comes_twice_or_late_changes_nothing_that_stands(show: Callable[..., Page], spoken: Spoken) -> None:
    lines: list[WebSocketRoute] = []

    def forgetful(line: WebSocketRoute) -> None:
        # A server that begins anew each time.
        there = line.connect_to_server()
        lines.append(line)
        line.on_message(lambda message: there.send(re.sub(r'"after":\d+', '"after":0', str(message))))

    pause = [{"start_s": 1.1, "end_s": 1.9}]
    spoken.live()
    spoken.say(tokens(2, words("One two", 0.4)), tokens(3, words("three", 2), words("for", 2.4), pauses=pause), metrics(3))
    page = show(f"{spoken.overlay}?show=words,time", before=lambda page: page.route_web_socket(EVENTS, forgetful))
    expect(page.locator(".said")).to_have_text("One two three for ")
    lines[0].close(code=1001)
    spoken.say(tokens(4, words("four", 2.4)), metrics(4))
    expect(page.locator(".said")).to_have_text("One two three four ")
    # One that was overtaken: its words find their place, its guesses and numbers count no more.
    spoken.say(tokens(3.5, [word("and", 1.2)], words("wrong", 5)), metrics(1), tokens(5, words("five", 6)))
    expect(page.locator(".said")).to_have_text("One two and three four five ")
    expect(figure(page, "Time")).to_have_text("0:05")
    assert len(lines) == 2


def test_where_no_websocket_gets_through_events_come_all_the_same(show: Callable[..., Page], spoken: Spoken) -> None:
    def refuse(line: WebSocketRoute) -> None:
        line.close(code=1011)

    spoken.live()
    page = show(f"{spoken.overlay}?show=words", before=lambda page: page.route_web_socket(EVENTS, refuse))
    with page.expect_request(re.compile(r"/events\?streams=tokens,metrics,cue,state&after=0")):
        spoken.say(tokens(2, words("By another way", 0.4)))
    expect(page.locator(".said")).to_have_text("By another way ")


def test_while_the_server_is_away_that_is_said(show: Callable[..., Page], spoken: Spoken) -> None:
    spoken.live()
    spoken.say(tokens(2, words("Before", 0.4)), metrics(2))
    away = False
    lines: list[WebSocketRoute] = []

    def line(socket: WebSocketRoute) -> None:
        lines.append(socket)
        if away:
            socket.close(code=1011)
        else:
            socket.connect_to_server()

    page = show(spoken.overlay + ALL, expected="net::ERR", before=lambda page: page.route_web_socket(EVENTS, line))
    expect(page.locator(".said")).to_have_text("Before ")
    away = True
    page.route(re.compile("/v1/sessions/"), lambda route: route.abort())
    lines[0].close(code=1001)
    expect(told(page)).to_have_text("No connection to the server. Trying again…")
    spoken.say(tokens(3, words("after", 2)))
    away = False
    page.unroute_all()
    page.evaluate("dispatchEvent(new Event('online'))")  # as when the network is back: no need to wait for the next try
    expect(page.locator(".said")).to_have_text("Before after ")
    expect(told(page)).to_be_empty()


# for everybody


def test_a_screen_reader_finds_values_and_hears_words_only_when_asked(practise: Callable[[Spoken], Page], spoken: Spoken) -> None:
    spoken.live()
    page = practise(spoken)
    spoken.say(tokens(2, words("Hello there,", 0.4), words("guess", 1.6)), metrics(2))
    view = page.locator(".live")
    expect(page.locator(".dials .sum").first).to_have_text("168 words/min")
    expect(view).to_match_aria_snapshot("""
      - status
      - group "Transcript":
        - paragraph: Hello there,
      - figure "Pace":
        - paragraph: 168 words/min
        - paragraph: Comfortable from 140 to 190.
      - figure "Loudness":
        - paragraph: −24 dBFS
      - figure /Pitch/
      - group: All numbers
    """)
    assert view.locator("[aria-live], [role=status], [role=alert], [role=log]").evaluate_all("all => all.map((one) => one.className)") == [
        "cue",
        "quiet",
    ]
    page.get_by_text("All numbers").click()
    read_out = view.locator("[aria-live=polite]")
    expect(read_out).to_be_empty()
    page.clock.install()
    page.get_by_role("checkbox", name="Let a screen reader say the words").check()
    spoken.say(tokens(4, words("my friends.", 1.6), words("perhaps", 3)))
    expect(page.get_by_role("group", name="Transcript")).to_contain_text("friends.")
    expect(read_out).to_be_empty()
    page.clock.run_for(5100)
    expect(read_out).to_have_text("my friends.")


def test_the_live_view_is_readable_and_fits(practise: Callable[[Spoken], Page], spoken: Spoken) -> None:
    spoken.live()
    pause = [{"start_s": 1.2, "end_s": 3.0}]
    spoken.say(
        tokens(9, [*words("Some words", 0.4), word("um", 3, "filler")], words("perhaps", 4), pauses=pause), metrics(9, lost_share=0.1)
    )
    page = practise(spoken)
    expect(page.locator(".dials .sum").first).to_have_text("168 words/min")
    page.get_by_text("All numbers").click()
    spoken.say(metrics(9.2, lost_share=0.1), cue(9.2, "A little slower"))
    expect(page.locator(".cue")).to_have_text("A little slower")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        contrasts = page.evaluate(CONTRASTS)
        assert len(contrasts) > 30
        assert [found for found in contrasts if found[0] < found[1]] == [], scheme
    for width in (320, 390, 768, 1600):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.emulate_media(reduced_motion="no-preference")
    for at_s, width in ((40, 390), (80, 1200)):
        page.set_viewport_size({"width": width, "height": 844})
        spoken.say(metrics(at_s - 1))
        expect(page.locator(".cue")).to_be_empty()
        expect(page.locator(".amiss")).to_be_empty()
        before = page.evaluate(PLACES)
        spoken.say(cue(at_s, "Speak up, or come closer to the microphone"))
        expect(page.locator(".cue")).to_have_text("Speak up, or come closer to the microphone")
        assert page.evaluate(PLACES) == before
    assert all(
        height >= 24 for height in page.locator(".live summary, .live label").evaluate_all("all => all.map((one) => one.offsetHeight)")
    )


def test_the_numbers_follow_into_a_window_above_all_others(practise: Callable[[Spoken], Page], spoken: Spoken) -> None:
    spoken.live()
    spoken.say(metrics(2))
    page = practise(spoken)
    with page.context.expect_page() as opened:
        page.get_by_role("button", name="Small window on top").click()
    picture = opened.value
    expect(picture.locator(".value").first).to_have_text("168 words/min")
    spoken.say(metrics(3, rate_wpm=201.0))
    expect(picture.locator(".value").first).to_have_text("201 fast")
    assert urlsplit(picture.url).scheme == "about"
    size = "(one) => Number.parseFloat(getComputedStyle(one).fontSize) / Number.parseFloat(getComputedStyle(one.parentElement).fontSize)"
    assert picture.locator(".value").first.evaluate(size) == pytest.approx(2)  # a shorthand with a variable in it
    assert picture.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 26)"
