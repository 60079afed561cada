"""Draw which blocks of a signal are hidden from the encoder."""

from __future__ import annotations

import torch
from torch import Tensor


def draw_blocks(rows: int, tokens: int, blocks: int, length: int, generator: torch.Generator) -> Tensor:
    """Draw blocks of tokens: shape (rows, tokens), true where a token lies in one.

    Each row gets as many `blocks` of `length` tokens, at starts of its own; blocks may touch and overlap.
    """
    length = min(length, tokens)
    starts = torch.randint(tokens - length + 1, (rows, blocks), generator=generator, device=generator.device)
    place = torch.arange(tokens, device=generator.device)
    return ((place >= starts[..., None]) & (place < starts[..., None] + length)).any(1)


def hide(x: Tensor, hidden: Tensor, stride: int) -> Tensor:
    """Set the samples of hidden tokens to zero: signals (B, C, T), tokens (B, T') of `stride` samples each."""
    return x.masked_fill(of_samples(hidden, stride, x.shape[-1])[:, None], 0)


def of_samples(hidden: Tensor, stride: int, samples: int) -> Tensor:
    """Say for each sample whether its token is hidden: (B, T') -> (B, samples); what is beyond the tokens is not."""
    spread = hidden.repeat_interleave(stride, dim=-1)[:, :samples]
    return torch.nn.functional.pad(spread, (0, samples - spread.shape[-1]))
