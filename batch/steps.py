"""What each step of config/graph.py does: its inputs from the store, the work in a thread, its files, and the rows it leaves.

A step is given what it needs by `Tools` and answers with `Done`; batch/worker.py wraps them all alike. The same input gives the same
result, so a step that runs twice does no harm.
"""

import asyncio
import re
import shutil
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import msgspec
import numpy as np

from batch import analyze
from batch.analyze import Findings, Listened
from batch.coaching import coaching
from batch.decode import Beginning, Recording, decode
from batch.drilling import judged
from batch.masking import masked_findings
from batch.passages import passages
from batch.phrasing import phrased
from batch.progress import Progress
from batch.pronounced import pronounced, without_words
from batch.ratings import ratings
from batch.scored import scored
from batch.segments import join
from config import models
from config.rubrics import rubrics
from config.settings import Settings
from db import clips as db_clips
from db import documents, drills, embeddings, history, media, reports, series, sessions, steps, transcripts
from db import entities as db_entities
from db.history import Scored
from db.media import Media
from db.pool import Database, Tx
from db.reports import ReportFile
from db.sessions import Session
from engines.blobs import Blobs, Stored
from engines.live_log import Stream
from recognition.embedding import Embedder
from speech import intonation, measures, prosody
from speech.analysis import Analysis, AudioFacts, Measure, Second
from speech.audio import RATE_HZ, Floats, Span, State
from speech.changes import MOST_EARLIER
from speech.errors import Problem, sentence
from speech.measures import Spoken
from speech.pauses import at_least, lost_samples, pauses, speaking_span
from speech.seconds import by_second
from speech.words import Heard, Transcript, Word

if TYPE_CHECKING:
    from recognition.whisper import Recogniser

_T = TypeVar("_T")
Load = Callable[[Tx, UUID], Awaitable[tuple[Transcript, tuple[Word, ...]] | None]]

_KEPT_S = 3 * 3600  # of decoded sound in memory, for the steps that follow: 230 MB an hour; the newest recording always
_TOKENS_AT_ONCE = 200  # words in one event

FILE_TYPES = {
    ".json": "application/json",
    ".csv": "text/csv; charset=utf-8",
    ".parquet": "application/vnd.apache.parquet",
    ".txt": "text/plain; charset=utf-8",
    ".vtt": "text/vtt; charset=utf-8",
    ".srt": "application/x-subrip; charset=utf-8",
    ".TextGrid": "text/plain; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".pdf": "application/pdf",
    ".mp3": "audio/mpeg",
    ".m4a": "audio/mp4",
    ".mp4": "video/mp4",
    ".jpg": "image/jpeg",
}


@dataclass(frozen=True, slots=True)
class Job:
    """One step of one session, as the bus carries it."""

    org: UUID
    session: UUID
    step: str
    input_hash: str

    def key(self, name: str) -> str:
        """Where a file of this session is kept."""
        return f"{self.org}/{self.session}/{name}"


@dataclass(frozen=True, slots=True)
class Done:
    """What a step came to."""

    result: dict[str, Any]  # kept with the step
    store: Callable[[Tx], Awaitable[None]]  # its rows, in the transaction that ends the step
    events: tuple[tuple[Stream, dict[str, Any]], ...] = ()  # (stream, data) for those who watch, once it is stored


class Watched(Progress):
    """Progress of a step, told from its thread; `check` raises where the step shall stop."""

    async def early(self, rows: list[Second], data: dict[str, Any]) -> None:
        """Store and tell the first numbers, while the rest is still to come."""

    def check(self) -> None:
        """Raise Stopped if nobody wants the result any more."""


class Tools:
    """What the steps of one worker share."""

    def __init__(self, settings: Settings, db: Database, blobs: Blobs, scratch: Path) -> None:
        self.settings = settings
        self.db = db
        self.blobs = blobs
        self._scratch = scratch
        self._recordings: OrderedDict[UUID, tuple[Recording, Listened | None]] = OrderedDict()
        self._turns: dict[UUID, tuple[asyncio.Lock, int]] = {}
        self._loading = threading.Lock()
        self._recogniser: Recogniser | None = None
        self.embedder = Embedder(settings)

    def recogniser(self) -> "Recogniser":
        """The model in memory; loaded when first wanted. Called from threads."""
        with self._loading:
            if self._recogniser is None:
                from recognition.whisper import Recogniser

                self._recogniser = Recogniser(models.asr_model(self.settings), models.placement(self.settings), self.settings.threads)
            return self._recogniser

    def warm_up(self) -> None:
        """Load what the first numbers of a recording wait for. Called in a thread."""
        noise = np.random.default_rng(0).normal(0.0, 0.01, 2 * RATE_HZ).astype(np.float32)
        recording = Recording(noise, (), AudioFacts("", "", "", "", RATE_HZ, 1, noise.size, ()))
        first_numbers(recording, analyze.listen(recording, lambda _: None))

    def warm_up_more(self, names: Collection[str]) -> None:
        """Load what comes later. Called in a thread, while the first steps are already at work."""
        if "asr" in names:
            self.recogniser()
        if "fluency" in names:
            from batch import wording
            from recognition import lexicon

            lexicon.syllable_counts()
            wording.read((Word("Hello.", 0, RATE_HZ, 1.0),))

    async def recording(self, job: Job, source: Media, watched: Watched, beginning: Beginning | None = None) -> Recording:
        """The decoded sound of a session, from memory where it still is. Raises Problem for what is wrong with the file."""
        async with self._turn(job.session):
            if job.session in self._recordings:
                self._recordings.move_to_end(job.session)
                return self._recordings[job.session][0]
            async with self.folder(job) as folder:
                path = folder / _plain_name(source.filename)
                await self.blobs.fetch(source.key, path)
                recording = await in_thread(decode, path, watched.at, beginning)
            recording = replace(recording, facts=replace(recording.facts, name=source.filename))
            self._keep(job.session, recording, None)
            return recording

    async def listened(self, job: Job) -> Listened:
        """What `ingest` heard in it, from memory or from its file."""
        kept = self._recordings.get(job.session)
        if kept is not None and kept[1] is not None:
            return kept[1]
        async with self.folder(job) as folder:
            path = folder / "listened.npz"
            await self.blobs.fetch(job.key("listened.npz"), path)
            found = await in_thread(_load_listened, path)
        if kept is not None:
            self._keep(job.session, kept[0], found)
        return found

    def heard(self, job: Job, recording: Recording, found: Listened) -> None:
        """Keep what was just listened to."""
        self._keep(job.session, recording, found)

    def forget(self, session: UUID) -> None:
        """Let go of a session's sound."""
        self._recordings.pop(session, None)

    def _keep(self, session: UUID, recording: Recording, found: Listened | None) -> None:
        self._recordings[session] = (recording, found)
        self._recordings.move_to_end(session)
        while len(self._recordings) > 1 and sum(kept.pcm.size for kept, _ in self._recordings.values()) > _KEPT_S * RATE_HZ:
            self._recordings.popitem(last=False)

    @asynccontextmanager
    async def folder(self, job: Job) -> AsyncIterator[Path]:
        """A folder of its own for a step's files, gone afterwards."""
        path = self._scratch / f"{job.session}.{job.step}"
        await in_thread(lambda: path.mkdir(parents=True, exist_ok=True))
        try:
            yield path
        finally:
            await in_thread(shutil.rmtree, path, True)

    @asynccontextmanager
    async def _turn(self, session: UUID) -> AsyncIterator[None]:
        # Two steps of one session that start together decode it once.
        lock, waiting = self._turns.get(session, (asyncio.Lock(), 0))
        self._turns[session] = (lock, waiting + 1)
        try:
            async with lock:
                yield
        finally:
            waiting = self._turns[session][1] - 1
            if waiting:
                self._turns[session] = (lock, waiting)
            else:
                del self._turns[session]


async def in_thread(work: Callable[..., _T], *arguments: Any) -> _T:
    """Run it in a thread, and wait for it even when cancelled: files and models must not be pulled away beneath it."""
    task = asyncio.ensure_future(asyncio.to_thread(work, *arguments))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


# the steps


async def _ingest(tools: Tools, job: Job, watched: Watched) -> Done:
    source = await _source(tools, job)
    loop = asyncio.get_running_loop()
    told = False

    def beginning(pcm: Floats, lost: tuple[Span, ...]) -> None:
        nonlocal told
        first = Recording(pcm, lost, AudioFacts(source.filename, "", "", "", RATE_HZ, 1, pcm.size, ()))
        numbers = first_numbers(first, analyze.listen(first, lambda _: None))
        asyncio.run_coroutine_threadsafe(watched.early(*numbers), loop).result()
        told = True

    watched.stage("reading")
    joined = None if source.complete else await _joined(tools, job, source)
    recording = await tools.recording(job, source, watched, beginning)
    watched.stage("listening")
    listened = await in_thread(analyze.listen, recording, watched.at)
    numbers = await in_thread(first_numbers, recording, listened)
    if not told:
        await watched.early(*numbers)
    tools.heard(job, recording, listened)
    async with tools.folder(job) as folder:
        from batch.export import save_frames

        await in_thread(save_frames, listened.frames, folder / "frames.parquet")
        await in_thread(_save_listened, listened, folder / "listened.npz")
        await _put(tools, job, folder / "frames.parquet")
        await _put(tools, job, folder / "listened.npz")
    facts = recording.facts
    if (await _session(tools, job)).interrupted:
        facts = replace(facts, warnings=(*facts.warnings, sentence("interrupted")))

    async def store(tx: Tx) -> None:
        if joined is not None:
            await media.complete(tx, job.session, size=joined.size, sha256=joined.sha256)
        await media.set_facts(tx, job.session, msgspec.to_builtins(facts))
        await sessions.describe(tx, job.session, recording.pcm.size / RATE_HZ, None)
        await store_seconds(tx, job.session, numbers[0])

    return Done({"samples": int(recording.pcm.size), "warnings": list(facts.warnings)}, store)


async def _asr(tools: Tools, job: Job, watched: Watched) -> Done:
    source = await _source(tools, job)
    recording = await tools.recording(job, source, watched)
    listened = await tools.listened(job)
    watched.stage("recognising")
    recogniser = await in_thread(tools.recogniser)
    session = await _session(tools, job)
    threads, wished = tools.settings.threads, session.wished_language
    heard = await in_thread(analyze.recognise, recogniser, recording, listened, threads, watched.at, wished)
    words = heard.transcript.words
    if not words:
        raise Problem("no-speech", path=source.filename)
    found = models.versions(models.asr_model(tools.settings), models.placement(tools.settings))
    told = () if session.masked else _tokens(words)  # names are not known yet

    async def store(tx: Tx) -> None:
        await transcripts.store(tx, job.session, heard.transcript, heard.second_opinion)
        await sessions.describe(tx, job.session, recording.pcm.size / RATE_HZ, heard.transcript.language)

    return Done({"words": len(words), "versions": found}, store, told)


async def _prosody(tools: Tools, job: Job, watched: Watched) -> Done:
    from batch import playback

    source = await _source(tools, job)
    recording = await tools.recording(job, source, watched)
    listened = await tools.listened(job)
    watched.stage("measuring the voice")
    sound = await in_thread(playback.mp3, recording.pcm)
    await tools.blobs.put(job.key("audio.mp3"), sound, content_type=FILE_TYPES[".mp3"])
    watched.check()
    voice = await in_thread(analyze.voiced, recording.pcm, listened)
    return Done({"measures": msgspec.to_builtins(voice)}, _nothing)


async def _fluency(tools: Tools, job: Job, watched: Watched) -> Done:
    facts, heard, versions = await _recognised(tools, job, transcripts.load_all)
    listened = await tools.listened(job)
    session = await _session(tools, job)
    watched.stage("reading the words")
    findings, spoken = await in_thread(analyze.measure, facts, heard, listened, versions, watched)
    rows = await in_thread(by_second, spoken, facts.samples, True)
    entities = findings.entities
    shown = replace(masked_findings(findings, heard.transcript.words) if session.masked else findings, entities=())

    async def store(tx: Tx) -> None:
        await documents.store(tx, "fluency", job.session, job.input_hash, msgspec.to_builtins(shown))
        await db_entities.store(tx, job.session, entities)
        await store_seconds(tx, job.session, rows)

    return Done({"measures": len(findings.measures)}, store, (("metrics", _live(spoken, facts.samples, recognised=True)),))


async def _pronunciation(tools: Tools, job: Job, watched: Watched) -> Done:
    session = await _session(tools, job)
    if session.script is None:
        return Done({"read": None}, _nothing)
    findings, _ = await _findings(tools, job)
    _, heard, _ = await _recognised(tools, job, transcripts.load_all)
    recording = await tools.recording(job, await _source(tools, job), watched)
    listened = await tools.listened(job)
    watched.stage("comparing")
    data = await in_thread(
        pronounced, tools.recogniser, recording.pcm, listened, heard.transcript, findings.measures, session.script, watched.at
    )
    return Done({"read": without_words(data) if session.masked else data}, _nothing)


async def _score(tools: Tools, job: Job, watched: Watched) -> Done:
    findings, _ = await _findings(tools, job)
    _, heard, _ = await _recognised(tools, job, transcripts.load_all)  # names have lengths too; none of them is kept here
    async with tools.db.tenant(job.org) as tx:
        session = await sessions.get(tx, job.session)
    if session is None:
        raise Problem("no-media")
    listened = await tools.listened(job)
    watched.stage("scoring")
    rubric = rubrics()[session.style]
    rated = await in_thread(ratings, rubric, findings, heard.transcript, listened, session.script, session.speaker == "child")
    data = {**scored(rubric, findings, heard.transcript.words), "ratings": rated}

    async def store(tx: Tx) -> None:
        await documents.store(tx, "scores", job.session, job.input_hash, data)

    return Done({"scores": len(data["scores"])}, store, (("score", data),))


async def _coach(tools: Tools, job: Job, watched: Watched) -> Done:
    findings, _ = await _findings(tools, job)
    _, heard, _ = await _recognised(tools, job)
    async with tools.db.tenant(job.org) as tx:
        given = await documents.load(tx, "scores", job.session)
        session = await sessions.get(tx, job.session)
        read = await steps.result(tx, job.session, "pronunciation")
        attempt = await drills.get(tx, job.session)
        earlier = None if session is None or attempt is not None else await _earlier(tx, session)
    if given is None or session is None or read is None:
        raise Problem("no-media")
    watched.stage("choosing")
    frames = (await tools.listened(job)).frames
    data = await in_thread(coaching, given, rubrics()[given["rubric"]["name"]], earlier, findings, heard.transcript, frames)
    data["pronunciation"] = read["read"]
    versions = {}
    if tools.settings.llm is not None:
        titles = [one["title"] for one in given["scores"]]
        data["highlights"]["phrased"] = words = await phrased(tools.settings.llm, data["highlights"], titles)
        versions = {} if words is None else {"language_model": words["model"]}

    verdict = None if attempt is None else await in_thread(judged, attempt, findings, heard.transcript, frames)

    async def store(tx: Tx) -> None:
        await documents.store(tx, "coaching", job.session, job.input_hash, data)
        if verdict is not None:
            await drills.settle(tx, job.session, verdict, datetime.now().astimezone().date())

    return Done({"moments": len(data["moments"]), "drills": len(data["drills"]), "versions": versions}, store)


async def _earlier(tx: Tx, session: Session) -> list[Scored]:
    if session.user is None:
        return []
    return await history.scored(tx, session.user, session.style, MOST_EARLIER, language=session.language, before=session.created_at)


async def _report(tools: Tools, job: Job, watched: Watched) -> Done:
    facts, heard, _ = await _recognised(tools, job)
    findings, voice = await _findings(tools, job)
    recording = await tools.recording(job, await _source(tools, job), watched)
    listened = await tools.listened(job)
    watched.stage("writing")
    sound = await tools.blobs.read(job.key("audio.mp3"))
    whole = analyze.analysis(facts, heard.transcript, listened, findings, voice)
    async with tools.db.tenant(job.org) as tx:
        scores, coached = [await documents.load(tx, table, job.session) for table in ("scores", "coaching")]
    files: list[ReportFile] = []
    async with tools.folder(job) as folder:
        written = await in_thread(_write_report, whole, recording, folder, sound, scores, coached)
        for path in written:
            stored = await _put(tools, job, path, f"report/{path.name.lower()}")
            files.append(ReportFile(path.name, stored, path.stat().st_size, FILE_TYPES[path.suffix]))

    async def store(tx: Tx) -> None:
        await reports.store(tx, job.session, job.input_hash, {}, files)

    tools.forget(job.session)
    return Done({"files": len(files)}, store)


async def _search(tools: Tools, job: Job, watched: Watched) -> Done:
    findings, _ = await _findings(tools, job)
    _, heard, _ = await _recognised(tools, job)
    async with tools.db.tenant(job.org) as tx:
        coached = await documents.load(tx, "coaching", job.session)
    watched.stage("indexing")
    language = heard.transcript.language
    found = await in_thread(passages, heard.transcript.words, findings, coached, language)
    vectors = await in_thread(tools.embedder, [passage.meant for passage in found])
    if vectors is not None:
        found = [replace(passage, embedding=vector) for passage, vector in zip(found, vectors, strict=True)]

    async def store(tx: Tx) -> None:
        await embeddings.store(tx, job.session, found, language)

    return Done({"passages": len(found), "by_meaning": vectors is not None}, store)


async def _clips(tools: Tools, job: Job, watched: Watched) -> Done:
    from batch import clips

    _, heard, _ = await _recognised(tools, job)
    source = await _source(tools, job)
    async with tools.db.tenant(job.org) as tx:
        coached = await documents.load(tx, "coaching", job.session)
        own = [clip for clip in await db_clips.of(tx, job.session) if clip.moment is None]
    if coached is None:
        raise Problem("no-media")
    watched.stage("cutting")
    words, language = heard.transcript.words, heard.transcript.language
    moments = {
        moment["id"]: clips.cut_of(round(moment["cut_start_s"] * RATE_HZ), round(moment["cut_end_s"] * RATE_HZ), words, language)
        for moment in coached["moments"]
    }
    wanted = [*moments.values(), *(clips.cut_of(clip.start, clip.end, words, language) for clip in own)]
    prefix = job.key("clips/")
    there = {key async for key in tools.blobs.keys(prefix)}
    missing = {cut for cut in wanted if not there.issuperset(f"{prefix}{cut.name}{suffix}" for suffix in clips.SUFFIXES)}
    if missing:
        recording = await tools.recording(job, source, watched)
        async with tools.folder(job) as folder:
            pictures = None
            if source.content_type.startswith("video/"):
                pictures = folder / "source"
                await tools.blobs.fetch(source.key, pictures)
            cut_from = clips.Source(recording.pcm, words, language, pictures)
            order = sorted(missing, key=lambda cut: cut.start)
            await in_thread(clips.render, cut_from, order, folder, tools.settings.threads, watched.at)
            for cut in order:
                for suffix in clips.SUFFIXES:
                    await _put(tools, job, folder / f"{cut.name}{suffix}", f"clips/{cut.name}{suffix}")
    rendered: dict[clips.Cut, db_clips.Rendered] = {}
    for cut in wanted:
        files = []
        for suffix in clips.SUFFIXES:
            key = f"{prefix}{cut.name}{suffix}"
            found = await tools.blobs.stat(key)
            files.append(ReportFile(f"clip{suffix}", key, found.size if found else 0, FILE_TYPES[suffix]))
        rendered[cut] = db_clips.Rendered(cut.start, cut.end, tuple(files))

    async def store(tx: Tx) -> None:
        await db_clips.store(tx, job.session, [(name, rendered[cut]) for name, cut in moments.items()], list(rendered.values()))
        await tools.blobs.delete(there - {file.key for found in rendered.values() for file in found.files})

    tools.forget(job.session)
    return Done({"clips": len(wanted), "rendered": len(missing)}, store)


RUN: Mapping[str, Callable[[Tools, Job, Watched], Awaitable[Done]]] = {
    "ingest": _ingest,
    "asr": _asr,
    "prosody": _prosody,
    "fluency": _fluency,
    "pronunciation": _pronunciation,
    "score": _score,
    "coach": _coach,
    "clips": _clips,
    "report": _report,
    "search": _search,
}


# what they share


def first_numbers(recording: Recording, listened: Listened) -> tuple[list[Second], dict[str, Any]]:
    """What the signal alone says of a recording: second by second, and in sum."""
    found = pauses(listened.state)
    span = speaking_span(listened.state)
    spoken = Spoken((), (), listened.frames, listened.hops.k_power, listened.hops.nuclei, found, (), (), (), span, "")
    return by_second(spoken, recording.pcm.size, False), _live(spoken, recording.pcm.size, recognised=False)


def _live(spoken: Spoken, samples: int, *, recognised: bool) -> dict[str, Any]:
    # The fields of LiveMetrics, for all that was heard up to `samples`. What needs words is missing until there are some.
    span = spoken.span
    lost = int((spoken.frames.state == State.LOST).sum()) / max(1, spoken.frames.state.size)
    over = {"at": samples, "over_s": samples / RATE_HZ, "lost_share": lost, "degraded": None}
    if span is None:
        return over
    longest = max((pause.end - pause.start for pause in at_least(spoken.pauses)), default=None)
    f0_hz = spoken.frames.f0_hz
    minutes = (span.end - span.start - lost_samples(spoken.frames.state, span)) / RATE_HZ / 60.0
    return over | {
        "rate_wpm": measures.rate_wpm(spoken, span) if recognised else None,
        "articulation_syl_s": measures.articulation_rate_syl_s(spoken, span) if recognised else measures.nuclei_rate_s(spoken, span),
        "pause_share": measures.pause_share(spoken, span),
        "longest_pause_s": None if longest is None else longest / RATE_HZ,
        "f0_median_hz": intonation.median_hz(f0_hz),
        "f0_span_st": intonation.span_st(f0_hz),
        "level_dbfs": measures.level_dbfs(spoken, span),
        "fillers_per_min": sum(f.kind == "filled_pause" for f in spoken.fillers) / minutes if recognised and minutes else None,
    }


async def store_seconds(tx: Tx, session: UUID, rows: Sequence[Second]) -> None:
    """The time series of a session, in place of an earlier one."""
    found = await sessions.get(tx, session)
    if found is not None:
        await series.store(tx, session, found.created_at, rows)


async def _source(tools: Tools, job: Job) -> Media:
    async with tools.db.tenant(job.org) as tx:
        found = await media.get(tx, job.session)
    if found is None:
        raise Problem("no-media")
    return found


async def _joined(tools: Tools, job: Job, source: Media) -> Stored:
    """Make the recording of a live session out of its segments: from then on it is like one that was uploaded."""
    async with tools.folder(job) as folder:
        path = folder / "joined.flac"
        await join(tools.blobs, job.key("live/"), path)
        return await tools.blobs.put(source.key, path, content_type=source.content_type)


async def _session(tools: Tools, job: Job) -> Session:
    async with tools.db.tenant(job.org) as tx:
        found = await sessions.get(tx, job.session)
    if found is None:
        raise Problem("no-media")
    return found


async def _recognised(tools: Tools, job: Job, load: Load = transcripts.load) -> tuple[AudioFacts, Heard, dict[str, str]]:
    """What was said, masked where the session wishes it, unless `load` is that of all there is."""
    async with tools.db.tenant(job.org) as tx:
        source = await media.get(tx, job.session)
        stored = await load(tx, job.session)
        result = await steps.result(tx, job.session, "asr")
    if source is None or source.facts is None or stored is None or result is None:
        raise Problem("no-media")
    return msgspec.convert(source.facts, AudioFacts), Heard(*stored), result["versions"]


async def _findings(tools: Tools, job: Job) -> tuple[Findings, dict[str, Measure]]:
    async with tools.db.tenant(job.org) as tx:
        stored = await documents.load(tx, "fluency", job.session)
        result = await steps.result(tx, job.session, "prosody")
    if stored is None or result is None:
        raise Problem("no-media")
    return msgspec.convert(stored, Findings), msgspec.convert(result["measures"], dict[str, Measure])


async def _nothing(_: Tx) -> None:
    pass


async def _put(tools: Tools, job: Job, path: Path, name: str | None = None) -> str:
    key = job.key(name or path.name)
    await tools.blobs.put(key, path, content_type=FILE_TYPES.get(path.suffix, "application/octet-stream"))
    return key


def _write_report(
    whole: Analysis,
    recording: Recording,
    folder: Path,
    sound: bytes,
    scores: Mapping[str, Any] | None,
    coached: Mapping[str, Any] | None,
) -> list[Path]:
    from batch import index_page
    from batch.document import document
    from batch.export import Coached, write
    from batch.pdf import NAMES

    written = write(whole, recording.pcm, folder, sound=sound, coached=Coached(scores, coached), papers=tuple(NAMES))
    page = folder / "page.html"
    shape = document(whole, scores, coached)
    page.write_text(index_page.render(whole, shape, recording.pcm, "audio.mp3", served=True), encoding="utf-8")
    return [*written, page]


def _tokens(words: tuple[Word, ...]) -> tuple[tuple[Stream, dict[str, Any]], ...]:
    out: list[tuple[Stream, dict[str, Any]]] = []
    for i in range(0, len(words), _TOKENS_AT_ONCE):
        some = words[i : i + _TOKENS_AT_ONCE]
        committed = [
            {"text": w.text, "start_s": w.start / RATE_HZ, "end_s": w.end / RATE_HZ, "probability": w.probability, "kind": w.kind}
            for w in some
        ]
        out.append(("tokens", {"committed": committed, "tentative": [], "heard_to_s": some[-1].end / RATE_HZ}))
    return tuple(out)


def _save_listened(listened: Listened, path: Path) -> None:
    hops = listened.hops
    np.savez_compressed(
        path,
        probability=listened.probability,
        state=listened.state,
        f0_hz=hops.f0_hz,
        level_dbfs=hops.level_dbfs,
        k_power=hops.k_power,
        nuclei=hops.nuclei,
    )


def _load_listened(path: Path) -> Listened:
    with np.load(path, allow_pickle=False) as file:
        hops = prosody.Hops(0, file["f0_hz"], file["level_dbfs"], file["k_power"], file["nuclei"])
        return Listened(file["probability"], hops, file["state"])


def _plain_name(name: str) -> str:
    # The suffix helps to tell formats apart; nothing else of a user's name touches the disk.
    suffix = Path(name).suffix
    return "source" + (suffix if re.fullmatch(r"\.[A-Za-z0-9]{1,8}", suffix) else "")
