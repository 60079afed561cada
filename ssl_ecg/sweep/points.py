"""A sweep's cells as tables and curves want them: one point for each share of the labels, and pairs of systems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ssl_ecg.metrics.bootstrap import Difference, Resampled, difference, seed_mean
from ssl_ecg.study.systems import PRETRAINED
from ssl_ecg.sweep.cells import Cell

SCORE = "macro_auroc"
Tasks = Mapping[str, Mapping[str, Cell]]
"""Cells by title, by task."""


@dataclass(frozen=True)
class Point:
    """One cell with one share of the labels: what its draws have in the mean, and their values of macro AUROC.

    `mean` is taken inside every resample too; `spread` is the standard deviation over draws, NaN for a single one.
    """

    fraction: float
    patients: float
    samples: float
    mean: Resampled
    values: tuple[float, ...]
    spread: float

    @property
    def share(self) -> str:
        """Such as `10 %`."""
        return share_of(self.fraction)


def share_of(fraction: float) -> str:
    """A fraction as tables name it, such as `10 %`."""
    return f"{100 * fraction:g} %"


def points_of(cell: Cell) -> list[Point]:
    """A cell's draws gathered by share of the labels, ascending."""
    found = []
    for fraction in dict.fromkeys(draw.fraction for draw in cell.draws):
        mine = [i for i, draw in enumerate(cell.draws) if draw.fraction == fraction]
        values = tuple(cell.draws[i].test[SCORE] for i in mine)
        found.append(
            Point(
                fraction,
                float(np.mean([cell.draws[i].patients for i in mine])),
                float(np.mean([cell.draws[i].samples for i in mine])),
                seed_mean([cell.resampled[i] for i in mine]),
                values,
                float(np.std(values, ddof=1)) if len(values) > 1 else float("nan"),
            )
        )
    return found


def titled(cells: Sequence[Cell]) -> dict[str, dict[str, Cell]]:
    """The cells of each task by what tables call them: checkpoint or baseline, and the predictor where there are more.

    A baseline that differs between checkpoints (another architecture, another preprocessing) has theirs beside it.
    """
    several = len({cell.predictor for cell in cells}) > 1
    tasks: dict[str, dict[str, Cell]] = {}
    for cell in cells:
        title = f"{system_of(cell, cells)}, {cell.predictor}" if several else system_of(cell, cells)
        tasks.setdefault(cell.task, {})[title] = cell
    return tasks


def system_of(cell: Cell, cells: Sequence[Cell]) -> str:
    """What a cell's system is called among others: a checkpoint's name, or a baseline's."""
    if cell.system == PRETRAINED:
        return cell.checkpoints[0]
    mine = (cell.task, cell.system, cell.predictor)
    alike = sum((c.task, c.system, c.predictor) == mine for c in cells)
    return f"{cell.system} ({', '.join(cell.checkpoints)})" if alike > 1 else cell.system


def versus(task: Mapping[str, Cell], title: str) -> dict[str, list[dict[str, Difference]]]:
    """A checkpoint minus each of its baselines, read by the same predictor, for each share of the labels.

    By the baseline's title: differences of all scores, paired over patients and draws.
    """
    mine = task[title]
    return {
        name: [difference(a.mean, b.mean) for a, b in zip(points_of(mine), points_of(other), strict=True)]
        for name, other in task.items()
        if mine.system == PRETRAINED != other.system
        and mine.predictor == other.predictor
        and set(mine.checkpoints) & set(other.checkpoints)
    }
