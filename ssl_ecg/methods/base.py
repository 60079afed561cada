"""What every pretraining method shares: views in, one loss out, the online encoder exported."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn

from augmentations import LeadViews, Views
from ssl_ecg.data.batches import Batch
from ssl_ecg.data.randomness import generator
from ssl_ecg.encoders import Encoder
from ssl_ecg.errors import UserError
from ssl_ecg.optimisers import AdamW, Optimiser


class Trained(LightningModule):
    """An encoder that some objective trains, by an optimiser and its schedule over the whole run.

    All randomness of a step follows from the seed, the step and the rank, so that a resumed run goes on exactly as it
    would have.

    Args:
        encoder: what is trained.
        optimiser: how.

    Attributes:
        fs: sampling rate of the windows, Hz; set before training.
        seed: of the augmentations; set before training.
        steps: of the whole run, however often it is stopped; set before training.
    """

    fs: float = 100.0
    seed: int = 0
    steps: int = 1

    def __init__(self, encoder: Encoder, optimiser: Optimiser | None = None) -> None:
        super().__init__()
        self.encoder = encoder
        self.optimiser = optimiser if optimiser is not None else AdamW()

    def shares(self) -> dict[nn.Parameter, float]:
        """Shares of the learning rate, for parameters that do not have all of it."""
        return {}

    def configure_optimizers(self) -> Any:  # noqa: ANN401  (Lightning's own return type is a wide union)
        """Optimiser and per-step schedule over the whole run."""
        optimiser, schedule = self.optimiser.configure(self, self.steps, self.shares())
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class Method(Trained, ABC):
    """A self-supervised objective on augmented views of ECG windows.

    A subclass gives `loss(views)`; everything else is here.

    Args:
        encoder: what is pretrained, and afterwards exported.
        views: the augmentations that make the views.
        optimiser: how it is trained.

    Attributes:
        n_views: how many views `loss` compares; None for any number.
    """

    n_views: ClassVar[int | None] = None

    def __init__(self, encoder: Encoder, views: Views, optimiser: Optimiser | None = None) -> None:
        super().__init__(encoder, optimiser)
        self.views = views

    def check(self, leads: int, samples: int) -> None:
        """Refuse, before any work, what cannot be trained.

        That is views the loss cannot compare or the sampling rate cannot carry, and an encoder that does not embed.

        Args:
            leads: of a window.
            samples: length of a window.

        Raises:
            UserError: naming the view, the augmentation or the encoder, and what is wanted of it.
        """
        if self.n_views not in (None, self.views.n):
            raise UserError(
                f"{type(self).__name__} compares {self.n_views} views: method.views.n must be {self.n_views}, "
                f"not {self.views.n}"
            )
        try:
            self.views.check(self.fs)
        except ValueError as error:
            raise UserError(f"method.views: {error}") from None
        check_embeds(self.encoder, leads, samples)
        if isinstance(self.views, LeadViews):
            if leads < 2:
                raise UserError(
                    "method.views: LeadViews show different leads: preprocessing.leads must name two or more"
                )
            if not self.encoder.any_leads:
                raise UserError(
                    f"method.views: LeadViews show one lead at a time, but {type(self.encoder).__name__} takes all "
                    f"{leads} together: set method.encoder.leads to apart, or use Views"
                )

    @abstractmethod
    def loss(self, views: list[Tensor], patient: Tensor) -> Tensor:
        """The objective.

        Args:
            views: augmented versions of one batch, each (B, C, T).
            patient: number of the patient each window is from, shape (B,), int64.

        Returns:
            A scalar, float32 whatever the precision of training (see `in_fp32`).
        """

    def make_views(self, x: Tensor, step: int, partner: Tensor | None = None) -> list[Tensor]:
        """The views of a batch (B, C, T) at a training step, every second one of its partners where it has some."""
        g = generator(self.seed, 4, step, self.global_rank, device=x.device)
        return self.views(x if partner is None else [x, partner], self.fs, g)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """One step of Lightning's loop: views, loss."""
        loss = self.loss(self.make_views(batch.x, self.global_step, batch.partner), batch.patient)
        self.log("loss", loss, on_step=True, on_epoch=True, prog_bar=True, batch_size=len(batch.x), sync_dist=True)
        return loss


def in_fp32(criterion: Callable[..., Tensor], *z: Tensor) -> Tensor:
    """A loss outside autocast: a softmax over thousands of similarities loses too much in half precision."""
    with torch.autocast(z[0].device.type, enabled=False):
        return criterion(*(v.float() for v in z))


@torch.inference_mode()
def check_embeds(encoder: Encoder, leads: int, samples: int) -> None:
    """Refuse an encoder that does not make windows (B, C, T) into embeddings (B, dim), by two windows of zeros.

    Raises:
        UserError: naming its class and what it gives instead.
    """
    training = encoder.training
    z = encoder.eval()(torch.zeros(2, leads, samples))
    encoder.train(training)
    if not isinstance(z, Tensor) or z.shape != (2, encoder.dim):
        given = f"shape {tuple(z.shape)}" if isinstance(z, Tensor) else type(z).__name__
        raise UserError(
            f"{type(encoder).__name__} makes two windows of shape {(leads, samples)} into {given}: it must give one "
            f"embedding of its dim each, shape {(2, encoder.dim)}"
        )
