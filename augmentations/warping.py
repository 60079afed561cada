"""Changes of the time axis: its pace, and which part of it fills the record."""

import math

import torch
from torch import Tensor
from torch.nn.functional import normalize

from augmentations.base import Augmentation
from augmentations.ranges import Range, check_range, draw

# Values that `interpolate` computes at a time on a CPU: what it needs in between then stays in the cache, and is not
# asked of the system anew, which took four times as long as the work itself.
_SLICE = 2**19


def interpolate(x: Tensor, position: Tensor) -> Tensor:
    """Reads each sample of (B, C, T) at fractional positions in time, linearly between its two neighbours.

    `position`, (B, N), is in samples from 0 to T - 1; outside, the end points are read. The result is (B, C, N),
    exactly the values of `x` at whole positions.
    """
    few = max(1, _SLICE // max(1, x.shape[1] * position.shape[1]))
    if x.device.type != "cpu" or len(x) <= few or x.requires_grad or torch.compiler.is_compiling():
        return _interpolate(x, position)
    result = x.new_empty(*x.shape[:2], position.shape[1])
    for signals, positions, place in zip(x.split(few), position.split(few), result.split(few), strict=True):
        place.copy_(_interpolate(signals, positions))
    return result


def _interpolate(x: Tensor, position: Tensor) -> Tensor:
    last = x.shape[-1] - 1
    position = position.clamp(0, last)
    left = position.long()
    right = (left + 1).clamp_(max=last)
    return between(x, left, right, position - left)


def between(x: Tensor, left: Tensor, right: Tensor, weight: Tensor) -> Tensor:
    """Reads each sample of (B, C, T) on straight lines between its points `left` and `right`, int64, (B, N).

    `weight` says how far along each line to read, 0 to 1, (B, N). The result is (B, C, N).
    """
    before, after = (x.gather(2, at[:, None].expand(-1, x.shape[1], -1)) for at in (left, right))
    return before.lerp_(after, weight[:, None].to(x.dtype))


def warp(bend: Tensor, length: int) -> Tensor:
    """Smooth, monotone maps of [0, T - 1] onto itself with both ends fixed: positions, (B, T), for `interpolate`.

    The rate of the map is 1 + sum over k of b_k cos(pi k t / (T - 1)), with `bend` the b_k for k = 1 to K, (B, K), and
    T the `length` in samples. It stays within 1 +- sum |b_k|: monotone where that sum is at most 1.
    """
    # Double precision: a matrix product in float32 may be told to be a coarse one (TF32), and the map to go back.
    time = torch.arange(length, device=bend.device, dtype=torch.float64)
    order = torch.arange(1, bend.shape[1] + 1, device=bend.device, dtype=torch.float64)
    wave = math.pi / max(length - 1, 1) * order[:, None]
    shift = (wave * time).sin_() / wave  # (K, T), the same for all samples
    shift[:, -1] = 0  # sin(k pi), without its rounding error
    return torch.addmm(time, bend.double(), shift).to(bend.dtype)


class TimeWarp(Augmentation):
    """Speeds a record up here and slows it down there, smoothly; its first and last sample stay in place.

    The local heart rate changes by `strength` at most, and the intervals in a beat inversely; its mean stays.

    Reference: time warping in Um et al., ICMI 2017, https://arxiv.org/abs/1706.00527. There the
    pace is a spline through random knots; here it is a cosine series, whose largest deviation is known.

    Args:
        strength: Largest relative change of the local rate, 0 to below 1: at 0.2 a heart rate of 60 stays
            within 48 to 72 per minute. Each sample draws its own up to this.
        period: Shortest time in s in which the pace goes from fast to slow and back.
        p: Probability that a sample is changed, 0 to 1.
    """

    def __init__(self, strength: float = 0.2, period: float = 5.0, p: float = 0.5) -> None:
        super().__init__(p)
        if not 0 <= strength < 1:
            raise ValueError(f"strength is a relative change of rate, 0 to below 1, not {strength!r}")
        if not period > 0.05:
            raise ValueError(f"period is a number of seconds above 0.05, not {period!r}")
        self.strength = strength
        self.period = period

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        waves = max(1, int(2 * x.shape[-1] / fs / self.period))
        bend = normalize(draw((-1, 1), (len(x), waves), x, generator), p=1.0, dim=1)
        strength = draw((0, self.strength), (len(x), 1), x, generator)
        return interpolate(x, warp(bend * strength, x.shape[-1]))


class CropResize(Augmentation):
    """Cuts out a random part of the record and stretches it to the full length, along straight lines.

    This changes the heart rate: with a share of 0.5 a rate of 60 per minute is seen as 30, and every wave is
    twice as wide. Where rate or widths carry the label, keep the share near 1 or use `TimeWarp`.

    Reference: random resized crop in Mehari & Strodthoff, Self-supervised representation learning from
    12-lead ECG data, Computers in Biology and Medicine 2022, https://arxiv.org/abs/2103.12676

    Args:
        share: Range of the part's length, as a share of the record, 0.01 to 1.
        p: Probability that a sample is changed, 0 to 1.
    """

    def __init__(self, share: Range = (0.5, 1.0), p: float = 0.5) -> None:
        super().__init__(p)
        self.share = check_range("share", share, least=0.01, most=1)

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        share = draw(self.share, (len(x), 1), x, generator)
        start = draw((0, x.shape[-1] - 1), (len(x), 1), x, generator) * (1 - share)
        time = torch.arange(x.shape[-1], device=x.device, dtype=share.dtype)
        return interpolate(x, torch.addcmul(start, share, time))
