"""Synthetic voices and noises with planted answers.

    voice = vowel(120.0, seconds=1.0)              # a steady /a/ with voice.pcm and, per 10 ms frame, voice.f0_hz
    voice = vowel(glide(110, 220, seconds=1.0))    # F0 may be a contour, one value per sample
    voice = vowel(110.0, 2.0, jitter=0.01, shimmer=0.05)   # voice.closures, voice.amplitudes: the truth, cycle by cycle
    voice = utterance(syllables=20, seed=3)        # syllables, consonants, pauses: voice.nuclei, voice.pauses
    noisy = at_snr(voice.pcm, pink(voice.pcm.size, seed=1), snr_db=10)

All at 16 kHz, float32 in [-1, 1]; every random thing takes a seed. Glottal pulses (Rosenberg, 1971, with the return phase of Fant's LF
model, so that a closure is a corner and not a step) are laid out at 64 kHz in continuous time, run through formants, and decimated.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter, resample_poly

RATE_HZ = 16_000
HOP = 160

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

_OVER = 4
_OPENING, _CLOSING, _RETURN = 0.42, 0.16, 0.02  # shares of a cycle
VOWELS = {
    "a": ((700, 60), (1220, 90), (2600, 120), (3500, 180)),
    "e": ((530, 60), (1840, 90), (2480, 120), (3500, 180)),
    "i": ((300, 50), (2300, 100), (3000, 130), (3700, 180)),
    "o": ((500, 60), (900, 80), (2500, 120), (3400, 180)),
    "u": ((320, 50), (800, 80), (2240, 120), (3400, 180)),
    "schwa": ((500, 60), (1500, 90), (2500, 120), (3500, 180)),
}


@dataclass(frozen=True, slots=True, eq=False)
class Voice:
    """A synthetic voice and what is true of it. Places are samples, pauses are half-open [start, end)."""

    pcm: Floats
    f0_hz: Doubles  # per 10 ms frame at its centre, NaN unvoiced
    closures: Doubles  # glottal closure instants, with fractions: jitter is true of these, not of the cycle starts
    amplitudes: Doubles  # of each cycle
    nuclei: Doubles  # centre of each syllable
    pauses: tuple[tuple[int, int], ...]

    @property
    def jitter_percent(self) -> float:
        """Mean difference of neighbouring periods over the mean period, between closures."""
        periods = np.diff(self.closures)
        return float(100 * np.abs(np.diff(periods)).mean() / periods.mean())

    @property
    def shimmer_percent(self) -> float:
        """Mean difference of neighbouring amplitudes over their mean."""
        return float(100 * np.abs(np.diff(self.amplitudes)).mean() / self.amplitudes.mean())


def glide(first_hz: float, last_hz: float, seconds: float) -> Doubles:
    """A contour that moves evenly in semitones, one value per sample."""
    return np.asarray(np.geomspace(first_hz, last_hz, round(seconds * RATE_HZ)))


def wavy(mean_hz: float, depth_st: float, seconds: float, rate_hz: float = 1.0) -> Doubles:
    """A contour that swings `depth_st` semitones to each side of its mean, as lively speech does."""
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return np.asarray(mean_hz * 2 ** (depth_st / 12 * np.sin(2 * np.pi * rate_hz * t)))


def _resonate(source: Doubles, formants: tuple[tuple[int, int], ...]) -> Doubles:
    for centre_hz, width_hz in formants:
        radius = np.exp(-np.pi * width_hz / (RATE_HZ * _OVER))
        a = [1.0, -2 * radius * np.cos(2 * np.pi * centre_hz / (RATE_HZ * _OVER)), radius**2]
        source = lfilter([sum(a)], a, source)
    return source


def _source(contour_hz: Doubles, jitter: float, shimmer: float, creaky: bool, seed: int) -> tuple[Doubles, Doubles, Doubles]:
    """Flow derivative at 64 kHz, closures in 16 kHz samples, amplitudes."""
    random = np.random.default_rng(seed)
    out = np.zeros(contour_hz.size * _OVER)
    closures: list[float] = []
    amplitudes: list[float] = []
    at, cycle = 0.0, 0  # in 16 kHz samples
    while True:
        period = RATE_HZ / contour_hz[min(int(at), contour_hz.size - 1)]
        period = RATE_HZ / contour_hz[min(int(at + period / 2), contour_hz.size - 1)]  # of the cycle's middle
        period *= 1 + jitter * random.standard_normal() + (0.12 if cycle % 2 else -0.12) * creaky
        amplitude = max(0.05, 1 + shimmer * random.standard_normal() - (0.35 if cycle % 2 else 0.0) * creaky)
        if at + 1.3 * period > contour_hz.size:
            return out, np.array(closures), np.array(amplitudes)
        opening, closing = _OPENING * period, _CLOSING * period
        t = np.arange(np.ceil(at * _OVER), np.floor((at + 1.3 * period) * _OVER)) / _OVER - at
        pulse = np.where(t < opening, closing / opening * np.sin(np.pi * t / opening), -np.sin(np.pi * (t - opening) / (2 * closing)))
        pulse = np.where(t > opening + closing, -np.exp(-(t - opening - closing) / (_RETURN * period)), pulse)
        first = int(np.ceil(at * _OVER))
        out[first : first + t.size] += amplitude * pulse
        closures.append(at + opening + closing)
        amplitudes.append(amplitude)
        at += period
        cycle += 1


def _voiced_truth(contour_hz: Doubles) -> Doubles:
    return np.asarray(contour_hz[HOP // 2 :: HOP][: contour_hz.size // HOP])


def vowel(
    f0_hz: float | Doubles,
    seconds: float = 1.0,
    *,
    sound: str = "a",
    jitter: float = 0.0,
    shimmer: float = 0.0,
    creaky: bool = False,
    level: float = 0.3,
    seed: int = 0,
) -> Voice:
    """One vowel, voiced from the first sample to the last.

    f0_hz: a number, or a contour of one value per sample (then `seconds` says nothing). jitter, shimmer: standard deviation of a cycle's
    period and amplitude, as shares. creaky: every other cycle is 24 % longer and 35 % weaker. level: the largest sample.
    """
    contour = np.full(round(seconds * RATE_HZ), float(f0_hz)) if isinstance(f0_hz, float | int) else f0_hz
    source, closures, amplitudes = _source(contour, jitter, shimmer, creaky, seed)
    pcm = resample_poly(_resonate(source, VOWELS[sound]), 1, _OVER)[: contour.size]
    pcm = level * pcm / np.abs(pcm).max()
    middle = np.array([contour.size / 2])
    return Voice(pcm.astype(np.float32), _voiced_truth(contour), closures, amplitudes, middle, ())


def utterance(
    syllables: int = 20,
    *,
    f0_hz: float = 120.0,
    swing_st: float = 3.0,
    syllable_s: float = 0.2,
    pauses: dict[int, float] | None = None,
    lead_s: float = 0.3,
    level: float = 0.3,
    seed: int = 0,
) -> Voice:
    """Syllables of a soft consonant noise and a vowel, with F0 that swings and falls; silence before, after and in the pauses.

    pauses: seconds of silence after the syllable of that number (0 is the first). Digital silence: add a noise of your own.
    """
    random = np.random.default_rng(seed)
    sounds = [name for name in VOWELS if name != "schwa"]
    parts: list[Doubles] = [np.zeros(round(lead_s * RATE_HZ))]
    truth: list[Doubles] = [np.full(parts[0].size, np.nan)]
    nuclei, silences, at = [], [], parts[0].size

    def add(pcm: Doubles, f0: Doubles) -> None:
        nonlocal at
        parts.append(pcm)
        truth.append(f0)
        at += pcm.size

    for k in range(syllables):
        length_s = syllable_s * random.uniform(0.8, 1.25)
        consonant = round(0.35 * length_s * RATE_HZ)
        noise = random.standard_normal(consonant) * np.hanning(consonant)
        add(0.03 * np.diff(noise, prepend=0.0), np.full(consonant, np.nan))
        length = round(0.65 * length_s * RATE_HZ)
        middle_st = swing_st * np.sin(0.7 * k + seed) - 3.0 * k / max(syllables, 1)
        contour = f0_hz * 2 ** ((middle_st + np.linspace(1.0, -1.0, length)) / 12)
        sound = vowel(contour, sound=sounds[int(random.integers(len(sounds)))], level=random.uniform(0.6, 1.0), seed=seed + k)
        fade = round(0.02 * RATE_HZ)
        envelope = np.interp(np.arange(length), [0, fade, length - fade, length], [0.0, 1.0, 0.8, 0.0])
        nuclei.append(at + length / 2)
        add(sound.pcm * envelope, contour)
        if pauses and k in pauses:
            silence = round(pauses[k] * RATE_HZ)
            silences.append((at, at + silence))
            add(np.zeros(silence), np.full(silence, np.nan))
    add(np.zeros(round(lead_s * RATE_HZ)), np.full(round(lead_s * RATE_HZ), np.nan))
    pcm = np.concatenate(parts)
    return Voice(
        (level * pcm / np.abs(pcm).max()).astype(np.float32),
        _voiced_truth(np.concatenate(truth)),
        np.empty(0),
        np.empty(0),
        np.array(nuclei),
        tuple(silences),
    )


def _unit(pcm: Doubles) -> Doubles:
    return np.asarray(pcm / np.sqrt(np.mean(pcm**2)))


def white(samples: int, seed: int) -> Doubles:
    """White noise of RMS 1, as all noises below."""
    return _unit(np.random.default_rng(seed).standard_normal(samples))


def pink(samples: int, seed: int) -> Doubles:
    """Noise that falls 3 dB per octave from 20 Hz on."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(samples))
    hz = np.fft.rfftfreq(samples, 1 / RATE_HZ)
    return _unit(np.fft.irfft(np.where(hz < 20, 0, spectrum / np.sqrt(np.maximum(hz, 20))), samples))


def hum(samples: int, mains_hz: float = 50.0) -> Doubles:
    """Mains hum with its second, third and fifth harmonic."""
    t = np.arange(samples) / RATE_HZ
    return _unit(sum((np.sin(2 * np.pi * mains_hz * k * t + k) / k for k in (1, 2, 3, 5)), np.zeros(samples)))


def babble(samples: int, seed: int, voices: int = 6) -> Doubles:
    """Other people talking: synthetic utterances of different pitch on top of one another."""
    random = np.random.default_rng(seed)
    total = np.zeros(samples)
    for k in range(voices):
        one = utterance(int(samples / RATE_HZ * 5.5) + 2, f0_hz=random.uniform(90, 240), lead_s=0.05, seed=seed * 100 + k).pcm
        total += _unit(np.resize(one.astype(np.float64), samples))
    return _unit(total)


def chords(samples: int, seed: int) -> Doubles:
    """Music-like: a plucked three-note chord with harmonics every half second."""
    random = np.random.default_rng(seed)
    total = np.zeros(samples)
    for begin in range(0, samples, RATE_HZ // 2):
        t = np.arange(min(RATE_HZ // 2, samples - begin)) / RATE_HZ
        for note in random.choice([0, 3, 4, 5, 7, 9, 12, 16, 19], 3, replace=False):
            for k in range(1, 7):
                tone = np.sin(2 * np.pi * 130.8 * 2 ** (note / 12) * k * t + random.uniform(0, 6))
                total[begin : begin + t.size] += tone * np.exp(-4 * t) / k
    return _unit(total)


def clicks(samples: int, seed: int, per_s: float = 6.0) -> Doubles:
    """A keyboard: short bursts of noise that ring for a few milliseconds, at random times."""
    random = np.random.default_rng(seed)
    total = np.zeros(samples + RATE_HZ)
    for at in random.integers(0, samples, max(1, int(samples / RATE_HZ * per_s))):
        t = np.arange(int(0.03 * RATE_HZ)) / RATE_HZ
        burst = random.standard_normal(t.size) * np.exp(-t / 0.003) + 0.5 * np.sin(2 * np.pi * 1800 * t) * np.exp(-t / 0.006)
        total[at : at + t.size] += burst * random.uniform(0.5, 1.0)
    return _unit(total[:samples])


def active_rms(pcm: NDArray[np.floating]) -> float:
    """RMS of what is louder than 2 % of the peak: the speech without its pauses."""
    loud = pcm[np.abs(pcm) > 0.02 * np.abs(pcm).max()].astype(np.float64)
    return float(np.sqrt(np.mean(loud**2)))


def at_snr(pcm: NDArray[np.floating], noise: Doubles, snr_db: float) -> Floats:
    """pcm with noise (RMS 1) so far below its active level; not clipped, so it may leave [-1, 1]."""
    return np.asarray(pcm + noise * active_rms(pcm) * 10 ** (-snr_db / 20), np.float32)
