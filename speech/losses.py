"""How a recording of ours says what of it is no sound but lost: a tag in the file, "start-end start-end ..." in its samples."""

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Final

from speech.audio import Span

TAG: Final = "ELOCUTE_LOST"


def tag_of(lost: Iterable[Span]) -> str:
    """What the tag says of spans in order."""
    return " ".join(f"{span.start}-{span.end}" for span in lost)


def lost_of(tag: str) -> list[Span]:
    """The spans of a tag, in order and apart; none where it cannot be ours."""
    if not re.fullmatch(r"\d{1,12}-\d{1,12}( \d{1,12}-\d{1,12})*", tag):
        return []
    spans = [Span(int(start), int(end)) for start, _, end in (each.partition("-") for each in tag.split(" "))]
    return spans if all(span.start < span.end for span in spans) and all(a.end < b.start for a, b in pairwise(spans)) else []
