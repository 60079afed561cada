"""Training batches, and the held-out patients that the online probe is scored on."""

from __future__ import annotations

import numpy as np

from ssl_ecg.data.batches import Batches
from ssl_ecg.data.positives import Partners, Positives, SameWindow
from ssl_ecg.data.splits import check_disjoint, hold_out_patients
from ssl_ecg.data.store import Store
from ssl_ecg.data.windows import Windows, WindowSet
from ssl_ecg.errors import DataError
from ssl_ecg.preprocessing import Preprocessing


class TrainingWindows:
    """Windows to train on, in shuffled batches of `batch_size` per rank and step; see `Batches` for the rest."""

    def __init__(
        self,
        train: WindowSet,
        batch_size: int,
        patients_per_batch: int = 0,
        seed: int = 0,
        partners: Partners | None = None,
    ) -> None:
        self.train, self.partners = train, partners
        self.batch_size, self.patients_per_batch, self.seed = batch_size, patients_per_batch, seed

    def batches(self, rank: int = 0, ranks: int = 1, first: int = 0) -> Batches:
        """One process's training batches from a step on, to the end of its epoch."""
        return Batches(
            self.train, self.batch_size, self.patients_per_batch, self.seed, rank, ranks, first, self.partners
        )


class ECGDataModule(TrainingWindows):
    """Windows of the train split, in shuffled batches.

    The patients of the val split are held out for the online probe; where a data set has labels but no such split, some
    train patients are. The test split is never touched here. `probe_train` and `probe_val` are the labelled windows of
    the patients in `train` and of the held-out ones, whose names are `patients` and `held_out`.

    `windows` cuts recordings for pretraining, `probe_windows` for the online probe (these carry the labels). `hold_out`
    is the fraction of train patients held out where the data set has no val split; 0 holds out none. `positives` says
    what a window's views are made of: itself if None. DataError if nothing is left to train on, or no window fits;
    UserError if no window has a partner, or the store cannot give them.
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
        positives: Positives | None = None,
    ) -> None:
        patient = store.patient.numpy()
        in_train, in_val = ((store.records["split"] == name).to_numpy() for name in ("train", "val"))

        labelled = WindowSet(store, preprocessing, probe_windows.index(store, preprocessing.samples))
        if not in_val.any() and hold_out > 0 and store.classes:
            train = labelled.where(in_train[labelled.index.record.numpy()])
            held = hold_out_patients(train.patient, train.label, hold_out, seed)
            in_val = in_train & np.isin(store.patients, list(held))[patient]
            in_train = in_train & ~in_val
        if not in_train.any():
            raise DataError("no recording of the train split is left to pretrain on: lower hold_out")
        patients = store.patients[np.unique(patient[in_train])].tolist()
        held_out = store.patients[np.unique(patient[in_val])].tolist()
        check_disjoint(patients, held_out, "pretraining and held-out patients")

        everything = WindowSet(store, preprocessing, windows.index(store, preprocessing.samples))
        train = everything.where(in_train[everything.index.record.numpy()])
        partners = (positives or SameWindow()).partners(train)
        super().__init__(train, batch_size, patients_per_batch, seed, partners)
        self.store, self.preprocessing = store, preprocessing
        self.patients: list[str] = patients
        self.held_out: list[str] = held_out
        labelled = labelled.where(np.asarray(labelled.targets.any(axis=1)))
        self.probe_train = labelled.where(in_train[labelled.index.record.numpy()])
        self.probe_val = labelled.where(in_val[labelled.index.record.numpy()])
