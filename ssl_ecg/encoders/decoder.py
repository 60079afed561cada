"""Give a signal back from tokens: what an autoencoder is trained with, and an anomaly is scored by."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ssl_ecg.encoders.base import Encoder


class Decoder(nn.Module):
    """Map tokens to the signal they stand for: (B, F, T') -> (B, C, T' stride).

    A convolution narrows each token to the bottleneck, and stages of upsampling and convolution lead back to samples.
    Upsampling repeats values, which leaves no chequerboard (Odena et al. 2016, https://doi.org/10.23915/distill.00003).

    Args:
        features: F, of a token.
        channels: C, leads that are given back.
        stride: samples of a token.
        hidden: channels of the stages between.
        bottleneck: numbers that a token is narrowed to; 0 leaves it as it is.
        block: length of the blocks that were hidden in training, in samples; 0 if nothing was.
    """

    def __init__(
        self, features: int, channels: int, stride: int, hidden: int = 64, bottleneck: int = 0, block: int = 0
    ) -> None:
        super().__init__()
        self.arguments = {
            "features": features,
            "channels": channels,
            "stride": stride,
            "hidden": hidden,
            "bottleneck": bottleneck,
            "block": block,
        }
        self.block = block
        narrow: list[nn.Module] = [nn.Conv1d(features, bottleneck, 1)] if bottleneck else []
        stages: list[nn.Module] = [nn.Conv1d(bottleneck or features, hidden, 3, padding=1)]
        for factor in _factors(stride):
            wide = 2 * factor + 1  # sees the neighbouring tokens
            stages += [nn.GELU(), nn.Upsample(scale_factor=factor), nn.Conv1d(hidden, hidden, wide, padding=factor)]
        self.layers = nn.Sequential(*narrow, *stages, nn.GELU(), nn.Conv1d(hidden, channels, 7, padding=3))

    def hides(self, block: int) -> None:
        """Note the length of the blocks that are hidden in training, in samples."""
        self.block = self.arguments["block"] = block

    def forward(self, tokens: Tensor) -> Tensor:
        """Decode tokens (B, F, T') to signals (B, C, T' stride)."""
        decoded: Tensor = self.layers(tokens)
        return decoded


def reconstruct(encoder: Encoder, decoder: nn.Module, x: Tensor) -> Tensor:
    """Encode and decode windows (B, C, T), each lead by itself where the encoder takes leads apart: the same shape."""
    split = encoder.split_leads(x)
    made: Tensor = decoder(encoder.tokens(split))[..., : x.shape[-1]]
    return made.to(torch.promote_types(made.dtype, torch.float32)).reshape(x.shape)


def reconstruction_error(encoder: Encoder, decoder: Decoder, x: Tensor) -> Tensor:
    """Mean squared error of the reconstruction of windows (B, C, T), shape (B,).

    Where blocks were hidden in training, every second block is hidden here too, then the others; what counts is how
    well each is told from its surroundings.
    """
    if not decoder.block:
        return (reconstruct(encoder, decoder, x) - x).square().mean((1, 2))
    odd = torch.arange(x.shape[-1], device=x.device) // decoder.block % 2 == 1
    errors = [((reconstruct(encoder, decoder, x.masked_fill(h, 0)) - x).square() * h).sum((1, 2)) for h in (odd, ~odd)]
    return (errors[0] + errors[1]) / x[0].numel()


def _factors(n: int) -> list[int]:
    """The prime factors of a number, the smallest first."""
    found, factor = [], 2
    while n > 1:
        while n % factor == 0:
            found.append(factor)
            n //= factor
        factor += 1
    return found
