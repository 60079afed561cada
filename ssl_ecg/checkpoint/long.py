"""Signals of any length: encoded piece by piece, and pooled around positions or put on a time grid."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ssl_ecg.encoders import Encoder

_PIECE = 2**15  # samples encoded at once: memory does not grow with the signal
_ROWS = 4096  # positions pooled at once
_AVERAGED = 2**18  # values averaged at once, in double precision
_SIZE, _AFTER = 80.0, 2.0  # s of a row of many that are encoded at once, and what is read after it, at least
_MEMORY = 20.0  # s that are read before a row of an encoder that remembers everything
_AT_ONCE = 8  # rows: a recurrent network takes its steps for all of them together


class Piece(NamedTuple):
    """A stretch of a signal, from sample `start` to before `stop`, and the feature maps around it.

    Token 0 of each map stands at sample `origin`. The maps are those of every stage, each lead alone where leads are
    embedded apart, shapes (1 or C, F_i, T_i).
    """

    start: int
    stop: int
    origin: int
    maps: list[Tensor]


@torch.inference_mode()
def pieces(encoder: Encoder, x: Tensor, around: float = 0, details: bool = False) -> Iterator[Piece]:
    """Encode a normalised signal (C, T) of any length, with as much overlap as the tokens see and `around` samples.

    The maps are those of the encoder's `features`, or of its `details`. Every token is what it is in the signal as a
    whole. An encoder whose tokens see everything encodes it in one.
    """
    device = next(encoder.parameters()).device
    grids, maps = (encoder.detail_grids, encoder.details) if details else (encoder.grids, encoder.features)
    length, step = x.shape[-1], math.lcm(*(grid.stride for grid in grids))
    reach = max(max(grid.left, grid.right) for grid in grids)
    size = length if math.isinf(reach) else max(1, _PIECE // step) * step
    overlap = 0 if math.isinf(reach) else math.ceil((reach + around) / step + 1) * step
    seen = encoder.seen(x[None])
    for start in range(0, length, size):
        stop, origin = min(start + size, length), max(0, start - overlap)
        part = seen[..., origin : stop + overlap].to(device)
        yield Piece(start, stop, origin, list(maps(part)))


@torch.inference_mode()
def in_rows(encoder: Encoder, x: Tensor, fs: float) -> Iterator[Piece]:
    """Encode normalised leads (C, T) of any length, each by itself, in stretches of 80 s side by side: `details`.

    Tokens are what they are in the signal as a whole, but those of an encoder that remembers everything, which begins
    20 s before each stretch: in tapes of MIT-BIH that moves those of `ecg1-v1`, .35 in size, by .00005 on average.
    """
    device = next(encoder.parameters()).device
    grids, length = encoder.detail_grids, x.shape[-1]
    step = math.lcm(*(grid.stride for grid in grids))
    left, right = (max(getattr(grid, side) for grid in grids) for side in ("left", "right"))
    size, before, after = (
        math.ceil(samples / step) * step
        for samples in (
            _SIZE * fs,
            _AFTER * fs + (_MEMORY * fs if math.isinf(left) else left),
            _AFTER * fs + (0 if math.isinf(right) else right),
        )
    )
    row = before + size + after
    row += (length - row) % step  # so that a row of this length that ends with the signal begins with a token
    row = length if math.isinf(right) or length < row else row
    starts = range(0, length, length if row == length else size)
    origins = [min(max(0, start - before), length - row) for start in starts]
    seen, some = encoder.seen(x[:, None]), max(1, _AT_ONCE // len(x))
    for first in range(0, len(starts), some):
        mine = origins[first : first + some]
        maps = encoder.details(torch.cat([seen[..., origin : origin + row] for origin in mine]).to(device))
        split = zip(*(each.float().cpu().split(len(x)) for each in maps), strict=True)
        for start, origin, each in zip(starts[first:], mine, split, strict=False):
            yield Piece(start, min(start + starts.step, length), origin, list(each))


@torch.inference_mode()
def embed_at(encoder: Encoder, x: Tensor, positions: Tensor, span: float) -> Tensor:
    """Pool the tokens around positions of a normalised signal (C, T), which is encoded once: shape (n, D), on the CPU.

    Positions (n,) and span are in samples. Of each pooled stage, the token nearest to a position and those up to half
    the span from it are pooled; at the ends of the signal, the nearest that there are; amplitudes are those of the
    whole signal. The encoder is in evaluation mode and has tokens.
    """
    z = torch.empty(len(positions), encoder.dim)
    amplitudes = encoder.with_amplitudes(torch.empty(1, 0), x[None])
    used = slice(None) if encoder.pooling == "stages" else slice(-1, None)
    for piece in pieces(encoder, x, around=span):
        first = piece.start if piece.start else -math.inf
        end = piece.stop if piece.stop < x.shape[-1] else math.inf
        for rows in ((positions >= first) & (positions < end)).nonzero().flatten().split(_ROWS):
            cut = [
                _around(each, (positions[rows] - piece.origin - grid.centre) / grid.stride, span / grid.stride)
                for each, grid in zip(piece.maps[used], encoder.grids[used], strict=True)
            ]
            pooled = encoder.join_leads(encoder.pool(cut), len(rows)).float().cpu()
            z[rows] = torch.cat([pooled, amplitudes.expand(len(rows), -1)], dim=1)
    return z


@torch.inference_mode()
def embed_stretches(
    encoder: Encoder, x: Tensor, positions: Tensor, edges: Sequence[float], encoded: Iterable[Piece] | None = None
) -> Tensor:
    """Average the maps of a normalised signal (C, T) over stretches around positions: shape (n, D), on the CPU.

    Of each of the encoder's `details`, the mean between one edge and the next, leads averaged; D is the sum of their
    features times the number of stretches. Positions (n,) and edges, ascending, relative to them, are in samples. What
    lies outside the signal is not counted; a stretch wholly outside has the signal's nearest token. Pieces that are
    `encoded` already are not encoded again.
    """
    found: list[list[Tensor]] = [[] for _ in encoder.detail_grids]
    order = positions.argsort()
    for piece in encoded or pieces(encoder, x, around=max(map(abs, edges)), details=True):
        first = piece.start if piece.start else -math.inf
        end = piece.stop if piece.stop < x.shape[-1] else math.inf
        mine = positions[order][(positions[order] >= first) & (positions[order] < end)]
        for parts, each, grid in zip(found, piece.maps, encoder.detail_grids, strict=True):
            tokens = encoder.join_leads(each, 1)[0].float().cpu()
            at = [(mine + edge - piece.origin - grid.centre) / grid.stride + 0.5 for edge in edges]
            some, cuts = tokens.split(max(1, _AVERAGED // tokens.shape[1])), torch.stack(at)
            parts.append(torch.cat([_means(features, cuts) for features in some], dim=1))
    z = torch.cat([torch.cat(parts, dim=2).flatten(0, 1) for parts in found]).T
    return z[order.argsort()]


def _means(tokens: Tensor, cuts: Tensor) -> Tensor:
    """Mean of tokens (F, T'), each lasting from its number to the next, between cuts (S + 1, n): shape (S, F, n)."""
    count = tokens.shape[-1]
    sums = torch.zeros(count + 1, len(tokens), dtype=torch.double)
    torch.cumsum(tokens.T, dim=0, dtype=torch.double, out=sums[1:])
    cuts = cuts.double().clamp(0, count)
    whole = cuts.floor().long().clamp_max(count - 1)
    at = tokens.T.contiguous()[whole].double()
    upto = torch.addcmul(sums[whole], (cuts - whole)[..., None], at)
    length = cuts.diff(dim=0)[..., None]
    means = torch.where(length > 0, upto.diff(dim=0) / length.clamp_min(1e-9), at[:-1])
    return means.transpose(1, 2).float()


def _around(tokens: Tensor, where: Tensor, span: float) -> Tensor:
    """The tokens (C, F, T') nearest to n places and up to half a span from there, in tokens: shape (n C, F, count)."""
    count = min(2 * int(span / 2) + 1, tokens.shape[-1])
    first = ((where + 0.5).floor().long() - int(span / 2)).clamp(0, tokens.shape[-1] - count).to(tokens.device)
    return tokens.unfold(-1, count, 1)[:, :, first].permute(2, 0, 1, 3).flatten(0, 1)


def stages(encoder: Encoder, x: Tensor, details: bool = False) -> list[Tensor]:
    """Compute all feature maps of a normalised signal (C, T), leads averaged: shapes (F_i, T_i), on the CPU."""
    grids = encoder.detail_grids if details else encoder.grids
    found: list[list[Tensor]] = [[] for _ in grids]
    for piece in pieces(encoder, x, details=details):
        for parts, each, grid in zip(found, piece.maps, grids, strict=True):
            first = (piece.start - piece.origin) // grid.stride
            end = None if piece.stop == x.shape[-1] else (piece.stop - piece.origin) // grid.stride
            parts.append(encoder.join_leads(each, 1)[0, :, first:end].float().cpu())
    return [torch.cat(parts, dim=1) for parts in found]


def interpolated(tokens: Tensor, where: Tensor) -> Tensor:
    """Linearly interpolate tokens (F, T') at places counted in tokens, shape (n,): shape (F, n)."""
    where = where.clamp(0, tokens.shape[-1] - 1)
    left = where.floor().long()
    share = (where - left).to(tokens.dtype)
    right = (left + 1).clamp_max(tokens.shape[-1] - 1)
    return tokens[:, left] * (1 - share) + tokens[:, right] * share
