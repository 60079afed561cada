"""Methods that compare embeddings of several augmented views of each window."""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from augmentations import LeadViews, Views
from ssl_ecg.data.batches import Batch
from ssl_ecg.encoders import Encoder
from ssl_ecg.errors import UserError
from ssl_ecg.methods.base import Method, refusals_of
from ssl_ecg.optimisers import Optimiser


class JointEmbedding(Method):
    """A method that compares embeddings of augmented views; a subclass gives `compare(views, patient)`.

    Args:
        encoder: what is pretrained, and afterwards exported.
        views: the augmentations that make the views.
        optimiser: how it is trained.

    Attributes:
        n_views: how many views `compare` takes; None for any number from two up.
    """

    n_views: ClassVar[int | None] = None

    def __init__(self, encoder: Encoder, views: Views, optimiser: Optimiser | None = None) -> None:
        super().__init__(encoder, optimiser)
        self.views = views

    @abstractmethod
    def compare(self, views: list[Tensor], patient: Tensor) -> Tensor:
        """Compute the objective of views.

        Args:
            views: augmented versions of one batch, each (B, C, T_i); long ones first, where lengths differ.
            patient: number of the patient each window is from, shape (B,), int64.

        Returns:
            A scalar, float32 whatever the precision of training (see `in_fp32`).
        """

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Make the views of a batch, every second one of its partners where it has some, and compare them."""
        x = batch.x if batch.partner is None else [batch.x, batch.partner]
        return self.compare(self.views(x, self.fs, generator), batch.patient)

    def looks(self, x: Tensor, generator: torch.Generator) -> list[Tensor]:
        """Two views of windows (B, C, T)."""
        return self.views(x, self.fs, generator)[:2]

    def check(self, leads: int, samples: int, fs: float) -> None:
        """Refuse views the loss cannot compare or the sampling rate cannot carry too; see `Method.check`."""
        name, views = type(self).__name__, self.views
        if views.n != (wanted := self.n_views or max(2, views.n)):
            setting = "method.views.n must be" if "n" in views.settings() else f"{type(views).__name__} must show"
            raise UserError(f"{name} compares {self.n_views or 'at least 2'} views: {setting} {wanted}, not {views.n}")
        with refusals_of("method.views"):
            views.check(fs)
        super().check(leads, samples, fs)
        if isinstance(views, LeadViews):
            if leads < 2:
                raise UserError(
                    "method.views: LeadViews show different leads: preprocessing.leads must name two or more"
                )
            if not self.encoder.any_leads:
                raise UserError(
                    f"method.views: LeadViews show one lead at a time, but {type(self.encoder).__name__} takes all "
                    f"{leads} together: set method.encoder.leads to apart, or use Views"
                )
        with refusals_of("method.views"):
            views(torch.zeros(2, leads, samples), fs, torch.Generator())


def embed_views(network: nn.Module, views: Sequence[Tensor]) -> Tensor:
    """Embed n views (B, C, T_i), those of one length that follow each other as one batch: (n B, D), view by view."""
    alike = (list(group) for _, group in itertools.groupby(views, key=lambda view: view.shape))
    return torch.cat([network(torch.cat(group)) for group in alike])


def global_views(views: Sequence[Tensor]) -> Sequence[Tensor]:
    """The views (B, C, T) as long as the first, at the beginning: all, or the long ones of `MultiCrop`."""
    return list(itertools.takewhile(lambda view: view.shape == views[0].shape, views))
