"""Tables of systems and their scores: in the terminal, as CSV and as JSON."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ssl_ecg.files import replacing, write_text
from ssl_ecg.metrics.bootstrap import Difference, Interval

if TYPE_CHECKING:
    from rich.table import Table

Value = Interval | float | int | str | None
Rows = Mapping[str, Mapping[str, Value]]


def origin(simulated: bool) -> str:
    """Say what the numbers of a table come from."""
    return "simulated ECG (no heart was involved)" if simulated else "real ECG"


def too_few(names: Sequence[str], patients: str = "test patients") -> str:
    """Say which classes are without scores; empty if there are none."""
    return f"Not scored, because too few {patients} have or lack them: {', '.join(names)}." if names else ""


def print_table(rows: Rows, *, title: str = "") -> None:
    """Print the values of each system, by column; where the terminal is too narrow, intervals go below their values.

    Nothing is ever cut off: a table that still does not fit, or goes to a file, is as wide as it needs.
    """
    from rich.console import Console
    from rich.text import Text

    console = Console()
    anything = console.options.update(max_width=10_000)
    made = table(rows)
    if console.is_terminal and console.measure(made, options=anything).maximum > console.width:
        made = table(rows, narrow=True)
    console.width = max(console.width, console.measure(made, options=anything).maximum)
    if title:
        console.print(Text(title, style="bold"))
    console.print(made)


def table(rows: Rows, *, narrow: bool = False) -> Table:
    """Make a rich table: a line per system, a column per value that any of them has; `narrow` breaks its cells."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    names = list(dict.fromkeys(name for values in rows.values() for name in values))
    made = Table(box=box.SIMPLE_HEAD)
    made.add_column("", no_wrap=True)
    for name in names:
        made.add_column(Text(name.replace(" ", "\n", 1) if narrow else name), justify="right", no_wrap=True)
    for system, values in rows.items():
        cells = [text(values.get(name)) for name in names]
        if narrow:
            cells = [cell.replace(" [", "\n[").replace(" p=", "\np=") for cell in cells]
        made.add_row(Text(system), *map(Text, cells))
    return made


def text(value: Value) -> str:
    """Write `0.883 [0.841, 0.917]` for a score with its interval, `0.883` for a number, `-` for what is undefined.

    A difference shows its sign and its p-value: `+0.043 [+0.011, +0.078] p=0.012`. Where most resamples lack a score,
    it stands without an interval.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, Interval) and math.isnan(value.value):
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}" if value == 0 or abs(value) >= 0.001 else f"{value:.0e}"
    return str(value)


def write_csv(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write a line per row of plain values, whole or not at all; what a row lacks, and what is undefined, stays empty.

    UserError if the file cannot be written.
    """
    header = list(dict.fromkeys(name for row in rows for name in row))
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, header, restval="")
        writer.writeheader()
        writer.writerows(map(plain, rows))


def write_json(document: Mapping[str, Any], path: Path) -> None:
    """Write a document, whole or not at all: intervals as objects, NumPy as plain JSON, what is undefined as null.

    UserError if the file cannot be written.
    """
    write_text(path, json.dumps(plain(document), indent=1, allow_nan=False) + "\n")


def plain(value: Any) -> Any:  # noqa: ANN401
    """Turn a value into what JSON has, however deep: no NaN, no NumPy, intervals as objects."""
    if isinstance(value, Interval):
        names = ["value", "low", "high", *(["p_value"] if isinstance(value, Difference) else []), "undefined"]
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
