"""A source that takes its time: for tests that kill what reads it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from ssl_ecg.data.source import Recording, Source, Split


class Slow(Source):
    """Short recordings of noise.

    Args:
        count: number of recordings, two a patient.
        pause: that each takes to read, s; nothing of what is read depends on it.
        deadly: a file; where it is not there yet, it is made, and the process killed, at the first recording of the
            last third.
    """

    classes = ("A", "B")
    task: Literal["record"] = "record"
    leads = ("I", "II")

    def __init__(self, count: int = 24, pause: float = 0.0, deadly: str | None = None) -> None:
        self.count, self.pause, self.deadly = count, pause, deadly

    def ensure(self, limit: int | None = None) -> None:
        pass

    def fingerprint(self) -> dict[str, object]:
        return {"count": self.count}

    @property
    def records(self) -> Sequence[str]:
        return [f"r{i:04d}" for i in range(self.count)]

    def read(self, number: int) -> Recording:
        time.sleep(self.pause)
        if self.deadly and 3 * number >= 2 * self.count and not Path(self.deadly).exists():
            Path(self.deadly).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        patient = number // 2
        sides: tuple[Split, ...] = ("train", "train", "val", "test")
        return Recording(
            record=self.records[number],
            patient=f"p{patient}",
            signal=np.random.default_rng(number).normal(size=(2, 600 + 50 * (number % 3))).astype(np.float32),
            fs=100,
            leads=self.leads,
            split=sides[patient % 4],
            labels=("A", "B")[number % 3 : number % 3 + 1],
            age=20.0 + number % 60,
            sex="F" if patient % 2 else None,
            notes=("age 'old' is no number: taken as unknown",) if number % 5 == 0 else (),
        )
