"""Windows of several stores, mixed by weight: an epoch of them is a pure function of the seed, as one store's is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ssl_ecg.data.randomness import Purpose, stream
from ssl_ecg.data.windows import WindowSet
from ssl_ecg.errors import UserError


class MixedWindows:
    """Windows of several stores that are prepared alike, numbered one store after the other.

    Of an epoch's windows each store has a share in proportion to its weight, or to its number of windows if there are
    no weights, spread evenly over the epoch. A store's windows are drawn without replacement until all were seen, from
    one epoch to the next. An epoch is as long as all windows together, so that without weights it has each once.

    Attributes:
        parts: the windows of each store.
        weights: of each part, or None.
        first: number of the first window of each part and, last, of all windows; shape (parts + 1,), int64.
    """

    def __init__(self, parts: Sequence[WindowSet], weights: Sequence[float] | None = None) -> None:
        self.parts, self.weights = tuple(parts), None if weights is None else tuple(weights)
        self.preprocessing = parts[0].preprocessing
        self.first = torch.tensor([0, *(len(part) for part in parts)]).cumsum(0)
        stores = [part.store for part in parts]
        shift = [0, *torch.tensor([len(store.length) for store in stores]).cumsum(0).tolist()]
        self._row = torch.cat([part.index.record + by for part, by in zip(parts, shift, strict=False)])
        self._at = torch.cat([part.store.offset[part.index.record] + part.index.start for part in parts])
        self._length, self._scale = (torch.cat([getattr(s, name) for s in stores]) for name in ("length", "scale"))

    def __len__(self) -> int:
        return int(self.first[-1])

    def __getitem__(self, which: Tensor) -> MixedWindows:
        """Select windows by their numbers; those of a part stay together."""
        return MixedWindows([part[rows] for part, rows in zip(self.parts, self._split(which), strict=True)])

    @property
    def person(self) -> Tensor:
        """Number of each window's person, shape (n,), int64; that of one known to two stores differs between them."""
        found, shift = [], 0
        for part in self.parts:
            found.append(part.person + shift)
            shift = int(found[-1].max()) + 1 if len(part) else shift
        return torch.cat(found)

    @property
    def scattered(self) -> bool:
        """Whether windows that lie apart are gathered as fast as neighbours."""
        return all(part.scattered for part in self.parts)

    def to(self, device: torch.device | str) -> None:
        """Move the signals to a device, where they fit."""
        for part in self.parts:
            part.to(device)

    def batches(self, batch_size: int = 1024) -> Iterator[Tensor]:
        """Normalised windows, in order: tensors (B, C, T)."""
        yield from map(self.load, torch.arange(len(self)).split(batch_size))

    def conditioned(self, batch_size: int = 1024) -> Iterator[Tensor]:
        """The same, but not normalised window by window: each in its store's `unit`."""
        yield from map(self.gather, torch.arange(len(self)).split(batch_size))

    def load(self, rows: Tensor) -> Tensor:
        """Load the windows of numbers `rows` (B,), normalised: a tensor (B, C, T)."""
        return self.preprocessing.normalise_windows(self.gather(rows), inplace=True)

    def gather(self, rows: Tensor) -> Tensor:
        """Cut the windows of numbers `rows` (B,), one gather for each part: a tensor (B, C, T)."""
        if (rows[1:] < rows[:-1]).any():
            rows, order = rows.sort()
            return self.gather(rows)[order.argsort()]
        samples, leads = self.preprocessing.samples, len(self.parts[0].store.leads)
        ends = torch.searchsorted(rows, self.first).tolist()
        if not self.scattered:
            pieces = zip(self.parts, ends, ends[1:], self.first, strict=False)
            return torch.cat([part.gather(rows[a:b] - first) for part, a, b, first in pieces])
        # What takes a moment for each of them is looked up for all of them at once.
        row = self._row[rows]
        first = self._at[rows][:, None] + torch.arange(leads) * self._length[row][:, None]
        x = torch.empty(len(rows), leads, samples, device=self.parts[0].store.signals.device)
        for part, a, b in zip(self.parts, ends, ends[1:], strict=False):
            if a < b:
                part.store.cut(first[a:b], samples, x[a:b])
        return x.mul_(self._scale[row].to(x.device)[:, None, None])

    def order(self, seed: int, epoch: int, rank: int, ranks: int, batch_size: int, steps: int) -> Tensor:
        """Draw one rank's windows of an epoch, counted from 0, shape (batch_size * steps,).

        No other rank has them, but of stores that are gone through more than once in an epoch.
        """
        size = batch_size * steps
        weights = torch.tensor(self.weights or [len(part) for part in self.parts], dtype=torch.float64)
        rows, place = [], []
        for number, (part, quota) in enumerate(zip(self.parts, _shares(weights, size), strict=True)):
            each = len(part) // ranks  # an equal share for each rank, all of it before any again
            if not each:
                raise UserError(
                    f"{part.store.source} has {len(part)} windows, fewer than there are processes ({ranks})"
                )
            first, last = epoch * quota // each, -(-(epoch + 1) * quota // each)
            own = stream(seed, Purpose.ORDER, number)
            walk = [part.order(own, turn, rank, ranks, each, 1) for turn in range(first, last)]
            if quota:
                rows.append(torch.cat(walk)[epoch * quota - first * each :][:quota] + self.first[number])
                place.append((torch.arange(quota, dtype=torch.float64) + 0.5) / quota)
        mixed = torch.cat(rows)[torch.cat(place).argsort(stable=True)]
        return mixed.view(steps, batch_size).sort(dim=1).values.flatten()  # in a batch, those of a store side by side

    def expect(self, rows: Tensor) -> None:
        """Be told which windows will be loaded next, in order."""
        for part, some in zip(self.parts, self._split(rows), strict=True):
            part.expect(some)

    def _split(self, rows: Tensor) -> list[Tensor]:
        """The windows of each part among those of numbers `rows`, by their numbers in it."""
        part = torch.bucketize(rows, self.first[1:], right=True)
        return [rows[part == number] - first for number, first in enumerate(self.first[:-1])]


def _shares(weights: Tensor, size: int) -> list[int]:
    """Divide a number in proportion to weights, by largest remainders."""
    exact = weights / weights.sum() * size
    shares = exact.floor()
    most = (exact - shares).argsort(descending=True, stable=True)[: size - int(shares.sum())]
    shares[most] += 1
    return [int(share) for share in shares]
