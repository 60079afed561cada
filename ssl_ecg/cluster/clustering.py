"""Clusters of embeddings: k-means, Gaussian mixture, HDBSCAN and DBSCAN, their parameters chosen without labels.

    space = make_space(embeddings, patients)
    found = kmeans(space)                # k by silhouette and stability: found.candidates has both for every k
    found = kmeans(space, k=16)          # or k as it is told

Each is fitted on `space.fit`; other samples get the cluster of the nearest centre or the likeliest component. Where
clusters have no centre, that of the nearest fitted sample (of DBSCAN's core samples), or noise where it lies farther
away than DBSCAN's radius or, for HDBSCAN, than that sample's own tenth nearest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.cluster.space import Array, Assign, Clusters, Space
from ssl_ecg.errors import UserError

COUNTS = (2, 3, 4, 5, 6, 8, 12, 16, 24, 32)
"""Numbers of clusters to choose from."""

SIZES = (0.005, 0.01, 0.02, 0.04, 0.08)
"""Smallest clusters of HDBSCAN to choose from, as shares of the samples."""

STABLE = 0.9
"""Share of the best stability from which a number of clusters counts as stable."""

MIN_SAMPLES = 10
"""Of DBSCAN and HDBSCAN: the density at a sample is judged by the distance to its tenth nearest."""

_STARTS = 4  # of k-means

Row = Mapping[str, float]


@dataclass(frozen=True)
class Clustering:
    """Clusters of the samples (n,), from 0 on, the largest first, -1 for noise, and how the parameters were chosen.

    `reason` is the criterion, `candidates` are the values that were tried, with their criteria; `distances` (DBSCAN
    alone) those of each fitted sample to its tenth nearest, ascending.
    """

    method: str
    labels: Clusters
    parameters: Row
    reason: str
    candidates: Sequence[Row] = ()
    chosen: Row = field(default_factory=dict)
    distances: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    @property
    def n_clusters(self) -> int:
        """Number of clusters without the noise."""
        return int(self.labels.max(initial=-1)) + 1

    @property
    def noise(self) -> float:
        """Share of the samples in no cluster."""
        return float((self.labels < 0).mean())

    @property
    def choice(self) -> dict[str, Any]:
        """The parameters and how they were chosen, as plain values."""
        return {"chosen": self.parameters, "chosen_by": self.reason, "candidates": list(self.candidates)}


def kmeans(space: Space, k: int | None = None) -> Clustering:
    """k-means with k-means++ starts; UserError for k below 2 or above the number of different fitted samples.

    Without k: of the stable numbers of clusters, those with at least 0.9 of the best one's stability, the one with the
    largest silhouette is chosen.
    """
    if k is not None:
        return Clustering("k-means", _assigned(space, _kmeans(_checked(k, space), space)), {"k": k}, "given")
    rows, found = [], {}
    for count in _counts(space):
        fit = _kmeans(count, space)
        found[count] = _assigned(space, fit)
        rows.append({"k": count, "silhouette": space.silhouette(found[count]), "stability": space.stability(fit)})
    defined = np.nan_to_num([[row["stability"], row["silhouette"]] for row in rows], nan=-np.inf)
    stability, silhouette = defined.T
    best = rows[int(np.where(stability >= STABLE * stability.max(), silhouette, -np.inf).argmax())]
    why = f"of the most stable (stability {best['stability']:.2f})"
    if np.isinf(stability.max()):
        why = "(no stability: the samples of half of the patients coincide)"
    reason = f"largest silhouette {why}" + _at_the_edge(best, rows)
    return Clustering("k-means", found[int(best["k"])], {"k": best["k"]}, reason, rows, best)


def gaussian_mixture(space: Space, k: int | None = None) -> Clustering:
    """A mixture of k Gaussians with full covariances; each sample belongs to its likeliest component.

    Without k, the one with the smallest Bayesian information criterion (BIC) is chosen. UserError as of `kmeans`.
    """
    from sklearn.mixture import GaussianMixture

    ridge = 1e-3 / space.x.shape[1]  # the variances add up to 1: a component narrower than a thousandth is a spike
    rows, found, fitted = [], {}, space.x[space.fit]
    for count in _counts(space) if k is None else [_checked(k, space)]:
        model = GaussianMixture(count, reg_covar=ridge, max_iter=200, random_state=space.seed)
        model.fit(fitted.astype(np.float64))
        found[count] = _largest_first(model.predict(space.x))
        bic = float(model.bic(fitted))
        rows.append({"k": count, "BIC": bic, "silhouette": space.silhouette(found[count])})
    best = min(rows, key=lambda row: row["BIC"])
    reason = "smallest BIC" + _at_the_edge(best, rows) if k is None else "given"
    return Clustering("Gaussian mixture", found[int(best["k"])], {"k": best["k"]}, reason, rows, best)


def hdbscan(space: Space) -> Clustering:
    """HDBSCAN: clusters that persist over densities; the rest is noise.

    The smallest cluster, as a share of the samples, with the largest stability is chosen, of those that find two
    clusters. The silhouette is shown only: it prefers parameters that call most samples noise.

    Campello, Moulavi & Sander, "Density-based clustering based on hierarchical density estimates", PAKDD 2013.
    """
    rows, found = [], {}
    for share in SIZES:
        fit = _hdbscan(share)
        found[share] = _assigned(space, fit)
        rows.append(
            {"smallest cluster (share)": share, "stability": space.stability(fit)} | _found(space, found[share])
        )
    best = max(rows, key=lambda row: (row["clusters"] > 1, np.nan_to_num(row["stability"], nan=-1.0)))
    share = best["smallest cluster (share)"]
    parameters = {"min_cluster_size": _smallest(share, len(space.fit)), "min_samples": MIN_SAMPLES}
    stable = f"largest stability, {best['stability']:.2f}" + _at_the_edge(best, rows)
    reason = stable if best["clusters"] > 1 else "no smallest cluster that was tried finds two"
    return Clustering("HDBSCAN", found[share], parameters, reason, rows, best)


def dbscan(space: Space) -> Clustering:
    """DBSCAN: clusters of at least one density; the rest is noise.

    The radius is the elbow of the sorted distances to the tenth nearest, where they lie farthest below the chord
    between their ends (Ester, Kriegel, Sander & Xu, "A density-based algorithm for discovering clusters", KDD 1996;
    Satopää et al., "Finding a kneedle in a haystack", ICDCS Workshops 2011). Other radii on the curve are candidates.
    UserError if most fitted samples coincide with ten others, so that the elbow lies at 0.
    """
    distances = np.sort(_core_distances(space.x[space.fit]))
    elbow = float(distances[_elbow(distances)])
    if elbow <= 0:
        some = f"only {space.distinct} of {len(space.fit)} fitted samples differ"
        raise UserError(f"DBSCAN finds no radius: most samples coincide ({some})")
    radii = sorted({*np.quantile(distances, (0.1, 0.3, 0.5, 0.7, 0.9)).tolist(), elbow})
    found = {radius: _assigned(space, _dbscan(radius)) for radius in radii if radius > 0}
    rows = [{"radius": radius} | _found(space, labels) for radius, labels in found.items()]
    parameters = {"eps": elbow, "min_samples": MIN_SAMPLES}
    best = next(row for row in rows if row["radius"] == elbow)
    return Clustering("DBSCAN", found[elbow], parameters, "elbow of the k-distance curve", rows, best, distances)


METHODS: Mapping[str, Callable[[Space], Clustering]] = {
    "kmeans": kmeans,
    "mixture": gaussian_mixture,
    "hdbscan": hdbscan,
    "dbscan": dbscan,
}
"""By their name on the command line."""


def _found(space: Space, labels: Clusters) -> dict[str, float]:
    """Silhouette, number of clusters and share of noise."""
    found = {"silhouette": space.silhouette(labels), "clusters": int(labels.max()) + 1}
    return found | {"noise": float((labels < 0).mean())}


def _kmeans(k: int, space: Space) -> Callable[[Array], Assign]:
    from sklearn.cluster import KMeans

    return lambda x: KMeans(min(k, len(x)), n_init=_STARTS, random_state=space.seed).fit(x).predict


def _hdbscan(share: float) -> Callable[[Array], Assign]:
    from sklearn.cluster import HDBSCAN

    def fit(x: Array) -> Assign:
        size, near = _smallest(share, len(x)), min(MIN_SAMPLES, len(x))
        labels = HDBSCAN(min_cluster_size=size, min_samples=near, copy=False).fit(x).labels_
        return _as_the_nearest(x, labels, within=_core_distances(x))

    return fit


def _smallest(share: float, n: int) -> int:
    return max(2, round(share * n))


def _dbscan(radius: float) -> Callable[[Array], Assign]:
    from sklearn.cluster import DBSCAN

    def fit(x: Array) -> Assign:
        model = DBSCAN(eps=radius, min_samples=MIN_SAMPLES).fit(x)
        core = model.core_sample_indices_
        return _as_the_nearest(x[core], model.labels_[core], within=np.full(len(core), radius))

    return fit


def _core_distances(x: Array) -> NDArray[np.float64]:
    """Distance of each point to its tenth nearest other, shape (n,)."""
    from sklearn.neighbors import NearestNeighbors

    near = min(MIN_SAMPLES, len(x) - 1)
    return np.asarray(NearestNeighbors(n_neighbors=near).fit(x).kneighbors()[0][:, -1], dtype=np.float64)


def _as_the_nearest(x: Array, labels: Clusters, within: NDArray[np.float64]) -> Assign:
    """Give points the label of the nearest of x (n, d), or -1 where that is farther than its `within` (n,)."""
    from sklearn.neighbors import NearestNeighbors

    def assign(points: Array) -> Clusters:
        if not len(x):
            return np.full(len(points), -1)
        distance, nearest = NearestNeighbors(n_neighbors=1).fit(x).kneighbors(points)
        return np.where(distance[:, 0] <= within[nearest[:, 0]], labels[nearest[:, 0]], -1)

    return assign


def _assigned(space: Space, fit: Callable[[Array], Assign]) -> Clusters:
    return _largest_first(fit(space.x[space.fit])(space.x))


def _largest_first(labels: Clusters) -> Clusters:
    """The same clusters, numbered by size; those without samples have no number."""
    names, number, count = np.unique(labels, return_inverse=True, return_counts=True)
    place = np.empty(len(names), dtype=np.int64)
    place[np.lexsort((-count, names < 0))] = np.arange(len(names))  # noise last
    return np.where(names < 0, -1, place)[number]


def _elbow(ascending: NDArray[np.float64]) -> int:
    """Where an ascending curve lies farthest below the chord between its ends."""
    return int((np.linspace(ascending[0], ascending[-1], len(ascending)) - ascending).argmax())


def _counts(space: Space) -> list[int]:
    return [count for count in COUNTS if count <= min(len(space.fit) // 4, space.distinct)]


def _checked(k: int, space: Space) -> int:
    if not 2 <= k <= space.distinct:
        of = f"{space.distinct} different samples" if space.distinct < len(space.fit) else f"{len(space.fit)} samples"
        raise UserError(f"the number of clusters must be from 2 to the {of}, not {k}")
    return k


def _at_the_edge(best: Row, rows: Sequence[Row]) -> str:
    return ", and the largest that was tried" if best is rows[-1] else ""
