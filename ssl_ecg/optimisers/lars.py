"""LARS: for large batches."""

from __future__ import annotations

from typing import Any

import torch

from ssl_ecg.optimisers.base import Optimiser


class LARS(Optimiser):
    """SGD with a learning rate of its own for every layer (You et al. 2017, https://arxiv.org/abs/1708.03888).

    Args:
        lr: peak learning rate; SimCLR's rule is 0.3 * batch_size / 256.
        weight_decay: of convolutions' and linear layers' weights; must be positive, because lightly's
            implementation scales no layer that does not decay (which is what biases and norms want).
        warmup: share of all steps in which the rate rises, 0 to 1.
        momentum: of SGD.
    """

    def __init__(self, lr: float = 0.3, weight_decay: float = 1e-6, warmup: float = 0.1, momentum: float = 0.9) -> None:
        super().__init__(lr, weight_decay, warmup)
        if not weight_decay > 0:
            raise ValueError("LARS needs a positive weight_decay: without one no layer gets its own learning rate")
        self.momentum = momentum

    def build(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """LARS over parameter groups."""
        from lightly.utils.lars import LARS as LightlyLARS

        optimiser: torch.optim.Optimizer = LightlyLARS(groups, lr=self.lr, momentum=self.momentum)
        return optimiser
