"""One clock and one signal: 16 kHz mono float samples, addressed by their index since the session began."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 16_000
HOP = 160  # 10 ms: the shortest closure we care about (40 ms) then spans four hops

Floats = NDArray[np.float32]
States = NDArray[np.int8]


class State(IntEnum):
    """What a hop holds. LOST is audio that never arrived: it is neither speech nor a pause."""

    SILENCE = 0
    SPEECH = 1
    LOST = 2


@dataclass(frozen=True, slots=True)
class AudioBlock:
    """20 ms of sound as it came in."""

    session: str
    start: int  # sample index of pcm[0]
    pcm: Floats  # (320,) in [-1, 1]
    lost: int  # samples that never came, just before start
    arrived: float  # monotonic seconds, for latency alone


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of samples, half-open."""

    start: int
    end: int


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """Prosody per hop; frame i covers samples [start + i * hop, start + (i + 1) * hop) and is measured around its centre."""

    start: int
    hop: int
    f0_hz: Floats  # (k,) NaN where unvoiced or lost
    level_dbfs: Floats  # (k,) dB re full scale RMS, -120 at digital silence, NaN where lost
    state: States  # (k,) State values


def seconds(samples: int) -> float:
    """Samples at 16 kHz as seconds."""
    return samples / RATE_HZ
