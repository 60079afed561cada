"""The waves of every lead of a recording of any length, by a frozen encoder and a head for it."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray

from ssl_ecg.checkpoint import PretrainedEncoder
from ssl_ecg.waves.features import Frozen, condition
from ssl_ecg.waves.head import Head
from ssl_ecg.waves.matching import Found

_PIECE, _BEFORE, _AFTER = 120.0, 10.0, 2.0  # s: long leads are encoded in pieces, with what comes before and after
_ROWS = 8  # of pieces and leads that are encoded at once: a recurrent network takes its steps for all of them together


def find_waves(encoder: PretrainedEncoder, head: Head, signal: NDArray[np.float32], fs: float) -> list[Found]:
    """Find the waves of every lead of a signal (C, T) in mV, any length.

    DataError for samples that are not numbers, or a rate too low.
    """
    rate = encoder.preprocessing.fs
    frozen = Frozen("", encoder.encoder, rate)
    x = condition(encoder.preprocessing, torch.from_numpy(signal), fs, head.causal)
    size, before, after = (round(seconds * rate) for seconds in (_PIECE, _BEFORE, _AFTER))
    n, parts = x.shape[1], list[NDArray[np.float64]]()
    pieces = (x[:, max(0, start - before) : start + size + after] for start in range(0, n, size))
    starts = zip(range(0, n, size), pieces, strict=True)
    # Pieces that begin and end alike are as many rows as there are leads, side by side.
    for (skipped, length), some in groupby(starts, lambda each: (min(each[0], before), each[1].shape[1])):
        alike, most = list(some), max(1, _ROWS // len(x))
        for part in (alike[i : i + most] for i in range(0, len(alike), most)):
            wanted = min(skipped + size, length)
            scores = head.scores(frozen.together(torch.cat([rows for _, rows in part])), wanted)[:, skipped:]
            parts += np.split(scores, len(part))
    found = head.find(list(np.concatenate(parts, axis=1)), rate)
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
