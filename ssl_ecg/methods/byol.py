"""BYOL: one view predicts the other's projection by a slow-moving copy of the network; no negatives."""

from __future__ import annotations

import torch
from torch import Tensor

from augmentations import Views
from ssl_ecg.encoders import Encoder
from ssl_ecg.methods.base import in_fp32
from ssl_ecg.methods.joint_embedding import JointEmbedding, embed_views
from ssl_ecg.methods.momentum import Momentum
from ssl_ecg.optimisers import Optimiser


class BYOL(JointEmbedding):
    """Bootstrap your own latent (Grill et al. 2020, https://arxiv.org/abs/2006.07733).

    The exported encoder is the online one. Deviations: both views pass each network as one batch, and the
    target's BatchNorm statistics are its own running ones, kept from its forward passes in training mode.

    Args:
        encoder: what is pretrained, and afterwards exported.
        views: the augmentations that make the two views.
        optimiser: how it is trained.
        momentum: of the target network at the start; it rises to 1 along a cosine.
        hidden_dim: of the projection and prediction heads.
        output_dim: of the projections that are compared.
    """

    n_views = 2
    sample_wise = True

    def __init__(
        self,
        encoder: Encoder,
        views: Views,
        optimiser: Optimiser | None = None,
        momentum: float = 0.99,
        hidden_dim: int = 512,
        output_dim: int = 128,
    ) -> None:
        from lightly.loss import NegativeCosineSimilarity
        from lightly.models.modules.heads import BYOLPredictionHead, BYOLProjectionHead

        super().__init__(encoder, views, optimiser)
        self.head = BYOLProjectionHead(encoder.dim, hidden_dim, output_dim)
        self.predictor = BYOLPredictionHead(output_dim, hidden_dim, output_dim)
        self.target = Momentum(encoder, self.head, momentum=momentum)
        self.criterion = NegativeCosineSimilarity()

    def compare(self, views: list[Tensor], patient: Tensor) -> Tensor:
        """Symmetric prediction loss between two views, each (B, C, T); -1 is perfect."""
        p0, p1 = self.predictor(self.head(embed_views(self.encoder, views))).chunk(2)
        with torch.no_grad():
            t0, t1 = embed_views(self.target, views).chunk(2)
        return 0.5 * (in_fp32(self.criterion, p0, t1) + in_fp32(self.criterion, p1, t0))

    def before_step(self, step: int) -> None:
        """Move the target towards the online network."""
        self.target.follow(self.encoder, self.head, step=step, steps=self.steps)
