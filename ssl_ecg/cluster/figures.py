"""Figures of clusters: their map, the choice of parameters, and their agreement with class and patient."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.cluster.clustering import Clustering
from ssl_ecg.cluster.scores import ClusterResult
from ssl_ecg.cluster.space import Space
from ssl_ecg.metrics.bootstrap import Interval
from ssl_ecg.report.figures import colour, dot_rows, marker, new_figure, tidy, two_components

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_GREY = "#AAAAAA"


def grid(
    n: int, most: int, width: float, height: float, margin: tuple[float, float], *, sharex: bool, sharey: bool
) -> tuple[Figure, list[Axes]]:
    """A figure of n panels, at most so many side by side; sizes in inches, with a margin around all."""
    columns = min(most, n)
    lines = math.ceil(n / columns)
    figure = new_figure(max(margin[0] + width * columns, 7), margin[1] + height * lines)
    panels = figure.subplots(lines, columns, sharex=sharex, sharey=sharey, squeeze=False)
    for unused in panels.flat[n:]:
        unused.set_visible(False)
    return figure, list(panels.flat[:n])


def cluster_map(
    space: Space,
    clusterings: Mapping[str, Clustering],
    y: NDArray[np.integer[Any]],
    classes: Sequence[str],
    patients: NDArray[Any],
    *,
    projection: str = "tsne",
) -> Figure:
    """Draw the judged samples in two dimensions: by class y (n,), by patient (n,) and by each method's clusters.

    "tsne" is that of van der Maaten & Hinton, JMLR 2008, started from the principal components that "pca" shows.
    """
    rows = space.judged
    points, names = _projected(space.x[rows], projection, space.seed)
    figure, panels = grid(2 + len(clusterings), 4, 3.6, 3.5, (0, 0.5), sharex=True, sharey=True)
    by_class, by_patient, *others = panels
    size = float(np.clip(12_000 / len(rows), 3, 25))
    for rank, i in enumerate(np.argsort(-np.bincount(y, minlength=len(classes)), kind="stable")):
        mine = y[rows] == i
        if mine.any():
            look: dict[str, Any] = {"color": _GREY if rank == 0 else colour(i), "marker": marker(i), "linewidths": 0}
            look |= {"s": size * (1 + (rank > 0)), "alpha": 0.7, "label": classes[i]}
            by_class.scatter(*points[mine].T, **look)
    by_class.legend(fontsize=8, markerscale=2 if size < 8 else 1, framealpha=0.8, handletextpad=0.1, borderpad=0.3)
    by_class.set_title("by class", fontsize=10)
    whose = np.unique(patients, return_inverse=True)[1]
    _scatter_many(by_patient, points, whose[rows], whose.max() + 1, size)
    by_patient.set_title(f"by patient ({whose.max() + 1}, a colour each)", fontsize=10)
    for panel, (heading, found) in zip(others, clusterings.items(), strict=True):
        _scatter_many(panel, points, found.labels[rows], found.n_clusters, size)
        noise = f", {100 * found.noise:.0f} % noise (grey)" if found.noise else ""
        panel.set_title(f"{heading}: {found.n_clusters}{noise}", fontsize=10)
    for number, panel in enumerate(panels):
        tidy(panel)
        panel.set_xticks([])
        panel.set_yticks([])
        panel.set_xlabel(names[0] if number + 4 >= len(panels) else "", fontsize=9)
        panel.set_ylabel(names[1] if number % 4 == 0 else "", fontsize=9)
    figure.suptitle(f"{len(rows):,} of {len(space.x):,} samples, an even share of every patient", fontsize=11)
    return figure


def choice_figure(found: Sequence[Clustering]) -> Figure:
    """Draw the criteria over the parameters of each clustering that has candidates, and the choice."""
    figure, panels = grid(len(found), 2, 5.4, 3.6, (0, 0.3), sharex=False, sharey=False)
    for axes, clustering in zip(panels, found, strict=True):
        (_draw_distances if len(clustering.distances) else _draw_criteria)(axes, clustering)
        axes.set_title(f"{clustering.method}\n{clustering.reason}", fontsize=9)
        axes.grid(color="#e5e5e5", linewidth=0.8)
        axes.set_axisbelow(True)
    return figure


def scores_figure(by_way: Mapping[str, Mapping[str, ClusterResult]]) -> Figure:
    """Draw the share of the entropy of class and patient that clusters explain, by way of clustering and system."""
    height = 0.9 + 0.38 * max(map(len, by_way.values()))
    figure, panels = grid(len(by_way), 3, 4.0, height, (1.6, 1.0), sharex=True, sharey=False)
    for axes, (way, results) in zip(panels, by_way.items(), strict=True):
        found = list(results.values())
        series: dict[str, list[Interval | None]] = {
            "class": [r.scores["explained"] for r in found],
            "class, within each patient": [r.scores["within"] for r in found],
            "patient": [Interval(r.plain["patient_explained"], math.nan, math.nan) for r in found],
        }
        dot_rows(axes, list(results), series)
        axes.set_title(way, fontsize=10)
        axes.set_xlim(min(-0.02, axes.get_xlim()[0]), 1)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False, fontsize=10)
    said = "share of the entropy that the clusters explain, beyond chance (95 % interval over patients)"
    figure.supxlabel(said, fontsize=10)
    return figure


def _projected(x: NDArray[np.float32], projection: str, seed: int) -> tuple[NDArray[Any], list[str]]:
    """Points in two dimensions (n, 2), and names of the axes."""
    if projection == "pca":
        points, explained = two_components(x)
        return points, [f"principal component {i + 1} ({100 * explained[i]:.0f} %)" for i in range(2)]
    from sklearn.manifold import TSNE

    made = TSNE(init="pca", perplexity=min(30.0, (len(x) - 1) / 3), random_state=seed).fit_transform(x)
    return made, ["t-SNE 1 (no unit)", "t-SNE 2 (no unit)"]


def _scatter_many(axes: Axes, points: NDArray[Any], group: NDArray[np.int64], n: int, size: float) -> None:
    """Points in the colours of their groups' numbers; negative ones grey and below."""
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
    """Every criterion over the parameter; BIC, which has a scale of its own, to the right."""
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
    chosen = clustering.chosen[over]
    axes.axvline(chosen, color="black", linestyle="--", linewidth=1, label=f"chosen: {chosen:g}")
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
    """DBSCAN's k-distance curve with the chosen radius, and the clusters that other radii find."""
    distances = clustering.distances
    share = np.arange(1, len(distances) + 1) / len(distances) * 100
    radius = clustering.parameters["eps"]
    axes.plot(share, distances, color=colour(0), linewidth=1.8)
    axes.plot(share[[0, -1]], distances[[0, -1]], color=_GREY, linewidth=1, linestyle=":", label="chord")
    axes.axhline(radius, color="black", linestyle="--", linewidth=1, label=f"chosen radius: {radius:.3g}")
    for row in clustering.candidates:
        place = (100 * (distances <= row["radius"]).mean(), row["radius"])
        axes.plot(*place, marker="o", markersize=4, linestyle="", color=colour(1), zorder=3)
        text = f"{row['clusters']:.0f} ({100 * row['noise']:.0f} %)"
        axes.annotate(text, place, xytext=(5, -9), textcoords="offset points", fontsize=8, color=colour(1))
    axes.plot([], marker="o", markersize=4, linestyle="", color=colour(1), label="clusters (noise) at other radii")
    axes.set_xlim(-3, 118)
    axes.set_xlabel("samples (%), sorted")
    near = clustering.parameters["min_samples"]
    axes.set_ylabel(f"distance to the {near:g}th nearest\n(1: typical distance to the centre)")
    axes.legend(fontsize=8, loc="upper left")
    tidy(axes)
