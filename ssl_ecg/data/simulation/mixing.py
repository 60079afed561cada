"""Leads as weighted sums of sources."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.data.simulation.draws import Floats

# Samples. For a larger product OpenBLAS wakes every core, which takes ten times as long where they are busy.
_BLOCK = 1000


def mix(weights: Floats | NDArray[np.float32], sources: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weigh sources (B, K, T) by `weights` (B, C, K) or (C, K) and sum them: (B, C, T)."""
    weights = weights.astype(np.float32)
    mixed = np.empty((len(sources), weights.shape[-2], sources.shape[-1]), np.float32)
    for first in range(0, sources.shape[-1], _BLOCK):
        block = slice(first, first + _BLOCK)
        np.matmul(weights, sources[..., block], out=mixed[..., block])
    return mixed
