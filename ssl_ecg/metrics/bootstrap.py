"""Uncertainty over patients: percentile intervals and paired differences by the cluster bootstrap.

A test set is a sample of people, not of beats: MIT-BIH's DS2 has 49,705 beats of 22 records. Resampling
beats would pretend they are independent and give intervals several times too narrow, so whole patients are
drawn with replacement.

    bootstrap = PatientBootstrap(y, patients, ("N", "S", "V", "F"))
    ours, theirs = bootstrap.resample(p_ours), bootstrap.resample(p_theirs)
    ours.intervals()["macro_auroc"]                      # 0.91 [0.87, 0.94]
    difference(ours, theirs)["macro_auroc"].p_value      # paired: both were scored on the same resamples

No resample rescores samples: confusion matrices add up over patients, and so do the counts of which positives
rank above which negatives (`resampled`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.errors import UserError
from ssl_ecg.metrics.checks import check_labels, check_patients, check_probabilities, check_targets
from ssl_ecg.metrics.multilabel import named_multilabel_scores, scorable, score_multilabel
from ssl_ecg.metrics.resampled import resampled_auroc, resampled_ranking
from ssl_ecg.metrics.scores import (
    Array,
    confusion_matrix,
    decide,
    f1_of,
    named_scores,
    present,
    rules,
    score,
)


@dataclass(frozen=True, slots=True)
class Interval:
    """A score and where it may lie.

    Attributes:
        value: on the test set itself.
        low: lower end of the interval; NaN where more than half of the resamples are undefined.
        high: upper end, likewise.
        undefined: resamples without this score, because a class it needs had no samples in them; they
            are left out of the interval.
    """

    value: float
    low: float
    high: float
    undefined: int = 0

    def __str__(self) -> str:
        """Such as 0.883 [0.841, 0.917], or 0.883 without an interval."""
        return self._text(".3f")

    def _text(self, form: str) -> str:
        ends = "" if np.isnan(self.low) else f" [{self.low:{form}}, {self.high:{form}}]"
        return f"{self.value:{form}}{ends}"


@dataclass(frozen=True, slots=True)
class Difference(Interval):
    """A difference of two systems on the same patients.

    Attributes:
        p_value: two-sided: twice the share of resamples on the other side of zero, counting the test set
            itself as one more on that side, so it is never below 2 / (resamples + 1); NaN without an interval.
    """

    p_value: float = float("nan")

    def __str__(self) -> str:
        """Such as +0.043 [+0.011, +0.078] p=0.012, or +0.043 without an interval."""
        return self._text("+.3f") + ("" if np.isnan(self.p_value) else f" p={self.p_value:.3f}")


@dataclass(frozen=True, slots=True)
class Resampled:
    """One system's scores on the test set and on every resample of its patients.

    Attributes:
        values: score by name, as `scores.named_scores` names them.
        replicates: the same on each resample, shape (B,), NaN where undefined.
        key: tells resamples of different bootstraps apart.
    """

    values: dict[str, float]
    replicates: dict[str, Array]
    key: int

    def intervals(self, level: float = 0.95) -> dict[str, Interval]:
        """Percentile interval of every score (Efron & Tibshirani, "Introduction to the Bootstrap", 1993)."""
        return {name: Interval(self.values[name], *_ends(b, level)) for name, b in self.replicates.items()}


class Bootstrap(ABC):
    """Resamples of a test set's patients, the same ones for every system.

    Attributes:
        too_few: classes that too few patients have, or lack: without scores, and in no average.
    """

    too_few: tuple[str, ...]

    def __init__(self, patients: NDArray[Any] | Sequence[str], n: int, n_resamples: int, seed: int) -> None:
        check_resamples(n_resamples)
        names, self.patient = check_patients(patients, n)
        if len(names) < 2:
            raise UserError(f"a bootstrap over patients needs two of them, got {names.tolist()}")
        self.n_patients = len(names)
        draws = np.random.default_rng(seed).integers(len(names), size=(n_resamples, len(names)))
        self.drawn = np.stack([np.bincount(row, minlength=len(names)) for row in draws]).astype(np.float64)

    @abstractmethod
    def resample(self, probabilities: NDArray[np.floating[Any]], decision: NDArray[np.floating[Any]]) -> Resampled:
        """Score one system, with what its probe decides by, on the test set and on every resample."""

    def _key(self, labels: NDArray[Any]) -> int:
        return hash((self.drawn.tobytes(), labels.tobytes(), self.patient.tobytes()))


class PatientBootstrap(Bootstrap):
    """Resamples of a test set whose classes exclude each other.

    Averages are over the classes that five patients have and five lack; in a test set so small that there is none,
    over all that it has.

    Args:
        y: true class indices, shape (n,).
        patients: whose each sample is, shape (n,).
        classes: the K class names.
        subsets: groups of classes to also average the F1 over.
        n_resamples: B.
        seed: of the draws.

    Raises:
        UserError: for labels or patients that do not fit, or fewer than two patients or one resample.
    """

    def __init__(
        self,
        y: NDArray[np.integer[Any]],
        patients: NDArray[Any] | Sequence[str],
        classes: Sequence[str],
        *,
        subsets: Sequence[Sequence[str]] = (),
        n_resamples: int = 1000,
        seed: int = 0,
    ) -> None:
        self.y = check_labels(y, len(y), len(classes))
        super().__init__(patients, len(y), n_resamples, seed)
        self.classes = tuple(classes)
        self.subsets = tuple(map(tuple, subsets))
        enough = scorable(self.y[:, None] == np.arange(len(classes)), self.patient)
        self._chosen = enough if enough.any() else present(self.y, len(classes))
        self.too_few = _names(self.classes, ~enough)

    def resample(
        self, probabilities: NDArray[np.floating[Any]], priors: NDArray[np.floating[Any]] | None = None
    ) -> Resampled:
        """Score one system on the test set and on every resample.

        Args:
            probabilities: shape (n, K).
            priors: of the training classes, shape (K,); adds the prior-corrected rule.

        Raises:
            UserError: for probabilities or priors that do not fit the labels.
        """
        k = len(self.classes)
        p = check_probabilities(probabilities, len(self.y), k)
        matrices = [self._confusions(decide(p, rule)) for rule in rules(priors, k)]
        areas = np.stack([resampled_auroc(self.y == i, p[:, i], self.patient, self.drawn) for i in range(k)], axis=1)
        point = score(self.y, p, self.classes, priors=priors, subsets=self.subsets, chosen=self._chosen)
        replicates = named_scores(matrices, areas, self.classes, self._chosen, self.subsets)
        return Resampled(point.values, replicates, self._key(self.y))

    def _confusions(self, predicted: NDArray[np.int64]) -> Array:
        """Confusion matrix of every resample, shape (B, K, K)."""
        k = len(self.classes)
        per_patient = np.stack(
            [confusion_matrix(self.y[mine], predicted[mine], k) for mine in _rows_of(self.patient, self.n_patients)]
        )
        return (self.drawn @ per_patient.reshape(self.n_patients, -1)).reshape(-1, k, k)


class MultilabelBootstrap(Bootstrap):
    """Resamples of a test set where a sample may belong to several classes, or to none.

    Args:
        targets: which classes each sample belongs to, shape (n, K).
        patients: whose each sample is, shape (n,).
        classes: the K class names.
        n_resamples: B.
        seed: of the draws.

    Raises:
        UserError: for targets or patients that do not fit, or fewer than two patients or one resample.
    """

    def __init__(
        self,
        targets: NDArray[np.bool_],
        patients: NDArray[Any] | Sequence[str],
        classes: Sequence[str],
        *,
        n_resamples: int = 1000,
        seed: int = 0,
    ) -> None:
        self.targets = check_targets(targets, len(targets), len(classes))
        super().__init__(patients, len(targets), n_resamples, seed)
        self.classes = tuple(classes)
        self._chosen = scorable(self.targets, self.patient)
        self.too_few = _names(self.classes, ~self._chosen)

    def resample(self, probabilities: NDArray[np.floating[Any]], thresholds: NDArray[np.floating[Any]]) -> Resampled:
        """Score one system on the test set and on every resample.

        Args:
            probabilities: shape (n, K).
            thresholds: from which probability on a class counts as predicted, shape (K,).

        Raises:
            UserError: for probabilities that do not fit the targets.
        """
        t = self.targets
        p = check_probabilities(probabilities, len(t), len(self.classes))
        point = score_multilabel(t, p, self.classes, self.patient, thresholds)
        predicted = p >= thresholds
        areas, precisions = np.stack(
            [resampled_ranking(yes, column, self.patient, self.drawn) for yes, column in zip(t.T, p.T, strict=True)],
            axis=-1,
        )
        f1 = f1_of(*(self._drawn_sum(which) for which in (t & predicted, t, predicted)))
        replicates = named_multilabel_scores(areas, precisions, f1, self.classes, self._chosen)
        return Resampled(point.values, replicates, self._key(t))

    def _drawn_sum(self, which: NDArray[np.bool_]) -> Array:
        """How many samples of each class each resample has, shape (B, K)."""
        per_patient = np.zeros((self.n_patients, which.shape[1]))
        np.add.at(per_patient, self.patient, which)
        return self.drawn @ per_patient


def difference(first: Resampled, second: Resampled, level: float = 0.95) -> dict[str, Difference]:
    """Each score of the first system minus that of the second, on the same resamples.

    Raises:
        UserError: if the two were not resampled by the same bootstrap.
    """
    if first.key != second.key:
        raise UserError("a paired difference needs both systems scored on the same resamples of one test set")
    found = {}
    for name in first.values.keys() & second.values.keys():
        apart = first.replicates[name] - second.replicates[name]
        defined = apart[~np.isnan(apart)]
        low, high, undefined = _ends(apart, level)
        beyond = min((defined <= 0).sum(), (defined >= 0).sum())
        p_value = float("nan") if np.isnan(low) else min(1.0, 2 * (beyond + 1) / (len(defined) + 1))
        value = first.values[name] - second.values[name]
        found[name] = Difference(value, low, high, undefined, p_value=float(p_value))
    return {name: found[name] for name in first.values if name in found}


def seed_mean(runs: Sequence[Resampled]) -> Resampled:
    """The mean over draws of the labels, taken inside each resample of the test patients.

    Its interval says how the mean over draws may lie for other test patients; how the draws differ is another question,
    that the values of the single runs answer.

    Raises:
        UserError: if there are none, or they were not resampled by the same bootstrap.
    """
    if len({run.key for run in runs}) != 1:
        raise UserError(f"a mean over seeds needs runs scored on the same resamples, got {len(runs)} run(s)")
    return Resampled(
        {name: float(np.mean([run.values[name] for run in runs])) for name in runs[0].values},
        {name: np.mean([run.replicates[name] for run in runs], axis=0) for name in runs[0].replicates},
        runs[0].key,
    )


def check_resamples(n: int) -> None:
    """Refuse a number of resamples that makes no interval.

    Raises:
        UserError: for fewer than one.
    """
    if n < 1:
        raise UserError(f"resamples must be at least 1, not {n}")


def _names(classes: Sequence[str], which: NDArray[np.bool_]) -> tuple[str, ...]:
    return tuple(name for name, mine in zip(classes, which, strict=True) if mine)


def _rows_of(patient: NDArray[np.int64], n_patients: int) -> list[NDArray[np.int64]]:
    """The samples of each patient."""
    ends = np.cumsum(np.bincount(patient, minlength=n_patients))[:-1]
    return list(np.split(np.argsort(patient, kind="stable"), ends))


def _ends(replicates: Array, level: float) -> tuple[float, float, int]:
    """Interval ends and the number of undefined resamples; of fewer than half of them, no ends are made."""
    defined = replicates[~np.isnan(replicates)]
    undefined = len(replicates) - len(defined)
    if 2 * undefined > len(replicates):
        return float("nan"), float("nan"), undefined
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high), undefined
