"""What a session hears, at fixed places of its sound: prosody, how likely speech is, and where it is.

Everything happens in steps of 200 ms, so that it depends on the samples alone. Each costs about 1 ms. The judge (Silero, 0.1 ms per 32 ms)
is asked only while webrtcvad, at a fiftieth of that, heard something in the last seconds: it takes too much for speech, hardly ever too
little. When it opens, the judge hears the second before as well, so that no onset is lost.
"""

from typing import Final

import numpy as np
import webrtcvad

from recognition.vad import WINDOW, SpeechProbability
from speech.activity import Activity
from speech.audio import HOP, RATE_HZ, Floats, Span, State
from speech.live import Live
from speech.prosody import Hops, Prosody
from speech.ring import CAPACITY, Ring

STEP: Final = RATE_HZ // 5  # 200 ms

_FRAME = 320  # 20 ms, what webrtcvad takes
_MODE = 1  # of 0 to 3, from taking most to least for speech
_AUDIBLE_RMS, _MOST_GAIN = 0.01, 300.0  # as recognition.vad: what was quiet since the beginning is lifted
_HOLD = 3 * RATE_HZ // 2  # without anything heard before the judge rests
_BEFORE = RATE_HZ // WINDOW  # judgements: the second that the judge hears again
_HELD = 12  # judgements (384 ms) that wait at rest, since they may be made after all
_KEPT = 1024  # judgements: more than the ring holds samples for
_SETTLED = 2 * RATE_HZ  # of loss after which nothing of the sound before it is on its way
_PERIOD = 4 * STEP  # whole steps and whole judgements


class _Gate:
    """Whether there may be speech: webrtcvad on levelled sound."""

    def __init__(self) -> None:
        self.heard_to = -_HOLD  # end of the last frame that may be speech
        self._vad = webrtcvad.Vad(_MODE)
        self._loudest = 0.0  # RMS so far

    def hear(self, pcm: Floats, start: int) -> None:
        """Take whole frames from sample `start` on."""
        frames = pcm.reshape(-1, _FRAME)
        centred = frames - (frames.sum(axis=1) / _FRAME)[:, None]
        rms = np.sqrt(np.einsum("ij,ij->i", centred, centred) / _FRAME)
        came = np.flatnonzero(~np.isnan(rms))  # the rest is lost
        if came.size == 0:
            return
        loudest = np.maximum.accumulate(np.append(self._loudest, rms[came]))[1:]
        self._loudest = float(loudest[-1])
        gain = np.minimum(np.maximum(_AUDIBLE_RMS / np.maximum(loudest, 1e-9), 1.0), _MOST_GAIN)
        levelled = centred[came] * (32767 * gain).astype(np.float32)[:, None]
        sound = np.minimum(np.maximum(levelled, -32768), 32767).astype(np.int16).tobytes()
        for i, frame in enumerate(came.tolist()):
            if self._vad.is_speech(sound[2 * _FRAME * i : 2 * _FRAME * (i + 1)], RATE_HZ):
                self.heard_to = start + (frame + 1) * _FRAME


class Hearing:
    """The sound of one session and what is known of it. 2 MB; feeds `live`."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._ring = Ring()
        self._prosody = Prosody()
        self._activity = Activity()
        self._judge = SpeechProbability()
        self._gate = _Gate()
        self._skipped = 0  # samples of loss that prosody was not told of
        self._probability = np.zeros(_KEPT, np.float32)  # of window i at i % _KEPT
        self._windows = self._judged = self._told = 0  # that have a probability; up to which the judge heard; that the states know of

    @property
    def end(self) -> int:
        """Samples heard so far."""
        return self._ring.end

    def push(self, pcm: Floats) -> None:
        """Take steps, (n * STEP,) in [-1, 1], NaN where lost."""
        self._gate.hear(pcm, self.end)
        self._ring.write(pcm)
        self._judge_to(self.end // WINDOW)
        resting = self._judged < self._windows
        self._tell(pcm, max(self._told, self._windows - _HELD) if resting else self._windows)
        self._live.expect(self._activity.provisional(), self._prosody.waiting_dbfs)

    def lose(self, steps: int) -> None:
        """Take steps that never came. An hour takes no longer than some seconds, and is LOST to the hop."""
        samples = steps * STEP
        skipped = max(0, samples - _SETTLED) // _PERIOD * _PERIOD
        self.push(np.full(samples - skipped, np.nan, np.float32))
        if not skipped:
            return
        # All that is still on its way is lost as well, so that it does not matter where among it the rest is put.
        hops, windows = skipped // HOP, skipped // WINDOW
        self._ring.lost(skipped)
        self._skipped += skipped
        nothing = np.full(hops, np.nan, np.float32)
        self._live.hear(Hops(0, nothing, nothing, np.full(hops, np.nan), np.empty(0, np.int64)), np.full(hops, State.LOST, np.int8))
        self._windows += windows
        self._told += windows
        recent = min(windows + _HELD, _KEPT)
        self._store(self._windows - recent, np.zeros(recent, np.float32))
        self._live.expect(self._activity.provisional(), self._prosody.waiting_dbfs)

    def finish(self, pcm: Floats) -> None:
        """Take the last samples, less than a step. Then everything is known."""
        self._ring.write(pcm)
        self._judge_to(-(-self.end // WINDOW))
        self._tell(pcm, self._windows)
        self._live.hear(self._moved(self._prosody.flush()), self._activity.finish())

    def sound(self, span: Span) -> Floats:
        """The samples of a span of the last half minute, zeros where lost."""
        return np.nan_to_num(self._ring.read(span.start, span.end), nan=0.0)

    def probability(self, span: Span) -> tuple[Floats, int]:
        """How probable speech is in the windows that a span touches, as far as they are known, and the sample where the first begins."""
        first = max(0, self._windows - _KEPT, span.start // WINDOW)
        last = max(first, min(self._windows, -(-span.end // WINDOW)))
        return self._stored(first, last), first * WINDOW

    @property
    def oldest(self) -> int:
        """The oldest sample that is still there."""
        return max(0, self.end - CAPACITY)

    def _judge_to(self, windows: int) -> None:
        if self.end - self._gate.heard_to < _HOLD:
            first = max(self._judged, self._windows - _BEFORE)
            found = self._judge.push(self._ring.read(first * WINDOW, min(windows * WINDOW, self.end)))
            if windows * WINDOW > self.end:
                found = np.concatenate((found, self._judge.finish()))
            self._store(first, found)
            self._judged = windows
        else:
            self._store(self._windows, np.zeros(windows - self._windows, np.float32))
        self._windows = windows

    def _tell(self, pcm: Floats, upto: int) -> None:
        states = self._activity.push(pcm, self._stored(self._told, upto))
        self._told = upto
        self._live.hear(self._moved(self._prosody.push(pcm)), states)

    def _moved(self, hops: Hops) -> Hops:
        return Hops(hops.start + self._skipped, hops.f0_hz, hops.level_dbfs, hops.k_power, hops.nuclei + self._skipped)

    def _store(self, first: int, probability: Floats) -> None:
        self._probability[np.arange(first, first + probability.size) % _KEPT] = probability

    def _stored(self, first: int, last: int) -> Floats:
        return self._probability[np.arange(first, last) % _KEPT]
