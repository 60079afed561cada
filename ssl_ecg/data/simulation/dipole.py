"""From beats and waves to the leads: the dipole of every moment, seen from the skin."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.data.simulation import morphology
from ssl_ecg.data.simulation.draws import Floats, mix
from ssl_ecg.data.simulation.morphology import Hearts
from ssl_ecg.data.simulation.rhythm import Rhythm

_NEVER = np.float32(1e3)  # s: so far from any wave that nothing is left of it


def draw_leads(heart: Hearts, rhythm: Rhythm, samples: int, fs: float) -> NDArray[np.float32]:
    """Draw leads I, II, V1..V6 of each record, shape (B, 8, samples), mV.

    McSharry et al. (2003) write one lead as a sum of Gaussians of the cardiac phase, Sameni et al. (2007) the
    three components of the dipole. Here a wave is one Gaussian with a direction, so that a whole record is a
    matrix product (8 leads, waves) x (waves, samples); and the phase is kept in seconds, on a clock of its
    own for what goes at its own pace: the atria, the ventricles' activation, their repolarisation.
    """
    t = np.arange(samples) / fs

    def held(begin: Floats) -> NDArray[np.int64]:
        """Count the samples from the beginning of each beat to that of the next."""
        first = np.clip(np.ceil(begin * fs), 0, samples).astype(np.int64)
        first[:, 0] = 0
        return np.diff(first, axis=1, append=samples).ravel()

    def spread(values: NDArray[Any], counts: NDArray[np.int64]) -> NDArray[Any]:
        """Give every sample the value of its beat."""
        return np.repeat(values.ravel(), counts).reshape(-1, samples)

    # An atrial wave belongs to the beat to come, so its clock changes just after the beat before; the clock
    # of activation changes before the QRS complex, that of repolarisation after it.
    counts = held(np.roll(rhythm.sinus, 1, axis=1) + 0.08)
    atrial = (t - spread(rhythm.sinus, counts)) / spread(rhythm.stretch**0.4, counts)
    counts = held(rhythm.beats - 0.13)
    activation, ectopic = t - spread(rhythm.beats, counts), spread(rhythm.ectopic, counts)
    counts = held(rhythm.beats + 0.06)
    repolarisation = (t - spread(rhythm.beats, counts)) / spread(rhythm.stretch, counts)
    ectopic_t = spread(rhythm.ectopic, counts)

    waves = np.empty((len(rhythm.beats), len(morphology.WAVES) + 2, samples), np.float32)
    times = heart.times.astype(np.float32)[..., None]
    narrowness = (np.sqrt(0.5) / heart.widths).astype(np.float32)[..., None]
    for slots, time in (
        (morphology.ATRIAL, atrial),
        (morphology.CONDUCTED, np.where(ectopic, _NEVER, activation)),
        (morphology.REPOLARISATION, np.where(ectopic_t, _NEVER, repolarisation)),
        (morphology.ECTOPIC, np.where(ectopic, activation, _NEVER)),
        (morphology.ECTOPIC_REPOLARISATION, np.where(ectopic_t, repolarisation, _NEVER)),
    ):
        clock = time.astype(np.float32)  # only now: the time from the record's start may need more bits
        for k in slots:
            x = (clock - times[:, k]) * narrowness[:, k]
            np.exp(-x * x, out=waves[:, k])
    waves[:, -2:] = _flutter(heart, t)

    leads = mix(np.concatenate([heart.waves, heart.flutter], axis=2), waves)
    # Breathing moves the heart away from the electrodes and back.
    leads *= 1.0 + np.float32(0.05) * draw_breath(rhythm, t)[:, None]
    return leads


def draw_breath(rhythm: Rhythm, t: Floats) -> NDArray[np.float32]:
    """Draw the respiration at times `t`, shape (B, len(t)), between -1 and 1."""
    frequency, phase = rhythm.breath
    return np.sin((2 * np.pi * frequency * t + phase).astype(np.float32))


def _flutter(heart: Hearts, t: Floats) -> NDArray[np.float32]:
    """Draw the two fibrillatory waves, shape (B, 2, len(t)): saw-toothed, of wavering rate and size."""
    waves = np.zeros((len(heart.flutter), 2, len(t)), np.float32)
    some = heart.flutter.any(axis=(1, 2))
    rate, phase = heart.flutter_rate[some, :, None], heart.flutter_phase[some, :, None]
    slow = np.sin((2 * np.pi * np.array([[0.31], [0.43]]) * t + phase[:, 2:]).astype(np.float32))
    angle = (2 * np.pi * rate * t + phase[:, :2]).astype(np.float32) + np.float32(1.5) * slow
    saw = np.sin(angle) + np.float32(0.4) * np.sin(2 * angle) + np.float32(0.2) * np.sin(3 * angle)
    waves[some] = saw * (1 + np.float32(0.4) * slow[:, ::-1])
    return waves
