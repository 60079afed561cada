"""Rhythm features: what the timing of the beats alone says about a beat.

Every beat classifier is judged beside these four numbers, because much of what separates a premature
beat from a normal one is when it comes, not what it looks like.
"""

from __future__ import annotations

from bisect import insort

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.errors import UserError

TYPICAL_RR_S = 0.8
"""Stands in for the RR interval of a recording's first beat: 75 beats a minute."""

RR_FEATURES = ("log_rr", "log_rr_over_previous", "log_rr_over_mean10", "log_rr_over_median")


def rr_features(samples: NDArray[np.int64], fs: float) -> NDArray[np.float32]:
    """Four causal RR features per beat of one recording: nothing after the beat is looked at.

    With RR the interval from the beat before to this one, the columns are (`RR_FEATURES`)

    0. log of RR in seconds,
    1. log of RR over the RR before it,
    2. log of RR over the mean of (up to) ten RR before it,
    3. log of RR over the median of all RR before it.

    Logarithms make a beat twice too early and one twice too late equally far from 0, and keep a pause of
    several seconds from dominating a linear model. The first beat has no RR: it gets `TYPICAL_RR_S` and
    ratios of 1; the second has no RR before its own: ratios of 1.

    The features follow de Chazal, O'Dwyer & Reilly, "Automatic classification of heartbeats using ECG
    morphology and heartbeat interval features", IEEE Trans. Biomed. Eng. 2004, which also uses the RR
    *after* the beat and the mean of the whole recording; those wait for the future, so they are left out.

    Args:
        samples: R-peak positions of every beat, also of those without a class, shape (n,), in samples,
            strictly ascending.
        fs: sampling rate, Hz.

    Returns:
        Shape (n, 4), no unit.

    Raises:
        UserError: unless the positions ascend and the rate is positive.
    """
    samples = np.asarray(samples)
    if samples.ndim != 1:
        raise UserError(f"expected R-peak positions of shape (n,), got {samples.shape}")
    if not fs > 0:
        raise UserError(f"expected a sampling rate above 0 Hz, got {fs}")
    steps = np.diff(samples)
    if (steps <= 0).any():
        at = int((steps <= 0).argmax())
        raise UserError(
            f"R-peak positions must ascend, but beat {at + 1} at sample {samples[at + 1]} follows one at {samples[at]}"
        )
    features = np.zeros((len(samples), 4))
    features[:1, 0] = np.log(TYPICAL_RR_S)
    if len(samples) < 2:
        return features.astype(np.float32)

    rr = steps / fs
    features[1:, 0] = np.log(rr)
    features[2:, 1] = np.log(rr[1:] / rr[:-1])
    total = np.concatenate([[0.0], np.cumsum(rr)])
    last = np.arange(1, len(rr))
    first = np.maximum(last - 10, 0)
    features[2:, 2] = np.log(rr[1:] * (last - first) / (total[last] - total[first]))
    features[2:, 3] = np.log(rr[1:] / _running_median(rr)[:-1])
    return features.astype(np.float32)


def _running_median(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median of values[: i + 1] for each i, shape (n,)."""
    seen: list[float] = []
    medians = np.empty(len(values))
    for i, value in enumerate(values):
        insort(seen, value)
        medians[i] = (seen[i // 2] + seen[(i + 1) // 2]) / 2
    return medians
