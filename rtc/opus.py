"""What an Opus packet says of itself without being decoded (RFC 6716, section 3.1)."""

CLOCK_HZ = 48_000  # the clock of Opus in RTP, whatever the coded bandwidth (RFC 7587, section 4.1)
LONGEST = 5_760  # 120 ms: no packet is longer
SHORTEST = 120  # 2.5 ms: no frame is shorter

_SILK = (480, 960, 1920, 2880)
_HYBRID = (480, 960)
_CELT = (120, 240, 480, 960)


def duration(payload: bytes) -> int:
    """Samples at 48 kHz in a packet, 120..5760; 0 where it is no Opus packet (empty ones are padding)."""
    if not payload:
        return 0
    config, code = payload[0] >> 3, payload[0] & 3
    frame = _SILK[config & 3] if config < 12 else _HYBRID[config & 1] if config < 16 else _CELT[config & 3]
    if code < 3:
        return frame * (1 if code == 0 else 2)
    samples = frame * (payload[1] & 0x3F) if len(payload) > 1 else 0
    return samples if samples <= LONGEST else 0


def quiet(payload: bytes) -> bool:
    """Whether a packet announces that nothing is sent while it is silent (DTX): it has no room for sound."""
    return len(payload) <= 2
