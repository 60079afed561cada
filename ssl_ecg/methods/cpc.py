"""CPC: what was heard so far tells the tokens to come from other tokens, of the same recording or of others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from augmentations import Augmentation
from ssl_ecg.data.batches import Batch
from ssl_ecg.encoders import Encoder
from ssl_ecg.errors import UserError
from ssl_ecg.methods.base import in_fp32
from ssl_ecg.methods.gather import gather, own_rows
from ssl_ecg.methods.on_tokens import OnTokens
from ssl_ecg.optimisers import Optimiser


class CPC(OnTokens):
    """Contrastive predictive coding (van den Oord et al. 2018, https://arxiv.org/abs/1807.03748).

    For ECG: Mehari and Strodthoff 2022 (https://doi.org/10.1016/j.compbiomed.2021.105114). The encoder's last stage is
    the causal context, the stage before it the tokens that are predicted. With negatives of the same recording, whose
    heart it is tells nothing. Deviations: cosine similarity and a temperature in place of the inner product, and all
    tokens of a recording, instead of a sample of them, are its negatives.

    Args:
        encoder: what is pretrained, and afterwards exported; its last stage must be a causal context, as ConvGRU's.
        optimiser: how it is trained.
        horizons: how far ahead is predicted, s.
        negatives: "same": the other tokens of the recording; "batch": tokens of other recordings, but none of the same
            patient; or "both".
        count: negatives drawn from the batch for each recording.
        gap: tokens on either side of the predicted one that are too like it to be negatives.
        temperature: of the softmax over similarities.
        augmentations: what is done to windows before.
    """

    def __init__(
        self,
        encoder: Encoder,
        optimiser: Optimiser | None = None,
        horizons: Sequence[float] = (0.24, 0.48, 0.8),
        negatives: Literal["same", "batch", "both"] = "same",
        count: int = 128,
        gap: int = 3,
        temperature: float = 0.1,
        augmentations: list[Augmentation] | None = None,
    ) -> None:
        super().__init__(encoder, optimiser, augmentations)
        if not horizons or min(horizons) <= 0:
            raise ValueError(f"CPC: horizons must be positive times, not {list(horizons)}")
        if not temperature > 0:
            raise ValueError(f"CPC: temperature must be positive, not {temperature}")
        if count < 1 or gap < 0:
            raise ValueError(f"CPC: count must be positive and gap not negative, not {count} and {gap}")
        self.horizons, self.negatives, self.count = tuple(horizons), negatives, count
        self.gap, self.temperature = gap, temperature
        if len(encoder.widths) > 1:
            context, token = encoder.widths[-1], encoder.widths[-2]
            self.heads = nn.ModuleList(nn.Conv1d(context, token, 1, bias=False) for _ in horizons)

    def check(self, leads: int, samples: int, fs: float) -> None:
        """Refuse an encoder whose last stage is no causal context, and horizons that do not fit; see `Method.check`."""
        super().check(leads, samples, fs)
        encoder, name = self.encoder, type(self.encoder).__name__
        grids = encoder.grids
        if len(grids) < 2 or grids[-1].stride != grids[-2].stride or grids[-1].right > grids[-2].right:
            raise UserError(
                f"CPC predicts the tokens to come from a causal context: the last stage of {name} is none on the "
                "tokens of the stage before it; take ConvGRU"
            )
        ahead = [self._ahead(horizon, fs) for horizon in self.horizons]
        if ahead[0] < 1 or any(b <= a for a, b in pairwise(ahead)) or ahead[-1] >= samples // encoder.stride - 2:
            raise UserError(
                f"method.horizons: {list(self.horizons)} s must ascend by at least one token of "
                f"{encoder.stride / fs:g} s and lie within a window of {samples / fs:g} s"
            )

    def _ahead(self, horizon: float, fs: float) -> int:
        return round(horizon * fs / self.encoder.stride)

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Predict the tokens of a batch, and tell them from others; the mean over horizons."""
        x = self.augmented(batch.x, generator)
        *_, tokens, context = self.encoder.features(self.encoder.seen(x))
        patient = batch.patient.repeat_interleave(len(x) // len(batch.x))
        others, allowed = None, None
        if self.negatives != "same":
            others, allowed = self._draw(tokens, patient, generator)
        losses = []
        for head, horizon in zip(self.heads, self.horizons, strict=True):
            ahead = self._ahead(horizon, self.fs)
            query = head(context[..., :-ahead])
            losses.append(in_fp32(lambda q, z, k=ahead: self.contrast(q, z, k, others, allowed), query, tokens))
        return torch.stack(losses).mean()

    def contrast(
        self, query: Tensor, tokens: Tensor, ahead: int, others: Tensor | None, allowed: Tensor | None
    ) -> Tensor:
        """Cross-entropy of the token each query is about, among its negatives.

        Args:
            query: shape (B, F, T' - ahead); the one at t is about token t + ahead.
            tokens: shape (B, F, T').
            ahead: tokens.
            others: tokens of other recordings, shape (B, count, F); None for negatives of the same alone.
            allowed: which of them are of another patient, shape (B, count).
        """
        q, z = normalize(query, dim=1).transpose(1, 2), normalize(tokens, dim=1)
        within = q @ z / self.temperature
        n, length = within.shape[1:]
        about = torch.arange(n, device=q.device)[:, None] + ahead
        apart = (torch.arange(length, device=q.device) - about).abs()
        if self.negatives == "batch":
            logits = within.gather(2, about.expand(len(q), n, 1))
            target = torch.zeros(len(q), n, dtype=torch.int64, device=q.device)
        else:
            logits = within.masked_fill((apart > 0) & (apart <= self.gap), -math.inf)
            target = about[:, 0].expand(len(q), n)
        if others is not None and allowed is not None:
            beyond = q @ normalize(others.to(q), dim=2).transpose(1, 2) / self.temperature
            logits = torch.cat([logits, beyond.masked_fill(~allowed[:, None], -math.inf)], dim=2)
        return cross_entropy(logits.flatten(0, 1), target.flatten())

    def _draw(self, tokens: Tensor, patient: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw tokens of other rows of the global batch for each of ours, and say which are of another patient.

        Shapes (B, count, F) and (B, count).
        """
        own, everyone, whose = own_rows(tokens), gather(tokens), gather(patient)
        shape, device = (len(everyone), self.count), tokens.device
        step = torch.randint(1, max(2, len(everyone)), shape, generator=generator, device=device)[own]
        place = torch.randint(tokens.shape[-1], shape, generator=generator, device=device)[own]
        row = (own[:, None] + step) % len(everyone)
        return everyone.transpose(1, 2)[row, place], whose[row] != patient[:, None]
