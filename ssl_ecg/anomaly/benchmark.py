"""The anomaly protocol: fit on normal train samples, score the test patients once, compare systems in pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.errors import UserError
from ssl_ecg.estimators.detectors import Detector, Features, held_out_scores
from ssl_ecg.metrics.bootstrap import Bootstrap, Difference, Interval, Resampled, difference, resampled_ranking
from ssl_ecg.metrics.scores import ENOUGH, Array, check_features, check_probabilities, check_targets, mean_defined
from ssl_ecg.study.benchmark import Labels

SPECIFICITY = 0.95
"""At which sensitivities are reported, and which thresholds are set for."""


@dataclass(frozen=True)
class Detection:
    """Scores of one detector on one system's features: those of the test samples (n,), more means more anomalous.

    `held_out` (m,) are scores of normal train samples by detectors fitted on other patients; 95 % of the `judged` ones
    lie below the `threshold`, above which a sample is called abnormal. `intervals` by name, as `AnomalyBootstrap` names
    them; `subsets`: the same on parts of the test set; `versus`: paired differences to other systems with the same
    detector.
    """

    system: str
    detector: str
    scores: Array
    held_out: Array
    judged: NDArray[np.bool_]
    threshold: float
    intervals: dict[str, Interval]
    versus: dict[str, dict[str, Difference]] = field(default_factory=dict)
    subsets: dict[str, dict[str, Interval]] = field(default_factory=dict)


def check_normal(normal: Sequence[str], classes: Sequence[str]) -> None:
    """Refuse, by a UserError, normal classes that are not among the classes."""
    unknown = [name for name in normal if name not in classes]
    if unknown or not normal:
        raise UserError(f"the normal classes {unknown} are not among the classes {list(classes)}")


def normal_samples(targets: NDArray[np.bool_], classes: Sequence[str], normal: Sequence[str]) -> NDArray[np.bool_]:
    """Find the samples of targets (n, K) of a normal class and no other, shape (n,); UserError for an unknown class."""
    t = check_targets(targets, len(targets), len(classes))
    check_normal(normal, classes)
    mine = np.isin(list(classes), list(normal))
    return np.asarray(t[:, mine].any(axis=1) & ~t[:, ~mine].any(axis=1))


class AnomalyBootstrap(Bootstrap):
    """Resamples of a test set of normal and abnormal samples: targets (n, K), patients (n,), some classes `normal`.

    The scores are `auroc`, `auprc` (average precision; by chance it is `prevalence`), `sensitivity_95` (at 95 %
    specificity among the test's own normal samples, a point of the ROC curve) and, at the threshold set on train
    patients, `sensitivity` and `specificity`. Then all but the last for every abnormal class against all normal samples
    (`auroc_V`, ...), and their means over the classes (`macro_auroc`, ...). A class that fewer than five patients have
    (`too_few`) has none of these.

    UserError for labels or patients that do not fit, fewer than two patients, or a side that is empty.
    """

    def __init__(
        self,
        targets: NDArray[np.bool_],
        patients: NDArray[Any] | Sequence[str],
        classes: Sequence[str],
        normal: Sequence[str],
        *,
        n_resamples: int = 1000,
        seed: int = 0,
    ) -> None:
        self.normal = normal_samples(targets, classes, normal)
        super().__init__(patients, len(targets), n_resamples, seed)
        if self.normal.all() or not self.normal.any():
            raise UserError(f"{self.normal.sum()} of {len(targets)} test samples are normal ({', '.join(normal)})")
        having = {
            name: mine & ~self.normal for name, mine in zip(classes, targets.T, strict=True) if name not in normal
        }
        people = {name: len(np.unique(self.patient[mine])) for name, mine in having.items()}
        self.abnormal = {name: mine for name, mine in having.items() if people[name] >= ENOUGH}
        self.too_few = tuple(name for name, n in people.items() if 0 < n < ENOUGH)
        self._all_draws = np.concatenate([np.ones((1, self.n_patients)), self.drawn])  # the test set itself first

    def resample(self, scores: NDArray[np.floating[Any]], threshold: float) -> Resampled:
        """Score one detector on the test set and on every resample: scores (n,), more means more anomalous.

        Above the `threshold` a sample is called abnormal. UserError for scores that do not fit the samples.
        """
        s = check_probabilities(np.asarray(scores)[:, None], len(self.normal), 1)[:, 0]
        flagged = s > threshold
        found = self._against_normal(~self.normal, s, flagged)
        found["specificity"] = 1 - self._share(flagged, self.normal)
        per_class = {name: self._against_normal(mine, s, flagged) for name, mine in self.abnormal.items()}
        for what in ("auroc", "auprc", "sensitivity_95", "sensitivity"):
            if per_class:
                found[f"macro_{what}"] = mean_defined(np.stack([scores[what] for scores in per_class.values()]))
        for name, mine in per_class.items():
            found |= {f"{what}_{name}": values for what, values in mine.items()}
        return Resampled(
            {name: float(values[0]) for name, values in found.items()},
            {name: values[1:] for name, values in found.items()},
            self._key(self.normal),
        )

    def _against_normal(
        self, positive: NDArray[np.bool_], scores: Array, flagged: NDArray[np.bool_]
    ) -> dict[str, Array]:
        """All scores of some abnormal samples and all normal ones, each of shape (1 + B,)."""
        some = positive | self.normal
        auroc, auprc, at = resampled_ranking(
            positive[some], scores[some], self.patient[some], self._all_draws, SPECIFICITY
        )
        return {
            "auroc": auroc,
            "auprc": auprc,
            "prevalence": self._share(positive, some),
            "sensitivity_95": at,
            "sensitivity": self._share(flagged, positive),
        }

    def _share(self, which: NDArray[np.bool_], of: NDArray[np.bool_]) -> Array:
        """Share of samples `of` a kind that are `which`, in every resample, shape (1 + B,)."""
        part, whole = (
            self._all_draws @ np.bincount(self.patient[mine], minlength=self.n_patients) for mine in (which & of, of)
        )
        return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)


class AnomalyBenchmark:
    """Fits detectors on normal train samples and scores the test samples of one data set.

    `normal` and `test` are labels of normal train samples and of the test samples, one class or several each; `subsets`
    test recordings to leave out in a second scoring, by its name, such as "without 232".
    """

    def __init__(
        self,
        normal: Labels,
        test: Labels,
        classes: Sequence[str],
        normal_classes: Sequence[str],
        *,
        subsets: Mapping[str, Sequence[str]] | None = None,
        resamples: int = 1000,
        seed: int = 0,
    ) -> None:
        self.normal, self.test, self.classes = normal, test, tuple(classes)

        def bootstrap(labels: Labels) -> AnomalyBootstrap:
            targets = labels.y if labels.y.ndim == 2 else labels.y[:, None] == np.arange(len(classes))
            return AnomalyBootstrap(targets, labels.patients, classes, normal_classes, n_resamples=resamples, seed=seed)

        self.bootstrap = bootstrap(test)
        rest = {name: test.without(some) for name, some in (subsets or {}).items() if np.isin(test.records, some).any()}
        self._rest = {name: (keep, bootstrap(labels)) for name, (labels, keep) in rest.items()}
        self._resampled: dict[tuple[str, str], Resampled] = {}

    def run(
        self,
        system: str,
        features: tuple[Features, Features],
        detectors: Mapping[str, Callable[[], Detector]],
        *,
        judged: NDArray[np.bool_] | None = None,
        versus: Sequence[str] = (),
    ) -> list[Detection]:
        """Fit detectors on one system's features of the normal train samples (m, D), and score the test samples (n, D).

        The threshold is set by the normal train samples `judged` (m,), all by default; `versus`: systems to compare
        with, run before.
        """
        train, test = (check_features(x, system) for x in features)
        patients = self.normal.patients
        judged = np.ones(len(train), dtype=np.bool_) if judged is None else judged
        found = []
        for name, make in detectors.items():
            held_out = held_out_scores(make, train, patients)
            scores = make().fit(train, patients).score(test)
            found.append(self._scored(system, name, scores, held_out, judged, versus))
        return found

    def combine(self, system: str, first: Detection, second: Detection, versus: Sequence[str] = ()) -> Detection:
        """Combine two detections by Fisher's method, with the arguments of `run`.

        Each score becomes the share of held-out normal train samples that score as high, a conformal p-value (Bates et
        al., "Testing for outliers with conformal p-values", Annals of Statistics 2023), and the logarithms are added.
        So neither counts for more because it has more features or another unit.
        """
        judged = first.judged & second.judged
        normal = first.held_out[judged], second.held_out[judged]
        scores = _surprise(first.scores, normal[0]) + _surprise(second.scores, normal[1])
        held_out = _surprise(first.held_out, normal[0]) + _surprise(second.held_out, normal[1])
        return self._scored(system, first.detector, scores, held_out, judged, versus)

    def _scored(
        self,
        system: str,
        detector: str,
        scores: Array,
        held_out: Array,
        judged: NDArray[np.bool_],
        versus: Sequence[str],
    ) -> Detection:
        threshold = float(np.quantile(held_out[judged], SPECIFICITY, method="higher"))
        mine = self.bootstrap.resample(scores, threshold)
        self._resampled[system, detector] = mine
        compared = {other: difference(mine, self._resampled[other, detector]) for other in versus}
        parts = {name: rest.resample(scores[keep], threshold).intervals() for name, (keep, rest) in self._rest.items()}
        return Detection(system, detector, scores, held_out, judged, threshold, mine.intervals(), compared, parts)


def _surprise(scores: Array, normal: Array) -> Array:
    """Minus the logarithm of the share of normal scores that are as high, counting the sample itself."""
    as_high = len(normal) - np.searchsorted(np.sort(normal), scores, side="left")
    return np.asarray(-np.log((1 + as_high) / (1 + len(normal))))
