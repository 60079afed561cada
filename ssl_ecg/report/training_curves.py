"""Curves of a pretraining run's log."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ssl_ecg.errors import UserError
from ssl_ecg.report.figures import colour, marker, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PANELS: Mapping[str, Sequence[str]] = {  # heading, and parts of the names of its columns
    "loss": ("loss",),
    "online probe and kNN": ("probe", "knn", "auroc", "f1"),
    "spread (1 is isotropic, 0 collapsed)": ("spread",),
    "effective rank (dimensions)": ("rank",),
    "alignment and uniformity": ("alignment", "uniformity"),
}


def training_curves(history: Sequence[Mapping[str, float]]) -> Figure:
    """Draw the log of a run against the optimiser's steps: a panel per kind of number.

    Each row of `history` has its "step", and may lack what was not logged then. A column with many points is drawn
    faint, with its running mean on top. UserError if a row has no step, or no panel has anything to show.
    """
    if not all("step" in row for row in history):
        raise UserError("every row of a history needs 'step'")
    logged = dict.fromkeys(name for row in history for name in row if name != "step")
    columns = {name: np.array([row.get(name, math.nan) for row in history], dtype=np.float64) for name in logged}
    shown: dict[str, list[str]] = {}
    for name, values in columns.items():
        fitting = [heading for heading, parts in _PANELS.items() if any(part in name.lower() for part in parts)]
        if fitting and np.isfinite(values).any():
            shown.setdefault(fitting[0], []).append(name)
    if not shown:
        raise UserError(f"nothing to draw in the columns {sorted(columns)}")
    steps = np.array([row["step"] for row in history], dtype=np.float64)
    width = min(len(shown), 3)
    height = math.ceil(len(shown) / width)
    figure = new_figure(4.3 * width, 3.1 * height)
    grid = figure.subplots(height, width, sharex=True, squeeze=False).flatten()
    for axes, heading in zip(grid, (heading for heading in _PANELS if heading in shown), strict=False):
        for i, name in enumerate(shown[heading]):
            known = np.isfinite(columns[name])
            x, y = steps[known], columns[name][known]
            if (window := len(y) // 25) < 4:
                axes.plot(x, y, color=colour(i), marker=marker(i), markersize=3.5, label=name)
                continue
            axes.plot(x, y, color=colour(i), alpha=0.25, linewidth=0.8)
            mean = np.convolve(y, np.ones(window) / window, mode="valid")
            at = x[window // 2 :][: len(mean)]
            axes.plot(at, mean, color=colour(i), linewidth=1.8, label=f"{name} (mean of {window})")
        axes.set_title(heading, fontsize=10)
        axes.grid(color="#e5e5e5", linewidth=0.8)
        axes.set_xlabel("optimiser step")
        axes.tick_params(labelbottom=True)
        axes.legend(fontsize=8, frameon=False)
        tidy(axes)
    for axes in grid[len(shown) :]:
        axes.set_visible(False)
    return figure
