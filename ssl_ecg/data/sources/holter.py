"""Ambulatory databases of PhysioNet, but for `MITBIH`, whose protocol is a matter of its own."""

from __future__ import annotations

import re
from abc import ABC
from collections.abc import Mapping
from functools import cached_property
from typing import ClassVar, Literal, cast

import numpy as np

from ssl_ecg.data.physionet import PhysioNetSource
from ssl_ecg.data.source import Beats, Recording, Spans, Split, Task
from ssl_ecg.data.splits import ranked_splits
from ssl_ecg.data.wfdb_io import AGAIN, Header, read_beats, read_header, read_rhythms, read_signal
from ssl_ecg.errors import DataError
from ssl_ecg.leads import numbered

_CLASSES = {"N": "NLRBej", "S": "AaJSn", "V": "VEr", "F": "F", "": "/fQ?"}
AAMI = {symbol: label for label, symbols in _CLASSES.items() for symbol in symbols}
"""WFDB beat symbol -> AAMI class, "" for Q (paced or unclassifiable). Any other symbol is no beat."""

_PERSON = re.compile(r"(-?\d+)\s+([MF])\b")  # how these headers' first comment begins: "69 M 1085 1629 x1"


class Holter(PhysioNetSource, ABC):
    """A database of ambulatory tapes whose beats are annotated, in the AAMI classes N, S, V and F.

    Beats of AAMI class Q are given without a class, so that RR intervals are right; rhythm, noise and flutter-wave
    marks are no beats. Annotated rhythms are given as spans. Age and sex are the header's. Without an official split,
    70 % of the patients, in the order of a hash of their names, are for training, 10 % for validation, 20 % for test.

    Where electrodes were is not known in most of these databases: their channels are called ECG1 and ECG2, and
    so they are here. Where a header has no gain, 200 units are taken for a mV, as everybody takes them.

    Args:
        root: folder of the database, the one that holds `RECORDS`; by default such as `data/afdb`.
        download: fetch missing files from PhysioNet. If false, records without them are left out and reported.
        lead_names: what to call the channels, in their order, instead of what the headers call them: [II, V1], say,
            to use an encoder of those leads, at your own risk.
    """

    classes: tuple[str, ...] = ("N", "S", "V", "F")
    leads: tuple[str, ...] = ("ECG1", "ECG2")
    task: ClassVar[Task] = "beat"
    fs: ClassVar[float]  # Hz, of every record
    expected: ClassVar[str] = ""  # what the header of every record says, for messages; its rate if ""
    without: ClassVar[frozenset[str]] = frozenset()  # names in `RECORDS` that are left out
    suffixes: ClassVar[tuple[str, ...]] = ("hea", "dat", "atr")  # of a record's files; the last is that of the beats
    symbols: ClassVar[Mapping[str, str] | None] = AAMI  # -> class; None: every annotation is a beat without a class

    def __init__(
        self, root: str | None = None, download: bool = True, lead_names: tuple[str, ...] | None = None
    ) -> None:
        super().__init__(root, download)
        self.lead_names = lead_names
        if lead_names is not None:
            self.leads = lead_names

    @cached_property
    def records(self) -> tuple[str, ...]:
        """Names of the records, in the order of `RECORDS`."""
        names = (self.root / "RECORDS").read_text().split()
        return tuple(name for name in names if name not in self.without)

    def files(self, number: int) -> list[str]:
        return [f"{self.records[number]}.{suffix}" for suffix in self.suffixes]

    def fingerprint(self) -> dict[str, object]:
        """What the files are, and what the channels are called."""
        renamed = {"lead_names": list(self.lead_names)} if self.lead_names else {}
        return {**super().fingerprint(), **renamed}

    def read(self, number: int) -> Recording:
        self.check_files(number)
        header = self.header(number)
        beats, odd_beats = self.beats(header)
        signal, odd = read_signal(header)
        age, sex = _person(header)
        return Recording(
            record=header.record,
            patient=self.patient(header.record),
            signal=signal,
            fs=header.fs,
            leads=self._names(header),
            split=self.split(header.record),
            beats=beats,
            spans=self.spans(header, beats),
            age=age,
            sex=sex,
            notes=odd + odd_beats,
        )

    def patient(self, record: str) -> str:
        """Whose a record is."""
        return record

    def split(self, record: str) -> Split:
        """The side a record is on."""
        return self._sides[self.patient(record)]

    def beats(self, header: Header) -> tuple[Beats, tuple[str, ...]]:
        """The beats of a record, and notes of what is odd. DataError where it has none."""
        path = header.path.with_suffix(f".{self.suffixes[-1]}")
        beats, notes = read_beats(path, header.n_samples, self.symbols)
        if not beats.samples.size:
            raise DataError(f"{path} has no beats. {AGAIN}")
        return beats, notes

    def spans(self, header: Header, beats: Beats) -> Spans | None:
        """The rhythms of a record, where there are any."""
        rhythms = read_rhythms(header.path.with_suffix(".atr"), header.n_samples)
        return rhythms if rhythms.start.size else None

    def header(self, number: int) -> Header:
        """The header of a record. DataError where it is of another database."""
        header = read_header(self.root / f"{self.records[number]}.hea")
        if not self.belongs(header):
            raise DataError(
                f"{header.path} is not of {self.title}: {header.fs:g} Hz, leads {', '.join(header.leads)}; expected "
                f"{self.expected or f'{self.fs:g} Hz'}. Give the right root, or delete the file and fetch it again."
            )
        return header

    def belongs(self, header: Header) -> bool:
        """Whether a header says what those of this database say."""
        return header.fs == self.fs

    def _names(self, header: Header) -> tuple[str, ...]:
        if self.lead_names is None:
            return numbered(header.leads)
        if len(self.lead_names) != len(header.leads):
            raise DataError(
                f"{header.path} has {len(header.leads)} channels ({', '.join(header.leads)}), "
                f"but lead_names gives {len(self.lead_names)} names: {', '.join(self.lead_names)}."
            )
        return self.lead_names

    @cached_property
    def _sides(self) -> dict[str, Split]:
        return ranked_splits(map(self.patient, self.records))


def _person(header: Header) -> tuple[float | None, Literal["F", "M"] | None]:
    found = _PERSON.match(header.comments[0].strip()) if header.comments else None
    if found is None:
        return None, None
    age = int(found[1])  # -1 is how these headers say that it is not known
    return float(age) if age >= 0 else None, cast(Literal["F", "M"], found[2])


class AFDB(Holter):
    """MIT-BIH Atrial Fibrillation Database 1.0.0: 23 patients, 250 Hz, ten hours each, two leads.

    The task is the rhythm: N (sinus, and all that is none of the others), AFIB (atrial fibrillation), AFL (atrial
    flutter) and J (AV junctional), marked by hand. The last rhythm of a record ends with its last beat: the signal goes
    on for some 14 minutes that nobody annotated. Beats have no class: a program found them and nobody checked.

    Two more records, 00735 and 03665, have annotations but no signals, and are left out. Channels, gain and split:
    see `Holter`.

    References:
        Moody and Mark, A new method for detecting atrial fibrillation using R-R intervals, Computers in
        Cardiology 10, 1983. https://physionet.org/content/afdb/1.0.0/ (ODC-By 1.0)
    """

    database = "afdb/1.0.0"
    title = "the MIT-BIH Atrial Fibrillation Database"
    fs = 250.0
    classes = ("N", "AFIB", "AFL", "J")
    task = "rhythm"
    without = frozenset({"00735", "03665"})
    suffixes = ("hea", "dat", "atr", "qrs")
    symbols = None  # a program found the beats, and did not class them

    def spans(self, header: Header, beats: Beats) -> Spans:
        """The rhythms of a record, until its last beat."""
        path = header.path.with_suffix(".atr")
        rhythms = read_rhythms(path, header.n_samples)
        if not rhythms.start.size:
            raise DataError(f"{path} has no rhythms. {AGAIN}")
        last = int(beats.samples[-1])
        before = rhythms.start <= last
        end = np.minimum(rhythms.end[before], last + 1)
        return Spans(rhythms.start[before], end, rhythms.labels[before], rhythms.leads[before])


class LTDB(Holter):
    """MIT-BIH Long-Term ECG Database 1.0.0: 7 patients, 128 Hz, 14 to 22 hours each, two leads.

    Some 670,000 beats in the AAMI classes N, S, V and F, a tenth of them V. Channels, gain and split: see `Holter`.

    References:
        Goldberger et al., PhysioBank, PhysioToolkit, and PhysioNet, Circulation 101(23), 2000.
        https://physionet.org/content/ltdb/1.0.0/ (ODC-By 1.0)
    """

    database = "ltdb/1.0.0"
    title = "the MIT-BIH Long-Term ECG Database"
    fs = 128.0


class NSRDB(Holter):
    """MIT-BIH Normal Sinus Rhythm Database 1.0.0: 18 patients, 128 Hz, about a day each, two leads.

    Of 1.7 million beats in the AAMI classes N, S, V and F hardly more than a hundred are not N: a data set of
    healthy hearts, not one to tell classes apart. In most records the beats end hours before the signal does.
    Channels, gain and split: see `Holter`.

    References:
        Goldberger et al., PhysioBank, PhysioToolkit, and PhysioNet, Circulation 101(23), 2000.
        https://physionet.org/content/nsrdb/1.0.0/ (ODC-By 1.0)
    """

    database = "nsrdb/1.0.0"
    title = "the MIT-BIH Normal Sinus Rhythm Database"
    fs = 128.0


class NSTDB(Holter):
    """MIT-BIH Noise Stress Test Database 1.0.0: 12 records, 360 Hz, half an hour each, two leads.

    Records 118 and 119 of the MIT-BIH Arrhythmia Database, each with electrode motion added at six
    signal-to-noise ratios: `118e24` at 24 dB to `118e_6` at -6 dB. Noise comes and goes: none in the first five
    minutes, then two minutes with and two without. Beats in the AAMI classes, as in the originals. The three
    records of noise alone (bw, em, ma) are left out.

    Both patients are among the training patients of MIT-BIH: an encoder pretrained on DS1 has seen them. Here 118 is
    for training and 119 for the test: two patients show what noise does, and no more.

    References:
        Moody, Muldrow and Mark, A noise stress test for arrhythmia detectors, Computers in Cardiology 11, 1984.
        https://physionet.org/content/nstdb/1.0.0/ (ODC-By 1.0)
    """

    database = "nstdb/1.0.0"
    title = "the MIT-BIH Noise Stress Test Database"
    fs = 360.0
    leads = ("II",)
    without = frozenset({"bw", "em", "ma"})
    cohort = "MITBIH"

    def patient(self, record: str) -> str:
        """Whose a record is: 118 or 119."""
        return record[:3]

    def split(self, record: str) -> Split:
        return "train" if self.patient(record) == "118" else "test"


class SVDB(Holter):
    """MIT-BIH Supraventricular Arrhythmia Database 1.0.0: 78 records, 128 Hz, half an hour each, two leads.

    Beats in the AAMI classes N, S, V and F; the many S, some 12,000, are what it was made for. Nothing is known of
    the patients, not even how many there are: each record counts as a patient of its own. Channels, gain and split:
    see `Holter`.

    References:
        Greenwald, Improved detection and classification of arrhythmias in noise-corrupted electrocardiograms
        using contextual information, Harvard/MIT, 1990. https://physionet.org/content/svdb/1.0.0/ (ODC-By 1.0)
    """

    database = "svdb/1.0.0"
    title = "the MIT-BIH Supraventricular Arrhythmia Database"
    fs = 128.0
    patients_known = False
