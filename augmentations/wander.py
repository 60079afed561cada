"""The baseline's sway with breathing, and its aimless drift as electrodes settle, dry out and warm up."""

import math

import torch
from torch import Tensor
from torch.nn.functional import normalize

from augmentations.base import Augmentation
from augmentations.noise import signal_sd
from augmentations.ranges import Range, check_count, check_nyquist, check_positive, check_range, draw
from augmentations.sources import (
    add_source,
    add_sources,
    lead_gains,
    mixture_gains,
    mixture_sd,
    sinusoids,
    spline_basis,
)

_FLAT = 1e-4  # a walk with a smaller standard deviation than this, in steps, is not made larger


class BaselineWander(Augmentation):
    """Adds the slow drift of breathing and electrodes: one source, which each lead sees with its own gain.

    Reference: Lenis et al., Comparison of baseline wander removal techniques, Computational and Mathematical Methods in
    Medicine 2017, https://www.ncbi.nlm.nih.gov/pmc/articles/PMC5361052. A gain per lead as in Mehari & Strodthoff,
    2022, https://arxiv.org/abs/2103.12676

    Args:
        sd: Range of the wander (root mean square over leads, phases and time), in standard deviations of the sample.
        frequency: Range of the sinusoids' frequencies in Hz; none is above the second.
        components: How many sinusoids, each of random frequency, phase and share of the power.
        p: Probability that a sample is changed, 0 to 1.
    """

    def __init__(
        self, sd: Range = (0.1, 1.0), frequency: Range = (0.05, 0.5), components: int = 4, p: float = 0.5
    ) -> None:
        super().__init__(p)
        self.sd = check_range("sd", sd, least=0)
        self.frequency = check_range("frequency", frequency, least=0)
        self.components = check_count("components", components)

    def check(self, fs: float) -> None:
        super().check(fs)
        check_nyquist("BaselineWander", self.frequency[1], fs, "lower its `frequency`")

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        shape = (len(x), self.components)
        sd = draw(self.sd, (len(x), 1), x, generator) * signal_sd(x)
        share = normalize(draw((0, 1), shape, x, generator), dim=1)
        frequency = draw(self.frequency, shape, x, generator)
        phase = draw((0, 2 * math.pi), shape, x, generator)
        source = sinusoids(math.sqrt(2) * sd * share, frequency, phase, fs, x.shape[-1])
        return add_source(x, source, lead_gains(x, generator))


class BaselineDrift(Augmentation):
    """Adds the aimless drift of electrodes that settle: smoothed random walks, in each lead another mixture.

    Unlike `BaselineWander`, which sways as breathing does, the same in all leads up to a gain, it has no period, does
    not return, and differs in shape between leads. Like it, it changes the ST segment and nothing faster.

    Reference: Lenis et al., 2017, https://www.ncbi.nlm.nih.gov/pmc/articles/PMC5361052, for the baseline's energy.

    Args:
        sd: Range of the drift (root mean square over leads and time, mean 0), in standard deviations of the sample.
        cutoff: The frequency in Hz below which 99 % of its energy is, in a record of several seconds. A walk takes two
            steps in one period of it.
        sources: How many walks there are, which each lead sees with gains of random size and sign. With one all
            leads drift alike; with as many as there are leads, each drifts by itself. From 3 on it takes longer.
        p: Probability that a sample is changed, 0 to 1.
    """

    def __init__(self, sd: Range = (0.1, 1.0), cutoff: float = 0.5, sources: int = 2, p: float = 0.5) -> None:
        super().__init__(p)
        self.sd = check_range("sd", sd, least=0)
        self.cutoff = check_positive("cutoff", cutoff, "Hz")
        self.sources = check_count("sources", sources)

    def check(self, fs: float) -> None:
        super().check(fs)
        check_nyquist("BaselineDrift", self.cutoff, fs, "lower its `cutoff`")

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        size, _, length = x.shape
        basis = spline_basis(length, fs / (2 * self.cutoff), x)
        steps = torch.randn(size, self.sources, len(basis), generator=generator, device=x.device, dtype=basis.dtype)
        # Around 0, here and over time: without the walk's own mean rounding errors stay small.
        walk = steps.cumsum(-1)
        source = (walk - walk.mean(-1, keepdim=True)) @ basis
        source = source - source.mean(-1, keepdim=True)
        gain = mixture_gains(x, self.sources, generator)
        sd = draw(self.sd, (size, 1), x, generator) * signal_sd(x) / mixture_sd(source, gain).clamp_min(_FLAT)
        return add_sources(x, source, gain * sd[..., None])
