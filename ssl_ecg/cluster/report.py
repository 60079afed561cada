"""What `python -m ssl_ecg.cluster` shows and leaves behind: tables, JSON, CSV and figures."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ssl_ecg.cluster.contents import composition, draw_beats, draw_strips
from ssl_ecg.cluster.figures import choice_figure, cluster_map, scores_figure
from ssl_ecg.cluster.scores import ClusterBenchmark, ClusterResult
from ssl_ecg.cluster.space import Space
from ssl_ecg.data.window_set import WindowSet
from ssl_ecg.report.embedding_map import one_class
from ssl_ecg.report.style import save
from ssl_ecg.report.tables import Value, print_table, write_csv, write_json

_WITH_INTERVAL = ("ami", "within")


def write_report(
    folder: Path,
    results: Sequence[ClusterResult],
    benchmark: ClusterBenchmark,
    space: Space,
    windows: WindowSet,
    *,
    setting: str,
    side: str,
    projection: str,
    simulated: bool,
    checkpoint: str,
    config: Mapping[str, Any] | None,
) -> None:
    """Print the results and write them down.

    Args:
        folder: of the files; what has their names there is replaced.
        results: of all systems, those of the first system first; the figures show that one.
        benchmark: what they were scored by.
        space: what the first system's windows were clustered in.
        windows: what was clustered.
        setting: whether the encoder had seen the patients.
        side: whose windows these are.
        projection: "tsne" or "pca".
        simulated: whether no heart was involved.
        checkpoint: what was clustered.
        config: all settings of the command.
    """
    kind = "simulated ECG (no heart was involved)" if simulated else "real ECG"
    ways = list(dict.fromkeys(r.way for r in results[::-1]))
    by_way = {way: {r.system: r for r in results if r.way == way} for way in ways}
    for way, found in by_way.items():
        print_table(
            {name: _row(result) for name, result in found.items()},
            title=f"{checkpoint}: {way}, {side} patients, {kind}",
        )
    labels = benchmark.labels
    print(
        f"{len(windows):,} windows of {len(set(labels.patients.tolist()))} patients, {len(space.fit):,} of them fitted "
        f"on; 95 % intervals by bootstrap over patients; {setting}."
    )
    print(
        "Explained: share of the entropy of class or patient that the clusters take away, beyond chance; within: "
        "of the class inside each patient. Noise counts as one cluster. In brackets: random clusters of the same sizes."
    )
    if benchmark.bootstrap.too_few:
        print(
            f"Not averaged over, because too few patients have or lack them: {', '.join(benchmark.bootstrap.too_few)}."
        )
    first = {way: next(iter(found.values())) for way, found in by_way.items()}
    for way, result in first.items():
        chosen = ", ".join(f"{name} = {value:.4g}" for name, value in result.clustering.parameters.items())
        print(f"{result.system}, {way}: {chosen}: {result.clustering.reason}.")
        for other, scores in result.versus.items():
            if (d := scores["ami"]).p_value < 0.05:
                print(f"  AMI of the class - {other}: {d}")

    y, classes = one_class(labels.y, benchmark.classes) if labels.y.ndim == 2 else (labels.y, benchmark.classes)
    document = {
        "checkpoint": checkpoint,
        "setting": setting,
        "side": side,
        "simulated": simulated,
        "classes": list(benchmark.classes),
        "too_few": list(benchmark.bootstrap.too_few),
        "samples": len(windows),
        "fitted_on": len(space.fit),
        "config": config,
        "ways": {way: {name: _document(r) for name, r in found.items()} for way, found in by_way.items()},
        "clusters": {
            way: composition(result.clustering.labels, y, classes, labels.patients) for way, result in first.items()
        },
    }
    write_json(document, folder / "results.json")
    write_csv([{"way": r.way, "system": r.system, **_flat(r)} for r in results], folder / "results.csv")
    clusterings = {way: result.clustering for way, result in first.items()}
    figures = {
        "map.png": cluster_map(space, clusterings, y, classes, labels.patients, projection=projection),
        "scores.png": scores_figure(by_way),
    }
    if choices := [made for made in clusterings.values() if made.candidates]:
        figures["choice.png"] = choice_figure(choices)
    draw = draw_beats if windows.store.task == "beat" else partial(draw_strips, space)
    for way, made in clusterings.items():
        title = f"{first[way].system}, {way}: {made.n_clusters} clusters of {len(windows):,} windows, {kind}"
        name = f"clusters-{re.sub(r'[^a-z0-9]+', '-', way.lower())}.png"
        figures[name] = draw(made, windows, y, classes, labels.patients, title=title)
    for name, figure in figures.items():
        save(figure, folder / name)
    print(f"Written to {folder}: results.json, results.csv, {', '.join(figures)}")


def _row(result: ClusterResult) -> dict[str, Value]:
    """What the table shows of one clustering."""
    found, patient = result.scores, result.patient
    shown: dict[str, Value] = {"clusters": str(result.clustering.n_clusters)}
    if result.clustering.noise:
        shown["noise"] = f"{100 * result.clustering.noise:.0f} %"
    shown["silhouette"] = result.silhouette
    for name, heading in {
        "nmi": "NMI",
        "ami": "AMI",
        "ari": "ARI",
        "explained": "explained",
        "within": "within",
    }.items():
        if name != "within" or not np.isnan(found[name].value):
            shown[heading] = found[name] if name in _WITH_INTERVAL else found[name].value
    if "purity" in found:
        shown["purity"] = f"{found['purity'].value:.2f} ({result.purity_random:.2f})"
    shown["patient AMI"], shown["patient explained"] = patient["ami"], patient["explained"]
    shown["patient purity"] = f"{patient['purity']:.2f} ({patient['purity_random']:.2f})"
    return shown


def _document(result: ClusterResult) -> dict[str, Any]:
    """What results.json says of one clustering."""
    found = result.clustering
    return {
        "clusters": found.n_clusters,
        "noise": found.noise,
        "parameters": found.parameters,
        "chosen_by": found.reason,
        "candidates": list(found.candidates),
        "silhouette": result.silhouette,
        "scores": result.scores,
        "purity_random": result.purity_random,
        "patient": result.patient,
        "versus": result.versus,
    }


def _flat(result: ClusterResult) -> dict[str, Any]:
    """One row of results.csv."""
    return {
        "clusters": result.clustering.n_clusters,
        "noise": result.clustering.noise,
        "silhouette": result.silhouette,
        **result.scores,
        "purity_random": result.purity_random,
        **{f"patient_{name}": value for name, value in result.patient.items()},
    }
