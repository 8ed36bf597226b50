"""A language model that words the facts, over a real server: what it says well is taken, what it does wrong leaves the templates."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from batch import phrasing
from batch.phrasing import phrased
from config.settings import LlmSettings

TITLES = ("Pace", "Fluency", "Pitch variety")
HIGHLIGHTS: dict[str, Any] = {
    "well": {
        "dimension": "pace",
        "sentence": "Pace went well: 152 words a minute.",
        "facts": {"title": "Pace", "score": 98, "low": 95, "high": 100, "measure": "speech_rate_wpm", "said": "152 words a minute"},
    },
    "work_on": {
        "dimension": "fluency",
        "sentence": "Work on fluency: 5.2 filled pauses (um, uh) per 100 words; aim for 1.5 or less.",
        "facts": {
            "title": "Fluency",
            "score": 45,
            "low": 40,
            "high": 50,
            "measure": "filled_pauses_per_100_words",
            "said": "5.2 filled pauses (um, uh) per 100 words",
            "aim": "1.5 or less",
        },
    },
    "needs": None,
    "phrased": None,
}
GOOD = "Your pace went well at 152 words a minute. In fluency there were 5.2 filled pauses per 100 words; aim for 1.5 or less."

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def ask(handler: Handler, key: str | None = "secret", highlights: dict[str, Any] = HIGHLIGHTS) -> tuple[dict[str, str] | None, int]:
    """What comes of it, and how often the server was asked."""
    asked = 0

    async def counted(request: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        return await handler(request)

    async def run() -> dict[str, str] | None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", counted)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            port = runner.addresses[0][1]
            return await phrased(LlmSettings(f"http://127.0.0.1:{port}/v1", "tiny", key), highlights, TITLES)
        finally:
            await runner.cleanup()

    return asyncio.run(run()), asked


def saying(text: str) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"choices": [{"message": {"role": "assistant", "content": text}}], "model": "tiny"})

    return answer


def test_what_is_said_well_is_taken_with_the_models_name() -> None:
    got: list[tuple[str, dict[str, Any]]] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        got.append((request.headers["Authorization"], await request.json()))
        return await saying(GOOD.replace(". In", ".\n\nIn"))(request)

    assert ask(answer) == ({"text": GOOD, "model": "tiny"}, 1)
    ((authorization, body),) = got
    assert (authorization, body["model"]) == ("Bearer secret", "tiny")
    sent = json.loads(body["messages"][1]["content"])
    assert {name: one["title"] for name, one in sent.items()} == {"well": "Pace", "work_on": "Fluency"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (GOOD.replace("5.2", "6.2"), "6.2 is not among"),
        (GOOD.replace("5.2 filled", "152 filled"), "152 is not among"),  # of the other one
        (GOOD.replace("1.5 or less", "three or less"), "three"),
        (GOOD + " That is twice as many as usual in fluency.", "twice"),
        (GOOD + " Your pitch variety was good, too.", "Pitch variety"),
        (GOOD.split(". ")[0] + ".", "leaves out Fluency"),
        (GOOD + " You sounded confident.", "confiden"),
        (GOOD + " More on http://example.org.", "not plain"),
        (GOOD + " And your fluency will grow." * 30, "characters"),
        ("", "characters"),
    ],
)
def test_what_was_not_measured_is_not_said(text: str, why: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "batch.phrasing"):
        assert ask(saying(text)) == (None, 1)
    assert why in caplog.text


def test_a_number_may_be_rounded_to_a_whole_one() -> None:
    assert ask(saying(GOOD.replace("5.2", "5")))[0] is not None
    assert ask(saying(GOOD.replace("5.2", "5.25")))[0] is None


async def failing(_: web.Request) -> web.Response:
    return web.Response(status=500, text="secret trouble")


async def elsewhere(_: web.Request) -> web.Response:
    return web.Response(status=307, headers={"Location": "/v1/chat/completions"})


async def no_json(_: web.Request) -> web.Response:
    return web.Response(body=b"\xff\xfe<html>")


async def other_json(_: web.Request) -> web.Response:
    return web.json_response({"choices": [{"message": {"content": None}}]})


async def empty(_: web.Request) -> web.Response:
    return web.json_response({"choices": []})


async def nested(_: web.Request) -> web.Response:
    return web.Response(text='{"x":' + "[" * 60_000)


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    try:
        while True:
            await response.write(b" " * 65_536)
    except ConnectionResetError:
        return response


async def broken_off(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    assert request.transport is not None
    request.transport.close()
    return response


async def hanging(_: web.Request) -> web.Response:
    await asyncio.Event().wait()
    raise AssertionError


@pytest.mark.parametrize(
    ("handler", "why"),
    [
        (failing, "status 500"),
        (elsewhere, "status 307"),
        (no_json, "malformed"),
        (other_json, "Expected `str`, got `null`"),
        (empty, "empty"),
        (nested, "recursion"),
        (endless, "larger than"),
        (broken_off, "Response payload is not completed"),
        (hanging, "Timeout"),
    ],
)
def test_a_server_that_fails_is_asked_once_and_the_templates_stand(
    handler: Handler, why: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if handler is hanging:
        monkeypatch.setattr(phrasing, "WITHIN_S", 0.05)
    with caplog.at_level(logging.WARNING, "batch.phrasing"):
        assert ask(handler) == (None, 1)
    assert why in caplog.text
    assert "secret" not in caplog.text


def test_a_server_that_is_not_there_is_no_trouble(caplog: pytest.LogCaptureFixture) -> None:
    found = asyncio.run(phrased(LlmSettings("http://127.0.0.1:9/v1", "tiny"), HIGHLIGHTS, TITLES))
    assert found is None
    assert "not heeded" in caplog.text


def test_where_nothing_is_scored_nobody_is_asked() -> None:
    assert ask(saying(GOOD), highlights=HIGHLIGHTS | {"well": None, "work_on": None}) == (None, 0)


def test_one_thing_alone_is_worded_alone() -> None:
    found, _ = ask(saying("Your pace went well at 152 words a minute."), key=None, highlights=HIGHLIGHTS | {"work_on": None})
    assert found is not None
