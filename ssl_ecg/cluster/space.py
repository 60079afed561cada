"""The space embeddings are clustered in: reduced once, the same for every method and system.

All methods work on the leading principal components, not whitened: distances in 512 dimensions are nearly all alike,
and HDBSCAN is twenty times slower on them than on 32.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.errors import UserError
from ssl_ecg.estimators.sampling import evenly_over_patients
from ssl_ecg.metrics.scores import check_features, check_patients

Array = NDArray[np.float32]
Clusters = NDArray[np.int64]
Assign = Callable[[Array], Clusters]
"""A fitted method: points (n, d) to the cluster of each (n,), -1 for noise."""

LEAST_PATIENTS = 4
"""So many are needed, to cluster halves of them."""

LEAST_SAMPLES = 8
_COLLAPSED = 1e-6  # spread over size of features, below which float32 holds only rounding


@dataclass(frozen=True)
class Space:
    """Points x (n, d) to cluster, at a root mean square distance of 1 from their centre.

    Methods are fitted on the rows `fit` (m,), and for the stability on `halves` of these, random halves of the
    patients; all others are assigned afterwards. The silhouette is taken over the rows `judged` (s,) of `fit`.
    """

    x: Array
    fit: NDArray[np.int64]
    halves: tuple[NDArray[np.int64], ...]
    judged: NDArray[np.int64]
    seed: int

    @cached_property
    def distinct(self) -> int:
        """How many different points are fitted on: fewer than `fit` where samples coincide."""
        return len(np.unique(self.x[self.fit], axis=0))

    def silhouette(self, labels: Clusters) -> float:
        """Mean silhouette of the judged points that are in a cluster, from -1 to 1; NaN for fewer than two clusters.

        Rousseeuw, "Silhouettes: a graphical aid to the interpretation and validation of cluster analysis", Journal of
        Computational and Applied Mathematics 1987.
        """
        from sklearn.metrics import silhouette_score

        mine = labels[self.judged]
        inside = mine >= 0
        if not 2 <= len(np.unique(mine[inside])) < inside.sum():
            return float("nan")
        return float(silhouette_score(self.x[self.judged[inside]], mine[inside]))

    def stability(self, fit: Callable[[Array], Assign]) -> float:
        """How alike the clusters of all samples are when the method is fitted on different halves of the patients.

        The mean adjusted Rand index between the clusterings of all of `fit`, without what is noise in both: 1 for the
        same clusters, 0 for no more than chance, NaN if no half finds two clusters: agreeing that there is nothing is
        not stable. Halves of patients, not of samples: a cluster that is there because of one person goes with that
        person. After Ben-Hur, Elisseeff & Guyon, "A stability based method for discovering structure in clustered
        data", Pacific Symposium on Biocomputing 2002.
        """
        found = [fit(self.x[half])(self.x[self.fit]) for half in self.halves]
        alike = np.array([_agreement(one, two) for one, two in combinations(found, 2)])
        return float("nan") if np.isnan(alike).all() else float(np.nanmean(alike))


def make_space(
    features: NDArray[np.floating[Any]],
    patients: NDArray[Any],
    *,
    dims: int = 32,
    standardise: bool = False,
    fit_on: int = 8000,
    judge: int = 3000,
    halves: int = 4,
    seed: int = 0,
) -> Space:
    """Reduce features (n, D) to their `dims` leading principal components and choose the rows to fit on.

    Features of no more dimensions are only centred. `standardise`: divide each by its standard deviation first, for
    features with units of their own; an embedding's dimensions share one, and dividing would blow up those that hold
    little. At most `fit_on` samples are fitted on, an even share of every patient, and `judge` of them judged.
    UserError for features or patients (n,) that do not fit each other, too few of either, or samples that coincide.
    """
    from sklearn.decomposition import PCA

    x = check_features(features, "the clustered")
    names, patient = check_patients(patients, len(x))
    if len(names) < LEAST_PATIENTS:
        raise UserError(f"clustering needs {LEAST_PATIENTS} patients, to judge stability by halves, got {len(names)}")
    if min(len(x), fit_on) < LEAST_SAMPLES or min(dims, judge, halves) < 2:
        given = f"{len(x)} samples, {fit_on} to fit on, {judge} to judge, {dims} dimensions and {halves} halves"
        raise UserError(f"clustering needs {LEAST_SAMPLES} samples and two of all else, got {given}")
    rng = np.random.default_rng(seed)
    fit = evenly_over_patients(patient, fit_on, rng)
    size = _rms(x[fit])
    x = x - x[fit].mean(axis=0)
    if _rms(x[fit]) <= _COLLAPSED * size:
        raise UserError(f"all {len(fit)} samples coincide (the features differ by rounding alone: they have collapsed)")
    if standardise:
        x = x / np.maximum(x[fit].std(axis=0), 1e-6)
    if x.shape[1] > dims:
        x = PCA(min(dims, len(fit)), svd_solver="randomized", random_state=seed).fit(x[fit]).transform(x)
    x = x / max(_rms(x[fit]), 1e-12)
    drawn = [rng.permutation(len(names))[: len(names) // 2] for _ in range(halves)]
    return Space(
        np.ascontiguousarray(x, dtype=np.float32),
        fit,
        tuple(fit[np.isin(patient[fit], half)] for half in drawn),
        np.sort(rng.permutation(fit)[:judge]),
        seed,
    )


def _rms(x: Array) -> float:
    """Root mean square length of points (n, d)."""
    return float(np.sqrt(np.square(x).sum(axis=1).mean()))


def _agreement(one: Clusters, two: Clusters) -> float:
    """Adjusted Rand index over what is in a cluster in either; NaN where neither parts it."""
    from sklearn.metrics import adjusted_rand_score

    inside = (one >= 0) | (two >= 0)
    if max(len(np.unique(labels[inside])) for labels in (one, two)) < 2:
        return float("nan")
    return float(adjusted_rand_score(one[inside], two[inside]))
