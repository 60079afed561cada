"""Agreement of clusters with classes, beside their agreement with patients: disease or identity.

An embedding that groups patients also agrees with their diseases, so both are scored alike. All scores follow from
tables of samples by cluster and class (or patient); such tables add up over patients, so a thousand bootstrap resamples
are scored at once.

- **NMI** and **AMI** are normalised by the mean of the two entropies, as in scikit-learn; AMI is 0 for random clusters.
  With few classes and many clusters neither can reach 1, so AMI of class and of patient do not compare directly.
- **Explained** does: the share of the class's (patient's) entropy that the clusters take away, beyond chance.
- **Within** is that of the class inside each patient: whether beats of one heart are told apart. It is 0 for clusters
  that are patients.
- **Purity** is the share of samples of their cluster's commonest class; it grows with the number of clusters, so that
  of random clusters of the same sizes stands beside it.

A resample repeats patients and so holds fewer different ones, among whom clusters agree better with anything: its
scores are therefore moved so that their mean is the score of the samples themselves.

Noise counts as one more cluster. Where a sample may belong to several classes, each class is scored by itself,
belonging against not, and the scores are averaged over the classes that enough patients have.
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
from ssl_ecg.metrics.bootstrap import Bootstrap, Difference, Interval, Resampled, difference
from ssl_ecg.metrics.scores import ENOUGH, Array, check_patients, mean_defined, scorable
from ssl_ecg.study.benchmark import Labels

_SHUFFLES = 20


@dataclass(frozen=True)
class ClusterResult:
    """Scores of one clustering, in a `way` such as "k-means, k = 4", of one system's features.

    `scores` are agreement with the class, with intervals over patients; `plain` those without interval: `silhouette`,
    `clusters`, `noise`, `purity_random` (of random clusters of the same sizes; not where a sample may have several
    classes), and `patient_nmi`, `patient_ami`, ... `patient_purity_random`: agreement with the patient. `versus`:
    paired differences to other systems, clustered in the same way.
    """

    system: str
    way: str
    clustering: Clustering
    scores: Mapping[str, Interval]
    plain: Mapping[str, float]
    versus: Mapping[str, Mapping[str, Difference]] = field(default_factory=dict)


class ClusterBenchmark(Bootstrap):
    """Scores clusterings of the same samples on the same resamples of their patients, and compares systems in pairs.

    `too_few` are classes in no average, because too few patients have or lack them; only where samples have several.
    UserError for labels or patients that do not fit, fewer than two patients, or no class to score.
    """

    def __init__(self, labels: Labels, classes: Sequence[str], *, resamples: int = 1000, seed: int = 0) -> None:
        self.labels, self.classes = labels, tuple(classes)
        self.multilabel = labels.y.ndim == 2
        self._seed = seed
        self._resampled: dict[tuple[str, str], Resampled] = {}
        super().__init__(labels.patients, len(labels.y), resamples, seed)
        chosen = scorable(labels.y, labels.patients) if self.multilabel else np.ones(1, dtype=np.bool_)
        columns = labels.y if self.multilabel else labels.y[:, None]
        self.too_few = tuple(np.array(classes)[~chosen].tolist()) if self.multilabel else ()
        self._columns = [columns[:, i].astype(np.int64) for i in np.flatnonzero(chosen)]
        if not self._columns:
            raise UserError(f"no class can be scored: each needs {ENOUGH} patients who have it and as many without")

    def score(
        self, system: str, way: str, clustering: Clustering, silhouette: float, versus: Sequence[str] = ()
    ) -> ClusterResult:
        """Score one clustering of one system; compare it with those of `versus` that were scored in the same way."""
        mine = self.resample(clustering.labels)
        self._resampled[system, way] = mine
        plain = {"silhouette": silhouette, "clusters": clustering.n_clusters, "noise": clustering.noise}
        if not self.multilabel:
            plain["purity_random"] = random_purity(clustering.labels, self.labels.y, seed=self._seed)
        patient = patient_agreement(clustering.labels, self.labels.patients, seed=self._seed)
        plain |= {f"patient_{name}": value for name, value in patient.items()}
        others = {other: self._resampled[other, way] for other in versus if (other, way) in self._resampled}
        compared = {other: difference(mine, theirs) for other, theirs in others.items()}
        return ClusterResult(system, way, clustering, mine.intervals(), plain, compared)

    def resample(self, clusters: NDArray[np.integer[Any]]) -> Resampled:
        """Score clusters (n,), -1 for noise, against the classes, on the samples and on resamples of their patients.

        `nmi`, `ami`, `ari`, `explained`, `within` and, unless a sample may have several classes, `purity`. UserError
        unless there is a cluster for each sample.
        """
        if clusters.shape != self.patient.shape:
            raise UserError(f"expected {len(self.patient)} clusters, one per sample, got shape {clusters.shape}")
        number = np.unique(clusters, return_inverse=True)[1]
        each = [self._of_column(number, column) for column in self._columns]
        scores = {name: mean_defined(np.stack([found[name] for found in each])) for name in each[0]}
        if self.multilabel:
            del scores["purity"]  # of belonging against not: near 1 for a rare class, whatever the clusters
        values = {name: float(found[0]) for name, found in scores.items()}
        return Resampled(
            values, {name: _centred(found[1:], found[0]) for name, found in scores.items()}, self._key(self.labels.y)
        )

    def _of_column(self, clusters: NDArray[np.int64], y: NDArray[np.int64]) -> dict[str, Array]:
        """Every score of the samples themselves and then of the resamples, shape (1 + B,)."""
        by_patient = count_tables(self.patient, clusters, y)
        weights = np.concatenate([np.ones((1, len(by_patient))), self.drawn])
        shape = by_patient.shape[1:]
        tables = (weights @ by_patient.reshape(len(by_patient), -1)).reshape(-1, *shape)
        n, chance = (by_patient.sum(axis=(1, 2)), np.array([expected_information(t) for t in by_patient]))
        mutual, _, of_class = information(by_patient)
        gained, possible = n * (mutual - chance), n * (of_class - chance)
        whole = weights @ possible
        enough = (possible > 1e-9).sum() >= ENOUGH  # patients with several classes
        within = np.where((whole > 0) & enough, weights @ gained / np.maximum(whole, 1e-12), np.nan)
        return {**agreement(tables), "within": within}


def patient_agreement(clusters: NDArray[np.integer[Any]], patients: NDArray[Any], *, seed: int = 0) -> dict[str, float]:
    """Score the agreement of clusters (n,) with patients (n,): the scores of `agreement`, and `purity_random`."""
    patient = check_patients(patients, len(clusters))[1]
    number = np.unique(clusters, return_inverse=True)[1]
    found = agreement(count_tables(np.zeros_like(patient), number, patient))
    scores = {name: float(value[0]) for name, value in found.items()}
    return {**scores, "purity_random": random_purity(clusters, patient, seed=seed)}


def random_purity(clusters: NDArray[np.integer[Any]], y: NDArray[np.integer[Any]], *, seed: int = 0) -> float:
    """Mean purity of classes or patients y (n,) in random clusters of the same sizes as `clusters` (n,)."""
    rng = np.random.default_rng(seed)
    number, of = (np.unique(names, return_inverse=True)[1] for names in (clusters, y))
    one = np.zeros_like(of)
    tables = np.concatenate([count_tables(one, number, rng.permutation(of)) for _ in range(_SHUFFLES)])
    return float(purity(tables).mean())


def _centred(replicates: Array, value: float) -> Array:
    """The same replicates, moved so that their mean is the value."""
    defined = replicates[~np.isnan(replicates)]
    return replicates - (defined.mean() - value) if len(defined) else replicates
