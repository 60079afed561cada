"""The leads of a data set in which waves are marked, as an encoder reads them, dealt into folds by person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl_ecg.data.progress import track
from ssl_ecg.data.source import Source, Waves
from ssl_ecg.errors import DataError, UserError
from ssl_ecg.leads import canonical
from ssl_ecg.preprocessing import Preprocessing
from ssl_ecg.waves.features import condition


@dataclass(frozen=True)
class Lead:
    """One lead of a recording with what is marked in it.

    `signal` (T,) is in mV at `fs` Hz, `x` (T',) what the encoder reads; `labels` are those of the recording.
    """

    patient: str
    record: str
    name: str
    labels: tuple[str, ...]
    signal: NDArray[np.float32]
    fs: float
    x: Tensor
    marked: Waves


def read_leads(data: Source, preprocessing: Preprocessing, wanted: Sequence[str], causal: bool = False) -> list[Lead]:
    """Read the leads that are wanted, all if none are named, of every recording with marks, lead by lead.

    `causal`: they are filtered forwards alone. Recordings that cannot be read are left out. DataError if nothing is
    left, or the waves are of no lead that is wanted; UserError for a data set without marks.
    """
    found: list[Lead] = []
    names = [canonical(name) for name in wanted]
    for number in track(range(len(data)), len(data), f"reading {type(data).__name__}"):
        try:
            marks, recording = data.waves(number), data.read(number)
        except DataError as error:
            print(f"left out: {error}")
            continue
        rows = {canonical(lead): row for row, lead in enumerate(recording.leads)}
        for waves in marks:
            for name in [canonical(waves.lead)] if waves.lead else rows:
                if (names and name not in names) or not len(waves.labels):
                    continue
                signal = recording.signal[rows[name]]
                x = condition(preprocessing, torch.from_numpy(signal)[None], recording.fs, causal)[0]
                of = recording.patient, recording.record, name, recording.labels
                found.append(Lead(*of, signal, recording.fs, x, waves))
    if not found:
        raise DataError(f"{type(data).__name__} has no marked waves in the leads {', '.join(wanted) or 'it has'}")
    return found


def deal(people: Sequence[str], folds: int, seed: int) -> dict[str, int]:
    """Deal people into folds of nearly the same size: the fold of each. UserError for fewer people than folds."""
    names = sorted(set(people))
    if len(names) < folds:
        raise UserError(f"{folds} folds need as many people, and there are {len(names)}")
    order = np.random.default_rng(seed).permutation(len(names))
    return {names[place]: number % folds for number, place in enumerate(order.tolist())}
