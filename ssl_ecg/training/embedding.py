"""Embeddings of many windows with whatever encoder is at hand, trained or not, and the device to compute them on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ssl_ecg.errors import UserError


@dataclass(frozen=True)
class Crops:
    """Several shorter cuts of one window, whose embeddings are averaged.

    An encoder pretrained on crops of a window has seen nothing as long as the window; the mean over evenly spaced crops
    is what SimCLR calls multi-crop evaluation. UserError for less than one crop or one sample.

    Args:
        number: of crops, evenly spaced from the window's start to its end; they may overlap.
        samples: length of each.
    """

    number: int
    samples: int

    def __post_init__(self) -> None:
        if self.number < 1 or self.samples < 1:
            raise UserError(f"expected at least one crop of one sample, got {self.number} of {self.samples}")

    def __call__(self, x: Tensor) -> Tensor:
        """Cut windows (B, C, T): shape (B number, C, samples), window by window; UserError if T < samples."""
        if self.samples > x.shape[-1]:
            raise UserError(f"a crop of {self.samples} samples is longer than the window of {x.shape[-1]}")
        starts = torch.linspace(0, x.shape[-1] - self.samples, self.number).round().long().tolist()
        return torch.stack([x[..., start : start + self.samples] for start in starts], dim=1).flatten(0, 1)


@torch.inference_mode()
def embed(encoder: nn.Module, windows: Iterable[Tensor], crops: Crops | None = None) -> Tensor:
    """Embed batches (B, C, T) of normalised windows: shape (n, D), float32, on the CPU.

    In evaluation mode; the encoder (B, C, T) -> (B, D), or one with a head, keeps its own mode. `crops`: average over
    these crops of each window; the whole window by default.
    """
    training = encoder.training
    device = next(encoder.parameters()).device
    encoder.eval()
    try:
        return torch.cat([_embedded(encoder, x.to(device), crops).float().cpu() for x in windows])
    finally:
        encoder.train(training)


def _embedded(encoder: nn.Module, x: Tensor, crops: Crops | None) -> Tensor:
    z: Tensor = encoder(x if crops is None else crops(x))
    return z if crops is None else z.unflatten(0, (-1, crops.number)).mean(dim=1)


def pick_device(name: str) -> torch.device:
    """The device of that name; for auto, a GPU if there is one. UserError if there is no such device here."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"there is no device {name!r} here ({str(error).splitlines()[0]}): use cpu or auto") from None
    return device
