"""The contract every data set fulfils: a `Source` yields `Recording`s, and says whose they are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

Split = Literal["train", "val", "test"]


@dataclass(frozen=True, slots=True)
class Beats:
    """The annotated beats of one recording, in time order.

    Attributes:
        samples: R-peak positions, shape (n,), in samples at the recording's own rate, ascending.
        labels: class of each beat, shape (n,), one of the source's classes, or "" for a beat that
            counts for the rhythm but has no class (AAMI's Q).
    """

    samples: NDArray[np.int64]
    labels: NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording as its data set gives it: nothing filtered, resampled or normalised.

    Attributes:
        record: name, unique within the source.
        patient: whose it is; a patient is never on both sides of a split.
        signal: shape (C, T), float32, in mV.
        fs: sampling rate, Hz.
        leads: name of each channel, length C, as the data set spells it.
        split: the data set's official split.
        labels: classes of the whole recording (empty where only beats are labelled).
        beats: annotated beats, where there are any.
    """

    record: str
    patient: str
    signal: NDArray[np.float32]
    fs: float
    leads: tuple[str, ...]
    split: Split = "train"
    labels: tuple[str, ...] = ()
    beats: Beats | None = None


class Source(ABC):
    """A data set. Its constructor's arguments are its settings; a new one is one new file.

    Attributes:
        classes: the label names of its task, in the order tables show them.
        task: what carries a label: each "beat" or each whole "record".
        simulated: True where no heart was involved; tables and model cards say so.
        shared_patients: patients whom the data set's own protocol has on both sides of its split, with their
            records. Every other patient on both sides is a leak, and refused.
    """

    classes: ClassVar[tuple[str, ...]]
    task: ClassVar[Literal["beat", "record"]]
    simulated: ClassVar[bool] = False
    shared_patients: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    @abstractmethod
    def ensure(self) -> None:
        """Make sure the files are there, downloading what is missing.

        Called before any work starts.

        Raises:
            DataError: if they are not and cannot be fetched; it says what to fetch and where to put it.
        """

    @abstractmethod
    def fingerprint(self) -> dict[str, object]:
        """What identifies the content, as plain JSON values (settings, file checksums).

        Where the files lie is no part of it: the same files elsewhere give the same fingerprint.
        """

    @abstractmethod
    def __len__(self) -> int:
        """Number of recordings."""

    @abstractmethod
    def recordings(self) -> Iterator[Recording]:
        """Every recording, in a fixed order.

        Raises:
            DataError: for a file that is truncated, corrupt or foreign; it names the file.
        """
