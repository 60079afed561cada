"""What the parts of the simulation share: random numbers that belong to one patient or record, and mixing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Floats = NDArray[np.float64]

# Samples. For a larger product OpenBLAS wakes every core, which takes ten times as long where they are busy.
_BLOCK = 1000


def stream(seed: int, *key: int) -> np.random.Generator:
    """Make the random stream of what `key` names, independent of every other key's."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


class Draws:
    """A table of standard normals, one row a record, dealt out column by column.

    Every row comes from its own stream: what a record gets does not depend on the batch it is in.
    """

    def __init__(self, streams: Sequence[np.random.Generator], width: int) -> None:
        self._table = np.stack([s.standard_normal(width) for s in streams])
        self._next = 0

    def take(self, rows: NDArray[np.intp]) -> Draws:
        """Put row `rows[i]` at place i: how the records of one patient share their draws."""
        taken = object.__new__(Draws)
        taken._table, taken._next = self._table[rows], self._next
        return taken

    def normal(self, *shape: int) -> Floats:
        """Deal standard normals, shape (rows, *shape)."""
        first, self._next = self._next, self._next + int(np.prod(shape))
        if self._next > self._table.shape[1]:
            raise IndexError(f"asked for {self._next} draws a row, dealt {self._table.shape[1]}")
        return self._table[:, first : self._next].reshape(-1, *shape)

    def uniform(self, low: float, high: float, *shape: int) -> Floats:
        """Deal uniforms between `low` and `high`, shape (rows, *shape)."""
        return low + (high - low) * np.asarray(ndtr(self.normal(*shape)))

    def factor(self, spread: float, *shape: int) -> Floats:
        """Deal log-normals of median 1, shape (rows, *shape); `spread` is the logarithm's deviation."""
        return np.asarray(np.exp(spread * self.normal(*shape)))


def mix(weights: Floats | NDArray[np.float32], sources: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weigh sources (B, K, T) by `weights` (B, C, K) or (C, K) and sum them: (B, C, T)."""
    weights = weights.astype(np.float32)
    mixed = np.empty((len(sources), weights.shape[-2], sources.shape[-1]), np.float32)
    for first in range(0, sources.shape[-1], _BLOCK):
        block = slice(first, first + _BLOCK)
        np.matmul(weights, sources[..., block], out=mixed[..., block])
    return mixed
