"""What a head reads of a lead: maps of a network on grids of their own, each at a few moments around a sample."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ssl_ecg.checkpoint import PretrainedEncoder
from ssl_ecg.checkpoint.long import stages
from ssl_ecg.encoders import Encoder
from ssl_ecg.errors import UserError
from ssl_ecg.preprocessing import Preprocessing, typical_sd
from ssl_ecg.streaming.conditioning import CausalConditioning

AROUND = (-0.08, 0.08)
"""Moments that a map is read at, s from the sample that its tokens are about."""
AFTER = (0.0, 0.16)
"""The same for a causal map, s after the second token from there: later tokens know what comes next."""


@dataclass(frozen=True)
class Map:
    """A map of features (F, T'), and where it is read: of sample t, at `(t + shift) / stride` for every shift.

    Of several leads at once, (C, F, T').
    """

    values: Tensor
    stride: int
    shifts: tuple[float, ...]

    @property
    def width(self) -> int:
        """Features a sample gets of it."""
        return self.values.shape[-2] * len(self.shifts)

    def at(self, samples: Tensor) -> Tensor:
        """Interpolate linearly at samples (n,): shape (n, width), one shift after the other."""
        tokens = self.values.T.contiguous()
        return torch.cat([_between(tokens, (samples + shift) / self.stride) for shift in self.shifts], dim=1)

    def scores(self, weight: Tensor, n: int) -> Tensor:
        """What a linear layer (width, K) makes of it at samples 0 to n - 1: shape (n, K), of several leads (C, n, K).

        Applied to the tokens and then interpolated, which is the same and many times as fast.
        """
        samples, total, time = torch.arange(n), torch.zeros(1), self.values.ndim - 2
        for shift, part in zip(self.shifts, weight.split(self.values.shape[-2]), strict=True):
            tokens = (self.values.transpose(-1, -2) @ part).transpose(0, time).contiguous()
            total = total + _between(tokens, (samples + shift) / self.stride)
        return total.transpose(0, time)


def _between(tokens: Tensor, where: Tensor) -> Tensor:
    """Interpolate (T', ...) linearly at places counted in tokens, (n,), the ends held: shape (n, ...)."""
    last = torch.full_like(where, tokens.shape[0] - 1)  # in operations that know no length beforehand: for ONNX
    where = torch.minimum(where.clamp(min=0), last)
    left = where.floor()
    right = torch.minimum(left + 1, last).long()
    first, share = tokens.index_select(0, left.long()), (where - left).view(-1, *[1] * (tokens.ndim - 1))
    return torch.lerp(first, tokens.index_select(0, right), share.to(first.dtype))


class System(ABC):
    """Something that makes maps of one lead; its `name` stands in every table."""

    name: str

    @abstractmethod
    def maps(self, x: Tensor) -> list[Map]:
        """Maps of a conditioned and normalised lead (T,) at the encoder's rate."""

    @abstractmethod
    def batch(self, x: Tensor) -> list[Map]:
        """The maps of several leads (C, T) at once, with gradients where they are wanted."""

    def of_leads(self, x: Tensor) -> list[list[Map]]:
        """The maps of each of several leads (C, T)."""
        return [self.maps(each) for each in x]


class Frozen(System):
    """A frozen encoder of one lead, or of any.

    `only` is the number of the one map that is read; all by default.
    """

    def __init__(self, name: str, encoder: Encoder, fs: float, only: int | None = None) -> None:
        self.name, self.encoder, self._fs, self._only = name, encoder, fs, only

    def maps(self, x: Tensor) -> list[Map]:
        """Those of `Encoder.details`, each around the sample that its tokens are about."""
        return self.placed(stages(self.encoder, x[None], details=True))

    def batch(self, x: Tensor) -> list[Map]:
        """The maps of several leads (C, T) that are encoded at once."""
        return self.placed([each.float() for each in self.encoder.details(self.encoder.seen(x[:, None]))])

    @torch.inference_mode()
    def together(self, x: Tensor) -> list[Map]:
        """As `batch`, without gradients."""
        return self.batch(x)

    def of_leads(self, x: Tensor) -> list[list[Map]]:
        """The maps of each of several leads (C, T) that are encoded at once."""
        maps = self.together(x)
        return [[replace(each, values=each.values[lead]) for each in maps] for lead in range(len(x))]

    def placed(self, values: Sequence[Tensor]) -> list[Map]:
        """The encoder's maps (..., F_i, T_i), each with the moments it is read at."""
        found = []
        for each, grid in zip(values, self.encoder.detail_grids, strict=True):
            causal = grid.right < grid.stride
            first, moments = (2 * grid.stride, AFTER) if causal else (-grid.centre, AROUND)
            found.append(Map(each, grid.stride, tuple(first + moment * self._fs for moment in moments)))
        return found if self._only is None else found[self._only : self._only + 1]


class RawSamples(System):
    """The samples of the lead itself, half a second before and after."""

    name = "raw samples"

    def __init__(self, fs: float, seconds: float = 0.5) -> None:
        reach = round(seconds * fs)
        self._shifts = tuple(float(shift) for shift in range(-reach, reach + 1))

    def maps(self, x: Tensor) -> list[Map]:
        """One map of one feature, read at many moments."""
        return [Map(x[None], 1, self._shifts)]

    def batch(self, x: Tensor) -> list[Map]:
        """The same of several leads (C, T)."""
        return [Map(x[:, None], 1, self._shifts)]


def check_one_lead(encoder: PretrainedEncoder) -> None:
    """Refuse, by a UserError, an encoder that cannot read a lead by itself, or has no tokens."""
    if not encoder.encoder.has_tokens:
        encoder.encoder.features(torch.zeros(1, 1, 8))  # it says so
    if (count := len(encoder.preprocessing.leads)) != 1:
        raise UserError(
            f"the encoder reads {count} leads together, and waves are found in each lead by itself: "
            "use one that was pretrained on one lead, or with --preprocessing.leads any"
        )


def condition(preprocessing: Preprocessing, leads: Tensor, fs: float, causal: bool = False) -> Tensor:
    """Prepare leads (C, T) in mV as the encoder wants each of them, whatever they are called: shape (C, T').

    Causally as a stream is, but that each lead is divided by its standard deviation over the whole. DataError for
    samples that are not numbers, or a rate too low.
    """
    name = ("lead",) if preprocessing.any_leads else preprocessing.leads
    if not causal:
        return preprocessing.normalise_record(
            torch.from_numpy(preprocessing.condition(leads[:, None].numpy(), fs, name))[:, 0]
        )
    rows = []
    for lead in leads[:, None].double().numpy():
        conditioning = CausalConditioning(preprocessing, fs, name)
        row = np.concatenate([conditioning.push(lead), conditioning.finish()], axis=1)
        rows.append(row / typical_sd(row, round(2 * preprocessing.fs)) if preprocessing.normalise == "record" else row)
    return preprocessing.normalise_record(torch.from_numpy(np.concatenate(rows).astype(np.float32)))
