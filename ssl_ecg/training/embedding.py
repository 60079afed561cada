"""Embeddings of many windows with whatever encoder is at hand, trained or not."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from ssl_ecg.encoders import Encoder


@torch.inference_mode()
def embed(encoder: Encoder, windows: Iterable[Tensor]) -> Tensor:
    """Embed batches of normalised windows, in evaluation mode, leaving the encoder's mode as it was.

    Args:
        encoder: maps (B, C, T) to (B, D).
        windows: batches (B, C, T).

    Returns:
        Shape (n, D), float32, on the CPU.
    """
    training = encoder.training
    device = next(encoder.parameters()).device
    encoder.eval()
    try:
        return torch.cat([encoder(x.to(device)).float().cpu() for x in windows])
    finally:
        encoder.train(training)
