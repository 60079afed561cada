"""The probe by folds of patients: everybody is scored once, by a probe that learned from others.

For data sets too small for one test fold to tell systems apart. Every fold is scored by itself, and the scores are
averaged: to rank samples of different folds against each other would compare probabilities of different probes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.metrics.bootstrap import Difference, Interval, Resampled, difference
from ssl_ecg.metrics.folds import multilabel_folds, patient_folds
from ssl_ecg.study.benchmark import Benchmark, Features, Labels

Extract = Callable[[NDArray[np.bool_], NDArray[np.bool_]], tuple[Mapping[str, Features], Mapping[str, Features]]]
"""From masks (n,) of the train and the test samples to their blocks of features."""


@dataclass(frozen=True)
class FoldedResult:
    """What one system achieved.

    Attributes:
        system: its name.
        cs: the C chosen in each fold.
        resampled: scores averaged over the folds, on the data and on every resample of each fold's patients.
        versus: paired differences to other systems, by system and score.
    """

    system: str
    cs: tuple[float, ...]
    resampled: Resampled
    versus: dict[str, dict[str, Difference]] = field(default_factory=dict)

    @property
    def scores(self) -> dict[str, Interval]:
        """Scores with their 95 % intervals, by name."""
        return self.resampled.intervals()


class CrossValidation:
    """Folds of patients and a probe for each; C is chosen inside the other folds.

    Args:
        labels: of all samples.
        classes: the K class names.
        n_folds: how many folds.
        resamples: of the bootstrap over each fold's patients.
        seed: of the bootstrap.

    Attributes:
        fold: of each sample, shape (n,).
        too_few: classes that are not scored in some fold, because too few of its patients have or lack them.

    Raises:
        UserError: for fewer than two patients or folds.
    """

    def __init__(
        self, labels: Labels, classes: Sequence[str], *, n_folds: int = 5, resamples: int = 1000, seed: int = 0
    ) -> None:
        y = labels.y
        self.fold = (
            multilabel_folds(labels.patients, y, n_folds)
            if y.ndim == 2
            else patient_folds(labels.patients, y, len(classes), n_folds)
        )
        self.labels, self.classes = labels, tuple(classes)
        self._benchmarks = [
            Benchmark(labels.where(self.fold != f), labels.where(self.fold == f), classes, resamples=resamples, seed=s)
            for s, f in enumerate(np.unique(self.fold), start=seed)
        ]
        self.too_few = tuple(name for name in classes if any(name in b.too_few for b in self._benchmarks))

    def run(self, system: str, extract: Extract, versus: Sequence[FoldedResult] = ()) -> FoldedResult:
        """Fit and score one system fold by fold.

        Args:
            system: its name.
            extract: makes its features of one fold's sides; what it fits, it fits on the first.
            versus: results to compare with.
        """
        cs, parts = [], []
        for f, benchmark in enumerate(self._benchmarks):
            test = self.fold == f
            fit_on, score_on = extract(~test, test)
            fitted = benchmark.fit(system, fit_on)
            cs.append(fitted.probe.chosen.c)
            benchmark.score(fitted, score_on)
            parts.append(benchmark.resampled[system])
        mine = fold_mean(parts)
        others = {other.system: difference(mine, other.resampled) for other in versus}
        return FoldedResult(system, tuple(cs), mine, others)


def fold_mean(parts: Sequence[Resampled]) -> Resampled:
    """The mean of every fold's scores, on the data and on every resample; a score that a fold lacks is left out."""
    names = [name for name in parts[0].values if all(name in part.values for part in parts)]
    return Resampled(
        {name: float(np.mean([part.values[name] for part in parts])) for name in names},
        {name: np.mean([part.replicates[name] for part in parts], axis=0) for name in names},
        hash(tuple(part.key for part in parts)),
    )
