"""torch_ecg: torch outside, partly NumPy inside, batched.

https://github.com/DeepPSP/torch_ecg
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch_ecg.augmenters as t
from torch import Tensor

COMPOSITION = "stretches instead of crop and resize, renormalises instead of scale, noise comes with the wander"
COMPLETE = True


def operations(x: Tensor, fs: float) -> dict[str, Callable[[], object]]:
    """See `rivals`."""
    labels, rate = torch.eye(len(x)), int(fs)
    stretch = t.StretchCompress(ratio=10, prob=1.0, inplace=False)
    renormalise = t.RandomRenormalize(prob=1.0, inplace=False)
    wander = t.BaselineWanderAugmenter(rate, prob=1.0, inplace=False)
    seconds = x.shape[-1] / fs
    # prob: of the records, and of each record's samples to be masked, about, in spans of these widths
    mask = t.RandomMasking(rate, mask_width=[0.1 * seconds, 0.5 * seconds], prob=[1.0, 1.0], inplace=False)

    def composition() -> Tensor:
        y = x
        for change in (stretch, renormalise, wander, mask):
            y, _ = change(y, labels)
        return y

    changes = {
        "baseline wander": wander,
        "polarity": t.RandomFlip(per_channel=False, prob=1.0, inplace=False),
        "rate jitter": stretch,
        "time mask": mask,
        "Mixup, with labels": t.Mixup(alpha=0.2, prob=1.0, inplace=False),
        "CutMix, with labels": t.CutMix(alpha=1.0, prob=1.0, inplace=False),
    }
    calls: dict[str, Callable[[], object]] = {name: partial(change, x, labels) for name, change in changes.items()}
    return calls | {"composition of five": composition}
