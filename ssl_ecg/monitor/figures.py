"""Figures of a day: its timeline, the strips of its episodes, and the median beats of its clusters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.data.tape import Tape
from ssl_ecg.monitor.beats import Day
from ssl_ecg.monitor.clusters import Cluster
from ssl_ecg.monitor.episodes import KINDS, Episode
from ssl_ecg.monitor.listen import SHAPE, SHAPE_FS
from ssl_ecg.monitor.quality import NAMES, STRETCH
from ssl_ecg.report.figures import COLOURS, new_figure, tidy
from ssl_ecg.report.paper import draw_lead

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BINS = (10.0, 30.0, 60.0, 300.0, 900.0)  # s
_MOST_BINS = 1500
_STRIP, _BEFORE = 9.0, 1.5  # s that a strip shows, and of them before the episode
_QUALITY = ("#ffffff", "#bbbbbb", "#777777", "#8C6D31", "#D55E00")
"""Colour of each code of quality."""


def clock(seconds: float) -> str:
    """A time from the start of the tape, such as 13:05:02."""
    whole = int(seconds)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def class_colour(name: str) -> str:
    """Colour of a class of beats, grey for none."""
    return {"N": COLOURS[0], "S": COLOURS[2], "V": COLOURS[1], "F": COLOURS[3]}.get(name, "#777777")


def timeline(day: Day, episodes: Sequence[Episode]) -> Figure:
    """Draw heart rate, how unusual beats are, ectopic beats, episodes and signal quality over the day."""
    width = next((step for step in _BINS if day.seconds / step <= _MOST_BINS), _BINS[-1])
    count = max(1, int(np.ceil(day.seconds / width)))
    hours = (np.arange(count) + 0.5) * width / 3600
    of = np.minimum((day.time // width).astype(int), count - 1)
    kinds = [kind for kind in KINDS if any(each.kind == kind for each in episodes)]
    heights = [3, 2, 2, 0.25 * max(len(kinds), 1) + 0.2, 0.25 * len(day.leads) + 0.2]
    figure = new_figure(11.0, 0.85 * sum(heights) + 1)
    panels = figure.subplots(5, 1, sharex=True, height_ratios=heights)
    rate, unusual, ectopic, what, quality = panels
    low, middle, high = _per_bin(60 / day.rr, of, count, (5, 50, 95))
    rate.fill_between(hours, low, high, step="mid", color=COLOURS[0], alpha=0.25, linewidth=0)
    rate.plot(hours, middle, color=COLOURS[0], linewidth=0.8, drawstyle="steps-mid")
    rate.set_ylabel("heart rate,\na minute")
    typical, most = _per_bin(day.unusual, of, count, (50, 95))
    unusual.plot(hours, most, color=COLOURS[1], linewidth=0.7, drawstyle="steps-mid", label="95th percentile")
    unusual.plot(hours, typical, color=COLOURS[0], linewidth=0.8, drawstyle="steps-mid", label="median")
    unusual.axhline(1, color="#999999", linewidth=0.6)
    unusual.set_ylabel("unusual for\nthis patient")
    unusual.legend(frameon=False, fontsize=7, ncols=2, loc="upper right")
    for name in (name for name in day.classes if name != "N"):
        counts = np.bincount(of[day.of(name)], minlength=count) * 60 / width
        if counts.any():
            ectopic.plot(hours, counts, drawstyle="steps-mid", linewidth=0.8, color=class_colour(name), label=name)
    ectopic.set_ylabel("ectopic beats,\na minute")
    if ectopic.lines:
        ectopic.legend(frameon=False, fontsize=7, ncols=3, loc="upper right")
    for row, kind in enumerate(kinds):
        spans = [
            (each.start / 3600, max(each.end - each.start, width / 2) / 3600) for each in episodes if each.kind == kind
        ]
        what.broken_barh(spans, (row - 0.4, 0.8), color=COLOURS[row % len(COLOURS)])
    what.set_yticks(range(len(kinds)), kinds, fontsize=7)
    what.set_ylim(max(len(kinds), 1) - 0.4, -0.6)
    _quality(quality, day)
    for axes in panels:
        axes.grid(axis="x", color="#dddddd", linewidth=0.6)
        axes.tick_params(labelsize=8)
        axes.yaxis.label.set_size(8)
        tidy(axes)
    quality.set_xlim(0, day.seconds / 3600)
    quality.set_xlabel(f"hours from the start; {width:g} s a step", fontsize=8)
    return figure


def _per_bin(
    values: NDArray[np.floating], of: NDArray[np.int64], count: int, percentiles: Sequence[float]
) -> NDArray[np.float64]:
    """Percentiles of the values in each bin, shape (percentiles, count), NaN where there are none."""
    found = np.full((len(percentiles), count), np.nan)
    known = np.isfinite(values)
    values, of = values[known], of[known]
    edges = np.searchsorted(of, np.arange(count + 1))
    for place in range(count):
        if edges[place + 1] > edges[place]:
            found[:, place] = np.percentile(values[edges[place] : edges[place + 1]], percentiles)
    return found


def _quality(axes: Axes, day: Day) -> None:
    from matplotlib.colors import BoundaryNorm, ListedColormap
    from matplotlib.patches import Patch

    rows, steps = day.codes.shape
    ends = 0, steps * STRETCH / 3600, rows - 0.5, -0.5
    norm = BoundaryNorm(np.arange(len(NAMES) + 1) - 0.5, len(NAMES))
    axes.imshow(
        day.codes, aspect="auto", extent=ends, cmap=ListedColormap(_QUALITY), norm=norm, interpolation="nearest"
    )
    axes.set_yticks(range(rows), day.leads, fontsize=7)
    there = [code for code in range(1, len(NAMES)) if (day.codes == code).any()]
    if there:
        handles = [Patch(color=_QUALITY[code], label=NAMES[code]) for code in there]
        axes.legend(
            handles=handles, frameon=False, fontsize=7, ncols=len(there), loc="lower right", bbox_to_anchor=(1, 1)
        )


def strip(day: Day, tape: Tape, episode: Episode) -> Figure:
    """Draw where an episode begins, all leads on ECG paper, each beat with its class and the episode shaded."""
    start = min(max(0.0, episode.start - _BEFORE), max(0.0, day.seconds - _STRIP))
    first, last = round(start * day.fs), min(day.samples, round((start + _STRIP) * day.fs))
    x = tape.read(first, last)
    t = start + np.arange(last - first) / day.fs
    figure = new_figure(11.0, 1.2 * len(x) + 0.5)
    panels = figure.subplots(len(x), 1, squeeze=False, sharex=True)[:, 0]
    mine = np.flatnonzero((day.time >= t[0]) & (day.time <= t[-1]))
    for axes, lead, signal in zip(panels, day.leads, x, strict=True):
        axes.axvspan(episode.start, episode.end, color="#fff2b3", linewidth=0, zorder=-1)
        draw_lead(axes, t, signal, lead)
    for beat in mine:
        name = [*day.classes, "·"][day.label[beat]]
        look = {"ha": "center", "va": "bottom", "fontsize": 8, "color": class_colour(name), "annotation_clip": False}
        panels[0].annotate(name, (day.time[beat], 1.0), xycoords=("data", "axes fraction"), **look)
    return figure


def median_beats(clusters: Sequence[Cluster], titles: Sequence[str], colours: Sequence[str]) -> Figure:
    """Draw the median beat of each cluster with its quartiles, all on one scale."""
    columns = min(4, len(clusters))
    rows = -(-len(clusters) // columns)
    figure = new_figure(2.7 * columns, 2.0 * rows + 0.3)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    t = np.arange(round(SHAPE[0] * SHAPE_FS), round(SHAPE[1] * SHAPE_FS)) / SHAPE_FS
    for axes, each, title, colour in zip(panels, clusters, titles, colours, strict=False):
        axes.fill_between(t, each.low / 1000, each.high / 1000, color=colour, alpha=0.25, linewidth=0)
        axes.plot(t, each.median / 1000, color=colour, linewidth=1.2)
        axes.set_title(title, fontsize=8)
        axes.grid(color="#f2b8b5", linewidth=0.5)
        axes.tick_params(labelsize=7)
        tidy(axes)
    for axes in panels[len(clusters) :]:
        axes.set_visible(False)
    panels[0].set_ylabel("mV", fontsize=8)
    figure.supxlabel("s from the R peak", fontsize=8)
    return figure
