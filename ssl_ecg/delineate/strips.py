"""A recording on ECG paper with its waves shaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ssl_ecg.data.source import Recording
from ssl_ecg.delineate.figures import COLOURS, shade
from ssl_ecg.delineate.matching import Found
from ssl_ecg.report.figures import new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHOWN = 10.0  # s
_LEAST, _MOST = 1.0, 4.0  # mV that a lead has room for


def strip(recording: Recording, found: Mapping[str, Found]) -> Figure:
    """Draw the first ten seconds, a row a lead: large squares of 200 ms and .5 mV, small ones of 40 ms and .1 mV.

    P waves are shaded blue, QRS complexes red and T waves green, the less certain the paler; leads without waves in
    which anything was found are grey.
    """
    from matplotlib.ticker import MultipleLocator

    n = max(1, round(min(_SHOWN, recording.signal.shape[1] / recording.fs) * recording.fs))
    t = np.arange(n) / recording.fs
    figure = new_figure(11.0, 1.25 * len(recording.leads) + 0.6)
    panels = figure.subplots(len(recording.leads), 1, squeeze=False, sharex=True)[:, 0]
    for axes, lead, signal in zip(panels, recording.leads, recording.signal[:, :n], strict=True):
        if lead in found:
            shade(axes, found[lead])
        axes.plot(t, signal, color="black" if lead in found else "#999999", linewidth=0.7)
        middle = float(np.median(signal)) if np.isfinite(signal).any() else 0.0
        reach = float(np.nanmax(np.abs(signal - middle))) if np.isfinite(signal).any() else 0.0
        half = float(np.clip(1.1 * reach, _LEAST / 2, _MOST / 2))
        axes.set_ylim(middle - half, middle + half)
        for which, share, width in (("minor", 1, 0.3), ("major", 5, 0.7)):
            getattr(axes.xaxis, f"set_{which}_locator")(MultipleLocator(0.04 * share))
            getattr(axes.yaxis, f"set_{which}_locator")(MultipleLocator(0.1 * share))
            axes.grid(which=which, color="#f2b8b5", linewidth=width, zorder=0)
        axes.tick_params(which="both", length=0, labelleft=False, labelbottom=False)
        axes.set_ylabel(lead, rotation=0, ha="right", va="center", fontsize=9)
        axes.set_xlim(0, max(t[-1], 1.0))
        tidy(axes, ("top", "right", "left", "bottom"))
    said = ", ".join(f"{wave} {name}" for wave, name in (("P", "blue"), ("QRS", "red"), ("T", "green")))
    figure.suptitle(f"{recording.record}: {said}; 200 ms and 0.5 mV a large square", fontsize=9)
    assert set(COLOURS) == {"P", "QRS", "T"}
    return figure
