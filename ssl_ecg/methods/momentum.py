"""A copy of networks that follows them slowly: BYOL's target, DINO's teacher, MoCo's key encoder."""

from __future__ import annotations

import copy

from torch import nn


class Momentum(nn.Sequential):
    """Copy networks, one after the other, and follow them (He et al. 2020, https://arxiv.org/abs/1911.05722).

    Its weights are moving averages of theirs; no gradient reaches them. BatchNorm's running statistics are not
    averaged: they are the copy's own, from its forward passes in training mode.

    Args:
        online: the networks that are followed.
        momentum: share of itself that the copy keeps at a step, at the start; it rises to 1 along a cosine.

    Raises:
        ValueError: if momentum is not between 0 and 1.
    """

    def __init__(self, *online: nn.Module, momentum: float) -> None:
        if not 0 <= momentum <= 1:
            raise ValueError(f"momentum must lie between 0 and 1, not {momentum}")
        super().__init__(*copy.deepcopy(online))
        self.requires_grad_(False)
        self.momentum = momentum

    def follow(self, *online: nn.Module, step: int, steps: int) -> None:
        """Move towards the networks, before a step of the `steps` of a run."""
        from lightly.models.utils import update_momentum
        from lightly.utils.scheduler import cosine_schedule

        m = cosine_schedule(step, steps, self.momentum, 1.0)
        for network, copied in zip(online, self, strict=True):
            update_momentum(network, copied, m)
