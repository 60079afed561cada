"""The hum of the mains."""

import math

import torch
from torch import Tensor

from augmentations.base import Augmentation
from augmentations.noise import signal_sd
from augmentations.ranges import Range, check_count, check_nyquist, check_range, check_share, constant, draw
from augmentations.sources import add_source, lead_gains, sinusoids

_SLOW = (0.05, 0.5)  # Hz: how fast the mains' frequency and the hum's amplitude vary, where they drift


def harmonic_hum(phase: Tensor, amplitude: Tensor, offset: Tensor) -> Tensor:
    """Sums a fundamental and its harmonics into one signal per sample: sum over h of a_h sin(h theta(t) + phi_h).

    `phase` is theta(t) in rad, (B, T); `amplitude` and `offset` (rad) are a and phi from the fundamental on, (B, H).
    """
    terms = enumerate(zip(amplitude.unbind(1), offset.unbind(1), strict=True), start=1)
    waves = ((a, torch.add(shift[:, None], phase, alpha=order).sin_()) for order, (a, shift) in terms)
    first, wave = next(waves)
    hum = wave.mul_(first[:, None])
    for a, wave in waves:
        hum = hum.addcmul_(wave, a[:, None])
    return hum


class Powerline(Augmentation):
    """Adds the hum of the mains: a sinusoid of random phase, seen by each lead with its own gain.

    On request with harmonics, of random phases and strengths, and with a frequency and an amplitude that vary slowly. A
    harmonic at or above half the sampling rate is left out, the fundamental is refused there: a recording at that rate
    has lost the one to its anti-aliasing filter but still hums, and without the other it does not.

    Reference: Friesen et al., A comparison of the noise sensitivity of nine QRS detection algorithms, IEEE
    Transactions on Biomedical Engineering 1990, https://doi.org/10.1109/10.43620

    Args:
        sd: Range of the hum, harmonics included (root mean square over leads), in standard deviations of the sample.
        frequencies: Frequencies of the mains in Hz; each sample draws one. 50 in most of the world, 60 in the Americas.
        harmonics: How many sinusoids: 3 at 50 Hz are 50, 100 and 150 Hz, the h-th at most 1/h as strong as the first.
        frequency_drift: Largest deviation of the mains' frequency in Hz, reached and left again in the course of 2
            to 20 s. Grids stay within 0.05 to 0.2 Hz.
        amplitude_drift: Largest relative change of the hum's amplitude, 0 to 1, in the course of 2 to 20 s.
        p: Probability that a sample is changed, 0 to 1.
    """

    def __init__(
        self,
        sd: Range = (0.02, 0.3),
        frequencies: tuple[float, ...] = (50.0,),
        harmonics: int = 1,
        frequency_drift: float = 0.0,
        amplitude_drift: float = 0.0,
        p: float = 0.5,
    ) -> None:
        super().__init__(p)
        self.sd = check_range("sd", sd, least=0)
        self.frequencies = tuple(float(f) for f in frequencies)
        if not (self.frequencies and 0 < min(self.frequencies) <= max(self.frequencies) < math.inf):
            raise ValueError(f"frequencies are positive numbers of Hz, at least one, not {frequencies!r}")
        if not 0 <= frequency_drift < min(self.frequencies):
            raise ValueError(f"frequency_drift is in Hz, 0 to below the mains' frequency, not {frequency_drift!r}")
        self.harmonics = check_count("harmonics", harmonics)
        self.frequency_drift = frequency_drift
        self.amplitude_drift = check_share("amplitude_drift", amplitude_drift, "a relative change")

    def check(self, fs: float) -> None:
        super().check(fs)
        remedy = (
            "a signal resampled to that rate has lost its hum. Leave Powerline out, use GaussianNoise"
            " instead, or prepare the data at a higher rate"
        )
        check_nyquist("Powerline", max(self.frequencies) + self.frequency_drift, fs, remedy)

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        size, length = len(x), x.shape[-1]
        amplitude = math.sqrt(2) * draw(self.sd, (size, 1), x, generator) * signal_sd(x)
        which = torch.randint(len(self.frequencies), (size, 1), generator=generator, device=x.device)
        frequency = constant(self.frequencies, x)[which]
        amplitude = amplitude * self._strengths(frequency, fs, generator)
        offset = draw((0, 2 * math.pi), amplitude.shape, x, generator)
        if not (self.frequency_drift or self.amplitude_drift):
            order = torch.arange(1, amplitude.shape[1] + 1, device=x.device)
            source = sinusoids(amplitude, order * frequency, offset, fs, length)
        else:
            time = torch.arange(length, device=x.device, dtype=amplitude.dtype)
            phase = (2 * math.pi / fs * frequency) * time + self._wandering_phase(x, fs, generator)
            source = harmonic_hum(phase, amplitude, offset) * self._swell(x, fs, generator)
        return add_source(x, source, lead_gains(x, generator))

    def _strengths(self, frequency: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        """The share of each harmonic in the hum, (B, H), of root sum of squares 1; 0 beyond half the rate."""
        reach = fs / 2 / (min(self.frequencies) + self.frequency_drift)
        order = torch.arange(1, min(self.harmonics, math.ceil(reach) - 1) + 1, device=frequency.device)
        share = draw((0, 1), (len(frequency), len(order)), frequency, generator) / order
        share = torch.where(order == 1, 1, share)
        share = share * (order * (frequency + self.frequency_drift) < fs / 2)
        total: Tensor = torch.linalg.vector_norm(share, dim=1, keepdim=True)
        return share / total

    def _wandering_phase(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        """By how many rad the fundamental is ahead of an even one, (B, T), where its frequency swings."""
        slow = draw(_SLOW, (len(x), 1), x, generator)
        start = draw((0, 2 * math.pi), (len(x), 1), x, generator)
        largest = draw((0, self.frequency_drift), (len(x), 1), x, generator)
        return sinusoids(largest / slow, slow, start, fs, x.shape[-1])

    def _swell(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        """The hum's relative amplitude over time, (B, T), of root mean square 1 over a long time."""
        slow = draw(_SLOW, (len(x), 1), x, generator)
        start = draw((0, 2 * math.pi), (len(x), 1), x, generator)
        depth = draw((0, self.amplitude_drift), (len(x), 1), x, generator)
        return (1 + sinusoids(depth, slow, start, fs, x.shape[-1])) / (1 + depth.square() / 2).sqrt()
