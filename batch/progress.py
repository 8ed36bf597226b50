"""How a long step tells where it is. Whoever waits (a terminal, a job row) implements it."""

from typing import Protocol


class Progress(Protocol):
    """Told by the analysis, from the thread that runs it."""

    def stage(self, name: str) -> None:
        """A new stage begins; `name` is what a user reads, for instance `recognising`."""

    def at(self, fraction: float) -> None:
        """The share of the present stage that is done, 0..1."""


class Unwatched:
    """Nobody is waiting."""

    def stage(self, name: str) -> None:
        """Say nothing."""

    def at(self, fraction: float) -> None:
        """Say nothing."""
