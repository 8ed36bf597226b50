"""From what a connection delivers to `AudioBlock`s on the session's clock.

Whatever comes says where it belongs: decoded Opus by its pts, PCM over a WebSocket by its sample offset. What lies between is lost:
nobody has to say so, and a packet that could not be decoded is lost like one that never came. A gap resets nothing and shifts nothing.
Zeros go through the filter in its place, as in batch/decode.py, and what comes out for them is left out of the blocks and counted.

Blocks are whole. What is left of less than a block before a gap cannot be delivered and is lost with it: nothing where packets are
multiples of 20 ms. A block is there with its last sample where that comes at 16 kHz, as from WebRTC (rtc/decoder.py); else as soon as it
has left the filter, 4 ms of sound later, so with the next packet.

A connection may be followed by another on the same clock: the rate may differ, and what overlaps is dropped. Sound for a gap that comes
after later sound (the page keeps its last minute and sends what a lost connection swallowed) is `Filled`.

All of it lies on the grid of 16 bits, so that a FLAC recording holds exactly what was heard.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from rtc.alignment import Match, find
from rtc.errors import Unplaceable
from rtc.resample import Resampler, Samples16, mono, on_grid
from speech.audio import RATE_HZ, AudioBlock, Floats, Span

BLOCK = 320  # 20 ms
FILL_S = 60  # as much as the page keeps; what is lost for longer stays lost
LONGEST_GAP_S = 3600  # a session waits less for its speaker: a step further is a wrong number
BESIDE_S = 2.0  # of sound kept before and after a gap, to find the place of what comes for it another way
LEAST_S = 0.25  # a gap shorter than that is not worth it
MOST_SEAMS = 4  # gaps for which it is kept, the newest: 1 MB
ABOUT_S = 5.0  # how far off a page may be that says about where its sound belongs
MOST_SKEW_S = 1.0  # between the places found before and after a gap; more is a mistake of one of them
BESIDE = round(BESIDE_S * RATE_HZ) // BLOCK  # blocks
CUT = 320  # 20 ms: the quietest so long is where sound is cut that does not fit its gap
PROMPT_S = 5.0
_NOTHING: Floats = np.zeros(0, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Filled:
    """Sound that came after it had been given up: the samples from `start` on were counted as `lost` by an earlier block.

    The recording puts it in its place, so that the report has no hole. What was said live stays: no committed word changes, live metrics go
    on counting the span as lost, and the recogniser does not go back for it.
    """

    session: str
    start: int
    pcm: Floats  # (n,) in [-1, 1], any n


Taken = AudioBlock | Filled


class _Promptest:
    """How far the session's clock is ahead of the arrival of its sound, by what came without delay in the last 5 to 10 s of it.

    Later than that a clock has drifted: 50 ppm are 0.5 ms in 10 s, and a fifth of a second in an hour.
    """

    def __init__(self) -> None:
        self._since = self._ahead_s = self._before_s = -math.inf

    def saw(self, end: int, arrived: float) -> None:
        if arrived > self._since + PROMPT_S:
            self._since, self._ahead_s, self._before_s = arrived, -math.inf, self._ahead_s
        self._ahead_s = max(self._ahead_s, end / RATE_HZ - arrived)

    def captured(self, arrived: float) -> int:
        ahead_s = max(self._ahead_s, self._before_s)
        return round((arrived + ahead_s) * RATE_HZ) if ahead_s > -math.inf else 0


@dataclass(slots=True, eq=False)
class _Seam:
    """A long gap, and the sound beside it."""

    gap: Span
    before: list[AudioBlock]
    after: list[AudioBlock] = field(default_factory=list)


class _Stretch:
    """One filter over sound without a seam, at its place on the session's clock."""

    def __init__(self, rate_hz: int, origin: int, fed: int) -> None:
        self.fed = fed  # the next sample expected, counted by the connection
        self.rate_hz, self.origin = rate_hz, origin
        self._first, self._first_place = fed, origin + round(fed * RATE_HZ / rate_hz)
        self._resampler = Resampler(rate_hz)
        self.out = self._first_place  # the next sample to come out

    def place(self, at: int) -> int:
        """A sample of the connection on the session's clock. Integers: a float is off by a sample after some hours."""
        return self._first_place + (2 * (at - self._first) * RATE_HZ + self.rate_hz) // (2 * self.rate_hz)

    def feed(self, pcm: Floats) -> tuple[int, Floats]:
        """What comes out, and where it belongs."""
        self.fed += pcm.size
        return self._came(self._resampler.feed(pcm))

    def pause(self, samples: int) -> tuple[int, Floats]:
        """The same for zeros."""
        self.fed += samples
        pcm, more = self._resampler.zeros(samples)
        return self._came(np.concatenate([pcm, np.zeros(more, np.float32)]))

    def end(self) -> tuple[int, Floats]:
        """What was still inside. The last of the stretch."""
        return self._came(self._resampler.end()[: self.place(self.fed) - self.out])

    def _came(self, pcm: Floats) -> tuple[int, Floats]:
        start, self.out = self.out, self.out + pcm.size
        return start, on_grid(pcm) if pcm.size and self.rate_hz != RATE_HZ else pcm


class Intake:
    """The sound of one session, from one connection after the other. Holds its last 2 s, and the gaps of the last minute."""

    def __init__(self, session: str) -> None:
        self.session = session
        self.lost = 0  # samples in gaps
        self.filled = 0  # of them, came after all
        self._live: _Stretch | None = None
        self._patch: _Stretch | None = None  # sound for a gap further back
        self._holes: deque[Span] = deque()  # fed as zeros, not out of the filter yet: as many as packets fit into its 4 ms, and one
        self._rest, self._rest_start = _NOTHING, 0  # less than a block
        self._given = 0  # end of the last block
        self._lost: deque[Span] = deque()  # may still be filled
        self._lost_to = 0  # the end of the last gap
        self._recent: deque[AudioBlock] = deque(maxlen=BESIDE)
        self._seams: deque[_Seam] = deque(maxlen=MOST_SEAMS)
        self._promptest = _Promptest()

    @property
    def end(self) -> int:
        """Where the next sound is expected, in samples at 16 kHz: what a connection that comes back should go on from."""
        return self._live.place(self._live.fed) if self._live else self._rest_start + self._rest.size

    @property
    def gaps(self) -> tuple[Span, ...]:
        """What is lost and may still be filled, in order."""
        return tuple(self._lost)

    def captured(self, arrived: float) -> int:
        """Where on the session's clock (16 kHz) the sound ends that arrives now: the speaker's clock goes on without a connection.

        arrived: monotonic seconds. Too late by as much as the connection now is slower than the one before, which nobody can know here;
        0 before any sound.
        """
        return self._promptest.captured(arrived)

    def connect(self, rate_hz: int, at: int, arrived: float) -> list[Taken]:
        """Sound comes from another connection from now on, at rate_hz. Its sample 0 lies at sample `at` of the session (16 kHz).

        Gives what the connection before it still owed. Raises ValueError for a rate outside 8 to 192 kHz.
        """
        taken = self._end_stretches(arrived)
        expected = -((at - self.end) * rate_hz // RATE_HZ)  # the first of its samples that is not there yet
        self._live = _Stretch(rate_hz, at, expected)
        return taken

    def take(self, at: int, pcm: Samples16, arrived: float) -> list[Taken]:
        """Sound from sample `at` of the connection on: (n,) or (n, channels) of 16 bits.

        arrived: monotonic seconds. Raises Unplaceable where that is more than an hour ahead.
        """
        live = self._connected()
        sound = _one_channel(pcm)
        known = min(max(0, live.fed - at), sound.size)
        taken = self._fill(live.rate_hz, live.origin, at, sound[:known]) if known else []
        if known == sound.size:
            return taken
        taken += self._gap(live, at + known, arrived)
        taken += self._came(*live.feed(sound[known:]), arrived)
        self._promptest.saw(live.place(live.fed), arrived)
        return taken

    def fill(self, rate_hz: int, origin: int, at: int, pcm: Samples16) -> list[Taken]:
        """Sound that was kept while there was no connection: of it, what lies in a gap of the last minute.

        For where live sound comes another way (WebRTC). rate_hz and origin are as rate_hz and `at` in `connect`, at and pcm as in `take`.
        """
        return self._fill(rate_hz, origin, at, _one_channel(pcm))

    def patch(self, rate_hz: int, pcm: Samples16, about: int) -> list[Taken]:
        """What a page kept around a gap: of it, what lies in gaps of the last minute. For where live sound comes by WebRTC.

        The page knows only `about` where in the session (16 kHz, within 5 s) pcm[0] lies. With 2 s on both sides of the gap the place is
        found by comparing with what came there; where that cannot be told (silence, a hum), `about` holds. The two sides may disagree,
        since the connection after the gap was placed by when it arrived: then the sound is cut in its quietest place, and what is missing
        there stays lost. Takes about 3 ms for each second of pcm.
        """
        resampler = Resampler(rate_hz)
        sound = on_grid(np.concatenate([resampler.feed(mono(pcm)), resampler.end()]))
        seam = self._seam(about, about + sound.size)
        if seam is None:
            return self._filled(about, sound)
        left, right = self._places(seam, sound, about)
        skew = right - left
        if skew == 0:
            return self._filled(left, sound)
        cut = _quietest(sound, seam.gap.start - left, seam.gap.end - max(left, right))
        return self._filled(left, sound[:cut]) + self._filled(left + cut + max(skew, 0), sound[cut + max(-skew, 0) :])

    def _seam(self, start: int, end: int) -> _Seam | None:
        """The longest gap in there of those whose sides were kept."""
        reach = round(ABOUT_S * RATE_HZ)
        inside = [seam for seam in self._seams if seam.gap.start < end + reach and seam.gap.end > start - reach]
        open_ones = [seam for seam in inside if any(span.start < seam.gap.end and span.end > seam.gap.start for span in self._lost)]
        return max(open_ones, key=lambda seam: seam.gap.end - seam.gap.start, default=None)

    def _places(self, seam: _Seam, sound: Floats, about: int) -> tuple[int, int]:
        """Where sound[0] lies, as the side before the gap and as the side after it has it."""
        before, after = _match(sound, seam.before, about), _match(sound, seam.after, about)
        if before and after and abs(before[1] - after[1]) > MOST_SKEW_S * RATE_HZ:
            before, after = (before, None) if before[0] >= after[0] else (None, after)
        left = (before or after or (0.0, about))[1]
        return left, after[1] if after else left

    def quiet(self, at: int, samples: int, arrived: float) -> list[Taken]:
        """Silence that was sent as nothing, from sample `at` of the connection on. Raises as `take`."""
        live = self._connected()
        self._check_step(live, samples)
        known = min(max(0, live.fed - at), samples)
        taken = self._gap(live, at + known, arrived) if known < samples else []
        return taken + self._came(*live.pause(samples - known), arrived)

    def finish(self, arrived: float) -> list[Taken]:
        """What is left, at the end of the session. Its last block is filled up with zeros."""
        taken = self._end_stretches(arrived)
        if self._rest.size:
            taken += self._blocks(self._rest_start + self._rest.size, np.zeros(BLOCK - self._rest.size, np.float32), arrived)
        return taken

    def _connected(self) -> _Stretch:
        if self._live is None:
            raise ValueError("sound before a connection")
        return self._live

    def _check_step(self, live: _Stretch, samples: int) -> None:
        if samples > LONGEST_GAP_S * live.rate_hz:
            raise Unplaceable(f"sound {samples // live.rate_hz} s ahead of what is expected")

    def _gap(self, live: _Stretch, at: int, arrived: float) -> list[Taken]:
        if at <= live.fed:
            return []
        self._check_step(live, at - live.fed)
        self._holes.append(Span(live.place(live.fed), live.place(at)))
        return self._came(*live.pause(at - live.fed), arrived)

    def _came(self, start: int, pcm: Floats, arrived: float) -> list[Taken]:
        """Blocks of what came out of the filter, without what is only there for a gap."""
        taken: list[Taken] = []
        while self._holes and self._holes[0].start < start + pcm.size:
            hole = self._holes[0]
            before = max(0, hole.start - start)
            taken += self._blocks(start, pcm[:before], arrived)
            through = min(max(hole.end - start, before), pcm.size)
            start, pcm = start + through, pcm[through:]
            if hole.end > start:
                return taken
            self._holes.popleft()
        return taken + self._blocks(start, pcm, arrived)

    def _blocks(self, start: int, pcm: Floats, arrived: float) -> list[Taken]:
        if pcm.size == 0:
            return []
        if start != self._rest_start + self._rest.size:
            self._lose(start)
            self._rest, self._rest_start = _NOTHING, start
        sound = np.concatenate([self._rest, pcm]) if self._rest.size else pcm
        taken: list[Taken] = []
        for at in range(0, sound.size - BLOCK + 1, BLOCK):
            place = self._rest_start + at
            piece = sound if sound.size == BLOCK else sound[at : at + BLOCK].copy()
            block = AudioBlock(self.session, place, piece, place - self._given, arrived)
            taken.append(block)
            self._recent.append(block)
            if self._seams and len(self._seams[-1].after) < BESIDE:
                self._seams[-1].after.append(block)
            self._given = place + BLOCK
        done = sound.size // BLOCK * BLOCK
        self._rest = sound[done:].copy() if done < sound.size else _NOTHING
        self._rest_start += done
        return taken

    def _lose(self, end: int) -> None:
        """Nothing more comes before `end`."""
        span = Span(max(self._given, self._lost_to), end)
        self.lost += span.end - span.start
        self._lost_to = end
        if self._lost and self._lost[-1].end == span.start:
            span = Span(self._lost.pop().start, end)
        self._lost.append(span)
        if span.end - span.start >= LEAST_S * RATE_HZ:
            self._seams.append(_Seam(span, list(self._recent)))
        while self._seams and self._seams[0].gap.end < end - FILL_S * RATE_HZ:
            self._seams.popleft()
        while self._lost[0].end < end - FILL_S * RATE_HZ:
            self._lost.popleft()

    def _fill(self, rate_hz: int, origin: int, at: int, sound: Floats) -> list[Taken]:
        """Sound that is there already, or lies in a gap."""
        taken: list[Taken] = []
        patch = self._patch
        if patch is None or (patch.rate_hz, patch.origin, patch.fed) != (rate_hz, origin, at):
            taken += self._end_patch()
            patch = _Stretch(rate_hz, origin, at)
            if not any(span.start <= patch.place(at + sound.size) and span.end > patch.out for span in self._lost):
                return taken
            self._patch = patch
        taken += self._filled(*patch.feed(sound))
        come = patch.place(patch.fed)
        if not any(span.start <= come < span.end for span in self._lost):  # no gap goes on with what comes next
            taken += self._end_patch()
        return taken

    def _filled(self, start: int, pcm: Floats) -> list[Taken]:
        """What of it lies in a gap, which is the smaller for it."""
        taken: list[Taken] = []
        left: deque[Span] = deque()
        for span in self._lost:
            begin, end = max(span.start, start), min(span.end, start + pcm.size)
            if begin >= end:
                left.append(span)
                continue
            taken.append(Filled(self.session, begin, pcm[begin - start : end - start].copy()))
            self.filled += end - begin
            left.extend(part for part in (Span(span.start, begin), Span(end, span.end)) if part.start < part.end)
        self._lost = left
        return taken

    def _end_patch(self) -> list[Taken]:
        patch, self._patch = self._patch, None
        return self._filled(*patch.end()) if patch else []

    def _end_stretches(self, arrived: float) -> list[Taken]:
        taken = self._end_patch()
        if self._live:
            taken += self._came(*self._live.end(), arrived)
            self._live = None
        self._holes.clear()
        return taken


def _one_channel(pcm: Samples16) -> Floats:
    """On the grid of 16 bits, which an average leaves."""
    sound = mono(pcm)
    return sound if sound.size == pcm.size else on_grid(sound)


def _match(sound: Floats, beside: Sequence[AudioBlock], about: int) -> tuple[float, int] | None:
    """How well the blocks are found in the sound, and where its first sample lies on the session's clock by that."""
    if not beside:
        return None
    start = beside[0].start
    pattern: Floats = np.zeros(beside[-1].start + BLOCK - start, np.float32)
    for block in beside:
        pattern[block.start - start : block.start - start + BLOCK] = block.pcm
    found: Match | None = find(pattern, sound, start - about, round(ABOUT_S * RATE_HZ))
    return (found.score, start - found.at) if found else None


def _quietest(sound: Floats, first: int, last: int) -> int:
    """Where in sound[first:last] 20 ms hold least."""
    first, last = max(first, 0), min(last, sound.size)
    if last - first <= CUT:
        return max(first, 0)
    power = np.convolve(np.square(sound[first:last]), np.ones(CUT, np.float32), "valid")
    return first + int(np.argmin(power)) + CUT // 2
