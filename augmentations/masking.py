"""Parts of the record that are hidden."""

import torch
from torch import Tensor

from augmentations.base import Augmentation
from augmentations.ranges import Range, check_count, check_range, draw


def outside(start: Tensor, end: Tensor, length: int) -> Tensor:
    """Which of `length` places k lie in none of S spans, start <= k < end, (B, S): booleans, (B, 1, `length`)."""
    place = torch.arange(length, device=start.device, dtype=start.dtype)
    return ((place < start[..., None]) | (place >= end[..., None])).all(1, keepdim=True)


def mask_spans(x: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """Sets (B, C, T) to zero, in all leads, where start <= t < end, in samples, for any of S spans, (B, S)."""
    return x * outside(start, end, x.shape[-1]).to(x.dtype)


def draw_spans(share: Tensor, spans: int, length: int, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """Draws places for spans that never overlap: independent and even over what they leave free, then sorted.

    There are `spans`, S, of equal size (to one), which cover a share, (B, 1), of the length together. Returns start
    and end of each, (B, S); the end is not part of it.
    """
    covered = (share * length).round_()
    order = torch.arange(spans + 1, device=share.device, dtype=share.dtype)
    cuts = (order * covered / spans).floor_()  # what is covered in one piece, cut into spans
    places = draw((0, 1), (len(share), spans), share, generator).sort(dim=1).values
    free = length - covered
    before = (places * (free + 1)).floor_().minimum(free)  # how much of the rest precedes each span
    return before + cuts[:, :-1], before + cuts[:, 1:]


class TimeMask(Augmentation):
    """Sets one or more spans of time to zero, in all leads at once. They never overlap.

    Zero is the baseline of a high-pass filtered or z-scored signal; in one with an offset, a span's edges are steps.

    Reference: time out in Mehari & Strodthoff, Computers in Biology and Medicine 2022, https://arxiv.org/abs/2103.12676

    Args:
        share: Range of the masked time, all spans together, as a share of the record, 0 to 1.
        spans: How many spans of equal length (to one sample) the masked time is divided into.
        p: Probability that a sample is changed, 0 to 1.
    """

    def __init__(self, share: Range = (0.1, 0.5), spans: int = 1, p: float = 0.5) -> None:
        super().__init__(p)
        self.share = check_range("share", share, least=0, most=1)
        self.spans = check_count("spans", spans)

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        share = draw(self.share, (len(x), 1), x, generator)
        return mask_spans(x, *draw_spans(share, self.spans, x.shape[-1], generator))
