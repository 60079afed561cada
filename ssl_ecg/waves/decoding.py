"""The most likely order of phases, given their probability at each sample: a semi-Markov Viterbi path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.waves.phases import FOLLOWS, PHASES, TP, Segments

Array = NDArray[np.float64]
PhasePath = list[tuple[int, int, int]]
"""Phases in their order: (phase, first sample, the sample after its last)."""
_SEARCHED = 50.0  # Hz
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


def decode(scores: Array, durations: Durations, rate: float) -> list[PhasePath]:
    """Find the best path through the scores (B, n, 6) of each sample at `rate` Hz, of B rows, as `viterbi` does.

    It is searched at 50 Hz, with the scores of the samples in between added up: four times as fast as at 100.
    """
    batch, n, k = scores.shape
    step = max(1, round(rate / _SEARCHED))
    whole = np.concatenate([scores, np.zeros((batch, -n % step, k))], axis=1) if n % step else scores
    paths = viterbi(whole.reshape(batch, -1, step, k).sum(axis=2), durations, rate / step)
    return [[(phase, start * step, min(n, end * step)) for phase, start, end in path] for path in paths]


def viterbi(scores: Array, durations: Durations, rate: float) -> list[PhasePath]:
    """Find the best path of phases through the scores (B, n, 6) of each sample: (phase, start, end) of each of B rows.

    Scores are log-probabilities, up to a factor. The first and the last phase may have begun before and go on after.
    """
    batch, n, k = scores.shape
    exact, least = durations.table(rate)
    longest, rows = min(exact.shape[1], n), batch * k
    exact, least = (np.tile(each[:, :longest], (batch, 1)) for each in (exact, least))
    follows = durations.follows.T.copy()
    follows[TP, TP] = -_PAUSE
    total = np.zeros((n + 1, rows))
    np.cumsum(scores.transpose(1, 0, 2).reshape(n, rows), axis=0, out=total[1:])
    # enter[t]: the best score of a path on whose sample t a phase begins, less the total of its scores before
    enter = np.full((rows, n + longest), -np.inf)  # latest first: enter of time t lies at n - 1 - t
    enter[:, n - 1] = 0.0
    lasted, came = np.zeros((n, rows), dtype=np.intp), np.zeros((n, rows), dtype=np.intp)
    # How long a phase that ends lasted is chosen in `priced`, and which phase led into another in `chained`.
    priced, chained = np.full((rows, longest), -np.inf), np.empty((batch, k, k))
    row, into = longest * np.arange(rows), k * np.arange(rows)
    for t in range(1, n + 1):
        now = min(longest, t)
        np.add(enter[:, n - t : n - t + now], (exact if t < n else least)[:, :now], out=priced[:, :now])
        if t <= longest:
            priced[:, t - 1] = enter[:, n - 1] + least[:, t - 1]
        priced.argmax(axis=1, out=lasted[t - 1])
        best = priced.take(lasted[t - 1] + row) + total[t]
        if t < n:
            np.add(best.reshape(batch, 1, k), follows, out=chained)
            chained.argmax(axis=2, out=came[t].reshape(batch, k))
            np.subtract(chained.take(came[t] + into), total[t], out=enter[:, n - 1 - t])
    last = best.reshape(batch, k).argmax(axis=1).tolist()
    return [_traced(phase, came[:, k * i : k * i + k], lasted[:, k * i : k * i + k]) for i, phase in enumerate(last)]


def _traced(phase: int, came: NDArray[np.intp], lasted: NDArray[np.intp]) -> PhasePath:
    end, path = len(lasted), list[tuple[int, int, int]]()
    while end > 0:
        start = end - 1 - int(lasted[end - 1, phase])
        if path and path[-1][0] == phase:
            path[-1] = (phase, start, path[-1][2])
        else:
            path.append((phase, start, end))
        phase, end = int(came[start, phase]), start
    return path[::-1]
