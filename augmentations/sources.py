"""Sources of interference that leads share, each with gains of its own: of wander, hum, drift and motion."""

import math

import torch
from torch import Tensor
from torch.nn.functional import normalize

from augmentations.ranges import precise


def sinusoids(amplitude: Tensor, frequency: Tensor, phase: Tensor, fs: float, length: int) -> Tensor:
    """Sums K sinusoids into one signal per sample, (B, T = `length`): sum over k of a_k sin(2 pi f_k t + phi_k).

    `amplitude`, `frequency` (Hz) and `phase` (rad) are (B, K), `fs` is in Hz. Time is split into blocks and the
    angle-addition theorem joins the two by one matrix product, so that the sines to compute are 2 K sqrt(T), not K T.
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
    """How strongly, with which sign, each lead sees a common source, (B, C): normal, of root mean square 1."""
    gains = torch.randn(x.shape[:2], generator=generator, device=x.device, dtype=precise(x))
    return normalize(gains, dim=1) * math.sqrt(x.shape[1])


def add_source(x: Tensor, source: Tensor, gain: Tensor) -> Tensor:
    """Adds one source, (B, T), to every lead of (B, C, T), each with its own gain, (B, C)."""
    if x.dtype.itemsize < 4:  # what half precision cannot hold of the source would be infinite, and times 0 no number
        return torch.addcmul(x.float(), gain[:, :, None], source[:, None]).to(x.dtype)
    return torch.addcmul(x, gain[:, :, None].to(x.dtype), source[:, None].to(x.dtype))


def mixture_sd(sources: Tensor, gain: Tensor) -> Tensor:
    """The standard deviation of a mixture, (B, 1), as `signal_sd` defines it, without making the mixture.

    The sources, (B, S, T), have each a mean of 0 over time; a lead sees each with its own gain, (B, C, S).
    """
    together = (sources @ sources.mT) / sources.shape[-1]
    return ((gain @ together) * gain).sum(-1).mean(-1, keepdim=True).clamp_min(0).sqrt()


def add_sources(x: Tensor, sources: Tensor, gain: Tensor) -> Tensor:
    """Adds several sources, (B, S, T), to every lead of (B, C, T), each with its own gain, (B, C, S)."""
    if sources.shape[1] > 2:
        return torch.baddbmm(x, gain.to(x.dtype), sources.to(x.dtype))
    x = add_source(x, sources[:, 0], gain[..., 0])  # one by one: a third faster than a matrix product of so few
    if sources.shape[1] == 2:
        x = x.addcmul_(gain[..., 1:].to(x.dtype), sources[:, 1:].to(x.dtype))
    return x


def mixture_gains(x: Tensor, sources: int, generator: torch.Generator | None) -> Tensor:
    """Random gains of each lead for each of S sources, (B, C, S): normal, on average of power 1 in each lead."""
    gain = torch.randn(*x.shape[:2], sources, generator=generator, device=x.device, dtype=precise(x))
    return gain.mul_(1 / math.sqrt(sources))


def spline_basis(length: int, step: float, like: Tensor) -> Tensor:
    """Cubic B-splines, one every `step` samples: a weighted sum of them is a smooth curve through time.

    They are (K, T = `length`), as many as overlap the record, at least 4, float32, or float64 if `like` is, on its
    device. At any time they add up to 1. Weights drawn independently make noise whose power falls as the eighth power
    of sinc(f step): 99 % of it is below one period in two steps.
    """
    dtype = precise(like)
    knots = math.floor((length - 1) / step) + 4
    # Positions count in steps; a float32 is exact enough for 10,000 of them.
    time = torch.arange(length, device=like.device, dtype=dtype).div_(step)
    centre = torch.arange(-1, knots - 1, device=like.device, dtype=dtype)
    away = (time - centre[:, None]).abs_()
    inner = (1 - away).clamp_(min=0).pow_(3)
    return (2 - away).clamp_(min=0).pow_(3).sub_(inner, alpha=4).div_(6)
