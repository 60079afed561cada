"""Label efficiency: what predictors make of frozen features with 1, 10 and 100 % of the labels.

    efficiency = LabelEfficiency(side, test_targets, test_patients, classes, fractions=(0.01, 0.1, 1), seeds=5)
    runs = efficiency.run(LinearProbe(train_features, test_features, side))     # scored once for each draw
    seed_mean([r.test for r in runs if r.draw.fraction == 0.01]).intervals()["macro_auroc"]

Every class is scored by itself, also where classes exclude each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.errors import UserError
from ssl_ecg.metrics.bootstrap import Resampled, ScoreBootstrap
from ssl_ecg.metrics.scores import ENOUGH
from ssl_ecg.study.label_draws import Draw, label_draws
from ssl_ecg.sweep.predictors import LinearProbe, Mask, Neighbours, Prediction, Predictor, TrainSide
from ssl_ecg.sweep.semi_supervised import SelfTraining, Spreading

PREDICTORS: dict[str, type[Predictor]] = {
    kind.name: kind for kind in (LinearProbe, Neighbours, Spreading, SelfTraining)
}


@dataclass(frozen=True)
class Run:
    """One draw of the labels: what was predicted, and its scores on the test set and on every resample of its patients.

    Counted are the patients who gave labels, those of the validation split included, and their samples; `learned` (K,)
    are the samples of each class that were learned from.
    """

    draw: Draw
    patients: int
    samples: int
    learned: NDArray[np.int64]
    prediction: Prediction
    test: Resampled


class LabelEfficiency:
    """One data set's draws of labels, the same ones for every system and predictor, and one test set.

    Test targets are bool, shape (m, K), of patients (m,). `seeds` draws are made of each fraction, ascending by
    fraction, then seed. Classes that fewer than five test patients have, or lack, are `too_few`: in no average.
    UserError for arrays that do not fit, or a test set without a class to score.
    """

    def __init__(
        self,
        side: TrainSide,
        test_targets: Mask,
        test_patients: NDArray[Any],
        classes: Sequence[str],
        *,
        fractions: Sequence[float] = (0.01, 0.1, 1.0),
        seeds: int = 5,
        resamples: int = 1000,
        seed: int = 0,
    ) -> None:
        self.side = side
        self.draws = label_draws(side.patients, side.targets, fractions, seeds, side.validation)
        self.bootstrap = ScoreBootstrap(test_targets, test_patients, classes, n_resamples=resamples, seed=seed)
        self.too_few = self.bootstrap.too_few
        if len(self.too_few) == len(classes):
            raise UserError(
                f"no class can be scored: each needs {ENOUGH} test patients who have it and {ENOUGH} without, "
                f"and there are {self.bootstrap.n_patients} test patients"
            )

    def run(self, predictor: Predictor) -> Iterator[Run]:
        """Predict from every draw, and score each once on the test patients."""
        patients = np.asarray(self.side.patients)
        for draw in self.draws:
            found = predictor.predict(draw.rows)
            yield Run(
                draw,
                len(np.unique(patients[draw.rows])),
                int(draw.rows.sum()),
                self.side.targets[draw.rows & self.side.learners].sum(axis=0),
                found,
                self.bootstrap.resample(found.probabilities, found.thresholds),
            )


def predictor(name: str) -> type[Predictor]:
    """The predictor of a name; UserError if there is none."""
    if name not in PREDICTORS:
        raise UserError(f"predictors must be some of {', '.join(PREDICTORS)}, not {name or 'none'}")
    return PREDICTORS[name]
