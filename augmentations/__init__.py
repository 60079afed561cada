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

from augmentations.amplitude import AmplitudeScale, GainModulation, Offset, Polarity, modulate, scale
from augmentations.base import Augmentation
from augmentations.coloured import ColouredNoise, MuscleNoise
from augmentations.compose import Compose, OneOf, RandomOrder, SomeOf
from augmentations.converter import Clip, Quantise, clip, quantise, signal_peak
from augmentations.fourier import fast_length, filter_spectrum, joint
from augmentations.heart_rate import HeartRateChange, heart_rate_map
from augmentations.leads import LeadDropout, LeadMixing, LeadPermutation, mix_leads, permute_leads
from augmentations.masking import TimeMask, mask_spans
from augmentations.mixing import CutMix, Mixed, Mixup, mix_labels
from augmentations.motion import ElectrodeMotion, transients
from augmentations.multi_crop import MultiCrop
from augmentations.noise import GaussianNoise, normal_noise, signal_sd
from augmentations.peaks import r_peaks
from augmentations.policies import byol_ecg, centred_beat, physiological, simclr_ecg, three_kg
from augmentations.powerline import Powerline
from augmentations.ranges import check_range, draw
from augmentations.rearrange import (
    CircularShift,
    RandomCrop,
    RateJitter,
    SegmentPermutation,
    TimeReversal,
    circular_shift,
    permute_segments,
)
from augmentations.recorded import RecordedNoise, load_recording, mix_at_snr, resample_recording
from augmentations.sources import add_source, lead_gains, sinusoids, spline_basis
from augmentations.spectral import BandPass, BandStop, FourierSurrogate, FrequencyMask, band_pass, band_stop
from augmentations.storage import from_dict, load, save, to_dict
from augmentations.vcg import VCGRotation, VCGScale, change_vcg, rotations, vcg_matrices
from augmentations.views import LeadViews, Views
from augmentations.wander import BaselineDrift, BaselineWander
from augmentations.warping import CropResize, TimeWarp, interpolate, warp
from augmentations.waves import WaveMask, mask_waves, wave_spans

__all__ = [
    "AmplitudeScale", "Augmentation", "BandPass", "BandStop", "BaselineDrift", "BaselineWander",
    "CircularShift", "Clip", "ColouredNoise", "Compose", "CropResize", "CutMix", "ElectrodeMotion",
    "FourierSurrogate", "FrequencyMask", "GainModulation", "GaussianNoise", "HeartRateChange", "LeadDropout",
    "LeadMixing", "LeadPermutation", "LeadViews", "Mixed", "Mixup", "MultiCrop", "MuscleNoise", "Offset", "OneOf",
    "Polarity", "Powerline", "Quantise", "RandomCrop", "RandomOrder", "RateJitter", "RecordedNoise",
    "SegmentPermutation", "SomeOf", "TimeMask", "TimeReversal", "TimeWarp", "VCGRotation", "VCGScale", "Views",
    "WaveMask", "add_source", "band_pass", "band_stop", "byol_ecg", "centred_beat", "change_vcg", "check_range",
    "circular_shift", "clip", "draw", "fast_length", "filter_spectrum", "from_dict", "heart_rate_map",
    "interpolate", "joint", "lead_gains", "load", "load_recording", "mask_spans", "mask_waves", "mix_at_snr",
    "mix_labels", "mix_leads", "modulate", "normal_noise", "permute_leads", "permute_segments", "physiological",
    "quantise", "r_peaks", "resample_recording", "rotations", "save", "scale", "signal_peak", "signal_sd",
    "simclr_ecg", "sinusoids", "spline_basis", "three_kg", "to_dict", "transients", "vcg_matrices", "warp",
    "wave_spans",
]  # fmt: skip
