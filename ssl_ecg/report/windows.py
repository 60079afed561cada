"""Windows of signal as they are, and what was made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.report.figures import colour, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Signal = NDArray[np.floating[Any]]


def windows_figure(
    windows: Sequence[Signal], made: Mapping[str, Sequence[Signal]], leads: Sequence[str], fs: float, most: int = 3
) -> Figure:
    """Draw windows, a row each, as they are and beside that what was made of them, a column per name.

    Windows are (C, T), normalised; what was made of them (C', T'), of any length. At most `most` leads are shown, one
    below the other; `fs` is in Hz. In what is as long as its window, the window is drawn in grey behind it.
    """
    columns: dict[str, Sequence[Signal]] = {"window": windows, **made}
    shown = min(most, max(len(window) for window in windows))
    figure = new_figure(3.6 * len(columns), (0.6 + 0.75 * shown) * len(windows) + 0.3)
    grid = figure.subplots(len(windows), len(columns), squeeze=False)
    apart = 1.1 * max(float(np.ptp(window, axis=-1).max()) for window in windows) or 1.0
    for row, window in enumerate(windows):
        for column, (name, signals) in enumerate(columns.items()):
            axes, signal = grid[row][column], signals[row][:most]
            base = -apart * np.arange(len(signal))[:, None]
            if column and signal.shape == window[:most].shape:
                axes.plot(np.arange(window.shape[-1]) / fs, (window[:most] + base).T, color="#bbbbbb", linewidth=1.6)
            ink = "#1a1a1a" if column == 0 else colour(column - 1)
            axes.plot(np.arange(signal.shape[-1]) / fs, (signal + base).T, color=ink, linewidth=0.9)
            axes.set_yticks(
                base[:, 0],
                list(leads[: len(signal)]) if column == 0 and len(leads) >= len(signal) else [""] * len(signal),
            )
            axes.tick_params(length=0)
            axes.set_xlim(0, max(window.shape[-1], 1) / fs)
            if row == 0:
                axes.set_title(name, fontsize=10)
            if row == len(windows) - 1:
                axes.set_xlabel("s")
            tidy(axes, ("top", "right", "left"))
    return figure
