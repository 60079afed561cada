"""Pooling: a feature map of any length becomes one vector a sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

Statistic = Literal["mean", "max", "std", "attentive"]


class Pool(nn.Module):
    """Pool a feature map over time: (B, F, T) -> (B, F S) for S statistics, side by side.

    Args:
        features: F.
        statistics: any of "mean", "max", "std" and "attentive"; the last is a mean weighted by the softmax of each
            token's product with a learned query, which starts as the plain mean.
        stretch: length of the half-overlapping stretches whose maxima are averaged, in tokens; 0 for one maximum.

    Raises:
        ValueError: for an unknown statistic, one twice, or none.
    """

    def __init__(self, features: int, statistics: Sequence[Statistic] = ("mean", "max"), stretch: int = 0) -> None:
        super().__init__()
        if not statistics or len(set(statistics)) < len(statistics) or set(statistics) - set(get_args(Statistic)):
            raise ValueError(f"statistics must be some of {', '.join(get_args(Statistic))}, not {list(statistics)}")
        self.statistics, self.stretch = tuple(statistics), stretch
        if "attentive" in statistics:
            self.query = nn.Parameter(torch.zeros(features))

    def forward(self, x: Tensor) -> Tensor:
        """Pool (B, F, T)."""
        return torch.cat([self._pooled(x, statistic) for statistic in self.statistics], dim=1)

    def _pooled(self, x: Tensor, statistic: Statistic) -> Tensor:
        if statistic == "mean":
            return x.mean(-1)
        if statistic == "std":
            return (x.var(-1, correction=0) + 1e-8).sqrt()  # the root of 0 has no gradient
        if statistic == "attentive":
            weight = (torch.einsum("bft,f->bt", x, self.query) / len(self.query) ** 0.5).softmax(dim=1)
            return torch.einsum("bft,bt->bf", x, weight)
        if not 0 < self.stretch < x.shape[-1]:
            return x.amax(-1)
        return nn.functional.max_pool1d(x, self.stretch, max(1, self.stretch // 2)).mean(-1)
