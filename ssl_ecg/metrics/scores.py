"""Scores of a classifier from its labels and probabilities.

Everything but the area under the ROC curve (AUROC) follows from a confusion matrix, so those functions
take matrices of shape (..., K, K), rows true and columns predicted: a thousand bootstrap resamples are
scored at once by the code that scores one test set.

Two decision rules are reported side by side. The probabilities of a class-balanced classifier answer "which
class, if all were equally common?"; their argmax finds the rare classes at the price of false alarms. The
*prior-corrected* rule multiplies them by how common each class was in training before taking the argmax; it
errs least often where the probabilities are right, and may never predict a class that is rare and hard.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.errors import UserError

Array = NDArray[np.float64]


def score(
    y: NDArray[np.integer[Any]],
    probabilities: NDArray[np.floating[Any]],
    classes: Sequence[str],
    *,
    priors: NDArray[np.floating[Any]] | None = None,
    subsets: Sequence[Sequence[str]] = (),
    chosen: NDArray[np.bool_] | None = None,
) -> dict[str, float]:
    """Score probabilities (n, K) of a class-balanced classifier against true classes (n,), by name as `named_scores`.

    `priors` (K,), how common each class was in training, add the prior-corrected rule; `subsets` are groups of classes
    to also average the F1 over, such as `[("N", "S", "V")]`; `chosen` (K,) says which classes have scores and are
    averaged over, those the test set has by default. UserError for what does not fit the classes.
    """
    k = len(classes)
    y = check_labels(y, len(y), k)
    p = check_probabilities(probabilities, len(y), k)
    matrices = [confusion_matrix(y, decide(p, rule), k) for rule in rules(priors, k)]
    areas = np.array([auroc(y == i, p[:, i]) for i in range(k)])
    values = named_scores(matrices, areas, classes, present(y, k) if chosen is None else chosen, subsets)
    return {name: float(value) for name, value in values.items()}


def named_scores(
    matrices: Sequence[NDArray[Any]],
    areas: Array,
    classes: Sequence[str],
    chosen: NDArray[np.bool_],
    subsets: Sequence[Sequence[str]] = (),
) -> dict[str, Array]:
    """All scores by name, for one test set or a whole batch of resampled ones.

    `macro_auroc`; `auroc_<class>`; then for argmax `macro_f1`, `macro_f1_<subset>`, `sensitivity_<class>`,
    `ppv_<class>` and `f1_<class>`; then the same with the prefix `prior_` for the prior-corrected rule. What is
    undefined is NaN, and so is every average over it.

    `matrices` are the rules' confusion matrices (..., K, K), `areas` the AUROC of each class (..., K); for the rest see
    `score`. UserError if a subset names an unknown class.
    """
    members = {f"macro_f1_{''.join(subset)}": _members(subset, classes) & chosen for subset in subsets}
    found = {"macro_auroc": _mean(areas, chosen)}
    found |= {f"auroc_{name}": areas[..., i] for i, name in enumerate(classes) if chosen[i]}
    for prefix, matrix in zip(("", "prior_"), matrices, strict=False):
        per_class = f1(matrix)
        found[f"{prefix}macro_f1"] = _mean(per_class, chosen)
        found |= {f"{prefix}{name}": _mean(per_class, mine) for name, mine in members.items()}
        columns = {"sensitivity": sensitivity(matrix), "ppv": ppv(matrix), "f1": per_class}
        for i in np.flatnonzero(chosen).tolist():
            found |= {f"{prefix}{what}_{classes[i]}": column[..., i] for what, column in columns.items()}
    return found


def mean_defined(values: Array, axis: int = 0) -> Array:
    """Mean along an axis of what is defined; NaN where nothing is, without numpy's warning."""
    defined = (~np.isnan(values)).sum(axis=axis)
    return np.where(defined > 0, np.nansum(values, axis=axis) / np.maximum(defined, 1), np.nan)


def auroc(positive: NDArray[np.bool_], scores: NDArray[np.floating[Any]]) -> float:
    """Area under the ROC curve: how often a positive scores above a negative, ties counting half; shapes (n,).

    NaN if all samples are positive or none is.
    """
    negatives = np.sort(scores[~positive])
    positives = scores[positive]
    if not len(negatives) or not len(positives):
        return float("nan")
    below = np.searchsorted(negatives, positives, side="left").mean()
    not_above = np.searchsorted(negatives, positives, side="right").mean()
    return float((below + not_above) / 2 / len(negatives))


def rules(priors: NDArray[np.floating[Any]] | None, n_classes: int) -> list[Array]:
    """What each decision rule multiplies the probabilities with: ones, then the priors where given.

    UserError unless the priors are K numbers, none negative, not all zero.
    """
    ones = np.ones(n_classes)
    if priors is None:
        return [ones]
    given = np.asarray(priors, dtype=np.float64)
    if given.shape != (n_classes,) or not (given >= 0).all() or not given.sum() > 0:
        raise UserError(f"expected {n_classes} class priors, none negative, got {given.tolist()}")
    return [ones, given]


def decide(probabilities: Array, priors: Array) -> NDArray[np.int64]:
    """The likeliest class of each sample once its probabilities are multiplied by the priors, shape (n,).

    Saerens, Latinne & Decaestecker, "Adjusting the outputs of a classifier to new a priori probabilities", Neural
    Computation 2002.
    """
    return np.asarray((probabilities * priors).argmax(axis=1), dtype=np.int64)


def present(y: NDArray[np.int64], n_classes: int) -> NDArray[np.bool_]:
    """Which classes occur, shape (K,)."""
    return np.bincount(y, minlength=n_classes) > 0


def confusion_matrix(y: NDArray[np.int64], predicted: NDArray[np.int64], n_classes: int) -> NDArray[np.int64]:
    """Counts of samples by true (row) and predicted (column) class, shape (K, K)."""
    return np.bincount(y * n_classes + predicted, minlength=n_classes**2).reshape(n_classes, n_classes)


def sensitivity(confusion: NDArray[Any]) -> Array:
    """Share of each class that was found (recall), shape (..., K); NaN for a class without samples."""
    return _ratio(_hits(confusion), confusion.sum(axis=-1))


def ppv(confusion: NDArray[Any]) -> Array:
    """Share of each class's predictions that were right (precision), shape (..., K); NaN if it has none."""
    return _ratio(_hits(confusion), confusion.sum(axis=-2))


def f1(confusion: NDArray[Any]) -> Array:
    """Harmonic mean of sensitivity and PPV, shape (..., K).

    0 for a class that was never predicted, NaN for a class without samples, whatever was predicted.
    """
    return f1_of(_hits(confusion), confusion.sum(axis=-1), confusion.sum(axis=-2))


def f1_of(hits: NDArray[Any], true: NDArray[Any], predicted: NDArray[Any]) -> Array:
    """F1 from how many samples of a class were found, are there and were predicted; NaN where none is there."""
    return np.where(true > 0, _ratio(2 * hits, true + predicted), np.nan)


def _hits(confusion: NDArray[Any]) -> NDArray[Any]:
    return np.diagonal(confusion, axis1=-2, axis2=-1)


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> Array:
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)


def _mean(per_class: Array, chosen: NDArray[np.bool_]) -> Array:
    """Mean over the chosen classes, shape (...)."""
    if not chosen.any():
        return np.full(per_class.shape[:-1], np.nan)
    return np.asarray(per_class[..., chosen].mean(axis=-1))


def _members(subset: Sequence[str], classes: Sequence[str]) -> NDArray[np.bool_]:
    unknown = [name for name in subset if name not in classes]
    if unknown:
        raise UserError(f"unknown classes {unknown} in a subset; the classes are {list(classes)}")
    return np.array([name in subset for name in classes])


ENOUGH = 5
"""Patients that must have a class, and that must lack it, for it to be averaged over."""


def score_multilabel(
    targets: NDArray[np.bool_],
    probabilities: NDArray[np.floating[Any]],
    classes: Sequence[str],
    patients: NDArray[Any] | Sequence[str],
    thresholds: NDArray[np.floating[Any]],
) -> dict[str, float]:
    """Score probabilities (n, K) against targets (n, K); every score by name, as `named_multilabel_scores` builds them.

    From its threshold (K,) on a class counts as predicted, for the F1. UserError for what does not fit the classes.
    """
    t = check_targets(targets, len(targets), len(classes))
    p = check_probabilities(probabilities, len(t), len(classes))
    predicted = p >= thresholds
    values = named_multilabel_scores(
        np.array([auroc(yes, column) for yes, column in zip(t.T, p.T, strict=True)]),
        np.array([average_precision(yes, column) for yes, column in zip(t.T, p.T, strict=True)]),
        f1_of((t & predicted).sum(axis=0), t.sum(axis=0), predicted.sum(axis=0)),
        classes,
        scorable(t, check_patients(patients, len(t))[1]),
    )
    return {name: float(value) for name, value in values.items()}


def named_multilabel_scores(
    areas: Array, precisions: Array, f1: Array, classes: Sequence[str], chosen: NDArray[np.bool_]
) -> dict[str, Array]:
    """All scores by name, for one test set or a whole batch of resampled ones, from those of classes (..., K).

    `macro_auroc`, `macro_auprc` and `macro_f1`, each followed by that of every chosen class (`auroc_<class>`, ...);
    what is undefined is NaN. A resample may lack a rare class though the test set has it, and with 71 classes most do:
    its averages are over the others. Where classes are left out (`chosen` (K,) is false), `macro_auroc_all` is over
    every class that has an AUROC, as published tables average.
    """
    found = {}
    for what, per_class in {"auroc": areas, "auprc": precisions, "f1": f1}.items():
        found[f"macro_{what}"] = mean_defined(per_class[..., chosen], axis=-1)
        found |= {f"{what}_{name}": per_class[..., i] for i, name in enumerate(classes) if chosen[i]}
    if not chosen.all():
        found["macro_auroc_all"] = mean_defined(areas, axis=-1)
    return found


def scorable(targets: NDArray[np.bool_], patients: NDArray[Any]) -> NDArray[np.bool_]:
    """Which classes (n, K) at least `ENOUGH` patients (n,) have and as many have a sample without, shape (K,)."""

    def count(samples: NDArray[np.bool_]) -> int:
        return len(np.unique(patients[samples]))

    return np.array([min(count(yes), count(~yes)) >= ENOUGH for yes in targets.T], dtype=np.bool_)


def average_precision(positive: NDArray[np.bool_], scores: NDArray[np.floating[Any]]) -> float:
    """Area under the precision-recall curve, as scikit-learn sums it: mean precision at each positive.

    More means likelier, shapes (n,); NaN if all samples are positive or none is.
    """
    if positive.all() or not positive.any():
        return float("nan")
    at_or_above = [len(s) - np.searchsorted(s, scores[positive]) for s in (np.sort(scores[positive]), np.sort(scores))]
    return float((at_or_above[0] / at_or_above[1]).mean())


def best_threshold(positive: NDArray[np.bool_], scores: NDArray[np.floating[Any]]) -> float:
    """The score from which on to call samples (n,) positive for the largest F1; of equals the highest, of none 0.5."""
    if not positive.any():
        return 0.5
    ascending = np.sort(scores)
    steps = np.unique(scores[positive])  # between two of them, only false alarms are added
    hits = positive.sum() - np.searchsorted(np.sort(scores[positive]), steps)
    f1 = f1_of(hits, positive.sum(), len(scores) - np.searchsorted(ascending, steps))
    return float(steps[len(steps) - 1 - f1[::-1].argmax()])


def check_labels(y: NDArray[np.integer[Any]], n: int, n_classes: int) -> NDArray[np.int64]:
    """The labels as int64, shape (n,); UserError unless they are n indices of the K classes."""
    y = np.asarray(y)
    if y.shape != (n,) or not np.issubdtype(y.dtype, np.integer):
        raise UserError(f"expected {n} integer labels, one per sample, got {y.dtype} of shape {y.shape}")
    if n and (y.min() < 0 or y.max() >= n_classes):
        raise UserError(f"labels run from {y.min()} to {y.max()}, expected 0 to {n_classes - 1}")
    return y.astype(np.int64)


def check_targets(targets: NDArray[Any], n: int, n_classes: int) -> NDArray[np.bool_]:
    """The classes each sample belongs to, shape (n, K); UserError unless they are bool and of that shape."""
    t = np.asarray(targets)
    if t.shape != (n, n_classes) or t.dtype != np.bool_:
        raise UserError(f"expected bool targets of shape ({n}, {n_classes}), got {t.dtype} of shape {t.shape}")
    return t


def check_patients(patients: NDArray[Any] | Sequence[str], n: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The distinct patients, sorted, and each sample's index among them, shape (n,); UserError unless each has one."""
    patients = np.asarray(patients)
    if patients.shape != (n,):
        raise UserError(f"expected {n} patients, one per sample, got shape {patients.shape}")
    names, index = np.unique(patients, return_inverse=True)
    return names, index.astype(np.int64)


def check_probabilities(probabilities: NDArray[np.floating[Any]], n: int, n_classes: int) -> NDArray[np.float64]:
    """The probabilities (any scores where more means likelier) as float64; UserError unless (n, K) and finite."""
    p = np.asarray(probabilities, dtype=np.float64)
    if p.shape != (n, n_classes):
        raise UserError(f"expected probabilities of shape ({n}, {n_classes}), got {p.shape}")
    if not np.isfinite(p).all():
        raise UserError(f"{(~np.isfinite(p)).any(axis=1).sum()} of {n} rows of probabilities are not finite")
    return p


def check_features(features: NDArray[np.floating[Any]], name: str) -> NDArray[np.float32]:
    """The features as float32; UserError unless finite, of shape (n, d) and with rows and columns."""
    x = np.asarray(features, dtype=np.float32)
    if x.ndim != 2 or 0 in x.shape:
        raise UserError(f"expected {name} features of shape (n, d), got {x.shape}")
    bad = ~np.isfinite(x).all(axis=1)
    if bad.any():
        raise UserError(f"{bad.sum()} of {len(x)} rows of {name} features are not finite (first: row {bad.argmax()})")
    return x


def check_windows(windows: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """The windows as float32; UserError unless finite, of shape (n, C, T) and with channels and samples."""
    x = np.asarray(windows, dtype=np.float32)
    if x.ndim != 3 or 0 in x.shape[1:]:
        raise UserError(f"expected windows of shape (n, C, T), got {x.shape}")
    if bad := int((~np.isfinite(x).all(axis=(1, 2))).sum()):
        raise UserError(f"{bad} of {len(x)} windows hold values that are not finite")
    return x
