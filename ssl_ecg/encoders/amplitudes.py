"""Shape and size of an ECG apart: leads over their own standard deviation, and how large they were."""

from __future__ import annotations

import torch
from torch import Tensor

LEAST = 0.01  # mV: what is smaller tells of the recorder, not of the heart
PER_LEAD = 3  # how many numbers `log_amplitudes` gives of each


def in_own_sd(x: Tensor) -> Tensor:
    """Divide each lead of (B, C, T) by its standard deviation."""
    return x / x.std(-1, correction=0, keepdim=True).clamp_min(LEAST)


def log_amplitudes(x: Tensor) -> Tensor:
    """Take the logarithms of each lead's standard deviation, maximum and depth, in mV: (B, C, T) -> (B, 3 C)."""
    sizes = torch.stack([x.std(-1, correction=0), x.amax(-1), -x.amin(-1)], dim=-1)
    return sizes.clamp_min(LEAST).log().flatten(1)
