"""How a script was read: the `pronunciation` of a coaching document, or the reason why there is none."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from batch.analyze import Listened
from speech.analysis import Measure
from speech.audio import Floats, seconds
from speech.goodness import goodness, level, share
from speech.script import LONGEST, Compared, compare, tokens, words_of
from speech.windows import stretches
from speech.words import Transcript, Word

if TYPE_CHECKING:  # it loads CTranslate2
    from recognition.pronunciation import Said
    from recognition.whisper import Recogniser

LIMITS = (
    "Judged by a speech recogniser that hears words, not single sounds. It knows how English usually goes on, so a likely word may pass "
    "with a slip, and a rare word or a name may be marked without one. An accent is no mistake. A short word that was swallowed counts as "
    "left out."
)

_FEWEST = 10  # words said of the script
_MATCHING = 0.35  # of what was said is in the script, or it is another one; of 12 learners the weakest had 0.17, the next 0.49
_LEAST_SNR_DB = 10.0


def pronounced(
    recogniser: Callable[[], "Recogniser"],
    pcm: Floats,
    listened: Listened,
    transcript: Transcript,
    measures: Mapping[str, Measure],
    script: str,
    at: Callable[[float], None],
) -> dict[str, Any]:
    """measures: what was found of the session, for its noise. recogniser: loaded only where there is something to judge."""
    words = [word for word in transcript.words if word.kind == "word"]
    wanted = words_of(script)
    refusal = _refusal(transcript, measures, wanted, words)
    if refusal is None:
        from recognition.lexicon import pronunciations

        heard = [word.text for word in words]
        sounds = pronunciations({token for word in (*wanted, *heard) for token in tokens(word)})
        compared = compare(wanted, heard, sounds)
        refusal = _unlike(compared, words)
    if refusal is not None:
        return {"refusal": refusal}
    from recognition import pronunciation

    spans = stretches(listened.probability, pcm.size)
    said = pronunciation.pronounced(recogniser(), pcm, spans, words, compared, at)
    return {
        "refusal": None,
        "completeness": _share([word.verdict != "left_out" for word in compared.words]),
        "accuracy": _share([word.verdict == "read" for word in compared.words if word.verdict != "left_out"]),
        "words": _words(compared, said, words),
        "added": [_placed(words[j]) for j in compared.added],
        "again": [_placed(words[j]) for j in compared.again],
        "limits": LIMITS,
    }


def _refusal(transcript: Transcript, measures: Mapping[str, Measure], wanted: Sequence[str], words: Sequence[Word]) -> str | None:
    snr = measures.get("snr_db")
    if transcript.language != "en":
        return "only English is judged"
    if max(len(wanted), len(words)) > LONGEST:
        return f"the script and what was said may have at most {LONGEST} words each"
    if snr is not None and snr.value is not None and snr.value < _LEAST_SNR_DB:
        return f"the background is too loud: speech is {snr.value:.0f} dB above it, and {_LEAST_SNR_DB:.0f} dB are needed"
    return None


def _unlike(compared: Compared, words: Sequence[Word]) -> str | None:
    matching = {j for word in compared.words if word.verdict == "read" for j in word.heard}
    if len(words) >= _FEWEST and len(matching) + len(compared.again) < _MATCHING * len(words):
        return "too little of what was said was recognised as this script: is it the right one?"
    said = sum(word.verdict != "left_out" for word in compared.words)
    return f"needs {_FEWEST} words of the script to be read, and {said} were" if said < _FEWEST else None


def _share(flags: Sequence[bool]) -> dict[str, Any]:
    value, low, high = share(flags)
    return {"value": value, "low": low, "high": high}


def _words(compared: Compared, said: Sequence["Said"], words: Sequence[Word]) -> list[dict[str, Any]]:
    sounded = {one.script: one for one in said}
    out: list[dict[str, Any]] = []
    for i, word in enumerate(compared.words):
        one = sounded.get(i)
        value = None if one is None else goodness(one.probability)
        out.append(
            {
                "text": word.text,
                "heard": " ".join(words[j].text for j in word.heard) if word.verdict == "otherwise" else None,
                "start_s": None if one is None else round(seconds(one.start), 3),
                "end_s": None if one is None else round(seconds(one.end), 3),
                "goodness": None if value is None else round(value, 3),
                "level": "left_out" if word.verdict == "left_out" else None if value is None else level(word.verdict == "read", value),
            }
        )
    return out


def _placed(word: Word) -> dict[str, Any]:
    return {"text": word.text, "start_s": round(seconds(word.start), 3), "end_s": round(seconds(word.end), 3)}


def without_words(data: Mapping[str, Any]) -> dict[str, Any]:
    """The same without what was heard beside the script: for a session whose names are hidden."""
    words = [{**word, "heard": None} for word in data.get("words", ())]
    return {**data, **({"words": words, "added": [], "again": []} if words else {})}
