"""The one root error of this package."""


class StoreError(Exception):
    """The store refuses, or cannot be used; `str()` says why, and what to do."""
