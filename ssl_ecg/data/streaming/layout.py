"""Which sample lies in which block, which follows from the recordings' lengths and is never stored, and block order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ssl_ecg.data.randomness import Purpose, generator


@dataclass(frozen=True)
class Layout:
    """Recordings cut into pieces in time, and consecutive pieces packed into blocks.

    A recording that fits into a block is one piece, a longer one several of equal length. A piece holds all leads,
    lead after lead, so that a window needs one block, or two where it crosses from one piece to the next.

    Attributes:
        first: number of each recording's first piece, shape (R,), int64.
        step: length of a recording's pieces in samples (its last may be shorter), shape (R,), int64.
        record: row of each piece's recording, shape (P,), int64.
        start: its first sample in the recording, shape (P,), int64.
        length: in samples, shape (P,), int64.
        block: where it lies, shape (P,), int64.
        offset: its first sample in the block, shape (P,), int64.
        sizes: number of int16 samples in each block, shape (B,), int64.
    """

    first: Tensor
    step: Tensor
    record: Tensor
    start: Tensor
    length: Tensor
    block: Tensor
    offset: Tensor
    sizes: Tensor

    @staticmethod
    def of(length: Tensor, leads: int, size: int) -> Layout:
        """The layout of recordings.

        Args:
            length: of each recording in samples, shape (R,), int64.
            leads: C, the same for all.
            size: int16 samples, over all leads, that a block holds at most.
        """
        most = max(1, size // leads)
        count = (length + most - 1) // most
        step = (length + count - 1) // count
        first = count.cumsum(0) - count
        record = torch.repeat_interleave(torch.arange(len(length)), count)
        start = (torch.arange(len(record)) - first[record]) * step[record]
        piece = torch.minimum(step[record], length[record] - start)
        end = (piece * leads).cumsum(0).numpy()
        bounds = [0]  # the first piece of each block, and one past the last
        while bounds[-1] < len(end):
            filled = end[bounds[-1] - 1] if bounds[-1] else 0
            bounds.append(max(bounds[-1] + 1, int(np.searchsorted(end, filled + size, "right"))))
        pieces = torch.tensor(bounds).diff()
        begin = torch.from_numpy(end) - piece * leads
        block = torch.repeat_interleave(torch.arange(len(pieces)), pieces)
        sizes = torch.zeros(len(pieces), dtype=torch.int64).index_add_(0, block, piece * leads)
        return Layout(first, step, record, start, piece, block, begin - begin[torch.tensor(bounds[:-1])][block], sizes)

    def piece(self, record: Tensor, sample: Tensor) -> Tensor:
        """The piece that holds a sample of a recording: numbers, of the shape of both."""
        return self.first[record] + sample // self.step[record]


def block_order(block: Tensor, seed: int, epoch: int, rank: int, ranks: int, group: int) -> Tensor:
    """One rank's windows in the order of an epoch.

    Blocks are put in a random order, and the row of their windows is cut into equal shares. Windows are so disjoint,
    and a rank shares a block with another only where its share begins or ends. Shares stay the same over the epochs,
    so that a rank's cache holds its share; within it the blocks are shuffled anew for every epoch, and the windows
    of so many consecutive blocks among each other.

    Args:
        block: the block of each window, shape (n,), int64.
        seed: of the shuffling.
        epoch: counted from 0.
        rank: this process among `ranks`.
        ranks: number of processes.
        group: number of blocks whose windows are mixed; so many are in memory.

    Returns:
        Numbers of windows, shape (n // ranks,), int64.
    """
    share = len(block) // ranks
    place = torch.randperm(int(block.max()) + 1, generator=generator(seed, Purpose.STREAM_BLOCKS))
    mine = torch.argsort(place[block], stable=True)[rank * share :][:share]
    g = generator(seed, Purpose.ORDER, epoch, rank)
    mine = mine[torch.randperm(share, generator=g)]
    present, which = block[mine].unique(return_inverse=True)
    in_group = torch.randperm(len(present), generator=g)[which] // group
    return mine[torch.argsort(in_group, stable=True)]
