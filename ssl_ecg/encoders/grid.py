"""Where an encoder's tokens lie in the signal and how far they see, measured rather than declared."""

from __future__ import annotations

import copy
import math
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Grid(NamedTuple):
    """The tokens of one stage: token j stands at sample `j * stride`.

    It sees `left` samples before that and `right` after it; infinite if all.
    """

    stride: int
    left: float
    right: float

    @property
    def centre(self) -> float:
        """What to add to `j * stride` for the sample a token is about.

        The middle of what it sees; without end, the last sample it sees, or else the middle of its stride.
        """
        if math.isfinite(self.left + self.right):
            return (self.right - self.left) / 2
        return self.right if math.isfinite(self.right) else (self.stride - 1) / 2


@torch.no_grad()
def measure_strides(encoder: Any, details: bool = False) -> list[int]:  # noqa: ANN401  (an `Encoder`, built on this)
    """Measure the samples from a token to the next, for every stage of an encoder or its details."""
    more, maps = 4096, encoder.details if details else encoder.features
    short, long = (list(maps(torch.zeros(1, encoder.inputs, n))) for n in (512, 512 + more))
    return [max(1, round(more / max(1, b.shape[-1] - a.shape[-1]))) for a, b in zip(short, long, strict=True)]


@torch.no_grad()
def measure_grids(encoder: Any, details: bool = False) -> tuple[Grid, ...]:  # noqa: ANN401
    """Measure stride and receptive field of every stage of an encoder's `features`, or of its `details`.

    A sample that is not a number makes every token that sees it one that is not a number, whatever the weights.
    """
    probe: Any = copy.deepcopy(encoder).cpu().float().eval()
    strides = measure_strides(probe, details)
    maps = probe.details if details else probe.features
    step = max(strides)

    def reached(length: int, samples: Tensor) -> list[Tensor]:
        x = torch.zeros(len(samples), probe.inputs, length)
        x[torch.arange(len(samples)), :, samples] = math.nan
        return [each.isnan().any(1) for each in maps(x)]

    for tokens in (64, 256, 1024):
        length = tokens * step
        middle = length // 2 // step * step
        first_and_last = torch.tensor([middle, middle + step - 1])
        if not any(bool(each[:, [0, -1]].any()) for each in reached(length, first_and_last)):
            break
    samples = middle + torch.arange(step)
    grids = []
    for stride, each in zip(strides, reached(length, samples), strict=True):
        row, token = each.nonzero(as_tuple=True)
        ahead = samples[row] - token * stride
        grids.append(
            Grid(
                stride,
                math.inf if each[:, -1].any() else float(-ahead.min()),
                math.inf if each[:, 0].any() else float(ahead.max()),
            )
        )
    return tuple(grids)
