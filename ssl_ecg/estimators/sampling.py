"""Samples for what cannot take all of them: an even share of every patient."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.metrics.scores import check_patients


def evenly_over_patients(
    patients: NDArray[Any], most: int, rng: np.random.Generator | None = None
) -> NDArray[np.int64]:
    """Choose at most so many samples: of every patient the same number, give or take one, as far as there are any.

    `patients` says whose each sample is, (n,). A generator draws them; without, samples are in the order of time, and
    each patient's are evenly spaced in it. Gives their numbers, ascending, shape (min(n, most),).
    """
    _, patient = check_patients(patients, len(patients))
    counts = np.bincount(patient)
    if rng is None:
        if len(patient) <= most:
            return np.arange(len(patient))
        mine = np.split(np.argsort(patient, kind="stable"), np.cumsum(counts)[:-1])
        taken = even_shares(counts, most).tolist()
        return np.sort(np.concatenate([rows[evenly_spaced(len(rows), n)] for rows, n in zip(mine, taken, strict=True)]))
    order = rng.permutation(len(patient))
    return np.sort(order[taken_in_turn(patient[order], most)])


def taken_in_turn(patients: NDArray[Any], most: int) -> NDArray[np.int64]:
    """Choose the first samples of every patient: everybody's first before anybody's second, shape (min(n, most),).

    `patients` says whose each sample is, in the order of preference, (n,).
    """
    _, patient = check_patients(patients, len(patients))
    counts = np.bincount(patient)
    nth = np.empty(len(patient), dtype=np.int64)  # of its patient's samples
    nth[np.argsort(patient, kind="stable")] = np.arange(len(patient)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.argsort(nth, kind="stable")[:most]


def even_shares(counts: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """How many of `most` to take of each group so that none has two more than another, unless that has no more to give.

    Shape (G,), at most `counts`, which says how many each has; larger groups give what does not part evenly.
    """
    share = np.zeros(len(counts), dtype=np.int64)
    left = most
    for done, group in enumerate(np.argsort(counts, kind="stable")):
        share[group] = min(counts[group], left // (len(counts) - done))
        left -= share[group]
    return share


def evenly_spaced(n: int, most: int) -> NDArray[np.int64]:
    """At most so many of n places, evenly spaced from the first to the last, shape (min(n, most),)."""
    return np.linspace(0, n - 1, min(n, most)).round().astype(np.int64)
