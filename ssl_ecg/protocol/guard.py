"""The guard against leaks: who is on which side, whom the encoder has seen, and what that makes of a result."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.checkpoint import PretrainedEncoder
from ssl_ecg.data.source import Source
from ssl_ecg.data.splits import check_disjoint
from ssl_ecg.data.store import Store
from ssl_ecg.data.window_set import WindowSet
from ssl_ecg.data.windows import labelled
from ssl_ecg.errors import DataError

_JUDGES = 5  # patients, at least, to judge settings by: as many as there are folds


def labelled_windows(store: Store, encoder: PretrainedEncoder) -> WindowSet:
    """All labelled windows of a store: a window that belongs to none of the classes is not labelled."""
    index = labelled(store).index(store, encoder.preprocessing.samples)
    everything = WindowSet(store, encoder.preprocessing, index)
    return everything.where(np.asarray(everything.targets.any(axis=1)))


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
    """Refuse to score an encoder on patients by whose labels it was fine-tuned.

    Raises:
        DataError: naming the patients.
    """
    patients = sorted(set(scored.patient.tolist()) - set(data.shared_patients))
    if taught := encoder.taught_by(cohort, patients):
        raise DataError(
            f"the encoder was fine-tuned on the labels of {len(taught)} of the {len(patients)} patients to score it "
            f"on, which would leak: {', '.join(taught[:5])}{' ...' if len(taught) > 5 else ''}; use the checkpoint "
            "that was fine-tuned, or data it has not seen"
        )


def validation_of(train: WindowSet) -> NDArray[np.bool_] | None:
    """Which train windows are of the data set's validation split, shape (n,); None if it has no such split."""
    mine = train.split == "val"
    return mine if mine.any() else None


def unseen_by(
    encoder: PretrainedEncoder, cohort: str, train: WindowSet, validation: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_] | None:
    """Which train windows are of patients the encoder has not seen, shape (n,); None for under five such patients.

    Where there is a validation split, only its patients can judge, and only they count.
    """
    who = train.patient if validation is None else train.patient[validation]
    patients = sorted(set(who.tolist()))
    unseen = sorted(set(patients) - set(encoder.saw(cohort, patients)))
    return np.isin(train.patient, unseen) if len(unseen) >= _JUDGES else None


def setting_of(seen: list[str], data: Source) -> str:
    """What pretraining on some of the test patients, unlabelled, makes of a result: inductive or transductive.

    Args:
        seen: the test patients who were in pretraining.
        data: whose they are.
    """
    shared = [patient for patient in seen if patient in data.shared_patients]
    if not seen:
        return "inductive: no test patient was in pretraining"
    if len(shared) == len(seen):
        records = ", ".join(record for patient in shared for record in data.shared_patients[patient])
        return f"inductive, but for the one subject of records {records} whom the protocol has on both sides"
    return f"transductive: {len(seen)} test patient(s) were in pretraining"
