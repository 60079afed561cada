"""Folds by patient: nobody is on both sides, and rare classes are spread as far as patients allow."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.errors import UserError
from ssl_ecg.metrics.checks import check_patients
from ssl_ecg.metrics.scores import auroc


def patient_folds(patients: NDArray[Any], targets: NDArray[np.bool_], n_folds: int = 5) -> NDArray[np.int64]:
    """Deal patients into folds that hold a like share of every class: the fold of each sample, shape (n,).

    In arrhythmia data a class can be nearly one person's: MIT-BIH's record 208 has nine of ten fusion beats of DS1.
    Patients are therefore dealt out greedily, those with the largest share of any class first, each to the fold that
    leaves the classes spread most evenly, as scikit-learn's StratifiedGroupKFold does, but counting a class by shares
    so that a rare one weighs as much as a common one. Deterministic.

    `patients` has shape (n,), targets (n, K). Where there are fewer patients, fewer folds are made; UserError for fewer
    than two of either.
    """
    names, patient = check_patients(patients, len(targets))
    if len(names) < 2 or n_folds < 2:
        raise UserError(f"cross-validation by patient needs two patients and two folds, got {len(names)} and {n_folds}")
    n_folds = min(n_folds, len(names))
    counts = np.zeros((len(names), targets.shape[1]))
    np.add.at(counts, patient, targets)
    samples = np.bincount(patient)
    shares = counts / np.maximum(counts.sum(axis=0), 1)
    held = np.zeros((n_folds, targets.shape[1]))
    size = np.zeros(n_folds)
    fold_of = np.empty(len(names), dtype=np.int64)
    for p in np.argsort(-shares.max(axis=1), kind="stable"):
        after = held[None] + np.eye(n_folds)[:, :, None] * shares[p]
        uneven = after.std(axis=1).mean(axis=1)
        best = np.lexsort((size, np.round(uneven, 12)))[0]
        fold_of[p] = best
        held[best] += shares[p]
        size[best] += samples[p]
    return fold_of[patient]


def held_out_auroc(
    targets: NDArray[np.bool_],
    scores: NDArray[np.floating[Any]],
    fold: NDArray[np.int64],
    judged: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """AUROC of each class over judged pairs that were held out together, shape (K,).

    Of all pairs of a sample of the class and one of another in the same fold, the share ranked rightly. Pooling the
    folds instead would compare scores of different models. NaN for a class without pairs, or that could not be learned
    because one fold alone has it. Targets, and scores by the model that a sample's fold was held out of, are (n, K);
    `fold` (n,) is negative for samples that were never held out; `judged` (n,) says which count, all by default.
    """
    right = np.zeros(targets.shape[1])
    pairs = np.zeros(targets.shape[1])
    for f in np.unique(fold[fold >= 0]):
        held = fold == f if judged is None else (fold == f) & judged
        for k in range(targets.shape[1]):
            positive = targets[held, k]
            n = positive.sum() * (~positive).sum()
            if n and targets[fold != f, k].any():
                right[k] += n * auroc(positive, scores[held, k])
                pairs[k] += n
    return np.where(pairs > 0, right / np.maximum(pairs, 1), np.nan)
