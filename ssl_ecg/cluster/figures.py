"""Figures of clusters: where they lie, how their number was chosen and what they agree with."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.cluster.clustering import Clustering
from ssl_ecg.cluster.scores import ClusterResult
from ssl_ecg.cluster.space import Space
from ssl_ecg.metrics.bootstrap import Interval
from ssl_ecg.report.style import colour, marker, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_GREY = "#AAAAAA"


def cluster_map(
    space: Space,
    clusterings: Mapping[str, Clustering],
    y: NDArray[np.integer[Any]],
    classes: Sequence[str],
    patients: NDArray[Any],
    *,
    projection: str = "tsne",
) -> Figure:
    """The judged samples in two dimensions: by class, by patient and by the clusters of each method.

    Args:
        space: what was clustered.
        clusterings: by the heading of their panel.
        y: class of each sample, shape (n,).
        classes: the K class names.
        patients: whose each sample is, shape (n,).
        projection: "tsne" (van der Maaten & Hinton, JMLR 2008; started from the principal components) or "pca".
    """
    rows = space.judged
    points, names = _projected(space.x[rows], projection, space.seed)
    panels = 2 + len(clusterings)
    columns = min(4, panels)
    lines = math.ceil(panels / columns)
    figure = new_figure(3.6 * columns, 0.5 + 3.5 * lines)
    axes = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    for unused in axes.flat[panels:]:
        unused.set_visible(False)
    size = float(np.clip(12_000 / len(rows), 3, 25))

    by_class, by_patient, *others = axes.flat[:panels]
    counts = np.bincount(y, minlength=len(classes))
    for rank, i in enumerate(np.argsort(-counts, kind="stable")):
        mine = y[rows] == i
        if mine.any():
            look = {"color": _GREY if rank == 0 else colour(i), "marker": marker(i), "linewidths": 0}
            by_class.scatter(*points[mine].T, s=size * (1 + (rank > 0)), alpha=0.7, label=classes[i], **look)
    by_class.legend(fontsize=8, markerscale=2 if size < 8 else 1, framealpha=0.8, handletextpad=0.1, borderpad=0.3)
    by_class.set_title("by class", fontsize=10)
    whose = np.unique(patients, return_inverse=True)[1]
    _scatter_many(by_patient, points, whose[rows], whose.max() + 1, size)
    by_patient.set_title(f"by patient ({whose.max() + 1}, a colour each)", fontsize=10)
    for panel, (heading, found) in zip(others, clusterings.items(), strict=True):
        _scatter_many(panel, points, found.labels[rows], found.n_clusters, size)
        noise = f", {100 * found.noise:.0f} % noise (grey)" if found.noise else ""
        panel.set_title(f"{heading}: {found.n_clusters}{noise}", fontsize=10)
    for number, panel in enumerate(axes.flat[:panels]):
        tidy(panel)
        panel.set_xticks([])
        panel.set_yticks([])
        if number + columns >= panels:
            panel.set_xlabel(names[0], fontsize=9)
        if number % columns == 0:
            panel.set_ylabel(names[1], fontsize=9)
    figure.suptitle(f"{len(rows):,} of {len(space.x):,} samples, of every patient alike", fontsize=11)
    return figure


def choice_figure(found: Sequence[Clustering]) -> Figure:
    """How the parameters of each method were chosen: its criteria, and a line where the choice fell.

    Args:
        found: clusterings that have candidates.
    """
    columns = min(2, len(found))
    lines = math.ceil(len(found) / columns)
    figure = new_figure(5.4 * columns, 0.3 + 3.6 * lines)
    panels = figure.subplots(lines, columns, squeeze=False).flat
    for axes, clustering in zip(panels, found, strict=False):
        if len(clustering.distances):
            _draw_distances(axes, clustering)
        else:
            _draw_criteria(axes, clustering)
        axes.set_title(f"{clustering.method}\n{clustering.reason}", fontsize=9)
        axes.grid(color="#e5e5e5", linewidth=0.8)
        axes.set_axisbelow(True)
    for axes in [*panels][len(found) :]:
        axes.set_visible(False)
    return figure


def scores_figure(by_way: Mapping[str, Mapping[str, ClusterResult]]) -> Figure:
    """Disease or identity: the share of the entropy of class and patient that the clusters of each system explain.

    Args:
        by_way: results of every system for every way of clustering.
    """
    columns = min(3, len(by_way))
    lines = math.ceil(len(by_way) / columns)
    systems = list(next(iter(by_way.values())))
    figure = new_figure(1.2 + 3.6 * columns, 1.0 + (0.9 + 0.38 * len(systems)) * lines)
    panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    kinds: dict[str, Callable[[ClusterResult], Interval | float]] = {
        "class": lambda r: r.scores["explained"],
        "class, within each patient": lambda r: r.scores["within"],
        "patient": lambda r: r.patient["explained"],
    }
    for axes, (way, results) in zip(panels.flat, by_way.items(), strict=False):
        for number, (label, of) in enumerate(kinds.items()):
            look: dict[str, Any] = {"color": colour((0, 5, 1)[number]), "zorder": 3}
            for row, result in enumerate(results.values()):
                score, at = of(result), row + 0.24 * (number - 1)
                if isinstance(score, Interval):
                    axes.hlines(at, score.low, score.high, linewidth=1.8, alpha=0.6, **look)
                value = score.value if isinstance(score, Interval) else score
                name = label if row == 0 and not math.isnan(value) else None
                axes.plot(value, at, linestyle="", marker=marker(number), markersize=6, label=name, **look)
        axes.set_title(way, fontsize=10)
        axes.grid(axis="x", color="#dddddd", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(axis="y", length=0)
        axes.set_yticks(range(len(systems)), systems)
        axes.set_ylim(len(systems) - 0.5, -0.5)
        axes.set_xlim(min(-0.02, axes.get_xlim()[0]), 1)
        tidy(axes, ("top", "right", "left"))
    for axes in panels.flat[len(by_way) :]:
        axes.set_visible(False)
    figure.legend(
        *panels.flat[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False, fontsize=10
    )
    figure.supxlabel(
        "share of the entropy that the clusters explain, beyond chance (95 % interval over patients)", fontsize=10
    )
    return figure


def _projected(x: NDArray[np.float32], projection: str, seed: int) -> tuple[NDArray[np.float32], tuple[str, str]]:
    """Points in two dimensions (n, 2), and what their axes are."""
    if projection == "pca":
        from sklearn.decomposition import PCA

        reduce = PCA(2, svd_solver="full").fit(x)
        shares = [f"principal component {i + 1} ({100 * reduce.explained_variance_ratio_[i]:.0f} %)" for i in range(2)]
        return reduce.transform(x), (shares[0], shares[1])
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(x) - 1) / 3)
    made = TSNE(init="pca", perplexity=perplexity, random_state=seed).fit_transform(x)
    return made, ("t-SNE 1 (no unit)", "t-SNE 2 (no unit)")


def _scatter_many(axes: Axes, points: NDArray[np.float32], group: NDArray[np.int64], n: int, size: float) -> None:
    """Points in the colours of their groups; negative ones grey and below. Colours follow the groups' numbers."""
    import matplotlib

    noise = group < 0
    axes.scatter(points[noise, 0], points[noise, 1], color=_GREY, s=size, alpha=0.5, linewidths=0)
    if n <= 8:
        look = np.array([colour(i) for i in range(n)])[group[~noise]]
    else:
        # Neighbouring numbers get colours far apart.
        look = matplotlib.colormaps["turbo"]((group[~noise] * 0.618034) % 1)
    axes.scatter(points[~noise, 0], points[~noise, 1], c=look, s=size, alpha=0.7, linewidths=0)


def _draw_criteria(axes: Axes, clustering: Clustering) -> None:
    """Every criterion against the parameter that was tried; BIC, which has a scale of its own, to the right."""
    over, *names = clustering.candidates[0]
    tried = [row[over] for row in clustering.candidates]
    for i, name in enumerate(name for name in names if name != "clusters"):
        where = axes.twinx() if name == "BIC" else axes
        values = [row[name] for row in clustering.candidates]
        where.plot(tried, values, color=colour(i), marker=marker(i), markersize=5, linewidth=1.3, label=name)
        if name == "BIC":
            where.set_ylabel("BIC (smaller is better)", color=colour(i))
            where.ticklabel_format(axis="y", scilimits=(-3, 3), useMathText=True)
            tidy(where, ("top",))
    chosen = next(i for i, row in enumerate(clustering.candidates) if row == clustering.chosen)
    axes.axvline(tried[chosen], color="black", linestyle="--", linewidth=1, label=f"chosen: {tried[chosen]:g}")
    axes.set_xscale("log")
    found = [f"\n({row['clusters']:.0f})" if "clusters" in row else "" for row in clustering.candidates]
    axes.set_xticks(tried, [f"{value:g}{text}" for value, text in zip(tried, found, strict=True)], fontsize=8)
    axes.minorticks_off()
    heading = {"k": "number of clusters k"}.get(over, over)
    axes.set_xlabel(f"{heading} (in brackets: clusters found)" if any(found) else heading)
    axes.set_ylabel(" and ".join(n for n in names if n not in ("BIC", "clusters")) if len(names) < 4 else "value")
    axes.legend(fontsize=8, loc="center left" if "BIC" in names else "best")
    tidy(axes, ("top",) if "BIC" in names else ("top", "right"))


def _draw_distances(axes: Axes, clustering: Clustering) -> None:
    """DBSCAN's k-distance curve with the chosen radius, and what other radii would have made of the samples."""
    distances = clustering.distances
    share = np.arange(1, len(distances) + 1) / len(distances) * 100
    radius = clustering.parameters["eps"]
    axes.plot(share, distances, color=colour(0), linewidth=1.8)
    axes.plot(share[[0, -1]], distances[[0, -1]], color=_GREY, linewidth=1, linestyle=":", label="chord")
    axes.axhline(radius, color="black", linestyle="--", linewidth=1, label=f"chosen radius: {radius:.3g}")
    for row in clustering.candidates:
        at = 100 * (distances <= row["radius"]).mean()
        axes.plot(at, row["radius"], marker="o", markersize=4, linestyle="", color=colour(1), zorder=3)
        text, where = f"{row['clusters']:.0f} ({100 * row['noise']:.0f} %)", (at, row["radius"])
        axes.annotate(text, where, xytext=(5, -9), textcoords="offset points", fontsize=8, color=colour(1))
    axes.plot([], marker="o", markersize=4, linestyle="", color=colour(1), label="clusters (noise) at other radii")
    axes.set_xlim(-3, 118)
    axes.set_xlabel("samples (%), sorted")
    near = clustering.parameters["min_samples"]
    axes.set_ylabel(f"distance to the {near:g}th nearest\n(1: typical distance to the centre)")
    axes.legend(fontsize=8, loc="upper left")
    tidy(axes)
