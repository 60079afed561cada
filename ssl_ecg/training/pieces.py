"""Batches larger than the memory: worked through in pieces, or embedded in pieces and compared whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ssl_ecg.data.batches import Batch
from ssl_ecg.encoders import Encoder
from ssl_ecg.errors import UserError
from ssl_ecg.methods import JointEmbedding
from ssl_ecg.methods.base import Trained
from ssl_ecg.training.settings import TrainerSettings


def check_pieces(trained: Trained, settings: TrainerSettings, batch_size: int | None = None) -> None:
    """Refuse pieces whose gradient would be another one than the whole batch's: UserError that says what to set."""
    name = type(trained).__name__
    if settings.accumulate > 1 and not trained.sample_wise:
        instead = "use trainer.cached" if isinstance(trained, JointEmbedding) else "lower batch_size"
        raise UserError(f"trainer.accumulate: {name} compares the samples of a batch, which must stay whole: {instead}")
    if batch_size is not None and 2 * settings.accumulate > batch_size:
        raise UserError(f"trainer.accumulate: {settings.accumulate} pieces of a batch of {batch_size} are too small")
    if not settings.cached:
        return
    if not isinstance(trained, JointEmbedding):
        raise UserError(f"trainer.cached: {name} does not compare embeddings: use trainer.accumulate")
    if any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in trained.encoder.modules()):
        raise UserError(
            f"trainer.cached: the BatchNorm of {type(trained.encoder).__name__} needs the whole batch at once: take an "
            "encoder without, such as ConvNeXt1d or ConvGRU"
        )


def pieces(batch: Batch, number: int) -> list[Batch]:
    """Cut a batch into pieces of almost one size."""
    parts = (None if part is None else part.tensor_split(number) for part in batch)
    x, patient, partner, row = parts
    assert x is not None and patient is not None
    nothing = [None] * number
    return [Batch(*part) for part in zip(x, patient, partner or nothing, row or nothing, strict=True)]


@contextmanager
def cached(encoder: Encoder, size: int) -> Iterator[None]:
    """Embed at most `size` windows at a time within the block, with the gradient of the whole batch.

    Embeddings are computed without keeping what their gradient needs, compared all together, and each piece is computed
    once more as its gradient comes back: GradCache (Gao et al. 2021, https://arxiv.org/abs/2101.06983), here by torch's
    checkpoints, which draw the same dropout again and know autocast and several processes.
    """
    before, forward = encoder.__dict__.get("forward"), encoder.forward

    def in_pieces(x: Tensor) -> Tensor:
        if not (encoder.training and torch.is_grad_enabled()):
            return forward(x)
        return torch.cat([checkpoint(forward, piece, use_reentrant=False) for piece in x.split(size)])

    setattr(encoder, "forward", in_pieces)  # noqa: B010  (mypy: a method)
    try:
        yield
    finally:
        delattr(encoder, "forward")
        if before is not None:
            setattr(encoder, "forward", before)  # noqa: B010
