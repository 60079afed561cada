"""SimSiam: one view predicts the other's projection by the same network, whose gradient stops there; no negatives."""

from __future__ import annotations

from torch import Tensor

from augmentations import Views
from ssl_ecg.encoders import Encoder
from ssl_ecg.methods.base import in_fp32
from ssl_ecg.methods.joint_embedding import JointEmbedding, embed_views
from ssl_ecg.optimisers import Optimiser


class SimSiam(JointEmbedding):
    """Siamese learning with a stopped gradient (Chen and He 2021, https://arxiv.org/abs/2011.10566).

    BYOL without a momentum copy. Deviations: both views pass the network as one batch, heads are narrower, and the
    predictor's learning rate falls with all others.

    Args:
        encoder: what is pretrained, and afterwards exported.
        views: the augmentations that make the two views.
        optimiser: how it is trained.
        hidden_dim: of the projection head.
        output_dim: of the projections that are compared.
        bottleneck_dim: of the predictor's hidden layer; the authors want it narrower than output_dim.
    """

    n_views = 2
    sample_wise = True

    def __init__(
        self,
        encoder: Encoder,
        views: Views,
        optimiser: Optimiser | None = None,
        hidden_dim: int = 512,
        output_dim: int = 512,
        bottleneck_dim: int = 128,
    ) -> None:
        from lightly.loss import NegativeCosineSimilarity
        from lightly.models.modules.heads import SimSiamPredictionHead, SimSiamProjectionHead

        super().__init__(encoder, views, optimiser)
        self.head = SimSiamProjectionHead(encoder.dim, hidden_dim, output_dim)
        self.predictor = SimSiamPredictionHead(output_dim, bottleneck_dim, output_dim)
        self.criterion = NegativeCosineSimilarity()

    def compare(self, views: list[Tensor], patient: Tensor) -> Tensor:
        """Symmetric prediction loss between two views, each (B, C, T); -1 is perfect."""
        z = self.head(embed_views(self.encoder, views))
        (p0, p1), (z0, z1) = self.predictor(z).chunk(2), z.detach().chunk(2)
        return 0.5 * (in_fp32(self.criterion, p0, z1) + in_fp32(self.criterion, p1, z0))
