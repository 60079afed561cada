"""Scores of a classifier whose classes do not exclude each other: a ranking and a threshold for each.

Every macro average is over the classes that enough patients have, and enough lack (`scorable`): the area of a class
that two test patients have says more of the two than of the classifier. The others are listed, and have no scores of
their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.metrics.checks import check_patients, check_probabilities, check_targets
from ssl_ecg.metrics.scores import Array, auroc, f1_of, mean_defined

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
