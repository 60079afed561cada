"""Folds by patient: nobody is on both sides, and rare classes are spread as far as patients allow."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.errors import UserError
from ssl_ecg.evaluation.checks import check_labels, check_patients


def patient_folds(
    patients: NDArray[Any], y: NDArray[np.integer[Any]], n_classes: int, n_folds: int = 5
) -> NDArray[np.int64]:
    """Deal patients into folds so that each fold holds a like share of every class.

    In arrhythmia data a class can be nearly one person's: MIT-BIH's record 208 has nine of ten fusion beats
    of DS1. Patients are therefore dealt out greedily, those with the largest share of any class first, each
    to the fold that leaves the classes spread most evenly, as scikit-learn's StratifiedGroupKFold does, but
    counting a class by shares so that a rare one weighs as much as a common one. Deterministic.

    Args:
        patients: whose each sample is, shape (n,).
        y: class of each sample, shape (n,).
        n_classes: K.
        n_folds: fewer are made where there are fewer patients.

    Returns:
        The fold of each sample, shape (n,).

    Raises:
        UserError: for fewer than two patients or folds.
    """
    names, patient = check_patients(patients, len(y))
    y = check_labels(y, len(y), n_classes)
    if len(names) < 2 or n_folds < 2:
        raise UserError(f"cross-validation by patient needs two patients and two folds, got {len(names)} and {n_folds}")
    n_folds = min(n_folds, len(names))
    counts = np.zeros((len(names), n_classes))
    np.add.at(counts, (patient, y), 1)
    shares = counts / np.maximum(counts.sum(axis=0), 1)
    held = np.zeros((n_folds, n_classes))
    size = np.zeros(n_folds)
    fold_of = np.empty(len(names), dtype=np.int64)
    for p in np.argsort(-shares.max(axis=1), kind="stable"):
        after = held[None] + np.eye(n_folds)[:, :, None] * shares[p]
        uneven = after.std(axis=1).mean(axis=1)
        best = np.lexsort((size, np.round(uneven, 12)))[0]
        fold_of[p] = best
        held[best] += shares[p]
        size[best] += counts[p].sum()
    return fold_of[patient]
