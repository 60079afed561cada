"""The picture of what a store holds: strips of a few records, and how classes, durations and ages are distributed.

And what it says in the same words as the summary in the terminal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.report.figures import colour, marker, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ssl_ecg.data.store import Store

SIMULATED = "SIMULATED: no heart was involved"
"""What stands beside everything that is shown of simulated recordings."""

_STRIPS = 6  # at most, of as many classes
_LONGEST = 10.0  # s of a strip
_AROUND = 4.0  # s of a strip around a beat
_ROWS = 30  # classes in the picture, at most


def data_figure(store: Store, summary: Mapping[str, Any]) -> Figure:
    """Draw strips of a few records, and the distributions of classes, durations and ages that `summarise` counted."""
    strips = _strips(store, summary)
    names = present(summary)[:_ROWS]
    others = [_draw_ages] if summary["age"]["known"] else []
    if not alike(summary) or not (names or others):
        others.insert(0, _draw_durations)
    rows = math.ceil(len(strips) / 2)
    below = max(2.4 * max(1, len(others)), 1.0 + 0.26 * len(names)) if names else 2.6
    figure = new_figure(11, 0.7 + 1.5 * rows + below)
    warning = f"\n{SIMULATED}" if summary["simulated"] else ""
    figure.suptitle(heading(summary) + warning, fontsize=11, color=colour(1) if summary["simulated"] else "black")
    halves = figure.add_gridspec(2, 1, height_ratios=[1.5 * rows, below])
    above, under = figure.add_subfigure(halves[0]), figure.add_subfigure(halves[1])
    for axes, strip in zip(above.subplots(rows, 2, squeeze=False).flat, strips, strict=False):
        _draw_strip(axes, store, *strip)
    for axes in above.axes[len(strips) :]:
        axes.set_visible(False)
    if names and others:
        grid = under.add_gridspec(len(others), 2, width_ratios=[3, 2])
        _draw_classes(under.add_subplot(grid[:, 0]), summary, names)
        panels = [under.add_subplot(grid[i, 1]) for i in range(len(others))]
    elif names:
        _draw_classes(under.subplots(), summary, names)
        panels = []
    else:
        panels = [*under.subplots(1, len(others), squeeze=False).flat]
    for draw, axes in zip(others, panels, strict=True):
        draw(axes, store)
    return figure


def _strips(store: Store, summary: Mapping[str, Any]) -> list[tuple[int, float, str]]:
    """A record for each of the commonest classes: its row, the second where its strip begins, and what it is."""
    found: list[tuple[int, float, str]] = []
    for name in [name for name in present(summary) if name in store.classes][:_STRIPS]:
        if store.task == "record":
            rows = np.flatnonzero(store.targets[:, store.classes.index(name)])
            rows = np.setdiff1d(rows, [row for row, _, _ in found]) if len(rows) > len(found) else rows
            several = store.targets[rows].sum(axis=1)
            purest = rows[several == several.min()]
            found.append((int(purest[len(purest) // 2]), 0.0, name))
            continue
        beats = store.task == "beat"
        table, column, before = (store.beats, "r_peak", _AROUND / 2) if beats else (store.spans, "start", 0.0)
        mine = table["label"] == name
        first = mine & (table["label"].shift() != name)  # not within a run of its like, where nothing sets it off
        one = table[first].iloc[int(first.sum()) // 2]
        row = int(one["record"])
        found.append((row, one[column] / store.records["source_fs"].iloc[row] - before, name))
    if not found:
        middle = np.linspace(0, len(store.records) - 1, min(4, len(store.records))).round().astype(int)
        found = [(int(row), 0.0, "") for row in middle]
    return found


def _draw_strip(axes: Axes, store: Store, row: int, start: float, name: str) -> None:
    """One lead of a record: lead II, or the first."""
    lead = store.leads.index("II") if "II" in store.leads else 0
    x = store.signal(row)[lead]
    length = _AROUND if store.task == "beat" else _LONGEST
    first = int(np.clip(round(start * store.fs), 0, max(0, len(x) - length * store.fs)))
    x = x[first : first + round(length * store.fs)]
    t = (first + np.arange(len(x))) / store.fs
    axes.plot(t, x, color="black", linewidth=0.8)
    if store.task == "beat" and name:
        beats = store.beats[store.beats["record"] == row]
        at = beats["r_peak"].to_numpy() / store.records["source_fs"].to_numpy()[row]
        for second, label in zip(at, beats["label"].astype(str), strict=True):
            if t[0] <= second <= t[-1]:
                shade, place = colour(1) if label == name else "#777777", ("data", "axes fraction")
                axes.annotate(label or "-", (second, 1), xycoords=place, color=shade, fontsize=8, ha="center", va="top")
        axes.margins(y=0.2)
    classes = ", ".join(np.array(store.classes)[store.targets[row]]) if store.task == "record" and name else name
    record = store.records["record"].iloc[row]
    axes.set_title(f"{record}: {classes}" if classes else str(record), fontsize=9)
    axes.set_ylabel(f"{store.leads[lead]} ({store.unit})", fontsize=8)
    axes.set_xlabel("s", fontsize=8, labelpad=0)
    axes.margins(x=0)
    axes.tick_params(labelsize=8)
    tidy(axes)


def _draw_classes(axes: Axes, summary: Mapping[str, Any], names: Sequence[str]) -> None:
    """A row per class, a dot per split, on a scale that shows the rare ones and nothing at all."""
    sides = [*summary["splits"]]
    for number, side in enumerate(sides):
        values = [summary["classes"][name][side] for name in names]
        look: dict[str, Any] = {"color": colour(number), "marker": marker(number), "markersize": 5}
        at = np.arange(len(names)) + 0.25 * (number - (len(sides) - 1) / 2)  # equal numbers do not hide each other
        axes.plot(values, at, linestyle="", label=side, zorder=3, **look)
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xlim(left=-0.15)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    totals = [sum(summary["classes"][name].values()) for name in names]
    written = [f"{total:,.1f}" if summary["task"] == "rhythm" else f"{total:,}" for total in totals]
    axes.set_yticks(range(len(names)), [f"{n} ({w})" for n, w in zip(names, written, strict=True)], fontsize=8)
    axes.set_ylim(len(names) - 0.5, -0.5)
    for edge in np.arange(1, len(names)) - 0.5:
        axes.axhline(edge, color="#eeeeee", linewidth=0.8, zorder=0)
    axes.grid(axis="x", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    more = len(present(summary)) - len(names)
    axes.set_xlabel(f"{counted_in(summary)} of each class" + (f" (and {more} rarer classes)" if more else ""))
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(sides), frameon=False, fontsize=9)
    tidy(axes, ("top", "right", "left"))


def _draw_durations(axes: Axes, store: Store) -> None:
    seconds = store.records["length"].to_numpy() / store.fs
    unit, per = ("s", 1) if seconds.max() < 600 else ("min", 60) if seconds.max() < 36_000 else ("h", 3600)
    _draw_histogram(axes, [seconds / per], [""], np.linspace(0, seconds.max() / per, 31))
    axes.set_xlabel(f"duration of a record ({unit})")


def _draw_ages(axes: Axes, store: Store) -> None:
    age, sex = store.records["age"].to_numpy(np.float64), store.records["sex"].astype(object).to_numpy()
    groups = {"F": sex == "F", "M": sex == "M", "sex not known": (sex != "F") & (sex != "M")}
    shown = {name: age[mine & np.isfinite(age)] for name, mine in groups.items()}
    shown = {name: values for name, values in shown.items() if len(values)}
    _draw_histogram(axes, [*shown.values()], [*shown], np.arange(0, 5 * math.ceil(np.nanmax(age) / 5) + 6, 5))
    axes.set_xlabel("age (years)")
    axes.legend(frameon=False, fontsize=8)


def _draw_histogram(
    axes: Axes, values: list[NDArray[np.float64]], names: list[str], bins: NDArray[np.floating[Any]]
) -> None:
    from matplotlib.ticker import MaxNLocator

    colours = [colour(i + 3) for i in range(len(values))]
    axes.hist(values, bins.tolist(), stacked=True, label=names, color=colours, linewidth=0)
    axes.set_ylabel("records")
    axes.yaxis.set_major_locator(MaxNLocator("auto", integer=True))
    axes.tick_params(labelsize=8)
    tidy(axes)


def heading(summary: Mapping[str, Any]) -> str:
    """What it is of, in a line: the source, how much of it there is, and the leads."""
    size, leads = summary["all"], summary["leads"]
    of = f"{size['records']:,} records of {size['patients']:,} patients, {_time(3600 * size['hours'])}"
    each = f" ({durations(summary)})" if alike(summary) else ""
    return f"{summary['source']}: {of}{each}, {f'{len(leads)} leads' if len(leads) > 1 else f'lead {leads[0]}'}"


def present(summary: Mapping[str, Any]) -> list[str]:
    """The classes of which there are any."""
    return [name for name, counts in summary["classes"].items() if any(counts.values())]


def alike(summary: Mapping[str, Any]) -> bool:
    """Whether all records are equally long."""
    return bool(summary["seconds"]["most"] - summary["seconds"]["least"] < 0.01)


def durations(summary: Mapping[str, Any]) -> str:
    """How long the records are."""
    least, median, most = (summary["seconds"][name] for name in ("least", "median", "most"))
    if alike(summary):
        return f"all {_time(least)}"
    return f"{_time(least)} to {_time(most)}, half of them up to {_time(median)}"


def counted_in(summary: Mapping[str, Any]) -> str:
    """What its classes are counted in: what carries them."""
    return {"record": "records", "beat": "beats", "rhythm": "hours"}[summary["task"]]


def as_hours(hours: float) -> str:
    """A number of hours, to three digits."""
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.3g}"


def _time(seconds: float) -> str:
    if seconds < 600:
        return f"{seconds:.4g} s"
    return f"{seconds / 60:.4g} min" if seconds < 36_000 else f"{as_hours(seconds / 3600)} h"
