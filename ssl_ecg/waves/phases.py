"""The phases of a heartbeat as one class a sample: P, PQ, QRS, ST, T, and TP between beats."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.data.source import Waves

PHASES = ("TP", "P", "PQ", "QRS", "ST", "T")
TP, P, PQ, QRS, ST, T = range(len(PHASES))
WAVES = {"P": P, "QRS": QRS, "T": T}
"""The phases that are waves, and their number."""

UNMARKED = -1
"""The class of a sample of which nothing is known."""

FOLLOWS = (
    (TP, P), (TP, QRS), (P, PQ), (P, QRS), (P, TP), (PQ, QRS), (QRS, ST), (QRS, T), (QRS, TP), (ST, T), (T, TP), (T, P),
    (T, QRS),
)  # fmt: skip
"""What may follow what: any wave may be absent, and the gap after one too. A blocked P wave ends in TP."""

Segments = Sequence[tuple[int, float, float]]
"""Phases in time order: (phase, first sample, the sample after its last)."""


def segments_of(waves: Waves, fs: float, rate: float) -> list[list[tuple[int, float, float]]]:
    """Cut what is marked of a lead into phases that follow each other, in samples of another rate.

    A list for each stretch of waves without a gap in the marking. A wave without an onset or an offset ends the one
    before and begins another; of the wave itself nothing is known.
    """
    runs: list[list[tuple[int, float, float]]] = [[]]
    scale, stretch = rate / fs, -1
    for label, onset, offset, peak in zip(waves.labels, waves.onset, waves.offset, waves.peak, strict=True):
        here = int(np.searchsorted(waves.stretches[:, 0], max(onset, offset, peak), side="right"))
        if onset < 0 or offset < 0 or here != stretch:
            runs.append([])
            stretch = here
        if onset < 0 or offset < 0:
            stretch = -1
            continue
        run, phase, start = runs[-1], WAVES[str(label)], onset * scale
        if run and start > run[-1][2]:
            run.append((_gap(run[-1][0], phase), run[-1][2], start))
        run.append((phase, max(start, run[-1][2]) if run else start, (offset + 1) * scale))
    return [run for run in runs if run]


def _gap(before: int, after: int) -> int:
    """The phase between two waves."""
    return PQ if (before, after) == (P, QRS) else ST if (before, after) == (QRS, T) else TP


def classes_of(waves: Waves, fs: float, rate: float, n: int) -> NDArray[np.int64]:
    """The phase of each of n samples at `rate`, shape (n,), `UNMARKED` where nothing is known."""
    classes = np.full(n, UNMARKED, dtype=np.int64)
    for run in segments_of(waves, fs, rate):
        for phase, start, end in run:
            classes[max(0, int(np.ceil(start))) : max(0, int(np.ceil(end)))] = phase
    return classes
