"""What can be wrong with sound that comes in."""


class RtcError(Exception):
    """Root of what this package raises."""


class Unplaceable(RtcError):
    """Audio was sent for a place on the session's clock where it cannot be."""
