"""Recordings longer than a window: what is computed of their windows, averaged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl_ecg.data.windows import WindowIndex, WindowSet

Number = TypeVar("Number", bound=np.floating)
_AT_ONCE = 1024  # recordings: MiniRocket has 40 kB of features of each of their windows


def over_recordings(windows: WindowSet, compute: Callable[[WindowSet], NDArray[Number]]) -> NDArray[Number]:
    """Average over all windows of each recording where recordings have the classes; else compute as it is.

    So an embedding of a recording is that of `PretrainedEncoder`: the mean over windows that overlap by half, from the
    recording's start to its end. Recordings as long as a window are computed as they are.

    Args:
        windows: one of each recording.
        compute: makes an array (n, D) of n windows.

    Returns:
        Shape (n, D), a row for each of `windows`.
    """
    if not len(windows) or not longer(windows):
        return compute(windows)
    return np.concatenate([_averaged(windows[rows], compute) for rows in torch.arange(len(windows)).split(_AT_ONCE)])


def every_window(windows: WindowSet, overlap: float = 0.5) -> tuple[WindowSet, Tensor]:
    """Cut each recording of `windows` from its start to its end into windows, evenly spaced, that share `overlap`.

    Gives them with their recording's class, and how many each recording has, shape (n,). Where beats or rhythms have
    the classes, and where recordings are as long as a window, those that were given.
    """
    index = windows.index
    if not len(windows) or not longer(windows):
        return windows, torch.ones(len(windows), dtype=torch.int64)
    samples = windows.preprocessing.samples
    spare = windows.store.length[index.record] - samples
    count = -(-spare // max(1, int(samples * (1 - overlap)))) + 1
    row = torch.repeat_interleave(count)
    place = torch.arange(len(row)) - (count.cumsum(0) - count)[row]
    start = (place * spare[row] / (count[row] - 1).clamp_min(1)).round().long()
    return WindowSet(windows.store, windows.preprocessing, _at(index[row], start)), count


def whole(windows: WindowSet, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Load recordings in one piece, as conditioned, in batches of one length; beats' and rhythms' windows as they are.

    Gives row numbers (B,) and tensors (B, C, T).
    """
    index, store = windows.index, windows.store
    length = store.length[index.record] if store.task == "record" else torch.full((len(windows),), 0)
    for each in length.unique().tolist():
        for rows in (length == each).nonzero().flatten().split(batch_size):
            start = torch.zeros_like(rows) if each else index.start[rows]
            yield rows, store.gather(index.record[rows], start, each or windows.preprocessing.samples)


def _at(index: WindowIndex, start: Tensor) -> WindowIndex:
    return WindowIndex(index.record, start, index.label, index.beat)


def longer(windows: WindowSet) -> bool:
    """Whether recordings have the classes, and some are longer than a window."""
    longest = int(windows.store.length[windows.index.record].max())
    return windows.store.task == "record" and longest > windows.preprocessing.samples


def _averaged(windows: WindowSet, compute: Callable[[WindowSet], NDArray[Number]]) -> NDArray[Number]:
    many, count = every_window(windows)
    first = (count.cumsum(0) - count).numpy()
    sums: NDArray[Number] = np.add.reduceat(compute(many), first, axis=0)
    sums /= count.numpy()[:, None]
    return sums
