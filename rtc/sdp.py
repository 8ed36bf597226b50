"""Offers and answers as text (RFC 8866, 9429): what of an offer is taken, and the refusal of the rest. Knows no aiortc.

Of all that is offered we take the first sound in Opus and, bundled with it, a data channel. aiortc gets to see nothing else: it cannot
refuse a section, and takes an offer with an unknown codec for an error. Candidates are taken out too, and added one by one: it would wait
for multicast DNS, and use those of the wrong section.
"""

from dataclasses import dataclass, field

from rtc.errors import BadOffer, NoSound

MOST_SECTIONS = 32
MOST_CANDIDATES = 32  # of one offer or fragment: a laptop with a VPN has a dozen
END = "\r\n"
_TAKEN_OUT = ("a=candidate:", "a=end-of-candidates")


@dataclass(slots=True)
class _Section:
    lines: list[str]

    @property
    def media(self) -> list[str]:
        """Kind, port, protocol, formats."""
        return self.lines[0].removeprefix("m=").split()

    def value(self, name: str) -> str | None:
        """Of the first attribute of that name."""
        return next((line.removeprefix(f"a={name}:") for line in self.lines if line.startswith(f"a={name}:")), None)

    def has(self, *flags: str) -> bool:
        return any(f"a={flag}" in self.lines for flag in flags)


@dataclass(frozen=True, slots=True)
class Offer:
    """What is taken of an offer."""

    text: str  # the offer without what is not
    candidates: tuple[str, ...]  # as after `a=candidate:`
    ufrag: str
    _sections: list[_Section] = field(repr=False)
    _kept: frozenset[int] = field(repr=False)
    _bundled: bool = field(repr=False)


@dataclass(frozen=True, slots=True)
class Fragment:
    """What a client found out later (RFC 8840)."""

    candidates: tuple[str, ...]
    ufrag: str | None


def offer(text: str) -> Offer:
    """Raises BadOffer, NoSound."""
    head, sections = _split(text)
    if not head or not head[0].startswith("v=0"):
        raise BadOffer("it does not begin with v=0")
    if not 0 < len(sections) <= MOST_SECTIONS:
        raise BadOffer(f"it has {len(sections)} media sections")
    if any(len(section.media) < 4 or not section.media[1].partition("/")[0].isdigit() for section in sections):
        raise BadOffer("a media line is cut short")
    sound = next((i for i, section in enumerate(sections) if _is_sound(section)), None)
    if sound is None:
        raise NoSound
    bundle = next((line.split()[1:] for line in head if line.startswith("a=group:BUNDLE")), [])
    mids = [section.value("mid") or "" for section in sections]
    bundled = mids[sound] in bundle
    kept = [sound]
    data = next((i for i, section in enumerate(sections) if bundled and mids[i] in bundle and _is_data(section)), None)
    if data is not None:
        kept.append(data)
    # Who takes the transport of the first section of a bundle, sends its candidates there.
    tagged = next((i for i in kept if bundled and mids[i] == bundle[0]), sound)
    found = _candidates(sections[tagged].lines)
    ufrag, password = (_inherited(head, sections[tagged], name) for name in ("ice-ufrag", "ice-pwd"))
    if not ufrag or not password:
        raise BadOffer("ice-ufrag or ice-pwd is missing")
    if not _inherited(head, sections[tagged], "fingerprint"):
        raise BadOffer("the fingerprint is missing")
    lines = [line for line in head if not line.startswith("a=group:")]
    if bundled:  # sound first: aiortc stops the transport that both share if it is not
        lines.append("a=group:BUNDLE " + " ".join(mids[i] for i in kept))
    for i in sorted(kept):
        lines += [line for line in sections[i].lines if not line.startswith(_TAKEN_OUT)]
    return Offer(_text(lines), found, ufrag, sections, frozenset(kept), bundled)


def answer(to: Offer, text: str) -> str:
    """An answer to the whole of an offer, from one to what was taken of it."""
    head, answered = _split(text)
    if not to._bundled:
        head = [line for line in head if not line.startswith("a=group:BUNDLE")]
    lines, given = list(head), iter(answered)
    for i, section in enumerate(to._sections):
        if i in to._kept:
            lines += next(given).lines
            continue
        kind, _, protocol, *formats = section.media
        lines += [f"m={kind} 0 {protocol} {' '.join(formats)}", "c=IN IP4 0.0.0.0", "a=inactive"]
        mid = section.value("mid")
        lines += [f"a=mid:{mid}"] if mid is not None else []
    return _text(lines)


def fragment(text: str) -> Fragment:
    """Raises BadOffer."""
    lines = text.replace("\r\n", "\n").split("\n")
    if any(line and (len(line) < 2 or line[1] != "=") for line in lines):
        raise BadOffer("a line is none of SDP")
    return Fragment(_candidates(lines), _Section(lines).value("ice-ufrag"))


def _is_sound(section: _Section) -> bool:
    kind, port, protocol, *_ = section.media
    if kind != "audio" or "RTP/SAVP" not in protocol or (port == "0" and not section.has("bundle-only")):
        return False
    opus = any(line.startswith("a=rtpmap:") and line.split()[-1].lower() == "opus/48000/2" for line in section.lines)
    return opus and not section.has("recvonly", "inactive")


def _is_data(section: _Section) -> bool:
    kind, port, _, *formats = section.media
    return kind == "application" and formats == ["webrtc-datachannel"] and (port != "0" or section.has("bundle-only"))


def _candidates(lines: list[str]) -> tuple[str, ...]:
    """Those that can be used. A name under .local hides an address of a browser's own network: its checks show it to us anyway."""
    found = []
    for line in lines:
        words = line.removeprefix("a=candidate:").split()
        if not line.startswith("a=candidate:") or len(words) < 8:
            continue
        numbers = (words[1], words[3], words[5])
        if words[2].lower() == "udp" and not words[4].endswith(".local") and all(n.isascii() and n.isdigit() for n in numbers):
            found.append(" ".join(words))
    return tuple(found[:MOST_CANDIDATES])


def _inherited(head: list[str], section: _Section, name: str) -> str | None:
    return section.value(name) or _Section(head).value(name)


def _split(text: str) -> tuple[list[str], list[_Section]]:
    """The lines before the first media section, and the sections."""
    head: list[str] = []
    sections: list[_Section] = []
    for line in text.replace("\r\n", "\n").split("\n"):
        if line.startswith("m="):
            sections.append(_Section([line]))
        elif line:
            (sections[-1].lines if sections else head).append(line)
    return head, sections


def _text(lines: list[str]) -> str:
    return END.join([*lines, ""])
