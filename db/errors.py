"""What can go wrong with the store: one root error, and the kinds that a caller treats differently."""


class StoreError(Exception):
    """The store refuses, or cannot be used; `str()` says why, and what to do."""


class StoreDown(StoreError):
    """PostgreSQL cannot be reached, or the connection broke: nothing was committed that was not answered. Try again, in a while."""


class StoreBusy(StoreError):
    """PostgreSQL is up but did not get to it: a lock, a deadlock, a time limit or no free connection. Try again."""


class Gone(StoreError):
    """What this belongs to, most often its session, is not there (any more)."""


class KeyReused(StoreError):
    """An idempotency key came back with another request."""


class StillAnswering(StoreError):
    """An idempotency key came back while its first request is still being worked on."""
