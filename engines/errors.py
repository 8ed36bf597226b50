"""The one root error of this package."""


class EngineError(Exception):
    """A server outside this process cannot be started, reached or used; `str()` says which, and what to do."""
