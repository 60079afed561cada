"""Runs beside each other on one page: the settings that differ, their curves over each other, their scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ssl_ecg.errors import UserError
from ssl_ecg.report.figures import colour, new_figure, tidy
from ssl_ecg.report.page import Page, Part, Section, Table, picture, table
from ssl_ecg.report.results import unique
from ssl_ecg.report.run_files import RunFiles
from ssl_ecg.report.run_page import main_rows, scores, shown, warnings
from ssl_ecg.report.settings import differing
from ssl_ecg.report.tables import Value

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PANELS = {
    "probe_auroc": "linear probe, macro AUROC",
    "knn_auroc": "kNN, macro AUROC",
    "val_auroc": "validation AUROC",
    "loss": "loss (of one method alone comparable)",
    "spread": "spread (1 is isotropic, 0 collapsed)",
    "effective_rank": "effective rank (dimensions)",
    "alignment": "alignment (0: views alike)",
    "samples_per_s": "windows a second",
}
_ELSEWHERE = ("name", "out", "cache", "wandb")  # says nothing of what was trained


def comparison(folders: Sequence[Path]) -> Page:
    """Make the page that compares runs, in the order they are given; UserError if one is no run."""
    files = [RunFiles(folder) for folder in folders]
    runs = dict(zip(unique([run.name for run in files]), files, strict=True))
    curves = {name: run.history for name, run in runs.items() if run.history}
    return Page(
        title="Comparison of runs",
        lead=", ".join(f"{name} ({run.state})" for name, run in runs.items()),
        warnings=[f"{name}: {warning}" for name, run in runs.items() for warning in warnings(run)],
        sections=[
            Section("scores", "Scores", _scores(runs)),
            Section("curves", "Curves", [picture(compared_curves(curves), "Metrics of each epoch.")] if curves else []),
            Section("settings", "Settings that differ", _settings(runs)),
        ],
    )


def compared_curves(histories: Mapping[str, Sequence[Mapping[str, float]]]) -> Figure:
    """Draw the metrics of runs over each other, against their epochs: a panel per metric, a line per run.

    `histories` has a row for each epoch of each run. UserError if no run has anything to show.
    """
    known = [name for name in _PANELS if any(name in row for rows in histories.values() for row in rows)]
    if not known:
        raise UserError(f"nothing to draw of the runs {list(histories)}")
    width = min(len(known), 3)
    height = -(-len(known) // width)
    figure = new_figure(3.9 * width, 2.8 * height + 0.5)
    panels = figure.subplots(height, width, squeeze=False).flatten()
    for axes, metric in zip(panels, known, strict=False):
        for i, (name, rows) in enumerate(histories.items()):
            points = [(row.get("epoch", number) + 1, row[metric]) for number, row in enumerate(rows) if metric in row]
            look = {"color": colour(i), "linestyle": ("-", "--", ":")[i // 8 % 3]}
            axes.plot(*zip(*points, strict=True) if points else ((), ()), marker=".", linewidth=1.4, label=name, **look)
        axes.set_title(_PANELS[metric], fontsize=10)
        axes.set_xlabel("epoch")
        axes.grid(color="#e5e5e5", linewidth=0.8)
        tidy(axes)
    for axes in panels[len(known) :]:
        axes.set_visible(False)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=min(len(labels), 4), frameon=False, fontsize=9)
    return figure


def _scores(runs: Mapping[str, RunFiles]) -> list[Part]:
    own: dict[str, dict[str, Value]] = {}
    for name, run in runs.items():
        for system, row in scores(run).items():
            own[name if system == "pretrained" else f"{name}, {system}"] = row
    found: list[Part] = [table(own, "Online probe on held-out patients")] if own else []
    for question in dict.fromkeys(name for run in runs.values() for name in run.evaluations):
        rows = {
            f"{name}: {system}": row
            for name, run in runs.items()
            if question in run.evaluations
            for system, row in main_rows(run.evaluations[question]).items()
        }
        found += [table(rows, question)] if rows else []
    return found


def _settings(runs: Mapping[str, RunFiles]) -> list[Part]:
    differ = differing({name: run.config for name, run in runs.items()})
    rows = [
        (setting, [shown(values[name]) if name in values else "-" for name in runs])
        for setting, values in differ.items()
        if setting not in _ELSEWHERE
    ]
    return [Table(list(runs), rows, words=True)] if rows else []
