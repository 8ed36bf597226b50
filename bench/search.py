"""Whether what was said is found again, and how long that takes.

    python -m bench.search [URL]      # prints tables, writes bench/results/search.json

Thirty sentences are planted in 200 transcripts (search.toml): of talks, five parts of forty each; and, harder than life, of unconnected
sentences on forty things, made by forty patterns, with some that lie near. Each is asked for twice: in other words, nearly all of which
share no stem with it, and in some of its own; "half and half" takes them by turns. Found means among the first five. Beside it: full text
alone, every passage compared, and thirty others, on which the weights and limits of db/search.py were chosen ("development").

Then the same questions among 100,000 passages of the org (recombined sentences, their vectors with noise) and 10,000 of another org, which
holds the planted sentences as well. URL is a superuser's login of a PostgreSQL with pgvector; without it one is started. The weights are
kept in ELOCUTE_DATA.
"""

import asyncio
import platform
import random
import re
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import numpy as np
from pgvector import HalfVector
from pgvector.asyncpg import register_vector

from api.asked import asked
from batch.analyze import Findings
from batch.passages import passages
from bench.table import Row, keep, show
from config.settings import read_settings
from db import embeddings, search, sessions
from db.embeddings import Passage
from db.pool import Database
from db.search import Found, Wanted
from recognition.embedding import Embedder
from speech.audio import RATE_HZ, Floats
from speech.words import Word
from tests import databases
from tests.servers import trio

TRANSCRIPTS = 200
MANY = 100_000
OTHERS = 10_000  # of another org
ROUNDS = 5
NOTHING = Findings((), (), (), (), (), {}, (), {})

TEXTS = tomllib.loads((Path(__file__).parent / "search.toml").read_text(encoding="utf-8"))
SENTENCE = re.compile(r"(?<=[.?!])\s+")


class Planted:
    """What is planted, and the questions for it as the server takes them apart."""

    def __init__(self, name: str) -> None:
        self.said = [one["said"] for one in TEXTS[name]]
        other, own = ([asked(one[key]).topic for one in TEXTS[name]] for key in ("asked", "named"))
        half = [(other, own)[n % 2][n] for n in range(len(other))]  # alternates by place, whatever the outcome
        self.questions = {"other words": other, "own words": own, "half and half": half}


def patterns() -> list[str]:
    """Unconnected sentences."""
    made = [saying.format(subject) for subject in TEXTS["subjects"] for saying in TEXTS["sayings"]]
    return [*(text[0].upper() + text[1:] for text in made), *TEXTS["near"]]


def told(kind: str, seed: random.Random) -> list[str]:
    """The sentences of one transcript."""
    if kind == "talks":
        return [one for part in seed.sample(TEXTS["talks"], 5) for one in SENTENCE.split(part) if seed.random() < 0.85]
    made = seed.sample(patterns(), seed.randint(20, 40)) + seed.sample(TEXTS["near"], 2)
    seed.shuffle(made)
    return made


def transcripts(kind: str, said: Sequence[str]) -> list[tuple[str, int | None]]:
    """Texts of 200 transcripts, with which planted sentence each holds."""
    seed = random.Random(7)
    holders = dict(zip(seed.sample(range(TRANSCRIPTS), len(said)), range(len(said)), strict=True))
    made = []
    for n in range(TRANSCRIPTS):
        text = told(kind, seed)
        if n in holders:
            text.insert(seed.randint(0, len(text)), said[holders[n]])
        made.append((" ".join(text), holders.get(n)))
    return made


def spoken(text: str) -> tuple[Word, ...]:
    """At 150 words a minute."""
    step = round(0.4 * RATE_HZ)
    return tuple(Word(word, i * step, (i + 1) * step, 0.9) for i, word in enumerate(text.split()))


def embedded(embedder: Embedder, texts: Sequence[str]) -> Floats:
    """Vectors. Stops where the weights are not installed."""
    vectors = embedder(texts)
    if vectors is None:
        sys.exit("The weights of the sentence embeddings are not installed (requirements/bundled-models.in).")
    return vectors


class Bench:
    """A database with transcripts of one org, and with what is planted in them held by another org, too."""

    def __init__(self, db: Database, owner: asyncpg.Connection, embedder: Embedder, kind: str, planted: Planted) -> None:
        self.db, self.owner, self.embedder, self.kind, self.planted = db, owner, embedder, kind, planted
        self.homes: dict[int, UUID] = {}  # planted sentence -> session
        self.org, self.other = uuid4(), uuid4()

    async def plant(self) -> None:
        """The transcripts, as the step stores them; and the planted sentences once more in the other org."""
        made = [(passages(spoken(text), NOTHING, None, "en"), holds) for text, holds in transcripts(self.kind, self.planted.said)]
        texts = sorted({one.meant for found, _ in made for one in found})
        vectors = dict(zip(texts, embedded(self.embedder, texts), strict=True))
        async with self.db.tenant(self.org) as tx:
            await databases.plant_org(tx)
            for found, holds in made:
                session = (await sessions.create(tx, "transcript", "upload")).id
                await embeddings.store(tx, session, [replace(one, embedding=vectors[one.meant]) for one in found])
                if holds is not None:
                    self.homes[holds] = session
        async with self.db.tenant(self.other) as tx:
            await databases.plant_org(tx)
            session = (await sessions.create(tx, "theirs", "upload")).id
            theirs = zip(self.planted.said, embedded(self.embedder, self.planted.said), strict=True)
            await embeddings.store(tx, session, [Passage("passage", text, n, n + 1, embedding=v) for n, (text, v) in enumerate(theirs)])
        await self.owner.execute("vacuum analyze embeddings")

    async def ask(self, topic: str, way: str = "both", name: search.Filter | None = None) -> list[Found]:
        """What the server does for a question."""
        vector = None if way == "words" else embedded(self.embedder, [topic])[0]
        async with self.db.tenant(self.org) as tx:
            usual = await search.usual(tx) if name else {}
            if way == "every passage compared":
                await tx.execute("set local enable_indexscan = off")
            wanted = Wanted(topic, (name,) if name else ())
            return await search.search(tx, wanted, vector, usual, 5)

    async def rows(self, among: str, rounds: int) -> list[Row]:
        """Recall and time of each way, and with a filter."""
        table: list[Row] = []
        ways: tuple[tuple[str, str, search.Filter | None, int], ...] = (
            *((questions, "both", None, rounds) for questions in self.planted.questions),
            ("half and half", "words", None, 1),
            ("half and half", "every passage compared", None, 1),
            ("half and half", "both", "fast", rounds),
        )
        for questions, way, name, times in ways:
            took, hits, foreign = [], 0, 0
            for _ in range(times):
                for n, question in enumerate(self.planted.questions[questions]):
                    began = time.perf_counter()
                    found = await self.ask(question, way, name)
                    took.append(1000 * (time.perf_counter() - began))
                    hits += any(one.session == self.homes[n] and _same(one, self.planted.said[n]) for one in found)
                    foreign += sum(one.title == "theirs" for one in found)
            p50, p95 = np.percentile(took, (50, 95))
            what = way if name is None else f"{way}, {name}"
            recall = None if name else hits / (times * len(self.planted.said))
            table.append(
                {
                    "among": among,
                    "questions": questions,
                    "by": what,
                    "recall@5": recall,
                    "p50 ms": p50,
                    "p95 ms": p95,
                    "of the other org": foreign,
                }
            )
        return table

    async def fill(self) -> list[Row]:
        """Passages up to 100,000, and 10,000 of the other org, and the index over all."""
        pool = patterns() + [one for part in TEXTS["talks"] for one in SENTENCE.split(part)]
        before = time.process_time()
        vectors = embedded(self.embedder, pool)
        cost: Row = {"what": f"{len(pool)} sentences, embedded (CPU)", "value": time.process_time() - before, "unit": "s"}
        numbers = np.random.default_rng(8)
        has: int = await self.owner.fetchval(
            "select count(distinct (session_id, start_sample)) from embeddings where org_id = $1", self.org
        )
        records = []
        for org, count in ((self.org, MANY - has), (self.other, OTHERS)):
            async with self.db.tenant(org) as tx:
                homes = [
                    (await sessions.create(tx, "theirs" if org == self.other else "more", "upload")).id for _ in range(count // 200 + 1)
                ]
            for n in range(count):
                some = numbers.integers(0, len(pool), int(numbers.integers(1, 4)))
                rate = float(numbers.normal(150, 20))
                text = " ".join(pool[i] for i in some)
                for i in some:
                    vector = vectors[i] + numbers.normal(0.0, 0.25 / np.sqrt(vectors.shape[1]), vectors.shape[1]).astype(np.float32)
                    vector /= np.linalg.norm(vector)
                    records.append((org, homes[n // 200], text, n % 200 * 100, n % 200 * 100 + 100, rate, 0, HalfVector(vector)))
        await register_vector(self.owner)
        definitions = await self.owner.fetch(
            "select indexname, indexdef from pg_indexes where indexname in ('embeddings_nearest', 'embeddings_words_idx')"
        )
        await self.owner.execute("drop index embeddings_nearest, embeddings_words_idx")
        began = time.perf_counter()
        columns = ("org_id", "session_id", "text", "start_sample", "end_sample", "rate_wpm", "fillers", "embedding")
        await self.owner.copy_records_to_table("embeddings", records=records, columns=columns)
        table: list[Row] = [
            cost,
            {
                "what": f"{len(records)} sentences of {MANY + OTHERS - has} passages, COPY by the owner, no index",
                "value": time.perf_counter() - began,
                "unit": "s",
            },
        ]
        await self.owner.execute("set maintenance_work_mem = '512MB'")
        for row in definitions:
            began = time.perf_counter()
            await self.owner.execute(row["indexdef"], timeout=1800)
            table.append({"what": f"{row['indexname']}, built at once", "value": time.perf_counter() - began, "unit": "s"})
        for name in ("embeddings", "sessions"):
            await self.owner.execute(f"vacuum analyze {name}")
        for name in ("embeddings_nearest", "embeddings_words_idx"):
            size = await self.owner.fetchval("select pg_relation_size($1::regclass) / 1048576.0", name)
            table.append({"what": name, "value": float(size), "unit": "MiB"})
        return table


def _same(found: Found, text: str) -> bool:
    plain = found.text.replace(search.MARK_START, "").replace(search.MARK_END, "")
    return text in plain


async def apart(owner: asyncpg.Connection, planted: Planted) -> Row:
    """How many of the questions have no stem in common with what was said."""
    query = "select to_tsvector('english', $1) @@ replace(plainto_tsquery('english', $2)::text, ' & ', ' | ')::tsquery"
    shared = [
        await owner.fetchval(query, said, question) for said, question in zip(planted.said, planted.questions["other words"], strict=True)
    ]
    return {"what": "questions in other words that share no stem", "value": float(shared.count(False)), "unit": ""}


async def measure(url: str) -> dict[str, list[Row]]:
    """All tables, in a database of its own."""
    async with Database.open(url) as db:
        owner = await asyncpg.connect(url)
        try:
            embedder, planted = Embedder(read_settings()), Planted("planted")
            cost, found = [await apart(owner, planted)], []
            for name, texts in (("development: ", Planted("development")), ("", planted)):
                for kind in ("unconnected sentences", "talks"):
                    bench = Bench(db, owner, embedder, kind, texts)
                    await bench.plant()
                    found += await bench.rows(f"{name}{TRANSCRIPTS} {kind}", 1)
            cost += await bench.fill()
            found += await bench.rows(f"{MANY:,} passages", ROUNDS)
        finally:
            await owner.close()
    return {"found": found, "what it takes": cost}


def main() -> None:
    """Measure, print and write bench/results/search.json."""
    with tempfile.TemporaryDirectory() as folder:
        if len(sys.argv) > 1:
            run(sys.argv[1])
        else:
            Path(folder).chmod(0o755)  # the engines run as somebody else
            with trio(Path(folder)) as servers:
                run(servers.database_url)


def run(server_url: str) -> None:
    """Measure on this server."""
    with databases.database(server_url) as url:
        tables = asyncio.run(measure(url))
    for title, rows in tables.items():
        show(title, rows)
    keep("search", {"about": {"machine": platform.machine()}, **tables})


if __name__ == "__main__":
    main()
