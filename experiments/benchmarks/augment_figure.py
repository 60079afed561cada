"""The speed of every library at every operation they share, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from augment_timing import Row

from ssl_ecg.report.figures import COLOURS, MARKERS, new_figure, save, tidy


def speeds(rows: Sequence[Row], path: Path, title: str) -> None:
    """Draws records a second of each library for each operation, on one logarithmic axis, and saves it.

    Args:
        rows: One for each operation and library, with `name`, `library` and `records/s`.
        path: The file.
        title: What it says above.
    """
    operations = list(dict.fromkeys(str(row["name"]) for row in rows))[::-1]
    libraries = list(dict.fromkeys(str(row["library"]) for row in rows))
    figure = new_figure(9, 1.2 + 0.26 * len(operations))
    axes = figure.subplots()
    for k, library in enumerate(libraries):
        mine = [row for row in rows if row["library"] == library]
        axes.scatter(
            [float(row["records/s"]) for row in mine],
            [operations.index(str(row["name"])) for row in mine],
            s=60 if k == 0 else 28,
            color=COLOURS[k % len(COLOURS)],
            marker=MARKERS[k % len(MARKERS)],
            label="this package" if library == "ours" else library,
            zorder=3,
        )
    axes.set_xscale("log")
    axes.set_yticks(range(len(operations)), operations)
    axes.set_ylim(-0.7, len(operations) - 0.3)
    axes.set_xlabel("records/s (12 leads x 1000 samples), one thread")
    axes.grid(color="0.9")
    axes.set_title(title, fontsize=11)
    tidy(axes)
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    save(figure, path)
