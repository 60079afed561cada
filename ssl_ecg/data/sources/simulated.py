"""`Simulated`: ECG of patients who never lived, for tests, benchmarks and a first run without a download."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.data.simulation.draws import Draws, stream
from ssl_ecg.data.simulation.electrodes import draw_breath, draw_leads, draw_noise
from ssl_ecg.data.simulation.heart import CLASSES, beats_within, draw_hearts, draw_rhythm
from ssl_ecg.data.source import Beats, Recording, Source, Split
from ssl_ecg.errors import UserError
from ssl_ecg.leads import STANDARD_12

MODEL = 1  # raise it with every change of the signals: stores made by another model are then made anew

_SPLITS: tuple[Split, ...] = ("train", "test", "val", "train", "train")  # of the patients of a class, in turn
_BATCH_SAMPLES = 128_000  # drawn at once: enough to be fast, few enough to stay in the processor's cache
_PATIENT, _RECORD = 0, 1  # kinds of random stream


class Simulated(Source):
    """Simulated twelve-lead ECG (no heart was involved), one class a patient.

    The heart is a dipole that swells and turns with every wave of the beat (McSharry et al. 2003, Sameni et al. 2007);
    the leads see it as in Dower et al. 1980, and III, aVR, aVL and aVF follow from I and II. A patient keeps the shape
    of the waves, the axis, the chest and the resting rate over all records; beats, noise, gain and the exact place of
    the electrodes are each record's own. As in real data, records are told apart by patient more easily than by class.

    The classes are NORM, sinus rhythm; SBRAD and STACH, the same below 60 and above 100 beats a minute; AFIB,
    atrial fibrillation (irregular, no P wave, fibrillatory waves); PVC, ventricular premature beats, at least
    one a record; LBBB and RBBB, the bundle branch blocks; STE, ST elevation (anterior, inferior or lateral).
    Patients take them in turn; of every five patients of a class three are for training, one for validation,
    one for the test. The R peaks are given, without classes.

    The same settings give the same bits on the same machine, and a record is drawn from the seed, its patient's number
    and its own alone: more patients or records change nothing of it. Beats do not depend on `fs` and `noise`.

    References:
        McSharry et al., A dynamical model for generating synthetic electrocardiogram signals, IEEE Trans. Biomed. Eng.
        50(3), 2003.
        Sameni et al., Multichannel ECG and noise modeling: application to maternal and fetal ECG signals, EURASIP J.
        Adv. Signal Process. 2007:043407.
        Dower et al., On deriving the electrocardiogram from vectorcardiographic leads, Clin. Cardiol. 3(2), 1980.

    Args:
        patients: number of patients, at least 24 (so that each split has each of the eight classes).
        records_per_patient: number of records of each.
        duration: length of a record in s, from 4 to 3600.
        fs: sampling rate in Hz, from 100 (below, the QRS complex does not fit) to 2000.
        noise: standard deviation of the noise in mV in the typical record: 90 % of its power baseline wander (breath,
            drift, a jolted electrode), 7 % muscle, 3 % white; records and electrodes differ. 0 for none.
        seed: another seed, other patients.
    """

    classes: tuple[str, ...] = CLASSES
    task: ClassVar[Literal["beat", "record"]] = "record"
    simulated: ClassVar[bool] = True
    leads: tuple[str, ...] = STANDARD_12

    def __init__(
        self,
        patients: int = 800,
        records_per_patient: int = 4,
        duration: float = 10.0,
        fs: float = 100.0,
        noise: float = 0.1,
        seed: int = 0,
    ) -> None:
        _check("patients", patients, 24, 99_999, f"{len(CLASSES)} classes in each of three splits need 24")
        _check("records_per_patient", records_per_patient, 1, 999, "every patient has a record")
        _check("duration", duration, 4.0, 3600.0, "in seconds: enough to hold a premature beat and its pause")
        _check("fs", fs, 100.0, 2000.0, "in Hz: for less, let Preprocessing resample it")
        _check("noise", noise, 0.0, 10.0, "in mV: 0 is none, 0.1 a usual record")
        _check("seed", seed, 0, 2**63 - 1, "a whole number that is not negative")
        self.patients = int(patients)
        self.records_per_patient = int(records_per_patient)
        self.duration = float(duration)
        self.fs = float(fs)
        self.noise = float(noise)
        self.seed = int(seed)

        self._block: tuple[int, list[Recording]] = (-1, [])

    def ensure(self, limit: int | None = None) -> None:
        """Nothing to fetch."""

    def fingerprint(self) -> dict[str, object]:
        """Name the settings, and which version of the model they are settings of."""
        settings = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        return {"source": type(self).__name__, "model": MODEL, **settings}

    @property
    def records(self) -> Sequence[str]:
        """Names of all recordings, patient by patient."""
        return [f"p{p:05d}r{r:03d}" for p in range(self.patients) for r in range(self.records_per_patient)]

    def __len__(self) -> int:
        return self.patients * self.records_per_patient

    def read(self, number: int) -> Recording:
        """One recording. Neighbours are drawn together and kept, so in order it is fastest."""
        size = max(1, int(_BATCH_SAMPLES / (self.duration * self.fs)))
        if self._block[0] != number // size:
            first = number // size * size
            self._block = number // size, self._draw(np.arange(first, min(first + size, len(self))))
        return self._block[1][number % size]

    def _draw(self, numbers: NDArray[np.intp]) -> list[Recording]:
        """Simulate the records of these numbers together."""
        patients, ordinals = np.divmod(numbers, self.records_per_patient)
        classes = patients % len(CLASSES)
        people, whose = np.unique(patients, return_inverse=True)
        samples = round(self.duration * self.fs)

        patient = Draws([stream(self.seed, _PATIENT, p) for p in people.tolist()], width=180).take(whose)
        keys = list(zip(patients.tolist(), ordinals.tolist(), strict=True))
        streams = [stream(self.seed, _RECORD, p, r) for p, r in keys]
        record = Draws(streams, width=120 + 5 * beats_within(self.duration))

        heart = draw_hearts(classes, patient, record)
        rhythm = draw_rhythm(classes, patient, record, self.duration)
        seen = draw_leads(heart, rhythm, samples, self.fs)
        if self.noise > 0:
            breath = draw_breath(rhythm, np.arange(samples) / self.fs)
            seen += draw_noise(streams, record, breath, self.noise, self.fs)
        signals = _twelve(seen)

        # By time, so that every sampling rate has the same beats; the last may round up to the end.
        inside = (rhythm.beats >= 0) & (rhythm.beats < self.duration)
        peaks = np.minimum(np.round(rhythm.beats * self.fs).astype(np.int64), samples - 1)
        recordings = []
        for row, (p, r) in enumerate(keys):
            beats = peaks[row, inside[row]]
            recordings.append(
                Recording(
                    record=f"p{p:05d}r{r:03d}",
                    patient=f"p{p:05d}",
                    signal=signals[row],
                    fs=self.fs,
                    leads=STANDARD_12,
                    split=_SPLITS[p // len(CLASSES) % len(_SPLITS)],
                    labels=(CLASSES[classes[row]],),
                    beats=Beats(beats, np.full(beats.shape, "", dtype=np.str_)),
                )
            )
        return recordings


def _twelve(seen: NDArray[np.float32]) -> NDArray[np.float32]:
    """All twelve leads from I, II, V1..V6, the limb leads after Einthoven and Goldberger."""
    one, two = seen[:, 0], seen[:, 1]
    signals = np.empty((len(seen), 12, seen.shape[2]), np.float32)
    signals[:, 0], signals[:, 1], signals[:, 6:] = one, two, seen[:, 2:]
    signals[:, 2] = two - one
    signals[:, 3] = -(one + two) / 2
    signals[:, 4] = one - two / 2
    signals[:, 5] = two - one / 2
    return signals


def _check(name: str, value: float, low: float, high: float, why: str) -> None:
    if isinstance(low, int) and not isinstance(value, (int, np.integer)):
        raise UserError(f"Simulated: {name} = {value!r} is not a whole number ({why})")
    if not (math.isfinite(value) and low <= value <= high):
        raise UserError(f"Simulated: {name} = {value} is outside {low} to {high} ({why})")
