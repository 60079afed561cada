"""The Lightning DataModule: training batches, and the held-out patients the online probe is scored on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning import LightningDataModule
from torch import Tensor

from ssl_ecg.data.batches import Batches, generator
from ssl_ecg.data.splits import check_disjoint, hold_out_patients
from ssl_ecg.data.store import Store
from ssl_ecg.data.windows import WindowIndex, Windows
from ssl_ecg.errors import DataError
from ssl_ecg.preprocessing import Preprocessing


class ECGDataModule(LightningDataModule):
    """Windows of the train split, in shuffled batches.

    The patients of the val split are held out for the online probe; where a data set has no such split,
    some train patients are. The test split is never touched here.

    Args:
        store: the recordings.
        preprocessing: gives the window's length and normalisation.
        windows: how recordings are cut for pretraining.
        probe_windows: how they are cut for the online probe (these carry the labels).
        batch_size: windows per rank and step.
        patients_per_batch: see `Batches`; 0 mixes all.
        hold_out: fraction of train patients held out where the data set has no val split; 0 holds out none.
        seed: of the hold-out and the shuffling.

    Raises:
        DataError: if nothing is left to train on, or no window fits.
    """

    def __init__(
        self,
        store: Store,
        preprocessing: Preprocessing,
        windows: Windows,
        probe_windows: Windows,
        batch_size: int = 256,
        patients_per_batch: int = 0,
        hold_out: float = 0.2,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.store, self.preprocessing = store, preprocessing
        self.batch_size, self.patients_per_batch, self.seed = batch_size, patients_per_batch, seed
        samples = preprocessing.samples
        split = store.records["split"].to_numpy()
        patient = store.records["patient"].to_numpy().astype(str)

        labelled = probe_windows.index(store, samples)
        self.classes: tuple[str, ...] = tuple(store.meta["classes"])
        in_val = split == "val"
        if not in_val.any() and hold_out > 0:
            train = labelled[torch.from_numpy(split[labelled.record.numpy()] == "train")]
            held = hold_out_patients(patient[train.record.numpy()], train.label.numpy(), hold_out, seed)
            in_val = (split == "train") & np.isin(patient, list(held))
        in_train = (split == "train") & ~in_val
        check_disjoint(patient[in_train].tolist(), patient[in_val].tolist(), "pretraining and held-out patients")
        if not in_train.any():
            raise DataError("no recording of the train split is left to pretrain on: lower hold_out")
        self.patients: list[str] = sorted(set(patient[in_train].tolist()))
        self.held_out: list[str] = sorted(set(patient[in_val].tolist()))

        everything = windows.index(store, samples)
        self.train_index = everything[torch.from_numpy(in_train[everything.record.numpy()])]
        labelled = labelled[labelled.label >= 0]
        self.probe_train = labelled[torch.from_numpy(in_train[labelled.record.numpy()])]
        self.probe_val = labelled[torch.from_numpy(in_val[labelled.record.numpy()])]

    def batches(self, rank: int = 0, ranks: int = 1) -> Batches:
        """The training batches of one process."""
        return Batches(
            self.store,
            self.train_index,
            self.preprocessing,
            self.batch_size,
            self.patients_per_batch,
            self.seed,
            rank,
            ranks,
        )

    def train_dataloader(self) -> Batches:
        """Batches that go on at the trainer's step, and lie on its device where the store fits there."""
        if self.trainer is None:
            return self.batches()
        self.store.to(self.trainer.strategy.root_device)
        batches = self.batches(self.trainer.global_rank, self.trainer.world_size)
        batches.start_step = self.trainer.global_step
        return batches

    def probe_subset(self, index: WindowIndex, size: int) -> WindowIndex:
        """At most `size` windows for a quick probe, the same at every call, rare classes kept first."""
        label = index.label
        per_class = max(1, size // max(1, len(label.unique())))
        order = torch.randperm(len(label), generator=generator(self.seed, 3))
        keep = [order[label[order] == c][:per_class] for c in label.unique().tolist()]
        return index[torch.cat(keep).sort().values] if keep else index

    def windows_of(self, index: WindowIndex, batch_size: int = 1024) -> Iterator[Tensor]:
        """Normalised windows of an index, in order: tensors (B, C, T)."""
        for rows in torch.arange(len(index)).split(batch_size):
            chosen = index[rows]
            x = self.store.gather(chosen.record, chosen.start, self.preprocessing.samples)
            yield self.preprocessing.normalise_windows(x)

    def patient_of(self, index: WindowIndex) -> NDArray[np.str_]:
        """Whose each window is, shape (n,)."""
        names: NDArray[np.str_] = self.store.records["patient"].to_numpy().astype(str)[index.record.numpy()]
        return names
