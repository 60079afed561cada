"""The heart: when it beats, and what shape it draws, as dipoles by class and patient and the leads that see them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.data.simulation.draws import Draws, Floats

CLASSES = ("NORM", "SBRAD", "STACH", "AFIB", "PVC", "LBBB", "RBBB", "STE")
SHORTEST_RR = 0.3  # s: no beat conducts sooner after another
REFERENCE_RR = 0.8  # s: the beat interval the times of waves hold for


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


class Wave(NamedTuple):
    """A dipole that swells and fades as a Gaussian of time, at 75 beats a minute."""

    time: float  # of its peak, s from the R peak
    width: float  # standard deviation, s
    dipole: tuple[float, float, float]  # at its peak, mV on Frank's axes: left, down, back


_NORMAL = {
    "P, right atrium": Wave(-0.168, 0.017, (0.03, 0.08, -0.05)),
    "P, left atrium": Wave(-0.138, 0.019, (0.07, 0.06, 0.03)),
    "septum": Wave(-0.024, 0.0090, (-0.14, -0.04, -0.26)),
    "wall": Wave(0.000, 0.0105, (1.15, 0.85, 0.25)),
    "back": Wave(0.017, 0.0110, (0.22, 0.05, 0.72)),
    "base": Wave(0.035, 0.0090, (-0.16, -0.22, 0.16)),
    "ST, early": Wave(0.090, 0.030, (0.0, 0.0, 0.0)),
    "ST, late": Wave(0.165, 0.045, (0.0, 0.0, 0.0)),
    "T, rise": Wave(0.225, 0.050, (0.12, 0.08, -0.09)),
    "T, peak": Wave(0.280, 0.034, (0.20, 0.14, -0.14)),
    "ectopic, first": Wave(-0.014, 0.023, (0.0, 0.0, 0.0)),
    "ectopic, second": Wave(0.040, 0.025, (0.0, 0.0, 0.0)),
    "ectopic, ST": Wave(0.130, 0.045, (0.0, 0.0, 0.0)),
    "ectopic, T": Wave(0.310, 0.055, (0.0, 0.0, 0.0)),
}
_LBBB = {  # the left ventricle is reached late, through muscle: slow, leftward and back; T against it
    "septum": Wave(-0.034, 0.014, (0.28, 0.12, 0.14)),
    "wall": Wave(-0.010, 0.017, (0.85, 0.40, 0.65)),
    "back": Wave(0.030, 0.018, (0.85, 0.10, 0.90)),
    "base": Wave(0.058, 0.013, (0.10, -0.15, 0.30)),
    "ST, early": Wave(0.110, 0.030, (-0.05, -0.02, -0.10)),
    "ST, late": Wave(0.180, 0.050, (-0.10, -0.03, -0.14)),
    "T, rise": Wave(0.250, 0.050, (-0.12, -0.04, -0.13)),
    "T, peak": Wave(0.310, 0.040, (-0.20, -0.06, -0.20)),
}
_RBBB = {  # a normal start, then the right ventricle alone: slow, rightward and to the front
    "back": Wave(0.018, 0.0110, (0.15, 0.05, 0.38)),
    "base": Wave(0.060, 0.0180, (-0.50, -0.12, -0.52)),
    "ST, late": Wave(0.165, 0.045, (0.02, 0.0, 0.06)),
    "T, peak": Wave(0.285, 0.036, (0.22, 0.14, 0.10)),
}

WAVES = tuple(_NORMAL)
# Which of the waves go by which clock.
ATRIAL = range(2)
CONDUCTED = range(2, 8)
REPOLARISATION = range(8, 10)
ECTOPIC = range(10, 13)
ECTOPIC_REPOLARISATION = range(13, 14)
_QRS = np.isin(WAVES, ("septum", "wall", "back", "base"))

_TABLE = [list((_NORMAL | {"LBBB": _LBBB, "RBBB": _RBBB}.get(name, {})).values()) for name in CLASSES]
_TIMES, _WIDTHS, _DIPOLES = (np.array([[wave[field] for wave in row] for row in _TABLE]) for field in range(3))

# Where the injury of an ST elevation points: the front, the diaphragm, the left side.
_TERRITORIES = np.array([(0.25, 0.05, -0.85), (0.10, 0.95, 0.10), (0.85, 0.05, 0.20)])

# Leads I, II, V1..V6 as seen from Frank's axes (Dower, Machado & Osborne 1980).
_DOWER = np.array([
    (0.632, -0.235, 0.059), (0.235, 1.066, -0.132), (-0.515, 0.157, -0.917), (0.044, 0.164, -1.387),
    (0.882, 0.098, -1.277), (1.213, 0.127, -0.601), (1.125, 0.127, -0.086), (0.831, 0.076, 0.230),
])  # fmt: skip
# What a lead gains when the row of chest electrodes sits one electrode further to the left.
_SHIFT = np.concatenate([np.zeros((2, 3)), np.gradient(_DOWER[2:], axis=0)])


@dataclass(frozen=True, slots=True)
class Hearts:
    """The hearts of a batch of records, each in its chest; leads are I, II, V1..V6."""

    times: Floats  # (B, waves), s from the R peak: peak of each wave
    widths: Floats  # (B, waves), s: standard deviation of each wave
    waves: Floats  # (B, 8, waves), mV: each wave at its peak
    flutter: Floats  # (B, 8, 2), mV: the two fibrillatory waves; zero outside fibrillation
    flutter_rate: Floats  # (B, 2), Hz
    flutter_phase: Floats  # (B, 4), rad: of the two and of what modulates them


def draw_hearts(classes: NDArray[np.intp], patient: Draws, record: Draws) -> Hearts:
    """Draw the heart and chest of each record: most of it is the patient's, a little the day's.

    `classes` are indices into `CLASSES`, shape (B,); all records of a patient share the draws `patient`.
    """
    k = len(WAVES)
    times, widths, dipoles = _TIMES[classes], _WIDTHS[classes], _DIPOLES[classes]

    slowness = np.where(_QRS, patient.factor(0.13, 1), 1.0)  # a wide QRS is slow throughout, not in one wave
    times = times * slowness + np.where(_QRS, 0.002, 0.008) * patient.normal(k)
    widths = widths * slowness * patient.factor(0.12, k)

    size = np.linalg.norm(dipoles, axis=2, keepdims=True)
    dipoles = dipoles * patient.factor(0.3, k)[..., None] + 0.22 * size * patient.normal(k, 3)
    dipoles[:, REPOLARISATION] *= patient.factor(0.4, 1, 1)  # from flat to tall T
    dipoles[:, ATRIAL] *= patient.factor(0.3, 1, 1) * (classes != CLASSES.index("AFIB"))[:, None, None]
    _raise_st(dipoles, classes, patient, record)
    _place_focus(dipoles, patient)

    chest = _chest(patient, record)
    flutter = patient.factor(0.3, 1) * record.factor(0.15, 1) * (classes == CLASSES.index("AFIB"))[:, None]
    directions = np.array([(-0.2, 0.4, -0.9), (0.2, 0.7, -0.5)]) + 0.25 * patient.normal(2, 3)
    rate = patient.uniform(4.6, 7.6, 1) * np.array([1.0, 1.13]) * record.factor(0.03, 1)
    return Hearts(
        times=times,
        widths=np.maximum(widths, 0.007),  # narrower would alias at the lowest sampling rate
        waves=chest @ dipoles.swapaxes(1, 2),
        flutter=chest @ (0.038 * flutter[..., None] * directions).swapaxes(1, 2),
        flutter_rate=rate,
        flutter_phase=record.uniform(0, 2 * np.pi, 4),
    )


def _raise_st(dipoles: Floats, classes: NDArray[np.intp], patient: Draws, record: Draws) -> None:
    """Lift the ST segment: a trace in everybody (early repolarisation, drift), an injury current in STE."""
    early, late = WAVES.index("ST, early"), WAVES.index("ST, late")
    trace = 0.03 * patient.normal(3) + 0.01 * record.normal(3)
    where = _TERRITORIES[np.floor(patient.uniform(0, 2.999)).astype(np.intp)] + 0.12 * patient.normal(3)
    injury = 0.2 * patient.factor(0.35, 1) * record.factor(0.12, 1) * where
    injury *= (classes == CLASSES.index("STE"))[:, None]
    dipoles[:, early] += trace + 0.75 * injury
    dipoles[:, late] += trace + injury
    dipoles[:, REPOLARISATION] += 0.5 * injury[:, None]


def _place_focus(dipoles: Floats, patient: Draws) -> None:
    """Put the focus of premature beats anywhere: they spread away from it and repolarise against it."""
    away = patient.normal(3) * np.array([0.7, 1.0, 1.0])
    away *= patient.uniform(0.8, 1.9, 1) / np.linalg.norm(away, axis=1, keepdims=True)
    turn = 0.45 * patient.normal(3)
    first, second, st, t = (i for i, wave in enumerate(WAVES) if wave.startswith("ectopic"))
    dipoles[:, first] = away + turn
    dipoles[:, second] = 0.65 * away - turn
    dipoles[:, st] = -0.14 * away
    dipoles[:, t] = -0.32 * away * patient.factor(0.2, 1)


def _chest(patient: Draws, record: Draws) -> Floats:
    """Draw how leads I, II, V1..V6 see the dipole, shape (B, 8, 3): torso, electrodes, axis of the heart."""
    torso = _DOWER * patient.factor(0.15, 8, 3) + 0.08 * patient.normal(8, 3)
    torso += (0.35 * patient.normal(1, 1) + 0.15 * record.normal(1, 1)) * _SHIFT
    gain = patient.factor(0.3, 1, 1) * record.factor(0.06, 1, 1) * record.factor(0.04, 8, 1)
    angles = np.radians([12.0, 18.0, 20.0]) * patient.normal(3) + np.radians(4.0) * record.normal(3)
    return gain * torso @ _rotation(angles)


def _rotation(angles: Floats) -> Floats:
    """Rotate by `angles` (B, 3) about the left-right, vertical and front-back axes in turn: (B, 3, 3)."""
    total = np.broadcast_to(np.eye(3), (len(angles), 3, 3))
    for axis in range(3):
        i, j = [a for a in range(3) if a != axis]
        one = np.zeros((len(angles), 3, 3))
        one[:, axis, axis] = 1.0
        one[:, i, i] = one[:, j, j] = np.cos(angles[:, axis])
        one[:, j, i] = np.sin(angles[:, axis])
        one[:, i, j] = -one[:, j, i]
        total = one @ total
    return total
