"""Figures of scores: systems side by side, classes side by side, and the confusion matrix."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.errors import UserError
from ssl_ecg.files import replacing
from ssl_ecg.metrics.bootstrap import Interval
from ssl_ecg.metrics.scores import check_labels, confusion_matrix

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

METRICS = {"macro_auroc": "macro AUROC", "macro_auprc": "macro AUPRC", "macro_f1": "macro F1"}
"""What `probe_bars` shows unless told, where a system has it."""


def row_height(series: int) -> float:
    """Room that a row of so many dots needs, inches."""
    return 0.12 + 0.13 * series


def dot_rows(axes: Axes, rows: Sequence[str], series: Mapping[str, Sequence[Interval | None]]) -> None:
    """Draw a row per name, the first on top, and in it a dot and interval per series.

    A series has an interval for each row; None, or an undefined one, is left out. A legend is the caller's.
    """
    at = np.arange(len(rows))
    for number, (name, found) in enumerate(series.items()):
        place = at + (number - (len(series) - 1) / 2) * 0.75 / max(len(series), 1)
        known = [(y, s) for y, s in zip(place, found, strict=True) if s is not None and not math.isnan(s.value)]
        y = [y for y, _ in known]
        look: dict[str, Any] = {"color": colour(number), "zorder": 3 + len(series) - number}
        axes.hlines(y, [s.low for _, s in known], [s.high for _, s in known], linewidth=1.6, alpha=0.6, **look)
        values = [s.value for _, s in known]
        axes.plot(values, y, linestyle="", marker=marker(number), markersize=4.5, label=name, **look)
    for edge in at[:-1] + 0.5:
        axes.axhline(edge, color="#eeeeee", linewidth=0.8, zorder=0)
    _rows(axes, rows)


def _rows(axes: Axes, rows: Sequence[str]) -> None:
    """Write names beside rows 0, 1, ... from the top, and draw the grid of their values."""
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set_ylim(len(rows) - 0.5, -0.6)
    axes.grid(axis="x", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    tidy(axes, ("top", "right", "left"))


def probe_bars(systems: Mapping[str, Mapping[str, Interval]], metrics: Mapping[str, str] = METRICS) -> Figure:
    """Compare systems, the first on top, on a few scores: a panel per score, a dot and interval per system.

    `metrics` gives the heading of each score; those that no system has are left out. UserError if no system has any.
    """
    headings = {name: heading for name, heading in metrics.items() if any(name in s for s in systems.values())}
    if not headings:
        raise UserError(f"no system has any of the scores {list(metrics)}")
    figure = new_figure(0.08 * max(map(len, systems)) + 2.9 * len(headings) + 0.3, 1.3 + 0.42 * len(systems))
    panels = figure.subplots(1, len(headings), sharey=True, squeeze=False)[0]
    for axes, (metric, heading) in zip(panels, headings.items(), strict=True):
        for row, found in enumerate(systems.values()):
            score = found.get(metric)
            if score is None or math.isnan(score.value):
                continue
            axes.plot([score.low, score.high], [row, row], color=colour(0), linewidth=2.5, alpha=0.6)
            axes.plot(score.value, row, marker="o", markersize=7, color=colour(0))
            look: dict[str, Any] = {"ha": "center", "fontsize": 8, "color": colour(0)}
            where = (score.value, row)
            axes.annotate(f"{score.value:.3f}", where, xytext=(0, 6), textcoords="offset points", **look)
        axes.set_xlabel(heading)
        axes.margins(x=0.12)
        _rows(axes, list(systems))
    figure.suptitle("value and 95 % interval over patients", fontsize=11)
    return figure


def class_dots(systems: Mapping[str, Mapping[str, Interval]], positives: Mapping[str, int]) -> Figure:
    """Draw the AUROC of every class: a row per class, in it a dot and interval per system.

    The classes with the highest AUROC of the first system are on top. `systems` has their scores by name, such as
    `auroc_NORM`; `positives` how many test samples have each class. UserError if there is no system or class, or a
    system lacks the AUROC of a class.
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
    return figure


def confusion_figure(
    y: NDArray[np.integer[Any]], predicted: NDArray[np.integer[Any]], classes: Sequence[str], *, title: str = ""
) -> Figure:
    """Draw how each true class was predicted: shares of the row as colour and text, counts below them.

    `y` and `predicted` are indices (n,) of the K classes; UserError if they are not.
    """
    k = len(classes)
    matrix = confusion_matrix(check_labels(y, len(y), k), check_labels(predicted, len(y), k), k)
    totals = matrix.sum(axis=1)
    shares = matrix / np.maximum(totals, 1)[:, None]
    figure = new_figure(2.2 + 0.9 * k, 1.6 + 0.8 * k)
    axes = figure.add_subplot()
    image = axes.imshow(100 * shares, cmap="Blues", vmin=0, vmax=100)
    for (i, j), share in np.ndenumerate(shares):
        look: dict[str, Any] = {"ha": "center", "va": "center", "color": "white" if share > 0.55 else "black"}
        axes.text(j, i - 0.1, f"{100 * share:.1f} %", fontsize=11, **look)
        axes.text(j, i + 0.22, f"{matrix[i, j]:,}", fontsize=8, **look)
    axes.set_xticks(range(k), list(classes))
    axes.set_yticks(range(k), [f"{name}\n({n:,})" for name, n in zip(classes, totals, strict=True)])
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class (samples)")
    axes.tick_params(length=0)
    tidy(axes, ("top", "right", "left", "bottom"))
    figure.colorbar(image, ax=axes, label="share of the true class (%)", shrink=0.85)
    if title:
        axes.set_title(title)
    return figure


def embedding_map(
    embeddings: NDArray[np.floating[Any]],
    y: NDArray[np.integer[Any]],
    classes: Sequence[str],
    patients: NDArray[Any],
    *,
    grey: Sequence[str] = (),
    max_points: int = 6000,
) -> Figure:
    """Draw the two leading principal components, coloured by class and, in a second panel, by patient.

    Together they show whether embeddings (n, D) group by diagnosis or by patient. `y` and `patients` are those of each
    sample, (n,); `grey` names what stands for no single class, such as "several": drawn in grey, below all others. At
    most about `max_points` are drawn, each class getting a like share: rare classes last and whole. UserError for
    arrays of different lengths.
    """
    if not len(embeddings) == len(y) == len(patients) or embeddings.ndim != 2:
        raise UserError(
            f"expected embeddings (n, D), labels (n,) and patients (n,), got {embeddings.shape}, {y.shape}, "
            f"{patients.shape}"
        )
    points, explained = two_components(embeddings)
    shown = _evenly(y, max_points, np.random.default_rng(0))
    figure = new_figure(11, 5.2)
    by_class, by_patient = figure.subplots(1, 2, sharex=True, sharey=True)
    size = float(np.clip(4000 / max(len(shown), 1), 4, 30))

    counts = np.bincount(y, minlength=len(classes))
    coloured = np.array([name not in grey for name in classes], dtype=np.bool_)
    drawn = {}
    for rank, i in enumerate(np.lexsort((-counts, coloured)).tolist()):
        mine = shown[y[shown] == i]
        if len(mine):
            look = {"color": colour(i) if coloured[i] else "#AAAAAA", "marker": marker(i), "linewidths": 0}
            drawn[i] = by_class.scatter(
                *points[mine].T,
                s=size * (1 + 0.5 * (rank > 0)),
                alpha=0.35 if rank == 0 else 0.7,
                label=f"{classes[i]} ({counts[i]:,})",
                **look,
            )
    legend = by_class.legend(handles=[drawn[i] for i in sorted(drawn)], framealpha=0.9, markerscale=2, fontsize=9)
    for handle in filter(None, legend.legend_handles):
        handle.set_alpha(1)

    names, patient = np.unique(patients, return_inverse=True)
    order = np.random.default_rng(0).permutation(shown)  # so that no patient lies on top of all others
    look = {"c": patient[order], "cmap": "turbo", "vmin": 0, "vmax": max(len(names) - 1, 1)}
    by_patient.scatter(*points[order].T, s=size, alpha=0.5, linewidths=0, **look)
    for axes, heading in ((by_class, "by class"), (by_patient, f"by patient ({len(names)}, a colour each)")):
        axes.set_title(heading)
        axes.set_xlabel(f"first principal component ({100 * explained[0]:.0f} % of the variance)")
        tidy(axes)
    by_class.set_ylabel(f"second principal component ({100 * explained[1]:.0f} %)")
    return figure


def two_components(x: NDArray[np.floating[Any]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Projections on the two leading principal axes (n, 2), and the share of variance of each (2,)."""
    centred = np.asarray(x, dtype=np.float64) - x.mean(axis=0, dtype=np.float64)
    centred = np.pad(centred, ((0, 0), (0, max(0, 2 - centred.shape[1]))))
    variances, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, [-1, -2]]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), [0, 1]])
    return centred @ axes, variances[[-1, -2]] / max(variances.sum(), np.finfo(np.float64).tiny)


def _evenly(y: NDArray[np.integer[Any]], n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Indices of about n samples: rare classes whole, what is left shared by the common ones."""
    chosen: list[NDArray[np.int64]] = [np.empty(0, dtype=np.int64)]
    groups = sorted((np.flatnonzero(y == i) for i in np.unique(y)), key=len)
    for done, group in enumerate(groups):
        share = (n - sum(map(len, chosen))) // (len(groups) - done)
        chosen.append(rng.permutation(group)[:share])
    return np.concatenate(chosen)


def one_class(targets: NDArray[np.bool_], classes: Sequence[str]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Find the only class of each sample, for figures that have room for one, from targets (n, K), bool.

    Gives indices (n,) and their names: the classes that most samples have alone, as many as there are colours, and last
    what all other samples are.
    """
    alone = targets.sum(axis=1) == 1
    kept = sorted(np.argsort(-targets[alone].sum(axis=0), kind="stable")[: len(COLOURS)].tolist())
    mine = targets[:, kept] & alone[:, None]
    y = np.where(mine.any(axis=1), mine.argmax(axis=1), len(kept))
    rest = "several" if len(kept) == len(classes) else "several or a rarer one"
    return y, (*(classes[i] for i in kept), rest)


COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31")
"""Told apart by the colour-blind: Okabe & Ito, "Color universal design", 2008; yellow replaced by brown."""

MARKERS = ("o", "^", "s", "D", "v", "P", "X", "*")
"""A second cue beside the colour."""


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, in inches, that needs no display and no pyplot state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: Path, dpi: int = 150) -> None:
    """Write the figure, whole or not at all; the suffix says the format. UserError if it cannot be written."""
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=dpi, format=path.suffix[1:] or "png")


def colour(i: int) -> str:
    """The i-th colour; they repeat after eight."""
    return COLOURS[i % len(COLOURS)]


def marker(i: int) -> str:
    """The i-th marker; they repeat after eight."""
    return MARKERS[i % len(MARKERS)]


def tidy(axes: Axes, names: Sequence[str] = ("top", "right")) -> None:
    """Take away the frame's lines that carry nothing."""
    axes.spines[list(names)].set_visible(False)
