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
from augmentations.base import Augmentation
from augmentations.compose import Compose, Views
from augmentations.masking import TimeMask, mask_spans
from augmentations.noise import GaussianNoise, normal_noise, signal_sd
from augmentations.powerline import Powerline
from augmentations.sources import add_source, lead_gains, sinusoids
from augmentations.wander import BaselineWander
from augmentations.warping import CropResize, TimeWarp, interpolate, warp

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
