"""How often a change is seen that is none, and how often one that is.

`python -m bench.changes [--people 4000]` simulates a person's sessions: each lies off the person's own score by what differs from day to
day, and is measured with an error whose interval is a t of five parts, as real ones are. Prints a table, writes bench/results/changes.json,
exits with 1 where more than 5 % of false alarms come, give or take what so many people leave open.
"""

import argparse
import sys

import numpy as np

from bench.table import Row, keep, show
from speech.changes import Estimate, change
from speech.measures import BATCHES, T_QUANTILE

MOST_FALSE = 5.0  # %
REAL = (5.0, 10.0, 15.0)  # points
EARLIER = (3, 5, 10, 20)
DAILY = (0.0, 2.0, 4.0)  # standard deviation between sessions, points
ERROR = (2.0, 4.0)  # standard error within a session, points
CENTRE = 50.0
Generator = np.random.Generator


def sessions(rng: Generator, count: int, daily: float, error: float, shift: float = 0.0) -> list[Estimate]:
    """So many sessions of somebody; the last lies `shift` points above the others."""
    out = []
    for i in range(count):
        true = CENTRE + daily * rng.normal() + (shift if i == count - 1 else 0.0)
        parts = true + error * BATCHES**0.5 * rng.normal(size=BATCHES)
        half = T_QUANTILE * float(np.std(parts, ddof=1)) / BATCHES**0.5
        value = float(parts.mean())
        out.append(Estimate(value, value - half, value + half))
    return out


def seen(rng: Generator, people: int, earlier: int, daily: float, error: float, shift: float) -> float:
    """The share of people who are told of a change, in percent."""
    told = 0
    for _ in range(people):
        *before, now = sessions(rng, earlier + 1, daily, error, shift)
        told += change(now, before).changed
    return 100.0 * told / people


def main() -> int:
    """Simulate, print and keep; 1 when a bound is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.changes", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--people", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    rng = np.random.default_rng(asked.seed)
    rows: list[Row] = []
    for error in ERROR:
        for daily in DAILY:
            for earlier in EARLIER:
                false, *real = (seen(rng, asked.people, earlier, daily, error, shift) for shift in (0.0, *REAL))
                told = {f"{shift:g} points %": found for shift, found in zip(REAL, real, strict=True)}
                rows.append({"error": error, "daily": daily, "earlier": earlier, "false %": false, **told})
    show("who is told of a change", rows)
    by_chance = 2 * (MOST_FALSE * (100.0 - MOST_FALSE) / asked.people) ** 0.5
    wrong = [row for row in rows if float(str(row["false %"])) > MOST_FALSE + by_chance]
    keep("changes", {"people": asked.people, "rows": rows, "missed": wrong})
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
