"""Rows of all processes side by side, so that a loss sees the global batch."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


def gather(x: Tensor) -> Tensor:
    """Put the rows of all W processes in a row: (B, ...) -> (W B, ...).

    Gradients go back to the process whose rows they are, summed over all. So data-parallel training, which averages
    over processes, has the gradient of one process with the global batch: where each computes the same loss of all
    rows, and where each computes the mean over its own.
    """
    if not _several():
        return x
    from lightly.utils.dist import gather as of_all

    return torch.cat(of_all(x))


def own_rows(x: Tensor) -> Tensor:
    """Where this process's rows (B, ...) lie among those of all: shape (B,), int64."""
    return torch.arange(len(x), device=x.device) + (dist.get_rank() * len(x) if _several() else 0)


def _several() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
