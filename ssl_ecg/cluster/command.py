"""`python -m ssl_ecg.cluster`: what the frozen embeddings of a checkpoint group, disease or identity."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from ssl_ecg import cli
from ssl_ecg.cluster.clustering import METHODS, Clustering, kmeans
from ssl_ecg.cluster.report import write_report
from ssl_ecg.cluster.scores import ClusterBenchmark, ClusterResult
from ssl_ecg.cluster.space import LEAST_SAMPLES, Space, make_space
from ssl_ecg.data.sources import Source
from ssl_ecg.errors import UserError
from ssl_ecg.estimators.pca import check_components
from ssl_ecg.files import ensure_writable
from ssl_ecg.metrics.bootstrap import check_resamples
from ssl_ecg.study import check_names, open_study, open_whole, systems
from ssl_ecg.study.guard import check_untaught, seen_by
from ssl_ecg.study.systems import HandFeatures

Side = Literal["test", "train", "all"]
Method = Literal["kmeans", "mixture", "hdbscan", "dbscan"]


def cluster(
    checkpoint: str,
    data: Source,
    *,
    side: Side = "test",
    methods: tuple[Method, ...] = ("kmeans", "mixture", "hdbscan", "dbscan"),
    k: tuple[int, ...] = (4, 16),
    projection: Literal["tsne", "pca"] = "tsne",
    dims: int = 32,
    beside: list[str] | None = None,
    fit_on: int = 8000,
    resamples: int = 1000,
    components: int = 64,
    seed: int = 0,
    cache: str | None = None,
    out: str | None = None,
    config: dict[str, Any] | None = None,
) -> list[ClusterResult]:
    """Cluster the frozen embeddings, and see whether the clusters are classes or patients.

    Nothing is learned from a label: the clusters are of the side that is looked at, found without its labels, and
    their number is chosen by what the methods themselves say, silhouette, stability between halves of the patients,
    BIC or the elbow of the k-distance curve. All systems that the linear probe is compared with are clustered the same
    way: reduced to the leading principal components (hand features, which have units of their own, are standardised
    before), fitted on as many samples of every patient, and all others assigned.
    Prints a table for each method and writes them as JSON and CSV, with figures: a map by class, patient and cluster,
    the median beat of every cluster with its spread or three of its strips, how parameters were chosen, and the scores.

    Examples:
        python -m ssl_ecg.cluster runs/simclr-mitbih --data MITBIH --data.root data/mitdb

    Args:
        checkpoint: a run's folder or a checkpoint's.
        data: the labelled data set.
        side: whose windows are clustered: those of the test patients, of the train patients, or all,
            whatever the split.
        methods: which choose their own parameters.
        k: numbers of clusters for which k-means is run as well, to compare systems at the same number.
        projection: of the map: t-SNE, which shows neighbours, or the two leading principal components.
        dims: principal components that are clustered.
        beside: what to compare with, of untrained, raw PCA, RR alone, hand features and MiniRocket; all by default.
        fit_on: samples that methods are fitted on; the others are assigned to what was found.
        resamples: bootstrap resamples of the patients for the 95 % intervals.
        components: of the PCA of the raw signal, the system.
        seed: of the untrained encoder's weights, of all methods and of the bootstrap.
        cache: folder of prepared data; $SSL_ECG_CACHE or ~/.cache/ssl_ecg by default.
        out: folder of the results; cluster-DATA beside the checkpoint by default.
        config: all settings as plain values, kept with the results; the command line gives it.

    Returns:
        One result per system and method.

    Raises:
        UserError: for a checkpoint, data or a folder that cannot be used, a patient on both sides, or an encoder
            that was fine-tuned on labels of those who are clustered.
    """
    if not methods and not k:
        raise UserError("nothing to do: name at least one of methods, or a number of clusters k")
    if any(count < 2 for count in k):
        raise UserError(f"k must be 2 or more, not {min(k)}")
    if fit_on < LEAST_SAMPLES or dims < 2:
        raise UserError(f"clustering needs {LEAST_SAMPLES} samples to fit_on and 2 dims, got {fit_on} and {dims}")
    check_names(beside)
    check_components(components)
    check_resamples(resamples)
    name = type(data).__name__
    folder = Path(out) if out else Path(checkpoint) / f"cluster-{name.lower()}"
    ensure_writable(folder)
    study = (open_whole if side == "all" else open_study)(checkpoint, data, cache)
    windows = study.train if side == "train" else study.test
    check_untaught(study.encoder, study.store.cohort, windows, data)
    benchmark = ClusterBenchmark(study.labels(windows), data.classes, resamples=resamples, seed=seed)
    results: list[ClusterResult] = []
    spaces: dict[str, Space] = {}
    # The baselines first: the pretrained encoder is compared with them.
    found = systems(study, components=components, seed=seed, beside=beside)
    for system in reversed(found):
        space = make_space(
            system.features(windows),
            windows.patient,
            dims=dims,
            standardise=isinstance(system, HandFeatures),
            fit_on=fit_on,
            seed=seed,
        )
        spaces[system.name] = space
        others = [] if system is not found[0] else [other.name for other in reversed(found[1:])]
        for title, method in ways(methods, k):
            print(f"clustering {system.name}: {title} ...", file=sys.stderr, flush=True)
            made = method(space)
            results.append(benchmark.score(system.name, title, made, space.silhouette(made.labels), others))
    results.reverse()
    seen = seen_by(study.encoder, windows)
    write_report(
        folder,
        results,
        benchmark,
        spaces[found[0].name],
        windows,
        setting=study.setting if side == "test" else f"{len(seen)} of the patients were in pretraining",
        side=side,
        projection=projection,
        simulated=data.simulated,
        checkpoint=str(checkpoint),
        config=config,
    )
    return results


def ways(methods: Sequence[str], k: Sequence[int]) -> list[tuple[str, Callable[[Space], Clustering]]]:
    """Every way samples are clustered, by the name of its table.

    Args:
        methods: that choose their own parameters.
        k: numbers of clusters to run k-means with.
    """
    given = [(f"k-means, k = {count}", partial(kmeans, k=count)) for count in k]
    return [*given, *((TITLES[method], METHODS[method]) for method in methods)]


TITLES = {"kmeans": "k-means, k chosen", "mixture": "Gaussian mixture", "hdbscan": "HDBSCAN", "dbscan": "DBSCAN"}


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    with cli.reporting_errors():
        parsed = cli.parse(cluster, argv)
        cluster(**parsed.instantiate())
