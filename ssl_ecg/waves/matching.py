"""Found boundaries of waves against those that cardiologists marked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.data.source import Waves

Array = NDArray[np.float64]

BOUNDARIES = tuple((wave, end) for wave in ("P", "QRS", "T") for end in ("onset", "offset"))
"""What is scored."""
MARTINEZ = (0.050, 0.050, 0.040, 0.040, 0.050, 0.100)
"""How far a boundary may be off, s: Martinez et al., IEEE Trans Biomed Eng 51(4), 2004."""
EC57 = (0.150,) * 6
"""How far by ANSI/AAMI EC57, s."""
TOLERANCES = {"Martinez": MARTINEZ, "150 ms": EC57}

HITS, EXTRA, MISSED, ERROR, SQUARED = range(5)
COUNTS = 5


@dataclass(frozen=True)
class Found:
    """Waves that were found in one lead, in s, in time order; all of shape (n,).

    `labels` are "P", "QRS" or "T"; `confidence` is from 0 to 1.
    """

    labels: NDArray[np.str_]
    onset: Array
    peak: Array
    offset: Array
    confidence: Array


def match(marked: Array, found: Array, tolerance: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pair times that are at most `tolerance` apart, the closest first, each at most once: places in either."""
    apart = np.abs(marked[:, None] - found)
    one, other = np.nonzero(apart <= tolerance)
    order = np.argsort(apart[one, other], kind="stable")
    pairs, taken_one, taken_other = [], set(), set()
    for a, b in zip(one[order].tolist(), other[order].tolist(), strict=True):
        if a not in taken_one and b not in taken_other:
            taken_one.add(a)
            taken_other.add(b)
            pairs.append((a, b))
    places = np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)
    return places[:, 0], places[:, 1]


def count(marked: Waves, fs: float, found: Found) -> tuple[Array, list[Array]]:
    """Count hits, extra and missed boundaries of one lead, and add up the errors of the hits, in ms.

    Gives counts (2, 6, 5), by tolerance, boundary, and what is counted, and the errors of the hits of each boundary
    within Martinez's tolerances, found less marked. What is found outside the stretches that are marked is not
    counted, nor beside a wave of which that boundary is not marked.
    """
    counts, errors = np.zeros((len(TOLERANCES), len(BOUNDARIES), COUNTS)), []
    stretches = marked.stretches / fs
    for number, (wave, end) in enumerate(BOUNDARIES):
        mine = marked.labels == wave
        at: NDArray[np.int64] = getattr(marked, end)[mine]
        true, peak = at[at >= 0] / fs, marked.peak[mine][at < 0] / fs
        theirs = found.labels == wave
        times: Array = getattr(found, end)[theirs]
        inside = (times[:, None] >= stretches[:, 0]) & (times[:, None] < stretches[:, 1])
        unmarked = (found.onset[theirs][:, None] <= peak) & (peak <= found.offset[theirs][:, None])
        scored = inside.any(axis=1) & ~unmarked.any(axis=1)
        for kind, tolerances in enumerate(TOLERANCES.values()):
            a, b = match(true, times, tolerances[number])
            error = 1000 * (times[b] - true[a])
            extra = scored.copy()
            extra[b] = False
            counts[kind, number] = len(a), extra.sum(), len(true) - len(a), error.sum(), (error**2).sum()
            if not kind:
                errors.append(error)
    return counts, errors


def scores_of(counts: Array) -> dict[str, Array]:
    """Scores of counts (..., 6, 5): of each boundary Se, PPV, F1, mean and SD of the error in ms, and the mean F1."""
    hits, extra, missed, error, squared = np.moveaxis(np.asarray(counts, dtype=np.float64), -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        se, ppv = hits / (hits + missed), hits / (hits + extra)
        f1 = 2 * hits / (2 * hits + extra + missed)
        mean = error / hits
        sd = np.sqrt(np.maximum(squared / hits - mean**2, 0))
    made = {"f1": f1.mean(axis=-1)}
    for name, each in {"f1": f1, "sensitivity": se, "ppv": ppv, "mean_ms": mean, "sd_ms": sd}.items():
        made |= {f"{name}_{wave}_{end}": each[..., i] for i, (wave, end) in enumerate(BOUNDARIES)}
    return made
