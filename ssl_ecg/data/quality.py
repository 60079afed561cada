"""Stretches in which an electrode or a converter said nothing: they are named, never silently kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LEAST = 0.2  # s: no heart holds its highest or lowest value so long
_NOTED = 0.01  # share of a lead that is worth a note


def silent_share(signal: NDArray[np.floating], fs: float) -> NDArray[np.float64]:
    """Share of each lead that lies at its highest or lowest value for 0.2 s or more at a stretch: flat or saturated.

    Args:
        signal: shape (C, T), any unit, before any filter.
        fs: sampling rate, Hz.

    Returns:
        Shape (C,), from 0 to 1; 1 for a lead that never changes.
    """
    least = max(2, round(_LEAST * fs))
    low, high = signal.min(axis=-1, keepdims=True), signal.max(axis=-1, keepdims=True)
    share = np.zeros(len(signal))
    for lead, x in enumerate(signal):
        for rail in (low[lead], high[lead]):
            at = np.flatnonzero(x == rail)
            if len(at) < least:
                continue
            runs = np.split(at, np.flatnonzero(np.diff(at) > 1) + 1)
            share[lead] += sum(len(run) for run in runs if len(run) >= least) / len(x)
    return np.minimum(share, 1)


def describe(share: NDArray[np.float64], leads: tuple[str, ...]) -> str:
    """What `silent_share` found, such as "lead V2 is flat, lead V3 is saturated for 12 % of the time", or ""."""
    return ", ".join(
        f"lead {lead} is flat" + ("" if part > 0.999 else f" or saturated for {100 * part:.0f} % of the time")
        for lead, part in zip(leads, share, strict=True)
        if part > _NOTED
    )
