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


def on_grid(pcm: Floats) -> Floats:
    """The nearest values that 16 bits can hold."""
    grid: Floats = np.rint(pcm * np.float32(32_768))
    np.maximum(grid, np.float32(-32_768), out=grid)  # np.clip takes twice as long
    np.minimum(grid, np.float32(32_767), out=grid)
    grid *= np.float32(2**-15)
    return grid


def mono(pcm: Samples16) -> Floats:
    """16-bit samples, (n,) or (n, channels), as the average of the channels, (n,) in [-1, 1]."""
    if pcm.dtype != np.int16 or pcm.ndim not in (1, 2):
        raise ValueError(f"audio is int16 in one or two dimensions, not {pcm.dtype} {pcm.shape}")
    if pcm.ndim == 1 or pcm.shape[1] == 1:
        return np.multiply(pcm.reshape(-1), np.float32(2**-15), dtype=np.float32)
    weights = np.full(pcm.shape[1], 2**-15 / pcm.shape[1], np.float32)
    average: Floats = pcm.astype(np.float32) @ weights  # a third of what mean(axis=1) takes
    return average


def unpacked(frame: AudioFrame) -> Samples16:
    """The samples of a decoded frame of packed 16 bits, which PyAV gives as one interleaved row: (n, channels)."""
    if frame.format.name != "s16":
        raise ValueError(f"a decoder of ours gives packed 16 bits, not {frame.format.name}")
    channels = frame.layout.nb_channels
    return np.frombuffer(memoryview(frame.planes[0]), np.int16, frame.samples * channels).reshape(-1, channels)  # 1/5 of to_ndarray


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
        self._frame = AudioFrame(format="fltp", layout="mono")
        self._samples: Floats = np.zeros(0, np.float32)
        # Silence before the first sound: else the filter mirrors the sound there, as much of it as it was first given.
        periods = round(MEMORY_S * RATE_HZ) // self._period_out
        self._drop = periods * self._period_out  # of what comes out
        if self._resampler:
            self.feed(np.zeros(periods * self._period, np.float32))

    def feed(self, pcm: Floats) -> Floats:
        """What comes out for the samples fed, (n,) -> (m,) in [-1, 1], and a little beyond it at full scale; m is not fixed."""
        if self._resampler is None:
            return pcm
        if pcm.size == 0:
            return np.zeros(0, np.float32)
        if self._samples.size != pcm.size:
            self._frame = AudioFrame(format="fltp", layout="mono", samples=pcm.size)
            self._frame.sample_rate = self.rate_hz
            self._samples = np.frombuffer(memoryview(self._frame.planes[0]), np.float32, pcm.size)
        self._samples[:] = pcm  # one frame for all: the filter copies it. A frame each time takes a third of what the filter does
        return self._given(self._resampler.resample(self._frame))

    def zeros(self, samples: int) -> tuple[Floats, int]:
        """As if so many zeros were fed; what comes out first, and how many zeros follow that were not worth computing."""
        skipped = max(0, samples - round(MEMORY_S * self.rate_hz)) // self._period
        return self.feed(np.zeros(samples - skipped * self._period, np.float32)), skipped * self._period_out

    def end(self) -> Floats:
        """What is still inside. Nothing can be fed after it."""
        return np.zeros(0, np.float32) if self._resampler is None else self._given(self._resampler.resample(None))

    def _given(self, frames: list[AudioFrame]) -> Floats:
        pieces = [_samples(frame) for frame in filter(None, frames)]  # with nothing to do it hands back the None of its flush
        pcm: Floats = pieces[0] if len(pieces) == 1 else np.concatenate([np.zeros(0, np.float32), *pieces])
        if self._drop:
            first = min(self._drop, pcm.size)
            self._drop -= first
            pcm = pcm[first:]
        return pcm


def _samples(frame: AudioFrame) -> Floats:
    """Those of one channel, in the frame's own memory."""
    return np.frombuffer(memoryview(frame.planes[0]), np.float32, frame.samples)
