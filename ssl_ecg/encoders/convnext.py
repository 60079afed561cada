"""A convolutional network built like a transformer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from ssl_ecg.encoders.base import Encoder
from ssl_ecg.encoders.layers import (
    Conv,
    LayerNorm,
    as_image,
    as_signal,
    at_least_one,
    end_of_branch,
    odd,
    shares,
)


class ConvNeXt1d(Encoder):
    """Depthwise convolutions between layers that treat each time by itself.

    Liu et al. 2022 (https://arxiv.org/abs/2201.03545) in one dimension: LayerNorm, GELU, layer scale, stochastic depth.
    Nothing in it depends on the other samples of a batch. Deviations: time is shortened by kernels that overlap (7 in
    the stem, 3 between stages), so that no wave is cut and any length will do; the stem halves time rather than quarter
    it; the last LayerNorm comes before the pooling, since tokens are used too.

    Sizes (one lead): width 24, the default, has about 1.2 M parameters, width 12 about 0.30 M.

    Args:
        in_channels: number of leads; set from the preprocessing by the commands.
        width: channels of the first stage; each later stage has twice as many.
        depths: blocks of each stage; each stage but the first halves the time axis.
        kernel: length of the depthwise convolutions in samples; odd.
        stem: stride of the first convolution.
        dropout: share of values dropped at the end of each block's body in training.
        stochastic_depth: share of the samples for which the last block's body is dropped in training; earlier blocks
            less, in proportion to their place.
        layer_scale: what each block's body is multiplied by at first; learned for each channel.
        **embedding: pooling, statistics, stretch, leads and amplitudes, as for `Encoder`.
    """

    def __init__(
        self,
        in_channels: int = 1,
        width: int = 24,
        depths: Sequence[int] = (2, 2, 6, 2),
        kernel: int = 7,
        stem: int = 2,
        dropout: float = 0.0,
        stochastic_depth: float = 0.0,
        layer_scale: float = 1e-6,
        **embedding: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(in_channels, **embedding)
        at_least_one("ConvNeXt1d", width=width, stem=stem, depths=min(depths, default=0))
        odd("ConvNeXt1d", kernel)
        shares("ConvNeXt1d", dropout=dropout, stochastic_depth=stochastic_depth)
        self.parts = nn.ModuleList()
        done = 0
        for stage, depth in enumerate(depths):
            channels = width * 2**stage
            down: list[nn.Module] = [Conv(self.inputs, width, 7, stem, bias=True), LayerNorm(width)]
            if stage:
                down = [LayerNorm(channels // 2), Conv(channels // 2, channels, 3, 2, bias=True)]
            blocks = []
            for _ in range(depth):
                done += 1
                drop = end_of_branch(dropout, stochastic_depth * done / sum(depths))
                blocks.append(_Block(channels, kernel, layer_scale, drop))
            self.parts.append(nn.Sequential(nn.Sequential(*down), *blocks))
        self.norm = LayerNorm(channels)
        for module in self.modules():
            if isinstance(module, nn.Conv1d):
                nn.init.trunc_normal_(module.weight, std=0.02)
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def features(self, x: Tensor) -> Iterator[Tensor]:
        """The output of each stage: (B, `inputs`, T) -> (B, width 2^i, ceil(T / (stem 2^i)))."""
        x = as_image(x)
        for place, part in enumerate(self.parts, start=1):
            x = part(x)
            yield as_signal(self.norm(x) if place == len(self.parts) else x)

    def layers(self) -> list[nn.Module]:
        """Every block, and what shortens time before each stage."""
        return [*(layer for part in self.parts for layer in part.children()), self.norm, *self._learned_pooling()]


class _Block(nn.Module):
    """A depthwise convolution, then two layers for each time by itself: (B, C, 1, T) -> the same shape."""

    def __init__(self, channels: int, kernel: int, scale: float, end_of_body: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(
            Conv(channels, channels, kernel, groups=channels, bias=True),
            LayerNorm(channels),
            Conv(channels, 4 * channels, bias=True),
            nn.GELU(),
            Conv(4 * channels, channels, bias=True),
        )
        self.scale = nn.Parameter(torch.full((channels, 1, 1), scale))
        self.drop = end_of_body

    def forward(self, x: Tensor) -> Tensor:
        return cast("Tensor", x + self.drop(self.body(x) * self.scale))
