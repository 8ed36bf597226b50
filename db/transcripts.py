"""What was said: a row a word."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from db import entities
from db.pool import Tx
from speech.masking import masked
from speech.words import Transcript, Word


async def store(tx: Tx, session: UUID, transcript: Transcript, second_opinion: Sequence[Word] = ()) -> None:
    """Keeps the transcript and what the filler search adds to it, in place of an earlier one."""
    await tx.execute("delete from transcripts where session_id = $1", session)
    await tx.execute(
        "insert into transcripts (org_id, session_id, language, language_probability) values (current_org(), $1, $2, $3)",
        session,
        transcript.language,
        transcript.language_probability,
    )
    await _store(tx, session, transcript.words, False)
    await _store(tx, session, second_opinion, True)


async def load(tx: Tx, session: UUID) -> tuple[Transcript, tuple[Word, ...]] | None:
    """The words as they may be seen; None when there are none, or it is not known yet which of them are names that are to be hidden."""
    said = await load_all(tx, session)
    if said is None:
        return None
    hide, named = await tx.fetchrow(
        "select s.masked, t.named from sessions s join transcripts t on t.org_id = s.org_id and t.session_id = s.id where s.id = $1",
        session,
    )
    if not hide:
        return said
    transcript, second_opinion = said
    if not named:
        return None
    return replace(transcript, words=masked(transcript.words, await entities.every(tx, session))), second_opinion


async def load_all(tx: Tx, session: UUID) -> tuple[Transcript, tuple[Word, ...]] | None:
    """Exactly what was stored, for what measures it; None when nothing was."""
    head = await tx.fetchrow("select language, language_probability from transcripts where session_id = $1", session)
    if head is None:
        return None
    rows = await tx.fetch(
        """select second_opinion, text, start_sample, end_sample, probability, kind
        from words where session_id = $1 order by second_opinion, ordinal""",
        session,
    )
    words: dict[bool, list[Word]] = {False: [], True: []}
    for second_opinion, *fields in rows:
        words[second_opinion].append(Word(*fields))
    return Transcript(tuple(words[False]), head["language"], head["language_probability"]), tuple(words[True])


async def _store(tx: Tx, session: UUID, words: Sequence[Word], second_opinion: bool) -> None:
    """One statement of arrays: COPY is refused on a table with row security, and this costs the same (bench/store.py)."""
    await tx.execute(
        """insert into words (org_id, session_id, second_opinion, ordinal, text, start_sample, end_sample, probability, kind)
        select current_org(), $1, $2, *
        from unnest($3::integer[], $4::text[], $5::integer[], $6::integer[], $7::double precision[], $8::text[])""",
        session,
        second_opinion,
        range(len(words)),
        [word.text for word in words],
        [word.start for word in words],
        [word.end for word in words],
        [word.probability for word in words],
        [word.kind for word in words],
    )
