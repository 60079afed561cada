"""Whether a stretch of a lead can be read, and if not, why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

STRETCH = 10.0
"""s: what is judged at a time."""
GOOD, MISSING, OFF, CLIPPED, NOISE = range(5)
NAMES = ("good", "no samples", "lead off", "saturated", "noise or flutter")
"""What each code means."""

_FLAT = 0.02  # mV: an electrode that hangs in the air, with what a converter adds
_SHARE = 0.5  # of a stretch that may be missing, flat or saturated
_NOISE, _CLEAR = 3.0, 10.0  # by how much QRS complexes stand out: of 99.5 % of MIT-BIH's DS1 by 4.5 or more, half by 17


class Quality(NamedTuple):
    """Of each stretch of 10 s of each lead: its code, and its quality, 0 (nothing can be read) to 1, both (C, n)."""

    codes: NDArray[np.int8]
    quality: NDArray[np.float32]


def judge(x: NDArray[np.floating], fs: float) -> Quality:
    """Judge each stretch of 10 s of a signal (C, T) in mV, NaN where samples are missing.

    A last stretch that is shorter counts if it has half of the 10 s, and is part of the one before if not.
    """
    size = round(STRETCH * fs)
    count = max(1, round(x.shape[1] / size))
    ends = [i * size for i in range(count)], [*(i * size for i in range(1, count)), x.shape[1]]
    codes, quality = np.zeros((len(x), count), dtype=np.int8), np.zeros((len(x), count), dtype=np.float32)
    for row, lead in enumerate(x):
        clear = stands_out(lead, fs, *ends)
        for place, (first, end) in enumerate(zip(*ends, strict=True)):
            codes[row, place] = code = _judge(lead[first:end], fs, clear[place])
            quality[row, place] = np.clip((clear[place] - 2) / (_CLEAR - 2), 0, 1) if code in (GOOD, NOISE) else 0
    return Quality(codes, quality)


def _judge(x: NDArray[np.floating], fs: float, clear: float) -> int:
    there = np.isfinite(x)
    if there.mean() < _SHARE:
        return MISSING
    x = x[there]
    whole = len(x) // (per := max(1, round(0.5 * fs))) * per
    spans = np.ptp(x[:whole].reshape(-1, per), axis=1) if whole else np.array([np.ptp(x)])
    low, high = x.min(), x.max()
    if (spans < _FLAT).mean() > _SHARE:
        middle = float(np.median(x))
        return CLIPPED if high - low > 1 and min(middle - low, high - middle) < _FLAT else OFF
    if max((x == low).mean(), (x == high).mean()) > _SHARE:
        return CLIPPED
    return NOISE if clear < _NOISE else GOOD


def stands_out(
    x: NDArray[np.floating], fs: float, starts: Sequence[int] = (0,), stops: Sequence[int | None] = (None,)
) -> NDArray[np.float64]:
    """Measure by how much the steepest 0.1 s of each 2 s of a lead (T,) stand out of the typical 0.1 s.

    Of stretches of the lead, shape (n,); one that is shorter than 2 s stands out by any measure.
    """
    import scipy.ndimage
    import scipy.signal

    found, per = np.full(len(starts), np.inf), round(2 * fs)
    if len(x) < per:
        return found
    sos = scipy.signal.butter(2, (5.0, min(20.0, 0.45 * fs)), "bandpass", fs=fs, output="sos")
    band = scipy.signal.sosfiltfilt(sos, np.nan_to_num(x))
    energy = np.sqrt(np.maximum(scipy.ndimage.uniform_filter1d(np.square(np.gradient(band)), round(0.1 * fs)), 0))
    for place, (start, stop) in enumerate(zip(starts, stops, strict=True)):
        some = energy[start:stop]
        if (whole := len(some) // per * per) > 0:
            found[place] = np.median(some[:whole].reshape(-1, per).max(1)) / max(float(np.median(some)), 1e-12)
    return found


def usable(codes: NDArray[np.int8], fs: float, length: int) -> NDArray[np.bool_]:
    """Which samples of each lead lie in a good stretch, shape (C, length), from the codes of its stretches (C, n)."""
    at = np.minimum(np.arange(length) // round(STRETCH * fs), codes.shape[1] - 1)
    return np.asarray((codes == GOOD)[:, at])


def runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Where a mask (n,) is true without a break: first, and after the last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(first), int(end)) for first, end in edges.reshape(-1, 2)]
