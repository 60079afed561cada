"""The probe by folds of patients: everybody is scored once, by a probe that learned from others.

For data sets too small for one test fold to tell systems apart. Every fold is scored by itself, and the scores are
averaged: to rank samples of different folds against each other would compare probabilities of different probes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.estimators.design import patient_folds
from ssl_ecg.metrics.bootstrap import mean_of
from ssl_ecg.study.benchmark import Benchmark, Features, Labels, Result

Extract = Callable[[NDArray[np.bool_], NDArray[np.bool_]], tuple[Mapping[str, Features], Mapping[str, Features]]]
"""From masks (n,) of the train and the test samples to their blocks of features."""


class Folds:
    """Folds of patients, `fold` (n,) of each sample, and a probe for each; C is chosen inside the other folds.

    The bootstrap of the first fold has the seed, each further one the next; `options` are of each fold's `Benchmark`.
    Classes are `too_few` that are not scored in some fold, because too few of its patients have or lack them. UserError
    for fewer than two patients or folds.
    """

    def __init__(
        self,
        labels: Labels,
        classes: Sequence[str],
        *,
        n_folds: int = 5,
        seed: int = 0,
        **options: Any,  # noqa: ANN401
    ) -> None:
        targets = labels.y if labels.y.ndim == 2 else labels.y[:, None] == np.arange(len(classes))
        self.fold = patient_folds(labels.patients, targets, n_folds)
        self.labels, self.classes = labels, tuple(classes)
        self.benchmarks = [
            Benchmark(labels.where(self.fold != f), labels.where(self.fold == f), classes, seed=seed + f, **options)
            for f in range(int(self.fold.max()) + 1)
        ]
        self.too_few = tuple(name for name in classes if any(name in b.too_few for b in self.benchmarks))

    def run(self, system: str, extract: Extract, versus: Sequence[Result] = ()) -> Result:
        """Fit and score one system fold by fold; what `extract` fits, it fits on the first of the sides it is given."""
        parts = []
        for f, benchmark in enumerate(self.benchmarks):
            fit_on, score_on = extract(self.fold != f, self.fold == f)
            parts.append(benchmark.score(benchmark.fit(system, fit_on), score_on))
        scored = [part.resampled for part in parts if part.resampled]
        mean = mean_of(scored, hash(tuple(part.key for part in scored)))
        return Result(system, tuple(part.probe for part in parts), mean).beside(versus)
