"""Every drill done from its page to its result in a real browser, with the real recogniser, by speech that should pass and that should not.

The microphone speaks when it is told to; what is read is the text of the recording that speaks.
"""

import asyncio
import base64
import io
import wave
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from api import drills as api_drills
from batch.relay import relay
from batch.steps import Tools
from batch.worker import Worker
from config import graph
from config.drills import drills
from config.passages import Kind, Level
from db import documents, sessions
from db.pool import Tx
from engines.bus import Bus
from engines.embedded import Servers
from speech.audio import HOP, RATE_HZ, Floats, Frames, Span, State
from speech.prosody import analyse
from speech.shadowing import contour
from tests import fake_speech as fake
from tests.api_server import Running
from tests.browsers import FAKE, chromium, serving, shown
from tests.samples import recording, samples

MICROPHONE = """
const context = new AudioContext({ sampleRate: 16000 });
const destination = context.createMediaStreamDestination();
const room = context.createBuffer(1, 16000, 16000);
room.getChannelData(0).forEach((_, at, all) => (all[at] = (Math.random() - 0.5) * 4e-4));
const quiet = new AudioBufferSourceNode(context, { buffer: room, loop: true });
quiet.connect(destination);
quiet.start();
navigator.mediaDevices.getUserMedia = async () => { await context.resume(); return destination.stream; };
window.speak = (encoded) => {
  const pcm = new Int16Array(Uint8Array.from(atob(encoded), (one) => one.charCodeAt(0)).buffer);
  const buffer = context.createBuffer(1, pcm.length, 16000);
  buffer.getChannelData(0).set(Float32Array.from(pcm, (one) => one / 32768));
  const source = context.createBufferSource();
  source.buffer = buffer;
  source.connect(destination);
  source.start();
};
"""
UNTIL_THERE_IS_ROOM = """async () => {
  for (let n = 0; n < 200 && (await (await fetch("/v1/live")).json()).full; n++) await new Promise((go) => setTimeout(go, 300));
}"""
BREATHS = fake.OPENING
MARKED = " ".join(f"It *was* {rest}." for rest in fake.OPENING.rstrip(".").replace(", / it was ", "|").removeprefix("It was ").split("|"))
SAID = "It was the *best* of times, it was the *worst* of times, it was the age of *wisdom*, it was the age of foolishness."
UNSAID = "It was the *beast* of times, it was the *verse* of times, it was the age of *freedom*, it was the age of foolishness."


class Read:
    """The text that the recording reads, also to who was told to come back and did."""

    text = ""

    def unseen(self, _kind: Kind, _level: Level, seen: list[str], _contrast: str | None = None) -> tuple[str, str]:
        """It."""
        return f"told-{len(seen)}", self.text


def gap(length_s: float = 1.0) -> Floats:
    """Between repetitions."""
    return fake.silence(length_s)


def phrase() -> Floats:
    """What is shadowed."""
    return recording()[samples(fake.PHRASE_S[0]) : samples(fake.PHRASE_S[1])]


def thrice(pcm: Floats) -> Floats:
    """As the drill asks for."""
    return np.concatenate([gap(0.3), pcm, gap(), pcm, gap(), pcm, gap(0.3)])


SETTLED = "pitch-lights"  # whose recordings are also analysed: the shortest
UM = np.concatenate([fake.silence(0.1), fake.um(), fake.silence(0.1)])
# drill: (text and speech that pass, text and speech that do not)
DONE: dict[str, tuple[tuple[str, Callable[[], Floats]], tuple[str, Callable[[], Floats]]]] = {
    "filler-replacement": (
        ("Anything", lambda: fake.reading()[: samples(20.9)]),
        ("Anything", lambda: fake.spliced(fake.reading(), (3.0, 6.2, 9.5, 13.0, 15.0), UM)[: samples(20)]),
    ),
    "clause-pauses": (
        (BREATHS, lambda: fake.reading()[: samples(16.9)]),
        (BREATHS, lambda: fake.spliced(fake.reading(), fake.INSIDE_S, fake.silence(0.5))[: samples(20.5)]),
    ),
    "phrase-clock": (
        (BREATHS, lambda: fake.reading()[: samples(24.3)]),
        (BREATHS, lambda: fake.resynthesised(recording()[: samples(37)], "self", 1.9)),
    ),
    "pitch-lights": (
        (BREATHS, lambda: fake.wide(fake.reading()[: samples(16.9)])),
        (BREATHS, lambda: fake.flat(fake.reading()[: samples(16.9)])),
    ),
    "shadowing": (("", lambda: thrice(0.6 * phrase())), ("", lambda: thrice(fake.flat(phrase(), 0.55)))),
    "minimal-pairs": ((SAID, lambda: fake.reading()[: samples(10.4)]), (UNSAID, lambda: fake.reading()[: samples(10.4)])),
    "emphasis": (
        (MARKED, lambda: fake.raised(fake.reading()[: samples(16.9)], fake.WAS_S)),
        (MARKED, lambda: fake.reading()[: samples(16.9)]),
    ),
}


@pytest.fixture(scope="module")
def server(servers: Servers, data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("drills")
    (data_folder / "models").mkdir(exist_ok=True)
    (folder / "models").symlink_to(data_folder / "models")  # joined once for all tests
    with serving(servers, folder, recognise=True) as made:
        plant(made)
        yield made


@pytest.fixture(scope="module")
def browser(server: Running) -> Iterator[Browser]:
    del server  # it begins before Playwright
    with sync_playwright() as playwright:
        made = chromium(playwright, *FAKE, "--autoplay-policy=no-user-gesture-required")
        yield made
        made.close()


def plant(server: Running) -> None:
    """A talk of one's own, with its pace, and a phrase that is worth repeating, twice: an attempt takes one that was not practised."""
    pcm = recording()
    hops = analyse(pcm[: pcm.size // HOP * HOP])
    frames = Frames(0, HOP, hops.f0_hz, hops.level_dbfs, np.full(hops.f0_hz.size, State.SPEECH, np.int8))
    tune = contour(frames, Span(samples(fake.PHRASE_S[0]), samples(fake.PHRASE_S[1])))
    model = {"st": [None if np.isnan(st) else float(st) for st in tune.st], "db": [float(db) for db in tune.db]}
    phrases = [{"start_s": at, "end_s": fake.PHRASE_S[1], "text": "it was the epoch of incredulity", **model} for at in (10.77, 10.78)]
    proposals = [
        {"drill": "shadowing", "why": "Planted.", "material": {"own": {}, "phrases": phrases}},
        {
            "drill": "phrase-clock",
            "why": "Planted.",
            "material": {"own": {"speech_rate_wpm": 183.0}, "excerpt": "We came late, / it rained."},
        },
    ]

    async def work(tx: Tx) -> str:
        talk = await sessions.create(tx, "A talk", "upload", user=server.state["member"].user)
        await documents.store(tx, "coaching", talk.id, "h", {"drills": proposals})
        return str(talk.id)

    sound = io.BytesIO()
    with wave.open(sound, "wb") as file:
        file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        file.writeframes(np.rint(pcm * 32767).astype("<i2").tobytes())
    server.put(server.tenant(work), "audio.mp3", sound.getvalue(), "audio/mpeg")


@pytest.mark.parametrize("name", list(DONE))
def test_speech_that_should_pass_does_and_speech_that_should_not_does_not(
    browser: Browser, server: Running, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Read()
    monkeypatch.setattr(api_drills, "passages", lambda: read)
    with ExitStack() as stack:
        pages = []
        for text, speech in DONE[name]:
            read.text = text
            pages.append(begun(stack, browser, server, name, speech()))
        for page, expected in zip(pages, ("Passed", "Not yet"), strict=True):
            result = page.locator(".drill-result")
            expect(result).to_contain_text("live numbers", timeout=120_000)
            assert result.get_by_role("heading", level=1).inner_text() == expected, result.inner_text()
            expect(page.locator(".conditions li")).to_have_count(len(drills()[name].rules))
        if name == SETTLED:
            with working(server):
                for page, expected in zip(pages, ("Passed", "Not yet"), strict=True):
                    expect(page.locator(".drill-result .lead")).to_have_text("Settled by the finished analysis.", timeout=90_000)
                    expect(page.get_by_role("heading", level=1)).to_have_text(expected)
                    expect(page.locator(".drill-result")).to_contain_text("Again on")


def begun(stack: ExitStack, browser: Browser, server: Running, name: str, speech: Floats) -> Page:
    """A page on which somebody has begun to speak."""
    seconds = speech.size / RATE_HZ + 1.5
    page = stack.enter_context(shown(browser, server.url, f"/drills/{name}?seconds={seconds:.1f}", MICROPHONE, "503"))
    page.get_by_role("button", name="Begin").click()
    start = page.get_by_role("button", name="Start recording")
    start.wait_for(timeout=20_000)
    for _ in range(10):  # a machine that is busy lets in a little later
        page.evaluate(UNTIL_THERE_IS_ROOM)
        start.click()
        page.wait_for_selector(".running.open, .mic .trouble", timeout=60_000)
        if page.locator(".running.open").count():
            break
    expect(page.locator(".running.open"), page.locator("main").inner_text()).to_be_visible()
    page.evaluate("speak", base64.b64encode(np.rint(np.clip(speech, -1, 1) * 32767).astype("<i2").tobytes()).decode())
    return page


@contextmanager
def working(server: Running) -> Iterator[None]:
    """A worker and a relay at work, where the server's connections are."""
    state = server.state

    async def work() -> None:
        async with Bus.connect(state["servers"].nats_url) as bus, asyncio.TaskGroup() as tasks:
            tools = Tools(state["settings"], state["db"], state["blobs"], state["settings"].data / "scratch")
            tasks.create_task(relay(state["db"], bus))
            tasks.create_task(Worker(tools, bus, state["live_log"], "one").run(list(graph.BY_NAME)))

    running = asyncio.run_coroutine_threadsafe(work(), server.loop)
    try:
        yield
    finally:
        running.cancel()
