"""VICReg: views agree, every dimension varies, no two dimensions vary together; no negatives, no copy."""

from __future__ import annotations

import torch
from torch import Tensor

from augmentations import Views
from ssl_ecg.encoders import Encoder
from ssl_ecg.methods.base import in_fp32
from ssl_ecg.methods.gather import gather
from ssl_ecg.methods.joint_embedding import JointEmbedding, embed_views
from ssl_ecg.optimisers import Optimiser


class VICReg(JointEmbedding):
    """Variance-invariance-covariance regularisation (Bardes et al. 2022, https://arxiv.org/abs/2105.04906).

    Variance and covariance are those of the global batch. Deviations: both views pass the network as one batch, and
    the projector is narrower than the paper's 8192, for small encoders and batches.

    Args:
        encoder: what is pretrained, and afterwards exported.
        views: the augmentations that make the two views.
        optimiser: how it is trained.
        invariance: weight of the views' squared distance.
        variance: weight of the hinge that keeps each dimension's standard deviation above 1; 0 lets it collapse.
        covariance: weight of the squared covariances between dimensions.
        hidden_dim: of the projection head.
        output_dim: of the projections that are compared.
    """

    n_views = 2

    def __init__(
        self,
        encoder: Encoder,
        views: Views,
        optimiser: Optimiser | None = None,
        invariance: float = 25.0,
        variance: float = 25.0,
        covariance: float = 1.0,
        hidden_dim: int = 1024,
        output_dim: int = 1024,
    ) -> None:
        from lightly.models.modules.heads import VICRegProjectionHead

        super().__init__(encoder, views, optimiser)
        self.weights = {"invariance": invariance, "variance": variance, "covariance": covariance}
        for name, weight in self.weights.items():
            if not weight >= 0:
                raise ValueError(f"VICReg: {name} must not be negative, not {weight}")
        self.head = VICRegProjectionHead(encoder.dim, hidden_dim, output_dim)

    def compare(self, views: list[Tensor], patient: Tensor) -> Tensor:
        """Weighted sum of the three terms of two views, each (B, C, T)."""
        from lightly.loss.vicreg_loss import covariance_loss, invariance_loss, variance_loss

        z = self.head(embed_views(self.encoder, views)).chunk(2)

        def terms(z0: Tensor, z1: Tensor) -> Tensor:
            invariance = invariance_loss(z0, z1)
            z0, z1 = gather(z0), gather(z1)
            variance = (variance_loss(z0) + variance_loss(z1)) / 2
            return torch.stack([invariance, variance, covariance_loss(z0) + covariance_loss(z1)])

        found = in_fp32(terms, *z)
        self.shown = dict(zip(self.weights, found.detach(), strict=True))
        return (found * found.new_tensor([*self.weights.values()])).sum()
