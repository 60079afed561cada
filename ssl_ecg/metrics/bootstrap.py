"""Uncertainty over patients: percentile intervals and paired differences by the cluster bootstrap.

A test set is a sample of people, not of beats: MIT-BIH's DS2 has 49,705 beats of 22 records. Resampling
beats would pretend they are independent and give intervals several times too narrow, so whole patients are
drawn with replacement.

    bootstrap = ScoreBootstrap(y, patients, ("N", "S", "V", "F"))
    ours, theirs = bootstrap.resample(p_ours), bootstrap.resample(p_theirs)
    ours.intervals()["macro_auroc"]                      # 0.91 [0.87, 0.94]
    difference(ours, theirs)["macro_auroc"].p_value      # paired: both were scored on the same resamples

No resample rescores samples: confusion matrices add up over patients, and so do the counts of which positives
rank above which negatives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.errors import UserError
from ssl_ecg.metrics.scores import (
    Array,
    check_labels,
    check_patients,
    check_probabilities,
    check_targets,
    decide,
    f1_of,
    named_multilabel_scores,
    named_scores,
    present,
    rules,
    scorable,
    score,
    score_multilabel,
)

_AT_ONCE = 4_000_000  # numbers held at a time


@dataclass(frozen=True, slots=True)
class Interval:
    """A score on the test set itself and the interval in which it may lie.

    The ends are NaN where more than half of the resamples are undefined. Those without this score, because a class it
    needs had no samples in them, are counted and left out of the interval.
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

    Its p-value is two-sided: twice the share of resamples on the other side of zero, counting the test set itself as
    one more on that side, so it is never below 2 / (resamples + 1); NaN without an interval.
    """

    p_value: float = float("nan")

    def __str__(self) -> str:
        """Such as +0.043 [+0.011, +0.078] p=0.012, or +0.043 without an interval."""
        return self._text("+.3f") + ("" if np.isnan(self.p_value) else f" p={self.p_value:.3f}")


@dataclass(frozen=True, slots=True)
class Resampled:
    """One system's scores by name, on the test set and on all resamples of its patients: (B,), NaN where undefined.

    The key tells resamples of different bootstraps apart.
    """

    values: dict[str, float]
    replicates: dict[str, Array]
    key: int

    def intervals(self, level: float = 0.95) -> dict[str, Interval]:
        """Percentile interval of every score (Efron & Tibshirani, "Introduction to the Bootstrap", 1993)."""
        return {name: Interval(self.values[name], *_ends(b, level)) for name, b in self.replicates.items()}


class Bootstrap:
    """Resamples of a test set's patients, the same ones for every system.

    `patient` (n,) has the number of each sample's patient, 0 to `n_patients` - 1, and `drawn` (B, R) how often each
    patient is in each resample. UserError for patients that do not fit, or fewer than two or one resample.
    """

    def __init__(self, patients: NDArray[Any] | Sequence[str], n: int, n_resamples: int = 1000, seed: int = 0) -> None:
        check_resamples(n_resamples)
        names, self.patient = check_patients(patients, n)
        if len(names) < 2:
            raise UserError(f"a bootstrap over patients needs two of them, got {names.tolist()}")
        self.n_patients = len(names)
        draws = np.random.default_rng(seed).integers(len(names), size=(n_resamples, len(names)))
        self.drawn = np.stack([np.bincount(row, minlength=len(names)) for row in draws]).astype(np.float64)

    def totals(self, counts: NDArray[Any]) -> Array:
        """Sum counts of every sample (n, ...) over the samples of each resample, shape (B, ...)."""
        per_patient = np.zeros((self.n_patients, *counts.shape[1:]))
        np.add.at(per_patient, self.patient, counts)
        flat: Array = self.drawn @ per_patient.reshape(self.n_patients, -1)
        return flat.reshape(-1, *counts.shape[1:])

    def _key(self, labels: NDArray[Any]) -> int:
        return hash((self.drawn.tobytes(), labels.tobytes(), self.patient.tobytes()))


class ScoreBootstrap(Bootstrap):
    """Scores classifiers on resamples of a test set.

    Averages are over the classes that five patients have and five lack; where classes exclude each other and the test
    set is so small that there is none, over all that it has. The others, `too_few`, have no scores.

    `y` has class indices (n,), or which of the K classes each sample belongs to, bool (n, K); `subsets` are groups of
    classes to also average the F1 over, where classes exclude each other; for the rest see `Bootstrap`. UserError for
    labels that do not fit.
    """

    def __init__(
        self,
        y: NDArray[Any],
        patients: NDArray[Any] | Sequence[str],
        classes: Sequence[str],
        *,
        subsets: Sequence[Sequence[str]] = (),
        n_resamples: int = 1000,
        seed: int = 0,
    ) -> None:
        self.exclusive, self.classes = np.ndim(y) == 1, tuple(classes)
        check: Any = check_labels if self.exclusive else check_targets
        self.y: NDArray[Any] = check(y, len(y), len(classes))
        super().__init__(patients, len(y), n_resamples, seed)
        self._subsets = tuple(map(tuple, subsets))
        targets: NDArray[np.bool_] = self.y[:, None] == np.arange(len(classes)) if self.exclusive else self.y
        self._chosen = enough = scorable(targets, self.patient)
        if self.exclusive and not enough.any():
            self._chosen = present(self.y, len(classes))
        self.too_few = tuple(name for name, mine in zip(classes, enough, strict=True) if not mine)

    def resample(
        self, probabilities: NDArray[np.floating[Any]], decision: NDArray[np.floating[Any]] | None = None
    ) -> Resampled:
        """Score one system's probabilities (n, K) on the test set and on every resample.

        The decision (K,) is, where classes exclude each other, how common each was in training, which adds the
        prior-corrected rule; else from which probability on each is predicted, 0.5 by default. UserError for what does
        not fit the labels.
        """
        p = check_probabilities(probabilities, len(self.y), len(self.classes))
        values, replicates = (self._exclusive if self.exclusive else self._multilabel)(p, decision)
        return Resampled(values, replicates, self._key(self.y))

    def _exclusive(
        self, p: Array, priors: NDArray[np.floating[Any]] | None
    ) -> tuple[dict[str, float], dict[str, Array]]:
        k = len(self.classes)
        cells = (self.y[:, None] * k + np.stack([decide(p, rule) for rule in rules(priors, k)], axis=1)).T
        matrices = [self.totals(np.eye(k * k)[cell]).reshape(-1, k, k) for cell in cells]
        areas = [resampled_auroc(self.y == i, p[:, i], self.patient, self.drawn) for i in range(k)]
        point = score(self.y, p, self.classes, priors=priors, subsets=self._subsets, chosen=self._chosen)
        return point, named_scores(matrices, np.stack(areas, axis=1), self.classes, self._chosen, self._subsets)

    def _multilabel(
        self, p: Array, thresholds: NDArray[np.floating[Any]] | None
    ) -> tuple[dict[str, float], dict[str, Array]]:
        t = self.y
        thresholds = np.full(len(self.classes), 0.5) if thresholds is None else thresholds
        point = score_multilabel(t, p, self.classes, self.patient, thresholds)
        predicted = p >= thresholds
        ranked = [resampled_ranking(yes, of, self.patient, self.drawn) for yes, of in zip(t.T, p.T, strict=True)]
        areas, precisions = np.stack(ranked, axis=-1)
        f1 = f1_of(*(self.totals(which) for which in (t & predicted, t, predicted)))
        return point, named_multilabel_scores(areas, precisions, f1, self.classes, self._chosen)


def difference(first: Resampled, second: Resampled, level: float = 0.95) -> dict[str, Difference]:
    """Each score of the first system minus that of the second; UserError unless one bootstrap resampled both."""
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
    that the values of the single runs answer. UserError for no runs, or unless one bootstrap resampled them.
    """
    if len({run.key for run in runs}) != 1:
        raise UserError(f"a mean over seeds needs runs scored on the same resamples, got {len(runs)} run(s)")
    return mean_of(runs, runs[0].key)


def mean_of(parts: Sequence[Resampled], key: int) -> Resampled:
    """The mean of every score that all parts have, on the test set and on every resample."""
    names = [name for name in parts[0].values if all(name in part.values for part in parts)]
    return Resampled(
        {name: float(np.mean([part.values[name] for part in parts])) for name in names},
        {name: np.mean([part.replicates[name] for part in parts], axis=0) for name in names},
        key,
    )


def check_resamples(n: int) -> None:
    """Refuse, by a UserError, fewer than one resample."""
    if n < 1:
        raise UserError(f"resamples must be at least 1, not {n}")


def _ends(replicates: Array, level: float) -> tuple[float, float, int]:
    """Interval ends and the number of undefined resamples; of fewer than half of them, no ends are made."""
    defined = replicates[~np.isnan(replicates)]
    undefined = len(replicates) - len(defined)
    if 2 * undefined > len(replicates):
        return float("nan"), float("nan"), undefined
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high), undefined


def resampled_auroc(positive: NDArray[np.bool_], scores: Array, patient: NDArray[np.int64], drawn: Array) -> Array:
    """AUROC of one class when each patient counts as often as it was drawn, shape (B,).

    `positive` (n,) says which samples belong to the class, scores (n,) rank them, more meaning likelier, `patient` (n,)
    says whose each is, 0 to R - 1, and `drawn` (B, R) how often each patient is in each resample. NaN where a resample
    has no positives or no negatives.
    """
    n_patients = drawn.shape[1]
    if n_patients > len(drawn) // 4:
        area: Array = resampled_ranking(positive, scores, patient, drawn)[0]
        return area
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
    positive: NDArray[np.bool_],
    scores: Array,
    patient: NDArray[np.int64],
    drawn: Array,
    specificity: float | None = None,
) -> Array:
    """AUROC and average precision of one class, as `resampled_auroc`, and the sensitivity at a specificity if given.

    Shape (2, B) or (3, B). The specificity is the least share of negatives below the threshold, and the sensitivity
    that of the lowest threshold at which the negatives of the same resample have it: a point of its ROC curve, not what
    a threshold that was set beforehand achieves. Only the distinct scores of positives matter, and how many negatives
    lie between them.
    """
    from scipy.sparse import csr_array

    steps = np.unique(scores[positive])
    if not len(steps) or positive.all():
        return np.full((2 if specificity is None else 3, len(drawn)), np.nan)
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
        found.append(_areas(mine, up_to[:-1:2], up_to[1::2], up_to[-1], specificity))
    return np.concatenate(found, axis=1)


def _areas(mine: Array, below: Array, not_above: Array, negatives: Array, specificity: float | None) -> Array:
    """What `resampled_ranking` gives of B resamples.

    `mine` counts the positives at each of m steps, `below` the negatives that score less, `not_above` those that score
    less or the same, (m, B); `negatives` counts them all, (B,).
    """
    total = mine.sum(axis=0)
    defined = (total > 0) & (negatives > 0)
    wins = (mine * (below + not_above)).sum(axis=0) / 2
    found = np.cumsum(mine[::-1], axis=0)[::-1]  # positives at this step or above
    precision = (mine * found / np.maximum(found + negatives - below, 1)).sum(axis=0)
    scores = [wins / np.maximum(total * negatives, 1), precision / np.maximum(total, 1)]
    if specificity is not None:
        caught = (mine * (below >= specificity * negatives - 1e-6)).sum(axis=0)  # counts: 1e-6 is rounding
        scores.append(caught / np.maximum(total, 1))
    return np.where(defined, np.stack(scores), np.nan)
