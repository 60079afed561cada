"""Parts of the record that are hidden."""

import torch
from torch import Tensor

from augmentations.base import Augmentation
from augmentations.ranges import check_range, draw


def mask_spans(x: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """Sets spans of time to zero in all leads.

    Args:
        x: Signals, (B, C, T).
        start: First sample of each span, (B, S).
        end: The sample after its last, (B, S).

    Returns:
        Signals, (B, C, T), zero where start <= t < end.
    """
    time = torch.arange(x.shape[-1], device=x.device)
    hidden = ((time >= start[..., None]) & (time < end[..., None])).any(1, keepdim=True)
    return x * (~hidden).to(x.dtype)


class TimeMask(Augmentation):
    """Sets one or more spans of time to zero, in all leads at once. They never overlap.

    Zero is the baseline of a signal that was high-pass filtered or z-scored; the edge of a span in a signal
    with an offset is a step.

    Reference: time out in Mehari & Strodthoff, Self-supervised representation learning from 12-lead ECG data,
    Computers in Biology and Medicine 2022, https://arxiv.org/abs/2103.12676

    Args:
        share: Range of the masked time, all spans together, as a share of the record, 0 to 1.
        spans: How many spans of equal length (to one sample) the masked time is divided into.
        p: Probability that a sample is changed, 0 to 1.

    Raises:
        ValueError: If the range is empty or not within 0 and 1, `spans` is not positive, or `p` is not a
            probability.
    """

    def __init__(self, share: tuple[float, float] = (0.1, 0.5), spans: int = 1, p: float = 0.5) -> None:
        super().__init__(p)
        self.share = check_range("share", share, least=0, most=1)
        if spans < 1:
            raise ValueError(f"spans is a number of spans, at least 1, not {spans!r}")
        self.spans = spans

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        """Masks every sample; see `Augmentation.apply`."""
        length = x.shape[-1]
        masked = (draw(self.share, (len(x), 1), x, generator) * length).round_()
        order = torch.arange(self.spans + 1, device=x.device, dtype=masked.dtype)
        cuts = (order * masked / self.spans).floor_()  # the masked samples in one piece, cut into spans
        places = draw((0, 1), (len(x), self.spans), x, generator).sort(dim=1).values
        seen = length - masked
        before = (places * (seen + 1)).floor_().minimum(seen)  # how many of the others precede each span
        return mask_spans(x, before + cuts[:, :-1], before + cuts[:, 1:])
