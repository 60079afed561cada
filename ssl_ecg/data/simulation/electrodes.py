"""What the electrodes pick up: the dipole of every moment, the drifting baseline, the muscles, the amplifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.data.simulation import heart as model
from ssl_ecg.data.simulation.draws import Draws, Floats, mix

_NEVER = np.float32(1e3)  # s: so far from any wave that nothing is left of it
ELECTRODES = 9  # RA, LA, LL, V1..V6
_DRIFTS, _JOLTS = 4, 2
_WANDER, _MUSCLE, _WHITE = np.sqrt([0.90, 0.07, 0.03])  # shares of the power

# Leads I, II, V1..V6 from the electrodes: I = LA - RA, II = LL - RA, Vi = Vi - (RA + LA + LL) / 3.
_LEADS = np.zeros((8, ELECTRODES), np.float32)
_LEADS[0, [1, 0]] = _LEADS[1, [2, 0]] = 1, -1
_LEADS[2:, :3], _LEADS[2:, 3:] = -1 / 3, np.eye(6)
# The level is that of the leads, which as differences are noisier than the electrodes.
_LEADS /= np.sqrt(np.square(_LEADS).sum(axis=1).mean())


def draw_leads(heart: model.Hearts, rhythm: model.Rhythm, samples: int, fs: float) -> NDArray[np.float32]:
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

    waves = np.empty((len(rhythm.beats), len(model.WAVES) + 2, samples), np.float32)
    times = heart.times.astype(np.float32)[..., None]
    narrowness = (np.sqrt(0.5) / heart.widths).astype(np.float32)[..., None]
    for slots, time in (
        (model.ATRIAL, atrial),
        (model.CONDUCTED, np.where(ectopic, _NEVER, activation)),
        (model.REPOLARISATION, np.where(ectopic_t, _NEVER, repolarisation)),
        (model.ECTOPIC, np.where(ectopic, activation, _NEVER)),
        (model.ECTOPIC_REPOLARISATION, np.where(ectopic_t, repolarisation, _NEVER)),
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


def draw_breath(rhythm: model.Rhythm, t: Floats) -> NDArray[np.float32]:
    """Draw the respiration at times `t`, shape (B, len(t)), between -1 and 1."""
    frequency, phase = rhythm.breath
    return np.sin((2 * np.pi * frequency * t + phase).astype(np.float32))


def _flutter(heart: model.Hearts, t: Floats) -> NDArray[np.float32]:
    """Draw the two fibrillatory waves, shape (B, 2, len(t)): saw-toothed, of wavering rate and size."""
    waves = np.zeros((len(heart.flutter), 2, len(t)), np.float32)
    some = heart.flutter.any(axis=(1, 2))
    rate, phase = heart.flutter_rate[some, :, None], heart.flutter_phase[some, :, None]
    slow = np.sin((2 * np.pi * np.array([[0.31], [0.43]]) * t + phase[:, 2:]).astype(np.float32))
    angle = (2 * np.pi * rate * t + phase[:, :2]).astype(np.float32) + np.float32(1.5) * slow
    saw = np.sin(angle) + np.float32(0.4) * np.sin(2 * angle) + np.float32(0.2) * np.sin(3 * angle)
    waves[some] = saw * (1 + np.float32(0.4) * slow[:, ::-1])
    return waves


def draw_noise(
    streams: Sequence[np.random.Generator], record: Draws, breath: NDArray[np.float32], level: float, fs: float
) -> NDArray[np.float32]:
    """Draw the noise of leads I, II, V1..V6, shape (B, 8, samples), mV; `level` is its standard deviation as a rule.

    Each electrode has its own, and a limb electrode's reaches every lead, as it does on a patient. `breath`
    (B, samples) is respiration, which moves the baseline.
    """
    samples = breath.shape[1]
    # People are more or less restless, electrodes stick more or less well.
    electrode = level * record.factor(0.35, 1, 1) * record.factor(0.3, ELECTRODES, 1)

    t = np.arange(samples) / fs
    frequency = np.exp(record.uniform(np.log(0.04), np.log(0.4), _DRIFTS, 1))
    phase = record.uniform(0, 2 * np.pi, _DRIFTS, 1)
    slow = np.sin((2 * np.pi * frequency * t + phase).astype(np.float32))
    since = t - record.uniform(0.0, samples / fs, _JOLTS, 1)
    jolts = np.exp(-np.square((since / record.uniform(0.03, 0.2, _JOLTS, 1)).astype(np.float32)))
    drifts = np.concatenate([breath[:, None], slow, jolts], axis=1)
    reach = record.normal(ELECTRODES, 1 + _DRIFTS + _JOLTS)
    reach[..., : 1 + _DRIFTS] *= np.sqrt(2 / (1 + _DRIFTS))
    # A jolt is felt by one electrode far more than by the others.
    reach[..., 1 + _DRIFTS :] = 0.5 * reach[..., 1 + _DRIFTS :] ** 3
    total = mix(_WANDER * electrode * reach, drifts)

    # Muscles tense and let go; 1.33 keeps the power.
    tension = np.square(1 + np.float32(0.7) * slow[:, 0] * slow[:, 1]) / np.float32(1.33)
    muscle = (_MUSCLE / np.sqrt(2) * electrode).astype(np.float32)
    white = (_WHITE * electrode).astype(np.float32)
    lag = max(1, round(0.006 * fs))
    drawn = np.empty((ELECTRODES, samples + lag), np.float32)
    for row, stream in enumerate(streams):
        stream.standard_normal(out=drawn, dtype=np.float32)
        total[row] += white[row] * drawn[:, :samples]
        # Muscles sound above some 20 Hz: a difference over 6 ms takes away what lies below. Read backwards,
        # the numbers serve as a second draw at half the time.
        backwards = drawn[:, ::-1]
        rough = backwards[:, lag:] - backwards[:, :-lag]
        rough *= muscle[row] * tension[row]
        total[row] += rough
    return mix(_LEADS, total)
