"""What every optimiser shares: which parameters decay, and a warm-up and cosine by steps."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn


class Optimiser(ABC):
    """An optimiser, its parameter groups and its schedule.

    The learning rate rises linearly over the warm-up and falls to zero along a cosine (Loshchilov and Hutter
    2017, https://arxiv.org/abs/1608.03983), as a function of the step alone, so a resumed run takes up the
    same curve. Biases and normalisation weights do not decay.

    Args:
        lr: peak learning rate.
        weight_decay: of convolutions' and linear layers' weights.
        warmup: share of all steps in which the rate rises, 0 to 1.
    """

    def __init__(self, lr: float, weight_decay: float, warmup: float) -> None:
        if not lr > 0:
            raise ValueError(f"lr must be positive, not {lr}")
        if weight_decay < 0:
            raise ValueError(f"weight_decay must not be negative, not {weight_decay}")
        if not 0 <= warmup < 1:
            raise ValueError(f"warmup is a share of all steps, 0 to under 1, not {warmup}")
        self.lr, self.weight_decay, self.warmup = lr, weight_decay, warmup

    @abstractmethod
    def build(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """The optimiser over parameter groups."""

    def configure(
        self, module: nn.Module, steps: int, shares: Mapping[nn.Parameter, float] | None = None
    ) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LambdaLR]:
        """Optimiser and per-step schedule for a module's trainable parameters, over `steps` in the whole run.

        `shares` are those of the learning rate, for parameters that do not have all of it.
        """
        optimiser = self.build(self.groups(module, shares))
        return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: self.factor(step, steps))

    def groups(self, module: nn.Module, shares: Mapping[nn.Parameter, float] | None = None) -> list[dict[str, Any]]:
        """Two parameter groups for each share: what decays (matrices, kernels), and what does not (biases, norms).

        Shares of the learning rate are sorted, the largest first.
        """
        of = {p: (shares or {}).get(p, 1.0) for p in module.parameters() if p.requires_grad}
        found: list[dict[str, Any]] = []
        for share in sorted(set(of.values()), reverse=True):
            mine = [p for p in of if of[p] == share]
            rate = {"lr": share * self.lr}
            found.append({"params": [p for p in mine if p.ndim > 1], "weight_decay": self.weight_decay, **rate})
            found.append({"params": [p for p in mine if p.ndim <= 1], "weight_decay": 0.0, **rate})
        return found

    def factor(self, step: int, steps: int) -> float:
        """Share of the peak learning rate at a step, counted from 0."""
        warm = round(self.warmup * steps)
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm) / max(1, steps - warm))))
