"""The figures of a run. Each function takes arrays and returns a matplotlib `Figure`; `save` writes it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.errors import UserError
from ssl_ecg.evaluation.checks import check_labels
from ssl_ecg.evaluation.scores import confusion_matrix
from ssl_ecg.evaluation.statistics import Interval
from ssl_ecg.report.dots import dot_rows, row_height
from ssl_ecg.report.style import colour, marker, new_figure, save, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["class_dots", "confusion_figure", "embedding_map", "probe_bars", "save", "training_curves"]


def confusion_figure(
    y: NDArray[np.integer[Any]], predicted: NDArray[np.integer[Any]], classes: Sequence[str], *, title: str = ""
) -> Figure:
    """How each true class was predicted: shares of the row as colour and text, counts below them.

    Args:
        y: true class indices, shape (n,).
        predicted: class indices, shape (n,).
        classes: the K class names.
        title: above the matrix.

    Raises:
        UserError: if either is not n indices of the classes.
    """
    k = len(classes)
    matrix = confusion_matrix(check_labels(y, len(y), k), check_labels(predicted, len(y), k), k)
    totals = matrix.sum(axis=1, keepdims=True)
    shares = matrix / np.maximum(totals, 1)
    figure = new_figure(2.2 + 0.9 * k, 1.6 + 0.8 * k)
    axes = figure.add_subplot()
    image = axes.imshow(100 * shares, cmap="Blues", vmin=0, vmax=100)
    for i in range(k):
        for j in range(k):
            ink = "white" if shares[i, j] > 0.55 else "black"
            axes.text(j, i - 0.1, f"{100 * shares[i, j]:.1f} %", ha="center", va="center", color=ink, fontsize=11)
            axes.text(j, i + 0.22, f"{matrix[i, j]:,}", ha="center", va="center", color=ink, fontsize=8)
    axes.set_xticks(range(k), list(classes))
    axes.set_yticks(range(k), [f"{name}\n({n:,})" for name, n in zip(classes, totals[:, 0], strict=True)])
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class (samples)")
    axes.tick_params(length=0)
    tidy(axes, ("top", "right", "left", "bottom"))
    figure.colorbar(image, ax=axes, label="share of the true class (%)", shrink=0.85)
    if title:
        axes.set_title(title)
    return figure


def class_dots(
    systems: Mapping[str, Mapping[str, Interval]],
    positives: Mapping[str, int],
    *,
    title: str = "",
) -> Figure:
    """The AUROC of every class: a row per class, in it a dot and interval per system.

    The classes that the first system does best are on top.

    Args:
        systems: scores by name for each system, such as `auroc_NORM`.
        positives: how many test samples have each class, by its name.
        title: above the rows.

    Raises:
        UserError: if there is no system or class, or a system lacks the AUROC of a class.
    """
    lacking = [name for name in positives if any(f"auroc_{name}" not in found for found in systems.values())]
    if not systems or not positives or lacking:
        raise UserError(f"expected the AUROC of each class of some systems, got {list(systems)}, lacking {lacking}")
    first = next(iter(systems.values()))
    shown = sorted(positives, key=lambda name: -first[f"auroc_{name}"].value)
    figure = new_figure(7, 1.3 + row_height(len(systems)) * len(shown))
    axes = figure.add_subplot()
    rows = [f"{name} ({positives[name]:,})" for name in shown]
    dot_rows(axes, rows, {system: [found[f"auroc_{name}"] for name in shown] for system, found in systems.items()})
    axes.set_xlabel("AUROC and 95 % interval over patients")
    figure.legend(loc="outside upper center", ncols=len(systems), frameon=False, fontsize=9)
    if title:
        axes.set_title(title, fontsize=10)
    return figure


def embedding_map(
    embeddings: NDArray[np.floating[Any]],
    y: NDArray[np.integer[Any]],
    classes: Sequence[str],
    patients: NDArray[Any],
    *,
    title: str = "",
    grey: Sequence[str] = (),
    max_points: int = 6000,
    seed: int = 0,
) -> Figure:
    """The two leading principal components, coloured by class and, beside it, by patient.

    What is seen side by side is the question to ask of any ECG representation: does it group heartbeats by
    what they are, or by whose they are? Rare classes are drawn last, and shown in full before common ones.

    Args:
        embeddings: shape (n, D).
        y: class indices, shape (n,).
        classes: the K class names.
        patients: whose each sample is, shape (n,).
        title: above both maps.
        grey: classes that are none of their own, such as "several": drawn in grey, below all others.
        max_points: draw at most about this many, each class getting a like share.
        seed: of that choice.

    Raises:
        UserError: if the arrays differ in length.
    """
    if not len(embeddings) == len(y) == len(patients) or embeddings.ndim != 2:
        raise UserError(
            f"expected embeddings (n, D), labels (n,) and patients (n,), got {embeddings.shape}, {y.shape}, "
            f"{patients.shape}"
        )
    points, explained = _two_components(embeddings)
    shown = _evenly(y, max_points, np.random.default_rng(seed))
    figure = new_figure(11, 5.2)
    by_class, by_patient = figure.subplots(1, 2, sharex=True, sharey=True)
    size = float(np.clip(4000 / max(len(shown), 1), 4, 30))

    counts = np.bincount(y, minlength=len(classes))
    coloured = np.array([name not in grey for name in classes], dtype=np.bool_)
    for rank, i in enumerate(np.lexsort((-counts, coloured))):
        mine = shown[y[shown] == i]
        if len(mine):
            look = {
                "color": colour(i) if coloured[i] else "#AAAAAA",
                "marker": marker(i),
                "s": size * (1 + 0.5 * (rank > 0)),
                "linewidths": 0,
            }
            label = f"{classes[i]} ({counts[i]:,})"
            by_class.scatter(*points[mine].T, alpha=0.35 if rank == 0 else 0.7, label=label, **look)
    by_class.set_title("by class")
    handles, labels = by_class.get_legend_handles_labels()
    in_order = sorted(range(len(labels)), key=lambda i: [*classes].index(labels[i].rpartition(" (")[0]))
    legend = by_class.legend(
        [handles[i] for i in in_order], [labels[i] for i in in_order], framealpha=0.9, markerscale=2, fontsize=9
    )
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_alpha(1)

    import matplotlib

    names, whose = np.unique(patients, return_inverse=True)
    order = np.random.default_rng(seed).permutation(shown)  # so that no patient lies on top of all others
    by_patient.scatter(
        *points[order].T,
        c=matplotlib.colormaps["turbo"](whose[order] / max(len(names) - 1, 1)),
        s=size,
        alpha=0.5,
        linewidths=0,
    )
    by_patient.set_title(f"by patient ({len(names)}, a colour each)")
    for axes in (by_class, by_patient):
        axes.set_xlabel(f"first principal component ({100 * explained[0]:.0f} % of the variance)")
        tidy(axes)
    by_class.set_ylabel(f"second principal component ({100 * explained[1]:.0f} %)")
    if title:
        figure.suptitle(title)
    return figure


METRICS = {"macro_auroc": "macro AUROC", "macro_f1": "macro F1"}
"""What `probe_bars` shows unless told."""


def probe_bars(
    systems: Mapping[str, Mapping[str, Interval]],
    metrics: Mapping[str, str] = METRICS,
    *,
    title: str = "",
    highlight: Sequence[str] = (),
) -> Figure:
    """Systems compared on a few scores: a panel per score, a dot and interval per system.

    Args:
        systems: scores by name for each system; the first is drawn on top.
        metrics: which scores, and the heading of each; those that no system has are left out.
        title: above the panels.
        highlight: systems in the strong colour.

    Raises:
        UserError: if no system has any of the scores.
    """
    headings = {name: heading for name, heading in metrics.items() if any(name in s for s in systems.values())}
    if not headings:
        raise UserError(f"no system has any of the scores {list(metrics)}")
    longest = max((len(name) for name in systems), default=0)
    figure = new_figure(0.08 * longest + 2.9 * len(headings) + 0.3, 1.3 + 0.42 * len(systems))
    panels = figure.subplots(1, len(headings), sharey=True, squeeze=False)[0]
    rows = np.arange(len(systems))
    for axes, (metric, heading) in zip(panels, headings.items(), strict=True):
        for row, (name, found) in zip(rows, systems.items(), strict=True):
            score = found.get(metric)
            if score is None or math.isnan(score.value):
                continue
            look = colour(0) if name in highlight or not highlight else "#777777"
            axes.plot([score.low, score.high], [row, row], color=look, linewidth=2.5, alpha=0.6)
            axes.plot(score.value, row, marker="o", markersize=7, color=look)
            axes.annotate(
                f"{score.value:.3f}",
                (score.value, row),
                xytext=(0, 6),
                textcoords="offset points",
                ha="center",
                fontsize=8,
                color=look,
            )
        axes.set_xlabel(heading)
        axes.grid(axis="x", color="#dddddd", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.margins(x=0.12)
        tidy(axes, ("top", "right", "left"))
        axes.tick_params(axis="y", length=0)
    panels[0].set_yticks(rows, list(systems))
    panels[0].set_ylim(len(systems) - 0.5, -0.7)
    figure.suptitle(title or "value and 95 % interval over patients", fontsize=11)
    return figure


PANELS: Mapping[str, Sequence[str]] = {
    "loss": ("loss",),
    "online probe and kNN": ("probe", "knn", "auroc", "f1"),
    "spread (1 is isotropic, 0 collapsed)": ("spread",),
    "effective rank (dimensions)": ("rank",),
    "alignment and uniformity": ("alignment", "uniformity"),
}
"""Panels of `training_curves`: heading, and parts of the names of the columns it shows."""


def training_curves(
    history: Sequence[Mapping[str, float]],
    *,
    panels: Mapping[str, Sequence[str]] = PANELS,
    step: str = "step",
    title: str = "",
) -> Figure:
    """What happened while training, against the optimiser's steps: a panel per kind of number.

    Args:
        history: rows of the log; a row may lack what was not logged then.
        panels: heading of each panel, and parts of the names it shows. A name goes to the first panel that
            matches; a panel without any is left out, and so are names without panel.
        step: the name of the optimiser's step.
        title: above the panels.

    Raises:
        UserError: if a row has no step, or no panel has anything to show.
    """
    if not all(step in row for row in history):
        raise UserError(f"every row of a history needs {step!r}")
    logged = dict.fromkeys(name for row in history for name in row)
    columns = {name: np.array([row.get(name, math.nan) for row in history], dtype=np.float64) for name in logged}
    taken: set[str] = {step}
    shown: dict[str, list[str]] = {}
    for heading, parts in panels.items():
        mine = [
            name
            for name, values in columns.items()
            if name not in taken and any(part in name.lower() for part in parts) and np.isfinite(values).any()
        ]
        taken.update(mine)
        if mine:
            shown[heading] = mine
    if not shown:
        raise UserError(f"nothing to draw in the columns {sorted(columns)}")
    width = min(len(shown), 3)
    height = math.ceil(len(shown) / width)
    figure = new_figure(4.3 * width, 3.1 * height)
    grid = figure.subplots(height, width, sharex=True, squeeze=False).flatten()
    for axes, (heading, names) in zip(grid, shown.items(), strict=False):
        for i, name in enumerate(names):
            _curve(axes, columns[step], columns[name], name, i)
        axes.set_title(heading, fontsize=10)
        axes.grid(color="#e5e5e5", linewidth=0.8)
        axes.set_xlabel("optimiser step")
        axes.tick_params(labelbottom=True)
        axes.legend(fontsize=8, frameon=False)
        tidy(axes)
    for axes in grid[len(shown) :]:
        axes.set_visible(False)
    if title:
        figure.suptitle(title)
    return figure


def _curve(axes: Axes, steps: NDArray[np.float64], values: NDArray[np.float64], name: str, i: int) -> None:
    """One column; a densely logged one is drawn faint with its running mean on top."""
    logged = np.isfinite(values) & np.isfinite(steps)
    steps, values = steps[logged], values[logged]
    window = len(values) // 25
    if window < 4:
        axes.plot(steps, values, color=colour(i), marker=marker(i), markersize=3.5, label=name)
        return
    axes.plot(steps, values, color=colour(i), alpha=0.25, linewidth=0.8)
    smooth = np.convolve(values, np.ones(window) / window, mode="valid")
    axes.plot(
        steps[window // 2 :][: len(smooth)], smooth, color=colour(i), linewidth=1.8, label=f"{name} (mean of {window})"
    )


def _two_components(x: NDArray[np.floating[Any]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Projections on the two leading principal axes (n, 2), and the share of variance of each (2,)."""
    centred = np.asarray(x, dtype=np.float64) - x.mean(axis=0, dtype=np.float64)
    if centred.shape[1] < 2:
        centred = np.pad(centred, ((0, 0), (0, 2 - centred.shape[1])))
    variances, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, ::-1][:, :2]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), [0, 1]])
    return centred @ axes, variances[::-1][:2] / max(variances.sum(), np.finfo(np.float64).tiny)


def _evenly(y: NDArray[np.integer[Any]], n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Indices of about n samples: rare classes whole, what is left shared by the common ones."""
    chosen: list[NDArray[np.int64]] = []
    groups = sorted((np.flatnonzero(y == i) for i in np.unique(y)), key=len)
    for done, group in enumerate(groups):
        share = (n - sum(map(len, chosen))) // (len(groups) - done)
        chosen.append(rng.permutation(group)[:share])
    return np.concatenate(chosen) if chosen else np.empty(0, dtype=np.int64)
