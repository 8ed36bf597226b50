"""Any rate to 16 kHz, as a stream without seams."""

from math import gcd

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from speech.audio import RATE_HZ, Floats

Samples16 = NDArray[np.int16]

# The filter of batch/decode.py, which this package may not import: a session and its recording give the same numbers (a test holds this).
RESAMPLER = {"filter_size": "128", "cutoff": "0.96"}
MEMORY_S = 0.1  # of zeros after which nothing of the sound before is left in the filter, which is 8 ms long; a packet or five


def mono(pcm: Samples16) -> Floats:
    """16-bit samples, (n,) or (n, channels), as the average of the channels, (n,) in [-1, 1]."""
    if pcm.dtype != np.int16 or pcm.ndim not in (1, 2):
        raise ValueError(f"audio is int16 in one or two dimensions, not {pcm.dtype} {pcm.shape}")
    if pcm.ndim == 1:
        return pcm.astype(np.float32) * np.float32(2**-15)
    weights = np.full(pcm.shape[1], 2**-15 / pcm.shape[1], np.float32)
    average: Floats = pcm.astype(np.float32) @ weights  # a third of what mean(axis=1) takes
    return average


def unpacked(frame: AudioFrame) -> Samples16:
    """The samples of a decoded frame of packed 16 bits, which PyAV gives as one interleaved row: (n, channels)."""
    if frame.format.name != "s16":
        raise ValueError(f"a decoder of ours gives packed 16 bits, not {frame.format.name}")
    pcm: Samples16 = frame.to_ndarray().reshape(frame.samples, -1).astype(np.int16, copy=False)
    return pcm


class Resampler:
    """One filter over one stream. Output sample n lies exactly at input sample n * rate / 16000, for as long as it runs.

    The filter looks ahead 4 ms at 48 kHz: so much of what was fed is still inside. At 16 kHz nothing is done.
    """

    def __init__(self, rate_hz: int) -> None:
        if not 8_000 <= rate_hz <= 192_000:
            raise ValueError(f"audio comes at 8 to 192 kHz, not at {rate_hz} Hz")
        self.rate_hz = rate_hz
        common = gcd(rate_hz, RATE_HZ)
        self._period, self._period_out = rate_hz // common, RATE_HZ // common  # so many samples in are exactly so many out
        self._resampler = AudioResampler(format="fltp", layout="mono", rate=RATE_HZ, options=RESAMPLER) if rate_hz != RATE_HZ else None
        # Silence before the first sound: else the filter mirrors the sound there, as much of it as it was first given.
        periods = round(MEMORY_S * RATE_HZ) // self._period_out
        self._drop = periods * self._period_out  # of what comes out
        if self._resampler:
            self.feed(np.zeros(periods * self._period, np.float32))

    def feed(self, pcm: Floats) -> Floats:
        """What comes out for the samples fed, (n,) -> (m,) in [-1, 1]; m is not fixed."""
        if self._resampler is None:
            return pcm
        if pcm.size == 0:
            return np.zeros(0, np.float32)
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(pcm)[np.newaxis], format="fltp", layout="mono")
        frame.sample_rate = self.rate_hz
        return self._given(self._resampler.resample(frame))

    def zeros(self, samples: int) -> tuple[Floats, int]:
        """As if so many zeros were fed; what comes out first, and how many zeros follow that were not worth computing."""
        skipped = max(0, samples - round(MEMORY_S * self.rate_hz)) // self._period
        return self.feed(np.zeros(samples - skipped * self._period, np.float32)), skipped * self._period_out

    def end(self) -> Floats:
        """What is still inside. Nothing can be fed after it."""
        return np.zeros(0, np.float32) if self._resampler is None else self._given(self._resampler.resample(None))

    def _given(self, frames: list[AudioFrame]) -> Floats:
        pieces = [frame.to_ndarray()[0] for frame in filter(None, frames)]  # with nothing to do it hands back the None of its flush
        pcm: Floats = pieces[0] if len(pieces) == 1 else np.concatenate([np.zeros(0, np.float32), *pieces])
        if self._drop:
            first = min(self._drop, pcm.size)
            self._drop -= first
            pcm = pcm[first:]
        return np.clip(pcm, -1.0, 1.0)  # the filter overshoots at full scale
