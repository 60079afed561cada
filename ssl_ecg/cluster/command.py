"""`python -m ssl_ecg.cluster`: whether the frozen embeddings of a checkpoint group disease or identity."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

from ssl_ecg import cli
from ssl_ecg.cluster.clustering import METHODS, Clustering, kmeans
from ssl_ecg.cluster.report import Report
from ssl_ecg.cluster.scores import ClusterBenchmark
from ssl_ecg.cluster.space import LEAST_PATIENTS, LEAST_SAMPLES, Space, make_space
from ssl_ecg.errors import UserError
from ssl_ecg.report.results import Results
from ssl_ecg.study import Study, open_study, open_whole
from ssl_ecg.study.evaluation import Evaluation
from ssl_ecg.study.study import check_untaught, seen_by
from ssl_ecg.study.systems import HandFeatures

Side = Literal["test", "train", "all"]
Method = Literal["kmeans", "mixture", "hdbscan", "dbscan"]

TITLES = {"kmeans": "k-means, k chosen", "mixture": "Gaussian mixture", "hdbscan": "HDBSCAN", "dbscan": "DBSCAN"}


@dataclass(kw_only=True)
class Cluster(Evaluation):
    """Cluster the frozen embeddings, and compare the clusters with classes and with patients.

    No label is used: clusters are found among the windows that are scored, and their number is chosen by silhouette,
    stability between halves of the patients, BIC or the elbow of the k-distance curve. Every system is clustered in the
    same ways: reduced to its leading principal components (hand features, which have units of their own, are
    standardised before), fitted on an even share of every patient, all other windows assigned. A system that cannot be
    clustered, because its embeddings coincide, is named and left out.
    Prints a table for each method; writes them as JSON and CSV, and figures: a map by class, patient and cluster, the
    median beat of every cluster with its spread or three of its strips, the choice of parameters, and the scores.

    Examples:
        python -m ssl_ecg.cluster runs/simclr-mitbih --data MITBIH --data.root data/mitdb

    Args:
        side: whose windows are clustered: those of the test patients, of the train patients, or all.
        methods: which choose their own parameters.
        k: numbers of clusters for which k-means is run as well, to compare systems at the same number.
        projection: of the map: t-SNE, which shows neighbours, or the two leading principal components.
        dims: principal components that are clustered.
        fit_on: samples that methods are fitted on; the others are assigned to the clusters found.
    """

    question: ClassVar[str] = "cluster"

    side: Side = "test"
    methods: tuple[Method, ...] = ("kmeans", "mixture", "hdbscan", "dbscan")
    k: tuple[int, ...] = (4, 16)
    projection: Literal["tsne", "pca"] = "tsne"
    dims: int = 32
    fit_on: int = 8000

    def check(self) -> None:
        """Refuse, before any work, settings that cannot be used, by a UserError."""
        super().check()
        if not self.methods and not self.k:
            raise UserError("nothing to do: name at least one of methods, or a number of clusters k")
        if any(count < 2 for count in self.k):
            raise UserError(f"k must be 2 or more, not {min(self.k)}")
        if self.fit_on < LEAST_SAMPLES or self.dims < 2:
            given = f"{self.fit_on} and {self.dims}"
            raise UserError(f"clustering needs {LEAST_SAMPLES} samples to fit_on and 2 dims, got {given}")

    def open_study(self) -> Study:
        """Encoder and data; without the split where all windows are clustered."""
        return (open_whole if self.side == "all" else open_study)(
            self.place, self.data, self.cache, self.trust, self.lead
        )

    def run(self) -> Results:
        """Cluster, score, print and write: scores of every system (`system`) and way of clustering (`predictor`).

        UserError for a checkpoint, data or a folder that cannot be used, a patient on both sides, an encoder that was
        fine-tuned on labels of those who are clustered, or embeddings that all coincide.
        """
        folder, study = self.open()
        windows = study.train if self.side == "train" else study.test
        check_untaught(study.encoder, study.store.cohort, windows, self.data)
        if (n := len(set(windows.patient.tolist()))) < LEAST_PATIENTS:
            raise UserError(f"clustering needs {LEAST_PATIENTS} patients, {study.name} has {n} ({self.side})")
        labels = study.labels(windows)
        benchmark = ClusterBenchmark(labels, self.data.classes, resamples=self.resamples, seed=self.seed)
        seen = f"{len(seen_by(study.encoder, windows))} of the patients were in pretraining"
        report = Report(windows, benchmark, self.side, study.setting if self.side == "test" else seen)
        systems = self.systems(study)
        for system in reversed(systems):  # the baselines first: the pretrained encoder is compared with them
            x, space = system.features(windows), None
            try:
                how = {"dims": self.dims, "fit_on": self.fit_on, "seed": self.seed}
                space = make_space(x, windows.patient, standardise=isinstance(system, HandFeatures), **how)
            except UserError as error:
                report.left_out[system.name] = str(error)
                continue
            for way, method in self.ways().items():
                print(f"clustering {system.name}: {way} ...", file=sys.stderr, flush=True)
                try:
                    found = method(space)
                except UserError as error:
                    report.left_out[f"{system.name}, {way}"] = str(error)
                    continue
                others = [other.name for other in reversed(systems[1:])] if system is systems[0] else []
                report.add(benchmark.score(system.name, way, found, space.silhouette(found.labels), others))
        if not report.by_way:
            raise UserError(f"nothing could be clustered: {report.said()}")
        report.by_way = {way: report.by_way[way] for way in self.ways() if way in report.by_way}
        report.show(self.checkpoint, space)
        return self.publish(folder, report.rows(**self.where), report.figures(space, self.projection), report.about())

    def ways(self) -> dict[str, Callable[[Space], Clustering]]:
        """Every way samples are clustered, by the name of its table."""
        given = {f"k-means, k = {count}": partial(kmeans, k=count) for count in self.k}
        return {**given, **{TITLES[method]: METHODS[method] for method in self.methods}}


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    cli.run(Cluster, argv)
