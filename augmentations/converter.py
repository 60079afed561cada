"""What an analogue-to-digital converter does to a signal: its rails (`Clip`) and its steps (`Quantise`).

Both are measured by the record's own peak, its largest absolute value in any lead: all leads share one
converter, and a recipe means the same for millivolts and for z-scored signals.
"""

import torch
from torch import Tensor

from augmentations.base import Augmentation
from augmentations.ranges import Range, check_range, draw


def signal_peak(x: Tensor) -> Tensor:
    """The largest absolute value of each sample of (B, C, T), in its unit: (B, 1), float32 or float64."""
    flat = x.flatten(1)  # two reductions: a tenth of the time of one vector_norm(inf) on a CPU
    peak = torch.maximum(flat.amax(1, keepdim=True), -flat.amin(1, keepdim=True))
    return peak.to(torch.promote_types(x.dtype, torch.float32))


def clip(x: Tensor, rail: Tensor) -> Tensor:
    """Limits each sample of (B, C, T), or each of its leads, to plus and minus a rail.

    `rail`, (B, 1) or (B, C), is in the unit of `x` and not negative; what lies within is kept as it is.
    """
    rail = rail[..., None].to(x.dtype)
    return x.clamp_max(rail).clamp_min_(-rail)


def quantise(x: Tensor, step: Tensor) -> Tensor:
    """Rounds each sample of (B, C, T), or each of its leads, to whole steps: at most half a step from `x`.

    `step`, (B, 1) or (B, C), is in the unit of `x`, float32 at least. Rounding to the type of `x` comes on top.
    """
    step = step[..., None].clamp_min(torch.finfo(step.dtype).tiny)  # of a flat line of zeros
    return (x / step).round_().mul_(step).to(x.dtype)


class Clip(Augmentation):
    """Cuts off what passes the rails of the amplifier: symmetric about zero, the same for all leads.

    The highest R or S waves lose their tips; rate and intervals stay, amplitudes (as for hypertrophy) do not.

    Reference: saturation among the acquisition faults in Clifford et al., Signal quality indices and data
    fusion for determining clinical acceptability of electrocardiograms, Physiological Measurement 2012,
    https://doi.org/10.1088/0967-3334/33/9/1419

    Args:
        level: Range of the rails, as a share of the record's peak (its largest absolute value), 0 to 1.
        p: Probability that a sample is changed, 0 to 1.
    """

    def __init__(self, level: Range = (0.3, 0.9), p: float = 0.5) -> None:
        super().__init__(p)
        self.level = check_range("level", level, least=0, most=1)

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        return clip(x, draw(self.level, (len(x), 1), x, generator) * signal_peak(x))


class Quantise(Augmentation):
    """Rounds to the steps of a converter of n bits whose full scale is the record's peak.

    The step is peak / (2^(n - 1) - 1): codes run from -(2^(n - 1) - 1) to the same above zero. A converter whose
    full scale is 8 times the signal has 3 bits fewer to spend on it. Gradients do not pass the rounding.

    Reference: the resolution of devices in Kligfield et al., Recommendations for the Standardization and Interpretation
    of the Electrocardiogram, Part I, Circulation 2007, https://doi.org/10.1161/CIRCULATIONAHA.106.180200

    Args:
        bits: Range of the whole number of bits, 2 to 16, both ends included.
        p: Probability that a sample is changed, 0 to 1.
    """

    def __init__(self, bits: tuple[int, int] = (4, 8), p: float = 0.5) -> None:
        super().__init__(p)
        low, high = check_range("bits", bits, least=2, most=16)
        if not (low.is_integer() and high.is_integer()):
            raise ValueError(f"bits is a range (low, high) of whole numbers, not {bits!r}")
        self.bits = int(low), int(high)

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        low, high = self.bits
        bits = torch.randint(low, high + 1, (len(x), 1), generator=generator, device=x.device)
        peak = signal_peak(x)
        return quantise(x, peak / (torch.exp2(bits.to(peak.dtype) - 1) - 1))
