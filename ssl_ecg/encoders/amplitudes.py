"""Shape and size of an ECG apart: leads over their own standard deviation, and how large they were."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Amplitudes = bool | Literal["stretches"]

LEAST = 0.01  # mV: what is smaller tells of the recorder, not of the heart
STRETCHES = 8


def per_lead(amplitudes: Amplitudes) -> int:
    """How many numbers `sizes` gives of each lead."""
    return 3 * STRETCHES if amplitudes == "stretches" else 3 * amplitudes


def in_own_sd(x: Tensor) -> Tensor:
    """Divide each lead of (B, C, T) by its standard deviation."""
    return x / x.std(-1, correction=0, keepdim=True).clamp_min(LEAST)


def sizes(x: Tensor, amplitudes: Amplitudes) -> Tensor:
    """Take the sizes of leads in mV: (B, C, T) -> (B, `per_lead` C).

    The logarithms of standard deviation, maximum and depth or, by "stretches", the three of each eighth of the window,
    in mV and in ascending order: artefacts are at the ends, and a linear probe can add up what voltage criteria add up.
    """
    if amplitudes != "stretches":
        return _three(x).clamp_min(LEAST).log().flatten(1)
    x = x if x.shape[-1] >= STRETCHES else x.repeat_interleave(STRETCHES, dim=-1)
    length = x.shape[-1] // STRETCHES
    parts = x[..., : STRETCHES * length].unflatten(-1, (STRETCHES, length))
    return _three(parts).transpose(-1, -2).sort(dim=-1).values.flatten(1)


def _three(x: Tensor) -> Tensor:
    """Standard deviation, maximum and depth: (..., T) -> (..., 3)."""
    return torch.stack([x.std(-1, correction=0), x.amax(-1), -x.amin(-1)], dim=-1)
