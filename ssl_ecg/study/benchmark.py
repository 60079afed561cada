"""The probe protocol: systems are fitted on the train patients, scored once on the test patients, compared in pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ssl_ecg.estimators.attentive import AttentiveProbe, Tokens, fit_attentive
from ssl_ecg.estimators.design import patient_folds
from ssl_ecg.estimators.probe import LinearProbe, fit_probe
from ssl_ecg.metrics.bootstrap import Difference, Interval, Resampled, ScoreBootstrap, difference, mean_of
from ssl_ecg.report.results import Row, differences, rows_of
from ssl_ecg.study.odds import as_kept

Features = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Labels:
    """What one side of a split says of its samples: class indices `y` (n,), and patients and recordings, (n,) each.

    Where a sample may belong to several classes, `y` says which of them: bool, shape (n, K).
    """

    y: NDArray[Any]
    patients: NDArray[np.str_]
    records: NDArray[np.str_]

    def targets(self, n_classes: int) -> NDArray[np.bool_]:
        """Which of the K classes each sample belongs to, shape (n, K)."""
        return self.y if self.y.ndim == 2 else self.y[:, None] == np.arange(n_classes)

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

    It has the fitted probe, with its cross-validation, or one for each fold of patients, or none of what is no probe;
    scores on the test set, or their mean over folds, and on every resample of its patients (None before the test set
    was looked at); paired differences by other system and score; scores on parts of the test set, by name; and the test
    samples' probabilities (n, K), with what turns them into a decision (K,).
    """

    system: str
    probes: tuple[LinearProbe | AttentiveProbe, ...] = ()
    resampled: Resampled | None = None
    versus: dict[str, dict[str, Difference]] = field(default_factory=dict)
    subsets: dict[str, dict[str, Interval]] = field(default_factory=dict)
    probabilities: NDArray[np.float64] | None = None
    decision: NDArray[np.float64] | None = None

    @property
    def probe(self) -> LinearProbe | AttentiveProbe:
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

    def rows(self, **where: Any) -> list[Row]:  # noqa: ANN401
        """Its scores, differences and scores on parts of the test set; `where` gives the rows' other columns."""
        where = {**where, "system": self.system}
        found = rows_of(self.scores, **where) + differences(self.versus, **where)
        for name, scores in self.subsets.items():
            found += rows_of(scores, subset=name, **where)
        return found


class Benchmark:
    """One data set's protocol: probes are fitted on `train`, scored on `test`.

    `groups` are of classes to also average the F1 over, where classes exclude each other. `validation` (n,) tells the
    train samples of the data set's validation split: where a sample may belong to several classes, settings are judged
    by it; without, and where classes exclude each other, patients are left out in turn. `subsets` names test recordings
    to leave out in a second scoring, such as "without 232"; those that leave out nothing are dropped. `resamples` and
    `seed` are of the bootstrap over test patients; `too_few` names the classes that are in no average, because too few
    test patients have or lack them.
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
        self.validation, self._device, self._seed = validation, device, seed

        def bootstrap(of: Labels) -> ScoreBootstrap:
            return ScoreBootstrap(of.y, of.patients, classes, subsets=groups, n_resamples=resamples, seed=seed)

        self._bootstrap = bootstrap(test)
        self.too_few = self._bootstrap.too_few
        self.subsets = {n: tuple(r) for n, r in (subsets or {}).items() if np.isin(test.records, list(r)).any()}
        self.options = {"groups": groups, "subsets": self.subsets, "resamples": resamples, "seed": seed}
        rest = {name: test.without(records) for name, records in self.subsets.items()}
        self._rest = {name: (keep, bootstrap(some)) for name, (some, keep) in rest.items()}

    def fit(
        self,
        system: str,
        train: Mapping[str, Features],
        judged: NDArray[np.bool_] | None = None,
        *,
        cross_validate: bool = False,
    ) -> Result:
        """Fit one system's probe on its blocks of features (n, d); everything is chosen inside the train patients.

        `judged` (n,) tells which train samples the choice of settings is judged by; all by default. A block of `Tokens`
        gets an attentive probe, which chooses nothing; to `cross_validate` is to score it on held-out patients.
        """
        of, k = self.train, len(self.classes)
        how: dict[str, Any] = {"validation": self.validation if self.multilabel else None, "judged": judged}
        how["device"] = self._device
        if any(isinstance(block, Tokens) for block in train.values()):
            how |= {"exclusive": not self.multilabel, "cross_validate": cross_validate, "seed": self._seed}
            return Result(system, (fit_attentive(train, of.targets(k), of.patients, **how),))
        return Result(system, (fit_probe(train, of.y, of.patients, k, **how),))

    def score(self, fitted: Result, test: Mapping[str, Features], versus: Sequence[Result] = ()) -> Result:
        """Score a fitted system on the test patients' features (m, d), and beside systems scored before."""
        found = self.scored(fitted.system, fitted.probe.predict_proba(test), fitted.probe.decision)
        return replace(found, probes=fitted.probes).beside(versus)

    def scored(self, system: str, p: NDArray[np.float64], decision: NDArray[np.float64]) -> Result:
        """Score probabilities (m, K) of the test samples; for `decision` (K,) see `ScoreBootstrap.resample`."""
        p = as_kept(p)
        parts = {
            name: bootstrap.resample(p[keep], decision).intervals() for name, (keep, bootstrap) in self._rest.items()
        }
        whole = self._bootstrap.resample(p, decision)
        return Result(system, (), whole, subsets=parts, probabilities=p, decision=decision)


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
        self.options = {"n_folds": n_folds, "seed": seed, "groups": options.get("groups", ())}
        self.options |= {"resamples": options.get("resamples", 1000)}
        self.fold = patient_folds(labels.patients, labels.targets(len(classes)), n_folds)
        self.labels, self.classes = labels, tuple(classes)
        self.benchmarks = [
            Benchmark(labels.where(self.fold != f), labels.where(self.fold == f), classes, seed=seed + f, **options)
            for f in range(int(self.fold.max()) + 1)
        ]
        self.too_few = tuple(name for name in classes if any(name in b.too_few for b in self.benchmarks))

    def run(self, system: str, extract: Extract, versus: Sequence[Result] = ()) -> Result:
        """Fit and score one system fold by fold; what `extract` fits, it fits on the first of the sides it is given."""
        p, probes = np.empty((len(self.fold), len(self.classes))), []
        for f, benchmark in enumerate(self.benchmarks):
            fit_on, score_on = extract(self.fold != f, self.fold == f)
            probes.append(benchmark.fit(system, fit_on).probe)
            p[self.fold == f] = probes[-1].predict_proba(score_on)
        found = self.scored(system, p, np.stack([probe.decision for probe in probes]))
        return replace(found, probes=tuple(probes)).beside(versus)

    def scored(self, system: str, p: NDArray[np.float64], decision: NDArray[np.float64]) -> Result:
        """Score probabilities (n, K) of all samples, each fold by its own decision, (F, K); means over folds."""
        p, every = as_kept(p), enumerate(self.benchmarks)
        parts = [benchmark.scored(system, p[self.fold == f], decision[f]).resampled for f, benchmark in every]
        scored = [part for part in parts if part is not None]
        mean = mean_of(scored, hash(tuple(part.key for part in scored)))
        return Result(system, (), mean, probabilities=p, decision=decision)
