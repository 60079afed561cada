"""What happened while an encoder was trained, drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.errors import UserError
from ssl_ecg.report.style import colour, marker, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
