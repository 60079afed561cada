"""A tiny source for tests of the data path: every sample says where it came from."""

from __future__ import annotations

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

    classes = ("N", "V")
    task: ClassVar[Literal["beat", "record"]] = "beat"

    def __init__(self, patients: int = 6, broken: int = -1) -> None:
        self.patients, self.broken = patients, broken

    def ensure(self, limit: int | None = None) -> None:
        pass

    def fingerprint(self) -> dict[str, object]:
        return {"patients": self.patients}

    @property
    def records(self) -> list[str]:
        return [f"r{i}" for i in range(2 * self.patients)]

    def read(self, number: int) -> Recording:
        if number == self.broken:
            raise DataError(f"file {number} is damaged")
        seconds = 20 + number
        rng = np.random.default_rng(number)
        beats = np.arange(0, seconds * 200, 200)
        labels = np.where(np.arange(len(beats)) % 3 == 0, "V", "N")
        labels[1] = ""
        split: Split = "test" if number // 2 == self.patients - 1 else "train"
        return Recording(
            record=f"r{number}",
            patient=f"p{number // 2}",
            signal=rng.normal(size=(2, seconds * 200)).astype(np.float32),
            fs=200,
            leads=("MLII", "V1"),
            split=split,
            beats=Beats(beats, labels),
        )
