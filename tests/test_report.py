"""The report: page, PDF and JSON say the same, nothing in it is read as markup, it is tagged and fits its paper."""

import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import markupsafe
import pypdf
import pytest
from playwright.sync_api import Browser, Page

from batch import index_page, pdf
from batch.document import Document, document, encoded, schema
from batch.export import Coached, write
from batch.story import CLINICAL
from speech.analysis import Analysis, LanguageIssue
from tests import samples
from tests.test_page import CONTRASTS, browser, until

__all__ = ["browser"]  # a fixture

HOSTILE = '#set page(fill: red) $x^2$ `raw` <script>window.broken=1</script> *b* _i_ @ref \\ // /* ]) #panic("x")'
SAID = (
    *("Pace went well: 158 words a minute.", "Work on fluency: 3.1 filled pauses per 100 words."),  # what comes first
    *("74", "66 to 81", "97", "88 to 100", "60", "48 to 71", "No score: needs 50 s more speech."),  # scores
    *("+18 (7 to 30)", "+2 (−8 to 13)", "on average in your earlier sessions"),  # change
    *("Rated fluency", "7.4 of 10", "6.2 to 8.7", "needs 9 s more speech."),
    *("Two fillers in nine seconds.", "it was, um, it was the worst", "Twelve seconds at 158 words a minute without a filler."),
    *("A pause instead of an um", "There were 3.1 filled pauses per 100 words."),  # drills
    *("158", "149 to 167", "−23.4", "Missing: no sustained vowel of half a second was found", "52.3"),  # measures
    *("A superlative says little without a comparison.", "clipped in 12 places", "Not measured", CLINICAL),
    *("asr_model", "whisper-base d01c3014", "you know", "0:04"),
)


def coached(analysis: Analysis) -> Document:
    return document(analysis, samples.scores(), samples.coaching())


def paper(analysis: Analysis, shape: Document | None = None, size: pdf.Paper = "a4") -> pypdf.PdfReader:
    return pypdf.PdfReader(io.BytesIO(pdf.render(analysis, shape or coached(analysis), size)))


def text_of(read: pypdf.PdfReader) -> str:
    return plain(" ".join(page.extract_text() for page in read.pages))


def plain(text: str) -> str:
    """However its lines were broken."""
    return " ".join(text.replace("\u200b", "").split())


def marked(read: pypdf.PdfReader) -> Iterator[Any]:
    """Every element of the structure tree."""
    root: Any = read.trailer["/Root"]
    waiting = [root["/StructTreeRoot"]]
    while waiting:
        element = waiting.pop().get_object()
        if isinstance(element, pypdf.generic.ArrayObject):
            waiting += list(element)
        elif isinstance(element, pypdf.generic.DictionaryObject):
            yield element
            if "/K" in element:
                waiting.append(element["/K"])


@pytest.fixture(scope="module")
def talk() -> pypdf.PdfReader:
    return paper(samples.talk())


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    analysis = samples.talk()
    opened = browser.new_page()
    opened.set_content(index_page.render(analysis, coached(analysis), samples.recording(), b""))
    yield opened
    opened.close()


# the same in all of them


def test_the_page_the_pdf_and_the_json_say_the_same(talk: pypdf.PdfReader, page: Page) -> None:
    page.locator("details").evaluate_all("all => all.forEach((details) => { details.open = true; })")
    on_page, on_paper = plain(page.locator("body").inner_text()), text_of(talk)
    for said in SAID:
        assert said in on_page, said
        assert said.replace(" ", "") in on_paper.replace(" ", ""), said  # a break of lines may have eaten a space
    found = json.loads(encoded(coached(samples.talk())))
    jsonschema.Draft202012Validator(json.loads(schema())).validate(found)
    assert found["scores"]["overall"] == {"value": 73.6, "low": 66.2, "high": 81.3, "refusal": None}
    assert [one["refusal"] for one in found["scores"]["scores"]] == [None, None, "needs 50 s more speech"]
    assert found["coaching"]["moments"][1]["start_s"] == 20.0
    assert found["coaching"]["change"]["dimensions"][1]["changed"] is True


def test_what_went_well_comes_first(talk: pypdf.PdfReader, page: Page) -> None:
    order = ["What went well", "The one thing to work on", "Scores", "Moments to hear again", "To practise next", "At a glance"]
    order += ["What was found", "All measures", "About these numbers"]
    headings = page.locator("h2").all_text_contents()
    assert [heading for heading in headings if heading in order] == order
    where = [text_of(talk).index(heading) for heading in order]
    assert where == sorted(where)
    assert plain(page.locator(".heard li").first.inner_text()).startswith("0:20 Went well, pace.")


@pytest.mark.parametrize("given", [(None, None), (samples.scores(), None), (samples.scores(), {"moments": [], "drills": []})])
def test_without_coaching_nothing_is_said_of_it(given: tuple[Any, Any]) -> None:
    analysis = samples.talk()
    shape = document(analysis, *given)
    html = index_page.render(analysis, shape, samples.recording(), "audio.mp3")
    text = text_of(paper(analysis, shape))
    for said in ("What went well", "Moments to hear again", "To practise next", "within chance"):
        assert said not in html
        assert said not in text
    assert ("Scores" in text) == (given[0] is not None)


def test_a_session_without_any_score_says_what_it_needs() -> None:
    analysis = samples.talk()
    needs = "There is no score yet: this needs 50 s more speech."
    highlights = {"well": None, "work_on": None, "needs": needs, "phrased": None}
    shape = document(analysis, samples.scores(), {**samples.coaching(), "highlights": highlights})
    assert needs in index_page.render(analysis, shape, samples.recording(), "audio.mp3")
    assert needs in text_of(paper(analysis, shape))


# the page


def test_scores_are_drawn_where_they_are(page: Page) -> None:
    first, second = page.locator("svg.score").first, page.locator("svg.score").nth(2)
    assert first.locator(".value").get_attribute("cx") == "73.6%"
    assert [first.locator(".span").get_attribute(end) for end in ("x1", "x2")] == ["66.2%", "81.3%"]
    assert second.locator(".before").get_attribute("cx") == "41.9%"
    assert page.locator("svg.score").count() == 3  # the refused one is not drawn


def test_the_coachs_part_of_the_page_is_legible_and_fits(page: Page) -> None:
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert [found for found in page.evaluate(CONTRASTS) if found[0] < found[1]] == [], scheme
    for width in (1280, 768, 360):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    small = page.locator("button:visible, summary:visible").evaluate_all("all => all.map((one) => one.getBoundingClientRect().height)")
    assert min(small) >= 24
    levels = [int(level) for level in page.locator("h1, h2, h3").evaluate_all("all => all.map((one) => one.tagName[1])")]
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_a_moment_of_the_coach_plays(browser: Browser, tmp_path: Path) -> None:
    write(samples.talk(), samples.recording(), tmp_path, ["html"], coached=Coached(samples.scores(), samples.coaching()))
    opened = browser.new_page()
    opened.goto((tmp_path / "index.html").as_uri())
    opened.locator(".heard .place").first.click()
    until(opened, "document.getElementById('sound').currentTime > 19.4")
    assert opened.evaluate("document.getElementById('sound').currentTime") < 32
    opened.close()


# the paper


@pytest.mark.parametrize(("size", "points"), [("a4", (595.28, 841.89)), ("letter", (612.0, 792.0))])
def test_it_fits_its_paper(size: pdf.Paper, points: tuple[float, float]) -> None:
    read = paper(samples.talk(), size=size)
    for sheet in read.pages:
        assert (float(sheet.mediabox.width), float(sheet.mediabox.height)) == pytest.approx(points, abs=0.1)
        assert CLINICAL in plain(sheet.extract_text())


def test_it_is_tagged_titled_and_in_a_language(talk: pypdf.PdfReader) -> None:
    root: Any = talk.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]
    assert root["/Lang"] == "en"
    assert talk.metadata is not None
    assert talk.metadata.title == "two_cities.wav"
    assert b"pdfuaid:part" in root["/Metadata"].get_data()
    elements = list(marked(talk))
    kinds = {str(element.get("/S")) for element in elements}
    assert {"/H1", "/H2", "/H3", "/Table", "/TH", "/TD", "/Figure", "/L"} <= kinds
    drawn = [element["/Alt"] for element in elements if element.get("/S") == "/Figure"]
    assert drawn == ["From 0:00 to 0:44: 4 pauses, 3 fillers; pace 150 to 186 words a minute. The pitch is drawn as a line."]


def test_its_fonts_are_inside(talk: pypdf.PdfReader) -> None:
    names = set()
    for sheet in talk.pages:
        resources: Any = sheet["/Resources"]
        for font in resources["/Font"].values():
            inner = font.get_object()["/DescendantFonts"][0].get_object()
            names.add(str(inner["/BaseFont"]))
            assert {"/FontFile2", "/FontFile3"} & set(inner["/FontDescriptor"])
    assert {re.sub(r"^/[A-Z]{6}\+|[-_].*", "", name) for name in names} == {"Inter", "SourceSerif4"}


def test_the_same_analysis_gives_the_same_bytes() -> None:
    analysis = samples.talk()
    assert pdf.render(analysis, coached(analysis), "a4") == pdf.render(analysis, coached(analysis), "a4")


def test_markup_from_outside_stays_text() -> None:
    analysis = samples.talk()
    words = samples.spoken([*HOSTILE.split(), "x" * 10_000, "#" * 10_000, *samples.SPEECH])
    issue = LanguageIssue("style", "rule", HOSTILE, words[0].start, words[0].end, HOSTILE, (HOSTILE,))
    analysis = replace(
        analysis,
        audio=replace(analysis.audio, name=HOSTILE.replace("/", "|"), warnings=(HOSTILE,)),
        transcript=replace(analysis.transcript, words=words, language='"><#x'),
        language_issues=(issue,),
        fillers=tuple(replace(filler, text=HOSTILE) for filler in analysis.fillers),
        measures={HOSTILE: analysis.measures["pvq"]},
        versions={HOSTILE: HOSTILE, "y" * 400: "z" * 900},
    )
    scores, coaching = samples.scores(), samples.coaching()
    for one in (*scores["scores"], *coaching["moments"], *coaching["drills"], coaching["highlights"]["well"]):
        one |= {key: HOSTILE for key in ("title", "why", "text", "sentence") if key in one}
    scores["rubric"]["title"] = HOSTILE
    shape = document(analysis, scores, coaching)
    read = paper(analysis, shape)
    assert read.metadata is not None
    assert read.metadata.title == HOSTILE.replace("/", "|")
    text = text_of(read).replace(" ", "")
    assert text.count(HOSTILE.replace(" ", "")) >= 8
    assert text.count("x") >= 10_000  # over two pages
    html = index_page.render(analysis, shape, samples.recording(), "audio.mp3")
    assert "<script>window.broken" not in html
    assert str(markupsafe.escape(HOSTILE)) in html


@pytest.mark.parametrize(
    ("language", "text"),
    [("ru", "Это были лучшие времена"), ("el", "Ήταν η καλύτερη εποχή"), ("he", "אלה היו הזמנים הטובים"), ("xx", "a\x07b \u202edesrever")],
)
def test_other_scripts_are_set(language: str, text: str) -> None:
    analysis = samples.bare(samples.recording(), samples.spoken(text.split()), name=f"{text}.wav", language=language)
    read = paper(analysis, document(analysis))
    assert len(read.pages) >= 1
    if language in ("ru", "el"):
        assert text in text_of(read)


def test_a_character_without_a_font_is_said() -> None:
    analysis = samples.bare(samples.recording(), samples.spoken(["\U00013000\U00012000"]))  # a hieroglyph, and cuneiform
    read = paper(analysis, document(analysis))
    assert "have no font on the machine that wrote it" in text_of(read)
    assert "/StructTreeRoot" in read.trailer["/Root"]  # type: ignore[operator]
    assert "have no font" not in text_of(paper(samples.talk()))


def test_no_words_still_make_a_report() -> None:
    pcm = samples.tone(1.0)
    assert "No words were recognised" in text_of(paper(samples.bare(pcm), document(samples.bare(pcm))))


def test_a_long_transcript_is_all_there() -> None:
    words = samples.spoken([f"word{index}" for index in range(3000)])
    analysis = replace(samples.bare(samples.recording(), words), audio=replace(samples.facts(samples.recording()), samples=words[-1].end))
    found = re.findall(r"word(\d+)", text_of(paper(analysis, document(analysis))).replace("- ", ""))
    assert [int(number) for number in found] == list(range(3000))
