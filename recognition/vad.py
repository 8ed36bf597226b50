"""How probable speech is, 32 ms at a time: Silero VAD v6, from the ONNX file that the faster-whisper package carries."""

from collections.abc import Callable
from functools import lru_cache
from typing import Final

import numpy as np
import onnxruntime

from config.models import silero_vad_path
from speech.audio import Floats

VERSION: Final = "silero_vad_v6.onnx"
WINDOW: Final = 512  # new samples per probability
_CONTEXT: Final = 64  # samples of the window before, which the model sees again
_WINDOWS_PER_RUN: Final = 256  # 8 s; the cost per window falls until about 8 windows and rises again in the thousands
_AUDIBLE_RMS: Final = 0.01  # -40 dBFS
_MOST_GAIN: Final = 300.0  # 50 dB


@lru_cache(maxsize=1)
def _session() -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    return onnxruntime.InferenceSession(str(silero_vad_path()), options, providers=["CPUExecutionProvider"])


class SpeechProbability:
    """The judge of one stream: samples go in as they come, one probability comes out per 512 samples (32 ms).

    The recurrent state (128 + 128 numbers), 64 samples of context and less than one window of waiting samples is all it keeps. Any
    split of the samples gives the same probabilities to within rounding (1e-5): only how many windows share a run differs. The model
    is shared by all streams; sharing it between threads is safe, sharing one stream is not.
    """

    def __init__(self) -> None:
        self._h = np.zeros((1, 1, 128), np.float32)
        self._c = np.zeros((1, 1, 128), np.float32)
        self._loudest = np.float32(0.0)  # RMS of the loudest window so far
        self._waiting = np.zeros(_CONTEXT, np.float32)  # the context, then what does not fill a window yet

    def push(self, pcm: Floats) -> Floats:
        """Probabilities (k,) in 0..1 of the windows that pcm, (n,) in [-1, 1] at 16 kHz, completes. NaN (lost) is heard as silence."""
        if not np.isfinite(pcm).all():
            pcm = np.nan_to_num(pcm, nan=0.0, posinf=0.0, neginf=0.0)
        signal = np.concatenate((self._waiting, pcm), dtype=np.float32)
        windows = (signal.size - _CONTEXT) // WINDOW
        out = np.empty(windows, np.float32)
        if windows:
            shape, strides = (windows, _CONTEXT + WINDOW), (WINDOW * signal.itemsize, signal.itemsize)
            framed: Floats = np.ndarray(shape, np.float32, signal, strides=strides)  # they overlap; a tenth of sliding_window_view
            for first in range(0, windows, _WINDOWS_PER_RUN):
                last = min(first + _WINDOWS_PER_RUN, windows)
                out[first:last], self._h, self._c = _session().run(
                    None, {"input": self._evened(framed[first:last]), "h": self._h, "c": self._c}
                )
        self._waiting = signal[windows * WINDOW :].copy()
        return out

    def _evened(self, framed: Floats) -> Floats:
        # The model goes deaf below about -70 dBFS and is disturbed by DC. Only what has been quiet since the beginning is lifted.
        centred = framed - framed.mean(axis=1, keepdims=True)
        loudest = np.maximum.accumulate(np.append(self._loudest, np.sqrt(np.square(centred).mean(axis=1))))[1:]
        self._loudest = np.float32(loudest[-1])
        gain = np.clip(_AUDIBLE_RMS / np.maximum(loudest, 1e-9), 1.0, _MOST_GAIN)
        evened: Floats = (centred * gain[:, None]).astype(np.float32)
        return evened

    def finish(self) -> Floats:
        """The probability of the last, incomplete window, (0,) or (1,): the signal is taken to go on as silence."""
        left = self._waiting.size - _CONTEXT
        return self.push(np.zeros(WINDOW - left, np.float32)) if left else np.empty(0, np.float32)


def speech_probability(pcm: Floats, progress: Callable[[int], None] | None = None) -> Floats:
    """Probability of speech, float32 (ceil(n / 512),) in 0..1, of a finished signal pcm, (n,) in [-1, 1] at 16 kHz.

    Costs about 25 us of one core per 10 ms, and memory for 8 s of windows whatever the length. `progress` is told the samples done.
    Silero VAD v6, https://github.com/snakers4/silero-vad; the file is the ONNX conversion of faster-whisper.
    """
    judge = SpeechProbability()
    step = _WINDOWS_PER_RUN * WINDOW
    out = []
    for start in range(0, pcm.size, step):
        out.append(judge.push(pcm[start : start + step]))
        if progress is not None:
            progress(min(start + step, pcm.size))
    out.append(judge.finish())
    return np.concatenate(out)
