"""This package's side of each operation that another library has too."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

import augmentations as a


def noise() -> Tensor:
    """Something to stand for a recording of noise: two leads, 60 s at 250 Hz."""
    return torch.randn(2, 250 * 60, generator=torch.Generator().manual_seed(0)).cumsum(1)


def operations(x: Tensor, fs: float) -> dict[str, Callable[[], object]]:
    """See `rivals`."""
    five = [a.CropResize(p=1), a.AmplitudeScale(p=1), a.BaselineWander(p=1), a.GaussianNoise(p=1), a.TimeMask(p=1)]
    labels = torch.eye(len(x))
    mixup, cutmix = a.Mixup(0.2), a.CutMix(1.0)
    changes = {
        "baseline wander": a.BaselineWander(p=1),
        "Gaussian noise": a.GaussianNoise(p=1),
        "coloured noise": a.ColouredNoise(p=1),
        "powerline": a.Powerline(p=1),
        "muscle noise": a.MuscleNoise(band=(20.0, 110.0), p=1),
        "recorded noise": a.RecordedNoise(noise(), fs, p=1),
        "amplitude scale": a.AmplitudeScale(p=1),
        "amplitude scale per lead": a.AmplitudeScale(per_lead=True, p=1),
        "polarity": a.Polarity(p=1),
        "gain modulation": a.GainModulation(per_lead=True, p=1),
        "clip": a.Clip(p=1),
        "quantise": a.Quantise(p=1),
        "time warp": a.TimeWarp(p=1),
        "rate jitter": a.RateJitter(p=1),
        "crop and resize": a.CropResize(p=1),
        "random crop": a.RandomCrop(2.5),
        "time mask": a.TimeMask(p=1),
        "shift": a.CircularShift((-2.0, 2.0), p=1),
        "time reversal": a.TimeReversal(p=1),
        "segment permutation": a.SegmentPermutation(5, "equal", p=1),
        "segment permutation, random lengths": a.SegmentPermutation(5, "random", p=1),
        "lead dropout": a.LeadDropout(p=1),
        "lead permutation": a.LeadPermutation(p=1),
        "VCG rotation": a.VCGRotation(p=1),
        "low-pass": a.BandPass(low=(0.0, 0.0), p=1),
        "band-pass": a.BandPass(p=1),
        "band-stop": a.BandStop(p=1),
        "frequency mask": a.FrequencyMask(p=1),
        "Fourier surrogate": a.FourierSurrogate(p=1),
        "QRS mask": a.WaveMask(("QRS",), p=1),
        "composition of five": a.Compose(five),
    }
    calls: dict[str, Callable[[], object]] = {name: partial(change, x, fs) for name, change in changes.items()}
    return calls | {
        "Mixup, with labels": lambda: mixup(x, fs).labels(labels),
        "CutMix, with labels": lambda: cutmix(x, fs).labels(labels),
    }
