"""When the heart beats: sinus rhythm that breathes, atrial fibrillation, ventricular premature beats."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.data.simulation import CLASSES
from ssl_ecg.data.simulation.draws import Draws, Floats

SHORTEST_RR = 0.3  # s: no beat conducts sooner after another
REFERENCE_RR = 0.8  # s: the beat interval the wave times in `morphology` hold for


class Rate(NamedTuple):
    """Resting heart rate of a class in beats a minute; `spread` is the deviation of its logarithm."""

    median: float
    spread: float
    low: float
    high: float


_USUAL = Rate(73, 0.15, 60, 98)
_RATES = dict.fromkeys(CLASSES, _USUAL) | {
    "SBRAD": Rate(53, 0.10, 38, 58),
    "STACH": Rate(112, 0.10, 102, 150),
    "AFIB": Rate(86, 0.25, 52, 145),
}
_MEDIAN, _SPREAD, _LOW, _HIGH = np.array([_RATES[name] for name in CLASSES]).T


@dataclass(frozen=True, slots=True)
class Rhythm:
    """The beats of a batch of records, in time order; the first and the last lie outside the record."""

    beats: Floats  # (B, n), s: R peaks
    sinus: Floats  # (B, n), s: when the sinus node had each due; the P wave keeps to it even after a premature beat
    ectopic: NDArray[np.bool_]  # (B, n): the ventricular premature beats
    stretch: Floats  # (B, n): how much longer than at 75 beats a minute repolarisation takes
    breath: tuple[Floats, Floats]  # (B, 1), Hz and rad: respiration, which moves rate, amplitude and baseline


def beats_within(duration: float) -> int:
    """How many beats cover `duration` seconds at any rate, with one before it and one after."""
    return math.ceil(duration / SHORTEST_RR) + 4


def draw_rhythm(classes: NDArray[np.intp], patient: Draws, record: Draws, duration: float) -> Rhythm:
    """Draw the beats of each record of `duration` s, of `classes` that are indices into `CLASSES`, shape (B,).

    Sinus rhythm has the two peaks of heart-rate variability, one at the respiratory frequency and one at 0.1
    Hz (McSharry et al. 2003, section II); in fibrillation each interval is drawn for itself; a premature beat
    comes early and leaves the sinus node alone, so the pause after it is compensatory. Repolarisation follows
    the rate with a memory of it: a single short interval shortens it little. All records of a patient share the draws
    `patient`.
    """
    n = beats_within(duration)
    rate = _MEDIAN[classes] * np.exp(_SPREAD[classes] * patient.normal()) * record.factor(0.05)
    mean = (60.0 / np.clip(rate, _LOW[classes], _HIGH[classes]))[:, None]

    breath = (patient.factor(0.2, 1) * record.factor(0.1, 1) * 0.25, record.uniform(0, 2 * np.pi, 1))
    slow = record.uniform(0, 2 * np.pi, 1)
    calm = np.where(classes == CLASSES.index("STACH"), 0.3, 1.0)[:, None]  # a driven node varies less
    t = mean * (np.arange(n) - 1)  # where the beats will be, or near enough to breathe with
    sinus_rr = mean * (
        1.0
        + calm * 0.04 * patient.factor(0.7, 1) * np.sin(2 * np.pi * breath[0] * t + breath[1])
        + calm * 0.02 * patient.factor(0.4, 1) * np.sin(2 * np.pi * 0.1 * t + slow)
        + 0.006 * record.normal(n)
    )
    spread = patient.uniform(0.14, 0.28, 1)
    chaotic_rr = mean * np.exp(spread * record.normal(n) - spread**2 / 2)
    fibrillating = (classes == CLASSES.index("AFIB"))[:, None]
    # One patient in four has a premature atrial beat now and then, whatever else there is.
    early = record.uniform(0, 1, n) < np.where(patient.uniform(0, 1, 1) < 0.25, 0.1, 0.0)
    sinus_rr *= np.where(early, 0.7, 1.0)
    rr = np.maximum(np.where(fibrillating, chaotic_rr, sinus_rr), SHORTEST_RR)
    start = -rr[:, :1] - record.uniform(0, 1, 1) * rr[:, 1:2]  # the second beat is the last before the record
    sinus = start + np.cumsum(rr, axis=1) - rr[:, :1]

    ectopic = _premature(sinus, patient.uniform(0.05, 0.4, 1), record, duration)
    ectopic &= (classes == CLASSES.index("PVC"))[:, None]
    coupling = np.maximum(patient.uniform(0.5, 0.72, 1) * record.factor(0.04, n) * rr, 0.38)
    beats = np.where(ectopic, np.minimum(sinus, sinus - rr + coupling), sinus)

    stretch = ((0.8 * mean + 0.2 * rr) / REFERENCE_RR) ** 0.4
    return Rhythm(beats, sinus, ectopic, stretch, breath)


def _premature(sinus: Floats, burden: Floats, record: Draws, duration: float) -> NDArray[np.bool_]:
    """Choose the beats a premature one replaces: never two in a row, at least one inside the record."""
    n = sinus.shape[1]
    chosen = record.uniform(0, 1, n) < burden
    sure = np.abs(sinus - record.uniform(1.5, duration - 1.5, 1)).argmin(axis=1)[:, None]
    distance = np.abs(np.arange(n) - sure)
    chosen = np.where(distance <= 1, distance == 0, chosen)
    chosen[:, 1:] &= ~chosen[:, :-1]
    return chosen
