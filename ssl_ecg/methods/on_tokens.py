"""Methods that work on tokens: they predict them, or give the signal back from them."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn

from augmentations import Augmentation, Compose
from ssl_ecg.data.batches import Batch
from ssl_ecg.encoders import Encoder
from ssl_ecg.encoders.decoder import Decoder, reconstruct
from ssl_ecg.errors import UserError
from ssl_ecg.methods.base import Method, refusals_of
from ssl_ecg.optimisers import Optimiser


class OnTokens(Method):
    """A method that works on tokens, of windows that are augmented once; leads embedded apart are windows of their own.

    Args:
        encoder: what is pretrained, and afterwards exported; it needs tokens.
        optimiser: how it is trained.
        augmentations: what is done to windows before; none by default.
    """

    needs_tokens = True

    def __init__(
        self,
        encoder: Encoder,
        optimiser: Optimiser | None = None,
        augmentations: list[Augmentation] | None = None,
    ) -> None:
        super().__init__(encoder, optimiser)
        self.augmentations = Compose(augmentations or [])

    def augmented(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Augment windows (B, C, T), each lead by itself where they are embedded apart: then (B C, 1, T)."""
        return self.augmentations(self.encoder.split_leads(x), self.fs, generator)

    def check(self, leads: int, samples: int, fs: float) -> None:
        """Refuse augmentations that the sampling rate cannot carry too; see `Method.check`."""
        with refusals_of("method.augmentations"):
            self.augmentations.check(fs)
        super().check(leads, samples, fs)


class Predictive(OnTokens):
    """A method that predicts tokens from tokens; a subclass gives `predict(tokens, x, generator)`.

    Args:
        encoder: what is pretrained, and afterwards exported; it needs tokens.
        optimiser: how it is trained.
        augmentations: what is done to windows before; none by default.
    """

    @abstractmethod
    def predict(self, tokens: Tensor, x: Tensor, generator: torch.Generator) -> Tensor:
        """Compute the objective of tokens.

        Args:
            tokens: of the windows, shape (B, F, T'); F is `encoder.widths[-1]`.
            x: the windows, shape (B, C, T).
            generator: the only source of random numbers, such as for masks.

        Returns:
            A scalar, float32 whatever the precision of training (see `in_fp32`).
        """

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Compute the tokens of a batch, and the objective of them."""
        x = self.augmented(batch.x, generator)
        return self.predict(self.encoder.tokens(x), x, generator)


class Reconstructive(Method):
    """A method that gives the signal back from tokens; a subclass gives `corrupt(x, generator)`.

    Args:
        encoder: what is pretrained, and afterwards exported; it needs tokens.
        optimiser: how it is trained.
        hidden_dim: channels of the decoder.
        bottleneck: numbers that a token is narrowed to before it is decoded; 0 leaves it as it is.

    Attributes:
        decoder: maps tokens (B, F, T') to signals (B, C, T) of at least the window's length; it goes along with the
            checkpoint, where the error of the reconstruction tells anomalies.
    """

    needs_tokens = True
    decoder: nn.Module

    sample_wise = True

    def __init__(
        self, encoder: Encoder, optimiser: Optimiser | None = None, hidden_dim: int = 64, bottleneck: int = 0
    ) -> None:
        super().__init__(encoder, optimiser)
        if encoder.has_tokens:
            self.decoder = Decoder(encoder.widths[-1], encoder.inputs, encoder.stride, hidden_dim, bottleneck)

    @property
    def shipped(self) -> Decoder | None:
        """The decoder; none where a subclass has one of another class."""
        return self.decoder if isinstance(self.decoder, Decoder) else None

    def check(self, leads: int, samples: int, fs: float) -> None:
        """Refuse an encoder whose tokens have lost the size of the signal, too; see `Method.check`."""
        if self.encoder.amplitudes:
            raise UserError(
                f"{type(self).__name__} gives the signal back from tokens, and with method.encoder.amplitudes these do "
                "not tell its size: leave that out"
            )
        super().check(leads, samples, fs)

    @abstractmethod
    def corrupt(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Hide something of windows.

        Args:
            x: shape (B, C, T).
            generator: the only source of random numbers.

        Returns:
            What the encoder sees, (B, C, T), and how much the error of each sample counts, broadcast to (B, C, T).
        """

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Compute the weighted mean squared error of each window's reconstruction, and the mean over windows."""
        seen, weight = self.corrupt(batch.x, generator)
        made = reconstruct(self.encoder, self.decoder, seen)
        weight = weight.expand_as(made)
        error = ((made - batch.x).square() * weight).sum((1, 2))
        return (error / weight.sum((1, 2)).clamp_min(1e-6)).mean()
