"""The waves of every lead of a recording of any length, by a frozen encoder and a head for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl_ecg.checkpoint import PretrainedEncoder
from ssl_ecg.checkpoint.long import Piece, in_rows
from ssl_ecg.waves.features import Frozen, condition
from ssl_ecg.waves.head import Head
from ssl_ecg.waves.matching import Found


def find_waves(encoder: PretrainedEncoder, head: Head, signal: NDArray[np.float32], fs: float) -> list[Found]:
    """Find the waves of every lead of a signal (C, T) in mV, any length.

    DataError for samples that are not numbers, or a rate too low.
    """
    x = condition(encoder.preprocessing, torch.from_numpy(signal), fs, head.causal)
    return waves_of(encoder, head, x, in_rows(encoder.encoder, x, encoder.preprocessing.fs))


def waves_of(encoder: PretrainedEncoder, head: Head, x: Tensor, encoded: Iterable[Piece]) -> list[Found]:
    """Find the waves of leads (C, T) that are conditioned for the head, and `encoded` in rows."""
    rate = encoder.preprocessing.fs
    frozen = Frozen("", encoder.encoder, rate)
    scores = [
        head.scores(frozen.placed(piece.maps), piece.stop - piece.origin)[:, piece.start - piece.origin :]
        for piece in encoded
    ]
    found = head.find(list(np.concatenate(scores, axis=1)), rate)
    return [_with_peaks(each, lead, rate) for each, lead in zip(found, x.numpy(), strict=True)]


def _with_peaks(found: Found, x: NDArray[np.float32], rate: float) -> Found:
    """Put each peak where the lead is farthest from the line between onset and offset."""
    if not len(found.onset):
        return found
    first = np.clip(np.rint(found.onset * rate).astype(int), 0, len(x) - 1)
    last = np.clip(np.rint(found.offset * rate).astype(int), first, len(x) - 1)
    steps = np.arange((last - first).max() + 1)
    share = np.minimum(steps / np.maximum(last - first, 1)[:, None], 1)
    line = x[first, None] + share * (x[last] - x[first])[:, None]
    far = np.abs(x[np.minimum(first[:, None] + steps, last[:, None])] - line).argmax(axis=1)
    at = np.where(last > first, (first + far) / rate, found.peak)
    return replace(found, peak=np.clip(at, found.onset, found.offset))
