"""When a drill is to be repeated: 1, 3, 7 and 16 days after a pass, the next day after a failure. Days are counted from any one day."""

from dataclasses import dataclass

DAYS = (1, 3, 7, 16)  # between repetitions, growing with each that is passed when it is due


@dataclass(frozen=True, slots=True)
class Due:
    """Where somebody stands with one drill."""

    passes: int  # on end, each when it was due
    day: int  # of the next repetition


def following(before: Due | None, today: int, *, passed: bool) -> Due:
    """Where they stand after today's attempt. A pass ahead of time tells nothing about what is kept, and moves nothing."""
    if not passed:
        return Due(0, today + 1)
    if before is not None and before.passes and today < before.day:
        return before
    passes = before.passes + 1 if before is not None else 1
    return Due(passes, today + DAYS[min(passes, len(DAYS)) - 1])
