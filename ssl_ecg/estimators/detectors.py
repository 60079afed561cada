"""Anomaly detectors: fitted on normal samples alone, they score how unlike those others are.

    detector = KNNDistance().fit(normal, patients)    # (m, D) embeddings of normal samples, and whose they are
    scores = detector.score(others)                   # (n,), more means more anomalous

All standardise each feature by the normal samples first, so that no feature counts for more because of its unit.
Abnormal samples are used neither in fitting nor in choosing anything.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray

from ssl_ecg.errors import UserError
from ssl_ecg.estimators.design import patient_folds
from ssl_ecg.estimators.pca import PrincipalComponents, fit_pca
from ssl_ecg.estimators.sampling import evenly_over_patients, evenly_spaced
from ssl_ecg.metrics.scores import Array, check_features, check_patients

Features = NDArray[np.floating[Any]]
Standardised = NDArray[np.float32]

_WIDE, _NARROWED = 1024, 512
_MOST_COMPONENTS = 256
_COMPONENTS_OF = 20_000  # samples to fit components on: more do not move them


class Detector(ABC):
    """Base: standardises features and reduces more than 1,024 of them to 512 principal components.

    Detectors that are `wide` take any number of features; `device`: to score on, where torch scores.
    """

    name: ClassVar[str]
    wide: ClassVar[bool] = False
    device = torch.device("cpu")

    def on(self, device: torch.device) -> Self:
        """Score on a device."""
        self.device = device
        return self

    def fit(self, features: Features, patients: NDArray[Any]) -> Self:
        """Fit to features (m, D) of normal samples of patients (m,); returns itself.

        UserError for fewer than two samples, or features that do not fit or are not finite.
        """
        x = check_features(features, "normal")
        check_patients(patients, len(x))
        if len(x) < 2:
            raise UserError("an anomaly detector needs two normal samples or more, got 1")
        self._mean = x.mean(axis=0, dtype=np.float64).astype(np.float32)
        spread = x.std(axis=0, dtype=np.float64).astype(np.float32)
        self._spread = np.where(spread > 0, spread, 1)
        self._pca: PrincipalComponents | None = None
        if not self.wide and x.shape[1] > _WIDE:
            self._pca = _components(self._prepared(x), _NARROWED)
        self._fit(self._prepared(x), np.asarray(patients))
        return self

    def score(self, features: Features) -> Array:
        """Score samples by features (n, D), shape (n,): more means more anomalous.

        UserError for features that do not fit those of the normal samples, or are not finite.
        """
        x = check_features(features, "scored")
        if x.shape[1] != len(self._mean):
            raise UserError(f"the normal samples have {len(self._mean)} features, those to score {x.shape[1]}")
        return np.asarray(self._score(self._prepared(x)), dtype=np.float64)

    def _prepared(self, x: NDArray[np.float32]) -> Standardised:
        z = np.asarray((x - self._mean) / self._spread, dtype=np.float32)
        return z if self._pca is None else self._pca(z[:, None])

    @abstractmethod
    def _fit(self, x: Standardised, patients: NDArray[Any]) -> None: ...

    @abstractmethod
    def _score(self, x: Standardised) -> NDArray[Any]: ...


class KNNDistance(Detector):
    """Mean Euclidean distance to the k nearest normal samples, found exactly.

    As in Bergman, Cohen & Hoshen, "Deep nearest neighbor anomaly detection", 2020 (https://arxiv.org/abs/2002.10445).
    At most `bank` normal samples are kept, an even share of every patient, spread evenly in time; `batch_size` samples
    are scored at a time, which takes memory for batch_size x bank.
    """

    name = "kNN distance"

    def __init__(self, k: int = 5, bank: int = 10_000, batch_size: int = 1024) -> None:
        if k < 1 or bank < k:
            raise UserError(f"expected k from 1 to the size of the bank, got k = {k} and {bank}")
        self.k, self.bank, self.batch_size = k, bank, batch_size

    def _fit(self, x: Standardised, patients: NDArray[Any]) -> None:
        self._kept = evenly_over_patients(patients, self.bank)
        self._bank = torch.from_numpy(x[self._kept])

    @torch.no_grad()
    def _score(self, x: Standardised) -> NDArray[Any]:
        k, bank = min(self.k, len(self._bank)), self._bank.to(self.device)
        found = [
            torch.cdist(some.to(self.device), bank).topk(k, dim=1, largest=False).values.mean(dim=1)
            for some in torch.from_numpy(x).split(self.batch_size)
        ]
        return np.asarray(torch.cat(found).cpu().numpy())


class Mahalanobis(Detector):
    """Distance from the mean of the normal samples, in units of their spread in that direction.

    The covariance is shrunk as in Ledoit & Wolf, "A well-conditioned estimator for large-dimensional covariance
    matrices", Journal of Multivariate Analysis 2004: otherwise directions that the normal samples hardly use decide.
    In double precision: in single, the inverse drops directions of a small variance.
    """

    name = "Mahalanobis"

    def _fit(self, x: Standardised, patients: NDArray[Any]) -> None:
        from sklearn.covariance import LedoitWolf

        self._covariance = LedoitWolf().fit(x.astype(np.float64))

    def _score(self, x: Standardised) -> NDArray[Any]:
        return np.asarray(np.sqrt(np.maximum(self._covariance.mahalanobis(x.astype(np.float64)), 0)))

    def state(self) -> dict[str, NDArray[Any]]:
        """All that its scores depend on, rounded to single precision once it is computed.

        UserError for more than 1,024 features, which are reduced first.
        """
        if self._pca is not None:
            raise UserError(f"a Mahalanobis distance of more than {_WIDE} features is not kept")
        fitted = {"location": self._covariance.location_, "precision": self._covariance.precision_}
        return {"mean": self._mean, "spread": self._spread} | {n: each.astype(np.float32) for n, each in fitted.items()}

    @classmethod
    def restore(cls, state: Mapping[str, NDArray[Any]]) -> Self:
        """Make one that scores as that of a `state`."""
        from sklearn.covariance import LedoitWolf

        made = cls()
        made._mean, made._spread, made._pca = state["mean"], state["spread"], None
        made._covariance = LedoitWolf()
        made._covariance.location_, made._covariance.precision_ = state["location"], state["precision"]
        return made


class Forest(Detector):
    """How few random splits set a sample apart: the isolation forest of Liu, Ting & Zhou, ICDM 2008."""

    name = "isolation forest"

    def __init__(self, trees: int = 200, seed: int = 0) -> None:
        self.trees, self.seed = trees, seed

    def _fit(self, x: Standardised, patients: NDArray[Any]) -> None:
        from sklearn.ensemble import IsolationForest

        self._forest = IsolationForest(n_estimators=self.trees, random_state=self.seed).fit(x)

    def _score(self, x: Standardised) -> NDArray[Any]:
        return -np.asarray(self._forest.score_samples(x))


class Reconstruction(Detector):
    """Error of reconstructing a sample from the principal components of the normal ones, as by a linear autoencoder.

    The mean squared residual, called Q in process control: Jackson & Mudholkar, "Control procedures for residuals
    associated with principal component analysis", Technometrics 1979. Components explain `variance`, a share of the
    normal samples' variance; at most 256 are kept, and fewer than there are features.
    """

    name = "reconstruction"
    wide = True

    def __init__(self, variance: float = 0.9) -> None:
        if not 0 < variance < 1:
            raise UserError(f"variance must be between 0 and 1, not {variance}")
        self.variance = variance

    def _fit(self, x: Standardised, patients: NDArray[Any]) -> None:
        pca = _components(x, _MOST_COMPONENTS)
        explained = np.cumsum(pca(x[:, None]).var(axis=0, dtype=np.float64)) / x.var(axis=0, dtype=np.float64).sum()
        number = max(1, min(1 + int(np.searchsorted(explained, self.variance)), x.shape[1] - 1))
        self._axes = pca.axes[:, :number]

    @torch.no_grad()
    def _score(self, x: Standardised) -> NDArray[Any]:
        z, axes = torch.from_numpy(x).to(self.device), self._axes.to(self.device)
        return np.asarray((z - z @ axes @ axes.T).square().mean(dim=1).cpu().numpy())


class Given(Detector):
    """The one feature itself, where that is a score already, such as an autoencoder's error."""

    name = "given"

    def _fit(self, x: Standardised, patients: NDArray[Any]) -> None: ...

    def _score(self, x: Standardised) -> NDArray[Any]:
        return x[:, 0]


DETECTORS: dict[str, type[Detector]] = {
    "knn": KNNDistance,
    "mahalanobis": Mahalanobis,
    "forest": Forest,
    "reconstruction": Reconstruction,
}
"""By their name on the command line. No default was chosen by how well anomalies are found."""


def held_out_scores(
    make: Callable[[], Detector], features: Features, patients: NDArray[Any], n_folds: int = 5
) -> Array:
    """Score normal samples (m, D) by detectors fitted on other patients, to set a threshold by, shape (m,).

    Groups of patients are held out in turn; fewer than `n_folds` where there are fewer patients. UserError for fewer
    than two patients.
    """
    fold = patient_folds(patients, np.ones((len(features), 1), dtype=np.bool_), n_folds)
    scores = np.empty(len(features))
    for f in range(fold.max() + 1):
        held = fold == f
        scores[held] = make().fit(features[~held], patients[~held]).score(features[held])
    return scores


def _components(z: Standardised, n: int) -> PrincipalComponents:
    """At most n principal components."""
    return fit_pca(z[evenly_spaced(len(z), _COMPONENTS_OF), None], min(n, *z.shape))
