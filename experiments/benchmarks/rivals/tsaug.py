"""tsaug: NumPy, batches of (records, time, leads).

https://github.com/arundo/tsaug
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import tsaug as t
from torch import Tensor

COMPOSITION = "no scale"
COMPLETE = False


def operations(x: Tensor, fs: float) -> dict[str, Callable[[], object]]:
    """See `rivals`."""
    length = x.shape[-1]
    crop = t.Crop(size=(length // 2, length), resize=length)
    wander = t.Drift(max_drift=(0.1, 1.0), n_drift_points=4, normalize=False)
    gaussian = t.AddNoise(scale=(0.01, 0.2), normalize=False)
    mask = t.Dropout(p=0.3, size=3 * length // 10, fill=0.0)  # spans of this size, that share of the record in all
    changes = {
        "baseline wander": wander,
        "Gaussian noise": gaussian,
        "gain modulation": t.Drift(max_drift=(0.05, 0.2), n_drift_points=4, kind="multiplicative", normalize=False),
        "quantise": t.Quantize(n_levels=64),
        "time warp": t.TimeWarp(n_speed_change=2, max_speed_ratio=1.5),
        "crop and resize": crop,
        "random crop": t.Crop(size=round(2.5 * fs)),
        "time mask": mask,
        "time reversal": t.Reverse(),
        "composition of five": crop + wander + gaussian + mask,
    }
    records = np.ascontiguousarray(x.mT.numpy())
    return {name: partial(change.augment, records) for name, change in changes.items()}
