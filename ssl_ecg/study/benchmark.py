"""The probe protocol: systems are fitted on the train patients, scored once on the test patients, compared in pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ssl_ecg.estimators.probe import LinearProbe, fit_probe
from ssl_ecg.metrics.bootstrap import Difference, Interval, Resampled, ScoreBootstrap, difference

Features = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Labels:
    """What one side of a split says of its samples.

    Attributes:
        y: class indices, shape (n,); or, where a sample may belong to several classes, which of them, bool,
            shape (n, K).
        patients: whose each sample is, shape (n,).
        records: which recording it is from, shape (n,).
    """

    y: NDArray[Any]
    patients: NDArray[np.str_]
    records: NDArray[np.str_]

    def where(self, mask: NDArray[np.bool_]) -> Labels:
        """Those of a mask of shape (n,)."""
        return Labels(self.y[mask], self.patients[mask], self.records[mask])

    def without(self, records: Sequence[str]) -> tuple[Labels, NDArray[np.bool_]]:
        """The samples of all other recordings, and which they are."""
        keep = ~np.isin(self.records, list(records))
        return self.where(keep), keep


@dataclass(frozen=True)
class Result:
    """What one system achieved.

    Attributes:
        system: its name.
        probes: the fitted probe, with its cross-validation; or one for each fold of patients.
        resampled: scores on the test set, or the mean over folds, and on every resample of its patients; None before
            the test set was looked at.
        versus: paired differences to other systems, by system and score.
        subsets: scores on parts of the test set, by name.
        probabilities: of the test samples, shape (n, K).
    """

    system: str
    probes: tuple[LinearProbe, ...]
    resampled: Resampled | None = None
    versus: dict[str, dict[str, Difference]] = field(default_factory=dict)
    subsets: dict[str, dict[str, Interval]] = field(default_factory=dict)
    probabilities: NDArray[np.float64] | None = None

    @property
    def probe(self) -> LinearProbe:
        """The only one, or the first fold's."""
        return self.probes[0]

    @property
    def scores(self) -> dict[str, Interval]:
        """Scores with their 95 % intervals, by name."""
        return {} if self.resampled is None else self.resampled.intervals()

    def beside(self, others: Sequence[Result]) -> Result:
        """With its paired differences to other systems that were scored on the same resamples."""
        assert self.resampled is not None
        pairs = {o.system: difference(self.resampled, o.resampled) for o in others if o.resampled is not None}
        return replace(self, versus=pairs)


class Benchmark:
    """One data set's protocol.

    Args:
        train: labels the probes are fitted on.
        test: labels they are scored on.
        classes: the K class names.
        groups: of classes to also average the F1 over, where classes exclude each other.
        validation: the train samples of the data set's validation split, shape (n,). Where a sample may belong to
            several classes, settings are judged by it; without, and where classes exclude each other, patients are
            left out in turn.
        subsets: test recordings to leave out in a second scoring, by what it is called, such as "without 232".
        resamples: of the bootstrap over test patients.
        seed: of the bootstrap.
        device: where probes are fitted.

    Attributes:
        multilabel: whether a sample may belong to several classes.
        too_few: classes that are in no average, because too few test patients have or lack them; see the bootstrap.
        subsets: those that leave out something of the test side.
    """

    def __init__(
        self,
        train: Labels,
        test: Labels,
        classes: Sequence[str],
        *,
        groups: Sequence[Sequence[str]] = (),
        validation: NDArray[np.bool_] | None = None,
        subsets: Mapping[str, Sequence[str]] | None = None,
        resamples: int = 1000,
        seed: int = 0,
        device: str | torch.device = "cpu",
    ) -> None:
        self.train, self.test, self.classes = train, test, tuple(classes)
        self.multilabel = test.y.ndim == 2
        self.validation, self._device = validation, device
        how: dict[str, Any] = {"groups": groups, "n_resamples": resamples, "seed": seed}
        self._bootstrap = bootstrap_of(test, classes, **how)
        self.too_few = self._bootstrap.too_few
        self.subsets = {n: tuple(r) for n, r in (subsets or {}).items() if np.isin(test.records, list(r)).any()}
        rest = {name: test.without(records) for name, records in self.subsets.items()}
        self._rest = {name: (keep, bootstrap_of(some, classes, **how)) for name, (some, keep) in rest.items()}

    def fit(self, system: str, train: Mapping[str, Features], judged: NDArray[np.bool_] | None = None) -> Result:
        """Fit one system's probe; everything is chosen inside the train patients.

        Args:
            system: its name.
            train: its blocks of features, each (n, d).
            judged: which train samples the choice of settings is judged by, shape (n,); all by default.
        """
        split = self.validation if self.multilabel else None
        of = self.train
        probe = fit_probe(
            train, of.y, of.patients, len(self.classes), validation=split, judged=judged, device=self._device
        )
        return Result(system, (probe,))

    def score(self, fitted: Result, test: Mapping[str, Features], versus: Sequence[Result] = ()) -> Result:
        """Score a fitted system on the test patients, and beside systems scored before.

        Args:
            fitted: what `fit` gave.
            test: its blocks of features, each (m, d).
            versus: systems to compare with.
        """
        p, decision = fitted.probe.predict_proba(test), fitted.probe.decision
        parts = {
            name: bootstrap.resample(p[keep], decision).intervals() for name, (keep, bootstrap) in self._rest.items()
        }
        scored = replace(fitted, resampled=self._bootstrap.resample(p, decision), subsets=parts, probabilities=p)
        return scored.beside(versus)


def bootstrap_of(
    labels: Labels, classes: Sequence[str], *, groups: Sequence[Sequence[str]] = (), n_resamples: int, seed: int
) -> ScoreBootstrap:
    """The bootstrap over the patients of one side, with the classes and groups of `ScoreBootstrap`."""
    return ScoreBootstrap(labels.y, labels.patients, classes, subsets=groups, n_resamples=n_resamples, seed=seed)
