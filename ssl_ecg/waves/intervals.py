"""Intervals of each beat from the waves that were found, refused where one of them is absent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ssl_ecg.waves.matching import Found

NAMES = ("P", "PR", "QRS", "QT", "QTc Bazett", "QTc Fridericia")
"""Intervals, in ms: durations of P and QRS, PR and QT, and QT corrected for the rate."""
_LONGEST_PR, _LONGEST_QT = 0.5, 0.75  # s: waves farther apart are not of one beat
_RR = (0.24, 3.0)  # s: 250 to 20 beats a minute


@dataclass(frozen=True)
class Beat:
    """A QRS complex at `time`, s, with its intervals in ms; those that there are not have a reason instead."""

    time: float
    intervals: Mapping[str, float]
    missing: Mapping[str, str]


def beats_of(found: Found) -> list[Beat]:
    """Measure every beat of one lead: of each QRS complex, the P wave before it and the T wave after it."""
    waves = list(
        zip(found.labels.tolist(), found.onset.tolist(), found.peak.tolist(), found.offset.tolist(), strict=True)
    )
    places = [place for place, wave in enumerate(waves) if wave[0] == "QRS"]
    beats, before = [], math.nan
    for place in places:
        _, onset, peak, offset = waves[place]
        p = waves[place - 1] if place and waves[place - 1][0] == "P" else None
        t = waves[place + 1] if place + 1 < len(waves) and waves[place + 1][0] == "T" else None
        rr, before = peak - before, peak
        values: dict[str, float] = {"QRS": offset - onset}
        missing: dict[str, str] = {}
        if p is None or onset - p[1] > _LONGEST_PR:
            missing |= dict.fromkeys(("P", "PR"), "no P wave before the QRS complex")
        else:
            values |= {"P": p[3] - p[1], "PR": onset - p[1]}
        if t is None or t[3] - onset > _LONGEST_QT:
            missing |= dict.fromkeys(NAMES[3:], "no T wave after the QRS complex")
        else:
            values["QT"] = t[3] - onset
            if _RR[0] <= rr <= _RR[1]:
                values |= {"QTc Bazett": values["QT"] / rr**0.5, "QTc Fridericia": values["QT"] / rr ** (1 / 3)}
            else:
                why = "no beat before" if math.isnan(rr) else f"an RR interval of {rr:.2f} s"
                missing |= dict.fromkeys(NAMES[4:], why)
        beats.append(Beat(peak, {name: 1000 * values[name] for name in NAMES if name in values}, missing))
    return beats


def summary(beats: Sequence[Beat]) -> dict[str, dict[str, float | int | str]]:
    """Summarise beats: of each interval the median, the quartiles, and of how many beats; or why there is none.

    An interval that fewer than half of the beats have is refused: its median would be of the beats that happened to be
    found.
    """
    made: dict[str, dict[str, float | int | str]] = {}
    for name in NAMES:
        values = [beat.intervals[name] for beat in beats if name in beat.intervals]
        possible = len(beats) - sum(beat.missing.get(name) == "no beat before" for beat in beats)
        if not beats:
            made[name] = {"beats": 0, "refused": "no QRS complex was found"}
        elif not values or 2 * len(values) < possible:
            reasons = [beat.missing[name] for beat in beats if name in beat.missing]
            why = max(set(reasons), key=reasons.count)
            made[name] = {"beats": len(values), "refused": f"{why} in {len(reasons)} of {len(beats)} beats"}
        else:
            low, median, high = np.percentile(values, [25, 50, 75])
            made[name] = {"beats": len(values), "median": float(median), "low": float(low), "high": float(high)}
    return made
