"""braindecode: torch, batched, made for EEG.

https://braindecode.org
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

# torchaudio, which it imports, refuses a torch that was built for another CUDA; on the CPU that is no matter.
cuda, torch.version.cuda = torch.version.cuda, None
try:
    import braindecode.augmentation as b
finally:
    torch.version.cuda = cuda

COMPOSITION = "scale, noise and mask only: no crop, no wander"
COMPLETE = False


def operations(x: Tensor, fs: float) -> dict[str, Callable[[], object]]:
    """See `rivals`."""
    labels = torch.zeros(len(x))
    scale, gaussian = b.AmplitudeScale(1.0, interval=(0.5, 2.0)), b.GaussianNoise(1.0, std=0.1)
    mask = b.MaskEncoding(1.0, max_mask_ratio=0.5)
    changes = {
        "Gaussian noise": gaussian,
        "amplitude scale": scale,
        "polarity": b.SignFlip(1.0),
        "time mask": mask,
        "time reversal": b.TimeReverse(1.0),
        "lead dropout": b.ChannelsDropout(1.0, p_drop=0.5),
        "lead permutation": b.ChannelsShuffle(1.0, p_shuffle=1.0),
        "band-stop": b.BandstopFilter(1.0, sfreq=fs, bandwidth=5.0, max_freq=44.0),
        "Fourier surrogate": b.FTSurrogate(1.0, phase_noise_magnitude=0.3, channel_indep=False),
        "Mixup, with labels": b.Mixup(0.2, beta_per_sample=True),
        "composition of five": b.Compose([scale, gaussian, mask]),
    }
    return {name: partial(change, x, labels) for name, change in changes.items()}
