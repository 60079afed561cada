"""What no waves are looked for in, and why."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.waves.matching import Found

SHORTEST = 2.0
"""s: a signal that is shorter has hardly a whole beat."""
_FLAT = 0.005  # mV: less than a count of most converters, over most of the time
_SURE = 0.7  # mean confidence of the QRS complexes, below which they are noise
_FASTEST = 300.0  # beats a minute


def unusable(signal: NDArray[np.floating], fs: float) -> str:
    """Say why a lead (T,) in mV cannot have waves; empty if it may."""
    seconds = len(signal) / fs
    if seconds < SHORTEST:
        return f"{seconds:.2f} s is too short: at least {SHORTEST:g} s are needed"
    if not np.isfinite(signal).all():
        return f"{int((~np.isfinite(signal)).sum())} samples are no numbers"
    low, high = np.percentile(signal, [2, 98])
    ends = np.ptp(signal)
    return f"flat: it varies by {1000 * ends:.0f} µV" if high - low < _FLAT and ends < 20 * _FLAT else ""


def implausible(found: Found, seconds: float) -> str:
    """Say why what was found in a lead that lasts so long is no ECG; empty if it may be."""
    qrs = found.labels == "QRS"
    count, sure = int(qrs.sum()), float(found.confidence[qrs].mean()) if qrs.any() else 0.0
    if not count:
        return "no QRS complex was found"
    if sure < _SURE:
        return f"noise, pacing or no ECG: the QRS complexes that were found have a mean confidence of {sure:.2f}"
    if 60 * count / seconds > _FASTEST:
        return f"noise: {60 * count / seconds:.0f} QRS complexes a minute"
    return ""
