"""What `python -m ssl_ecg.cluster` prints, and the rows, figures and facts it writes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.cluster.contents import composition, draw_beats, draw_strips
from ssl_ecg.cluster.figures import choice_figure, cluster_map, scores_figure
from ssl_ecg.cluster.scores import ClusterBenchmark, ClusterResult
from ssl_ecg.cluster.space import Space
from ssl_ecg.data.windows import WindowSet
from ssl_ecg.report.figures import one_class
from ssl_ecg.report.results import Row, differences, rows_of
from ssl_ecg.report.tables import Value, origin, print_table
from ssl_ecg.study.systems import PRETRAINED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = {"nmi": "NMI", "ami": "AMI", "ari": "ARI", "explained": "explained", "within": "within"}
_WITH_INTERVAL = ("ami", "within")


@dataclass
class Report:
    """Results by way of clustering and system, the first system on top, and why others have none (`left_out`)."""

    windows: WindowSet
    benchmark: ClusterBenchmark
    side: str
    setting: str
    by_way: dict[str, dict[str, ClusterResult]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def add(self, result: ClusterResult) -> None:
        """Take in a result; systems come in reversed order."""
        self.by_way[result.way] = {result.system: result, **self.by_way.get(result.way, {})}

    @property
    def first(self) -> dict[str, ClusterResult]:
        """Results of the pretrained encoder by way: those that figures show."""
        return {way: found[PRETRAINED] for way, found in self.by_way.items() if PRETRAINED in found}

    def said(self) -> str:
        """What was left out, and why, in words."""
        return "; ".join(f"{what}: {why}" for what, why in self.left_out.items())

    def show(self, checkpoint: str, space: Space | None) -> None:
        """Print a table for each way of clustering, and what is to be known of them."""
        kind = origin(self.windows.store.simulated)
        for way, found in self.by_way.items():
            rows = {name: _shown(result) for name, result in found.items()}
            print_table(rows, title=f"{checkpoint}: {way}, {self.side} patients, {kind}")
        patients = len(set(self.windows.patient.tolist()))
        fitted = f", {len(space.fit):,} of them fitted on" if space else ""
        print(
            f"{len(self.windows):,} windows of {patients} patients{fitted}; 95 % intervals by bootstrap over patients; "
            f"{self.setting}."
        )
        print(
            "Explained: share of the entropy of class or patient that the clusters take away, beyond chance; within: "
            "of the class inside each patient. Noise counts as one cluster. In brackets: random clusters."
        )
        if self.left_out:
            print(f"Not clustered: {self.said()}.")
        if few := self.benchmark.too_few:
            print(f"Not averaged over, because too few patients have or lack them: {', '.join(few)}.")
        for way, result in self.first.items():
            chosen = ", ".join(f"{name} = {value:.4g}" for name, value in result.clustering.parameters.items())
            print(f"{result.system}, {way}: {chosen}: {result.clustering.reason}.")
            for other, scores in result.versus.items():
                if (d := scores["ami"]).p_value < 0.05:
                    print(f"  AMI of the class - {other}: {d}")

    def rows(self, **where: Any) -> list[Row]:  # noqa: ANN401
        """Every score and difference, with the other columns of each row."""
        made = []
        for result in (result for found in self.by_way.values() for result in found.values()):
            place = {**where, "system": result.system, "predictor": result.way}
            place |= {"subset": "" if self.side == "test" else f"{self.side} patients"}
            made += rows_of({**result.scores, **result.plain}, **place) + differences(result.versus, **place)
        return made

    def about(self) -> dict[str, Any]:
        """What else is to be known: the data, the chosen parameters and the composition of the clusters."""
        y, classes = self._one_class()
        return {
            "setting": self.setting,
            "simulated": self.windows.store.simulated,
            "classes": list(self.benchmark.classes),
            "too_few": list(self.benchmark.too_few),
            "samples": len(self.windows),
            "not_clustered": self.left_out,
            "parameters": {
                way: {system: result.clustering.choice for system, result in found.items()}
                for way, found in self.by_way.items()
            },
            "clusters": {
                way: composition(result.clustering.labels, y, classes, self.windows.patient)
                for way, result in self.first.items()
            },
        }

    def figures(self, space: Space | None, projection: str) -> dict[str, Figure]:
        """Figures of the scores and of the pretrained encoder's clusters, if its space has any, by file name."""
        figures = {"scores.png": scores_figure(self.by_way)}
        clusterings = {way: result.clustering for way, result in self.first.items()}
        if space is None:
            return figures
        y, classes = self._one_class()
        figures["map.png"] = cluster_map(space, clusterings, y, classes, self.windows.patient, projection=projection)
        if choices := [made for made in clusterings.values() if made.candidates]:
            figures["choice.png"] = choice_figure(choices)
        draw = draw_beats if self.windows.store.task == "beat" else partial(draw_strips, space)
        for way, made in clusterings.items():
            what = f"{made.n_clusters} clusters of {len(self.windows):,} windows"
            title = f"{PRETRAINED}, {way}: {what}, {origin(self.windows.store.simulated)}"
            name = f"clusters-{re.sub(r'[^a-z0-9]+', '-', way.lower())}.png"
            figures[name] = draw(made, self.windows, y, classes, title=title)
        return figures

    def _one_class(self) -> tuple[NDArray[np.integer[Any]], tuple[str, ...]]:
        y, classes = self.benchmark.labels.y, self.benchmark.classes
        return one_class(y, classes) if y.ndim == 2 else (y, classes)


def _shown(result: ClusterResult) -> dict[str, Value]:
    """A line of the table."""
    found, plain = result.scores, result.plain
    shown: dict[str, Value] = {"clusters": str(result.clustering.n_clusters)}
    if result.clustering.noise:
        shown["noise"] = f"{100 * result.clustering.noise:.0f} %"
    shown["silhouette"] = plain["silhouette"]
    for name, heading in _COLUMNS.items():
        if name != "within" or not np.isnan(found[name].value):
            shown[heading] = found[name] if name in _WITH_INTERVAL else found[name].value
    if "purity" in found:
        shown["purity"] = f"{found['purity'].value:.2f} ({plain['purity_random']:.2f})"
    shown["patient AMI"], shown["patient explained"] = (plain["patient_ami"], plain["patient_explained"])
    shown["patient purity"] = f"{plain['patient_purity']:.2f} ({plain['patient_purity_random']:.2f})"
    return shown
