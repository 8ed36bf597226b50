"""What can go wrong with a live session."""


class LiveError(Exception):
    """Root of what this package raises."""


class Away(LiveError):
    """What lies outside (the store of recordings, the live log) cannot take it now. It may be tried again."""
