"""Autoencoder: the signal comes back through a bottleneck, from itself or from a noisy copy."""

from __future__ import annotations

import torch
from torch import Tensor

from augmentations import Augmentation, Compose
from ssl_ecg.encoders import Encoder
from ssl_ecg.errors import UserError
from ssl_ecg.methods.base import refusals_of
from ssl_ecg.methods.on_tokens import Reconstructive
from ssl_ecg.optimisers import Optimiser


class Autoencoder(Reconstructive):
    """Convolutional autoencoder, plain or denoising (Vincent et al. 2008, https://doi.org/10.1145/1390156.1390294).

    The bottleneck lies in the decoder: what is exported are the encoder's own tokens.

    Args:
        encoder: what is pretrained, and afterwards exported; it needs tokens.
        optimiser: how it is trained.
        bottleneck: numbers that a token is narrowed to before it is decoded; one much smaller than leads times stride
            keeps the encoder from copying.
        hidden_dim: channels of the decoder.
        augmentations: what disturbs the copy that the encoder sees; none is the plain autoencoder.
    """

    def __init__(
        self,
        encoder: Encoder,
        optimiser: Optimiser | None = None,
        bottleneck: int = 4,
        hidden_dim: int = 64,
        augmentations: list[Augmentation] | None = None,
    ) -> None:
        if bottleneck < 0 or hidden_dim < 1:
            raise ValueError(f"Autoencoder: expected bottleneck >= 0, hidden_dim > 0, not {bottleneck}, {hidden_dim}")
        super().__init__(encoder, optimiser, hidden_dim, bottleneck)
        self.augmentations = Compose(augmentations or [])

    def check(self, leads: int, samples: int, fs: float) -> None:
        """Refuse augmentations that change the length or that the rate cannot carry, too; see `Method.check`."""
        with refusals_of("method.augmentations"):
            self.augmentations.check(fs)
            seen = self.augmentations(torch.zeros(2, leads, samples), fs, torch.Generator())
        if seen.shape[-1] != samples:
            raise UserError("method.augmentations: a denoising autoencoder compares sample by sample: take out crops")
        super().check(leads, samples, fs)

    def corrupt(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Augment windows (B, C, T); every sample counts."""
        return self.augmentations(x, self.fs, generator), torch.ones_like(x[:1, :1, :1])
