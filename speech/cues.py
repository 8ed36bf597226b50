"""What to tell the speaker while they speak: one short cue at a time, seldom, and nothing when all is well.

Sparse advice of a word or two every 20 s or more is preferred over continuous displays and over none (Tanveer et al. 2015, Rhema). So a
rule speaks when its measure has been out of its range for a while, and then not again before it was back in range or a minute has passed.
All rules are here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from speech.audio import RATE_HZ
from speech.live import LiveMetrics

APART_S: Final = 20.0  # between one cue and the next
AGAIN_S: Final = 60.0  # before a cue is repeated that changed nothing
_MOST_LOST = 0.2  # of a window: more is no ground for advice

CueKind = Literal["too_fast", "too_slow", "no_pause", "fillers", "monotone", "too_quiet"]
_Value = Callable[[LiveMetrics], float | None]


@dataclass(frozen=True, slots=True)
class Cue:
    """One piece of advice, and the number it stands on."""

    at: int  # sample
    kind: CueKind
    measure: str  # field of LiveMetrics
    value: float
    over_s: float  # window of the measure
    text: str  # for the speaker


@dataclass(frozen=True, slots=True)
class Rule:
    """When to say what. A measure leaves its range at `beyond` and is back in it only at `back`; above it where beyond > back."""

    kind: CueKind
    measure: str
    of: _Value
    over_s: float
    beyond: float
    back: float
    for_s: float  # that it must stay beyond
    text: str

    def out(self, value: float) -> bool:
        """Whether the measure is where the cue is called for."""
        return value >= self.beyond if self.beyond > self.back else value <= self.beyond

    def well(self, value: float) -> bool:
        """Whether all is well again."""
        return value <= self.back if self.beyond > self.back else value >= self.back


def _longest_pause_s(metrics: LiveMetrics) -> float | None:
    # No pause at all is known only where there was enough speech to have one.
    return None if metrics.pause_share is None else metrics.longest_pause_s or 0.0


def _unhurried_wpm(metrics: LiveMetrics) -> float | None:
    # A long pause lowers the rate without anybody speaking slowly.
    paused = metrics.pause_share is None or metrics.pause_share > 0.35
    return None if paused else metrics.rate_wpm


# In order of urgency among those never told before. Ranges of pace and pitch are those of the rubric (70 and 100 points; 40 points).
RULES: Final[tuple[Rule, ...]] = (
    Rule("too_quiet", "level_dbfs", lambda m: m.level_dbfs, 10.0, -50.0, -46.0, 3.0, "Speak up, or come closer to the microphone"),
    # 18 a minute in 10 s are three: single ones are not worth a word, as in all tools that fire on clusters
    Rule("fillers", "fillers_per_min", lambda m: m.fillers_per_min, 10.0, 18.0, 6.0, 0.0, "Pause instead of um"),
    Rule("too_fast", "rate_wpm", lambda m: m.rate_wpm, 10.0, 225.0, 190.0, 3.0, "A little slower"),
    Rule("no_pause", "longest_pause_s", _longest_pause_s, 10.0, 0.35, 0.5, 20.0, "Take a breath: pause after the sentence"),
    Rule("monotone", "f0_sd_st", lambda m: m.f0_sd_st, 30.0, 1.5, 2.0, 5.0, "More melody: stress what matters"),
    Rule("too_slow", "rate_wpm", _unhurried_wpm, 30.0, 110.0, 140.0, 5.0, "A little faster"),
)


@dataclass(slots=True)
class _Watch:
    """How a rule stands."""

    out_since: int | None = None  # sample
    told_at: int | None = None  # None: not told since the measure was last well
    last_told: int = -1  # ever


class Cues:
    """The cues of one session: readings in, in order of time, a cue out now and then. The same readings give the same cues."""

    def __init__(self, rules: Sequence[Rule] = RULES) -> None:
        self._rules = rules
        self._watches = [_Watch() for _ in rules]
        self._last: int | None = None

    def take(self, reading: Sequence[LiveMetrics]) -> Cue | None:
        """What to say after one reading (the windows of one `at`), or None."""
        due = [
            (watch.last_told, watch, metrics, rule, value)
            for rule, watch in zip(self._rules, self._watches, strict=True)
            for metrics in reading
            if metrics.over_s == rule.over_s and (value := self._watched(rule, watch, metrics)) is not None
        ]
        if not due:
            return None
        _, watch, metrics, rule, value = min(due, key=lambda one: one[0])  # whoever waited longest, then by order
        if self._last is not None and metrics.at - self._last < APART_S * RATE_HZ:
            return None
        self._last = watch.told_at = watch.last_told = metrics.at
        return Cue(metrics.at, rule.kind, rule.measure, value, rule.over_s, rule.text)

    def _watched(self, rule: Rule, watch: _Watch, metrics: LiveMetrics) -> float | None:
        # The value where the cue is due. What cannot be told neither calls for a cue nor makes anything well.
        value = rule.of(metrics) if metrics.lost_share <= _MOST_LOST else None
        if value is None or not rule.out(value):
            watch.out_since = None
        if value is None:
            return None
        if rule.well(value):
            watch.told_at = None
        if not rule.out(value):
            return None
        if watch.out_since is None:
            watch.out_since = metrics.at
        long_enough = metrics.at - watch.out_since >= rule.for_s * RATE_HZ
        again = watch.told_at is None or metrics.at - watch.told_at >= AGAIN_S * RATE_HZ
        return value if long_enough and again else None
