"""What a store holds: counted, as a summary in the terminal and in `summary.json`, and drawn, as `summary.png`."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.report.style import colour, marker, new_figure, save, tidy
from ssl_ecg.report.tables import plain, write_json

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from rich.console import Console

    from ssl_ecg.data.store import Store

SIMULATED = "SIMULATED: no heart was involved"

_SPLITS = ("train", "val", "test")
_STRIPS = 6  # at most, of as many classes
_LONGEST = 10.0  # s of a strip
_AROUND = 4.0  # s of a strip around a beat
_ROWS = 30  # classes in the picture, at most
_KINDS = 10  # of reasons and notes in the terminal, at most
_VARIES = re.compile(
    r"'[^']*'|\S*[\d/]\S*|\S+\.\w+"
)  # what differs between messages of one kind: values, numbers, files


def summarise(store: Store) -> dict[str, Any]:
    """Count what a store holds.

    Args:
        store: what was prepared.

    Returns:
        Plain values: the records, patients and hours of each split; how many of what carries a class (records,
        beats, or hours of a rhythm) each class has in each split; durations, ages and sexes; patients on two
        sides; and what was left out or odd, grouped by kind.
    """
    records = store.records
    split = records["split"].to_numpy().astype(str)
    seconds = records["length"].to_numpy() / store.fs
    sides = [side for side in _SPLITS if (split == side).any()]
    both, allowed = _on_two_sides(store), store.meta["shared_patients"]
    age = records["age"].to_numpy(np.float64)
    rates, of_rate = np.unique(records["source_fs"].to_numpy(), return_counts=True)
    return {
        "source": store.source,
        "simulated": bool(store.simulated),
        "leads": list(store.leads),
        "fs": store.fs,
        "all": _size(store, seconds, np.ones(len(split), dtype=np.bool_)),
        "splits": {side: _size(store, seconds, split == side) for side in sides},
        "task": store.task,
        "classes": _class_counts(store, split, sides),
        "seconds": {"least": seconds.min(), "median": float(np.median(seconds)), "most": seconds.max()},
        "source_fs": {f"{rate:g}": int(n) for rate, n in zip(rates, of_rate, strict=True)},
        "age": {
            "known": int(np.isfinite(age).sum()),
            **({"median": float(np.nanmedian(age))} if np.isfinite(age).any() else {}),
        },
        "sex": {name: int((records["sex"] == name).sum()) for name in ("F", "M")},
        "on_two_sides": [name for name in both if name not in allowed],
        "on_two_sides_by_protocol": [name for name in both if name in allowed],
        "dropped": _by_kind((entry["record"], entry["reason"]) for entry in store.report["dropped"]),
        "noted": _by_kind((entry["record"], entry["note"]) for entry in store.report["noted"]),
    }


def write_summary(store: Store, summary: Mapping[str, Any]) -> None:
    """Write `summary.json` and `summary.png` into the store's folder, unless they are there and say the same.

    Raises:
        UserError: if they cannot be written.
    """
    picture, document = store.path / "summary.png", store.path / "summary.json"
    if picture.exists() and document.exists() and json.loads(document.read_text()) == plain(summary):
        return  # another task of the same data has other classes
    save(data_figure(store, summary), picture, dpi=110)
    write_json(summary, document)


def print_summary(summary: Mapping[str, Any]) -> None:
    """Print the summary."""
    from rich.console import Console
    from rich.text import Text

    console = Console(soft_wrap=True)
    console.print(Text(_heading(summary), style="bold"))
    if summary["simulated"]:
        console.print(Text(SIMULATED, style="bold yellow"))
    _print_counts(console, summary)
    lines = []
    if absent := [name for name in summary["classes"] if name not in _present(summary)]:
        lines.append((f"no {_unit(summary)}", f"of {', '.join(absent)}"))
    lines.append(("leads", f"{', '.join(summary['leads'])} at {summary['fs']:g} Hz"))
    lines.append(("sampled at", ", ".join(f"{rate} Hz ({n:,})" for rate, n in summary["source_fs"].items())))
    lines.append(("durations", _durations(summary)))
    if people := _people(summary):
        lines.append(("people", people))
    for name, text in lines:
        console.print(Text(f"{name:<12}{text}"))
    if both := summary["on_two_sides_by_protocol"]:
        console.print(Text(f"{'note':<12}the protocol itself has patient {_some(both)} on two sides of the split"))
    if both := summary["on_two_sides"]:
        what = f"{len(both):,} patient(s) on two sides of the split, which would leak: {_some(both)}"
        console.print(Text(f"{'LEAK':<12}{what}", style="bold red"))
    for name, verb, style in (("dropped", "left out", "red"), ("noted", "kept, though", "yellow")):
        for kind in summary[name][:_KINDS]:
            n, records = len(kind["records"]), _some(kind["records"])
            what = f"{n:,} record{'s' if n > 1 else ''} {verb}: {kind['example']}"
            console.print(Text(f"{name:<12}{what} [{records}]", style=style))
        if more := summary[name][_KINDS:]:
            console.print(Text(f"{name:<12}and {len(more):,} more kinds: see summary.json", style=style))


def data_figure(store: Store, summary: Mapping[str, Any]) -> Figure:
    """Strips of a few records, and how classes, durations and ages are distributed.

    Args:
        store: what was prepared.
        summary: what `summarise` counted.
    """
    strips = _strips(store, summary)
    names = _present(summary)[:_ROWS]
    others = [_draw_ages] if summary["age"]["known"] else []
    if not _alike(summary) or not (names or others):
        others.insert(0, _draw_durations)
    rows = math.ceil(len(strips) / 2)
    below = max(2.4 * max(1, len(others)), 1.0 + 0.26 * len(names)) if names else 2.6
    figure = new_figure(11, 0.7 + 1.5 * rows + below)
    warning = f"\n{SIMULATED}" if summary["simulated"] else ""
    figure.suptitle(_heading(summary) + warning, fontsize=11, color=colour(1) if summary["simulated"] else "black")
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


def _size(store: Store, seconds: NDArray[np.float64], mine: NDArray[np.bool_]) -> dict[str, Any]:
    patients = int(store.records["patient"][mine].nunique())
    return {"records": int(mine.sum()), "patients": patients, "hours": float(seconds[mine].sum() / 3600)}


def _on_two_sides(store: Store) -> list[str]:
    pairs = store.records[["patient", "split"]].drop_duplicates()
    return sorted(pairs["patient"][pairs["patient"].duplicated()].astype(str).unique())


def _class_counts(store: Store, split: NDArray[np.str_], sides: Sequence[str]) -> dict[str, dict[str, float]]:
    """How many each class has in each split: the commonest first, and last what has none."""
    if not store.classes:
        return {}
    counts: dict[str, dict[str, float]] = {}
    if store.task == "record":
        has = [*store.targets.T, ~store.targets.any(axis=1)]
        for name, mine in zip([*store.classes, "none of these"], has, strict=True):
            counts[name] = {side: int((mine & (split == side)).sum()) for side in sides}
    else:
        table = store.beats if store.task == "beat" else store.spans
        label, where = table["label"].astype(str).to_numpy(), split[table["record"].to_numpy()]
        fs = store.records["source_fs"].to_numpy()[table["record"].to_numpy()]
        hours = None if store.task == "beat" else (table["end"] - table["start"]).to_numpy() / fs / 3600
        known = [label == name for name in store.classes]
        for name, mine in zip([*store.classes, "none of these"], [*known, ~np.any(known, axis=0)], strict=True):
            counts[name] = {
                side: int((mine & (where == side)).sum())
                if hours is None
                else float(hours[mine & (where == side)].sum())
                for side in sides
            }
    none = counts.pop("none of these")
    counts = dict(sorted(counts.items(), key=lambda item: -sum(item[1].values())))
    return counts | ({"none of these": none} if any(none.values()) else {})


def _by_kind(said: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
    """Messages that differ in files, numbers and quoted values only, together: the commonest kind first."""
    kinds: dict[str, dict[str, Any]] = {}
    for record, text in said:
        kind = kinds.setdefault(_VARIES.sub("…", text), {"example": text, "records": []})
        kind["records"].append(record)
    return sorted(kinds.values(), key=lambda kind: -len(kind["records"]))


def _heading(summary: Mapping[str, Any]) -> str:
    size, leads = summary["all"], summary["leads"]
    of = f"{size['records']:,} records of {size['patients']:,} patients, {_time(3600 * size['hours'])}"
    each = f" ({_durations(summary)})" if _alike(summary) else ""
    return f"{summary['source']}: {of}{each}, {f'{len(leads)} leads' if len(leads) > 1 else f'lead {leads[0]}'}"


def _present(summary: Mapping[str, Any]) -> list[str]:
    """The classes of which there are any."""
    return [name for name, counts in summary["classes"].items() if any(counts.values())]


def _alike(summary: Mapping[str, Any]) -> bool:
    """Whether all records are equally long."""
    return bool(summary["seconds"]["most"] - summary["seconds"]["least"] < 0.01)


def _hours(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.3g}"


def _durations(summary: Mapping[str, Any]) -> str:
    least, median, most = (summary["seconds"][name] for name in ("least", "median", "most"))
    if _alike(summary):
        return f"all {_time(least)}"
    return f"{_time(least)} to {_time(most)}, half of them up to {_time(median)}"


def _time(seconds: float) -> str:
    if seconds < 600:
        return f"{seconds:.4g} s"
    return f"{seconds / 60:.4g} min" if seconds < 36_000 else f"{_hours(seconds / 3600)} h"


def _people(summary: Mapping[str, Any]) -> str:
    """Ages and sexes of the records, as far as they are known."""
    said = [f"{n:,} {sex}" for sex, n in summary["sex"].items() if n]
    if summary["age"]["known"]:
        said.append(f"age known of {summary['age']['known']:,} records, median {summary['age']['median']:g}")
    return ", ".join(said)


def _some(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")


def _unit(summary: Mapping[str, Any]) -> str:
    return {"record": "records", "beat": "beats", "rhythm": "hours"}[summary["task"]]


def _print_counts(console: Console, summary: Mapping[str, Any]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    sides = summary["splits"]
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("")
    for heading in (*sides, "all"):
        table.add_column(heading, justify="right")
    for name in ("records", "patients", "hours"):
        cells = [size[name] for size in (*sides.values(), summary["all"])]
        table.add_row(name, *(_hours(cell) if name == "hours" else f"{cell:,}" for cell in cells))
    if summary["classes"]:
        table.add_section()
        table.add_row(Text(f"{_unit(summary)} of class", style="dim"))
        for name in _present(summary):
            counts = summary["classes"][name].values()
            cells = [*counts, sum(counts)]
            written = [_hours(cell) if summary["task"] == "rhythm" else f"{cell:,}" for cell in cells]
            table.add_row(Text(name), *written)
    console.print(table)


def _strips(store: Store, summary: Mapping[str, Any]) -> list[tuple[int, float, str]]:
    """A record for each of the commonest classes: its row, the second where its strip begins, and what it is."""
    found: list[tuple[int, float, str]] = []
    for name in [name for name in _present(summary) if name in store.classes][:_STRIPS]:
        if store.task == "record":
            rows = np.flatnonzero(store.targets[:, store.classes.index(name)])
            rows = np.setdiff1d(rows, [row for row, _, _ in found]) if len(rows) > len(found) else rows
            several = store.targets[rows].sum(axis=1)
            purest = rows[several == several.min()]
            found.append((int(purest[len(purest) // 2]), 0.0, name))
            continue
        table, column, before = (store.spans, "start", 0.0)
        if store.task == "beat":
            table, column, before = (store.beats, "r_peak", _AROUND / 2)
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
                look: dict[str, Any] = {
                    "color": colour(1) if label == name else "#777777",
                    "fontsize": 8,
                    "ha": "center",
                }
                axes.annotate(label or "-", (second, 1.0), xycoords=("data", "axes fraction"), va="top", **look)
        axes.margins(y=0.2)
    classes = name
    if store.task == "record" and name:
        classes = ", ".join(np.array(store.classes)[store.targets[row]])
    record = store.records["record"].iloc[row]
    axes.set_title(f"{record}: {classes}" if classes else str(record), fontsize=9)
    in_mv = store.meta["preprocessing"]["normalise"] != "record"
    axes.set_ylabel(f"{store.leads[lead]} ({'mV' if in_mv else 'SD'})", fontsize=8)
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
    more = len(_present(summary)) - len(names)
    axes.set_xlabel(f"{_unit(summary)} of each class" + (f" (and {more} rarer classes)" if more else ""))
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
