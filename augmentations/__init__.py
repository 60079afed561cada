"""Augmentations for ECG and other multi-lead signals: batched, on the device, seeded, in physical units.

The package needs torch alone. Signals are (B, C, T) tensors: samples, leads, time.

Example:
    >>> import torch
    >>> from augmentations import BaselineWander, GaussianNoise, TimeWarp, Views
    >>> views = Views([TimeWarp(), BaselineWander(), GaussianNoise(sd=(0.05, 0.2))])
    >>> views.check(fs=100)  # refuses, before any work, what 100 Hz cannot represent
    >>> one, two = views(torch.randn(8, 12, 1000), fs=100, generator=torch.Generator().manual_seed(0))
    >>> one.shape
    torch.Size([8, 12, 1000])

An augmentation of your own is a subclass of `Augmentation` with one method, `apply`.
"""

from augmentations.amplitude import AmplitudeScale, scale
from augmentations.base import Augmentation, Compose, Views
from augmentations.noise import (
    BaselineWander,
    GaussianNoise,
    Powerline,
    add_source,
    lead_gains,
    normal_noise,
    signal_sd,
    sinusoids,
)
from augmentations.temporal import CropResize, TimeMask, TimeWarp, interpolate, mask_spans, warp

__all__ = [
    "AmplitudeScale",
    "Augmentation",
    "BaselineWander",
    "Compose",
    "CropResize",
    "GaussianNoise",
    "Powerline",
    "TimeMask",
    "TimeWarp",
    "Views",
    "add_source",
    "interpolate",
    "lead_gains",
    "mask_spans",
    "normal_noise",
    "scale",
    "signal_sd",
    "sinusoids",
    "warp",
]
