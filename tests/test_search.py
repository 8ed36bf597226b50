"""What was said is found again: by meaning, by words, and by how it was spoken."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
import pytest
from pgvector import HalfVector

from api.asked import Asked, asked
from batch.analyze import Findings
from batch.passages import FEWEST_WORDS, MOST_WORDS, passages
from config import models
from db import embeddings, migrate, search, sessions
from db.embeddings import DIMENSIONS, Manner, Passage
from db.pool import Database, Tx
from db.search import Usual, Wanted
from engines.embedded import Servers
from recognition.embedding import Embedder
from speech.analysis import Filler, Pause, Stretch
from speech.audio import RATE_HZ
from speech.words import Word
from tests import databases
from tests.api_server import Running, running, settings_for

EVEN = Manner(150.0, 0, 0.4, 8.0, -25.0)  # what is usual in the sessions below

PRICING = "We thought for a long time about what the large plan should cost, and in the end we charge forty dollars a month."
PRICING_AGAIN = "What customers pay us every month was the wrong amount, so in spring we lowered the fee for small companies."
HIRING = "Two engineers join the team in March, and we are still looking for somebody who can lead the support desk."
TRAVEL = "The train to the coast was late again, so we missed the boat and slept in a small hotel near the harbour."


@pytest.mark.parametrize(
    ("question", "topic", "filters"),
    [
        ("where did I talk about pricing too fast", "pricing", ("fast",)),
        ("When did I mention the new hires with many ums?", "new hires", ("fillers",)),
        ("show me the parts where I spoke about the budget and paused too long", "budget", ("pauses",)),
        ("where was I too quiet?", "", ("quiet",)),
        ("find moments where I was monotone", "", ("monotone",)),
        ("where I rushed through the results", "results", ("fast",)),
        ("the roadmap, said too slowly and too loud", "the roadmap", ("slow", "loud")),
        ("fast food", "fast food", ()),
        ("how we lost the contract", "how we lost the contract", ()),
        ("what is the capital of France", "what is the capital of France", ()),
        ("about pricing", "pricing", ()),
        ("  ", "", ()),
    ],
)
def test_a_question_is_a_topic_and_how_it_was_spoken(question: str, topic: str, filters: tuple[search.Filter, ...]) -> None:
    assert asked(question) == Asked(topic, filters)


def said(text: str, rate_wpm: float = 150.0, start: int = 0) -> tuple[Word, ...]:
    """The words at an even pace."""
    step = round(60 / rate_wpm * RATE_HZ)
    return tuple(
        Word(word, start + i * step, start + (i + 1) * step, 0.9, "filler" if word == "um" else "word")
        for i, word in enumerate(text.split())
    )


def found(**parts: object) -> Findings:
    nothing = Findings((), (), (), (), (), {}, (), {})
    return replace(nothing, **parts)  # type: ignore[arg-type]


def test_passages_are_whole_sentences_of_some_length_and_hold_every_word() -> None:
    sentences = ["Short one.", "This is a sentence of nine words, if counted.", "Yes.", " ".join(["and"] * 95) + ".", "The end of it."]
    words = said(" ".join(sentences * 4))
    rows = passages(words, found(), None, "en")
    made = list({one.start: one for one in rows}.values())  # a passage is there once for each sentence
    assert " ".join(one.text for one in made) == " ".join(word.text for word in words)
    assert all(one.start == before.end for before, one in pairwise(made))
    lengths = [len(one.text.split()) for one in made]
    assert max(lengths) <= MOST_WORDS + 8
    assert min(lengths) >= 8
    few = passages(said(" ".join(["One two three four five six seven."] * 20)), found(), None, "en")
    assert {len(one.text.split()) for one in few[:-1]} == {14}
    assert FEWEST_WORDS == 14


def test_each_sentence_of_a_passage_has_a_vector_of_its_own_but_short_ones() -> None:
    text = "The river rose over night again. Yes. We moved out on Sunday with the cat. Why?"
    made = passages(said(text), found(), None, "en")
    assert {one.text for one in made} == {text}
    assert [one.meant for one in made] == ["The river rose over night again.", "Yes. We moved out on Sunday with the cat. Why?"]


def test_a_passage_knows_how_it_was_spoken() -> None:
    slow, fast = said(" ".join(["slow"] * 29) + " slow.", 120.0), said("um " + " ".join(["fast"] * 29) + " fast.", 240.0, 20 * RATE_HZ)
    words = slow + fast
    pause = Pause(22 * RATE_HZ, 23 * RATE_HZ + RATE_HZ // 2, "silent", "unknown")
    stretches = tuple(
        Stretch(t * RATE_HZ, (t + 10) * RATE_HZ, None, None, None, None, span, level)
        for t, span, level in ((0, 4.0, -30.0), (10, None, None), (20, 9.0, -20.0))
    )
    filler = Filler("um", fast[0].start, fast[0].end, "filled_pause", "recogniser")
    one, two = passages(words, found(pauses=(pause,), fillers=(filler,), stretches=stretches), None, "en")
    assert one.manner.rate_wpm == pytest.approx(120, rel=0.01)
    assert two.manner.rate_wpm == pytest.approx(240 * 30 / 31, rel=0.01)
    assert (one.manner.fillers, one.manner.pause_s, one.manner.f0_span_st, one.manner.level_dbfs) == (0, 0.0, 4.0, -30.0)
    assert (two.manner.fillers, two.manner.pause_s, two.manner.f0_span_st, two.manner.level_dbfs) == (1, 1.5, 9.0, -20.0)


def test_moments_are_found_with_why_they_were_chosen() -> None:
    words = said("One two three four five six seven eight nine ten.")
    moment = {"why": "Three fillers in a row.", "text": "two three four", "start_s": 0.4, "end_s": 1.6}
    made = passages(words, found(), {"moments": [moment]}, "en")
    assert [(one.kind, one.text) for one in made[1:]] == [("moment", "Three fillers in a row. two three four")]
    assert (made[1].start, made[1].end) == (round(0.4 * RATE_HZ), round(1.6 * RATE_HZ))


# in the store


@pytest.fixture(scope="module", params=["superuser", "modest"])
def url(servers: Servers, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database of a superuser, and one of an owner that row security holds too."""
    with databases.empty_database(servers.database_url) as url:
        if request.param == "superuser":
            asyncio.run(migrate.migrate(url))
            yield url
        else:
            with databases.modest_login(url, prepared=True) as own:
                asyncio.run(migrate.migrate(own))
                yield own


async def planted(db: Database, held: Sequence[Passage], title: str = "planted") -> tuple[UUID, UUID]:
    """A new org with a session that holds these."""
    org = uuid4()
    async with db.tenant(org) as tx:
        await databases.plant_org(tx)
        session = (await sessions.create(tx, title, "upload")).id
        await embeddings.store(tx, session, held)
    return org, session


def test_the_nearest_passages_are_found_among_nearer_ones_of_another_org(url: str) -> None:
    seed = np.random.default_rng(3)
    wanted = seed.standard_normal(DIMENSIONS).astype(np.float32)
    far = seed.standard_normal((300, DIMENSIONS)).astype(np.float32)

    def near(distance: float) -> list[Passage]:
        close = [Passage("passage", f"{distance} {n}", n, n + 1, EVEN, wanted + distance * n * far[n] / 10) for n in range(100)]
        return close + [Passage("passage", "far", 0, 1, EVEN, vector) for vector in far[100:]]

    async def scenario(db: Database) -> list[str]:
        await planted(db, near(0.01))
        ours, _ = await planted(db, near(0.5))
        async with db.tenant(ours) as tx:
            await tx.execute("set local enable_seqscan = off; set local enable_sort = off")  # so few would be read through
            plan = await tx.fetch("explain select from embeddings order by embedding <=> $1 limit 5", HalfVector(wanted))
            assert "embeddings_nearest" in str(plan)
            return [one.text for one in await search.search(tx, Wanted("nowhere"), wanted, {}, 5)]

    assert databases.run(url, scenario) == [f"0.5 {n}" for n in range(5)]


def test_words_are_found_by_their_index_and_only_the_askers(url: str) -> None:
    def held(whose: str) -> list[Passage]:
        return [Passage("passage", f"{whose} pricing of number {n}", n, n + 1, EVEN) for n in range(3)] + [
            Passage("passage", f"{whose} walks along the river {n}", n, n + 1, EVEN) for n in range(200)
        ]

    async def scenario(db: Database) -> tuple[list[str], list[str]]:
        await planted(db, held("theirs"))
        ours, _ = await planted(db, held("ours"))
        async with db.tenant(ours) as tx:
            await tx.execute("set local enable_seqscan = off")
            by_words = await search.search(tx, Wanted("priced numbers"), None, {}, 50)
            raw = await tx.fetch("select distinct text from embeddings_with('pricing number', 1000) join embeddings using (id)")
        return [one.text for one in by_words], [row[0] for row in raw]

    by_words, raw = databases.run(url, scenario)
    assert len(by_words) == len(raw) == 3
    assert {text.split()[0] for text in by_words + raw} == {"ours"}
    assert sum("\x02pricing\x03" in text for text in by_words) == 3  # stemmed, and marked


def unit(*places: tuple[int, float]) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """A vector with these numbers at these places."""
    vector = np.zeros(DIMENSIONS, np.float32)
    for place, number in places:
        vector[place] = number
    return vector / np.linalg.norm(vector)


def test_a_rare_word_counts_and_a_common_one_does_not(url: str) -> None:
    held = [Passage("passage", f"people of the place {n}", n, n + 1, EVEN, unit((0, 1), (n + 1, 1 + n / 1000))) for n in range(300)]
    held[77] = replace(held[77], text="Kowalczyk of the place")
    held[99] = replace(held[99], text="somewhere else")  # as near as the others, but without a common word

    async def scenario(db: Database) -> tuple[list[str], list[str], list[tuple[str, float]]]:
        await planted(db, [Passage("passage", "Kowalczyk of the people", n, n + 1, EVEN, unit((0, 1))) for n in range(50)])
        ours, _ = await planted(db, held)
        async with db.tenant(ours) as tx:
            by_both = await search.search(tx, Wanted("people like Kowalczyk"), unit((0, 1)), {}, 3)
            by_words = await search.search(tx, Wanted("people like Kowalczyk"), None, {}, 3)
            raw = await tx.fetch("select text, weight from embeddings_with('Kowalczyk\\''s \\people', 200) join embeddings using (id)")
        return [one.text for one in by_both], [one.text for one in by_words], [(row["text"], row["weight"]) for row in raw]

    by_both, by_words, raw = databases.run(url, scenario)
    assert by_both[0] == by_words[0] == "\x02Kowalczyk\x03 of the place"
    weights = dict(raw)
    assert weights.pop("Kowalczyk of the place") == 1.0
    assert set(weights.values()) == {0.02}


def test_what_only_chance_brings_near_is_not_found(url: str) -> None:
    held = [
        Passage("passage", "near", 0, 1, EVEN, unit((0, 1.0), (1, 4.0))),  # a cosine of .24
        Passage("passage", "far", 1, 2, EVEN, unit((0, 1.0), (1, 6.0))),  # .16
        Passage("passage", "far, but xylophones", 2, 3, EVEN, unit((1, 1.0))),
    ]

    async def scenario(db: Database) -> list[str]:
        ours, _ = await planted(db, held)
        async with db.tenant(ours) as tx:
            return [one.text for one in await search.search(tx, Wanted("xylophone"), unit((0, 1.0)), {}, 5)]

    assert sorted(databases.run(url, scenario)) == ["far, but \x02xylophones\x03", "near"]


def test_what_was_said_in_ten_rehearsals_leaves_room_for_something_else(url: str) -> None:
    again = [Passage("passage", f"rehearsed {n}", n, n + 1, EVEN, unit((0, 1.0), (1, 1.0), (n + 10, 0.05))) for n in range(10)]
    other = Passage("passage", "another way to say it", 50, 51, EVEN, unit((0, 1.0), (2, 1.2)))

    async def scenario(db: Database) -> list[str]:
        ours, _ = await planted(db, [*again, other])
        async with db.tenant(ours) as tx:
            return [one.text for one in await search.search(tx, Wanted("nothing said"), unit((0, 1.0)), {}, 3)]

    first, second, _ = databases.run(url, scenario)
    assert (first[:9], second) == ("rehearsed", "another way to say it")


def test_usual_is_what_is_usual_for_the_speaker(url: str) -> None:
    async def scenario(db: Database) -> list[str]:
        org = uuid4()
        async with db.tenant(org) as tx:
            await databases.plant_org(tx)
            for name, rate_wpm in (("brisk", 200.0), ("calm", 120.0)):
                user = await tx.fetchval("insert into users (org_id, name) values (current_org(), $1) returning id", name)
                session = (await sessions.create(tx, name, "upload", user=user)).id
                held = [Passage("passage", f"{name} {n}", n, n + 1, replace(EVEN, rate_wpm=rate_wpm)) for n in range(20)]
                held.append(Passage("passage", f"{name} hurry", 20, 21, replace(EVEN, rate_wpm=1.2 * rate_wpm)))
                await embeddings.store(tx, session, held)
            fast = await search.search(tx, Wanted("", ("fast",)), None, await search.usual(tx), 50)
        return [one.text for one in fast]

    assert databases.run(url, scenario) == ["brisk hurry", "calm hurry"]


def test_what_was_spoken_unlike_usual_is_told_from_the_rest(url: str) -> None:
    odd: dict[search.Filter, Manner] = {
        "fast": replace(EVEN, rate_wpm=200.0),
        "slow": replace(EVEN, rate_wpm=110.0),
        "fillers": replace(EVEN, fillers=3),
        "monotone": replace(EVEN, f0_span_st=3.0),
        "pauses": replace(EVEN, pause_s=2.0),
        "loud": replace(EVEN, level_dbfs=-20.0),
        "quiet": replace(EVEN, level_dbfs=-31.0),
    }
    held = [Passage("passage", f"the river {name}", i, i + 1, manner) for i, (name, manner) in enumerate(odd.items())]
    held += [Passage("passage", "the river as usual", 100 + i, 101 + i, EVEN) for i in range(20)]

    async def scenario(db: Database) -> dict[str, list[str]]:
        ours, _ = await planted(db, held)
        async with db.tenant(ours) as tx:
            usual = await search.usual(tx)
            assert usual == {None: Usual(150.0, 8.0, -25.0)}
            return {
                f"{name} {topic}": [
                    one.text.replace("\x02", "").replace("\x03", "")
                    for one in await search.search(tx, Wanted(topic, (name,)), None, usual, 5)
                ]
                for name in search.FILTERS
                for topic in ("", "river")
            }

    answers = databases.run(url, scenario)
    assert answers == {f"{name} {topic}": [f"the river {name}"] for name in search.FILTERS for topic in ("", "river")}


# over the wire


@pytest.fixture(scope="module")
def server(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(settings_for(tmp_path_factory.mktemp("api")), servers) as running_server:
        yield running_server


@pytest.fixture(scope="module")
def talks(server: Running) -> tuple[str, str]:
    """Two sessions: prices told fast, hiring; prices told as usual, travel."""
    embedder: Embedder = server.state["embedder"]

    def hold(title: str, *told: tuple[str, Manner]) -> str:
        vectors = embedder([text for text, _ in told])
        assert vectors is not None
        held = [
            Passage("passage", text, 10 * n * RATE_HZ, 10 * (n + 1) * RATE_HZ, manner, vector)
            for n, ((text, manner), vector) in enumerate(zip(told, vectors, strict=True))
        ]

        async def work(tx: Tx) -> str:
            session = await sessions.create(tx, title, "upload")
            await embeddings.store(tx, session.id, held)
            return str(session.id)

        made: str = server.tenant(work)
        return made

    other = [("The garden needs rain.", EVEN)] * 8
    return (
        hold("Board", (HIRING, EVEN), (PRICING, replace(EVEN, rate_wpm=210.0)), *other),
        hold("Podcast", (TRAVEL, EVEN), (PRICING_AGAIN, EVEN)),
    )


def test_where_somebody_talked_about_it_too_fast(server: Running, talks: tuple[str, str]) -> None:
    with server.client() as client:
        answer = client.get("/v1/search", params={"q": "where did I talk about pricing too fast"}).json()
        without = client.get("/v1/search", params={"q": "pricing", "limit": 3}).json()
        explicit = client.get("/v1/search", params={"q": "pricing", "fast": "1"}).json()
    assert (answer["topic"], answer["filters"], answer["by_meaning"]) == ("pricing", [{"name": "fast", "title": "faster than usual"}], True)
    (hit,) = answer["results"]
    assert (hit["session"], hit["title"], hit["start_s"], hit["end_s"]) == (talks[0], "Board", 10.0, 20.0)
    assert "".join(piece["text"] for piece in hit["text"]) == PRICING
    assert hit["why"] == ["210 words a minute, usually 150"]
    assert hit["url"] == f"/sessions/{talks[0]}?at=9.5"
    assert explicit == answer
    # No word of the question is in either, only its meaning.
    assert {(one["session"], one["start_s"]) for one in without["results"][:2]} == {(talks[0], 10.0), (talks[1], 10.0)}
    assert without["results"][0]["why"] == []


def test_a_session_and_days_narrow_it(server: Running, talks: tuple[str, str]) -> None:
    with server.client() as client:

        def found_in(**parameters: str) -> set[str]:
            return {one["session"] for one in client.get("/v1/search", params={"q": "what it costs", **parameters}).json()["results"]}

        assert found_in(session=talks[1]) == {talks[1]}
        assert found_in(since="2020-01-01") >= set(talks)
        assert found_in(since="2200-01-01") == set()
        assert found_in(before="2020-01-01") == set()


def test_a_comment_is_found_at_once_and_gone_with_it(server: Running) -> None:
    empty: UUID = server.tenant(lambda tx: sessions.create(tx, "commented", "upload")).id
    with server.client() as client:
        wanted = {"text": "Ask the accountant whether this holds", "at_s": 12.5}
        made = client.post(f"/v1/sessions/{empty}/comments", json=wanted)
        assert made.status_code == 201
        comment = made.json()
        assert (comment["text"], comment["at_s"]) == (wanted["text"], 12.5)
        assert client.get(f"/v1/sessions/{empty}/comments").json()["comments"] == [comment]
        (hit,) = [one for one in client.get("/v1/search", params={"q": "tax advisor"}).json()["results"][:1] if one["kind"] == "comment"]
        assert hit["start_s"] == 12.5

        # A step that indexes the session anew leaves comments alone.
        server.tenant(lambda tx: embeddings.store(tx, empty, []))
        assert len(server.sql("select from embeddings where kind = 'comment'")) == 1
        assert client.delete(made.headers["location"]).status_code == 204
        assert client.get(f"/v1/sessions/{empty}/comments").json()["comments"] == []
        assert server.sql("select from embeddings where kind = 'comment'") == []
        gone = client.delete(made.headers["location"])
        assert (gone.status_code, gone.json()["code"]) == (404, "no-comment")


def test_what_lies_within_another_hit_is_shown_once(server: Running) -> None:
    async def work(tx: Tx) -> str:
        session = (await sessions.create(tx, "overlap", "upload")).id
        held = [
            Passage("passage", "the lighthouse keeper counts ships at night", 0, 100),
            Passage("moment", "Clean and even. lighthouse keeper counts ships", 20, 80),
            Passage("passage", "the lighthouse keeper is away", 100, 200),
        ]
        await embeddings.store(tx, session, held)
        return str(session)

    session = server.tenant(work)
    with server.client() as client:
        hits = client.get("/v1/search", params={"q": "lighthouse keeper", "session": session}).json()["results"]
    assert sorted(hit["end_s"] for hit in hits)[1:] == [200 / RATE_HZ]
    assert [piece["text"] for piece in hits[0]["text"] if piece["hit"]] == ["lighthouse", "keeper"]


def test_a_session_that_is_being_deleted_is_not_found(server: Running) -> None:
    async def work(tx: Tx) -> str:
        session = (await sessions.create(tx, "going", "upload")).id
        await embeddings.store(tx, session, [Passage("passage", "a xylophone", 0, 100)])
        return str(session)

    session = server.tenant(work)
    with server.client() as client:
        assert len(client.get("/v1/search", params={"q": "xylophone", "session": session}).json()["results"]) == 1
        server.state_of(session, "deleting")
        assert client.get("/v1/search", params={"q": "xylophone", "session": session}).json()["results"] == []


@pytest.mark.parametrize(
    "query", ["", "q=", "q=+", "q=x&fast=yes", "q=x&session=1", "q=x&since=yesterday", "q=x&limit=0", f"q={301 * 'x'}"]
)
def test_what_cannot_be_looked_for_is_said(server: Running, query: str) -> None:
    with server.client() as client:
        answer = client.get(f"/v1/search?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-parameter")


@pytest.mark.usefixtures("talks")
def test_without_the_weights_words_are_found_and_it_is_said(servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "EMBEDDINGS", "no-such-distribution")
    with running(settings_for(tmp_path), servers) as bare, bare.client() as client:
        answer = client.get("/v1/search", params={"q": "engineers"}).json()
        unmeant = client.get("/v1/search", params={"q": "recruiting"}).json()
    assert answer["by_meaning"] is False
    assert [one["start_s"] for one in answer["results"]] == [0.0]
    assert unmeant["results"] == []
