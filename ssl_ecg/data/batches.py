"""Shuffled batches, each a pure function of the seed and the training step, so that any step can be resumed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ssl_ecg.data.mixed import MixedWindows
from ssl_ecg.data.positives import Partners
from ssl_ecg.data.randomness import Purpose, generator
from ssl_ecg.data.windows import WindowSet
from ssl_ecg.errors import UserError


class Batch(NamedTuple):
    """What a training step gets.

    `x` are normalised windows, shape (B, C, T), float32; `patient` numbers the patient of each, and `row` each window
    among those drawn from (to look up labels; on the CPU), both of shape (B,), int64; `partner` is a window like each
    to make the second view of, shape (B, C, T); None for the same window.
    """

    x: Tensor
    patient: Tensor
    partner: Tensor | None = None
    row: Tensor | None = None


class Batches:
    """The batches of one epoch, from a step of training on; `steps` are those of a whole epoch.

    `batch_size` windows per rank and step. With `patients`, so many are drawn anew for each batch, with an equal number
    of windows each; 0 draws windows from all patients without replacement. Each of the processes `ranks` sees its own
    share of every global batch. `first` is the step to start at, counted from 0 over all epochs; what is left of its
    epoch is given. One of the `partners` of each window comes with it; None for none. UserError if there are fewer
    windows than one batch needs, or patients cannot be drawn as asked for.
    """

    def __init__(
        self,
        windows: WindowSet | MixedWindows,
        batch_size: int,
        patients: int = 0,
        seed: int = 0,
        rank: int = 0,
        ranks: int = 1,
        first: int = 0,
        partners: Partners | None = None,
    ) -> None:
        self.windows = windows
        self.batch_size, self.patients, self.seed = batch_size, patients, seed
        self.rank, self.ranks = rank, ranks
        self.first, self.partners = first, partners
        if batch_size < 1:
            raise UserError(f"batch_size must be at least 1, not {batch_size}")
        self.steps = len(windows) // (batch_size * ranks)
        if self.steps < 1:
            raise UserError(
                f"{len(windows)} windows do not fill one batch of {batch_size * ranks}: "
                "lower batch_size or give more data"
            )
        self._patient = windows.person
        if patients:
            self._group_by_patient()

    def __len__(self) -> int:
        return self.steps - self.first % self.steps

    def __iter__(self) -> Iterator[Batch]:
        order = None
        if not self.patients:
            order = self._order(self.first // self.steps)
            ahead = order[self.first % self.steps * self.batch_size :]
            self.windows.expect(ahead)
        for step in range(self.first, self.first + len(self)):
            rows, partner = self._rows(step, order), None
            x = self.windows.load(rows)
            if self.partners is not None:
                partner = self.windows.load(self.partners.draw(rows, self.seed, step, self.rank))
            yield Batch(x, self._patient[rows].to(x.device), partner, rows)

    def _order(self, epoch: int) -> Tensor:
        return self.windows.order(self.seed, epoch, self.rank, self.ranks, self.batch_size, self.steps)

    def _rows(self, step: int, order: Tensor | None) -> Tensor:
        if order is not None:
            return order[step % self.steps * self.batch_size :][: self.batch_size]
        g = generator(self.seed, Purpose.PATIENTS, step, self.rank)
        chosen = torch.randperm(len(self._counts), generator=g)[: self.patients]
        each = self.batch_size // self.patients
        runs = zip(self._firsts[chosen].tolist(), self._counts[chosen].tolist(), strict=True)
        return torch.cat([self._draw(self._by_patient[first : first + count], each, g) for first, count in runs])

    def _group_by_patient(self) -> None:
        """Put the windows of a patient in a row, for `_rows` to draw from."""
        if not self.windows.scattered:
            raise UserError(
                "patients_per_batch draws windows from everywhere, which a streamed store cannot give fast enough: "
                "set it to 0, or copy the store to this machine"
            )
        if isinstance(self.windows, MixedWindows) and self.windows.weights is not None:
            raise UserError("patients_per_batch draws patients whatever their data set: leave out data.weights")
        self._by_patient = torch.argsort(self._patient, stable=True)
        self._counts = torch.bincount(self._patient)
        self._counts = self._counts[self._counts > 0]
        self._firsts = self._counts.cumsum(0) - self._counts
        if self.patients > len(self._counts) or self.batch_size % self.patients:
            raise UserError(
                f"patients_per_batch = {self.patients} must divide batch_size = {self.batch_size} and be at most the "
                f"{len(self._counts)} patients there are"
            )

    @staticmethod
    def _draw(rows: Tensor, count: int, g: torch.Generator) -> Tensor:
        """Without replacement where there are enough: a window twice in a batch would be its own negative."""
        if len(rows) >= count:
            return rows[torch.randperm(len(rows), generator=g)[:count]]
        return rows[torch.randint(len(rows), (count,), generator=g)]
