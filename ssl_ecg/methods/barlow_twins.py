"""Barlow Twins: the correlations between two views' dimensions become the identity; no negatives, no copy."""

from __future__ import annotations

from torch import Tensor

from augmentations import Views
from ssl_ecg.encoders import Encoder
from ssl_ecg.methods.base import in_fp32
from ssl_ecg.methods.gather import gather
from ssl_ecg.methods.joint_embedding import JointEmbedding, embed_views
from ssl_ecg.optimisers import Optimiser


class BarlowTwins(JointEmbedding):
    """Redundancy reduction (Zbontar et al. 2021, https://arxiv.org/abs/2103.03230).

    Correlations are those of the global batch, whose rows are gathered: lightly's own gathering would standardise each
    process's rows by themselves. Deviations: both views pass the network as one batch, and the projector is narrower
    than the paper's 8192, for small encoders and batches.

    Args:
        encoder: what is pretrained, and afterwards exported.
        views: the augmentations that make the two views.
        optimiser: how it is trained.
        redundancy: weight of the squared correlations between different dimensions.
        hidden_dim: of the projection head.
        output_dim: of the projections that are compared.
    """

    n_views = 2

    def __init__(
        self,
        encoder: Encoder,
        views: Views,
        optimiser: Optimiser | None = None,
        redundancy: float = 0.005,
        hidden_dim: int = 1024,
        output_dim: int = 1024,
    ) -> None:
        from lightly.loss import BarlowTwinsLoss
        from lightly.models.modules.heads import BarlowTwinsProjectionHead

        super().__init__(encoder, views, optimiser)
        if not redundancy >= 0:
            raise ValueError(f"BarlowTwins: redundancy must not be negative, not {redundancy}")
        self.head = BarlowTwinsProjectionHead(encoder.dim, hidden_dim, output_dim)
        self.criterion = BarlowTwinsLoss(redundancy)

    def compare(self, views: list[Tensor], patient: Tensor) -> Tensor:
        """Distance of the correlations between two views, each (B, C, T), from the identity."""
        z = self.head(embed_views(self.encoder, views)).chunk(2)
        return in_fp32(lambda z0, z1: self.criterion(gather(z0), gather(z1)), *z)
