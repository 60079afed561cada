"""Clusters of the beats of a day, each with its median beat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.estimators.pca import fit_pca
from ssl_ecg.estimators.sampling import evenly_spaced
from ssl_ecg.monitor.heard import Heard

_FIT_ON = 10_000  # beats, evenly over the day
_COMPONENTS = 16
_CENTRES = 24
_ALIKE, _SIZE = 0.95, 1.4  # correlation of median beats, and ratio of their sizes, up to which two clusters are one
_SHOWN = 300  # beats that a median beat is made of


@dataclass(frozen=True)
class Cluster:
    """Beats that look alike: how many, and their median beat with its quartiles, uV, shape (80,) each."""

    count: int
    median: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def cluster(heard: Heard) -> tuple[NDArray[np.int16], list[Cluster]]:
    """Cluster the beats of a tape by their embeddings, and join clusters whose median beats look the same.

    By k-means over 16 principal components, both fitted to 10,000 beats spread over the tape.

    Returns:
        The number of each beat's cluster, -1 where its lead could not be read, shape (n,), and the clusters, the
        largest first.
    """
    number = np.full(len(heard.sample), -1, dtype=np.int16)
    readable = np.concatenate([np.zeros(0, np.int64), *(rows for rows, _ in heard.embeddings())])
    if len(readable) < 2:
        return number, []
    fit_on = readable[evenly_spaced(len(readable), _FIT_ON)]
    space = _Space(heard.take(fit_on, "embedding").astype(np.float32))
    for rows, z in heard.embeddings():
        number[rows] = space.nearest(z)
    some = [np.flatnonzero(number == each) for each in range(int(number.max()) + 1)]
    rows = np.sort(np.concatenate([mine[evenly_spaced(len(mine), _SHOWN)] for mine in some if len(mine)]))
    return _joined(number, number[rows], heard.take(rows, "shape"))


class _Space:
    """Principal components of beats (n, D), and the centres of k-means in them."""

    def __init__(self, z: NDArray[np.float32]) -> None:
        from sklearn.cluster import KMeans

        self._mean, self._scale = z.mean(0), z.std(0) + 1e-6
        scaled = (z - self._mean) / self._scale
        self._pca = fit_pca(scaled, min(_COMPONENTS, *z.shape))
        reduced = self._pca(scaled)
        self._means = KMeans(min(_CENTRES, len(np.unique(reduced, axis=0))), n_init=2, random_state=0).fit(reduced)

    def nearest(self, z: NDArray[np.float32]) -> NDArray[np.int16]:
        """Number of the nearest centre, shape (n,)."""
        return np.asarray(self._means.predict(self._pca((z - self._mean) / self._scale)), dtype=np.int16)


def _joined(
    number: NDArray[np.int16], of: NDArray[np.int16], shapes: NDArray[np.int16]
) -> tuple[NDArray[np.int16], list[Cluster]]:
    """Join clusters whose median beats look the same to the larger of them, and number them by size.

    `shapes` (m, 80) are some beats of each cluster, `of` (m,).
    """
    counts = {int(each): int((number == each).sum()) for each in np.unique(of)}
    medians = {each: np.median(shapes[of == each], axis=0) for each in counts}
    members: dict[int, list[int]] = {}
    for each in sorted(counts, key=lambda each: -counts[each]):
        alike = (head for head in members if _same(medians[each], medians[head]))
        members.setdefault(next(alike, each), []).append(each)
    again, made = np.full(len(number), -1, dtype=np.int16), list[Cluster]()
    for some in sorted(members.values(), key=lambda some: -sum(counts[each] for each in some)):
        again[np.isin(number, some)] = len(made)
        low, median, high = np.percentile(shapes[np.isin(of, some)], [25, 50, 75], axis=0)
        made.append(Cluster(sum(counts[each] for each in some), median, low, high))
    return again, made


def _same(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Whether two median beats have one shape and about one size."""
    one, other = one - one.mean(), other - other.mean()
    sizes = float(np.linalg.norm(one)), float(np.linalg.norm(other))
    if min(sizes) == 0:
        return max(sizes) == 0
    return bool(one @ other / (sizes[0] * sizes[1]) > _ALIKE and max(sizes) / min(sizes) < _SIZE)
