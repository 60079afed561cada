"""The mean of several seeds of pretraining by one recipe, as a system of its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from ssl_ecg.study.systems import PRETRAINED
from ssl_ecg.sweep.cells import Cell


def means_over_seeds(cells: Sequence[Cell]) -> list[Cell]:
    """Average checkpoints that are named alike but for a number at the end, such as `simclr-0`, `simclr-1`.

    A mean is a cell of the draws of all of its checkpoints, numbered on, so that intervals and differences are those of
    the mean, taken inside each resample, and the spread is over seeds and draws.
    """
    groups: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in cells:
        if cell.system == PRETRAINED and (numbered := re.fullmatch(r"(.*?)[-_ ]?\d+", cell.checkpoints[0])):
            groups.setdefault((cell.task, cell.predictor, numbered[1]), []).append(cell)
    return [_mean(stem, group) for (_, _, stem), group in groups.items() if len(group) > 1]


def _mean(stem: str, cells: Sequence[Cell]) -> Cell:
    each = max(draw.seed for cell in cells for draw in cell.draws) + 1
    return replace(
        cells[0],
        checkpoints=(f"{stem}, mean of {len(cells)}", *(name for cell in cells for name in cell.checkpoints)),
        draws=tuple(replace(draw, seed=i * each + draw.seed) for i, cell in enumerate(cells) for draw in cell.draws),
        resampled=tuple(run for cell in cells for run in cell.resampled),
    )
