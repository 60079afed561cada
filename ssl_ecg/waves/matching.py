"""Found boundaries of waves against those that cardiologists marked."""

from __future__ import annotations

from collections.abc import Iterator
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
    for number, (_, true, _, times, scored) in enumerate(_boundaries(marked, fs, found)):
        for kind, tolerances in enumerate(TOLERANCES.values()):
            a, b = match(true, times, tolerances[number])
            error = 1000 * (times[b] - true[a])
            extra = scored.copy()
            extra[b] = False
            counts[kind, number] = len(a), extra.sum(), len(true) - len(a), error.sum(), (error**2).sum()
            if not kind:
                errors.append(error)
    return counts, errors


def unmatched(marked: Waves, fs: float, found: Found) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which marked waves (n,) have a boundary that was missed, and which found ones (m,) one that is extra.

    By Martinez's tolerances, and as they are counted.
    """
    missed, extra = np.zeros(len(marked.labels), dtype=np.bool_), np.zeros(len(found.labels), dtype=np.bool_)
    for (mine, true, theirs, times, scored), tolerance in zip(_boundaries(marked, fs, found), MARTINEZ, strict=True):
        a, b = match(true, times, tolerance)
        scored[b] = False
        missed[np.delete(mine, a)] = True
        extra[theirs[scored]] = True
    return missed, extra


_Boundary = tuple[NDArray[np.intp], Array, NDArray[np.intp], Array, NDArray[np.bool_]]


def _boundaries(marked: Waves, fs: float, found: Found) -> Iterator[_Boundary]:
    """Of each boundary, the places and times of those that are marked and of those found, and which of these count."""
    stretches = marked.stretches / fs
    for wave, end in BOUNDARIES:
        at: NDArray[np.int64] = getattr(marked, end)
        one, theirs = marked.labels == wave, np.flatnonzero(found.labels == wave)
        mine, peak = np.flatnonzero(one & (at >= 0)), marked.peak[one & (at < 0)] / fs
        times: Array = getattr(found, end)[theirs]
        inside = (times[:, None] >= stretches[:, 0]) & (times[:, None] < stretches[:, 1])
        unmarked = (found.onset[theirs][:, None] <= peak) & (peak <= found.offset[theirs][:, None])
        yield mine, at[mine] / fs, theirs, times, inside.any(axis=1) & ~unmarked.any(axis=1)


def scores_of(counts: Array) -> dict[str, Array]:
    """Scores of counts (..., 6, 5): of each boundary Se, PPV, F1, mean and SD of the error in ms, and the mean F1.

    The F1 of a wave is the mean of its onset's and its offset's.
    """
    hits, extra, missed, error, squared = np.moveaxis(np.asarray(counts, dtype=np.float64), -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        se, ppv = hits / (hits + missed), hits / (hits + extra)
        f1 = 2 * hits / (2 * hits + extra + missed)
        mean = error / hits
        sd = np.sqrt(np.maximum(squared / hits - mean**2, 0))
    made = {"f1": f1.mean(axis=-1)}
    made |= {f"f1_{wave}": f1[..., i : i + 2].mean(axis=-1) for i, (wave, _) in enumerate(BOUNDARIES) if not i % 2}
    for name, each in {"f1": f1, "sensitivity": se, "ppv": ppv, "mean_ms": mean, "sd_ms": sd}.items():
        made |= {f"{name}_{wave}_{end}": each[..., i] for i, (wave, end) in enumerate(BOUNDARIES)}
    return made
