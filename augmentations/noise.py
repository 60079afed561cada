"""White noise, the hiss of an amplifier, and what it is measured by: the standard deviation of a sample.

Every strength is a standard deviation in units of the sample's own (`signal_sd`), so that a recipe means the
same for millivolts and for z-scored signals. A clean 12-lead ECG of 1 mV R waves has a standard deviation
near 0.2 mV.
"""

import torch
from torch import Tensor

from augmentations.base import Augmentation
from augmentations.ranges import check_range, draw

_REUSE = 16  # how often, at most, `normal_noise` lets samples share a number ...
_FRESH = 2**17  # ... once a batch needs more numbers than this


def signal_sd(x: Tensor) -> Tensor:
    """The standard deviation of each sample: root mean square over its leads of each lead's own.

    An offset of a lead does not count. Computed as E[x^2] - E[x]^2 in float32 at least, which is 50 times
    faster on a CPU than `Tensor.std` and within 1 % up to offsets of 100 standard deviations.

    Args:
        x: Signals, (B, C, T).

    Returns:
        Standard deviations in the unit of `x`, (B, 1), float32 or float64.
    """
    dtype = torch.promote_types(x.dtype, torch.float32)
    mean = x.mean(-1, dtype=dtype)
    norm: Tensor = torch.linalg.vector_norm(x, dim=-1, dtype=dtype)
    return (norm.square() / x.shape[-1] - mean.square()).mean(-1, keepdim=True).clamp_min(0).sqrt()


def normal_noise(x: Tensor, generator: torch.Generator | None) -> Tensor:
    """Standard normal white noise in the shape of a batch, several times faster than `torch.randn`.

    Within a sample every number is drawn afresh, so its noise is white over time and independent between its
    leads. Samples of a large batch take their noise from random places of one common stretch, a sixteenth as
    long as the batch and drawn afresh for every call: two samples may share numbers, at a shift.

    Args:
        x: Signals, (B, C, T): gives shape, dtype and device.
        generator: Where the numbers come from.

    Returns:
        Noise, (B, C, T).
    """
    size, length = len(x), x[0].numel()
    fresh = max(length * max(_REUSE, size // _REUSE), _FRESH)
    if fresh >= x.numel():
        return torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    stretch = torch.randn(fresh, generator=generator, device=x.device, dtype=x.dtype)
    start = torch.randint(fresh - length + 1, (size,), generator=generator, device=x.device)
    return stretch.unfold(0, length, 1).index_select(0, start).view(x.shape)


class GaussianNoise(Augmentation):
    """Adds white noise, equally strong in all leads of a record; `normal_noise` says how it is drawn.

    Reference: Kiyasseh et al., CLOCS, ICML 2021, https://arxiv.org/abs/2005.13249; jitter in Um et al., ICMI
    2017, https://arxiv.org/abs/1706.00527

    Args:
        sd: Range of the noise's standard deviation, in standard deviations of the sample.
        p: Probability that a sample is changed, 0 to 1.

    Raises:
        ValueError: If the range is empty or negative, or `p` is not a probability.
    """

    def __init__(self, sd: tuple[float, float] = (0.01, 0.2), p: float = 0.5) -> None:
        super().__init__(p)
        self.sd = check_range("sd", sd, least=0)

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        """Adds noise to every sample; see `Augmentation.apply`."""
        sd = draw(self.sd, (len(x), 1), x, generator) * signal_sd(x)
        return normal_noise(x, generator).mul_(sd[..., None]).add_(x)
