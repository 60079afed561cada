"""The residual network that PTB-XL's benchmark found strongest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from ssl_ecg.encoders.base import Encoder
from ssl_ecg.encoders.layers import ConvNorm, as_image, as_signal, at_least_one, end_of_branch, odd, shares

_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}


class XResNet1d(Encoder):
    """Residual network with a deep stem and pooled short cuts, as in PTB-XL's benchmark.

    `xresnet1d101` of Strodthoff et al. 2021 (https://arxiv.org/abs/2004.13701), which is the ResNet of He et al. 2018
    (https://arxiv.org/abs/1812.01187) in one dimension with kernels of 5 and all stages equally wide. Deviations: the
    head is the embedding, mean and max side by side, without its two linear layers; no dropout but where asked for.

    Sizes (one lead): depth 18 has about 0.35 M parameters, 34 about 0.68 M, 50 about 0.88 M, 101 about 1.8 M; a
    quarter of that at half the width.

    Args:
        in_channels: number of leads; set from the preprocessing by the commands.
        depth: the published name of the network: 18 and 34 have blocks of two convolutions, 50 and 101 of three, with
            four times as many channels between the blocks as within.
        width: channels within the blocks.
        stages: number of stages, 1 to 4. A token is 2^(stages + 1) samples.
        kernel: length of the convolutions along time, in samples; odd.
        dropout: share of values dropped at the end of each block's body in training.
        stochastic_depth: share of the samples for which the last block's body is dropped in training; earlier blocks
            less, in proportion to their place.
        **embedding: pooling, statistics, stretch, leads and amplitudes, as for `Encoder`.
    """

    def __init__(
        self,
        in_channels: int = 1,
        depth: Literal[18, 34, 50, 101] = 101,
        width: int = 64,
        stages: int = 4,
        kernel: int = 5,
        dropout: float = 0.0,
        stochastic_depth: float = 0.0,
        **embedding: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(in_channels, **embedding)
        at_least_one("XResNet1d", width=width, stages=stages)
        odd("XResNet1d", kernel)
        shares("XResNet1d", dropout=dropout, stochastic_depth=stochastic_depth)
        if depth not in _BLOCKS:
            raise ValueError(f"XResNet1d: depth must be one of {', '.join(map(str, _BLOCKS))}, not {depth}")
        if stages > 4:
            raise ValueError(f"XResNet1d: stages must be at most 4, not {stages}")
        narrow = max(1, width // 2)
        self.stem = nn.Sequential(
            *(ConvNorm(self.inputs, narrow, kernel, 2), nn.ReLU(inplace=True)),
            *(ConvNorm(narrow, narrow, kernel), nn.ReLU(inplace=True)),
            *(ConvNorm(narrow, width, kernel), nn.ReLU(inplace=True)),
            nn.MaxPool2d((1, 3), (1, 2), (0, 1)),
        )
        blocks = _BLOCKS[depth][:stages]
        self.ends = torch.tensor(blocks).cumsum(0).tolist()
        expansion = 4 if depth >= 50 else 1
        made: list[nn.Module] = []
        for place in range(sum(blocks)):
            stride = 2 if place in self.ends else 1
            drop = end_of_branch(dropout, stochastic_depth * (place + 1) / sum(blocks))
            made.append(_Block(width * expansion if place else width, width, expansion, kernel, stride, drop))
        self.blocks = nn.Sequential(*made)
        for conv in (module for module in self.modules() if isinstance(module, nn.Conv1d)):
            nn.init.kaiming_normal_(conv.weight)

    def features(self, x: Tensor) -> Iterator[Tensor]:
        """The output of each stage: (B, `inputs`, T) -> (B, F, ceil(T / (4 2^i)))."""
        x = self.stem(as_image(x))
        for done, block in enumerate(self.blocks, start=1):
            x = block(x)
            if done in self.ends:
                yield as_signal(x)

    def layers(self) -> list[nn.Module]:
        """The stem, then every residual block."""
        return [self.stem, *self.blocks, *self._learned_pooling()]


class _Block(nn.Module):
    """Convolutions and a short cut: (B, C, 1, T) -> (B, width expansion, 1, ceil(T / stride))."""

    def __init__(
        self, inputs: int, width: int, expansion: int, kernel: int, stride: int, end_of_body: nn.Module
    ) -> None:
        super().__init__()
        outputs = width * expansion
        body = [ConvNorm(inputs, width, kernel, stride), nn.ReLU(inplace=True), ConvNorm(width, width, kernel, gain=0)]
        if expansion > 1:
            body = [
                *(ConvNorm(inputs, width), nn.ReLU(inplace=True)),
                *(ConvNorm(width, width, kernel, stride), nn.ReLU(inplace=True)),
                ConvNorm(width, outputs, gain=0),  # a block starts as its short cut
            ]
        self.body = nn.Sequential(*body, end_of_body)
        shortcut: list[nn.Module] = [nn.AvgPool2d((1, stride), ceil_mode=True)] if stride > 1 else []
        self.shortcut = nn.Sequential(*shortcut, *([ConvNorm(inputs, outputs)] if inputs != outputs else []))

    def forward(self, x: Tensor) -> Tensor:
        return cast("Tensor", (self.body(x) + self.shortcut(x)).relu_())
