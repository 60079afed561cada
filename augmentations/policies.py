"""Ready-made policies: the views that published methods use, and what to use where the label must not change.

Each is a plain function of a few settings that returns `Views`, two of each sample; print them to read them, `save`
them to keep them.
"""

from augmentations.amplitude import AmplitudeScale
from augmentations.base import Augmentation
from augmentations.coloured import MuscleNoise
from augmentations.compose import OneOf
from augmentations.masking import TimeMask
from augmentations.motion import ElectrodeMotion
from augmentations.noise import GaussianNoise
from augmentations.vcg import VCGRotation, VCGScale
from augmentations.views import Views
from augmentations.wander import BaselineWander
from augmentations.warping import CropResize, TimeWarp


def simclr_ecg(crop: float = 0.5, mask: float = 0.5) -> Views:
    """What Mehari & Strodthoff found best for SimCLR on 12-lead ECG, random resized crop and time out, and mild noise.

    These change the heart rate, by up to 1 / `crop`, and hide whole beats.

    Reference: Mehari & Strodthoff, Computers in Biology and Medicine 2022, https://arxiv.org/abs/2103.12676

    Args:
        crop: The shortest crop, as a share of the record.
        mask: The longest masked span, as a share of the record.
    """
    return Views(
        [
            CropResize(share=(crop, 1.0), p=1.0),
            BaselineWander(sd=(0.05, 0.5), p=0.5),
            GaussianNoise(sd=(0.01, 0.2), p=0.5),
            TimeMask(share=(0.0, mask), p=1.0),
        ]
    )


def byol_ecg(mask: float = 0.3) -> Views:
    """Views that differ in kind, as BYOL's do: one is warped and masked, the other noisy.

    What has no negatives to push apart gains from views that are hard in different ways.

    Reference: the asymmetry of Grill et al., Bootstrap Your Own Latent, NeurIPS 2020,
    https://arxiv.org/abs/2006.07733, appendix B, carried over to ECG.

    Args:
        mask: The longest masked span of the first view, as a share of the record.
    """
    common: list[Augmentation] = [AmplitudeScale(factor=(0.7, 1.4), p=0.8), TimeWarp(strength=0.2, p=0.5)]
    return Views(
        [
            CropResize(share=(0.6, 1.0), p=0.8),
            *common,
            GaussianNoise(sd=(0.01, 0.1), p=0.2),
            TimeMask((0.0, mask), p=0.8),
        ],
        others=[
            CropResize(share=(0.6, 1.0), p=0.8),
            *common,
            BaselineWander(sd=(0.05, 0.7), p=0.8),
            GaussianNoise(sd=(0.05, 0.3), p=0.8),
        ],
    )


def three_kg(angle: float = 45.0, scale: float = 1.5, mask: float = 0.5) -> Views:
    """3KG: the heart's vector turned and stretched, as another body would show it, and time masked. 12 leads.

    Reference: Gopal et al., 3KG: Contrastive Learning of 12-Lead Electrocardiograms using Physiologically-Inspired
    Augmentations, ML4H 2021, https://arxiv.org/abs/2106.04452

    Args:
        angle: The largest turn about each axis, degrees, at least 0.
        scale: The largest stretch along each axis, at least 1.
        mask: The longest masked span, as a share of the record.
    """
    if angle < 0 or scale < 1:
        raise ValueError(f"angle is at least 0 degrees and scale at least 1, not {angle!r} and {scale!r}")
    return Views(
        [
            VCGRotation(degrees=(-angle, angle), keep_residual=False, p=1.0),
            VCGScale(factor=(1 / scale, scale), keep_residual=False, p=1.0),
            TimeMask(share=(0.0, mask), p=1.0),
        ]
    )


def physiological(strength: float = 1.0) -> Views:
    """Only what recording does to an ECG, not what a heart does: heart rate, intervals and lead geometry stay.

    Gain, wander, electrode motion, muscle and white noise. For labels such as rhythm, axis or intervals.

    Args:
        strength: Of all the noise, relative to a routine recording's.
    """
    return Views(
        [
            AmplitudeScale(factor=(0.7, 1.4), p=0.8),
            BaselineWander(sd=(0.05 * strength, 0.5 * strength), p=0.5),
            OneOf(
                [
                    GaussianNoise(sd=(0.01 * strength, 0.15 * strength), p=1.0),
                    MuscleNoise(sd=(0.02 * strength, 0.2 * strength), p=1.0),
                    ElectrodeMotion(amplitude=(0.5 * strength, 5.0 * strength), p=1.0),
                ],
                weights=(0.6, 0.2, 0.2),
                p=0.8,
            ),
        ]
    )


def centred_beat(strength: float = 0.1) -> Views:
    """For windows of one beat with its R peak in the centre: the beat stays whole, and about in place.

    No crop moves it and no mask hides its P wave; gain, wander, noise and a slight warp are what two beats of one
    kind differ by.

    Args:
        strength: Of the warp: the largest relative change of the local pace.
    """
    return Views(
        [
            TimeWarp(strength=strength, period=1.0, p=0.8),
            AmplitudeScale(factor=(0.5, 2.0), p=1.0),
            BaselineWander(sd=(0.05, 0.4), p=0.8),
            GaussianNoise(sd=(0.01, 0.1), p=0.8),
        ]
    )
