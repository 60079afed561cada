"""Convolutions over what a linear layer makes of each sample: the second choice of a head."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ssl_ecg.waves.phases import PHASES

MORE, _WIDTH, _KERNEL = 18, 32, 9


class Refine(nn.Module):
    """Two convolutions along time, added to the scores of the phases: (..., n, 6 + `MORE`) -> (..., n, 6).

    They read those scores and `MORE` other outputs of the same linear layer, 80 ms to either side of a sample at
    100 Hz. As it is made, it changes nothing.
    """

    reach = _KERNEL - 1
    """Samples to either side that an output depends on."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(len(PHASES) + MORE, _WIDTH, _KERNEL, padding=_KERNEL // 2)
        self.second = nn.Conv1d(_WIDTH, len(PHASES), _KERNEL, padding=_KERNEL // 2)
        nn.init.zeros_(self.second.weight)
        assert self.second.bias is not None
        nn.init.zeros_(self.second.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Refine."""
        rows = x.reshape(-1, *x.shape[-2:]).transpose(1, 2)
        more = self.second(torch.nn.functional.gelu(self.first(rows))).transpose(1, 2)
        found: Tensor = x[..., : len(PHASES)] + more.reshape(*x.shape[:-1], len(PHASES))
        return found
