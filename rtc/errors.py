"""What can be wrong with sound that comes in."""


class RtcError(Exception):
    """Root of what this package raises."""


class Unplaceable(RtcError):
    """Audio was sent for a place on the session's clock where it cannot be."""


class Undecodable(RtcError):
    """A packet that its codec cannot make sound of."""


class BadOffer(RtcError):
    """An offer, or what came after it, cannot be read."""


class NoSound(RtcError):
    """An offer without sound that we could take."""


class Restart(RtcError):
    """A connection is to be set up anew within its call, which is not done: it is offered again instead."""


class PeersFull(RtcError):
    """As many connections as there may be."""


class NoPorts(RtcError):
    """No UDP port is free."""


class Unanswered(RtcError):
    """An answer took too long."""
