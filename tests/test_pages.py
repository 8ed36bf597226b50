"""The server's pages in a real browser: a recording goes in, its work is followed, its numbers and files are there, it can be deleted."""

import re
import shutil
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import httpx
import msgspec
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect, sync_playwright

from api.state import State
from api.uploads import PART_BYTES
from batch import index_page, playback
from batch.analyze import Findings
from batch.compared import compared
from batch.document import document
from batch.highlights import highlights
from batch.scored import scored
from config import graph
from config.rubrics import rubrics
from db import documents, entities, media, reports, series, sessions, steps, transcripts
from db.reports import ReportFile
from db.sessions import State as SessionState
from engines.embedded import Servers
from speech.analysis import Second
from speech.words import Transcript
from tests import samples
from tests.api_server import Running, running, settings_for
from tests.databases import database
from tests.test_page import CONTRASTS, FLAGS, until

MICROPHONE = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]  # beeps, and says yes
NAMES = [step.name for step in graph.STEPS]
HASH = "0" * 64
THERE = "#app .sessions, #app .levels, #app .end, #timeline"  # what only a page that is all there has
Answer = TypeVar("Answer")


class House:
    """The real application on real engines, and what a worker does to its store."""

    def __init__(self, server: Running) -> None:
        self.url = server.url
        self.server = server

    def run(self, work: Callable[[State], Coroutine[Any, Any, Answer]]) -> Answer:
        """Do something with its store."""
        return self.server.do(work(self.server.state))

    def plant(self, title: str, state: SessionState, done: int = 0, running: str = "", filename: str = "talk.wav") -> UUID:
        """A session in that state, with so many steps done."""

        async def store(at: State) -> UUID:
            async with at["db"].tenant(at["member"].org) as tx:
                session = (await sessions.create(tx, title, "upload")).id
                await media.begin(
                    tx, session, key=f"{at['member'].org}/{session}/source", size=9, content_type="audio/wav", filename=filename
                )
                for name in [*NAMES[:done], *([running] if running else [])]:
                    await steps.queue(tx, session, name, HASH)
                for name in NAMES[:done]:
                    await steps.finish(tx, session, name, HASH, {})
                await sessions.set_state(tx, session, state)
                if running:
                    await steps.start(tx, session, running, HASH, "test", 60)
                return session

        return self.run(store)

    def change(self, session: UUID, state: SessionState | None = None, *, finish: str = "", park: str = "") -> None:
        """What a worker does, and says."""

        async def store(at: State) -> None:
            async with at["db"].tenant(at["member"].org) as tx:
                if finish:
                    await steps.queue(tx, session, finish, HASH)
                    await steps.finish(tx, session, finish, HASH, {})
                if park:
                    await steps.park(tx, session, park, HASH, "no-speech", "No speech was found in the recording.")
                if state:
                    await sessions.set_state(tx, session, state)
            await at["live_log"].append(session, "state", 0, {"step": finish or park, "state": "done"})

        self.run(store)

    def say(self, session: UUID, stream: Any, data: dict[str, Any]) -> None:
        self.run(lambda at: at["live_log"].append(session, stream, 0, data))

    def complete(self, title: str) -> UUID:
        """A session with a report."""
        session = self.plant(title, "complete", done=len(NAMES))
        talk, pcm = samples.talk(), samples.recording()
        found = Findings((), talk.pauses, talk.fillers, talk.disfluencies, talk.language_issues, talk.measures, talk.stretches, {})
        shape = document(talk)
        page = index_page.render(talk, shape, pcm, "audio.mp3", served=True).encode()
        sound = playback.mp3(pcm)

        async def store(at: State) -> None:
            folder = f"{at['member'].org}/{session}"
            written = {"page.html": (page, "text/html"), "words.csv": (b"text\n", "text/csv")}
            for name, (content, kind) in written.items():
                await at["blobs"].put(f"{folder}/report/{name}", content, content_type=kind)
            await at["blobs"].put(f"{folder}/audio.mp3", sound, content_type="audio/mpeg")
            files = [ReportFile(name, f"{folder}/report/{name}", len(content), kind) for name, (content, kind) in written.items()]
            async with at["db"].tenant(at["member"].org) as tx:
                await transcripts.store(tx, session, talk.transcript, ())
                await entities.store(tx, session, [])
                await documents.store(tx, "fluency", session, HASH, {"measures": msgspec.to_builtins(talk.measures)})
                given = scored(rubrics()["talk"], found, talk.transcript.words)
                await documents.store(tx, "scores", session, HASH, given)
                made = {"moments": [], "drills": [], "change": compared(given, []), "highlights": highlights(given, rubrics()["talk"])}
                await documents.store(tx, "coaching", session, HASH, made)
                await reports.store(tx, session, HASH, {}, files)
                await sessions.describe(tx, session, 44.3, "en")

        self.run(store)
        return session

    def session(self, session: str) -> sessions.Session | None:
        """None when there is no such session."""

        async def load(at: State) -> sessions.Session | None:
            async with at["db"].tenant(at["member"].org) as tx:
                return await sessions.get(tx, UUID(session))

        return self.run(load)

    def state_of(self, session: str) -> str | None:
        """None when there is no such session."""
        found = self.session(session)
        return found.state if found else None

    def source(self, session: str) -> bytes:
        return self.run(lambda at: at["blobs"].read(f"{at['member'].org}/{session}/source"))


@pytest.fixture(scope="module")
def house(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("pages")
    # A database of its own: the list holds nothing of other tests.
    with database(servers.database_url) as url, running(settings_for(folder), replace(servers, database_url=url)) as server:
        yield House(server)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def browser(house: House) -> Iterator[Browser]:
    del house  # it begins before Playwright and ends after it: beside Playwright's loop there can be no asyncio.run
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("no Chromium on this machine; Debian has it as the package chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=[*FLAGS.split(), *MICROPHONE])
        yield started
        started.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1200, "height": 844})
    made.set_default_timeout(15_000)
    yield made
    made.close()


@pytest.fixture
def show(context: BrowserContext, house: House) -> Iterator[Callable[..., Page]]:
    """Opens a page, and at the end holds it to have asked for nothing outside and complained of nothing but what is expected."""
    complaints: list[str] = []

    def open_page(path: str, width: int = 1200, expected: str = "nothing") -> Page:
        page = context.new_page()
        page.set_viewport_size({"width": width, "height": 844})
        page.on("console", lambda message: None if expected in message.text else complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: None if re.match(f"({house.url}/|data:|blob:)", request.url) else complaints.append(request.url))
        page.goto(house.url + path)
        return page

    yield open_page
    assert complaints == []


def opened_session(page: Page) -> str:
    page.wait_for_url(re.compile(r"/sessions/[0-9a-f-]{36}$"))
    return page.url.rpartition("/")[2]


# in


def test_a_dropped_file_is_uploaded_and_its_session_opens(show: Callable[..., Page], house: House) -> None:
    page = show("/")
    given = page.evaluate_handle(
        """() => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(70000).fill(7)], "dropped.wav", { type: "audio/wav" }));
          return transfer;
        }"""
    )
    page.get_by_label("Title").fill("The <b>dropped</b> one")
    page.locator(".intake").dispatch_event("dragover", {"dataTransfer": given})
    expect(page.locator(".intake")).to_contain_text("Let go to upload it")
    page.locator(".intake").dispatch_event("drop", {"dataTransfer": given})
    session = opened_session(page)
    expect(page.locator("h1")).to_contain_text("The <b>dropped</b> one")
    expect(page.get_by_role("listitem").filter(has_text=graph.STEPS[0].title)).to_contain_text("Next")
    assert house.state_of(session) == "processing"
    assert house.source(session) == bytes([7]) * 70_000
    page.get_by_role("link", name="All sessions").click()
    row = page.get_by_role("listitem").filter(has_text="The <b>dropped</b> one")
    expect(row).to_contain_text("In progress")
    expect(row).to_contain_text("Today")


def test_a_large_file_goes_in_parts_and_survives_a_broken_line(show: Callable[..., Page], house: House, tmp_path: Path) -> None:
    file = tmp_path / "long.wav"
    file.write_bytes(bytes(range(250)) * (2 * PART_BYTES // 250 + 9))
    page = show("/", expected="status of 503")
    sent: list[str] = []

    def line(route: Route) -> None:
        sent.append(route.request.url)
        if len(sent) == 2:
            route.fulfill(status=503, headers={"Retry-After": "9"}, content_type="text/plain", body="a proxy")
        else:
            route.continue_()

    page.route(re.compile("/v1/blobs/"), line)
    page.clock.install()
    page.locator("input[type=file]").set_input_files(file)
    expect(page.locator(".intake")).to_contain_text("Trying again by itself")
    page.clock.run_for(9000)
    session = opened_session(page)
    assert house.source(session) == file.read_bytes()
    assert len(sent) == 4  # three parts, and one of them twice


def test_an_upload_goes_on_after_a_reload_with_what_is_missing(show: Callable[..., Page], house: House, tmp_path: Path) -> None:
    file = tmp_path / "cut off.wav"
    file.write_bytes(b"ab" * PART_BYTES)
    page = show("/")
    parts: list[str] = []

    def line(route: Route) -> None:
        parts.append(route.request.url)
        if len(parts) != 2:  # the second is never answered
            route.continue_()

    page.route(re.compile("/v1/blobs/"), line)
    page.on("dialog", lambda dialog: dialog.accept())  # "leave site?"
    with page.expect_request(lambda request: "/v1/blobs/" in request.url and len(parts) == 1):
        page.locator("input[type=file]").set_input_files(file)
    page.reload()
    expect(page.locator(".intake")).to_contain_text("The upload of cut off.wav is not finished")
    page.locator("input[type=file]").set_input_files(file)
    session = opened_session(page)
    assert house.source(session) == file.read_bytes()
    assert len(parts) == 3  # of two; the first was not sent again


def test_what_is_wrong_with_a_file_is_said_in_a_sentence(show: Callable[..., Page]) -> None:
    page = show("/", expected="status of 415")
    chooser = page.locator("input[type=file]")
    chooser.set_input_files({"name": "nothing.wav", "mimeType": "audio/wav", "buffer": b""})
    expect(page.get_by_role("alert")).to_contain_text("nothing.wav is empty")
    chooser.set_input_files({"name": "letter.txt", "mimeType": "text/plain", "buffer": b"Dear"})
    expect(page.get_by_role("alert")).to_contain_text("text/plain is not taken here")
    page.get_by_role("button", name="Choose another file").click()
    expect(page.get_by_text("Drop a recording here")).to_be_visible()


def test_the_microphone_is_recorded_and_analysed(show: Callable[..., Page], house: House) -> None:
    page = show("/")
    page.get_by_role("button", name="Record").click()
    expect(page.get_by_role("img", name="Level of the microphone")).to_be_visible()
    # The fake microphone beeps once a second: some bar of the meter grows tall.
    until(page, "/v(2\\d|3\\d|4\\d)/.test(document.querySelector('.level path').getAttribute('d'))")
    page.get_by_role("button", name="Stop").click()
    until(page, "document.querySelector('.intake audio')?.readyState >= 1")
    page.get_by_role("button", name="Analyse it").click()
    session = opened_session(page)
    expect(page.locator("h1")).to_contain_text(re.compile(r"Recording \d{4}-\d\d-\d\d"))
    assert house.source(session)[:4] == bytes.fromhex("1a45dfa3")  # Matroska


# the list


def test_an_empty_list_says_so_and_a_long_one_has_more(show: Callable[..., Page], house: House) -> None:
    page = show("/")
    empty: dict[str, object] = {"sessions": [], "next": None}
    page.route(re.compile(r"/v1/sessions\?"), lambda route: route.fulfill(json=empty))
    page.reload()
    expect(page.get_by_text("None yet.")).to_be_visible()
    page.unroute(re.compile(r"/v1/sessions\?"))
    planted = [house.plant(f"Number {number}", "complete") for number in range(22)]
    page.reload()
    expect(page.locator(".sessions li")).to_have_count(20)
    page.get_by_role("button", name="Show older ones").click()
    expect(page.locator(f".sessions a[href='/sessions/{planted[0]}']")).to_be_visible()
    hrefs = page.locator(".sessions a").evaluate_all("all => all.map((a) => a.getAttribute('href'))")
    assert len(set(hrefs)) == len(hrefs)


# one session


def test_progress_comes_as_it_happens(show: Callable[..., Page], house: House) -> None:
    session = house.plant("Followed", "processing", running="ingest")
    page = show(f"/sessions/{session}", expected="status of 404")  # at the end: nothing is planted behind `complete`
    step = {name: page.get_by_role("listitem").filter(has_text=graph.BY_NAME[name].title) for name in NAMES}
    expect(step["ingest"].locator("progress")).to_be_visible()
    house.say(session, "state", {"step": "ingest", "state": "running", "stage": "reading", "fraction": 0.42})
    expect(step["ingest"]).to_contain_text("42 %")
    sums = {"rate_wpm": None, "articulation_syl_s": 4.62, "pause_share": 0.183, "f0_median_hz": 118.4, "level_dbfs": -24.2}
    rows = [Second(t, 1.0, None, 4, None, 0.2, 0.8, 0.0, 120.0 + 2 * t, None, -24.0) for t in range(20)]

    async def measure(at: State) -> None:
        async with at["db"].tenant(at["member"].org) as tx:
            found = await sessions.get(tx, session)
            assert found is not None
            await series.store(tx, session, found.created_at, rows)

    house.run(measure)
    house.say(session, "metrics", sums)
    first = page.locator("figure")
    expect(first).to_have_count(4)
    for index, said in enumerate(("4.6syllables/s", "18%", "118Hz", "−24.2dBFS")):
        expect(first.nth(index).locator(".sum")).to_have_text(said)
    drawn = first.nth(2).locator("path").get_attribute("d") or ""  # pitch rises from the first second to the last
    assert (drawn[:10], drawn[-10:], drawn.count("L")) == ("M25.0 92.0", "L975.0 8.0", 19)
    house.change(session, finish="ingest")
    expect(step["ingest"].get_by_role("img", name="Done")).to_be_visible()

    async def speak(at: State) -> None:
        async with at["db"].tenant(at["member"].org) as tx:
            await transcripts.store(tx, session, Transcript(samples.spoken(["Planted", "words."]), "en", 1.0))

    house.run(speak)
    house.change(session, finish="asr")
    expect(page.get_by_role("group", name="Words")).to_have_text("Planted words. ")
    house.change(session, "complete")
    expect(page.get_by_role("link", name="Open the report")).to_be_visible()
    expect(page.get_by_role("status")).to_have_text("The report is ready")


def test_a_failed_step_says_why_and_is_retried_and_cancelled(show: Callable[..., Page], house: House) -> None:
    session = house.plant("Failing", "processing", running="ingest")
    page = show(f"/sessions/{session}")
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    house.change(session, "failed", park="ingest")
    expect(page.locator(".steps .trouble")).to_contain_text("No speech was found in the recording.")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".steps .trouble")).to_have_count(0)
    assert house.state_of(str(session)) == "processing"
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Start again")).to_be_visible()
    assert house.state_of(str(session)) == "cancelled"


def test_a_finished_session_tells_its_numbers_and_gives_its_files(show: Callable[..., Page], house: House) -> None:
    session = house.complete("Two cities")
    page = show(f"/sessions/{session}")
    glance = page.locator(".glance")
    for said in ("158wpm", "149 to 167", "26%", "−23.4LUFS", "No interval given"):
        expect(glance).to_contain_text(said)
    expect(page.locator(".facts")).to_contain_text("0:44")
    rows = page.locator(".scores li")
    expect(rows).to_have_count(9)
    expect(rows.nth(1)).to_contain_text("Pace100100 to 100")
    expect(rows.nth(4)).to_have_text("Pitch varietyNo score: it was not measured.")
    expect(page.locator("#style")).to_have_value("talk")
    with page.expect_download() as download:
        page.get_by_role("link", name="words.csv").click()
    assert Path(download.value.path()).read_bytes() == b"text\n"
    assert download.value.suggested_filename == "words.csv"
    assert page.locator(".files a").all_text_contents() == ["words.csv"]  # page.html is the report itself


def test_who_speaks_is_asked_where_there_are_ratings(show: Callable[..., Page], house: House) -> None:
    page = show("/")
    expect(page.locator("#style")).to_have_value("talk")
    expect(page.locator("#speaker")).to_have_count(0)
    page.locator("#style").select_option("language-learner")
    page.locator("#speaker").select_option("child")
    page.locator("input[type=file]").set_input_files({"name": "read.wav", "mimeType": "audio/wav", "buffer": b"RIFF" + bytes(9000)})
    sent = house.session(opened_session(page))
    assert sent is not None
    assert (sent.style, sent.speaker) == ("language-learner", "child")


def test_ratings_are_shown_with_who_speaks_which_can_be_mended(show: Callable[..., Page], house: House) -> None:
    session = house.complete("Six sentences")
    given = {"what": "fluency", "value": 7.84, "low": 6.4, "high": 9.28, "scale": [0.0, 10.0], "refusal": None, "sentences": 6}
    refused = {**given, "what": "prosody", "value": None, "low": None, "high": None, "refusal": "needs 4 s more speech"}

    async def rate(at: State) -> None:
        async with at["db"].tenant(at["member"].org) as tx:
            before = await documents.load(tx, "scores", session) or {}
            await documents.store(tx, "scores", session, HASH, {**before, "ratings": [given, refused]})
            await sessions.set_speaker(tx, session, "child")

    house.run(rate)
    page = show(f"/sessions/{session}")
    rows = page.locator(".ratings li")
    expect(rows.nth(0)).to_contain_text("7.86.4 to 9.3")
    expect(rows.nth(1)).to_contain_text("No rating: needs 4 s more speech.")
    expect(page.locator("#speaker")).to_have_value("child")
    page.locator("#speaker").select_option("adult")
    expect(page.locator(".ratings")).to_have_count(0)  # it is scored anew
    found = house.session(str(session))
    assert found is not None
    assert (found.speaker, found.state) == ("adult", "processing")


def test_the_report_opens_plays_and_leads_back(show: Callable[..., Page], house: House) -> None:
    session = house.complete("Played")
    page = show(f"/sessions/{session}")
    page.get_by_role("link", name="Open the report").click()
    page.locator("#transcript .w", has_text="worst").click()
    until(page, "document.getElementById('sound').currentTime > 3.5")
    assert page.evaluate("document.getElementById('sound').duration") == pytest.approx(samples.recording().size / 16_000, abs=0.08)
    page.get_by_role("link", name="Files").click()
    page.wait_for_url(f"{house.url}/sessions/{session}")
    page.go_back()
    page.get_by_role("link", name="All sessions").click()
    page.wait_for_url(f"{house.url}/")


def test_a_comment_is_written_plays_its_place_and_is_removed(show: Callable[..., Page], house: House) -> None:
    session = house.complete("Commented")
    page = show(f"/sessions/{session}")
    page.get_by_label("New comment").fill("Slower here")
    page.get_by_label("At", exact=True).fill("59:00")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("alert")).to_have_text("The recording ends at 0:44.")
    page.get_by_label("At", exact=True).fill("0:12")
    page.get_by_role("button", name="Add").click()
    rows = page.locator(".comments li")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("Slower here")
    expect(page.get_by_role("alert")).to_have_count(0)
    page.get_by_role("button", name="Play from 0:12").click()
    until(page, "document.querySelector('.comments ~ audio').currentTime > 10.2")
    page.reload()
    expect(rows).to_have_count(1)
    rows.get_by_role("button", name="Remove").click()
    expect(rows).to_have_count(0)


def test_a_session_is_renamed_and_deleted(show: Callable[..., Page], house: House) -> None:
    session = house.complete("Old name")
    page = show(f"/sessions/{session}")
    page.get_by_role("button", name="Rename").click()
    page.keyboard.type("New name")  # what was there is selected
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("New name")
    expect(page).to_have_title("New name · Elocute")
    page.get_by_role("button", name="Delete this session").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Delete “New name”?")
    assert page.evaluate("document.activeElement.textContent") == "Keep it"
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    assert house.state_of(str(session)) == "complete"
    page.get_by_role("button", name="Delete this session").click()
    dialog.get_by_role("button", name="Delete").click()
    page.wait_for_url(f"{house.url}/")
    expect(page.locator("h1")).to_be_visible()
    assert house.state_of(str(session)) is None
    assert house.server.blob_keys(str(session)) == []


# for everybody


@pytest.fixture(scope="module")
def every(house: House) -> list[str]:
    """An address of every kind of page."""
    long = "a_very_long_name_without_any_space" * 5
    parked = house.plant(long, "processing", running="ingest", filename=f"{long}.wav")
    house.change(parked, "failed", park="ingest")
    complete = house.complete("Seen")
    working = house.plant("Working", "processing", done=1, running="asr")
    planted = [parked, complete, working, house.plant("Stopped", "cancelled"), house.plant("Announced", "created")]
    return ["/", "/practice", *(f"/sessions/{session}" for session in planted), f"/sessions/{complete}/report"]


def test_nothing_scrolls_sideways(show: Callable[..., Page], house: House, every: list[str]) -> None:
    page = show("/", 390)
    for path in every:
        page.goto(house.url + path)
        page.locator(THERE).first.wait_for()
        for width in (390, 320, 768):
            page.set_viewport_size({"width": width, "height": 844})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (path, width)


def test_text_stands_out_and_controls_have_names(show: Callable[..., Page], house: House, every: list[str]) -> None:
    page = show("/")
    for path in every:
        page.goto(house.url + path)
        page.locator(THERE).first.wait_for()
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            contrasts = page.evaluate(CONTRASTS)
            assert len(contrasts) > 5, path
            assert [found for found in contrasts if found[0] < found[1]] == [], (path, scheme)
        named = page.locator("button:visible, input:visible, a:visible, progress, [role=img]").evaluate_all(
            """all => all.map((one) => [
              one.getAttribute("aria-label") || one.innerText || one.labels?.[0]?.innerText, one.outerHTML])"""
        )
        assert [html for name, html in named if not name] == [], path
        assert page.locator("h1").count() == 1, path
        assert page.locator("main").count() == 1, path
        small = page.locator("button:visible, input:visible").evaluate_all(
            "all => all.filter((one) => one.offsetHeight < 24).map((one) => one.outerHTML)"
        )
        assert small == [], path  # WCAG 2.2, 2.5.8


def test_everything_is_reached_by_keyboard(show: Callable[..., Page], house: House) -> None:
    house.plant("By keyboard", "cancelled")
    page = show("/")
    expect(page.get_by_text("By keyboard")).to_be_visible()
    reached = []
    of = "(({innerText, id, ariaLabel}) => innerText.trim().split('\\n')[0] || id || ariaLabel)(document.activeElement)"
    for _ in range(11):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(of))
    first = ["Skip to the content", "Elocute", "Practise now", "Choose a file", "Just record", "title", "Talk"]
    assert reached == [*first, "Drills", "Search what was said", "Search", "By keyboard"]
    with page.expect_file_chooser():
        page.get_by_role("button", name="Choose a file").press("Enter")
    page.get_by_role("link", name="By keyboard").press("Enter")
    page.wait_for_url(re.compile("/sessions/"))


# over the wire


def test_assets_are_kept_for_a_year_and_come_compressed(house: House) -> None:
    page = httpx.get(house.url, headers={"Accept": "text/html"})
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Content-Security-Policy"].startswith("default-src 'self'; connect-src 'self';")
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    assert not re.search(r"<style|style=|<script(?! type=\"module\" src=)|\son\w+=", page.text)
    assets = re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text)
    assert len(assets) == 3
    for address in assets:
        assert re.search(r"-[\w-]{8}\.(js|css|svg)$", address)
        bodies = []
        for taken, given in (("br, gzip", "br"), ("gzip, deflate", "gzip"), ("br;q=0, gzip;q=0.5", "gzip"), ("identity", None)):
            with httpx.stream("GET", house.url + address, headers={"Accept-Encoding": taken}) as answer:
                assert answer.headers.get("Content-Encoding") == given
                assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
                assert answer.headers["Vary"] == "Accept-Encoding"
                raw = b"".join(answer.iter_raw())
            bodies.append(len(raw))
        assert bodies[0] < bodies[1] == bodies[2] < bodies[3]


def test_a_refusal_is_a_page_for_people_and_a_document_for_programs(house: House) -> None:
    nobody = f"/sessions/{UUID(int=0)}"
    for path in ("/nothing", nobody, f"{nobody}/report", "/static/../pages.py", "/static/manifest.json"):
        program = httpx.get(house.url + path)
        assert program.status_code == 404
        assert program.headers["Content-Type"] == "application/problem+json"
    person = httpx.get(house.url + nobody, headers={"Accept": "text/html,*/*"})
    assert person.status_code == 404
    assert person.headers["Content-Type"].startswith("text/html")
    assert "There is no such session." in person.text
    api = httpx.get(f"{house.url}/v1{nobody}", headers={"Accept": "text/html"})
    assert api.headers["Content-Type"] == "application/problem+json"


def test_the_report_keeps_its_own_policy(house: House) -> None:
    session = house.complete("Policy")
    answer = httpx.get(f"{house.url}/sessions/{session}/report")
    policy = answer.headers["Content-Security-Policy"]
    assert re.search(r"script-src 'sha256-[\w+/=]+'; style-src 'sha256-[\w+/=]+'", policy)
    assert "media-src 'self';" in policy
    assert policy.endswith("frame-ancestors 'none'")
    assert "unsafe" not in policy
    assert answer.headers["Cache-Control"] == "no-store"
    sound = httpx.get(f"{house.url}/sessions/{session}/audio.mp3", headers={"Range": "bytes=10-19"})
    assert (sound.status_code, len(sound.content)) == (206, 10)
