"""A residual network in one dimension, from wearable to workstation size."""

from __future__ import annotations

from typing import Literal

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
        pooling: what an embedding is made of: the "last" stage, D = 2 * width * 2^(stages - 1), or all "stages" side
            by side, D = 2 * width * (2^stages - 1): the early ones keep detail that the objective lets the last one
            drop (experiments/results/ptbxl.md).
        stretch: length of the stretches whose maxima are averaged, in samples of the window; they overlap by half. It
            makes windows of different lengths comparable, such as short crops in training and whole records
            afterwards: the longer, the higher a single maximum. 0 takes one maximum of all.
        leads: "together" has the first convolution mix them; "apart" embeds each by itself, with the same weights, and
            averages: such an encoder takes any number of leads, as views of single leads (`LeadViews`) ask for.
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
        if pooling not in ("last", "stages"):
            raise ValueError(f"ResNet1d: pooling must be 'last' or 'stages', not {pooling!r}")
        if stretch < 0:
            raise ValueError(f"ResNet1d: stretch must not be negative, not {stretch}")
        if leads not in ("together", "apart"):
            raise ValueError(f"ResNet1d: leads must be 'together' or 'apart', not {leads!r}")
        self.in_channels, self.any_leads = in_channels, leads == "apart"
        seen = 1 if self.any_leads else in_channels
        self.stem = nn.Sequential(
            nn.Conv1d(seen, width, 15, stem, padding=7, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(),
        )
        blocks: list[nn.Module] = []
        channels, self.dim = width, 0
        self._pooled: dict[int, int] = {}  # after how many blocks, and a stretch there, in steps of the time axis
        for stage in range(stages):
            for block in range(depth):
                stride = 2 if stage > 0 and block == 0 else 1
                blocks.append(_Block(channels, width * 2**stage, kernel, stride))
                channels = width * 2**stage
            if pooling == "stages" or stage == stages - 1:
                self._pooled[len(blocks)] = stretch and max(1, round(stretch / (stem * 2**stage)))
                self.dim += 2 * channels
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        """Embed windows: (B, C, T) -> (B, D); of each pooled stage, the first first, means and then maxima."""
        if not self.any_leads:
            return self._embed(x)
        alone = self._embed(x.flatten(0, 1)[:, None])
        return alone.view(*x.shape[:2], self.dim).mean(1)

    def _embed(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        pooled: list[Tensor] = []
        for done, block in enumerate(self.blocks, start=1):
            x = block(x)
            if done in self._pooled:
                pooled += [x.mean(-1), _maximum(x, self._pooled[done])]
        return torch.cat(pooled, dim=1)

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


def _maximum(x: Tensor, stretch: int) -> Tensor:
    """Mean of the maxima of half-overlapping stretches of (B, C, T), 0 for a single one: shape (B, C)."""
    if not 0 < stretch < x.shape[-1]:
        return x.amax(-1)
    return nn.functional.max_pool1d(x, stretch, max(1, stretch // 2)).mean(-1)
