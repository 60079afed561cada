"""How all figures look, and how they are saved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ssl_ecg.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
