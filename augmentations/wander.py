"""The sway of the baseline: breathing, and electrodes that slowly settle."""

import math

import torch
from torch import Tensor
from torch.nn.functional import normalize

from augmentations.base import Augmentation
from augmentations.noise import signal_sd
from augmentations.ranges import check_count, check_nyquist, check_range, draw
from augmentations.sources import add_source, lead_gains, sinusoids


class BaselineWander(Augmentation):
    """Adds the slow drift of breathing and electrodes: one source, which each lead sees with its own gain.

    Reference: Lenis et al., Comparison of baseline wander removal techniques, Computational and Mathematical
    Methods in Medicine 2017, https://www.ncbi.nlm.nih.gov/pmc/articles/PMC5361052. A gain per lead as in
    Mehari & Strodthoff, Self-supervised representation learning from 12-lead ECG data, 2022,
    https://arxiv.org/abs/2103.12676

    Args:
        sd: Range of the wander's standard deviation (root mean square over leads, phases and a long time), in
            standard deviations of the sample.
        frequency: Range of the sinusoids' frequencies in Hz; none is above the second.
        components: How many sinusoids, each of random frequency, phase and share of the power.
        p: Probability that a sample is changed, 0 to 1.

    Raises:
        ValueError: If a range is empty or negative, `components` is not positive, or `p` is not a
            probability.
    """

    def __init__(
        self,
        sd: tuple[float, float] = (0.1, 1.0),
        frequency: tuple[float, float] = (0.05, 0.5),
        components: int = 4,
        p: float = 0.5,
    ) -> None:
        super().__init__(p)
        self.sd = check_range("sd", sd, least=0)
        self.frequency = check_range("frequency", frequency, least=0)
        self.components = check_count("components", components)

    def check(self, fs: float) -> None:
        """Refuses a rate too low for the highest frequency; see `Augmentation.check`."""
        super().check(fs)
        check_nyquist("BaselineWander", self.frequency[1], fs, "frequency")

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        """Adds wander to every sample; see `Augmentation.apply`."""
        shape = (len(x), self.components)
        sd = draw(self.sd, (len(x), 1), x, generator) * signal_sd(x)
        share = normalize(draw((0, 1), shape, x, generator), dim=1)
        frequency = draw(self.frequency, shape, x, generator)
        phase = draw((0, 2 * math.pi), shape, x, generator)
        source = sinusoids(math.sqrt(2) * sd * share, frequency, phase, fs, x.shape[-1])
        return add_source(x, source, lead_gains(x, generator))
