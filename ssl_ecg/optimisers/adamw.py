"""AdamW: the default for batches up to a thousand or so."""

from __future__ import annotations

from typing import Any

import torch

from ssl_ecg.optimisers.base import Optimiser


class AdamW(Optimiser):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019, https://arxiv.org/abs/1711.05101).

    Args:
        lr: peak learning rate.
        weight_decay: of convolutions' and linear layers' weights.
        warmup: share of all steps in which the rate rises, 0 to 1.
    """

    def __init__(self, lr: float = 1e-3, weight_decay: float = 0.01, warmup: float = 0.05) -> None:
        super().__init__(lr, weight_decay, warmup)

    def build(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """AdamW over parameter groups; on a GPU torch updates many parameters at once.

        Not in its fused kernel, with which Lightning clips no gradients in mixed precision.
        """
        return torch.optim.AdamW(groups, lr=self.lr)
