"""Episodes of a day: runs, pauses, slow, fast and irregular rhythm, and stretches that could not be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.monitor.beats import Day, unbroken
from ssl_ecg.monitor.quality import GOOD, NAMES, STRETCH, runs

KINDS = (
    *("ventricular run", "supraventricular run", "pause", "AF-like irregularity", "tachycardia", "bradycardia"),
    *("lead off", "no samples", "saturated", "noise or flutter"),
)
"""In the order of the report."""

_RUN = 3  # beats
_RATE_OVER = 8  # beats that a rate is the median of
_PAIRS = 64  # successive intervals that irregularity is judged on
_IRREGULAR, _CERTAIN = 0.10, 0.20  # median change from an interval to the next, over the interval
_CELLS, _CELL = 0.7, 0.025  # of the pairs of interval and change, a share that differ; s
_AT_ONCE = 2**13  # windows over beats: what they take does not grow with the tape

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Limits:
    """What is an episode.

    Args:
        brady: heart rate below which it is slow, beats a minute.
        tachy: above which it is fast.
        pause: interval above which it is a pause, s.
        lasting: how long a slow or fast rhythm lasts at least, s.
    """

    brady: float = 50.0
    tachy: float = 120.0
    pause: float = 2.0
    lasting: float = 10.0


@dataclass(frozen=True)
class Episode:
    """Something that lasted from `start` to `end`, s, with a confidence from 0 to 1 and what was measured."""

    kind: str
    start: float
    end: float
    beats: int
    confidence: float
    detail: str


def find_episodes(day: Day, limits: Limits) -> list[Episode]:
    """Find all episodes of a day, in the order of their start."""
    found = [*_runs_of(day, "V", KINDS[0]), *_runs_of(day, "S", KINDS[1]), *_pauses(day, limits), *_irregular(day)]
    found += [*_rates(day, limits), *_unread(day)]
    return sorted(found, key=lambda each: (each.start, KINDS.index(each.kind)))


def heart_rate(rr: NDArray[np.float64]) -> NDArray[np.float64]:
    """Heart rate at each beat, a minute: of the median of the eight intervals around, NaN where fewer are known."""
    if len(rr) < _RATE_OVER:
        return np.full(len(rr), np.nan)
    whole = 60 / over_windows(rr, _RATE_OVER, _median)
    before = _RATE_OVER // 2
    return np.pad(whole, (before, len(rr) - len(whole) - before), constant_values=np.nan)


def over_windows(x: Array, size: int, what: Callable[[Array], Array]) -> Array:
    """Apply what makes of (m, size) a shape (m,) to all windows of x (n,): shape (n - size + 1,)."""
    windows = np.lib.stride_tricks.sliding_window_view(x, size)
    return np.concatenate([what(windows[i : i + _AT_ONCE]) for i in range(0, len(windows), _AT_ONCE)])


def _median(windows: Array) -> Array:
    """Median of each row, NaN where one of it is."""
    return np.median(windows, axis=1)


def _distinct(windows: Array) -> Array:
    """How many values of each row differ, as a share."""
    steps = np.diff(np.sort(windows, axis=1), axis=1) > 0
    return np.asarray((1 + steps.sum(axis=1)) / windows.shape[1])


def _episode(day: Day, kind: str, first: int, end: int, sure: float, detail: str) -> Episode:
    """An episode of beats `first` to before `end`."""
    sure *= float(day.quality[first:end].mean())
    return Episode(kind, float(day.time[first]), float(day.time[end - 1]), end - first, round(sure, 3), detail)


def _runs_of(day: Day, name: str, kind: str) -> Iterator[Episode]:
    """Three and more beats of one class in a row."""
    broken = np.isnan(day.rr)
    for first, end in runs(day.of(name)):
        for part in np.split(np.arange(first, end), np.flatnonzero(broken[first + 1 : end]) + 1):
            if len(part) >= _RUN:
                rate = 60 / float(np.mean(day.rr[part[1:]]))
                sure = float(np.mean(day.confidence[part]))
                yield _episode(day, kind, int(part[0]), int(part[-1]) + 1, sure, f"{len(part)} beats, {rate:.0f}/min")


def _pauses(day: Day, limits: Limits) -> Iterator[Episode]:
    for beat in np.flatnonzero(np.nan_to_num(day.rr) > limits.pause):
        pair = slice(int(beat) - 1, int(beat) + 1)
        sure, length = float(day.quality[pair].min()), float(day.rr[beat])
        start, end = day.time[pair]
        yield Episode("pause", float(start), float(end), 2, round(sure, 3), f"{length:.2f} s without a beat")


def _rates(day: Day, limits: Limits) -> Iterator[Episode]:
    rate = heart_rate(day.rr)
    for kind, odd in (("tachycardia", rate > limits.tachy), ("bradycardia", rate < limits.brady)):
        for first, end in runs(odd):
            if day.time[end - 1] - day.time[first] >= limits.lasting:
                some = rate[first:end]
                fast = kind == "tachycardia"
                worst, end_of = (some.max(), "up to") if fast else (some.min(), "down to")
                limit = limits.tachy if fast else limits.brady
                sure = float(np.clip(0.5 + 2 * abs(np.log(np.median(some) / limit)), 0, 1))
                yield _episode(day, kind, first, end, sure, f"median {np.median(some):.0f}/min, {end_of} {worst:.0f}")


def irregularity(day: Day) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Measure how irregular the intervals around are that begin and end with no ventricular beat.

    Gives the beats (m,) that end two such intervals in a row, the median change from an interval to the next over the
    64 such pairs around each, as a share of the interval, and the share of the pairs of interval and change that fall
    into cells of their own of 25 ms, after Lian et al., Am J Cardiol 107, 2011; both (m,), NaN near an end or a break.
    """
    ventricular = day.of("V")
    beats, medians, cells = [], [], []
    stretch = np.minimum((day.time // STRETCH).astype(int), day.codes.shape[1] - 1)
    for part in unbroken(stretch, day.readable):
        rr, v = day.rr[part], ventricular[part]
        plain = np.zeros(len(part), dtype=bool)
        plain[1:] = ~v[1:] & ~v[:-1] & np.isfinite(rr[1:])
        both = np.flatnonzero(plain[1:] & plain[:-1]) + 1
        change = rr[both] - rr[both - 1]
        median, share = (np.full(len(both), np.nan) for _ in range(2))
        if len(both) >= _PAIRS:
            half, inner = _PAIRS // 2, slice(_PAIRS // 2, _PAIRS // 2 + len(both) - _PAIRS + 1)
            median[inner] = over_windows(np.abs(change) / rr[both], _PAIRS, _median)
            cell = np.floor(rr[both] / _CELL) * 100_000 + np.floor(change / _CELL)
            share[inner] = over_windows(cell, _PAIRS, _distinct)
            median[:half], share[:half] = median[half], share[half]
            median[inner.stop :], share[inner.stop :] = median[inner.stop - 1], share[inner.stop - 1]
        beats.append(part[both])
        medians.append(median)
        cells.append(share)
    return np.concatenate(beats), np.concatenate(medians), np.concatenate(cells)


def _irregular(day: Day) -> Iterator[Episode]:
    beats, median, cells = irregularity(day)
    for first, end in runs((median >= _IRREGULAR) & (cells >= _CELLS)):
        change = float(np.median(median[first:end]))
        sure = float(np.clip(0.5 + 0.5 * (change - _IRREGULAR) / (_CERTAIN - _IRREGULAR), 0, 1))
        rate = 60 / float(np.nanmedian(day.rr[beats[first] : beats[end - 1] + 1]))
        detail = f"intervals change by {change:.0%} from beat to beat, {rate:.0f}/min"
        if day.time[beats[end - 1]] - day.time[beats[first]] >= 30:  # what is atrial fibrillation by convention
            yield _episode(day, "AF-like irregularity", int(beats[first]), int(beats[end - 1]) + 1, sure, detail)


def _unread(day: Day) -> Iterator[Episode]:
    """Stretches that could be read in no lead."""
    for first, end in runs(~day.readable):
        codes = day.codes[:, first:end]
        kind = NAMES[int(np.bincount(codes[codes != GOOD]).argmax())]
        stop = day.seconds if end == day.codes.shape[1] else end * STRETCH
        yield Episode(kind, first * STRETCH, stop, 0, 1.0, "no lead could be read")
