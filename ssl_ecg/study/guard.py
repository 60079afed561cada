"""Guard against leakage: patients on both sides, test patients in the pretraining set or fine-tuned on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.checkpoint import PretrainedEncoder
from ssl_ecg.data.source import Source
from ssl_ecg.data.splits import check_disjoint
from ssl_ecg.data.store import Store
from ssl_ecg.data.windows import WindowSet, labelled
from ssl_ecg.errors import DataError

_JUDGES = 5  # patients, at least, to choose hyper-parameters on: as many as there are folds


def labelled_windows(store: Store, encoder: PretrainedEncoder) -> WindowSet:
    """Find all labelled windows of a store: those that belong to one of its classes or more."""
    index = labelled(store).index(store, encoder.preprocessing.samples)
    everything = WindowSet(store, encoder.preprocessing, index)
    return everything.where(np.asarray(everything.targets.any(axis=1)))


def labelled_sides(store: Store, data: Source, encoder: PretrainedEncoder) -> tuple[WindowSet, WindowSet]:
    """Split the labelled windows: those to fit on (train and val patients) and those to score on (test patients).

    DataError if a side is empty, a patient is on both without the protocol saying so, or the encoder was fine-tuned on
    the labels of the test patients.
    """
    everything = labelled_windows(store, encoder)
    test = everything.split == "test"
    sides = everything.where(~test), everything.where(test)
    for side, what in zip(sides, ("train", "test"), strict=True):
        if not len(side):
            raise DataError(f"{type(data).__name__} has no labelled windows in its {what} split")
    train, scored = (side.patient.tolist() for side in sides)
    check_disjoint(train, scored, "train and test", frozenset(data.shared_patients))
    check_untaught(encoder, store.cohort, sides[1], data)
    return sides


def check_untaught(encoder: PretrainedEncoder, cohort: str, scored: WindowSet, data: Source) -> None:
    """Refuse to score an encoder on patients on whose labels it was fine-tuned: DataError, naming them."""
    patients = sorted(set(scored.patient.tolist()) - set(data.shared_patients))
    if taught := encoder.taught_by(cohort, patients, scored.store.meta["covers"]):
        raise DataError(
            f"the encoder was fine-tuned on the labels of {len(taught)} of the {len(patients)} patients to score it "
            f"on, which would leak: {', '.join(taught[:5])}{' ...' if len(taught) > 5 else ''}; use the checkpoint "
            "that was fine-tuned, or data it has not seen"
        )


def validation_of(train: WindowSet) -> NDArray[np.bool_] | None:
    """Which train windows are of the data set's validation split, shape (n,); None if it has no such split."""
    mine = train.split == "val"
    return mine if mine.any() else None


def seen_by(encoder: PretrainedEncoder, windows: WindowSet) -> list[str]:
    """Find the patients of these windows who are, or may be, in the pretraining set."""
    store = windows.store
    return encoder.saw(store.cohort, sorted(set(windows.patient.tolist())), store.meta["covers"])


def unseen_by(
    encoder: PretrainedEncoder, train: WindowSet, validation: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_] | None:
    """Find the train windows of patients outside the pretraining set, shape (n,); None for under five such patients.

    Where there is a validation split, only its patients count.
    """
    judges = train if validation is None else train.where(validation)
    unseen = sorted(set(judges.patient.tolist()) - set(seen_by(encoder, judges)))
    return np.isin(train.patient, unseen) if len(unseen) >= _JUDGES else None


def setting_of(seen: list[str], data: Source, taught: int = 0) -> str:
    """Say whether a result is inductive or transductive, and what else the encoder or the protocol knew before.

    `seen` are the test patients who are in the pretraining set, `taught` is the number of train patients on whose
    labels the encoder was fine-tuned.
    """
    records = ", ".join(record for records in data.shared_patients.values() for record in records)
    if set(seen) - set(data.shared_patients):
        said = [f"transductive: {len(seen)} test patient(s) were in pretraining"]
    else:
        said = ["inductive: no test patient was in pretraining"]
        said[0] += f", but for the subject of records {records}" if seen else ""
    if records:
        said.append(f"the protocol has the subject of records {records} on both sides")
    if taught:
        said.append(f"its encoder was fine-tuned on the labels of {taught} train patients")
    return "; ".join(said)
