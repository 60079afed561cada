"""Electrodes that are pushed, pulled or come loose for a moment."""

import math

import torch
from torch import Tensor

from augmentations.base import Augmentation
from augmentations.noise import signal_sd
from augmentations.ranges import Range, check_range, check_share, draw, draw_log
from augmentations.sources import add_source


def transients(onset: Tensor, peak: Tensor, rise: Tensor, decay: Tensor, length: int) -> Tensor:
    """Sums jumps that die away: each is peak exp(-(t - t0) / decay) after t0, peak exp((t - t0) / rise) before.

    All are (B, E): `onset` (t0), `rise` and `decay` in samples, `peak` in any unit. The sums are (B, T = `length`).
    """
    time = torch.arange(length, device=onset.device, dtype=onset.dtype)
    total = torch.zeros(len(onset), length, device=onset.device, dtype=onset.dtype)
    # One by one: (B, T) stays in a processor's cache, where (B, E, T) would not.
    for start, height, up, down in zip(*(each.split(1, dim=1) for each in (onset, peak, rise, decay)), strict=True):
        after = time - start
        before = after / up
        after = after.div_(-down)
        # Below e^-60 a float32 would soon be subnormal, and those are slow to multiply.
        jump = torch.minimum(before, after, out=after).clamp_(min=-60).exp_()
        total.addcmul_(jump, height)
    return total


class ElectrodeMotion(Augmentation):
    """Adds the transients of a moving electrode: sudden jumps of the baseline that die away exponentially.

    A decay as short as the QRS complex makes a spike that resembles one; one of a second or more is a step, which
    the amplifier's high-pass filter slowly takes back (its time constant is 3.2 s for 0.05 Hz and 0.32 s for 0.5
    Hz). One electrode of a record moves: all its transients are seen in the same leads, those it takes part in, each
    with a gain of random size and sign. The rhythm of the heart stays.

    Reference: abrupt baseline shift in Friesen et al., IEEE Transactions on Biomedical Engineering 1990,
    https://doi.org/10.1109/10.43620; electrode motion in Moody, Muldrow & Mark, Computers in Cardiology 1984,
    https://physionet.org/content/nstdb/1.0.0/

    Args:
        amplitude: Range of a transient's peak in its strongest lead, in standard deviations of the sample (R: 3 to 10).
        rate: Range of how many there are in a minute; a record has at least one.
        rise: Range of the time constant of the rise in s, log-uniform, at least 0.001.
        decay: Range of the time constant of the decay in s, log-uniform, at least 0.001.
        leads: Chance of each lead to see them, 0 to 1; one at least always does.
        p: Probability that a sample is changed, 0 to 1.
    """

    def __init__(
        self,
        amplitude: Range = (0.5, 5.0),
        rate: Range = (3.0, 12.0),
        rise: Range = (0.005, 0.05),
        decay: Range = (0.05, 2.0),
        leads: float = 0.4,
        p: float = 0.5,
    ) -> None:
        super().__init__(p)
        self.amplitude = check_range("amplitude", amplitude, least=0)
        self.rate = check_range("rate", rate, least=0)
        self.rise = check_range("rise", rise, least=0.001)
        self.decay = check_range("decay", decay, least=0.001)
        self.leads = check_share("leads", leads, "a chance")

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        size, length = len(x), x.shape[-1]
        minutes = length / fs / 60
        # Numbers for as many as any sample may have are drawn; in most samples some of them are 0 high. Rounded up
        # or down at random, so that their mean is right in records that are short for the rate.
        most = math.floor(self.rate[1] * minutes) + 1
        count = draw(self.rate, (size, 1), x, generator) * minutes + draw((0, 1), (size, 1), x, generator)
        happens = torch.arange(most, device=x.device) < count.floor_().clamp_(min=1)
        shape = (size, most)
        peak = draw(self.amplitude, shape, x, generator) * _sign(draw((-1, 1), shape, x, generator)) * happens
        onset = draw((0, length - 1), shape, x, generator).round_()
        rise = draw_log(self.rise, shape, x, generator) * fs
        decay = draw_log(self.decay, shape, x, generator) * fs
        source = transients(onset, peak * signal_sd(x), rise, decay, length)
        return add_source(x, source, self._gains(x, generator))

    def _gains(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        """How strongly each lead sees the electrode, (B, C): 1 or -1 where most, less or nothing elsewhere."""
        chance = draw((0, 1), x.shape[:2], x, generator)
        gain = draw((0.1, 1), x.shape[:2], x, generator) * _sign(draw((-1, 1), x.shape[:2], x, generator))
        gain = gain * (chance <= chance.amin(1, keepdim=True).clamp_min(self.leads))
        return gain / gain.abs().amax(1, keepdim=True)


def _sign(number: Tensor) -> Tensor:
    """1 or -1; torch.sign knows a third."""
    return torch.where(number < 0, -1, 1)
