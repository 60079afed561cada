"""Smooth curves from a few numbers: what slow drifts and envelopes are made of."""

import math

import torch
from torch import Tensor


def spline_basis(length: int, step: float, like: Tensor) -> Tensor:
    """Cubic B-splines, one every `step` samples: a weighted sum of them is a smooth curve through time.

    Weights drawn independently make noise whose power falls as the eighth power of sinc(f step): 99 % of it is
    below one period in two steps.

    Args:
        length: Number of samples in time, T.
        step: Distance between two splines in samples.
        like: Gives the device and, if it is float64, the precision.

    Returns:
        The splines, (K, T), as many as overlap the record, at least 4, float32 or float64. At any time they add up
        to 1.
    """
    dtype = torch.promote_types(like.dtype, torch.float32)
    knots = math.floor((length - 1) / step) + 4
    # Positions count in steps; a float32 is exact enough for 10,000 of them.
    time = torch.arange(length, device=like.device, dtype=dtype).div_(step)
    centre = torch.arange(-1, knots - 1, device=like.device, dtype=dtype)
    away = (time - centre[:, None]).abs_()
    inner = (1 - away).clamp_(min=0).pow_(3)
    return (2 - away).clamp_(min=0).pow_(3).sub_(inner, alpha=4).div_(6)
