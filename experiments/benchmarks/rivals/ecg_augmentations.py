"""ecg-augmentations: torch, batched."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import ecg_augmentations as e
import torch
from torch import Tensor

from rivals.ours import noise

COMPOSITION = ""
COMPLETE = True


def operations(x: Tensor, fs: float) -> dict[str, Callable[[], object]]:
    """See `rivals`."""
    length, seconds, labels = x.shape[-1], x.shape[-1] / fs, torch.eye(len(x))
    crop = e.RandomResizedCrop(length, scale=(0.5, 1.0))
    scale = e.AmplitudeScale(scale=(0.5, 2.0))
    wander = e.BaselineWander(fs, freq=(0.05, 0.5), n_components=4)
    gaussian = e.GaussianNoise(snr_db=(14.0, 40.0))
    mask = e.TimeMask(fs, duration=(0.1 * seconds, 0.5 * seconds))
    changes = {
        "baseline wander": wander,
        "Gaussian noise": gaussian,
        "powerline": e.PowerlineNoise(fs, freq=50.0),
        "muscle noise": e.MuscleNoise(fs, band=(20.0, 110.0)),
        "recorded noise": e.RecordedNoise(noise()),
        "amplitude scale": scale,
        "amplitude scale per lead": e.AmplitudeScale(scale=(0.5, 2.0), per_lead=True),
        "polarity": e.Invert(),
        "time warp": e.RandomTimeWarp(sigma=(0.0, 0.2)),
        "rate jitter": e.TimeStretch(factor=(0.9, 1.1)),
        "crop and resize": crop,
        "random crop": e.RandomCrop(duration=2.5, fs=fs),
        "time mask": mask,
        "shift": e.TimeShift(fs, shift=(-2.0, 2.0)),
        "time reversal": e.Reverse(),
        "segment permutation, random lengths": e.Permute(5),
        "lead dropout": e.LeadMask(n_leads=(1, 11)),
        "VCG rotation": e.VCGRotation(angle=45.0, scale=1.0),
        "low-pass": e.LowPassFilter(fs, cutoff=(15.0, 45.0)),
        "band-pass": e.Compose([e.HighPassFilter(fs, cutoff=(0.05, 1.0)), e.LowPassFilter(fs, cutoff=(15.0, 45.0))]),
        "band-stop": e.FrequencyMask(fs, width=(2.0, 8.0), max_freq=44.0),
        "frequency mask": e.FrequencyMask(fs, width=(0.02 * fs, 0.05 * fs), n_masks=3),
        "composition of five": e.Compose([crop, scale, wander, gaussian, mask]),
    }
    try:
        import neurokit2  # noqa: F401

        changes["QRS mask"] = e.QRSMask(fs)
    except ImportError:  # without, there are no masks of waves
        pass
    calls: dict[str, Callable[[], object]] = {name: partial(change, x) for name, change in changes.items()}
    return calls | {
        "Mixup, with labels": partial(e.Mixup(0.2), x, labels),
        "CutMix, with labels": partial(e.CutMix(1.0), x, labels),
    }
