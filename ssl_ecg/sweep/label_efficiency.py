"""Label efficiency: what a linear probe on frozen features is worth with 1, 10 and 100 % of the labels.

    study = LabelEfficiency(train, test, classes, fractions=(0.01, 0.1, 1), seeds=5, validation=train_side == "val")
    runs = study.run(train_features, test_features)    # a probe for each draw of the labels, scored once
    seed_mean([r.test for r in runs if r.probe.draw.fraction == 0.01]).intervals()["macro_auroc"]

Every class has a binary regression of its own, also where classes exclude each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from ssl_ecg.errors import UserError
from ssl_ecg.estimators.multilabel import check_sides, held_out_logits, probability, solve_grid
from ssl_ecg.estimators.probes import CS, Design, ascending
from ssl_ecg.metrics.bootstrap import MultilabelBootstrap, Resampled
from ssl_ecg.metrics.checks import check_features, check_targets
from ssl_ecg.metrics.folds import held_out_auroc, multilabel_folds
from ssl_ecg.metrics.multilabel import ENOUGH, best_threshold
from ssl_ecg.study.label_draws import Draw, label_draws

Features = NDArray[np.floating[Any]]
How = Literal["validation split", "cross-validation", "default"]


@dataclass(frozen=True)
class DrawnProbe:
    """Linear probes of one draw of the labels, one for each C, and which of them was chosen.

    Attributes:
        draw: whose labels they were fitted on and judged by.
        patients: how many patients gave labels, those of the validation split included.
        samples: how many samples of theirs there are.
        learned: how many samples of each class were fitted on, shape (K,). A class of none is never predicted: all
            samples score alike, and its AUROC is 0.5.
        cs: every C, ascending, shape (S,).
        areas: AUROC of each class on held-out patients of the draw, shape (S, K); NaN where they cannot say, and
            all of it where fewer than five patients could.
        how: what chose C.
        chosen: the number of the chosen C.
        thresholds: from which probability on a class is predicted, shape (K,); 0.5 where nothing held out could say.
        mean: of each feature over the samples that were fitted on, shape (d,).
        scale: their standard deviation, 1 where it is zero, shape (d,).
        coefficients: of standardised features, shape (S, d, K).
        intercepts: shape (S, K).
    """

    draw: Draw
    patients: int
    samples: int
    learned: NDArray[np.int64]
    cs: NDArray[np.float64]
    areas: NDArray[np.float64]
    how: How
    chosen: int
    thresholds: NDArray[np.float64]
    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    coefficients: NDArray[np.float32]
    intercepts: NDArray[np.float32]

    @property
    def curve(self) -> NDArray[np.float64]:
        """Validation macro AUROC at every C, over the classes that have one, shape (S,); NaN without any."""
        defined = (~np.isnan(self.areas)).sum(axis=1)
        curve: NDArray[np.float64] = np.nansum(self.areas, axis=1) / np.where(defined > 0, defined, np.nan)
        return curve

    def logits(self, features: Features, setting: int | None = None) -> NDArray[np.float64]:
        """Logit of each class, shape (n, K).

        Args:
            features: shape (n, d).
            setting: the number of a C; the chosen one by default.
        """
        s = self.chosen if setting is None else setting
        x = (check_features(features, "frozen") - self.mean) / self.scale
        logits: NDArray[np.float64] = (x @ self.coefficients[s] + self.intercepts[s]).astype(np.float64)
        return logits

    def predict_proba(self, features: Features) -> NDArray[np.float64]:
        """Probability of each class with the chosen C, shape (n, K)."""
        return probability(self.logits(features))


def fit_draw(
    features: Features,
    targets: NDArray[np.bool_],
    patients: NDArray[Any],
    draw: Draw,
    *,
    cs: Sequence[float] = CS,
    validation: NDArray[np.bool_] | None = None,
    judged: NDArray[np.bool_] | None = None,
    n_folds: int = 5,
    device: str | torch.device = "cpu",
) -> DrawnProbe:
    """Fit every class with every C on one draw of the labels, all at once, and choose C inside the draw.

    Nothing outside the draw is looked at: features are standardised by the drawn samples that are fitted on, and C and
    thresholds are chosen on the drawn patients of the validation split, which is never fitted on; without such a split
    by leaving the drawn patients out in turn. One C serves all classes (`multilabel` says why), the one of the best
    macro AUROC. Where fewer than five drawn patients could judge, or they have no class that could be ranked, nothing
    can be chosen: C is then the one of the grid nearest to 1 / d (on a log scale), the reciprocal of the mean squared
    length of standardised features, as SVMlight sets it (Joachims, "Making large-scale SVM learning practical", 1999).

    Args:
        features: of all train and validation samples, shape (n, d).
        targets: which of the K classes each sample belongs to, bool, shape (n, K).
        patients: whose each sample is, shape (n,).
        draw: whose labels are known.
        cs: values of C, as scikit-learn counts them.
        validation: the samples of the validation split, shape (n,).
        judged: which samples C is judged by, shape (n,); all by default, and where five such patients are not drawn.
        n_folds: where patients are left out; fewer are made where there are fewer patients.
        device: where to compute.

    Raises:
        UserError: for arrays that do not fit, a patient on both sides of the validation split, or values of C that
            are not positive.
    """
    x = check_features(features, "frozen")
    check_targets(targets, len(x), targets.shape[-1])
    check_sides(patients, np.ones(len(x), dtype=np.bool_) if validation is None else ~validation, len(x))
    rows = draw.rows
    x, t, who = x[rows], targets[rows], np.asarray(patients)[rows]
    learned = np.ones(len(x), dtype=np.bool_) if validation is None else ~validation[rows]
    grid = np.array(ascending(cs))
    fold = np.where(learned, -1, 0)
    if validation is None and _people(who) >= ENOUGH:
        fold = multilabel_folds(who, t, n_folds)
    judges = fold >= 0
    if judged is not None and _people(who[judges & judged[rows]]) >= ENOUGH:
        judges &= judged[rows]

    weight = torch.from_numpy(learned[:, None] / learned.sum()).to(device, torch.float32)
    design = Design({"frozen": x}, weight, learned)
    # One training set for each fold, and last the one of all that may be learned from.
    folds = range(int(fold.max()) + 1) if validation is None else ()
    train = np.stack([*(learned & (fold != f) for f in folds), learned], axis=1)
    penalties = design.penalties([{"frozen": 1.0}]) / torch.from_numpy(grid).to(design.x)
    found = solve_grid(design.x, torch.from_numpy(t).to(design.x.device), torch.from_numpy(train).to(device), penalties)

    by_fold = found if validation is not None else found[:, :, :-1]
    held_out = [held_out_logits(design.x, by_fold[:, s], fold) for s in range(len(grid))]
    areas = np.stack([held_out_auroc(t, logits, fold, judges) for logits in held_out])
    known = _people(who[judges]) >= ENOUGH and not np.isnan(areas).all()
    if not known:
        areas = np.full_like(areas, np.nan)
    how: How = "default" if not known else "cross-validation" if validation is None else "validation split"
    chosen = int(np.abs(np.log(grid * x.shape[1])).argmin()) if not known else int(np.nanmean(areas, axis=1).argmax())
    thresholds = np.full(t.shape[1], 0.5)
    if known:
        held = probability(held_out[chosen][judges])
        thresholds = np.array([best_threshold(*of) for of in zip(t[judges].T, held.T, strict=True)])
        thresholds[~t[learned].any(axis=0)] = 0.5  # never predicted, whoever has it in the validation split
    solution = found[:, :, -1]
    coefficients, intercepts = (
        a.reshape(*a.shape[:-1], len(grid), -1) for a in design.turned_back(solution.flatten(1))
    )
    return DrawnProbe(
        draw=draw,
        patients=_people(who),
        samples=len(x),
        learned=t[learned].sum(axis=0),
        cs=grid,
        areas=areas,
        how=how,
        chosen=chosen,
        thresholds=thresholds,
        mean=design.mean,
        scale=design.scale,
        coefficients=coefficients.transpose(1, 0, 2),
        intercepts=intercepts,
    )


@dataclass(frozen=True)
class Run:
    """One draw of the labels: the probe, and what it scored on the test patients.

    Attributes:
        probe: with its validation curve.
        test: the scores of the chosen C, on the test set and on every resample of its patients.
    """

    probe: DrawnProbe
    test: Resampled


class LabelEfficiency:
    """One data set's draws of labels, the same ones for every system, and one test set.

    Args:
        targets: which of the K classes each train and validation sample belongs to, bool, shape (n, K).
        patients: whose each is, shape (n,).
        test_targets: of the test samples, bool, shape (m, K).
        test_patients: whose each is, shape (m,).
        classes: the K class names.
        fractions: of the labels.
        seeds: how many draws of each fraction.
        cs: values of C to choose from.
        validation: the samples of the validation split, shape (n,); without, patients are left out in turn.
        resamples: of the bootstrap over test patients.
        seed: of the bootstrap.
        device: where to compute.

    Attributes:
        draws: of the labels, ascending by fraction, then seed.
        cs: ascending.
        too_few: classes that fewer than five test patients have, or lack: they are in no average.

    Raises:
        UserError: for arrays that do not fit, a patient on both sides, or a test set without a class to score.
    """

    def __init__(
        self,
        targets: NDArray[np.bool_],
        patients: NDArray[Any],
        test_targets: NDArray[np.bool_],
        test_patients: NDArray[Any],
        classes: Sequence[str],
        *,
        fractions: Sequence[float] = (0.01, 0.1, 1.0),
        seeds: int = 5,
        cs: Sequence[float] = CS,
        validation: NDArray[np.bool_] | None = None,
        resamples: int = 1000,
        seed: int = 0,
        device: str | torch.device = "cpu",
    ) -> None:
        self._fit_on: dict[str, Any] = {"targets": targets, "patients": patients, "validation": validation}
        self.cs = ascending(cs)
        self._fit_on |= {"cs": self.cs, "device": device}
        self.draws = label_draws(patients, targets, fractions, seeds, validation)
        self.bootstrap = MultilabelBootstrap(test_targets, test_patients, classes, n_resamples=resamples, seed=seed)
        self.too_few = self.bootstrap.too_few
        if len(self.too_few) == len(classes):
            raise UserError(
                f"no class can be scored: each needs {ENOUGH} test patients who have it and {ENOUGH} without, "
                f"and there are {self.bootstrap.n_patients} test patients"
            )

    def run(self, train: Features, test: Features, judged: NDArray[np.bool_] | None = None) -> Iterator[Run]:
        """Fit one system on every draw, and score each once on the test patients.

        Args:
            train: its features of the train and validation samples, shape (n, d).
            test: of the test samples, shape (m, d).
            judged: which train samples C is judged by, shape (n,); all by default.
        """
        for draw in self.draws:
            probe = fit_draw(train, draw=draw, judged=judged, **self._fit_on)
            yield Run(probe, self.bootstrap.resample(probe.predict_proba(test), probe.thresholds))


def _people(patients: NDArray[Any]) -> int:
    return len(np.unique(patients))
