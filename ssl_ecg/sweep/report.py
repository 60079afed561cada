"""What `python -m ssl_ecg.sweep` shows and leaves behind: tables, CSV, JSON, two figures, and a W&B run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ssl_ecg.metrics.bootstrap import Interval
from ssl_ecg.report.style import save
from ssl_ecg.report.tables import print_table, write_csv, write_json
from ssl_ecg.study.systems import PRETRAINED
from ssl_ecg.sweep.cells import Cell
from ssl_ecg.sweep.figures import label_efficiency_figure, validation_figure
from ssl_ecg.sweep.points import SCORE, points_of, share_of, titled, versus


def write_report(
    folder: Path, cells: Sequence[Cell], *, simulated: bool, config: Mapping[str, Any] | None
) -> dict[str, Path]:
    """Print the results and write them down.

    Args:
        folder: of the files; what has their names there is replaced.
        cells: one for each system and task.
        simulated: whether no heart was involved in any of the data.
        config: all settings of the command.

    Returns:
        The figures, by name.
    """
    kind = "simulated ECG (no heart was involved)" if simulated else "real ECG"
    tasks = titled(cells)
    for name, task in tasks.items():
        _print_task(name, task, kind)
    write_json(
        {"simulated": simulated, "config": config, "tasks": {name: _document(task) for name, task in tasks.items()}},
        folder / "results.json",
    )
    write_csv(rows(cells), folder / "results.csv")
    figures = {"label_efficiency": label_efficiency_figure(tasks), "validation": validation_figure(tasks)}
    paths = {name: folder / f"{name}.png" for name in figures}
    for name, figure in figures.items():
        save(figure, paths[name])
    print(f"Written to {folder}: results.json, results.csv, {', '.join(path.name for path in paths.values())}")
    return paths


def rows(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """A line for each task, system, draw and C: its validation score, and for the chosen C the test scores."""
    return [
        {
            "task": task,
            "system": title,
            "fraction": draw.fraction,
            "seed": draw.seed,
            "patients": draw.patients,
            "windows": draw.samples,
            "C": c,
            "validation_macro_auroc": score,
            "chosen": c == draw.c,
            "chosen_by": draw.how,
            **({f"test_{name}": value for name, value in draw.test.items()} if c == draw.c else {}),
        }
        for task, found in titled(cells).items()
        for title, cell in found.items()
        for draw in cell.draws
        for c, score in zip(cell.cs, draw.curve, strict=True)
    ]


def _print_task(name: str, task: Mapping[str, Cell], kind: str) -> None:
    shown: dict[str, dict[str, Interval | float]] = {}
    for title, cell in task.items():
        shown[title] = {}
        for point in points_of(cell):
            heading = f"{point.share} ({point.patients:.0f} patients)"
            shown[title][heading] = point.mean.intervals()[SCORE]
            if point.fraction < 1:
                shown[title][f"spread, {point.share}"] = point.spread
    print_table(shown, title=f"{name}: macro AUROC of linear probes by share of the labels, test patients, {kind}")
    first = next(iter(task.values()))
    people = first.sides["test"]["patients"]
    print(
        f"Mean over draws of the labels with its 95 % interval by bootstrap over {people} test patients; spread: "
        "standard deviation over the draws."
    )
    for title, cell in task.items():
        if cell.system == PRETRAINED:
            print(f"{title}: {cell.setting}.")
            for other, by_share in versus(task, title).items():
                found = "; ".join(f"{share}: {d}" for share, d in by_share.items())
                print(f"{title} - {other}: {found}")
    if first.too_few:
        print(f"Not scored, because too few test patients have or lack them: {', '.join(first.too_few)}.")
    unable = dict.fromkeys(share_of(draw.fraction) for draw in first.draws if draw.how == "default")
    if unable:
        print(f"Too few patients to choose C by, so that it is the default: {', '.join(unable)}.")
    for point in points_of(first):
        lacking = max(len(draw.missing) for draw in first.draws if draw.fraction == point.fraction)
        if lacking:
            print(f"{point.share}: up to {lacking} classes that nobody drawn to learn from has; their AUROC is 0.5.")
    print()


def _document(task: Mapping[str, Cell]) -> dict[str, Any]:
    """What results.json says of a task."""
    first = next(iter(task.values()))
    return {
        "sides": first.sides,
        "too_few": first.too_few,
        "systems": {
            title: {
                "system": cell.system,
                "checkpoints": cell.checkpoints,
                "setting": cell.setting,
                "C": cell.cs,
                "fractions": [
                    {
                        "fraction": point.fraction,
                        "patients": point.patients,
                        "windows": point.samples,
                        "test": point.mean.intervals(),
                        "test_spread_over_seeds": point.spread,
                        "versus": {other: by[point.share] for other, by in versus(task, title).items()},
                    }
                    for point in points_of(cell)
                ],
                "draws": [asdict(draw) for draw in cell.draws],
            }
            for title, cell in task.items()
        },
    }


def log_to_wandb(run: Any, cells: Sequence[Cell], figures: Mapping[str, Path]) -> None:  # noqa: ANN401
    """Log a sweep: every row as a table, both kinds of curves, and the figures; then end the W&B run.

    Args:
        run: a W&B run.
        cells: one for each system and task.
        figures: files by name.
    """
    import wandb

    lines = rows(cells)
    columns: list[str | int] = list(dict.fromkeys(name for line in lines for name in line))
    table = wandb.Table(columns=columns, data=[[line.get(str(name)) for name in columns] for line in lines])
    run.define_metric("label_fraction")
    run.define_metric("C")
    for task, found in titled(cells).items():
        for title, cell in found.items():
            test, validation = f"test_{SCORE}/{task}/{title}", f"validation_{SCORE}/{task}/{title}"
            run.define_metric(test, step_metric="label_fraction")
            for point in points_of(cell):
                run.log({"label_fraction": point.fraction, test: point.mean.values[SCORE]})
                curves = np.array([draw.curve for draw in cell.draws if draw.fraction == point.fraction])
                name = f"{validation}/{point.share}"
                run.define_metric(name, step_metric="C")
                for c, score in zip(cell.cs, curves.mean(axis=0).tolist(), strict=True):
                    run.log({"C": c, name: score})
    run.log({"sweep": table, **{name: wandb.Image(str(path)) for name, path in figures.items()}})
    run.finish()
