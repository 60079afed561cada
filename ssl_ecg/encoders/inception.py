"""A network that looks at several time scales at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor, nn

from ssl_ecg.encoders.base import Encoder
from ssl_ecg.encoders.layers import (
    Conv,
    ConvNorm,
    as_image,
    as_scale_and_bias,
    as_signal,
    at_least_one,
    end_of_branch,
    shares,
)


class InceptionTime(Encoder):
    """Inception modules of a long, a middle and a short kernel, with a short cut over every three.

    Fawaz et al. 2020 (https://arxiv.org/abs/1909.04939), with the kernels of 39, 19 and 9 samples that PTB-XL's
    benchmark (https://arxiv.org/abs/2004.13701) took at 100 Hz. One network rather than an ensemble of five.
    Deviations: mean and max pooled side by side; `shrink`.

    Sizes (one lead): width 32 has about 0.40 M parameters, width 28 about 0.31 M, width 16 about 0.10 M.

    Args:
        in_channels: number of leads; set from the preprocessing by the commands.
        width: filters of each of the four branches of a module, and channels its kernels see.
        modules: number of modules, a multiple of three: each three are a stage.
        kernel: length of the longest kernel in samples; the others have a half and a quarter of that. Even ones are one
            sample shorter.
        shrink: samples averaged into one before each stage but the first; 1, as published, keeps a token a sample.
        dropout: share of values dropped at the end of each stage's body in training.
        stochastic_depth: share of the samples for which the last stage's body is dropped in training; earlier stages
            less, in proportion to their place.
        **embedding: pooling, statistics, stretch, leads and amplitudes, as for `Encoder`.
    """

    def __init__(
        self,
        in_channels: int = 1,
        width: int = 32,
        modules: int = 6,
        kernel: int = 40,
        shrink: int = 1,
        dropout: float = 0.0,
        stochastic_depth: float = 0.0,
        **embedding: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(in_channels, **embedding)
        at_least_one("InceptionTime", width=width, modules=modules, shrink=shrink)
        shares("InceptionTime", dropout=dropout, stochastic_depth=stochastic_depth)
        if modules % 3:
            raise ValueError(f"InceptionTime: modules must be a multiple of 3, not {modules}")
        if kernel < 4:
            raise ValueError(f"InceptionTime: kernel must be at least 4, not {kernel}")
        kernels = [length - 1 + length % 2 for length in (kernel, kernel // 2, kernel // 4)]
        stages = modules // 3
        self.blocks = nn.ModuleList()
        for place in range(stages):
            drop = end_of_branch(dropout, stochastic_depth * (place + 1) / stages)
            self.blocks.append(_Block(4 * width if place else self.inputs, width, kernels, drop))
        self.shrink = nn.AvgPool2d((1, shrink), ceil_mode=True) if shrink > 1 else nn.Identity()

    def features(self, x: Tensor) -> Iterator[Tensor]:
        """The output of each stage: (B, `inputs`, T) -> (B, 4 width, ceil(T / shrink^i))."""
        x = as_image(x)
        for place, block in enumerate(self.blocks):
            x = block(self.shrink(x) if place else x)
            yield as_signal(x)

    def layers(self) -> list[nn.Module]:
        """Every module, the short cut with the last one of its three."""
        found: list[nn.Module] = []
        for block in self.blocks:
            assert isinstance(block, _Block)
            found += [*block.body[:2], nn.ModuleList([*block.body[2:], block.shortcut])]
        return [*found, *self._learned_pooling()]


class _Block(nn.Module):
    """Three modules and a short cut: (B, C, 1, T) -> (B, 4 width, 1, T)."""

    def __init__(self, inputs: int, width: int, kernels: list[int], end_of_body: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(_Module(4 * width if place else inputs, width, kernels) for place in range(3)), end_of_body
        )
        self.shortcut = ConvNorm(inputs, 4 * width)

    def forward(self, x: Tensor) -> Tensor:
        return cast("Tensor", (self.body(x) + self.shortcut(x)).relu_())


class _Module(nn.Module):
    """Kernels of several lengths on a bottleneck, beside the largest of three samples: (B, 4 width, 1, T)."""

    def __init__(self, inputs: int, width: int, kernels: list[int]) -> None:
        super().__init__()
        self.bottleneck = Conv(inputs, width) if inputs > 1 else nn.Identity()
        self.largest = nn.MaxPool2d((1, 3), 1, (0, 1))
        narrow = width if inputs > 1 else 1
        self.branches = nn.ModuleList([*(Conv(narrow, width, kernel) for kernel in kernels), Conv(inputs, width)])
        self.norm = nn.BatchNorm2d(4 * width)

    def forward(self, x: Tensor) -> Tensor:
        seen = [*[self.bottleneck(x)] * (len(self.branches) - 1), self.largest(x)]
        if self.norm.training:
            maps = [branch(each) for branch, each in zip(self.branches, seen, strict=True)]
            return cast("Tensor", self.norm(torch.cat(maps, dim=1)).relu_())
        scales, biases = (each.chunk(len(seen)) for each in as_scale_and_bias(self.norm))
        maps = [
            cast("Conv", branch).convolve(each, cast("Conv", branch).weight * scale[:, None, None], bias)
            for branch, each, scale, bias in zip(self.branches, seen, scales, biases, strict=True)
        ]
        return torch.cat(maps, dim=1).relu_()
