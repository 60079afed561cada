"""MoCo: a view finds the other's key, by a slow-moving copy of the network, among the keys of other windows."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

from augmentations import Views
from ssl_ecg.encoders import Encoder
from ssl_ecg.methods.base import in_fp32
from ssl_ecg.methods.contrast import contrast
from ssl_ecg.methods.gather import gather, own_rows
from ssl_ecg.methods.joint_embedding import JointEmbedding, embed_views
from ssl_ecg.methods.momentum import Momentum
from ssl_ecg.optimisers import Optimiser


class MoCo(JointEmbedding):
    """Momentum contrast, version 3 (Chen, Xie and He 2021, https://arxiv.org/abs/2104.02057), or with a queue.

    Keys are those of the global batch; with a queue (He et al. 2020, https://arxiv.org/abs/1911.05722) past ones too,
    which repel alone. The queue and whose keys it holds are saved with the weights. The exported encoder is the online
    one. Deviations: both views pass each network as one batch, and heads are narrower.

    Args:
        encoder: what is pretrained, and afterwards exported.
        views: the augmentations that make the two views.
        optimiser: how it is trained.
        queue: how many past keys are kept; 0 is version 3.
        negatives: what repels: keys of all windows of the "batch" and queue, or those of "others" alone, so that a
            person's other windows neither attract nor repel.
        momentum: of the key network at the start; it rises to 1 along a cosine.
        temperature: of the softmax over similarities; lower looks harder at near negatives.
        hidden_dim: of the projection and prediction heads.
        output_dim: of the projections that are compared.
    """

    n_views = 2
    past: Tensor
    owner: Tensor

    def __init__(
        self,
        encoder: Encoder,
        views: Views,
        optimiser: Optimiser | None = None,
        queue: int = 0,
        negatives: Literal["batch", "others"] = "batch",
        momentum: float = 0.99,
        temperature: float = 0.2,
        hidden_dim: int = 512,
        output_dim: int = 128,
    ) -> None:
        from lightly.models.modules.heads import MoCoProjectionHead

        super().__init__(encoder, views, optimiser)
        if queue < 0:
            raise ValueError(f"MoCo: queue must not be negative, not {queue}")
        if not temperature > 0:
            raise ValueError(f"MoCo: temperature must be positive, not {temperature}")
        self.negatives, self.temperature = negatives, temperature
        self.head = MoCoProjectionHead(encoder.dim, hidden_dim, output_dim, num_layers=3, batch_norm=True)
        self.predictor = MoCoProjectionHead(output_dim, hidden_dim, output_dim, num_layers=2, batch_norm=True)
        self.target = Momentum(encoder, self.head, momentum=momentum)
        self.register_buffer("past", torch.zeros(queue, output_dim))
        self.register_buffer("owner", torch.full((queue,), -1))  # no key yet

    def compare(self, views: list[Tensor], patient: Tensor) -> Tensor:
        """Symmetric InfoNCE between two views, each (B, C, T), times 2 temperature, as in the authors' code."""
        queries = self.predictor(self.head(embed_views(self.encoder, views))).chunk(2)
        with torch.no_grad():
            keys = [in_fp32(lambda k: gather(normalize(k)), k) for k in embed_views(self.target, views).chunk(2)]
        own, patients = own_rows(patient), gather(patient)
        owner = torch.cat([patients, self.owner])
        ignored = owner.eq(-1).expand(len(patient), -1)
        if self.negatives == "others":
            ignored = ignored | patient[:, None].eq(owner)

        def loss(query: Tensor, key: Tensor) -> Tensor:
            return contrast(query, torch.cat([key, self.past]), own, self.temperature, ignored)

        found = in_fp32(loss, queries[0], keys[1]) + in_fp32(loss, queries[1], keys[0])
        self.past.copy_(torch.cat([*keys, self.past])[: len(self.past)])
        self.owner.copy_(torch.cat([patients, patients, self.owner])[: len(self.owner)])
        return 2 * self.temperature * found

    def before_step(self, step: int) -> None:
        """Move the key network towards the online one."""
        self.target.follow(self.encoder, self.head, step=step, steps=self.steps)
