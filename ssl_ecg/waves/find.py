"""The waves of every lead of a recording of any length, by a frozen encoder and a head for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from ssl_ecg.checkpoint import PretrainedEncoder
from ssl_ecg.waves.features import Frozen, condition
from ssl_ecg.waves.head import Head
from ssl_ecg.waves.matching import Found

_PIECE, _BEFORE, _AFTER = 120.0, 10.0, 2.0  # s: long leads are encoded in pieces, with what comes before and after


def find_waves(encoder: PretrainedEncoder, head: Head, signal: NDArray[np.float32], fs: float) -> list[Found]:
    """Find the waves of every lead of a signal (C, T) in mV, any length.

    DataError for samples that are not numbers, or a rate too low.
    """
    rate = encoder.preprocessing.fs
    frozen = Frozen("", encoder.encoder, rate)
    x = condition(encoder.preprocessing, torch.from_numpy(signal), fs, head.causal)
    size, before, after = (round(seconds * rate) for seconds in (_PIECE, _BEFORE, _AFTER))
    parts: list[list[NDArray[np.float64]]] = [[] for _ in x]
    for start in range(0, x.shape[1], size):
        first, stop = max(0, start - before), min(start + size, x.shape[1])
        piece = x[:, first : min(stop + after, x.shape[1])]
        scores = head.scores(frozen.together(piece), stop - first)[:, start - first :]
        for each, row in zip(parts, scores, strict=True):
            each.append(row)
    found = head.find([np.concatenate(each) for each in parts], rate)
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
