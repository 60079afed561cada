"""The contract of every data set: a `Source` reads one `Recording` at a time, and names its patient."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.errors import UserError

Split = Literal["train", "val", "test"]
Task = Literal["record", "beat", "rhythm"]


@dataclass(frozen=True, slots=True)
class Beats:
    """The annotated beats of one recording, in time order.

    `samples` are R-peak positions in samples at the recording's own rate, ascending; `labels` one of the source's
    classes each, or "" for a beat that counts for the rhythm but has no class (AAMI's Q). Both of shape (n,).
    """

    samples: NDArray[np.int64]
    labels: NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Spans:
    """Annotated stretches of one recording: rhythms, or the waves of its beats. All columns of shape (n,).

    `start` is the first sample of each at the recording's own rate, `end` the sample after its last, `labels` what it
    is, such as "AFIB" or "QRS", and `leads` the lead it was marked in, as the data set spells it, or "" for all.
    """

    start: NDArray[np.int64]
    end: NDArray[np.int64]
    labels: NDArray[np.str_]
    leads: NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Waves:
    """The P, QRS and T waves marked in one lead of a recording, in time order.

    `labels` are "P", "QRS" or "T"; `onset`, `peak` and `offset`, all of shape (n,), the first sample, the peak and the
    last sample of each at the recording's own rate, -1 where that is not marked. `stretches` (m, 2) are those in which
    every wave is marked, from sample to before sample. `lead` is as the data set spells it, or "" for all together.
    """

    lead: str
    labels: NDArray[np.str_]
    onset: NDArray[np.int64]
    peak: NDArray[np.int64]
    offset: NDArray[np.int64]
    stretches: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording as its data set gives it: nothing filtered, resampled or normalised.

    Attributes:
        record: name, unique within the source.
        patient: name of the patient, never on both sides of a split. A name that begins with "?" stands for patients
            who cannot be told apart: they are on one side together, and are not counted as one person. One who is known
            from another source is called by both, such as "MITBIH::100", and is the same person there and here.
        signal: shape (C, T), float32, in the source's `amplitude_unit`: mV as a rule.
        fs: sampling rate, Hz.
        leads: name of each channel, length C, as the data set spells it.
        split: the data set's official split.
        labels: all that the data set says of the whole recording (codes, diagnoses); which classes of a
            task they stand for is the source's `meaning`.
        beats: annotated beats, where there are any.
        spans: annotated stretches, where there are any.
        age: in years, where it is known.
        sex: "F" or "M", where it is known.
        notes: what was odd and how it was taken, such as "age 'abc' is no number: taken as unknown".
    """

    record: str
    patient: str
    signal: NDArray[np.float32]
    fs: float
    leads: tuple[str, ...]
    split: Split = "train"
    labels: tuple[str, ...] = ()
    beats: Beats | None = None
    spans: Spans | None = None
    age: float | None = None
    sex: Literal["F", "M"] | None = None
    notes: tuple[str, ...] = ()


class Source(ABC):
    """A data set. Its constructor's arguments are its settings; a new one is one new file.

    A source is read by several processes at once, so it must survive pickling; what its `cached_property`s hold stays
    behind: a table of a million rows is read again, not sent.

    Attributes:
        several: the class that stands for several of them, and its setting for them; for the command line.
        classes: the label names of its task, in the order tables show them.
        task: what carries a class: each annotated "beat", each whole "record", or stretches of a "rhythm".
        multilabel: whether a recording may belong to several classes, or to none; else it has exactly one.
        simulated: True where no heart was involved; tables and model cards say so.
        protocol: True where a published protocol needs every recording: then one that cannot be read is an
            error, else it is left out and reported.
        leads: the leads all of its recordings have; what is prepared where nothing else is asked for.
        amplitude_unit: what its signals are in, as pictures write it: "mV", or "SD" where its files hold each lead
            divided by its standard deviation.
        cohort: where its patients come from, the name of another source if they are that one's; "" if they are
            its own. An encoder pretrained on one source is so known to have seen patients of another.
        covers: other sources whose recordings are among this one's under other names, so that an encoder pretrained
            on it may have seen any of their patients, and one pretrained on theirs those whom this one does not
            tell apart ("?").
        shared_patients: patients whom the data set's own protocol has on both sides of its split, with their
            records. Every other patient on both sides is a leak, and refused.
        patients_known: False where nothing says whose a recording is, so that each counts as a patient of its own.
        subsets: test recordings without which scores are reported too, by what such a score is called.
    """

    several: ClassVar[tuple[str, str]] = ("Mixture", "sources")
    classes: tuple[str, ...]
    task: ClassVar[Task]
    multilabel: bool = False
    simulated: ClassVar[bool] = False
    protocol: ClassVar[bool] = False
    leads: tuple[str, ...] = ("II",)
    amplitude_unit: str = "mV"
    cohort: str = ""
    covers: ClassVar[tuple[str, ...]] = ()
    shared_patients: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    patients_known: ClassVar[bool] = True
    subsets: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    @property
    def meaning(self) -> Mapping[str, tuple[str, ...]]:
        """The classes each label of a recording stands for; a label that is not here stands for none.

        A prepared store keeps the labels, so that another task of the same data needs no new one.
        """
        return {name: (name,) for name in self.classes}

    @abstractmethod
    def ensure(self, limit: int | None = None) -> None:
        """Make sure the files are there, downloading what is missing; called before any work starts.

        Args:
            limit: only the first so many recordings are wanted; all if None.

        Raises:
            DataError: if they are not and cannot be fetched; it says what to fetch and where to put it.
        """

    @abstractmethod
    def fingerprint(self) -> dict[str, object]:
        """What identifies the content, as plain JSON values (settings, file checksums).

        Where the files lie is no part of it: the same files elsewhere give the same fingerprint. Nor are
        classes and their meaning. Called after `ensure`; should take a second, not read all signals.
        """

    @property
    @abstractmethod
    def records(self) -> Sequence[str]:
        """Names of all recordings, in a fixed order. Called after `ensure`."""

    @abstractmethod
    def read(self, number: int) -> Recording:
        """Read one recording, of the number-th name in `records`.

        Raises:
            DataError: for a file that is missing, truncated, corrupt or foreign; it names the file and the remedy.
        """

    def waves(self, number: int) -> tuple[Waves, ...]:
        """Read the P, QRS and T waves marked in a recording, lead by lead, of the number-th name in `records`.

        Raises:
            DataError: as `read`.
            UserError: if this data set marks none.
        """
        raise UserError(f"{type(self).__name__} marks no P, QRS and T waves: LUDB and QTDB do")

    def __getstate__(self) -> dict[str, object]:
        kind = type(self)
        return {k: v for k, v in vars(self).items() if not isinstance(getattr(kind, k, None), cached_property)}

    def __len__(self) -> int:
        """Number of recordings."""
        return len(self.records)

    def recordings(self) -> Iterator[Recording]:
        """Read every recording, in order."""
        return map(self.read, range(len(self)))


def person(cohort: str, patient: str) -> str:
    """Name a patient among all cohorts: "MITBIH:100", as whom "MITBIH::100" is known in any of them."""
    known, elsewhere, name = patient.partition("::")
    return f"{known}:{name}" if elsewhere else f"{cohort}:{patient}"


def check_choice(setting: str, value: object, choices: Sequence[object]) -> None:
    """Check that a setting is one of its choices, where no command line has done so; UserError names them all."""
    if value not in choices:
        raise UserError(f"{setting} is {value!r}, not one of {', '.join(map(str, choices))}")
