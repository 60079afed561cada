"""Agreement of clusters with classes, from tables of counts: many tables at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.metrics.scores import Array


def agreement(tables: Array) -> dict[str, Array]:
    """Score tables (B, clusters, classes), one clustering's and its resamples': `nmi`, `ami`, `ari`, ..., each (B,).

    NaN where all samples are of one class. The information expected by chance is exact for the first table; for the
    others it is scaled by the leading term of its expansion, (clusters - 1) (classes - 1) / 2 (samples - 1).
    """
    mutual, of_cluster, of_class = information(tables)
    filled = [np.maximum((tables.sum(axis=axis) > 0).sum(axis=-1) - 1, 0) for axis in (-1, -2)]
    leading = filled[0] * filled[1] / np.maximum(tables.sum(axis=(-2, -1)) - 1, 1)
    chance = leading * (expected_information(tables[0]) / max(leading[0], 1e-12))
    half = (of_cluster + of_class) / 2
    scores = {
        "nmi": _ratio(mutual, half),
        "ami": _ratio(mutual - chance, half - chance),
        "ari": _rand(tables),
        "explained": _ratio(mutual - chance, of_class - chance),
        "purity": purity(tables),
    }
    return {name: np.where(of_class > 0, values, np.nan) for name, values in scores.items()}


def count_tables(group: NDArray[np.int64], clusters: NDArray[np.int64], y: NDArray[np.int64]) -> Array:
    """Count samples by group, cluster and class, shape (groups, clusters, classes)."""
    shape = tuple(int(part.max()) + 1 for part in (group, clusters, y))
    index = np.ravel_multi_index((group, clusters, y), shape)
    return np.bincount(index, minlength=int(np.prod(shape))).reshape(shape).astype(np.float64)


def information(tables: Array) -> tuple[Array, Array, Array]:
    """Mutual information, entropy of the clusters and of the classes, in nats, of tables (..., clusters, classes)."""
    of_cluster, of_class = _entropy(tables.sum(axis=-1)), _entropy(tables.sum(axis=-2))
    joint = _entropy(tables.reshape(*tables.shape[:-2], -1))
    return np.maximum(of_cluster + of_class - joint, 0), of_cluster, of_class


def expected_information(table: Array) -> float:
    """Expected mutual information of random clusters, exact: Vinh, Epps & Bailey, JMLR 2010."""
    from sklearn.metrics.cluster import expected_mutual_information

    there = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0].astype(np.int64)
    if min(there.shape) < 2:
        return 0.0
    return float(expected_mutual_information(there, int(there.sum())))


def purity(tables: Array) -> Array:
    """Share of the samples of their cluster's commonest class, for tables (..., clusters, classes)."""
    return np.asarray(tables.max(axis=-1).sum(axis=-1) / np.maximum(tables.sum(axis=(-2, -1)), 1))


def _entropy(counts: Array) -> Array:
    """Of counts along the last axis, in nats."""
    shares = counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1)
    return np.asarray(-(shares * np.log(np.where(shares > 0, shares, 1))).sum(axis=-1))


def _rand(tables: Array) -> Array:
    """Adjusted Rand index: Hubert & Arabie, "Comparing partitions", Journal of Classification 1985."""
    together = _pairs(tables).sum(axis=(-2, -1))
    same_cluster, same_class = (_pairs(tables.sum(axis=axis)).sum(axis=-1) for axis in (-1, -2))
    by_chance = same_cluster * same_class / np.maximum(_pairs(tables.sum(axis=(-2, -1))), 1)
    return _ratio(together - by_chance, (same_cluster + same_class) / 2 - by_chance)


def _pairs(n: Array) -> Array:
    return n * (n - 1) / 2


def _ratio(part: Array, whole: Array) -> Array:
    return np.where(whole > 1e-12, part / np.maximum(whole, 1e-12), 0.0)
