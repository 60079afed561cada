"""Quantisation-aware fine-tuning: an encoder learns to give what it gave, through 8-bit convolutions."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ssl_ecg.data.progress import track
from ssl_ecg.encoders import Encoder
from ssl_ecg.encoders.layers import Conv

Draw = Callable[[int], Tensor]
"""Gives so many windows (B, C, T), other ones at every call."""

BATCH = 32
_RATE, _RANGES = 2e-4, 5e-3  # learning rates: of weights, and of ranges by their size
_WARM = 20  # steps
_KEPT = 20_000  # values of an activation and batch that calibration looks at


@dataclass(frozen=True)
class Tuned:
    """A fine-tuned encoder, and the range of each convolution's input, the first executed first; None if in fp32."""

    encoder: Encoder
    ranges: tuple[tuple[float, float] | None, ...]


def fine_tune(
    encoder: Encoder, draw: Draw, calibration: Tensor, percentile: float, stem: bool, steps: int
) -> Tuned | None:
    """Train a copy of an encoder to give the original's embeddings although its convolutions are quantised.

    Weights by channel in seven bits and inputs in eight, as `quantise` has them, with gradients that pass the rounding
    unchanged (Jacob et al. 2018, https://arxiv.org/abs/1712.05877) and ranges that are learned too (Esser et al. 2020,
    https://arxiv.org/abs/1902.08153). No label is seen. BatchNorms keep their statistics.

    Args:
        encoder: any, in evaluation mode; convolutions are those of `ssl_ecg.encoders.layers`.
        draw: gives windows (B, C, T) of train patients.
        calibration: windows that ranges begin from, (n, C, T).
        percentile: share of an input's values within its first range, in percent.
        stem: whether the first convolution is quantised too.
        steps: of Adam.

    Returns:
        The copy with what its convolutions' inputs range over; None if it diverged.
    """
    tuned = copy.deepcopy(encoder)
    sites: list[_Site] = []
    for layer in tuned.modules():
        if isinstance(layer, Conv):
            layer.convolve = _Site(layer, sites)  # type: ignore[method-assign]
    with torch.no_grad():
        spread = torch.cat([tuned(batch) for batch in calibration.split(BATCH)]).std(0) + 1e-3
    for site in sites if stem else sites[1:]:
        site.begin(percentile)
    groups: list[dict[str, Any]] = [{"params": list(tuned.requires_grad_().parameters()), "lr": _RATE}]
    groups += [{"params": [b], "lr": _RANGES * float(b.detach().abs())} for site in sites for b in site.learned]
    optimiser = torch.optim.Adam(groups)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _share(step, steps))
    for _ in track(range(steps), steps, "fine-tuning"):
        x = draw(BATCH)
        with torch.no_grad():
            wanted = encoder(x)
        error = ((tuned(x) - wanted) / spread).square().mean(1)
        loss = (error + 1e-12).sqrt().mean()  # not squared: windows of noise have the largest errors
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([p for group in groups for p in group["params"]], 1.0)
        if not loss.isfinite():
            return None
        optimiser.step()
        schedule.step()
    for site in sites:
        del site.layer.convolve
    return Tuned(tuned.requires_grad_(False), tuple(site.range for site in sites))


class _Site:
    """Stands in for a convolution: watches its inputs, in the order of execution, then quantises."""

    def __init__(self, layer: Conv, order: list[_Site]) -> None:
        self.layer, self._order = layer, order
        self._seen: list[Tensor] = []
        self._bounds: tuple[Tensor, Tensor] | None = None

    def begin(self, percentile: float) -> None:
        """Quantise from now on, at first in the range of what was seen."""
        seen, beyond = torch.cat(self._seen).numpy(), (1 - percentile / 100) / 2
        low, high = min(0.0, float(np.quantile(seen, beyond))), max(1e-6, float(np.quantile(seen, 1 - beyond)))
        self._bounds = torch.tensor(low, requires_grad=low < 0), torch.tensor(high, requires_grad=True)
        self._seen.clear()

    @property
    def learned(self) -> list[Tensor]:
        """The bounds of its range that are not 0."""
        return [bound for bound in self._bounds or () if bound.requires_grad]

    @property
    def range(self) -> tuple[float, float] | None:
        """The bounds; None where it stays in fp32."""
        return None if self._bounds is None else (float(self._bounds[0].detach()), float(self._bounds[1].detach()))

    def __call__(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Convolve, as the layer does."""
        if self._bounds is not None:
            low, high = self._bounds
            scale = (high - low) / 255
            x = torch._fake_quantize_learnable_per_tensor_affine(x, scale[None], (-low / scale)[None], 0, 255, 1.0)
            steps = weight.detach().abs().amax(tuple(range(1, weight.ndim))).clamp_min(1e-12) / 64
            zero = torch.zeros(len(steps), dtype=torch.int32)
            weight = torch.fake_quantize_per_channel_affine(weight, steps, zero, 0, -64, 64)
        elif not torch.is_grad_enabled():
            if not self._seen:
                self._order.append(self)
            values = x.flatten()
            self._seen.append(values[torch.linspace(0, len(values) - 1, min(_KEPT, len(values))).long()])
        return Conv.convolve(self.layer, x, weight, bias)


def _share(step: int, steps: int) -> float:
    """The share of the learning rates at a step: a warm-up, then half a cosine down to 0."""
    return min(1.0, (step + 1) / _WARM) * (0.5 + 0.5 * math.cos(math.pi * step / steps))
