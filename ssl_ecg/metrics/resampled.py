"""How one class is ranked on every resample of the patients, without ranking anything again.

`drawn` says how often each patient is in each resample. Scores do not change, only how often each sample counts; so
the samples are ranked once, counted per patient and place, and the counts multiplied with `drawn`. All counts are
whole or half numbers, which makes the AUROC exact whichever way it is summed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.metrics.scores import Array

_AT_ONCE = 4_000_000  # numbers held at a time


def resampled_auroc(positive: NDArray[np.bool_], scores: Array, patient: NDArray[np.int64], drawn: Array) -> Array:
    """AUROC of one class when each patient counts as often as it was drawn, shape (B,).

    `positive` (n,) says which samples belong to the class, scores (n,) rank them, more meaning likelier, `patient` (n,)
    says whose each is, 0 to R - 1, and `drawn` (B, R) how often each patient is in each resample. NaN where a resample
    has no positives or no negatives.
    """
    n_patients = drawn.shape[1]
    if n_patients > len(drawn) // 4:
        return resampled_ranking(positive, scores, patient, drawn)[0]
    # Few patients: cheaper to count once what the positives of each win against the negatives of each.
    order = np.argsort(scores[~positive], kind="stable")
    negatives = scores[~positive][order]
    negative_of = patient[~positive][order]
    low = np.searchsorted(negatives, scores[positive], side="left")
    high = np.searchsorted(negatives, scores[positive], side="right")
    positive_of = patient[positive]
    won = np.empty((n_patients, n_patients))
    for theirs in range(n_patients):
        below = np.concatenate([[0], np.cumsum(negative_of == theirs)])
        won[:, theirs] = np.bincount(positive_of, (below[low] + below[high]) / 2, minlength=n_patients)
    wins = ((drawn @ won) * drawn).sum(axis=1)
    pairs = (drawn @ np.bincount(positive_of, minlength=n_patients)) * (
        drawn @ np.bincount(negative_of, minlength=n_patients)
    )
    return np.where(pairs > 0, wins / np.maximum(pairs, 1), np.nan)


def resampled_ranking(
    positive: NDArray[np.bool_], scores: Array, patient: NDArray[np.int64], drawn: Array
) -> tuple[Array, Array]:
    """AUROC and average precision of one class, both as `resampled_auroc` gives the first."""
    auroc, precision = _over_steps(positive, scores, patient, drawn, _areas)
    return auroc, precision


def resampled_detection(
    positive: NDArray[np.bool_], scores: Array, patient: NDArray[np.int64], drawn: Array, specificity: float = 0.95
) -> tuple[Array, Array, Array]:
    """As `resampled_ranking`, and the sensitivity at a specificity, the least share of negatives below the threshold.

    The sensitivity is that of the lowest threshold at which the negatives of the same resample have the specificity: a
    point of its ROC curve, not what a threshold that was set beforehand achieves.
    """

    def measured(mine: Array, below: Array, not_above: Array, negatives: Array) -> Array:
        total = mine.sum(axis=0)
        found = (mine * (below >= specificity * negatives - 1e-6)).sum(axis=0)  # counts: 1e-6 is rounding
        sensitivity = np.where((total > 0) & (negatives > 0), found / np.maximum(total, 1), np.nan)
        return np.concatenate([_areas(mine, below, not_above, negatives), sensitivity[None]])

    auroc, precision, sensitivity = _over_steps(positive, scores, patient, drawn, measured, results=3)
    return auroc, precision, sensitivity


def _over_steps(
    positive: NDArray[np.bool_],
    scores: Array,
    patient: NDArray[np.int64],
    drawn: Array,
    measured: Callable[[Array, Array, Array, Array], Array],
    results: int = 2,
) -> Array:
    """What is measured from the counts of `_areas`, shape (results, B).

    Only the distinct scores of positives matter, and how many negatives lie between them.
    """
    from scipy.sparse import csr_array

    steps = np.unique(scores[positive])
    if not len(steps) or positive.all():
        return np.full((results, len(drawn)), np.nan)
    # Place 2 i + 1 holds what scores as the i-th step, place 2 i what scores below it and above the one before.
    place = np.searchsorted(steps, scores, side="left") + np.searchsorted(steps, scores, side="right")

    def counted(which: NDArray[np.bool_], row: NDArray[np.int64], rows: int) -> csr_array:
        ones = np.ones(len(row), dtype=np.float32)
        return csr_array((ones, (row, patient[which])), shape=(rows, drawn.shape[1]))

    negatives = counted(~positive, place[~positive], 2 * len(steps) + 1)
    positives = counted(positive, place[positive] // 2, len(steps))
    found = []
    size = max(1, _AT_ONCE // (2 * len(steps) + 1))
    for some in np.split(drawn, range(size, len(drawn), size)):
        times = np.ascontiguousarray(some.T, dtype=np.float32)
        up_to = np.cumsum(negatives @ times, axis=0, dtype=np.float64)
        mine = (positives @ times).astype(np.float64)
        found.append(measured(mine, up_to[:-1:2], up_to[1::2], up_to[-1]))
    return np.concatenate(found, axis=1)


def _areas(mine: Array, below: Array, not_above: Array, negatives: Array) -> Array:
    """Both areas of B resamples, shape (2, B).

    `mine` counts the positives at each of m steps, `below` the negatives that score less, `not_above` those that score
    less or the same, (m, B); `negatives` counts them all, (B,).
    """
    total = mine.sum(axis=0)
    defined = (total > 0) & (negatives > 0)
    wins = (mine * (below + not_above)).sum(axis=0) / 2
    found = np.cumsum(mine[::-1], axis=0)[::-1]  # positives at this step or above
    precision = (mine * found / np.maximum(found + negatives - below, 1)).sum(axis=0)
    areas = np.stack([wins / np.maximum(total * negatives, 1), precision / np.maximum(total, 1)])
    return np.where(defined, areas, np.nan)
