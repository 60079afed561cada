"""A recording on ECG paper with its waves shaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ssl_ecg.data.source import Recording
from ssl_ecg.delineate.figures import COLOURS, shade
from ssl_ecg.report.figures import new_figure
from ssl_ecg.report.paper import draw_lead
from ssl_ecg.waves.matching import Found

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHOWN = 10.0  # s


def strip(recording: Recording, found: Mapping[str, Found]) -> Figure:
    """Draw the first ten seconds, a row a lead: large squares of 200 ms and .5 mV, small ones of 40 ms and .1 mV.

    P waves are shaded blue, QRS complexes red and T waves green, the less certain the paler; leads without waves in
    which anything was found are grey.
    """
    n = max(1, round(min(_SHOWN, recording.signal.shape[1] / recording.fs) * recording.fs))
    t = np.arange(n) / recording.fs
    figure = new_figure(11.0, 1.25 * len(recording.leads) + 0.6)
    panels = figure.subplots(len(recording.leads), 1, squeeze=False, sharex=True)[:, 0]
    for axes, lead, signal in zip(panels, recording.leads, recording.signal[:, :n], strict=True):
        if lead in found:
            shade(axes, found[lead])
        draw_lead(axes, t, signal, lead, "black" if lead in found else "#999999")
    said = ", ".join(f"{wave} {name}" for wave, name in (("P", "blue"), ("QRS", "red"), ("T", "green")))
    figure.suptitle(f"{recording.record}: {said}; 200 ms and 0.5 mV a large square", fontsize=9)
    assert set(COLOURS) == {"P", "QRS", "T"}
    return figure
