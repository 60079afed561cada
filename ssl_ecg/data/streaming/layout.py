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
    lead after lead, so that a window needs one block, or two where it crosses from one piece to the next. All numbers
    are int64: (R,) of the recordings, (P,) of the pieces, (B,) of the blocks.
    """

    first: Tensor  # (R,): number of the first piece
    step: Tensor  # (R,): length of the pieces in samples; the last may be shorter
    record: Tensor  # (P,): row of the recording
    start: Tensor  # (P,): first sample in the recording
    length: Tensor  # (P,): in samples
    block: Tensor  # (P,): where it lies
    offset: Tensor  # (P,): first sample in the block
    sizes: Tensor  # (B,): int16 samples, over all leads

    @staticmethod
    def of(length: Tensor, leads: int, size: int) -> Layout:
        """The layout of recordings of `length` samples, shape (R,), in blocks of `size` int16 at most."""
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
    """One rank's windows in the order of an epoch: numbers of windows, shape (n // ranks,), of `block`, shape (n,).

    Blocks are put in a random order, and the row of their windows is cut into equal shares. Windows are so disjoint,
    and a rank shares a block with another only where its share begins or ends. Shares stay the same over the epochs,
    so that a rank's cache holds its share; within it the blocks are shuffled anew for every epoch, and the windows
    of `group` consecutive blocks, which are in memory together, among each other.
    """
    share = len(block) // ranks
    place = torch.randperm(int(block.max()) + 1, generator=generator(seed, Purpose.STREAM_BLOCKS))
    mine = torch.argsort(place[block], stable=True)[rank * share :][:share]
    g = generator(seed, Purpose.ORDER, epoch, rank)
    mine = mine[torch.randperm(share, generator=g)]
    present, which = block[mine].unique(return_inverse=True)
    in_group = torch.randperm(len(present), generator=g)[which] // group
    return mine[torch.argsort(in_group, stable=True)]
