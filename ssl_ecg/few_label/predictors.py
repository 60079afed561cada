"""Few labels: what frozen features are worth when only some of the train patients are labelled.

    methods = few_label_methods(train, test, labels, n_classes)  # features of both sides, labels of the train side
    known = np.isin(labels.patients, some_patients)              # whose labels may be read
    p = methods[0].predict(known)                                # of the test samples

Whatever is chosen is chosen among the labelled patients, in three folds by patient. Where they cannot judge (one
patient, or no class that patients of two folds have) fixed settings are taken; each method says which.

A class that no labelled patient has is not learned: its probability is 0 for every sample where classes are told
apart by these labels alone, so its AUROC is .5 and it is never predicted. Macro averages keep it, since the draw left
it out, not the test set.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from ssl_ecg.errors import UserError
from ssl_ecg.estimators.knn import knn_predict, knn_predict_multilabel
from ssl_ecg.estimators.linear import fit_linear_probe
from ssl_ecg.estimators.multilabel import fit_multilabel_probe
from ssl_ecg.estimators.probes import CS, AffineProbe
from ssl_ecg.metrics.checks import check_features, check_labels, check_patients, check_targets
from ssl_ecg.metrics.folds import held_out_auroc, multilabel_folds
from ssl_ecg.metrics.multilabel import best_threshold
from ssl_ecg.study.benchmark import Labels

Features = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]

_FOLDS = 3  # a few patients fill no more
_C = 1e-2  # where none can be chosen
_JUDGED = 5_000  # left-out samples that judge, at most: an even share of every patient's


@dataclass(frozen=True, slots=True)
class Prediction:
    """What one method says of the test samples.

    Attributes:
        probabilities: shape (m, K).
        decision: what decides beside them, shape (K,): how common each class is among the labelled samples, or, where a
            sample may belong to several, the threshold of each class.
        setting: what was chosen, by name.
    """

    probabilities: NDArray[np.float64]
    decision: NDArray[np.float64]
    setting: dict[str, float] = field(default_factory=dict)


class FewLabelMethod(ABC):
    """Predicts the test samples from the labels of some train patients.

    Features are standardised with the mean and standard deviation of all train samples, which knows no labels.

    Args:
        train: features of the train samples, labelled or not, shape (n, d).
        test: features of the test samples, shape (m, d).
        labels: of all train samples; only those said to be known are read.
        n_classes: K.

    Attributes:
        name: what it is called in tables.

    Raises:
        UserError: for features or labels that do not fit each other.
    """

    name: ClassVar[str]

    def __init__(self, train: Features, test: Features, labels: Labels, n_classes: int) -> None:
        raw, other = check_features(train, "train"), check_features(test, "test")
        if raw.shape[1] != other.shape[1]:
            raise UserError(f"{raw.shape[1]} features of train samples, but {other.shape[1]} of test samples")
        scale = raw.std(axis=0)
        scale[scale <= 1e-6 * np.abs(raw.mean(axis=0)) + 1e-12] = 1
        self.train, self.test = (raw - raw.mean(axis=0)) / scale, (other - raw.mean(axis=0)) / scale
        self.multilabel = labels.y.ndim == 2
        self.y, self.patients = labels.y, labels.patients
        check_patients(labels.patients, len(raw))
        if self.multilabel:
            self.targets = check_targets(labels.y, len(raw), n_classes)
        else:
            self.targets = check_labels(labels.y, len(raw), n_classes)[:, None] == np.arange(n_classes)

    def predict(self, known: Mask) -> Prediction:
        """Predict the test samples.

        Args:
            known: the train samples whose labels may be read, shape (n,).

        Raises:
            UserError: unless it is a mask of the train samples with some in it.
        """
        if known.shape != self.patients.shape or known.dtype != np.bool_ or not known.any():
            raise UserError(f"expected some labelled of {len(self.patients)} samples, got {known.sum()} {known.shape}")
        shares = self.targets[known].mean(axis=0)
        if not ((shares > 0) & (shares < 1)).any():  # nothing to tell apart
            rows = np.tile(shares, (len(self.test), 1))
            return Prediction(rows, np.full(len(shares), 0.5) if self.multilabel else shares)
        return self._predict(known)

    @abstractmethod
    def _predict(self, known: Mask) -> Prediction:
        """As `predict`, where there are classes to tell apart."""

    def _folds(self, known: Mask) -> NDArray[np.int64] | None:
        """The fold of each known sample; None if such folds cannot judge anything."""
        patients, targets = self.patients[known], self.targets[known]
        if len(np.unique(patients)) < 2:
            return None
        fold = multilabel_folds(patients, targets, _FOLDS)
        return None if np.isnan(held_out_auroc(targets, np.zeros(targets.shape), fold)).all() else fold


class JudgedMethod(FewLabelMethod):
    """A method whose settings are judged by the macro AUROC of labelled patients left out in turn.

    Those that are left out are unlabelled then. Where samples may belong to several classes, the threshold of each is
    the one of the largest F1 of what was left out; 0.5 where nothing could be.

    Attributes:
        setting: what the settings are called.
        settings: to choose from, of equals the first.
        fixed: the one where nothing can be judged.
    """

    setting: ClassVar[str]
    settings: ClassVar[tuple[float, ...]]
    fixed: ClassVar[float]

    def _predict(self, known: Mask) -> Prediction:
        fold = self._folds(known)
        settings, rows = self.settings_for(known), np.flatnonzero(known)
        probabilities = self.prepared(known)
        chosen, threshold = settings[0] if len(settings) == 1 else self.fixed, np.full(self.targets.shape[1], 0.5)
        if fold is not None and (len(settings) > 1 or self.multilabel):
            targets, judged = self.targets[known], np.zeros(len(rows), dtype=np.bool_)
            judged[evenly_over_patients(self.patients[known], _JUDGED)] = True
            best = -np.inf
            for setting in settings:
                held_out = np.zeros(targets.shape)
                for f in np.unique(fold):
                    learned = known.copy()
                    learned[rows[fold == f]] = False
                    mine = judged & (fold == f)
                    held_out[mine] = probabilities(learned, setting, rows[mine])
                # Of the same classes for every setting, so their sum says what their mean would.
                score = float(np.nansum(held_out_auroc(targets, held_out, fold, judged)))
                if score > best:
                    best, chosen = score, setting
                    pairs = zip(targets[judged].T, held_out[judged].T, strict=True)
                    threshold = np.array([best_threshold(*of) for of in pairs])
        shares = self.targets[known].mean(axis=0)
        # A class that nobody has is never predicted.
        decision = np.where(shares > 0, threshold, 0.5) if self.multilabel else shares
        return Prediction(probabilities(known, chosen), decision, {self.setting: chosen})

    def settings_for(self, known: Mask) -> tuple[float, ...]:
        """The settings to choose from when these samples are labelled."""
        return self.settings

    def prepared(self, known: Mask) -> Callable[..., NDArray[np.float64]]:
        """`probabilities` for whichever of these labelled samples, with the work done that all such answers share."""
        return self.probabilities

    @abstractmethod
    def probabilities(self, known: Mask, setting: float, rows: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
        """Probability of each class.

        Args:
            known: the labelled train samples, shape (n,).
            setting: one of the settings.
            rows: the train samples to predict; all test samples if None.
        """


class Neighbours(JudgedMethod):
    """A vote of the nearest labelled samples in cosine similarity (`knn_predict`), their number chosen."""

    name = "kNN"
    setting, settings, fixed = "k", (20, 5, 10, 50), 10

    def probabilities(self, known: Mask, setting: float, rows: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
        """Shares of the votes, weighted against how common a class is where classes exclude each other."""
        bank, queries = (
            torch.from_numpy(self.train[known]),
            torch.from_numpy(self.test if rows is None else self.train[rows]),
        )
        if self.multilabel:
            p = knn_predict_multilabel(bank, torch.from_numpy(self.targets[known]), queries, k=int(setting))
        else:
            y = torch.from_numpy(self.y[known].astype(np.int64))
            p = knn_predict(bank, y, queries, self.targets.shape[1], k=int(setting))
        return p.double().numpy()


class LinearProbe(FewLabelMethod):
    """The linear probe, fitted on the labelled samples alone; C is 0.01 where they cannot choose it."""

    name = "linear probe"

    def _predict(self, known: Mask) -> Prediction:
        probe = fit_probe(
            self.train[known],
            self.y[known],
            self.patients[known],
            self.targets.shape[1],
            self._folds(known) is not None,
        )
        return Prediction(probe.predict_proba({"features": self.test}), probe.decision, {"C": probe.chosen.c})


def fit_probe(x: Features, y: NDArray[Any], patients: NDArray[Any], n_classes: int, choose: bool) -> AffineProbe:
    """A linear probe of one block, "features", of classes that exclude each other or not.

    Args:
        x: features, shape (n, d).
        y: class indices, shape (n,), or targets, shape (n, K).
        patients: whose each sample is, shape (n,).
        n_classes: K.
        choose: whether C is chosen, in as many folds as here; else it is 0.01.
    """
    cs = CS if choose else (_C,)
    if y.ndim == 2:
        return fit_multilabel_probe({"features": x}, y, patients, cs=cs, n_folds=_FOLDS)
    return fit_linear_probe({"features": x}, y, patients, n_classes, cs=cs, n_folds=_FOLDS)


def evenly_over_patients(patients: NDArray[Any], most: int, seed: int = 0) -> NDArray[np.int64]:
    """At most so many samples, of every patient the same number as far as there are so many.

    Args:
        patients: whose each sample is, shape (n,).
        most: samples.
        seed: of which are drawn.

    Returns:
        Their numbers, ascending.
    """
    _, patient = check_patients(patients, len(patients))
    shuffled = np.random.default_rng(seed).permutation(len(patient))
    grouped = shuffled[np.argsort(patient[shuffled], kind="stable")]
    counts = np.bincount(patient)
    turn = np.arange(len(patient)) - np.repeat(np.cumsum(counts) - counts, counts)  # 0, 1, ... within each patient
    return np.sort(grouped[np.argsort(turn, kind="stable")[:most]])


def few_label_methods(train: Features, test: Features, labels: Labels, n_classes: int) -> list[FewLabelMethod]:
    """All methods on the same features: two that read labelled samples alone, two that use the others too.

    Args:
        train: features of all train samples, shape (n, d).
        test: features of the test samples, shape (m, d).
        labels: of the train samples.
        n_classes: K.
    """
    from ssl_ecg.few_label.semi_supervised import SelfTraining, Spreading

    kinds: list[type[FewLabelMethod]] = [Neighbours, LinearProbe, Spreading, SelfTraining]
    return [kind(train, test, labels, n_classes) for kind in kinds]
