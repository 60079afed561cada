"""Coloured noise, muscles, moving electrodes, drift, recordings, and the hum of the mains with all it has."""

import functools
import tempfile
from pathlib import Path

import torch
from hypothesis import strategies as st

from augmentation_kinds.kind import Kind, ranges
from augmentations import BaselineDrift, ColouredNoise, ElectrodeMotion, MuscleNoise, Powerline, RecordedNoise


@functools.cache
def recording():
    """The path of a recording: two leads, 30 s at 360 Hz."""
    noise = torch.randn(2, 10_800, generator=torch.Generator().manual_seed(0)).cumsum(1)
    path = Path(tempfile.mkdtemp()) / "noise.pt"
    torch.save(noise, path)
    return str(path)


unit = st.floats(0, 1)

KINDS = {
    "coloured": Kind(lambda p: st.builds(ColouredNoise, ranges(0, 2), ranges(0, 4), p), lambda p: ColouredNoise(p=p)),
    "muscle": Kind(
        lambda p: st.builds(
            MuscleNoise, ranges(0, 2), st.sampled_from([(20.0, 150.0), (0.0, 30.0)]), st.floats(0.05, 5), unit, p
        ),
        lambda p: MuscleNoise(p=p),
    ),
    "motion": Kind(
        lambda p: st.builds(ElectrodeMotion, ranges(0, 9), ranges(0, 60), ranges(0.001, 1), ranges(0.001, 9), unit, p),
        lambda p: ElectrodeMotion(p=p),
    ),
    "drift": Kind(
        lambda p: st.builds(BaselineDrift, ranges(0, 2), st.floats(0.001, 5), st.integers(1, 12), p),
        lambda p: BaselineDrift(p=p),
    ),
    "recorded": Kind(
        lambda p: st.builds(
            lambda fs, snr, p: RecordedNoise(recording(), fs, snr, p),
            st.sampled_from([360.0, 500.0, 999.5]),
            ranges(-20, 40),
            p,
        ),
        lambda p: RecordedNoise(recording(), 360.0, p=p),
    ),
    "powerline": Kind(
        lambda p: st.builds(
            Powerline,
            ranges(0, 2),
            st.sampled_from([(50.0,), (50.0, 60.0)]),
            st.integers(1, 7),
            st.floats(0, 1),
            unit,
            p,
        ),
        lambda p: Powerline(harmonics=3, frequency_drift=0.2, amplitude_drift=0.5, p=p),
    ),
}
