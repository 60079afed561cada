"""What there is to measure: every augmentation that the package exports, compositions of five, and the policies."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch

import augmentations
from augmentations import Augmentation, Compose, OneOf, RandomOrder, SomeOf, Views
from augmentations.mixing import Mixing

# How many copies of the batch each may cost: what the project asked for, "scale, mask, lead and shift", "wander and
# noise", "warps and crops", "FFT filters". What it did not name has the target of the nearest, marked below.
TARGETS = {
    1.5: "AmplitudeScale TimeMask LeadDropout LeadPermutation LeadMixing VCGRotation VCGScale CircularShift "
    "Polarity Offset GainModulation Clip Quantise TimeReversal SegmentPermutation WaveMask",
    3.0: "GaussianNoise ColouredNoise BaselineWander BaselineDrift Powerline MuscleNoise ElectrodeMotion RecordedNoise "
    "CutMix Mixup",
    6.0: "TimeWarp CropResize RandomCrop RateJitter HeartRateChange",
    10.0: "BandStop BandPass FrequencyMask FourierSurrogate",
}
NEAREST = (
    "Polarity Offset GainModulation Clip Quantise TimeReversal SegmentPermutation WaveMask CutMix Mixup "
    "RateJitter HeartRateChange"
)
COMBINING = (Compose, OneOf, SomeOf, RandomOrder)


def settings(name: str) -> dict[str, Any]:
    """The arguments that a class needs and has no default for."""
    if name == "RecordedNoise":  # two leads, 60 s, as in a recording that is resampled once
        noise = torch.randn(2, 360 * 60, generator=torch.Generator().manual_seed(0)).cumsum(1)
        return {"noise": noise, "noise_fs": 360.0}
    return {}


def exported() -> dict[str, Augmentation | Mixing]:
    """Every augmentation that the package exports, by class name, with its default settings and p = 1.

    Raises:
        TypeError: If a class has arguments without a default that `settings` does not know.
    """
    found = {}
    for name in augmentations.__all__:
        kind = getattr(augmentations, name)
        if not inspect.isclass(kind) or not issubclass(kind, Augmentation | Mixing) or inspect.isabstract(kind):
            continue
        if issubclass(kind, COMBINING):
            continue
        chance = {"p": 1.0} if "p" in inspect.signature(kind).parameters else {}
        try:
            found[name] = kind(**settings(name), **chance)
        except TypeError as error:
            raise TypeError(f"{name}: {error}; say in augment_cases.settings what to measure it with") from error
    return found


def five(p: float) -> list[Augmentation]:
    """What a SimCLR for ECG commonly uses: crop and resize, scale, wander, noise, time mask."""
    return [
        augmentations.CropResize(p=p),
        augmentations.AmplitudeScale(p=p),
        augmentations.BaselineWander(p=p),
        augmentations.GaussianNoise(p=p),
        augmentations.TimeMask(p=p),
    ]


def compositions() -> dict[str, Augmentation | Views]:
    """The five in a row, and in the other ways of combining them."""
    return {
        "five in a row, p = 1": Compose(five(1.0)),
        "five in a row, p = 0.5": Compose(five(0.5)),
        "one of five": OneOf(five(1.0)),
        "one or two of five": SomeOf(five(1.0)),
        "five in random order": RandomOrder(five(1.0)),
        "two views of five, p = 0.5": Views(five(0.5)),
    }


def policies() -> dict[str, Views]:
    """Every ready-made policy that the package exports: two views each."""
    made: dict[str, Callable[[], Views]] = {
        name: getattr(augmentations, name)
        for name in augmentations.__all__
        if getattr(getattr(augmentations, name), "__module__", "") == "augmentations.policies"
    }
    return {name: make() for name, make in made.items()}


def target(name: str) -> float | None:
    """How many copies a class may cost, or None if nothing was asked of it."""
    return next((copies for copies, names in TARGETS.items() if name in names.split()), None)
