"""The voice itself, by Praat: jitter, shimmer, harmonicity and cepstral peak, on sustained vowels only."""

from collections.abc import Sequence

import numpy as np
import parselmouth
from parselmouth.praat import call

from speech.analysis import Measure
from speech.audio import RATE_HZ, Floats, Span, seconds
from speech.cycles import SUSTAINED_S, sustained

VERSION = f"Praat {parselmouth.PRAAT_VERSION} (parselmouth {parselmouth.VERSION})"

_LEAST_S = 1.0  # of sustained vowel together
_MOST = 40  # the longest stretches tell as much as all of them, and Praat takes its time
_LOWEST_HZ, _HIGHEST_HZ = 65.0, 500.0
_NONE = f"needs {_LEAST_S:g} s of vowels held for at least {SUSTAINED_S:g} s each; running speech has few"


def measures(pcm: Floats, f0_hz: Floats) -> dict[str, Measure]:
    """jitter_local and shimmer_local (ratio), hnr_db and cpps_db: the mean over sustained vowels weighted by their length.

    pcm: (n,) at 16 kHz. f0_hz: per hop, NaN unvoiced. Praat's own definitions: jitter and shimmer (local) with periods of 1/500 to 1/65 s,
    factors 1.3 and 1.6; harmonicity (cc), floor 65 Hz; CPPS with subtraction of the trend (Hillenbrand & Houde 1996). No interval: a few
    vowels are not a sample of the voice. Trend only, not for clinical use.
    """
    spans = sorted(sustained(f0_hz), key=lambda s: (s.start - s.end, s.start))[:_MOST]
    over_s = seconds(sum(s.end - s.start for s in spans))
    units = {"jitter_local": "ratio", "shimmer_local": "ratio", "hnr_db": "dB", "cpps_db": "dB"}
    if over_s < _LEAST_S:
        return {name: Measure(None, unit, None, None, over_s, _NONE) for name, unit in units.items()}
    rows = np.array([_stretch(pcm, span) for span in spans])
    weights = np.array([span.end - span.start for span in spans], float)
    out = {}
    for (name, unit), column in zip(units.items(), rows.T, strict=True):
        known = ~np.isnan(column)
        value = float(np.average(column[known], weights=weights[known])) if known.any() else None
        out[name] = Measure(value, unit, None, None, over_s, None if value is not None else "Praat found no regular cycles")
    return out


def _stretch(pcm: Floats, span: Span) -> Sequence[float]:
    sound = parselmouth.Sound(pcm[span.start : span.end].astype(np.float64), RATE_HZ)
    cycles = call(sound, "To PointProcess (periodic, cc)", _LOWEST_HZ, _HIGHEST_HZ)
    gates = (0, 0, 1 / _HIGHEST_HZ, 1 / _LOWEST_HZ, 1.3)
    jitter = call(cycles, "Get jitter (local)", *gates)
    shimmer = call([sound, cycles], "Get shimmer (local)", *gates, 1.6)
    harmonicity = call(call(sound, "To Harmonicity (cc)", 0.01, _LOWEST_HZ, 0.1, 1.0), "Get mean", 0, 0)
    cepstrum = call(sound, "To PowerCepstrogram", 60, 0.002, 5000, 50)
    cpps = call(cepstrum, "Get CPPS", "yes", 0.02, 0.0005, 60, 330, 0.05, "Parabolic", 0.001, 0, "Straight", "Robust")
    return jitter, shimmer, harmonicity, cpps
