"""SimCLR: views of one window attract, all other windows of the batch, or of its patient, repel."""

from __future__ import annotations

from itertools import combinations
from typing import Literal

import torch
from torch import Tensor

from augmentations import Views
from ssl_ecg.encoders import Encoder
from ssl_ecg.errors import UserError
from ssl_ecg.methods.base import in_fp32
from ssl_ecg.methods.contrast import contrast
from ssl_ecg.methods.gather import gather, own_rows
from ssl_ecg.methods.joint_embedding import JointEmbedding, embed_views
from ssl_ecg.optimisers import Optimiser


class SimCLR(JointEmbedding):
    """Contrastive learning with in-batch negatives (Chen et al. 2020, https://arxiv.org/abs/2002.05709).

    The views pass the encoder as one batch (shared batch statistics, as in the authors' code), and negatives
    are gathered over all ranks with gradients. Of more than two views every pair is compared, and the mean taken.

    With positives of the same person (CLOCS, https://arxiv.org/abs/2005.13249; PCLR, https://arxiv.org/abs/2104.04569)
    take negatives="others": a person's other windows then neither attract nor repel.

    With negatives="patient" a window repels only windows of its own patient: between hearts, who it is tells two
    windows apart at a glance, within one heart only the beats do. It needs several windows of a patient in a
    batch (patients_per_batch). On MIT-BIH it separated the beats of the patients it was pretrained on better,
    but of patients held out no better than all negatives did (experiments/results/mitbih.md).

    Args:
        encoder: what is pretrained, and afterwards exported.
        views: the augmentations that make the views, two or more.
        optimiser: how it is trained.
        negatives: what repels: all windows of the "batch", those of the same "patient", or those of "others" alone.
        temperature: of the softmax over similarities; lower looks harder at near negatives.
        hidden_dim: of the projection head.
        output_dim: of the projections that are compared.
    """

    def __init__(
        self,
        encoder: Encoder,
        views: Views,
        optimiser: Optimiser | None = None,
        negatives: Literal["batch", "patient", "others"] = "batch",
        temperature: float = 0.1,
        hidden_dim: int = 512,
        output_dim: int = 128,
    ) -> None:
        from lightly.loss import NTXentLoss
        from lightly.models.modules.heads import SimCLRProjectionHead

        super().__init__(encoder, views, optimiser)
        if not temperature > 0:
            raise ValueError(f"SimCLR: temperature must be positive, not {temperature}")
        self.head = SimCLRProjectionHead(encoder.dim, hidden_dim, output_dim)
        self.negatives = negatives
        # Another rank's windows are negatives for all, never of one's own patients.
        gather = negatives == "batch" and torch.distributed.is_available()
        self.criterion = NTXentLoss(temperature, gather_distributed=gather)

    def compare(self, views: list[Tensor], patient: Tensor) -> Tensor:
        """NT-Xent between views, each (B, C, T_i), two at a time."""
        z = self.head(embed_views(self.encoder, views)).chunk(len(views))
        return torch.stack([self._compared(*pair, patient) for pair in combinations(z, 2)]).mean()

    def _compared(self, z0: Tensor, z1: Tensor, patient: Tensor) -> Tensor:
        """NT-Xent between projections of two views, each (B, D)."""
        if self.negatives == "batch":
            return in_fp32(self.criterion, z0, z1)
        if self.negatives == "others":
            return in_fp32(lambda z0, z1: self._repelled_by_others(z0, z1, patient), z0, z1)
        groups = [torch.nonzero(patient == number).flatten() for number in patient.unique()]
        groups = [rows for rows in groups if len(rows) > 1]  # alone, there is nothing to repel
        if not groups:
            raise UserError("SimCLR: negatives='patient' finds no patient twice in a batch: set patients_per_batch")
        losses = [len(rows) * in_fp32(self.criterion, z0[rows], z1[rows]) for rows in groups]
        return torch.stack(losses).sum() / sum(map(len, groups))

    def _repelled_by_others(self, z0: Tensor, z1: Tensor, patient: Tensor) -> Tensor:
        """NT-Xent of projections (B, D) without negatives of the same person, in the global batch."""
        own, patients = own_rows(patient), gather(patient)
        positive = torch.cat([own + len(patients), own])
        same = patient[:, None].eq(patients).repeat(2, 2)
        keys = torch.cat([gather(z0), gather(z1)])
        return contrast(torch.cat([z0, z1]), keys, positive, self.criterion.temperature, same)
