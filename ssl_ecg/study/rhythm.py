"""Rhythm features: what the timing of the beats alone says about a beat.

The baseline of every beat classifier, because what tells a premature beat from a normal one is often when it comes, not
what it looks like.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.data.store import Store
from ssl_ecg.errors import UserError

TYPICAL_RR_S = 0.8
"""Stands in for the RR interval of a recording's first beat: 75 beats a minute."""

_MEAN_OVER_S = 300.0


def rr_features(samples: NDArray[np.int64], fs: float, *, future: bool = False) -> NDArray[np.float32]:
    """Compute RR features of every beat of one recording, (n, 4), causal; or (n, 5) with `future`, no unit.

    `samples` (n,) are the ascending R-peak positions, at `fs` Hz, of every beat, also of those without a class. With RR
    the interval from the beat before to this one, the columns are

    0. log of RR in seconds,
    1. log of RR over the RR before it,
    2. log of RR over the mean of (up to) ten RR before it,
    3. log of RR over the mean of the RR that ended in the 300 s before the beat (at least one),
    4. with `future`: log of the next RR in seconds, known one beat later.

    The first beat has no RR: it gets `TYPICAL_RR_S` and ratios of 1; the second has none before its own: ratios of 1;
    the last has no next RR: its own. Beats at the same sample count as one beat. UserError unless the positions ascend
    and the rate is positive.

    The features follow de Chazal, O'Dwyer & Reilly, IEEE Trans. Biomed. Eng. 2004, and the five-minute mean of
    Mondejar-Guerra et al., Biomed. Signal Process. Control 2019. A median would not do: where most beats are
    supraventricular, as in MIT-BIH's record 232, it is their own interval.
    """
    samples = np.asarray(samples)
    if samples.ndim != 1:
        raise UserError(f"expected R-peak positions of shape (n,), got {samples.shape}")
    if not fs > 0:
        raise UserError(f"expected a sampling rate above 0 Hz, got {fs}")
    if (np.diff(samples) < 0).any():
        at = int((np.diff(samples) < 0).argmax())
        raise UserError(
            f"R-peak positions must ascend, but beat {at + 1} at sample {samples[at + 1]} follows one at {samples[at]}"
        )
    places, beat = np.unique(samples, return_inverse=True)
    n = len(places)
    rr = np.diff(places, prepend=0) / fs
    rr[:1] = TYPICAL_RR_S
    features = np.zeros((n, 4 + future))
    features[:, 0] = np.log(rr)
    last = np.arange(2, n)  # beats that have an RR before their own
    features[2:, 1] = np.log(rr[2:] / rr[1:-1])
    within = np.searchsorted(places, places[2:] - _MEAN_OVER_S * fs)
    for column, first in ((2, last - 10), (3, within)):
        first = np.clip(first, 1, last - 1)  # the first and last RR of the mean are those of beats `first`, `last - 1`
        mean = (places[last - 1] - places[first - 1]) / (last - first) / fs
        features[2:, column] = np.log(rr[2:] / mean)
    if future:
        features[:, 4] = np.append(features[1:, 0], features[-1:, 0])
    return features[beat].astype(np.float32)


def rhythm_of(store: Store, *, future: bool = False) -> NDArray[np.float32]:
    """Compute the RR features of every beat of a store, in its order: shape (beats, 4), or (beats, 5) with `future`."""
    fs = store.records["source_fs"].to_numpy()
    record, peaks = store.beats["record"].to_numpy(), store.beats["r_peak"].to_numpy()
    ends = np.flatnonzero(np.diff(record)) + 1
    parts = zip(record[np.r_[0, ends]], np.split(peaks, ends), strict=True)
    return np.concatenate([rr_features(part, fs[row], future=future) for row, part in parts])
