"""Several sources of interference, of which each lead sees its own mixture."""

import math

import torch
from torch import Tensor

from augmentations.sources import add_source


def mixture_sd(sources: Tensor, gain: Tensor) -> Tensor:
    """The standard deviation of a mixture, as `signal_sd` defines it, without making the mixture.

    Args:
        sources: Sources, each of mean 0 over time, (B, S, T).
        gain: How strongly each lead sees each source, (B, C, S).

    Returns:
        Root mean square over leads of each lead's standard deviation, (B, 1).
    """
    together = (sources @ sources.mT) / sources.shape[-1]
    return ((gain @ together) * gain).sum(-1).mean(-1, keepdim=True).clamp_min(0).sqrt()


def add_sources(x: Tensor, sources: Tensor, gain: Tensor) -> Tensor:
    """Adds several sources to every lead, each with its own gain.

    Args:
        x: Signals, (B, C, T).
        sources: (B, S, T).
        gain: (B, C, S).

    Returns:
        Signals, (B, C, T).
    """
    if sources.shape[1] > 2:
        return torch.baddbmm(x, gain.to(x.dtype), sources.to(x.dtype))
    x = add_source(x, sources[:, 0], gain[..., 0])  # one by one: a third faster than a matrix product of so few
    if sources.shape[1] == 2:
        x = x.addcmul_(gain[..., 1:].to(x.dtype), sources[:, 1:].to(x.dtype))
    return x


def mixture_gains(x: Tensor, sources: int, generator: torch.Generator | None) -> Tensor:
    """Random gains of each lead for each source: normal, in the mean over samples of power 1 in each lead.

    Args:
        x: Signals, (B, C, T): gives shape and device.
        sources: How many sources, S.
        generator: Where the numbers come from.

    Returns:
        Gains, (B, C, S), float32 or float64.
    """
    dtype = torch.promote_types(x.dtype, torch.float32)
    gain = torch.randn(*x.shape[:2], sources, generator=generator, device=x.device, dtype=dtype)
    return gain.mul_(1 / math.sqrt(sources))
