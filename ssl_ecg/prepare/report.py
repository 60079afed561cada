"""Count what a store holds: a summary in the terminal, `summary.json`, and `summary.png` beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.prepare.figure import SIMULATED, as_hours, counted_in, data_figure, durations, heading, present
from ssl_ecg.report.figures import save
from ssl_ecg.report.tables import plain, write_json

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from ssl_ecg.data.store import Store

_SPLITS = ("train", "val", "test")
_KINDS = 10  # of reasons and notes in the terminal, at most
_VARIES = re.compile(r"'[^']*'|\S*[\d/]\S*|\S+\.\w+")  # between messages of one kind: values, numbers, files


def summarise(store: Store) -> dict[str, Any]:
    """Count what a store holds, as plain values.

    The leads, their sampling rate and unit; the records, patients and hours of each split; how many of what carries a
    class (records, beats, or hours of a rhythm) each class has in each split; durations, ages and sexes; patients on
    two sides; and what was left out or odd, grouped by kind.
    """
    rows = np.unique(store.recording.numpy(), return_index=True)[1]  # the first of each recording's leads
    records = store.records.iloc[rows]
    split = records["split"].to_numpy().astype(str)
    seconds = records["length"].to_numpy() / store.fs
    sides = [side for side in _SPLITS if (split == side).any()]
    pairs, allowed = records[["patient", "split"]].drop_duplicates(), store.meta["shared_patients"]
    both = sorted(pairs["patient"][pairs["patient"].duplicated()].astype(str).unique())
    age = records["age"].to_numpy(np.float64)
    rates, of_rate = np.unique(records["source_fs"].to_numpy(), return_counts=True)
    return {
        "source": store.source,
        "simulated": bool(store.simulated),
        "leads": sorted(set(store.records["lead"])) if "lead" in store.records else list(store.leads),
        "fs": store.fs,
        "unit": store.unit,
        "all": _size(records, seconds, np.ones(len(split), dtype=np.bool_)),
        "splits": {side: _size(records, seconds, split == side) for side in sides},
        "task": store.task,
        "classes": _class_counts(store, rows, sides),
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
    """Write `summary.json` and `summary.png` into the store's folder, unless they are there and say the same."""
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
    console.print(Text(heading(summary), style="bold"))
    if summary["simulated"]:
        console.print(Text(SIMULATED, style="bold yellow"))
    _print_counts(console, summary)
    lines = []
    if absent := [name for name in summary["classes"] if name not in present(summary)]:
        lines.append((f"no {counted_in(summary)}", f"of {', '.join(absent)}"))
    lines.append(("leads", f"{', '.join(summary['leads'])} at {summary['fs']:g} Hz, in {summary['unit']}"))
    lines.append(("sampled at", ", ".join(f"{rate} Hz ({n:,})" for rate, n in summary["source_fs"].items())))
    lines.append(("durations", durations(summary)))
    people = [f"{n:,} {sex}" for sex, n in summary["sex"].items() if n]
    if summary["age"]["known"]:
        people.append(f"age known of {summary['age']['known']:,} records, median {summary['age']['median']:g}")
    if people:
        lines.append(("people", ", ".join(people)))
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


def _size(records: pd.DataFrame, seconds: NDArray[np.float64], mine: NDArray[np.bool_]) -> dict[str, Any]:
    patients = int(records["patient"][mine].nunique())
    return {"records": int(mine.sum()), "patients": patients, "hours": float(seconds[mine].sum() / 3600)}


def _class_counts(store: Store, rows: NDArray[np.int64], sides: Sequence[str]) -> dict[str, dict[str, float]]:
    """How many each class has in each split: the commonest first, and last what has none."""
    if not store.classes:
        return {}
    split = store.records["split"].to_numpy().astype(str)
    of, has = rows, [*store.targets[rows].T]
    amount = np.ones(len(rows), dtype=np.int64)
    if store.task != "record":
        table = store.beats if store.task == "beat" else store.spans
        table = table[table["record"].isin(rows)]
        of = table["record"].to_numpy()
        label, amount = table["label"].astype(str).to_numpy(), np.ones(len(of), dtype=np.int64)
        has = [label == name for name in store.classes]
        if store.task == "rhythm":
            amount = (table["end"] - table["start"]).to_numpy() / store.records["source_fs"].to_numpy()[of] / 3600
    has.append(~np.any(has, axis=0))
    split = split[of]
    names = [*store.classes, "none of these"]
    counts = {
        name: {side: amount[mine & (split == side)].sum().item() for side in sides}
        for name, mine in zip(names, has, strict=True)
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


def _some(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")


def _print_counts(console: Console, summary: Mapping[str, Any]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    sides = summary["splits"]
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("")
    for side in (*sides, "all"):
        table.add_column(side, justify="right")
    for name in ("records", "patients", "hours"):
        cells = [size[name] for size in (*sides.values(), summary["all"])]
        table.add_row(name, *(as_hours(cell) if name == "hours" else f"{cell:,}" for cell in cells))
    if summary["classes"]:
        table.add_section()
        table.add_row(Text(f"{counted_in(summary)} of class", style="dim"))
        for name in present(summary):
            counts = summary["classes"][name].values()
            cells = [*counts, sum(counts)]
            written = [as_hours(cell) if summary["task"] == "rhythm" else f"{cell:,}" for cell in cells]
            table.add_row(Text(name), *written)
    console.print(table)
