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
