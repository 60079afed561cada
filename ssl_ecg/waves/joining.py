"""One set of waves from those of several leads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ssl_ecg.waves.matching import Found

_APART = 0.10  # s: waves of one kind whose middles are farther apart are two


def join(leads: Sequence[Found]) -> Found:
    """Join the waves of several leads: those that at least half of the leads have.

    A wave begins where a quarter of its leads have begun and ends where three quarters have ended: close to the first
    onset and the last offset of any lead, as intervals over all leads are read, but one lead that is off moves nothing.
    Its peak is the median, its confidence the mean.
    """
    if len(leads) == 1:
        return leads[0]
    joined: list[tuple[str, float, float, float, float]] = []
    for label in ("P", "QRS", "T"):
        rows = [
            (on, peak, off, sure)
            for lead in leads
            for kind, on, peak, off, sure in zip(
                lead.labels, lead.onset, lead.peak, lead.offset, lead.confidence, strict=True
            )
            if kind == label
        ]
        if not rows:
            continue
        table = np.array(sorted(rows, key=lambda row: row[0] + row[2]))
        middle = (table[:, 0] + table[:, 2]) / 2
        for group in np.split(table, np.flatnonzero(np.diff(middle) > _APART) + 1):
            if 2 * len(group) >= len(leads):
                on, off = np.percentile(group[:, 0], 25), np.percentile(group[:, 2], 75)
                joined.append((label, float(on), float(np.median(group[:, 1])), float(off), float(group[:, 3].mean())))
    joined.sort(key=lambda wave: wave[1])
    table = np.array([wave[1:] for wave in joined], dtype=np.float64).reshape(-1, 4)
    return Found(np.array([wave[0] for wave in joined], dtype=np.str_), *table.T)
