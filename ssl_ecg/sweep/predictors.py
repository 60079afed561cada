"""What predicts from few labels: a linear probe and kNN on the labelled samples alone (`semi_supervised` has others).

All are given the targets of every sample, and read those of the drawn patients alone. Whatever is chosen is chosen on
drawn patients: those of the validation split, from whom nobody learns, or without such a split by leaving drawn
patients out in turn; by those whom the encoder has not seen, where five such are drawn. Where fewer than five could
judge, a fixed setting is taken.

A class that nobody drawn has is not learned: all samples score alike, so its AUROC is .5 and it is never predicted.
Macro averages keep it, since the draw left it out, not the test set.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from ssl_ecg.errors import UserError
from ssl_ecg.estimators.design import held_out_auroc, patient_folds
from ssl_ecg.estimators.knn import knn_predict
from ssl_ecg.estimators.probe import CS, How, fit_probe
from ssl_ecg.estimators.sampling import evenly_over_patients
from ssl_ecg.metrics.scores import ENOUGH, best_threshold, check_features, check_patients, check_targets

Features = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]

_FOLDS = 3  # a few patients fill no more
_JUDGED = 5_000  # left-out samples that judge, at most: an even share of every patient's


@dataclass(frozen=True)
class TrainSide:
    """Labels of a task's train and validation samples: targets (n, K), bool, of patients (n,); `exclusive`: one each.

    `validation` (n,) are the samples of the validation split, if there is one; `judged` (n,) those that settings are
    judged by where five such patients are drawn, None for all; `cs` the values of C to choose from, ascending.
    UserError for arrays that do not fit each other.
    """

    targets: Mask
    patients: NDArray[Any]
    exclusive: bool = False
    validation: Mask | None = None
    judged: Mask | None = None
    cs: tuple[float, ...] = CS
    device: str | torch.device = "cpu"

    def __post_init__(self) -> None:
        """Check the arrays."""
        check_targets(self.targets, len(self.targets), self.targets.shape[-1])
        check_patients(self.patients, len(self.targets))

    @property
    def learners(self) -> Mask:
        """The samples that may be learned from, shape (n,)."""
        return np.ones(len(self.targets), dtype=np.bool_) if self.validation is None else ~self.validation


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a predictor says of the test samples: probabilities (m, K), and the setting it chose.

    A class is predicted from its threshold (K,) on, that of the largest F1 of what was held out, or 0.5 where nothing
    was. `curve` (S,) is the macro AUROC on held-out drawn patients with every setting, NaN where they cannot say.
    """

    probabilities: NDArray[np.float64]
    thresholds: NDArray[np.float64]
    chosen: float
    how: How
    curve: NDArray[np.float64]


class Predictor(ABC):
    """Predicts the test samples (m, d) of one system from train samples (n, d) and the labels of some patients.

    `name` is what the command line and tables call it, `setting` what is chosen, such as C. UserError for features that
    do not fit each other or the labels.
    """

    name: ClassVar[str]
    setting: ClassVar[str]

    def __init__(self, train: Features, test: Features, side: TrainSide) -> None:
        self.train, self.test, self.side = check_features(train, "train"), check_features(test, "test"), side
        if self.train.shape[1] != self.test.shape[1]:
            raise UserError(
                f"{self.train.shape[1]} features of train samples, but {self.test.shape[1]} of test samples"
            )
        check_patients(side.patients, len(self.train))

    @property
    @abstractmethod
    def settings(self) -> tuple[float, ...]:
        """The settings to choose from."""

    @abstractmethod
    def predict(self, known: Mask) -> Prediction:
        """Predict the test samples from the train and validation samples whose labels are known, mask (n,)."""


class LinearProbe(Predictor):
    """The linear probe: every class with every C at once, one C for all classes (`fit_probe`)."""

    name, setting = "linear", "C"

    @property
    def settings(self) -> tuple[float, ...]:
        """Values of C, ascending."""
        return self.side.cs

    def predict(self, known: Mask) -> Prediction:
        """Fit on the labelled samples alone."""
        side = self.side
        probe = fit_probe(
            {"frozen": self.train[known]},
            side.targets[known],
            np.asarray(side.patients)[known],
            cs=side.cs,
            validation=None if side.validation is None else side.validation[known],
            judged=None if side.judged is None else side.judged[known],
            few=True,
            device=side.device,
        )
        curve = np.array([setting.macro_auroc for setting in probe.table])
        return Prediction(probe.predict_proba({"frozen": self.test}), probe.decision, probe.chosen.c, probe.how, curve)


class JudgedPredictor(Predictor):
    """A predictor whose settings are judged by the macro AUROC of drawn patients that it does not learn from.

    Features are standardised with the mean and standard deviation of all train samples, which knows no labels. Of equal
    settings the first is taken; where nothing can be judged, the `fixed` one.
    """

    fixed: ClassVar[float]

    def __init__(self, train: Features, test: Features, side: TrainSide) -> None:
        super().__init__(train, test, side)
        mean, scale = self.train.mean(axis=0), self.train.std(axis=0)
        scale[scale <= 1e-6 * np.abs(mean) + 1e-12] = 1
        self.train, self.test = (self.train - mean) / scale, (self.test - mean) / scale
        self.targets, self.patients = side.targets, np.asarray(side.patients)

    def predict(self, known: Mask) -> Prediction:
        """Predict with the setting that does best on what is held out."""
        if known.shape != self.patients.shape or known.dtype != np.bool_ or not known.any():
            raise UserError(f"expected some labelled of {len(self.patients)} samples, got {known.sum()} {known.shape}")
        learned = known & self.side.learners
        shares = self.targets[learned].mean(axis=0)
        half, unknown = np.full(len(shares), 0.5), np.full(len(self.settings), np.nan)
        if not ((shares > 0) & (shares < 1)).any():  # nothing to tell apart
            return Prediction(np.tile(shares, (len(self.test), 1)), half, self.fixed, "default", unknown)
        fold = self._folds(known)
        judges = self._judges(fold)
        settings, curve, how = self.given(known)
        held_out = np.zeros((len(settings), *self.targets.shape))
        probabilities = self.prepared(learned if self.side.validation is not None else known)
        if judges.any():
            for f in np.unique(fold[judges]):
                mine = np.flatnonzero(judges & (fold == f))
                for s, setting in enumerate(settings):
                    held_out[s, mine] = probabilities(learned & (fold != f), setting, mine)
        areas = np.stack([held_out_auroc(self.targets[known], p[known], fold[known], judges[known]) for p in held_out])
        if np.isnan(areas).all():
            chosen = 0 if len(settings) == 1 else settings.index(self.fixed)
            judges = np.zeros_like(judges)
        else:
            # Of the same classes for every setting, so their sum says what their mean would.
            chosen = int(np.nansum(areas, axis=1).argmax())
        if curve is None:
            enough: How = "cross-validation" if self.side.validation is None else "validation split"
            how = enough if judges.any() else "default"
            curve = np.array([np.nan if np.isnan(a).all() else np.nanmean(a) for a in areas])
        pairs = zip(self.targets[judges].T, held_out[chosen][judges].T, strict=True)
        thresholds = np.where(shares > 0, [best_threshold(*of) for of in pairs], 0.5)
        found = probabilities(learned, settings[chosen])
        return Prediction(found, thresholds, settings[chosen], how, curve)

    def given(self, known: Mask) -> tuple[tuple[float, ...], NDArray[np.float64] | None, How]:
        """The settings to try, and the curve and what chose where another model has chosen already."""
        return self.settings, None, "default"

    def prepared(self, known: Mask) -> Callable[..., NDArray[np.float64]]:
        """`probabilities` for whichever of these labelled samples, with the work done that all such answers share."""
        return self.probabilities

    @abstractmethod
    def probabilities(self, known: Mask, setting: float, rows: Rows | None = None) -> NDArray[np.float64]:
        """Probability of each class for the train samples `rows`, by default for all test samples.

        Learned from the labelled train samples `known` (n,), with one of the settings.
        """

    def _folds(self, known: Mask) -> Rows:
        """The fold each sample is held out with, shape (n,); -1 for those that never are."""
        if self.side.validation is not None:
            return np.where(known & self.side.validation, 0, -1)
        fold = np.full(len(known), -1)
        if len(np.unique(self.patients[known])) >= ENOUGH:
            fold[known] = patient_folds(self.patients[known], self.targets[known], _FOLDS)
        return fold

    def _judges(self, fold: Rows) -> Mask:
        """The held-out samples that judge, shape (n,); none where fewer than five patients could."""
        judges = fold >= 0
        if self.side.judged is not None and len(np.unique(self.patients[judges & self.side.judged])) >= ENOUGH:
            judges &= self.side.judged
        rows = np.flatnonzero(judges)
        few = np.zeros(len(fold), dtype=np.bool_)
        if len(np.unique(self.patients[rows])) >= ENOUGH:
            few[rows[evenly_over_patients(self.patients[rows], _JUDGED, np.random.default_rng(0))]] = True
        return few


class Neighbours(JudgedPredictor):
    """A vote of the k nearest labelled samples in cosine similarity (`knn_predict`)."""

    name, setting, fixed = "knn", "k", 10
    settings = (20, 5, 10, 50)

    def probabilities(self, known: Mask, setting: float, rows: Rows | None = None) -> NDArray[np.float64]:
        """Shares of the votes, weighted against how common a class is where classes exclude each other."""
        bank = torch.from_numpy(self.train[known])
        queries = torch.from_numpy(self.test if rows is None else self.train[rows])
        y = torch.from_numpy(self.targets[known])
        if self.side.exclusive:
            return knn_predict(bank, y.int().argmax(dim=1), queries, y.shape[1], k=int(setting)).double().numpy()
        return knn_predict(bank, y, queries, k=int(setting)).double().numpy()
