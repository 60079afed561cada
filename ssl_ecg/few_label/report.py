"""What `python -m ssl_ecg.few_label` shows and leaves behind: tables, JSON, CSV and label-efficiency curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ssl_ecg.metrics.bootstrap import Interval, Resampled, difference, seed_mean
from ssl_ecg.report.style import colour, marker, new_figure, save, tidy
from ssl_ecg.report.tables import Value, print_table, write_csv, write_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_METRICS = {"macro_auroc": "macro AUROC", "macro_f1": "macro F1"}


@dataclass(frozen=True)
class FewLabelResult:
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
    folder: Path,
    results: Sequence[FewLabelResult],
    *,
    kind: str,
    setting: str,
    about: Mapping[str, Any],
    validated: bool = False,
) -> None:
    """Print the results and write them down.

    Args:
        folder: of the files; what has their names there is replaced.
        results: those of the pretrained encoder first.
        kind: simulated or real ECG.
        setting: whether the encoder had seen the test patients.
        about: what else the JSON says, with the classes that are not scored as "too_few".
        validated: whether validation patients were scored in place of the test patients.
    """
    who = "validation" if validated else "test"
    by_method = sorted(results, key=lambda result: _methods(results).index(result.method))
    for score, heading in _METRICS.items():
        rows: dict[str, dict[str, Value]] = {}
        for result in by_method:
            row = rows.setdefault(f"{result.method}, {result.system}", {})
            row[f"{_share(result)} ({result.patients:,})"] = result.intervals[score]
            if len(result.runs) > 1:
                row[f"sd {_share(result)}"] = result.spread(score)
        print_table(rows, title=f"{heading} of {who} patients by share of labelled patients, {kind}")
    draws = max(len(result.runs) for result in results)
    print(
        f"Means of up to {draws} draws of the labelled patients, with 95 % intervals by bootstrap over the {who} "
        f"patients; sd is over the draws. {setting[0].upper()}{setting[1:]}."
    )
    if about["too_few"]:
        print(f"Not scored, because too few {who} patients have or lack them: {', '.join(about['too_few'])}.")
    versus = _versus(results)
    differences: dict[str, dict[str, Value]] = {}
    for line in versus:
        row = differences.setdefault(f"{line['method']}, {line['system']} - {line['other']}", {})
        row[f"{100 * line['fraction']:.4g} %"] = line["macro_auroc"]
    print_table(differences, title=f"Differences of the macro AUROC on the same {who} patients")
    document = {**about, "setting": setting, "scored": f"{who} patients", "cells": [_document(r) for r in results]}
    name = "validation" if validated else "results"
    write_json({**document, "versus": versus}, folder / f"{name}.json")
    write_csv([row for result in results for row in _rows(result)], folder / f"{name}.csv")
    figures = []
    for score, heading in _METRICS.items():
        figures.append(f"{name}-{score.removeprefix('macro_')}.png")
        save(efficiency_curves(results, score, f"{heading}, {who} patients"), folder / figures[-1])
    print(f"Written to {folder}: {name}.json, {name}.csv, {', '.join(figures)}")


def efficiency_curves(results: Sequence[FewLabelResult], score: str, heading: str) -> Figure:
    """A score against the number of labelled patients: a panel for each method, a line for each system.

    Lines are means over draws of the labels with their interval over test patients, faint marks the single draws.

    Args:
        results: of all methods, systems and shares of the labels.
        score: its name.
        heading: what it is called.
    """
    from matplotlib.ticker import FixedLocator, NullLocator

    methods, systems = _methods(results), list(dict.fromkeys(result.system for result in results))
    figure = new_figure(3.1 * len(methods) + 0.6, 3.7)
    panels = figure.subplots(1, len(methods), sharey=True, squeeze=False)[0]
    counts = {result.patients: result.fraction for result in results}
    for axes, method in zip(panels, methods, strict=True):
        for i, system in enumerate(systems):
            mine = sorted((r for r in results if (r.system, r.method) == (system, method)), key=lambda r: r.fraction)
            beside = 1.06 ** (i - (len(systems) - 1) / 2)  # so that intervals do not lie on each other
            at = [result.patients * beside for result in mine]
            found = [result.intervals[score] for result in mine]
            look: dict[str, Any] = {"color": colour(i), "marker": marker(i)}
            axes.plot(at, [f.value for f in found], markersize=5.5, label=system, zorder=3, **look)
            axes.vlines(at, [f.low for f in found], [f.high for f in found], color=colour(i), linewidth=1.6, alpha=0.6)
            for x, result in zip(at, mine, strict=True):
                if len(result.runs) > 1:
                    values = [run.values[score] for run in result.runs]
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


def _methods(results: Sequence[FewLabelResult]) -> list[str]:
    return list(dict.fromkeys(result.method for result in results))


def _share(result: FewLabelResult) -> str:
    return f"{100 * result.fraction:.4g} %"


def _versus(results: Sequence[FewLabelResult]) -> list[dict[str, Any]]:
    """The first system against each other one, by method and share of the labels."""
    first = {(r.method, r.fraction): r for r in results if r.system == results[0].system}
    return [
        {
            "method": r.method,
            "fraction": r.fraction,
            "system": results[0].system,
            "other": r.system,
            **{name: d for name, d in difference(first[r.method, r.fraction].mean, r.mean).items() if name in _METRICS},
        }
        for r in results
        if r.system != results[0].system
    ]


def _document(result: FewLabelResult) -> dict[str, Any]:
    """What the JSON says of a result."""
    return {
        "system": result.system,
        "method": result.method,
        "fraction": result.fraction,
        "patients": result.patients,
        "scores": result.intervals,
        "sd": {name: result.spread(name) for name in _METRICS},
        "draws": [
            {**{name: run.values[name] for name in _METRICS}, "setting": setting}
            for run, setting in zip(result.runs, result.settings, strict=True)
        ],
    }


def _rows(result: FewLabelResult) -> list[dict[str, Any]]:
    """A line of the CSV for each score."""
    return [
        {
            "system": result.system,
            "method": result.method,
            "fraction": result.fraction,
            "patients": result.patients,
            "draws": len(result.runs),
            "score": name,
            "value": i.value,
            "low": i.low,
            "high": i.high,
            "sd": result.spread(name),
        }
        for name, i in result.intervals.items()
    ]
