"""Names, numbers and e-mail addresses are hidden wherever words leave the store; nothing else is."""

import json
from collections.abc import Iterator
from uuid import UUID

import pytest

from batch import wording
from batch.analyze import Findings
from batch.masking import masked_findings
from config import graph
from db import documents, embeddings, entities, media, sessions, steps, transcripts
from db.embeddings import Passage
from db.pool import Tx
from engines.embedded import Servers
from speech.analysis import Disfluency, LanguageIssue
from speech.audio import RATE_HZ
from speech.masking import Entity, masked
from speech.words import Transcript, Word
from tests.api_server import Running, running, settings_for


def said(text: str) -> tuple[Word, ...]:
    return tuple(Word(word, i * RATE_HZ, (i + 1) * RATE_HZ, 0.9) for i, word in enumerate(text.split()))


def shown(text: str, *names: str) -> str:
    """The text as it is shown, where these are known to be names at their first place."""
    words = said(text)
    known = []
    for name in names:
        parts = name.split()
        at = next(i for i in range(len(words)) if [w.text.strip(".,") for w in words[i : i + len(parts)]] == parts)
        known.append(Entity("name", name, words[at].start, words[at + len(parts) - 1].end))
    return " ".join(word.text for word in masked(words, known))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Call me at 555-123-4567, please.", "Call me at [number], please."),
        ("It is +44 7700 900 123 now.", "It is [number] now."),
        ("My card is 4111 1111 1111 1111.", "My card is [number]."),
        ("My number is oh seven nine five double two three four one, okay?", "My number is [number], okay?"),
        ("Dial five five five, one two three four.", "Dial [number]."),
        ("Account twenty three forty five sixty seven it is.", "Account [number] it is."),
        ("Write to jane.doe@example.org, or not.", "Write to [email], or not."),
        ("It is john dot smith at example dot com now.", "It is [email] now."),
        ("Hi, my name is maria and Dr. Brown's here.", "Hi, my name is [name] and Dr. [name]'s here."),
    ],
)
def test_numbers_and_addresses_are_hidden_written_or_spelt(text: str, expected: str) -> None:
    assert shown(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "In 2024, 2025, and 2026 we sold 1,000,000 units at 19.99 each.",
        "It took twenty five years, one house and two dogs.",
        "We met at ten, at the station, and look at that dot there.",
        "One hundred and fifty thousand people came.",
    ],
)
def test_quantities_years_and_plain_words_stay(text: str) -> None:
    assert shown(text) == text


def test_a_name_is_one_word_over_its_time_and_hidden_wherever_it_is_said() -> None:
    text = "I met Sarah Jenkins, Peter and will be. Then Sarah's boss left. The sarah tree."
    assert shown(text, "Sarah Jenkins", "Peter") == "I met [name], [name] and will be. Then [name]'s boss left. The sarah tree."
    words = masked(said("I met Sarah Jenkins there."), [Entity("name", "Sarah Jenkins", 2 * RATE_HZ, 4 * RATE_HZ)])
    assert [(w.text, w.start, w.end) for w in words[2:]] == [("[name]", 2 * RATE_HZ, 4 * RATE_HZ), ("there.", 4 * RATE_HZ, 5 * RATE_HZ)]


def test_only_people_are_hidden_of_what_is_named() -> None:
    words = said("Acme moved to Berlin on Monday.")
    known = [Entity(kind, words[i].text, words[i].start, words[i].end) for kind, i in (("organisation", 0), ("place", 3), ("date", 5))]  # type: ignore[arg-type]
    assert masked(words, known) == words


def test_people_organisations_places_and_dates_are_found_in_their_places() -> None:
    words = said("Last Tuesday I met um Sarah Jenkins from Acme Corporation in Berlin, and she told me about it.")
    found = {(one.kind, one.text): (one.start // RATE_HZ, one.end // RATE_HZ) for one in wording.entities(wording.read(words))}
    assert found == {
        ("date", "Last Tuesday"): (0, 2),
        ("name", "Sarah Jenkins"): (5, 7),
        ("organisation", "Acme Corporation"): (8, 10),
        ("place", "Berlin"): (11, 12),
    }


def test_remarks_that_quote_what_is_hidden_go_and_others_stay() -> None:
    words = said("We was with Sarah Sarah Jenkins and it were fine")
    names = (Entity("name", "Sarah Jenkins", words[4].start, words[5].end),)

    def issue(first: int, last: int, text: str) -> LanguageIssue:
        return LanguageIssue("grammar", "r", text, words[first].start, words[last].end, f"“{text}” is wrong", (text,))

    repeated = Disfluency("repetition", "Sarah", words[3].start, words[3].end)
    findings = Findings((), (), (), (repeated,), (issue(0, 1, "We was"), issue(2, 5, "with Sarah Jenkins")), {}, (), {}, names)
    hidden = masked_findings(findings, words)
    assert [one.text for one in hidden.language_issues] == ["We was"]
    assert [one.text for one in hidden.disfluencies] == ["[name]"]


# on the server


SECRET = "Sarah"
TEXT = "Yesterday Sarah called 555-123-4567 from Berlin."


@pytest.fixture(scope="module")
def server(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(settings_for(tmp_path_factory.mktemp("api")), servers) as running_server:
        yield running_server


def spoken(server: Running, *, mask: bool) -> str:
    """A session whose words are known, whose names are not yet."""

    async def work(tx: Tx) -> str:
        session = await sessions.create(tx, "a call", "upload", masked=mask)
        await transcripts.store(tx, session.id, Transcript(said(TEXT), "en", 0.9))
        return str(session.id)

    made: str = server.tenant(work)
    return made


def name(server: Running, session: str) -> None:
    words = said(TEXT)
    known = [
        Entity("name", "Sarah", words[1].start, words[1].end),
        Entity("place", "Berlin", words[5].start, words[5].end),
    ]
    server.tenant(lambda tx: entities.store(tx, UUID(session), known))


def test_a_masked_transcript_is_not_shown_before_its_names_are_known(server: Running) -> None:
    session = spoken(server, mask=True)
    with server.client() as client:
        early = client.get(f"/v1/sessions/{session}/transcript")
        assert (early.status_code, early.json()["code"]) == (404, "not-yet")
        assert client.get(f"/v1/sessions/{session}/entities").json()["code"] == "not-yet"
        name(server, session)
        words = [word["text"] for word in client.get(f"/v1/sessions/{session}/transcript").json()["words"]]
        named = client.get(f"/v1/sessions/{session}/entities").json()["entities"]
        assert client.get(f"/v1/sessions/{session}").json()["masked"] is True
    assert words == ["Yesterday", "[name]", "called", "[number]", "from", "Berlin."]
    assert named == [{"kind": "place", "text": "Berlin", "start_s": 5.0, "end_s": 6.0}]
    kept = server.tenant(lambda tx: transcripts.load_all(tx, UUID(session)))
    assert kept[0].words == said(TEXT)  # for what measures it


def test_hiding_takes_away_what_was_made_of_the_words_and_makes_it_anew(server: Running) -> None:
    session = spoken(server, mask=False)
    name(server, session)

    async def work(tx: Tx) -> None:
        id = UUID(session)
        await media.begin(tx, id, key="k", size=1, content_type="audio/wav", filename="f.wav")
        for step, input_hash in graph.hashes(graph.root_hash("source")).items():
            await steps.queue(tx, id, step, input_hash)
            await tx.execute("update steps set state = 'done' where session_id = $1 and step = $2", id, step)
        for table in ("fluency", "coaching"):
            await documents.store(tx, table, id, "h", {"moments": [{"text": SECRET}]})
        await embeddings.store(tx, id, [Passage("passage", TEXT, 0, 10)])
        await sessions.set_state(tx, id, "complete")

    server.tenant(work)
    server.put(session, "report/transcript.txt", TEXT.encode())
    server.put(session, "clips/m1.vtt", TEXT.encode())
    server.put(session, "audio.mp3", b"sound")
    server.do(server.state["live_log"].append(UUID(session), "tokens", 0, {"committed": [{"text": SECRET}]}))
    with server.client() as client:
        assert SECRET in client.get(f"/v1/sessions/{session}/transcript").text
        answer = client.patch(f"/v1/sessions/{session}", json={"masked": True})
        assert (answer.status_code, answer.json()["masked"], answer.json()["state"]) == (200, True, "processing")
        states = {step["step"]: step["state"] for step in answer.json()["steps"]}
        for part in ("transcript", "entities", "fluency", "coaching", "report", "scores"):
            assert SECRET not in client.get(f"/v1/sessions/{session}/{part}").text
        assert client.get("/v1/search", params={"q": "called Berlin", "session": session}).json()["results"] == []
        again = client.patch(f"/v1/sessions/{session}", json={"masked": False})
        assert (again.status_code, again.json()["code"]) == (409, "wrong-state")
    assert states["asr"] == "done"
    assert states["fluency"] == "queued"
    assert [key.partition(f"{session}/")[2] for key in server.blob_keys(session)] == ["audio.mp3"]
    told = server.do(read_log(server, session))
    assert SECRET not in json.dumps(told)


async def read_log(server: Running, session: str) -> list[object]:
    return [event.data for event in await server.state["live_log"].read(UUID(session), 0)]
