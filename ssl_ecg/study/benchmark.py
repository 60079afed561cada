"""The probe protocol: systems are fitted on the train patients, scored once on the test patients, compared in pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.estimators.linear import fit_linear_probe
from ssl_ecg.estimators.multilabel import fit_multilabel_probe
from ssl_ecg.estimators.probes import AffineProbe
from ssl_ecg.metrics.bootstrap import (
    Bootstrap,
    Difference,
    Interval,
    MultilabelBootstrap,
    PatientBootstrap,
    Resampled,
    difference,
)

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
        probe: the fitted probe, with its cross-validation.
        probabilities: of the test samples, shape (n, K); None before the test set was looked at.
        scores: with their intervals, by name.
        versus: paired differences to other systems, by system and score.
        excluded: the scores without the recordings that the protocol shares.
    """

    system: str
    probe: AffineProbe
    probabilities: NDArray[np.float64] | None = None
    scores: dict[str, Interval] = field(default_factory=dict)
    versus: dict[str, dict[str, Difference]] = field(default_factory=dict)
    excluded: dict[str, Interval] = field(default_factory=dict)


class Benchmark:
    """One data set's protocol.

    Args:
        train: labels the probes are fitted on.
        test: labels they are scored on.
        classes: the K class names.
        subsets: groups of classes to also average the F1 over, where classes exclude each other.
        validation: the train samples of the data set's validation split, shape (n,). Where a sample may belong to
            several classes, settings are judged by it; without, and where classes exclude each other, patients are
            left out in turn.
        exclude: test recordings to leave out in a second scoring, because the protocol has their patients
            on both sides.
        resamples: of the bootstrap over test patients.
        seed: of the bootstrap.

    Attributes:
        multilabel: whether a sample may belong to several classes.
        too_few: classes that are in no average, because too few test patients have or lack them; see the bootstrap.
        resampled: scores on every resample of the test patients, of each system that was scored.
    """

    def __init__(
        self,
        train: Labels,
        test: Labels,
        classes: Sequence[str],
        *,
        subsets: Sequence[Sequence[str]] = (),
        validation: NDArray[np.bool_] | None = None,
        exclude: Sequence[str] = (),
        resamples: int = 1000,
        seed: int = 0,
    ) -> None:
        self.train, self.test, self.classes = train, test, tuple(classes)
        self.exclude = tuple(record for record in exclude if (test.records == record).any())
        self.multilabel = test.y.ndim == 2
        self._subsets, self.validation = subsets, validation
        self._draws: dict[str, int] = {"n_resamples": resamples, "seed": seed}
        self._bootstrap = self._bootstrap_of(test)
        self.too_few = self._bootstrap.too_few
        rest, self._keep = test.without(self.exclude)
        self._rest = self._bootstrap_of(rest) if self.exclude else None
        self.resampled: dict[str, Resampled] = {}

    def fit(self, system: str, train: Mapping[str, Features], judged: NDArray[np.bool_] | None = None) -> Result:
        """Fit one system's probe; everything is chosen inside the train patients.

        Args:
            system: its name.
            train: its blocks of features, each (n, d).
            judged: which train samples the choice of settings is judged by, shape (n,); all by default.
        """
        y, patients = self.train.y, self.train.patients
        if self.multilabel:
            return Result(system, fit_multilabel_probe(train, y, patients, validation=self.validation, judged=judged))
        return Result(system, fit_linear_probe(train, y, patients, len(self.classes), judged=judged))

    def score(self, fitted: Result, test: Mapping[str, Features], versus: Sequence[str] = ()) -> Result:
        """Score a fitted system on the test patients, and beside systems scored before.

        Args:
            fitted: what `fit` gave.
            test: its blocks of features, each (m, d).
            versus: names of systems to compare with.
        """
        p = fitted.probe.predict_proba(test)
        mine = self._bootstrap.resample(p, fitted.probe.decision)
        self.resampled[fitted.system] = mine
        excluded = {}
        if self._rest is not None:
            excluded = self._rest.resample(p[self._keep], fitted.probe.decision).intervals()
        return Result(
            fitted.system,
            fitted.probe,
            p,
            mine.intervals(),
            {other: difference(mine, self.resampled[other]) for other in versus},
            excluded,
        )

    def _bootstrap_of(self, test: Labels) -> Bootstrap:
        return bootstrap_of(test, self.classes, subsets=self._subsets, **self._draws)


def bootstrap_of(
    labels: Labels, classes: Sequence[str], *, subsets: Sequence[Sequence[str]] = (), n_resamples: int, seed: int
) -> Bootstrap:
    """The bootstrap over patients that fits the labels.

    Args:
        labels: of the test side.
        classes: the K class names.
        subsets: groups of classes to also average the F1 over, where classes exclude each other.
        n_resamples: B.
        seed: of the draws.
    """
    if labels.y.ndim == 2:
        return MultilabelBootstrap(labels.y, labels.patients, classes, n_resamples=n_resamples, seed=seed)
    return PatientBootstrap(labels.y, labels.patients, classes, subsets=subsets, n_resamples=n_resamples, seed=seed)
