"""The hum of the mains."""

import math

import torch
from torch import Tensor

from augmentations.base import Augmentation
from augmentations.noise import signal_sd
from augmentations.ranges import check_range, draw
from augmentations.sources import add_source, lead_gains, sinusoids


class Powerline(Augmentation):
    """Adds the hum of the mains: one sinusoid of random phase, seen by each lead with its own gain.

    Reference: Friesen et al., A comparison of the noise sensitivity of nine QRS detection algorithms, IEEE
    Transactions on Biomedical Engineering 1990, https://doi.org/10.1109/10.43620

    Args:
        sd: Range of the hum's standard deviation (root mean square over leads), in standard deviations of the
            sample.
        frequencies: Frequencies of the mains in Hz; each sample draws one. 50 in most of the world, 60 in the
            Americas.
        p: Probability that a sample is changed, 0 to 1.

    Raises:
        ValueError: If the range is empty or negative, a frequency is not positive or none is given, or `p` is
            not a probability.
    """

    def __init__(
        self, sd: tuple[float, float] = (0.02, 0.3), frequencies: tuple[float, ...] = (50.0,), p: float = 0.5
    ) -> None:
        super().__init__(p)
        self.sd = check_range("sd", sd, least=0)
        self.frequencies = tuple(float(f) for f in frequencies)
        if not (self.frequencies and min(self.frequencies) > 0):
            raise ValueError(f"frequencies are positive numbers of Hz, at least one, not {frequencies!r}")

    def check(self, fs: float) -> None:
        """Refuses a rate that cannot carry the mains; see `Augmentation.check`."""
        super().check(fs)
        highest = max(self.frequencies)
        if highest >= fs / 2:
            raise ValueError(
                f"Powerline at {highest:g} Hz needs a sampling rate above {2 * highest:g} Hz, not fs={fs:g}:"
                " a signal resampled to that rate has lost its hum. Leave Powerline out, use GaussianNoise"
                " instead, or prepare the data at a higher rate"
            )

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        """Adds hum to every sample; see `Augmentation.apply`."""
        shape = (len(x), 1)
        amplitude = math.sqrt(2) * draw(self.sd, shape, x, generator) * signal_sd(x)
        which = torch.randint(len(self.frequencies), shape, generator=generator, device=x.device)
        frequency = torch.tensor(self.frequencies, dtype=amplitude.dtype, device=x.device)[which]
        phase = draw((0, 2 * math.pi), shape, x, generator)
        source = sinusoids(amplitude, frequency, phase, fs, x.shape[-1])
        return add_source(x, source, lead_gains(x, generator))
