"""The most likely order of phases, given their probability at each sample: a semi-Markov Viterbi path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.delineate.phases import FOLLOWS, PHASES, TP, Segments

Array = NDArray[np.float64]
_LONGEST = 0.9  # s: a phase that lasts longer is TP, in several parts
_LEAST_SPREAD = 0.25  # of the logarithm of a duration, however alike those that were seen
_PAUSE = 2.0  # what each further part of a long TP costs


@dataclass(frozen=True)
class Durations:
    """How long each phase lasts, log-normally, and how often one follows another.

    `mean` and `spread` are those of the logarithm of the duration in s, (6,); `follows` the logarithm of the
    probability that a phase follows another, (6, 6), minus infinity where it cannot.
    """

    mean: Array
    spread: Array
    follows: Array

    @classmethod
    def learn(cls, runs: Sequence[Segments], rate: float) -> Durations:
        """Learn from marked phases, in samples of `rate`; what was never seen stays possible."""
        k = len(PHASES)
        times: list[list[float]] = [[] for _ in range(k)]
        counts = np.zeros((k, k))
        counts[tuple(np.transpose(FOLLOWS))] = 0.5
        allowed = counts > 0
        for run in runs:
            for (phase, start, end), following in zip(run, [*run[1:], None], strict=True):
                times[phase].append(max(end - start, 0.5) / rate)
                if following is not None:
                    counts[phase, following[0]] += 1
        logs = [np.log(some) if some else np.log([0.1]) for some in times]
        mean = np.array([some.mean() for some in logs])
        spread = np.array([max(float(some.std()), _LEAST_SPREAD) for some in logs])
        with np.errstate(divide="ignore"):
            follows = np.log(np.where(allowed, counts, 0) / counts.sum(axis=1, keepdims=True))
        return cls(mean, spread, follows)

    def table(self, rate: float) -> tuple[Array, Array]:
        """The log-probability that a phase lasts d samples, and that it lasts d or more: both (6, D), d from 1 on."""
        d = np.arange(1, round(_LONGEST * rate) + 1)
        z = (np.log(d / rate) - self.mean[:, None]) / self.spread[:, None]
        p = np.exp(-0.5 * z**2) / (d * self.spread[:, None])
        p = p / p.sum(axis=1, keepdims=True) + 1e-9
        least = np.cumsum(p[:, ::-1], axis=1)[:, ::-1]
        return np.log(p), np.log(np.maximum(least, 1e-9))


def viterbi(scores: Array, durations: Durations, rate: float) -> list[list[tuple[int, int, int]]]:
    """Find the best path of phases through the scores (B, n, 6) of each sample: (phase, start, end) of each of B rows.

    Scores are log-probabilities, up to a factor. The first and the last phase may have begun before and go on after.
    """
    batch, n, k = scores.shape
    exact, least = durations.table(rate)
    longest = min(exact.shape[1], n)
    exact, least = exact[:, :longest], least[:, :longest]
    follows = durations.follows.copy()
    follows[TP, TP] = -_PAUSE
    total = np.concatenate([np.zeros((batch, 1, k)), np.cumsum(scores, axis=1)], axis=1)
    # enter[t]: the best score of a path on whose sample t a phase begins, less the total of its scores before
    enter = np.full((batch, k, n + longest), -np.inf)  # latest first: enter of time t lies at n - 1 - t
    came = np.zeros((n + 1, batch, k), dtype=np.int8)
    lasted = np.zeros((n + 1, batch, k), dtype=np.int32)
    enter[:, :, n - 1] = 0.0
    row, column = np.ogrid[:batch, :k]
    for t in range(1, n + 1):
        longest_now = min(longest, t)
        window = enter[:, :, n - t : n - t + longest_now]
        priced = window + (exact if t < n else least)[:, :longest_now]
        if t <= longest:
            priced[:, :, t - 1] = window[:, :, t - 1] + least[:, t - 1]
        d = priced.argmax(axis=2)
        best = priced[row, column, d] + total[:, t]
        lasted[t] = d + 1
        if t == n:
            break
        into = best[:, :, None] + follows
        before = into.argmax(axis=1)
        came[t] = before
        enter[:, :, n - 1 - t] = into[row, before, column] - total[:, t]
    return [_traced(int(best[i].argmax()), came[:, i], lasted[:, i]) for i in range(batch)]


def _traced(phase: int, came: NDArray[np.int8], lasted: NDArray[np.int32]) -> list[tuple[int, int, int]]:
    end = len(came) - 1
    path: list[tuple[int, int, int]] = []
    while end > 0:
        start = end - int(lasted[end, phase])
        if path and path[-1][0] == phase:
            path[-1] = (phase, start, path[-1][2])
        else:
            path.append((phase, start, end))
        phase, end = int(came[start, phase]), start
    return path[::-1]
