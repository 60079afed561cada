"""A residual network in one dimension, from wearable to workstation size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from ssl_ecg.encoders.amplitudes import Amplitudes
from ssl_ecg.encoders.base import Encoder
from ssl_ecg.encoders.pooling import Statistic


class ResNet1d(Encoder):
    """Pre-activation-free residual network with wide kernels along time.

    He et al. 2016 (https://arxiv.org/abs/1512.03385) in one dimension, as Strodthoff et al. 2021
    (https://arxiv.org/abs/2004.13701) found strongest on PTB-XL. Deviations: kernels of 7 rather than 3
    (an ECG wave spans many samples), average-pooled short cuts (ResNet-D), and mean and max pooled
    side by side, since a single odd beat is lost in a mean.

    Sizes (one lead, kernel 7): width 8 and depth 1 has about 60 k parameters, width 32 and depth 1
    about 1 M, width 64 and depth 2 about 9 M.

    Args:
        in_channels: number of leads; set from the preprocessing by the commands.
        width: channels of the first stage; each later stage has twice as many.
        depth: residual blocks per stage.
        stages: number of stages; each but the first halves the time axis.
        kernel: length of every convolution but the stem's, in samples; odd.
        stem: stride of the first convolution: 2 halves the cost, 1 keeps detail of short windows.
        pooling: what an embedding is made of: the "last" stage, D = S * width * 2^(stages - 1) for S statistics, or all
            "stages" side by side, D = S * width * (2^stages - 1): the early ones keep detail that the objective lets
            the last one drop (experiments/results/ptbxl.md).
        stretch: length of the stretches whose maxima are averaged, in samples of the window; they overlap by half. It
            makes windows of different lengths comparable, such as short crops in training and whole records
            afterwards: the longer, the higher a single maximum. 0 takes one maximum of all.
        leads: "together" has the first convolution mix them; "apart" embeds each by itself, with the same weights, and
            averages: such an encoder takes any number of leads, as views of single leads (`LeadViews`) ask for.
        statistics: what is taken of each pooled stage over time: any of "mean", "max", "std" and "attentive", a mean
            with learned weights.
        dropout: share of channels' values dropped at the end of each block's body in training.
        amplitudes: put each lead's amplitudes beside the embedding of its shape, as for `Encoder`.
    """

    def __init__(
        self,
        in_channels: int = 1,
        width: int = 32,
        depth: int = 1,
        stages: int = 4,
        kernel: int = 7,
        stem: int = 2,
        pooling: Literal["last", "stages"] = "last",
        stretch: int = 0,
        leads: Literal["together", "apart"] = "together",
        statistics: Sequence[Statistic] = ("mean", "max"),
        dropout: float = 0.0,
        amplitudes: Amplitudes = False,
    ) -> None:
        super().__init__(in_channels, pooling, statistics, stretch, leads, amplitudes)
        for name, value in (("width", width), ("depth", depth), ("stages", stages), ("stem", stem)):
            if value < 1:
                raise ValueError(f"ResNet1d: {name} must be at least 1, not {value}")
        if kernel < 1 or kernel % 2 == 0:
            raise ValueError(f"ResNet1d: kernel must be odd, not {kernel}")
        if not 0 <= dropout < 1:
            raise ValueError(f"ResNet1d: dropout must be at least 0 and below 1, not {dropout}")
        self.depth = depth
        self.stem = nn.Sequential(
            nn.Conv1d(self.inputs, width, 15, stem, padding=7, bias=False), nn.BatchNorm1d(width), nn.ReLU()
        )
        blocks: list[nn.Module] = []
        channels = width
        for stage in range(stages):
            for block in range(depth):
                stride = 2 if stage > 0 and block == 0 else 1
                blocks.append(_Block(channels, width * 2**stage, kernel, stride, dropout))
                channels = width * 2**stage
        self.blocks = nn.Sequential(*blocks)

    def features(self, x: Tensor) -> Iterator[Tensor]:
        """The output of each stage: (B, `inputs`, T) -> (B, width 2^i, ceil(T / (stem 2^i)))."""
        x = self.stem(x)
        for done, block in enumerate(self.blocks, start=1):
            x = block(x)
            if done % self.depth == 0:
                yield x

    def layers(self) -> list[nn.Module]:
        """The stem, then every residual block."""
        return [self.stem, *self.blocks, *self._learned_pooling()]


class _Block(nn.Module):
    """Two convolutions and a short cut: (B, C_in, T) -> (B, C_out, ceil(T / stride))."""

    def __init__(self, in_channels: int, channels: int, kernel: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(in_channels, channels, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm1d(channels),
            nn.ReLU(),
            nn.Conv1d(channels, channels, kernel, 1, kernel // 2, bias=False),
            nn.BatchNorm1d(channels),
        )
        shortcut: list[nn.Module] = []
        if stride > 1:
            shortcut.append(nn.AvgPool1d(stride, stride, ceil_mode=True, count_include_pad=False))
        if in_channels != channels:
            shortcut += [nn.Conv1d(in_channels, channels, 1, bias=False), nn.BatchNorm1d(channels)]
        self.shortcut = nn.Sequential(*shortcut)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.dropout(self.body(x)) + self.shortcut(x))
