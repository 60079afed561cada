"""Has the representation collapsed? Four numbers that say so without any label."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ssl_ecg.errors import UserError


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """How a batch of n embeddings of D dimensions fills its space; `alignment` is NaN without second views."""

    spread: float
    effective_rank: float
    uniformity: float
    alignment: float
    dimensions: int
    samples: int


@torch.no_grad()
def diagnose(embeddings: Tensor, views: Tensor | None = None) -> Diagnostics:
    """All diagnostics of embeddings (n, D), and of second views of the same samples; a thousand or so are enough.

    UserError for other shapes, or fewer than two.
    """
    if embeddings.ndim != 2 or len(embeddings) < 2:
        raise UserError(f"expected at least two embeddings, shape (n, D), got {tuple(embeddings.shape)}")
    if views is not None and views.shape != embeddings.shape:
        raise UserError(f"expected views of shape {tuple(embeddings.shape)}, got {tuple(views.shape)}")
    return Diagnostics(
        spread=spread(embeddings),
        effective_rank=effective_rank(embeddings),
        uniformity=uniformity(embeddings),
        alignment=float("nan") if views is None else alignment(embeddings, views),
        dimensions=embeddings.shape[1],
        samples=embeddings.shape[0],
    )


def spread(embeddings: Tensor) -> float:
    """Standard deviation of the L2-normalised embeddings (n, D) over samples, mean over dimensions, times sqrt(D).

    1 if they point everywhere alike, 0 if all point the same way (complete collapse). Chen & He, "Exploring simple
    Siamese representation learning", CVPR 2021.
    """
    z = normalize(embeddings.float(), dim=1)
    return float(z.std(dim=0, correction=0).mean() * z.shape[1] ** 0.5)


def effective_rank(embeddings: Tensor) -> float:
    """How many dimensions embeddings (n, D) use: exp of the entropy of the singular values, from 1 to min(n, D).

    Garrido, Balestriero, Najman & LeCun, "RankMe: assessing the downstream performance of pretrained self-supervised
    representations by their rank", ICML 2023; as there, the mean is not removed.
    """
    if not bool(embeddings.isfinite().all()):
        return math.nan
    values = torch.linalg.svdvals(embeddings.float())
    p = values / values.sum().clamp_min(torch.finfo(values.dtype).tiny)
    return float(torch.special.entr(p).sum().exp())


def alignment(first: Tensor, second: Tensor) -> float:
    """Mean squared distance of the two normalised views (n, D) of a sample; 0 if they coincide, 2 if unrelated.

    Wang & Isola, "Understanding contrastive representation learning through alignment and uniformity on the
    hypersphere", ICML 2020.
    """
    apart = normalize(first.float(), dim=1) - normalize(second.float(), dim=1)
    return float(apart.square().sum(dim=1).mean())


def uniformity(embeddings: Tensor) -> float:
    """Log of the mean of exp(-2 distance^2) over pairs of normalised samples (n, D): 0 collapsed, about -4 uniform.

    Wang & Isola 2020, as `alignment`; memory grows as n^2.
    """
    z = normalize(embeddings.float(), dim=1)
    norms = 2 * z.square().sum(dim=1)  # 2, but for an embedding that is all zeros
    exponents = (4 * z @ z.T - norms - norms[:, None]).fill_diagonal_(-torch.inf)
    return float(exponents.flatten().logsumexp(dim=0)) - math.log(len(z) * (len(z) - 1))


def collapsed(found: Diagnostics, *, spread_below: float = 0.05, rank_below: float = 2.0) -> str | None:
    """What is wrong with the embeddings, in a sentence, or None.

    Complete collapse: they all point nearly the same way; dimensional collapse: they differ, but along a line or two.
    """
    if math.isnan(found.spread):
        return "The embeddings are not finite: training has diverged."
    if found.spread < spread_below:
        return (
            f"The representation has collapsed: all {found.samples} embeddings point nearly the same way "
            f"(spread {found.spread:.3f}, below {spread_below:g}; 1 is isotropic)."
        )
    if found.effective_rank < rank_below:
        return (
            f"The representation has collapsed to few dimensions: effective rank {found.effective_rank:.1f} "
            f"of {found.dimensions}, below {rank_below:g}."
        )
    return None
