"""The waves of every lead of a recording of any length, by a frozen encoder and a head for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

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
    for starts in _alike(range(0, n, size), before, size + after, n, max(1, _ROWS // len(x))):
        spans = [(max(0, start - before), min(start + size, n)) for start in starts]
        rows = torch.cat([x[:, first : min(stop + after, n)] for first, stop in spans])
        length, skipped = spans[0][1] - spans[0][0], starts[0] - spans[0][0]
        scores = head.scores(frozen.together(rows), length)[:, skipped:]
        parts += np.split(scores, len(starts))
    found = head.find(list(np.concatenate(parts, axis=1)), rate)
    return [_with_peaks(each, lead, rate) for each, lead in zip(found, x.numpy(), strict=True)]


def _alike(starts: Sequence[int], before: int, after: int, n: int, most: int) -> Iterator[Sequence[int]]:
    """Part the starts of pieces into runs of those that lie wholly inside n samples, as many as `most`, and others."""
    first = next((i for i, start in enumerate(starts) if start >= before), len(starts))
    last = next((i for i, start in enumerate(starts) if start + after > n), len(starts))
    inside = starts[first:last]
    yield from ([start] for start in starts[:first])
    yield from (inside[i : i + most] for i in range(0, len(inside), most))
    yield from ([start] for start in starts[max(first, last) :])


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
