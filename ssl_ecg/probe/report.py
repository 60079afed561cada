"""What `python -m ssl_ecg.probe` shows and leaves behind: a table, tidy rows, and figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.estimators.attentive import AttentiveProbe
from ssl_ecg.report.figures import METRICS, class_dots, confusion_figure, embedding_map, one_class, probe_bars
from ssl_ecg.report.results import Results, Row, rows_of
from ssl_ecg.report.tables import origin, print_table, too_few
from ssl_ecg.study.benchmark import Benchmark, Folds, Labels, Result
from ssl_ecg.study.predictions import write_predictions

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PREDICTOR, ATTENTIVE = "linear probe", "attentive probe"

# What the table shows of the many scores, where a data set has them.
_COLUMNS = {
    "macro_auroc": "macro AUROC",
    "macro_auroc_all": "also of rare classes",
    "macro_auprc": "macro AUPRC",
    "macro_f1": "macro F1",
    "prior_macro_f1": "F1 prior-corr.",
    "macro_f1_NSV": "F1 of N S V",
    "sensitivity_S": "S Se",
    "ppv_S": "S PPV",
    "sensitivity_V": "V Se",
    "ppv_V": "V PPV",
}
_WITH_INTERVAL = ("macro_auroc", "macro_auprc", "macro_f1", "prior_macro_f1")
_FEW_CLASSES = 6  # so many find room in the table


@dataclass(frozen=True)
class Scored:
    """What a probe found, on the data set's own split or by `folds`, of which the `benchmark` is the first.

    The `setting` is inductive or transductive, in words: whether the encoder had seen the patients. The figures show
    the first of the results, which have no scores where the test set was not touched. `embeddings` (n, D) are those of
    a split's test windows.
    """

    data: str
    task: str
    simulated: bool
    setting: str
    results: Sequence[Result]
    benchmark: Benchmark
    embeddings: NDArray[np.float32] | None = None
    folds: Folds | None = None

    @property
    def test(self) -> Labels:
        """Who is scored."""
        return self.benchmark.test if self.folds is None else self.folds.labels

    @property
    def too_few(self) -> tuple[str, ...]:
        """Classes that are not scored, or not in every fold."""
        return self.benchmark.too_few if self.folds is None else self.folds.too_few

    @property
    def validated(self) -> bool:
        """Whether there are cross-validated scores of the train patients alone."""
        return not self.results[0].scores

    @property
    def chosen_on(self) -> str:
        """What chose, and scores where the test set is not touched."""
        split = self.benchmark.validation is not None and self.benchmark.multilabel
        return "validation split" if split else "train patients, cross-validated"

    def rows(self) -> list[Row]:
        """Every score of every system, its differences to the baselines, and scores on parts of the test set."""
        found = []
        for r, where in zip(self.results, self._where, strict=True):
            found += r.rows(**where)
            if self.validated:
                area = {"macro_auroc": r.probe.chosen.macro_auroc}
                found += rows_of(area, system=r.system, subset=self.chosen_on, **where)
        return found

    @property
    def _where(self) -> list[dict[str, str]]:
        """Columns of each system's rows."""
        of = {"data": self.data, "task": self.task}
        return [of | {"predictor": ATTENTIVE if _attentive(r) else PREDICTOR} for r in self.results]

    def write_predictions(self, path: Path) -> None:
        """Write what every system predicted for every scored sample; nothing where none was scored."""
        if not self.validated:
            write_predictions(path, self.folds or self.benchmark, self.results, self._where)

    def about(self) -> dict[str, Any]:
        """What else is to be known of the results."""
        validation = 0 if self.benchmark.validation is None else int(self.benchmark.validation.sum())
        patients = len(set(self.test.patients.tolist()))
        sides: dict[str, Any] = {"samples": len(self.test.y), "patients": patients}
        if self.folds is None:
            train = len(self.benchmark.train.y) - validation
            sides = {"train_samples": train, "validation_samples": validation, "test_samples": len(self.test.y)}
        return {
            "setting": self.setting,
            "simulated": self.simulated,
            "classes": list(self.benchmark.classes),
            "too_few": list(self.too_few),
            **sides,
            **({} if self.folds is None else {"folds": int(self.folds.fold.max()) + 1}),
            "subsets": self.benchmark.subsets,
            "systems": {r.system: self._chosen(r) for r in self.results},
        }

    def _chosen(self, r: Result) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self.folds is not None:
            return found if _attentive(r) else {"C": [probe.chosen.c for probe in r.probes]}
        if not _attentive(r):
            found = {"C": r.probe.chosen.c, "weights": r.probe.chosen.weights, "chosen_on": self.chosen_on}
        if not math.isnan(r.probe.chosen.macro_auroc):
            found["chosen_macro_auroc"] = r.probe.chosen.macro_auroc
        if self.benchmark.multilabel:
            found["thresholds"] = dict(zip(self.benchmark.classes, r.probe.decision.tolist(), strict=True))
        return found

    def show(self, checkpoint: str) -> None:
        """Print the table of systems, their differences, and what is to be known of both."""
        kind = origin(self.simulated)
        if self.validated:
            judged = {r.system: {"macro AUROC": r.probe.chosen.macro_auroc} for r in self.results}
            for r in self.results:
                judged[r.system] |= {} if _attentive(r) else {"C": r.probe.chosen.c}
            print_table(judged, title=f"{checkpoint}: linear probe, {self.chosen_on}, {kind}")
            print(f"{self.setting[0].upper()}{self.setting[1:]}.\nThe test set was not touched.")
            return
        columns, results = dict(_COLUMNS), Results("probe", self.rows())
        if len(self.benchmark.classes) <= _FEW_CLASSES:
            columns |= {f"auroc_{name}": f"AUROC {name}" for name in self.benchmark.classes}
        who = "test patients" if self.folds is None else f"mean of {int(self.folds.fold.max()) + 1} folds of patients"
        print_table(results.table(columns, _WITH_INTERVAL), title=f"{checkpoint}: linear probe, {who}, {kind}")
        patients = len(set(self.test.patients.tolist()))
        side = "test patients" if self.folds is None else "patients of the folds"
        print(f"95 % intervals by bootstrap over {patients} {side}; {self.setting}.")
        if self.folds is not None and self.too_few:
            print(f"Not scored in every fold, too few patients have or lack them: {', '.join(self.too_few)}.")
        elif set(self.too_few) == set(self.benchmark.classes):
            print("No class has five test patients who have it and five who lack it: what is scored says little.")
        elif self.too_few:
            print(too_few(self.too_few))
        print("\n".join(results.compared("macro_auroc", "macro AUROC")))
        if self.folds is None:
            for name in self.benchmark.subsets:
                print_table(results.table(columns, _WITH_INTERVAL, subset=name), title=f"{name}:")

    def figures(self) -> dict[str, Figure]:
        """By file name: scores, and of a split the map of embeddings and the confusion or the AUROC of every class."""
        if self.validated:
            return {}
        systems = {r.system: r.scores for r in self.results}
        found = {"scores.png": probe_bars(systems, {**METRICS, "macro_auprc": "macro AUPRC"})}
        if self.embeddings is None:
            return found
        y, classes, patients = self.test.y, self.benchmark.classes, self.test.patients
        if self.benchmark.multilabel:
            counts = dict(zip(classes, y.sum(axis=0).tolist(), strict=True))
            scored = {name: n for name, n in counts.items() if name not in self.too_few}
            one, names = one_class(y, classes)
            found["map.png"] = embedding_map(self.embeddings, one, names, patients, grey=names[-1:])
            if scored:
                found["classes.png"] = class_dots(systems, scored)
            return found
        found["map.png"] = embedding_map(self.embeddings, y, classes, patients)
        first = self.results[1] if len(self.results) > 1 and " + RR" in self.results[1].system else self.results[0]
        assert first.probabilities is not None
        predicted = first.probabilities.argmax(axis=1)
        found["confusion.png"] = confusion_figure(y, predicted, classes, title=f"{first.system}, test patients")
        return found


def _attentive(r: Result) -> bool:
    return any(isinstance(probe, AttentiveProbe) for probe in r.probes)
