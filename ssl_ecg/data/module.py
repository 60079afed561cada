"""Training batches, and the held-out patients that the online probe is scored on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ssl_ecg.data.batches import Batches
from ssl_ecg.data.mixed import MixedWindows
from ssl_ecg.data.positives import Partners, Positives, SameWindow
from ssl_ecg.data.source import person
from ssl_ecg.data.splits import check_disjoint, hold_out_patients
from ssl_ecg.data.store import Store
from ssl_ecg.data.windows import WindowIndex, Windows, WindowSet
from ssl_ecg.errors import DataError
from ssl_ecg.preprocessing import Preprocessing


class TrainingWindows:
    """Windows to train on, in shuffled batches of `batch_size` per rank and step; see `Batches` for the rest."""

    def __init__(
        self,
        train: WindowSet | MixedWindows,
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


@dataclass(frozen=True)
class Sides:
    """What pretraining takes of one store.

    `train` are the windows to pretrain on; `probe_train` and `probe_val` the labelled ones of the same patients and of
    the held-out ones, whose names are `patients` and `held_out`.
    """

    store: Store
    train: WindowSet
    probe_train: WindowSet
    probe_val: WindowSet
    patients: list[str]
    held_out: list[str]

    @property
    def labelled(self) -> bool:
        """Whether there are labels on both sides."""
        return len(self.probe_train) > 0 and len(self.probe_val) > 0


class ECGDataModule(TrainingWindows):
    """Windows of the train split of one store or several, in shuffled batches.

    The patients of the val split are held out for the online probe; where a data set has labels but no such split, some
    train patients are. The test split is never touched here. `parts` are the sides of each store, and `probed` those of
    the first that has labels on both sides, or of the first: `store`, `patients`, `held_out`, `probe_train` and
    `probe_val` are its own. Who is held out of one store is pretrained on in none, and a recording that two stores of a
    cohort have is taken from the first.

    `windows` cuts recordings for pretraining, `probe_windows` for the online probe (these carry the labels). `hold_out`
    is the fraction of train patients held out where the data set has no val split; 0 holds out none. `positives` says
    what a window's views are made of: itself if None. `weights` are those of `MixedWindows`. DataError if nothing is
    left to train on, or no window fits; UserError if no window has a partner, or the store cannot give them.
    """

    def __init__(
        self,
        stores: Store | Sequence[Store],
        preprocessing: Preprocessing,
        windows: Windows,
        probe_windows: Windows,
        batch_size: int = 256,
        patients_per_batch: int = 0,
        hold_out: float = 0.2,
        seed: int = 0,
        positives: Positives | None = None,
        weights: Sequence[float] | None = None,
    ) -> None:
        stores = [stores] if isinstance(stores, Store) else list(stores)
        alone = len(stores) == 1
        labelled = [_labelled(store, preprocessing, probe_windows, alone) for store in stores]
        rows = [_rows(windows, hold_out, seed, alone) for windows in labelled]
        if not alone:
            rows = _apart(stores, rows)
        self.parts: list[Sides] = []
        for store, probe, (in_train, in_val) in zip(stores, labelled, rows, strict=True):
            try:
                self.parts.append(_sides(store, windows, probe, in_train, in_val))
            except DataError as error:
                raise DataError(str(error) if alone else f"{store.source}: {error}") from None
        trains = [part.train for part in self.parts]
        train = trains[0] if len(trains) == 1 else MixedWindows(trains, weights)
        partners = (positives or SameWindow()).partners(train)
        super().__init__(train, batch_size, patients_per_batch, seed, partners)
        self.preprocessing = preprocessing
        self.probed = next((part for part in self.parts if part.labelled), self.parts[0])
        self.store, self.patients, self.held_out = self.probed.store, self.probed.patients, self.probed.held_out
        self.probe_train, self.probe_val = self.probed.probe_train, self.probed.probe_val


_Rows = tuple[NDArray[np.bool_], NDArray[np.bool_]]  # of a store that are pretrained on, and that are held out


def _labelled(store: Store, preprocessing: Preprocessing, windows: Windows, alone: bool) -> WindowSet:
    """The windows of the online probe; of several data sets, some may have none."""
    try:
        index = windows.index(store, preprocessing.samples)
    except DataError:
        if alone:
            raise
        index = WindowIndex(*torch.empty(4, 0, dtype=torch.int64))
    return WindowSet(store, preprocessing, index)


def _rows(labelled: WindowSet, hold_out: float, seed: int, alone: bool) -> _Rows:
    """Choose; of several data sets, one with a single patient holds out none."""
    store = labelled.store
    in_train, in_val = ((store.records["split"] == name).to_numpy() for name in ("train", "val"))
    if not in_val.any() and hold_out > 0 and store.classes and len(labelled):
        train = labelled.where(in_train[labelled.index.record.numpy()])
        one = not alone and len(set(train.patient)) < 2
        held = () if one else hold_out_patients(train.patient, train.label, hold_out, seed)
        in_val = in_train & np.isin(store.patients, list(held))[store.patient.numpy()]
        in_train = in_train & ~in_val
    return in_train, in_val


def _apart(stores: Sequence[Store], rows: Sequence[_Rows]) -> list[_Rows]:
    """Take from training who is held out of another store, and what an earlier store of the same cohort has."""
    people = [
        np.array([person(store.cohort, patient) for patient in store.patients])[store.patient.numpy()]
        for store in stores
    ]
    held = np.concatenate([who[in_val] for who, (_, in_val) in zip(people, rows, strict=True)])
    found: list[_Rows] = []
    known: dict[str, set[str]] = {}
    for store, who, (in_train, in_val) in zip(stores, people, rows, strict=True):
        records, before = store.records["record"].astype(str), known.setdefault(store.cohort, set())
        mine = in_train & ~np.isin(who, held) & ~records.isin(before).to_numpy()
        before.update(records[mine])
        found.append((mine, in_val))
    return found


def _sides(
    store: Store, windows: Windows, labelled: WindowSet, in_train: NDArray[np.bool_], in_val: NDArray[np.bool_]
) -> Sides:
    if not in_train.any():
        raise DataError("no recording of the train split is left to pretrain on: lower hold_out")
    patient, preprocessing = store.patient.numpy(), labelled.preprocessing
    patients, held_out = (store.patients[np.unique(patient[rows])].tolist() for rows in (in_train, in_val))
    check_disjoint(patients, held_out, "pretraining and held-out patients")
    everything = WindowSet(store, preprocessing, windows.index(store, preprocessing.samples))
    labelled = labelled.where(np.asarray(labelled.targets.any(axis=1)))
    whose, train = labelled.index.record.numpy(), everything.where(in_train[everything.index.record.numpy()])
    return Sides(store, train, labelled.where(in_train[whose]), labelled.where(in_val[whose]), patients, held_out)
