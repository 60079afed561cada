"""LeJEPA: views agree, and projections spread as an isotropic Gaussian; no negatives, no copy, no stopped gradient."""

from __future__ import annotations

import torch
from torch import Tensor

from augmentations import Views
from ssl_ecg.encoders import Encoder
from ssl_ecg.methods.base import in_fp32
from ssl_ecg.methods.joint_embedding import JointEmbedding, embed_views, global_views
from ssl_ecg.optimisers import Optimiser


class LeJEPA(JointEmbedding):
    """Joint embedding with a Gaussian target (Balestriero and LeCun 2025, https://arxiv.org/abs/2511.08544).

    Projections of all views are drawn to the mean of the global ones, and their distribution to a standard normal one
    along random directions (a sliced Epps-Pulley statistic of the global batch). Directions are drawn from torch's
    global state, which every step seeds anew, and are the same in all processes. Deviation: both terms are of the
    encoder's projections, whose head is narrower than the paper's.

    Args:
        encoder: what is pretrained, and afterwards exported.
        views: the augmentations that make the views, two or more; see `MultiCrop`.
        optimiser: how it is trained.
        gaussian: weight of the distance from a normal distribution, 0 to 1; that of the views from their mean has the
            rest. 0 lets all collapse.
        directions: how many random ones are drawn at a step.
        knots: at how many frequencies, from 0 to `reach`, characteristic functions are compared.
        reach: highest of those frequencies; a standard normal distribution has faded away at 3.
        hidden_dim: of the projection head.
        output_dim: of the projections that are compared.
    """

    def __init__(
        self,
        encoder: Encoder,
        views: Views,
        optimiser: Optimiser | None = None,
        gaussian: float = 0.05,
        directions: int = 1024,
        knots: int = 17,
        reach: float = 3.0,
        hidden_dim: int = 512,
        output_dim: int = 64,
    ) -> None:
        from lightly.loss.lejepa_loss import SIGReg
        from lightly.models.modules.heads import LeJEPAProjectionHead

        super().__init__(encoder, views, optimiser)
        if not 0 <= gaussian <= 1:
            raise ValueError(f"LeJEPA: gaussian must lie between 0 and 1, not {gaussian}")
        if directions < 1 or knots < 2 or not reach > 0:
            raise ValueError(
                "LeJEPA: directions must be at least 1, knots at least 2 and reach positive, "
                f"not {directions}, {knots} and {reach}"
            )
        self.gaussian = gaussian
        self.head = LeJEPAProjectionHead(encoder.dim, hidden_dim, output_dim)
        gather = torch.distributed.is_available()
        self.normality = SIGReg(knots=knots, t_max=reach, num_vectors=directions, gather_distributed=gather)

    def compare(self, views: list[Tensor], patient: Tensor) -> Tensor:
        """Weighted sum of both terms of views, each (B, C, T)."""
        from lightly.loss.lejepa_loss import lejepa_invariance_loss

        z = self.head(embed_views(self.encoder, views)).unflatten(0, (len(views), -1))
        seen = z[: len(global_views(views))]
        invariance = in_fp32(lambda z, seen: lejepa_invariance_loss(all_proj=z, global_proj=seen), z, seen)
        gaussian = in_fp32(self.normality, z)
        self.shown = {"invariance": invariance.detach(), "gaussian": gaussian.detach()}
        return (1 - self.gaussian) * invariance + self.gaussian * gaussian
