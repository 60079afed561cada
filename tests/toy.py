"""A tiny source for tests of the data path: every sample says where it came from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np

from ssl_ecg.data.source import Beats, Recording, Source, Split
from ssl_ecg.errors import DataError


class Toy(Source):
    """Recordings of different lengths, two leads, a beat every second.

    Args:
        patients: number of patients, two recordings each.
        broken: raise at this recording, as a damaged file would.
    """

    classes: ClassVar[tuple[str, ...]] = ("N", "V")
    task: ClassVar[Literal["beat", "record"]] = "beat"

    def __init__(self, patients: int = 6, broken: int = -1) -> None:
        self.patients, self.broken = patients, broken

    def ensure(self) -> None:
        pass

    def fingerprint(self) -> dict[str, object]:
        return {"patients": self.patients}

    def __len__(self) -> int:
        return 2 * self.patients

    def recordings(self) -> Iterator[Recording]:
        for i in range(len(self)):
            if i == self.broken:
                raise DataError(f"file {i} is damaged")
            seconds = 20 + i
            rng = np.random.default_rng(i)
            beats = np.arange(0, seconds * 200, 200)
            labels = np.where(np.arange(len(beats)) % 3 == 0, "V", "N")
            labels[1] = ""
            split: Split = "test" if i // 2 == self.patients - 1 else "train"
            yield Recording(
                record=f"r{i}",
                patient=f"p{i // 2}",
                signal=rng.normal(size=(2, seconds * 200)).astype(np.float32),
                fs=200,
                leads=("MLII", "V1"),
                split=split,
                beats=Beats(beats, labels),
            )
