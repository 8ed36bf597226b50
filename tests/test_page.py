"""index.html in a real browser: it plays, seeks, fits a phone, reads in light and dark, and lets nothing in or out."""

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from batch import export
from batch.export import write
from speech.analysis import Analysis, LanguageIssue
from tests import samples

FLAGS = "--headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync --no-first-run"
HOSTILE = '</script><img src=x onerror="window.broken=1"><script>window.broken=1</script>'

# Every text that is shown, with its contrast against what lies behind it (WCAG 2.2, 1.4.3).
CONTRASTS = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (color) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1); return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const luminance = (rgb) => rgb.slice(0, 3).map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const text = [...element.childNodes].filter((n) => n.nodeType === 3).map((n) => n.textContent.trim()).join("");
    if (!text || !element.checkVisibility() || element.matches("script, :disabled, noscript")) continue;
    const style = getComputedStyle(element);
    let behind = element;
    while (behind && rgba(getComputedStyle(behind).backgroundColor)[3] < 200) behind = behind.parentElement;
    const front = luminance(rgba(element.closest("svg") ? style.fill : style.color));
    const back = luminance(rgba(getComputedStyle(behind || document.body).backgroundColor));
    found.push([(Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05), parseFloat(style.fontSize) >= 24 ? 3 : 4.5, text.slice(0, 40)]);
  }
  return found;
}"""  # noqa: E501


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("no Chromium on this machine; Debian has it as the package chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=FLAGS.split())
        yield started
        started.close()


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    write(samples.talk(), samples.recording(), folder, ["html"])
    return folder / "index.html"


@pytest.fixture(scope="module")
def context(browser: Browser) -> BrowserContext:
    return browser.new_context()


@pytest.fixture
def show(context: BrowserContext) -> Iterator[Callable[..., Page]]:
    """Opens a page, and at the end holds it to have asked for nothing outside and complained of nothing."""
    opened: list[Page] = []
    complaints: list[str] = []

    def open_page(path: Path, width: int = 1280) -> Page:
        page = context.new_page()
        page.set_viewport_size({"width": width, "height": 844})
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: None if re.match("(file|data|blob):", request.url) else complaints.append(request.url))
        page.goto(path.as_uri())
        opened.append(page)
        return page

    yield open_page
    for page in opened:
        page.close()
    assert complaints == []


def made(analysis: Analysis, folder: Path) -> Path:
    pcm = samples.recording()[: analysis.audio.samples]
    write(analysis, pcm, folder, ["html"])
    return folder / "index.html"


def until(page: Page, condition: str) -> None:
    """Wait until it holds, ten seconds of frames at most. Playwright's own wait needs eval, which the page's policy forbids."""
    page.evaluate(
        "() => new Promise((done, fail) => { let left = 600; const look = () => "
        f"({condition}) ? done() : left-- ? requestAnimationFrame(look) : fail(Error({condition!r})); look(); }})"
    )


def outline(page: Page, kind: str) -> str:
    """The drawn path of that kind, one M for each box or stroke."""
    return page.locator(f"#plot path.{kind}").get_attribute("d") or ""


def now_s(page: Page) -> float:
    return float(page.evaluate("document.getElementById('sound').currentTime"))


def test_a_click_on_a_word_plays_from_it(talk: Path, show: Callable[..., Page]) -> None:
    page = show(talk)
    page.evaluate(
        """() => {
          window.heard = [];
          const sound = document.getElementById("sound");
          const words = [...document.querySelectorAll(".w")];
          const note = () => {
            const index = words.findIndex((word) => word.classList.contains("now"));
            if (index >= 0) window.heard.push([index, sound.currentTime]);
          };
          new MutationObserver(note).observe(document.getElementById("transcript"), { attributeFilter: ["class"], subtree: true });
        }"""
    )
    index = samples.SPEECH.index("worst")
    start_s = 0.5 + index * 0.5
    page.locator("#transcript .w", has_text="worst").click()
    until(page, f"document.getElementById('sound').currentTime > {start_s + 1.5}")  # it goes on by itself
    page.locator("#play").click()
    until(page, "document.getElementById('play').getAttribute('aria-label') === 'Play'")  # said by the pause event, a task later
    assert page.evaluate("document.getElementById('sound').paused")
    heard = page.evaluate("window.heard")
    assert heard[0] == [index, pytest.approx(start_s, abs=0.05)]
    assert heard[-1][0] > index
    for word, at_s in heard:
        assert 0.5 + word * 0.5 - 0.05 <= at_s <= 0.5 + word * 0.5 + 0.45


def test_the_sound_is_all_there(talk: Path, show: Callable[..., Page]) -> None:
    page = show(talk)
    until(page, "document.getElementById('sound').duration > 0")
    assert page.evaluate("document.getElementById('sound').duration") == pytest.approx(samples.recording().size / 16_000, abs=0.08)


def test_words_are_reached_by_keyboard(talk: Path, show: Callable[..., Page]) -> None:
    page = show(talk)
    page.locator("#transcript .at").first.focus()
    page.keyboard.press("Tab")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.textContent") == "times,"
    assert page.evaluate("document.activeElement.getAttribute('role')") == "button"
    page.keyboard.press("Enter")
    until(page, "document.getElementById('sound').currentTime >= 3")
    assert page.locator("#transcript [tabindex='0']").count() == 1


def test_a_moment_plays_itself_and_stops(talk: Path, show: Callable[..., Page]) -> None:
    page = show(talk)
    page.evaluate(
        """() => {
          const sound = document.getElementById("sound");
          const chosen = () => document.querySelectorAll("#plot path.chosen").length;
          sound.addEventListener("play", () => { window.played = [sound.currentTime, chosen()]; });
        }"""
    )
    page.get_by_role("button", name="Play um at 0:04").click()
    until(page, "window.played && document.getElementById('sound').paused && !document.querySelector('#plot path.chosen')")
    assert page.evaluate("window.played") == [pytest.approx(4.5 - 0.8, abs=0.05), 1]
    assert now_s(page) >= 4.9 + 0.6


def test_the_timeline_shows_what_was_planted(talk: Path, show: Callable[..., Page]) -> None:
    page = show(talk)
    drawn = {kind: outline(page, kind).count("M") for kind in ("filler", "pause", "lost", "disfluency")}
    assert drawn == {"filler": 3, "pause": 4, "lost": 1, "disfluency": 2}  # pauses between the blocks of 16 words; the others are 100 ms
    assert page.locator("#plot text.said.filler").all_text_contents() == ["um", "you know", "uh"]
    assert outline(page, "pitch").count("M") >= 14  # voiced two seconds in three
    page.locator("#zoom-in").click()
    page.locator("#zoom-in").click()
    assert page.locator("#overview .window").get_attribute("visibility") == "visible"
    assert "It" in page.locator("#plot text.said").all_text_contents()
    page.locator("#plot").click(position={"x": 300, "y": 60})
    assert now_s(page) > 0


def test_the_numbers_are_on_the_page(talk: Path, show: Callable[..., Page]) -> None:
    page = show(talk)
    text = page.locator("body").inner_text()
    for said in ("158", "149 to 167", "26", "−23.4", "Missing: no sustained vowel of half a second was found", "Rhythm npvi", "52.3"):
        assert said in text, said
    assert "Not for clinical use" in text
    assert "clipped in 12 places" in text
    assert "A superlative says little without a comparison." in text
    assert "finest years or leaving it out" in text
    assert page.locator(".found .count").all_text_contents() == ["3", "4", "2", "2"]
    assert page.locator("#transcript .gap").count() == 0  # a paragraph begins at every long pause
    assert page.locator(".courses figure").count() == 4


def test_nothing_scrolls_sideways(show: Callable[..., Page], tmp_path: Path) -> None:
    analysis = samples.talk()
    analysis = replace(
        analysis,
        audio=replace(analysis.audio, name="a_very_long_file_name_without_any_space" * 5 + ".wav"),
        versions={**analysis.versions, "x" * 80: "y" * 200},
    )
    page = show(made(analysis, tmp_path))
    page.locator("details").evaluate_all("all => all.forEach((details) => { details.open = true; })")
    for width in (390, 320, 768):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_text_stands_out_from_what_is_behind_it(talk: Path, show: Callable[..., Page]) -> None:
    page = show(talk)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        contrasts = page.evaluate(CONTRASTS)
        assert len(contrasts) > 200
        assert [found for found in contrasts if found[0] < found[1]] == [], scheme


def test_every_control_has_a_name_and_a_size_to_hit(talk: Path, show: Callable[..., Page]) -> None:
    page = show(talk, 390)
    controls = page.locator("button:visible, input:visible").evaluate_all(
        "all => all.map((one) => [one.getAttribute('aria-label') || one.innerText, one.getBoundingClientRect().height])"
    )
    assert len(controls) > 15
    for name, height in controls:
        assert name
        assert height >= 24  # WCAG 2.2, 2.5.8


def test_markup_from_outside_stays_text(show: Callable[..., Page], tmp_path: Path) -> None:
    analysis = samples.talk()
    words = samples.spoken([HOSTILE.replace(" ", "_"), "<!--", "</title>", *samples.SPEECH])
    issue = LanguageIssue("style", "rule", HOSTILE, words[0].start, words[0].end, HOSTILE, (HOSTILE,))
    analysis = replace(
        analysis,
        audio=replace(analysis.audio, name="<script>window.broken=1<!--", warnings=(HOSTILE,)),
        transcript=replace(analysis.transcript, words=words, language='"><script>'),
        language_issues=(issue,),
        fillers=tuple(replace(filler, text=HOSTILE) for filler in analysis.fillers),
        measures={HOSTILE: analysis.measures["pvq"]},
        versions={HOSTILE: HOSTILE},
    )
    page = show(made(analysis, tmp_path))
    assert page.evaluate("window.broken") is None
    assert page.locator("img, script:not(body > script)").count() == 0
    assert page.title() == "<script>window.broken=1<!-- · Elocute"
    assert page.locator(".w").first.text_content() == HOSTILE.replace(" ", "_")
    assert page.locator("body > script").count() == 2


def test_the_policy_lets_no_script_in_and_no_word_out(browser: Browser, talk: Path) -> None:
    page = browser.new_page()
    page.goto(talk.as_uri())
    page.evaluate("() => { const s = document.createElement('script'); s.textContent = 'window.broken = 1'; document.body.append(s); }")
    assert page.evaluate("window.broken") is None
    with page.expect_event("console", lambda message: "Content Security Policy" in message.text):
        page.evaluate("fetch('https://example.org/').catch(() => null)")
    page.close()


@pytest.mark.parametrize("texts", [[], ["Hello."]], ids=["no words", "one word"])
def test_next_to_nothing_still_makes_a_page(texts: list[str], show: Callable[..., Page], tmp_path: Path) -> None:
    page = show(made(samples.bare(samples.recording()[:48_000], samples.spoken(texts)), tmp_path), 390)
    text = page.locator("main").inner_text()
    assert ("No words were recognised" in text) == (not texts)
    assert "Not measured" in text
    assert "too few words" in text
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator("#play").click()
    until(page, "document.getElementById('sound').currentTime > 0")


def test_a_long_sound_lies_beside_the_page_and_plays(show: Callable[..., Page], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "EMBEDDED_BYTES", 1000)
    written = write(samples.talk(), samples.recording(), tmp_path, ["html"])
    assert [path.name for path in written] == ["audio.mp3", "index.html"]
    page = show(tmp_path / "index.html")
    page.locator("#transcript .w", has_text="worst").click()
    until(page, "document.getElementById('sound').currentTime > 6.6")


def test_on_paper_there_is_no_player(talk: Path, show: Callable[..., Page]) -> None:
    page = show(talk)
    page.emulate_media(media="print")
    assert not page.locator(".player").is_visible()
    assert page.locator("#transcript").is_visible()
    assert page.pdf().startswith(b"%PDF")


def test_without_scripts_the_page_still_plays_and_reads(browser: Browser, talk: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(talk.as_uri())
    assert page.locator("audio[controls]").is_visible()
    assert not page.locator("#play").is_visible()
    assert page.locator("#transcript .w").count() == len(samples.SPEECH)
    context.close()
