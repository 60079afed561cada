"""Changes of amplitude: how strongly a heart is seen, not what it does."""

import math

import torch
from torch import Tensor

from augmentations.base import Augmentation
from augmentations.noise import signal_sd
from augmentations.ranges import Range, check_nyquist, check_range, draw, draw_log
from augmentations.sources import sinusoids


def scale(x: Tensor, factor: Tensor) -> Tensor:
    """Multiplies each sample of (B, C, T) by a factor, (B, 1), or each of its leads by one of its own, (B, C)."""
    return x * factor[..., None].to(x.dtype)


def modulate(x: Tensor, source: Tensor, depth: Tensor) -> Tensor:
    """Multiplies each lead of (B, C, T) by a gain that changes over time: 1 + depth * source.

    `source`, (B, T), is the same for all leads; `depth` is one for the sample, (B, 1), or one for each lead, (B, C).
    """
    if depth.shape[1] == 1:
        return x * (1 + depth * source)[:, None].to(x.dtype)
    return torch.addcmul(x, x * source[:, None].to(x.dtype), depth[..., None].to(x.dtype))


class AmplitudeScale(Augmentation):
    """Multiplies a record by a random factor, log-uniform in a range: halving is as likely as doubling.

    Reference: scaling in Um et al., Data Augmentation of Wearable Sensor Data for Parkinson's Disease
    Monitoring using Convolutional Neural Networks, ICMI 2017, https://arxiv.org/abs/1706.00527

    Args:
        factor: Range of the factor, above 0.
        per_lead: Draw a factor for each lead, which also changes the electrical axis. Otherwise one for the record.
        p: Probability that a sample is changed, 0 to 1.
    """

    def __init__(self, factor: Range = (0.5, 2.0), per_lead: bool = False, p: float = 0.5) -> None:
        super().__init__(p)
        self.factor = check_range("factor", factor, least=1e-6)
        self.per_lead = per_lead

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        shape = (len(x), x.shape[1] if self.per_lead else 1)
        return scale(x, draw_log(self.factor, shape, x, generator))


class Polarity(Augmentation):
    """Turns a record, or some of its leads, upside down, as electrodes with their cables swapped do.

    Rate and widths stay. The axis turns by 180 degrees; with single leads turned, Einthoven's law I + III = II is lost.

    Reference: negation in Sarkar & Etemad, Self-supervised ECG Representation Learning for Emotion Recognition,
    IEEE Transactions on Affective Computing 2022, https://arxiv.org/abs/2002.03898

    Args:
        per_lead: Turn over each lead with probability 1/2 (none, or all, now and then). Otherwise the record.
        p: Probability that a sample is changed, 0 to 1.
    """

    def __init__(self, per_lead: bool = False, p: float = 0.5) -> None:
        super().__init__(p)
        self.per_lead = per_lead

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        if not self.per_lead:
            return -x
        flip = torch.rand(x.shape[:2], generator=generator, device=x.device) < 0.5
        return scale(x, 1 - 2 * flip.float())


class Offset(Augmentation):
    """Adds a constant to each lead: the half-cell potential of its electrodes, where no high-pass took it away.

    Reference: DC shift in Mohsenvand et al., Contrastive Representation Learning for Electroencephalogram
    Classification, ML4H 2020, https://proceedings.mlr.press/v136/mohsenvand20a.html

    Args:
        offset: Range of the constant, in standard deviations of the sample (its leads' own, root mean square).
        per_lead: Draw a constant for each lead. Otherwise one for the record.
        p: Probability that a sample is changed, 0 to 1.
    """

    def __init__(self, offset: Range = (-0.5, 0.5), per_lead: bool = True, p: float = 0.5) -> None:
        super().__init__(p)
        self.offset = check_range("offset", offset, least=-math.inf)
        self.per_lead = per_lead

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        shape = (len(x), x.shape[1] if self.per_lead else 1)
        offset = draw(self.offset, shape, x, generator) * signal_sd(x)
        return x + offset[..., None].to(x.dtype)


class GainModulation(Augmentation):
    """Lets the amplitude swell and fade as with breathing: times 1 + depth * sine, never below zero.

    Breathing moves heart and lungs: the height of R waves changes by 5 to 20 % at 0.1 to 0.5 Hz. The rhythm stays.

    Reference: Moody et al., Derivation of Respiratory Signals from Multi-lead ECGs, Computers in Cardiology
    1985, https://physionet.org/content/edr

    Args:
        depth: Range of the depth: the largest relative change of amplitude, 0 to 1.
        frequency: Range of the sine's frequency in Hz.
        per_lead: Breathing turns the axis as well: each lead follows the sine with a factor of its own, -1 to 1,
            times the depth. Otherwise all leads follow it alike, and the axis stays.
        p: Probability that a sample is changed, 0 to 1.
    """

    def __init__(
        self, depth: Range = (0.05, 0.2), frequency: Range = (0.1, 0.5), per_lead: bool = False, p: float = 0.5
    ) -> None:
        super().__init__(p)
        self.depth = check_range("depth", depth, least=0, most=1)
        self.frequency = check_range("frequency", frequency, least=0)
        self.per_lead = per_lead

    def check(self, fs: float) -> None:
        super().check(fs)
        check_nyquist("GainModulation", self.frequency[1], fs, "lower its `frequency`")

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        shape = (len(x), 1)
        depth = draw(self.depth, shape, x, generator)
        frequency = draw(self.frequency, shape, x, generator)
        phase = draw((0, 2 * math.pi), shape, x, generator)
        source = sinusoids(torch.ones_like(depth), frequency, phase, fs, x.shape[-1])
        if self.per_lead:
            depth = depth * draw((-1, 1), (len(x), x.shape[1]), x, generator)
        return modulate(x, source.clamp_(-1, 1), depth)  # rounding takes a sine past 1
