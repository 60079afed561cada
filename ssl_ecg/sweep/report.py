"""What `python -m ssl_ecg.sweep` shows and leaves behind: tables, tidy rows, two figures, and curves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from ssl_ecg.metrics.bootstrap import Interval
from ssl_ecg.report.results import Row, rows_of
from ssl_ecg.report.tables import origin, print_table, too_few
from ssl_ecg.study.systems import PRETRAINED
from ssl_ecg.sweep.cells import Cell
from ssl_ecg.sweep.figures import label_efficiency_figure, validation_figure
from ssl_ecg.sweep.points import SCORE, points_of, share_of, system_of, titled, versus

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def show(cells: Sequence[Cell], *, simulated: bool, scored: str = "test") -> None:
    """Print a table for each task, its differences, and what is to be known of it."""
    kind = origin(simulated)
    for name, task in titled(cells).items():
        _show_task(name, task, kind, scored)
    if scored != "test":
        print("The test set was not touched.")


def _show_task(name: str, task: Mapping[str, Cell], kind: str, scored: str) -> None:
    shown: dict[str, dict[str, Interval | float]] = {}
    for title, cell in task.items():
        shown[title] = {}
        for point in points_of(cell):
            shown[title][f"{point.share} ({point.patients:.0f} patients)"] = point.mean.intervals()[SCORE]
            if point.fraction < 1:
                shown[title][f"spread, {point.share}"] = point.spread
    print_table(shown, title=f"{name}: macro AUROC by share of the labels, {scored} patients, {kind}")
    first = next(iter(task.values()))
    people = first.sides["test"]["patients"]
    print(
        f"Mean over draws of the labels with its 95 % interval by bootstrap over {people} {scored} patients; spread: "
        "standard deviation over the draws."
    )
    for title, cell in task.items():
        if cell.system == PRETRAINED:
            print(f"{title}: {cell.seen}.")
            for other, by_share in versus(task, title).items():
                shares = [point.share for point in points_of(cell)]
                found = "; ".join(f"{share}: {d[SCORE]}" for share, d in zip(shares, by_share, strict=True))
                print(f"{title} - {other}: {found}")
    if first.too_few:
        print(too_few(first.too_few, f"{scored} patients"))
    if unable := dict.fromkeys(share_of(draw.fraction) for draw in first.draws if draw.how == "default"):
        print(f"Too few patients to choose {first.setting} by, so that it is the default: {', '.join(unable)}.")
    for point in points_of(first):
        lacking = max(len(draw.missing) for draw in first.draws if draw.fraction == point.fraction)
        if lacking:
            print(f"{point.share}: up to {lacking} classes that nobody drawn to learn from has; their AUROC is 0.5.")
    print()


def rows(cells: Sequence[Cell]) -> list[Row]:
    """Scores of each draw, their mean and spread over draws with intervals, differences, and what chose the setting.

    `validation_macro_auroc[C=0.01]` is what chose (NaN where a default was taken), `chosen_C` what it chose.
    """
    found = []
    for task in titled(cells).values():
        for title, cell in task.items():
            where: dict[str, Any] = {"data": cell.data, "task": cell.task, "predictor": cell.predictor}
            where["system"] = system_of(cell, cells)
            pairs = versus(task, title)
            for i, point in enumerate(points_of(cell)):
                here = where | {"fraction": point.fraction}
                found += rows_of(point.mean.intervals(), **here)
                found += rows_of({f"sd_{SCORE}": point.spread, "patients": point.patients}, **here)
                for other, by_share in pairs.items():
                    found += rows_of(by_share[i], reference=system_of(task[other], cells), **here)
            for draw in cell.draws:
                curve = dict(zip(cell.settings, draw.curve, strict=True))
                of_draw = draw.test | {f"chosen_{cell.setting}": draw.chosen}
                of_draw |= {f"validation_{SCORE}[{cell.setting}={s:g}]": score for s, score in curve.items()}
                found += rows_of(of_draw, draw=draw.seed, fraction=draw.fraction, **where)
    return found


def about(cells: Sequence[Cell]) -> dict[str, Any]:
    """What else is to be known: of each task its sides, and of each system whose it is and its draws."""
    tasks = {}
    for name, task in titled(cells).items():
        first = next(iter(task.values()))
        systems = {
            title: {
                "system": cell.system,
                "predictor": cell.predictor,
                "checkpoints": cell.checkpoints,
                "setting": cell.seen,
                "draws": [asdict(draw) for draw in cell.draws],
            }
            for title, cell in task.items()
        }
        tasks[name] = {"sides": first.sides, "too_few": first.too_few, "systems": systems}
    return {"tasks": tasks}


def figures(cells: Sequence[Cell], scored: str = "test") -> dict[str, Figure]:
    """By file name: scores against labelled patients, and what chose the settings of each predictor."""
    drawn = {"label_efficiency.png": label_efficiency_figure(titled(cells), scored)}
    predictors = list(dict.fromkeys(cell.predictor for cell in cells))
    for name in predictors:
        file = "validation.png" if len(predictors) == 1 else f"validation_{name}.png"
        drawn[file] = validation_figure(titled([cell for cell in cells if cell.predictor == name]))
    return drawn


def curves(cells: Sequence[Cell]) -> Iterator[dict[str, float]]:
    """Points of both kinds of curves: scores against the share of the labels, and what chose against the settings."""
    for task, found in titled(cells).items():
        for title, cell in found.items():
            for point in points_of(cell):
                yield {"label_fraction": point.fraction, f"test_{SCORE}/{task}/{title}": point.mean.values[SCORE]}
                of_draws = np.array([draw.curve for draw in cell.draws if draw.fraction == point.fraction])
                for setting, score in zip(cell.settings, of_draws.mean(axis=0).tolist(), strict=True):
                    yield {cell.setting: setting, f"validation_{SCORE}/{task}/{title}/{point.share}": score}
