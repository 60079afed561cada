"""Shuffled batches, each a pure function of the seed and the training step, so that any step can be resumed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ssl_ecg.data.randomness import generator
from ssl_ecg.data.window_set import WindowSet
from ssl_ecg.errors import UserError


class Batch(NamedTuple):
    """What a training step gets.

    Attributes:
        x: normalised windows, shape (B, C, T), float32.
        patient: number of the patient each is from, shape (B,), int64.
    """

    x: Tensor
    patient: Tensor


class Batches:
    """The batches of one epoch, from a step of training on.

    Args:
        windows: the windows to draw from.
        batch_size: windows per rank and step.
        patients: patients in a batch, drawn anew each step, with an equal number of windows each; 0 draws
            windows from all patients without replacement.
        seed: of the shuffling.
        rank: this process among `ranks`.
        ranks: number of processes; each sees its own share of every global batch.
        first: step of training to start at, counted from 0 over all epochs; what is left of its epoch is given.

    Attributes:
        steps: in a whole epoch.

    Raises:
        UserError: if there are fewer windows than one batch needs.
    """

    def __init__(
        self,
        windows: WindowSet,
        batch_size: int,
        patients: int = 0,
        seed: int = 0,
        rank: int = 0,
        ranks: int = 1,
        first: int = 0,
    ) -> None:
        self.windows = windows
        self.batch_size, self.patients, self.seed = batch_size, patients, seed
        self.rank, self.ranks = rank, ranks
        self.first = first
        self.steps = len(windows) // (batch_size * ranks)
        if self.steps < 1:
            raise UserError(
                f"{len(windows)} windows do not fill one batch of {batch_size * ranks}: "
                "lower batch_size or give more data"
            )
        names, of_record = np.unique(windows.store.records["patient"].to_numpy().astype(str), return_inverse=True)
        self._patient = torch.from_numpy(of_record)[windows.index.record]
        by_patient = torch.argsort(self._patient, stable=True)
        counts = torch.bincount(self._patient, minlength=len(names)).tolist()
        self._members = [rows for rows in by_patient.split(counts) if len(rows)]
        if patients and (patients > len(self._members) or batch_size % patients):
            raise UserError(
                f"patients_per_batch = {patients} must divide batch_size = {batch_size} and be at most the "
                f"{len(self._members)} patients there are"
            )

    def __len__(self) -> int:
        return self.steps - self.first % self.steps

    def __iter__(self) -> Iterator[Batch]:
        order = self._order(self.first // self.steps) if not self.patients else None
        for step in range(self.first, self.first + len(self)):
            yield self._load(self._rows(step, order))

    def _order(self, epoch: int) -> Tensor:
        return torch.randperm(len(self.windows), generator=generator(self.seed, 1, epoch))

    def _rows(self, step: int, order: Tensor | None) -> Tensor:
        if order is not None:
            size = self.batch_size * self.ranks
            return order[step % self.steps * size :][:size][self.rank :: self.ranks]
        g = generator(self.seed, 2, step, self.rank)
        chosen = torch.randperm(len(self._members), generator=g)[: self.patients].tolist()
        each = self.batch_size // self.patients
        return torch.cat([self._draw(self._members[p], each, g) for p in chosen])

    @staticmethod
    def _draw(rows: Tensor, count: int, g: torch.Generator) -> Tensor:
        """Without replacement where there are enough: a window twice in a batch would be its own negative."""
        if len(rows) >= count:
            return rows[torch.randperm(len(rows), generator=g)[:count]]
        return rows[torch.randint(len(rows), (count,), generator=g)]

    def _load(self, rows: Tensor) -> Batch:
        x = self.windows.load(rows)
        return Batch(x, self._patient[rows].to(x.device))
