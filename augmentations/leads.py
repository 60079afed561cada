"""Changes among the leads: lost, swapped or mixed. For the geometry of the heart itself see `vcg`."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from augmentations.amplitude import scale
from augmentations.base import Augmentation
from augmentations.ranges import Range, check_range, check_share, draw


def mix_leads(x: Tensor, matrix: Tensor) -> Tensor:
    """Makes each lead of (B, C, T) a sum of all: matrix @ x, with (B, C, C) weights, float32 at least."""
    return torch.bmm(matrix, x.to(matrix.dtype)).to(x.dtype)


def permute_leads(x: Tensor, order: Tensor) -> Tensor:
    """Puts the leads of each sample of (B, C, T) in an order of its own: lead c of sample b is x[b, order[b, c]].

    `order`, (B, C), has whole numbers from 0 to C - 1.
    """
    first = torch.arange(len(x), device=x.device)[:, None] * x.shape[1]
    return x.flatten(0, 1).index_select(0, (first + order).flatten()).view(x.shape)


class LeadDropout(Augmentation):
    """Sets each lead to zero with a probability, but never all of them: an electrode fell off, or is not there.

    One lead, drawn at random, is always kept; of a single lead nothing is dropped.

    Reference: random lead masking in Oh et al., Lead-agnostic Self-supervised Learning for Local and Global
    Representations of Electrocardiogram, CHIL 2022, https://arxiv.org/abs/2203.06889

    Args:
        drop: Probability that a lead is dropped, 0 to 1; at 1 one lead is left.
        p: Probability that a sample is changed, 0 to 1.
    """

    def __init__(self, drop: float = 0.5, p: float = 0.5) -> None:
        super().__init__(p)
        self.drop = check_share("drop", drop)

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        luck = torch.rand(x.shape[:2], generator=generator, device=x.device)
        return scale(x, (luck >= self.drop) | (luck == luck.amax(1, keepdim=True)))


class LeadPermutation(Augmentation):
    """Shuffles the leads: which is which can no longer be told from their order. A single lead stays.

    No electrode is at fault in this way, and Einthoven's law is lost: for a model that must take leads in any order.

    Reference: channel shuffling in Saeed et al., Learning from Heterogeneous EEG Signals with Differentiable
    Channel Reordering, ICASSP 2021, https://arxiv.org/abs/2010.13694

    Args:
        shuffle: Probability that a lead takes part, 0 to 1: those that do change places, the others stay.
        p: Probability that a sample is changed, 0 to 1.
    """

    def __init__(self, shuffle: float = 1.0, p: float = 0.5) -> None:
        super().__init__(p)
        self.shuffle = check_share("shuffle", shuffle)

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        part, key = torch.rand((2, *x.shape[:2]), generator=generator, device=x.device)
        place = torch.arange(x.shape[1], device=x.device, dtype=key.dtype)
        stays = part >= self.shuffle  # these go last in both lists, in the same order
        to = torch.where(stays, x.shape[1] + place, place).argsort(1)
        source = torch.where(stays, x.shape[1] + place, key).argsort(1)
        return permute_leads(x, torch.empty_like(to).scatter_(1, to, source))


class LeadMixing(Augmentation):
    """Adds to each lead a random mixture of the others: electrodes that sit elsewhere, for any set of leads.

    Lead i becomes sqrt(1 - s^2) x_i + s sum over j != i of r_ij x_j, where r_i is a random direction (of length
    1): uncorrelated leads of equal power keep their power. With s = 0 nothing changes, with s = 1 nothing of the
    lead itself is left; a single lead stays. Rhythm and intervals stay; the axis, and Einthoven's law, do not.
    For 12 leads `VCGRotation` and `VCGScale` change the axis and keep the law.

    Reference: the rotation of three axes of a sensor in Um et al., ICMI 2017,
    https://arxiv.org/abs/1706.00527, here of any number of leads and not orthogonal.

    Args:
        strength: Range of s, 0 to 1.
        p: Probability that a sample is changed, 0 to 1.
    """

    def __init__(self, strength: Range = (0.1, 0.5), p: float = 0.5) -> None:
        super().__init__(p)
        self.strength = check_range("strength", strength, least=0, most=1)

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        leads = x.shape[1]
        strength = draw(self.strength, (len(x), 1, 1), x, generator)
        shape = (len(x), leads, leads)
        weights = torch.randn(shape, generator=generator, device=x.device, dtype=strength.dtype)
        if leads == 1:
            return x
        own = torch.eye(leads, device=x.device, dtype=strength.dtype)
        others = normalize(weights * (1 - own), dim=2)
        return mix_leads(x, (1 - strength.square()).sqrt() * own + strength * others)
