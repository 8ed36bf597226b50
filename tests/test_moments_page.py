"""The moments of a session in a browser: they are named, play with their captions, are downloaded, and one's own are cut and deleted."""

import re
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from playwright.sync_api import Page, expect

from api.state import State
from batch.clips import SUFFIXES, Cut, Source, cut_of, render
from batch.compared import compared
from batch.highlights import highlights
from batch.steps import FILE_TYPES
from config.rubrics import rubrics
from db import clips, documents, sessions
from db.clips import Rendered
from db.reports import ReportFile
from tests import samples
from tests.test_page import until
from tests.test_pages import HASH, House, browser, context, house, show

__all__ = ["browser", "context", "house", "show"]

MOMENTS = [
    (
        "best",
        "paced",
        8.6,
        13.1,
        "160 words a minute, with every longer pause at the end of a clause; no filler and no repair in 9 words.",
    ),
    ("stumble", "fillers", 1.0, 4.8, "Three times “um” in eight seconds."),
    ("stumble", "pause", 13.2, 17.2, "A pause of 1.4 s in the middle of a clause, between “the” and “season”."),
]


def coached(house: House, folder: Path) -> UUID:
    """A session with three moments, their clips, and one of the user's own."""
    session = house.complete("Coached")
    words = samples.talk().transcript.words
    moments = [
        {
            "id": f"m{number}", "kind": kind, "what": what, "dimension": "fluency", "why": why,
            "text": " ".join(word.text for word in words if start_s <= word.start / 16_000 < end_s),
            "start_s": start_s, "end_s": end_s, "cut_start_s": start_s, "cut_end_s": end_s,
        }
        for number, (kind, what, start_s, end_s, why) in enumerate(MOMENTS, 1)
    ]  # fmt: skip
    cuts = [cut_of(samples.samples(one[2]), samples.samples(one[3]), words, "en") for one in MOMENTS]
    cuts.append(cut_of(samples.samples(20), samples.samples(24), words, "en"))
    render(Source(samples.recording(), words, "en", None), cuts, folder, 2, lambda _: None)

    async def store(at: State) -> None:
        prefix = f"{at['member'].org}/{session}/clips/"

        async def rendered(cut: Cut) -> Rendered:
            files = []
            for suffix in SUFFIXES:
                path = folder / f"{cut.name}{suffix}"
                await at["blobs"].put(f"{prefix}{path.name}", path, content_type=FILE_TYPES[suffix])
                files.append(ReportFile(f"clip{suffix}", f"{prefix}{path.name}", path.stat().st_size, FILE_TYPES[suffix]))
            return Rendered(cut.start, cut.end, tuple(files))

        given = [await rendered(cut) for cut in cuts]
        async with at["db"].tenant(at["member"].org) as tx:
            scores = await documents.load(tx, "scores", session)
            assert scores is not None
            made = {"drills": [], "change": compared(scores, []), "highlights": highlights(scores, rubrics()["talk"])}
            await documents.store(tx, "coaching", session, HASH, {**made, "moments": moments})
            await clips.add(tx, session, "The ending", cuts[3].start, cuts[3].end)
            await clips.store(tx, session, [(str(m["id"]), one) for m, one in zip(moments, given[:3], strict=True)], given[3:])

    house.run(store)
    return session


@pytest.fixture(scope="module")
def session(house: House, tmp_path_factory: pytest.TempPathFactory) -> UUID:
    return coached(house, tmp_path_factory.mktemp("clips"))


def test_moments_play_with_captions_that_follow_the_words(show: Callable[..., Page], session: UUID) -> None:
    page = show(f"/sessions/{session}", expected="status of 404")  # nothing was named
    expect(page.get_by_role("heading", name="Moments")).to_be_visible()
    assert page.locator(".clips .why").all_text_contents() == [*(one[4] for one in MOMENTS), "The ending"]
    first = page.locator(".clips video").first
    first.evaluate("video => { video.muted = true; return video.play(); }")
    until(page, "document.querySelector('.clips video').currentTime > 0.3")
    until(page, "document.querySelector('.clips video').textTracks[0].cues?.length > 0")
    cues = page.evaluate("[...document.querySelector('.clips video').textTracks[0].cues].map((cue) => cue.getCueAsHTML().textContent)")
    said = page.locator(".clips .said").first.text_content()
    assert said is not None
    assert " ".join(" ".join(cues).split()) == said.strip()
    assert page.evaluate("document.querySelector('.clips video').duration") == pytest.approx(4.5, abs=0.05)
    # another that plays silences the first
    page.locator(".clips video").nth(1).evaluate("video => { video.muted = true; return video.play(); }")
    until(page, "document.querySelector('.clips video').paused")


def test_a_clip_is_kept_under_a_name_that_says_what_it_is(show: Callable[..., Page], session: UUID) -> None:
    page = show(f"/sessions/{session}", expected="status of 404")  # nothing was named
    with page.expect_download() as download:
        page.locator(".clips a", has_text="Sound").first.click()
    assert download.value.suggested_filename == "Coached m1.m4a"
    assert Path(download.value.path()).stat().st_size > 10_000


def test_a_clip_of_ones_own_is_cut_and_deleted(show: Callable[..., Page], house: House, session: UUID) -> None:
    page = show(f"/sessions/{session}", expected="status of 4")  # and nothing was named
    page.get_by_text("Cut out a clip of your own").click()
    page.get_by_label("From", exact=True).fill("0:40")
    page.get_by_label("To", exact=True).fill("1:40")
    page.get_by_role("button", name="Cut", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("cannot be cut out")
    page.get_by_label("To", exact=True).fill("0:30")
    expect(page.get_by_role("button", name="Cut", exact=True)).to_be_disabled()
    page.get_by_role("button", name=re.compile("Delete the clip")).click()
    expect(page.locator(".clips .why")).to_have_count(3)
    page.get_by_label("To", exact=True).fill("0:42.5")
    page.get_by_role("button", name="Cut", exact=True).click()
    expect(page.get_by_role("heading", name="In progress")).to_be_visible()

    async def look(at: State) -> list[tuple[int, int]]:
        async with at["db"].tenant(at["member"].org) as tx:
            found = await clips.of(tx, session)
            await sessions.set_state(tx, session, "complete")
            return [(clip.start, clip.end) for clip in found if clip.moment is None]

    assert house.run(look) == [(samples.samples(40), samples.samples(42.5))]
