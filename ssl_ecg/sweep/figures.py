"""The two figures of a sweep: scores against the number of labels, and what chose C."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ssl_ecg.report.figures import colour, marker, new_figure, tidy
from ssl_ecg.sweep.points import SCORE, Tasks, points_of, share_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_APART = 1.06  # of neighbouring systems on the axis of patients, so that their intervals do not cover each other


def label_efficiency_figure(tasks: Tasks, scored: str = "test") -> Figure:
    """Macro AUROC against the number of labelled patients: a panel per task, a line per system.

    Bars are 95 % intervals over patients of the mean over draws, dots the single draws.
    """
    figure = new_figure(0.8 + 4.6 * len(tasks), 4.0)
    panels = figure.subplots(1, len(tasks), squeeze=False)[0]
    looks = _looks(tasks)
    for axes, (name, task) in zip(panels, tasks.items(), strict=True):
        for place, (title, cell) in enumerate(task.items()):
            points = points_of(cell)
            x = np.array([point.patients for point in points]) * _APART ** (place - (len(task) - 1) / 2)
            ends = [point.mean.intervals()[SCORE] for point in points]
            y = np.array([end.value for end in ends])
            beyond = [y - [end.low for end in ends], [end.high for end in ends] - y]
            look = {"color": colour(looks[title]), "marker": marker(looks[title])}
            axes.errorbar(x, y, np.abs(beyond), label=title, capsize=3, linewidth=1.8, elinewidth=1, **look)
            for at, point in zip(x, points, strict=True):
                if len(point.values) > 1:
                    beside = [at * _APART**2] * len(point.values)
                    axes.scatter(beside, point.values, s=10, alpha=0.6, color=look["color"], linewidths=0)
        first = points_of(next(iter(task.values())))
        axes.set_xscale("log")
        axes.set_xticks([p.patients for p in first], [f"{p.patients:.0f}\n{p.share}" for p in first])
        axes.minorticks_off()
        axes.margins(x=0.12)
        axes.set_xlabel("patients with labels (log scale)")
        axes.set_title(name, fontsize=10)
        axes.set_ylabel(f"{scored} macro AUROC")
        axes.grid(axis="y", color="#dddddd", linewidth=0.8)
    return _finished(figure, f"mean over draws with 95 % interval over {scored} patients; dots: single draws")


def validation_figure(tasks: Tasks) -> Figure:
    """What chose C or another setting: validation macro AUROC against it; a row per task, a panel per share.

    Lines are means over draws, bands reach from the worst to the best draw, and marks are what was chosen.
    """
    shares = list(dict.fromkeys(p.share for task in tasks.values() for c in task.values() for p in points_of(c)))
    figure = new_figure(0.8 + 3.6 * len(shares), 0.6 + 3.0 * len(tasks))
    grid = figure.subplots(len(tasks), len(shares), squeeze=False, sharex=True, sharey="row")
    looks = _looks(tasks)
    for line, (name, task) in zip(grid, tasks.items(), strict=True):
        for axes, share in zip(line, shares, strict=True):
            for title, cell in task.items():
                mine = [draw for draw in cell.draws if share_of(draw.fraction) == share]
                curves = np.array([draw.curve for draw in mine])
                look = colour(looks[title])
                order = np.argsort(cell.settings)
                at, curves = np.array(cell.settings)[order], curves[:, order]
                axes.plot(at, curves.mean(axis=0), color=look, linewidth=1.8, label=title)
                axes.fill_between(at, curves.min(axis=0), curves.max(axis=0), color=look, alpha=0.15, linewidth=0)
                scores = [dict(zip(cell.settings, draw.curve, strict=True)) for draw in mine]
                chosen = [(draw.chosen, of.get(draw.chosen, np.nan)) for draw, of in zip(mine, scores, strict=True)]
                axes.scatter(*zip(*chosen, strict=True), s=22, marker=marker(looks[title]), color=look)
            if all(np.isnan(draw.curve).all() for draw in mine):
                axes.text(0.5, 0.5, "too few patients\nto choose by", ha="center", transform=axes.transAxes)
            axes.set_xscale("log")
            axes.minorticks_off()
            axes.set_title(f"{name}, {share} of the labels", fontsize=10)
            axes.grid(color="#e5e5e5", linewidth=0.8)
        line[0].set_ylabel("validation macro AUROC")
    for axes in grid[-1]:
        setting = next(iter(next(iter(tasks.values())).values())).setting
        axes.set_xlabel("C (inverse strength of the penalty)" if setting == "C" else setting)
    return _finished(figure, "lines: mean over draws; bands: from the worst draw to the best; marks: what was chosen")


def _finished(figure: Figure, title: str) -> Figure:
    """With its title, one legend of the lines of all panels, and no frames."""
    for axes in figure.axes:
        axes.set_axisbelow(True)
        tidy(axes)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    columns = int(figure.get_figwidth() // (0.65 + 0.07 * max(map(len, labels), default=0)))  # inches
    figure.legend(handles, labels, fontsize=8, frameon=False, loc="outside lower center", ncols=min(4, max(1, columns)))
    figure.suptitle(title, fontsize=9)
    return figure


def _looks(tasks: Tasks) -> dict[str, int]:
    """A number of each system, for its colour and marker: the same in every panel."""
    return {title: i for i, title in enumerate(dict.fromkeys(title for task in tasks.values() for title in task))}
