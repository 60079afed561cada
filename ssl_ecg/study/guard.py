"""The guard against leaks: who is on which side, whom the encoder has seen, and what that makes of a result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.checkpoint import PretrainedEncoder
from ssl_ecg.data.source import Source
from ssl_ecg.data.splits import check_disjoint
from ssl_ecg.data.store import Store
from ssl_ecg.data.window_set import WindowSet
from ssl_ecg.data.windows import labelled
from ssl_ecg.errors import DataError

if TYPE_CHECKING:
    from ssl_ecg.study.study import Study

_JUDGES = 5  # patients, at least, to judge settings by: as many as there are folds


def labelled_windows(store: Store, encoder: PretrainedEncoder) -> WindowSet:
    """All labelled windows of a store: a window that belongs to none of the classes is not labelled."""
    index = labelled(store).index(store, encoder.preprocessing.samples)
    everything = WindowSet(store, encoder.preprocessing, index)
    return everything.where(np.asarray(everything.targets.any(axis=1)))


def labelled_whole(store: Store, data: Source, encoder: PretrainedEncoder) -> WindowSet:
    """All labelled windows, of whatever split.

    Raises:
        DataError: if there are none, or the encoder was fine-tuned on the labels of somebody.
    """
    everything = labelled_windows(store, encoder)
    if not len(everything):
        raise DataError(f"{type(data).__name__} has no labelled windows")
    check_untaught(encoder, store.cohort, everything, data)
    return everything


def labelled_sides(store: Store, data: Source, encoder: PretrainedEncoder) -> tuple[WindowSet, WindowSet]:
    """The labelled windows to fit on (train and val patients) and to score on (test patients).

    Raises:
        DataError: if a side is empty, a patient is on both without the protocol saying so, or the encoder was
            fine-tuned on the labels of the test patients.
    """
    everything = labelled_windows(store, encoder)
    test = everything.split == "test"
    sides = everything.where(~test), everything.where(test)
    for side, what in zip(sides, ("train", "test"), strict=True):
        if not len(side):
            raise DataError(f"{type(data).__name__} has no labelled windows in its {what} split")
    check_disjoint(
        sides[0].patient.tolist(), sides[1].patient.tolist(), "train and test", frozenset(data.shared_patients)
    )
    check_untaught(encoder, store.cohort, sides[1], data)
    return sides


def check_untaught(encoder: PretrainedEncoder, cohort: str, scored: WindowSet, data: Source) -> None:
    """Refuse to score an encoder on patients by whose labels it was fine-tuned: whoever they are, test side or not.

    Raises:
        DataError: naming the patients.
    """
    patients = sorted(set(scored.patient.tolist()) - set(data.shared_patients))
    if taught := encoder.taught_by(cohort, patients, scored.store.meta["covers"]):
        raise DataError(
            f"the encoder was fine-tuned on the labels of {len(taught)} of the {len(patients)} patients to score it "
            f"on, which would leak: {', '.join(taught[:5])}{' ...' if len(taught) > 5 else ''}; use the checkpoint "
            "that was fine-tuned, or data it has not seen"
        )


def check_few_labels(study: Study) -> None:
    """Refuse to ask what an encoder is worth with few labels if it was fine-tuned on labels of the train patients.

    Raises:
        DataError: if so; it is no leak into the test side, but few labels would not be few.
    """
    if taught := study.taught:
        raise DataError(
            f"the encoder was fine-tuned on the labels of {len(taught)} train patients of {study.name}, so a fraction "
            "of the labels would be more than it says; use the checkpoint that was fine-tuned, or fraction 1 alone"
        )


def validation_of(train: WindowSet) -> NDArray[np.bool_] | None:
    """Which train windows are of the data set's validation split, shape (n,); None if it has no such split."""
    mine = train.split == "val"
    return mine if mine.any() else None


def seen_by(encoder: PretrainedEncoder, windows: WindowSet) -> list[str]:
    """Whose of these windows the encoder has seen in pretraining, or may have."""
    store = windows.store
    return encoder.saw(store.cohort, sorted(set(windows.patient.tolist())), store.meta["covers"])


def taught_by(encoder: PretrainedEncoder, windows: WindowSet) -> list[str]:
    """By the labels of whom of these windows the encoder was fine-tuned, or may have been."""
    store = windows.store
    return encoder.taught_by(store.cohort, sorted(set(windows.patient.tolist())), store.meta["covers"])


def unseen_by(
    encoder: PretrainedEncoder, train: WindowSet, validation: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_] | None:
    """Which train windows are of patients the encoder has not seen, shape (n,); None for under five such patients.

    Where there is a validation split, only its patients can judge, and only they count.
    """
    judges = train if validation is None else train.where(validation)
    unseen = sorted(set(judges.patient.tolist()) - set(seen_by(encoder, judges)))
    return np.isin(train.patient, unseen) if len(unseen) >= _JUDGES else None


def setting_of(seen: list[str], data: Source, taught: int = 0) -> str:
    """What the encoder knew before of whom: whether a result is inductive or transductive, and what else is to be said.

    Args:
        seen: the test patients who were in pretraining, unlabelled.
        data: whose they are.
        taught: number of train patients by whose labels the encoder was fine-tuned.
    """
    others = [patient for patient in seen if patient not in data.shared_patients]
    records = ", ".join(record for records in data.shared_patients.values() for record in records)
    if others:
        said = [f"transductive: {len(seen)} test patient(s) were in pretraining"]
    elif seen:
        said = [f"inductive: no test patient was in pretraining, but for the subject of records {records}"]
    else:
        said = ["inductive: no test patient was in pretraining"]
    if records:
        said.append(f"the protocol has the subject of records {records} on both sides")
    if taught:
        said.append(f"its encoder was fine-tuned on the labels of {taught} train patients")
    return "; ".join(said)
