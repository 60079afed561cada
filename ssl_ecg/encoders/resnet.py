"""A residual network in one dimension, from wearable to workstation size."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ssl_ecg.encoders.base import Encoder


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
    """

    def __init__(
        self,
        in_channels: int = 1,
        width: int = 32,
        depth: int = 1,
        stages: int = 4,
        kernel: int = 7,
        stem: int = 2,
    ) -> None:
        super().__init__()
        for name, value in (
            ("in_channels", in_channels),
            ("width", width),
            ("depth", depth),
            ("stages", stages),
            ("stem", stem),
        ):
            if value < 1:
                raise ValueError(f"ResNet1d: {name} must be at least 1, not {value}")
        if kernel < 1 or kernel % 2 == 0:
            raise ValueError(f"ResNet1d: kernel must be odd, not {kernel}")
        self.in_channels = in_channels
        self.stem = nn.Sequential(
            nn.Conv1d(in_channels, width, 15, stem, padding=7, bias=False), nn.BatchNorm1d(width), nn.ReLU()
        )
        blocks: list[nn.Module] = []
        channels = width
        for stage in range(stages):
            for block in range(depth):
                stride = 2 if stage > 0 and block == 0 else 1
                blocks.append(_Block(channels, width * 2**stage, kernel, stride))
                channels = width * 2**stage
        self.blocks = nn.Sequential(*blocks)
        self.dim = 2 * channels

    def forward(self, x: Tensor) -> Tensor:
        """Embed windows: (B, C, T) -> (B, D) with D = 2 * width * 2^(stages - 1)."""
        x = self.blocks(self.stem(x))
        return torch.cat([x.mean(-1), x.amax(-1)], dim=1)

    def layers(self) -> list[nn.Module]:
        """The stem, then every residual block."""
        return [self.stem, *self.blocks]


class _Block(nn.Module):
    """Two convolutions and a short cut: (B, C_in, T) -> (B, C_out, ceil(T / stride))."""

    def __init__(self, in_channels: int, channels: int, kernel: int, stride: int) -> None:
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

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))
