"""What else the electrodes pick up: the drifting baseline, the muscles, the amplifier."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.data.simulation.draws import Draws, mix

ELECTRODES = 9  # RA, LA, LL, V1..V6
_DRIFTS, _JOLTS = 4, 2
_WANDER, _MUSCLE, _WHITE = np.sqrt([0.90, 0.07, 0.03])  # shares of the power

# Leads I, II, V1..V6 from the electrodes: I = LA - RA, II = LL - RA, Vi = Vi - (RA + LA + LL) / 3.
_LEADS = np.zeros((8, ELECTRODES), np.float32)
_LEADS[0, [1, 0]] = _LEADS[1, [2, 0]] = 1, -1
_LEADS[2:, :3], _LEADS[2:, 3:] = -1 / 3, np.eye(6)
# The level is that of the leads, which as differences are noisier than the electrodes.
_LEADS /= np.sqrt(np.square(_LEADS).sum(axis=1).mean())


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
