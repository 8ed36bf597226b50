"""Words cut into paragraphs to read and into captions to show."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from batch.document import plain
from speech.audio import RATE_HZ
from speech.words import Word

# Two lines of 42 characters, 1 to 7 seconds: what broadcasters' caption guidelines agree on.
LINE_CHARACTERS = 42
LONGEST_CUE_S = 7.0
SHORTEST_CUE_S = 1.0
CUE_GAP_S = 0.5  # a pause this long ends a cue
SENTENCE_CUE_CHARACTERS = 24  # a shorter sentence shares its cue with the next, or captions would flicker

PARAGRAPH_GAP_S = 1.0  # a pause this long after a sentence starts a paragraph
ANY_GAP_S = 2.0  # a pause this long starts one anywhere
PARAGRAPH_WORDS = 110  # from here on the next sentence starts one

SPACELESS = frozenset({"zh", "ja", "th", "lo", "my", "km", "bo", "yue"})  # languages written without spaces between words


@dataclass(frozen=True, slots=True)
class Cue:
    """One caption. Cues follow each other without overlap."""

    start_ms: int  # >= 0
    end_ms: int  # > start_ms
    lines: tuple[tuple[Word, ...], ...]  # one or two


def clock(at_s: float) -> str:
    """Whole seconds as people read them: 0:07, 12:30, 1:02:03."""
    minutes, second = divmod(int(at_s), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def gap(language: str) -> str:
    """What stands between two words in writing."""
    return "" if language in SPACELESS else " "


def paragraphs(words: Sequence[Word]) -> list[tuple[Word, ...]]:
    """The words in paragraphs, broken at long pauses and, in long speech without any, at the end of a sentence."""
    found: list[list[Word]] = []
    for word in words:
        if not found:
            found.append([word])
            continue
        last = found[-1][-1]
        pause_s = (word.start - last.end) / RATE_HZ
        ended = ends_sentence(last)
        if pause_s >= ANY_GAP_S or (ended and (pause_s >= PARAGRAPH_GAP_S or len(found[-1]) >= PARAGRAPH_WORDS)):
            found.append([word])
        else:
            found[-1].append(word)
    return [tuple(words) for words in found]


def cues(words: Sequence[Word], samples: int, language: str) -> list[Cue]:
    """Captions for a recording of that many samples: broken at pauses, at the end of sentences, and where two lines are full."""
    space = gap(language)
    groups: list[list[Word]] = []
    for word in sorted((replace(w, text=plain(w.text)) for w in words if plain(w.text)), key=lambda w: w.start):
        if groups and _continues(groups[-1], word, space):
            groups[-1].append(word)
        else:
            groups.append([word])

    found: list[Cue] = []
    length_ms = _ms(samples)
    free_ms = 0  # where the cue before ends
    for index, group in enumerate(groups):
        start_ms = max(free_ms, min(_ms(group[0].start), length_ms - 1))
        wanted_ms = max(_ms(group[-1].end), start_ms + round(SHORTEST_CUE_S * 1000))
        next_ms = _ms(groups[index + 1][0].start) if index + 1 < len(groups) else length_ms
        free_ms = max(start_ms + 1, min(wanted_ms, next_ms, length_ms))
        found.append(Cue(start_ms, free_ms, _lines(group, space)))
    return found


def _ms(samples: int) -> int:
    return max(0, round(samples * 1000 / RATE_HZ))


def ends_sentence(word: Word) -> bool:
    """Whether the recogniser wrote a mark behind it that ends a sentence."""
    return word.text.rstrip("\"'”’)»").endswith((".", "!", "?", "…", "。", "！", "？"))


def _width(words: Sequence[Word], space: str) -> int:
    return len(space.join(word.text for word in words))


def _continues(group: list[Word], word: Word, space: str) -> bool:
    if (word.start - group[-1].end) / RATE_HZ >= CUE_GAP_S or (word.end - group[0].start) / RATE_HZ > LONGEST_CUE_S:
        return False
    if ends_sentence(group[-1]) and _width(group, space) >= SENTENCE_CUE_CHARACTERS:
        return False
    longer = [*group, word]
    return all(_width(line, space) <= LINE_CHARACTERS for line in _lines(longer, space))


def _lines(words: Sequence[Word], space: str) -> tuple[tuple[Word, ...], ...]:
    """One line where it fits, else two as even as they get. A word longer than a line stays whole."""
    if _width(words, space) <= LINE_CHARACTERS or len(words) == 1:
        return (tuple(words),)
    at = min(range(1, len(words)), key=lambda i: max(_width(words[:i], space), _width(words[i:], space)))
    return (tuple(words[:at]), tuple(words[at:]))
