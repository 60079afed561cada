"""The two-dimensional counterpart of ResNet1d: the same network on a picture of the window's frequencies over time."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ssl_ecg.encoders import Encoder

CELL, HOP = 64, 8  # samples: at 100 Hz 0.64 s, every 80 ms


class SpectrogramResNet(Encoder):
    """A ResNet (He et al. 2016) on log spectrograms, 33 frequencies by T / 8 times, one channel a lead.

    Width, depth and stages mean what they mean for `ResNet1d`; kernels are 3 x 3, the stem's 7 x 7. With width 64 and
    depth 2 it is the usual ResNet-18 but for the stem's max pool, which so small a picture does not need.
    """

    def __init__(
        self,
        in_channels: int = 1,
        width: int = 32,
        depth: int = 1,
        stages: int = 4,
        **embedding: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(in_channels, **embedding)
        self.register_buffer("window", torch.hann_window(CELL), persistent=False)
        self.stem = nn.Sequential(
            nn.Conv2d(self.inputs, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
        self.parts = nn.ModuleList()
        channels = width
        for stage in range(stages):
            blocks = []
            for block in range(depth):
                blocks.append(_Block(channels, width * 2**stage, 2 if stage and not block else 1))
                channels = width * 2**stage
            self.parts.append(nn.Sequential(*blocks))

    def features(self, x: Tensor) -> list[Tensor]:
        """(B, `inputs`, T) -> (B, F_i, T_i), averaged over frequencies."""
        cells = torch.stft(
            x.flatten(0, 1), CELL, HOP, window=self.window, return_complex=True, pad_mode="constant"
        ).abs()
        picture = cells.log1p().unflatten(0, x.shape[:2]).contiguous(memory_format=torch.channels_last)
        maps, found = self.stem(picture), []
        for part in self.parts:
            maps = part(maps)
            found.append(maps.mean(2))
        return found


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)),
            *(nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)),
        )
        shortcut: list[nn.Module] = [nn.AvgPool2d(2, ceil_mode=True)] if stride > 1 else []
        if inputs != outputs:
            shortcut += [nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)]
        self.shortcut = nn.Sequential(*shortcut)

    def forward(self, x: Tensor) -> Tensor:
        return (self.body(x) + self.shortcut(x)).relu_()
