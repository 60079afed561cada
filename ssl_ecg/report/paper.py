"""ECG paper: what a strip of a recording is drawn on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.report.figures import tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEAST, _MOST = 1.0, 4.0  # mV that a lead has room for


def draw_lead(
    axes: Axes, t: NDArray[np.floating], signal: NDArray[np.floating], name: str, colour: str = "black"
) -> None:
    """Draw a lead (T,) in mV at times in s: large squares of 200 ms and .5 mV, small ones of 40 ms and .1 mV."""
    axes.plot(t, signal, color=colour, linewidth=0.7)
    known = np.isfinite(signal).any()
    middle = float(np.nanmedian(signal)) if known else 0.0
    reach = float(np.nanmax(np.abs(signal - middle))) if known else 0.0
    half = float(np.clip(1.1 * reach, _LEAST / 2, _MOST / 2))
    axes.set_ylim(middle - half, middle + half)
    axes.set_xlim(t[0], max(t[-1], t[0] + 1.0))
    axes.set_xticks([])
    axes.set_yticks([])
    for share, width in ((1, 0.3), (5, 0.7)):
        _rule(axes, 0.04 * share, 0.1 * share, width)
    axes.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
    tidy(axes, ("top", "right", "left", "bottom"))


def _rule(axes: Axes, seconds: float, millivolts: float, width: float) -> None:
    """Rule the paper: as ticks with a grid, hundreds of lines would take seconds."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    look: dict[str, Any] = {"color": "#f2b8b5", "linewidth": width, "zorder": 0}
    axes.vlines(np.arange(np.ceil(left / seconds), right / seconds) * seconds, low, high, **look)
    axes.hlines(np.arange(np.ceil(low / millivolts), high / millivolts) * millivolts, left, right, **look)
