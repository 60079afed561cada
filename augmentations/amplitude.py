"""Changes of amplitude: how strongly a heart is seen, not what it does."""

import math

import torch
from torch import Tensor

from augmentations.base import Augmentation
from augmentations.ranges import check_range, draw


def scale(x: Tensor, factor: Tensor) -> Tensor:
    """Multiplies each sample, or each of its leads, by a factor.

    Args:
        x: Signals, (B, C, T).
        factor: (B, 1) or (B, C).

    Returns:
        Scaled signals, (B, C, T).
    """
    return x * factor[..., None].to(x.dtype)


class AmplitudeScale(Augmentation):
    """Multiplies a record by a random factor, log-uniform in a range: halving is as likely as doubling.

    Reference: scaling in Um et al., Data Augmentation of Wearable Sensor Data for Parkinson's Disease
    Monitoring using Convolutional Neural Networks, ICMI 2017, https://arxiv.org/abs/1706.00527

    Args:
        factor: Range of the factor.
        per_lead: Draw a factor for each lead; this also changes the electrical axis. Otherwise one for the
            record.
        p: Probability that a sample is changed, 0 to 1.

    Raises:
        ValueError: If the range is empty or not positive, or `p` is not a probability.
    """

    def __init__(self, factor: tuple[float, float] = (0.5, 2.0), per_lead: bool = False, p: float = 0.5) -> None:
        super().__init__(p)
        self.factor = check_range("factor", factor, least=1e-6)
        self.per_lead = per_lead

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        """Scales every sample; see `Augmentation.apply`."""
        low, high = self.factor
        shape = (len(x), x.shape[1] if self.per_lead else 1)
        return scale(x, draw((math.log(low), math.log(high)), shape, x, generator).exp_())
