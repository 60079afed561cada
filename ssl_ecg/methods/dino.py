"""DINO: every view predicts to which prototypes a slow-moving teacher assigns the long ones; no negatives."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, normalize

from augmentations import Views
from ssl_ecg.encoders import Encoder
from ssl_ecg.methods.base import in_fp32
from ssl_ecg.methods.joint_embedding import JointEmbedding, embed_views, global_views
from ssl_ecg.methods.momentum import Momentum
from ssl_ecg.optimisers import Optimiser


class DINO(JointEmbedding):
    """Self-distillation without labels (Caron et al. 2021, https://arxiv.org/abs/2104.14294), for `MultiCrop` views.

    The teacher sees the global crops only. Its outputs are centred, by a running mean that is saved with the weights,
    and sharpened, by a low temperature. The exported encoder is the student. Deviations: the prototypes are not frozen
    in the first epoch, and are far fewer than the paper's 65,536, for small encoders and data; the head has BatchNorm
    (an option of the authors' code), since projections that start out alike leave the teacher undecided for good.

    Args:
        encoder: what is pretrained, and afterwards exported.
        views: the augmentations that make the views, two or more; see `MultiCrop`.
        optimiser: how it is trained.
        momentum: of the teacher at the start; it rises to 1 along a cosine.
        temperature: of the student's softmax.
        teacher_temperature: of the teacher's softmax after the warm-up; below the student's, or both become uniform.
        first_temperature: of the teacher's softmax at the start.
        warmup: share of all steps in which the teacher's temperature rises, 0 to 1.
        centre: momentum of the centre; 1 never centres, which lets one prototype take all.
        hidden_dim: of the projection head.
        bottleneck_dim: of the projections that are compared with the prototypes.
        prototypes: how many there are.
    """

    def __init__(
        self,
        encoder: Encoder,
        views: Views,
        optimiser: Optimiser | None = None,
        momentum: float = 0.99,
        temperature: float = 0.1,
        teacher_temperature: float = 0.07,
        first_temperature: float = 0.04,
        warmup: float = 0.3,
        centre: float = 0.9,
        hidden_dim: int = 512,
        bottleneck_dim: int = 128,
        prototypes: int = 1024,
    ) -> None:
        from lightly.loss import DINOLoss

        super().__init__(encoder, views, optimiser)
        if not 0 < first_temperature <= teacher_temperature:
            raise ValueError(
                f"DINO: first_temperature must be positive and at most teacher_temperature = {teacher_temperature}, "
                f"not {first_temperature}"
            )
        if not temperature > 0:
            raise ValueError(f"DINO: temperature must be positive, not {temperature}")
        for name, share in (("warmup", warmup), ("centre", centre)):
            if not 0 <= share <= 1:
                raise ValueError(f"DINO: {name} must lie between 0 and 1, not {share}")
        self.temperatures, self.warmup = (first_temperature, teacher_temperature), warmup
        self.head = _Head(encoder.dim, hidden_dim, bottleneck_dim, prototypes)
        self.target = Momentum(encoder, self.head, momentum=momentum)
        self.criterion = DINOLoss(prototypes, student_temp=temperature, center_momentum=centre)
        self.teacher_temperature = first_temperature

    def compare(self, views: list[Tensor], patient: Tensor) -> Tensor:
        """Cross-entropy of the student's assignments of views, each (B, C, T), to the teacher's of other ones."""
        seen = global_views(views)
        student = self.head(embed_views(self.encoder, views))
        with torch.no_grad():
            teacher = embed_views(self.target, seen)

        def loss(student: Tensor, teacher: Tensor) -> Tensor:
            views_of = (teacher.chunk(len(seen)), student.chunk(len(views)))
            found: Tensor = self.criterion(*views_of, self.teacher_temperature)
            return found

        return in_fp32(loss, student, teacher)

    def before_step(self, step: int) -> None:
        """Move the teacher towards the student, and its temperature towards the last."""
        first, last = self.temperatures
        self.teacher_temperature = first + (last - first) * min(1.0, step / max(1, round(self.warmup * self.steps)))
        self.target.follow(self.encoder, self.head, step=step, steps=self.steps)


class _Head(nn.Module):
    """Similarity to prototypes of unit length: (B, D) -> (B, prototypes).

    lightly's cannot be copied, since its weight normalisation is one of tensors that are computed.
    """

    def __init__(self, dim: int, hidden_dim: int, bottleneck_dim: int, prototypes: int) -> None:
        super().__init__()
        layers = [
            each
            for inputs in (dim, hidden_dim)
            for each in (nn.Linear(inputs, hidden_dim, bias=False), nn.BatchNorm1d(hidden_dim), nn.GELU())
        ]
        self.layers = nn.Sequential(*layers, nn.Linear(hidden_dim, bottleneck_dim))
        self.prototypes = nn.Parameter(torch.randn(prototypes, bottleneck_dim))

    def forward(self, x: Tensor) -> Tensor:
        return linear(normalize(self.layers(x)), normalize(self.prototypes))
