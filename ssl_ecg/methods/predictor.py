"""Predict hidden tokens from those around them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


class DilatedPredictor(nn.Module):
    """Predict each token from a wide surrounding, by residual convolutions that reach ever farther.

    Maps (B, `features`, T') to (B, `targets`, T'); `hidden` channels between, one convolution of three tokens for each
    of the `dilations`, after van den Oord et al. 2016 (https://arxiv.org/abs/1609.03499), but looking both ways.
    """

    def __init__(self, features: int, targets: int, hidden: int = 192, dilations: Sequence[int] = (1, 2, 4, 8)) -> None:
        super().__init__()
        self.first = nn.Conv1d(features, hidden, 1)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.GroupNorm(1, hidden), nn.GELU(), nn.Conv1d(hidden, hidden, 3, padding=d, dilation=d))
            for d in dilations
        )
        self.last = nn.Sequential(nn.GroupNorm(1, hidden), nn.GELU(), nn.Conv1d(hidden, targets, 1))

    def forward(self, tokens: Tensor) -> Tensor:
        """Predict tokens (B, targets, T') from (B, features, T')."""
        x = self.first(tokens)
        for block in self.blocks:
            x = x + block(x)
        predicted: Tensor = self.last(x)
        return predicted
