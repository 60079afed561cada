"""PR, QRS and QT over the day, from the waves of each beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.report.figures import COLOURS, new_figure, tidy
from ssl_ecg.waves import Found
from ssl_ecg.waves.intervals import NAMES, beats_of
from ssl_ecg.waves.joining import join
from ssl_ecg.waves.quality import implausible

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STRETCH = 300.0
"""s that a median is of."""
SHOWN = ("QRS", "QTc Fridericia")
"""What is drawn over the day."""
_FEWEST = 8  # beats that a median is of
Measured = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Samples of QRS complexes, (m,), and their intervals in ms by `NAMES`, (m, 6); NaN where a wave is absent."""


def none() -> Measured:
    """Nothing that was measured."""
    return np.zeros(0, dtype=np.int64), np.zeros((0, len(NAMES)), dtype=np.float32)


def measure(found: Sequence[Found], samples: int, fs: float) -> Measured:
    """Measure the beats of the waves found in leads of so many samples, joined; nothing where they are no heart's."""
    found = [each for each in found if not implausible(each, samples / fs)]
    beats = beats_of(join(found)) if found else []
    if not beats:
        return none()
    sample = np.rint([beat.time * fs for beat in beats]).astype(np.int64)
    return sample, np.array([[beat.intervals.get(name, np.nan) for name in NAMES] for beat in beats], dtype=np.float32)


def by_stretch(measured: Measured, fs: float) -> list[dict[str, Any]]:
    """Median and quartiles of each interval, ms, in each stretch of five minutes, `start` in s.

    None where fewer than eight beats have it, or fewer than half of those that there are.
    """
    sample, values = measured
    stretch, rows = (sample / fs // STRETCH).astype(int), []
    for number in np.unique(stretch).tolist():
        mine = values[stretch == number]
        for name, column in zip(NAMES, mine.T, strict=True):
            known = column[np.isfinite(column)]
            if len(known) >= max(_FEWEST, len(column) / 2):
                low, median, high = (float(each) for each in np.percentile(known, [25, 50, 75]))
                of = {"start": number * STRETCH, "interval": name, "beats": len(known)}
                rows.append({**of, "median": median, "low": low, "high": high})
    return rows


def over_the_day(rows: list[dict[str, Any]], seconds: float) -> Figure:
    """Draw median and quartiles of QRS and QTc by stretch."""
    figure = new_figure(11.0, 3.6)
    panels = figure.subplots(len(SHOWN), 1, sharex=True)
    for number, (axes, name) in enumerate(zip(panels, SHOWN, strict=True)):
        mine = [row for row in rows if row["interval"] == name]
        hours = [(row["start"] + STRETCH / 2) / 3600 for row in mine]
        low, median, high = ([row[of] for row in mine] for of in ("low", "median", "high"))
        spread = [np.subtract(median, low), np.subtract(high, median)]
        look: dict[str, Any] = {"color": COLOURS[number], "elinewidth": 0.8, "markersize": 3}
        axes.errorbar(hours, median, spread, fmt="o", **look)
        axes.set_ylabel(f"{name},\nms", fontsize=8)
        axes.grid(color="#dddddd", linewidth=0.6)
        axes.tick_params(labelsize=8)
        tidy(axes)
    panels[-1].set_xlim(0, seconds / 3600)
    panels[-1].set_xlabel(f"hours from the start; a median of {STRETCH / 60:g} minutes with its quartiles", fontsize=8)
    return figure
