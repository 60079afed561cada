"""Samples mixed with others of their batch, Mixup and CutMix, with the weights that their labels need.

These are not `Augmentation`s: a sample of the result depends on two of the input, and its label does too.
"""

import math
from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor

from augmentations.base import check_batch
from augmentations.masking import outside
from augmentations.ranges import check_positive, check_share, draw


def mix_labels(y: Tensor, partner: Tensor, weight: Tensor) -> Tensor:
    """Mixes labels as the signals were mixed: weight * y + (1 - weight) * y[partner].

    `y`, (B, ...), is one-hot, multi-hot or numbers to regress; class numbers, integers of shape (B,), raise a
    TypeError. `partner` and `weight`, (B,), are those of `Mixed`. The result is of a floating-point type.
    """
    if y.ndim == 1 and not y.is_floating_point():
        raise TypeError("class numbers cannot be mixed: torch.nn.functional.one_hot(y) makes labels that can")
    share = weight.view(-1, *[1] * (y.ndim - 1)).to(y.dtype if y.is_floating_point() else weight.dtype)
    return share * y + (1 - share) * y[partner]


class Mixed(NamedTuple):
    """A mixed batch: signals `x`, (B, C, T), with whom each sample was mixed, and the share of its own.

    `partner`, int64, (B,), is the sample itself where it was not mixed; `weight`, 0 to 1, float32 or float64, (B,),
    then is 1.
    """

    x: Tensor
    partner: Tensor
    weight: Tensor

    def labels(self, y: Tensor) -> Tensor:
        """Mixes labels in the same way; see `mix_labels`."""
        return mix_labels(y, self.partner, self.weight)


def symmetric_beta(alpha: float, shape: tuple[int, ...], like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draws from Beta(alpha, alpha), with two uniform numbers each: torch's own sampler takes no generator.

    Reference: Bailey, Polar generation of random variates with the t-distribution, Mathematics of Computation
    1994, https://doi.org/10.1090/S0025-5718-1994-1219702-8: t = sqrt(2a (U^(-1/a) - 1)) cos(2 pi V) is Student's with
    2a degrees of freedom, and (1 + t / sqrt(2a + t^2)) / 2 is Beta(a, a).
    """
    power = draw((0, 1), shape, like, generator).pow_(1 / alpha)
    wave = draw((0, 2 * math.pi), shape, like, generator).cos_()
    spread = (power + (1 - power) * wave.square()).clamp_min_(torch.finfo(power.dtype).tiny).sqrt_()
    return ((1 - power).sqrt_() * wave / spread).add_(1).mul_(0.5).clamp_(0, 1)


class Mixing(ABC):
    """What Mixup and CutMix share: a random partner for each sample, and a weight from Beta(alpha, alpha).

    A ValueError refuses an `alpha` that is not positive, or a `p` that is not a probability.
    """

    def __init__(self, alpha: float, p: float) -> None:
        self.alpha = check_positive("alpha", alpha)
        self.p = check_share("p", p)

    @abstractmethod
    def mix(self, x: Tensor, other: Tensor, weight: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Mixes each sample of (B, C, T) with its partner in `other`, a copy that may be written to.

        `weight`, (B,), is the share wanted of the sample's own; where it is 1 the sample must stay as it is. Returns
        the mixed signals, and the share reached, (B,).
        """

    def __call__(self, x: Tensor, fs: float, generator: torch.Generator | None = None) -> Mixed:
        """Mixes each sample of (B, C, T), with probability `p`, with another of the batch (by chance with itself).

        `x` is not modified; a TypeError refuses what is no floating-point tensor, a ValueError another shape. Nothing
        depends on `fs`, in Hz, but that every augmentation is called alike. Random numbers come from `generator`, on
        the device of `x`; None is torch's global one.
        """
        check_batch(x)
        with torch.autocast(x.device.type, enabled=False):
            own = torch.arange(len(x), device=x.device)
            partner = torch.randperm(len(x), generator=generator, device=x.device)
            weight = symmetric_beta(self.alpha, (len(x),), x, generator)
            mixed = draw((0, 1), (len(x),), x, generator) < self.p
            partner = torch.where(mixed, partner, own)
            weight = torch.where(mixed, weight, 1.0)
            if x.numel() == 0:
                return Mixed(x, partner, weight)
            y, weight = self.mix(x, x.index_select(0, partner), weight, generator)
            return Mixed(y, partner, weight)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(alpha={self.alpha!r}, p={self.p!r})"


class Mixup(Mixing):
    """Adds up two records, the sample itself and a partner from the batch, with shares of sum 1.

    Two hearts beat in the result, as in no body; what is learnt is to be linear in between. Labels get the same shares.

    Reference: Zhang et al., mixup: Beyond Empirical Risk Minimization, ICLR 2018, https://arxiv.org/abs/1710.09412

    Args:
        alpha: Of the distribution of the shares, Beta(alpha, alpha): 1 is uniform, smaller is nearer to 0 and 1.
        p: Probability that a sample is mixed, 0 to 1.

    Example:
        >>> mixed = Mixup()(torch.randn(8, 12, 1000), fs=100)
        >>> y = mixed.labels(torch.eye(8))
    """

    def __init__(self, alpha: float = 0.2, p: float = 1.0) -> None:
        super().__init__(alpha, p)

    def mix(self, x: Tensor, other: Tensor, weight: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        share = weight.to(x.dtype)  # the labels get the very share, also in half precision
        return other.lerp_(x, share[:, None, None]), share.to(weight.dtype)


class CutMix(Mixing):
    """Puts a piece of another record of the batch into each, at the same place in time and in all leads.

    The seams cut beats, and the rhythm changes there. The labels are mixed with the shares of time.

    Reference: Yun et al., CutMix: Regularization Strategy to Train Strong Classifiers with Localizable
    Features, ICCV 2019, https://arxiv.org/abs/1905.04899

    Args:
        alpha: Of the distribution of the shares, Beta(alpha, alpha): 1 is uniform.
        p: Probability that a sample is mixed, 0 to 1.
    """

    def __init__(self, alpha: float = 1.0, p: float = 1.0) -> None:
        super().__init__(alpha, p)

    def mix(self, x: Tensor, other: Tensor, weight: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        length = x.shape[-1]
        span = ((1 - weight) * length).round_()
        start = (draw((0, 1), weight.shape, x, generator) * (length - span + 1)).floor_().minimum(length - span)
        kept = outside(start[:, None], (start + span)[:, None], length)
        return other.lerp_(x, kept.to(x.dtype)), 1 - span / length
