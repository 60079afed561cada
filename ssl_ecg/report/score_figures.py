"""Figures of scores: systems side by side, classes side by side, and the confusion matrix."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.errors import UserError
from ssl_ecg.metrics.bootstrap import Interval
from ssl_ecg.metrics.checks import check_labels
from ssl_ecg.metrics.scores import confusion_matrix
from ssl_ecg.report.style import colour, marker, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

METRICS = {"macro_auroc": "macro AUROC", "macro_f1": "macro F1"}
"""What `probe_bars` shows unless told."""


def row_height(series: int) -> float:
    """Room that a row of so many dots needs, inches."""
    return 0.12 + 0.13 * series


def dot_rows(axes: Axes, rows: Sequence[str], series: Mapping[str, Sequence[Interval | None]]) -> None:
    """Draw a row per name, the first on top, and in it a dot and interval per series.

    Args:
        axes: to draw on; a legend is the caller's.
        rows: what stands beside each row.
        series: by name, an interval for each row; none, or an undefined one, is left out.
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
    axes.set_yticks(at, list(rows))
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(axis="x", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    tidy(axes, ("top", "right", "left"))


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
