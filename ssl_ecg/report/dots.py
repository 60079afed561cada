"""Rows of dots with intervals: systems side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ssl_ecg.metrics.bootstrap import Interval
from ssl_ecg.report.style import colour, marker, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
