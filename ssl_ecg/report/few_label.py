"""What `python -m ssl_ecg.few_label` shows and leaves behind: tables, JSON, CSV and label-efficiency curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ssl_ecg.evaluation.label_efficiency import seed_mean
from ssl_ecg.evaluation.statistics import Interval, Resampled, difference
from ssl_ecg.report.style import colour, marker, new_figure, save, tidy
from ssl_ecg.report.tables import Value, print_table, write_csv, write_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_METRICS = {"macro_auroc": "macro AUROC", "macro_f1": "macro F1"}


@dataclass(frozen=True)
class Cell:
    """One method on the features of one system, with one share of the labels.

    Attributes:
        system: whose features.
        method: what was made of them.
        fraction: of the patients who are labelled.
        patients: how many those are.
        runs: scores on the test patients, one for each draw of the labels.
        settings: what was chosen in each draw.
    """

    system: str
    method: str
    fraction: float
    patients: int
    runs: Sequence[Resampled]
    settings: Sequence[Mapping[str, float]]

    @cached_property
    def mean(self) -> Resampled:
        """Over the draws, inside each resample of the test patients."""
        return seed_mean(self.runs)

    @cached_property
    def intervals(self) -> dict[str, Interval]:
        """Of the mean over the draws, for other test patients."""
        return self.mean.intervals()

    def spread(self, score: str) -> float:
        """Standard deviation of a score over the draws; NaN for one draw."""
        values = [run.values[score] for run in self.runs]
        return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")


def write_few_label(
    folder: Path, cells: Sequence[Cell], *, kind: str, setting: str, about: Mapping[str, Any], validated: bool = False
) -> None:
    """Print the cells and write them down.

    Args:
        folder: of the files; what has their names there is replaced.
        cells: those of the pretrained encoder first.
        kind: simulated or real ECG.
        setting: whether the encoder had seen the test patients.
        about: what else the JSON says, with the classes that are not scored as "too_few".
        validated: whether validation patients were scored in place of the test patients.
    """
    who = "validation" if validated else "test"
    by_method = sorted(cells, key=lambda cell: _methods(cells).index(cell.method))
    for score, heading in _METRICS.items():
        rows: dict[str, dict[str, Value]] = {}
        for cell in by_method:
            row = rows.setdefault(f"{cell.method}, {cell.system}", {})
            row[f"{_share(cell)} ({cell.patients:,})"] = cell.intervals[score]
            if len(cell.runs) > 1:
                row[f"sd {_share(cell)}"] = cell.spread(score)
        print_table(rows, title=f"{heading} of {who} patients by share of labelled patients, {kind}")
    draws = max(len(cell.runs) for cell in cells)
    print(
        f"Means of up to {draws} draws of the labelled patients, with 95 % intervals by bootstrap over the {who} "
        f"patients; sd is over the draws. {setting[0].upper()}{setting[1:]}."
    )
    if about["too_few"]:
        print(f"Not scored, because too few {who} patients have or lack them: {', '.join(about['too_few'])}.")
    versus = _versus(cells)
    differences: dict[str, dict[str, Value]] = {}
    for line in versus:
        row = differences.setdefault(f"{line['method']}, {line['system']} - {line['other']}", {})
        row[f"{100 * line['fraction']:.4g} %"] = line["macro_auroc"]
    print_table(differences, title=f"Differences of the macro AUROC on the same {who} patients")
    document = {**about, "setting": setting, "scored": f"{who} patients", "cells": [_document(c) for c in cells]}
    name = "validation" if validated else "results"
    write_json({**document, "versus": versus}, folder / f"{name}.json")
    write_csv([row for cell in cells for row in _rows(cell)], folder / f"{name}.csv")
    figures = []
    for score, heading in _METRICS.items():
        figures.append(f"{name}-{score.removeprefix('macro_')}.png")
        save(efficiency_curves(cells, score, f"{heading}, {who} patients"), folder / figures[-1])
    print(f"Written to {folder}: {name}.json, {name}.csv, {', '.join(figures)}")


def efficiency_curves(cells: Sequence[Cell], score: str, heading: str) -> Figure:
    """A score against the number of labelled patients: a panel for each method, a line for each system.

    Lines are means over draws of the labels with their interval over test patients, faint marks the single draws.

    Args:
        cells: of all methods, systems and shares of the labels.
        score: its name.
        heading: what it is called.
    """
    from matplotlib.ticker import FixedLocator, NullLocator

    methods, systems = _methods(cells), list(dict.fromkeys(cell.system for cell in cells))
    figure = new_figure(3.1 * len(methods) + 0.6, 3.7)
    panels = figure.subplots(1, len(methods), sharey=True, squeeze=False)[0]
    counts = {cell.patients: cell.fraction for cell in cells}
    for axes, method in zip(panels, methods, strict=True):
        for i, system in enumerate(systems):
            mine = sorted((c for c in cells if (c.system, c.method) == (system, method)), key=lambda c: c.fraction)
            beside = 1.06 ** (i - (len(systems) - 1) / 2)  # so that intervals do not lie on each other
            at = [cell.patients * beside for cell in mine]
            found = [cell.intervals[score] for cell in mine]
            look: dict[str, Any] = {"color": colour(i), "marker": marker(i)}
            axes.plot(at, [f.value for f in found], markersize=5.5, label=system, zorder=3, **look)
            axes.vlines(at, [f.low for f in found], [f.high for f in found], color=colour(i), linewidth=1.6, alpha=0.6)
            for x, cell in zip(at, mine, strict=True):
                if len(cell.runs) > 1:
                    values = [run.values[score] for run in cell.runs]
                    axes.plot([x] * len(values), values, linestyle="", markersize=3, alpha=0.35, **look)
        axes.set_title(method, fontsize=10)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(list(counts)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticklabels([f"{n:,}\n({100 * share:.3g} %)" for n, share in counts.items()], fontsize=8)
        axes.set_xlabel("labelled patients (share)")
        axes.grid(color="#e5e5e5", linewidth=0.8)
        tidy(axes)
    panels[0].set_ylabel(heading)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False, fontsize=9)
    return figure


def _methods(cells: Sequence[Cell]) -> list[str]:
    return list(dict.fromkeys(cell.method for cell in cells))


def _share(cell: Cell) -> str:
    return f"{100 * cell.fraction:.4g} %"


def _versus(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """The first system against each other one, by method and share of the labels."""
    first = {(c.method, c.fraction): c for c in cells if c.system == cells[0].system}
    return [
        {
            "method": c.method,
            "fraction": c.fraction,
            "system": cells[0].system,
            "other": c.system,
            **{name: d for name, d in difference(first[c.method, c.fraction].mean, c.mean).items() if name in _METRICS},
        }
        for c in cells
        if c.system != cells[0].system
    ]


def _document(cell: Cell) -> dict[str, Any]:
    """What the JSON says of a cell."""
    return {
        "system": cell.system,
        "method": cell.method,
        "fraction": cell.fraction,
        "patients": cell.patients,
        "scores": cell.intervals,
        "sd": {name: cell.spread(name) for name in _METRICS},
        "draws": [
            {**{name: run.values[name] for name in _METRICS}, "setting": setting}
            for run, setting in zip(cell.runs, cell.settings, strict=True)
        ],
    }


def _rows(cell: Cell) -> list[dict[str, Any]]:
    """A line of the CSV for each score."""
    return [
        {
            "system": cell.system,
            "method": cell.method,
            "fraction": cell.fraction,
            "patients": cell.patients,
            "draws": len(cell.runs),
            "score": name,
            "value": i.value,
            "low": i.low,
            "high": i.high,
            "sd": cell.spread(name),
        }
        for name, i in cell.intervals.items()
    ]
