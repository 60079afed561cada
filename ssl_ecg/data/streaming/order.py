"""The order of an epoch that reads each block once: a pure function of seed, epoch and rank."""

from __future__ import annotations

import torch
from torch import Tensor

from ssl_ecg.data.randomness import generator


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
    place = torch.randperm(int(block.max()) + 1, generator=generator(seed, 7))
    mine = torch.argsort(place[block], stable=True)[rank * share :][:share]
    g = generator(seed, 1, epoch, rank)
    mine = mine[torch.randperm(share, generator=g)]
    present, which = block[mine].unique(return_inverse=True)
    in_group = torch.randperm(len(present), generator=g)[which] // group
    return mine[torch.argsort(in_group, stable=True)]
