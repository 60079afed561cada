"""Where random numbers come from: a generator for each purpose and step, none from global state."""

from __future__ import annotations

from enum import IntEnum

import torch


class Purpose(IntEnum):
    """What random numbers are for: two purposes never share a stream. The numbers are part of every result."""

    ORDER = 1  # of an epoch's windows
    PATIENTS = 2  # of a batch
    PROBE_SAMPLE = 3
    VIEWS = 4  # and masks: what a method draws at a step
    MONITOR_SAMPLE = 5
    MONITOR_VIEWS = 6
    FINE_TUNING_VIEWS = 7
    STREAM_BLOCKS = 7
    PARTNERS = 8
    DROPOUT = 9  # and all else that draws from torch's global state in a training step


def stream(*key: int) -> int:
    """The seed of one purpose at one step."""
    seed = 0
    for part in key:
        # A multiplicative hash with odd constants: neighbouring keys give unrelated seeds.
        seed = ((seed ^ (part & 0xFFFFFFFF)) * 0x9E3779B97F4A7C15 + 0x7F4A7C159E3779B9) & 0x7FFFFFFFFFFFFFFF
        seed ^= seed >> 29
    return seed


def generator(*key: int, device: torch.device | str = "cpu") -> torch.Generator:
    """Make a generator for one purpose at one step: all randomness of training comes from such, none from global state.

    The key is the run's seed, the `Purpose`, and what tells its draws apart, such as step and rank.
    """
    return torch.Generator(device=device).manual_seed(stream(*key))
