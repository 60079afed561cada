"""Ambulatory databases of PhysioNet: a record is a header, its signals and files of annotations."""

from __future__ import annotations

import hashlib
import re
from abc import abstractmethod
from functools import cached_property
from typing import ClassVar, Literal, cast

import numpy as np

from ssl_ecg.data.physionet import PhysioNetSource
from ssl_ecg.data.source import Beats, Recording, Spans, Split, Task
from ssl_ecg.data.wfdb_header import Header
from ssl_ecg.data.wfdb_io import read_annotations, read_header, read_rhythms, read_signal
from ssl_ecg.errors import DataError
from ssl_ecg.leads import numbered

_CLASSES = {"N": "NLRBej", "S": "AaJSn", "V": "VEr", "F": "F", "": "/fQ?"}
AAMI = {symbol: label for label, symbols in _CLASSES.items() for symbol in symbols}
"""WFDB beat symbol -> AAMI class, "" for Q (paced or unclassifiable). Any other symbol is no beat."""

_PERSON = re.compile(r"(-?\d+)\s+([MF])\b")  # how these headers' first comment begins: "69 M 1085 1629 x1"


class Holter(PhysioNetSource):
    """A database of ambulatory tapes whose beats are annotated, in the AAMI classes N, S, V and F.

    Beats of AAMI class Q are given without a class, so that RR intervals are right; rhythm, noise and
    flutter-wave marks are no beats. Rhythms, where they are annotated, are given as spans. Age and sex are
    taken from the header.

    Where electrodes were is in most of these databases not known: their channels are called ECG1 and ECG2, and
    so they are here. Who has an encoder of other leads and takes them for those says so with `lead_names`.

    A database without an official split is dealt out: 70 % of its patients, in the order of a hash of their
    names, are for training, 10 % for validation, 20 % for the test.

    Args:
        root: folder of the database.
        download: fetch what is missing in `root` from PhysioNet.
        lead_names: what to call the channels, in their order, instead of what the headers call them.

    Attributes:
        fs: sampling rate of every record, Hz.
        expected: what the header of every record says, for messages.
        without: names in `RECORDS` that are left out.
        suffixes: of the files of a record.
    """

    classes = ("N", "S", "V", "F")
    task: ClassVar[Task] = "beat"
    fs: ClassVar[float]
    expected: ClassVar[str]
    without: ClassVar[frozenset[str]] = frozenset()
    suffixes: ClassVar[tuple[str, ...]] = ("hea", "dat", "atr")

    @abstractmethod  # each says where it lies as a rule
    def __init__(self, root: str, download: bool = True, lead_names: tuple[str, ...] | None = None) -> None:
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
        """Header, signals and annotations of a record."""
        return [f"{self.records[number]}.{suffix}" for suffix in self.suffixes]

    def fingerprint(self) -> dict[str, object]:
        """What the files are, and what the channels are called."""
        renamed = {"lead_names": list(self.lead_names)} if self.lead_names else {}
        return {**super().fingerprint(), **renamed}

    def read(self, number: int) -> Recording:
        """A record, with its beats and rhythms."""
        self.check_files(number)
        header = self.header(number)
        age, sex = _person(header)
        return Recording(
            record=header.record,
            patient=self.patient(header.record),
            signal=read_signal(header),
            fs=header.fs,
            leads=self._names(header),
            split=self.split(header.record),
            beats=self.beats(header),
            spans=self.spans(header),
            age=age,
            sex=sex,
        )

    def patient(self, record: str) -> str:
        """Whose a record is."""
        return record

    def split(self, record: str) -> Split:
        """The side a record is on."""
        return self._sides[self.patient(record)]

    def beats(self, header: Header) -> Beats:
        """The beats of a record.

        Raises:
            DataError: if it has none.
        """
        path = header.path.with_suffix(".atr")
        samples, symbols = read_annotations(path, header.n_samples)
        is_beat = np.isin(symbols, list(AAMI))
        if not is_beat.any():
            raise DataError(f"{path} has no beats. Delete it and fetch it again.")
        return Beats(samples[is_beat], np.array([AAMI[symbol] for symbol in symbols[is_beat]]))

    def spans(self, header: Header) -> Spans | None:
        """The rhythms of a record, where there are any."""
        rhythms = read_rhythms(header.path.with_suffix(".atr"), header.n_samples)
        return rhythms if rhythms.start.size else None

    def header(self, number: int) -> Header:
        """The header of a record, if it is one of this database.

        Raises:
            DataError: if it is not.
        """
        header = read_header(self.root / f"{self.records[number]}.hea")
        if not self.belongs(header):
            raise DataError(
                f"{header.path} is not of {self.title}: {header.fs:g} Hz, leads {', '.join(header.leads)}; "
                f"expected {self.expected}. Give the right root, or delete the file and fetch it again."
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
        """By rank and not by draw: of few patients, a draw may leave none on a side."""
        patients = sorted(set(map(self.patient, self.records)), key=lambda name: hashlib.sha256(name.encode()).digest())
        train, val = round(0.7 * len(patients)), round(0.8 * len(patients))
        sides: list[Split] = ["train" if i < train else "val" if i < val else "test" for i in range(len(patients))]
        return dict(zip(patients, sides, strict=True))


def _person(header: Header) -> tuple[float | None, Literal["F", "M"] | None]:
    found = _PERSON.match(header.comments[0].strip()) if header.comments else None
    if found is None:
        return None, None
    age = int(found[1])  # -1 is how these headers say that it is not known
    return float(age) if age >= 0 else None, cast(Literal["F", "M"], found[2])
