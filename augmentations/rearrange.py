"""The same samples in another order, at another place or at another rate."""

import math
from typing import Literal

import torch
from torch import Tensor

from augmentations.base import Augmentation
from augmentations.ranges import Range, check_count, check_positive, check_range, draw
from augmentations.warping import interpolate


def crop(x: Tensor, start: Tensor, length: int) -> Tensor:
    """Cuts `length` samples out of each of (B, C, T), from `start`, int64, (B,), in all leads alike."""
    size, leads, total = x.shape
    row = torch.arange(size * leads, device=x.device).mul_(total).view(size, leads)
    windows = x.reshape(-1).unfold(0, length, 1)
    return windows.index_select(0, (row + start[:, None]).flatten()).view(size, leads, length)


def circular_shift(x: Tensor, shift: Tensor) -> Tensor:
    """Moves each sample of (B, C, T) in time, all leads together; what leaves at one end comes in at the other.

    `shift`, int64, (B,), is by how many samples to later, of any sign and size.
    """
    length = x.shape[-1]
    return crop(torch.cat([x, x], dim=-1), (-shift).remainder(length), length)


class CircularShift(Augmentation):
    """Moves a record in time by a random amount; what leaves at one end comes in at the other.

    The beats keep their shape, but for one that the seam may cut; the RR interval at the seam is arbitrary.

    Reference: shift in Nonaka & Seita, Data Augmentation for Electrocardiogram Classification with Deep Neural
    Network, 2020, https://arxiv.org/abs/2009.04398

    Args:
        shift: Range of the shift in s, positive to later, modulo the record: 0 to its duration, or more, is anywhere.
        p: Probability that a sample is changed, 0 to 1.
    """

    def __init__(self, shift: Range = (0.0, 10.0), p: float = 0.5) -> None:
        super().__init__(p)
        self.shift = check_range("shift", shift, least=-math.inf)

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        return circular_shift(x, (draw(self.shift, (len(x),), x, generator) * fs).round_().long())


def permute_segments(x: Tensor, order: Tensor, cuts: Tensor) -> Tensor:
    """Cuts each sample of (B, C, T) into n segments and puts them together in another order, all leads alike.

    `order`, int64, (B, n), says which segment comes first, second, ...: a permutation of 0 to n - 1. `cuts`, int64,
    (B, n - 1), says where the second, third, ... segment begins, ascending from 0 to T.
    """
    size, leads, length = x.shape
    edge = torch.cat([cuts.new_zeros(size, 1), cuts, cuts.new_full((size, 1), length)], dim=1)
    source = edge[:, :-1].gather(1, order)  # where each segment of the result comes from ...
    ends = edge.diff(dim=1).gather(1, order).cumsum(1)  # ... and goes to
    place = torch.cat([ends.new_zeros(size, 1), ends[:, :-1]], dim=1)
    jump = torch.diff(source - place, dim=1, prepend=source.new_zeros(size, 1))
    position = torch.ones(size, length + 1, dtype=torch.int64, device=x.device)
    position[:, 0] = 0
    position = position.scatter_add_(1, place, jump).cumsum_(1)[:, :length]  # + 1 a sample, and the jumps
    return x.gather(2, position[:, None].expand(-1, leads, -1))


class SegmentPermutation(Augmentation):
    """Cuts a record into segments and puts them together in random order: every sample stays, once.

    Beats keep their shape, but for those that a cut divides; the rhythm across cuts is lost.

    Reference: permutation in Um et al., ICMI 2017, https://arxiv.org/abs/1706.00527

    Args:
        segments: How many segments.
        lengths: "equal" (to one sample), or "random": cut at places drawn evenly from the record.
        p: Probability that a sample is changed, 0 to 1.
    """

    def __init__(self, segments: int = 5, lengths: Literal["equal", "random"] = "equal", p: float = 0.5) -> None:
        super().__init__(p)
        if lengths not in ("equal", "random"):
            raise ValueError(f'lengths is "equal" or "random", not {lengths!r}')
        self.segments = check_count("segments", segments, least=2)
        self.lengths = lengths

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        size, leads, length = x.shape
        n = self.segments
        order = torch.rand(size, n, generator=generator, device=x.device).argsort(1)
        if self.lengths == "random":
            cuts = (draw((0, length), (size, n - 1), x, generator)).long().clamp_(max=length).sort(1).values
        elif length % n == 0:  # whole rows, which are cheaper to copy than single numbers
            row = order[:, None] + n * torch.arange(size * leads, device=x.device).view(size, leads, 1)
            return x.reshape(-1, length // n).index_select(0, row.flatten()).view(x.shape)
        else:
            cuts = (torch.arange(1, n, device=x.device) * length // n).expand(size, -1)
        return permute_segments(x, order, cuts)


class TimeReversal(Augmentation):
    """Plays a record backwards. Not physiological: no heart gives T before QRS before P.

    It keeps spectrum and rate; it is for ablations, and for telling forwards from backwards as a task of its own.

    Reference: flipping over time in Sarkar & Etemad, IEEE Transactions on Affective Computing 2022,
    https://arxiv.org/abs/2002.03898

    Args:
        p: Probability that a sample is changed, 0 to 1.
    """

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        return x.flip(-1)


class RandomCrop(Augmentation):
    """Cuts every sample to a shorter duration, at a random place of its own. This changes the length.

    Every sample is cut, for a batch has one length: there is no `p`. Heart rate and intervals stay.

    Reference: window slicing in Le Guennec et al., Data Augmentation for Time Series Classification using
    Convolutional Neural Networks, 2016, https://shs.hal.science/halshs-01357973

    Args:
        duration: How long the window is in s. A shorter record stays whole.
    """

    def __init__(self, duration: float = 2.5) -> None:
        super().__init__(p=1.0)
        self.duration = check_positive("duration", duration, "seconds")

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        length = min(max(1, round(self.duration * fs)), x.shape[-1])
        start = torch.randint(x.shape[-1] - length + 1, (len(x),), generator=generator, device=x.device)
        return crop(x, start, length)


class RateJitter(Augmentation):
    """Plays a record at another rate: heart rate and all frequencies change by the factor, widths inversely.

    A record that is played slower shows a part of itself, at a random place. One that is played faster is
    shorter than its time: the rest, up to half of it at a rate of 2, is its mirror image at the ends, where
    time runs backwards. `TimeWarp` changes the rate without needing more signal.

    Between samples the record is read along straight lines, which weakens its highest frequencies; those that the
    rate lifts above half the sampling rate fold back.

    Reference: stretching and compressing in Wen & Kang, A novel deep learning package for electrocardiography research,
    Physiological Measurement 2022, https://doi.org/10.1088/1361-6579/ac9451

    Args:
        rate: Range of the factor by which the heart rate changes, 0.5 to 2.
        p: Probability that a sample is changed, 0 to 1.
    """

    def __init__(self, rate: Range = (0.9, 1.1), p: float = 0.5) -> None:
        super().__init__(p)
        self.rate = check_range("rate", rate, least=0.5, most=2)

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        last = x.shape[-1] - 1
        rate = draw(self.rate, (len(x), 1), x, generator)
        start = draw((0, last), (len(x), 1), x, generator) * (1 - rate)
        time = torch.arange(last + 1, device=x.device, dtype=rate.dtype)
        position = torch.addcmul(start, rate, time)
        return interpolate(x, last - (last - position.abs_()).abs_())  # mirrored at both ends
