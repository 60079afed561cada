"""Noise as it is recorded: the sway of the baseline, the amplifier's hiss, the hum of the mains.

Every strength is a standard deviation in units of the sample's own (`signal_sd`), so that a recipe means the
same for millivolts and for z-scored signals. A clean 12-lead ECG of 1 mV R waves has a standard deviation
near 0.2 mV.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import normalize

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


def sinusoids(amplitude: Tensor, frequency: Tensor, phase: Tensor, fs: float, length: int) -> Tensor:
    """Sums K sinusoids into one signal per sample: sum over k of a_k sin(2 pi f_k t + phi_k).

    Time is split into blocks and the angle-addition theorem joins the two by one matrix product, so that the
    sines to compute are 2 K sqrt(T), not K T.

    Args:
        amplitude: Peak amplitudes, (B, K).
        frequency: Frequencies in Hz, (B, K).
        phase: Phases in rad, (B, K).
        fs: Sampling rate in Hz.
        length: Number of samples in time, T.

    Returns:
        The sums, (B, T).
    """
    block = math.isqrt(length - 1) + 1
    step = torch.arange(block, device=frequency.device, dtype=frequency.dtype)
    angle = (2 * math.pi / fs) * frequency[:, None]  # (B, 1, K), rad per sample
    coarse = step[:, None] * block * angle + phase[:, None]  # (B, block, K)
    fine = step[:, None] * angle
    starts = torch.cat([amplitude[:, None] * coarse.sin(), amplitude[:, None] * coarse.cos()], dim=-1)
    turns = torch.cat([fine.cos(), fine.sin()], dim=-1)
    return (starts @ turns.mT).flatten(1)[:, :length]


def lead_gains(x: Tensor, generator: torch.Generator | None) -> Tensor:
    """How strongly, and with which sign, each lead picks up a common source: normal, of root mean square 1.

    Args:
        x: Signals, (B, C, T): gives shape and device.
        generator: Where the numbers come from.

    Returns:
        Gains, (B, C), float32 or float64.
    """
    dtype = torch.promote_types(x.dtype, torch.float32)
    gains = torch.randn(x.shape[:2], generator=generator, device=x.device, dtype=dtype)
    return normalize(gains, dim=1) * math.sqrt(x.shape[1])


def add_source(x: Tensor, source: Tensor, gain: Tensor) -> Tensor:
    """Adds one common source to every lead, each with its own gain.

    Args:
        x: Signals, (B, C, T).
        source: (B, T).
        gain: (B, C).

    Returns:
        Signals, (B, C, T).
    """
    return torch.addcmul(x, gain[:, :, None].to(x.dtype), source[:, None].to(x.dtype))


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
        if components < 1:
            raise ValueError(f"components is a number of sinusoids, at least 1, not {components!r}")
        self.components = components

    def check(self, fs: float) -> None:
        """Refuses a rate too low for the highest frequency; see `Augmentation.check`."""
        super().check(fs)
        highest = self.frequency[1]
        if highest >= fs / 2:
            raise ValueError(
                f"BaselineWander up to {highest:g} Hz needs a sampling rate above {2 * highest:g} Hz,"
                f" not fs={fs:g}: lower its `frequency`"
            )

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        """Adds wander to every sample; see `Augmentation.apply`."""
        shape = (len(x), self.components)
        sd = draw(self.sd, (len(x), 1), x, generator) * signal_sd(x)
        share = normalize(draw((0, 1), shape, x, generator), dim=1)
        frequency = draw(self.frequency, shape, x, generator)
        phase = draw((0, 2 * math.pi), shape, x, generator)
        source = sinusoids(math.sqrt(2) * sd * share, frequency, phase, fs, x.shape[-1])
        return add_source(x, source, lead_gains(x, generator))


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
