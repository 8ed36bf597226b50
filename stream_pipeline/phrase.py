"""The tune of a phrase that is to be imitated, from its sound."""

import io

import av
import numpy as np

from speech.audio import HOP, RATE_HZ, Frames, Span, State
from speech.prosody import analyse
from speech.shadowing import Contour, contour

_SPOKEN_DB = 35.0  # below the strongest: where the phrase begins and ends


def tune(sound: bytes) -> Contour:
    """Of a file of any format that holds one phrase, without the silence around it. Called in a thread."""
    blocks = [np.zeros(0, np.float32)]
    with av.open(io.BytesIO(sound), "r") as container:
        resampler = av.AudioResampler("fltp", "mono", RATE_HZ)
        for frame in container.decode(audio=0):
            blocks += [np.asarray(block.to_ndarray()[0], np.float32) for block in resampler.resample(frame)]
    pcm = np.concatenate(blocks)
    hops = analyse(pcm[: pcm.size // HOP * HOP])
    frames = Frames(0, HOP, hops.f0_hz, hops.level_dbfs, np.full(hops.f0_hz.size, State.SPEECH, np.int8))
    loud = np.flatnonzero(hops.level_dbfs > np.nanmax(hops.level_dbfs, initial=-120.0) - _SPOKEN_DB)
    span = Span(int(loud[0]) * HOP, int(loud[-1] + 1) * HOP) if loud.size else Span(0, 0)
    return contour(frames, span)
