"""ecgmentations: NumPy, one record of (time, leads).

https://github.com/rostepifanov/ecgmentations

Its filters run across leads instead of along time; they are timed all the same.
"""

from __future__ import annotations

from collections.abc import Callable

import ecgmentations as e
import numpy as np
from torch import Tensor

from rivals.loops import Records, looped

COMPOSITION = "crops and pads instead of crop and resize; one sinusoid of wander, the same in all leads"
COMPLETE = True


def on_record(change: Callable[..., dict[str, Records]]) -> Callable[[Records], Records]:
    """The library takes and gives dictionaries."""
    return lambda record: change(ecg=record)["ecg"]


def operations(x: Tensor, fs: float) -> dict[str, Callable[[], object]]:
    """See `rivals`."""
    length = x.shape[-1]
    crop = e.Sequential([e.RandomTimeCrop(length * 3 // 4, p=1.0), e.TimePadIfNeeded(length, p=1.0)])
    scale = e.AmplitudeScale(scaling_range=(-0.5, 1.0), p=1.0)
    wander = e.SinePulse(ecg_frequency=fs, pulse_frequency_range=(0.05, 0.5), p=1.0)
    gaussian = e.GaussNoise(variance=0.01, p=1.0)
    mask = e.TimeCutout(num_ranges=(1, 1), length_range=(length // 10, length // 2), p=1.0)
    border = e.BorderType.WRAP
    changes = {
        "baseline wander": wander,
        "Gaussian noise": gaussian,
        "powerline": e.PowerlineNoise(ecg_frequency=fs, p=1.0),
        "amplitude scale": scale,
        "polarity": e.AmplitudeInvert(p=1.0),
        "time warp": e.RandomTimeWrap(p=1.0),
        "random crop": e.RandomTimeCrop(round(2.5 * fs), p=1.0),
        "time mask": mask,
        "shift": e.TimeShift(shift_limit=2.0 * fs / length, border_mode=border, p=1.0),
        "time reversal": e.TimeReverse(p=1.0),
        "segment permutation": e.TimeSegmentShuffle(5, p=1.0),
        "lead dropout": e.ChannelDropout(channel_drop_range=(1, 11), p=1.0),
        "lead permutation": e.ChannelShuffle(p=1.0),
        "low-pass": e.LowPassFilter(ecg_frequency=fs, cutoff_frequency=30.0, p=1.0),
        "band-pass": e.BandPassFilter(ecg_frequency=fs, cutoff_frequencies=(0.5, 30.0), p=1.0),
        "composition of five": e.Sequential([crop, scale, wander, gaussian, mask]),
    }
    records = np.ascontiguousarray(x.mT.numpy())
    return looped({name: on_record(change) for name, change in changes.items()}, records)
