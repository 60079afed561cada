"""What clusters have found: the disease, or whose heart it is.

Agreement with the class is scored beside agreement with the patient, by the same scores, because an embedding that
groups people also agrees with their diseases. Both follow from tables of how many samples of each cluster belong to
each class or patient, and such tables add up over patients, so a thousand bootstrap resamples are scored at once.

- **NMI** and **AMI** are normalised by the mean of the two entropies, as in scikit-learn; AMI is 0 for clusters that
  know nothing. With few classes and many clusters neither can reach 1, so AMI of class and of patient do not compare
  directly. **Explained** does: the share of the class's (patient's) entropy that the clusters take away, beyond chance.
- **Within patients** is the same inside each patient: whether beats of one heart are told apart. Clusters that know who
  it is, and nothing else, have 0.
- **Purity** is the share of samples that are of their cluster's commonest class; it grows with the number of clusters
  and with the commonest class, so it stands beside that of random clusters of the same sizes.

A resample repeats patients and so holds fewer people, among whom clusters agree better with anything. What is resampled
is therefore moved so that its mean is the score of the samples themselves: intervals say how much a score varies with
who is in the test set, of this size.

Noise counts as one cluster more in all scores. Where a sample may belong to several classes, each class is scored by
itself, belonging against not, and the scores are averaged over the classes that enough patients have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.cluster.agreement import agreement, count_tables, expected_information, information, purity
from ssl_ecg.cluster.clustering import Clustering
from ssl_ecg.errors import UserError
from ssl_ecg.metrics.bootstrap import Difference, Interval, Resampled, difference
from ssl_ecg.metrics.checks import check_patients
from ssl_ecg.metrics.multilabel import ENOUGH, scorable
from ssl_ecg.metrics.scores import Array, mean_defined
from ssl_ecg.study.benchmark import Labels, bootstrap_of

_SHUFFLES = 20


@dataclass(frozen=True)
class ClusterResult:
    """What one clustering of one system's features is worth.

    Attributes:
        system: whose features.
        way: how they were clustered, the same for all systems it is compared with.
        clustering: the clusters.
        silhouette: of them, in the space they were found in.
        scores: agreement with the class, with intervals over patients, by name.
        patient: agreement with the patient, by the same names: `nmi`, `ami`, `ari`, `explained` and `purity`; and
            `purity_random`, of random clusters of the same sizes.
        purity_random: purity of the classes in random clusters of the same sizes; NaN where a sample may have several.
        versus: paired differences of the scores to other systems, clustered by the same method.
    """

    system: str
    way: str
    clustering: Clustering
    silhouette: float
    scores: Mapping[str, Interval]
    patient: Mapping[str, float]
    purity_random: float
    versus: Mapping[str, Mapping[str, Difference]] = field(default_factory=dict)


class ClusterBootstrap:
    """Scores clusterings of the same samples on the same resamples of their patients.

    Args:
        labels: classes and patients of the samples.
        classes: the K class names.
        resamples: B.
        seed: of the draws.

    Attributes:
        too_few: classes that are not averaged over, because too few patients have or lack them; only where a sample
            may have several.

    Raises:
        UserError: for labels or patients that do not fit, fewer than two patients, or no class to score.
    """

    def __init__(self, labels: Labels, classes: Sequence[str], *, resamples: int = 1000, seed: int = 0) -> None:
        self.classes = tuple(classes)
        self.multilabel = labels.y.ndim == 2
        drawn = bootstrap_of(labels, classes, n_resamples=resamples, seed=seed)
        self._patient, self._drawn = drawn.patient, drawn.drawn
        self._key = hash((drawn.drawn.tobytes(), labels.y.tobytes(), drawn.patient.tobytes()))
        self.too_few: tuple[str, ...] = ()
        if self.multilabel:
            chosen = scorable(labels.y, labels.patients)
            self.too_few = tuple(name for name, enough in zip(classes, chosen, strict=True) if not enough)
            self._columns = [labels.y[:, i].astype(np.int64) for i in np.flatnonzero(chosen)]
            if not self._columns:
                raise UserError(f"no class can be scored: each needs {ENOUGH} patients who have it and as many without")
        else:
            self._columns = [np.asarray(labels.y, dtype=np.int64)]

    def resample(self, clusters: NDArray[np.integer[Any]]) -> Resampled:
        """Score clusters against the classes, on the test set and on every resample.

        Args:
            clusters: of each sample, -1 for noise, shape (n,).

        Returns:
            `nmi`, `ami`, `ari`, `explained`, `within` and, unless a sample may have several classes, `purity`.

        Raises:
            UserError: unless there is a cluster for each sample.
        """
        if clusters.shape != self._patient.shape:
            raise UserError(f"expected {len(self._patient)} clusters, one per sample, got shape {clusters.shape}")
        number = np.unique(clusters, return_inverse=True)[1]
        each = [self._of_column(number, column) for column in self._columns]
        scores = {name: mean_defined(np.stack([found[name] for found in each])) for name in each[0]}
        if self.multilabel:
            del scores["purity"]  # of belonging against not: near 1 for a rare class, whatever the clusters
        values = {name: float(found[0]) for name, found in scores.items()}
        return Resampled(values, {name: _centred(found[1:], found[0]) for name, found in scores.items()}, self._key)

    def _of_column(self, clusters: NDArray[np.int64], y: NDArray[np.int64]) -> dict[str, Array]:
        """Every score of the test set itself and then of the resamples, shape (1 + B,)."""
        by_patient = count_tables(self._patient, clusters, y)
        weights = np.concatenate([np.ones((1, len(by_patient))), self._drawn])
        shape = by_patient.shape[1:]
        tables = (weights @ by_patient.reshape(len(by_patient), -1)).reshape(-1, *shape)
        inside = [(t.sum(), information(t), expected_information(t)) for t in by_patient]
        gained = np.array([n * (found.mutual - chance) for n, found, chance in inside], dtype=np.float64)
        possible = np.array([n * (found.of_class - chance) for n, found, chance in inside], dtype=np.float64)
        told = weights @ possible
        enough = (possible > 1e-9).sum() >= ENOUGH  # patients with several classes
        within = np.where((told > 0) & enough, weights @ gained / np.maximum(told, 1e-12), np.nan)
        return {**agreement(tables), "within": within}


class ClusterBenchmark:
    """Scores systems that are clustered in the same ways, and compares them in pairs.

    Args:
        labels: classes and patients of the samples.
        classes: the K class names.
        resamples: of the bootstrap over patients.
        seed: of the bootstrap and of random clusters.
    """

    def __init__(self, labels: Labels, classes: Sequence[str], *, resamples: int = 1000, seed: int = 0) -> None:
        self.labels, self.classes = labels, tuple(classes)
        self.bootstrap = ClusterBootstrap(labels, classes, resamples=resamples, seed=seed)
        self._resampled: dict[tuple[str, str], Resampled] = {}
        self._seed = seed

    def score(
        self, system: str, way: str, clustering: Clustering, silhouette: float, versus: Sequence[str] = ()
    ) -> ClusterResult:
        """Score one clustering of one system.

        Args:
            system: its name.
            way: how it was clustered, the same for all systems it is compared with.
            clustering: the clusters.
            silhouette: of them.
            versus: systems scored before, by the same method, to compare with.
        """
        mine = self.bootstrap.resample(clustering.labels)
        self._resampled[system, way] = mine
        single = not self.bootstrap.multilabel
        return ClusterResult(
            system,
            way,
            clustering,
            silhouette,
            mine.intervals(),
            patient_agreement(clustering.labels, self.labels.patients, seed=self._seed),
            random_purity(clustering.labels, self.labels.y, seed=self._seed) if single else float("nan"),
            {other: difference(mine, self._resampled[other, way]) for other in versus},
        )


def patient_agreement(clusters: NDArray[np.integer[Any]], patients: NDArray[Any], *, seed: int = 0) -> dict[str, float]:
    """How far clusters are people.

    Args:
        clusters: of each sample, -1 for noise, shape (n,).
        patients: whose each sample is, shape (n,).
        seed: of the random clusters.

    Returns:
        `nmi`, `ami`, `ari`, `explained` and `purity` of the patient, and the purity of random clusters of the same
        sizes, `purity_random`.
    """
    patient = check_patients(patients, len(clusters))[1]
    number = np.unique(clusters, return_inverse=True)[1]
    found = agreement(count_tables(np.zeros_like(patient), number, patient))
    scores = {name: float(value[0]) for name, value in found.items()}
    return {**scores, "purity_random": random_purity(clusters, patient, seed=seed)}


def random_purity(clusters: NDArray[np.integer[Any]], y: NDArray[np.integer[Any]], *, seed: int = 0) -> float:
    """Purity that clusters of these sizes have when they know nothing: the mean of some shuffles.

    Args:
        clusters: of each sample, -1 for noise, shape (n,).
        y: its class or patient, shape (n,).
        seed: of the shuffles.
    """
    rng = np.random.default_rng(seed)
    number, of = (np.unique(names, return_inverse=True)[1] for names in (clusters, y))
    one = np.zeros_like(of)
    tables = np.concatenate([count_tables(one, number, rng.permutation(of)) for _ in range(_SHUFFLES)])
    return float(purity(tables).mean())


def _centred(replicates: Array, value: float) -> Array:
    """The same replicates, moved so that their mean is the value."""
    defined = replicates[~np.isnan(replicates)]
    return replicates - (defined.mean() - value) if len(defined) else replicates
