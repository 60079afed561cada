"""audiomentations: NumPy, one record of (leads, time), made for sound.

https://github.com/iver56/audiomentations
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import audiomentations as a
from torch import Tensor

from rivals.loops import Records, looped

COMPOSITION = "stretches instead of crop and resize; no wander"
COMPLETE = False


def operations(x: Tensor, fs: float) -> dict[str, Callable[[], object]]:
    """See `rivals`."""
    rate = int(fs)
    stretch, gain = a.TimeStretch(0.9, 1.1, p=1.0), a.Gain(-6.0, 6.0, p=1.0)
    gaussian = a.AddGaussianSNR(14.0, 40.0, p=1.0)
    mask = a.TimeMask(0.1, 0.5, fade_duration=0.0, p=1.0)
    octaves = {"min_bandwidth_fraction": 0.3, "max_bandwidth_fraction": 0.6, "zero_phase": True, "p": 1.0}
    changes = {
        "Gaussian noise": gaussian,
        "coloured noise": a.AddColorNoise(14.0, 40.0, min_f_decay=-6.0, max_f_decay=-1.5, p=1.0),
        "amplitude scale": gain,
        "polarity": a.PolarityInversion(p=1.0),
        "clip": a.ClippingDistortion(0, 40, p=1.0),
        "quantise": a.BitCrush(4, 8, p=1.0),
        "rate jitter": stretch,
        "time mask": mask,
        "shift": a.Shift(-2.0, 2.0, shift_unit="seconds", fade_duration=0.0, p=1.0),
        "time reversal": a.Reverse(p=1.0),
        "low-pass": a.LowPassFilter(15.0, 45.0, zero_phase=True, p=1.0),
        "band-pass": a.BandPassFilter(15.0, 25.0, 1.5, 1.9, zero_phase=True, p=1.0, min_rolloff=12, max_rolloff=24),
        "band-stop": a.BandStopFilter(5.0, 40.0, **octaves),
        "composition of five": a.Compose([stretch, gain, gaussian, mask], p=1.0),
    }
    records: Records = x.numpy()
    return looped({name: partial(change, sample_rate=rate) for name, change in changes.items()}, records)
