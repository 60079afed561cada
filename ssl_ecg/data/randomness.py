"""Where random numbers come from: a generator for each purpose and step, none from global state."""

from __future__ import annotations

import torch


def generator(*key: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator for one purpose at one step: all randomness of training comes from such, none from global state."""
    seed = 0
    for part in key:
        # A multiplicative hash with odd constants: neighbouring keys give unrelated seeds.
        seed = ((seed ^ (part & 0xFFFFFFFF)) * 0x9E3779B97F4A7C15 + 0x7F4A7C159E3779B9) & 0x7FFFFFFFFFFFFFFF
        seed ^= seed >> 29
    return torch.Generator(device=device).manual_seed(seed)
