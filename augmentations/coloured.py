"""Noise of a given spectrum: 1/f noise of electrodes, and the crackle of muscles."""

import itertools
import math

import torch
from torch import Tensor
from torch.nn.functional import pad

from augmentations.base import Augmentation
from augmentations.fourier import fast_length
from augmentations.noise import normal_noise, signal_sd
from augmentations.ranges import Range, check_range, check_share, draw
from augmentations.sources import sinusoids, spline_basis

_REUSE = 32  # how many samples of a large batch share one stretch of noise, each at its own shift ...
_FRESH = 8  # ... and from how many samples on
_TREMOR = (4.0, 12.0)  # Hz: parkinsonian tremor 4 to 6, physiological 8 to 12, shivering between
_NARROWEST = 30.0  # Hz: bursts and tremor would spread more than a tenth of the energy out of a narrower band
_SHORTEST = 0.05  # s: a faster envelope would be the noise


def shaped_noise(weight: Tensor, leads: int, length: int, generator: torch.Generator | None, first: int = 0) -> Tensor:
    """Normal noise with a given spectrum, which is periodic: its end joins its beginning.

    It is (K, C = `leads`, N = `length`), independent in each lead; the root mean square of each (C, N) is 1. `weight`,
    (K, F), is the expected amplitude in any unit of each frequency, k / N periods per sample for k from `first` on;
    that of k = 0 has to be 0, and frequencies beyond are not there. N is at least 4, fastest if 2^a 3^b 5^c.
    """
    shape = (weight.shape[0], leads, weight.shape[1], 2)
    parts = normal_noise(weight.new_empty(shape[0], leads, 2 * shape[2]), generator).view(shape)
    spectrum = torch.view_as_complex(parts.mul_(weight[:, None, :, None]))
    noise: Tensor = torch.fft.irfft(pad(spectrum, (first, 0)), n=length)
    total: Tensor = torch.linalg.vector_norm(noise, dim=(1, 2), keepdim=True)
    return noise.div_(total / math.sqrt(leads * length))


def add_shifted(x: Tensor, noise: Tensor, strength: Tensor) -> Tensor:
    """Adds K periodic noises to a batch, each to a share of the samples, to each of those at another shift.

    The shifts are even, for then the shifted noises are views of one stretch, which costs no memory and stays in the
    cache: half the time of noise written out for each sample. `noise` is one period of each, (K, C, N), with K at most
    B and N at least T and B / K: the first goes to the first B / K samples of `x`, (B, C, T), and so on. `strength`:
    (B, 1) or (B, T).
    """
    length = x.shape[-1]
    noise = noise.to(x.dtype)
    noise = torch.cat([noise, noise[..., :length]], dim=-1)  # a view of T samples fits from every shift
    strength = strength[:, None].to(x.dtype)
    if len(noise) == 1:
        return torch.addcmul(x, _shifts(noise[0], len(x), length), strength)
    result = x.clone(memory_format=torch.contiguous_format)
    ends = [len(x) * part // len(noise) for part in range(len(noise) + 1)]  # as even as can be
    for part, (start, end) in zip(noise, itertools.pairwise(ends), strict=True):
        result[start:end].addcmul_(_shifts(part, end - start, length), strength[start:end])
    return result


def _shifts(noise: Tensor, size: int, length: int) -> Tensor:
    """Views, (size, C, T), from evenly spaced starts in (C, N + T)."""
    return noise.unfold(-1, length, (noise.shape[-1] - length) // size)[:, :size].transpose(0, 1)


def _stretches(size: int) -> int:
    """Into how many noises a batch is worth dividing: one for each sample, or for 32 if there are many."""
    return min(size, max(_FRESH, size // _REUSE))


class ColouredNoise(Augmentation):
    """Adds noise whose power falls with frequency as 1 / f^a, equally strong in all leads and independent in each.

    The noise of an electrode on skin is of this kind, and each electrode has its own: hence no common source. With
    an exponent of 0 it is white (`GaussianNoise`), with 1 pink, with 2 a random walk; the power law holds from about
    one period in the record up to half the sampling rate. Up to 8 samples in a batch each have a noise and an
    exponent of their own; of larger batches up to 32 samples share both, at different shifts in time.

    Reference: Timmer & König, On generating power law noise, Astronomy and Astrophysics 1995,
    https://ui.adsabs.harvard.edu/abs/1995A%26A...300..707T; for electrodes Huigen, Peper & Grimbergen, Investigation
    into the origin of the noise of surface electrodes, Medical & Biological Engineering & Computing 2002,
    https://doi.org/10.1007/BF02344216

    Args:
        sd: Range of the noise (root mean square over leads and ~1.25 records), in standard deviations of the sample.
        exponent: Range of the exponent a, 0 to 4.
        p: Probability that a sample is changed, 0 to 1.
    """

    def __init__(self, sd: Range = (0.01, 0.2), exponent: Range = (0.5, 2.0), p: float = 0.5) -> None:
        super().__init__(p)
        self.sd = check_range("sd", sd, least=0)
        self.exponent = check_range("exponent", exponent, least=0, most=4)

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        sd = draw(self.sd, (len(x), 1), x, generator) * signal_sd(x)
        exponent = draw(self.exponent, (_stretches(len(x)), 1), x, generator)
        # Longer than the record, or its ends would meet; and a shift for each sample that shares it.
        period = fast_length(max(math.ceil(1.25 * x.shape[-1]), 2 * _REUSE))
        order = torch.arange(1, period // 2 + 1, device=x.device, dtype=exponent.dtype)
        weight = (order.log() * (-exponent / 2)).exp_()
        return add_shifted(x, shaped_noise(weight, x.shape[1], period, generator, first=1), sd)


class MuscleNoise(Augmentation):
    """Adds the noise of muscles (EMG): a band of frequencies that swells and fades as muscles contract.

    Its power is a smooth hump over the band, as that of the surface EMG is. Over time some samples have an even
    contraction, some have bursts, some a tremor, whose bursts come 4 to 12 times a second; leads swell together but
    their noise is independent. At most 1 % of the energy is outside a band of 100 Hz and more, as far as the
    sampling rate carries it; up to 10 % outside one of 30 Hz. Up to 8 samples in a batch each have a noise of their
    own; of larger batches up to 32 samples share one, at different shifts in time and with envelopes of their own.

    Reference: De Luca et al., Filtering the surface EMG signal: movement artifact and baseline noise contamination,
    Journal of Biomechanics 2010, https://doi.org/10.1016/j.jbiomech.2010.01.027, for the lower edge; the upper is that
    of a diagnostic ECG. Muscle noise in ECG: Moody, Muldrow & Mark, Computers in Cardiology 1984,
    https://physionet.org/content/nstdb/1.0.0/

    Args:
        sd: Range of the noise (root mean square over leads and the record), in standard deviations of the sample.
        band: Lowest and highest frequency in Hz, at least 30 Hz apart; what is above half the rate is left out.
        burst: Shortest time in s in which a contraction swells or fades, at least 0.05.
        tremor: Share of the samples that have a tremor, 0 to 1.
        p: Probability that a sample is changed, 0 to 1.
    """

    def __init__(
        self,
        sd: Range = (0.02, 0.3),
        band: Range = (20.0, 150.0),
        burst: float = 0.3,
        tremor: float = 0.3,
        p: float = 0.5,
    ) -> None:
        super().__init__(p)
        self.sd = check_range("sd", sd, least=0)
        self.band = check_range("band", band, least=0)
        if self.band[1] - self.band[0] < _NARROWEST:
            raise ValueError(f"band is (lowest, highest) in Hz, at least {_NARROWEST:g} Hz apart, not {band!r}")
        if not _SHORTEST <= burst < math.inf:
            raise ValueError(f"burst is a time of at least {_SHORTEST:g} s, not {burst!r}")
        self.burst = burst
        self.tremor = check_share("tremor", tremor, "a share of the samples")

    def check(self, fs: float) -> None:
        super().check(fs)
        least = 2 * (self.band[0] + _NARROWEST)
        if fs < least:
            raise ValueError(
                f"MuscleNoise from {self.band[0]:g} Hz needs a sampling rate of at least {least:g} Hz, not fs={fs:g}:"
                " a signal resampled to that rate has lost most of its muscle noise. Leave MuscleNoise out, use"
                " GaussianNoise instead, or prepare the data at a higher rate"
            )

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        size, leads, length = x.shape
        low, high = self.band[0], min(self.band[1], fs / 2)
        # Long enough for ten frequencies in the band, and for a shift for each sample.
        period = fast_length(math.ceil(max(1.25 * _stretches(size) * length, 10 * fs / (high - low), size)))
        first = math.ceil(low / fs * period)
        order = torch.arange(first, math.floor(high / fs * period) + 1, device=x.device)
        width = ((order * (fs / period) - low) / (high - low)).clamp_(0, 1)
        strength = draw(self.sd, (size, 1), x, generator) * signal_sd(x)
        weight = torch.sin(math.pi * width).to(strength.dtype)[None]
        noise = shaped_noise(weight, leads, period, generator, first)
        return add_shifted(x, noise, strength * self._envelope(x, fs, generator))

    def _envelope(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        """How strongly the muscles contract over time, (B, T), of root mean square 1."""
        size, length = len(x), x.shape[-1]
        basis = spline_basis(length, self.burst * fs, x)
        level = draw((0.01, 1), (size, len(basis)), x, generator)
        envelope = level.pow(draw((0, 4), (size, 1), x, generator)) @ basis  # power 0: even; 4: bursts
        trembles = 0.98 * (draw((0, 1), (size, 1), x, generator) < self.tremor)  # never quite to silence: no 0 / 0
        rate = draw(_TREMOR, (size, 1), x, generator)
        phase = draw((0, 2 * math.pi), (size, 1), x, generator)
        envelope = torch.addcmul(envelope, envelope, sinusoids(trembles.to(rate.dtype), rate, phase, fs, length))
        total: Tensor = torch.linalg.vector_norm(envelope, dim=-1, keepdim=True)
        return envelope * (math.sqrt(length) / total)
