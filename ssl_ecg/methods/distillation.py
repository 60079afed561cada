"""Distillation: a small encoder learns to give the embeddings of a large one, without a label."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from augmentations import Augmentation, Compose
from ssl_ecg.checkpoint import PretrainedEncoder, load_encoder
from ssl_ecg.data.batches import Batch
from ssl_ecg.encoders import Encoder
from ssl_ecg.errors import UserError
from ssl_ecg.methods.base import Method, in_fp32, refusals_of
from ssl_ecg.optimisers import Optimiser


class Distillation(Method):
    """Regression of a teacher's embeddings (SimReg, Navaneet et al. 2021, https://arxiv.org/abs/2201.05131).

    The student predicts, from a window that is augmented, what the frozen teacher gives for the same window as it is; a
    head that is thrown away afterwards comes between them. Deviation: each dimension of the teacher's embedding is
    standardised over the batch and counts alike, where the authors compare directions; a linear probe weighs dimensions
    by itself.

    The windows must be prepared as the teacher's were, but for their length. The student's checkpoint names the
    teacher's patients among its own.

    Args:
        encoder: the student, which is exported.
        teacher: reference to the checkpoint of an encoder, as for `load_encoder`.
        optimiser: how it is trained.
        augmentations: what is done to the windows the student sees; none by default.
        hidden_dim: of the head.
    """

    sample_wise = True

    def __init__(
        self,
        encoder: Encoder,
        teacher: str,
        optimiser: Optimiser | None = None,
        augmentations: list[Augmentation] | None = None,
        hidden_dim: int = 1024,
    ) -> None:
        super().__init__(encoder, optimiser)
        self.augmentations = Compose(augmentations or [])
        self.teacher = load_encoder(teacher)
        self.head = nn.Sequential(
            nn.Linear(encoder.dim, hidden_dim),
            nn.BatchNorm1d(hidden_dim),
            nn.ReLU(),
            nn.Linear(hidden_dim, self.teacher.dim),
        )
        self.standardise = nn.BatchNorm1d(self.teacher.dim, affine=False)

    @property
    def teachers(self) -> list[PretrainedEncoder]:
        """The one."""
        return [self.teacher]

    def augmented(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """What the student sees of windows (B, C, T)."""
        return self.augmentations(x, self.fs, generator)

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Mean squared error of the teacher's standardised embeddings of windows; 1 is what a constant gets."""
        with torch.no_grad():
            wanted = self.standardise(self.teacher.encoder(self.teacher.preprocessing.normalise_windows(batch.x)))
        given = self.head(self.encoder(self.augmented(batch.x, generator)))
        return in_fp32(nn.functional.mse_loss, given, wanted)

    def check(self, leads: int, samples: int, fs: float) -> None:
        """Refuse windows that the teacher was not made for, too; see `Method.check`."""
        with refusals_of("method.augmentations"):
            self.augmentations.check(fs)
        super().check(leads, samples, fs)
        known = self.teacher.preprocessing
        if known.fs != fs:
            raise UserError(f"method.teacher sees {known.fs:g} Hz, the windows have {fs:g}: set preprocessing.fs to it")
        if not self.teacher.encoder.any_leads and leads != self.teacher.encoder.in_channels:
            raise UserError(
                f"method.teacher takes {self.teacher.encoder.in_channels} leads ({', '.join(known.leads)}), the "
                f"windows have {leads}: set preprocessing.leads to the teacher's"
            )
