"""Masked autoencoder: hidden blocks of the signal are given back from what is around them."""

from __future__ import annotations

import torch
from torch import Tensor

from ssl_ecg.encoders import Encoder
from ssl_ecg.encoders.decoder import Decoder
from ssl_ecg.errors import UserError
from ssl_ecg.methods.masks import draw_blocks, of_samples
from ssl_ecg.methods.on_tokens import Reconstructive
from ssl_ecg.optimisers import Optimiser


class MaskedAutoencoder(Reconstructive):
    """Masked autoencoder (He et al. 2022, https://arxiv.org/abs/2111.06377).

    For ECG: Na et al. 2024 (ST-MEM, https://arxiv.org/abs/2402.09450). Deviations, for convolutional encoders: hidden
    samples are zeros rather than left out, in blocks of time that all leads share. The error counts where samples were
    hidden alone.

    Args:
        encoder: what is pretrained, and afterwards exported; it needs tokens.
        optimiser: how it is trained.
        share: how much of a window is hidden at most, 0 to 1; blocks are drawn at random, and where they overlap it is
            less.
        block: length of a block, s.
        hidden_dim: channels of the decoder.
    """

    def __init__(
        self,
        encoder: Encoder,
        optimiser: Optimiser | None = None,
        share: float = 0.5,
        block: float = 0.8,
        hidden_dim: int = 64,
    ) -> None:
        super().__init__(encoder, optimiser, hidden_dim)
        if not 0 < share < 1 or not block > 0:
            raise ValueError(f"MaskedAutoencoder: expected 0 < share < 1 and block > 0, not {share} and {block}")
        self.share, self.block = share, block

    def prepare(self, fs: float, seed: int = 0, steps: int = 1) -> None:
        """Say once what run this is; the decoder notes the length of a block in samples."""
        super().prepare(fs, seed, steps)
        if isinstance(self.decoder, Decoder):
            self.decoder.hides(self._tokens(fs) * self.encoder.stride)

    def check(self, leads: int, samples: int, fs: float) -> None:
        """Refuse windows that a block would hide whole, too; see `Method.check`."""
        if self.block * fs * 2 > samples:
            raise UserError(f"method.block: blocks of {self.block} s hide most of a window of {samples / fs} s")
        super().check(leads, samples, fs)

    def _tokens(self, fs: float) -> int:
        return max(1, round(self.block * fs / self.encoder.stride))

    def corrupt(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Hide blocks of windows (B, C, T); what is hidden counts."""
        stride, length = self.encoder.stride, self._tokens(self.fs)
        tokens = max(1, x.shape[-1] // stride)
        hidden = draw_blocks(len(x), tokens, max(1, round(self.share * tokens / length)), length, generator)
        of = of_samples(hidden, stride, x.shape[-1])[:, None]
        return x.masked_fill(of, 0), of.float()
