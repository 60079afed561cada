"""A source of interference that all leads share, each with its own gain: what wander, hum and motion are made of."""

import math

import torch
from torch import Tensor
from torch.nn.functional import normalize


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
