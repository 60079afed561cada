"""Windows with their labels and patients, as every evaluation uses them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl_ecg.data.randomness import Purpose, generator
from ssl_ecg.data.store import Store
from ssl_ecg.data.windows import WindowIndex
from ssl_ecg.preprocessing import Preprocessing


@dataclass(frozen=True)
class WindowSet:
    """Windows of a store, as an encoder sees them: cut at an index and normalised."""

    store: Store
    preprocessing: Preprocessing
    index: WindowIndex

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, which: Tensor) -> WindowSet:
        return WindowSet(self.store, self.preprocessing, self.index[which])

    def batches(self, batch_size: int = 1024) -> Iterator[Tensor]:
        """Normalised windows, in order: tensors (B, C, T)."""
        yield from map(self.load, torch.arange(len(self)).split(batch_size))

    def conditioned(self, batch_size: int = 1024) -> Iterator[Tensor]:
        """The same, but not normalised window by window: in the store's `unit`."""
        for rows in torch.arange(len(self)).split(batch_size):
            yield self._gathered(rows)

    def load(self, rows: Tensor) -> Tensor:
        """Load the windows of numbers `rows` (B,), normalised: a tensor (B, C, T)."""
        return self.preprocessing.normalise_windows(self._gathered(rows), inplace=True)

    def _gathered(self, rows: Tensor) -> Tensor:
        chosen = self.index[rows]
        return self.store.gather(chosen.record, chosen.start, self.preprocessing.samples)

    @property
    def label(self) -> NDArray[np.int64]:
        """Number of each window's class, -1 for none, shape (n,)."""
        return self.index.label.numpy()

    @property
    def targets(self) -> NDArray[np.bool_]:
        """To which classes each window belongs, shape (n, K): none, one or, where the task has it so, several."""
        if self.store.multilabel:
            of_recording: NDArray[np.bool_] = self.store.targets[self.index.record.numpy()]
            return of_recording
        targets: NDArray[np.bool_] = self.label[:, None] == np.arange(len(self.store.classes))
        return targets

    @property
    def patient(self) -> NDArray[np.str_]:
        """Patient of each window, shape (n,)."""
        whose: NDArray[np.str_] = self.store.patients[self.store.patient[self.index.record].numpy()]
        return whose

    @property
    def record(self) -> NDArray[np.str_]:
        """Recording of each window, shape (n,)."""
        return self._of_recording("record")

    @property
    def split(self) -> NDArray[np.str_]:
        """The data set's split of each window's recording, shape (n,)."""
        return self._of_recording("split")

    def where(self, mask: NDArray[np.bool_]) -> WindowSet:
        """Select windows by a mask of shape (n,)."""
        return self[torch.from_numpy(mask)]

    def sample(self, size: int, seed: int = 0) -> WindowSet:
        """Sample at most `size` windows, an equal share of each class as far as it goes; always the same."""
        label = self.index.label
        classes = label.unique().tolist()
        order = torch.randperm(len(label), generator=generator(seed, Purpose.PROBE_SAMPLE))
        keep = [order[label[order] == c][: max(1, size // len(classes))] for c in classes]
        return self[torch.cat(keep).sort().values] if keep else self

    def _of_recording(self, column: str) -> NDArray[np.str_]:
        rows = self.index.record.numpy()
        values: NDArray[np.str_] = self.store.records[column].iloc[rows].to_numpy().astype(str)
        return values
