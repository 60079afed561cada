"""A small network of separable convolutions, for wearables and 8-bit arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from torch import Tensor, nn

from ssl_ecg.encoders.base import Encoder
from ssl_ecg.encoders.layers import ConvNorm, as_image, as_signal, at_least_one, end_of_branch, odd, shares


class MobileNet1d(Encoder):
    """Inverted residuals: widen each time by itself, convolve each channel by itself, narrow again.

    MobileNetV2 of Sandler et al. 2018 (https://arxiv.org/abs/1801.04381) in one dimension. Exported, it is
    convolutions, ReLU6, additions, a mean and a maximum: no sigmoid, swish or squeeze-and-excitation, which 8-bit
    runtimes lack or compute poorly. Deviations: longer kernels, which cost next to nothing where each channel has its
    own; widths that grow evenly, not doubling; expansion by 3 rather than 6.

    Sizes (one lead): width 16, the default, has less than 100 k parameters; width 32 less than 400 k.

    Args:
        in_channels: number of leads; set from the preprocessing by the commands.
        width: channels between the blocks of the first stage; stage i has i times as many.
        depth: inverted residuals per stage.
        stages: number of stages; each halves the time axis, after the stem has halved it once.
        kernel: length of the depthwise convolutions in samples; odd.
        expansion: how many times wider a block is within.
        dropout: share of values dropped at the end of each block's body in training.
        stochastic_depth: share of the samples for which the last block's body is dropped in training; earlier blocks
            less, in proportion to their place.
        **embedding: pooling, statistics, stretch, leads and amplitudes, as for `Encoder`.
    """

    def __init__(
        self,
        in_channels: int = 1,
        width: int = 16,
        depth: int = 2,
        stages: int = 4,
        kernel: int = 9,
        expansion: int = 3,
        dropout: float = 0.0,
        stochastic_depth: float = 0.0,
        **embedding: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(in_channels, **embedding)
        at_least_one("MobileNet1d", width=width, depth=depth, stages=stages, expansion=expansion)
        odd("MobileNet1d", kernel)
        shares("MobileNet1d", dropout=dropout, stochastic_depth=stochastic_depth)
        self.depth = depth
        self.stem = nn.Sequential(ConvNorm(self.inputs, width, kernel, 2), nn.ReLU6(inplace=True))
        blocks: list[nn.Module] = []
        channels = width
        for place in range(stages * depth):
            stage, first = place // depth, place % depth == 0
            drop = end_of_branch(dropout, stochastic_depth * (place + 1) / (stages * depth))
            outputs = width * (stage + 1)
            blocks.append(_Block(channels, outputs, expansion, kernel, 2 if first else 1, drop))
            channels = outputs
        self.blocks = nn.Sequential(*blocks)
        self.last = nn.Sequential(ConvNorm(channels, 2 * channels), nn.ReLU6(inplace=True))

    def features(self, x: Tensor) -> Iterator[Tensor]:
        """The output of each stage, the last one widened twice: (B, `inputs`, T) -> (B, F_i, ceil(T / (4 2^i)))."""
        x = self.stem(as_image(x))
        for done, block in enumerate(self.blocks, start=1):
            x = block(x)
            if done == len(self.blocks):
                x = self.last(x)
            if done % self.depth == 0:
                yield as_signal(x)

    def layers(self) -> list[nn.Module]:
        """The stem, every inverted residual, and the last convolution."""
        return [self.stem, *self.blocks, self.last, *self._learned_pooling()]


class _Block(nn.Module):
    """An inverted residual: (B, C, 1, T) -> (B, C', 1, ceil(T / stride)); added to its input where shapes agree."""

    def __init__(
        self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int, end_of_body: nn.Module
    ) -> None:
        super().__init__()
        within = inputs * expansion
        self.added = stride == 1 and inputs == outputs
        self.body = nn.Sequential(
            *(ConvNorm(inputs, within), nn.ReLU6(inplace=True)),
            *(ConvNorm(within, within, kernel, stride, groups=within), nn.ReLU6(inplace=True)),
            ConvNorm(within, outputs),
            end_of_body if self.added else nn.Identity(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return cast("Tensor", x + self.body(x) if self.added else self.body(x))
